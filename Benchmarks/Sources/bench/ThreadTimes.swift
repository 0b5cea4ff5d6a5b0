import Foundation

/// The processor time that this process has used so far, by what its threads do.
struct ThreadTimes: Codable {
    private var micros: [String: Double] = [:]

    /// - Note: the kernel counts in ticks of 10 ms a thread.
    static func now() -> ThreadTimes {
        var times = ThreadTimes()
        let tasks = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/task")) ?? []
        for task in tasks {
            guard let stat = try? String(contentsOfFile: "/proc/self/task/\(task)/stat", encoding: .utf8),
                let open = stat.firstIndex(of: "("), let close = stat.lastIndex(of: ")")
            else { continue }
            let name = String(stat[stat.index(after: open)..<close])
            let fields = stat[stat.index(after: close)...].split(separator: " ")
            guard fields.count > 12, let user = Double(fields[11]), let system = Double(fields[12]) else {
                continue
            }
            times.micros[part(name), default: 0] += (user + system) * 10_000
        }
        return times
    }

    private static func part(_ name: String) -> String {
        if name.contains("shard") { return "engine and encoding (shards)" }
        if name.contains("lane") { return "journal: SQLite and fsync (lane)" }
        if name.contains("apply") { return "tables: SQLite (apply)" }
        if name.contains("mesh") { return "replication, requests, TLS (mesh)" }
        return "clients and the rest"
    }

    static func + (a: ThreadTimes, b: ThreadTimes) -> ThreadTimes {
        var sum = a
        for (name, value) in b.micros { sum.micros[name, default: 0] += value }
        return sum
    }

    func since(_ earlier: ThreadTimes) -> ThreadTimes {
        var difference = ThreadTimes()
        for (name, value) in micros { difference.micros[name] = value - (earlier.micros[name] ?? 0) }
        return difference
    }

    var shares: [(String, Double)] { micros.sorted { $0.key < $1.key }.map { ($0.key, $0.value) } }
}

/// Memory of this process.
enum ResidentMemory {
    static var megabytes: Double {
        let status = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
        for line in status.split(separator: "\n") where line.hasPrefix("VmRSS:") {
            return (line.split(separator: " ").dropLast().last.flatMap { Double($0) } ?? 0) / 1_024
        }
        return .nan
    }
}
