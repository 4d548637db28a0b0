/* SPDX-License-Identifier: Apache-2.0
 * Refused joins: counted by reason, told to people no more often than they can read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "tests/unit/broker/core/joining.h"

#include <cmocka.h>

static uint64_t count_of(const struct world *w, const char *name) {
    struct sl_view_refusal view;
    for (uint32_t i = 0; sl_view_refusal_get(w->core, i, &view); i++) {
        if (strcmp(view.name, name) == 0) {
            return view.count;
        }
    }
    fail_msg("no reason %s", name);
    return 0;
}

static void test_every_reason_has_its_count(void **state) {
    (void)state;
    struct world w;
    world_init(&w, NULL);
    joining_order(&w, SL_AGENT_ENROLL, "n1", 15 * MINUTE, 1);
    joining_present(&w, KEY_A, "n1", 9);
    assert_int_equal(count_of(&w, "unknown_token"), 1);
    joining_present(&w, KEY_A, "n2", 1);
    assert_int_equal(count_of(&w, "other_node"), 1);
    assert_int_equal(joining_present(&w, KEY_A, "n1", 1), SL_JOIN_WAITING);
    joining_present(&w, KEY_B, "n1", 1);
    joining_present(&w, KEY_C, "n1", 1);
    assert_int_equal(count_of(&w, "used_token"), 2);
    joining_order(&w, SL_AGENT_ENROLL, "n3", 15 * MINUTE, 3);
    joining_order(&w, SL_AGENT_ENROLL, "n3", 15 * MINUTE, 4); /* ends the first */
    joining_present(&w, KEY_B, "n3", 3);
    assert_int_equal(count_of(&w, "expired_token"), 1);
    world_hello(&w, "a", 1, 5, 1); /* of the file of keys */
    joining_present(&w, "a", "n3", 4);
    assert_int_equal(count_of(&w, "known_key"), 1);
    joining_order(&w, SL_AGENT_REVOKE, "n1", 0, 0);
    joining_present(&w, KEY_A, "n1", 1);
    assert_int_equal(count_of(&w, "revoked"), 1);
    /* None of them is another's. */
    assert_int_equal(count_of(&w, "unknown_token") + count_of(&w, "other_node"), 2);
    world_fini(&w);
}

static void outside(struct world *w, uint64_t malformed, uint64_t flooded) {
    struct sl_refusals total = {0};
    total.count[SL_REFUSAL_MALFORMED] = malformed;
    total.count[SL_REFUSAL_FLOODED] = flooded;
    total.count[SL_REFUSAL_USED_TOKEN] = 77; /* not the socket's to say */
    struct sl_core_event event = {.kind = SL_CEV_REFUSALS, .refusals = &total};
    world_step(w, &event);
}

static void test_the_socket_says_totals(void **state) {
    (void)state;
    struct world w;
    world_init(&w, NULL);
    outside(&w, 2, 100);
    outside(&w, 2, 250);
    assert_int_equal(count_of(&w, "malformed"), 2);
    assert_int_equal(count_of(&w, "flooded"), 250);
    assert_int_equal(count_of(&w, "used_token"), 0);
    world_fini(&w);
}

static uint32_t told(const struct world *w, const char **ret_last) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < w->store->event_count; i++) {
        if (strcmp(w->store->events[i].kind, "agents.refused") == 0) {
            count++;
            *ret_last = w->store->events[i].text;
        }
    }
    return count;
}

static void test_one_event_a_minute_and_nothing_is_left_out(void **state) {
    (void)state;
    struct world w;
    const char *last = "";
    world_init(&w, NULL);
    world_wait(&w, 10);
    joining_present(&w, KEY_A, "n1", 9);
    assert_int_equal(told(&w, &last), 1); /* the first at once */
    assert_non_null(strstr(last, ": 1 unknown_token"));
    for (uint64_t i = 1; i <= 500; i++) {
        joining_present(&w, KEY_A, "n1", 9);
        outside(&w, 0, i);
    }
    assert_int_equal(told(&w, &last), 1);
    world_wait(&w, 61000); /* nobody knocks any more: the rest is told all the same */
    assert_int_equal(told(&w, &last), 2);
    assert_non_null(strstr(last, ": 500 unknown_token, 500 flooded"));
    world_wait(&w, 200000);
    assert_int_equal(told(&w, &last), 2);
    world_fini(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_reason_has_its_count),
        cmocka_unit_test(test_the_socket_says_totals),
        cmocka_unit_test(test_one_event_a_minute_and_nothing_is_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
