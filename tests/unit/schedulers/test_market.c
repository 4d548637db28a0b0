/* SPDX-License-Identifier: Apache-2.0
 * The switching policies on a fleet: people first, then prices; nothing depends on a device's
 * place; a decision is made again to the same words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "schedulers/class.h"
#include "schedulers/decision.h"
#include "schedulers/policy.h"
#include "tests/unit/schedulers/constants.h"

#include <cmocka.h>

#define USD INT64_C(1000000000)
#define FULL (SL_OFFER_POSSIBLE | SL_OFFER_PRICED | SL_OFFER_POWER)
#define STEP_MS 300000

struct fleet {
    struct sl_policy_input in;
    struct sl_plan plan;
    struct sl_switching_device *devices;
    void *in_memory, *plan_memory, *class_memory;
    struct sl_switching_class *class;
    const struct sl_switching_view *view;
};

static void fleet_init(struct fleet *f, uint32_t count) {
    memset(f, 0, sizeof *f);
    f->in_memory = calloc(1, sl_policy_input_bytes(count));
    f->plan_memory = malloc(sl_plan_bytes(count));
    f->devices = calloc(count, sizeof *f->devices);
    f->class_memory = calloc(1, sl_switching_class_bytes(&shipped_constants));
    assert_true(f->in_memory && f->plan_memory && f->devices && f->class_memory);
    memset(f->plan_memory, 0xa5, sl_plan_bytes(count));
    sl_policy_input_place(&f->in, f->in_memory, count);
    sl_plan_place(&f->plan, f->plan_memory, count);
    f->class = sl_switching_class_init(f->class_memory, &sl_policy_modes, &shipped_constants);
    f->view = sl_switching_class_view(f->class);
    f->in.classes = &f->view;
    f->in.count = count;
    f->in.params = (struct sl_policy_params){
        .safe_mode = SL_MODE_HASH, .fixed = SL_MODE_HASH, .switching = shipped_constants};
    for (uint32_t i = 0; i < count; i++) {
        f->in.id[i] = i;
        f->in.hash_rate[i] = 1000;
        f->in.span_ms[i] = STEP_MS;
        for (int mode = SL_MODE_IDLE; mode < SL_MODE_COUNT; mode++) {
            f->in.offer[mode][i] = FULL;
            f->in.switch_us[mode][i] = 2000;
            f->in.back_us[mode][i] = 3000;
        }
        f->in.gross_nusd_h[SL_MODE_HASH][i] = USD;
        f->in.gross_nusd_h[SL_MODE_INFER][i] = USD / 2;
        f->in.lease_left_ms[i] = 3600000;
    }
}

static void fleet_fini(struct fleet *f) {
    free(f->in_memory);
    free(f->plan_memory);
    free(f->devices);
    free(f->class_memory);
}

/* The class sees device 0; then every device decides. */
static void step(struct fleet *f, const struct sl_policy *policy) {
    struct sl_switching_step seen;
    sl_policy_step(&f->in, 0, 0, &seen);
    if (f->in.span_ms[0] > 0) {
        sl_switching_class_observe(f->class, &seen);
    }
    policy->decide(&f->in, f->devices, &f->plan);
}

static void a_fleet_follows_its_figures(void **state) {
    (void)state;
    struct fleet f;
    fleet_init(&f, 1);
    const struct sl_policy *fbf = sl_policy_find("fbf");
    step(&f, fbf);
    assert_int_equal(f.plan.mode[0], SL_MODE_HASH);
    assert_int_equal(f.plan.rule[0], SL_RULE_START);
    f.in.present[0] = SL_MODE_HASH;
    step(&f, fbf);
    assert_int_equal(f.plan.rule[0], SL_RULE_STAY);
    /* A bid above acts at once, between two steps; nothing else has changed meanwhile. */
    f.in.span_ms[0] = 0;
    f.in.gross_nusd_h[SL_MODE_INFER][0] = 2 * USD;
    struct sl_switching_device before = f.devices[0];
    step(&f, fbf);
    assert_int_equal(f.plan.mode[0], SL_MODE_INFER);
    assert_int_equal(f.plan.rule[0], SL_RULE_LEASE_ENTER);
    assert_memory_equal(&before, &f.devices[0], sizeof before);
    f.in.present[0] = SL_MODE_INFER;
    f.in.gross_nusd_h[SL_MODE_INFER][0] = USD / 10;
    step(&f, fbf);
    assert_int_equal(f.plan.mode[0], SL_MODE_HASH);
    assert_int_equal(f.plan.rule[0], SL_RULE_LEASE_LEAVE);
    /* No line is left: whatever waiting would be worth. */
    f.in.offer[SL_MODE_INFER][0] = 0;
    step(&f, fbf);
    assert_int_equal(f.plan.mode[0], SL_MODE_HASH);
    assert_int_equal(f.plan.rule[0], SL_RULE_LEASE_END);
    /* Nothing pays for its power. */
    f.in.present[0] = SL_MODE_HASH;
    f.in.power_nusd_h[SL_MODE_HASH][0] = 3 * USD;
    step(&f, fbf);
    assert_int_equal(f.plan.mode[0], SL_MODE_IDLE);
    assert_int_equal(f.plan.rule[0], SL_RULE_IDLE);
    fleet_fini(&f);
}

static void people_and_stale_prices_come_first(void **state) {
    (void)state;
    struct fleet f;
    fleet_init(&f, 5);
    const struct {
        uint8_t order, pinned;
        int rule, mode;
    } cases[] = {
        {SL_ORDER_STOP, 0, SL_RULE_STOP, SL_MODE_IDLE},
        {SL_ORDER_DRAIN, 0, SL_RULE_DRAIN, SL_MODE_IDLE},
        {SL_ORDER_FAULT, 0, SL_RULE_FAULT, SL_MODE_IDLE},
        {SL_ORDER_PIN, SL_MODE_INFER, SL_RULE_PIN, SL_MODE_INFER},
        {SL_ORDER_NONE, 0, SL_RULE_HOLD, SL_MODE_HASH},
    };
    for (uint32_t i = 0; i < 5; i++) {
        f.in.present[i] = SL_MODE_HASH;
        f.in.order_kind[i] = cases[i].order;
        f.in.order_pinned[i] = cases[i].pinned;
        f.in.gross_nusd_h[SL_MODE_INFER][i] = 100 * USD;
    }
    f.in.offer[SL_MODE_HASH][4] = SL_OFFER_POSSIBLE | SL_OFFER_POWER; /* not priced */
    for (size_t p = 0; sl_policy_at(p); p++) {
        step(&f, sl_policy_at(p));
        for (uint32_t i = 0; i < 5; i++) {
            assert_int_equal(f.plan.rule[i], cases[i].rule);
            assert_int_equal(f.plan.mode[i], cases[i].mode);
        }
    }
    fleet_fini(&f);
}

static void a_fixed_mode_is_fixed(void **state) {
    (void)state;
    struct fleet f;
    fleet_init(&f, 2);
    f.in.gross_nusd_h[SL_MODE_INFER][0] = 100 * USD;
    f.in.present[0] = SL_MODE_INFER;
    f.in.offer[SL_MODE_HASH][1] = 0;
    step(&f, sl_policy_find("fixed"));
    assert_int_equal(f.plan.mode[0], SL_MODE_HASH);
    assert_int_equal(f.plan.rule[0], SL_RULE_FIXED);
    assert_int_equal(f.plan.mode[1], SL_MODE_IDLE);
    assert_int_equal(f.plan.marks[1], SL_MARK_IMPOSSIBLE);
    fleet_fini(&f);
}

static uint32_t next_random(uint64_t *seed) {
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(*seed >> 33);
}

static int64_t any_rate(uint64_t *seed) {
    static const int64_t corners[] = {0, -1, INT64_MAX, INT64_MIN};
    uint32_t pick = next_random(seed) % 40;
    return pick < 4 ? corners[pick] : next_random(seed);
}

static void any_row(uint64_t *seed, struct sl_policy_input *in, uint32_t i) {
    in->present[i] = (uint8_t)(next_random(seed) % 4);
    in->in_mode_ms[i] = next_random(seed) % 2000000;
    in->lease_open[i] = next_random(seed) % 2;
    in->order_kind[i] = (uint8_t)(next_random(seed) % 16);
    in->order_pinned[i] = (uint8_t)(next_random(seed) % 5);
    in->lease_left_ms[i] = next_random(seed) % 10000000;
    in->hash_rate[i] = 500 + next_random(seed) % 1000;
    for (int mode = SL_MODE_IDLE; mode < SL_MODE_COUNT; mode++) {
        in->gross_nusd_h[mode][i] = mode == SL_MODE_IDLE ? 0 : any_rate(seed);
        in->power_nusd_h[mode][i] = any_rate(seed) / 2 - 100000000;
        in->switch_us[mode][i] = next_random(seed) % 2000000000;
        in->back_us[mode][i] = next_random(seed) % 2000000000;
        in->offer[mode][i] = mode == SL_MODE_IDLE ? FULL : (uint8_t)(next_random(seed) % 8);
    }
}

static void copy_row(const struct sl_policy_input *from, uint32_t i, struct sl_policy_input *to,
                     uint32_t j) {
#define COPY(type, name) to->name[j] = from->name[i];
#define COPY_MODE(type, name)                                                                      \
    for (int mode = 0; mode < SL_MODE_COUNT; mode++) {                                             \
        to->name[mode][j] = from->name[mode][i];                                                   \
    }
    SL_POLICY_COLUMNS(COPY)
    SL_POLICY_MODE_COLUMNS(COPY_MODE)
}

/* In any order of the devices the same plan and the same states; and each decision again, from its
 * words alone. */
static void decisions_are_made_again(void **state) {
    (void)state;
    enum { N = 101 };
    uint64_t seed = 7;
    for (size_t p = 0; sl_policy_at(p); p++) {
        const struct sl_policy *policy = sl_policy_at(p);
        struct fleet a, b;
        fleet_init(&a, N);
        fleet_init(&b, N);
        for (int round = 0; round < 40; round++) {
            uint32_t turn = next_random(&seed) % N;
            for (uint32_t i = 0; i < N; i++) {
                any_row(&seed, &a.in, i);
                a.in.span_ms[i] = round % 3 ? STEP_MS : 0;
            }
            for (uint32_t i = 0; i < N; i++) {
                copy_row(&a.in, i, &b.in, (i + turn) % N);
            }
            struct sl_switching_step seen;
            sl_policy_step(&a.in, 0, 0, &seen);
            seen.span_ms = STEP_MS;
            sl_switching_class_observe(a.class, &seen);
            sl_switching_class_observe(b.class, &seen);
            struct sl_switching_device before[N];
            memcpy(before, a.devices, sizeof before);
            policy->decide(&a.in, a.devices, &a.plan);
            policy->decide(&b.in, b.devices, &b.plan);
            assert_memory_equal(a.devices, b.devices, N * sizeof a.devices[0]);
            for (uint32_t i = 0; i < N; i++) {
                struct sl_decision one, two, again;
                int64_t words[SL_DECISION_WORDS];
                int64_t words_again[SL_DECISION_WORDS];
                sl_decision_take(&a.in, &before[i], &a.plan, i, &one);
                sl_decision_take(&b.in, &before[i], &b.plan, (i + turn) % N, &two);
                sl_decision_pack(&one, words);
                sl_decision_pack(&two, words_again);
                assert_memory_equal(words, words_again, sizeof words);
                assert_true(sl_decision_unpack(words, &two));
                sl_decision_again(policy, &two, &again);
                sl_decision_pack(&again, words_again);
                assert_memory_equal(words, words_again, sizeof words);
                assert_in_range(one.plan.mode, SL_MODE_IDLE, SL_MODE_INFER);
                assert_true(one.plan.rule != SL_RULE_INVALID);
            }
        }
        fleet_fini(&a);
        fleet_fini(&b);
    }
}

static void words_that_are_none(void **state) {
    (void)state;
    int64_t words[SL_DECISION_WORDS] = {0};
    struct sl_decision decision;
    assert_true(sl_decision_unpack(words, &decision));
    words[SL_DECISION_WORDS - 1] = 256;
    assert_false(sl_decision_unpack(words, &decision));
    words[SL_DECISION_WORDS - 1] = -1;
    assert_false(sl_decision_unpack(words, &decision));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fleet_follows_its_figures),
        cmocka_unit_test(people_and_stale_prices_come_first),
        cmocka_unit_test(a_fixed_mode_is_fixed),
        cmocka_unit_test(decisions_are_made_again),
        cmocka_unit_test(words_that_are_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
