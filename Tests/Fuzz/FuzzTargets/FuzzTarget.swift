import ByteCoding

/// A decoder under attack: bytes go in, and nothing may happen but a value or a typed error.
///
/// The same bodies run twice: in `swift test` over seeded mutations of the corpus, and under libFuzzer for as
/// long as wanted (`make fuzz SECONDS_EACH=600`). To add a decoder, write a body and put it into
/// `FuzzTarget.all` and its file into `FuzzTests.files`; if it lives in another module, add the module (or
/// the file, if the module stands on libraries) to `Scripts/fuzz` and to this target in Package.swift.
public struct FuzzTarget: Sendable {
    /// Also the name of the decoder's corpus under `.build/fuzz`.
    public let name: String
    /// What to begin with: valid inputs, and numbers at the edge, which mutations hardly reach.
    public let corpus: [[UInt8]]
    /// Decodes the bytes, and looks at what came out.
    /// - Returns: a sentence if what came out is wrong; nil if it is right, or if the bytes were refused.
    public let body: @Sendable ([UInt8]) -> String?

    public init(_ name: String, corpus: [[UInt8]], body: @escaping @Sendable ([UInt8]) -> String?) {
        self.name = name
        self.corpus = corpus
        self.body = body
    }

    /// Every decoder of the house.
    public static let all: [FuzzTarget] = [
        .journalRecord, .recordRun, .turnBody, .actorKeyPath, .uuidText, .checksumFraming,
        .historyEntry, .runRecord, .clientFrame, .serverFrame, .replicationFrame,
        .snapshotMessage, .snapshotAnswer,
        .queuedMessage, .retainedEvents, .actionTurn, .deduplicationEntry, .requestIdentity, .replyRecord,
        .actorMessage, .messageBatch, .batchResult, .messageStreams, .undeliveredMessage,
        .batchHeader, .controlEntry, .witness, .identityFile, .keyCoding, .logScan,
        .jsonValue, .cbor, .jsonObject, .httpRoute, .messageAssembly, .operatorDocuments, .routingMap,
        .clusterEntry, .clusterState, .mapUpdate, .handovers, .raftMessage, .raftDisk,
        .consensusSeal, .controlRequest, .controlReply,
        .meshStream, .meshHandshake, .membershipFile, .peersFile, .tokenBook, .joinDetails,
        .joinExchange, .gossipMessage, .peerCall, .peerAnswer, .mailFrame,
    ]
}
