import ArgumentParser
import LoadVerifier

/// The program `apus-load`.
@main
enum ApusLoad {
    static func main() async { await LoadCommand.main() }
}
