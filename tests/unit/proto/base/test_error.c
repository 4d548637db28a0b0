/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/base/error.h"

static void a_failure_has_status_and_text(void **state) {
    (void)state;
    struct sl_error err = {0};
    assert_int_equal(sl_fail(&err, SL_LIMIT, "%d of %s", 7, "x"), -SL_LIMIT);
    assert_int_equal(err.status, -SL_LIMIT);
    assert_string_equal(err.text, "7 of x");
    assert_int_equal(sl_fail(NULL, SL_STALE, "nobody listens"), -SL_STALE);
}

static void a_cut_text_ends_in_plus(void **state) {
    (void)state;
    char text[2 * SL_ERROR_TEXT_MAX];
    struct sl_error err = {0};
    memset(text, 'a', sizeof text);
    text[SL_ERROR_TEXT_MAX - 1] = '\0'; /* just fits */
    sl_fail(&err, SL_INVALID, "%s", text);
    assert_string_equal(err.text, text);
    text[SL_ERROR_TEXT_MAX - 1] = 'a';
    text[SL_ERROR_TEXT_MAX] = '\0'; /* one too long */
    sl_fail(&err, SL_INVALID, "%s", text);
    assert_int_equal(strlen(err.text), SL_ERROR_TEXT_MAX - 1);
    assert_int_equal(err.text[SL_ERROR_TEXT_MAX - 2], '+');
    assert_int_equal(err.text[SL_ERROR_TEXT_MAX - 3], 'a');
}

static void wrapping_puts_context_in_front(void **state) {
    (void)state;
    struct sl_error err = {0};
    sl_fail(&err, SL_NOTFOUND, "no such key");
    assert_int_equal(sl_wrap(&err, "file %s:%d", "a", 3), -SL_NOTFOUND);
    assert_string_equal(err.text, "file a:3: no such key");
    assert_int_equal(sl_wrap(&err, "start"), -SL_NOTFOUND);
    assert_string_equal(err.text, "start: file a:3: no such key");
    assert_int_equal(sl_wrap(NULL, "nobody"), -SL_INVALID);
}

static void wrapping_cuts_too(void **state) {
    (void)state;
    char text[SL_ERROR_TEXT_MAX];
    memset(text, 'a', sizeof text);
    text[sizeof text - 1] = '\0';
    for (size_t n = 1; n < sizeof text; n += 53) {
        struct sl_error err = {0};
        sl_fail(&err, SL_INVALID, "%s", text);
        sl_wrap(&err, "%s", text + sizeof text - 1 - n);
        assert_int_equal(strlen(err.text), SL_ERROR_TEXT_MAX - 1);
        assert_int_equal(err.text[SL_ERROR_TEXT_MAX - 2], '+');
        if (n < SL_ERROR_TEXT_MAX - 10) {
            assert_int_equal(err.text[n], ':');
        }
    }
}

static void errno_is_told_and_kept(void **state) {
    (void)state;
    struct sl_error err = {0};
    errno = ENOSPC;
    assert_int_equal(sl_fail_errno(&err, "cannot write %s", "f"), -SL_IO);
    assert_int_equal(errno, ENOSPC);
    assert_string_equal(err.text, "cannot write f: No space left on device");
    assert_int_equal(err.status, -SL_IO);
    errno = EACCES;
    assert_int_equal(sl_fail_errno(NULL, "x"), -SL_IO);
    assert_int_equal(errno, EACCES);
}

static void every_status_has_its_own_text(void **state) {
    (void)state;
    static const int all[] = {
#define ONE(name, value, text) name,
        SL_STATUS_MAP(ONE)
#undef ONE
    };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        assert_string_equal(sl_status_text(all[i]), sl_status_text(-all[i]));
        assert_string_not_equal(sl_status_text(all[i]), "unknown status");
        for (size_t k = 0; k < i; k++) {
            assert_int_not_equal(all[i], all[k]);
            assert_string_not_equal(sl_status_text(all[i]), sl_status_text(all[k]));
        }
    }
    assert_string_equal(sl_status_text(9999), "unknown status");
    assert_string_equal(sl_status_text(-9999), "unknown status");
}

static void a_broken_rule_aborts_in_every_build(void **state) {
    (void)state;
    sl_assert(1 + 1 == 2);
    pid_t child = fork();
    if (child == 0) {
        signal(SIGABRT, SIG_DFL);
        close(STDERR_FILENO);
        sl_assert(1 + 1 == 3);
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failure_has_status_and_text),
        cmocka_unit_test(a_cut_text_ends_in_plus),
        cmocka_unit_test(wrapping_puts_context_in_front),
        cmocka_unit_test(wrapping_cuts_too),
        cmocka_unit_test(errno_is_told_and_kept),
        cmocka_unit_test(every_status_has_its_own_text),
        cmocka_unit_test(a_broken_rule_aborts_in_every_build),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
