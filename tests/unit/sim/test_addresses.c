/* SPDX-License-Identifier: Apache-2.0
 * The small world of addresses: its rules hold, each of its paths is walked, and a seed tells the
 * same story twice. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "tests/sim/addresses.h"

#define SEEDS 15

static void rules_hold_and_paths_are_walked(void **state) {
    (void)state;
    struct sim_addresses sum = {.last_link = 0};
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct sim_addresses world;
        sim_addresses_run(seed, &world);
        if (world.rule[0]) {
            fail_msg("seed %d: %s: %s", (int)seed, world.rule, world.text);
        }
        sum.changes += world.changes;
        sum.returns += world.returns;
        sum.impostors += world.impostors;
        sum.sent_away += world.sent_away;
        sum.shares += world.shares;
        sum.silences += world.silences;
        sum.refused += world.refused;
    }
    assert_true(sum.changes > 0 && sum.returns > 0 && sum.impostors > 0 && sum.sent_away > 0);
    assert_true(sum.silences > 0 && sum.refused > 0); /* that had to be left */
    assert_true(sum.shares > 100 * SEEDS);
}

static void a_seed_is_a_story(void **state) {
    (void)state;
    struct sim_addresses one, two;
    sim_addresses_run(77, &one);
    sim_addresses_run(77, &two);
    assert_memory_equal(&one, &two, sizeof one);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rules_hold_and_paths_are_walked),
        cmocka_unit_test(a_seed_is_a_story),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
