import PartitionStore
import Testing
