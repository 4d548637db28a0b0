/* SPDX-License-Identifier: Apache-2.0
 * The broker's newest log lines in memory, for `sluice logs` from another machine. The log itself
 * goes to stderr as ever; lines hold no keys, prompts or results (proto/base/log.h).
 *
 * Thread: any. The ring takes lines by sl_log_set_tap. Oldest lines make room for new ones. */
#ifndef SLUICE_BROKER_HTTP_LOG_RING_H
#define SLUICE_BROKER_HTTP_LOG_RING_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/base/error.h"
#include "proto/base/log.h"

struct sl_log_ring;

struct sl_log_ring_line {
    uint64_t seq; /* rises by one, from 1 at the broker's start */
    enum sl_log_level level;
    const char *text; /* the whole line; holds until the callback returns */
};

int sl_log_ring_create(uint32_t lines, struct sl_log_ring **ret_ring, struct sl_error *err);
void sl_log_ring_destroy(struct sl_log_ring *ring);
/* sl_log_tap_fn; arg is the ring. Without memory the line is left out. */
void sl_log_ring_add(void *arg, enum sl_log_level level, const char *line);
/* Lines of `level` and worse above `after`, oldest first: of those that are kept the first `limit`,
 * or with `newest` the last. Returns the seq of the last line that was looked at: where to go on.
 */
uint64_t sl_log_ring_read(struct sl_log_ring *ring, uint64_t after, enum sl_log_level level,
                          uint32_t limit, bool newest,
                          void (*cb)(void *arg, const struct sl_log_ring_line *line), void *arg);

#endif
