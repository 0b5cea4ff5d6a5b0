extension Sections {
    @Sendable static func catchUp() async throws -> [Figure] { [] }
}
