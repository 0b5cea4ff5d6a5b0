#include "echo.h"

#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define BUFFER_BYTES (256 * 1024)

/// One end of an encrypted connection; without `ssl` the bytes go as they are.
typedef struct {
    SSL *ssl;
    BIO *in;
    BIO *out;
    char plain[BUFFER_BYTES];
    char sealed[BUFFER_BYTES];
} secure_t;

typedef struct {
    uv_loop_t loop;
    uv_tcp_t listener;
    uv_tcp_t peer;
    uv_sem_t listening;
    int port;
    secure_t secure;
    char buffer[BUFFER_BYTES];
} server_t;

typedef struct {
    uv_loop_t loop;
    uv_tcp_t socket;
    uv_connect_t connect;
    int bytes;
    int window;
    long count;
    long sent;
    long received_bytes;
    uint64_t began;
    uint64_t ended;
    char *frames;
    secure_t secure;
    char buffer[BUFFER_BYTES];
} client_t;

typedef struct {
    uv_write_t request;
    char bytes[];
} write_t;

static void on_wrote(uv_write_t *request, int status) {
    (void)status;
    free(request);
}

/// Writes at once what the socket takes, and the rest when it can.
static void write_all(uv_stream_t *stream, const char *bytes, size_t count) {
    uv_buf_t buffer = uv_buf_init((char *)bytes, (unsigned)count);
    int taken = uv_stream_get_write_queue_size(stream) > 0 ? 0 : uv_try_write(stream, &buffer, 1);
    if (taken < 0) taken = 0;
    if ((size_t)taken == count) return;
    size_t rest = count - (size_t)taken;
    write_t *write = malloc(sizeof *write + rest);
    memcpy(write->bytes, bytes + taken, rest);
    buffer = uv_buf_init(write->bytes, (unsigned)rest);
    if (uv_write(&write->request, stream, &buffer, 1, on_wrote) != 0) free(write);
}

/// What OpenSSL wants to have sent.
static void flush(uv_stream_t *stream, secure_t *secure) {
    int count;
    while ((count = BIO_read(secure->out, secure->sealed, BUFFER_BYTES)) > 0)
        write_all(stream, secure->sealed, (size_t)count);
}

static void send_all(uv_stream_t *stream, secure_t *secure, const char *bytes, size_t count) {
    if (secure->ssl == NULL) return write_all(stream, bytes, count);
    SSL_write(secure->ssl, bytes, (int)count);
    flush(stream, secure);
}

/// Takes in what has arrived.
/// Returns how many bytes may be read now; negative if the connection is broken.
static long take(secure_t *secure, const char *bytes, ssize_t count) {
    BIO_write(secure->in, bytes, (int)count);
    int read = SSL_read(secure->ssl, secure->plain, BUFFER_BYTES);
    if (read > 0) return read;
    int error = SSL_get_error(secure->ssl, read);
    return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? 0 : -1;
}

static void secure_open(secure_t *secure, SSL_CTX *context, int is_server) {
    if (context == NULL) return;
    secure->ssl = SSL_new(context);
    secure->in = BIO_new(BIO_s_mem());
    secure->out = BIO_new(BIO_s_mem());
    SSL_set_bio(secure->ssl, secure->in, secure->out);
    if (is_server) SSL_set_accept_state(secure->ssl);
    else SSL_set_connect_state(secure->ssl);
}

/// A server's context, with a certificate that nobody checks: the exchange is measured, not the handshake.
static SSL_CTX *server_context(void) {
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = X509_new();
    X509_gmtime_adj(X509_getm_notBefore(certificate), -60);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_set_pubkey(certificate, key);
    X509_sign(certificate, key, EVP_sha256());
    SSL_CTX_use_certificate(context, certificate);
    SSL_CTX_use_PrivateKey(context, key);
    X509_free(certificate);
    EVP_PKEY_free(key);
    return context;
}

static void server_alloc(uv_handle_t *handle, size_t size, uv_buf_t *buffer) {
    (void)size;
    server_t *server = handle->data;
    *buffer = uv_buf_init(server->buffer, BUFFER_BYTES);
}

static void server_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buffer) {
    server_t *server = stream->data;
    if (count == 0) return;
    if (count > 0 && server->secure.ssl == NULL) return write_all(stream, buffer->base, (size_t)count);
    if (count > 0) {
        secure_t *secure = &server->secure;
        long more = take(secure, buffer->base, count);
        for (; more > 0; more = SSL_read(secure->ssl, secure->plain, BUFFER_BYTES))
            SSL_write(secure->ssl, secure->plain, (int)more);
        return flush(stream, secure);
    }
    uv_close((uv_handle_t *)&server->peer, NULL);
    uv_close((uv_handle_t *)&server->listener, NULL);
}

static void server_accept(uv_stream_t *listener, int status) {
    server_t *server = listener->data;
    if (status != 0) return;
    uv_tcp_init(&server->loop, &server->peer);
    server->peer.data = server;
    if (uv_accept(listener, (uv_stream_t *)&server->peer) != 0) return;
    uv_tcp_nodelay(&server->peer, 1);
    uv_read_start((uv_stream_t *)&server->peer, server_alloc, server_read);
}

static void server_run(void *argument) {
    server_t *server = argument;
    struct sockaddr_in address;
    int length = sizeof address;
    uv_loop_init(&server->loop);
    uv_tcp_init(&server->loop, &server->listener);
    server->listener.data = server;
    uv_ip4_addr("127.0.0.1", 0, &address);
    uv_tcp_bind(&server->listener, (struct sockaddr *)&address, 0);
    uv_listen((uv_stream_t *)&server->listener, 1, server_accept);
    uv_tcp_getsockname(&server->listener, (struct sockaddr *)&address, &length);
    server->port = ntohs(address.sin_port);
    uv_sem_post(&server->listening);
    uv_run(&server->loop, UV_RUN_DEFAULT);
    uv_loop_close(&server->loop);
}

static void client_alloc(uv_handle_t *handle, size_t size, uv_buf_t *buffer) {
    (void)size;
    client_t *client = handle->data;
    *buffer = uv_buf_init(client->buffer, BUFFER_BYTES);
}

/// Sends as many frames as the window allows, in one piece.
static void client_send(client_t *client) {
    long under_way = client->sent - client->received_bytes / client->bytes;
    long more = client->window - under_way;
    if (more > client->count - client->sent) more = client->count - client->sent;
    if (more <= 0) return;
    client->sent += more;
    send_all(
        (uv_stream_t *)&client->socket, &client->secure, client->frames,
        (size_t)more * (size_t)client->bytes);
}

static void client_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buffer) {
    client_t *client = stream->data;
    secure_t *secure = &client->secure;
    if (count > 0 && secure->ssl == NULL) client->received_bytes += count;
    if (count > 0 && secure->ssl != NULL) {
        int was_in_handshake = !SSL_is_init_finished(secure->ssl);
        long more = take(secure, buffer->base, count);
        if (more < 0) count = -1;
        for (; more > 0; more = SSL_read(secure->ssl, secure->plain, BUFFER_BYTES))
            client->received_bytes += more;
        flush(stream, secure);
        if (was_in_handshake && SSL_is_init_finished(secure->ssl)) client->began = uv_hrtime();
        if (count > 0 && !SSL_is_init_finished(secure->ssl)) return;
    }
    if (count < 0 || client->received_bytes == client->count * client->bytes) {
        client->ended = uv_hrtime();
        uv_close((uv_handle_t *)&client->socket, NULL);
        return;
    }
    client_send(client);
}

static void client_connected(uv_connect_t *request, int status) {
    client_t *client = request->data;
    if (status != 0) return uv_close((uv_handle_t *)&client->socket, NULL);
    uv_tcp_nodelay(&client->socket, 1);
    uv_read_start((uv_stream_t *)&client->socket, client_alloc, client_read);
    client->began = uv_hrtime();
    if (client->secure.ssl == NULL) return client_send(client);
    SSL_do_handshake(client->secure.ssl);
    flush((uv_stream_t *)&client->socket, &client->secure);
}

double echo_seconds(int bytes, int window, long count, int is_encrypted) {
    server_t *server = calloc(1, sizeof *server);
    client_t *client = calloc(1, sizeof *client);
    SSL_CTX *server_side = is_encrypted ? server_context() : NULL;
    SSL_CTX *client_side = is_encrypted ? SSL_CTX_new(TLS_client_method()) : NULL;
    secure_open(&server->secure, server_side, 1);
    secure_open(&client->secure, client_side, 0);
    client->bytes = bytes;
    client->window = window;
    client->count = count;
    client->frames = calloc((size_t)window, (size_t)bytes);
    uv_thread_t thread;
    uv_sem_init(&server->listening, 0);
    uv_thread_create(&thread, server_run, server);
    uv_sem_wait(&server->listening);

    struct sockaddr_in address;
    uv_ip4_addr("127.0.0.1", server->port, &address);
    uv_loop_init(&client->loop);
    uv_tcp_init(&client->loop, &client->socket);
    client->socket.data = client;
    client->connect.data = client;
    uv_tcp_connect(&client->connect, &client->socket, (struct sockaddr *)&address, client_connected);
    uv_run(&client->loop, UV_RUN_DEFAULT);
    uv_loop_close(&client->loop);
    uv_thread_join(&thread);

    int is_whole = client->received_bytes == client->count * client->bytes;
    double seconds = is_whole ? (double)(client->ended - client->began) / 1e9 : -1;
    uv_sem_destroy(&server->listening);
    SSL_free(server->secure.ssl);
    SSL_free(client->secure.ssl);
    SSL_CTX_free(server_side);
    SSL_CTX_free(client_side);
    free(client->frames);
    free(client);
    free(server);
    return seconds;
}
