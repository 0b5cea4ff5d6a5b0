import ArgumentParser
import OperatorCommands

/// The program `apus`. Its folder is not called so: file systems that ignore case would take it for `Apus`.
@main
enum ApusCommand {
    static func main() async { await OperatorCommand.main() }
}
