/* SPDX-License-Identifier: Apache-2.0
 * Sessions: who is there, who supersedes whom, when a silent one is lost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "tests/unit/broker/core/world.h"

#include <cmocka.h>

static struct sl_view_node node(struct world *w, uint32_t index) {
    struct sl_view_node view;
    assert_true(sl_view_node_get(w->core, w->now, index, &view));
    return view;
}

static void test_hello_is_welcomed(void **state) {
    (void)state;
    struct world w;
    world_init(&w, NULL);
    uint64_t session = world_hello(&w, "a", 1, 5, 2);
    const struct sl_msg *welcome = world_last_msg(&w, "a", SL_MSG_WELCOME);
    assert_non_null(welcome);
    assert_int_equal(welcome->welcome.session, session);
    assert_int_equal(welcome->welcome.report_ms, 1000);
    assert_int_equal(welcome->welcome.safe_mode, SL_MODE_HASH);
    assert_int_equal(welcome->sequence, 1);
    assert_string_equal(node(&w, 0).state, "live");
    assert_int_equal(node(&w, 0).device_count, 2);
    /* Nothing is granted before the first report: the pool's state is not known yet. */
    assert_null(world_directive(&w, "a/0"));
    assert_int_equal(w.store->device_count, 2);
    world_fini(&w);
}

/* The codec lets only versions in that it understands; the core answers each agent in its own. */
static void test_an_agent_of_another_version_is_answered_in_it(void **state) {
    (void)state;
    struct world w;
    world_init(&w, NULL);
    world_hello(&w, "new", 1, 5, 1);
    struct sl_msg hello = {.version = SL_WIRE_VERSION + 1, .kind = SL_MSG_HELLO};
    strcpy(hello.hello.node, "old");
    hello.hello.boot_id = 6;
    world_msg(&w, "old", 2, 0, &hello);
    const struct sl_msg *welcome = world_last_msg(&w, "old", SL_MSG_WELCOME);
    assert_non_null(welcome);
    assert_int_equal(welcome->version, SL_WIRE_VERSION + 1);
    assert_int_equal(world_last_msg(&w, "new", SL_MSG_WELCOME)->version, SL_WIRE_VERSION);
    struct sl_msg late = {.version = SL_WIRE_VERSION + 1, .kind = SL_MSG_REPORT};
    world_msg(&w, "old", 2, 99, &late); /* of another session */
    assert_int_equal(world_last_msg(&w, "old", SL_MSG_GOODBYE)->version, SL_WIRE_VERSION + 1);
    world_fini(&w);
}

/* What an agent said last counts, also when an older program takes over its key. */
static void test_only_who_takes_bundles_gets_them(void **state) {
    (void)state;
    struct world w;
    world_init(&w, NULL);
    for (uint64_t boot = 1; boot <= 3; boot++) {
        struct sl_msg hello = {.kind = SL_MSG_HELLO};
        strcpy(hello.hello.node, "n");
        hello.hello.boot_id = boot;
        hello.hello.bundles = boot == 2;
        world_forget_sent(&w);
        world_msg(&w, "a", boot, 0, &hello);
        uint32_t welcomes = 0;
        for (uint32_t i = 0; i < w.sent_count; i++) {
            if (w.sent[i].kind == SL_CCMD_SEND && w.sent[i].msg->kind == SL_MSG_WELCOME) {
                assert_int_equal(w.sent[i].bundle, boot == 2);
                welcomes++;
            }
        }
        assert_int_equal(welcomes, 1);
    }
    world_fini(&w);
}

static void test_other_session_is_sent_back(void **state) {
    (void)state;
    struct world w;
    world_init(&w, NULL);
    struct sl_msg msg = {.kind = SL_MSG_REPORT};
    world_msg(&w, "a", 1, 99, &msg);
    const struct sl_msg *bye = world_last_msg(&w, "a", SL_MSG_GOODBYE);
    assert_non_null(bye);
    assert_true(bye->goodbye.retry);
    uint64_t session = world_hello(&w, "a", 1, 5, 1);
    world_forget_sent(&w);
    world_msg(&w, "a", 1, session + 1, &msg); /* another session */
    world_msg(&w, "a", 1, session + 1, &msg); /* and again: answered once a second only */
    world_msg(&w, "a", 2, session, &msg);     /* another connection */
    assert_int_equal(world_count_msg(&w, "a", SL_MSG_GOODBYE), 1);
    world_fini(&w);
}

static void test_newer_hello_supersedes(void **state) {
    (void)state;
    struct world w;
    world_init(&w, NULL);
    uint64_t first = world_hello(&w, "a", 1, 5, 1);
    uint64_t second = world_hello(&w, "a", 2, 6, 1);
    assert_true(second > first);
    const struct sl_msg *bye = world_last_msg(&w, "a", SL_MSG_GOODBYE);
    assert_non_null(bye);
    assert_true(bye->goodbye.retry);
    world_forget_sent(&w);
    /* The same process on a new connection says so to nobody. */
    world_hello(&w, "a", 3, 6, 1);
    assert_null(world_last_msg(&w, "a", SL_MSG_GOODBYE));
    assert_string_equal(node(&w, 0).state, "live");
    world_fini(&w);
}

static void test_crash_loop_is_no_duplicate(void **state) {
    (void)state;
    struct world w;
    world_init(&w, NULL);
    for (uint64_t boot = 1; boot < 30; boot++) {
        assert_true(world_hello(&w, "a", boot, boot, 1) != 0);
        world_wait(&w, 100);
    }
    assert_string_equal(node(&w, 0).state, "live");
    world_fini(&w);
}

static void test_two_agents_with_one_key(void **state) {
    (void)state;
    struct world w;
    world_init(&w, NULL);
    int hellos = 0;
    for (uint64_t i = 0; i < 20 && strcmp(i ? node(&w, 0).state : "", "quarantined") != 0; i++) {
        world_hello(&w, "a", i + 1, 5 + i % 2, 1);
        hellos++;
        world_wait(&w, 500);
    }
    assert_string_equal(node(&w, 0).state, "quarantined");
    assert_in_range(hellos, 6, 8); /* 5 returns of a superseded one */
    /* Both are told, and told not to come back. */
    assert_false(world_last_msg(&w, "a", SL_MSG_GOODBYE)->goodbye.retry);
    world_forget_sent(&w);
    assert_int_equal(world_hello(&w, "a", 50, 5, 1), 0);
    assert_false(world_last_msg(&w, "a", SL_MSG_GOODBYE)->goodbye.retry);
    assert_null(world_last_msg(&w, "a", SL_MSG_WELCOME));
    /* A person ends it. */
    world_order(&w, "node-a", SL_OVERRIDE_NONE, SL_MODE_INVALID);
    assert_true(world_hello(&w, "a", 51, 5, 1) != 0);
    assert_string_equal(node(&w, 0).state, "live");
    world_fini(&w);
}

static void test_slow_flips_are_forgiven(void **state) {
    (void)state;
    struct world w;
    world_init(&w, NULL);
    for (uint64_t i = 0; i < 12; i++) {
        world_hello(&w, "a", i + 1, 5 + i % 2, 1);
        world_wait(&w, 20000);
    }
    assert_string_not_equal(node(&w, 0).state, "quarantined");
    world_fini(&w);
}

static void test_silence(void **state) {
    (void)state;
    struct world w;
    world_init(&w, NULL);
    world_price(&w, 0, WORLD_PRICE);
    world_join(&w, "a", 1);
    world_wait(&w, 2500);
    assert_string_equal(node(&w, 0).state, "live");
    world_wait(&w, 1000);
    assert_string_equal(node(&w, 0).state, "suspect");
    world_report(&w, "a", 1);
    assert_string_equal(node(&w, 0).state, "live");
    world_wait(&w, 5300);
    assert_string_equal(node(&w, 0).state, "lost");
    assert_string_equal(world_view(&w, "a/0").state, "lost");
    world_fini(&w);
}

static void timer(struct world *w, int64_t ms, struct sl_mono heard) {
    w->now.mono.ns += ms * SL_NS_PER_MS;
    w->now.wall.ms += ms;
    struct sl_core_event event = {.kind = SL_CEV_TIMER, .heard = heard};
    world_step(w, &event);
}

/* What an agent has said may lie unread where the broker is behind. */
static void test_silence_counts_as_far_as_was_read(void **state) {
    (void)state;
    struct world w;
    world_init(&w, NULL);
    world_price(&w, 0, WORLD_PRICE);
    world_join(&w, "a", 1);
    world_wait(&w, 500);
    struct sl_mono heard = w.now.mono;
    for (int i = 0; i < 30; i++) {
        timer(&w, 1000, heard);
        assert_string_equal(node(&w, 0).state, "live");
    }
    heard.ns += 3500 * SL_NS_PER_MS; /* read a little more, and nothing of it was its */
    timer(&w, 1000, heard);
    assert_string_equal(node(&w, 0).state, "suspect");
    world_report(&w, "a", 1);
    heard = w.now.mono;
    for (int i = 0; i < 62; i++) {
        timer(&w, 1000, heard);
        assert_string_equal(node(&w, 0).state, "live");
    }
    timer(&w, 10000, heard); /* but not for ever */
    assert_string_equal(node(&w, 0).state, "lost");
    world_fini(&w);
}

static void test_idle_session_is_spoken_to(void **state) {
    (void)state;
    struct world w;
    world_init(&w, NULL);
    world_hello(&w, "a", 1, 5, 0);
    world_forget_sent(&w);
    for (int i = 0; i < 10; i++) {
        world_wait(&w, 900);
        world_report(&w, "a", 0);
    }
    assert_in_range(world_count_msg(&w, "a", SL_MSG_RESULT_ACK), 4, 7);
    world_fini(&w);
}

static void test_goodbye(void **state) {
    (void)state;
    struct world w;
    world_init(&w, NULL);
    world_price(&w, 0, WORLD_PRICE);
    world_join(&w, "a", 1);
    world_batch(&w, "b1", "acme", 20, -1);
    world_running(&w, "a/0", w.now.mono.ns);
    assert_true(world_view_batch(&w, "b1").issued > 0);
    struct sl_msg msg = {.kind = SL_MSG_GOODBYE};
    world_msg(&w, "a", 1, w.core->nodes[0].session, &msg);
    /* It stopped its devices itself: its lines are free at once. */
    assert_int_equal(world_view_batch(&w, "b1").issued, 0);
    assert_int_equal(world_view_batch(&w, "b1").waiting, 20);
    assert_string_equal(node(&w, 0).state, "lost");
    world_check(&w);
    world_fini(&w);
}

static void test_shutdown_says_goodbye(void **state) {
    (void)state;
    struct world w;
    world_init(&w, NULL);
    world_hello(&w, "a", 1, 5, 1);
    world_hello(&w, "b", 2, 6, 1);
    struct sl_core_event event = {.kind = SL_CEV_SHUTDOWN};
    world_step(&w, &event);
    assert_true(world_last_msg(&w, "a", SL_MSG_GOODBYE)->goodbye.retry);
    assert_true(world_last_msg(&w, "b", SL_MSG_GOODBYE)->goodbye.retry);
    world_fini(&w);
}

static void test_device_of_two_nodes(void **state) {
    (void)state;
    struct world w;
    world_init(&w, NULL);
    world_price(&w, 0, WORLD_PRICE);
    world_join(&w, "a", 1);
    struct sl_msg_device stolen;
    world_device(&stolen, "a/0");
    world_hello_units(&w, "b", 9, 6, &stolen, 1, NULL, 0);
    world_report_as(&w, "b", &stolen, 1, true);
    assert_int_equal(w.core->fleet.count, 1);
    assert_string_equal(world_view(&w, "a/0").node, "node-a");
    /* Not when the owner is gone and its lease has run out either: an operator has to say so. */
    for (int i = 0; i < 12; i++) {
        world_wait(&w, 900);
        world_report_as(&w, "b", &stolen, 1, true);
    }
    assert_string_equal(world_view(&w, "a/0").node, "node-a");
    struct sl_core_event revoke = {.kind = SL_CEV_AGENT};
    revoke.order.verb = SL_AGENT_REVOKE;
    strcpy(revoke.order.subject, "node-a");
    world_step(&w, &revoke);
    world_report_as(&w, "b", &stolen, 1, true);
    assert_string_equal(world_view(&w, "a/0").node, "node-b");
    world_check(&w);
    world_fini(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hello_is_welcomed),
        cmocka_unit_test(test_an_agent_of_another_version_is_answered_in_it),
        cmocka_unit_test(test_only_who_takes_bundles_gets_them),
        cmocka_unit_test(test_other_session_is_sent_back),
        cmocka_unit_test(test_newer_hello_supersedes),
        cmocka_unit_test(test_crash_loop_is_no_duplicate),
        cmocka_unit_test(test_two_agents_with_one_key),
        cmocka_unit_test(test_slow_flips_are_forgiven),
        cmocka_unit_test(test_silence),
        cmocka_unit_test(test_silence_counts_as_far_as_was_read),
        cmocka_unit_test(test_idle_session_is_spoken_to),
        cmocka_unit_test(test_goodbye),
        cmocka_unit_test(test_shutdown_says_goodbye),
        cmocka_unit_test(test_device_of_two_nodes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
