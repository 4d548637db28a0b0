/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/base/log.h"

/* What one call writes to stderr. */
static size_t captured(enum sl_log_level level, const char *text, char *out, size_t size) {
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    int saved = dup(STDERR_FILENO);
    dup2(ends[1], STDERR_FILENO);
    sl_log(level, "test.event", "text=%s", text);
    dup2(saved, STDERR_FILENO);
    close(saved);
    close(ends[1]);
    ssize_t n = read(ends[0], out, size - 1);
    close(ends[0]);
    out[n > 0 ? n : 0] = '\0';
    return n > 0 ? (size_t)n : 0;
}

static void one_line_of_known_form(void **state) {
    (void)state;
    char line[4096];
    size_t n = captured(SL_LOG_INFO, "hello", line, sizeof line);
    /* 2026-11-22T17:00:00.123Z I test.event text=hello */
    assert_int_equal(n, 24 + strlen(" I test.event text=hello\n"));
    assert_string_equal(line + 24, " I test.event text=hello\n");
    assert_int_equal(line[10], 'T');
    assert_int_equal(line[23], 'Z');
    captured(SL_LOG_ERROR, "x", line, sizeof line);
    assert_int_equal(line[25], 'E');
    captured(SL_LOG_WARN, "x", line, sizeof line);
    assert_int_equal(line[25], 'W');
}

static void no_text_can_forge_a_line(void **state) {
    (void)state;
    char line[4096];
    size_t n = captured(SL_LOG_INFO, "a\nb\r\x1B[2J\tc\x7F", line, sizeof line);
    assert_string_equal(line + 24, " I test.event text=a?b??[2J?c?\n");
    assert_ptr_equal(strchr(line, '\n'), line + n - 1);
}

static void a_long_text_is_cut_and_ended(void **state) {
    (void)state;
    char text[8000];
    char line[8192];
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    size_t n = captured(SL_LOG_INFO, text, line, sizeof line);
    assert_true(n > 1000 && n <= 1200);
    assert_ptr_equal(strchr(line, '\n'), line + n - 1);
}

static void levels_below_the_set_one_are_silent(void **state) {
    (void)state;
    char line[256];
    assert_int_equal(captured(SL_LOG_DEBUG, "x", line, sizeof line), 0);
    sl_log_set_level(SL_LOG_DEBUG);
    assert_true(captured(SL_LOG_DEBUG, "x", line, sizeof line) > 0);
    assert_int_equal(line[25], 'D');
    sl_log_set_level(SL_LOG_ERROR);
    assert_int_equal(captured(SL_LOG_WARN, "x", line, sizeof line), 0);
    sl_log_set_level(SL_LOG_INFO);
}

/* Runs `part` with stderr in a file; returns what it wrote, to be freed. */
static char *written_by(void (*part)(void)) {
    FILE *file = tmpfile();
    int saved = dup(STDERR_FILENO);
    assert_non_null(file);
    dup2(fileno(file), STDERR_FILENO);
    part();
    dup2(saved, STDERR_FILENO);
    close(saved);
    long size = (fseek(file, 0, SEEK_END), ftell(file));
    char *text = calloc(1, (size_t)size + 1);
    rewind(file);
    assert_int_equal(fread(text, 1, (size_t)size, file), (size_t)size);
    fclose(file);
    return text;
}

static unsigned count(const char *text, const char *what) {
    unsigned n = 0;
    for (const char *at = strstr(text, what); at; at = strstr(at + 1, what)) {
        n++;
    }
    return n;
}

static void flood(void) {
    for (int i = 0; i < 20000; i++) {
        sl_log(SL_LOG_WARN, "test.flood", "number=%d", i);
    }
    sl_log(SL_LOG_WARN, "test.rare", "another event is not held back");
    for (int i = 0; i < 2 * SL_LOG_WARNINGS_AT_ONCE; i++) {
        sl_log(SL_LOG_INFO, "test.decision", "number=%d", i);
        sl_log(SL_LOG_ERROR, "test.error", "number=%d", i);
    }
}

static void a_second_later(void) {
    usleep(1100 * 1000);
    sl_log(SL_LOG_INFO, "test.later", "x");
}

static void a_flood_of_warnings_is_counted(void **state) {
    (void)state;
    char *text = written_by(flood);
    unsigned lines = count(text, " W test.flood ");
    assert_in_range(lines, SL_LOG_WARNINGS_AT_ONCE, SL_LOG_WARNINGS_AT_ONCE + 200);
    assert_int_equal(count(text, " W test.rare "), 1);
    assert_int_equal(count(text, " I test.decision "), 2 * SL_LOG_WARNINGS_AT_ONCE);
    assert_int_equal(count(text, " E test.error "), 2 * SL_LOG_WARNINGS_AT_ONCE);
    char *later = written_by(a_second_later);
    /* What was told in the first second, if that took so long, and the rest. */
    unsigned long long told = 0;
    for (int part = 0; part < 2; part++) {
        const char *at = part == 0 ? text : later;
        static const char mark[] = " W log.suppressed event=test.flood lines=";
        for (at = strstr(at, mark); at; at = strstr(at, mark)) {
            at += sizeof mark - 1;
            told += strtoull(at, NULL, 10);
        }
    }
    assert_int_equal(told, 20000 - lines);
    free(text);
    free(later);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_line_of_known_form),
        cmocka_unit_test(no_text_can_forge_a_line),
        cmocka_unit_test(a_long_text_is_cut_and_ended),
        cmocka_unit_test(levels_below_the_set_one_are_silent),
        cmocka_unit_test(a_flood_of_warnings_is_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
