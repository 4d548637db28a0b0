/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "proto/wire/codec.h"
#include "random_msg.h"

static void round_trip(struct random_msg *r, struct sl_msg_arena *arena, enum sl_msg_kind kind,
                       bool big) {
    const struct sl_msg *msg = random_msg_next(r, kind, big);
    SL_AUTO_BUF struct sl_buf out = {0};
    struct sl_error err = {0};
    int rc = sl_msg_encode(msg, &out, &err);
    if (rc) {
        fail_msg("encode %s: %s", sl_msg_kind_name(kind), err.text);
    }
    struct sl_msg back;
    rc = sl_msg_decode((const uint8_t *)out.data, out.len, arena, &back, &err);
    if (rc) {
        fail_msg("decode %s: %s", sl_msg_kind_name(kind), err.text);
    }
    if (!msg_equal(msg, &back)) {
        fail_msg("%s came back changed", sl_msg_kind_name(kind));
    }
    SL_AUTO_BUF struct sl_buf again = {0};
    assert_int_equal(sl_msg_encode(&back, &again, &err), 0);
    assert_int_equal(again.len, out.len);
    assert_memory_equal(again.data, out.data, out.len); /* same content, same bytes */
}

static void every_message_survives_encoding_and_decoding(void **state) {
    (void)state;
    SL_AUTO(sl_msg_arena) arena = NULL;
    assert_int_equal(sl_msg_arena_create(SL_MSG_ARENA_BYTES, &arena, NULL), 0);
    struct random_msg *r = random_msg_create(20260115);
    for (int kind = SL_MSG_HELLO; kind <= SL_MSG_ROTATE_KEY; kind++) {
        for (int i = 0; i < 500; i++) {
            round_trip(r, arena, (enum sl_msg_kind)kind, false);
        }
        for (int i = 0; i < 10; i++) {
            round_trip(r, arena, (enum sl_msg_kind)kind, true);
        }
    }
    random_msg_destroy(r);
}

static void equality_sees_a_difference(void **state) {
    (void)state;
    /* The test above is only worth what msg_equal is: two random messages must differ. */
    struct random_msg *a = random_msg_create(1);
    struct random_msg *b = random_msg_create(UINT64_C(0x5bd1e995)); /* far from the other stream */
    for (int kind = SL_MSG_HELLO; kind <= SL_MSG_ROTATE_KEY; kind++) {
        const struct sl_msg *x = random_msg_next(a, (enum sl_msg_kind)kind, false);
        struct sl_msg y = *random_msg_next(b, (enum sl_msg_kind)kind, false);
        assert_true(msg_equal(x, x));
        y.session = x->session;
        y.sequence = x->sequence;
        if (msg_equal(x, &y)) {
            fail_msg("kind %d", kind);
        }
    }
    random_msg_destroy(a);
    random_msg_destroy(b);
}

static void a_report_is_known_by_its_first_bytes(void **state) {
    (void)state;
    struct random_msg *r = random_msg_create(11);
    for (int kind = SL_MSG_HELLO; kind <= SL_MSG_ROTATE_KEY; kind++) {
        for (int i = 0; i < 20; i++) {
            SL_AUTO_BUF struct sl_buf out = {0};
            const struct sl_msg *msg = random_msg_next(r, (enum sl_msg_kind)kind, false);
            assert_int_equal(sl_msg_encode(msg, &out, NULL), 0);
            const uint8_t *bytes = (const uint8_t *)out.data;
            assert_int_equal(sl_msg_bytes_report(bytes, out.len), kind == SL_MSG_REPORT);
            for (size_t cut = 0; cut < 30 && cut < out.len; cut++) { /* reads no further */
                uint8_t *exact = malloc(cut + 1);
                memcpy(exact, bytes, cut);
                exact = realloc(exact, cut ? cut : 1);
                (void)sl_msg_bytes_report(exact, cut);
                free(exact);
            }
        }
    }
    random_msg_destroy(r);
}

static void encoding_appends(void **state) {
    (void)state;
    struct sl_msg msg = {.version = SL_WIRE_VERSION, .kind = SL_MSG_GOODBYE};
    SL_AUTO_BUF struct sl_buf out = {0};
    sl_buf_append(&out, "before", 6);
    assert_int_equal(sl_msg_encode(&msg, &out, NULL), 0);
    assert_true(out.len > 6);
    assert_memory_equal(out.data, "before", 6);
}

static void the_first_bytes_are_as_documented(void **state) {
    (void)state;
    /* What another implementation reads from sluice.proto: field 1 varint 1, field 3 varint 5,
     * field 20 {2: true}. */
    struct sl_msg msg = {.version = 1, .sequence = 5, .kind = SL_MSG_GOODBYE};
    msg.goodbye.retry = true;
    static const uint8_t expected[] = {0x08, 0x01, 0x18, 0x05, 0xA2, 0x01, 0x02, 0x10, 0x01};
    SL_AUTO_BUF struct sl_buf out = {0};
    assert_int_equal(sl_msg_encode(&msg, &out, NULL), 0);
    assert_int_equal(out.len, sizeof expected);
    assert_memory_equal(out.data, expected, sizeof expected);
}

/* Frozen: what an agent of wire version 1 says, and a field of a later version 1 in it. As long as
 * versions 1 and 2 are the newest, it is understood. */
static void the_hello_of_an_older_agent_is_understood(void **state) {
    (void)state;
    static const uint8_t hello[] = {0x08, 0x01, 0x18, 0x01,      /* version 1, sequence 1 */
                                    0x52, 0x14,                  /* hello of 20 bytes */
                                    0x0a, 0x03, 'o',  'l',  'd', /* node */
                                    0x12, 0x05, '0',  '.',  '1', '.', '0', /* version */
                                    0x18, 0x07,                            /* boot id */
                                    0x9a, 0x06, 0x03, 'n',  'e', 'w'};     /* field 99: skipped */
    SL_AUTO(sl_msg_arena) arena = NULL;
    struct sl_msg msg;
    struct sl_error err = {0};
    assert_int_equal(sl_msg_arena_create(SL_MSG_ARENA_BYTES, &arena, NULL), 0);
    if (sl_msg_decode(hello, sizeof hello, arena, &msg, &err)) {
        fail_msg("%s", err.text);
    }
    assert_int_equal(msg.version, 1);
    assert_string_equal(msg.hello.node, "old");
    assert_string_equal(msg.hello.version, "0.1.0");
    assert_int_equal(msg.hello.boot_id, 7);
}

static void one_version_apart_is_understood_two_are_not(void **state) {
    (void)state;
    struct sl_error err = {0};
    for (uint32_t ours = 1; ours < 6; ours++) {
        for (uint32_t theirs = 0; theirs < 8; theirs++) {
            bool good = theirs > 0 && theirs <= ours && theirs + 1 >= ours;
            assert_int_equal(sl_msg_check_version(theirs, ours, &err), good ? SL_OK : -SL_STALE);
            const char *who = theirs > ours ? "update this program" : "update the other one";
            assert_true(good || strstr(err.text, who));
        }
    }
}

static void kinds_have_names(void **state) {
    (void)state;
    for (int a = SL_MSG_HELLO; a <= SL_MSG_ROTATE_KEY; a++) {
        assert_string_not_equal(sl_msg_kind_name((enum sl_msg_kind)a), "invalid");
        for (int b = SL_MSG_HELLO; b < a; b++) {
            assert_string_not_equal(sl_msg_kind_name((enum sl_msg_kind)a),
                                    sl_msg_kind_name((enum sl_msg_kind)b));
        }
    }
    assert_string_equal(sl_msg_kind_name(SL_MSG_INVALID), "invalid");
    assert_string_equal(sl_msg_kind_name((enum sl_msg_kind)99), "invalid");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_message_survives_encoding_and_decoding),
        cmocka_unit_test(equality_sees_a_difference),
        cmocka_unit_test(a_report_is_known_by_its_first_bytes),
        cmocka_unit_test(encoding_appends),
        cmocka_unit_test(the_hello_of_an_older_agent_is_understood),
        cmocka_unit_test(one_version_apart_is_understood_two_are_not),
        cmocka_unit_test(the_first_bytes_are_as_documented),
        cmocka_unit_test(kinds_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
