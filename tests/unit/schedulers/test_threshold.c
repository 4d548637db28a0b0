/* SPDX-License-Identifier: Apache-2.0
 * Golden table of the threshold policy, its independence of the devices' order, and extremes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "schedulers/policy.h"

#include <cmocka.h>

#define I SL_MODE_IDLE
#define H SL_MODE_HASH
#define L SL_MODE_INFER
#define NONE SL_MODE_INVALID
#define FULL (SL_OFFER_POSSIBLE | SL_OFFER_PRICED | SL_OFFER_POWER)
#define NO_POWER (SL_OFFER_POSSIBLE | SL_OFFER_PRICED)
#define STALE (SL_OFFER_POSSIBLE | SL_OFFER_POWER)
#define NO 0

struct scene {
    const char *why;
    enum sl_mode present;
    int64_t in_mode_ms;
    uint8_t lease_open;
    uint8_t order;
    uint8_t pinned;
    uint8_t offer_hash, offer_infer;
    int64_t gross_hash, gross_infer;
    int64_t power_idle, power_hash, power_infer;
    int64_t switch_us;
    enum sl_mode want;
    enum sl_rule rule;
    unsigned marks;
};

#define LONG_AGO 1000000
static const struct scene scenes[] = {
    {"hash pays, lease pays less: stays", H, LONG_AGO, 0, 0, 0, FULL, FULL, 1000, 900, 0, 0, 0, 10,
     H, SL_RULE_STAY, 0},
    {"lease pays more than threshold and switch", H, LONG_AGO, 0, 0, 0, FULL, FULL, 1000, 1300, 0,
     0, 0, 10, L, SL_RULE_THRESHOLD, 0},
    {"exactly at threshold: stays", H, LONG_AGO, 0, 0, 0, FULL, FULL, 1000, 1021, 0, 0, 0, 60, H,
     SL_RULE_STAY, 0},
    {"one above it: moves", H, LONG_AGO, 0, 0, 0, FULL, FULL, 1000, 1022, 0, 0, 0, 60, L,
     SL_RULE_THRESHOLD, 0},
    {"switching costs 600 ms in 60 s, one percent more", H, LONG_AGO, 0, 0, 0, FULL, FULL, 1000,
     1030, 0, 0, 0, 600000, H, SL_RULE_STAY, 0},
    {"moved a moment ago", H, 400, 0, 0, 0, FULL, FULL, 1000, 1300, 0, 0, 0, 10, H, SL_RULE_DWELL,
     0},
    {"dwell is over", H, 500, 0, 0, 0, FULL, FULL, 1000, 1300, 0, 0, 0, 10, L, SL_RULE_THRESHOLD,
     0},
    {"back from a lease whose bid fell", L, LONG_AGO, 1, 0, 0, FULL, FULL, 1000, 500, 0, 0, 0, 10,
     H, SL_RULE_THRESHOLD, 0},
    {"lease ended: no threshold, no dwell", L, 10, 0, 0, 0, FULL, NO, 1000, 0, 0, 0, 0, 10, H,
     SL_RULE_LEASE_END, 0},
    {"the pool is gone: leases, though dwell runs", H, 10, 0, 0, 0, NO, FULL, 0, 5, 0, 0, 0, 10, L,
     SL_RULE_LEASE_END, 0},
    {"nothing pays for its power", H, LONG_AGO, 0, 0, 0, FULL, NO, 100, 0, 10, 200, 0, 10, I,
     SL_RULE_IDLE, 0},
    {"a loss smaller than idling's: goes on", H, LONG_AGO, 0, 0, 0, FULL, NO, 100, 0, 30, 120, 0,
     10, H, SL_RULE_STAY, 0},
    {"idle stays idle", I, LONG_AGO, 0, 0, 0, FULL, NO, 100, 0, 0, 200, 0, 10, I, SL_RULE_IDLE, 0},
    {"idle wakes when it pays", I, LONG_AGO, 0, 0, 0, FULL, NO, 300, 0, 0, 200, 0, 10, H,
     SL_RULE_THRESHOLD, 0},
    {"power unknown: gross, and marked", H, LONG_AGO, 0, 0, 0, NO_POWER, FULL, 1000, 1300, 0, 0,
     900, 10, L, SL_RULE_THRESHOLD, SL_MARK_GROSS},
    {"rounded to nothing, yet hashing beats idling", NONE, 0, 0, 0, 0, NO_POWER, NO, 0, 0, 0, 0, 0,
     10, H, SL_RULE_START, SL_MARK_GROSS},
    {"start takes the best", NONE, 0, 0, 0, 0, FULL, FULL, 1000, 1001, 0, 0, 0, 10, L,
     SL_RULE_START, 0},
    {"hashprice stale: a better lease does not move it", H, LONG_AGO, 0, 0, 0, STALE, FULL, 1, 5000,
     0, 0, 0, 10, H, SL_RULE_HOLD, 0},
    {"hashprice stale: the lease goes on while it has lines", L, LONG_AGO, 1, 0, 0, STALE, FULL, 1,
     50, 0, 0, 0, 10, L, SL_RULE_HOLD, 0},
    {"hashprice stale and the lease ended: safe mode", L, LONG_AGO, 0, 0, 0, STALE, NO, 1, 0, 0, 0,
     0, 10, H, SL_RULE_HOLD, SL_MARK_SAFE_MODE},
    {"the same though another batch waits", L, LONG_AGO, 0, 0, 0, STALE, FULL, 1, 50, 0, 0, 0, 10,
     H, SL_RULE_HOLD, SL_MARK_SAFE_MODE},
    {"stale at the start: safe mode", NONE, 0, 0, 0, 0, STALE, FULL, 1, 50, 0, 0, 0, 10, H,
     SL_RULE_HOLD, SL_MARK_SAFE_MODE},
    {"stale, but it cannot hash anyway", I, LONG_AGO, 0, 0, 0, NO, FULL, 0, 50, 0, 0, 0, 10, L,
     SL_RULE_THRESHOLD, 0},
    {"drain outranks a fortune", L, LONG_AGO, 1, SL_ORDER_DRAIN, 0, FULL, FULL, 1000, 9000, 0, 0, 0,
     10, I, SL_RULE_DRAIN, 0},
    {"stop outranks a stale price", H, LONG_AGO, 0, SL_ORDER_STOP, 0, STALE, FULL, 1, 1, 0, 0, 0,
     10, I, SL_RULE_STOP, 0},
    {"a fault idles", H, LONG_AGO, 0, SL_ORDER_FAULT, 0, FULL, NO, 1000, 0, 0, 0, 0, 10, I,
     SL_RULE_FAULT, 0},
    {"pinned to hash beside a better lease", L, 10, 1, SL_ORDER_PIN, H, FULL, FULL, 1, 9000, 0, 0,
     0, 10, H, SL_RULE_PIN, 0},
    {"pinned to infer without lines: idle, marked", H, LONG_AGO, 0, SL_ORDER_PIN, L, FULL, NO, 1, 0,
     0, 0, 0, 10, I, SL_RULE_PIN, SL_MARK_IMPOSSIBLE},
    {"a pin of nonsense is idle", H, LONG_AGO, 0, SL_ORDER_PIN, 77, FULL, NO, 1, 0, 0, 0, 0, 10, I,
     SL_RULE_PIN, SL_MARK_IMPOSSIBLE},
    {"switch not measured: left out and marked", H, LONG_AGO, 0, 0, 0, FULL, FULL, 1000, 1300, 0, 0,
     0, 0, L, SL_RULE_THRESHOLD, SL_MARK_SWITCH_UNKNOWN},
    {"largest values do not wrap", H, LONG_AGO, 0, 0, 0, FULL, FULL, INT64_MAX, INT64_MAX,
     INT64_MAX, INT64_MIN, INT64_MAX, INT64_MAX, H, SL_RULE_STAY, 0},
    {"least values do not wrap", H, LONG_AGO, 0, 0, 0, FULL, FULL, INT64_MIN, INT64_MIN, INT64_MIN,
     INT64_MAX, INT64_MAX, INT64_MAX, I, SL_RULE_IDLE, 0},
    {"from a bottomless loss", H, LONG_AGO, 0, 0, 0, FULL, NO, INT64_MIN, 0, 0, 0, 0, 1, I,
     SL_RULE_IDLE, 0},
};
#define SCENES (sizeof scenes / sizeof scenes[0])

static void put(struct sl_policy_input *in, uint32_t at, const struct scene *s) {
    in->id[at] = at;
    in->present[at] = (uint8_t)s->present;
    in->in_mode_ms[at] = s->in_mode_ms;
    in->lease_open[at] = s->lease_open;
    in->order_kind[at] = s->order;
    in->order_pinned[at] = s->pinned;
    const uint8_t offers[SL_MODE_COUNT] = {0, FULL, s->offer_hash, s->offer_infer};
    const int64_t gross[SL_MODE_COUNT] = {0, 0, s->gross_hash, s->gross_infer};
    const int64_t power[SL_MODE_COUNT] = {0, s->power_idle, s->power_hash, s->power_infer};
    for (int mode = 0; mode < SL_MODE_COUNT; mode++) {
        in->offer[mode][at] = offers[mode];
        in->gross_nusd_h[mode][at] = gross[mode];
        in->power_nusd_h[mode][at] = power[mode];
        in->switch_us[mode][at] = s->switch_us;
    }
}

struct bench {
    struct sl_policy_input in;
    struct sl_plan plan;
    void *in_memory;
    void *plan_memory;
};

static void bench_init(struct bench *b, uint32_t cap) {
    memset(b, 0, sizeof *b);
    b->in_memory = calloc(1, sl_policy_input_bytes(cap));
    b->plan_memory = malloc(sl_plan_bytes(cap));
    assert_non_null(b->in_memory);
    assert_non_null(b->plan_memory);
    memset(b->plan_memory, 0xa5, sl_plan_bytes(cap));
    sl_policy_input_place(&b->in, b->in_memory, cap);
    sl_plan_place(&b->plan, b->plan_memory, cap);
    b->in.params = (struct sl_policy_params){20000, 500, 60000, SL_MODE_HASH, SL_MODE_HASH, {0}};
    b->in.count = cap;
}

static void bench_fini(struct bench *b) {
    free(b->in_memory);
    free(b->plan_memory);
}

static void test_golden(void **state) {
    (void)state;
    struct bench b;
    bench_init(&b, SCENES);
    for (uint32_t i = 0; i < SCENES; i++) {
        put(&b.in, i, &scenes[i]);
    }
    sl_policy_threshold.decide(&b.in, NULL, &b.plan);
    assert_int_equal(b.plan.count, SCENES);
    for (uint32_t i = 0; i < SCENES; i++) {
        if (b.plan.mode[i] != scenes[i].want || b.plan.rule[i] != scenes[i].rule ||
            b.plan.marks[i] != scenes[i].marks) {
            fail_msg("%s: %s by %s, marks %u", scenes[i].why,
                     sl_mode_name((enum sl_mode)b.plan.mode[i]),
                     sl_rule_name((enum sl_rule)b.plan.rule[i]), b.plan.marks[i]);
        }
    }
    bench_fini(&b);
}

/* The figures that a reason is made of. */
static void test_figures(void **state) {
    (void)state;
    struct bench b;
    bench_init(&b, 1);
    put(&b.in, 0, &scenes[3]);
    sl_policy_threshold.decide(&b.in, NULL, &b.plan);
    assert_int_equal(b.plan.present_nusd_h[0], 1000);
    assert_int_equal(b.plan.best_nusd_h[0], 1022);
    assert_int_equal(b.plan.margin_nusd_h[0], 20);
    assert_int_equal(b.plan.switch_nusd_h[0], 1); /* 60 us in 60 s of 1022: rounded up */
    put(&b.in, 0, &scenes[5]);
    sl_policy_threshold.decide(&b.in, NULL, &b.plan);
    assert_int_equal(b.plan.dwell_left_ms[0], 100);
    assert_int_equal(b.plan.best[0], SL_MODE_INFER);
    bench_fini(&b);
}

static uint32_t next_random(uint64_t *seed) {
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(*seed >> 33);
}

static int64_t any_value(uint64_t *seed) {
    static const int64_t corners[] = {0, 1, -1, INT64_MAX, INT64_MIN, 1000000000};
    uint32_t pick = next_random(seed) % 12;
    return pick < 6 ? corners[pick] : (int64_t)next_random(seed) - 1000000000;
}

static void any_scene(uint64_t *seed, struct scene *s) {
    *s = (struct scene){.present = (enum sl_mode)(next_random(seed) % 4),
                        .in_mode_ms = next_random(seed) % 1000,
                        .lease_open = next_random(seed) % 2,
                        .order = (uint8_t)(next_random(seed) % 16),
                        .pinned = (uint8_t)(next_random(seed) % 5),
                        .offer_hash = (uint8_t)(next_random(seed) % 8),
                        .offer_infer = (uint8_t)(next_random(seed) % 8),
                        .gross_hash = any_value(seed),
                        .gross_infer = any_value(seed),
                        .power_idle = any_value(seed),
                        .power_hash = any_value(seed),
                        .power_infer = any_value(seed),
                        .switch_us = next_random(seed)};
}

/* A plan depends neither on a device's place nor on its neighbours, and never on old memory. */
static void test_permutation(void **state) {
    (void)state;
    enum { N = 257 };
    struct scene fleet[N];
    uint32_t place[N];
    uint64_t seed = 42;
    struct bench a;
    struct bench b;
    bench_init(&a, N);
    bench_init(&b, N);
    for (int round = 0; round < 50; round++) {
        for (uint32_t i = 0; i < N; i++) {
            any_scene(&seed, &fleet[i]);
            place[i] = i;
            put(&a.in, i, &fleet[i]);
        }
        for (uint32_t i = N - 1; i > 0; i--) {
            uint32_t j = next_random(&seed) % (i + 1);
            uint32_t other = place[i];
            place[i] = place[j];
            place[j] = other;
        }
        for (uint32_t i = 0; i < N; i++) {
            put(&b.in, place[i], &fleet[i]);
        }
        sl_policy_threshold.decide(&a.in, NULL, &a.plan);
        sl_policy_threshold.decide(&b.in, NULL, &b.plan);
        for (uint32_t i = 0; i < N; i++) {
            uint32_t j = place[i];
            assert_int_equal(a.plan.mode[i], b.plan.mode[j]);
            assert_int_equal(a.plan.rule[i], b.plan.rule[j]);
            assert_int_equal(a.plan.marks[i], b.plan.marks[j]);
            assert_int_equal(a.plan.best_nusd_h[i], b.plan.best_nusd_h[j]);
            assert_int_equal(a.plan.switch_nusd_h[i], b.plan.switch_nusd_h[j]);
            assert_in_range(a.plan.mode[i], SL_MODE_IDLE, SL_MODE_INFER);
            assert_true(a.plan.rule[i] != SL_RULE_INVALID);
        }
    }
    bench_fini(&a);
    bench_fini(&b);
}

static void test_registry(void **state) {
    (void)state;
    assert_ptr_equal(sl_policy_find("threshold"), &sl_policy_threshold);
    assert_ptr_equal(sl_policy_at(0), &sl_policy_threshold);
    assert_null(sl_policy_find("luck"));
    assert_null(sl_policy_at(1000));
    assert_string_equal(sl_rule_name(SL_RULE_IDLE), "idle");
    assert_string_equal(sl_rule_name(SL_RULE_FAULT), "faulty");
    assert_string_equal(sl_rule_name((enum sl_rule)99), "invalid");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),
        cmocka_unit_test(test_figures),
        cmocka_unit_test(test_permutation),
        cmocka_unit_test(test_registry),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
