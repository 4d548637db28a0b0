/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "proto/wire/codec.h"
#include "sluice.pb-c.h"

static const size_t sizes[] = {0, 1, 127, 128, 300, 16383, 16384, 70000};
#define PARTS (sizeof sizes / sizeof sizes[0])

static void fill(uint8_t *part, size_t i) {
    memset(part, (int)(0x80 + i), sizes[i]);
}

static void make(struct sl_buf *bundle) {
    uint8_t part[70000];
    for (size_t i = 0; i < PARTS; i++) {
        fill(part, i);
        sl_msg_bundle_add(bundle, part, sizes[i]);
    }
    assert_false(bundle->failed);
}

static void what_was_added_comes_out_in_order(void **state) {
    (void)state;
    SL_AUTO_BUF struct sl_buf bundle = {0};
    uint8_t wanted[70000];
    const uint8_t *data = NULL;
    const uint8_t *part = NULL;
    size_t size = 0;
    size_t at = 0;
    make(&bundle);
    data = (const uint8_t *)bundle.data;
    assert_true(sl_msg_bundle_is(data, bundle.len));
    for (size_t i = 0; i < PARTS; i++) {
        assert_true(sl_msg_bundle_next(data, bundle.len, &at, &part, &size));
        fill(wanted, i);
        assert_int_equal(size, sizes[i]);
        assert_memory_equal(part, wanted, size);
    }
    assert_false(sl_msg_bundle_next(data, bundle.len, &at, &part, &size));
}

static void it_is_what_the_format_says(void **state) {
    (void)state;
    SL_AUTO_BUF struct sl_buf bundle = {0};
    make(&bundle);
    Sluice__V1__Bundle *read =
        sluice__v1__bundle__unpack(NULL, bundle.len, (const uint8_t *)bundle.data);
    assert_non_null(read);
    assert_int_equal(read->n_envelopes, PARTS);
    for (size_t i = 0; i < PARTS; i++) {
        assert_int_equal(read->envelopes[i].len, sizes[i]);
    }
    sluice__v1__bundle__free_unpacked(read, NULL);
}

/* Also one that is empty, or damaged: the decoder says what is wrong with it. */
static void another_message_is_one_part(void **state) {
    (void)state;
    static const uint8_t empty[1] = {0};
    static const uint8_t plain[] = {8, 1, 16, 2};
    static const uint8_t too_long[] = {0xF2, 1, 5, 1, 2};
    static const uint8_t endless[] = {0xF2, 1, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1};
    static const uint8_t tag_only[] = {0xF2, 1};
    const struct {
        const uint8_t *data;
        size_t size;
    } cases[] = {{empty, 0},
                 {plain, sizeof plain},
                 {too_long, sizeof too_long},
                 {endless, sizeof endless},
                 {tag_only, sizeof tag_only}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const uint8_t *part = NULL;
        size_t size = 0;
        size_t at = 0;
        assert_true(sl_msg_bundle_next(cases[i].data, cases[i].size, &at, &part, &size));
        assert_ptr_equal(part, cases[i].data);
        assert_int_equal(size, cases[i].size);
        assert_false(sl_msg_bundle_next(cases[i].data, cases[i].size, &at, &part, &size));
    }
}

/* A bundle is no envelope: neither a broker nor a part of a bundle is ever taken in by one. */
static void no_envelope_is_a_bundle(void **state) {
    (void)state;
    SL_AUTO_BUF struct sl_buf envelope = {0};
    SL_AUTO_BUF struct sl_buf bundle = {0};
    struct sl_msg_arena *arena = NULL;
    struct sl_msg msg = {.version = SL_WIRE_VERSION, .kind = SL_MSG_DIRECTIVE, .session = 7};
    struct sl_msg back;
    assert_int_equal(sl_msg_arena_create(SL_MSG_ARENA_BYTES, &arena, NULL), 0);
    msg.directive = (struct sl_msg_directive){
        .device = "node/gpu", .epoch = 3, .ttl_ms = 30000, .mode = SL_MODE_IDLE};
    assert_int_equal(sl_msg_encode(&msg, &envelope, NULL), 0);
    assert_false(sl_msg_bundle_is((const uint8_t *)envelope.data, envelope.len));
    sl_msg_bundle_add(&bundle, envelope.data, envelope.len);
    assert_int_not_equal(
        sl_msg_decode((const uint8_t *)bundle.data, bundle.len, arena, &back, NULL), 0);
    const uint8_t *part = NULL;
    size_t size = 0;
    size_t at = 0;
    assert_true(sl_msg_bundle_next((const uint8_t *)bundle.data, bundle.len, &at, &part, &size));
    assert_int_equal(sl_msg_decode(part, size, arena, &back, NULL), 0);
    assert_int_equal(back.directive.epoch, 3);
    sl_msg_arena_destroy(arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_added_comes_out_in_order),
        cmocka_unit_test(it_is_what_the_format_says),
        cmocka_unit_test(another_message_is_one_part),
        cmocka_unit_test(no_envelope_is_a_bundle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
