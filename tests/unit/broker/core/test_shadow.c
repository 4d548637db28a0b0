/* SPDX-License-Identifier: Apache-2.0
 * The two shadows against sums worked out by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "tests/unit/broker/core/world.h"

#include <cmocka.h>

static struct sl_view_money money(struct world *w) {
    struct sl_view_status view;
    sl_view_status_get(w->core, w->now, &view);
    return view.money;
}

static void live(struct world *w, int seconds) {
    for (int i = 0; i < seconds; i++) {
        world_wait(w, 1000);
        world_report(w, "a", 2);
    }
    sl_core_shadow_advance(w->core);
}

static void assert_near(sl_i128 got, int64_t want, int64_t slack) {
    if (got < want - slack || got > want + slack) {
        fail_msg("got %lld, want %lld", (long long)got, (long long)want);
    }
}

static void test_always_hash(void **state) {
    (void)state;
    struct world w;
    world_init(&w, NULL);
    world_price(&w, 0, WORLD_PRICE);
    world_join(&w, "a", 2);
    live(&w, 100);
    /* Two devices of 187,500,000 nUSD/h for 100 s. */
    assert_near(money(&w).always_hash_nusd, 2 * 187500000LL * 100 / 3600, 1000000 / 36);
    sl_i128 before = money(&w).always_hash_nusd;
    /* Leased, they are still worth what they would have hashed. */
    world_batch(&w, "b1", "acme", 100, WORLD_BID_HIGH);
    live(&w, 100);
    assert_near(money(&w).always_hash_nusd - before, 2 * 187500000LL * 100 / 3600, 1000000 / 36);
    assert_true(money(&w).hash_nusd == 0);
    world_fini(&w);
}

static void finish_everything(struct world *w, uint32_t tokens) {
    for (int round = 0; round < 200; round++) {
        const struct sl_core_unit *open = NULL;
        for (uint32_t i = 0; i < w->core->unit_count && !open; i++) {
            open = w->core->units[i]->closed ? NULL : w->core->units[i];
        }
        if (!open) {
            return;
        }
        for (uint32_t i = 0; i < w->store->unit_count; i++) {
            if (w->store->units[i].unit_id == open->id) {
                world_finish(w, &w->store->units[i], tokens, true);
                break;
            }
        }
    }
}

static void test_always_lease(void **state) {
    (void)state;
    struct world w;
    world_init(&w, NULL);
    world_price(&w, 0, WORLD_PRICE);
    world_join(&w, "a", 2);
    /* A bid that loses against hashing all the time: the shadow serves it, we do not. */
    world_batch(&w, "b1", "acme", 100, WORLD_BID_LOW);
    live(&w, 3);
    /* 2 devices x 1000 tokens/s x 3 s at 1 nUSD a token; the lines' bounds sum up to 10,000. */
    assert_near(money(&w).always_lease_nusd, 6000, 600);
    live(&w, 30);
    assert_near(money(&w).always_lease_nusd, 10000, 1); /* nothing left: it idles */
    assert_true(money(&w).lease_nusd == 0);
    /* Then the bid rises, the batch is done, and it had 1000 tokens, not 10,000. */
    world_bid(&w, "b1", "acme", WORLD_BID_HIGH);
    finish_everything(&w, 10);
    world_finalized(&w, "b1");
    assert_int_equal(world_stored_batch(&w, "b1")->state, SL_BATCH_COMPLETED);
    assert_near(money(&w).always_lease_nusd, 1000, 1);
    assert_true(money(&w).lease_nusd == 100000);
    world_fini(&w);
}

/* A batch that is done in truth before the shadow is through: the rest is granted to it. */
static void test_settled_upwards(void **state) {
    (void)state;
    struct world w;
    world_init(&w, NULL);
    world_price(&w, 0, WORLD_PRICE);
    world_join(&w, "a", 2);
    world_batch(&w, "b1", "acme", 100, WORLD_BID_HIGH);
    finish_everything(&w, 10);
    world_finalized(&w, "b1");
    assert_true(money(&w).lease_nusd == 100000);
    assert_near(money(&w).always_lease_nusd, 100000, 1);
    world_fini(&w);
}

static void test_best_bid_first(void **state) {
    (void)state;
    struct world w;
    world_init(&w, NULL);
    world_price(&w, 0, WORLD_PRICE);
    world_join(&w, "a", 2);
    world_batch(&w, "b1", "acme", 1000, WORLD_BID_LOW);
    world_batch(&w, "b2", "acme", 1000, 2 * WORLD_BID_LOW);
    live(&w, 3);
    assert_near(money(&w).always_lease_nusd, 12000, 1200);
    assert_int_equal(sl_core_batch_find(w.core, "b1")->shadow_milli, 0);
    world_fini(&w);
}

static void test_slots_outlive_a_restart(void **state) {
    (void)state;
    struct world w;
    world_init(&w, NULL);
    world_price(&w, 0, WORLD_PRICE);
    world_join(&w, "a", 2);
    world_batch(&w, "b1", "acme", 100, WORLD_BID_LOW);
    live(&w, 30);
    assert_near(money(&w).always_lease_nusd, 10000, 1);
    world_restart(&w);
    world_price(&w, 0, WORLD_PRICE);
    world_validated(&w, "b1", 100, 0);
    world_hello(&w, "a", 9, 78, 2);
    live(&w, 30);
    assert_near(money(&w).always_lease_nusd, 10000, 1); /* not served a second time */
    world_fini(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_always_hash),
        cmocka_unit_test(test_always_lease),
        cmocka_unit_test(test_settled_upwards),
        cmocka_unit_test(test_best_bid_first),
        cmocka_unit_test(test_slots_outlive_a_restart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
