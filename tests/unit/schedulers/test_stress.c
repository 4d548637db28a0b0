/* SPDX-License-Identifier: Apache-2.0
 * Cases computed by hand, and random sites beside a second way of counting. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "schedulers/opportunity.h"
#include "schedulers/stress.h"

#include <cmocka.h>

#define DEVICES 6
#define COMMITS 4

struct scene {
    struct sl_stress_input in;
    struct sl_stress_side before, after;
    uint8_t held[DEVICES], can_hash[DEVICES], power_known[DEVICES], modes[2][DEVICES];
    int64_t hash[DEVICES], power[SL_MODE_COUNT][DEVICES], use[DEVICES], value[2][DEVICES];
    uint32_t own[DEVICES];
    struct sl_stress_commit commits[COMMITS];
    int64_t rates[COMMITS * DEVICES], done[2][COMMITS];
};

static void scene_init(struct scene *s, uint32_t devices, uint32_t commits) {
    memset(s, 0, sizeof *s);
    s->in = (struct sl_stress_input){.count = devices,
                                     .held = s->held,
                                     .can_hash = s->can_hash,
                                     .power_known = s->power_known,
                                     .hash_nusd_h = s->hash,
                                     .use_ppm = s->use,
                                     .own = s->own,
                                     .commit_count = commits,
                                     .commits = s->commits,
                                     .tokens_s_milli = s->rates};
    for (int mode = 0; mode < SL_MODE_COUNT; mode++) {
        s->in.power_nusd_h[mode] = s->power[mode];
    }
    s->before =
        (struct sl_stress_side){.mode = s->modes[0], .value = s->value[0], .done_ms = s->done[0]};
    s->after =
        (struct sl_stress_side){.mode = s->modes[1], .value = s->value[1], .done_ms = s->done[1]};
    for (uint32_t dev = 0; dev < devices; dev++) {
        s->own[dev] = SL_STRESS_NONE;
        s->can_hash[dev] = s->power_known[dev] = 1;
        s->use[dev] = SL_SHOCK_SAME;
    }
}

static void run(struct scene *s, const struct sl_shock *shock) {
    const struct sl_shock none = sl_shock_none();
    sl_stress_run(&s->in, &none, &s->before);
    sl_stress_run(&s->in, shock, &s->after);
}

/* One device: hashing for 100 with power of 40; idle power of 5. */
static void miner(struct scene *s) {
    scene_init(s, 1, 0);
    s->hash[0] = 100;
    s->power[SL_MODE_IDLE][0] = 5;
    s->power[SL_MODE_HASH][0] = 40;
}

static void test_a_miner_stops(void **state) {
    (void)state;
    struct scene s;
    miner(&s);
    struct sl_shock shock = sl_shock_none();
    shock.hash_ppm = 350001; /* floor 35 against 35 more power than idle: no gain */
    run(&s, &shock);
    assert_int_equal(s.modes[0][0], SL_MODE_HASH);
    assert_int_equal(s.value[0][0], 60);
    assert_int_equal(s.modes[1][0], SL_MODE_IDLE);
    assert_int_equal(s.value[1][0], -5);
    assert_true(sl_stress_stops(&s.in, &s.before, &s.after, 0));
    assert_int_equal((int64_t)sl_stress_margin(&s.after), -5);
    shock.hash_ppm = 360000;
    run(&s, &shock);
    assert_int_equal(s.modes[1][0], SL_MODE_HASH);
    assert_int_equal(s.value[1][0], -4);
    shock = sl_shock_none();
    shock.power_ppm = 3000000; /* 100 - 120 against -15 */
    run(&s, &shock);
    assert_int_equal(s.modes[1][0], SL_MODE_IDLE);
    shock = sl_shock_none();
    shock.halving = true;
    s.in.fee_share_ppm = 100000; /* 10 + 45 */
    run(&s, &shock);
    assert_int_equal(s.value[1][0], 15);
}

static void test_unknown_power_is_left_out(void **state) {
    (void)state;
    struct scene s;
    miner(&s);
    s.power_known[0] = 0;
    struct sl_shock shock = sl_shock_none();
    shock.power_ppm = 100000000;
    run(&s, &shock);
    assert_int_equal(s.value[1][0], 100);
    assert_int_equal(s.after.powerless, 1);
    assert_int_equal((int64_t)s.after.power_nusd_h, 0);
}

static void test_orders_hold(void **state) {
    (void)state;
    struct scene s;
    miner(&s);
    struct sl_shock shock = sl_shock_none();
    shock.hash_ppm = 0;
    s.held[0] = SL_MODE_HASH;
    run(&s, &shock);
    assert_int_equal(s.modes[1][0], SL_MODE_HASH);
    assert_int_equal(s.value[1][0], -40);
    assert_false(sl_stress_stops(&s.in, &s.before, &s.after, 0));
    s.held[0] = SL_MODE_IDLE;
    run(&s, &shock);
    assert_int_equal(s.value[0][0], -5);
    s.held[0] = SL_MODE_INFER; /* with nothing to serve it is idle */
    run(&s, &shock);
    assert_int_equal(s.modes[0][0], SL_MODE_IDLE);
}

/* bid 250 USD/Mtok..: 2,500,000,000 x 1 milli-token/s = 9 nUSD/h by the formula of opportunity.h.
 */
#define BID(nusd_h) ((nusd_h) / 9 * INT64_C(2500000))

static void lessor(struct scene *s) {
    miner(s);
    s->in.commit_count = 2;
    s->power[SL_MODE_INFER][0] = 20;
    s->commits[0] = (struct sl_stress_commit){BID(900), 1000, 2000000, 1, 0, true};
    s->commits[1] = (struct sl_stress_commit){BID(90), 1000, 3000000, 2, 0, true};
    s->rates[0] = s->rates[1] = 1; /* a token in 1000 s */
    s->commits[0].tokens_left = 1;
    s->commits[1].tokens_left = 2;
}

static void test_leases(void **state) {
    (void)state;
    struct scene s;
    lessor(&s);
    struct sl_shock shock = sl_shock_none();
    shock.lease_ppm = 400000;
    run(&s, &shock);
    assert_int_equal(s.modes[0][0], SL_MODE_INFER);
    assert_int_equal(s.value[0][0], 880);
    assert_int_equal(s.done[0][0], 1000000);
    assert_int_equal(s.done[0][1], 3000000); /* after the first; 90 - 20 beats 60 */
    assert_int_equal(s.value[1][0], 340);
    assert_int_equal(s.done[1][0], 1000000);
    assert_int_equal(s.done[1][1], SL_STRESS_NEVER); /* 36 - 20 does not */
    assert_false(sl_stress_breaks(&s.in, &s.before, &s.after, 0));
    assert_true(sl_stress_breaks(&s.in, &s.before, &s.after, 1));
    s.commits[1].deadline_ms = 2999999; /* late already: no breach of the shock's */
    run(&s, &shock);
    assert_false(sl_stress_breaks(&s.in, &s.before, &s.after, 1));
    shock = sl_shock_none();
    shock.tenant = 1;
    run(&s, &shock);
    assert_int_equal(s.value[1][0], 70);
    assert_int_equal(s.done[1][0], SL_STRESS_LEFT);
    assert_int_equal(s.done[1][1], 2000000);
    assert_false(sl_stress_breaks(&s.in, &s.before, &s.after, 0));
    s.hash[0] = 110; /* 70 both ways: no reason to serve */
    run(&s, &shock);
    assert_int_equal(s.modes[1][0], SL_MODE_HASH);
    assert_int_equal(s.done[1][1], SL_STRESS_NEVER);
    /* What an order keeps on leases idles without them: by the order, not for want of a margin. */
    s.held[0] = SL_MODE_INFER;
    s.in.commit_count = 1;
    run(&s, &shock);
    assert_int_equal(s.modes[0][0], SL_MODE_INFER);
    assert_int_equal(s.modes[1][0], SL_MODE_IDLE);
    assert_false(sl_stress_stops(&s.in, &s.before, &s.after, 0));
}

static void test_use(void **state) {
    (void)state;
    struct scene s;
    lessor(&s);
    s.use[0] = 250000; /* 225 of 900; hash 75 of 100; power 5 + 30 */
    const struct sl_shock none = sl_shock_none();
    run(&s, &none);
    assert_int_equal((int64_t)s.before.lease_nusd_h, 225);
    assert_int_equal((int64_t)s.before.hash_nusd_h, 75);
    assert_int_equal((int64_t)s.before.power_nusd_h, 35);
    assert_int_equal(s.value[0][0], 265);
    s.commits[0].open = false; /* served by others only */
    run(&s, &none);
    assert_int_equal((int64_t)s.before.lease_nusd_h, 22);
    s.own[0] = 0;
    run(&s, &none);
    assert_int_equal((int64_t)s.before.lease_nusd_h, 225);
}

static void test_cover(void **state) {
    (void)state;
    struct scene s;
    miner(&s);
    int64_t months = -1;
    const struct sl_shock none = sl_shock_none();
    run(&s, &none);
    assert_int_equal(sl_stress_cover(&s.in, &s.before, &months), SL_STRESS_COVER_UNKNOWN);
    s.in.fixed_nusd = 40000;
    s.in.debt_nusd = 3800; /* 60 x 730 = 43800 */
    assert_int_equal(sl_stress_cover(&s.in, &s.before, &months), SL_STRESS_COVER_MARGIN);
    s.in.debt_nusd = 4800;
    s.in.cash_nusd = 2500;
    assert_int_equal(sl_stress_cover(&s.in, &s.before, &months), SL_STRESS_COVER_MONTHS);
    assert_int_equal(months, 2500);
    s.in.cash_nusd = 0;
    assert_int_equal(sl_stress_cover(&s.in, &s.before, &months), SL_STRESS_COVER_MONTHS);
    assert_int_equal(months, 0);
}

/* ---- a second way: all modes of all devices are tried ---- */

static int64_t value_of(const struct scene *s, const struct sl_shock *k, uint32_t dev, int mode) {
    int64_t gross = 0;
    if (mode == SL_MODE_HASH) {
        gross = s->can_hash[dev] ? s->hash[dev] * (k->hash_ppm / 1000) / 1000 : INT64_MIN / 4;
        gross = s->can_hash[dev] && k->halving ? gross / 2 : gross;
    } else if (mode == SL_MODE_INFER) {
        gross = INT64_MIN / 4;
        for (uint32_t c = 0; c < s->in.commit_count; c++) {
            int64_t rate = s->rates[c * s->in.count + dev];
            int64_t pays = rate * (s->commits[c].bid_nusd_per_mtok / 2500000) * 9 *
                           (k->lease_ppm / 1000) / 1000;
            if (rate > 0 && s->commits[c].tenant != k->tenant && s->commits[c].open &&
                pays > gross) {
                gross = pays;
            }
        }
    }
    int64_t power = s->power_known[dev] ? s->power[mode][dev] * (k->power_ppm / 1000) / 1000 : 0;
    return gross - power;
}

static void random_scene(struct scene *s) {
    scene_init(s, DEVICES, COMMITS);
    for (uint32_t dev = 0; dev < DEVICES; dev++) {
        s->can_hash[dev] = rand() % 4 != 0;
        s->power_known[dev] = rand() % 4 != 0;
        s->hash[dev] = rand() % 100 * 2000;
        for (int mode = SL_MODE_IDLE; mode < SL_MODE_COUNT; mode++) {
            s->power[mode][dev] = (rand() % 80 - 8) * 1000;
        }
    }
    for (uint32_t c = 0; c < COMMITS; c++) {
        s->commits[c] = (struct sl_stress_commit){(rand() % 20) * INT64_C(2500000) * 1000,
                                                  1,
                                                  1,
                                                  (uint32_t)rand() % 3,
                                                  0,
                                                  rand() % 5 != 0};
        for (uint32_t dev = 0; dev < DEVICES; dev++) {
            s->rates[c * DEVICES + dev] = rand() % 3;
        }
    }
}

static void test_every_choice_is_the_best(void **state) {
    (void)state;
    srand(1);
    for (int round = 0; round < 20000; round++) {
        struct scene s;
        random_scene(&s);
        struct sl_shock shock = sl_shock_none();
        shock.lease_ppm = rand() % 3 * 500000;
        shock.hash_ppm = rand() % 3 * 500000;
        shock.power_ppm = rand() % 4 * 1000000;
        shock.halving = rand() % 2;
        shock.tenant = rand() % 2 ? (uint32_t)rand() % 3 : SL_SHOCK_NOBODY;
        run(&s, &shock);
        int64_t total = 0;
        for (uint32_t dev = 0; dev < DEVICES; dev++) {
            int64_t best = INT64_MIN;
            for (int mode = SL_MODE_IDLE; mode < SL_MODE_COUNT; mode++) {
                int64_t value = value_of(&s, &shock, dev, mode);
                best = value > best ? value : best;
            }
            assert_int_equal(s.value[1][dev], best);
            assert_int_equal(value_of(&s, &shock, dev, s.modes[1][dev]), best);
            total += best;
        }
        assert_int_equal((int64_t)sl_stress_margin(&s.after), total);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_miner_stops),
        cmocka_unit_test(test_unknown_power_is_left_out),
        cmocka_unit_test(test_orders_hold),
        cmocka_unit_test(test_leases),
        cmocka_unit_test(test_use),
        cmocka_unit_test(test_cover),
        cmocka_unit_test(test_every_choice_is_the_best),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
