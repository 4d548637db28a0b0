/* SPDX-License-Identifier: Apache-2.0
 * TLS with a pool (GnuTLS), without a socket: ciphertext goes in and comes out, plain text
 * likewise.
 *
 * TLS 1.2 or newer, server name sent (SNI, RFC 6066). The peer is checked inside the handshake, so
 * nothing of ours is ever encrypted for one that has failed: by its key, where keys are pinned
 * (then neither authority, name nor date counts), else by authority, name and dates.
 *
 * Thread: one for each session; a trust may be shared by sessions of one thread. */
#ifndef SLUICE_AGENT_SHELL_POOL_TLS_H
#define SLUICE_AGENT_SHELL_POOL_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/stratum/pin.h"
#include "proto/base/cleanup.h"
#include "proto/base/error.h"
#include "proto/base/text.h"

struct sl_pool_trust;
struct sl_pool_tls;

/* ca_file: PEM; empty: the system's authorities. pins are copied. */
int sl_pool_trust_create(const struct sl_pool_pins *pins, const char *ca_file,
                         struct sl_pool_trust **ret_trust, struct sl_error *err);
void sl_pool_trust_destroy(struct sl_pool_trust *trust);
SL_DEFINE_AUTO(sl_pool_trust, sl_pool_trust_destroy)

/* trust: borrowed for the session's life. host: the name that the certificate must be for. */
int sl_pool_tls_create(const struct sl_pool_trust *trust, const char *host,
                       struct sl_pool_tls **ret_tls, struct sl_error *err);
void sl_pool_tls_destroy(struct sl_pool_tls *tls);
SL_DEFINE_AUTO(sl_pool_tls, sl_pool_tls_destroy)

/* Ciphertext of the peer, any number of bytes, cut anywhere. */
void sl_pool_tls_feed(struct sl_pool_tls *tls, const void *data, size_t size);
/* SL_OK: done, plain text may follow. -SL_AGAIN: more is to be fed. Else failed; the text says what
 * to do about it. */
int sl_pool_tls_shake(struct sl_pool_tls *tls, struct sl_error *err);
/* SL_OK with *ret_size > 0, or 0: more is to be fed. Failed: ended by the peer, or broken. */
int sl_pool_tls_read(struct sl_pool_tls *tls, void *data, size_t size, size_t *ret_size,
                     struct sl_error *err);
int sl_pool_tls_write(struct sl_pool_tls *tls, const void *data, size_t size, struct sl_error *err);
/* Ciphertext for the peer; the caller consumes it. */
struct sl_buf *sl_pool_tls_output(struct sl_pool_tls *tls);
/* The key that the peer has shown, trusted or not; false: none yet. */
bool sl_pool_tls_peer_key(const struct sl_pool_tls *tls, uint8_t ret_key[SL_POOL_PIN_BYTES]);

#endif
