import DurableFiles

extension StoreError: FileFailure {}

typealias DurableFile = DurableFiles.DurableFile<StoreError>
