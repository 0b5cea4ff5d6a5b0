// What users of clients name, though it is a core's.
@_exported import enum ClientRouting.ClientError
@_exported import enum ClientRouting.ConnectionStatus
