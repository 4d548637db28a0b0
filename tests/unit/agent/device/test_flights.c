/* SPDX-License-Identifier: Apache-2.0
 * What launches of one lane and of two add to a device's times. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "agent/device/cl_device_internal.h"

#include <cmocka.h>

#define MS SL_NS_PER_MS

static struct sl_cl_device device;

static int clean(void **state) {
    (void)state;
    memset(&device, 0, sizeof device);
    device.stats.mode = SL_MODE_INFER;
    return 0;
}

static void ended(uint32_t lane, int64_t start_ms, int64_t end_ms) {
    struct sl_flight flight = {.follows = device.last_end_ns != 0,
                               .launch = {.lane = lane,
                                          .start_ns = start_ms * SL_NS_PER_MS,
                                          .end_ns = end_ms * SL_NS_PER_MS}};
    sl_flights_account(&device, &flight);
}

static int64_t busy_ms(void) {
    return (int64_t)device.stats.busy_ns[SL_MODE_INFER] / SL_NS_PER_MS;
}

static void one_lane(void **state) {
    (void)state;
    ended(0, 10, 20);
    ended(0, 20, 28);
    ended(0, 30, 31); /* after a gap */
    assert_int_equal(busy_ms(), 19);
    assert_int_equal(device.stats.idle_gap_ns, 2 * MS);
    assert_int_equal(device.stats.launches_total, 3);
}

/* Time in which both lanes have a launch counts once, and a lane that waits is no gap. */
static void two_lanes(void **state) {
    (void)state;
    ended(0, 10, 20);
    ended(1, 11, 22);
    ended(0, 20, 21); /* ends before the other lane's, which was handed back first */
    assert_int_equal(busy_ms(), 12);
    ended(1, 22, 30);
    ended(0, 24, 29); /* was empty for 3 ms; lies within the other's */
    assert_int_equal(busy_ms(), 20);
    assert_int_equal(device.stats.idle_gap_ns, 0);
    ended(1, 34, 35);
    assert_int_equal(device.stats.idle_gap_ns, 4 * MS);
    assert_int_equal(busy_ms(), 21);
}

/* The launch that is read first began second: there was no gap before it. */
static void a_lane_that_began_first(void **state) {
    (void)state;
    ended(0, 10, 20);
    ended(1, 10, 20);
    ended(0, 26, 40); /* a gap of 6 ms, as it seems */
    assert_int_equal(device.stats.idle_gap_ns, 6 * MS);
    assert_int_equal(busy_ms(), 24);
    ended(1, 21, 39);
    assert_int_equal(device.stats.idle_gap_ns, 1 * MS);
    assert_int_equal(busy_ms(), 29);
    ended(1, 39, 42); /* nothing is taken back twice */
    assert_int_equal(device.stats.idle_gap_ns, 1 * MS);
    assert_int_equal(busy_ms(), 31);
}

/* The loop looks again when most of the oldest launch is over: it began with the end of the one
 * before it in its own lane. */
static void the_next_look(void **state) {
    (void)state;
    device.cl.stop_method = SL_STOP_MAPPED;
    ended(0, 90, 100);
    ended(1, 95, 105);
    device.flight_count = 2;
    device.flights[0].enqueued_ns = 80 * MS;
    device.flights[1].enqueued_ns = 96 * MS;
    device.flights[1].launch.lane = 1;
    assert_in_range(sl_flights_wake_ns(&device, 106 * MS), 107 * MS, 109 * MS);
    device.flight_first = 1;
    assert_in_range(sl_flights_wake_ns(&device, 106 * MS), 112 * MS, 114 * MS);
}

/* A launch that is short on purpose says nothing about the next ones. */
static void an_opening_launch_predicts_nothing(void **state) {
    (void)state;
    device.cl.stop_method = SL_STOP_MAPPED;
    struct sl_flight opening = {
        .launch = {.start_ns = 10 * MS, .end_ns = 11 * MS, .opening = true}};
    sl_flights_account(&device, &opening);
    assert_int_equal(device.length_count, 0);
    assert_int_equal(busy_ms(), 1);
    ended(0, 11, 61);
    device.flight_count = 1;
    device.flights[0].enqueued_ns = 12 * MS;
    assert_in_range(sl_flights_wake_ns(&device, 62 * MS), 100 * MS, 102 * MS);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(one_lane, clean),
        cmocka_unit_test_setup(two_lanes, clean),
        cmocka_unit_test_setup(a_lane_that_began_first, clean),
        cmocka_unit_test_setup(the_next_look, clean),
        cmocka_unit_test_setup(an_opening_launch_predicts_nothing, clean),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
