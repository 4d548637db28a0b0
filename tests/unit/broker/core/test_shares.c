/* SPDX-License-Identifier: Apache-2.0
 * Shares: recorded once, credited at the recorded price of their moment. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/broker/core/world.h"

#include <cmocka.h>

#define WORK UINT64_C(4295032833000) /* difficulty 1000 */

static void start(struct world *w) {
    world_init(w, NULL);
    world_price(w, 0, WORLD_PRICE);
    world_join(w, "a", 1);
}

/* work x price / (86400 x 1e15), added up exactly over many shares. */
static int64_t worth(uint64_t shares, uint64_t work, int64_t price) {
    return (int64_t)((sl_i128)shares * work * price / SL_DENOM_HASH);
}

static void test_credit(void **state) {
    (void)state;
    struct world w;
    start(&w);
    for (uint64_t id = 1; id <= 100; id++) {
        world_share(&w, "a", id, SL_SHARE_ACCEPTED, WORK, 0);
    }
    assert_int_equal(w.store->share_count, 100);
    assert_int_equal((int64_t)world_balance(&w, "revenue:hash"), worth(100, WORK, WORLD_PRICE));
    assert_true(world_balance(&w, "receivable:pool") == -world_balance(&w, "revenue:hash"));
    assert_int_equal(w.store->shares[0].price_nusd_per_ph_day, WORLD_PRICE);
    const struct sl_msg *ack = world_last_msg(&w, "a", SL_MSG_RESULT_ACK);
    assert_int_equal(ack->result_ack.share_count, 1);
    assert_int_equal(ack->result_ack.shares[0], 100);
    world_check(&w);
    world_fini(&w);
}

static void test_once_only(void **state) {
    (void)state;
    struct world w;
    start(&w);
    w.hold = true;
    world_share(&w, "a", 7, SL_SHARE_ACCEPTED, WORK, 0);
    assert_null(world_last_msg(&w, "a", SL_MSG_RESULT_ACK));
    world_share(&w, "a", 7, SL_SHARE_ACCEPTED, WORK, 0); /* before it is durable */
    assert_null(world_last_msg(&w, "a", SL_MSG_RESULT_ACK));
    w.hold = false;
    world_commit(&w);
    world_share(&w, "a", 7, SL_SHARE_ACCEPTED, WORK, 0); /* and after */
    assert_int_equal(world_count_msg(&w, "a", SL_MSG_RESULT_ACK), 3);
    assert_int_equal(w.store->share_count, 1);
    world_share(&w, "a", 3, SL_SHARE_ACCEPTED, WORK, 0); /* late, but new */
    assert_int_equal(w.store->share_count, 2);
    world_check(&w);
    world_fini(&w);
}

static void test_other_outcomes(void **state) {
    (void)state;
    struct world w;
    start(&w);
    world_share(&w, "a", 1, SL_SHARE_STALE, WORK, 0);
    world_share(&w, "a", 2, SL_SHARE_REJECTED, WORK, 0);
    world_share(&w, "a", 3, SL_SHARE_UNKNOWN, WORK, 0);
    world_share(&w, "a", 4, SL_SHARE_ACCEPTED, WORK, 0);
    struct sl_view_status view;
    sl_view_status_get(w.core, w.now, &view);
    assert_int_equal(view.shares_stale, 1);
    assert_int_equal(view.shares_rejected, 1);
    assert_int_equal(view.shares_unknown, 1);
    assert_int_equal(view.shares_accepted, 1);
    assert_int_equal(w.store->share_count, 4);
    assert_true(view.money.hash_nusd == worth(1, WORK, WORLD_PRICE));
    world_fini(&w);
}

static void test_price_of_the_moment(void **state) {
    (void)state;
    struct world w;
    start(&w);
    world_wait(&w, 10000);
    world_hello(&w, "a", 1, 77, 1);
    world_price(&w, 0, 2 * WORLD_PRICE);
    world_wait(&w, 1000);
    world_share(&w, "a", 1, SL_SHARE_ACCEPTED, WORK, 500);    /* after the change */
    world_share(&w, "a", 2, SL_SHARE_ACCEPTED, WORK, 5000);   /* before it */
    world_share(&w, "a", 3, SL_SHARE_ACCEPTED, WORK, 900000); /* older than anything known */
    assert_int_equal(w.store->shares[0].price_nusd_per_ph_day, 2 * WORLD_PRICE);
    assert_int_equal(w.store->shares[1].price_nusd_per_ph_day, WORLD_PRICE);
    assert_int_equal(w.store->shares[2].price_nusd_per_ph_day, WORLD_PRICE);
    assert_int_equal(w.store->shares[1].at.ms, w.now.wall.ms - 5000);
    world_fini(&w);
}

static void test_no_price_at_all(void **state) {
    (void)state;
    struct world w;
    world_init(&w, NULL);
    world_hello(&w, "a", 1, 77, 1);
    world_share(&w, "a", 1, SL_SHARE_ACCEPTED, WORK, 0);
    assert_int_equal(w.store->share_count, 1);
    assert_int_equal(w.store->shares[0].price_nusd_per_ph_day, 0);
    assert_int_equal(w.store->transfer_id, 1); /* of 0: the share is in the ledger */
    world_check(&w);
    world_fini(&w);
}

static void test_claims_are_bounded(void **state) {
    (void)state;
    struct world w;
    start(&w);
    world_share(&w, "a", 1, SL_SHARE_ACCEPTED, INT64_MAX, 0);
    assert_in_range(w.store->shares[0].work_hashes, WORK, WORK + 5000);
    world_check(&w);
    world_fini(&w);
}

static void test_factor(void **state) {
    (void)state;
    struct sl_core_config config = world_config();
    config.hash_factor_milli = 2500;
    struct world w;
    world_init(&w, &config);
    world_price(&w, 0, WORLD_PRICE);
    world_join(&w, "a", 1);
    world_share(&w, "a", 1, SL_SHARE_ACCEPTED, WORK, 0);
    assert_int_equal(w.store->shares[0].price_nusd_per_ph_day, WORLD_PRICE * 5 / 2);
    world_fini(&w);
}

static void test_window(void **state) {
    (void)state;
    struct sl_core_node node = {0};
    assert_false(sl_core_share_seen(&node, 5, false));
    assert_false(sl_core_share_seen(&node, 5, true));
    assert_true(sl_core_share_seen(&node, 5, true));
    assert_false(sl_core_share_seen(&node, 0, true));
    assert_false(sl_core_share_seen(&node, SL_CORE_SHARE_WINDOW - 1, true));
    assert_false(sl_core_share_seen(&node, 6, false)); /* not yet below the window */
    assert_true(sl_core_share_seen(&node, 5, false));
    assert_false(sl_core_share_seen(&node, 2 * SL_CORE_SHARE_WINDOW, true));
    assert_true(sl_core_share_seen(&node, SL_CORE_SHARE_WINDOW - 2, true)); /* below: known */
    assert_false(sl_core_share_seen(&node, 2 * SL_CORE_SHARE_WINDOW - 1, true));
    assert_false(sl_core_share_seen(&node, INT64_MAX, true));
    assert_true(sl_core_share_seen(&node, INT64_MAX, true));
    node.share_floor = INT64_MAX - 10;
    assert_true(sl_core_share_seen(&node, INT64_MAX - 11, false));
    sl_core_share_windows_fini(&node);
}

/* Found by the simulator: the message with an earlier start's last shares is lost, those of the
 * next start come first; the earlier ones were taken for known, acknowledged and never credited. */
static void test_window_of_each_start(void **state) {
    (void)state;
    struct sl_core_node node = {0};
    assert_false(sl_core_share_seen(&node, UINT64_C(4) << 32 | 1, true));
    assert_false(sl_core_share_seen(&node, UINT64_C(5) << 32 | 1, true));
    assert_false(sl_core_share_seen(&node, UINT64_C(4) << 32 | 2, true));
    assert_true(sl_core_share_seen(&node, UINT64_C(4) << 32 | 2, true));
    assert_true(sl_core_share_seen(&node, UINT64_C(4) << 32 | 1, true));
    for (uint64_t start = 6; start < 6 + SL_CORE_SHARE_STARTS; start++) {
        assert_false(sl_core_share_seen(&node, start << 32 | 1, true));
    }
    assert_true(sl_core_share_seen(&node, UINT64_C(4) << 32 | 3, true)); /* long ago: known */
    assert_false(sl_core_share_seen(&node, UINT64_C(6) << 32 | 2, true));
    sl_core_share_windows_fini(&node);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_credit),
        cmocka_unit_test(test_once_only),
        cmocka_unit_test(test_other_outcomes),
        cmocka_unit_test(test_price_of_the_moment),
        cmocka_unit_test(test_no_price_at_all),
        cmocka_unit_test(test_claims_are_bounded),
        cmocka_unit_test(test_factor),
        cmocka_unit_test(test_window),
        cmocka_unit_test(test_window_of_each_start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
