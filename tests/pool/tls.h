/* SPDX-License-Identifier: Apache-2.0
 * The TLS side of the test pool: certificates made at the start, good and bad ones, and a server's
 * session without a socket. One thread. */
#ifndef SLUICE_TESTS_POOL_TLS_H
#define SLUICE_TESTS_POOL_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/cleanup.h"
#include "proto/base/error.h"
#include "proto/base/text.h"
#include "tests/pool/options.h"

struct sl_tp_identity;
struct sl_tp_tls;

/* A new authority, a new key and a certificate for `name` (a host name or an IPv4 address), bad in
 * the way of kind. */
int sl_tp_identity_create(enum sl_tp_tls_kind kind, const char *name,
                          struct sl_tp_identity **ret_identity, struct sl_error *err);
void sl_tp_identity_destroy(struct sl_tp_identity *identity);
SL_DEFINE_AUTO(sl_tp_identity, sl_tp_identity_destroy)
/* The authority as PEM, for whoever is to trust it. */
const char *sl_tp_identity_ca(const struct sl_tp_identity *identity);
/* SHA-256 of the certificate's SubjectPublicKeyInfo. */
void sl_tp_identity_key(const struct sl_tp_identity *identity, uint8_t ret_key[32]);

/* identity: borrowed for the session's life. */
int sl_tp_tls_create(const struct sl_tp_identity *identity, struct sl_tp_tls **ret_tls,
                     struct sl_error *err);
void sl_tp_tls_destroy(struct sl_tp_tls *tls);
SL_DEFINE_AUTO(sl_tp_tls, sl_tp_tls_destroy)
/* Ciphertext in; plain text out by the callback. False: the session is over. */
bool sl_tp_tls_input(struct sl_tp_tls *tls, const void *data, size_t size,
                     bool (*plain)(void *context, const char *data, size_t size), void *context);
bool sl_tp_tls_write(struct sl_tp_tls *tls, const void *data, size_t size);
/* Ends the session as a server does that finds its client without a certificate. */
void sl_tp_tls_want_certificate(struct sl_tp_tls *tls);
/* Ciphertext for the peer; the caller consumes it. */
struct sl_buf *sl_tp_tls_output(struct sl_tp_tls *tls);
bool sl_tp_tls_is_open(const struct sl_tp_tls *tls); /* hands are shaken */

#endif
