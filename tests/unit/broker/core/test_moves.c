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

/* While the agent was off: two GPUs that change places, and one that moves while another takes its
 * place. In one hello, in both orders. */
static void gpus_that_change_places_take_their_health_along(void **state) {
    (void)state;
    for (int what = 0; what < 4; what++) {
        bool swapped = what < 2;
        struct world w;
        start(&w);
        struct sl_msg_device both[] = {gpu("a/0"), gpu("a/1")};
        strcpy(both[1].uuid, "another");
        finds(&w, "a", both, swapped ? 2 : 1);
        give_xid(&w, &both[0], 79);
        assert_int_equal(health(&w, "a/0"), SL_HEALTH_QUARANTINE);
        struct sl_msg_device then[] = {gpu("a/0"), gpu("a/1")};
        strcpy(then[0].uuid, "another");
        if (what % 2) {
            struct sl_msg_device first = then[0];
            then[0] = then[1];
            then[1] = first;
        }
        finds(&w, "a", then, 2);
        assert_int_equal(health(&w, "a/0"), SL_HEALTH_OK);
        assert_int_equal(health(&w, "a/1"), SL_HEALTH_QUARANTINE);
        assert_int_equal(rows_with_the_uuid(&w), 1);
        world_restart(&w);
        world_price(&w, 0, WORLD_PRICE);
        finds(&w, "a", then, 2);
        assert_int_equal(mode(&w, "a/0"), SL_MODE_HASH);
        assert_int_equal(mode(&w, "a/1"), SL_MODE_IDLE);
        world_check(&w);
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

static uint32_t refusals(const struct world *w) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < w->store->event_count && i < 64; i++) {
        count += strcmp(w->store->events[i].kind, "device.refused") == 0;
    }
    return count;
}

/* Also where two makers' boards truly have one number: both work, each by its own health. */
static void a_uuid_in_use_is_not_taken_over(void **state) {
    (void)state;
    struct world w;
    start(&w);
    struct sl_msg_device ours = gpu("a/0");
    struct sl_msg_device theirs = gpu("b/0");
    finds(&w, "a", &ours, 1);
    finds(&w, "b", &theirs, 1);
    assert_int_equal(refusals(&w), 1);
    assert_int_equal(mode(&w, "b/0"), SL_MODE_HASH);
    give_xid(&w, &ours, 79);
    for (int i = 0; i < 20; i++) {
        world_wait(&w, 1000);
        say(&w, &ours);
        world_report_as(&w, "b", &theirs, 1, true);
    }
    assert_int_equal(refusals(&w), 1); /* once a start */
    finds(&w, "b", &theirs, 1);
    assert_int_equal(refusals(&w), 2);
    assert_int_equal(health(&w, "b/0"), SL_HEALTH_OK);
    assert_int_equal(health(&w, "a/0"), SL_HEALTH_QUARANTINE);
    moves(&w, SLOT_81); /* it is found where it goes */
    assert_int_equal(health(&w, SLOT_81), SL_HEALTH_QUARANTINE);
    /* Not in the middle of a session either, when the other node is away for a while. */
    for (int i = 0; i < 20; i++) {
        world_wait(&w, 1000);
        world_report_as(&w, "b", &theirs, 1, true);
    }
    assert_string_equal(world_view(&w, SLOT_81).state, "lost");
    assert_int_equal(mode(&w, "b/0"), SL_MODE_HASH);
    moves(&w, SLOT_01);
    assert_int_equal(health(&w, SLOT_01), SL_HEALTH_QUARANTINE);
    world_check(&w);
    world_fini(&w);
}

/* Its health comes along; but no node's word makes another node's device a trusted one. */
static void a_gpu_that_goes_to_another_node(void **state) {
    (void)state;
    struct world w;
    start(&w);
    struct sl_msg_device ours = gpu("a/0");
    struct sl_msg_device theirs = gpu("b/0");
    finds(&w, "a", &ours, 1);
    give_xid(&w, &ours, 79);
    world_wait(&w, 20000);
    finds(&w, "b", &theirs, 1);
    assert_int_equal(health(&w, "b/0"), SL_HEALTH_QUARANTINE);
    assert_int_equal(rows_with_the_uuid(&w), 1);
    world_order(&w, "b/0", SL_OVERRIDE_CLEAR, SL_MODE_INVALID);
    assert_int_equal(health(&w, "b/0"), SL_HEALTH_OK);
    ours = gpu("a/0");
    finds(&w, "a", &ours, 1);
    assert_int_equal(health(&w, "a/0"), SL_HEALTH_QUARANTINE);
    struct sl_msg_device none;
    world_device(&none, "b/1");
    finds(&w, "b", &none, 1); /* now it is not there any more */
    finds(&w, "a", &ours, 1);
    assert_int_equal(health(&w, "a/0"), SL_HEALTH_OK);
    world_fini(&w);
}

static void twins_of_one_node_keep_their_own_health(void **state) {
    (void)state;
    struct world w;
    start(&w);
    struct sl_msg_device twins[] = {gpu("a/0"), gpu("a/1")};
    finds(&w, "a", twins, 2);
    give_xid(&w, &twins[0], 79);
    world_wait(&w, 20000); /* both are lost */
    struct sl_msg_device turned[] = {gpu("a/1"), gpu("a/0")};
    finds(&w, "a", turned, 2);
    assert_int_equal(health(&w, "a/0"), SL_HEALTH_QUARANTINE);
    assert_int_equal(health(&w, "a/1"), SL_HEALTH_OK);
    world_fini(&w);
}

static void a_uuid_that_names_nothing_is_nobodys(void **state) {
    (void)state;
    static const char *const none[] = {"", "00000000000000000000000000000000",
                                       "ffffffff-ffff-ffff-ffff-ffffffffffff"};
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
        struct world w;
        start(&w);
        struct sl_msg_device first = gpu("a/0");
        struct sl_msg_device next = gpu("a/2");
        strcpy(first.uuid, none[i]);
        strcpy(next.uuid, none[i]);
        give_xid(&w, &first, 79);
        finds(&w, "a", &next, 1);
        assert_int_equal(health(&w, "a/2"), SL_HEALTH_OK);
        assert_int_equal(refusals(&w), 0);
        assert_int_equal(w.core->devices_by_uuid.count, 0);
        world_fini(&w);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_gpu_that_returns_to_a_slot_has_its_newest_health),
        cmocka_unit_test(another_gpu_in_the_old_slot_begins_anew),
        cmocka_unit_test(gpus_that_change_places_take_their_health_along),
        cmocka_unit_test(a_faulty_gpu_moves_like_any_other),
        cmocka_unit_test(of_two_rows_with_one_uuid_the_newer_counts),
        cmocka_unit_test(a_uuid_in_use_is_not_taken_over),
        cmocka_unit_test(a_gpu_that_goes_to_another_node),
        cmocka_unit_test(twins_of_one_node_keep_their_own_health),
        cmocka_unit_test(a_uuid_that_names_nothing_is_nobodys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
