/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "proto/base/standard.h"

static int code_of(pid_t child) {
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Whichever are missing: the next file gets none of their numbers, and using them fails. */
static void a_file_never_gets_their_numbers(void **state) {
    (void)state;
    for (int missing = 0; missing < 8; missing++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            bool good = true;
            for (int fd = 0; fd < 3; fd++) {
                if (missing & 1 << fd) {
                    close(fd);
                }
            }
            sl_standard_hold();
            good &= open("/dev/null", O_RDWR | O_CLOEXEC) > 2;
            good &= !(missing & 2) || write(1, "x", 1) < 0;
            good &= !(missing & 4) || write(2, "x", 1) < 0;
            char byte;
            good &= !(missing & 1) || read(0, &byte, 1) < 0;
            _exit(good ? 0 : 1);
        }
        assert_int_equal(code_of(child), 0);
    }
}

static int ends_with(const char *out, bool prints, int code) {
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        int fd = open(out, O_WRONLY | O_CLOEXEC);
        bool ready = fd >= 0 && dup2(fd, 1) == 1 && dup2(fd, 2) == 2;
        if (prints) {
            printf("text");
        }
        _exit(ready ? sl_standard_end("test", code) : 99);
    }
    return code_of(child);
}

static void what_did_not_arrive_is_a_failure(void **state) {
    (void)state;
    assert_int_equal(ends_with("/dev/null", true, 0), 0);
    assert_int_equal(ends_with("/dev/null", true, 3), 3);
    assert_int_equal(ends_with("/dev/full", false, 0), 0);
    assert_int_equal(ends_with("/dev/full", true, 0), 1);
    assert_int_equal(ends_with("/dev/full", true, 2), 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_never_gets_their_numbers),
        cmocka_unit_test(what_did_not_arrive_is_a_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
