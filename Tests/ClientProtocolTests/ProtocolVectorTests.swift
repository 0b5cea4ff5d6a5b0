import ClientProtocol
import Foundation
import Identifiers
import Testing

/// The blocks of `docs/protocol.md` that are marked with the name.
func vectors(_ name: String) throws -> [String] {
    let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()
    let text = try String(contentsOf: root.appending(path: "docs/protocol.md"), encoding: .utf8)
    let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
    let start = try #require(lines.firstIndex(of: "```vectors \(name)"[...]), "no block \(name)")
    return lines[(start + 1)...].prefix { $0 != "```" }.map(String.init)
}

@Suite("Protocol vectors") struct ProtocolVectorTests {
    @Test("A61: the documented frames of clients are read, and written to the byte")
    func clientFrames() throws {
        for line in try vectors("client") {
            let frame = try ClientFrame.decode(Array(line.utf8))
            var bytes: [UInt8] = []
            frame.encode(into: &bytes)
            #expect(String(decoding: bytes, as: UTF8.self) == line)
        }
    }

    @Test("A61: the documented frames of nodes are read, and written to the byte")
    func serverFrames() throws {
        for line in try vectors("server") {
            let frame = try ServerFrame.decode(Array(line.utf8))
            var bytes: [UInt8] = []
            frame.encode(into: &bytes)
            #expect(String(decoding: bytes, as: UTF8.self) == line)
        }
    }

    @Test("A60: the documented map is read, and written to the byte; a damaged one is a typed error")
    func maps() throws {
        for line in try vectors("map") {
            let map = try RoutingMap.decode(Payload(line))
            #expect(map.encoded().text == line)
            let whole = Array(line.utf8)
            for count in 0..<whole.count {
                let cut = Payload(Array(whole.prefix(count)))
                #expect(throws: FrameError.self) { try RoutingMap.decode(cut) }
            }
        }
    }

    @Test(
        "A60: a map that cannot be is a typed error",
        arguments: [
            (#""node":1"#, #""node":0"#), (#""partitions":4"#, #""partitions":5"#),
            (#""partitions":4"#, #""partitions":2"#), ("000001\"", "00000g\""), ("000001\"", "00001\""),
            ("[0,3,7,1]", "[0,3,7]"), ("[0,3,7,1]", #"[0,3,"7",1]"#), ("[0,3,7,1]", "[4,3,7,1]"),
            ("[0,3,7,1]", "{}"), (#"[1,"10.0.0.1:7420"]"#, #"[0,"a:1"]"#), (#""version":17,"#, ""),
        ])
    func impossibleMaps(_ change: (String, String)) throws {
        let line = try vectors("map")[0]
        #expect(line.contains(change.0))
        let changed = Payload(line.replacingOccurrences(of: change.0, with: change.1))
        #expect(throws: FrameError.self) { try RoutingMap.decode(changed) }
    }

    @Test("A61: other spellings of a frame are understood as documented")
    func acceptedFrames() throws {
        let lines = try vectors("accepted")
        for pair in stride(from: 0, to: lines.count, by: 2) {
            let frame = try ClientFrame.decode(Array(lines[pair].utf8))
            #expect(frame == (try ClientFrame.decode(Array(lines[pair + 1].utf8))))
        }
    }

    @Test("A71: what is documented as refused is a typed error")
    func refusedFrames() throws {
        for line in try vectors("refused") {
            #expect(throws: FrameError.self, "\(line)") { try ClientFrame.decode(Array(line.utf8)) }
        }
    }

    @Test("A71: no beginning and no changed byte of a frame traps a decoder")
    func damagedFrames() throws {
        for line in try vectors("client") + vectors("server") {
            let whole = Array(line.utf8)
            for count in 0..<whole.count {
                #expect(throws: FrameError.self) { try ClientFrame.decode(Array(whole.prefix(count))) }
                var changed = whole
                for byte in [0x00, 0x22, 0x5C, 0x7B, 0xC3, 0xFF] as [UInt8] {
                    changed[count] = byte
                    _ = try? ClientFrame.decode(changed)
                    _ = try? ServerFrame.decode(changed)
                }
            }
        }
    }
}
