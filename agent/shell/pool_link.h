/* SPDX-License-Identifier: Apache-2.0
 * A connection to a pool, on the agent's loop: resolve, connect, proxy, TLS, read, write, close.
 *
 * `connected` is reported when bytes may be sent: through the proxy, where there is one, and, for
 * TLS, only after the pool's certificate or key has been found good. There is no way from TLS back
 * to plain text. Every failure is a text for people that says what to do.
 *
 * Thread: the loop's. One connection at a time; whatever an abandoned one still reports is dropped.
 */
#ifndef SLUICE_AGENT_SHELL_POOL_LINK_H
#define SLUICE_AGENT_SHELL_POOL_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "agent/stratum/pin.h"
#include "agent/stratum/url.h"

struct sl_pool_link_ops {
    void (*connected)(void *context);
    void (*received)(void *context, const void *data, size_t size);
    void (*disconnected)(void *context, const char *reason);
};

/* What all connections to one pool have in common. */
struct sl_pool_link_options {
    struct sl_pool_url proxy; /* host empty: none */
    char proxy_user[256];     /* empty: none */
    char proxy_password[256];
    struct sl_pool_pins pins; /* count 0: authorities count */
    char ca_file[256];        /* empty: the system's */
};

struct sl_pool_conn;
struct sl_pool_trust;

struct sl_pool_link {
    uv_loop_t *loop;
    const struct sl_pool_link_ops *ops;
    void *context;
    const struct sl_pool_link_options *options; /* borrowed; NULL: neither proxy nor TLS */
    const struct sl_pool_trust *trust;          /* borrowed; NULL: no TLS */
    struct sl_pool_conn *conn;                  /* NULL: none */
};

void sl_pool_link_init(struct sl_pool_link *link, uv_loop_t *loop,
                       const struct sl_pool_link_ops *ops, void *context);
/* Abandons what is there. Reports connected or disconnected later, never at once. */
void sl_pool_link_connect(struct sl_pool_link *link, const char *host, uint16_t port, bool tls);
/* Copies what cannot be written at once. A connection that takes nothing any more is ended. */
void sl_pool_link_send(struct sl_pool_link *link, const void *data, size_t size);
/* Nothing is reported for it any more. The loop must still run for the handle to be freed. */
void sl_pool_link_close(struct sl_pool_link *link);

#endif
