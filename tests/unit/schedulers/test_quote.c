/* SPDX-License-Identifier: Apache-2.0
 * Which sources are believed: truth tables of the rules in schedulers/quote.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "schedulers/quote.h"

#include <cmocka.h>

#define USD INT64_C(1000000000)
#define G SL_QUOTE_GOOD
#define O SL_QUOTE_OUTLIER
#define D SL_QUOTE_DISAGREE
#define J SL_QUOTE_JUMPED
#define OLD SL_QUOTE_OLD

static const struct sl_quote_limits shipped = {
    .outlier_ppm = 250000, .disagree_ppm = 100000, .jump_ppm = 2000000, .confirm_ms = 600000};

struct row {
    uint32_t count;
    int64_t value[5];
    enum sl_quote_why in[5];
    enum sl_quote_why out[5];
    enum sl_quote_why hold;
    int64_t price; /* 45 USD was trusted before */
    uint32_t agree;
};

static void judge_rows(const struct row *rows, size_t n) {
    const struct sl_quote_state before = {.trusted = true, .value_nano = 45};
    for (size_t i = 0; i < n; i++) {
        struct sl_quote_source sources[5];
        struct sl_quote quote;
        for (uint32_t k = 0; k < rows[i].count; k++) {
            sources[k] = (struct sl_quote_source){rows[i].in[k], rows[i].value[k]};
        }
        sl_quote_judge(&shipped, &before, 0, sources, rows[i].count, &quote);
        if (quote.hold != rows[i].hold || quote.value_nano != rows[i].price ||
            quote.agree != rows[i].agree) {
            fail_msg("row %zu: hold %d, price %lld, agree %u", i, (int)quote.hold,
                     (long long)quote.value_nano, quote.agree);
        }
        for (uint32_t k = 0; k < rows[i].count; k++) {
            assert_int_equal(sources[k].why, rows[i].out[k]);
        }
    }
}

static void three_and_more(void **state) {
    (void)state;
    static const struct row rows[] = {
        {3, {44, 46, 45}, {G, G, G}, {G, G, G}, G, 45, 3},
        {3, {44, 460, 45}, {G, G, G}, {G, O, G}, G, 44, 2}, /* x 10 up */
        {3, {44, 4, 45}, {G, G, G}, {G, O, G}, G, 44, 2},   /* x 10 down */
        {3, {44, -45, 45}, {G, G, G}, {G, O, G}, G, 44, 2},
        {3, {10, 45, 200}, {G, G, G}, {O, G, O}, D, 45, 1}, /* nobody agrees */
        {4, {45, 45, 90, 90}, {G, G, G, G}, {G, G, O, O}, D, 45, 2},
        {4, {45, 46, 47, 90}, {G, G, G, G}, {G, G, G, O}, G, 46, 3},
        {5, {1, 2, 45, 46, 47}, {G, G, G, G, G}, {O, O, G, G, G}, G, 46, 3},
        {3, {400, 400, 400}, {G, G, G}, {G, G, G}, G, 400, 3}, /* all jump: the market did */
        {3, {100, 125, 75}, {G, G, G}, {G, G, G}, G, 100, 3},  /* at the very limit */
        {3, {100, 126, 74}, {G, G, G}, {G, O, O}, D, 45, 1},
        {3, {0, 0, 1}, {G, G, G}, {G, G, O}, G, 0, 2},
        {3, {INT64_MAX, 45, 45}, {G, G, G}, {O, G, G}, G, 45, 2},
        {3, {INT64_MIN, 45, 45}, {G, G, G}, {O, G, G}, G, 45, 2},
    };
    judge_rows(rows, sizeof rows / sizeof rows[0]);
}

static void fewer(void **state) {
    (void)state;
    static const struct row rows[] = {
        {2, {44, 46}, {G, G}, {G, G}, G, 44, 2},
        {2, {100, 110}, {G, G}, {G, G}, G, 100, 2}, /* at the very limit */
        {2, {100, 111}, {G, G}, {D, D}, D, 45, 0},
        {2, {45, 450}, {G, G}, {D, D}, D, 45, 0},
        {3, {45, 0, 46}, {G, OLD, G}, {G, OLD, G}, G, 45, 2},
        {3, {45, 0, 450}, {G, OLD, G}, {D, OLD, D}, D, 45, 0},
        {1, {46}, {G}, {G}, G, 46, 1},
        {1, {90}, {G}, {G}, G, 90, 1}, /* double, not more */
        {1, {91}, {G}, {J}, J, 45, 0},
        {1, {22}, {G}, {J}, J, 45, 0}, /* less than half */
        {1, {0}, {G}, {J}, J, 45, 0},
        {3, {46, 0, 0}, {G, OLD, OLD}, {G, OLD, OLD}, G, 46, 1},
        {3, {450, 0, 0}, {G, OLD, OLD}, {J, OLD, OLD}, J, 45, 0},
        {2, {0, 0}, {OLD, SL_QUOTE_WRONG}, {OLD, SL_QUOTE_WRONG}, OLD, 45, 0},
        {1, {0}, {SL_QUOTE_NO_CURRENCY}, {SL_QUOTE_NO_CURRENCY}, SL_QUOTE_NO_CURRENCY, 45, 0},
        {0, {0}, {G}, {G}, SL_QUOTE_SILENT, 45, 0},
    };
    judge_rows(rows, sizeof rows / sizeof rows[0]);
}

static struct sl_quote say(const struct sl_quote_limits *limits, struct sl_quote_state *state,
                           int64_t now_ms, uint32_t count, const int64_t *values) {
    struct sl_quote_source sources[4] = {{0}};
    struct sl_quote quote;
    for (uint32_t i = 0; i < count; i++) {
        sources[i] =
            (struct sl_quote_source){values[i] < 0 ? SL_QUOTE_OLD : SL_QUOTE_GOOD, values[i]};
    }
    sl_quote_judge(limits, state, now_ms, sources, count, &quote);
    sl_quote_learn(limits, &quote, now_ms, state);
    return quote;
}
#define SAY(now, ...)                                                                              \
    say(&shipped, &state, now, sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t),                 \
        (int64_t[]){__VA_ARGS__})

static void a_jump_is_confirmed_by_time(void **unused) {
    (void)unused;
    struct sl_quote_state state = {0};
    assert_int_equal(SAY(0, 45).hold, G); /* the only source there is, at the start */
    struct sl_quote quote = SAY(1000, 450);
    assert_int_equal(quote.hold, J);
    assert_int_equal(quote.value_nano, 45);
    assert_int_equal(quote.wait_ms, 600000);
    assert_int_equal(SAY(300000, 460).hold, J); /* the same level */
    assert_int_equal(SAY(300000, 460).wait_ms, 301000);
    assert_int_equal(SAY(400000, 45).hold, G); /* back: it was a slip */
    assert_int_equal(SAY(500000, 450).hold, J);
    assert_int_equal(SAY(900000, 45000).hold, J); /* another level: from the beginning */
    assert_int_equal(SAY(1100000, 45000).hold, J);
    assert_int_equal(SAY(1499999, 45000).hold, J);
    quote = SAY(1500000, 45000);
    assert_int_equal(quote.hold, G);
    assert_int_equal(quote.value_nano, 45000);
    assert_int_equal(SAY(1500001, 45).hold, J);
}

static void a_jump_is_confirmed_by_another(void **unused) {
    (void)unused;
    struct sl_quote_state state = {0};
    assert_int_equal(SAY(0, 45, 45).hold, G);
    assert_int_equal(SAY(1, 450, -1).hold, J);
    assert_int_equal(SAY(2, 450, 45).hold, D);
    assert_int_equal(SAY(600002, 450, -1).hold, J); /* a quarrel confirmed nothing */
    struct sl_quote quote = SAY(600003, 450, 451);
    assert_int_equal(quote.hold, G);
    assert_int_equal(quote.value_nano, 450);
}

/* After a start the first to speak may be the one that lies. */
static void the_first_word_of_several_waits(void **unused) {
    (void)unused;
    struct sl_quote_state state = {0};
    struct sl_quote quote = SAY(0, 450, -1, -1);
    assert_int_equal(quote.hold, J);
    assert_int_equal(quote.value_nano, 0);
    assert_int_equal(SAY(1, 450, 45, -1).hold, D);
    quote = SAY(2, 450, 45, 46);
    assert_int_equal(quote.hold, G);
    assert_int_equal(quote.value_nano, 45);
    state = (struct sl_quote_state){0}; /* where the others never speak, time decides */
    assert_int_equal(SAY(0, 45, -1, -1).hold, J);
    assert_int_equal(SAY(600000, 45, -1, -1).hold, G);
}

static void zeros_believe_everything(void **unused) {
    (void)unused;
    static const struct sl_quote_limits none = {0};
    struct sl_quote_state state = {0};
    assert_int_equal(say(&none, &state, 0, 3, (int64_t[]){40, 9000, 42}).value_nano, 42);
    assert_int_equal(say(&none, &state, 0, 2, (int64_t[]){40, 9000}).value_nano, 40);
    assert_int_equal(say(&none, &state, 0, 2, (int64_t[]){-1, 9000}).value_nano, 9000);
}

/* Electricity: one at 0.001 and one at -0.002 say the same. */
static void the_floor(void **unused) {
    (void)unused;
    static const struct sl_quote_limits power = {
        .outlier_ppm = 250000, .disagree_ppm = 100000, .floor_nano = USD / 100};
    struct sl_quote_state state = {0};
    struct sl_quote_source two[] = {{G, USD / 1000}, {G, -USD / 500}};
    struct sl_quote quote;
    sl_quote_judge(&power, &state, 0, two, 2, &quote);
    assert_int_equal(quote.hold, G);
    assert_int_equal(quote.value_nano, -USD / 500);
    two[0].value_nano = 9 * USD; /* a spike that one alone sees */
    sl_quote_judge(&power, &state, 0, two, 2, &quote);
    assert_int_equal(quote.hold, D);
    sl_quote_judge(&power, &state, 0, two, 1, &quote);
    assert_int_equal(two[0].why, D); /* a verdict is not looked at again */
    two[0].why = G;
    sl_quote_judge(&power, &state, 0, two, 1, &quote);
    assert_int_equal(quote.hold, G);
    assert_int_equal(quote.value_nano, 9 * USD);
}

static void the_order_says_nothing(void **unused) {
    (void)unused;
    static const int orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                     {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    static const int64_t values[3] = {44, 45, 450};
    const struct sl_quote_state before = {0};
    for (size_t i = 0; i < 6; i++) {
        struct sl_quote_source sources[3];
        struct sl_quote quote;
        for (size_t k = 0; k < 3; k++) {
            sources[k] = (struct sl_quote_source){G, values[orders[i][k]]};
        }
        sl_quote_judge(&shipped, &before, 0, sources, 3, &quote);
        assert_int_equal(quote.value_nano, 44);
        assert_int_equal(quote.low_nano, 44);
        assert_int_equal(quote.high_nano, 450);
    }
}

static void words(void **unused) {
    (void)unused;
    assert_string_equal(sl_quote_words(G), "");
    for (int why = SL_QUOTE_SILENT; why < SL_QUOTE_WHYS; why++) {
        assert_true(sl_quote_words((enum sl_quote_why)why)[0] != '\0');
    }
    assert_string_equal(sl_quote_words(SL_QUOTE_WHYS), "");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(three_and_more),
        cmocka_unit_test(fewer),
        cmocka_unit_test(a_jump_is_confirmed_by_time),
        cmocka_unit_test(a_jump_is_confirmed_by_another),
        cmocka_unit_test(the_first_word_of_several_waits),
        cmocka_unit_test(zeros_believe_everything),
        cmocka_unit_test(the_floor),
        cmocka_unit_test(the_order_says_nothing),
        cmocka_unit_test(words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
