/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "broker/http/log_ring.h"

#include <cmocka.h>

struct seen {
    uint32_t count;
    uint64_t seq[64];
    char text[64][32];
};

static void take(void *arg, const struct sl_log_ring_line *line) {
    struct seen *seen = arg;
    seen->seq[seen->count] = line->seq;
    snprintf(seen->text[seen->count++], sizeof seen->text[0], "%s", line->text);
}

static struct sl_log_ring *make(uint32_t lines) {
    struct sl_log_ring *ring = NULL;
    assert_int_equal(sl_log_ring_create(lines, &ring, NULL), SL_OK);
    return ring;
}

static void add(struct sl_log_ring *ring, int from, int to, enum sl_log_level level) {
    for (int i = from; i <= to; i++) {
        char text[32];
        snprintf(text, sizeof text, "line %d", i);
        sl_log_ring_add(ring, level, text);
    }
}

static void test_the_newest_stay(void **state) {
    (void)state;
    struct sl_log_ring *ring = make(4);
    struct seen seen = {0};
    assert_int_equal(sl_log_ring_read(ring, 0, SL_LOG_DEBUG, 10, false, take, &seen), 0);
    add(ring, 1, 10, SL_LOG_INFO);
    assert_int_equal(sl_log_ring_read(ring, 0, SL_LOG_DEBUG, 10, false, take, &seen), 10);
    assert_int_equal(seen.count, 4);
    assert_int_equal(seen.seq[0], 7);
    assert_string_equal(seen.text[3], "line 10");
    sl_log_ring_destroy(ring);
}

static void test_pages_go_on_where_they_ended(void **state) {
    (void)state;
    struct sl_log_ring *ring = make(16);
    struct seen seen = {0};
    add(ring, 1, 10, SL_LOG_INFO);
    uint64_t after = 0;
    for (int page = 0; page < 4; page++) {
        after = sl_log_ring_read(ring, after, SL_LOG_DEBUG, 3, false, take, &seen);
    }
    assert_int_equal(after, 10);
    assert_int_equal(seen.count, 10);
    for (uint32_t i = 0; i < 10; i++) {
        assert_int_equal(seen.seq[i], i + 1);
    }
    /* Above the newest there is nothing, and nothing is skipped later. */
    assert_int_equal(sl_log_ring_read(ring, 99, SL_LOG_DEBUG, 3, false, take, &seen), 10);
    assert_int_equal(seen.count, 10);
    sl_log_ring_destroy(ring);
}

static void test_levels_and_the_last_ones(void **state) {
    (void)state;
    struct sl_log_ring *ring = make(16);
    struct seen seen = {0};
    add(ring, 1, 3, SL_LOG_WARN);
    add(ring, 4, 9, SL_LOG_INFO);
    add(ring, 10, 10, SL_LOG_ERROR);
    assert_int_equal(sl_log_ring_read(ring, 0, SL_LOG_WARN, 2, true, take, &seen), 10);
    assert_int_equal(seen.count, 2);
    assert_string_equal(seen.text[0], "line 3");
    assert_string_equal(seen.text[1], "line 10");
    memset(&seen, 0, sizeof seen);
    assert_int_equal(sl_log_ring_read(ring, 0, SL_LOG_DEBUG, 1000, true, take, &seen), 10);
    assert_int_equal(seen.count, 10);
    sl_log_ring_destroy(ring);
}

static void *writer(void *arg) {
    add(arg, 1, 2000, SL_LOG_INFO);
    return NULL;
}

static void test_tsan_writers_and_a_reader(void **state) {
    (void)state;
    struct sl_log_ring *ring = make(32);
    pthread_t threads[2];
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, writer, ring), 0);
    }
    uint64_t after = 0;
    while (after < 4000) {
        struct seen seen = {0};
        uint64_t last = sl_log_ring_read(ring, after, SL_LOG_DEBUG, 32, false, take, &seen);
        assert_true(last >= after);
        after = last;
    }
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
    }
    sl_log_ring_destroy(ring);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_newest_stay),
        cmocka_unit_test(test_pages_go_on_where_they_ended),
        cmocka_unit_test(test_levels_and_the_last_ones),
        cmocka_unit_test(test_tsan_writers_and_a_reader),
    };
    return cmocka_run_group_tests_name("log_ring", tests, NULL, NULL);
}
