/* SPDX-License-Identifier: Apache-2.0
 * Three addresses of one pool that may say anything, in any order. Bytes 1 to 8 and 14 to 16, which
 * no JSON text holds, are what happens between two pieces: another address speaks, answers or
 * breaks its connection, a share is found, time passes. Every share ends exactly once, jobs come
 * only from the address that serves, and there is always a time to wait for. */
#include "tests/fuzz/fuzz.h"

#include "agent/stratum/failover.h"
#include "proto/base/text.h"

enum op {
    OP_CUT = 1,
    OP_SHARE,
    OP_OLD_SHARE,
    OP_DEADLINE,
    OP_SECOND,
    OP_BREAK,
    OP_RESTART,
    OP_CONNECT,
    OP_FIRST_LINK = 14,
    OP_LAST_LINK = 16,
};

#define LINKS 3
#define SHARES_MAX 2048

struct world {
    struct sl_failover *pool;
    struct sl_mono now;
    struct sl_job *job;
    struct sl_share old;
    uint32_t link;
    bool wanted[LINKS]; /* a connection was asked for */
    bool open[LINKS];
    uint64_t serial[LINKS];
    uint32_t submitted, ended;
    uint8_t ends[SHARES_MAX];
};

static void check_clean(const char *text) {
    size_t n = strnlen(text, SL_STRATUM_TEXT_MAX + 1);
    fuzz_check(n <= SL_STRATUM_TEXT_MAX && sl_utf8_valid(text, n));
    for (size_t i = 0; i < n; i++) {
        fuzz_check((unsigned char)text[i] >= 0x20 && text[i] != 0x7F);
    }
}

static void take_job(struct world *world, uint32_t link, struct sl_job *job) {
    struct sl_failover_status status;
    sl_failover_status(world->pool, &status);
    fuzz_check(status.serving == (int)link && job->serial >> 56 == link);
    fuzz_check(job->serial >= world->serial[link] && job->session >> 24 == link);
    world->serial[link] = job->serial;
    sl_job_unref(world->job);
    world->job = sl_job_ref(job);
}

static void take_action(struct world *world, const struct sl_failover_action *next) {
    const struct sl_stratum_action *a = &next->action;
    uint32_t link = next->link;
    fuzz_check(link < LINKS);
    if (a->type == SL_STRATUM_CONNECT) {
        fuzz_check(!world->open[link] && !world->wanted[link] && a->tls == (link == 1));
        world->wanted[link] = true;
    } else if (a->type == SL_STRATUM_SEND) {
        fuzz_check(world->open[link] && a->size > 1);
    } else if (a->type == SL_STRATUM_CLOSE) {
        world->open[link] = false;
        world->wanted[link] = false;
    } else if (a->type == SL_STRATUM_JOB) {
        take_job(world, link, a->job);
    } else if (a->type == SL_STRATUM_NO_WORK) {
        sl_job_unref(world->job);
        world->job = NULL;
    } else if (a->type == SL_STRATUM_SHARE) {
        fuzz_check(a->share_seq < world->submitted && !world->ends[a->share_seq]);
        world->ends[a->share_seq] = 1;
        world->ended++;
        check_clean(a->text);
    } else if (a->type != SL_STRATUM_DIFFICULTY) {
        check_clean(a->text);
    }
}

static void take_actions(struct world *world) {
    struct sl_failover_action action;
    struct sl_failover_status status;
    while (sl_failover_take(world->pool, &action)) {
        take_action(world, &action);
    }
    sl_failover_status(world->pool, &status);
    fuzz_check(status.client.unanswered + status.client.waiting == world->submitted - world->ended);
    fuzz_check(status.serving < 0 || world->open[status.serving]);
}

static void submit(struct world *world, struct sl_share *share) {
    if (world->submitted < SHARES_MAX) {
        share->seq = world->submitted;
        /* The outcome may be there before the call is over, so it is counted before. */
        world->submitted++;
        if (sl_failover_submit(world->pool, share, world->now, NULL) != SL_OK) {
            world->submitted--;
        }
    }
}

static void find_share(struct world *world) {
    struct sl_work_cursor cursor;
    struct sl_work work;
    fuzz_check(sl_work_cursor_init(&cursor, 0, 1, NULL) == SL_OK);
    if (world->job && sl_work_next(&cursor, world->job, &work, NULL) == SL_OK) {
        sl_share_from_work(&work, world->submitted, 0, &world->old);
        submit(world, &world->old);
    }
}

static void break_link(struct world *world) {
    if (world->open[world->link] || world->wanted[world->link]) {
        world->open[world->link] = false;
        world->wanted[world->link] = false;
        sl_failover_disconnected(world->pool, world->link, "broken", world->now);
    }
}

static void step(struct world *world, enum op op) {
    struct sl_mono when;
    if (op >= OP_FIRST_LINK) {
        world->link = op - OP_FIRST_LINK;
    } else if (op == OP_SHARE) {
        find_share(world);
    } else if (op == OP_OLD_SHARE) {
        submit(world, &world->old);
    } else if (op == OP_DEADLINE) {
        fuzz_check(sl_failover_deadline(world->pool, &when));
        world->now = when.ns > world->now.ns ? when : world->now;
        sl_failover_timer(world->pool, world->now);
    } else if (op == OP_SECOND) {
        world->now = sl_mono_after_ms(world->now, 1000);
        sl_failover_timer(world->pool, world->now);
    } else if (op == OP_BREAK) {
        break_link(world);
    } else if (op == OP_CONNECT && world->wanted[world->link]) {
        world->wanted[world->link] = false;
        world->open[world->link] = true;
        sl_failover_connected(world->pool, world->link, world->now);
    } else if (op == OP_RESTART) {
        sl_failover_stop(world->pool, world->now);
        take_actions(world);
        fuzz_check(world->ended == world->submitted);
        sl_failover_start(world->pool, world->now);
    }
    take_actions(world);
}

static void talk(struct world *world, const uint8_t *data, size_t size) {
    size_t from = 0;
    for (size_t i = 0; i <= size; i++) {
        bool end = i == size;
        bool op = !end && ((data[i] >= OP_CUT && data[i] <= OP_CONNECT) ||
                           (data[i] >= OP_FIRST_LINK && data[i] <= OP_LAST_LINK));
        if (!end && !op) {
            continue;
        }
        if (world->open[world->link] && i > from) {
            uint8_t *copy = fuzz_copy(data + from, i - from);
            sl_failover_received(world->pool, world->link, copy, i - from, world->now);
            free(copy);
            take_actions(world);
        }
        if (op) {
            step(world, (enum op)data[i]);
        }
        from = i + 1;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct fuzz_input in = {data, size};
    struct sl_failover_config config;
    struct sl_error err = {0};
    static struct world world;
    uint8_t how = fuzz_u8(&in);
    sl_failover_config_defaults(&config);
    config.url_count = LINKS;
    for (uint32_t i = 0; i < LINKS; i++) {
        snprintf(config.urls[i].host, sizeof config.urls[i].host, "p%u.example", i);
        config.urls[i].port = 3333;
        config.urls[i].tls = i == 1;
    }
    strcpy(config.client.user, "u");
    config.client.version_mask = how & 1 ? config.client.version_mask : 0;
    config.client.submit_stale = (how & 4) != 0;
    world = (struct world){.now = {1000 * SL_NS_PER_S}};
    fuzz_check(sl_failover_create(&config, how, &world.pool, &err) == SL_OK);
    sl_failover_start(world.pool, world.now);
    take_actions(&world);
    talk(&world, in.at, in.left);
    sl_failover_stop(world.pool, world.now);
    take_actions(&world);
    fuzz_check(world.ended == world.submitted);
    sl_failover_destroy(world.pool);
    sl_job_unref(world.job);
    return 0;
}
