/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "tests/pool/options.h"

static int parse(struct sl_tp_options *opt, struct sl_error *err, int argc, ...) {
    char *argv[16] = {(char *)"pool"};
    va_list args;
    va_start(args, argc);
    for (int i = 1; i <= argc; i++) {
        argv[i] = va_arg(args, char *);
    }
    va_end(args);
    return sl_tp_options_parse(argc + 1, argv, opt, err);
}

static void defaults_and_values(void **state) {
    (void)state;
    struct sl_tp_options opt;
    assert_int_equal(parse(&opt, NULL, 0), SL_OK);
    assert_int_equal(opt.difficulty, 100000000);
    assert_int_equal(opt.clean_every_ms, 12000);
    assert_int_equal(opt.extranonce2_size, 4);
    assert_int_equal(opt.behaviours, 0);
    assert_int_equal(parse(&opt, NULL, 8, "--difficulty", "1e-7", "--clean-every", "15s",
                           "--worker-difficulty", "a=b=0.5", "--garbage", "--silent"),
                     SL_OK);
    assert_int_equal(opt.difficulty, 100000);
    assert_int_equal(opt.clean_every_ms, 15000);
    assert_string_equal(opt.workers[0].worker, "a=b");
    assert_int_equal(opt.workers[0].difficulty, SL_TP_DIFFICULTY_ONE / 2);
    assert_int_equal(opt.behaviours, SL_TP_GARBAGE | SL_TP_SILENT);
}

static void wrong_values_are_named(void **state) {
    (void)state;
    static const struct {
        const char *name, *value, *says;
    } cases[] = {
        {"--port", "65536", "--port cannot be '65536'"},
        {"--port", "-1", "--port cannot"},
        {"--port", "80x", "--port cannot"},
        {"--difficulty", "0", "--difficulty cannot"},
        {"--difficulty", "nan", "--difficulty cannot"},
        {"--difficulty", "1e9", "--difficulty cannot"},
        {"--clean-every", "16s", "--clean-every cannot"}, /* a promise: at least every 15 s */
        {"--clean-every", "12", "--clean-every cannot"},
        {"--extranonce2-size", "0", "--extranonce2-size cannot"},
        {"--extranonce2-size", "17", "--extranonce2-size cannot"},
        {"--branches", "13", "--branches cannot"},
        {"--worker-difficulty", "=1", "--worker-difficulty cannot"},
        {"--worker-difficulty", "w", "--worker-difficulty cannot"},
        {"--colour", "red", "unknown option '--colour'"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct sl_tp_options opt;
        struct sl_error err;
        assert_int_equal(parse(&opt, &err, 2, cases[i].name, cases[i].value), -SL_INVALID);
        assert_true(strstr(err.text, cases[i].says));
    }
    struct sl_tp_options opt;
    struct sl_error err;
    assert_int_equal(parse(&opt, &err, 1, "--port"), -SL_INVALID);
    assert_true(strstr(err.text, "needs a value"));
}

static void the_help_names_every_option(void **state) {
    (void)state;
    char *help = sl_tp_options_help();
    assert_true(strstr(help, "--clean-every") && strstr(help, "--refuse-auth"));
    free(help);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_and_values),
        cmocka_unit_test(wrong_values_are_named),
        cmocka_unit_test(the_help_names_every_option),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
