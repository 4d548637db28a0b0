/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/pool/pool.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/base/log.h"
#include "tests/pool/pool_internal.h"

int sl_tp_pool_create(const struct sl_tp_options *options, int log_fd, struct sl_wall now,
                      struct sl_tp_pool **ret_pool, struct sl_error *err) {
    SL_AUTO(sl_tp_pool) pool = calloc(1, sizeof *pool);
    if (!pool) {
        return sl_fail(err, SL_NOMEM, "no memory for the pool");
    }
    pool->options = *options;
    pool->log_fd = log_fd;
    pool->log_ok = true;
    /* Neither may come again after a restart: job ids carry milliseconds and the process; the 4
     * bytes of extranonce1 begin at the second times 256, so that a run would have to open 256
     * connections in each second of its life to reach into the next one's. */
    pool->instance = (uint64_t)now.ms << 22 | ((uint64_t)getpid() & 0x3fffff);
    pool->first_extranonce1 = (uint32_t)((uint64_t)(now.ms / 1000) << 8);
    pool->next_extranonce1 = pool->first_extranonce1;
    int rc = sl_tp_chain_create(options, pool->instance, &pool->chain, err);
    if (rc < 0) {
        return rc;
    }
    sl_tp_chain_advance(pool->chain, true, now);
    *ret_pool = sl_take(&pool);
    return SL_OK;
}

void sl_tp_pool_destroy(struct sl_tp_pool *pool) {
    if (pool) {
        sl_assert(!pool->sessions);
        sl_tp_chain_destroy(pool->chain);
        free(pool);
    }
}

void sl_tp_pool_tick(struct sl_tp_pool *pool, bool clean, struct sl_wall now) {
    sl_tp_chain_advance(pool->chain, clean, now);
    struct sl_tp_session *next;
    for (struct sl_tp_session *s = pool->sessions; s; s = next) {
        next = s->next; /* writing may end in closing */
        if (sl_tp_session_works(s)) {
            sl_tp_mischief_before_job(s, now);
            sl_tp_session_notify(s, false);
            sl_tp_mischief_after_job(s);
        }
    }
}

struct sl_tp_counts sl_tp_pool_counts(const struct sl_tp_pool *pool) {
    return pool->counts;
}

bool sl_tp_pool_log_ok(const struct sl_tp_pool *pool) {
    return pool->log_ok;
}

/* Units of 1e-12 as a decimal number. */
static void print_difficulty(int64_t difficulty, char out[40]) {
    int n = snprintf(out, 40, "%" PRId64 ".%012" PRId64, difficulty / SL_TP_DIFFICULTY_ONE,
                     difficulty % SL_TP_DIFFICULTY_ONE);
    while (out[n - 1] == '0') {
        out[--n] = '\0';
    }
    if (out[n - 1] == '.') {
        out[n - 1] = '\0';
    }
}

static char *quoted(const char *text) {
    json_t *value = json_stringn(text, strnlen(text, 128));
    char *out = json_dumps(value ? value : json_null(), JSON_ENCODE_ANY | JSON_ENSURE_ASCII);
    json_decref(value);
    return out;
}

void sl_tp_pool_log(struct sl_tp_pool *pool, const struct sl_tp_log_line *line) {
    pool->counts.accepted += strcmp(line->result, "accepted") == 0;
    pool->counts.stale += strcmp(line->result, "stale") == 0;
    pool->counts.rejected += strcmp(line->result, "rejected") == 0;
    if (pool->log_fd < 0) {
        return;
    }
    SL_AUTO_FREE char *worker = quoted(line->worker);
    SL_AUTO_FREE char *job = quoted(line->job);
    SL_AUTO_BUF struct sl_buf text = {0};
    char code[16] = "null";
    char difficulty[40];
    if (line->code) {
        snprintf(code, sizeof code, "%d", line->code);
    }
    char behind[24] = "null";
    print_difficulty(line->difficulty, difficulty);
    if (line->behind_ms >= 0) {
        snprintf(behind, sizeof behind, "%" PRId64, line->behind_ms);
    }
    sl_buf_printf(&text,
                  "{\"t\":%" PRId64 ".%03" PRId64 ",\"worker\":%s,\"job\":%s,\"result\":\"%s\","
                  "\"code\":%s,\"difficulty\":%s,\"behind_ms\":%s}\n",
                  line->now.ms / 1000, line->now.ms % 1000, worker, job, line->result, code,
                  difficulty, behind);
    /* One write a line: appends of several processes do not mix, and a kill leaves whole lines. */
    if (text.failed || write(pool->log_fd, text.data, text.len) != (ssize_t)text.len) {
        sl_log(SL_LOG_ERROR, "pool.log", "share log cannot be written: %s", strerror(errno));
        pool->log_ok = false;
    }
}
