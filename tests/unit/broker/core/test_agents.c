/* SPDX-License-Identifier: Apache-2.0
 * Who may speak for which node: names, revocation, and each kind of message about what is another
 * node's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/unit/broker/core/joining.h"

#include <cmocka.h>

static void start(struct world *w) {
    world_init(w, NULL);
    world_price(w, 0, WORLD_PRICE);
}

static bool has(const char (*keys)[SL_LINK_KEY_MAX], size_t count, const char *key) {
    for (size_t i = 0; i < count; i++) {
        if (strcmp(keys[i], key) == 0) {
            return true;
        }
    }
    return false;
}

/* 1: admitted, -1: refused, 0: the file decides. */
static int admission(const struct world *w, const char *key) {
    struct sl_link_admission all;
    sl_broker_core_admission(w->core, &all);
    int said = has(all.admitted, all.admitted_count, key) ? 1
               : has(all.refused, all.refused_count, key) ? -1
                                                          : 0;
    free((void *)all.admitted);
    free((void *)all.refused);
    return said;
}

static void test_names_are_bound_to_keys(void **state) {
    (void)state;
    struct world w;
    start(&w);
    joining_member(&w, KEY_A, "n1", 1, 1);
    assert_true(joining_hello(&w, KEY_A, "n1", KEY_A, 8, 1) != 0); /* itself */
    joining_hello(&w, KEY_A, "other", KEY_A, 9, 1);
    assert_non_null(
        strstr(world_last_msg(&w, KEY_A, SL_MSG_GOODBYE)->goodbye.reason, "another name"));
    /* One of the file of keys may not take an enrolled name either. */
    assert_int_equal(joining_hello(&w, KEY_B, "n1", KEY_B, 9, 1), 0);
    assert_false(world_last_msg(&w, KEY_B, SL_MSG_GOODBYE)->goodbye.retry);
    assert_true(joining_hello(&w, KEY_B, "n2", KEY_B, 9, 1) != 0);
    world_fini(&w);
}

static void test_revoked_is_heard_no_more(void **state) {
    (void)state;
    struct world w;
    start(&w);
    joining_member(&w, KEY_A, "n1", 1, 1);
    world_batch(&w, "b1", "acme", 40, WORLD_BID_HIGH);
    const char *device = KEY_A "/0";
    world_running(&w, device, 1);
    world_report(&w, KEY_A, 1);
    const struct sl_unit_row *sent = world_unit(&w, device, 0);
    assert_non_null(sent);
    const struct sl_unit_row unit = *sent;
    uint64_t epoch = world_directive(&w, device)->epoch;
    assert_int_equal(joining_order(&w, SL_AGENT_REVOKE, "n1", 0, 0), SL_OK);
    assert_int_equal(admission(&w, KEY_A), -1);
    assert_non_null(world_last(&w, SL_CCMD_ADMIT));
    assert_false(world_last_msg(&w, KEY_A, SL_MSG_GOODBYE)->goodbye.retry);
    assert_string_equal(w.store->agents[0].name, "n1");
    assert_int_equal(w.store->agents[0].state, SL_AGENT_REVOKED);
    /* Its lines wait for somebody else at once. */
    assert_int_equal(world_view_batch(&w, "b1").issued, 0);
    /* Whatever it says: nothing changes and nothing is answered. */
    world_forget_sent(&w);
    world_finish(&w, &unit, 7, true);
    world_share(&w, KEY_A, 1, SL_SHARE_ACCEPTED, 1000, 0);
    joining_hello(&w, KEY_A, "n1", KEY_A, 7, 1);
    joining_hello(&w, KEY_A, "n1", KEY_A, 70, 1);
    assert_int_equal(w.store->result_count, 0);
    assert_int_equal(w.store->share_count, 0);
    assert_int_equal(world_count(&w, SL_CCMD_SEND), 0);
    /* Its device is granted to nobody before the lease has run out, and a margin: not to the node
     * that says it is its own now either. */
    joining_member(&w, KEY_B, "n2", 2, 0);
    struct sl_msg_device claimed;
    world_device(&claimed, device);
    claimed.epoch_max = epoch;
    world_report_as(&w, KEY_B, &claimed, 1, true);
    assert_null(world_directive(&w, device));
    int64_t ttl_ms = w.core->config.lease_ttl_ms;
    for (int64_t ms = 0; ms < ttl_ms; ms += 100) {
        world_wait(&w, 100);
        world_report_as(&w, KEY_B, &claimed, 1, true);
        assert_null(world_directive(&w, device));
    }
    for (int i = 0; i < 20; i++) {
        world_wait(&w, 100);
        world_report_as(&w, KEY_B, &claimed, 1, true);
    }
    const struct sl_msg_directive *next = world_directive(&w, device);
    assert_non_null(next);
    assert_true(next->epoch > epoch);
    /* A restart forgets nothing of it. */
    world_restart(&w);
    assert_int_equal(admission(&w, KEY_A), -1);
    assert_int_equal(admission(&w, KEY_B), 1);
    assert_false(sl_core_agent_heard(w.core, KEY_A));
    assert_int_equal(joining_order(&w, SL_AGENT_REVOKE, "n1", 0, 0), -SL_BADSTATE);
    assert_int_equal(joining_order(&w, SL_AGENT_APPROVE, "n1", 0, 0), -SL_BADSTATE);
    world_fini(&w);
}

/* Discarded from the order on, not from the commit on; confirmed only after it. */
static void test_revocation_before_its_commit(void **state) {
    (void)state;
    struct world w;
    start(&w);
    joining_member(&w, KEY_A, "n1", 1, 1);
    w.hold = true;
    assert_int_equal(joining_order(&w, SL_AGENT_REVOKE, KEY_A, 0, 0), 1); /* no answer yet */
    assert_int_equal(admission(&w, KEY_A), -1);
    world_share(&w, KEY_A, 1, SL_SHARE_ACCEPTED, 1000, 0);
    world_commit(&w);
    assert_int_equal(world_last(&w, SL_CCMD_REPLY)->status, SL_OK);
    assert_int_equal(w.store->share_count, 0);
    world_fini(&w);
}

/* The first one that is listed. */
static bool first_listed(const struct world *w, struct sl_view_agent *view) {
    uint32_t cursor = 0;
    return sl_view_agent_next(w->core, w->now, &cursor, view);
}

static void test_an_agent_of_the_file_can_be_revoked(void **state) {
    (void)state;
    struct world w;
    start(&w);
    world_join(&w, KEY_B, 1);
    assert_int_equal(admission(&w, KEY_B), 0);
    struct sl_view_agent view;
    assert_true(first_listed(&w, &view));
    assert_string_equal(view.state, "static");
    assert_int_equal(joining_order(&w, SL_AGENT_APPROVE, KEY_B, 0, 0), -SL_NOTFOUND);
    assert_int_equal(joining_order(&w, SL_AGENT_REVOKE, "BBBBBB", 0, 0), SL_OK);
    assert_int_equal(admission(&w, KEY_B), -1);
    assert_int_equal(joining_order(&w, SL_AGENT_REVOKE, "nobody", 0, 0), -SL_NOTFOUND);
    assert_true(first_listed(&w, &view));
    assert_string_equal(view.state, "revoked");
    assert_int_equal(view.devices, 1);
    uint32_t cursor = 1;
    assert_false(sl_view_agent_next(w.core, w.now, &cursor, &view));
    world_fini(&w);
}

/* An order that is refused changes nothing: the node is one of the file still, and is let in. */
static void test_a_refused_order_leaves_a_node_of_the_file(void **state) {
    (void)state;
    struct world w;
    struct sl_view_agent view;
    start(&w);
    assert_true(joining_hello(&w, KEY_B, "n2", KEY_B, 7, 1) != 0);
    assert_int_equal(joining_order(&w, SL_AGENT_ROTATE, "n2", 1, 0), -SL_INVALID);
    struct sl_msg hello = {.version = 1, .kind = SL_MSG_HELLO}; /* too old to rotate */
    strcpy(hello.hello.node, "n2");
    hello.hello.boot_id = 8;
    world_msg(&w, KEY_B, 1 + 'B', 0, &hello);
    assert_int_equal(joining_order(&w, SL_AGENT_ROTATE, "n2", MINUTE, 0), -SL_UNSUPPORTED);
    assert_true(first_listed(&w, &view));
    assert_string_equal(view.state, "static");
    assert_int_equal(w.store->agent_count, 0);
    assert_true(joining_hello(&w, KEY_B, "n2", KEY_B, 9, 1) != 0);
    assert_null(world_last_msg(&w, KEY_B, SL_MSG_GOODBYE));
    /* One that is carried out gives it a row. */
    assert_int_equal(joining_order(&w, SL_AGENT_ROTATE, "n2", MINUTE, 0), SL_OK);
    assert_int_equal(w.store->agent_count, 1);
    assert_true(joining_hello(&w, KEY_B, "n2", KEY_B, 10, 1) != 0);
    world_fini(&w);
}

static void test_reject_and_approve_after_all(void **state) {
    (void)state;
    struct world w;
    start(&w);
    joining_order(&w, SL_AGENT_ENROLL, "n1", 15 * MINUTE, 1);
    joining_present(&w, KEY_A, "n1", 1);
    assert_int_equal(joining_order(&w, SL_AGENT_REJECT, "n1", 0, 0), SL_OK);
    assert_int_equal(joining_order(&w, SL_AGENT_REJECT, "n1", 0, 0), -SL_BADSTATE);
    assert_int_equal(admission(&w, KEY_A), -1);
    assert_int_equal(joining_present(&w, KEY_A, "n1", 1), SL_JOIN_REFUSED);
    assert_int_equal(joining_order(&w, SL_AGENT_APPROVE, "n1", 0, 0), SL_OK);
    assert_int_equal(admission(&w, KEY_A), 1);
    assert_int_equal(joining_order(&w, SL_AGENT_REJECT, "n1", 0, 0), -SL_BADSTATE);
    world_fini(&w);
}

static void share_of(struct world *w, const char *key, uint64_t session, const char *device) {
    struct sl_msg_share share = {.share_id = 1, .outcome = SL_SHARE_ACCEPTED, .work_hashes = 1000};
    strcpy(share.device, device);
    struct sl_msg shares = {.kind = SL_MSG_SHARES};
    shares.shares.share_count = 1;
    shares.shares.shares = &share;
    world_msg(w, key, 2, session, &shares);
}

/* Each kind of message in which a node can speak of a device, lease or unit that is another's. */
static void test_a_node_speaks_for_its_own_only(void **state) {
    (void)state;
    struct world w;
    start(&w);
    world_join(&w, KEY_A, 1);
    world_join(&w, KEY_B, 1);
    world_batch(&w, "b1", "acme", 40, WORLD_BID_HIGH);
    const char *device = KEY_A "/0";
    world_running(&w, device, 1);
    world_report(&w, KEY_A, 1);
    const struct sl_unit_row unit = *world_unit(&w, device, 0);
    uint32_t dev = sl_core_device_find(w.core, device);
    uint32_t node = w.core->fleet.node[dev];
    uint64_t epoch = w.core->fleet.epoch[dev];
    uint64_t epoch_max = w.core->fleet.epoch_max[dev];
    uint64_t refused = w.core->agents->foreign;
    struct sl_msg_device claimed;
    world_device(&claimed, device);
    claimed.epoch_max = 1000000;
    strcpy(claimed.health, "broken");
    /* report */
    world_report_as(&w, KEY_B, &claimed, 1, true);
    assert_int_equal(w.core->agents->foreign, ++refused);
    /* hello, with the other's unit as held */
    world_hello_units(&w, KEY_B, 2, 77, &claimed, 1, &unit.unit_id, 1);
    assert_int_equal(w.core->agents->foreign, ++refused);
    assert_int_equal(world_last_msg(&w, KEY_B, SL_MSG_DRAIN)->drain.units[0], unit.unit_id);
    uint64_t session =
        w.core->nodes[w.core->fleet.node[sl_core_device_find(w.core, KEY_B "/0")]].session;
    /* ack */
    struct sl_msg ack = {.kind = SL_MSG_ACK};
    strcpy(ack.ack.device, device);
    ack.ack.epoch = epoch;
    ack.ack.outcome = SL_ACK_REFUSED;
    world_msg(&w, KEY_B, 2, session, &ack);
    assert_int_equal(w.core->agents->foreign, ++refused);
    assert_int_equal(w.core->fleet.mode[dev], SL_MODE_INFER);
    /* result */
    struct sl_msg result = {.kind = SL_MSG_RESULT};
    result.result.result_id = 99;
    result.result.unit_id = unit.unit_id;
    strcpy(result.result.device, device);
    result.result.unit_done = true;
    world_msg(&w, KEY_B, 2, session, &result);
    assert_int_equal(w.core->agents->foreign, ++refused);
    assert_false(sl_core_unit_find(w.core, unit.unit_id)->closed);
    share_of(&w, KEY_B, session, device);
    assert_int_equal(w.core->agents->foreign, ++refused);
    assert_int_equal(w.store->share_count, 0);
    /* goodbye ends its own devices only */
    struct sl_msg bye = {.kind = SL_MSG_GOODBYE};
    world_msg(&w, KEY_B, 2, session, &bye);
    assert_int_equal(w.core->fleet.node[dev], node);
    assert_int_equal(w.core->fleet.epoch[dev], epoch);
    assert_int_equal(w.core->fleet.epoch_max[dev], epoch_max);
    assert_int_equal(w.core->fleet.mode[dev], SL_MODE_INFER);
    assert_string_equal(world_view(&w, device).report.health, "");
    /* Not even when its owner is long gone: an operator has to say so. */
    world_wait(&w, 60000);
    world_hello_units(&w, KEY_B, 2, 78, &claimed, 1, NULL, 0);
    assert_int_equal(w.core->fleet.node[dev], node);
    joining_order(&w, SL_AGENT_REVOKE, KEY_A, 0, 0);
    world_hello_units(&w, KEY_B, 2, 79, &claimed, 1, NULL, 0);
    assert_int_not_equal(w.core->fleet.node[dev], node);
    world_fini(&w);
}

/* Made-up devices would be rows of the store and memory for ever. */
static void test_a_node_has_so_many_devices(void **state) {
    (void)state;
    struct world w;
    char key[SL_MSG_KEY_MAX];
    start(&w);
    world_join(&w, KEY_A, 1);
    uint32_t node = sl_core_node_of_peer(w.core, KEY_A);
    for (uint32_t i = 1; i < SL_CORE_NODE_DEVICES_MAX; i++) {
        snprintf(key, sizeof key, KEY_A "/%u", i);
        sl_core_device_add(w.core, key, node);
    }
    struct sl_msg_device said[2];
    world_device(&said[0], KEY_A "/0");
    world_device(&said[1], KEY_A "/new");
    world_report_as(&w, KEY_A, said, 2, true);
    assert_int_equal(w.core->nodes[node].device_count, SL_CORE_NODE_DEVICES_MAX);
    assert_int_equal(sl_core_device_find(w.core, KEY_A "/new"), SL_CORE_NONE);
    assert_int_equal(w.core->agents->foreign, 1);
    assert_true(sl_core_node_up(w.core, node)); /* the others go on */
    world_device(&said[1], KEY_A "/7");
    world_report_as(&w, KEY_A, said, 2, true);
    assert_int_equal(w.core->agents->foreign, 1);
    world_fini(&w);
}

/* An epoch after which there is none would end the broker at its next grant. */
static void test_an_epoch_that_nobody_granted(void **state) {
    (void)state;
    struct world w;
    start(&w);
    world_join(&w, KEY_A, 1);
    uint32_t dev = sl_core_device_find(w.core, KEY_A "/0");
    uint64_t before = w.core->fleet.epoch_max[dev];
    struct sl_msg_device said;
    for (int field = 0; field < 2; field++) {
        world_device(&said, KEY_A "/0");
        *(field ? &said.epoch : &said.epoch_max) = INT64_MAX;
        world_report_as(&w, KEY_A, &said, 1, true);
        assert_true(w.core->fleet.epoch_max[dev] <= before + 2); /* grants of ours */
        assert_int_equal(w.core->agents->foreign, field + 1);
    }
    /* A store that has it already: this device gets nothing more, all else goes on. */
    w.core->fleet.epoch_max[dev] = INT64_MAX;
    world_order(&w, KEY_A "/0", SL_OVERRIDE_PIN, SL_MODE_IDLE);
    world_report(&w, KEY_A, 1);
    world_wait(&w, 2000);
    assert_true(w.core->fleet.epoch_max[dev] == INT64_MAX);
    world_fini(&w);
}

static void test_damaged_rows(void **state) {
    (void)state;
    struct world w;
    start(&w);
    struct sl_agent_row row = {.state = SL_AGENT_APPROVED};
    assert_int_equal(sl_broker_core_restore_agent(w.core, &row), -SL_CORRUPT);
    strcpy(row.id, KEY_A);
    strcpy(row.key, KEY_A);
    strcpy(row.name, "n1");
    assert_int_equal(sl_broker_core_restore_agent(w.core, &row), SL_OK);
    assert_int_equal(sl_broker_core_restore_agent(w.core, &row), -SL_EXISTS);
    struct sl_retired_row retired = {.key = "short"};
    assert_int_equal(sl_broker_core_restore_retired(w.core, &retired), -SL_CORRUPT);
    assert_string_equal(sl_agent_state_name(SL_AGENT_STATES), "invalid");
    world_fini(&w);
}

/* Thousands that joined beside thousands of the file: a start and a list take no square of them. */
static void test_a_large_site_is_listed_in_no_time(void **state) {
    (void)state;
    enum { JOINED = 5000, OF_FILE = 5000 };
    struct world w;
    struct sl_view_agent view;
    start(&w);
    clock_t began = clock();
    for (unsigned i = 0; i < JOINED; i++) {
        struct sl_agent_row row = {.state = SL_AGENT_APPROVED};
        snprintf(row.id, sizeof row.id, "%040u", i * 2654435761U); /* in no order */
        snprintf(row.key, sizeof row.key, "%040u", i * 2654435761U);
        snprintf(row.name, sizeof row.name, "joined-%u", i);
        assert_int_equal(sl_broker_core_restore_agent(w.core, &row), SL_OK);
        assert_int_equal(sl_broker_core_restore_agent(w.core, &row), -SL_EXISTS);
        struct sl_retired_row retired = {0};
        snprintf(retired.key, sizeof retired.key, "r%039u", i * 2654435761U);
        assert_int_equal(sl_broker_core_restore_retired(w.core, &retired), SL_OK);
    }
    for (unsigned i = 0; i < OF_FILE; i++) {
        char key[SL_NODE_KEY_MAX];
        snprintf(key, sizeof key, "f%039u", i);
        sl_core_node_add(w.core, key, key + 30);
    }
    uint32_t cursor = 0;
    uint32_t joined = 0;
    uint32_t of_file = 0;
    while (sl_view_agent_next(w.core, w.now, &cursor, &view)) {
        assert_true(sl_core_agent_heard(w.core, view.key));
        joined += strcmp(view.state, "approved") == 0;
        of_file += strcmp(view.state, "static") == 0;
    }
    assert_int_equal(joined, JOINED);
    assert_int_equal(of_file, OF_FILE);
    assert_false(sl_core_agent_heard(w.core, "r000000000000000000000000000000000000000"));
    assert_true((clock() - began) / CLOCKS_PER_SEC < 10); /* it was minutes */
    world_fini(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_are_bound_to_keys),
        cmocka_unit_test(test_revoked_is_heard_no_more),
        cmocka_unit_test(test_revocation_before_its_commit),
        cmocka_unit_test(test_an_agent_of_the_file_can_be_revoked),
        cmocka_unit_test(test_a_large_site_is_listed_in_no_time),
        cmocka_unit_test(test_a_refused_order_leaves_a_node_of_the_file),
        cmocka_unit_test(test_reject_and_approve_after_all),
        cmocka_unit_test(test_a_node_speaks_for_its_own_only),
        cmocka_unit_test(test_a_node_has_so_many_devices),
        cmocka_unit_test(test_an_epoch_that_nobody_granted),
        cmocka_unit_test(test_damaged_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
