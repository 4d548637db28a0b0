/* SPDX-License-Identifier: Apache-2.0
 * Switch times: from the event that caused a move to the first kernel of the new work. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "tests/unit/broker/core/world.h"

#include <cmocka.h>

static struct sl_view_switches switches(const struct world *w) {
    struct sl_view_switches view;
    sl_core_switch_get(w->core, &view);
    return view;
}

static void test_from_bid_to_kernel(void **state) {
    (void)state;
    struct world w;
    world_init(&w, NULL);
    world_price(&w, 0, WORLD_PRICE);
    world_join(&w, "a", 1);
    assert_int_equal(switches(&w).count, 0); /* starting to hash is no switch */
    assert_int_equal(switches(&w).p50_us, 0);
    assert_int_equal(w.core->fleet.cause_ns[0], 0);
    world_batch(&w, "b1", "acme", 100, WORLD_BID_HIGH);
    assert_int_equal(w.core->fleet.cause_ns[0], w.core->armed_ns);
    int64_t read_ns = w.now.mono.ns; /* of the validation that made the batch worth it */
    world_running(&w, "a/0", read_ns + 1500000);
    assert_int_equal(switches(&w).count, 1);
    assert_int_equal(switches(&w).p50_us, 1500);
    world_running(&w, "a/0", read_ns + 9000000); /* said twice: counted once */
    assert_int_equal(switches(&w).count, 1);
    world_bid(&w, "b1", "acme", WORLD_BID_LOW);
    world_running(&w, "a/0", w.now.mono.ns + 2500000);
    assert_int_equal(switches(&w).count, 2);
    assert_int_equal(switches(&w).p50_us, 1500);
    assert_int_equal(switches(&w).p99_us, 2500);
    /* Of another host's clock: counted, not timed. */
    world_bid(&w, "b1", "acme", WORLD_BID_HIGH);
    world_running(&w, "a/0", w.now.mono.ns - 5);
    world_bid(&w, "b1", "acme", WORLD_BID_LOW);
    world_running(&w, "a/0", w.now.mono.ns + 61 * SL_NS_PER_S);
    assert_int_equal(switches(&w).count, 4);
    assert_int_equal(w.core->switch_count, 2);
    world_fini(&w);
}

static void test_reprice_and_orders_are_none(void **state) {
    (void)state;
    struct world w;
    world_init(&w, NULL);
    world_price(&w, 0, WORLD_PRICE);
    world_join(&w, "a", 1);
    world_batch(&w, "b1", "acme", 100, WORLD_BID_HIGH);
    world_running(&w, "a/0", w.now.mono.ns + 1000000);
    world_bid(&w, "b1", "acme", WORLD_BID_HIGH * 2);
    world_running(&w, "a/0", w.now.mono.ns + 1000000);
    world_order(&w, "a/0", SL_OVERRIDE_DRAIN, SL_MODE_INVALID);
    world_running(&w, "a/0", w.now.mono.ns + 1000000); /* to idle: no work in it */
    assert_int_equal(switches(&w).count, 1);
    world_fini(&w);
}

static void test_percentiles_of_the_last(void **state) {
    (void)state;
    struct world w;
    world_init(&w, NULL);
    for (uint32_t i = 1; i <= 100; i++) {
        w.core->switch_us[w.core->switch_count++] = 101 - i;
    }
    assert_int_equal(switches(&w).p50_us, 50);
    assert_int_equal(switches(&w).p99_us, 99);
    for (uint32_t i = 0; i < SL_CORE_SWITCHES; i++) {
        w.core->switch_us[w.core->switch_count++ % SL_CORE_SWITCHES] = 7;
    }
    assert_int_equal(switches(&w).p99_us, 7);
    world_fini(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_from_bid_to_kernel),
        cmocka_unit_test(test_reprice_and_orders_are_none),
        cmocka_unit_test(test_percentiles_of_the_last),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
