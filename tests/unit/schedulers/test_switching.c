/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "schedulers/class.h"
#include "tests/unit/schedulers/constants.h"

#define STEP_MS 300000
#define USD INT64_C(1000000000)

/* Two algorithms, a lease, idle. */
static const struct sl_switching_modes modes = {
    .count = 4,
    .kind = {SL_SWITCHING_HASH, SL_SWITCHING_HASH, SL_SWITCHING_LEASE, SL_SWITCHING_IDLE}};
enum { HASH0, HASH1, LEASE, IDLE };

struct rig {
    const struct sl_switching_policy *policy;
    void *state;
    struct sl_switching_class *class;
    struct sl_switching_device device;
    struct sl_switching_step step;
    struct sl_switching_reason reason;
};

static void rig_init(struct rig *rig, const char *policy, int64_t switch_nusd) {
    rig->policy = sl_switching_find(policy);
    assert_non_null(rig->policy);
    rig->state = calloc(1, sl_switching_class_bytes(&shipped_constants));
    rig->class = sl_switching_class_init(rig->state, &modes, &shipped_constants);
    rig->device = (struct sl_switching_device){0};
    rig->step = (struct sl_switching_step){.span_ms = STEP_MS,
                                           .gross_nusd_h = {USD, USD / 2},
                                           .known_nusd_h = {0, 0, USD / 100, USD / 100},
                                           .waiting_nusd_h = -USD / 100,
                                           .possible = 0xf,
                                           .present = SL_SWITCHING_NONE};
    for (int m = 0; m < 4; m++) {
        rig->step.rate[m] = 1;
        rig->step.switch_nusd[m] = switch_nusd;
        rig->step.back_nusd[m] = switch_nusd;
    }
}

static void rig_fini(struct rig *rig) {
    free(rig->state);
}

static uint8_t decide(struct rig *rig) {
    uint8_t before = rig->step.present;
    sl_switching_class_observe(rig->class, &rig->step);
    rig->step.present = rig->policy->decide(&shipped_constants, sl_switching_class_view(rig->class),
                                            &rig->device, &rig->step, &rig->reason);
    bool stays = rig->step.present == before;
    rig->step.in_mode_ms = (stays ? rig->step.in_mode_ms : 0) + STEP_MS;
    return rig->step.present;
}

static uint8_t decide_for(struct rig *rig, int steps) {
    for (int i = 0; i < steps; i++) {
        decide(rig);
    }
    return rig->step.present;
}

static void set_lease(struct rig *rig, int64_t rate, int64_t left_ms) {
    rig->step.lease_on = rate > 0;
    rig->step.lease_left_ms = left_ms;
    rig->step.gross_nusd_h[LEASE] = rate;
}

static void every_policy_starts_with_the_best(void **state) {
    (void)state;
    for (size_t i = 0; sl_switching_at(i); i++) {
        struct rig rig;
        rig_init(&rig, sl_switching_at(i)->name, USD / 10);
        assert_ptr_equal(sl_switching_find(sl_switching_at(i)->name), sl_switching_at(i));
        assert_int_equal(decide(&rig), HASH0);
        assert_int_equal(rig.reason.rule, SL_SWITCHING_START);
        assert_int_equal(decide_for(&rig, 500), HASH0); /* and stays where nothing changes */
        assert_int_equal(rig.reason.rule, SL_SWITCHING_STAY);
        /* A better mode for good is taken by every one of them. */
        rig.step.gross_nusd_h[HASH1] = 3 * USD;
        assert_int_equal(decide_for(&rig, 500), HASH1);
        rig_fini(&rig);
    }
    assert_null(sl_switching_find("luck"));
}

static void baselines_do_what_they_say(void **state) {
    (void)state;
    struct rig rig;
    rig_init(&rig, "percent", 0);
    decide(&rig);
    rig.step.gross_nusd_h[HASH1] = USD * 103 / 100;
    assert_int_equal(decide(&rig), HASH0);
    rig.step.gross_nusd_h[HASH1] += 1;
    assert_int_equal(decide(&rig), HASH1);
    rig_fini(&rig);
    rig_init(&rig, "minimum-time", 0);
    decide(&rig);
    rig.step.gross_nusd_h[HASH1] = 2 * USD;
    assert_int_equal(decide(&rig), HASH0);
    assert_int_equal(rig.reason.rule, SL_SWITCHING_DWELL);
    assert_int_equal(decide(&rig), HASH1); /* ten minutes are over */
    rig_fini(&rig);
    rig_init(&rig, "greedy", 0);
    decide(&rig);
    rig.step.gross_nusd_h[HASH1] = USD + 1;
    assert_int_equal(decide(&rig), HASH1);
    rig_fini(&rig);
}

/* Two modes that change places just before each switch would pay: the loss stays below three times
 * the optimum's and one switch, the bound of the work function for two states. */
static void work_function_against_an_adversary(void **state) {
    (void)state;
    struct rig rig;
    int64_t cost = USD / 2;
    rig_init(&rig, "work-function", cost);
    int64_t lost = 0;
    int64_t worst[2] = {0}; /* least loss of being in each by now, as the optimum sees it */
    uint8_t before = SL_SWITCHING_NONE;
    for (int i = 0; i < 5000; i++) {
        uint8_t good = before == HASH0 ? HASH1 : HASH0; /* whatever it is in earns less */
        rig.step.gross_nusd_h[good] = USD;
        rig.step.gross_nusd_h[!good] = 0;
        uint8_t mode = decide(&rig);
        lost += mode == good ? 0 : USD / 12;
        lost += before != SL_SWITCHING_NONE && mode != before ? cost : 0;
        worst[!good] += USD / 12;
        for (int m = 0; m < 2; m++) {
            worst[m] = worst[m] < worst[!m] + cost ? worst[m] : worst[!m] + cost;
        }
        before = mode;
    }
    int64_t optimum = worst[0] < worst[1] ? worst[0] : worst[1];
    assert_true(optimum > 100 * cost);
    assert_true(lost <= 3 * optimum + cost);
    rig_fini(&rig);
}

/* ---- FBF ---- */

static void noise_does_not_move_it(void **state) {
    (void)state;
    struct rig rig;
    rig_init(&rig, "fbf", USD / 100);
    int moves = 0;
    for (int i = 0; i < 2000; i++) {
        /* The two are worth the same; quotes are 10 % to either side, in a fixed disorder. */
        int64_t wave = (int64_t)((uint32_t)i * 2654435761u >> 16) % 200 - 100;
        int64_t other = (int64_t)((uint32_t)(i + 9999) * 2246822519u >> 16) % 200 - 100;
        rig.step.gross_nusd_h[HASH0] = USD + USD / 1000 * wave;
        rig.step.gross_nusd_h[HASH1] = USD + USD / 1000 * other;
        uint8_t before = rig.step.present;
        moves += decide(&rig) != before && i > 200;
    }
    assert_true(moves <= 20); /* greedy makes a thousand */
    rig_fini(&rig);
}

static void known_costs_are_not_filtered(void **state) {
    (void)state;
    struct rig rig;
    rig_init(&rig, "fbf", USD / 1000);
    decide_for(&rig, 300);
    rig.step.known_nusd_h[HASH0] = 5 * USD; /* power goes mad for certain */
    rig.step.known_nusd_h[HASH1] = 5 * USD;
    assert_int_equal(decide(&rig), IDLE);
    assert_int_equal(rig.reason.rule, SL_SWITCHING_BAND);
    assert_int_equal(rig.reason.best_value, -USD / 100);
    rig_fini(&rig);
}

static void leases_by_what_is_left_of_them(void **state) {
    (void)state;
    struct rig rig;
    rig_init(&rig, "fbf", USD);
    decide_for(&rig, 10);
    /* Worth 0.5 USD/h more than hashing; both switches cost 2 USD, the gap's wait about 1 USD. */
    set_lease(&rig, USD * 151 / 100, 60 * 60000);
    assert_int_equal(decide(&rig), HASH0);
    set_lease(&rig, USD * 151 / 100, 4 * 60 * 60000);
    assert_int_equal(decide(&rig), LEASE);
    assert_int_equal(rig.reason.rule, SL_SWITCHING_LEASE_ENTER);
    /* It ends; the usual gap of an hour costs 1.01 USD, leaving and coming back 2 USD. */
    set_lease(&rig, 0, 0);
    assert_int_equal(decide(&rig), LEASE);
    assert_int_equal(rig.reason.rule, SL_SWITCHING_STAY);
    /* It stays away: regret ends the wait after two switches' worth, about two hours. */
    int waited = 1;
    while (decide(&rig) == LEASE) {
        waited++;
    }
    assert_int_equal(rig.step.present, HASH0);
    assert_int_equal(rig.reason.rule, SL_SWITCHING_REGRET);
    assert_in_range(waited, 22, 26);
    rig_fini(&rig);
}

static void long_gaps_are_learned(void **state) {
    (void)state;
    struct rig rig;
    rig_init(&rig, "fbf", USD / 2);
    for (int i = 0; i < 40; i++) {
        set_lease(&rig, 5 * USD, 3600000);
        decide_for(&rig, 12);
        set_lease(&rig, 0, 0);
        decide_for(&rig, 60); /* five hours */
    }
    set_lease(&rig, 5 * USD, 3600000);
    assert_int_equal(decide(&rig), LEASE);
    set_lease(&rig, 0, 0);
    assert_int_equal(decide(&rig), HASH0); /* at once now */
    assert_int_equal(rig.reason.rule, SL_SWITCHING_LEASE_LEAVE);
    rig_fini(&rig);
}

static void small_advantages_add_up(void **state) {
    (void)state;
    struct rig rig;
    rig_init(&rig, "fbf", USD);
    decide_for(&rig, 2000);
    rig.step.gross_nusd_h[HASH1] = USD + USD / 10; /* within D / H = 0.25 USD/h */
    int steps = 0;
    while (decide(&rig) == HASH0) {
        assert_true(steps++ < 1000);
    }
    assert_int_equal(rig.reason.rule, SL_SWITCHING_REGRET);
    assert_true(rig.reason.regret_nusd >= 2 * USD);
    assert_true(steps > 200); /* 20 hours of 0.1 USD, and what the filter took to believe it */
    rig_fini(&rig);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_policy_starts_with_the_best),
        cmocka_unit_test(baselines_do_what_they_say),
        cmocka_unit_test(work_function_against_an_adversary),
        cmocka_unit_test(noise_does_not_move_it),
        cmocka_unit_test(known_costs_are_not_filtered),
        cmocka_unit_test(leases_by_what_is_left_of_them),
        cmocka_unit_test(long_gaps_are_learned),
        cmocka_unit_test(small_advantages_add_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
