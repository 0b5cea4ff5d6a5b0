import AnnouncedPrograms
import ApusNode

@main
struct Announced {
    static func main() async throws { try await ApusNode.run(AnnouncedRegistry()) }
}
