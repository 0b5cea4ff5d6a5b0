import FuzzTargets
import Glibc

/// The decoder named by FUZZ_TARGET. Without one, the names of all are printed and their corpora are written
/// into folders of their names under FUZZ_OUT.
private let target: FuzzTarget = {
    let name = variable("FUZZ_TARGET")
    guard let target = FuzzTarget.all.first(where: { $0.name == name }) else {
        for target in FuzzTarget.all {
            print(target.name)
            write(target.corpus, into: "\(variable("FUZZ_OUT"))/\(target.name)")
        }
        fflush(nil)
        // Not exit: libFuzzer takes that for a crash.
        _exit(0)
    }
    return target
}()

private func variable(_ name: String) -> String { getenv(name).map { String(cString: $0) } ?? "" }

private func write(_ corpus: [[UInt8]], into folder: String) {
    mkdir(folder, 0o755)
    mkdir("\(folder)/corpus", 0o755)
    for (index, input) in corpus.enumerated() {
        guard let file = fopen("\(folder)/corpus/golden-\(index)", "w") else { continue }
        fwrite(input, 1, input.count, file)
        fclose(file)
    }
}

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    if let complaint = target.body(Array(UnsafeBufferPointer(start: start, count: count))) {
        fatalError(complaint)
    }
    return 0
}
