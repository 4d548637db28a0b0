/* SPDX-License-Identifier: Apache-2.0
 * A pool that may say anything: the whole client, fed with the input as the pool's bytes. Bytes 1
 * to 9 (which no JSON text holds) are what else may happen between two pieces: the pool's bytes are
 * cut there, and time passes, a share is found, the connection breaks. Every share ends exactly
 * once, and what the client does keeps its own rules. */
#include "tests/fuzz/fuzz.h"

#include "agent/stratum/client.h"
#include "proto/base/text.h"

enum op {
    OP_CUT = 1,
    OP_SHARE,
    OP_OLD_SHARE,
    OP_DEADLINE,
    OP_SECOND,
    OP_BREAK,
    OP_RESTART,
    OP_RAW, /* the next byte is the pool's, whatever it is */
};

#define SHARES_MAX 4096

struct pool {
    struct sl_stratum *client;
    struct sl_mono now;
    struct sl_job *job;
    struct sl_share old;
    uint64_t serial;
    uint32_t session;
    bool connected;
    uint32_t submitted;
    uint32_t ended;
    uint8_t ends[SHARES_MAX]; /* by seq */
};

static void check_clean(const char *text) {
    size_t n = strnlen(text, SL_STRATUM_TEXT_MAX + 1);
    fuzz_check(n <= SL_STRATUM_TEXT_MAX);
    for (size_t i = 0; i < n; i++) {
        fuzz_check((unsigned char)text[i] >= 0x20 && text[i] != 0x7F);
    }
    fuzz_check(sl_utf8_valid(text, n));
}

static void take_job(struct pool *pool, struct sl_job *job) {
    fuzz_check(job && job->serial > pool->serial && job->references > 0);
    fuzz_check(job->session >= pool->session && job->hashes_per_share > 0);
    fuzz_check(sl_stratum_job(pool->client) != NULL);
    check_clean(job->id);
    pool->serial = job->serial;
    pool->session = job->session;
    sl_job_unref(pool->job);
    pool->job = sl_job_ref(job);
}

static void take_action(struct pool *pool, const struct sl_stratum_action *a) {
    switch (a->type) {
    case SL_STRATUM_CONNECT:
        fuzz_check(!pool->connected && a->host && a->host[0] != '\0' && a->port != 0);
        break;
    case SL_STRATUM_SEND:
        fuzz_check(pool->connected && a->size > 1 && a->data[a->size - 1] == '\n');
        fuzz_check(sl_utf8_valid(a->data, a->size));
        fuzz_check(memchr(a->data, '\n', a->size) == a->data + a->size - 1);
        break;
    case SL_STRATUM_CLOSE:
        pool->connected = false;
        break;
    case SL_STRATUM_JOB:
        take_job(pool, a->job);
        break;
    case SL_STRATUM_SHARE:
        fuzz_check(a->share_seq < pool->submitted && !pool->ends[a->share_seq]);
        fuzz_check(a->outcome >= SL_ANSWER_ACCEPTED && a->outcome <= SL_ANSWER_UNKNOWN);
        fuzz_check(a->sent || a->outcome == SL_ANSWER_STALE);
        pool->ends[a->share_seq] = 1;
        pool->ended++;
        check_clean(a->text);
        break;
    case SL_STRATUM_MISCONFIGURED:
    case SL_STRATUM_LOG:
        check_clean(a->text);
        break;
    case SL_STRATUM_NO_WORK:
    case SL_STRATUM_DIFFICULTY:
        break;
    default:
        fuzz_broken("an unknown action", __FILE__, __LINE__);
    }
}

static void take_actions(struct pool *pool) {
    struct sl_stratum_action action;
    struct sl_stratum_status status;
    while (sl_stratum_take(pool->client, &action)) {
        bool connect = action.type == SL_STRATUM_CONNECT;
        take_action(pool, &action);
        if (connect) {
            pool->connected = true;
            sl_stratum_connected(pool->client, pool->now);
        }
    }
    sl_stratum_status(pool->client, &status);
    check_clean(status.last_error);
    fuzz_check(status.unanswered <= SL_STRATUM_SHARES_MAX);
    fuzz_check(status.waiting <= SL_STRATUM_SHARES_MAX);
    fuzz_check(status.unanswered + status.waiting == pool->submitted - pool->ended);
    fuzz_check(status.accepted + status.stale + status.rejected + status.unknown == pool->ended);
    fuzz_check(pool->connected || status.state == SL_STRATUM_STOPPED ||
               status.state == SL_STRATUM_WAITING || status.state == SL_STRATUM_REFUSED);
}

static void submit(struct pool *pool, struct sl_share *share) {
    if (pool->submitted < SHARES_MAX) {
        share->seq = pool->submitted;
        pool->submitted += sl_stratum_submit(pool->client, share, pool->now, NULL) == SL_OK;
    }
}

static void find_share(struct pool *pool) {
    struct sl_work_cursor cursor;
    struct sl_work work;
    struct sl_share share;
    uint8_t hash[32];
    fuzz_check(sl_work_cursor_init(&cursor, 1, 3, NULL) == SL_OK);
    if (!pool->job || sl_work_next(&cursor, pool->job, &work, NULL) != SL_OK) {
        return;
    }
    sl_work_hash(&work, pool->submitted, hash);
    sl_share_from_work(&work, pool->submitted, 0, &share);
    submit(pool, &share);
    pool->old = share;
}

static void step(struct pool *pool, enum op op) {
    struct sl_mono when;
    switch (op) {
    case OP_SHARE:
        find_share(pool);
        break;
    case OP_OLD_SHARE:
        submit(pool, &pool->old);
        break;
    case OP_DEADLINE:
        if (sl_stratum_deadline(pool->client, &when)) {
            fuzz_check(when.ns >= pool->now.ns);
            pool->now = when;
        }
        sl_stratum_timer(pool->client, pool->now);
        break;
    case OP_SECOND:
        pool->now = sl_mono_after_ms(pool->now, 1000);
        sl_stratum_timer(pool->client, pool->now);
        break;
    case OP_BREAK:
        if (pool->connected) {
            pool->connected = false;
            sl_stratum_disconnected(pool->client, "broken", pool->now);
        }
        break;
    case OP_RESTART:
        sl_stratum_stop(pool->client, pool->now);
        take_actions(pool);
        fuzz_check(pool->ended == pool->submitted);
        sl_stratum_start(pool->client, pool->now);
        break;
    case OP_CUT:
    case OP_RAW:
    default:
        break;
    }
    take_actions(pool);
}

static void say(struct pool *pool, const uint8_t *bytes, size_t n) {
    uint8_t *copy = fuzz_copy(bytes, n);
    if (pool->connected && n > 0) {
        sl_stratum_received(pool->client, copy, n, pool->now);
    }
    free(copy);
    take_actions(pool);
}

static void talk(struct pool *pool, const uint8_t *data, size_t size) {
    size_t from = 0;
    for (size_t i = 0; i < size; i++) {
        if (data[i] == 0 || data[i] > OP_RAW) {
            continue;
        }
        say(pool, data + from, i - from);
        step(pool, (enum op)data[i]);
        from = i + 1;
        i += data[i] == OP_RAW;
    }
    if (from < size) {
        say(pool, data + from, size - from);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct fuzz_input in = {data, size};
    struct sl_stratum_config config;
    struct sl_error err = {0};
    static struct pool pool;
    uint8_t how = fuzz_u8(&in);
    sl_stratum_config_defaults(&config);
    strcpy(config.url.host, "pool.example");
    config.url.port = 3333;
    strcpy(config.user, "u");
    strcpy(config.agent, "t/1");
    config.version_mask = how & 1 ? 0 : config.version_mask;
    config.extranonce_subscribe = (how & 2) != 0;
    config.submit_stale = (how & 4) != 0;
    config.suggest_difficulty = how & 8 ? 0.5 : 0;
    pool = (struct pool){.now = {1000 * SL_NS_PER_S}};
    fuzz_check(sl_stratum_create(&config, 42, &pool.client, &err) == SL_OK);
    sl_stratum_start(pool.client, pool.now);
    take_actions(&pool);
    talk(&pool, in.at, in.left);
    sl_stratum_stop(pool.client, pool.now);
    take_actions(&pool);
    fuzz_check(pool.ended == pool.submitted);
    sl_stratum_destroy(pool.client);
    sl_job_unref(pool.job);
    return 0;
}
