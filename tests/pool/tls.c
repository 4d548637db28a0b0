/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/pool/tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <gnutls/abstract.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define DAY_S 86400

struct sl_tp_identity {
    gnutls_certificate_credentials_t credentials;
    gnutls_x509_privkey_t ca_key, middle_key, key;
    gnutls_x509_crt_t ca, middle, certificate;
    gnutls_datum_t ca_pem;
    gnutls_datum_t ticket_key;
};

struct sl_tp_tls {
    gnutls_session_t session;
    struct sl_buf input, output;
    bool open;
};

static int make_key(gnutls_x509_privkey_t *ret_key) {
    int rc = gnutls_x509_privkey_init(ret_key);
    return rc ? rc
              : gnutls_x509_privkey_generate(*ret_key, GNUTLS_PK_ECDSA,
                                             GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0);
}

static int make_weak_key(gnutls_x509_privkey_t *ret_key) {
    int rc = gnutls_x509_privkey_init(ret_key);
    return rc ? rc : gnutls_x509_privkey_generate(*ret_key, GNUTLS_PK_RSA, 1024, 0);
}

/* valid: from and to, in days from now. */
static int make_certificate(gnutls_x509_privkey_t key, const char *name, int from, int to,
                            gnutls_x509_crt_t *ret_certificate) {
    time_t now = time(NULL); /* tidy: allow clock (a certificate's dates are those of the world) */
    uint8_t serial[8];
    int rc = gnutls_x509_crt_init(ret_certificate);
    gnutls_x509_crt_t crt = *ret_certificate;
    rc = rc ? rc : gnutls_rnd(GNUTLS_RND_NONCE, serial, sizeof serial);
    serial[0] &= 0x7f;
    rc = rc ? rc : gnutls_x509_crt_set_version(crt, 3);
    rc = rc ? rc : gnutls_x509_crt_set_serial(crt, serial, sizeof serial);
    rc = rc ? rc : gnutls_x509_crt_set_activation_time(crt, now + (time_t)from * DAY_S);
    rc = rc ? rc : gnutls_x509_crt_set_expiration_time(crt, now + (time_t)to * DAY_S);
    rc = rc ? rc : gnutls_x509_crt_set_key(crt, key);
    return rc ? rc
              : gnutls_x509_crt_set_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME, 0, name,
                                              (unsigned)strlen(name));
}

static int make_authority(struct sl_tp_identity *id) {
    int rc = make_key(&id->ca_key);
    rc = rc ? rc : make_certificate(id->ca_key, "sluice test authority", -30, 30, &id->ca);
    rc = rc ? rc : gnutls_x509_crt_set_ca_status(id->ca, 1);
    rc = rc ? rc : gnutls_x509_crt_set_key_usage(id->ca, GNUTLS_KEY_KEY_CERT_SIGN);
    rc = rc ? rc : gnutls_x509_crt_sign2(id->ca, id->ca, id->ca_key, GNUTLS_DIG_SHA256, 0);
    return rc ? rc : gnutls_x509_crt_export2(id->ca, GNUTLS_X509_FMT_PEM, &id->ca_pem);
}

/* Whether one is the other's issuer, GnuTLS says only of what was read. */
static int read_back(gnutls_x509_crt_t crt) {
    gnutls_datum_t der = {0};
    int rc = gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_DER, &der);
    rc = rc ? rc : gnutls_x509_crt_import(crt, &der, GNUTLS_X509_FMT_DER);
    gnutls_free(der.data);
    return rc;
}

/* Between authority and leaf, and out of date. */
static int make_middle(struct sl_tp_identity *id) {
    int rc = make_key(&id->middle_key);
    rc = rc ? rc : make_certificate(id->middle_key, "sluice test middle", -20, -1, &id->middle);
    rc = rc ? rc : gnutls_x509_crt_set_ca_status(id->middle, 1);
    rc = rc ? rc : gnutls_x509_crt_set_key_usage(id->middle, GNUTLS_KEY_KEY_CERT_SIGN);
    rc = rc ? rc : gnutls_x509_crt_sign2(id->middle, id->ca, id->ca_key, GNUTLS_DIG_SHA256, 0);
    return rc ? rc : read_back(id->middle);
}

static int make_leaf(struct sl_tp_identity *id, enum sl_tp_tls_kind kind, const char *name) {
    struct in_addr address;
    int from = kind == SL_TP_TLS_FUTURE ? 5 : -5;
    int to = kind == SL_TP_TLS_EXPIRED ? -1 : 10;
    bool is_address = inet_pton(AF_INET, name, &address) == 1;
    gnutls_digest_algorithm_t digest =
        kind == SL_TP_TLS_WEAK_SIGNATURE ? GNUTLS_DIG_SHA1 : GNUTLS_DIG_SHA256;
    int rc = kind == SL_TP_TLS_WEAK_KEY ? make_weak_key(&id->key) : make_key(&id->key);
    rc = rc ? rc : make_certificate(id->key, "sluice test pool", from, to, &id->certificate);
    if (kind == SL_TP_TLS_OTHER_NAME) {
        name = "somebody.else.example";
        is_address = false;
    }
    rc = rc ? rc
            : gnutls_x509_crt_set_subject_alt_name(
                  id->certificate, is_address ? GNUTLS_SAN_IPADDRESS : GNUTLS_SAN_DNSNAME,
                  is_address ? (const void *)&address : (const void *)name,
                  is_address ? sizeof address : (unsigned)strlen(name), GNUTLS_FSAN_SET);
    if (kind == SL_TP_TLS_OTHER_USE) {
        rc = rc ? rc
                : gnutls_x509_crt_set_key_purpose_oid(id->certificate, GNUTLS_KP_TLS_WWW_CLIENT, 0);
    }
    if (kind == SL_TP_TLS_EXPIRED_MIDDLE) {
        rc = rc ? rc : make_middle(id);
        rc = rc ? rc
                : gnutls_x509_crt_sign2(id->certificate, id->middle, id->middle_key,
                                        GNUTLS_DIG_SHA256, 0);
        return rc ? rc : read_back(id->certificate);
    }
    return rc ? rc : gnutls_x509_crt_sign2(id->certificate, id->ca, id->ca_key, digest, 0);
}

int sl_tp_identity_create(enum sl_tp_tls_kind kind, const char *name,
                          struct sl_tp_identity **ret_identity, struct sl_error *err) {
    SL_AUTO(sl_tp_identity) id = calloc(1, sizeof *id);
    sl_assert(id);
    int rc = make_authority(id);
    rc = rc ? rc : make_leaf(id, kind, name);
    rc = rc ? rc : gnutls_certificate_allocate_credentials(&id->credentials);
    gnutls_x509_crt_t chain[] = {id->certificate, id->middle};
    rc = rc ? rc
            : gnutls_certificate_set_x509_key(id->credentials, chain, id->middle ? 2 : 1, id->key);
    rc = rc ? rc : gnutls_session_ticket_key_generate(&id->ticket_key);
    if (rc < 0) {
        return sl_fail(err, SL_IO, "no certificate could be made: %s", gnutls_strerror(rc));
    }
    *ret_identity = sl_take(&id);
    return SL_OK;
}

void sl_tp_identity_destroy(struct sl_tp_identity *id) {
    if (!id) {
        return;
    }
    if (id->credentials) {
        gnutls_certificate_free_credentials(id->credentials);
    }
    gnutls_x509_crt_deinit(id->ca);
    gnutls_x509_crt_deinit(id->middle);
    gnutls_x509_crt_deinit(id->certificate);
    gnutls_x509_privkey_deinit(id->ca_key);
    gnutls_x509_privkey_deinit(id->middle_key);
    gnutls_x509_privkey_deinit(id->key);
    gnutls_free(id->ca_pem.data);
    gnutls_free(id->ticket_key.data);
    free(id);
}

const char *sl_tp_identity_ca(const struct sl_tp_identity *id) {
    return (const char *)id->ca_pem.data;
}

void sl_tp_identity_key(const struct sl_tp_identity *id, uint8_t ret_key[32]) {
    gnutls_pubkey_t key = NULL;
    gnutls_datum_t spki = {0};
    sl_assert(gnutls_pubkey_init(&key) == 0 &&
              gnutls_pubkey_import_x509(key, id->certificate, 0) == 0 &&
              gnutls_pubkey_export2(key, GNUTLS_X509_FMT_DER, &spki) == 0 &&
              gnutls_hash_fast(GNUTLS_DIG_SHA256, spki.data, spki.size, ret_key) == 0);
    gnutls_free(spki.data);
    gnutls_pubkey_deinit(key);
}

static ssize_t pull(gnutls_transport_ptr_t context, void *data, size_t size) {
    struct sl_tp_tls *tls = context;
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
    struct sl_tp_tls *tls = context;
    sl_buf_append(&tls->output, data, size);
    return (ssize_t)size;
}

int sl_tp_tls_create(const struct sl_tp_identity *identity, struct sl_tp_tls **ret_tls,
                     struct sl_error *err) {
    SL_AUTO(sl_tp_tls) tls = calloc(1, sizeof *tls);
    sl_assert(tls);
    int rc = gnutls_init(&tls->session, GNUTLS_SERVER | GNUTLS_NONBLOCK);
    rc = rc ? rc : gnutls_set_default_priority(tls->session);
    rc = rc ? rc
            : gnutls_credentials_set(tls->session, GNUTLS_CRD_CERTIFICATE, identity->credentials);
    /* As most servers do: with TLS 1.3, records without data then stand before the first answer. */
    rc = rc ? rc : gnutls_session_ticket_enable_server(tls->session, &identity->ticket_key);
    if (rc < 0) {
        return sl_fail(err, SL_IO, "no TLS: %s", gnutls_strerror(rc));
    }
    gnutls_transport_set_ptr(tls->session, tls);
    gnutls_transport_set_pull_function(tls->session, pull);
    gnutls_transport_set_push_function(tls->session, push);
    *ret_tls = sl_take(&tls);
    return SL_OK;
}

void sl_tp_tls_destroy(struct sl_tp_tls *tls) {
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

bool sl_tp_tls_input(struct sl_tp_tls *tls, const void *data, size_t size,
                     bool (*plain)(void *context, const char *data, size_t size), void *context) {
    sl_buf_append(&tls->input, data, size);
    if (!tls->open) {
        int rc = gnutls_handshake(tls->session);
        if (rc != 0) {
            return rc == GNUTLS_E_AGAIN || gnutls_error_is_fatal(rc) == 0;
        }
        tls->open = true;
    }
    for (;;) {
        char buffer[4096];
        ssize_t n = gnutls_record_recv(tls->session, buffer, sizeof buffer);
        if (n == GNUTLS_E_AGAIN) {
            return true;
        }
        if (n <= 0 || !plain(context, buffer, (size_t)n)) {
            return false;
        }
    }
}

void sl_tp_tls_want_certificate(struct sl_tp_tls *tls) {
    gnutls_alert_send(tls->session, GNUTLS_AL_FATAL, GNUTLS_A_CERTIFICATE_REQUIRED);
}

bool sl_tp_tls_write(struct sl_tp_tls *tls, const void *data, size_t size) {
    const char *bytes = data;
    while (size > 0) {
        ssize_t n = gnutls_record_send(tls->session, bytes, size);
        if (n <= 0) {
            return false;
        }
        bytes += n;
        size -= (size_t)n;
    }
    return true;
}

struct sl_buf *sl_tp_tls_output(struct sl_tp_tls *tls) {
    return &tls->output;
}

bool sl_tp_tls_is_open(const struct sl_tp_tls *tls) {
    return tls->open;
}
