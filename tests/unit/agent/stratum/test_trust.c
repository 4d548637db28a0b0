/* SPDX-License-Identifier: Apache-2.0
 * How long a pool is waited for before its silence is suspect. */
#include "tests/unit/agent/stratum/rig.h"

/* From now until it is suspect; -1: nothing is waited for. */
static int64_t patience_ms(const struct rig *rig) {
    struct sl_mono when;
    return sl_stratum_suspect_at(rig->client, &when) ? (when.ns - rig->now.ns) / SL_NS_PER_MS : -1;
}

static void pass(struct rig *rig, int64_t ms) {
    rig->now = sl_mono_after_ms(rig->now, ms);
}

static void answer(struct rig *rig, uint64_t seq) {
    char line[100];
    snprintf(line, sizeof line, "{\"id\":%d,\"result\":true,\"error\":null}\n", (int)seq + 3);
    rig_say(rig, line);
}

/* A share and its answer, so much later. */
static void round_trip(struct rig *rig, uint64_t seq, int64_t ms) {
    rig_submit(rig, seq);
    pass(rig, ms);
    answer(rig, seq);
}

static void a_quick_pool_has_a_second(void **state) {
    (void)state;
    struct rig rig;
    rig_init(&rig);
    rig_ready(&rig);
    assert_int_equal(patience_ms(&rig), -1);
    rig_submit(&rig, 1);
    assert_int_equal(patience_ms(&rig), 1000);
    pass(&rig, 20);
    rig_submit(&rig, 2);
    assert_int_equal(patience_ms(&rig), 980); /* the older one counts */
    answer(&rig, 1);
    assert_int_equal(patience_ms(&rig), 1000);
    answer(&rig, 2);
    assert_int_equal(patience_ms(&rig), -1);
    rig_fini(&rig);
}

static void what_came_before_an_answered_one_is_not_waited_for(void **state) {
    (void)state;
    struct rig rig;
    rig_init(&rig);
    rig_ready(&rig);
    rig_submit(&rig, 1); /* which this pool forgets */
    rig_submit(&rig, 2);
    answer(&rig, 2);
    assert_int_equal(patience_ms(&rig), -1);
    pass(&rig, 5000);
    rig_submit(&rig, 3);
    assert_int_equal(patience_ms(&rig), 1000);
    rig_fini(&rig);
}

static void one_that_takes_its_time_is_given_it(void **state) {
    (void)state;
    struct rig rig;
    rig_init(&rig);
    rig_ready(&rig);
    round_trip(&rig, 1, 800);
    rig_submit(&rig, 2);
    assert_int_equal(patience_ms(&rig), 2400);
    pass(&rig, 10);
    answer(&rig, 2);
    rig_submit(&rig, 3);
    assert_in_range(patience_ms(&rig), 2350, 2400); /* not forgotten at once */
    answer(&rig, 3);
    for (uint64_t seq = 4; seq < 64; seq++) {
        round_trip(&rig, seq, 10);
        pass(&rig, 60000);
    }
    rig_submit(&rig, 64);
    assert_int_equal(patience_ms(&rig), 1000); /* after an hour it is */
    rig_fini(&rig);
}

static void one_that_is_slow_as_a_rule_is_suspected_twice(void **state) {
    (void)state;
    struct rig rig;
    int suspected = 0;
    rig_init(&rig);
    rig_ready(&rig);
    for (uint64_t seq = 1; seq <= 200; seq++) {
        rig_submit(&rig, seq);
        pass(&rig, 3000);
        suspected += patience_ms(&rig) < 0;
        answer(&rig, seq);
        pass(&rig, 3000);
    }
    assert_int_equal(suspected, 2); /* after 1 s, after 2 s */
    rig_fini(&rig);
}

static void one_silence_is_one_lesson(void **state) {
    (void)state;
    struct rig rig;
    rig_init(&rig);
    rig_ready(&rig);
    for (uint64_t seq = 1; seq <= 8; seq++) {
        rig_submit(&rig, seq);
        pass(&rig, 1000);
    }
    pass(&rig, 40000);
    for (uint64_t seq = 1; seq <= 8; seq++) {
        answer(&rig, seq);
    }
    rig_submit(&rig, 9);
    assert_in_range(patience_ms(&rig), 1999, 2000);
    rig_fini(&rig);
}

static void never_longer_than_the_connection_has(void **state) {
    (void)state;
    struct sl_stratum_config config;
    struct rig rig;
    rig_config(&config);
    config.submit_timeout_ms = 1500;
    rig_init_with(&rig, &config);
    rig_ready(&rig);
    round_trip(&rig, 1, 900);
    rig_submit(&rig, 2);
    assert_int_equal(patience_ms(&rig), 1500);
    rig_fini(&rig);
}

static void the_way_to_the_pool_counts_too(void **state) {
    (void)state;
    struct rig rig;
    rig_init(&rig);
    sl_stratum_start(rig.client, rig.now);
    sl_stratum_connected(rig.client, rig.now);
    pass(&rig, 700);
    rig_say(&rig, "{\"id\":2,\"result\":[[],\"ab\",4],\"error\":null}\n");
    rig_say(&rig, "{\"id\":3,\"result\":true,\"error\":null}\n");
    rig_say(&rig, RIG_JOB("j1", RIG_PREV_A, "true"));
    rig_submit(&rig, 1);
    assert_int_equal(patience_ms(&rig), 2100);
    rig_fini(&rig);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_quick_pool_has_a_second),
        cmocka_unit_test(what_came_before_an_answered_one_is_not_waited_for),
        cmocka_unit_test(one_that_takes_its_time_is_given_it),
        cmocka_unit_test(one_that_is_slow_as_a_rule_is_suspected_twice),
        cmocka_unit_test(one_silence_is_one_lesson),
        cmocka_unit_test(never_longer_than_the_connection_has),
        cmocka_unit_test(the_way_to_the_pool_counts_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
