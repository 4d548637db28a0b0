/* SPDX-License-Identifier: Apache-2.0
 * Rows of the fleet are found, move between nodes, and know what they serve. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "broker/core/core_internal.h"
#include "tests/unit/broker/core/world.h"

#include <cmocka.h>

static void test_rows_are_found_by_their_keys(void **state) {
    (void)state;
    struct sl_core_config config = world_config();
    struct world w;
    world_init(&w, &config);
    assert_int_equal(sl_core_device_find(w.core, "d1"), SL_CORE_NONE);
    for (uint32_t n = 0; n < 300; n++) {
        char key[32];
        snprintf(key, sizeof key, "node %u", n);
        uint32_t node = sl_core_node_add(w.core, key, "n");
        for (uint32_t d = 0; d < 3; d++) {
            snprintf(key, sizeof key, "d%u", d * 300 + n); /* neighbours are not of one node */
            sl_core_device_add(w.core, key, node);
        }
    }
    for (uint32_t n = 0; n < 300; n++) {
        char key[32];
        snprintf(key, sizeof key, "node %u", n);
        assert_int_equal(sl_core_node_find(w.core, key), n);
        uint32_t dev = w.core->nodes[n].first_device;
        for (uint32_t d = 0; d < 3; d++) {
            snprintf(key, sizeof key, "d%u", d * 300 + n);
            assert_int_equal(sl_core_device_find(w.core, key), dev);
            assert_int_equal(w.core->fleet.node[dev], n);
            dev = w.core->fleet.sibling[dev];
        }
        assert_int_equal(dev, SL_CORE_NONE);
        assert_int_equal(w.core->nodes[n].device_count, 3);
    }
    assert_int_equal(sl_core_device_find(w.core, "d900"), SL_CORE_NONE);
    assert_int_equal(sl_core_node_find(w.core, ""), SL_CORE_NONE);
    world_fini(&w);
}

/* A device that goes to another node is in that node's list, in the order of rows. */
static void test_a_device_changes_its_node(void **state) {
    (void)state;
    struct sl_core_config config = world_config();
    struct world w;
    world_init(&w, &config);
    struct sl_msg_device d[2];
    world_device(&d[0], "x");
    world_device(&d[1], "y");
    world_hello_units(&w, "b", 1, 1, &d[1], 1, NULL, 0); /* row 0: y */
    world_hello_units(&w, "a", 1, 1, d, 1, NULL, 0);     /* row 1: x */
    struct sl_core_event revoke = {.kind = SL_CEV_AGENT};
    revoke.order.verb = SL_AGENT_REVOKE;
    strcpy(revoke.order.subject, "node-b");
    world_step(&w, &revoke); /* only then another node may have what it had */
    world_wait(&w, 20000);   /* both are lost, no lease runs */
    world_hello_units(&w, "a", 1, 2, d, 2, NULL, 0);
    uint32_t a = sl_core_node_find(w.core, "a");
    uint32_t b = sl_core_node_find(w.core, "b");
    assert_int_equal(w.core->nodes[a].device_count, 2);
    assert_int_equal(w.core->nodes[a].first_device, 0);
    assert_int_equal(w.core->fleet.sibling[0], 1);
    assert_int_equal(w.core->fleet.sibling[1], SL_CORE_NONE);
    assert_int_equal(w.core->nodes[b].device_count, 0);
    assert_int_equal(w.core->nodes[b].first_device, SL_CORE_NONE);
    world_fini(&w);
}

static void test_what_a_device_serves_is_kept(void **state) {
    (void)state;
    struct sl_core_config config = world_config();
    struct world w;
    world_init(&w, &config);
    world_join(&w, "a", 2);
    struct sl_core_fleet *fleet = &w.core->fleet;
    struct sl_core_batch batch = {0};
    sl_core_device_serves(fleet, 1, &batch, 7);
    assert_ptr_equal(fleet->batch[1], &batch);
    assert_int_equal(fleet->price[1], 7);
    sl_core_device_serves(fleet, 1, &batch, 8);
    assert_int_equal(fleet->price[1], 8);
    sl_core_device_serves(fleet, 1, NULL, 0);
    assert_null(fleet->batch[1]);
    assert_int_equal(fleet->price[1], 0);
    assert_null(fleet->batch[0]);
    world_fini(&w);
}

/* Every name that a directive may carry comes back from its byte. */
static void test_rules_fit_a_byte(void **state) {
    (void)state;
    for (uint8_t code = 1; code < SL_RULE_COUNT; code++) {
        assert_int_equal(sl_core_rule_code(sl_rule_name((enum sl_rule)code)), code);
        assert_string_equal(sl_core_rule_text(code), sl_rule_name((enum sl_rule)code));
    }
    static const char *const others[] = {"better-bid", "reprice", "restart"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        assert_string_equal(sl_core_rule_text(sl_core_rule_code(others[i])), others[i]);
    }
    assert_int_equal(sl_core_rule_code("no rule of ours"), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_are_found_by_their_keys),
        cmocka_unit_test(test_a_device_changes_its_node),
        cmocka_unit_test(test_what_a_device_serves_is_kept),
        cmocka_unit_test(test_rules_fit_a_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
