import ArgumentParser
import ChaosProbe

/// The program `apus-probe`.
@main
enum ApusProbe {
    static func main() async { await ProbeCommand.main() }
}
