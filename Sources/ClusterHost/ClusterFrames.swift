import MeshProtocol

/// What the frames between the nodes of a cluster hold, and the lanes that they travel on.
enum ClusterFrames {
    static let controlRequest = FrameKind(rawValue: 16)
    static let controlReply = FrameKind(rawValue: 17)
    static let raft = FrameKind(rawValue: 18)
    static let handover = FrameKind(rawValue: 19)
    static let gossip = FrameKind(rawValue: 20)
    static let replication = FrameKind(rawValue: 24)
    static let call = FrameKind(rawValue: 32)
    static let answer = FrameKind(rawValue: 33)
    static let messages = FrameKind(rawValue: 34)
    static let messagesAnswer = FrameKind(rawValue: 35)
    static let snapshot = FrameKind(rawValue: 40)
    static let snapshotAnswer = FrameKind(rawValue: 41)

    static let entries: [FrameCatalog.Entry] = [
        FrameCatalog.Entry(controlRequest, "control.request", on: [.control]),
        FrameCatalog.Entry(controlReply, "control.reply", on: [.control]),
        FrameCatalog.Entry(raft, "control.raft", on: [.control]),
        FrameCatalog.Entry(handover, "control.handover", on: [.control]),
        FrameCatalog.Entry(gossip, "gossip", on: [.control]),
        FrameCatalog.Entry(replication, "replication", on: [.data]),
        FrameCatalog.Entry(call, "call", on: [.data]),
        FrameCatalog.Entry(answer, "call.answer", on: [.data]),
        FrameCatalog.Entry(messages, "messages", on: [.data]),
        FrameCatalog.Entry(messagesAnswer, "messages.answer", on: [.data]),
        FrameCatalog.Entry(snapshot, "snapshot", on: [.bulk]),
        FrameCatalog.Entry(snapshotAnswer, "snapshot.answer", on: [.bulk]),
    ]
}
