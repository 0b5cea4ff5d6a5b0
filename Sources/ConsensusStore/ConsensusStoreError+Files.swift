import DurableFiles

extension ConsensusStoreError: FileFailure {}

typealias DurableFile = DurableFiles.DurableFile<ConsensusStoreError>
