/* SPDX-License-Identifier: Apache-2.0
 * Thousands of random events: agents that come, go, crash, resend and hand back; prices, bids,
 * cancellations, orders; a store that lags; a broker that is killed. After each, the rules of the
 * house; when the faults stop, every batch comes to its one end. A failing seed is printed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/text.h"
#include "tests/unit/broker/core/world.h"

#include <cmocka.h>

#define AGENTS 3
#define DEVICES 2
#define HELD 64
#define SPOOL 256
#define BATCHES 40

struct held_unit {
    struct sl_unit_row row;
    uint64_t open; /* bits of lines not finished */
};
struct spooled {
    uint64_t id;
    struct sl_unit_row unit;
    uint64_t lines; /* bits */
    bool done;
    bool bad;
};
struct device {
    enum sl_mode mode;
    uint64_t epoch;
};
struct agent {
    char key[4];
    bool up;
    uint64_t boot, conn, session;
    struct device devices[DEVICES];
    uint64_t epochs[DEVICES];
    struct held_unit held[HELD];
    uint32_t held_count;
    struct spooled spool[SPOOL];
    uint32_t spool_count;
    uint64_t result_id, share_id;
};
struct sim {
    struct world w;
    struct agent agents[AGENTS];
    uint64_t random;
    char validate[BATCHES][SL_ID_MAX];
    uint32_t validate_count;
    char finalize[BATCHES][SL_ID_MAX];
    uint32_t finalize_count;
    uint32_t batches;
    uint32_t restarts;
};

static uint32_t pick(struct sim *s, uint32_t below) {
    s->random = s->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(s->random >> 33) % below;
}

/* ---- an agent ---- */

static void spool(struct agent *a, const struct held_unit *unit, uint64_t lines, bool done,
                  bool bad) {
    if (a->spool_count < SPOOL) {
        a->spool[a->spool_count++] = (struct spooled){++a->result_id, unit->row, lines, done, bad};
    }
}

static void hand_back(struct agent *a, uint32_t at) {
    spool(a, &a->held[at], 0, true, false);
    a->held[at] = a->held[--a->held_count];
}

static uint32_t device_index(const char *key) {
    return (uint32_t)(strchr(key, '/')[1] - '0');
}

static void take_directive(struct agent *a, const struct sl_msg_directive *d) {
    uint32_t i = device_index(d->device);
    if (d->epoch < a->epochs[i] || (d->epoch == a->epochs[i] && a->devices[i].epoch != d->epoch)) {
        return; /* refuses lower ones */
    }
    if (d->epoch > a->epochs[i]) {
        for (uint32_t k = a->held_count; k > 0; k--) {
            if (device_index(a->held[k - 1].row.device) == i) {
                hand_back(a, k - 1);
            }
        }
    }
    a->epochs[i] = d->epoch;
    a->devices[i] = (struct device){d->mode, d->epoch};
}

static void take_unit(struct agent *a, const struct sl_unit_row *row) {
    uint32_t i = device_index(row->device);
    if (row->epoch == a->devices[i].epoch && a->held_count < HELD) {
        a->held[a->held_count++] = (struct held_unit){*row, (UINT64_C(1) << row->line_count) - 1};
    }
}

static void take_msg(struct agent *a, const struct sl_msg *msg) {
    if (msg->kind == SL_MSG_WELCOME) {
        a->session = msg->welcome.session;
    } else if (msg->kind == SL_MSG_DIRECTIVE) {
        take_directive(a, &msg->directive);
    } else if (msg->kind == SL_MSG_DRAIN) {
        for (uint32_t i = 0; i < msg->drain.unit_count; i++) {
            for (uint32_t k = a->held_count; k > 0; k--) {
                if (a->held[k - 1].row.unit_id == msg->drain.units[i]) {
                    hand_back(a, k - 1);
                }
            }
        }
    } else if (msg->kind == SL_MSG_RESULT_ACK) {
        for (uint32_t i = 0; i < msg->result_ack.result_count; i++) {
            for (uint32_t k = a->spool_count; k > 0; k--) {
                if (a->spool[k - 1].id == msg->result_ack.results[i]) {
                    a->spool[k - 1] = a->spool[--a->spool_count];
                }
            }
        }
    } else if (msg->kind == SL_MSG_GOODBYE) {
        a->session = 0;
    }
}

/* What came out goes where it belongs; a broken line loses it. */
static void deliver(struct sim *s) {
    struct world *w = &s->w;
    for (uint32_t i = 0; i < w->sent_count; i++) {
        const struct sl_core_command *c = &w->sent[i];
        if (c->kind == SL_CCMD_VALIDATE && s->validate_count < BATCHES) {
            sl_text_copy(s->validate[s->validate_count++], SL_ID_MAX, c->batch);
        } else if (c->kind == SL_CCMD_FINALIZE && s->finalize_count < BATCHES) {
            sl_text_copy(s->finalize[s->finalize_count++], SL_ID_MAX, c->batch);
        }
        for (uint32_t k = 0; k < AGENTS; k++) {
            struct agent *a = &s->agents[k];
            bool theirs = a->up && strcmp(a->key, c->peer.key) == 0 && a->conn == c->peer.conn;
            if (theirs && c->kind == SL_CCMD_SEND) {
                take_msg(a, c->msg);
            } else if (theirs && c->kind == SL_CCMD_SEND_UNIT && c->msg->session == a->session) {
                take_unit(a, &c->unit);
            }
        }
    }
    world_forget_sent(w);
}

static void fill_devices(const struct agent *a, struct sl_msg_device *devices) {
    for (uint32_t i = 0; i < DEVICES; i++) {
        char key[SL_MSG_KEY_MAX];
        snprintf(key, sizeof key, "%s/%u", a->key, i);
        world_device(&devices[i], key);
        devices[i].epoch_max = a->epochs[i];
        devices[i].epoch = a->devices[i].epoch;
        devices[i].safe = a->devices[i].epoch == 0;
        devices[i].mode = devices[i].safe ? SL_MODE_HASH : a->devices[i].mode;
        devices[i].watts[SL_MODE_HASH] = (struct sl_watts){SL_SOURCE_MEASURED, 1000};
        for (uint32_t k = 0; k < a->held_count; k++) {
            devices[i].units_held += device_index(a->held[k].row.device) == i;
        }
    }
}

static void say_hello(struct sim *s, struct agent *a) {
    static uint64_t conns = 1;
    struct sl_msg_device devices[DEVICES];
    uint64_t units[HELD];
    fill_devices(a, devices);
    for (uint32_t i = 0; i < a->held_count; i++) {
        units[i] = a->held[i].row.unit_id;
    }
    a->up = true;
    a->conn = ++conns;
    a->session = 0;
    world_hello_units(&s->w, a->key, a->conn, a->boot, devices, DEVICES, units, a->held_count);
}

static void send(struct sim *s, struct agent *a, struct sl_msg *msg) {
    if (a->up) {
        world_msg(&s->w, a->key, a->conn, a->session, msg);
    }
}

static void report(struct sim *s, struct agent *a) {
    struct sl_msg_device devices[DEVICES];
    fill_devices(a, devices);
    struct sl_msg msg = {.kind = SL_MSG_REPORT};
    msg.report.device_count = DEVICES;
    msg.report.devices = devices;
    msg.report.results_spooled = a->spool_count;
    msg.report.pool.connected = msg.report.pool.has_job = true;
    send(s, a, &msg);
}

static void running(struct sim *s, struct agent *a, uint32_t i) {
    struct sl_msg msg = {.kind = SL_MSG_ACK};
    snprintf(msg.ack.device, sizeof msg.ack.device, "%s/%u", a->key, i);
    msg.ack.epoch = a->devices[i].epoch;
    msg.ack.outcome = SL_ACK_RUNNING;
    msg.ack.started_ns = (uint64_t)s->w.now.mono.ns + 1000000;
    if (msg.ack.epoch > 0) {
        send(s, a, &msg);
    }
}

static void work(struct sim *s, struct agent *a) {
    if (a->held_count == 0) {
        return;
    }
    uint32_t at = pick(s, a->held_count);
    struct held_unit *unit = &a->held[at];
    uint64_t lines = 0;
    for (uint32_t i = 0; i < unit->row.line_count; i++) {
        lines |= (unit->open >> i & 1) && pick(s, 3) ? UINT64_C(1) << i : 0;
    }
    unit->open &= ~lines;
    bool done = unit->open == 0 || pick(s, 20) == 0;
    spool(a, unit, lines, done, pick(s, 40) == 0);
    if (done) {
        a->held[at] = a->held[--a->held_count];
    }
}

static void send_spooled(struct sim *s, struct agent *a) {
    static const uint8_t data[4] = {0, 0, 0x80, 0x3f};
    static const struct sl_msg_vector vector = {0, 7, 1, data};
    if (a->spool_count == 0) {
        return;
    }
    struct spooled out = a->spool[pick(s, a->spool_count)];
    struct sl_msg_result_line lines[SL_MSG_LINES_MAX] = {0};
    uint32_t count = 0;
    for (uint32_t i = 0; i < out.unit.line_count; i++) {
        if (out.lines >> i & 1) {
            lines[count++] = (struct sl_msg_result_line){
                .line = out.unit.lines[i],
                .status = out.bad && i == 0 ? SL_LINE_FAILED : SL_LINE_OK,
                .tokens = 1 + out.unit.lines[i] % 90,
                .vector_count = 1,
                .vectors = &vector};
        }
    }
    struct sl_msg msg = {.kind = SL_MSG_RESULT};
    msg.result = (struct sl_msg_result){.result_id = out.id,
                                        .unit_id = out.unit.unit_id,
                                        .line_count = count,
                                        .lines = lines,
                                        .unit_done = out.done};
    send(s, a, &msg);
}

static void send_share(struct sim *s, struct agent *a) {
    struct sl_msg_share shares[4];
    uint32_t count = 1 + pick(s, 4);
    for (uint32_t i = 0; i < count; i++) {
        bool old = a->share_id > 0 && pick(s, 3) == 0;
        shares[i] = (struct sl_msg_share){.share_id = old ? 1 + pick(s, (uint32_t)a->share_id)
                                                          : ++a->share_id,
                                          .outcome = (enum sl_share_outcome)(1 + pick(s, 4)),
                                          .work_hashes = UINT64_C(4295032833) * pick(s, 1000),
                                          .difficulty_nano = UINT64_C(1000000000000),
                                          .age_ms = pick(s, 5000)};
    }
    struct sl_msg msg = {.kind = SL_MSG_SHARES, .shares = {count, shares}};
    send(s, a, &msg);
}

/* ---- events ---- */

static void restart_agent(struct agent *a) {
    a->boot += 100;
    a->held_count = 0; /* what is finished is in the journal, what was begun is not */
    memset(a->devices, 0, sizeof a->devices);
}

static void agent_event(struct sim *s) {
    struct agent *a = &s->agents[pick(s, AGENTS)];
    switch (pick(s, 12)) {
    case 0:
        if (!a->up || a->session == 0 || pick(s, 15) == 0) {
            say_hello(s, a);
        }
        break;
    case 1:
        if (pick(s, 6) == 0) {
            a->up = false; /* the line is cut */
        }
        break;
    case 2:
        if (pick(s, 10) == 0) {
            a->up = false;
            restart_agent(a);
        }
        break;
    case 3:
        running(s, a, pick(s, DEVICES));
        break;
    case 4:
    case 5:
        report(s, a);
        break;
    case 6:
    case 7:
        work(s, a);
        break;
    case 8:
        send_share(s, a);
        break;
    case 9:
        if (pick(s, 25) == 0) { /* a lease lapses at the agent */
            uint32_t i = pick(s, DEVICES);
            a->devices[i].epoch = 0;
        }
        break;
    default:
        send_spooled(s, a);
        break;
    }
}

static void any_batch(struct sim *s, char id[SL_ID_MAX]) {
    snprintf(id, SL_ID_MAX, "b%u", pick(s, s->batches ? s->batches : 1));
}

static void worker_event(struct sim *s) {
    if (s->validate_count > 0) {
        char *id = s->validate[--s->validate_count];
        uint32_t number = (uint32_t)atoi(id + 1);
        /* The same lines whenever it is asked. */
        world_validated(&s->w, id, number % 9 == 8 ? 0 : 5 + number * 7 % 60, number % 5);
    } else if (s->finalize_count > 0) {
        world_finalized(&s->w, s->finalize[--s->finalize_count]);
    }
}

static void tenant_event(struct sim *s) {
    char id[SL_ID_MAX];
    any_batch(s, id);
    switch (pick(s, 6)) {
    case 0:
        if (s->batches < BATCHES) {
            snprintf(id, sizeof id, "b%u", s->batches++);
            world_batch_only(&s->w, id, pick(s, 2) ? "acme" : "poor",
                             WORLD_BID_LOW * (1 + pick(s, 200)),
                             pick(s, 4) ? 0 : s->w.now.wall.ms + 1000 + pick(s, 20000));
        }
        break;
    case 1:
        if (pick(s, 10) == 0) {
            world_cancel(&s->w, id, "");
        }
        break;
    case 2:
        world_bid(&s->w, id, "", WORLD_BID_LOW * (1 + pick(s, 200)));
        break;
    default:
        worker_event(s);
        break;
    }
}

static void operator_event(struct sim *s) {
    static const char *const subjects[] = {"A/0", "A/1", "B/0", "node-C", "*"};
    const char *subject = subjects[pick(s, 5)];
    if (pick(s, 2)) {
        world_order(&s->w, subject, SL_OVERRIDE_NONE, SL_MODE_INVALID);
    } else if (strcmp(subject, "*") == 0) {
        world_order(&s->w, subject, SL_OVERRIDE_STOP, SL_MODE_INVALID);
    } else {
        world_order(&s->w, subject, pick(s, 2) ? SL_OVERRIDE_DRAIN : SL_OVERRIDE_PIN,
                    (enum sl_mode)(1 + pick(s, 3)));
    }
}

static void restart_broker(struct sim *s) {
    s->restarts++;
    world_restart(&s->w);
    s->validate_count = 0;
    s->finalize_count = 0;
    for (uint32_t i = 0; i < AGENTS; i++) {
        s->agents[i].session = 0;
    }
    struct sl_core_event event = {.kind = SL_CEV_TIMER};
    world_step(&s->w, &event);
}

static void any_event(struct sim *s) {
    uint32_t kind = pick(s, 100);
    if (kind < 62) {
        agent_event(s);
    } else if (kind < 75) {
        tenant_event(s);
    } else if (kind < 80) {
        world_price(&s->w, 0, WORLD_PRICE * (1 + pick(s, 40)) / 10);
    } else if (kind < 82) {
        operator_event(s);
    } else if (kind < 95) {
        world_wait(&s->w, 1 + pick(s, 400));
    } else if (kind < 97) {
        s->w.hold = !s->w.hold;
    } else if (kind < 99 && s->w.txn_count > 0) {
        world_commit_one(&s->w);
    } else if (pick(s, 10) == 0) {
        restart_broker(s);
    }
    if (!s->w.hold || s->w.txn_count > 100) {
        world_commit(&s->w);
    }
    deliver(s);
    world_check(&s->w);
}

static bool all_final(struct sim *s) {
    for (uint32_t i = 0; i < s->w.store->batch_count; i++) {
        if (!sl_batch_state_is_final(s->w.store->batches[i].state)) {
            return false;
        }
    }
    return true;
}

/* No more faults: everybody does what he should, and all work must come to its end. */
static void calm_down(struct sim *s) {
    s->w.hold = false;
    world_commit(&s->w);
    deliver(s);
    static const char *const subjects[] = {"*", "A/0", "A/1", "B/0", "node-A", "node-B", "node-C"};
    for (size_t i = 0; i < sizeof subjects / sizeof subjects[0]; i++) {
        world_order(&s->w, subjects[i], SL_OVERRIDE_NONE, SL_MODE_INVALID);
    }
    world_price(&s->w, 0, 1000); /* hashing is worth nothing: all serve */
    for (uint32_t i = 0; i < 50; i++) {
        char id[SL_ID_MAX];
        snprintf(id, sizeof id, "b%u", i);
        world_bid(&s->w, id, "", WORLD_BID_LOW);
    }
    deliver(s);
    for (int round = 0; round < 4000 && !all_final(s); round++) {
        for (uint32_t i = 0; i < AGENTS; i++) {
            struct agent *a = &s->agents[i];
            if (!a->up || a->session == 0) {
                say_hello(s, a);
                deliver(s);
            }
            report(s, a);
            deliver(s);
            running(s, a, 0);
            running(s, a, 1);
            work(s, a);
            send_spooled(s, a);
            send_spooled(s, a);
            deliver(s);
        }
        worker_event(s);
        worker_event(s);
        world_wait(&s->w, 50);
        deliver(s);
        world_check(&s->w);
        if (round % 400 == 399) { /* poor's budget may be spent: what is left expires */
            world_wait(&s->w, 100);
        }
    }
}

static void run(uint64_t seed, uint32_t steps) {
    struct sim *s = calloc(1, sizeof *s);
    assert_non_null(s);
    struct sl_core_config config = world_config();
    config.power_nusd_per_kwh = 70000000;
    config.batch_life_ms = 120000;
    config.dwell_min_ms = seed % 3 ? 0 : 300;
    world_init(&s->w, &config);
    s->random = seed;
    for (uint32_t i = 0; i < AGENTS; i++) {
        snprintf(s->agents[i].key, sizeof s->agents[i].key, "%c", 'A' + (int)i);
        s->agents[i].boot = i + 1;
    }
    world_price(&s->w, 0, WORLD_PRICE);
    for (uint32_t i = 0; i < steps; i++) {
        any_event(s);
    }
    calm_down(s);
    if (!all_final(s)) {
        fail_msg("seed %llu: a batch never came to its end", (unsigned long long)seed);
    }
    /* Every line of a completed batch has exactly one result or was refused at validation. */
    for (uint32_t i = 0; i < s->w.store->batch_count; i++) {
        const struct sl_batch_row *row = &s->w.store->batches[i];
        uint32_t results = 0;
        for (uint32_t k = 0; k < s->w.store->result_count; k++) {
            results += strcmp(s->w.store->results[k].batch, row->id) == 0;
        }
        if (row->state == SL_BATCH_COMPLETED) {
            assert_int_equal(row->lines_completed + row->lines_failed, row->lines_total);
            assert_in_range(results, row->lines_completed, row->lines_total);
        }
    }
    assert_true(s->w.store->result_count > 0 && s->w.store->share_count > 0);
    print_message(
        "seed %llu: %u batches, %u directives, %u units, %u lines, %u shares, %u restarts\n",
        (unsigned long long)seed, s->w.store->batch_count, s->w.store->directive_count,
        s->w.store->unit_count, s->w.store->result_count, s->w.store->share_count, s->restarts);
    world_fini(&s->w);
    free(s);
}

static void test_random_worlds(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        run(seed, 2500);
    }
}

static void test_one_world(void **state) {
    char **argv = *state;
    run(strtoull(argv[1], NULL, 10), (uint32_t)strtoul(argv[2], NULL, 10));
}

int main(int argc, char **argv) {
    if (argc == 3) { /* one seed, so many steps: to look for more by hand */
        const struct CMUnitTest one[] = {cmocka_unit_test_prestate(test_one_world, argv)};
        return cmocka_run_group_tests(one, NULL, NULL);
    }
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_random_worlds)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
