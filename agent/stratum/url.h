/* SPDX-License-Identifier: Apache-2.0
 * The address of a pool, "stratum+tcp://host:port" or, inside TLS, "stratum+ssl://host:port". Pure.
 * Thread: any. */
#ifndef SLUICE_AGENT_STRATUM_URL_H
#define SLUICE_AGENT_STRATUM_URL_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/base/error.h"

#define SL_POOL_HOST_MAX 253 /* a name's longest form in DNS */

struct sl_pool_url {
    char host[SL_POOL_HOST_MAX + 1]; /* lower case; an IPv6 address without its brackets */
    uint16_t port;
    bool tls;
};

/* Accepts "stratum+tcp://HOST:PORT" and, for TLS, stratum+ssl, stratum+tls, stratums and ssl, with
 * an optional final '/'. -SL_UNSUPPORTED for Stratum V2, -SL_INVALID for everything else; the text
 * says what is expected. */
int sl_pool_url_parse(const char *text, struct sl_pool_url *ret_url, struct sl_error *err);
/* "socks5://HOST:PORT" (also socks5h: the proxy resolves names in either case). */
int sl_pool_proxy_parse(const char *text, struct sl_pool_url *ret_url, struct sl_error *err);
#define SL_POOL_URL_TEXT_MAX 280
/* The address as text, without user or password. */
void sl_pool_url_write(const struct sl_pool_url *url, char ret_text[SL_POOL_URL_TEXT_MAX]);
bool sl_pool_url_same(const struct sl_pool_url *a, const struct sl_pool_url *b);

/* Whether a pool at `home` may send its miners to `host`: the same host, a name below it, or a
 * sibling under the same domain. Everything else would let whoever can write to the connection
 * carry the hash rate away. Addresses must be equal. */
bool sl_pool_url_may_move(const char *home, const char *host);
/* A port to which a pool may send its miners: its own, 80, 443, or none of those below 1024, where
 * mail servers and the like listen. */
bool sl_pool_port_may_move(uint16_t home, uint16_t port);

#endif
