/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "proto/base/clock.h"
#include "proto/base/lock.h"

struct fixture {
    char path[64];
    int fd;
    pid_t owner;
};

/* A process of its own takes the lock, says so, and holds it for span_ms. */
static void hold(struct fixture *f, int span_ms) {
    int said[2];
    char byte = 0;
    assert_int_equal(pipe(said), 0);
    f->owner = fork();
    assert_true(f->owner >= 0);
    if (f->owner == 0) {
        int fd = open(f->path, O_RDWR | O_CLOEXEC);
        bool held = fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0;
        if (held && write(said[1], "h", 1) == 1) {
            usleep((useconds_t)span_ms * 1000);
        }
        _exit(held ? 0 : 1);
    }
    close(said[1]);
    assert_int_equal(read(said[0], &byte, 1), 1);
    close(said[0]);
}

static void reap(struct fixture *f, int number) {
    int status = 0;
    if (number) {
        kill(f->owner, number);
    }
    assert_int_equal(waitpid(f->owner, &status, 0), f->owner);
    assert_true(number ? WIFSIGNALED(status) : WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static int set_up(void **state) {
    struct fixture *f = calloc(1, sizeof *f);
    strcpy(f->path, "/tmp/sluice-lock-XXXXXX");
    f->fd = mkostemp(f->path, O_CLOEXEC);
    *state = f;
    return f->fd < 0;
}

static int tear_down(void **state) {
    struct fixture *f = *state;
    close(f->fd);
    unlink(f->path);
    free(f);
    return 0;
}

static void free_lock_is_taken_at_once(void **state) {
    struct fixture *f = *state;
    assert_int_equal(sl_lock_take(f->fd, f->path, 0), 0);
    int other = open(f->path, O_RDWR | O_CLOEXEC);
    assert_int_equal(sl_lock_take(other, f->path, 0), -EWOULDBLOCK);
    close(other);
    assert_int_equal(sl_lock_take(-1, f->path, 1000), -EBADF);
}

/* The owner ends while the next one waits: it gets the lock, and not before. */
static void waits_for_an_owner_that_ends(void **state) {
    struct fixture *f = *state;
    hold(f, 200);
    assert_int_equal(sl_lock_take(f->fd, f->path, 0), -EWOULDBLOCK);
    assert_int_equal(sl_lock_take(f->fd, f->path, 60000), 0);
    reap(f, 0);
}

static void gives_up_on_an_owner_that_stays(void **state) {
    struct fixture *f = *state;
    hold(f, 60000);
    struct sl_mono before = sl_clock_mono();
    assert_int_equal(sl_lock_take(f->fd, f->path, 100), -EWOULDBLOCK);
    assert_true(sl_mono_since_ns(sl_clock_mono(), before) >= 100 * SL_NS_PER_MS);
    reap(f, SIGKILL);
    assert_int_equal(sl_lock_take(f->fd, f->path, 60000), 0);
}

static void whether_it_is_held_is_told(void **state) {
    struct fixture *f = *state;
    assert_false(sl_lock_is_held(f->path));
    hold(f, 60000);
    assert_true(sl_lock_is_held(f->path));
    reap(f, SIGKILL);
    assert_false(sl_lock_is_held(f->path));
    assert_int_equal(sl_lock_take(f->fd, f->path, 0), 0);
    assert_true(sl_lock_is_held(f->path));
    assert_false(sl_lock_is_held("/tmp/sluice-lock-none"));
    assert_int_not_equal(access("/tmp/sluice-lock-none", F_OK), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(free_lock_is_taken_at_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(waits_for_an_owner_that_ends, set_up, tear_down),
        cmocka_unit_test_setup_teardown(whether_it_is_held_is_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(gives_up_on_an_owner_that_stays, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
