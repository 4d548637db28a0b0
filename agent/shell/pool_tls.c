/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/shell/pool_tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <gnutls/abstract.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PRIORITY "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"
/* Judged by authorities: 2048 bits of RSA and no SHA-1, where the default takes 1024. It stands
 * here and not in flags of the credentials, which GnuTLS would mix with the priority's own profile.
 */
#define STRONG ":%PROFILE_MEDIUM"
#define CHAIN_MAX 16

struct sl_pool_trust {
    gnutls_certificate_credentials_t credentials;
    struct sl_pool_pins pins;
};

struct sl_pool_tls {
    const struct sl_pool_trust *trust;
    gnutls_session_t session;
    char host[256];
    struct sl_buf input, output;
    bool fed;      /* the peer has said something */
    bool key_seen; /* key is set */
    uint8_t key[SL_POOL_PIN_BYTES];
    struct sl_error untrusted; /* why the peer was refused; text empty: it was not */
};

/* ---- the peer's certificate ---- */

static int refuse(struct sl_pool_tls *tls, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static int refuse(struct sl_pool_tls *tls, const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(tls->untrusted.text, sizeof tls->untrusted.text, format, args);
    va_end(args);
    return GNUTLS_E_CERTIFICATE_ERROR; /* ends the handshake */
}

static void day_text(time_t at, char out[16]) {
    struct tm tm;
    if (!gmtime_r(&at, &tm) || strftime(out, 16, "%Y-%m-%d", &tm) == 0) {
        out[0] = '\0';
    }
}

static bool read_key(gnutls_x509_crt_t certificate, uint8_t ret_key[SL_POOL_PIN_BYTES]) {
    gnutls_pubkey_t key = NULL;
    gnutls_datum_t spki = {0};
    bool good = gnutls_pubkey_init(&key) == 0 &&
                gnutls_pubkey_import_x509(key, certificate, 0) == 0 &&
                gnutls_pubkey_export2(key, GNUTLS_X509_FMT_DER, &spki) == 0 &&
                gnutls_hash_fast(GNUTLS_DIG_SHA256, spki.data, spki.size, ret_key) == 0;
    gnutls_free(spki.data);
    if (key) {
        gnutls_pubkey_deinit(key);
    }
    return good;
}

static int judge_by_key(struct sl_pool_tls *tls) {
    char pin[SL_POOL_PIN_TEXT_MAX + 1];
    if (sl_pool_pins_hold(&tls->trust->pins, tls->key)) {
        return 0;
    }
    sl_pool_pin_write(tls->key, pin);
    return refuse(tls,
                  "the pool's key is none of tls_pins: ask the pool before you trust %s; "
                  "nothing was sent",
                  pin);
}

/* Of what the pool has shown, the earliest end or the latest beginning: what has expired need not
 * be its own certificate. */
static void worst_day(gnutls_session_t session, bool end, char out[16]) {
    unsigned count = 0;
    const gnutls_datum_t *chain = gnutls_certificate_get_peers(session, &count);
    time_t worst = -1;
    for (unsigned i = 0; i < count; i++) {
        gnutls_x509_crt_t one = NULL;
        if (gnutls_x509_crt_init(&one) == 0 &&
            gnutls_x509_crt_import(one, &chain[i], GNUTLS_X509_FMT_DER) == 0) {
            time_t at = end ? gnutls_x509_crt_get_expiration_time(one)
                            : gnutls_x509_crt_get_activation_time(one);
            worst = worst < 0 || (end ? at < worst : at > worst) ? at : worst;
        }
        gnutls_x509_crt_deinit(one);
    }
    day_text(worst, out);
}

/* The worst first: who says it, then for whom, then when. */
static int judge_by_authority(struct sl_pool_tls *tls) {
    unsigned status = 0;
    char day[16];
    gnutls_typed_vdata_st asked[] = {
        {.type = GNUTLS_DT_DNS_HOSTNAME, .data = (unsigned char *)tls->host},
        {.type = GNUTLS_DT_KEY_PURPOSE_OID, .data = (unsigned char *)GNUTLS_KP_TLS_WWW_SERVER},
    };
    if (gnutls_certificate_verify_peers(tls->session, asked, 2, &status) != 0) {
        return refuse(tls, "the pool's certificate cannot be checked: pin its key (tls_pins)");
    }
    if (status == 0) {
        return 0;
    }
    if (status & GNUTLS_CERT_REVOKED) {
        return refuse(tls, "the pool's certificate was revoked: do not use it; ask the pool");
    }
    if (status & (GNUTLS_CERT_SIGNER_NOT_FOUND | GNUTLS_CERT_SIGNER_NOT_CA |
                  GNUTLS_CERT_SIGNATURE_FAILURE)) {
        return refuse(tls, "the pool's certificate is of no known authority: set tls_ca_file, or "
                           "pin its key (tls_pins)");
    }
    if (status & GNUTLS_CERT_UNEXPECTED_OWNER) {
        return refuse(tls,
                      "the pool's certificate is for another name than %.60s: check the "
                      "address, or pin its key",
                      tls->host);
    }
    if (status & GNUTLS_CERT_PURPOSE_MISMATCH) {
        return refuse(tls, "the pool's certificate is not one for servers: ask the pool, or pin "
                           "its key (tls_pins)");
    }
    if (status & GNUTLS_CERT_EXPIRED) {
        worst_day(tls->session, true, day);
        return refuse(tls,
                      "the pool's certificate, or its issuer's, has expired (%s): the pool must "
                      "renew it; check "
                      "this clock too",
                      day);
    }
    if (status & GNUTLS_CERT_NOT_ACTIVATED) {
        worst_day(tls->session, false, day);
        return refuse(tls, "the pool's certificate is not valid before %s: check this clock", day);
    }
    if (status & GNUTLS_CERT_INSECURE_ALGORITHM) {
        return refuse(tls, "the pool's certificate, or its issuer's, is too weak (RSA under 2048 "
                           "bits, or SHA-1): ask the pool, or pin its key (tls_pins)");
    }
    return refuse(tls,
                  "the pool's certificate is not acceptable (status %#x): pin its key "
                  "(tls_pins)",
                  status);
}

static int verify(gnutls_session_t session) {
    struct sl_pool_tls *tls = gnutls_session_get_ptr(session);
    unsigned count = 0;
    const gnutls_datum_t *chain = gnutls_certificate_get_peers(session, &count);
    gnutls_x509_crt_t certificate = NULL;
    if (!chain || count == 0 || count > CHAIN_MAX ||
        gnutls_certificate_type_get2(session, GNUTLS_CTYPE_SERVER) != GNUTLS_CRT_X509 ||
        gnutls_x509_crt_init(&certificate) != 0) {
        return refuse(tls, "the pool has shown no usable certificate: ask the pool");
    }
    int rc;
    if (gnutls_x509_crt_import(certificate, &chain[0], GNUTLS_X509_FMT_DER) != 0 ||
        !read_key(certificate, tls->key)) {
        rc = refuse(tls, "the pool's certificate cannot be read: ask the pool");
    } else {
        tls->key_seen = true;
        rc = tls->trust->pins.count > 0 ? judge_by_key(tls) : judge_by_authority(tls);
    }
    gnutls_x509_crt_deinit(certificate);
    return rc;
}

/* GnuTLS would wait for ever for who writes into a FIFO, and has one text for all that is no file.
 */
static int check_file(const char *path, struct sl_error *err) {
    SL_AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0) {
        return sl_fail(err, SL_INVALID, "tls_ca_file %s cannot be read: %s", path, strerror(errno));
    }
    return S_ISREG(st.st_mode) ? SL_OK
                               : sl_fail(err, SL_INVALID, "tls_ca_file %s is not a file", path);
}

int sl_pool_trust_create(const struct sl_pool_pins *pins, const char *ca_file,
                         struct sl_pool_trust **ret_trust, struct sl_error *err) {
    SL_AUTO(sl_pool_trust) trust = calloc(1, sizeof *trust);
    if (!trust || gnutls_certificate_allocate_credentials(&trust->credentials) != 0) {
        return sl_fail(err, SL_NOMEM, "no memory for TLS");
    }
    trust->pins = *pins;
    gnutls_certificate_set_verify_function(trust->credentials, verify);
    if (pins->count == 0) {
        int rc = ca_file[0] ? check_file(ca_file, err) : SL_OK;
        if (rc) {
            return rc;
        }
        int n = ca_file[0] ? gnutls_certificate_set_x509_trust_file(trust->credentials, ca_file,
                                                                    GNUTLS_X509_FMT_PEM)
                           : gnutls_certificate_set_x509_system_trust(trust->credentials);
        if (n <= 0) {
            return ca_file[0] ? sl_fail(err, SL_INVALID, "tls_ca_file %s holds no certificate (%s)",
                                        ca_file, n < 0 ? gnutls_strerror(n) : "PEM is expected")
                              : sl_fail(err, SL_INVALID,
                                        "this system has no authorities: install ca-certificates, "
                                        "set tls_ca_file or pin the pool's key (tls_pins)");
        }
    }
    *ret_trust = sl_take(&trust);
    return SL_OK;
}

void sl_pool_trust_destroy(struct sl_pool_trust *trust) {
    if (trust) {
        if (trust->credentials) {
            gnutls_certificate_free_credentials(trust->credentials);
        }
        free(trust);
    }
}

/* ---- a session ---- */

static ssize_t pull(gnutls_transport_ptr_t context, void *data, size_t size) {
    struct sl_pool_tls *tls = context;
    if (tls->input.len == 0) {
        gnutls_transport_set_errno(tls->session, EAGAIN);
        return -1;
    }
    size_t n = size < tls->input.len ? size : tls->input.len;
    memcpy(data, tls->input.data, n);
    sl_buf_consume(&tls->input, n);
    return (ssize_t)n;
}

static ssize_t push(gnutls_transport_ptr_t context, const void *data, size_t size) {
    struct sl_pool_tls *tls = context;
    sl_buf_append(&tls->output, data, size);
    return (ssize_t)size;
}

static bool is_address(const char *host) {
    struct in6_addr address;
    return inet_pton(AF_INET, host, &address) == 1 || inet_pton(AF_INET6, host, &address) == 1;
}

int sl_pool_tls_create(const struct sl_pool_trust *trust, const char *host,
                       struct sl_pool_tls **ret_tls, struct sl_error *err) {
    SL_AUTO(sl_pool_tls) tls = calloc(1, sizeof *tls);
    if (!tls || gnutls_init(&tls->session, GNUTLS_CLIENT | GNUTLS_NONBLOCK) != 0) {
        return sl_fail(err, SL_NOMEM, "no memory for TLS");
    }
    tls->trust = trust;
    sl_text_copy(tls->host, sizeof tls->host, host);
    gnutls_session_set_ptr(tls->session, tls);
    gnutls_transport_set_ptr(tls->session, tls);
    gnutls_transport_set_pull_function(tls->session, pull);
    gnutls_transport_set_push_function(tls->session, push);
    const char *priority = trust->pins.count > 0 ? PRIORITY : PRIORITY STRONG;
    int rc = gnutls_priority_set_direct(tls->session, priority, NULL);
    rc = rc ? rc : gnutls_credentials_set(tls->session, GNUTLS_CRD_CERTIFICATE, trust->credentials);
    if (rc == 0 && !is_address(host)) {
        rc = gnutls_server_name_set(tls->session, GNUTLS_NAME_DNS, host, strlen(host));
    }
    if (rc != 0) {
        return sl_fail(err, SL_UNSUPPORTED, "TLS cannot be set up: %s", gnutls_strerror(rc));
    }
    *ret_tls = sl_take(&tls);
    return SL_OK;
}

void sl_pool_tls_destroy(struct sl_pool_tls *tls) {
    if (!tls) {
        return;
    }
    if (tls->session) {
        gnutls_deinit(tls->session);
    }
    sl_buf_fini(&tls->input);
    sl_buf_fini(&tls->output);
    free(tls);
}

void sl_pool_tls_feed(struct sl_pool_tls *tls, const void *data, size_t size) {
    tls->fed = tls->fed || size > 0;
    sl_buf_append(&tls->input, data, size);
}

static int say_refusal(struct sl_pool_tls *tls, struct sl_error *err) {
    return sl_fail(err, SL_IO, "the pool refuses TLS (%s): ask the pool",
                   gnutls_alert_get_name(gnutls_alert_get(tls->session)));
}

static int explain(struct sl_pool_tls *tls, int rc, struct sl_error *err) {
    switch (rc) {
    case GNUTLS_E_UNEXPECTED_PACKET_LENGTH:
    case GNUTLS_E_UNSUPPORTED_VERSION_PACKET:
    case GNUTLS_E_UNEXPECTED_PACKET:
    case GNUTLS_E_RECORD_OVERFLOW:
    case GNUTLS_E_DECRYPTION_FAILED:
        return sl_fail(err, SL_IO,
                       "the pool does not speak TLS 1.2 or newer at this port: use its TLS port; "
                       "nothing was sent");
    case GNUTLS_E_FATAL_ALERT_RECEIVED:
        return say_refusal(tls, err);
    default:
        return sl_fail(err, SL_IO, "TLS with the pool failed: %s", gnutls_strerror(rc));
    }
}

int sl_pool_tls_shake(struct sl_pool_tls *tls, struct sl_error *err) {
    if (tls->input.failed || tls->output.failed) {
        return sl_fail(err, SL_NOMEM, "no memory for TLS");
    }
    int rc;
    do {
        rc = gnutls_handshake(tls->session);
    } while (rc == GNUTLS_E_WARNING_ALERT_RECEIVED || rc == GNUTLS_E_INTERRUPTED);
    if (rc == 0) {
        return SL_OK;
    }
    if (rc == GNUTLS_E_AGAIN) {
        return -SL_AGAIN;
    }
    if (tls->untrusted.text[0]) {
        return sl_fail(err, SL_DENIED, "%s", tls->untrusted.text);
    }
    return explain(tls, rc, err);
}

int sl_pool_tls_read(struct sl_pool_tls *tls, void *data, size_t size, size_t *ret_size,
                     struct sl_error *err) {
    if (tls->input.failed || tls->output.failed) {
        return sl_fail(err, SL_NOMEM, "no memory for TLS");
    }
    ssize_t n;
    size_t left;
    do {
        left = tls->input.len;
        n = gnutls_record_recv(tls->session, data, size);
        /* "Again" is also what a record without data gives (a ticket, a change of keys); the
         * pool's answer may stand behind it, and no more bytes need come to wake us. */
    } while (n == GNUTLS_E_WARNING_ALERT_RECEIVED || n == GNUTLS_E_INTERRUPTED ||
             (n == GNUTLS_E_AGAIN && tls->input.len > 0 && tls->input.len < left));
    if (n == GNUTLS_E_AGAIN) {
        *ret_size = 0;
        return SL_OK;
    }
    if (n == 0 || n == GNUTLS_E_PREMATURE_TERMINATION) {
        return sl_fail(err, SL_CLOSED, "the pool closed the connection");
    }
    if (n == GNUTLS_E_FATAL_ALERT_RECEIVED) {
        return say_refusal(tls, err); /* since TLS 1.3 a missing certificate is told so late */
    }
    if (n < 0) {
        /* A new handshake too: a pool's key does not change under a connection. */
        return sl_fail(err, SL_IO, "TLS with the pool broke: %s", gnutls_strerror((int)n));
    }
    *ret_size = (size_t)n;
    return SL_OK;
}

int sl_pool_tls_write(struct sl_pool_tls *tls, const void *data, size_t size,
                      struct sl_error *err) {
    const char *bytes = data;
    while (size > 0) {
        ssize_t n = gnutls_record_send(tls->session, bytes, size);
        if (n <= 0) { /* our push never says EAGAIN */
            return sl_fail(err, SL_IO, "TLS with the pool broke: %s", gnutls_strerror((int)n));
        }
        bytes += n;
        size -= (size_t)n;
    }
    return SL_OK;
}

struct sl_buf *sl_pool_tls_output(struct sl_pool_tls *tls) {
    return &tls->output;
}

bool sl_pool_tls_peer_key(const struct sl_pool_tls *tls, uint8_t ret_key[SL_POOL_PIN_BYTES]) {
    if (tls->key_seen) {
        memcpy(ret_key, tls->key, SL_POOL_PIN_BYTES);
    }
    return tls->key_seen;
}
