/* SPDX-License-Identifier: Apache-2.0
 * The health of a GPU goes where the GPU goes, and nowhere else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/broker/core/gpus.h"

#include <cmocka.h>

#define SLOT_01 "pci:0000:01:00.0/" UUID
#define SLOT_41 "pci:0000:41:00.0/" UUID
#define SLOT_81 "pci:0000:81:00.0/" UUID

/* Another start of the agent finds these, and no others. */
static void finds(struct world *w, const char *node, const struct sl_msg_device *devices,
                  uint32_t count) {
    static uint64_t boot = 1000;
    assert_true(world_hello_units(w, node, 1, ++boot, devices, count, NULL, 0) != 0);
    world_report_as(w, node, devices, count, true);
}

static struct sl_msg_device moves(struct world *w, const char *key) {
    struct sl_msg_device device = gpu(key);
    finds(w, "a", &device, 1);
    return device;
}

static uint32_t rows_with_the_uuid(const struct world *w) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < w->store->health_count; i++) {
        count += strcmp(w->store->health[i].uuid, UUID) == 0;
    }
    return count;
}

static void a_gpu_that_returns_to_a_slot_has_its_newest_health(void **state) {
    (void)state;
    struct world w;
    start(&w);
    moves(&w, SLOT_01);
    struct sl_msg_device device = moves(&w, SLOT_81);
    assert_int_equal(mode(&w, SLOT_81), SL_MODE_HASH);
    give_xid(&w, &device, 79);
    device = moves(&w, SLOT_01);
    assert_int_equal(health(&w, SLOT_01), SL_HEALTH_QUARANTINE);
    assert_int_equal(mode(&w, SLOT_01), SL_MODE_IDLE);
    assert_int_equal(health(&w, SLOT_81), SL_HEALTH_OK); /* nothing is there */
    assert_int_equal(rows_with_the_uuid(&w), 1);
    /* And what was cleared elsewhere is not out again. */
    moves(&w, SLOT_81);
    assert_int_equal(health(&w, SLOT_81), SL_HEALTH_QUARANTINE);
    world_order(&w, SLOT_81, SL_OVERRIDE_CLEAR, SL_MODE_INVALID);
    device = moves(&w, SLOT_01);
    assert_int_equal(health(&w, SLOT_01), SL_HEALTH_OK);
    assert_int_equal(mode(&w, SLOT_01), SL_MODE_HASH);
    /* A broker that starts again knows which slot was the last. */
    give_xid(&w, &device, 79);
    world_restart(&w);
    world_price(&w, 0, WORLD_PRICE);
    moves(&w, SLOT_41);
    assert_int_equal(health(&w, SLOT_41), SL_HEALTH_QUARANTINE);
    assert_int_equal(world_view(&w, SLOT_41).health.incidents, 2);
    assert_int_equal(rows_with_the_uuid(&w), 1);
    world_check(&w);
    world_fini(&w);
}

static void another_gpu_in_the_old_slot_begins_anew(void **state) {
    (void)state;
    for (int named = 0; named < 2; named++) {
        struct world w;
        start(&w);
        struct sl_msg_device device = gpu("a/0");
        finds(&w, "a", &device, 1);
        give_xid(&w, &device, 79);
        struct sl_msg_device both[] = {gpu("a/0"), gpu(SLOT_81)};
        strcpy(both[0].uuid, named ? "another" : "");
        moves(&w, SLOT_81);
        finds(&w, "a", both, 2);
        assert_int_equal(health(&w, "a/0"), SL_HEALTH_OK);
        assert_int_equal(health(&w, SLOT_81), SL_HEALTH_QUARANTINE);
        world_restart(&w);
        world_price(&w, 0, WORLD_PRICE);
        finds(&w, "a", both, 2);
        assert_int_equal(mode(&w, "a/0"), SL_MODE_HASH);
        assert_int_equal(mode(&w, SLOT_81), SL_MODE_IDLE);
        world_fini(&w);
    }
}

/* A faulty device is not lost when it is gone; its slot is empty all the same. */
static void a_faulty_gpu_moves_like_any_other(void **state) {
    (void)state;
    struct world w;
    start(&w);
    struct sl_msg_device device = moves(&w, SLOT_01);
    strcpy(device.health, "its test failed");
    give_xid(&w, &device, 79);
    assert_string_equal(world_view(&w, SLOT_01).state, "faulty");
    moves(&w, SLOT_81);
    assert_string_equal(world_view(&w, SLOT_01).state, "faulty");
    assert_int_equal(health(&w, SLOT_81), SL_HEALTH_QUARANTINE);
    world_fini(&w);
}

/* A store of an earlier version has the UUID in both slots: the newer state is the GPU's. */
static void of_two_rows_with_one_uuid_the_newer_counts(void **state) {
    (void)state;
    for (int newer = 0; newer < 2; newer++) {
        struct world w;
        start(&w);
        for (int i = 0; i < 2; i++) {
            bool out = i == newer;
            struct sl_health_row row = {.uuid = UUID, .text = "why", .seen = "1 0 0 0"};
            snprintf(row.device, sizeof row.device, "a/%d", i);
            row.state = out ? SL_HEALTH_QUARANTINE : SL_HEALTH_OK;
            row.since.ms = out ? 2000 : 1000;
            assert_int_equal(sl_broker_core_restore_health(w.core, &row), SL_OK);
        }
        moves(&w, SLOT_01);
        assert_int_equal(health(&w, SLOT_01), SL_HEALTH_QUARANTINE);
        world_fini(&w);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_gpu_that_returns_to_a_slot_has_its_newest_health),
        cmocka_unit_test(another_gpu_in_the_old_slot_begins_anew),
        cmocka_unit_test(a_faulty_gpu_moves_like_any_other),
        cmocka_unit_test(of_two_rows_with_one_uuid_the_newer_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
