#pragma once
#include <string.h>
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

// Much of OpenSSL is function-like macros and variadic functions, which Swift does not import.

static inline int apus_only_tls13(SSL_CTX *context) {
    return (int)SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION);
}
/// Every connection proves its certificate anew: no tickets, no cached sessions.
static inline void apus_no_resumption(SSL_CTX *context) {
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
    SSL_CTX_set_num_tickets(context, 0);
}
/// An idle connection keeps no record buffers.
static inline void apus_release_buffers(SSL_CTX *context) {
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
}

static inline long apus_bio_contents(BIO *bio, char **bytes) { return BIO_get_mem_data(bio, bytes); }
static inline void apus_bio_empty(BIO *bio) { (void)BIO_reset(bio); }

static inline EVP_PKEY *apus_generate_ed25519(void) { return EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"); }

/// Never asks a terminal for a password.
static inline EVP_PKEY *apus_read_private_key(BIO *bio) {
    return PEM_read_bio_PrivateKey(bio, NULL, NULL, (void *)"");
}

/// Adds an extension by its textual value (x509v3_config(5)); 1 if that went well.
static inline int apus_add_extension(X509 *certificate, X509 *issuer, int nid, const char *value) {
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    if (extension == NULL) return 0;
    int added = X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
    return added;
}

/// Copies the only URI among the alternative names of the subject, with a zero byte at its end.
/// Returns its length; -1 if there is not exactly one, if it does not fit, or if it holds a zero byte.
static inline int apus_only_uri(const X509 *certificate, char *text, int capacity) {
    GENERAL_NAMES *names = (GENERAL_NAMES *)X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    int length = -1;
    int uris = 0;
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        if (name->type != GEN_URI) continue;
        uris += 1;
        const ASN1_IA5STRING *uri = name->d.uniformResourceIdentifier;
        int count = ASN1_STRING_length(uri);
        if (count >= capacity || memchr(ASN1_STRING_get0_data(uri), 0, (size_t)count) != NULL) continue;
        memcpy(text, ASN1_STRING_get0_data(uri), (size_t)count);
        text[count] = 0;
        length = count;
    }
    GENERAL_NAMES_free(names);
    return uris == 1 ? length : -1;
}

/// The reason of a packed error code.
static inline int apus_error_reason(unsigned long code) { return ERR_GET_REASON(code); }
