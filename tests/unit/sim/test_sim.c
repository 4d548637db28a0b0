/* SPDX-License-Identifier: Apache-2.0
 * The simulator itself: a run is repeated to the byte, and its command line says what is wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "tests/sim/facts.h"
#include "tests/sim/options.h"
#include "tests/sim/sim.h"

#include <cmocka.h>

static void test_same_seed_same_bytes(void **state) {
    (void)state;
    const struct sim_options options = {.seed = 42,
                                        .span_ms = 60000,
                                        .agents = 2,
                                        .devices = 2,
                                        .lines = 100,
                                        .faults = SIM_ALL_FAULTS,
                                        .all_faults = true};
    struct sim_result first, second, other;
    sim_run(&options, &first);
    sim_run(&options, &second);
    assert_true(first.ok);
    assert_true(first.digest == second.digest);
    assert_memory_equal(first.counts, second.counts, sizeof first.counts);
    assert_true(first.strikes > 0 && first.lines > 0 && first.commits > 0);
    struct sim_options changed = options;
    changed.seed = 43;
    sim_run(&changed, &other);
    assert_true(first.digest != other.digest);
}

static void test_calm_run(void **state) {
    (void)state;
    const struct sim_options options = {
        .seed = 7, .span_ms = 60000, .agents = 1, .devices = 2, .lines = 50};
    struct sim_result result;
    sim_run(&options, &result);
    assert_true(result.ok);
    assert_int_equal(result.strikes, 0);
    assert_true(result.shares > 0 && result.lines > 0);
}

static void refused(int argc, const char *const *argv, const char *text) {
    char copies[8][64];
    char name[] = "sluice-sim";
    char *args[8] = {name};
    struct sim_cli cli = {.count = 77};
    struct sl_error err;
    for (int i = 0; i < argc; i++) {
        snprintf(copies[i], sizeof copies[i], "%s", argv[i]);
        args[i + 1] = copies[i];
    }
    assert_int_equal(sim_cli_parse(argc + 1, args, &cli, &err), -SL_INVALID);
    assert_non_null(strstr(err.text, text));
    assert_int_equal(cli.count, 77);
}

static void test_bad_command_lines(void **state) {
    (void)state;
    refused(2, (const char *const[]){"--seed", "0"}, "--seed wants a whole number from 1");
    refused(2, (const char *const[]){"--seed", "12x"}, "not '12x'");
    refused(2, (const char *const[]){"--seed", "99999999999999999999"}, "--seed wants");
    refused(1, (const char *const[]){"--seed"}, "--seed wants");
    refused(4, (const char *const[]){"--seed", "1", "--faults", "net-los"},
            "there is no fault 'net-los'");
    refused(4, (const char *const[]){"--seed", "1", "--span", "10"}, "--span wants");
    refused(4, (const char *const[]){"--seed", "1", "--agents", "9"}, "from 1 to 8");
    refused(1, (const char *const[]){"--sedds"}, "unknown option '--sedds'");
    refused(2, (const char *const[]){"--agents", "2"}, "say --seeds N or --seed S");
}

static void test_words_come_back(void **state) {
    (void)state;
    const struct sim_options options = {.seed = 5,
                                        .span_ms = 61319,
                                        .agents = 3,
                                        .devices = 1,
                                        .lines = 9,
                                        .strikes_max = 4,
                                        .faults = UINT64_C(1) << SIM_NET_LOSS |
                                                  UINT64_C(1) << SIM_OPERATOR_ORDER};
    struct sim_options back;
    char words[512];
    struct sl_error err;
    sim_cli_words(&options, words, sizeof words);
    assert_string_equal(words,
                        "--seed 5 --span 61319ms --agents 3 --devices 1 --lines 9 --strikes 4 "
                        "--faults net-loss,operator-order");
    strcat(words, " # a remark\n");
    assert_int_equal(sim_cli_parse_line(words, &back, &err), SL_OK);
    assert_true(back.seed == 5 && back.span_ms == 61319 && back.agents == 3 && back.lines == 9);
    assert_true(back.faults == options.faults && back.all_faults && back.strikes_max == 4);
    char empty[] = "  # nothing\n";
    assert_int_equal(sim_cli_parse_line(empty, &back, &err), -SL_NOTFOUND);
    char bad[] = "--seed 5 --seeds 9";
    assert_int_equal(sim_cli_parse_line(bad, &back, &err), -SL_INVALID);
}

static void test_facts(void **state) {
    (void)state;
    struct sim_facts *facts = sim_facts_create();
    uint64_t value = 0;
    for (uint64_t i = 1; i <= 5000; i++) {
        assert_true(sim_facts_put(facts, i * 7919, i));
    }
    assert_int_equal(sim_facts_count(facts), 5000);
    assert_true(sim_facts_put(facts, 7919, 1));  /* the same again */
    assert_false(sim_facts_put(facts, 7919, 2)); /* another value */
    assert_true(sim_facts_get(facts, 7919 * 4999, &value));
    assert_int_equal(value, 4999);
    assert_false(sim_facts_get(facts, 3, NULL));
    sim_facts_clear(facts);
    assert_int_equal(sim_facts_count(facts), 0);
    assert_false(sim_facts_get(facts, 7919, NULL));
    sim_facts_destroy(facts);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_seed_same_bytes),
        cmocka_unit_test(test_calm_run),
        cmocka_unit_test(test_bad_command_lines),
        cmocka_unit_test(test_words_come_back),
        cmocka_unit_test(test_facts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
