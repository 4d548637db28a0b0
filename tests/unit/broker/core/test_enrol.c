/* SPDX-License-Identifier: Apache-2.0
 * Tokens: good once, for one name, for so long; what becomes of one between any two steps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "tests/unit/broker/core/joining.h"

#include <cmocka.h>

static void test_a_token_lets_one_key_in_for_approval(void **state) {
    (void)state;
    struct world w;
    world_init(&w, NULL);
    assert_int_equal(joining_order(&w, SL_AGENT_ENROLL, "n1", 15 * MINUTE, 1), SL_OK);
    assert_int_equal(w.store->token_count, 1);
    assert_int_equal(joining_present(&w, KEY_A, "n1", 1), SL_JOIN_WAITING);
    assert_int_equal(w.store->agent_count, 1);
    assert_string_equal(w.store->agents[0].name, "n1");
    assert_string_equal(w.store->tokens[0].key, KEY_A);
    assert_false(sl_core_agent_heard(w.core, KEY_A)); /* not before approval */
    assert_int_equal(joining_hello(&w, KEY_A, "n1", KEY_A, 7, 1), 0);
    /* The same key asks as often as it likes. */
    assert_int_equal(joining_present(&w, KEY_A, "n1", 1), SL_JOIN_WAITING);
    assert_int_equal(w.store->agent_count, 1);
    /* Another one is told, since it holds the secret. */
    assert_int_equal(joining_present(&w, KEY_B, "n1", 1), SL_JOIN_REFUSED);
    assert_non_null(strstr(joining_text(&w), "used already"));
    assert_int_equal(joining_order(&w, SL_AGENT_APPROVE, "n1", 0, 0), SL_OK);
    assert_non_null(world_last(&w, SL_CCMD_ADMIT));
    assert_int_equal(joining_present(&w, KEY_A, "n1", 1), SL_JOIN_APPROVED);
    assert_true(joining_hello(&w, KEY_A, "n1", KEY_A, 7, 1) != 0);
    world_fini(&w);
}

static void test_what_is_wrong_with_a_token(void **state) {
    (void)state;
    struct world w;
    world_init(&w, NULL);
    joining_order(&w, SL_AGENT_ENROLL, "n1", 15 * MINUTE, 1);
    assert_int_equal(joining_present(&w, KEY_A, "n1", 2), SL_JOIN_REFUSED); /* a guess */
    assert_non_null(strstr(joining_text(&w), "does not know"));
    assert_int_equal(joining_present(&w, KEY_A, "n2", 1), SL_JOIN_REFUSED);
    assert_non_null(strstr(joining_text(&w), "another name"));
    /* A second token for the name ends the first. */
    joining_order(&w, SL_AGENT_ENROLL, "n1", 15 * MINUTE, 3);
    assert_int_equal(joining_present(&w, KEY_A, "n1", 1), SL_JOIN_REFUSED);
    assert_non_null(strstr(joining_text(&w), "withdrawn"));
    assert_int_equal(joining_present(&w, KEY_A, "n1", 3), SL_JOIN_WAITING);
    /* A key that is an agent's cannot be another's. */
    joining_order(&w, SL_AGENT_ENROLL, "n2", 15 * MINUTE, 4);
    assert_int_equal(joining_present(&w, KEY_A, "n2", 4), SL_JOIN_REFUSED);
    assert_int_equal(w.store->agent_count, 1);
    world_fini(&w);
}

static void test_orders_that_are_refused(void **state) {
    (void)state;
    struct world w;
    world_init(&w, NULL);
    const char *names[] = {"", "a b", "a/b", "12345678901234567890123456789012"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        assert_int_equal(joining_order(&w, SL_AGENT_ENROLL, names[i], 15 * MINUTE, 1), -SL_INVALID);
    }
    assert_int_equal(joining_order(&w, SL_AGENT_ENROLL, "n", 59999, 1), -SL_INVALID);
    assert_int_equal(joining_order(&w, SL_AGENT_ENROLL, "n", 24 * 60 * MINUTE + 1, 1), -SL_INVALID);
    assert_int_equal(w.store->token_count, 0);
    world_hello(&w, "a", 1, 5, 1); /* node-a, of the file of keys */
    assert_int_equal(joining_order(&w, SL_AGENT_ENROLL, "node-a", 15 * MINUTE, 1), -SL_EXISTS);
    for (uint8_t i = 1; i <= 64; i++) {
        char name[16];
        snprintf(name, sizeof name, "n%u", i);
        int rc = joining_order(&w, SL_AGENT_ENROLL, name, 15 * MINUTE, i);
        assert_int_equal(rc, SL_OK);
        w.store->token_count = 0; /* the made-up store is small */
    }
    assert_int_equal(joining_order(&w, SL_AGENT_ENROLL, "more", 15 * MINUTE, 99), -SL_LIMIT);
    /* One in place of a token that was lost, or seen, is one of the 64. */
    assert_int_equal(joining_order(&w, SL_AGENT_ENROLL, "n7", 15 * MINUTE, 99), SL_OK);
    assert_int_equal(joining_order(&w, SL_AGENT_ENROLL, "more", 15 * MINUTE, 99), -SL_LIMIT);
    world_fini(&w);
}

/* Neither a clock that is set nor a restart makes a token live longer. */
static void test_expiry_by_both_clocks(void **state) {
    (void)state;
    for (int what = 0; what < 4; what++) {
        struct world w;
        world_init(&w, NULL);
        world_wait(&w, 10);
        joining_order(&w, SL_AGENT_ENROLL, "n1", 2 * MINUTE, 1);
        if (what == 0) {
            world_wait(&w, 2 * MINUTE);
        } else if (what == 1) { /* set back: this process's clock counts */
            w.now.wall.ms -= 600 * MINUTE;
            world_wait(&w, 2 * MINUTE);
        } else if (what == 2) { /* set forward */
            w.now.wall.ms += 2 * MINUTE;
        } else { /* set back and restarted: at most its ttl again */
            w.now.wall.ms -= 600 * MINUTE;
            world_restart(&w);
            world_wait(&w, 2 * MINUTE + 1000);
        }
        assert_int_equal(joining_present(&w, KEY_A, "n1", 1), SL_JOIN_REFUSED);
        assert_non_null(strstr(joining_text(&w), "expired"));
        assert_int_equal(w.store->agent_count, 0);
        world_fini(&w);
    }
}

/* Withdrawn after the clock was set back: the row must not end before it begins, which a restart
 * took for a damaged store, and no later clock opens it again. */
static void test_withdrawn_by_a_clock_set_back(void **state) {
    (void)state;
    for (int back = 0; back < 2; back++) {
        struct world w;
        world_init(&w, NULL);
        world_wait(&w, 10);
        joining_order(&w, SL_AGENT_ENROLL, "n1", 15 * MINUTE, 1);
        w.now.wall.ms += back ? MINUTE : -MINUTE;
        joining_order(&w, SL_AGENT_ENROLL, "n1", 15 * MINUTE, 2); /* withdraws the first */
        w.now.wall.ms -= back ? 2 * MINUTE : 0;
        world_restart(&w);
        assert_int_equal(joining_present(&w, KEY_A, "n1", 1), SL_JOIN_REFUSED);
        assert_int_equal(w.store->agent_count, 0);
        /* As an earlier version left it. */
        struct sl_enrolment_row row = {.id = "token_9",
                                       .name = "n9",
                                       .created.ms = w.now.wall.ms + 5000,
                                       .expires = w.now.wall};
        assert_int_equal(sl_broker_core_restore_enrolment(w.core, &row), SL_OK);
        world_fini(&w);
    }
}

/* kill -9 between any two steps. */
static void test_crashes(void **state) {
    (void)state;
    struct world w;
    world_init(&w, NULL);
    w.hold = true;
    joining_order(&w, SL_AGENT_ENROLL, "n1", 15 * MINUTE, 1);
    assert_null(world_last(&w, SL_CCMD_REPLY)); /* not before it is durable */
    world_restart(&w);
    assert_int_equal(joining_present(&w, KEY_A, "n1", 1), SL_JOIN_REFUSED); /* it never was */
    joining_order(&w, SL_AGENT_ENROLL, "n1", 15 * MINUTE, 1);
    world_commit(&w);
    world_restart(&w);
    /* Use and row are one transaction; nothing is said before it. */
    assert_int_equal(joining_present(&w, KEY_A, "n1", 1), SL_JOIN_INVALID);
    world_restart(&w);
    assert_int_equal(w.store->agent_count, 0);
    assert_int_equal(joining_present(&w, KEY_B, "n1", 1), SL_JOIN_INVALID);
    /* A second key, while the first one's use is on its way to the disk. */
    joining_present(&w, KEY_C, "n1", 1);
    world_commit(&w);
    assert_int_equal(w.store->agent_count, 1);
    assert_string_equal(w.store->agents[0].key, KEY_B);
    world_restart(&w);
    w.hold = false;
    assert_int_equal(joining_present(&w, KEY_C, "n1", 1), SL_JOIN_REFUSED);
    assert_int_equal(joining_present(&w, KEY_B, "n1", 1), SL_JOIN_WAITING);
    world_fini(&w);
}

static void test_approval_by_policy(void **state) {
    (void)state;
    struct sl_core_config config = world_config();
    config.policy.joining.approve = SL_JOINING_AUTO;
    struct world w;
    world_init(&w, &config);
    joining_order(&w, SL_AGENT_ENROLL, "n1", 15 * MINUTE, 1);
    assert_int_equal(joining_present(&w, KEY_A, "n1", 1), SL_JOIN_APPROVED);
    assert_string_equal(w.store->agents[0].actor, "policy");
    assert_true(sl_core_agent_heard(w.core, KEY_A));
    world_fini(&w);
    config.policy.joining.max_devices = 1; /* it has two */
    world_init(&w, &config);
    joining_order(&w, SL_AGENT_ENROLL, "n1", 15 * MINUTE, 1);
    assert_int_equal(joining_present(&w, KEY_A, "n1", 1), SL_JOIN_WAITING);
    world_fini(&w);
}

static void test_view_and_sweep(void **state) {
    (void)state;
    struct world w;
    struct sl_view_token view;
    world_init(&w, NULL);
    joining_order(&w, SL_AGENT_ENROLL, "n1", 15 * MINUTE, 1);
    assert_true(sl_view_token_get(w.core, w.now, 0, &view));
    assert_string_equal(view.name, "n1");
    assert_string_equal(view.actor, "key_op");
    assert_false(sl_view_token_get(w.core, w.now, 1, &view));
    world_wait(&w, 16 * MINUTE);
    assert_false(sl_view_token_get(w.core, w.now, 0, &view));
    assert_int_equal(w.core->agents->token_count, 1); /* to say that it has expired */
    w.now.wall.ms += INT64_C(8) * 24 * 60 * MINUTE;
    joining_order(&w, SL_AGENT_ENROLL, "n2", 15 * MINUTE, 2);
    assert_int_equal(w.core->agents->token_count, 1);
    struct sl_enrolment_row bad = {.id = "token_9"};
    assert_int_equal(sl_broker_core_restore_enrolment(w.core, &bad), -SL_CORRUPT);
    world_fini(&w);
}

/* More than are kept: what may still be presented outlives a restart, the newest and older ones. */
static void test_a_busy_week_before_a_restart(void **state) {
    (void)state;
    struct world w;
    struct sl_view_token view;
    world_init(&w, NULL);
    for (int i = 0; i < 1500; i++) {
        bool open = i == 3 || i == 1499;
        struct sl_enrolment_row row = {.created = {w.now.wall.ms - 30 * MINUTE + i}};
        row.expires.ms = row.created.ms + (open || i % 2 ? 60 * MINUTE : 0); /* 0: withdrawn */
        row.used.ms = open || i % 2 == 0 ? 0 : row.created.ms;
        snprintf(row.id, sizeof row.id, "token_%d", i);
        snprintf(row.name, sizeof row.name, "n%d", i);
        memset(row.hash, i == 3 ? 3 : i == 1499 ? 9 : 1, sizeof row.hash);
        assert_int_equal(sl_broker_core_restore_enrolment(w.core, &row), SL_OK);
    }
    assert_true(w.core->agents->token_count <= 512);
    sl_core_tokens_start(w.core);
    assert_true(sl_view_token_get(w.core, w.now, 1, &view));
    assert_false(sl_view_token_get(w.core, w.now, 2, &view));
    assert_int_equal(joining_present(&w, KEY_A, "n3", 3), SL_JOIN_WAITING);
    assert_int_equal(joining_present(&w, KEY_B, "n1499", 9), SL_JOIN_WAITING);
    world_fini(&w);
}

/* Of a site that approves by hand: whoever waits is told so, however many others came since. */
static void restore_used(struct world *w, uint32_t i, bool waits) {
    struct sl_enrolment_row row = {.created = {w->now.wall.ms - 30 * MINUTE + i}};
    row.expires.ms = row.created.ms + 60 * MINUTE;
    row.used.ms = row.created.ms;
    snprintf(row.id, sizeof row.id, "token_%u", i);
    snprintf(row.name, sizeof row.name, "n%u", i);
    snprintf(row.key, sizeof row.key, "%040u", i);
    memset(row.hash, i == 0 ? 3 : 1, sizeof row.hash);
    struct sl_agent_row agent = {.state = waits ? SL_AGENT_WAITING : SL_AGENT_APPROVED};
    snprintf(agent.id, sizeof agent.id, "%s", row.key);
    snprintf(agent.key, sizeof agent.key, "%s", row.key);
    snprintf(agent.name, sizeof agent.name, "%s", row.name);
    assert_int_equal(sl_broker_core_restore_agent(w->core, &agent), SL_OK);
    assert_int_equal(sl_broker_core_restore_enrolment(w->core, &row), SL_OK);
}

static void test_who_waits_is_not_forgotten(void **state) {
    (void)state;
    char first[SL_NODE_KEY_MAX];
    snprintf(first, sizeof first, "%040u", 0);
    for (uint32_t count = 300; count <= 600; count += 300) { /* the sweep; the restore, too */
        struct world w;
        world_init(&w, NULL);
        for (uint32_t i = 0; i < count; i++) {
            restore_used(&w, i, i % 3 == 0);
        }
        sl_core_tokens_start(w.core);
        assert_int_equal(joining_order(&w, SL_AGENT_ENROLL, "one-more", 15 * MINUTE, 9), SL_OK);
        assert_true(w.core->agents->token_count <= 257);
        assert_int_equal(joining_present(&w, first, "n0", 3), SL_JOIN_WAITING);
        world_fini(&w);
    }
}

/* They take no more than the room that there is: tokens can be made all the same. */
static void test_too_many_that_wait(void **state) {
    (void)state;
    struct world w;
    world_init(&w, NULL);
    for (uint32_t i = 0; i < 600; i++) {
        restore_used(&w, i, true);
    }
    assert_true(w.core->agents->token_count <= 512);
    sl_core_tokens_start(w.core);
    assert_int_equal(joining_order(&w, SL_AGENT_ENROLL, "one-more", 15 * MINUTE, 9), SL_OK);
    assert_int_equal(joining_present(&w, KEY_A, "one-more", 9), SL_JOIN_WAITING);
    assert_true(w.core->agents->token_count <= 512);
    world_fini(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_token_lets_one_key_in_for_approval),
        cmocka_unit_test(test_what_is_wrong_with_a_token),
        cmocka_unit_test(test_orders_that_are_refused),
        cmocka_unit_test(test_expiry_by_both_clocks),
        cmocka_unit_test(test_withdrawn_by_a_clock_set_back),
        cmocka_unit_test(test_crashes),
        cmocka_unit_test(test_approval_by_policy),
        cmocka_unit_test(test_view_and_sweep),
        cmocka_unit_test(test_a_busy_week_before_a_restart),
        cmocka_unit_test(test_who_waits_is_not_forgotten),
        cmocka_unit_test(test_too_many_that_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
