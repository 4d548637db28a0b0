/* SPDX-License-Identifier: Apache-2.0
 * A signal during the start is an orderly end. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/base/ending.h"

#include <cmocka.h>

static int status_after(int signum) {
    int status = -1;
    pid_t child = fork();
    if (child == 0) {
        sl_ending_at_once();
        raise(signum);
        _exit(9); /* it went on */
    }
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void test_a_signal_ends_with_0(void **state) {
    (void)state;
    assert_int_equal(status_after(SIGTERM), 0);
    assert_int_equal(status_after(SIGINT), 0);
    assert_true(WIFSIGNALED(status_after(SIGKILL)));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_a_signal_ends_with_0)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
