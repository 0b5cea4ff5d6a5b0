/// Times and bounds of the failure detector, for nodes in one network or a few near ones.
public struct SwimSettings: Hashable, Sendable {
    /// How often the driver sends `tick`.
    public var tick: Duration = .milliseconds(100)
    /// A node probes one other node in each.
    public var probePeriod: Duration = .seconds(1)
    /// How long a probed node has to answer before others are asked.
    public var directTimeout: Duration = .milliseconds(300)
    /// How many others are asked.
    public var helpers = 3
    /// A suspect has at least so many periods, times the decimal logarithm of the cluster's size, to object.
    public var suspicionMultiplier = 4
    /// How much longer it has while nobody confirms the suspicion.
    public var suspicionMaxFactor = 6
    /// While there are rumours they are sent to `gossipFanOut` nodes this often.
    public var gossipPeriod: Duration = .milliseconds(200)
    public var gossipFanOut = 3
    /// A rumour is sent so often, times the rounded up decimal logarithm of the cluster's size and one.
    public var retransmitMultiplier = 4
    /// Rumours on one message.
    public var rumoursPerMessage = 16
    /// Two nodes tell each other all that they know this often; above `pushPullScaleNodes` nodes it is longer
    /// by as much for each doubling.
    public var pushPullPeriod: Duration = .seconds(30)
    public var pushPullScaleNodes = 32
    /// The local health that stretches this node's deadlines by 1 to 9 goes from 0 to this.
    public var localHealthMax = 8
    /// Up to this size of the cluster a node sends rumours to any other one, above it to an active view.
    public var fullViewMax = 64
    /// A silence of the driver that is longer than this means that the process stood still.
    public var stallAfter: Duration = .milliseconds(500)
    /// Without any answer for so many periods, and two probes at least, a node takes itself for cut off.
    public var lonelyPeriods = 3
    /// Probes under way: one of the period, the others for connections that have changed.
    public var probesMax = 16
    /// Pings under way for others.
    public var relaysMax = 256
    /// Nodes that gossip tells of and the map does not; they are forgotten after `strangerAge`.
    public var strangersMax = 256
    public var strangerAge: Duration = .seconds(300)

    public init() {}
}
