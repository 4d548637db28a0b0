/* SPDX-License-Identifier: Apache-2.0
 * A tick keeps the rows that something is done with, or that people ask about, and no more room
 * than these need; what is shown of a device does not hang on which rows lie open. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "broker/core/tick_rows.h"
#include "tests/unit/broker/core/world.h"

#include <cmocka.h>

#define NODES 18
#define EACH 8 /* devices; more in all than the tables have room for at first */

static void join_all(struct world *w) {
    for (char name = 'a'; name < 'a' + NODES; name++) {
        const char key[2] = {name, '\0'};
        assert_true(world_hello(w, key, 1, 77, EACH) != 0);
        world_report(w, key, EACH);
    }
    world_wait(w, 100); /* so many are looked at now and then */
}

static void all_run(struct world *w) {
    for (char name = 'a'; name < 'a' + NODES; name++) {
        for (int i = 0; i < EACH; i++) {
            char device[SL_MSG_KEY_MAX];
            snprintf(device, sizeof device, "%c/%d", name, i);
            assert_int_equal(world_directive(w, device)->mode, SL_MODE_HASH);
            world_running(w, device, w->now.mono.ns);
        }
    }
    world_wait(w, 100);
}

/* Every device of a kept row finds it, and nobody else finds one. */
static void assert_rows(const struct world *w, uint32_t count) {
    const struct sl_broker_core *core = w->core;
    uint32_t found = 0;
    assert_int_equal(core->plan.count, count);
    assert_int_equal(core->input.count, count);
    for (uint32_t dev = 0; dev < core->fleet.count; dev++) {
        uint32_t row = core->fleet.row[dev];
        if (row != SL_CORE_NONE) {
            assert_true(row < count);
            assert_int_equal(core->input.id[row], dev);
            found++;
        }
    }
    assert_int_equal(found, count);
}

static void test_what_is_asked_for_stays(void **state) {
    (void)state;
    struct world w;
    world_init(&w, NULL);
    join_all(&w); /* no price yet: all hold, and screens say what is missing */
    assert_rows(&w, NODES * EACH);
    assert_true(w.core->tick_cap >= NODES * EACH);
    assert_string_equal(world_view(&w, "a/0").rule, "hold");
    assert_string_equal(world_view(&w, "r/7").rule, "hold");
    assert_non_null(strstr(world_view(&w, "r/7").why, "no hashprice"));
    world_fini(&w);
}

static void test_a_calm_site_keeps_none(void **state) {
    (void)state;
    struct world w;
    world_init(&w, NULL);
    world_price(&w, 0, WORLD_PRICE);
    join_all(&w);
    all_run(&w);
    assert_rows(&w, 0);
    assert_int_equal(w.core->tick_cap, SL_CORE_ROWS_MIN);
    assert_string_equal(world_view(&w, "r/7").rule, "start");
    for (uint32_t dev = 0; dev < w.core->fleet.count; dev++) {
        assert_int_equal(w.core->fleet.planned[dev], SL_MODE_HASH);
    }
    world_order(&w, "c/7", SL_OVERRIDE_DRAIN, SL_MODE_INVALID);
    world_wait(&w, 100);
    assert_rows(&w, 1);
    assert_string_equal(world_view(&w, "c/7").rule, "drain");
    assert_string_equal(world_view(&w, "c/7").why, "drained by an operator");
    assert_string_equal(world_view(&w, "c/6").rule, "start");
    world_check(&w);
    world_fini(&w);
}

static void test_rows_move_whole(void **state) {
    (void)state;
    struct world w;
    world_init(&w, NULL);
    world_price(&w, 0, WORLD_PRICE);
    world_join(&w, "a", 2);
    struct sl_broker_core *core = w.core;
    for (uint32_t row = 0; row < 2; row++) {
        core->input.id[row] = row;
        core->input.in_mode_ms[row] = 10 + row;
        core->input.gross_nusd_h[SL_MODE_INFER][row] = 20 + row;
        core->plan.best_nusd_h[row] = 30 + row;
        core->plan.rule[row] = (uint8_t)(SL_RULE_HOLD + row);
        core->decided[row][1] = (uint8_t)(40 + row);
    }
    core->input.count = 2;
    core->plan.count = 2;
    sl_core_rows_move(core, 1, 0);
    core->input.count = 1;
    sl_core_rows_reserve(core, core->tick_cap + 1); /* and into other tables */
    assert_int_equal(core->fleet.row[1], 0);
    assert_int_equal(core->input.id[0], 1);
    assert_int_equal(core->input.in_mode_ms[0], 11);
    assert_int_equal(core->input.gross_nusd_h[SL_MODE_INFER][0], 21);
    assert_int_equal(core->plan.best_nusd_h[0], 31);
    assert_int_equal(core->plan.rule[0], SL_RULE_HOLD + 1);
    assert_int_equal(core->decided[0][1], 41);
    assert_true(core->tick_cap == 2 * SL_CORE_ROWS_MIN);
    world_fini(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_asked_for_stays),
        cmocka_unit_test(test_a_calm_site_keeps_none),
        cmocka_unit_test(test_rows_move_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
