import Testing
import TimeAndChance

@testable import MeshProtocol

extension FrameDecoder {
    /// Feeds one chunk and collects every frame that it completes.
    mutating func frames(in chunk: [UInt8]) throws(FrameError) -> [Frame] {
        var decoder = self
        defer { self = decoder }
        // The closure's own errors lose their type, so the result carries it.
        let result = chunk.withUnsafeBytes { bytes -> Result<[Frame], FrameError> in
            var input = bytes
            var frames: [Frame] = []
            do throws(FrameError) {
                while let frame = try decoder.next(&input) { frames.append(frame) }
            } catch { return .failure(error) }
            return .success(frames)
        }
        return try result.get()
    }
}

@Suite("Frames: bytes of a peer become frames or a typed error, never anything else")
struct FrameTests {
    static let frames = [
        Frame(FrameKind(rawValue: 16), [1, 2, 3]), Frame(FrameKind(rawValue: 255)),
        Frame(FrameKind(rawValue: 77), [UInt8](repeating: 9, count: 41)), Frame(.ping),
    ]
    static let stream = frames.flatMap { $0.encoded(on: .data) }

    @Test("Golden bytes: length, kind, lane, flags, checksum, payload")
    func golden() {
        let bytes = Frame(FrameKind(rawValue: 32), Array("apus".utf8)).encoded(on: .bulk)
        let head: [UInt8] = [4, 0, 0, 0, 32, 2, 0, 0]
        #expect(bytes == head + [0xD2, 0xB4, 0x5D, 0x44] + Array("apus".utf8))
    }

    @Test("A stream that is cut anywhere gives the same frames")
    func everySplit() throws {
        for cut in 0...Self.stream.count {
            var decoder = FrameDecoder(lane: .data)
            let first = try decoder.frames(in: Array(Self.stream[..<cut]))
            let isInside = decoder.isInsideFrame
            let second = try decoder.frames(in: Array(Self.stream[cut...]))
            #expect(first + second == Self.frames)
            let whole = first.reduce(0) { $0 + $1.byteCount }
            #expect(isInside == (whole != cut))
            #expect(!decoder.isInsideFrame)
        }
    }

    @Test("One byte at a time gives the same frames")
    func singleBytes() throws {
        var decoder = FrameDecoder(lane: .data)
        var frames: [Frame] = []
        for byte in Self.stream { frames += try decoder.frames(in: [byte]) }
        #expect(frames == Self.frames)
    }

    @Test("A changed bit anywhere is an error or a longer wait, never another frame")
    func everyBit() {
        let bytes = Self.frames[0].encoded(on: .data)
        for bit in 0..<bytes.count * 8 {
            var damaged = bytes
            damaged[bit / 8] ^= 1 << UInt8(bit % 8)
            var decoder = FrameDecoder(lane: .data)
            do {
                let frames = try decoder.frames(in: damaged)
                #expect(frames.isEmpty && decoder.isInsideFrame, "bit \(bit)")
            } catch {}
        }
    }

    @Test("Every error has its case")
    func errors() {
        func error(_ bytes: [UInt8], limit: Int = 100) -> FrameError? {
            var decoder = FrameDecoder(payloadBytesMax: limit, lane: .data)
            do {
                _ = try decoder.frames(in: bytes)
                return nil
            } catch { return error }
        }
        let frame = Frame(FrameKind(rawValue: 20), [UInt8](repeating: 0, count: 101))
        #expect(error(frame.encoded(on: .data)) == .tooLong(bytes: 101, limit: 100))
        // The header alone is enough: nothing is kept for a payload that is too long.
        #expect(error(Array(frame.encoded(on: .data)[..<12])) == .tooLong(bytes: 101, limit: 100))
        #expect(error(Frame(.ping).encoded(on: .bulk)) == .wrongLane(.bulk, expected: .data))
        var bytes = Frame(.ping).encoded(on: .data)
        bytes[5] = 3
        #expect(error(bytes) == .unknownLane(3))
        bytes = Frame(.ping).encoded(on: .data)
        bytes[7] = 1
        #expect(error(bytes) == .unknownFlags(256))
        bytes = Frame(.ping).encoded(on: .data)
        bytes[8] ^= 1
        #expect(error(bytes) == .checksum(.ping))
        #expect(error([UInt8](repeating: 0xFF, count: 64)) == .tooLong(bytes: 0xFFFF_FFFF, limit: 100))
    }

    @Test("After an error the decoder stays shut")
    func sticky() {
        var decoder = FrameDecoder(payloadBytesMax: 10, lane: .data)
        let bad = Frame(.ping, [UInt8](repeating: 0, count: 11)).encoded(on: .data)
        for bytes in [bad, Self.stream] {
            do {
                _ = try decoder.frames(in: bytes)
                Issue.record("bytes were accepted")
            } catch { #expect(error == .tooLong(bytes: 11, limit: 10)) }
        }
    }

    @Test("Garbage never becomes a frame", arguments: 0..<50)
    func garbage(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        var bytes = (0..<4096).map { _ in UInt8.random(in: 0...255, using: &random) }
        // A plausible length lets the rest be looked at.
        bytes.replaceSubrange(0..<8, with: [UInt8(seed), 0, 0, 0, 20, 1, 0, 0])
        var decoder = FrameDecoder(lane: .data)
        #expect((try? decoder.frames(in: bytes)) == nil)
    }

    @Test("The largest frame passes, one byte more does not")
    func largest() throws {
        var decoder = FrameDecoder()
        let frame = Frame(FrameKind(rawValue: 30), [UInt8](repeating: 7, count: Frame.payloadBytesMax))
        let bytes = frame.encoded(on: .bulk)
        #expect(bytes.count == Frame.bytesMax)
        #expect(try decoder.frames(in: bytes) == [frame])
        #expect(throws: FrameError.tooLong(bytes: Frame.payloadBytesMax + 1, limit: Frame.payloadBytesMax)) {
            let longer = Frame(FrameKind(rawValue: 30), frame.payload + [0])
            _ = try decoder.frames(in: Array(longer.encoded(on: .bulk)[..<12]))
        }
    }
}

@Suite("The catalog keeps users of the mesh apart") struct FrameCatalogTests {
    @Test func conflicts() throws {
        let append = FrameCatalog.Entry(FrameKind(rawValue: 40), "consensus.append", on: [.control])
        let ping = FrameCatalog.Entry(FrameKind(rawValue: 40), "gossip.ping", on: [.control])
        #expect(throws: FrameCatalog.Conflict.taken(ping, by: append)) { try FrameCatalog([append, ping]) }
        let own = FrameCatalog.Entry(.ping, "mine", on: [.data])
        #expect(throws: FrameCatalog.Conflict.reserved(own)) { try FrameCatalog([own]) }
        let catalog = try FrameCatalog([append])
        #expect(catalog.objection(to: append.kind, on: .control) == nil)
        #expect(
            catalog.objection(to: append.kind, on: .bulk)
                == "frames of consensus.append do not travel on lane bulk")
        #expect(
            catalog.objection(to: FrameKind(rawValue: 41), on: .bulk)
                == "frames of kind 41 are not registered")
    }
}
