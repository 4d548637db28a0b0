/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <pthread.h>
#include <string.h>

#include "proto/base/clock.h"
#include "proto/base/mailbox.h"

struct item {
    int writer;
    int number;
    char padding[37]; /* an odd size */
};

static bool readable(struct sl_mailbox *box) {
    struct pollfd p = {.fd = sl_mailbox_fd(box), .events = POLLIN};
    return poll(&p, 1, 0) == 1;
}

/* The descriptor is made late: it must know what happened before. */
static void a_late_descriptor_tells_the_truth(void **state) {
    (void)state;
    for (int closed = 0; closed <= 1; closed++) {
        for (int put = 0; put <= 2; put++) {
            SL_AUTO(sl_mailbox) box = NULL;
            struct item item = {0, 0, "x"};
            assert_int_equal(sl_mailbox_create(sizeof(struct item), 5, &box, NULL), 0);
            for (int i = 0; i < put; i++) {
                assert_int_equal(sl_mailbox_put(box, &item), 0);
            }
            if (closed) {
                sl_mailbox_close(box);
            }
            assert_int_equal(readable(box), put > 0 || closed);
            while (sl_mailbox_take(box, &item)) {}
            assert_int_equal(readable(box), closed);
        }
    }
}

static void items_come_out_in_order(void **state) {
    (void)state;
    SL_AUTO(sl_mailbox) box = NULL;
    assert_int_equal(sl_mailbox_create(sizeof(struct item), 5, &box, NULL), 0);
    int put = 0;
    int taken = 0;
    for (int round = 0; round < 200; round++) { /* around the ring many times, at each fill */
        for (int i = 0; i < round % 6; i++) {
            struct item item = {0, put, "x"};
            int rc = sl_mailbox_put(box, &item);
            assert_int_equal(rc, put - taken < 5 ? 0 : -SL_AGAIN);
            put += rc == 0;
        }
        assert_int_equal(sl_mailbox_count(box), put - taken);
        for (int i = 0; i < (round * 7) % 5; i++) {
            struct item item;
            bool got = sl_mailbox_take(box, &item);
            assert_int_equal(got, taken < put);
            if (got) {
                assert_int_equal(item.number, taken++);
            }
        }
        assert_int_equal(readable(box), put > taken);
    }
    assert_true(taken > 100);
}

static void a_full_box_says_so_and_keeps_its_items(void **state) {
    (void)state;
    SL_AUTO(sl_mailbox) box = NULL;
    assert_int_equal(sl_mailbox_create(sizeof(int), 1, &box, NULL), 0);
    int a = 1;
    int b = 2;
    int out = 0;
    assert_int_equal(sl_mailbox_put(box, &a), 0);
    assert_int_equal(sl_mailbox_put(box, &b), -SL_AGAIN);
    assert_true(sl_mailbox_take(box, &out) && out == 1);
    assert_false(sl_mailbox_take(box, &out));
    assert_int_equal(out, 1);
}

static void a_closed_box_gives_out_what_it_has(void **state) {
    (void)state;
    SL_AUTO(sl_mailbox) box = NULL;
    assert_int_equal(sl_mailbox_create(sizeof(int), 4, &box, NULL), 0);
    int v = 7;
    assert_int_equal(sl_mailbox_put(box, &v), 0);
    sl_mailbox_close(box);
    assert_int_equal(sl_mailbox_put(box, &v), -SL_CLOSED);
    assert_int_equal(sl_mailbox_put_wait(box, &v), -SL_CLOSED);
    assert_true(readable(box));
    v = 0;
    assert_int_equal(sl_mailbox_take_wait(box, -1, &v), 0);
    assert_int_equal(v, 7);
    assert_int_equal(sl_mailbox_take_wait(box, -1, &v), -SL_CLOSED);
    assert_int_equal(sl_mailbox_take_wait(box, 0, &v), -SL_CLOSED);
    assert_true(readable(box)); /* a loop must see the end */
    sl_mailbox_close(box);
    sl_mailbox_destroy(NULL);
}

static void waiting_ends_in_time(void **state) {
    (void)state;
    SL_AUTO(sl_mailbox) box = NULL;
    assert_int_equal(sl_mailbox_create(sizeof(int), 4, &box, NULL), 0);
    int v = 0;
    struct sl_mono start = sl_clock_mono();
    assert_int_equal(sl_mailbox_take_wait(box, 0, &v), -SL_TIMEOUT);
    assert_int_equal(sl_mailbox_take_wait(box, 30 * SL_NS_PER_MS, &v), -SL_TIMEOUT);
    int64_t waited = sl_mono_since_ns(sl_clock_mono(), start);
    assert_true(waited >= 29 * SL_NS_PER_MS && waited < 10 * SL_NS_PER_S);
    v = 3;
    assert_int_equal(sl_mailbox_put(box, &v), 0);
    assert_int_equal(sl_mailbox_take_wait(box, 0, &v), 0);
}

enum { WRITERS = 3, EACH = 20000 };

struct writer {
    struct sl_mailbox *box;
    int id;
};

static void *write_many(void *arg) {
    const struct writer *w = arg;
    for (int i = 0; i < EACH; i++) {
        struct item item = {w->id, i, "x"};
        int rc = i % 2 ? sl_mailbox_put_wait(w->box, &item) : sl_mailbox_put(w->box, &item);
        if (rc == -SL_AGAIN) {
            i--; /* full: again */
        } else if (rc) {
            return (void *)1;
        }
    }
    return NULL;
}

/* by_fd: the reader sleeps in poll like a loop, so that a lost wake-up hangs it. */
static void many_writers(bool by_fd) {
    SL_AUTO(sl_mailbox) box = NULL;
    assert_int_equal(sl_mailbox_create(sizeof(struct item), 16, &box, NULL), 0);
    pthread_t threads[WRITERS];
    struct writer writers[WRITERS];
    for (int i = 0; i < WRITERS; i++) {
        writers[i] = (struct writer){box, i};
        assert_int_equal(pthread_create(&threads[i], NULL, write_many, &writers[i]), 0);
    }
    int next[WRITERS] = {0};
    for (int n = 0; n < WRITERS * EACH;) {
        struct item item;
        if (by_fd) {
            struct pollfd p = {.fd = sl_mailbox_fd(box), .events = POLLIN};
            assert_int_equal(poll(&p, 1, 20000), 1);
            if (!sl_mailbox_take(box, &item)) {
                continue;
            }
        } else {
            assert_int_equal(sl_mailbox_take_wait(box, 20 * SL_NS_PER_S, &item), 0);
        }
        assert_int_equal(item.number, next[item.writer]++); /* each writer's own order */
        n++;
    }
    for (int i = 0; i < WRITERS; i++) {
        void *result = NULL;
        pthread_join(threads[i], &result);
        assert_null(result);
        assert_int_equal(next[i], EACH);
    }
    assert_false(readable(box));
}

static void many_writers_and_a_waiting_reader(void **state) {
    (void)state;
    many_writers(false);
}

static void many_writers_and_a_polling_reader(void **state) {
    (void)state;
    many_writers(true);
}

static void *wait_for_room(void *arg) {
    int v = 9;
    return (void *)(intptr_t)sl_mailbox_put_wait(arg, &v);
}

static void *wait_for_item(void *arg) {
    int v = 0;
    return (void *)(intptr_t)sl_mailbox_take_wait(arg, -1, &v);
}

static void closing_wakes_all_waiters(void **state) {
    (void)state;
    for (int i = 0; i < 50; i++) {
        SL_AUTO(sl_mailbox) full = NULL;
        SL_AUTO(sl_mailbox) empty = NULL;
        int v = 1;
        assert_int_equal(sl_mailbox_create(sizeof v, 1, &full, NULL), 0);
        assert_int_equal(sl_mailbox_create(sizeof v, 1, &empty, NULL), 0);
        assert_int_equal(sl_mailbox_put(full, &v), 0);
        pthread_t threads[4];
        pthread_create(&threads[0], NULL, wait_for_room, full);
        pthread_create(&threads[1], NULL, wait_for_room, full);
        pthread_create(&threads[2], NULL, wait_for_item, empty);
        pthread_create(&threads[3], NULL, wait_for_item, empty);
        sl_mailbox_close(full);
        sl_mailbox_close(empty);
        for (int k = 0; k < 4; k++) {
            void *result = NULL;
            pthread_join(threads[k], &result);
            assert_int_equal((intptr_t)result, -SL_CLOSED);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_late_descriptor_tells_the_truth),
        cmocka_unit_test(items_come_out_in_order),
        cmocka_unit_test(a_full_box_says_so_and_keeps_its_items),
        cmocka_unit_test(a_closed_box_gives_out_what_it_has),
        cmocka_unit_test(waiting_ends_in_time),
        cmocka_unit_test(many_writers_and_a_waiting_reader),
        cmocka_unit_test(many_writers_and_a_polling_reader),
        cmocka_unit_test(closing_wakes_all_waiters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
