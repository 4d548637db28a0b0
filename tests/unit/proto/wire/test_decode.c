/* SPDX-License-Identifier: Apache-2.0
 * Hostile bytes. The small protobuf writer here is on purpose not the generated code: it can write
 * what an honest encoder never would. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "proto/wire/codec.h"
#include "random_msg.h"

static void put_varint(struct sl_buf *b, uint64_t v) {
    do {
        uint8_t byte = (uint8_t)(v & 0x7F) | (v > 0x7F ? 0x80 : 0);
        sl_buf_append(b, &byte, 1);
        v >>= 7;
    } while (v);
}

static void put_number(struct sl_buf *b, unsigned field, uint64_t v) {
    put_varint(b, field << 3);
    put_varint(b, v);
}

static void put_bytes(struct sl_buf *b, unsigned field, const void *data, size_t n) {
    put_varint(b, field << 3 | 2);
    put_varint(b, n);
    sl_buf_append(b, data, n);
}

#define put_text(b, field, text) put_bytes(b, field, text, sizeof(text) - 1)

/* Envelope of version 1 around a body. */
static void envelope(struct sl_buf *out, unsigned kind_field, const struct sl_buf *body) {
    put_number(out, 1, 1);
    put_number(out, 2, 9);
    put_number(out, 3, 1);
    put_bytes(out, kind_field, body->data ? body->data : "", body->len);
}

enum { HELLO = 10, REPORT = 12, DIRECTIVE, ACK, UNIT, RESULT, SHARES, RESULT_ACK, DRAIN, GOODBYE };

static struct sl_msg_arena *arena_of(void **state) {
    return *state;
}

static int make_arena(void **state) {
    struct sl_msg_arena *arena = NULL;
    int rc = sl_msg_arena_create(SL_MSG_ARENA_BYTES, &arena, NULL);
    *state = arena;
    return rc;
}

static int drop_arena(void **state) {
    sl_msg_arena_destroy(*state);
    return 0;
}

/* Decodes from a block of exactly that size, so that a sanitizer sees any read beyond it. */
static int decode_exact(struct sl_msg_arena *arena, const void *data, size_t n,
                        struct sl_msg *ret_msg, struct sl_error *err) {
    uint8_t *block = malloc(n ? n : 1);
    assert_non_null(block);
    if (n) {
        memcpy(block, data, n);
    }
    int rc = sl_msg_decode(block, n, arena, ret_msg, err);
    free(block); /* nothing in *ret_msg may point into it */
    return rc;
}

/* Whatever decodes keeps all rules: it can be encoded, and that decodes to the same. */
static bool survives(struct sl_msg_arena *arena, struct sl_msg_arena *second, const void *data,
                     size_t n) {
    struct sl_msg msg;
    struct sl_error err = {0};
    memset(&msg, 0x5A, sizeof msg);
    int rc = decode_exact(arena, data, n, &msg, &err);
    if (rc) {
        assert_true(rc == -SL_CORRUPT || rc == -SL_INVALID || rc == -SL_LIMIT ||
                    rc == -SL_UNSUPPORTED || rc == -SL_STALE);
        assert_true(err.text[0] != '\0');
        assert_int_equal(((const uint8_t *)&msg)[0], 0x5A); /* untouched on failure */
        return false;
    }
    SL_AUTO_BUF struct sl_buf again = {0};
    struct sl_msg back;
    assert_int_equal(sl_msg_encode(&msg, &again, &err), 0);
    assert_int_equal(sl_msg_decode((uint8_t *)again.data, again.len, second, &back, &err), 0);
    assert_true(msg_equal(&msg, &back));
    return true;
}

static void every_truncation_and_every_flipped_bit(void **state) {
    SL_AUTO(sl_msg_arena) second = NULL;
    assert_int_equal(sl_msg_arena_create(SL_MSG_ARENA_BYTES, &second, NULL), 0);
    struct random_msg *r = random_msg_create(77);
    for (int kind = SL_MSG_HELLO; kind <= SL_MSG_ROTATE_KEY; kind++) {
        SL_AUTO_BUF struct sl_buf out = {0};
        /* A sample with something in it, and not so long that flipping takes minutes. */
        do {
            sl_buf_consume(&out, out.len);
            assert_int_equal(
                sl_msg_encode(random_msg_next(r, (enum sl_msg_kind)kind, false), &out, NULL), 0);
        } while (out.len > 3000 || (out.len < 40 && kind != SL_MSG_GOODBYE));
        size_t refused = 0;
        for (size_t n = 0; n < out.len; n++) {
            refused += survives(arena_of(state), second, out.data, n) ? 0 : 1;
        }
        /* The body is one field, so whatever cuts it is noticed. */
        assert_int_equal(refused, out.len);
        for (size_t bit = 0; bit < out.len * 8; bit++) {
            out.data[bit / 8] ^= (char)(1 << (bit % 8));
            survives(arena_of(state), second, out.data, out.len);
            out.data[bit / 8] ^= (char)(1 << (bit % 8));
        }
        assert_true(survives(arena_of(state), second, out.data, out.len));
    }
    random_msg_destroy(r);
}

static void random_bytes_and_spliced_messages(void **state) {
    SL_AUTO(sl_msg_arena) second = NULL;
    assert_int_equal(sl_msg_arena_create(SL_MSG_ARENA_BYTES, &second, NULL), 0);
    struct random_msg *r = random_msg_create(78);
    uint8_t noise[512];
    for (int i = 0; i < 20000; i++) {
        size_t n = random_msg_below(r, sizeof noise);
        for (size_t k = 0; k < n; k++) {
            noise[k] = (uint8_t)random_msg_u64(r);
        }
        survives(arena_of(state), second, noise, n);
    }
    for (int i = 0; i < 3000; i++) {
        /* Two envelopes one after the other: the unpacker merges them or takes the last body. */
        SL_AUTO_BUF struct sl_buf out = {0};
        for (int part = 0; part < 2; part++) {
            enum sl_msg_kind kind = (enum sl_msg_kind)(1 + random_msg_below(r, SL_MSG_ROTATE_KEY));
            assert_int_equal(sl_msg_encode(random_msg_next(r, kind, false), &out, NULL), 0);
        }
        survives(arena_of(state), second, out.data, out.len);
        size_t at = random_msg_below(r, (uint32_t)out.len);
        out.data[at] = (char)random_msg_u64(r);
        survives(arena_of(state), second, out.data, out.len);
    }
    random_msg_destroy(r);
}

static void refused(void **state, unsigned field, const struct sl_buf *body, int status,
                    const char *part) {
    SL_AUTO_BUF struct sl_buf out = {0};
    envelope(&out, field, body);
    struct sl_msg msg;
    struct sl_error err = {0};
    int rc = decode_exact(arena_of(state), out.data, out.len, &msg, &err);
    if (rc != -status || !strstr(err.text, part)) {
        fail_msg("%d '%s', wanted %d '%s'", rc, err.text, -status, part);
    }
}

static void version_and_kind(void **state) {
    struct sl_msg msg;
    struct sl_error err = {0};
    SL_AUTO_BUF struct sl_buf body = {0};
    SL_AUTO_BUF struct sl_buf higher = {0};
    put_number(&higher, 1, SL_WIRE_VERSION + 1);
    put_bytes(&higher, 99, "\x01\x02", 2);
    assert_int_equal(decode_exact(arena_of(state), higher.data, higher.len, &msg, &err), -SL_STALE);
    assert_non_null(strstr(err.text, "wire version 3, this program 1 to 2: update this program"));
    SL_AUTO_BUF struct sl_buf none = {0};
    put_bytes(&none, GOODBYE, "", 0);
    assert_int_equal(decode_exact(arena_of(state), none.data, none.len, &msg, &err), -SL_STALE);
    assert_non_null(strstr(err.text, "version 0, this program 1 to 2: update the other one"));
    refused(state, 99, &body, SL_UNSUPPORTED, "field 99");
    SL_AUTO_BUF struct sl_buf empty = {0};
    put_number(&empty, 1, 1);
    assert_int_equal(decode_exact(arena_of(state), empty.data, empty.len, &msg, &err), -SL_INVALID);
    assert_non_null(strstr(err.text, "without content"));
    assert_int_equal(decode_exact(arena_of(state), "", 0, &msg, &err), -SL_STALE);
}

static void a_field_added_later_is_skipped(void **state) {
    SL_AUTO_BUF struct sl_buf body = {0};
    SL_AUTO_BUF struct sl_buf out = {0};
    put_text(&body, 1, "bye");
    put_text(&body, 500, "from the future");
    envelope(&out, GOODBYE, &body);
    struct sl_msg msg;
    assert_int_equal(decode_exact(arena_of(state), out.data, out.len, &msg, NULL), 0);
    assert_string_equal(msg.goodbye.reason, "bye");
}

static void names_with_a_nul_or_bad_utf8(void **state) {
    SL_AUTO_BUF struct sl_buf nul = {0};
    put_text(&nul, 1, "gpu-0\0gpu-1");
    refused(state, DRAIN, &nul, SL_INVALID, "device holds a NUL");
    SL_AUTO_BUF struct sl_buf trailing = {0};
    put_text(&trailing, 1, "gpu-0\0");
    refused(state, DRAIN, &trailing, SL_INVALID, "device holds a NUL");
    SL_AUTO_BUF struct sl_buf latin = {0};
    put_text(&latin, 1, "gpu\xE9");
    refused(state, DRAIN, &latin, SL_INVALID, "not UTF-8");
    SL_AUTO_BUF struct sl_buf surrogate = {0};
    put_text(&surrogate, 1, "gpu\xED\xA0\x80");
    refused(state, DRAIN, &surrogate, SL_INVALID, "not UTF-8");
    char longest[SL_MSG_KEY_MAX];
    memset(longest, 'k', sizeof longest);
    SL_AUTO_BUF struct sl_buf fits = {0};
    put_bytes(&fits, 1, longest, SL_MSG_KEY_MAX - 1);
    SL_AUTO_BUF struct sl_buf out = {0};
    envelope(&out, DRAIN, &fits);
    struct sl_msg msg;
    assert_int_equal(decode_exact(arena_of(state), out.data, out.len, &msg, NULL), 0);
    SL_AUTO_BUF struct sl_buf over = {0};
    put_bytes(&over, 1, longest, SL_MSG_KEY_MAX);
    refused(state, DRAIN, &over, SL_LIMIT, "longer than 95");
}

static void enums_out_of_range(void **state) {
    static const uint64_t bad[] = {0, 4, 127, 128, INT32_MAX, UINT32_MAX, UINT64_MAX};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        SL_AUTO_BUF struct sl_buf device = {0};
        SL_AUTO_BUF struct sl_buf mode = {0};
        SL_AUTO_BUF struct sl_buf report = {0};
        put_number(&mode, 1, bad[i]); /* it would index an array */
        put_text(&device, 1, "gpu-0");
        put_number(&device, 10, 1);
        put_bytes(&device, 17, mode.data, mode.len);
        put_bytes(&report, 1, device.data, device.len);
        refused(state, REPORT, &report, SL_INVALID, "device 0: mode");
        SL_AUTO_BUF struct sl_buf directive = {0};
        put_text(&directive, 1, "gpu-0");
        put_number(&directive, 2, 1);
        put_number(&directive, 3, 1000);
        put_number(&directive, 4, bad[i]);
        refused(state, DIRECTIVE, &directive, SL_INVALID, "mode");
        SL_AUTO_BUF struct sl_buf ack = {0};
        put_text(&ack, 1, "gpu-0");
        put_number(&ack, 3, bad[i]);
        refused(state, ACK, &ack, SL_INVALID, "outcome");
    }
}

static void doubled_modes_and_switches(void **state) {
    for (int field = 17; field <= 18; field++) {
        SL_AUTO_BUF struct sl_buf item = {0};
        SL_AUTO_BUF struct sl_buf device = {0};
        SL_AUTO_BUF struct sl_buf report = {0};
        put_number(&item, 1, 2);
        put_number(&item, 2, 3);
        put_text(&device, 1, "gpu-0");
        put_number(&device, 10, 1);
        put_bytes(&device, (unsigned)field, item.data, item.len);
        put_bytes(&device, (unsigned)field, item.data, item.len);
        put_bytes(&report, 1, device.data, device.len);
        refused(state, REPORT, &report, SL_INVALID, "twice");
    }
}

static void a_vector_whose_bytes_are_not_its_dimensions(void **state) {
    static const uint32_t dims[] = {0, 1, 3,
                                    0x40000002}; /* the last is 8 when multiplied in 32 bits */
    for (size_t i = 0; i < sizeof dims / sizeof dims[0]; i++) {
        SL_AUTO_BUF struct sl_buf vector = {0};
        SL_AUTO_BUF struct sl_buf line = {0};
        SL_AUTO_BUF struct sl_buf result = {0};
        put_number(&vector, 3, dims[i]);
        put_bytes(&vector, 4, "12345678", 8);
        put_number(&line, 2, 1);
        put_bytes(&line, 4, vector.data, vector.len);
        put_number(&result, 1, 1);
        put_number(&result, 2, 1);
        put_text(&result, 3, "gpu-0");
        put_bytes(&result, 5, line.data, line.len);
        refused(state, RESULT, &result, SL_INVALID, "has 8 bytes for");
    }
}

/* n times the same field of two bytes. */
static void repeated(void **state, unsigned kind, unsigned field, size_t n, const char *part) {
    SL_AUTO_BUF struct sl_buf body = {0};
    for (size_t i = 0; i < n; i++) {
        put_bytes(&body, field, "", 0);
    }
    refused(state, kind, &body, SL_LIMIT, part);
}

static void counts_over_their_limits(void **state) {
    repeated(state, HELLO, 4, SL_MSG_DEVICES_MAX + 1, "129 devices");
    repeated(state, REPORT, 1, SL_MSG_DEVICES_MAX + 1, "129 devices");
    repeated(state, REPORT, 5, SL_MSG_POOLS_MAX + 1, "9 pools");
    repeated(state, UNIT, 5, SL_MSG_LINES_MAX + 1, "65 lines");
    repeated(state, RESULT, 5, SL_MSG_LINES_MAX + 1, "65 lines");
    repeated(state, SHARES, 1, SL_MSG_SHARES_MAX + 1, "257 shares");
    SL_AUTO_BUF struct sl_buf packed = {0};
    SL_AUTO_BUF struct sl_buf drain = {0};
    for (int i = 0; i <= SL_MSG_IDS_MAX; i++) {
        sl_buf_append(&packed, "\x01", 1);
    }
    put_text(&drain, 1, "gpu-0");
    put_bytes(&drain, 2, packed.data, packed.len);
    refused(state, DRAIN, &drain, SL_LIMIT, "4097 unit ids");
}

static void amplification_ends_at_the_budget(void **state) {
    /* Two bytes on the wire become a message of over a hundred in memory: 2 MiB of them. */
    static const unsigned fields[][2] = {{REPORT, 1}, {SHARES, 1}, {UNIT, 5}, {GOODBYE, 77}};
    SL_AUTO(sl_msg_arena) small = NULL;
    assert_int_equal(sl_msg_arena_create(1024 * 1024, &small, NULL), 0);
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        SL_AUTO_BUF struct sl_buf body = {0};
        while (body.len < 2 * 1024 * 1024) {
            put_bytes(&body, fields[i][1], "", 0);
        }
        void *arena = small;
        refused(&arena, fields[i][0], &body, SL_LIMIT, "more memory than it may have");
        if (fields[i][0] != GOODBYE) { /* unknown fields are only skipped, within the budget */
            refused(state, fields[i][0], &body, SL_LIMIT, "");
        }
    }
    /* The same arena serves the next message. */
    SL_AUTO_BUF struct sl_buf bye = {0};
    SL_AUTO_BUF struct sl_buf out = {0};
    envelope(&out, GOODBYE, &bye);
    struct sl_msg msg;
    assert_int_equal(decode_exact(small, out.data, out.len, &msg, NULL), 0);
}

static void the_size_is_bounded_first(void **state) {
    size_t n = SL_MSG_BYTES_MAX + 1;
    uint8_t *data = calloc(1, n);
    assert_non_null(data);
    struct sl_msg msg;
    struct sl_error err = {0};
    assert_int_equal(sl_msg_decode(data, n, arena_of(state), &msg, &err), -SL_LIMIT);
    assert_non_null(strstr(err.text, "4194305 bytes"));
    free(data);
}

static void the_last_body_of_an_envelope_counts(void **state) {
    /* Two different members of the oneof: protobuf says that the last one holds. */
    SL_AUTO_BUF struct sl_buf drain = {0};
    SL_AUTO_BUF struct sl_buf out = {0};
    put_text(&drain, 1, "gpu-0");
    envelope(&out, GOODBYE, &drain);
    put_bytes(&out, DRAIN, drain.data, drain.len);
    struct sl_msg msg;
    assert_int_equal(decode_exact(arena_of(state), out.data, out.len, &msg, NULL), 0);
    assert_int_equal(msg.kind, SL_MSG_DRAIN);
    assert_string_equal(msg.drain.device, "gpu-0");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_truncation_and_every_flipped_bit),
        cmocka_unit_test(random_bytes_and_spliced_messages),
        cmocka_unit_test(version_and_kind),
        cmocka_unit_test(a_field_added_later_is_skipped),
        cmocka_unit_test(names_with_a_nul_or_bad_utf8),
        cmocka_unit_test(enums_out_of_range),
        cmocka_unit_test(doubled_modes_and_switches),
        cmocka_unit_test(a_vector_whose_bytes_are_not_its_dimensions),
        cmocka_unit_test(counts_over_their_limits),
        cmocka_unit_test(amplification_ends_at_the_budget),
        cmocka_unit_test(the_size_is_bounded_first),
        cmocka_unit_test(the_last_body_of_an_envelope_counts),
    };
    return cmocka_run_group_tests(tests, make_arena, drop_arena);
}
