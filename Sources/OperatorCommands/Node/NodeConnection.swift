import ClientProtocol
import Foundation
import HTTPCalls
import Identifiers
import NIOHTTP1

/// Why a command cannot say what was asked.
package enum OperatorFailure: Error, Sendable, CustomStringConvertible {
    case unreachable(NodeLocation, HTTPFailure)
    /// The node said no.
    case refused(ActorError)
    /// The answer is none of a node's.
    case foreign(NodeLocation, String)
    /// What was waited for has not come.
    case ended(String)

    package var description: String {
        switch self {
        case .unreachable(let node, .unreachable(let reason)):
            "there is no node at \(node) (\(reason)); start one, or name another with --node URL or APUS_NODE"
        case .unreachable(let node, let failure): "the node at \(node) did not answer: \(failure)"
        case .ended(let sentence): sentence
        case .refused(let error):
            error.metadata["known"].map { "\(error.message); known are: \($0)" } ?? error.message
        case .foreign(let node, let detail): "what answers at \(node) is no Apus node: \(detail)"
        }
    }

    /// As `--help` documents them.
    package var exitCode: Int32 {
        switch self {
        case .refused, .ended: 1
        case .unreachable, .foreign: 69
        }
    }
}

/// Asks a node; the only way in which a command touches one.
package struct NodeConnection: Sendable {
    package let location: NodeLocation
    private let caller: HTTPCaller

    package init(_ location: NodeLocation) {
        self.location = location
        caller = HTTPCaller(host: location.host, port: location.port)
    }

    /// The JSON at a path.
    package func get(_ path: String) async throws(OperatorFailure) -> [UInt8] { try await send(.GET, path) }

    /// Sends JSON to a path.
    package func post(
        _ path: String, _ document: some Encodable & Sendable
    ) async throws(OperatorFailure) -> [UInt8] {
        let body: [UInt8]
        do { body = Array(try JSONEncoder().encode(document)) } catch {
            throw .refused(.badRequest("the request cannot be written as JSON"))
        }
        return try await send(.POST, path, body)
    }

    package func send(
        _ method: HTTPMethod, _ path: String, _ body: [UInt8] = []
    ) async throws(OperatorFailure) -> [UInt8] {
        let reply: HTTPReply
        do throws(HTTPFailure) {
            reply = try await caller.send(method, path, body: body, timeout: .seconds(30))
        } catch { throw .unreachable(location, error) }
        if reply.isSuccess { return reply.body }
        struct Refusal: Decodable { var error: ActorError }
        if let refusal = try? JSONDecoder().decode(Refusal.self, from: Data(reply.body)) {
            throw .refused(refusal.error)
        }
        throw .foreign(location, "\(path) answered with status \(reply.status)")
    }

    /// Reads JSON as what it should be.
    package func decode<Value: Decodable>(
        _ type: Value.Type = Value.self, from bytes: [UInt8]
    ) throws(OperatorFailure) -> Value {
        do {
            return try JSONDecoder().decode(Value.self, from: Data(bytes))
        } catch { throw .foreign(location, "its JSON cannot be read (\(error))") }
    }

    package func actor(_ address: ActorAddress) async throws(OperatorFailure) -> [UInt8] {
        try await get("/actors/\(address)")
    }

    package func history(_ address: ActorAddress) async throws(OperatorFailure) -> [UInt8] {
        try await get("/actors/\(address)/history")
    }
}
