/* SPDX-License-Identifier: Apache-2.0
 * What else would have been earned, counted by hand: hashing earns 0.1875 USD/h here, a lease 0.36,
 * power has no price. And the steps on which classes learn. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/broker/core/world.h"

#include <cmocka.h>

#define HASH_NUSD_H INT64_C(187500000)

static void begin(struct world *w, const char *policy) {
    struct sl_core_config config = world_config();
    sl_policy_document_default(&config.policy);
    config.policy.step_ms = 1000;
    config.policy.against_ms = 5000;
    for (int64_t i = 0; sl_policy_at((size_t)i); i++) {
        config.policy.policy =
            strcmp(sl_policy_at((size_t)i)->name, policy) == 0 ? i : config.policy.policy;
    }
    world_init(w, &config);
    world_price(w, 0, WORLD_PRICE);
    world_join(w, "a", 1);
    world_running(w, "a/0", w->now.mono.ns);
}

static void wait_steps(struct world *w, int steps) {
    for (int i = 0; i < steps; i++) {
        world_wait(w, 1000);
        world_report(w, "a", 1);
    }
}

static struct sl_view_shadow shadow(const struct world *w, uint32_t index) {
    struct sl_view_shadow view;
    sl_view_shadow_get(w->core, index, &view);
    return view;
}

static void each_step_is_worth_what_its_mode_is(void **state) {
    (void)state;
    struct world w;
    begin(&w, "fbf");
    struct sl_view_shadow before = shadow(&w, SL_AGAINST_HASH);
    wait_steps(&w, 8);
    int64_t a_step = HASH_NUSD_H / 3600;
    struct sl_view_shadow hash = shadow(&w, SL_AGAINST_HASH);
    sl_i128 earned = hash.hash_nusd - before.hash_nusd;
    assert_in_range((int64_t)earned, 7 * a_step, 9 * a_step + 1);
    assert_int_equal((int64_t)earned % a_step <= 8, 1); /* whole steps; rounded once */
    /* The device hashes, and so does the shadow of its own policy. */
    assert_true(shadow(&w, SL_AGAINST_ACTUAL).hash_nusd > 0);
    assert_true(shadow(&w, SL_AGAINST_POLICIES).hash_nusd == hash.hash_nusd);
    assert_true(shadow(&w, SL_AGAINST_IDLE).hash_nusd == 0);
    assert_true(shadow(&w, SL_AGAINST_LEASE).hash_nusd == 0);
    assert_string_equal(shadow(&w, SL_AGAINST_POLICIES).name, "fbf");
    world_fini(&w);
}

static void a_lease_counts_for_who_takes_it(void **state) {
    (void)state;
    struct world w;
    begin(&w, "fixed"); /* hash: it does not take the lease, fbf's shadow does */
    wait_steps(&w, 3);
    world_batch(&w, "b1", "acme", 100, WORLD_BID_HIGH);
    wait_steps(&w, 4);
    assert_int_equal(world_directive(&w, "a/0")->mode, SL_MODE_HASH);
    struct sl_view_shadow fbf = shadow(&w, SL_AGAINST_POLICIES);
    assert_true(fbf.rest_nusd > 0);
    assert_int_equal(fbf.switches, 1);
    assert_true(fbf.hash_nusd + fbf.rest_nusd > shadow(&w, SL_AGAINST_ACTUAL).hash_nusd);
    assert_int_equal(shadow(&w, SL_AGAINST_ACTUAL).switches, 0);
    assert_true(shadow(&w, SL_AGAINST_LEASE).rest_nusd > 0);
    world_fini(&w);
}

static void sums_outlive_a_restart(void **state) {
    (void)state;
    struct world w;
    begin(&w, "fbf");
    wait_steps(&w, 12); /* two intervals: sums are stored with the rows */
    struct sl_view_shadow before = shadow(&w, SL_AGAINST_HASH);
    struct sl_core_event event = {.kind = SL_CEV_SHUTDOWN};
    world_step(&w, &event);
    world_restart(&w);
    assert_true(shadow(&w, SL_AGAINST_HASH).hash_nusd == before.hash_nusd);
    world_fini(&w);
}

/* While the price is stale nothing is learnt and nothing is counted. */
static void stale_prices_count_nothing(void **state) {
    (void)state;
    struct world w;
    begin(&w, "fbf");
    for (int i = 0; i < 3700; i++) {
        wait_steps(&w, 1);
        if (!world_view(&w, "a/0").offers[SL_MODE_HASH].known) {
            break;
        }
    }
    struct sl_view_shadow before = shadow(&w, SL_AGAINST_HASH);
    wait_steps(&w, 10);
    assert_true(shadow(&w, SL_AGAINST_HASH).hash_nusd == before.hash_nusd);
    world_price(&w, 0, WORLD_PRICE);
    wait_steps(&w, 2);
    assert_true(shadow(&w, SL_AGAINST_HASH).hash_nusd > before.hash_nusd);
    world_fini(&w);
}

static void names_are_those_of_the_policies(void **state) {
    (void)state;
    for (uint32_t i = 0; sl_switching_at(i); i++) {
        assert_string_equal(sl_against_name(SL_AGAINST_POLICIES + i), sl_switching_at(i)->name);
    }
    assert_null(sl_against_name(SL_AGAINST_COUNT));
    /* Each sum has its key, or it would be lost at a restart. */
    for (uint32_t i = 0; i < SL_AGAINST_COUNT; i++) {
        char key[48];
        bool kept = false;
        snprintf(key, sizeof key, "against.%s", sl_against_name(i));
        for (const char *const *at = sl_broker_core_meta_keys(); *at; at++) {
            kept = kept || strcmp(*at, key) == 0;
        }
        assert_true(kept);
    }
}

static sl_i128 total(const struct world *w, uint32_t index) {
    return sl_core_against_of(&w->core->fleet, 0, index);
}

/* What does not fit the sum of a device moves out of it, to the nano-USD, until the next row. */
static void a_mad_sum_is_exact(void **state) {
    (void)state;
    struct world w;
    begin(&w, "fbf");
    wait_steps(&w, 1);
    w.core->fleet.against[SL_AGAINST_HASH][0] = INT64_MAX - 1;
    w.core->fleet.against[SL_AGAINST_LEASE][0] = INT64_MIN;
    sl_i128 lease = total(&w, SL_AGAINST_LEASE);
    sl_i128 policy = total(&w, SL_AGAINST_POLICIES);
    sl_i128 idle = total(&w, SL_AGAINST_IDLE);
    wait_steps(&w, 2);
    assert_non_null(w.core->fleet.against_more[0]);
    sl_i128 gain = total(&w, SL_AGAINST_POLICIES) - policy; /* it hashes */
    assert_true(gain > 0);
    assert_true(total(&w, SL_AGAINST_HASH) == INT64_MAX - 1 + gain);
    /* No lease is possible: it gains what idling gains. */
    assert_true(total(&w, SL_AGAINST_LEASE) - lease == total(&w, SL_AGAINST_IDLE) - idle);
    wait_steps(&w, 5); /* the row takes it all */
    assert_null(w.core->fleet.against_more[0]);
    assert_true(total(&w, SL_AGAINST_HASH) < INT64_C(1000000000) * 3600000);
    world_fini(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_step_is_worth_what_its_mode_is),
        cmocka_unit_test(a_lease_counts_for_who_takes_it),
        cmocka_unit_test(sums_outlive_a_restart),
        cmocka_unit_test(stale_prices_count_nothing),
        cmocka_unit_test(names_are_those_of_the_policies),
        cmocka_unit_test(a_mad_sum_is_exact),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
