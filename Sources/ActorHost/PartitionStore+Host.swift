import PartitionStore

extension PartitionStore: HostStore {}
