/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "broker/core/view.h"
#include "world.h"

static void dropped(struct world *w, uint64_t total) {
    struct sl_core_event event = {.kind = SL_CEV_BEHIND, .dropped = total};
    world_step(w, &event);
}

static uint32_t told(const struct world *w, const char **ret_last) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < w->store->event_count; i++) {
        if (strcmp(w->store->events[i].kind, "broker.behind") == 0) {
            count++;
            *ret_last = w->store->events[i].text;
        }
    }
    return count;
}

static void counted_always_and_told_once_a_minute(void **state) {
    (void)state;
    struct world w;
    const char *last = "";
    world_init(&w, NULL);
    world_wait(&w, 10);
    assert_int_equal(told(&w, &last), 0);
    dropped(&w, 3);
    assert_int_equal(told(&w, &last), 1); /* at once */
    assert_int_equal(strncmp(last, "3 messages", 10), 0);
    for (uint64_t i = 4; i <= 40; i++) {
        dropped(&w, i);
    }
    assert_int_equal(told(&w, &last), 1);
    struct sl_view_status view;
    sl_view_status_get(w.core, w.now, &view);
    assert_int_equal(view.dropped, 40);
    world_wait(&w, 61000); /* the rest, also when no more is dropped */
    assert_int_equal(told(&w, &last), 2);
    assert_int_equal(strncmp(last, "37 messages", 11), 0);
    world_wait(&w, 200000);
    assert_int_equal(told(&w, &last), 2);
    world_fini(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counted_always_and_told_once_a_minute),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
