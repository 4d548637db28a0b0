/* SPDX-License-Identifier: Apache-2.0
 * A new key for a node that stays the same: nothing that was said under the old one is lost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "tests/unit/broker/core/joining.h"

#include <cmocka.h>

static void send_key(struct world *w, const char *from, const char *key, uint64_t rotation) {
    struct sl_msg msg = {.kind = SL_MSG_ROTATE_KEY};
    msg.rotate_key.rotation = rotation;
    strcpy(msg.rotate_key.public_key, key);
    uint32_t at = sl_core_node_of_peer(w->core, from);
    world_msg(w, from, w->core->nodes[at].peer.conn, w->core->nodes[at].session, &msg);
}

static void test_work_goes_on_under_the_new_key(void **state) {
    (void)state;
    struct world w;
    world_init(&w, NULL);
    world_price(&w, 0, WORLD_PRICE);
    joining_member(&w, KEY_A, "n1", 1, 1);
    world_batch(&w, "b1", "acme", 40, WORLD_BID_HIGH);
    world_running(&w, KEY_A "/0", 1);
    world_report(&w, KEY_A, 1);
    world_share(&w, KEY_A, 1, SL_SHARE_ACCEPTED, 1000, 0);
    const struct sl_unit_row unit = *world_unit(&w, KEY_A "/0", 0);
    uint64_t epoch = world_directive(&w, KEY_A "/0")->epoch;
    assert_int_equal(joining_order(&w, SL_AGENT_ROTATE, "n1", 60 * MINUTE, 0), SL_OK);
    const struct sl_msg *asked = world_last_msg(&w, KEY_A, SL_MSG_ROTATE);
    assert_string_equal(asked->rotate.public_key, "");
    uint64_t rotation = asked->rotate.rotation;
    send_key(&w, KEY_A, KEY_B, rotation + 1); /* nobody asked for that */
    assert_string_equal(w.store->agents[0].key, KEY_A);
    send_key(&w, KEY_A, KEY_B, rotation);
    assert_string_equal(w.store->agents[0].key, KEY_B);
    assert_string_equal(w.store->agents[0].key_before, KEY_A);
    assert_string_equal(w.store->agents[0].id, KEY_A);
    assert_string_equal(world_last_msg(&w, KEY_A, SL_MSG_ROTATE)->rotate.public_key, KEY_B);
    send_key(&w, KEY_A, KEY_B, rotation); /* repeated: told again */
    send_key(&w, KEY_A, KEY_C, rotation); /* a second one: not */
    assert_string_equal(w.store->agents[0].key, KEY_B);
    /* The same node under the new key: lease, epoch, unit and shares go on. */
    struct sl_msg_device device;
    world_device(&device, KEY_A "/0");
    device.safe = false;
    device.mode = SL_MODE_INFER;
    device.epoch = device.epoch_max = epoch;
    device.units_held = 1;
    struct sl_msg hello = {.kind = SL_MSG_HELLO};
    strcpy(hello.hello.node, "n1");
    hello.hello.boot_id = 7;
    hello.hello.device_count = 1;
    hello.hello.devices = &device;
    hello.hello.unit_count = 1;
    hello.hello.units = &unit.unit_id;
    world_forget_sent(&w);
    world_msg(&w, KEY_B, 50, 0, &hello);
    assert_non_null(world_last_msg(&w, KEY_B, SL_MSG_WELCOME));
    assert_int_equal(w.core->node_count, 1);
    const struct sl_msg_directive *renewed = world_directive(&w, KEY_A "/0");
    assert_non_null(renewed);
    assert_int_equal(renewed->epoch, epoch);
    assert_true(renewed->renewal);
    world_finish(&w, &unit, 7, true);
    assert_true(w.store->result_count > 0);
    world_share(&w, KEY_A, 1, SL_SHARE_ACCEPTED, 1000, 0); /* sent again: known */
    assert_int_equal(w.store->share_count, 1);
    world_check(&w);
    /* Then the old key ends, for ever. */
    assert_true(sl_core_agent_heard(w.core, KEY_A));
    assert_int_equal(joining_order(&w, SL_AGENT_ROTATE, "n1", 60 * MINUTE, 0), -SL_BADSTATE);
    world_wait(&w, 60 * MINUTE + 1000);
    assert_false(sl_core_agent_heard(w.core, KEY_A));
    assert_string_equal(w.store->agents[0].key_before, "");
    assert_string_equal(w.store->retired[0].key, KEY_A);
    world_restart(&w);
    assert_false(sl_core_agent_heard(w.core, KEY_A));
    assert_true(sl_core_agent_heard(w.core, KEY_B));
    assert_string_equal(sl_core_identity(w.core, KEY_B), KEY_A);
    world_fini(&w);
}

/* kill -9 of the broker between any two steps; the agent may be away at each. */
static void test_crashes_and_absence(void **state) {
    (void)state;
    struct world w;
    world_init(&w, NULL);
    joining_member(&w, KEY_A, "n1", 1, 1);
    w.hold = true;
    joining_order(&w, SL_AGENT_ROTATE, "n1", MINUTE, 0);
    assert_null(world_last_msg(&w, KEY_A, SL_MSG_ROTATE)); /* not before it is durable */
    world_commit(&w);
    assert_non_null(world_last_msg(&w, KEY_A, SL_MSG_ROTATE));
    world_restart(&w);
    w.hold = false;
    joining_hello(&w, KEY_A, "n1", KEY_A, 7, 1);
    assert_non_null(world_last_msg(&w, KEY_A, SL_MSG_ROTATE)); /* asked again */
    w.hold = true;
    world_forget_sent(&w);
    send_key(&w, KEY_A, KEY_B, 1);
    assert_null(world_last_msg(&w, KEY_A, SL_MSG_ROTATE)); /* not told before it is durable */
    world_commit(&w);
    world_restart(&w); /* before the agent heard it */
    w.hold = false;
    world_wait(&w, 5 * MINUTE);                      /* longer than the overlap */
    assert_true(sl_core_agent_heard(w.core, KEY_A)); /* the new key was never used */
    joining_hello(&w, KEY_A, "n1", KEY_A, 8, 1);
    assert_string_equal(world_last_msg(&w, KEY_A, SL_MSG_ROTATE)->rotate.public_key, KEY_B);
    joining_hello(&w, KEY_B, "n1", KEY_A, 8, 1);
    world_wait(&w, 1000);
    assert_false(sl_core_agent_heard(w.core, KEY_A));
    world_fini(&w);
}

static void test_refusals(void **state) {
    (void)state;
    struct world w;
    world_init(&w, NULL);
    joining_order(&w, SL_AGENT_ENROLL, "n1", 15 * MINUTE, 1);
    joining_present(&w, KEY_A, "n1", 1);
    assert_int_equal(joining_order(&w, SL_AGENT_ROTATE, "n1", 60 * MINUTE, 0), -SL_BADSTATE);
    joining_order(&w, SL_AGENT_APPROVE, "n1", 0, 0);
    assert_int_equal(joining_order(&w, SL_AGENT_ROTATE, "n1", 1, 0), -SL_INVALID);
    /* Away: it is asked when it comes. */
    assert_int_equal(joining_order(&w, SL_AGENT_ROTATE, "n1", 60 * MINUTE, 0), SL_OK);
    assert_string_equal(world_last(&w, SL_CCMD_REPLY)->text, "away");
    /* An agent of version 1 has no such message. */
    struct sl_msg hello = {.version = 1, .kind = SL_MSG_HELLO};
    strcpy(hello.hello.node, "n1");
    hello.hello.boot_id = 3;
    world_msg(&w, KEY_A, 1, 0, &hello);
    assert_non_null(world_last_msg(&w, KEY_A, SL_MSG_WELCOME));
    assert_null(world_last_msg(&w, KEY_A, SL_MSG_ROTATE));
    assert_int_equal(joining_order(&w, SL_AGENT_ROTATE, "n1", 60 * MINUTE, 0), -SL_UNSUPPORTED);
    /* A node cannot take another's key. */
    world_join(&w, KEY_C, 1);
    joining_hello(&w, KEY_A, "n1", KEY_A, 4, 1);
    send_key(&w, KEY_A, KEY_C, w.core->agents->agents[0].row.rotation);
    assert_string_equal(w.core->agents->agents[0].row.key, KEY_A);
    /* One of the file of keys is rotated too: its old key is refused though it stands there. */
    assert_int_equal(joining_order(&w, SL_AGENT_ROTATE, KEY_C, MINUTE, 0), SL_OK);
    send_key(&w, KEY_C, KEY_B, 1);
    struct sl_msg again = {.kind = SL_MSG_HELLO};
    strcpy(again.hello.node, "node-" KEY_C);
    again.hello.boot_id = 1;
    world_msg(&w, KEY_B, 9, 0, &again);
    world_wait(&w, 2 * MINUTE);
    assert_false(sl_core_agent_heard(w.core, KEY_C));
    assert_true(sl_core_agent_heard(w.core, KEY_B));
    world_fini(&w);
}

/* Between the two keys: neither is good any more, and no new one is waited for. */
static void test_revoked_while_it_rotates(void **state) {
    (void)state;
    for (int made = 0; made < 2; made++) {
        struct world w;
        struct sl_view_agent view;
        uint32_t cursor = 0;
        world_init(&w, NULL);
        joining_member(&w, KEY_A, "n1", 1, 1);
        assert_int_equal(joining_order(&w, SL_AGENT_ROTATE, "n1", 60 * MINUTE, 0), SL_OK);
        if (made) {
            send_key(&w, KEY_A, KEY_B, 1);
            assert_true(sl_core_agent_heard(w.core, KEY_B));
        }
        assert_int_equal(joining_order(&w, SL_AGENT_REVOKE, "n1", 0, 0), SL_OK);
        send_key(&w, KEY_A, KEY_B, 1);
        assert_true(sl_view_agent_next(w.core, w.now, &cursor, &view));
        assert_string_equal(view.state, "revoked");
        assert_string_equal(view.key, made ? KEY_B : KEY_A);
        assert_false(view.rotating);
        assert_false(sl_core_agent_heard(w.core, KEY_A));
        assert_true(!made || !sl_core_agent_heard(w.core, KEY_B));
        assert_int_equal(joining_order(&w, SL_AGENT_ROTATE, "n1", MINUTE, 0), -SL_BADSTATE);
        world_fini(&w);
    }
}

static void say_hello(struct world *w, const char *key) {
    joining_hello(w, key, "n1", KEY_A, 7, 1);
}

/* The agent was told to use B and has lost it: the operator asks anew, C takes B's place, and B is
 * refused for ever although nobody used it. */
static void test_a_key_that_was_lost_is_replaced(void **state) {
    (void)state;
    struct world w;
    world_init(&w, NULL);
    joining_member(&w, KEY_A, "n1", 1, 1);
    assert_int_equal(joining_order(&w, SL_AGENT_ROTATE, "n1", 60 * MINUTE, 0), SL_OK);
    send_key(&w, KEY_A, KEY_B, 1);
    send_key(&w, KEY_A, KEY_C, 1); /* not by the agent alone */
    assert_string_equal(w.store->agents[0].key, KEY_B);
    world_restart(&w);
    say_hello(&w, KEY_A);
    assert_int_equal(joining_order(&w, SL_AGENT_ROTATE, "n1", 60 * MINUTE, 0), SL_OK);
    assert_string_equal(world_last_msg(&w, KEY_A, SL_MSG_ROTATE)->rotate.public_key, "");
    send_key(&w, KEY_A, KEY_C, 1); /* of the rotation before */
    assert_string_equal(w.store->agents[0].key, KEY_B);
    send_key(&w, KEY_A, KEY_C, 2);
    assert_string_equal(w.store->agents[0].key, KEY_C);
    assert_string_equal(w.store->agents[0].key_before, KEY_A);
    assert_string_equal(w.store->retired[0].key, KEY_B);
    assert_string_equal(world_last_msg(&w, KEY_A, SL_MSG_ROTATE)->rotate.public_key, KEY_C);
    assert_false(sl_core_agent_heard(w.core, KEY_B));
    world_restart(&w);
    assert_false(sl_core_agent_heard(w.core, KEY_B));
    say_hello(&w, KEY_C);
    world_wait(&w, 60 * MINUTE + 1000);
    assert_false(sl_core_agent_heard(w.core, KEY_A));
    assert_true(sl_core_agent_heard(w.core, KEY_C));
    world_fini(&w);
}

/* Asked anew, and the agent has the admitted key after all. */
static void test_a_key_that_was_not_lost_is_kept(void **state) {
    (void)state;
    for (int used = 0; used < 2; used++) {
        struct world w;
        world_init(&w, NULL);
        joining_member(&w, KEY_A, "n1", 1, 1);
        joining_order(&w, SL_AGENT_ROTATE, "n1", 60 * MINUTE, 0);
        send_key(&w, KEY_A, KEY_B, 1);
        assert_int_equal(joining_order(&w, SL_AGENT_ROTATE, "n1", MINUTE, 0), SL_OK);
        if (used) {
            say_hello(&w, KEY_B);
            say_hello(&w, KEY_A);
            send_key(&w, KEY_A, KEY_C, 2); /* too late: B was used */
        } else {
            send_key(&w, KEY_A, KEY_B, 2);
            assert_string_equal(world_last_msg(&w, KEY_A, SL_MSG_ROTATE)->rotate.public_key, KEY_B);
            say_hello(&w, KEY_B);
        }
        assert_string_equal(w.store->agents[0].key, KEY_B);
        assert_int_equal(w.store->retired_count, 0);
        world_wait(&w, 60 * MINUTE + 1000);
        assert_false(sl_core_agent_heard(w.core, KEY_A));
        assert_true(sl_core_agent_heard(w.core, KEY_B));
        world_fini(&w);
    }
}

/* Whoever stole the old key cannot undo a rotation, also after the broker's restart. */
static void test_a_used_key_is_not_replaced(void **state) {
    (void)state;
    struct world w;
    world_init(&w, NULL);
    joining_member(&w, KEY_A, "n1", 1, 1);
    joining_order(&w, SL_AGENT_ROTATE, "n1", 60 * MINUTE, 0);
    send_key(&w, KEY_A, KEY_B, 1);
    say_hello(&w, KEY_B);
    world_restart(&w);
    say_hello(&w, KEY_A);
    assert_int_equal(joining_order(&w, SL_AGENT_ROTATE, "n1", 60 * MINUTE, 0), -SL_BADSTATE);
    send_key(&w, KEY_A, KEY_C, 1);
    assert_string_equal(w.store->agents[0].key, KEY_B);
    world_wait(&w, 60 * MINUTE + 1000); /* it ends though the new one has not come back yet */
    assert_false(sl_core_agent_heard(w.core, KEY_A));
    world_fini(&w);
}

/* The broker's own key: told in the welcome, kept when the hello says the same. */
static void test_the_brokers_next_key(void **state) {
    (void)state;
    struct world w;
    struct sl_view_agent view;
    uint32_t cursor = 0;
    world_init(&w, NULL);
    joining_member(&w, KEY_A, "n1", 1, 1);
    assert_string_equal(world_last_msg(&w, KEY_A, SL_MSG_WELCOME)->welcome.next_server_key, "");
    assert_true(sl_view_agent_next(w.core, w.now, &cursor, &view));
    assert_string_equal(view.next_key, "none");
    strcpy(w.core->config.next_server_key, KEY_C); /* as a start with agents.next_key */
    struct sl_msg hello = {.kind = SL_MSG_HELLO};
    strcpy(hello.hello.node, "n1");
    hello.hello.boot_id = 7;
    for (int kept = 0; kept < 2; kept++) {
        strcpy(hello.hello.next_server_key, kept ? KEY_C : KEY_B);
        world_msg(&w, KEY_A, 1, 0, &hello);
        assert_string_equal(world_last_msg(&w, KEY_A, SL_MSG_WELCOME)->welcome.next_server_key,
                            KEY_C);
        cursor = 0;
        assert_true(sl_view_agent_next(w.core, w.now, &cursor, &view));
        assert_string_equal(view.next_key, kept ? "kept" : "not kept");
    }
    world_fini(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_work_goes_on_under_the_new_key),
        cmocka_unit_test(test_crashes_and_absence),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_revoked_while_it_rotates),
        cmocka_unit_test(test_a_key_that_was_lost_is_replaced),
        cmocka_unit_test(test_a_key_that_was_not_lost_is_kept),
        cmocka_unit_test(test_a_used_key_is_not_replaced),
        cmocka_unit_test(test_the_brokers_next_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
