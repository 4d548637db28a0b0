/* SPDX-License-Identifier: Apache-2.0
 * The list of bugs on purpose: each stands once in the product, none of them in an ordinary build,
 * and in a build with them a misspelt one ends the process. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ftw.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/base/error.h"
#include "proto/base/mutant.h"
#include "proto/base/text.h"

#define MUTANTS_MIN 36

static const char *const names[] = {
#define ROW_NAME(name, text) #name,
    SL_MUTANTS(ROW_NAME)};
static const char *const texts[] = {
#define ROW_TEXT(name, text) text,
    SL_MUTANTS(ROW_TEXT)};
#define NAMES (sizeof names / sizeof names[0])

static void names_are_unique_and_say_something(void **state) {
    (void)state;
    assert_true(NAMES >= MUTANTS_MIN);
    assert_int_equal(NAMES, SL_MUTANT_COUNT - 1);
    for (size_t i = 0; i < NAMES; i++) {
        assert_int_equal(strspn(names[i], "abcdefghijklmnopqrstuvwxyz0123456789_"),
                         strlen(names[i]));
        assert_string_not_equal(names[i], "none");
        assert_true(strchr(texts[i], ' ') != NULL);
        for (size_t k = 0; k < i; k++) {
            assert_string_not_equal(names[i], names[k]);
            assert_string_not_equal(texts[i], texts[k]);
        }
    }
}

/* ---- each stands in one line of the product ---- */

static unsigned uses[NAMES];
static char stray[300]; /* a use of a name that is not in the list */

static void count_use(const char *path, const char *name, size_t size) {
    for (size_t i = 0; i < NAMES; i++) {
        if (strlen(names[i]) == size && memcmp(names[i], name, size) == 0) {
            uses[i]++;
            return;
        }
    }
    snprintf(stray, sizeof stray, "%s: %.*s", path, (int)size, name);
}

static int look_into(const char *path, const struct stat *st, int type, struct FTW *walk) {
    (void)st;
    (void)walk;
    size_t size = strlen(path);
    bool source = size > 2 && path[size - 2] == '.' && strchr("ch", path[size - 1]);
    if (type != FTW_F || !source || strstr(path, "proto/base/mutant.h")) {
        return 0;
    }
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    char *line = NULL;
    size_t room = 0;
    while (getline(&line, &room, file) >= 0) {
        const char *at = line;
        while ((at = strstr(at, "SL_MUTANT("))) {
            at += strlen("SL_MUTANT(");
            count_use(path, at, strcspn(at, ")"));
        }
    }
    free(line);
    fclose(file);
    return 0;
}

static void each_stands_in_one_line(void **state) {
    (void)state;
    static const char *const folders[] = {"proto", "schedulers", "broker", "agent"};
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        char path[1024];
        snprintf(path, sizeof path, "%s/%s", SLUICE_SOURCE_DIR, folders[i]);
        assert_int_equal(nftw(path, look_into, 16, FTW_PHYS), 0);
    }
    assert_string_equal(stray, "");
    for (size_t i = 0; i < NAMES; i++) {
        if (uses[i] != 1) {
            fail_msg("%s stands in %u places", names[i], uses[i]);
        }
    }
}

#ifdef SLUICE_MUTANTS

/* ---- a build with them ---- */

static bool is_on(enum sl_mutant mutant) {
    switch (mutant) {
#define CASE_ON(name, text)                                                                        \
    case SL_MUTANT_##name:                                                                         \
        return SL_MUTANT(name);
        SL_MUTANTS(CASE_ON)
    case SL_MUTANT_none:
    case SL_MUTANT_COUNT:
        break;
    }
    return false;
}

static void one_at_a_time(void **state) {
    (void)state;
    for (int i = 1; i < SL_MUTANT_COUNT; i++) {
        assert_int_equal(sl_mutant_choose(sl_mutant_name((enum sl_mutant)i), NULL), SL_OK);
        assert_string_equal(sl_mutant_name((enum sl_mutant)i), names[i - 1]);
        assert_string_equal(sl_mutant_text((enum sl_mutant)i), texts[i - 1]);
        assert_int_equal(sl_mutant_hits(), 0);
        for (int k = 1; k < SL_MUTANT_COUNT; k++) {
            assert_int_equal(is_on((enum sl_mutant)k), i == k);
        }
        assert_int_equal(sl_mutant_hits(), 1);
    }
    struct sl_error err = {0};
    assert_int_equal(sl_mutant_choose("lower_epoch", &err), -SL_NOTFOUND);
    assert_non_null(strstr(err.text, "\"lower_epoch\""));
    assert_true(is_on((enum sl_mutant)(SL_MUTANT_COUNT - 1))); /* the one before goes on */
    assert_int_equal(sl_mutant_choose("none", NULL), -SL_NOTFOUND);
    assert_int_equal(sl_mutant_choose("", NULL), SL_OK);
    assert_false(is_on((enum sl_mutant)(SL_MUTANT_COUNT - 1)));
    assert_int_equal(sl_mutant_choose(NULL, NULL), SL_OK);
    assert_string_equal(sl_mutant_name(SL_MUTANT_COUNT), "none");
}

/* This program again, with SLUICE_MUTANT set: its exit status, what it said in *ret_said. */
static int run_with(const char *mutant, struct sl_buf *ret_said) {
    int pipe_fds[2];
    assert_int_equal(pipe(pipe_fds), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        setenv("SLUICE_MUTANT", mutant, 1);
        dup2(pipe_fds[1], STDERR_FILENO);
        close(pipe_fds[0]);
        execl("/proc/self/exe", "test_mutant", "--which", (char *)NULL);
        _exit(99);
    }
    close(pipe_fds[1]);
    char chunk[4096];
    ssize_t n;
    while ((n = read(pipe_fds[0], chunk, sizeof chunk)) > 0) {
        sl_buf_append(ret_said, chunk, (size_t)n);
    }
    close(pipe_fds[0]);
    sl_buf_append(ret_said, "", 1);
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void the_environment_names_it(void **state) {
    (void)state;
    SL_AUTO_BUF struct sl_buf right = {0};
    assert_int_equal(run_with("lower_epoch_accepted", &right), 42);
    SL_AUTO_BUF struct sl_buf none = {0};
    assert_int_equal(run_with("", &none), 0);
    SL_AUTO_BUF struct sl_buf wrong = {0};
    assert_int_equal(run_with("lower_epoch_acepted", &wrong), 2);
    assert_non_null(strstr(wrong.data, "there is no mutant \"lower_epoch_acepted\""));
    for (size_t i = 0; i < NAMES; i++) {
        assert_non_null(strstr(wrong.data, names[i]));
        assert_non_null(strstr(wrong.data, texts[i]));
    }
}

#else

/* ---- an ordinary build ---- */

#define IS_CONSTANT_FALSE(name, text) _Static_assert(SL_MUTANT(name) == 0, #name " must be off");
SL_MUTANTS(IS_CONSTANT_FALSE)

static void the_environment_changes_nothing(void **state) {
    (void)state;
    setenv("SLUICE_MUTANT", "lower_epoch_accepted", 1);
    assert_false(SL_MUTANT(lower_epoch_accepted));
}

#endif

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "--which") == 0) {
        return SL_MUTANT(lower_epoch_accepted) ? 42 : 0;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_unique_and_say_something),
        cmocka_unit_test(each_stands_in_one_line),
#ifdef SLUICE_MUTANTS
        cmocka_unit_test(one_at_a_time),
        cmocka_unit_test(the_environment_names_it),
#else
        cmocka_unit_test(the_environment_changes_nothing),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
