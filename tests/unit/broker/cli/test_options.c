/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "broker/cli/cli.h"

struct result {
    int rc;
    bool wrong_usage;
    int argc;
    char last[64];
    char value[64];
    bool flag;
    struct sl_error err;
};

/* The words of a line as arguments. */
static struct result run(const char *line) {
    struct result result = {0};
    char words[128];
    char *argv[16];
    const char *value = "";
    assert_true(sl_text_copy(words, sizeof words, line));
    struct sl_cli cli = {.verb = "v", .arguments = "ARGS", .argv = argv};
    for (char *at = words; at && cli.argc < 16;) {
        argv[cli.argc++] = strsep(&at, " ");
    }
    const struct sl_cli_option options[] = {
        {"--bid", &value, NULL}, {"--wait", NULL, &result.flag}, {NULL, NULL, NULL}};
    result.rc = sl_cli_options(&cli, options, 1, 2, &result.err);
    result.wrong_usage = cli.wrong_usage;
    result.argc = cli.argc;
    sl_text_copy(result.last, sizeof result.last, cli.argv[cli.argc - 1]);
    sl_text_copy(result.value, sizeof result.value, value);
    return result;
}

static void test_options_stand_anywhere(void **state) {
    (void)state;
    struct result r = run("v --bid 0.05 file --wait");
    assert_int_equal(r.rc, SL_OK);
    assert_int_equal(r.argc, 2);
    assert_string_equal(r.last, "file");
    assert_string_equal(r.value, "0.05");
    assert_true(r.flag);
    r = run("v file --bid=-5"); /* a value of its own: the bid's check refuses it, not we */
    assert_string_equal(r.value, "-5");
    r = run("v -- --wait"); /* a file of that name */
    assert_int_equal(r.rc, SL_OK);
    assert_string_equal(r.last, "--wait");
    assert_false(r.flag);
    r = run("v -"); /* stdin */
    assert_string_equal(r.last, "-");
}

static void test_wrong_usage(void **state) {
    (void)state;
    struct result results[] = {
        run("v"),              /* too few */
        run("v a b c"),        /* too many */
        run("v a --bid"),      /* no value */
        run("v a --no-such"),  /* unknown */
        run("v a --wait=yes"), /* a flag has none */
        run("v a --bidder 5"), /* no abbreviations, no prefixes */
    };
    for (size_t i = 0; i < sizeof results / sizeof results[0]; i++) {
        assert_int_equal(results[i].rc, -SL_INVALID);
        assert_true(results[i].wrong_usage);
        assert_non_null(strstr(results[i].err.text, "\nusage: sluice v ARGS"));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_options_stand_anywhere),
        cmocka_unit_test(test_wrong_usage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
