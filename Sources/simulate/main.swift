import Simulator

#if canImport(Glibc)
import Glibc
#endif
let arguments = CommandLine.arguments
var first: UInt64 = 0, count: UInt64 = 20, traces = false, machines = 3
var i = 1
while i < arguments.count {
    switch arguments[i] {
    case "--seed":
        first = UInt64(arguments[i + 1])!
        count = 1
        traces = true
        i += 2
    case "--seeds":
        count = UInt64(arguments[i + 1])!
        i += 2
    case "--from":
        first = UInt64(arguments[i + 1])!
        i += 2
    case "--machines":
        machines = Int(arguments[i + 1])!
        i += 2
    default: i += 1
    }
}
var virtual: UInt64 = 0, acks = 0, events = 0
let start = clock()
for seed in first..<first + count {
    var settings = SimulationSettings(seed: seed)
    settings.traces = traces
    settings.machines = machines
    do {
        let r = try Simulation.run(settings)
        virtual += r.virtualMicros
        acks += r.acknowledged
        events += r.events
        if traces { print(r) }
    } catch {
        print("seed \(seed): \(error)")
        break
    }
}
let cpu = Double(clock() - start) / Double(CLOCKS_PER_SEC)
print(
    "\(Double(virtual) / 1e6) virtual s in \(cpu) s: \(Double(virtual) / 1e6 / cpu) times real time, \(acks) answers, \(events) events"
)
