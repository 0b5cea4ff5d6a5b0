import DurableFiles

extension StoreError: FileFailure {}

package typealias DurableFile = DurableFiles.DurableFile<StoreError>
