/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "schedulers/curtail.h"

#define STRIKE 100

static const struct sl_curtail_params params = {
    .confirm_ms = 1000, .resume_ms = 5000, .resume_margin = 10};

static bool step(struct sl_curtail_class *class_, int64_t price, int64_t at_ms) {
    sl_curtail_step(&params, STRIKE, true, price, at_ms, class_);
    return class_->off;
}

static void test_windows(void **state) {
    (void)state;
    struct sl_curtail_class c = {0};
    assert_false(step(&c, 101, 0));
    assert_false(step(&c, 101, 999));
    assert_true(step(&c, 101, 1000));
    /* Within the margin is not low enough. */
    assert_true(step(&c, 95, 2000));
    assert_true(step(&c, 95, 90000));
    assert_true(step(&c, 90, 90001));
    assert_true(step(&c, 90, 95000));
    assert_true(step(&c, 91, 95000)); /* the window begins anew */
    assert_true(step(&c, 90, 95001));
    assert_true(step(&c, 90, 100000));
    assert_false(step(&c, 90, 100001));
}

static void test_a_spike_shorter_than_the_window(void **state) {
    (void)state;
    struct sl_curtail_class c = {0};
    assert_false(step(&c, 500, 0));
    assert_false(step(&c, 100, 500)); /* at the strike price is not above it */
    assert_false(step(&c, 500, 600));
    assert_false(step(&c, 500, 1599));
    assert_true(step(&c, 500, 1600));
}

static void test_a_stale_price_moves_nothing(void **state) {
    (void)state;
    struct sl_curtail_class c = {0};
    step(&c, 500, 0);
    assert_false(sl_curtail_step(&params, STRIKE, false, 500, 5000, &c));
    assert_false(c.off);
    assert_false(step(&c, 500, 5001)); /* from the beginning */
    assert_true(step(&c, 500, 6001));
    assert_false(sl_curtail_step(&params, STRIKE, false, 0, 60000, &c));
    assert_true(c.off);
}

static void test_no_window(void **state) {
    (void)state;
    const struct sl_curtail_params at_once = {0};
    struct sl_curtail_class c = {0};
    assert_true(sl_curtail_step(&at_once, STRIKE, true, 101, 7, &c));
    assert_true(c.off);
    assert_true(sl_curtail_step(&at_once, INT64_MAX, true, 100, 7, &c));
    assert_false(c.off);
    /* Prices may be below zero. */
    assert_true(sl_curtail_step(&at_once, -50, true, -49, 7, &c));
}

static void fill(struct sl_curtail_row rows[4], bool wanted, bool off) {
    for (uint32_t i = 0; i < 4; i++) {
        rows[i] =
            (struct sl_curtail_row){.merit = {.margin_nusd_h = 100 * (i + 1), .mw = 100, .key = i},
                                    .wanted_off = wanted,
                                    .off = off};
    }
}

static uint32_t apply(const struct sl_curtail_params *p, struct sl_curtail_row rows[4],
                      int64_t at_ms, int64_t room, struct sl_curtail_ramp *ramp) {
    struct sl_merit merits[4];
    uint32_t order[4];
    uint32_t off = 0;
    sl_curtail_apply(p, at_ms, room, rows, 4, merits, order, ramp);
    for (uint32_t i = 0; i < 4; i++) {
        off |= (uint32_t)rows[i].off << i;
    }
    return off;
}

static void test_ramp_in_devices(void **state) {
    (void)state;
    const struct sl_curtail_params p = {.ramp_devices = 2};
    struct sl_curtail_ramp ramp = {0};
    struct sl_curtail_row rows[4];
    fill(rows, true, false);
    assert_int_equal(apply(&p, rows, 0, INT64_MAX, &ramp), 0x3); /* least worth first */
    assert_int_equal(apply(&p, rows, 29999, INT64_MAX, &ramp), 0x3);
    assert_int_equal(apply(&p, rows, 30000, INT64_MAX, &ramp), 0x7);
    assert_int_equal(apply(&p, rows, 60000, INT64_MAX, &ramp), 0xf);
    fill(rows, false, true);
    assert_int_equal(apply(&p, rows, 90000, INT64_MAX, &ramp), 0x7); /* most worth first on */
    /* A bucket holds a minute's worth, however long nothing moved. */
    assert_int_equal(apply(&p, rows, 9000000, INT64_MAX, &ramp), 0x1);
}

static void test_ramp_in_watts(void **state) {
    (void)state;
    const struct sl_curtail_params p = {.ramp_mw = 150};
    struct sl_curtail_ramp ramp = {0};
    struct sl_curtail_row rows[4];
    fill(rows, true, false);
    assert_int_equal(apply(&p, rows, 0, INT64_MAX, &ramp), 0x1);
    assert_int_equal(apply(&p, rows, 19999, INT64_MAX, &ramp), 0x1);
    assert_int_equal(apply(&p, rows, 20000, INT64_MAX, &ramp), 0x3);
    /* A device larger than a minute's worth goes when the bucket is full, and is paid off. */
    fill(rows, true, false);
    rows[0].merit.mw = 600;
    rows[0].merit.margin_nusd_h = 1;
    ramp = (struct sl_curtail_ramp){0};
    assert_int_equal(apply(&p, rows, 0, INT64_MAX, &ramp), 0x1);
    assert_int_equal(apply(&p, rows, 200000, INT64_MAX, &ramp), 0x1);
    assert_int_equal(apply(&p, rows, 220000, INT64_MAX, &ramp), 0x3);
}

static void test_floor(void **state) {
    (void)state;
    const struct sl_curtail_params p = {0};
    struct sl_curtail_ramp ramp = {0};
    struct sl_curtail_row rows[4];
    fill(rows, true, false);
    assert_int_equal(apply(&p, rows, 0, 250, &ramp), 0x3);
    assert_int_equal(apply(&p, rows, 1, -1, &ramp), 0x3);
    fill(rows, false, true); /* a floor does not keep anything off */
    assert_int_equal(apply(&p, rows, 2, -1, &ramp), 0x0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_windows),
        cmocka_unit_test(test_a_spike_shorter_than_the_window),
        cmocka_unit_test(test_a_stale_price_moves_nothing),
        cmocka_unit_test(test_no_window),
        cmocka_unit_test(test_ramp_in_devices),
        cmocka_unit_test(test_ramp_in_watts),
        cmocka_unit_test(test_floor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
