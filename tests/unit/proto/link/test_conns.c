/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/link/conns.h"

#define KEY_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define KEY_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static void a_connection_keeps_its_number(void **state) {
    (void)state;
    SL_AUTO(sl_conns) c = NULL;
    assert_int_equal(sl_conns_create(4, &c, NULL), 0);
    uint64_t a = sl_conns_seen(c, 7, KEY_A);
    uint64_t b = sl_conns_seen(c, 8, KEY_A);
    uint32_t id = 0;
    assert_true(a && b && a != b);
    assert_true(sl_conns_seen(c, 7, KEY_A) == a);
    assert_true(sl_conns_find(c, a, KEY_A, &id) && id == 7);
    assert_true(sl_conns_find(c, b, KEY_A, &id) && id == 8);
    assert_false(sl_conns_find(c, b, KEY_B, &id));
    assert_false(sl_conns_find(c, 0, KEY_A, &id));
    assert_false(sl_conns_find(c, a + 4, KEY_A, &id));
    assert_false(sl_conns_find(c, UINT64_MAX, KEY_A, &id));
}

static void a_routing_id_used_again_is_another_connection(void **state) {
    (void)state;
    SL_AUTO(sl_conns) c = NULL;
    assert_int_equal(sl_conns_create(4, &c, NULL), 0);
    uint32_t id = 0;
    uint64_t a = sl_conns_seen(c, 7, KEY_A);
    uint64_t b = sl_conns_seen(c, 7, KEY_B);
    assert_true(a != b);
    assert_false(sl_conns_find(c, a, KEY_A, &id));
    assert_true(sl_conns_find(c, b, KEY_B, &id) && id == 7);
    sl_conns_forget(c, a); /* an old number does nothing */
    assert_true(sl_conns_find(c, b, KEY_B, &id));
    sl_conns_forget(c, b);
    assert_false(sl_conns_find(c, b, KEY_B, &id));
    assert_true(sl_conns_seen(c, 7, KEY_B) > b);
    sl_conns_forget(c, 0);
}

static void the_longest_silent_one_is_forgotten_first(void **state) {
    (void)state;
    SL_AUTO(sl_conns) c = NULL;
    assert_int_equal(sl_conns_create(3, &c, NULL), 0);
    uint32_t id = 0;
    uint64_t n[4];
    for (uint32_t i = 0; i < 3; i++) {
        n[i] = sl_conns_seen(c, i, KEY_A);
    }
    sl_conns_seen(c, 0, KEY_A); /* now 1 is the oldest */
    n[3] = sl_conns_seen(c, 3, KEY_A);
    assert_true(sl_conns_find(c, n[0], KEY_A, &id));
    assert_false(sl_conns_find(c, n[1], KEY_A, &id));
    assert_true(sl_conns_find(c, n[2], KEY_A, &id));
    assert_true(sl_conns_find(c, n[3], KEY_A, &id));
}

/* The same as a plain list in order of use, over many random steps. */
static void it_behaves_like_a_plain_list(void **state) {
    (void)state;
    enum { CAP = 16, IDS = 40 };
    struct {
        uint32_t id;
        uint64_t conn;
    } model[CAP];
    int count = 0;
    uint64_t highest = 0;
    uint64_t random = 42;
    SL_AUTO(sl_conns) c = NULL;
    assert_int_equal(sl_conns_create(CAP, &c, NULL), 0);
    for (int step = 0; step < 200000; step++) {
        random = random * UINT64_C(6364136223846793005) + 1442695040888963407;
        uint32_t id = (uint32_t)(random >> 33) % IDS;
        bool forget = (random >> 60) == 0;
        int at = 0;
        while (at < count && model[at].id != id) {
            at++;
        }
        if (forget) {
            if (at < count) {
                sl_conns_forget(c, model[at].conn);
                memmove(&model[at], &model[at + 1], (size_t)(count - at - 1) * sizeof model[0]);
                count--;
            }
            continue;
        }
        uint64_t conn = sl_conns_seen(c, id, KEY_A);
        if (at < count) {
            assert_true(conn == model[at].conn);
            memmove(&model[at], &model[at + 1], (size_t)(count - at - 1) * sizeof model[0]);
            count--;
        } else {
            assert_true(conn / CAP > highest / CAP); /* serial: never used before */
            highest = conn;
            if (count == CAP) {
                memmove(&model[0], &model[1], (CAP - 1) * sizeof model[0]);
                count--;
            }
        }
        model[count].id = id;
        model[count++].conn = conn;
        for (int i = 0; i < count; i++) {
            uint32_t found = 0;
            assert_true(sl_conns_find(c, model[i].conn, KEY_A, &found) && found == model[i].id);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_connection_keeps_its_number),
        cmocka_unit_test(a_routing_id_used_again_is_another_connection),
        cmocka_unit_test(the_longest_silent_one_is_forgotten_first),
        cmocka_unit_test(it_behaves_like_a_plain_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
