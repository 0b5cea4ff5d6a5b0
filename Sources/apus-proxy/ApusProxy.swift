import ArgumentParser
import FaultProxy

/// The program `apus-proxy`.
@main
enum ApusProxy {
    static func main() async { await ProxyCommand.main() }
}
