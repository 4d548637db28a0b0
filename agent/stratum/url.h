/* SPDX-License-Identifier: Apache-2.0
 * The address of a pool, "stratum+tcp://host:port". Pure. Thread: any. */
#ifndef SLUICE_AGENT_STRATUM_URL_H
#define SLUICE_AGENT_STRATUM_URL_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/base/error.h"

#define SL_POOL_HOST_MAX 253 /* a name's longest form in DNS */

struct sl_pool_url {
    char host[SL_POOL_HOST_MAX + 1]; /* lower case; an IPv6 address without its brackets */
    uint16_t port;
};

/* Accepts "stratum+tcp://HOST:PORT" with an optional final '/'. -SL_UNSUPPORTED for the TLS and
 * Stratum V2 spellings, -SL_INVALID for everything else; the text says what is expected. */
int sl_pool_url_parse(const char *text, struct sl_pool_url *ret_url, struct sl_error *err);

/* Whether a pool at `home` may send its miners to `host`: the same host, a name below it, or a
 * sibling under the same domain. Everything else would let whoever can write to the connection
 * carry the hash rate away. Addresses must be equal. */
bool sl_pool_url_may_move(const char *home, const char *host);

#endif
