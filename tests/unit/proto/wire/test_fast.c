/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "proto/wire/arena.h"
#include "proto/wire/fast.h"
#include "random_msg.h"

struct both {
    struct sl_msg_arena *fast;
    struct sl_msg_arena *general;
};

static void both_create(struct both *b) {
    assert_int_equal(sl_msg_arena_create(SL_MSG_ARENA_BYTES, &b->fast, NULL), 0);
    assert_int_equal(sl_msg_arena_create(SL_MSG_ARENA_BYTES, &b->general, NULL), 0);
}

static void both_destroy(struct both *b) {
    sl_msg_arena_destroy(b->fast);
    sl_msg_arena_destroy(b->general);
}

/* What the short way takes must be what the general way gives; true when it was taken. */
static bool same(struct both *b, const uint8_t *data, size_t size) {
    struct sl_msg fast;
    struct sl_msg general;
    struct sl_error err = {0};
    sl_msg_arena_reset(b->fast);
    if (!sl_msg_fast_report(data, size, b->fast, &fast)) {
        return false;
    }
    if (sl_msg_decode_general(data, size, b->general, &general, &err)) {
        fail_msg("taken, but the general way says: %s", err.text);
    }
    assert_true(msg_equal(&fast, &general));
    assert_int_equal(fast.version, general.version);
    return true;
}

static void plain(char *text) {
    for (; *text; text++) {
        *text = (char)('!' + ((unsigned char)*text % 90));
    }
}

static void plain_pool(struct sl_msg_pool *pool) {
    plain(pool->name);
    plain(pool->url);
    plain(pool->state);
}

/* The texts of random messages are any UTF-8; those of most machines are not. */
static void make_plain(struct sl_msg *msg, struct sl_msg_device *devices,
                       struct sl_msg_pool pools[SL_MSG_POOLS_MAX]) {
    if (msg->report.device_count > 0) {
        memcpy(devices, msg->report.devices, msg->report.device_count * sizeof *devices);
    }
    for (uint32_t i = 0; i < msg->report.device_count; i++) {
        struct sl_msg_device *d = &devices[i];
        plain(d->name);
        plain(d->driver);
        plain(d->health);
        plain(d->note);
        plain(d->pci);
        plain(d->uuid);
        plain(d->locality);
        plain(d->pool);
        plain(d->telemetry.note);
        snprintf(d->key, sizeof d->key, "node/gpu/%u", i);
        for (uint32_t m = 0; m < d->model_count; m++) {
            snprintf(d->models[m].id, sizeof d->models[m].id, "model-%u", m);
        }
    }
    plain_pool(&msg->report.pool);
    if (msg->report.pool_count > 0) {
        memcpy(pools, msg->report.pools, msg->report.pool_count * sizeof *pools);
    }
    for (uint32_t i = 0; i < msg->report.pool_count; i++) {
        plain_pool(&pools[i]);
    }
    msg->report.pools = pools;
    msg->report.devices = devices;
}

static void reports_of_plain_texts_are_taken_and_equal(void **state) {
    (void)state;
    struct both b;
    both_create(&b);
    struct random_msg *r = random_msg_create(4711);
    struct sl_msg_device *devices = calloc(SL_MSG_DEVICES_MAX, sizeof *devices);
    assert_non_null(devices);
    for (int i = 0; i < 300; i++) {
        struct sl_msg msg = *random_msg_next(r, SL_MSG_REPORT, i % 50 == 0);
        struct sl_msg_pool pools[SL_MSG_POOLS_MAX];
        make_plain(&msg, devices, pools);
        SL_AUTO_BUF struct sl_buf out = {0};
        assert_int_equal(sl_msg_encode(&msg, &out, NULL), 0);
        if (!same(&b, (const uint8_t *)out.data, out.len)) {
            fail_msg("report %d took the slow way", i);
        }
    }
    free(devices);
    random_msg_destroy(r);
    both_destroy(&b);
}

static void other_messages_and_other_texts_are_left_to_the_general_way(void **state) {
    (void)state;
    struct both b;
    both_create(&b);
    struct random_msg *r = random_msg_create(99);
    for (int kind = SL_MSG_HELLO; kind <= SL_MSG_GOODBYE; kind++) {
        for (int i = 0; i < 40; i++) {
            SL_AUTO_BUF struct sl_buf out = {0};
            const struct sl_msg *msg = random_msg_next(r, (enum sl_msg_kind)kind, false);
            assert_int_equal(sl_msg_encode(msg, &out, NULL), 0);
            bool taken = same(&b, (const uint8_t *)out.data, out.len);
            assert_true(!taken || kind == SL_MSG_REPORT);
        }
    }
    random_msg_destroy(r);
    both_destroy(&b);
}

static uint64_t next(uint64_t *state) {
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *state >> 33;
}

static void what_is_damaged_is_never_taken_for_something_else(void **state) {
    (void)state;
    struct both b;
    both_create(&b);
    struct random_msg *r = random_msg_create(5);
    struct sl_msg_device *devices = calloc(SL_MSG_DEVICES_MAX, sizeof *devices);
    assert_non_null(devices);
    uint64_t rng = 1;
    uint32_t taken = 0;
    for (int i = 0; i < 60; i++) {
        struct sl_msg msg = *random_msg_next(r, SL_MSG_REPORT, false);
        struct sl_msg_pool pools[SL_MSG_POOLS_MAX];
        make_plain(&msg, devices, pools);
        SL_AUTO_BUF struct sl_buf out = {0};
        assert_int_equal(sl_msg_encode(&msg, &out, NULL), 0);
        for (int k = 0; k < 200; k++) {
            /* An own block: reading past its end is seen by ASan. */
            size_t size = k % 4 == 0 ? next(&rng) % (out.len + 1) : out.len;
            uint8_t *bytes = malloc(size ? size : 1);
            assert_non_null(bytes);
            memcpy(bytes, out.data, size);
            for (uint64_t hits = next(&rng) % 3; hits > 0 && size > 0; hits--) {
                bytes[next(&rng) % size] = (uint8_t)next(&rng);
            }
            taken += same(&b, bytes, size);
            free(bytes);
        }
    }
    assert_true(taken > 100); /* untouched ones, and changed figures */
    free(devices);
    random_msg_destroy(r);
    both_destroy(&b);
}

/* Envelope {version 1, session 1, report {body}}. */
static size_t envelope(uint8_t *out, const uint8_t *body, size_t size) {
    const uint8_t head[] = {0x08, 0x01, 0x10, 0x01, 0x62, (uint8_t)size};
    memcpy(out, head, sizeof head);
    memcpy(out + sizeof head, body, size);
    return sizeof head + size;
}

static void unusual_forms_are_left_alone(void **state) {
    (void)state;
    static const struct {
        const char *what;
        bool taken;
        uint8_t size;
        uint8_t body[32];
    } cases[] = {
        {"a device", true, 7, {0x0a, 0x05, 0x0a, 0x01, 'k', 0x50, 0x02}},
        {"no mode", false, 5, {0x0a, 0x03, 0x0a, 0x01, 'k'}},
        {"no key", false, 4, {0x0a, 0x02, 0x50, 0x02}},
        {"mode 4", false, 7, {0x0a, 0x05, 0x0a, 0x01, 'k', 0x50, 0x04}},
        {"a NUL in the key", false, 7, {0x0a, 0x05, 0x0a, 0x01, 0, 0x50, 0x02}},
        {"a DEL in the key", false, 7, {0x0a, 0x05, 0x0a, 0x01, 0x7F, 0x50, 0x02}},
        {"UTF-8 in the key", false, 8, {0x0a, 0x06, 0x0a, 0x02, 0xC3, 0xA4, 0x50, 0x02}},
        {"fields out of order", false, 7, {0x0a, 0x05, 0x50, 0x02, 0x0a, 0x01, 'k'}},
        {"a key twice", false, 10, {0x0a, 0x08, 0x0a, 0x01, 'k', 0x0a, 0x01, 'l', 0x50, 0x02}},
        {"an unknown field",
         false,
         10,
         {0x0a, 0x08, 0x0a, 0x01, 'k', 0x50, 0x02, 0x98, 0x06, 0x01}},
        {"two devices with one key",
         false,
         14,
         {0x0a, 0x05, 0x0a, 0x01, 'k', 0x50, 0x02, 0x0a, 0x05, 0x0a, 0x01, 'k', 0x50, 0x02}},
        {"two pools", false, 4, {0x12, 0x00, 0x12, 0x00}},
        {"a device after the pool", false, 9, {0x12, 0, 0x0a, 5, 0x0a, 1, 'k', 0x50, 2}},
        {"a bool of 2", false, 9, {0x0a, 0x07, 0x0a, 0x01, 'k', 0x28, 0x02, 0x50, 0x02}},
        {"a field of a device that ends too soon",
         false,
         8,
         {0x0a, 0x06, 0x0a, 0x01, 'k', 0x50, 0x02, 0x60}},
        {"watts of an unknown source",
         false,
         14,
         {0x0a, 0x0c, 0x0a, 0x01, 'k', 0x50, 0x02, 0x8a, 0x01, 0x04, 0x08, 0x01, 0x20, 0x05}},
        {"a mode's state twice",
         false,
         17,
         {0x0a, 0x0f, 0x0a, 0x01, 'k', 0x50, 0x02, 0x8a, 0x01, 0x02, 0x08, 0x01, 0x8a, 0x01, 0x02,
          0x08, 0x01}},
        {"a switch to itself is a switch",
         true,
         16,
         {0x0a, 0x0e, 0x0a, 0x01, 'k', 0x50, 0x02, 0x92, 0x01, 0x06, 0x08, 0x01, 0x10, 0x01, 0x18,
          0x07}},
        {"a model without a name",
         false,
         12,
         {0x0a, 0x0a, 0x0a, 0x01, 'k', 0x50, 0x02, 0xc2, 0x01, 0x02, 0x10, 0x05}},
        {"an empty report", true, 0, {0}},
    };
    struct both b;
    both_create(&b);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t bytes[64];
        size_t size = envelope(bytes, cases[i].body, cases[i].size);
        if (same(&b, bytes, size) != cases[i].taken) {
            fail_msg("%s: taken is %d", cases[i].what, !cases[i].taken);
        }
    }
    both_destroy(&b);
}

/* Numbers with zeros behind them. A device is kept as it came and read by protobuf-c later, which
 * takes some of these and refuses others. */
static void padded_numbers_are_left_alone(void **state) {
    (void)state;
    static const struct {
        const char *what;
        uint8_t size;
        uint8_t body[16];
    } cases[] = {
        {"a tag of two bytes", 8, {0x0a, 0x06, 0x8a, 0x00, 0x01, 'k', 0x50, 0x02}},
        {"a tag of six bytes",
         12,
         {0x0a, 0x0a, 0x0a, 0x01, 'k', 0xd0, 0x80, 0x80, 0x80, 0x80, 0x00, 0x02}},
        {"a length of two bytes", 8, {0x0a, 0x06, 0x0a, 0x81, 0x00, 'k', 0x50, 0x02}},
        {"a length of six bytes",
         12,
         {0x0a, 0x0a, 0x0a, 0x81, 0x80, 0x80, 0x80, 0x80, 0x00, 'k', 0x50, 0x02}},
        {"a figure of two bytes", 8, {0x0a, 0x06, 0x0a, 0x01, 'k', 0x50, 0x82, 0x00}},
    };
    struct both b;
    both_create(&b);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t bytes[64];
        size_t size = envelope(bytes, cases[i].body, cases[i].size);
        if (same(&b, bytes, size)) {
            fail_msg("%s: taken", cases[i].what);
        }
    }
    both_destroy(&b);
}

static void a_kept_device_is_the_reported_one(void **state) {
    (void)state;
    struct both b;
    both_create(&b);
    struct random_msg *r = random_msg_create(77);
    uint32_t kept = 0;
    for (int i = 0; i < 100; i++) {
        const struct sl_msg *msg = random_msg_next(r, SL_MSG_REPORT, false);
        SL_AUTO_BUF struct sl_buf out = {0};
        struct sl_msg back;
        assert_int_equal(sl_msg_encode(msg, &out, NULL), 0);
        assert_int_equal(sl_msg_decode((const uint8_t *)out.data, out.len, b.fast, &back, NULL), 0);
        for (uint32_t d = 0; d < back.report.device_count; d++) {
            struct sl_msg one = back;
            struct sl_msg two = back;
            struct sl_msg_device unpacked;
            SL_AUTO_BUF struct sl_buf packed = {0};
            assert_int_equal(sl_msg_device_pack(&back.report.devices[d], &packed, NULL), 0);
            const struct sl_msg_bytes *bytes = back.report.device_bytes;
            if (bytes) {
                kept++;
                assert_int_equal(bytes[d].size, packed.len);
                assert_memory_equal(bytes[d].data, packed.data, packed.len);
            }
            assert_int_equal(
                sl_msg_device_unpack((const uint8_t *)packed.data, packed.len, &unpacked, NULL), 0);
            one.report.device_count = two.report.device_count = 1;
            one.report.devices = &back.report.devices[d];
            two.report.devices = &unpacked;
            assert_true(msg_equal(&one, &two));
        }
    }
    struct sl_error err = {0};
    struct sl_msg_device untouched;
    memset(&untouched, 0x5A, sizeof untouched);
    struct sl_msg_device device = untouched;
    assert_int_equal(sl_msg_device_unpack((const uint8_t *)"\x0a\x7F", 2, &device, &err),
                     -SL_CORRUPT);
    assert_non_null(strstr(err.text, "damaged"));
    assert_memory_equal(&device, &untouched, sizeof device);
    random_msg_destroy(r);
    both_destroy(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reports_of_plain_texts_are_taken_and_equal),
        cmocka_unit_test(other_messages_and_other_texts_are_left_to_the_general_way),
        cmocka_unit_test(what_is_damaged_is_never_taken_for_something_else),
        cmocka_unit_test(unusual_forms_are_left_alone),
        cmocka_unit_test(padded_numbers_are_left_alone),
        cmocka_unit_test(a_kept_device_is_the_reported_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
