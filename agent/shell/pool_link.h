/* SPDX-License-Identifier: Apache-2.0
 * The TCP connection to the pool, on the agent's loop: resolve, connect, read, write, close.
 *
 * Thread: the loop's. One connection at a time; whatever an abandoned one still reports is dropped.
 */
#ifndef SLUICE_AGENT_SHELL_POOL_LINK_H
#define SLUICE_AGENT_SHELL_POOL_LINK_H

#include <stddef.h>
#include <stdint.h>
#include <uv.h>

struct sl_pool_link_ops {
    void (*connected)(void *context);
    void (*received)(void *context, const void *data, size_t size);
    void (*disconnected)(void *context, const char *reason);
};

struct sl_pool_conn;

struct sl_pool_link {
    uv_loop_t *loop;
    const struct sl_pool_link_ops *ops;
    void *context;
    struct sl_pool_conn *conn; /* NULL: none */
};

void sl_pool_link_init(struct sl_pool_link *link, uv_loop_t *loop,
                       const struct sl_pool_link_ops *ops, void *context);
/* Abandons what is there. Reports connected or disconnected later, never at once. */
void sl_pool_link_connect(struct sl_pool_link *link, const char *host, uint16_t port);
/* Copies what cannot be written at once. A connection that takes nothing any more is ended. */
void sl_pool_link_send(struct sl_pool_link *link, const void *data, size_t size);
/* Nothing is reported for it any more. The loop must still run for the handle to be freed. */
void sl_pool_link_close(struct sl_pool_link *link);

#endif
