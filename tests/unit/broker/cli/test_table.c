/* SPDX-License-Identifier: Apache-2.0
 * What really comes out on stdout, which is turned into a file for the while. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "broker/cli/cli.h"

struct capture {
    int saved;
    FILE *file;
};

static void begin(struct capture *capture) {
    fflush(stdout);
    capture->saved = dup(STDOUT_FILENO);
    capture->file = tmpfile();
    assert_non_null(capture->file);
    assert_true(dup2(fileno(capture->file), STDOUT_FILENO) >= 0);
}

static void end(struct capture *capture, char *text, size_t size) {
    fflush(stdout);
    assert_true(dup2(capture->saved, STDOUT_FILENO) >= 0);
    close(capture->saved);
    rewind(capture->file);
    size_t n = fread(text, 1, size - 1, capture->file);
    text[n] = '\0';
    fclose(capture->file);
}

static const struct sl_cli_column columns[] = {
    {"name", "name", SL_CLI_TEXT, false, false},
    {"mode", "mode", SL_CLI_TEXT, false, true},
    {"rate", "rate", SL_CLI_RATE_ZERO, true, false},
    {"trouble", "trouble", SL_CLI_TEXT, false, true},
    {NULL, NULL, SL_CLI_TEXT, false, false},
};

static const char rows_text[] =
    "[{\"name\":\"a\",\"mode\":\"hash\",\"rate\":61200000,\"trouble\":null},"
    "{\"name\":\"gr\u00fcn\",\"mode\":\"infer\",\"rate\":0,\"trouble\":\"hung\"}]";

static void check_table(bool colour, const char *rows_json, const char *wanted) {
    struct sl_cli cli = {.colour = colour};
    struct capture capture;
    char text[2048];
    json_t *rows = json_loads(rows_json, 0, NULL);
    assert_non_null(rows);
    begin(&capture);
    sl_cli_table(&cli, rows, columns, "none at all");
    end(&capture, text, sizeof text);
    assert_string_equal(text, wanted);
    json_decref(rows);
}

static void test_table(void **state) {
    (void)state;
    /* Aligned by characters, not bytes; nothing behind the last cell; unknown is said. */
    check_table(false, rows_text,
                "name  mode        rate  trouble\n"
                "a     hash   61.2 MH/s  -\n"
                "gr\u00fcn  infer    unknown  hung\n");
    check_table(false, "[]", "none at all\n");
}

static void test_colours(void **state) {
    (void)state;
    check_table(true, rows_text,
                "\033[1mname  mode        rate  trouble\033[0m\n"
                "a     \033[33mhash\033[0m   61.2 MH/s  -\n"
                "gr\u00fcn  \033[32minfer\033[0m    unknown  \033[31mhung\033[0m\n");
}

static void test_fields(void **state) {
    (void)state;
    struct sl_cli cli = {0};
    struct capture capture;
    char text[512];
    json_t *row = json_pack("{s:s, s:i}", "name", "x\033[2J", "rate", 1500);
    begin(&capture);
    sl_cli_fields(&cli, row, columns);
    end(&capture, text, sizeof text);
    assert_string_equal(text, "name     x?[2J\n"
                              "mode     -\n"
                              "rate     1.50 kH/s\n"
                              "trouble  -\n");
    json_decref(row);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_colours),
        cmocka_unit_test(test_fields),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
