/* SPDX-License-Identifier: Apache-2.0
 * SOCKS5 client (RFC 1928, user and password by RFC 1929) as a state machine without a socket:
 * CONNECT to a name, which the proxy resolves, or to an address.
 *
 * Thread: one. No memory of its own but the struct. What comes behind the proxy's last answer is
 * not touched: it belongs to the pool. */
#ifndef SLUICE_AGENT_STRATUM_SOCKS_H
#define SLUICE_AGENT_STRATUM_SOCKS_H

#include <stddef.h>
#include <stdint.h>

#include "proto/base/error.h"

#define SL_SOCKS_OUTPUT_MAX 600 /* of one step: the longest is user and password */
#define SL_SOCKS_REPLY_MAX 262  /* the longest answer: one to a name */

struct sl_socks {
    char host[256];
    uint16_t port;
    const char *user, *password; /* borrowed; user NULL or empty: none */
    int step;
    uint8_t reply[SL_SOCKS_REPLY_MAX];
    size_t reply_size;
    uint8_t output[SL_SOCKS_OUTPUT_MAX]; /* to be sent after start and after each input */
    size_t output_size;
};

/* host: at most 255 bytes. -SL_INVALID when it or a credential is too long. */
int sl_socks_start(struct sl_socks *socks, const char *host, uint16_t port, const char *user,
                   const char *password, struct sl_error *err);
/* SL_OK: the way to the host is open. -SL_AGAIN: more is to come. Else refused; the text says by
 * whom and what to do. *ret_used: bytes taken of data, all of them unless SL_OK. The caller sends
 * output[output_size] after each call. */
int sl_socks_input(struct sl_socks *socks, const void *data, size_t size, size_t *ret_used,
                   struct sl_error *err);

#endif
