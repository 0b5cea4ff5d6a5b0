import ConsensusCore
import ControlCore
import Identifiers
import MembershipCore
import PlacementCore
import ReplicationCore

/// A running process of a machine, with everything that a crash takes with it.
final class SimulatedProcess {
    /// Tells this process from earlier ones of the machine.
    let number: Int
    var server: ControlServer
    var client: ControlClient
    var controller: Controller
    var replication: NodeReplication?
    var hosts: [PartitionID: SimulatedHost] = [:]
    var life: NodeLife?
    /// The consensus log's writes on their way to the disk.
    var raftWrites: [Raft.Write] = []
    var isRaftSyncing = false
    /// The journal's batches on their way to the disk.
    var laneWrites: [(batch: UInt64, writes: [(partition: PartitionID, write: LogWrite)])] = []
    var isLaneSyncing = false
    /// What replicas asked for, by the token of the entry that it went into.
    var proposals: [UInt64: [MembershipRequest]] = [:]
    var nextToken: UInt64 = 1
    /// What operators asked for here, by the token under which it is proposed.
    var orders: [UInt64: Order] = [:]
    /// Processes with which it has shaken hands, and whether they have a connection.
    var met: [Int: Bool] = [:]
    var swim: Swim?
    /// The members that it was told.
    var listed: [Swim.Listed] = []
    var nextGossip = Duration.zero
    /// It is about to end in good order, then at the latest.
    var leavesAt: UInt64?
    /// Stands still until then.
    var pausedUntil: UInt64 = 0
    var configured: [PartitionID: PartitionConfiguration] = [:]
    /// The connections of clients of whole nodes, and what these are told of the map.
    var gateway = SimulatedGateway()
    /// The real host, in plans of whole nodes.
    var node: WholeNode?

    init(number: Int, server: ControlServer, client: ControlClient, controller: Controller) {
        self.number = number
        self.controller = controller
        self.server = server
        self.client = client
    }
}

/// A computer: its disk stays, processes come and go.
final class SimulatedMachine {
    let index: Int
    var disk: SimulatedDisk
    var process: SimulatedProcess?
    /// The real files under the disk, in plans that have such.
    var files: MachineFiles?
    /// Syncs take so many times longer.
    var slowness: UInt64 = 1
    /// An earlier state of the disk, for the fault that brings it back.
    var image: SimulatedDisk?
    /// The same, of the life that the process is in.
    var liveImage: SimulatedDisk?
    /// By partition, where the log ended on a disk that was set back in the same life, until it reaches as
    /// far again.
    var lostEnds: [PartitionID: LogMark] = [:]
    /// Why the control plane does not want it.
    var refusal: String?

    init(index: Int, disk: SimulatedDisk) {
        self.index = index
        self.disk = disk
    }

    /// What the disk had of a partition's log before it was set back, if it has not reached as far again.
    func lostEnd(of partition: PartitionID) -> LogMark? {
        guard let lost = lostEnds[partition] else { return nil }
        let end = disk.partitions[Int(partition.rawValue)].end
        guard (end.epoch, end.position) >= (lost.epoch, lost.position) else { return lost }
        lostEnds[partition] = nil
        return nil
    }

    var isSetBack: Bool { lostEnds.keys.contains { lostEnd(of: $0) != nil } }
}

/// What the owner of a partition runs: turns on a state that is ahead of what is committed, and the
/// answers that wait behind the gate (R17).
struct SimulatedHost {
    var epoch: Epoch
    var isServing = false
    /// Takes no calls, because the partition is about to have another owner.
    var isHandingOver = false
    var state: Tally
    var end: LogMark
    var time: UInt64 = 0
    var gate: [(position: LogPosition, call: SimulatedCall, result: UInt64)] = []
    var reads: [UInt64: (call: SimulatedCall, after: LogPosition, isConfirmed: Bool)] = [:]
}

struct SimulatedCall: Hashable {
    enum Kind: Hashable {
        case increment, read
    }
    var kind: Kind
    var client: Int
    var sequence: UInt64
    /// Tells attempts of one call apart.
    var attempt: UInt64
    var partition: PartitionID
}

struct SimulatedAnswer {
    var call: SimulatedCall
    /// Nil if the machine cannot serve the call: ask elsewhere.
    var result: UInt64?
}

/// Somebody who makes one call after the other and asks again until there is an answer.
struct SimulatedClient {
    var index: Int
    /// Whose cluster it is told to call.
    var founder = 0
    var sequence: UInt64 = 0
    var attempt: UInt64 = 0
    var call: SimulatedCall?
    var calledAt: UInt64 = 0
    /// The largest result that anybody had been told when the call began.
    var floor: UInt64 = 0
    var increments: [PartitionID: UInt64] = [:]
}
