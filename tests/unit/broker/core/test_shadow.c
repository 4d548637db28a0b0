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

/* ---- the same sums as by looking at every batch for every device ---- */

static int64_t left_of(const struct sl_core_batch *batch, int64_t served) {
    int64_t left = batch->worst_total * 1000 - served; /* no line is done */
    return left > 0 ? left : 0;
}

/* One step in the slow way: what the shadow earns, and what each batch was served. */
static void slow_step(const struct sl_broker_core *core, int64_t span_ms, int64_t *served,
                      sl_i128 *sum) {
    for (uint32_t dev = 0; dev < core->fleet.count; dev++) {
        const struct sl_core_report *report = &core->fleet.cold[dev].report;
        uint32_t best = SL_CORE_NONE;
        sl_i128 most = 0;
        for (uint32_t i = 0; i < core->batch_count; i++) {
            const struct sl_core_batch *batch = core->batches[i];
            sl_i128 value =
                (sl_i128)sl_core_rate_milli(report, batch) * batch->row.bid_nusd_per_mtok;
            if (left_of(batch, served[i]) > 0 && value > most) {
                best = i;
                most = value;
            }
        }
        if (best != SL_CORE_NONE) {
            const struct sl_core_batch *batch = core->batches[best];
            int64_t left = left_of(batch, served[best]);
            int64_t could = sl_core_rate_milli(report, batch) * span_ms / 1000;
            int64_t done = could < left ? could : left;
            served[best] += done;
            *sum += (sl_i128)done * batch->row.bid_nusd_per_mtok;
        }
    }
}

/* Three models; of each device its own rates, of one none, and one that has no model at all. */
static void join_mixed(struct world *w) {
    static const char *const models[] = {"mini", "midi", "maxi"};
    struct sl_msg_device devices[6];
    for (uint32_t i = 0; i < 6; i++) {
        char key[8] = {'a', '/', (char)('0' + i), '\0'};
        world_device(&devices[i], key);
        devices[i].model_count = i % 4;
        for (uint32_t m = 0; m < i % 4; m++) {
            struct sl_msg_model *model = &devices[i].models[m];
            strncpy(model->id, models[(i + m) % 3], sizeof model->id - 1);
            model->tokens_per_s_milli = i == 5 ? 0 : 100001 + 70003 * i + 30011 * m;
        }
    }
    assert_true(world_hello_units(w, "a", 1, 77, devices, 6, NULL, 0) != 0);
    world_report_as(w, "a", devices, 6, true);
}

static void test_the_same_as_the_slow_way(void **state) {
    (void)state;
    /* Equal bids, equal values of two models, more batches than a step can finish. */
    static const struct {
        const char *model;
        uint32_t lines;
        int64_t bid;
    } rows[] = {
        {"mini", 3, 500},  {"midi", 40, 700}, {"mini", 90, 500}, {"maxi", 2, 100003},
        {"maxi", 70, 900}, {"midi", 1, 700},  {"none", 9, 9000}, {"mini", 7, 499},
    };
    struct world w;
    int64_t served[8] = {0};
    sl_i128 sum = 0;
    world_init(&w, NULL);
    world_price(&w, 0, WORLD_PRICE);
    join_mixed(&w);
    for (uint32_t i = 0; i < 8; i++) {
        char id[] = {'b', (char)('0' + i), '\0'};
        world_batch(&w, id, "acme", rows[i].lines, rows[i].bid);
        struct sl_core_batch *batch = sl_core_batch_find(w.core, id);
        strncpy(batch->row.model, rows[i].model, sizeof batch->row.model - 1);
    }
    for (uint32_t step = 0; step < 200; step++) {
        int64_t span_ms = 1 + step * 37 % 600;
        slow_step(w.core, span_ms, served, &sum);
        w.core->now.mono.ns += span_ms * SL_NS_PER_MS;
        sl_core_shadow_advance(w.core);
        for (uint32_t i = 0; i < 8; i++) {
            assert_int_equal(w.core->batches[i]->shadow_milli, served[i]);
        }
        sl_i128 whole = SL_DENOM_TOKEN * 1000;
        assert_true(w.core->shadow_lease == sum / whole);
        assert_true(w.core->shadow_lease_rem == sum % whole);
    }
    assert_int_equal(served[6], 0); /* nobody has its model */
    for (uint32_t i = 0; i < 8; i++) {
        assert_true(i == 6 || left_of(w.core->batches[i], served[i]) == 0);
    }
    world_fini(&w);
}

/* However high rates and prices are: the sum is that of all devices. */
static void test_hash_of_many_devices(void **state) {
    (void)state;
    static const int64_t prices[] = {WORLD_PRICE, INT64_MAX};
    for (size_t p = 0; p < 2; p++) {
        struct world w;
        sl_i128 denominator = SL_DENOM_HASH * 1000;
        int64_t price = 0;
        world_init(&w, NULL);
        world_price(&w, 0, prices[p]);
        world_join(&w, "a", 8);
        for (uint32_t dev = 0; dev < 8; dev++) {
            w.core->fleet.hash_rate_hs[dev] = dev == 7 ? UINT64_C(1) << 50 : 1000000007ULL * dev;
        }
        assert_true(sl_core_hashprice(w.core, &price) == SL_KNOWN_FRESH);
        price = price < INT64_C(1) << 60 ? price : INT64_C(1) << 60;
        sl_i128 sum = w.core->shadow_hash;
        sl_i128 rem = w.core->shadow_hash_rem;
        w.core->now.mono.ns += 59999 * SL_NS_PER_MS;
        sl_core_shadow_advance(w.core);
        for (uint32_t dev = 0; dev < 8; dev++) {
            rem += (sl_i128)w.core->fleet.hash_rate_hs[dev] * 59999 * price;
            sum += rem / denominator;
            rem %= denominator;
        }
        assert_true(w.core->shadow_hash == sum);
        assert_true(w.core->shadow_hash_rem == rem);
        world_fini(&w);
    }
}

/* Devices that are fast at different lengths take a model's batches in one order. */
static void test_one_order_for_a_model(void **state) {
    (void)state;
    struct world w;
    struct sl_msg_device devices[2];
    world_init(&w, NULL);
    world_price(&w, 0, WORLD_PRICE);
    for (uint32_t i = 0; i < 2; i++) {
        world_device(&devices[i], i == 0 ? "a/0" : "a/1");
        devices[i].models[0].length_rates_milli[0] = i == 0 ? 900 : 100;
        devices[i].models[0].length_rates_milli[3] = i == 0 ? 100 : 900;
    }
    assert_true(world_hello_units(&w, "a", 1, 77, devices, 2, NULL, 0) != 0);
    world_report_as(&w, "a", devices, 2, true);
    world_batch(&w, "b1", "acme", 10, 1000);
    world_batch(&w, "b2", "acme", 10, 1000);
    struct sl_core_batch *longs = sl_core_batch_find(w.core, "b1");
    struct sl_core_batch *shorts = sl_core_batch_find(w.core, "b2");
    longs->lengths.mix = (struct sl_length_mix){.tokens = {[3] = 1000}};
    shorts->lengths.mix = (struct sl_length_mix){.tokens = {[0] = 1000}};
    w.core->now.mono.ns += SL_NS_PER_S;
    sl_core_shadow_advance(w.core);
    assert_int_equal(longs->shadow_milli, 0);
    assert_int_equal(shorts->shadow_milli, 1000); /* each at its own speed */
    world_fini(&w);
}

/* Sweeps come many times a second; what they leave is made up for by the next step. */
static void test_sweeps_step_once_a_second(void **state) {
    (void)state;
    struct world w;
    world_init(&w, NULL);
    world_price(&w, 0, WORLD_PRICE);
    world_join(&w, "a", 2);
    sl_core_shadow_advance(w.core);
    sl_i128 before = money(&w).always_hash_nusd;
    world_wait(&w, 900);
    assert_true(money(&w).always_hash_nusd == before);
    world_wait(&w, 350); /* a sweep is due each 250 ms */
    assert_near(money(&w).always_hash_nusd - before, 2 * 187500000LL / 3600,
                2 * 187500000LL / 14400);
    world_fini(&w);
}

/* A batch that is cancelled is served up to then: nothing corrects its sum afterwards. */
static void test_served_until_it_is_cancelled(void **state) {
    (void)state;
    struct world w;
    world_init(&w, NULL);
    world_price(&w, 0, WORLD_PRICE);
    world_join(&w, "a", 2);
    world_batch(&w, "b1", "acme", 1000, WORLD_BID_LOW);
    sl_core_shadow_advance(w.core);
    sl_i128 before = money(&w).always_lease_nusd;
    world_wait(&w, 200);
    world_cancel(&w, "b1", "acme");
    assert_near(money(&w).always_lease_nusd - before, 400, 1); /* 2 x 1000 tokens/s */
    world_fini(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_always_hash),
        cmocka_unit_test(test_always_lease),
        cmocka_unit_test(test_settled_upwards),
        cmocka_unit_test(test_best_bid_first),
        cmocka_unit_test(test_slots_outlive_a_restart),
        cmocka_unit_test(test_the_same_as_the_slow_way),
        cmocka_unit_test(test_hash_of_many_devices),
        cmocka_unit_test(test_one_order_for_a_model),
        cmocka_unit_test(test_sweeps_step_once_a_second),
        cmocka_unit_test(test_served_until_it_is_cancelled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
