/* SPDX-License-Identifier: Apache-2.0
 * Bytes of a peer that is authenticated but not trusted. What decodes keeps every limit, so it
 * encodes, decodes to the same message, and encodes to the same bytes again. What the reader of
 * reports takes (fast.c) is what protobuf-c makes of it. */
#include "tests/fuzz/fuzz.h"

#include "proto/wire/arena.h"
#include "proto/wire/check.h"
#include "proto/wire/codec.h"
#include "proto/wire/fast.h"
#include "tests/unit/proto/wire/random_msg.h"

static struct sl_msg_arena *make_arena(void) {
    struct sl_msg_arena *arena = NULL;
    fuzz_check(sl_msg_arena_create(SL_MSG_ARENA_BYTES, &arena, NULL) == SL_OK);
    return arena;
}

static void check_refusal(int rc, const struct sl_error *err, const struct sl_msg *msg) {
    struct sl_msg untouched;
    memset(&untouched, 0x5A, sizeof untouched);
    fuzz_check(rc == -SL_CORRUPT || rc == -SL_UNSUPPORTED || rc == -SL_LIMIT || rc == -SL_INVALID ||
               rc == -SL_NOMEM || rc == -SL_STALE);
    fuzz_check_error(rc, err);
    fuzz_check(memcmp(msg, &untouched, sizeof untouched) == 0);
}

/* What the short way takes is what the general way gives. */
static void check_fast(const uint8_t *data, size_t size, struct sl_msg_arena *first,
                       struct sl_msg_arena *second) {
    struct sl_msg fast;
    struct sl_msg general;
    sl_msg_arena_reset(first);
    if (size <= SL_MSG_BYTES_MAX && sl_msg_fast_report(data, size, first, &fast)) {
        fuzz_check(sl_msg_decode_general(data, size, second, &general, NULL) == SL_OK);
        fuzz_check(fast.version == general.version && msg_equal(&fast, &general));
    }
}

/* The parts of whatever came lie within it, in order, and there is at least one. */
static void check_bundle(const uint8_t *data, size_t size) {
    const uint8_t *part = NULL;
    const uint8_t *before = data;
    size_t part_size = 0;
    size_t at = 0;
    uint32_t count = 0;
    while (sl_msg_bundle_next(data, size, &at, &part, &part_size)) {
        fuzz_check(part >= before && part + part_size <= data + size);
        before = part + part_size;
        count++;
    }
    fuzz_check(count > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    check_bundle(data, size);
    static struct sl_msg_arena *first;
    static struct sl_msg_arena *second;
    if (!first) {
        first = make_arena();
        second = make_arena();
    }
    check_fast(data, size, first, second);
    struct sl_msg msg;
    struct sl_error err = {0};
    memset(&msg, 0x5A, sizeof msg);
    int rc = sl_msg_decode(data, size, first, &msg, &err);
    if (rc != SL_OK) {
        check_refusal(rc, &err, &msg);
        return 0;
    }
    fuzz_check(msg.kind >= SL_MSG_HELLO && msg.kind <= SL_MSG_GOODBYE);
    SL_AUTO_BUF struct sl_buf bytes = {0};
    SL_AUTO_BUF struct sl_buf again = {0};
    struct sl_msg back;
    fuzz_check(sl_msg_encode(&msg, &bytes, &err) == SL_OK);
    fuzz_check(sl_msg_decode((const uint8_t *)bytes.data, bytes.len, second, &back, &err) == SL_OK);
    fuzz_check(msg_equal(&msg, &back));
    fuzz_check(sl_msg_encode(&back, &again, &err) == SL_OK);
    fuzz_check(again.len == bytes.len && memcmp(again.data, bytes.data, bytes.len) == 0);
    return 0;
}
