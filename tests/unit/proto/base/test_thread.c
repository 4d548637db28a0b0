/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "proto/base/thread.h"

struct seen {
    char name[16];
    int nice_prompt, nice_patient, nice_lowest;
};

static int my_nice(void) {
    return getpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid));
}

static void *change(void *arg) {
    struct seen *seen = arg;
    sl_thread_name("a name of many letters");
    prctl(PR_GET_NAME, seen->name, 0, 0, 0);
    sl_thread_prompt(100);
    seen->nice_prompt = my_nice();
    sl_thread_patient(3);
    seen->nice_patient = my_nice();
    sl_thread_patient(100);
    seen->nice_lowest = my_nice();
    return NULL;
}

static void only_the_thread_changes(void **state) {
    (void)state;
    struct seen seen = {{0}, -1, -1, -1};
    pthread_t thread;
    int before = my_nice();
    assert_int_equal(pthread_create(&thread, NULL, change, &seen), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_string_equal(seen.name, "a name of many ");
    assert_int_equal(seen.nice_prompt, before);
    assert_int_equal(seen.nice_patient, before + 3 > 19 ? 19 : before + 3);
    assert_int_equal(seen.nice_lowest, 19);
    assert_int_equal(my_nice(), before);
}

/* The niceness of this process's session; -100: this kernel has none. */
static int session_nice(void) {
    int nice = -100;
    FILE *file = fopen("/proc/self/autogroup", "re");
    if (file) {
        if (fscanf(file, "/autogroup-%*d nice %d", &nice) != 1) {
            nice = -100;
        }
        fclose(file);
    }
    return nice;
}

static int in_child(int leads) {
    pid_t child = fork();
    if (child == 0) {
        if (leads) {
            setsid();
        }
        int before = session_nice();
        sl_process_patient(7);
        int after = session_nice();
        _exit(after == before ? 1 : after == 7 ? 2 : 3);
    }
    int status = 0;
    assert_true(child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void only_a_leader_steps_down_its_session(void **state) {
    (void)state;
    assert_int_equal(in_child(0), 1);
    if (session_nice() == -100) {
        print_message("no autogroup in this kernel\n");
        skip();
    }
    assert_int_equal(in_child(1), 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_the_thread_changes),
        cmocka_unit_test(only_a_leader_steps_down_its_session),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
