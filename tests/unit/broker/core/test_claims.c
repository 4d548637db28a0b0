/* SPDX-License-Identifier: Apache-2.0
 * What agents claim to have found: booked, but told apart where it is no luck; no sum overflows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "proto/base/text.h"
#include "tests/unit/broker/core/world.h"

#include <cmocka.h>

#define RATE UINT64_C(1000000000)
#define WORK UINT64_C(4295032833000) /* difficulty 1000: a share in 72 minutes */
#define DIFFICULTY UINT64_C(1000000000000)
#define ALL UINT64_MAX >> 1

static void start(struct world *w, int64_t rate_max_hs) {
    struct sl_core_config config = world_config();
    config.hash_rate_max_hs = rate_max_hs;
    world_init(w, &config);
    world_price(w, 0, WORLD_PRICE);
    world_join(w, "a", 1);
}

static void report(struct world *w, uint64_t rate_hs, uint64_t hashes) {
    struct sl_msg_device device;
    world_device(&device, "a/0");
    device.hash_rate_hs = rate_hs;
    device.hashes_total = hashes;
    device.safe = false;
    device.epoch = device.epoch_max = w->core->fleet.epoch[0];
    device.mode = (enum sl_mode)w->core->fleet.mode[0];
    world_report_as(w, "a", &device, 1, true);
}

static void share_of(struct world *w, const char *device, uint64_t id, uint64_t work,
                     uint64_t difficulty_nano, uint64_t age_ms) {
    struct sl_msg_share share = {.share_id = id,
                                 .outcome = SL_SHARE_ACCEPTED,
                                 .work_hashes = work,
                                 .difficulty_nano = difficulty_nano,
                                 .age_ms = age_ms};
    sl_text_copy(share.device, sizeof share.device, device);
    struct sl_msg msg = {.kind = SL_MSG_SHARES};
    msg.shares.share_count = 1;
    msg.shares.shares = &share;
    const struct sl_core_node *node = &w->core->nodes[sl_core_node_find(w->core, "a")];
    world_msg(w, "a", node->peer.conn, node->session, &msg);
}

static void shares(struct world *w, uint64_t *id, uint32_t count, uint64_t age_ms) {
    for (uint32_t i = 0; i < count; i++) {
        share_of(w, "a/0", ++*id, WORK, DIFFICULTY, age_ms);
    }
}

static struct sl_view_status status(struct world *w) {
    struct sl_view_status view;
    sl_view_status_get(w->core, w->now, &view);
    return view;
}

static uint32_t events(const struct world *w, const char *kind) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < w->store->event_count && i < 64; i++) {
        count += strcmp(w->store->events[i].kind, kind) == 0;
    }
    return count;
}

static void honest_shares_are_not_flagged(void **state) {
    (void)state;
    struct world w;
    uint64_t id = 0;
    start(&w, 0);
    report(&w, RATE, 1);
    for (uint64_t hour = 1; hour <= 50; hour++) {
        shares(&w, &id, 1, 0);
        report(&w, RATE, hour * 3600 * RATE);
        world_wait(&w, 1000);
    }
    assert_int_equal(status(&w).shares_implausible, 0);
    assert_int_equal(status(&w).devices_implausible, 0);
    assert_null(world_view(&w, "a/0").health.doubt);
    world_check(&w);
    world_fini(&w);
}

static void more_than_was_spent_is_booked_and_flagged(void **state) {
    (void)state;
    struct world w;
    uint64_t id = 0;
    start(&w, 0);
    report(&w, RATE, 1);
    shares(&w, &id, 1, 0); /* from here on its hashes are counted */
    report(&w, RATE, 1000 * RATE);
    shares(&w, &id, 5, 0);
    assert_int_equal(status(&w).shares_implausible, 0); /* luck, still */
    shares(&w, &id, 20, 0);
    struct sl_view_status view = status(&w);
    assert_in_range(view.shares_implausible, 10, 20);
    assert_int_equal(view.devices_implausible, 1);
    assert_int_equal(events(&w, "claims.implausible"), 1); /* told once */
    assert_non_null(strstr(world_view(&w, "a/0").health.doubt, "shares"));
    /* Booked like any other. */
    assert_int_equal(w.store->share_count, 26);
    assert_true(view.money.hash_nusd ==
                (int64_t)((sl_i128)26 * WORK * WORLD_PRICE / SL_DENOM_HASH));
    world_check(&w);
    /* The count outlives the broker; its agent's new start ends the doubt. */
    world_restart(&w);
    world_price(&w, 0, WORLD_PRICE);
    world_join(&w, "a", 1);
    assert_int_equal(status(&w).shares_implausible, view.shares_implausible);
    assert_int_equal(status(&w).devices_implausible, 0);
    world_fini(&w);
}

static void the_highest_rate_bounds_what_counts_as_spent(void **state) {
    (void)state;
    struct world w;
    uint64_t id = 0;
    start(&w, (int64_t)RATE);
    report(&w, RATE, 1);
    shares(&w, &id, 1, 0);
    report(&w, RATE, ALL); /* it says that it has hashed 292 years, in no time */
    shares(&w, &id, 30, 0);
    assert_int_not_equal(status(&w).shares_implausible, 0);
    world_fini(&w);
}

static void old_shares_are_bounded_by_their_age(void **state) {
    (void)state;
    struct world w;
    uint64_t id = 0;
    start(&w, (int64_t)RATE);
    report(&w, RATE, 1);
    world_wait(&w, 3000);
    /* Ten years old, of a device that we have known for seconds. */
    shares(&w, &id, 30, SL_MSG_SPAN_MS_MAX);
    assert_int_not_equal(status(&w).shares_implausible, 0);
    world_fini(&w);
    /* Spooled through a week in which the broker was away: plausible. */
    start(&w, (int64_t)RATE);
    w.core->fleet.cold[0].first_seen.ms -= INT64_C(30) * 86400000;
    for (uint64_t i = 0; i < 100; i++) {
        shares(&w, &id, 1, 7 * 86400000 - i * 4300000);
    }
    assert_int_equal(status(&w).shares_implausible, 0);
    /* The same again after a start of the agent: so much was not to be found in that week. */
    uint64_t boot = w.core->nodes[0].boot_id + 1;
    world_hello(&w, "a", 1, boot, 1);
    for (uint64_t i = 0; i < 200; i++) {
        shares(&w, &id, 1, 6 * 86400000);
    }
    assert_int_not_equal(status(&w).shares_implausible, 0);
    world_fini(&w);
}

static void a_rate_beyond_the_highest_earns_nothing(void **state) {
    (void)state;
    struct world w;
    start(&w, (int64_t)WORLD_HASH_RATE);
    report(&w, ALL, 1);
    struct sl_view_device view = world_view(&w, "a/0");
    assert_int_equal(view.offers[SL_MODE_HASH].gross_nusd_per_hour, 0);
    assert_false(view.offers[SL_MODE_HASH].known);
    assert_string_equal(view.offers[SL_MODE_HASH].missing, "plausible hash rate");
    assert_non_null(strstr(view.health.doubt, "hash_rate_max"));
    report(&w, ALL, 1);
    assert_int_equal(events(&w, "claims.rate"), 1);
    report(&w, WORLD_HASH_RATE, 1); /* it has come to its senses */
    view = world_view(&w, "a/0");
    assert_null(view.health.doubt);
    assert_true(view.offers[SL_MODE_HASH].gross_nusd_per_hour > 0);
    world_fini(&w);
}

static void devices_that_never_came_are_flagged(void **state) {
    (void)state;
    struct world w;
    start(&w, 0);
    for (uint64_t id = 1; id <= 100; id++) {
        share_of(&w, "ghost/0", id, WORK, DIFFICULTY, 0);
    }
    assert_int_equal(status(&w).shares_implausible, 100);
    assert_int_equal(w.store->share_count, 100);
    assert_int_equal(events(&w, "claims.implausible"), 1);
    world_fini(&w);
}

/* The most that the wire can carry, at the highest price there is. */
static void nothing_overflows(void **state) {
    (void)state;
    struct sl_core_config config = world_config();
    config.hash_factor_milli = INT64_C(1000000000000000);
    struct world w;
    world_init(&w, &config);
    world_price(&w, 0, INT64_MAX);
    world_join(&w, "a", 8);
    struct sl_msg_device devices[8];
    for (int i = 0; i < 8; i++) {
        char key[16];
        snprintf(key, sizeof key, "a/%d", i);
        world_device(&devices[i], key);
        devices[i].hash_rate_hs = devices[i].hashes_total = ALL;
        devices[i].tokens_total = devices[i].lines_total = ALL;
        devices[i].models[0].tokens_per_s_milli = ALL;
        devices[i].watts[SL_MODE_HASH] = (struct sl_watts){SL_SOURCE_RATED, INT64_MAX};
    }
    world_report_as(&w, "a", devices, 8, true);
    for (uint64_t id = 1; id <= 64; id++) {
        share_of(&w, "a/0", id, ALL, ALL, 0);
    }
    world_wait(&w, 5000);
    struct sl_view_status view = status(&w);
    assert_true(view.money.hash_nusd > INT64_MAX); /* 128 bits hold it */
    assert_true(view.money.hash_nusd < (sl_i128)INT64_MAX * 64);
    assert_true(view.money.always_hash_nusd >= 0);
    assert_int_equal(view.hash_rate_hs, 0);
    assert_int_equal(view.devices_implausible, 8);
    assert_in_range(view.shares_implausible, 62, 64);
    for (uint32_t i = 0; i < 64; i++) {
        assert_true(w.store->shares[i].amount_nusd >= 0);
    }
    struct sl_view_pool pool;
    for (uint32_t i = 0; sl_view_pool_get(w.core, w.now, i, &pool); i++) {
        assert_true(pool.row.work >= 0 && pool.row.amount_nusd >= 0);
        assert_true(pool.measured_hs >= -1 && pool.effective_hs >= -1);
    }
    world_check(&w);
    world_restart(&w);
    assert_true(status(&w).money.hash_nusd == view.money.hash_nusd);
    world_fini(&w);
}

static void a_damaged_count_is_refused(void **state) {
    (void)state;
    struct world w;
    start(&w, 0);
    static const char *const bad[] = {"", "1", "1 2", "1 2 x", "1 -2 3", "1 2 -3", "x 2 3"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(sl_core_claims_restore(w.core, bad[i]), -SL_CORRUPT);
    }
    assert_int_equal(status(&w).shares_implausible, 0);
    assert_int_equal(sl_core_claims_restore(w.core, "7 8 9"), SL_OK);
    assert_int_equal(status(&w).shares_implausible, 7);
    world_fini(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(honest_shares_are_not_flagged),
        cmocka_unit_test(more_than_was_spent_is_booked_and_flagged),
        cmocka_unit_test(the_highest_rate_bounds_what_counts_as_spent),
        cmocka_unit_test(old_shares_are_bounded_by_their_age),
        cmocka_unit_test(a_rate_beyond_the_highest_earns_nothing),
        cmocka_unit_test(devices_that_never_came_are_flagged),
        cmocka_unit_test(nothing_overflows),
        cmocka_unit_test(a_damaged_count_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
