/* SPDX-License-Identifier: Apache-2.0
 * The messages of the second socket: exact, bounded, and nothing from a damaged one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "proto/wire/join.h"

static struct sl_join_request sample(void) {
    struct sl_join_request r = {.node = "node-1", .agent_version = "0.1.0", .device_count = 2};
    for (size_t i = 0; i < sizeof r.secret; i++) {
        r.secret[i] = (uint8_t)i;
    }
    r.devices[0] = (struct sl_join_device){"NVIDIA H100", 8, false, UINT64_C(80) << 30};
    r.devices[1] = (struct sl_join_device){"cpu", 1, true, 0};
    return r;
}

static void requests_survive(void **state) {
    (void)state;
    struct sl_join_request r = sample();
    struct sl_join_request back;
    uint8_t bytes[SL_JOIN_MESSAGE_MAX];
    size_t n = 0;
    assert_int_equal(sl_join_request_encode(&r, bytes, &n, NULL), SL_OK);
    assert_int_equal(sl_join_request_decode(bytes, n, &back, NULL), SL_OK);
    assert_memory_equal(&r, &back, sizeof r);
    for (size_t cut = 0; cut < n; cut++) {
        struct sl_join_request untouched = {.device_count = 77};
        if (sl_join_request_decode(bytes, cut, &untouched, NULL) != SL_OK) {
            assert_int_equal(untouched.device_count, 77);
        }
    }
    for (size_t bit = 0; bit < n * 8; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1 << (bit % 8));
        if (sl_join_request_decode(bytes, n, &back, NULL) == SL_OK) {
            assert_true(back.device_count <= SL_JOIN_DEVICES_MAX && back.node[0]);
        }
        bytes[bit / 8] ^= (uint8_t)(1 << (bit % 8));
    }
    /* The largest fits. */
    r.device_count = SL_JOIN_DEVICES_MAX;
    for (uint32_t i = 0; i < SL_JOIN_DEVICES_MAX; i++) {
        memset(r.devices[i].name, 'x', SL_JOIN_DEVICE_NAME_MAX - 1);
        r.devices[i].name[SL_JOIN_DEVICE_NAME_MAX - 1] = '\0';
        r.devices[i].count = SL_MSG_DEVICES_MAX;
        r.devices[i].memory_bytes = INT64_MAX;
    }
    assert_int_equal(sl_join_request_encode(&r, bytes, &n, NULL), SL_OK);
    assert_int_equal(sl_join_request_decode(bytes, n, &back, NULL), SL_OK);
}

static void requests_that_break_a_rule(void **state) {
    (void)state;
    uint8_t bytes[SL_JOIN_MESSAGE_MAX + 1] = {0};
    size_t n = 0;
    struct sl_join_request back;
    struct sl_join_request r = sample();
    r.node[0] = '\0';
    assert_int_equal(sl_join_request_encode(&r, bytes, &n, NULL), -SL_INVALID);
    r = sample();
    r.devices[0].count = SL_MSG_DEVICES_MAX + 1;
    assert_int_equal(sl_join_request_encode(&r, bytes, &n, NULL), -SL_INVALID);
    r = sample();
    strcpy(r.node, "a\nb"); /* the decoder's to find: it comes from a stranger */
    assert_int_equal(sl_join_request_encode(&r, bytes, &n, NULL), SL_OK);
    assert_int_equal(sl_join_request_decode(bytes, n, &back, NULL), -SL_INVALID);
    r = sample();
    strcpy(r.agent_version, "\xff\xfe");
    assert_int_equal(sl_join_request_encode(&r, bytes, &n, NULL), SL_OK);
    assert_int_equal(sl_join_request_decode(bytes, n, &back, NULL), -SL_INVALID);
    assert_int_equal(sl_join_request_decode(bytes, SL_JOIN_MESSAGE_MAX + 1, &back, NULL),
                     -SL_INVALID);
    static const uint8_t version_2[] = {0x08, 0x02};
    struct sl_error err;
    assert_int_equal(sl_join_request_decode(version_2, sizeof version_2, &back, &err), -SL_STALE);
    assert_non_null(strstr(err.text, "update"));
    static const uint8_t short_secret[] = {0x08, 0x01, 0x12, 0x01, 'x'};
    assert_int_equal(sl_join_request_decode(short_secret, sizeof short_secret, &back, NULL),
                     -SL_INVALID);
    /* Many empty devices amplify. */
    size_t at = 0;
    bytes[at++] = 0x08;
    bytes[at++] = 0x01;
    while (at + 2 <= SL_JOIN_MESSAGE_MAX) {
        bytes[at++] = 0x2a;
        bytes[at++] = 0x00;
    }
    assert_int_not_equal(sl_join_request_decode(bytes, at, &back, NULL), SL_OK);
}

static void replies(void **state) {
    (void)state;
    struct sl_join_reply r = {.status = SL_JOIN_WAITING, .node = "n", .text = "wait"};
    struct sl_join_reply back;
    uint8_t bytes[SL_JOIN_MESSAGE_MAX];
    size_t n = 0;
    assert_int_equal(sl_join_reply_encode(&r, bytes, &n, NULL), SL_OK);
    assert_int_equal(sl_join_reply_decode(bytes, n, &back, NULL), SL_OK);
    assert_int_equal(back.status, SL_JOIN_WAITING);
    assert_string_equal(back.text, "wait");
    for (size_t bit = 0; bit < n * 8; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1 << (bit % 8));
        (void)sl_join_reply_decode(bytes, n, &back, NULL);
        bytes[bit / 8] ^= (uint8_t)(1 << (bit % 8));
    }
    r.status = SL_JOIN_INVALID;
    assert_int_equal(sl_join_reply_encode(&r, bytes, &n, NULL), -SL_INVALID);
    assert_int_equal(sl_join_reply_decode((const uint8_t *)"", 0, &back, NULL), -SL_STALE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_survive),
        cmocka_unit_test(requests_that_break_a_rule),
        cmocka_unit_test(replies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
