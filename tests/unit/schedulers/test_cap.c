/* SPDX-License-Identifier: Apache-2.0
 * Caps: never above, and the least margin per watt goes first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "schedulers/cap.h"

#define ROWS 12
#define CIRCUITS 3

struct scene {
    struct sl_cap_limits limits;
    struct sl_cap_row rows[ROWS];
    uint32_t count;
    int64_t circuits[CIRCUITS];
};

static uint64_t random_state;

static int64_t draw(int64_t low, int64_t high) {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return low + (int64_t)(random_state % (uint64_t)(high - low + 1));
}

static void run(struct scene *s) {
    struct sl_merit merits[ROWS];
    uint32_t order[ROWS];
    int64_t sums[CIRCUITS + 1];
    sl_cap_apply(&s->limits, s->rows, s->count, merits, order, sums);
}

static struct scene two(int64_t cap) {
    struct scene s = {.limits = {.site_mw = cap}, .count = 2};
    for (uint32_t i = 0; i < 2; i++) {
        s.rows[i] = (struct sl_cap_row){.merit = {.margin_nusd_h = 100 + i, .key = i},
                                        .held_mw = 20,
                                        .want_mw = 200,
                                        .stay_mw = -1,
                                        .idle_mw = 20,
                                        .circuit = SL_CAP_NO_CIRCUIT};
    }
    return s;
}

static void test_one_of_two(void **state) {
    (void)state;
    struct scene s = two(300);
    run(&s);
    assert_int_equal(s.rows[0].verdict, SL_CAP_SHED);
    assert_int_equal(s.rows[1].verdict, SL_CAP_KEEP);
    s = two(400);
    run(&s);
    assert_int_equal(s.rows[0].verdict, SL_CAP_KEEP);
    assert_int_equal(s.rows[1].verdict, SL_CAP_KEEP);
    s = two(SL_CAP_NONE);
    run(&s);
    assert_int_equal(s.rows[0].verdict, SL_CAP_KEEP);
    s = two(0); /* below what idle draws: all is shed, and no more can be done */
    run(&s);
    assert_int_equal(s.rows[0].verdict, SL_CAP_SHED);
    assert_int_equal(s.rows[1].verdict, SL_CAP_SHED);
}

static void test_shrink_first_grow_last(void **state) {
    (void)state;
    struct scene s = two(300);
    s.rows[0].held_mw = 200; /* runs, and is to make room */
    run(&s);
    assert_int_equal(s.rows[0].verdict, SL_CAP_SHED);
    assert_int_equal(s.rows[1].verdict, SL_CAP_WAIT);
    s.rows[0].held_mw = 20; /* its agent has confirmed */
    run(&s);
    assert_int_equal(s.rows[1].verdict, SL_CAP_KEEP);
    s = two(400);
    s.limits.frozen = true;
    run(&s);
    assert_int_equal(s.rows[0].verdict, SL_CAP_WAIT);
    s.rows[0].held_mw = 200; /* what runs may go on */
    run(&s);
    assert_int_equal(s.rows[0].verdict, SL_CAP_KEEP);
}

static void test_pins_are_shed_last(void **state) {
    (void)state;
    struct scene s = two(300);
    s.rows[0].merit.last = true;
    run(&s);
    assert_int_equal(s.rows[0].verdict, SL_CAP_KEEP);
    assert_int_equal(s.rows[1].verdict, SL_CAP_SHED);
    s.limits.site_mw = 100;
    run(&s);
    assert_int_equal(s.rows[0].verdict, SL_CAP_SHED);
}

/* It works at 150 and wants 200: what it cannot have more of, it keeps; only then it is shed. */
static void test_what_cannot_grow_stays(void **state) {
    (void)state;
    struct scene s = two(350);
    s.rows[0].held_mw = s.rows[0].stay_mw = 150;
    s.rows[1].held_mw = 200;
    run(&s);
    assert_int_equal(s.rows[0].verdict, SL_CAP_WAIT);
    assert_int_equal(s.rows[1].verdict, SL_CAP_KEEP);
    s = two(349);
    s.rows[0].held_mw = s.rows[0].stay_mw = 150;
    s.rows[1].held_mw = 200;
    run(&s);
    assert_int_equal(s.rows[0].verdict, SL_CAP_SHED);
    assert_int_equal(s.rows[1].verdict, SL_CAP_KEEP);
}

static void test_unknown_watts(void **state) {
    (void)state;
    struct scene s = two(1000);
    s.rows[0].want_mw = -1;
    run(&s);
    assert_int_equal(s.rows[0].verdict, SL_CAP_UNKNOWN);
    assert_int_equal(s.rows[1].verdict, SL_CAP_KEEP);
    /* Without a cap over it nobody asks. */
    int64_t circuits[1] = {1000};
    s.limits = (struct sl_cap_limits){SL_CAP_NONE, 1, circuits, false};
    run(&s);
    assert_int_equal(s.rows[0].verdict, SL_CAP_KEEP);
    s.rows[0].circuit = 0;
    run(&s);
    assert_int_equal(s.rows[0].verdict, SL_CAP_UNKNOWN);
}

static void make(struct scene *s) {
    *s = (struct scene){.count = (uint32_t)draw(1, ROWS)};
    s->limits = (struct sl_cap_limits){draw(0, 4) ? draw(0, 2000) : SL_CAP_NONE,
                                       (uint32_t)draw(0, CIRCUITS), s->circuits, false};
    for (uint32_t i = 0; i < CIRCUITS; i++) {
        s->circuits[i] = draw(0, 1000);
    }
    for (uint32_t i = 0; i < s->count; i++) {
        int64_t idle = draw(0, 30);
        s->rows[i] = (struct sl_cap_row){
            .merit = {.margin_nusd_h = draw(-50, 500), .key = i, .last = draw(0, 6) == 0},
            .held_mw = idle + draw(0, 200),
            .want_mw = draw(0, 20) ? idle + draw(0, 250) : -1,
            .stay_mw = -1,
            .idle_mw = idle,
            .circuit = (uint32_t)draw(0, CIRCUITS)};
    }
}

/* Sum over rows of a circuit (CIRCUITS: all). held: the most on the way, else what is wanted. */
static int64_t sum(const struct scene *s, uint32_t circuit, bool held, bool rest) {
    int64_t total = 0;
    for (uint32_t i = 0; i < s->count; i++) {
        const struct sl_cap_row *row = &s->rows[i];
        bool kept = row->verdict == SL_CAP_KEEP && row->want_mw >= 0;
        int64_t want = kept ? row->want_mw : row->idle_mw;
        int64_t mw = held && row->held_mw > want ? row->held_mw : want;
        mw = rest ? row->held_mw : mw;
        total += circuit == CIRCUITS || row->circuit == circuit ? mw : 0;
    }
    return total;
}

static int64_t idle_sum(const struct scene *s, uint32_t circuit) {
    int64_t total = 0;
    for (uint32_t i = 0; i < s->count; i++) {
        total += circuit == CIRCUITS || s->rows[i].circuit == circuit ? s->rows[i].idle_mw : 0;
    }
    return total;
}

static int64_t larger(int64_t a, int64_t b) {
    return a > b ? a : b;
}

static void check_never_above(const struct scene *s, uint32_t circuit, int64_t limit) {
    if (limit < 0) {
        return;
    }
    /* What is wanted fits, or no more can be shed. */
    assert_true(sum(s, circuit, false, false) <= larger(limit, idle_sum(s, circuit)));
    /* What may be drawn on the way is not above the cap because of a move: it never exceeds the
     * cap, or what it was before where that was above. */
    assert_true(sum(s, circuit, true, false) <= larger(limit, sum(s, circuit, true, true)));
}

static void test_never_above(void **state) {
    (void)state;
    random_state = 20261128;
    for (int round = 0; round < 20000; round++) {
        struct scene s;
        make(&s);
        for (uint32_t i = 0; i < s.count; i++) { /* idle is no growth */
            s.rows[i].held_mw = larger(s.rows[i].held_mw, s.rows[i].idle_mw);
        }
        run(&s);
        check_never_above(&s, CIRCUITS, s.limits.site_mw);
        for (uint32_t c = 0; c < s.limits.circuit_count; c++) {
            check_never_above(&s, c, s.circuits[c]);
        }
    }
}

/* Brute force, site cap only: of all sets that are a prefix of the order by margin per watt (found
 * by comparing each pair), the smallest that fits is the one shed. */
static void test_least_margin_per_watt_first(void **state) {
    (void)state;
    random_state = 77;
    for (int round = 0; round < 5000; round++) {
        struct scene s;
        make(&s);
        s.limits.circuit_count = 0;
        run(&s);
        for (uint32_t i = 0; i < s.count; i++) {
            for (uint32_t k = 0; k < s.count; k++) {
                const struct sl_cap_row *a = &s.rows[i];
                const struct sl_cap_row *b = &s.rows[k];
                bool both = a->want_mw > a->idle_mw && b->want_mw > b->idle_mw &&
                            a->merit.last == b->merit.last;
                if (!both || a->verdict != SL_CAP_SHED || b->verdict == SL_CAP_SHED) {
                    continue;
                }
                /* a was shed and b was not: a earns no more a watt. */
                int64_t left = a->merit.margin_nusd_h * (b->want_mw - b->idle_mw);
                int64_t right = b->merit.margin_nusd_h * (a->want_mw - a->idle_mw);
                assert_true(left <= right);
            }
        }
        /* None too many: the last one shed would not fit. */
        const struct sl_cap_row *best = NULL;
        for (uint32_t i = 0; i < s.count; i++) {
            const struct sl_cap_row *row = &s.rows[i];
            if (row->verdict == SL_CAP_SHED &&
                (!best || sl_merit_before(&best->merit, &row->merit))) {
                best = row;
            }
        }
        if (best) {
            int64_t wanted = best->want_mw - best->idle_mw;
            for (uint32_t i = 0; i < s.count; i++) {
                const struct sl_cap_row *row = &s.rows[i];
                bool off = row->verdict == SL_CAP_SHED || row->want_mw < 0;
                wanted += off ? row->idle_mw : row->want_mw;
            }
            assert_true(wanted > s.limits.site_mw);
        }
    }
}

/* The order of rows changes nothing. */
static void test_any_order(void **state) {
    (void)state;
    random_state = 5;
    for (int round = 0; round < 2000; round++) {
        struct scene s;
        make(&s);
        struct scene reversed = s;
        for (uint32_t i = 0; i < s.count; i++) {
            reversed.rows[i] = s.rows[s.count - 1 - i];
        }
        reversed.limits.circuit_mw = reversed.circuits;
        s.limits.circuit_mw = s.circuits;
        run(&s);
        run(&reversed);
        for (uint32_t i = 0; i < s.count; i++) {
            assert_int_equal(s.rows[i].verdict, reversed.rows[s.count - 1 - i].verdict);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_of_two),
        cmocka_unit_test(test_shrink_first_grow_last),
        cmocka_unit_test(test_pins_are_shed_last),
        cmocka_unit_test(test_what_cannot_grow_stays),
        cmocka_unit_test(test_unknown_watts),
        cmocka_unit_test(test_never_above),
        cmocka_unit_test(test_least_margin_per_watt_first),
        cmocka_unit_test(test_any_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
