/* SPDX-License-Identifier: Apache-2.0
 * What a policy remembers comes back as it was, also after the fleet has grown. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "broker/core/remembered.h"

#include <cmocka.h>

static struct sl_switching_device some(uint32_t i) {
    struct sl_switching_device device = {.noted = 1, .noted_mode = (uint8_t)(i % 3)};
    device.regret[i % SL_POLICY_MODES] = i * 7;
    device.work[i % SL_POLICY_MODES] = i * 11;
    return device;
}

static void assert_same(const struct sl_core_remembered *r, uint32_t dev,
                        const struct sl_switching_device *device) {
    struct sl_switching_device back;
    memset(&back, 0xff, sizeof back);
    sl_core_remembered_get(r, dev, &back);
    assert_int_equal(back.noted, device->noted);
    assert_int_equal(back.noted_mode, device->noted_mode);
    assert_memory_equal(back.regret, device->regret, sizeof back.regret);
    assert_memory_equal(back.work, device->work, sizeof back.work);
}

static void test_all_comes_back(void **state) {
    (void)state;
    struct sl_core_remembered r = {0};
    const struct sl_switching_device none = {0};
    for (uint32_t i = 0; i < 100; i++) {
        struct sl_switching_device device = some(i);
        sl_core_remembered_grow(&r, i + 1);
        assert_same(&r, i, &none);
        sl_core_remembered_put(&r, i, &device);
    }
    for (uint32_t i = 0; i < 100; i++) {
        struct sl_switching_device device = some(i);
        assert_same(&r, i, &device);
    }
    struct sl_switching_device zero = some(0);
    sl_core_remembered_put(&r, 99, &zero); /* what was there is gone */
    assert_same(&r, 99, &zero);
    sl_core_remembered_fini(&r);
}

static void test_columns_wait_for_a_figure(void **state) {
    (void)state;
    struct sl_core_remembered r = {0};
    struct sl_switching_device device = {.noted = 1, .noted_mode = 2};
    sl_core_remembered_grow(&r, 10);
    sl_core_remembered_put(&r, 3, &device);
    assert_null(r.regret);
    assert_null(r.work);
    device.regret[1] = 5;
    sl_core_remembered_put(&r, 3, &device);
    assert_non_null(r.regret);
    assert_null(r.work);
    assert_same(&r, 3, &device);
    sl_core_remembered_fini(&r);
}

static void test_a_copy_stays_as_it_was(void **state) {
    (void)state;
    struct sl_core_remembered r = {0};
    struct sl_core_remembered before = {0};
    struct sl_switching_device first = some(4);
    struct sl_switching_device second = some(5);
    sl_core_remembered_grow(&r, 8);
    sl_core_remembered_put(&r, 7, &first);
    sl_core_remembered_copy(&r, 8, &before);
    sl_core_remembered_put(&r, 7, &second);
    assert_same(&before, 7, &first);
    assert_same(&r, 7, &second);
    sl_core_remembered_fini(&before);
    sl_core_remembered_fini(&before); /* twice is once */
    assert_int_equal(before.cap, 0);
    sl_core_remembered_fini(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_comes_back),
        cmocka_unit_test(test_columns_wait_for_a_figure),
        cmocka_unit_test(test_a_copy_stays_as_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
