import ArgumentParser
import OperatorCommands

/// The program `apus`. Its folder is not called so because file systems that ignore case would mix it up with `Apus`.
@main
enum ApusCommand {
    static func main() async { await OperatorCommand.main() }
}
