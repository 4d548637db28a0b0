/* SPDX-License-Identifier: Apache-2.0
 * The test pool without sockets: sessions take lines and write lines; server.c brings the bytes.
 *
 * Each request is answered in order, with its own id whatever its type (miners send every submit
 * with the same one). A share's line stands in the log before its answer is written. One thread. */
#ifndef SLUICE_TESTS_POOL_POOL_H
#define SLUICE_TESTS_POOL_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/cleanup.h"
#include "tests/pool/chain.h"
#include "tests/pool/options.h"

#define SL_TP_LINE_MAX (16 * 1024)
#define SL_TP_SESSION_WORKERS_MAX 8
#define SL_TP_TERMS_MAX 8

struct sl_tp_counts {
    uint64_t accepted, stale, rejected;
};

struct sl_tp_pool;
struct sl_tp_session;

/* log_fd: the share log, opened for appending, or -1; it stays the caller's. */
int sl_tp_pool_create(const struct sl_tp_options *options, int log_fd, struct sl_wall now,
                      struct sl_tp_pool **ret_pool, struct sl_error *err);
/* All sessions must be gone. */
void sl_tp_pool_destroy(struct sl_tp_pool *pool);
SL_DEFINE_AUTO(sl_tp_pool, sl_tp_pool_destroy)

/* The next job, to every session that works. */
void sl_tp_pool_tick(struct sl_tp_pool *pool, bool clean, struct sl_wall now);
struct sl_tp_counts sl_tp_pool_counts(const struct sl_tp_pool *pool);
/* False once a line could not be written: what the pool says can then no longer be checked. */
bool sl_tp_pool_log_ok(const struct sl_tp_pool *pool);

/* write: takes the bytes at once (a copy). */
int sl_tp_session_create(struct sl_tp_pool *pool,
                         void (*write)(void *context, const char *data, size_t size), void *context,
                         struct sl_tp_session **ret_session, struct sl_error *err);
void sl_tp_session_destroy(struct sl_tp_session *session);
/* False: close the connection (flood, or not JSON). */
bool sl_tp_session_input(struct sl_tp_session *session, const char *data, size_t size,
                         struct sl_wall now);

#endif
