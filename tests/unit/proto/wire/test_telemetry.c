/* SPDX-License-Identifier: Apache-2.0
 * What no sensor can measure is unknown, whoever says it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "proto/wire/codec.h"

static void every_figure_has_a_name_of_its_own_and_limits(void **state) {
    (void)state;
    for (uint32_t i = 0; i < SL_FIG_COUNT; i++) {
        const struct sl_figure_info *info = sl_figure_info(i);
        assert_non_null(info->name);
        assert_true(info->min < info->max);
        for (uint32_t j = 0; j < i; j++) {
            assert_string_not_equal(info->name, sl_figure_info(j)->name);
        }
    }
    assert_null(sl_figure_info(SL_FIG_COUNT));
    assert_string_equal(sl_telemetry_source_name((enum sl_telemetry_source)99), "unknown");
    assert_string_equal(sl_telemetry_source_name(SL_TELEMETRY_RAPL), "rapl");
}

static void absurd_watts_are_unknown(void **state) {
    (void)state;
    static const int64_t absurd[] = {-1, 0, -1000, 1000000000, 2000001, INT64_MAX, INT64_MIN};
    for (size_t i = 0; i < sizeof absurd / sizeof absurd[0]; i++) {
        struct sl_msg_telemetry t = {.source = SL_TELEMETRY_NVML};
        sl_telemetry_set(&t, SL_FIG_POWER_MW, absurd[i]);
        sl_telemetry_set(&t, SL_FIG_TEMP_MC, 60000);
        assert_int_equal(sl_telemetry_bound(&t), 1);
        assert_false(sl_telemetry_has(&t, SL_FIG_POWER_MW));
        assert_int_equal(t.figures[SL_FIG_POWER_MW], 0);
        assert_true(sl_telemetry_has(&t, SL_FIG_TEMP_MC));
        assert_false(sl_watts_plausible(absurd[i]));
    }
    assert_true(sl_watts_plausible(1) && sl_watts_plausible(2000000));
}

static void more_than_half_above_the_limit_is_unknown(void **state) {
    (void)state;
    struct sl_msg_telemetry t = {.source = SL_TELEMETRY_NVML};
    sl_telemetry_set(&t, SL_FIG_POWER_LIMIT_MW, 300000);
    sl_telemetry_set(&t, SL_FIG_POWER_MW, 450000);
    assert_int_equal(sl_telemetry_bound(&t), 0);
    sl_telemetry_set(&t, SL_FIG_POWER_MW, 450001);
    assert_int_equal(sl_telemetry_bound(&t), 1);
    assert_false(sl_telemetry_has(&t, SL_FIG_POWER_MW));
    assert_true(sl_telemetry_has(&t, SL_FIG_POWER_LIMIT_MW));
}

/* A report with one device; the bytes of its telemetry message are given. */
static int decode_telemetry(const uint8_t *bytes, uint8_t size, struct sl_msg_arena *arena,
                            struct sl_msg *ret_msg, struct sl_error *err) {
    uint8_t all[160];
    uint8_t device[120] = {0x0a, 1, 'k', 0x50, 2, 0xca, 1, size}; /* key, mode, telemetry */
    uint8_t device_size = (uint8_t)(8 + size);
    memcpy(device + 8, bytes, size);
    uint8_t head[] = {0x08, 1,          0x10, 5, 0x18, 5, 0x62, (uint8_t)(device_size + 2),
                      0x0a, device_size};
    memcpy(all, head, sizeof head);
    memcpy(all + sizeof head, device, device_size);
    return sl_msg_decode(all, sizeof head + device_size, arena, ret_msg, err);
}

static void a_receiver_refuses_what_does_not_fit_and_forgets_what_cannot_be(void **state) {
    (void)state;
    SL_AUTO(sl_msg_arena) arena = NULL;
    struct sl_msg msg;
    struct sl_error err = {0};
    assert_int_equal(sl_msg_arena_create(SL_MSG_ARENA_BYTES, &arena, NULL), 0);
    /* source 1, known bits 0 (power) and 3 (temperature): -1 mW (zigzag 1), 1000 */
    static const uint8_t minus_one[] = {0x08, 1, 0x10, 9, 0x1a, 3, 1, 0xd0, 0x0f};
    if (decode_telemetry(minus_one, sizeof minus_one, arena, &msg, &err)) {
        fail_msg("%s", err.text);
    }
    const struct sl_msg_telemetry *t = &msg.report.devices[0].telemetry;
    assert_int_equal(t->known, 8);
    assert_int_equal(t->figures[SL_FIG_TEMP_MC], 1000);
    static const uint8_t too_few[] = {0x08, 1, 0x10, 9, 0x1a, 1, 1};
    assert_int_equal(decode_telemetry(too_few, sizeof too_few, arena, &msg, &err), -SL_INVALID);
    static const uint8_t nine_xids[] = {0x22, 9, 1, 2, 3, 4, 5, 6, 7, 8, 9};
    assert_int_equal(decode_telemetry(nine_xids, sizeof nine_xids, arena, &msg, &err), -SL_LIMIT);
    static const uint8_t big_xid[] = {0x22, 3, 0x80, 0x80, 4};
    assert_int_equal(decode_telemetry(big_xid, sizeof big_xid, arena, &msg, &err), -SL_INVALID);
    /* A later version's source 77 and figure 63 beside the temperature. */
    static const uint8_t later[] = {0x08, 77,   0x10, 0x88, 0x80, 0x80, 0x80, 0x80, 0x80,
                                    0x80, 0x80, 0x80, 1,    0x1a, 3,    0xd0, 0x0f, 7};
    if (decode_telemetry(later, sizeof later, arena, &msg, &err)) {
        fail_msg("%s", err.text);
    }
    t = &msg.report.devices[0].telemetry;
    assert_int_equal(t->source, SL_TELEMETRY_NONE);
    assert_int_equal(t->known, 8);
    assert_int_equal(t->figures[SL_FIG_TEMP_MC], 1000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_figure_has_a_name_of_its_own_and_limits),
        cmocka_unit_test(absurd_watts_are_unknown),
        cmocka_unit_test(more_than_half_above_the_limit_is_unknown),
        cmocka_unit_test(a_receiver_refuses_what_does_not_fit_and_forgets_what_cannot_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
