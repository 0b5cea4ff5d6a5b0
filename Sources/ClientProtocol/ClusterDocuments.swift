// The JSON of `/cluster`, as nodes write it and operators' programs read it. Times are ISO 8601, UTC.

/// `GET /cluster`.
public struct ClusterDocument: Hashable, Sendable, Codable {
    public var member: Bool
    /// What an operator should know or do; absent when all is well.
    public var message: String?
    public var cluster: String?
    public var node: UInt64?
    public var store: String?
    /// Whether the cluster was founded here, so that new nodes are admitted here.
    public var founder: Bool?
    public var leader: UInt64?
    public var mapVersion: UInt64?
    public var replicationFactor: Int?
    public var inSyncMin: Int?
    public var nodes: Int?
    public var nodesUp: Int?
    public var voters: [UInt64]?
    public var partitions: Int?
    /// Fewer copies in sync than the replication factor.
    public var partitionsAtRisk: Int?
    /// Nobody owns them at the moment.
    public var partitionsWithoutOwner: Int?
    /// No copy in sync is there.
    public var partitionsOffline: Int?

    public init(member: Bool, message: String? = nil) {
        self.member = member
        self.message = message
    }
}

/// `GET /cluster/nodes`.
public struct NodesDocument: Hashable, Sendable, Codable {
    public struct Node: Hashable, Sendable, Codable {
        public var node: UInt64
        /// `joining`, `up` or `down`.
        public var state: String
        public var draining: Bool
        public var since: String
        public var zone: String
        public var weight: Int
        public var meshAddress: String
        public var clientAddress: String
        public var store: String
        public var incarnation: UInt32
        /// `voter`, `learner`, or absent.
        public var consensus: String?
        /// Partitions that it owns, has a copy in sync of, and copies at the moment.
        public var owns: Int
        public var inSync: Int
        public var learns: Int
        /// How the node seems to the one that answers: `alive`, `suspect`, `unreachable` or `left`; `self`
        /// for the one that answers; absent while it does not know. A hint: what counts is `state`.
        public var gossip: String?
        public var gossipSince: String?
        /// What the node says of its health: 0 is well, 8 is the worst; absent while it is not known.
        public var health: UInt8?

        public init(
            node: UInt64, state: String, draining: Bool, since: String, zone: String, weight: Int,
            meshAddress: String, clientAddress: String, store: String, incarnation: UInt32,
            consensus: String?, owns: Int, inSync: Int, learns: Int, gossip: String? = nil,
            gossipSince: String? = nil, health: UInt8? = nil
        ) {
            self.node = node
            self.state = state
            self.draining = draining
            self.since = since
            self.zone = zone
            self.weight = weight
            self.meshAddress = meshAddress
            self.clientAddress = clientAddress
            self.store = store
            self.incarnation = incarnation
            self.consensus = consensus
            self.owns = owns
            self.inSync = inSync
            self.learns = learns
            self.gossip = gossip
            self.gossipSince = gossipSince
            self.health = health
        }
    }

    public var nodes: [Node]

    public init(nodes: [Node]) { self.nodes = nodes }
}

/// `GET /cluster/partitions`.
public struct PartitionsDocument: Hashable, Sendable, Codable {
    public struct Partition: Hashable, Sendable, Codable {
        public var partition: UInt32
        /// `ok`, `atRisk`, `unowned` or `offline`: the worst that holds.
        public var state: String
        public var epoch: UInt64
        public var owner: UInt64?
        public var inSync: [UInt64]
        public var learners: [UInt64]
        /// Where copies should be, the wanted owner first.
        public var targets: [UInt64]
        /// How often an operator accepted the loss of records.
        public var dataLossGeneration: UInt32

        public init(
            partition: UInt32, state: String, epoch: UInt64, owner: UInt64?, inSync: [UInt64],
            learners: [UInt64], targets: [UInt64], dataLossGeneration: UInt32
        ) {
            self.partition = partition
            self.state = state
            self.epoch = epoch
            self.owner = owner
            self.inSync = inSync
            self.learners = learners
            self.targets = targets
            self.dataLossGeneration = dataLossGeneration
        }
    }

    public var partitions: [Partition]

    public init(partitions: [Partition]) { self.partitions = partitions }
}

/// `GET /cluster/tokens`, and the answer to `POST /cluster/tokens`.
public struct TokensDocument: Hashable, Sendable, Codable {
    public struct Token: Hashable, Sendable, Codable {
        /// Names the token without giving it away.
        public var id: String
        /// The secret itself; only in the answer that makes it.
        public var token: String?
        public var expiresAt: String
        /// How many nodes it may bring in, and how many it has.
        public var uses: Int
        public var used: Int

        public init(id: String, token: String?, expiresAt: String, uses: Int, used: Int) {
            self.id = id
            self.token = token
            self.expiresAt = expiresAt
            self.uses = uses
            self.used = used
        }
    }

    public var tokens: [Token]

    public init(tokens: [Token]) { self.tokens = tokens }
}

/// What the `POST` paths below `/cluster` take.
public enum ClusterRequest {
    /// `POST /cluster/init`; answered by a `ClusterDocument`.
    public struct Initialize: Hashable, Sendable, Codable {
        public var partitions: Int?
        public var replicationFactor: Int?
        public var inSyncMin: Int?
        public var voters: Int?

        public init(
            partitions: Int? = nil, replicationFactor: Int? = nil, inSyncMin: Int? = nil, voters: Int? = nil
        ) {
            self.partitions = partitions
            self.replicationFactor = replicationFactor
            self.inSyncMin = inSyncMin
            self.voters = voters
        }
    }

    /// `POST /cluster/join`; answered by a `ClusterDocument`.
    public struct Join: Hashable, Sendable, Codable {
        /// Host and port of a member's port for clients.
        public var seed: String
        public var token: String

        public init(seed: String, token: String) {
            self.seed = seed
            self.token = token
        }
    }

    /// `POST /cluster/tokens`; answered by a `TokensDocument.Token`.
    public struct CreateToken: Hashable, Sendable, Codable {
        public var validSeconds: Int?
        public var uses: Int?

        public init(validSeconds: Int? = nil, uses: Int? = nil) {
            self.validSeconds = validSeconds
            self.uses = uses
        }
    }

    /// `POST /cluster/admit`, in both directions: bytes in base64.
    public struct Admission: Hashable, Sendable, Codable {
        public var data: String

        public init(data: String) { self.data = data }
    }

    /// `POST /cluster/down`.
    public struct Down: Hashable, Sendable, Codable {
        public var node: UInt64

        public init(node: UInt64) { self.node = node }
    }

    /// `POST /cluster/drain`.
    public struct Drain: Hashable, Sendable, Codable {
        public var node: UInt64
        /// Whether it is to take part again.
        public var undo: Bool?

        public init(node: UInt64, undo: Bool? = nil) {
            self.node = node
            self.undo = undo
        }
    }

    /// `POST /cluster/leave`.
    public struct Leave: Hashable, Sendable, Codable {
        public var node: UInt64

        public init(node: UInt64) { self.node = node }
    }

    /// `POST /cluster/promote`.
    public struct Promote: Hashable, Sendable, Codable {
        public var partition: UInt32
        public var node: UInt64
        public var acceptDataLoss: Bool?

        public init(partition: UInt32, node: UInt64, acceptDataLoss: Bool? = nil) {
            self.partition = partition
            self.node = node
            self.acceptDataLoss = acceptDataLoss
        }
    }

    /// `POST /cluster/move`.
    public struct Move: Hashable, Sendable, Codable {
        public var partition: UInt32
        /// The wanted owner first.
        public var nodes: [UInt64]

        public init(partition: UInt32, nodes: [UInt64]) {
            self.partition = partition
            self.nodes = nodes
        }
    }
}

/// The answer to `POST` of `down`, `promote` and `move`, and to `DELETE` of a token: what was done.
public struct DoneDocument: Hashable, Sendable, Codable {
    public var message: String

    public init(message: String) { self.message = message }
}
