// Types of lower floors that a user of this module names, so that `import Apus` is all that an actor needs.
@_exported import struct ClientProtocol.ActorError
@_exported import struct Identifiers.ActorKey
@_exported import struct TimeAndChance.Timestamp
@_exported import struct WorkflowCore.RetryPolicy
