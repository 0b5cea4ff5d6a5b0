import ClientProtocol
import ConsensusCore
import ConsensusStore
import Foundation
import Identifiers
import MeshProtocol
import MeshTransport
import PartitionStore
import PlacementCore
import Synchronization
import Testing
import TimeAndChance

@testable import ClusterMembership

@Suite("Joining a cluster") struct JoiningTests {
    @Test("A node joins with a token: its number comes from the control plane, its disk from itself")
    func joining() async throws {
        let town = try Town()
        let token = try await town.token()
        let membership: Membership
        do {
            let newcomer = try town.newcomer(2)
            membership = try await newcomer.join("10.0.0.1:7420", with: token)
        }
        let founder = try #require(town.founder.directory.membership)
        #expect(membership.record.node == NodeID(rawValue: 2) && membership.record.origin == .joined)
        #expect(membership.constants == founder.constants)
        #expect(membership.peers.map(\.address) == [MeshAddress(host: "10.0.0.1", port: 7430)])
        let node = try #require(town.control.map?[NodeID(rawValue: 2)])
        #expect(node.store == membership.record.store && node.profile == Sample.profile(2))

        // The next start finds the same.
        let directory = try MemberDirectory.open(town.scratch.sub("n2"))
        let again = try #require(directory.membership)
        #expect(again.record == membership.record && !directory.isFounder)
        #expect(again.credentials.certificate == membership.credentials.certificate)
        try again.credentials.certificate.check(
            issuedBy: try #require(founder.credentials.authorities.first), at: Sample.now)
        let (_, state) = try ConsensusStore.open(
            directory: directory.consensusDirectory, replica: again.replica)
        #expect(state == Raft.PersistentState())
        // The store takes the incarnation that the control plane issues.
        let store = try PartitionStore.open(
            try #require(directory.storeConfiguration), holding: directory.lock)
        let life = try town.control.start(again.record.node)
        try store.recordIncarnation(life.incarnation)
        #expect(store.identity.incarnation == life.incarnation)
        try store.close()
    }

    @Test("A lost request or answer is repeated: the node gets the same number, and costs one use")
    func lostAnswer() async throws {
        let town = try Town()
        let token = try await town.token(uses: 1)
        let newcomer = try town.newcomer(2)
        for weather in [FakeNetwork.Weather.requestLost, .answerLost, .answerLost] {
            town.network.set(weather)
            await expectError("gave no answer (nothing listens there)") {
                _ = try await newcomer.join("10.0.0.1:7420", with: token)
            }
            #expect(newcomer.directory.membership == nil)
        }
        town.network.set(.fair)
        let membership = try await newcomer.join("10.0.0.1:7420", with: token)
        #expect(membership.record.node == NodeID(rawValue: 2) && town.control.map?.nodes.count == 2)
        // The use was this disk's; another one is one too many.
        let third = try town.newcomer(3)
        await expectError("as many nodes as it was made for") {
            _ = try await third.join("10.0.0.1:7420", with: token)
        }
        #expect(town.control.map?.nodes.count == 2)
    }

    @Test("A crash after the answer: the node begins anew as the same one")
    func crash() async throws {
        let town = try Town()
        let token = try await town.token()
        let first: Membership
        do {
            first = try await town.newcomer(2).join("10.0.0.1:7420", with: token)
        }
        let path = town.scratch.sub("n2")
        try FileManager.default.removeItem(atPath: path + "/cluster/member")
        let draft = "apus-draft 1\nstore \(first.record.store)\n"
        try Data(draft.utf8).write(to: URL(filePath: path + "/cluster/draft"))
        let newcomer = try town.newcomer(2)
        #expect(newcomer.directory.membership == nil)
        let second = try await newcomer.join("10.0.0.1:7420", with: token)
        #expect(second.record == first.record)
    }

    @Test("R15: a join request that is repeated after the node's start is refused")
    func replay() async throws {
        let town = try Town()
        let token = try await town.token()
        let recorded = Mutex<[UInt8]>([])
        let record: @Sendable (inout [UInt8]) -> Void = { bytes in recorded.withLock { $0 = bytes } }
        town.network.set(.changing(request: record, answer: { _ in }))
        _ = try await town.newcomer(2).join("10.0.0.1:7420", with: token)
        let life = try town.control.start(NodeID(rawValue: 2))
        let body = ClusterRequest.Admission(
            data: Data(recorded.withLock { $0 }).base64EncodedString())
        let json = try ClusterAdministrator.json(body)
        await expectError("the disk went back in time") {
            _ = try await town.founder.perform(.admit, json)
        }
        #expect(town.control.map?[NodeID(rawValue: 2)]?.life == life)
    }

    @Test("A changed byte anywhere in request or answer joins nobody", arguments: [true, false])
    func tampering(ofRequest: Bool) async throws {
        let town = try Town()
        let token = try await town.token(uses: 1)
        let newcomer = try town.newcomer(2)
        // A prime step reaches every field.
        for place in stride(from: 1, to: 700, by: 23) {
            let change: @Sendable (inout [UInt8]) -> Void = { bytes in
                let index = place % bytes.count
                bytes[index] ^= 0x10
            }
            let keep: @Sendable (inout [UInt8]) -> Void = { _ in }
            town.network.set(
                .changing(request: ofRequest ? change : keep, answer: ofRequest ? keep : change))
            await #expect(throws: MembershipError.self, "byte \(place)") {
                _ = try await newcomer.join("10.0.0.1:7420", with: token)
            }
            #expect(newcomer.directory.membership == nil)
        }
        if ofRequest { #expect(town.control.map?.nodes.count == 1 && town.control.proposed.isEmpty) }
        town.network.set(.fair)
        _ = try await newcomer.join("10.0.0.1:7420", with: token)
    }

    @Test("An expired, revoked or foreign token lets nobody in, and says what to do")
    func badTokens() async throws {
        let town = try Town()
        let newcomer = try town.newcomer(2)
        func refused(_ sentence: String, _ token: JoinToken) async {
            await expectError(sentence) { _ = try await newcomer.join("10.0.0.1:7420", with: token) }
        }
        let expired = try await town.token(seconds: 60)
        town.clock.move(by: .seconds(61))
        await refused("has expired", expired)
        await refused("not known here", try await Town().token())
        let revoked = try await town.token()
        let tokens: TokensDocument = try ClusterAdministrator.read(
            try await town.founder.perform(.tokens, .null))
        #expect(tokens.tokens.count == 2 && tokens.tokens.allSatisfy { $0.token == nil })
        let id = try #require(tokens.tokens.last?.id)
        _ = try await town.founder.perform(.revokeToken(id), .null)
        await refused("not known here", revoked)
        await expectError("there is no such join token") {
            _ = try await town.founder.perform(.revokeToken(id), .null)
        }
        #expect(town.control.proposed.isEmpty)
    }

    @Test("A member that knows the token, and whose cluster is another one, is not believed")
    func foreignMember() async throws {
        let town = try Town()
        let token = try await town.token()
        // Has the token's key, as if a member's disk had been stolen, but another authority.
        let other = try Town()
        _ = try other.founder.directory.changeTokens {
            try $0.add(
                TokenBook.Entry(
                    id: token.id, memberKey: token.memberKey, expiresAt: Sample.now + .seconds(60),
                    usesMax: 1), at: Sample.now)
        }
        town.network.add(other.founder, at: "10.0.0.9:7420")
        let newcomer = try town.newcomer(2)
        await expectError("does not come from a member that knows the token") {
            _ = try await newcomer.join("10.0.0.9:7420", with: token)
        }
        #expect(newcomer.directory.membership == nil)
    }

    @Test("Tokens survive the founding node's restart, with their uses, and only their owner reads them")
    func tokensAreDurable() async throws {
        let town = try Town()
        let token = try await town.token(uses: 1)
        _ = try await town.newcomer(2).join("10.0.0.1:7420", with: token)
        let copy = try town.scratch.copy("n1", to: "copy")
        let directory = try MemberDirectory.open(copy)
        #expect(directory.tokens.entries.map(\.stores.count) == [1])
        var status = stat()
        #expect(stat(copy + "/cluster/tokens", &status) == 0 && status.st_mode & 0o777 == 0o600)
        let bytes = try Data(contentsOf: URL(filePath: copy + "/cluster/tokens"))
        #expect(!bytes.contains(Data(token.text.utf8)))
    }

    @Test("A member that did not found the cluster says which one did")
    func notFounder() async throws {
        let town = try Town()
        let token = try await town.token(uses: 2)
        let second = try town.newcomer(2)
        _ = try await second.join("10.0.0.1:7420", with: token)
        second.attach(town.control)
        town.network.add(second, at: "10.0.0.2:7420")
        await expectError("node 1 at 10.0.0.1:7420: ask that one") {
            _ = try await town.newcomer(3).join("10.0.0.2:7420", with: token)
        }
    }

    @Test("A seed that is silent, starting, or no member is tried again; what is certain is not")
    func whatIsTemporary() async throws {
        let town = try Town(isRunning: false)
        let token = try JoinToken(for: try #require(town.founder.directory.authority).certificate)
        let newcomer = try town.newcomer(2)
        let idle = try town.newcomer(3)
        town.network.add(idle, at: "10.0.0.3:7420")
        let seeds: [(String, Bool, String)] = [
            ("10.0.0.1:7420", true, "not heard from the control plane"),
            ("10.0.0.3:7420", true, "not a member of a cluster yet"),
            ("10.0.0.4:7420", true, "gave no answer"),
        ]
        for (seed, isTemporary, sentence) in seeds {
            do throws(MembershipError) {
                _ = try await newcomer.join(seed, with: token)
                Issue.record("joined at \(seed)")
            } catch {
                #expect(error.isTemporary == isTemporary && "\(error)".contains(sentence), "\(error)")
            }
        }
        town.founder.attach(town.control)
        do throws(MembershipError) { _ = try await newcomer.join("10.0.0.1:7420", with: token) } catch {
            #expect(!error.isTemporary)
        }
    }

    @Test("A program that is too old or too new for the cluster is told so")
    func versions() async throws {
        let town = try Town()
        let token = try await town.token()
        func ask(_ details: [UInt8], version: UInt8? = nil) async throws {
            let request = try JoinRequest(with: token, key: PrivateKey(), details: details)
            var bytes = request.encoded
            if let version { bytes[0] = version }
            let body = ClusterRequest.Admission(data: Data(bytes).base64EncodedString())
            _ = try await town.founder.perform(.admit, try ClusterAdministrator.json(body))
        }
        let old = JoinDetails(
            store: StoreID(high: 1, low: 2), profile: Sample.profile,
            formats: FormatVersions(journal: 0, map: 1))
        await expectError("the program is too old") { try await ask(old.encoded()) }
        await expectError("newer than this member's") { try await ask(old.encoded(), version: 2) }
        await expectError("newer than this member's") { try await ask([2] + old.encoded().dropFirst()) }
        #expect(town.control.proposed.isEmpty)
    }

    @Test("Whoever waits for the membership hears of it, or is let go")
    func waiting() async throws {
        let town = try Town()
        let token = try await town.token()
        let newcomer = try town.newcomer(2)
        async let awaited = newcomer.membership()
        let given = Task { await newcomer.membership() }
        given.cancel()
        #expect(await given.value == nil)
        let made = try await newcomer.join("10.0.0.1:7420", with: token)
        #expect(await awaited?.record == made.record)
        #expect(await newcomer.membership()?.record == made.record)
    }

    @Test("An unattended join waits for the token's file and for the seed, and says what it waits for")
    func unattended() async throws {
        let town = try Town(isRunning: false)
        let newcomer = try town.newcomer(2)
        let file = town.scratch.sub("token")
        let token = try JoinToken(for: try #require(town.founder.directory.authority).certificate)
        let lines = Mutex<[String]>([])
        let pauses = Mutex(0)
        try await UnattendedJoin(seed: "10.0.0.1:7420", tokenFile: file).run(newcomer) { line in
            lines.withLock { $0.append(line) }
        } sleep: { _ in
            // What others do in the meantime, in the order of the pauses.
            let pause = pauses.withLock { count in
                count += 1
                return count
            }
            switch pause {
            case 2: try Data().write(to: URL(filePath: file))
            case 4: try Data("\(token.text)\n".utf8).write(to: URL(filePath: file))
            case 6:
                _ = try town.founder.directory.changeTokens {
                    try $0.add(
                        TokenBook.Entry(
                            id: token.id, memberKey: token.memberKey,
                            expiresAt: Sample.now + .seconds(60), usesMax: 1), at: Sample.now)
                }
                town.founder.attach(town.control)
            default: break
            }
        }
        let said = lines.withLock { $0 }
        #expect(said.count == 4 && said[0].hasPrefix("waiting for the join token in"), "\(said)")
        #expect(said[1].contains("attempt 1 of 60") && said[1].contains("control plane"), "\(said)")
        #expect(said[3].hasSuffix("as node 2") && pauses.withLock { $0 } == 6, "\(said)")
        #expect(newcomer.directory.membership != nil)
    }

    @Test("An unattended join gives up on what waiting cannot mend, and after so many attempts")
    func unattendedEnds() async throws {
        let town = try Town()
        let newcomer = try town.newcomer(2)
        let file = town.scratch.sub("token")
        try Data("apus-join-1-nonsense".utf8).write(to: URL(filePath: file))
        await expectError("this is no join token") {
            try await UnattendedJoin(seed: "10.0.0.1:7420", tokenFile: file).run(newcomer) { _ in
            } sleep: { _ in
            }
        }
        try Data(try await Town().token().text.utf8).write(to: URL(filePath: file))
        await expectError("not known here") {
            try await UnattendedJoin(seed: "10.0.0.1:7420", tokenFile: file).run(newcomer) { _ in
            } sleep: { _ in
                Issue.record("waited for what cannot come")
            }
        }
        let pauses = Mutex(0)
        await expectError("gave no answer") {
            try await UnattendedJoin(seed: "nowhere:1", tokenFile: file).run(newcomer) { _ in
            } sleep: { _ in
                pauses.withLock { $0 += 1 }
            }
        }
        #expect(pauses.withLock { $0 } == UnattendedJoin.attemptsMax - 1)
    }
}
