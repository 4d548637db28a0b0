/* SPDX-License-Identifier: Apache-2.0
 * A sanitizer that is off finds nothing and every test passes: here it must find planted faults.
 *
 * The program starts itself again with the name of a fault; that child must die with the words of
 * the sanitizer that found it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <limits.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define BUILT_WITH_ASAN true
#endif
#if __has_feature(thread_sanitizer)
#define BUILT_WITH_TSAN true
#endif
#endif
#if !defined(BUILT_WITH_ASAN)
#if defined(__SANITIZE_ADDRESS__)
#define BUILT_WITH_ASAN true
#else
#define BUILT_WITH_ASAN false
#endif
#endif
#if !defined(BUILT_WITH_TSAN)
#if defined(__SANITIZE_THREAD__)
#define BUILT_WITH_TSAN true
#else
#define BUILT_WITH_TSAN false
#endif
#endif

#if defined(SLUICE_EXPECT_ASAN)
#define WANT_ASAN true
#else
#define WANT_ASAN false
#endif
#if defined(SLUICE_EXPECT_TSAN)
#define WANT_TSAN true
#else
#define WANT_TSAN false
#endif

enum { BLOCK_BYTES = 16, SAID_BYTES = 64 * 1024 };

/* Volatile: the compiler must not see through the faults, nor leave them out. */
static void overflow_heap(void) {
    volatile size_t at = BLOCK_BYTES;
    volatile char *volatile block = malloc(BLOCK_BYTES); /* of a size that UBSan must not know */
    if (block) {
        block[at] = 1;
    }
    free((void *)block);
}

static void use_after_free(void) {
    volatile char *block = malloc(BLOCK_BYTES);
    volatile char *volatile copy = block;
    free((void *)block);
    copy[0] = 1;
}

/* Several: one alone may stay reachable by an old copy of its address on the stack. */
static void leak_blocks(void) {
    for (int i = 0; i < 8; i++) {
        void *volatile block = malloc(BLOCK_BYTES);
        block = NULL;
        (void)block;
    }
}

static void overflow_int(void) {
    volatile int most = INT_MAX;
    volatile int more = most + 1;
    (void)more;
}

static void *count_up(void *counter) {
    for (int i = 0; i < 100000; i++) {
        ++*(volatile int *)counter;
    }
    return NULL;
}

static void race_threads(void) {
    int counter = 0;
    pthread_t other;
    if (pthread_create(&other, NULL, count_up, &counter) == 0) {
        count_up(&counter);
        pthread_join(other, NULL);
    }
}

static const struct fault {
    const char *name;
    void (*commit)(void);
    bool asan_sees;    /* else ThreadSanitizer does */
    const char *words; /* of the report */
} faults[] = {
    {"overflow-heap", overflow_heap, true, "heap-buffer-overflow"},
    {"use-after-free", use_after_free, true, "heap-use-after-free"},
    {"leak", leak_blocks, true, "LeakSanitizer"},
    {"overflow-int", overflow_int, true, "signed integer overflow"},
    {"race", race_threads, false, "data race"},
};
enum { FAULT_COUNT = sizeof faults / sizeof faults[0] };

/* The child's wait status; what it said on stderr in `said`. */
static int run_child(const char *fault, char said[SAID_BYTES]) {
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    assert_int_not_equal(pid, -1);
    if (pid == 0) {
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        close(ends[1]);
        execl("/proc/self/exe", "test_sanitizers", fault, (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    size_t n = 0;
    ssize_t got = 0;
    char rest[4096];
    while ((got = read(ends[0], rest, sizeof rest)) > 0) {
        size_t kept = (size_t)got < SAID_BYTES - 1 - n ? (size_t)got : SAID_BYTES - 1 - n;
        memcpy(said + n, rest, kept);
        n += kept;
    }
    said[n] = '\0';
    close(ends[0]);
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void test_built_as_wanted(void **state) {
    (void)state;
    assert_int_equal(BUILT_WITH_ASAN, WANT_ASAN);
    assert_int_equal(BUILT_WITH_TSAN, WANT_TSAN);
}

static void test_faults_are_found(void **state) {
    (void)state;
    static char said[SAID_BYTES];
    for (size_t i = 0; i < FAULT_COUNT; i++) {
        if (faults[i].asan_sees ? !WANT_ASAN : !WANT_TSAN) {
            continue;
        }
        int status = run_child(faults[i].name, said);
        if ((WIFEXITED(status) && WEXITSTATUS(status) == 0) || !strstr(said, faults[i].words)) {
            fail_msg("the planted fault '%s' was not found: status %d, said:\n%s", faults[i].name,
                     status, said);
        }
    }
}

/* The children of this test die of their fault, not of anything else. */
static void test_sound_child_lives(void **state) {
    (void)state;
    static char said[SAID_BYTES];
    int status = run_child("none", said);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_string_equal(said, "");
}

int main(int argc, char **argv) {
    if (argc == 2) {
        for (size_t i = 0; i < FAULT_COUNT; i++) {
            if (strcmp(argv[1], faults[i].name) == 0) {
                faults[i].commit();
            }
        }
        return 0;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_built_as_wanted),
        cmocka_unit_test(test_faults_are_found),
        cmocka_unit_test(test_sound_child_lives),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
