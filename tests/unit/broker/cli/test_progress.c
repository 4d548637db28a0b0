/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "broker/cli/batch.h"

#define S INT64_C(1000000000)

static void check(const struct sl_cli_progress *progress, int width, const char *wanted) {
    SL_AUTO_BUF struct sl_buf out = {0};
    sl_cli_progress_text(progress, width, &out);
    assert_string_equal(out.data, wanted);
}

static void test_text(void **state) {
    (void)state;
    struct sl_cli_progress progress = {0};
    check(&progress, 10, "0/? lines"); /* validating: nothing is known */
    sl_cli_progress_add(&progress, 0, 0);
    progress.total = 2000;
    check(&progress, 10, "[..........] 0/2000 lines"); /* one sample has no rate */
    sl_cli_progress_add(&progress, 2 * S, 1000);
    check(&progress, 10, "[#####.....] 1000/2000 lines  500/s  2 s to go");
    check(&progress, 0, "1000/2000 lines  500/s  2 s to go"); /* no terminal: no bar */
    sl_cli_progress_add(&progress, 4 * S, 2000);
    check(&progress, 10, "[##########] 2000/2000 lines  500/s");
}

static void test_long_times(void **state) {
    (void)state;
    struct sl_cli_progress progress = {.total = 100000};
    sl_cli_progress_add(&progress, 0, 0);
    sl_cli_progress_add(&progress, 10 * S, 50);
    check(&progress, 0, "50/100000 lines  5.0/s  5.6 h to go");
    progress.total = 1250;
    check(&progress, 0, "50/1250 lines  5.0/s  4 min to go");
}

static void test_rate_is_of_the_last_samples(void **state) {
    (void)state;
    struct sl_cli_progress progress = {.total = 1000};
    /* A fast lease, then none at all: once the window is full of it, the rate is 0 and no end is
     * promised. */
    for (int i = 0; i < 50; i++) {
        sl_cli_progress_add(&progress, i * S, (uint64_t)i * 10);
    }
    assert_true(sl_cli_progress_rate(&progress) > 9.9 && sl_cli_progress_rate(&progress) < 10.1);
    for (int i = 50; i < 50 + SL_CLI_SAMPLES; i++) {
        sl_cli_progress_add(&progress, i * S, 490);
    }
    check(&progress, 0, "490/1000 lines  0.0/s");
}

static void test_odd_clocks(void **state) {
    (void)state;
    struct sl_cli_progress progress = {.total = 10};
    sl_cli_progress_add(&progress, 5 * S, 0);
    sl_cli_progress_add(&progress, 5 * S, 20); /* no time, and more than there is */
    check(&progress, 4, "[####] 10/10 lines");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_long_times),
        cmocka_unit_test(test_rate_is_of_the_last_samples),
        cmocka_unit_test(test_odd_clocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
