/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>
#include <zmq.h>

#include "proto/link/unread.h"

static struct sl_unread *make(uint32_t count, size_t bytes, size_t in_total) {
    struct sl_unread_limits limits = {count, bytes, in_total};
    struct sl_unread *unread = NULL;
    assert_int_equal(sl_unread_create(&limits, &unread, NULL), 0);
    return unread;
}

static bool put_as(struct sl_unread *unread, uint32_t id, bool newest_only, char what,
                   size_t size) {
    zmq_msg_t message;
    assert_int_equal(zmq_msg_init_size(&message, size), 0);
    memset(zmq_msg_data(&message), what, size);
    bool kept = sl_unread_put(unread, id, newest_only, &message);
    assert_int_equal(zmq_msg_size(&message), 0);
    zmq_msg_close(&message);
    return kept;
}

static bool put(struct sl_unread *unread, uint32_t id, char what, size_t size) {
    return put_as(unread, id, false, what, size);
}

/* The first byte of the next one; 0: none. */
static char take(struct sl_unread *unread, uint32_t *ret_id) {
    zmq_msg_t message;
    zmq_msg_init(&message);
    bool got = sl_unread_take(unread, ret_id, &message);
    char what = got ? *(const char *)zmq_msg_data(&message) : '\0';
    zmq_msg_close(&message);
    return what;
}

static void connections_take_turns_and_keep_their_order(void **state) {
    (void)state;
    struct sl_unread *unread = make(10, 1000, 1000);
    static const char in[] = "aAbBcC";
    /* Three of connection 1, then two of 2, then one of 3, whose bucket is that of 1 or not. */
    assert_true(put(unread, 1, in[0], 1) && put(unread, 1, in[1], 1) && put(unread, 1, in[2], 1));
    assert_true(put(unread, 2, in[3], 1) && put(unread, 2, in[4], 1));
    assert_true(put(unread, 3, in[5], 1));
    static const struct {
        uint32_t id;
        char what;
    } out[] = {{1, 'a'}, {2, 'B'}, {3, 'C'}, {1, 'A'}, {2, 'c'}, {1, 'b'}};
    for (size_t i = 0; i < sizeof out / sizeof *out; i++) {
        uint32_t id = 0;
        assert_int_equal(take(unread, &id), out[i].what);
        assert_int_equal(id, out[i].id);
    }
    uint32_t id = 0;
    assert_int_equal(take(unread, &id), 0);
    assert_int_equal(sl_unread_dropped(unread), 0);
    sl_unread_destroy(unread);
}

static void what_is_beyond_a_limit_is_dropped_and_counted(void **state) {
    (void)state;
    uint32_t id = 0;
    struct sl_unread *unread = make(2, 100, 250);
    assert_true(put(unread, 1, 'a', 1) && put(unread, 1, 'b', 1));
    assert_false(put(unread, 1, 'c', 1));  /* too many */
    assert_true(put(unread, 2, 'd', 120)); /* alone it may be larger */
    assert_false(put(unread, 2, 'e', 1));
    assert_true(put(unread, 3, 'f', 90));
    assert_false(put(unread, 3, 'g', 11)); /* too many bytes of one */
    assert_true(put(unread, 4, 'h', 50));  /* the first one, whatever others have */
    assert_false(put(unread, 4, 'i', 1));  /* of all */
    assert_int_equal(sl_unread_dropped(unread), 4);
    assert_int_equal(take(unread, &id), 'a');
    assert_int_equal(take(unread, &id), 'd'); /* which makes room */
    assert_true(put(unread, 4, 'i', 10));
    assert_true(put(unread, 2, 'j', 1));
    static const char rest[] = "fhbji";
    for (const char *at = rest; *at; at++) {
        assert_int_equal(take(unread, &id), *at);
    }
    assert_int_equal(take(unread, &id), 0);
    sl_unread_destroy(unread);
}

static void only_the_newest_report_waits(void **state) {
    (void)state;
    uint32_t id = 0;
    struct sl_unread *unread = make(3, 100, 250);
    assert_true(put_as(unread, 1, true, 'a', 90));
    for (char c = 'b'; c <= 'y'; c++) {
        assert_true(put_as(unread, 1, true, c, 95)); /* in the room of the one before */
    }
    assert_true(put(unread, 1, '1', 1));
    assert_true(put_as(unread, 1, true, 'z', 99));   /* behind what was said between them */
    assert_true(put_as(unread, 2, true, 'A', 10));   /* of another connection */
    assert_false(put_as(unread, 1, true, 'x', 100)); /* no room: the old one stays */
    assert_int_equal(sl_unread_dropped(unread), 1);
    static const char out[] = "1Az";
    for (const char *at = out; *at; at++) {
        assert_int_equal(take(unread, &id), *at);
    }
    assert_int_equal(take(unread, &id), 0);
    /* What was taken is not replaced. */
    assert_true(put_as(unread, 1, true, 'a', 1) && put(unread, 1, '1', 1));
    assert_int_equal(take(unread, &id), 'a');
    assert_true(put_as(unread, 1, true, 'b', 1));
    assert_int_equal(take(unread, &id), '1');
    assert_int_equal(take(unread, &id), 'b');
    assert_true(put_as(unread, 9, true, 'c', 1) && put_as(unread, 9, true, 'd', 1));
    sl_unread_destroy(unread);
}

static void thousands_of_connections(void **state) {
    (void)state;
    enum { MANY = 5000 };
    struct sl_unread *unread = make(4, 100, 1000000);
    uint32_t id = 0;
    for (uint32_t i = 0; i < 3 * MANY; i++) {
        assert_true(put(unread, i % MANY * 2654435761u, (char)('a' + i / MANY), 1));
    }
    for (uint32_t i = 0; i < 3 * MANY; i++) {
        assert_int_equal(take(unread, &id), 'a' + i / MANY);
        assert_int_equal(id, i % MANY * 2654435761u);
    }
    assert_int_equal(take(unread, &id), 0);
    for (uint32_t i = 0; i < MANY; i++) {
        assert_true(put(unread, i, 'z', 1));
    }
    sl_unread_destroy(unread); /* with all of them */
    sl_unread_destroy(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(connections_take_turns_and_keep_their_order),
        cmocka_unit_test(what_is_beyond_a_limit_is_dropped_and_counted),
        cmocka_unit_test(only_the_newest_report_waits),
        cmocka_unit_test(thousands_of_connections),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
