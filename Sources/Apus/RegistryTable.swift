import ClientProtocol
import Identifiers
import Synchronization

/// The names of a registry's kinds.
package struct RegistryTable<R: Registry>: Sendable {
    private let names: [(name: String, type: any Any.Type)]

    init() {
        names = Mirror(reflecting: R()).children.compactMap { child in
            child.label.map { ($0, type(of: child.value)) }
        }
    }

    package func name<Definition: DurableActor>(of path: KeyPath<R, Definition>) -> String {
        let candidates = names.filter { $0.type == Definition.self }
        if candidates.count == 1 { return candidates[0].name }
        // Key paths to properties of size zero are all equal, so they cannot tell two kinds of one type
        // apart.
        let text = "\(path)"
        guard MemoryLayout<Definition>.size > 0,
            let name = candidates.first(where: { text.hasSuffix("." + $0.name) })
        else {
            // A registry's mistake that no input can cause, and every call of that kind finds at once.
            preconditionFailure(
                "\(R.self) has no, or more than one, stored property of type \(Definition.self)")
        }
        return name.name
    }

    package static var shared: RegistryTable { RegistryTables.table(of: R.self) }
}

private enum RegistryTables {
    static let all = Mutex<[ObjectIdentifier: any Sendable]>([:])

    static func table<R: Registry>(of type: R.Type) -> RegistryTable<R> {
        if let table = all.withLock({ $0[ObjectIdentifier(type)] }) as? RegistryTable<R> { return table }
        // Made outside of the lock: a registry's initialiser is user code.
        let made = RegistryTable<R>()
        all.withLock { $0[ObjectIdentifier(type)] = made }
        return made
    }
}

extension ActorAddress {
    /// - Throws: an `ActorError` for a key outside of its rules.
    static func of<R: Registry, Definition: DurableActor>(
        _ kind: KeyPath<R, Definition>, _ key: [String]
    ) throws(ActorError) -> ActorAddress {
        do {
            return ActorAddress(
                kind: try ActorKind(RegistryTable<R>.shared.name(of: kind)), key: try ActorKey(key))
        } catch { throw .badRequest("\(error)") }
    }
}
