#pragma once
#include <uv.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

/// Bytes that the peer's kernel does not acknowledge for so long end the connection (tcp(7)). The mesh's own
/// deadlines are shorter; this one frees the socket of a connection that nobody watches any more.
static inline int apus_tcp_user_timeout(const uv_tcp_t *handle, unsigned int millis) {
#ifdef TCP_USER_TIMEOUT
    uv_os_fd_t socket;
    int code = uv_fileno((const uv_handle_t *)handle, &socket);
    if (code != 0) return code;
    return setsockopt(socket, IPPROTO_TCP, TCP_USER_TIMEOUT, &millis, sizeof millis);
#else
    (void)handle;
    (void)millis;
    return 0;
#endif
}

/// The handle as what libuv calls its base type, which is a cast in C.
static inline uv_handle_t *apus_handle(void *handle) { return (uv_handle_t *)handle; }
static inline uv_stream_t *apus_stream(uv_tcp_t *handle) { return (uv_stream_t *)handle; }
static inline uv_req_t *apus_request(void *request) { return (uv_req_t *)request; }
