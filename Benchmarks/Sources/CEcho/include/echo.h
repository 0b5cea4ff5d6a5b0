#pragma once

/// Sends `count` frames of `bytes` bytes to an echo server on another thread and waits for them to come back,
/// with at most `window` under way. Plain libuv on both ends: what the machine can do without a protocol.
/// Encrypted, with OpenSSL's default suite of TLS 1.3 between memory BIOs, it is what that leaves of it.
/// Returns the seconds it took, without the handshake; negative if something failed.
double echo_seconds(int bytes, int window, long count, int is_encrypted);
