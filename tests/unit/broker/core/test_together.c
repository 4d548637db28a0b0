/* SPDX-License-Identifier: Apache-2.0
 * Both cores together, in memory and in virtual time: the broker's core with its made-up store, the
 * agent's core with fake devices, a journal and a pool, and between them the real codec over the
 * in-memory link. Nothing here is a message made by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/link/link.h"
#include "proto/wire/codec.h"
#include "tests/unit/agent/core/rig.h"
#include "tests/unit/broker/core/world.h"

#include <cmocka.h>

#define KEY "agent-key-of-forty-characters-0000000000"
#define DEVICE "rig/fake/0"
#define BID_WINS INT64_C(100000000)
#define BID_LOSES INT64_C(1000)

struct site {
    struct world w;
    struct rig rig;
    struct sl_mem_hub *hub;
    struct sl_link *server;
    struct sl_link *client;
    struct sl_msg_arena *arena;
    uint32_t commands; /* of the world that were carried out */
};

/* ---- the wire ---- */

static void agent_to_link(struct site *s) {
    for (uint32_t i = 0; i < s->rig.sent_count; i++) {
        sl_link_send(s->client, NULL, s->rig.sent[i].data, s->rig.sent[i].size, NULL);
    }
    rig_forget(&s->rig);
}

static void encode_to(struct site *s, const struct sl_link_peer *peer, const struct sl_msg *msg) {
    SL_AUTO_BUF struct sl_buf buf = {0};
    struct sl_error err;
    if (sl_msg_encode(msg, &buf, &err) != SL_OK) {
        fail_msg("the broker's message cannot be encoded: %s", err.text);
    }
    sl_link_send(s->server, peer, (const uint8_t *)buf.data, buf.len, NULL);
}

/* As the shell does it: the texts of the lines come from the spool. */
static void unit_to_link(struct site *s, const struct sl_core_command *c) {
    static const char text[] = "some words";
    struct sl_msg_input inputs[SL_MSG_LINES_MAX];
    struct sl_msg_unit_line lines[SL_MSG_LINES_MAX];
    for (uint32_t i = 0; i < c->unit.line_count; i++) {
        inputs[i] = (struct sl_msg_input){.text = text, .bytes = 1 + c->unit.lines[i] % 9};
        lines[i] = (struct sl_msg_unit_line){
            .line = c->unit.lines[i], .input_count = 1, .inputs = &inputs[i]};
    }
    struct sl_msg msg = *c->msg;
    msg.unit.lines = lines;
    encode_to(s, &c->peer, &msg);
}

static void broker_to_link(struct site *s) {
    struct world *w = &s->w;
    for (; s->commands < w->sent_count; s->commands++) {
        const struct sl_core_command *c = &w->sent[s->commands];
        if (c->kind == SL_CCMD_SEND) {
            encode_to(s, &c->peer, c->msg);
        } else if (c->kind == SL_CCMD_SEND_UNIT) {
            unit_to_link(s, c);
        }
    }
    if (w->sent_count > WORLD_SENT / 2) {
        world_forget_sent(w);
        s->commands = 0;
    }
}

static bool link_to_broker(struct site *s) {
    struct sl_link_peer peer;
    const uint8_t *data = NULL;
    size_t size = 0;
    if (sl_link_recv(s->server, &peer, &data, &size, NULL) != SL_OK) {
        return false;
    }
    struct sl_msg msg;
    struct sl_error err;
    if (sl_msg_decode(data, size, s->arena, &msg, &err) != SL_OK) {
        fail_msg("the agent's message cannot be decoded: %s", err.text);
    }
    struct sl_core_event event = {
        .kind = SL_CEV_MSG, .peer = peer, .msg = &msg, .read_ns = s->w.now.mono.ns};
    world_step(&s->w, &event);
    return true;
}

static bool link_to_agent(struct site *s) {
    struct sl_link_peer peer;
    const uint8_t *data = NULL;
    size_t size = 0;
    if (sl_link_recv(s->client, &peer, &data, &size, NULL) != SL_OK) {
        return false;
    }
    struct sl_msg msg;
    struct sl_error err;
    if (sl_msg_decode(data, size, s->rig.arena, &msg, &err) != SL_OK) {
        fail_msg("the broker's message cannot be decoded: %s", err.text);
    }
    sl_agent_message(s->rig.core, s->rig.now, s->rig.now.mono, &msg);
    rig_pump(&s->rig);
    return true;
}

static void exchange(struct site *s) {
    bool busy = true;
    while (busy) {
        agent_to_link(s);
        broker_to_link(s);
        busy = link_to_broker(s);
        busy = link_to_agent(s) || busy;
    }
}

static void live(struct site *s, int64_t ms) {
    for (int64_t i = 0; i < ms; i++) {
        rig_run_us(&s->rig, 1000);
        s->w.now = s->rig.now;
        if (sl_broker_core_due(s->w.core).ns <= s->w.now.mono.ns) {
            struct sl_core_event event = {.kind = SL_CEV_TIMER};
            world_step(&s->w, &event);
        }
        exchange(s);
        world_check(&s->w);
    }
}

static void open_site(struct site *s, const struct rig_options *options) {
    memset(s, 0, sizeof *s);
    struct sl_core_config config = world_config();
    config.hash_factor_milli = INT64_C(10000000000); /* 1 MH/s is worth something, as in a demo */
    config.dwell_min_ms = 0;
    world_init(&s->w, &config);
    rig_start(&s->rig, options);
    s->w.now = s->rig.now;
    assert_int_equal(sl_msg_arena_create(64 << 20, &s->arena, NULL), SL_OK);
    assert_int_equal(sl_mem_hub_create(1024, &s->hub, NULL), SL_OK);
    assert_int_equal(sl_mem_server_create(s->hub, &s->server, NULL), SL_OK);
    assert_int_equal(sl_mem_client_create(s->hub, KEY, &s->client, NULL), SL_OK);
    world_price(&s->w, 0, WORLD_PRICE);
    live(s, 1000);
}

static void close_site(struct site *s) {
    rig_stop(&s->rig);
    world_fini(&s->w);
    sl_link_destroy(s->client);
    sl_link_destroy(s->server);
    sl_mem_hub_destroy(s->hub);
    sl_msg_arena_destroy(s->arena);
    free(s);
}

static struct site *mining_site(uint32_t devices) {
    struct site *s = calloc(1, sizeof *s);
    assert_non_null(s);
    struct rig_options options = {.devices = devices};
    options.script.candidate_every_us = 50000;
    open_site(s, &options);
    return s;
}

/* 5 tokens a ms, so that faults fall into the middle of the work. */
static struct site *slow_site(uint32_t devices) {
    struct site *s = calloc(1, sizeof *s);
    assert_non_null(s);
    struct rig_options options = {.devices = devices};
    options.script.candidate_every_us = 50000;
    options.script.model_count = 1;
    strcpy(options.script.models[0].id, "mini");
    options.script.models[0].tokens_per_s_milli = 5000000;
    options.script.models[0].max_tokens = 16;
    open_site(s, &options);
    return s;
}

static enum sl_mode agent_mode(const struct site *s, uint32_t device) {
    return rig_device(&s->rig, device).mode;
}

static enum sl_batch_state stored(const struct site *s, const char *id) {
    return world_stored_batch(&s->w, id)->state;
}

/* Until the batch is final, at most so long. */
static void live_to_the_end(struct site *s, const char *id, int64_t most_ms) {
    for (int64_t i = 0; i < most_ms && stored(s, id) != SL_BATCH_FINALIZING; i += 10) {
        live(s, 10);
    }
    assert_int_equal(stored(s, id), SL_BATCH_FINALIZING);
    world_finalized(&s->w, id);
    assert_int_equal(stored(s, id), SL_BATCH_COMPLETED);
}

/* ---- stories ---- */

/* The main job: it hashes, a lease pays more, it serves the batch, it hashes again. */
static void test_main_job(void **state) {
    (void)state;
    struct site *s = mining_site(1);
    assert_int_equal(agent_mode(s, 0), SL_MODE_HASH);
    assert_string_equal(world_view(&s->w, DEVICE).state, "hashing");
    live(s, 2000);
    assert_true(s->w.store->share_count > 10);
    assert_true(world_balance(&s->w, "revenue:hash") > 0);
    world_batch(&s->w, "b1", "acme", 200, BID_WINS);
    exchange(s);
    live(s, 5);
    assert_int_equal(agent_mode(s, 0), SL_MODE_INFER);
    live_to_the_end(s, "b1", 20000);
    live(s, 50);
    assert_int_equal(agent_mode(s, 0), SL_MODE_HASH);
    const struct sl_batch_row *row = world_stored_batch(&s->w, "b1");
    assert_int_equal(row->lines_completed, 200);
    assert_int_equal(row->lines_failed, 0);
    /* Line i has 1 + i % 9 bytes; the rig's tokenizer gives two tokens more. */
    int64_t tokens = 0;
    for (int i = 0; i < 200; i++) {
        tokens += 3 + i % 9;
    }
    assert_int_equal(row->tokens, tokens);
    assert_int_equal(row->billed_nusd, tokens * 100);
    assert_true(world_balance(&s->w, "revenue:lease") == tokens * 100);
    struct sl_view_status view;
    sl_view_status_get(s->w.core, s->w.now, &view);
    assert_int_equal(view.switches.count, 2); /* there and back */
    assert_in_range(view.switches.p99_us, 1, 5000);
    close_site(s);
}

static void test_bid_moves_it_there_and_back(void **state) {
    (void)state;
    struct site *s = mining_site(1);
    world_batch(&s->w, "b1", "acme", 2000, BID_LOSES);
    live(s, 100);
    assert_int_equal(agent_mode(s, 0), SL_MODE_HASH);
    for (int i = 0; i < 4; i++) {
        world_bid(&s->w, "b1", "acme", BID_WINS);
        live(s, 5);
        assert_int_equal(agent_mode(s, 0), SL_MODE_INFER);
        world_bid(&s->w, "b1", "acme", BID_LOSES);
        live(s, 5);
        assert_int_equal(agent_mode(s, 0), SL_MODE_HASH);
    }
    live(s, 300);
    /* What was begun and not finished waits again: nothing hangs in the air. */
    assert_int_equal(world_view_batch(&s->w, "b1").issued, 0);
    assert_int_equal(s->w.core->counters.switches, 8);
    world_bid(&s->w, "b1", "acme", BID_WINS);
    live_to_the_end(s, "b1", 60000);
    assert_int_equal(world_stored_batch(&s->w, "b1")->lines_completed, 2000);
    close_site(s);
}

static void test_price_moves_it(void **state) {
    (void)state;
    struct site *s = mining_site(1);
    world_batch(&s->w, "b1", "acme", 20000, 3000);
    live(s, 20);
    assert_int_equal(agent_mode(s, 0), SL_MODE_HASH);
    world_price(&s->w, 0, WORLD_PRICE / 10);
    live(s, 5);
    assert_int_equal(agent_mode(s, 0), SL_MODE_INFER);
    world_price(&s->w, 0, WORLD_PRICE);
    live(s, 5);
    assert_int_equal(agent_mode(s, 0), SL_MODE_HASH);
    close_site(s);
}

static void test_two_devices_share_a_batch(void **state) {
    (void)state;
    struct site *s = mining_site(2);
    world_batch(&s->w, "b1", "acme", 400, BID_WINS);
    exchange(s);
    live(s, 10);
    assert_int_equal(agent_mode(s, 0), SL_MODE_INFER);
    assert_int_equal(agent_mode(s, 1), SL_MODE_INFER);
    live_to_the_end(s, "b1", 20000);
    uint32_t lines[2] = {0};
    for (uint32_t i = 0; i < s->w.store->unit_count; i++) {
        const struct sl_unit_row *unit = &s->w.store->units[i];
        lines[strcmp(unit->device, DEVICE) == 0] += unit->line_count;
    }
    assert_int_equal(lines[0] + lines[1], 400); /* none was issued twice */
    assert_true(lines[0] > 100 && lines[1] > 100);
    close_site(s);
}

/* A new price in the middle of a lease interrupts nothing for long and bills each line once. */
static void test_reprice_under_way(void **state) {
    (void)state;
    struct site *s = mining_site(1);
    world_batch(&s->w, "b1", "acme", 1000, BID_WINS);
    live(s, 6);
    for (int i = 1; i <= 5; i++) {
        world_bid(&s->w, "b1", "acme", BID_WINS + i);
        live(s, 7);
        assert_int_equal(agent_mode(s, 0), SL_MODE_INFER);
    }
    live_to_the_end(s, "b1", 60000);
    assert_int_equal(world_stored_batch(&s->w, "b1")->lines_completed, 1000);
    close_site(s);
}

static void test_cut_line(void **state) {
    (void)state;
    struct site *s = slow_site(1);
    world_batch(&s->w, "b1", "acme", 3000, BID_WINS);
    live(s, 20);
    assert_int_equal(agent_mode(s, 0), SL_MODE_INFER);
    sl_mem_hub_cut(s->hub, KEY, 1);
    live(s, 4000); /* longer than the ttl: it stops by itself and hashes on */
    assert_int_equal(agent_mode(s, 0), SL_MODE_HASH);
    uint32_t shares = s->w.store->share_count;
    live(s, 6000);
    assert_string_equal(world_view(&s->w, DEVICE).state, "lost");
    assert_int_equal(world_view_batch(&s->w, "b1").issued, 0);
    sl_mem_hub_cut(s->hub, KEY, 0);
    live(s, 15000);
    /* It is back, its late shares are credited, its lines are done, each once. */
    assert_true(s->w.store->share_count > shares + 50);
    if (stored(s, "b1") != SL_BATCH_FINALIZING) {
        live_to_the_end(s, "b1", 60000);
    }
    assert_int_equal(world_stored_batch(&s->w, "b1")->lines_completed, 3000);
    close_site(s);
}

static void restart_broker(struct site *s, uint32_t lines) {
    world_restart(&s->w);
    s->commands = 0;
    world_price(&s->w, 0, WORLD_PRICE);
    if (lines > 0) {
        world_validated(&s->w, "b1", lines, 0);
    }
    exchange(s);
}

static void test_killed_broker(void **state) {
    (void)state;
    struct site *s = slow_site(1);
    world_batch(&s->w, "b1", "acme", 4000, BID_WINS);
    live(s, 30);
    uint32_t directives = s->w.store->directive_count;
    restart_broker(s, 4000);
    live(s, 2500);
    /* The agent said hello again, and its lease went on under the same epoch. */
    assert_string_equal(world_view(&s->w, DEVICE).state, "leased");
    assert_int_equal(s->w.store->directive_count, directives);
    for (int i = 0; i < 5 && stored(s, "b1") == SL_BATCH_IN_PROGRESS; i++) {
        restart_broker(s, 4000);
        live(s, 700);
    }
    live_to_the_end(s, "b1", 60000);
    assert_int_equal(world_stored_batch(&s->w, "b1")->lines_completed, 4000);
    close_site(s);
}

static void test_killed_agent(void **state) {
    (void)state;
    struct site *s = slow_site(2);
    world_batch(&s->w, "b1", "acme", 4000, BID_WINS);
    for (int i = 0; i < 4; i++) {
        live(s, 60 + 17 * i);
        sl_mem_hub_cut(s->hub, KEY, 1);
        s->rig.now.mono.ns += i % 2; /* the rig makes its boot id of it: new, or the same */
        rig_crash(&s->rig);
        sl_mem_hub_cut(s->hub, KEY, 0);
        live(s, 500);
        assert_int_equal(agent_mode(s, 0), SL_MODE_INFER);
    }
    live_to_the_end(s, "b1", 60000);
    assert_int_equal(world_stored_batch(&s->w, "b1")->lines_completed, 4000);
    close_site(s);
}

static void test_orders_of_people(void **state) {
    (void)state;
    struct site *s = mining_site(2);
    world_batch(&s->w, "b1", "acme", 8000, BID_WINS);
    live(s, 10);
    world_order(&s->w, DEVICE, SL_OVERRIDE_PIN, SL_MODE_HASH);
    live(s, 10);
    assert_int_equal(agent_mode(s, 0), SL_MODE_HASH);
    assert_int_equal(agent_mode(s, 1), SL_MODE_INFER);
    world_order(&s->w, "*", SL_OVERRIDE_STOP, SL_MODE_INVALID);
    live(s, 10);
    assert_int_equal(agent_mode(s, 0), SL_MODE_IDLE);
    assert_int_equal(agent_mode(s, 1), SL_MODE_IDLE);
    live(s, 8000); /* and it stays so: renewed, not lapsed into the safe mode */
    assert_int_equal(agent_mode(s, 0), SL_MODE_IDLE);
    world_order(&s->w, "*", SL_OVERRIDE_NONE, SL_MODE_INVALID);
    world_order(&s->w, DEVICE, SL_OVERRIDE_NONE, SL_MODE_INVALID);
    live(s, 10);
    assert_int_equal(agent_mode(s, 0), SL_MODE_INFER);
    close_site(s);
}

static void test_cancel_under_way(void **state) {
    (void)state;
    struct site *s = mining_site(1);
    world_batch(&s->w, "b1", "acme", 20000, BID_WINS);
    live(s, 40);
    world_cancel(&s->w, "b1", "acme");
    live(s, 400);
    assert_int_equal(world_view_batch(&s->w, "b1").issued, 0);
    assert_int_equal(agent_mode(s, 0), SL_MODE_HASH);
    world_finalized(&s->w, "b1");
    const struct sl_batch_row *row = world_stored_batch(&s->w, "b1");
    assert_int_equal(row->state, SL_BATCH_CANCELLED);
    assert_true(row->lines_completed > 0 && row->lines_completed < 20000);
    close_site(s);
}

static void test_bad_device(void **state) {
    (void)state;
    struct site *s = mining_site(2);
    sl_fake_device_fail(s->rig.devices[0], SL_FAKE_BAD_VECTOR);
    world_batch(&s->w, "b1", "acme", 300, BID_WINS);
    live_to_the_end(s, "b1", 60000);
    assert_string_equal(world_view(&s->w, DEVICE).state, "faulty");
    const struct sl_batch_row *row = world_stored_batch(&s->w, "b1");
    assert_true(row->lines_completed >= 297); /* the good one did what the bad one could not */
    close_site(s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_main_job),
        cmocka_unit_test(test_bid_moves_it_there_and_back),
        cmocka_unit_test(test_price_moves_it),
        cmocka_unit_test(test_two_devices_share_a_batch),
        cmocka_unit_test(test_reprice_under_way),
        cmocka_unit_test(test_cut_line),
        cmocka_unit_test(test_killed_broker),
        cmocka_unit_test(test_killed_agent),
        cmocka_unit_test(test_orders_of_people),
        cmocka_unit_test(test_cancel_under_way),
        cmocka_unit_test(test_bad_device),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
