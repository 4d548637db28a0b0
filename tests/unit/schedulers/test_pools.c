/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "schedulers/pools.h"

#define A 1 /* bits */
#define B 2
#define C 4

static struct sl_pools_params params(int64_t a, int64_t b, int64_t c) {
    struct sl_pools_params p = {.count = c < 0 ? 2 : 3,
                                .use = {{"a", a}, {"b", b}, {"c", c > 0 ? c : 0}},
                                .return_ms = 5000,
                                .hold_ms = 30000,
                                .band_permille = 50,
                                .window_ms = 10000,
                                .min_shares = 20,
                                .max_reject_permille = 200,
                                .min_effective_permille = 500,
                                .retry_ms = 60000};
    return p;
}

static void all_usable(struct sl_pools_device *devices, uint32_t count, uint8_t bits) {
    for (uint32_t i = 0; i < count; i++) {
        devices[i] = (struct sl_pools_device){.rate = 100, .usable = bits};
    }
}

static uint32_t on(const struct sl_pools_device *devices, uint32_t count, uint8_t chosen) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < count; i++) {
        n += devices[i].chosen == chosen;
    }
    return n;
}

/* The next tick: what was chosen is what they have. */
static void go_on(struct sl_pools_device *devices, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        devices[i].present = devices[i].chosen;
        devices[i].chosen = 0;
    }
}

static void the_first_with_work_in_order(void **state) {
    (void)state;
    struct sl_pools_params p = params(0, 0, -1);
    struct sl_pools_device d[1];
    all_usable(d, 1, A | B);
    sl_pools_choose(&p, 0, d, 1);
    assert_int_equal(d[0].chosen, 1);
    d[0].usable = B;
    sl_pools_choose(&p, 0, d, 1);
    assert_int_equal(d[0].chosen, 2);
    d[0].usable = 0;
    sl_pools_choose(&p, 0, d, 1);
    assert_int_equal(d[0].chosen, 0);
}

static void a_pool_that_is_back_must_stay_for_a_while(void **state) {
    (void)state;
    struct sl_pools_params p = params(0, 0, -1);
    struct sl_pools_device d[1] = {{.usable = A | B, .fresh = A, .present = 2}};
    sl_pools_choose(&p, 0, d, 1);
    assert_int_equal(d[0].chosen, 2); /* it serves: no hurry */
    d[0].fresh = A | B;
    sl_pools_choose(&p, 0, d, 1);
    assert_int_equal(d[0].chosen, 2); /* its own pool is no news */
    d[0].fresh = 0;
    sl_pools_choose(&p, 0, d, 1);
    assert_int_equal(d[0].chosen, 1);
    d[0] = (struct sl_pools_device){.usable = A | B, .fresh = A | B};
    sl_pools_choose(&p, 0, d, 1);
    assert_int_equal(d[0].chosen, 1); /* at a start all are new */
    d[0] = (struct sl_pools_device){.usable = A, .fresh = A, .present = 2};
    sl_pools_choose(&p, 0, d, 1);
    assert_int_equal(d[0].chosen, 1); /* nothing else has work */
}

static void a_pool_that_was_left_is_the_last_resort(void **state) {
    (void)state;
    struct sl_pools_params p = params(0, 0, -1);
    struct sl_pools_device d[2] = {{.usable = A | B, .present = 1}, {.usable = A, .present = 1}};
    sl_pools_choose(&p, A, d, 2);
    assert_int_equal(d[0].chosen, 2);
    assert_int_equal(d[1].chosen, 1);
}

static void the_rate_is_split(void **state) {
    (void)state;
    struct sl_pools_params p = params(700, 300, -1);
    struct sl_pools_device d[10];
    all_usable(d, 10, A | B);
    sl_pools_choose(&p, 0, d, 10);
    assert_int_equal(on(d, 10, 1), 7);
    assert_int_equal(on(d, 10, 2), 3);
    /* By rate, not by heads: one of 700 and ten of 30. */
    struct sl_pools_device e[11];
    all_usable(e, 11, A | B);
    for (int i = 0; i < 11; i++) {
        e[i].rate = i == 5 ? 700 : 30;
    }
    sl_pools_choose(&p, 0, e, 11);
    go_on(e, 11);
    sl_pools_choose(&p, 0, e, 11);
    assert_int_equal(e[5].chosen, 1);
    assert_true(on(e, 11, 2) >= 9); /* one more would be within the band */
}

static void two_devices_never_leave_a_pool_without_any(void **state) {
    (void)state;
    struct sl_pools_params p = params(600, 400, -1);
    for (int64_t rate = 1; rate < 2000; rate += 37) {
        struct sl_pools_device d[2];
        all_usable(d, 2, A | B);
        d[1].rate = rate;
        d[0].present = d[1].present = 1; /* the other pool was away */
        sl_pools_choose(&p, 0, d, 2);
        assert_int_equal(on(d, 2, 1), 1);
        assert_int_equal(on(d, 2, 2), 1);
    }
}

static void noise_moves_nothing(void **state) {
    (void)state;
    struct sl_pools_params p = params(700, 300, -1);
    struct sl_pools_device d[7];
    uint64_t random = 88172645463325252u;
    all_usable(d, 7, A | B);
    sl_pools_choose(&p, 0, d, 7);
    go_on(d, 7);
    uint8_t before[7];
    for (int i = 0; i < 7; i++) {
        before[i] = d[i].present;
    }
    for (int tick = 0; tick < 500; tick++) {
        for (int i = 0; i < 7; i++) {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            d[i].rate = 97 + (int64_t)(random % 7);
        }
        sl_pools_choose(&p, 0, d, 7);
        go_on(d, 7);
        for (int i = 0; i < 7; i++) {
            assert_int_equal(d[i].present, before[i]);
        }
    }
}

static void a_pool_that_dies_and_comes_back(void **state) {
    (void)state;
    struct sl_pools_params p = params(700, 300, 0);
    struct sl_pools_device d[10];
    all_usable(d, 10, A | B | C);
    sl_pools_choose(&p, 0, d, 10);
    go_on(d, 10);
    for (int i = 0; i < 10; i++) {
        d[i].usable = B | C;
    }
    sl_pools_choose(&p, 0, d, 10);
    assert_int_equal(on(d, 10, 2), 10); /* c has no share: it is the reserve */
    go_on(d, 10);
    for (int i = 0; i < 10; i++) {
        d[i].usable = A | B | C;
        d[i].held = true; /* moved a moment ago */
    }
    sl_pools_choose(&p, 0, d, 10);
    assert_int_equal(on(d, 10, 2), 10);
    for (int i = 0; i < 10; i++) {
        d[i].held = false;
    }
    sl_pools_choose(&p, 0, d, 10);
    assert_int_equal(on(d, 10, 1), 7);
    go_on(d, 10);
    for (int i = 0; i < 10; i++) {
        d[i].usable = C;
    }
    sl_pools_choose(&p, 0, d, 10);
    assert_int_equal(on(d, 10, 3), 10);
}

static void a_node_without_a_pool_is_made_up_for(void **state) {
    (void)state;
    struct sl_pools_params p = params(500, 500, -1);
    struct sl_pools_device d[8];
    all_usable(d, 8, A | B);
    for (int i = 0; i < 4; i++) {
        d[i].usable = A; /* these cannot use b */
    }
    sl_pools_choose(&p, 0, d, 8);
    assert_int_equal(on(d, 8, 1), 4);
    assert_int_equal(on(d, 8, 2), 4);
}

/* ---- health ---- */

static void figures_are_of_the_window(void **state) {
    (void)state;
    struct sl_pools_params p = params(0, 0, -1);
    struct sl_pools_health h = {0};
    struct sl_pools_figures f;
    sl_pools_figures(&p, &h, 5000, &f);
    assert_int_equal(f.reject_permille, -1);
    assert_int_equal(f.effective_permille, -1);
    for (int i = 0; i < 8; i++) {
        sl_pools_share(&p, &h, 1000 * i, i != 0, 1000);
        sl_pools_spent(&p, &h, 1000 * i, 0, 1750);
    }
    sl_pools_figures(&p, &h, 7999, &f);
    assert_int_equal(f.accepted, 7);
    assert_int_equal(f.refused, 1);
    assert_int_equal(f.work, 7000);
    assert_int_equal(f.hashes, 14000);
    assert_int_equal(f.span_ms, 7999);
    assert_int_equal(f.reject_permille, 125);
    assert_int_equal(f.effective_permille, 500);
    sl_pools_figures(&p, &h, 12500, &f); /* the first three are over */
    assert_int_equal(f.accepted, 5);
    assert_int_equal(f.refused, 0);
    sl_pools_figures(&p, &h, 100000, &f);
    assert_int_equal(f.accepted + f.refused + f.hashes, 0);
}

/* A window begins with its first figure, wherever the clock stands. */
static void the_first_figures_are_of_the_time_that_they_took(void **state) {
    (void)state;
    struct sl_pools_params p = params(0, 0, -1);
    struct sl_pools_health h = {0};
    struct sl_pools_figures f;
    p.window_ms = 600000; /* ten of a minute */
    for (int i = 0; i < 8; i++) {
        sl_pools_spent(&p, &h, 115000 + 1000 * i, 1000, 500);
    }
    sl_pools_figures(&p, &h, 122000, &f); /* the minute changed meanwhile */
    assert_int_equal(f.hashes, 4000);
    assert_int_equal(f.span_ms, 8000);
    sl_pools_share(&p, &h, 700000, true, 1000); /* the first minute is over */
    sl_pools_figures(&p, &h, 700000, &f);
    assert_int_equal(f.span_ms, 700000 - 120000);
    sl_pools_spent(&p, &h, 5000000, 3600000, 500); /* after none for long; an agent was away */
    sl_pools_figures(&p, &h, 5010000, &f);
    assert_int_equal(f.hashes, 500);
    assert_int_equal(f.span_ms, 70000);
}

static void too_many_refusals(void **state) {
    (void)state;
    struct sl_pools_params p = params(0, 0, -1);
    struct sl_pools_health h = {0};
    for (int i = 0; i < 19; i++) {
        sl_pools_share(&p, &h, 1000, i % 2, 1000);
        assert_false(sl_pools_judge(&p, &h, 1000)); /* too few to say */
    }
    sl_pools_share(&p, &h, 1000, true, 1000);
    assert_true(sl_pools_judge(&p, &h, 1000));
    assert_int_equal(h.why, SL_POOLS_REJECTS);
    assert_int_equal(h.permille, 500);
    assert_false(sl_pools_judge(&p, &h, 60999));
    assert_int_equal(h.why, SL_POOLS_REJECTS);
    assert_true(sl_pools_judge(&p, &h, 61000)); /* the way back: figures begin anew */
    assert_int_equal(h.why, SL_POOLS_GOOD);
    assert_false(sl_pools_judge(&p, &h, 61001));
}

static void too_little_credit(void **state) {
    (void)state;
    struct sl_pools_params p = params(0, 0, -1);
    struct sl_pools_health h = {0};
    sl_pools_share(&p, &h, 1000, true, 1000);
    sl_pools_spent(&p, &h, 1000, 0, 19999);
    assert_false(sl_pools_judge(&p, &h, 1000)); /* 19 shares were to be expected */
    sl_pools_spent(&p, &h, 1000, 0, 1);
    assert_true(sl_pools_judge(&p, &h, 1000));
    assert_int_equal(h.why, SL_POOLS_INEFFECTIVE);
    assert_int_equal(h.permille, 50);
    /* Limits that say never. */
    p.min_effective_permille = 0;
    p.max_reject_permille = 1000;
    h = (struct sl_pools_health){0};
    for (int i = 0; i < 100; i++) {
        sl_pools_share(&p, &h, 1000, false, 1000);
        sl_pools_spent(&p, &h, 1000, 0, UINT64_MAX);
        assert_false(sl_pools_judge(&p, &h, 1000));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_with_work_in_order),
        cmocka_unit_test(a_pool_that_is_back_must_stay_for_a_while),
        cmocka_unit_test(a_pool_that_was_left_is_the_last_resort),
        cmocka_unit_test(the_rate_is_split),
        cmocka_unit_test(two_devices_never_leave_a_pool_without_any),
        cmocka_unit_test(noise_moves_nothing),
        cmocka_unit_test(a_pool_that_dies_and_comes_back),
        cmocka_unit_test(a_node_without_a_pool_is_made_up_for),
        cmocka_unit_test(figures_are_of_the_window),
        cmocka_unit_test(the_first_figures_are_of_the_time_that_they_took),
        cmocka_unit_test(too_many_refusals),
        cmocka_unit_test(too_little_credit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
