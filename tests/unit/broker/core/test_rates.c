/* SPDX-License-Identifier: Apache-2.0
 * The rate card: who is offered a device, and what stands on the screen. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "broker/core/rates.h"
#include "tests/unit/broker/core/world.h"

#include <cmocka.h>

static void start(struct world *w, const struct sl_rate *rates, uint32_t count) {
    struct sl_core_config config = world_config();
    config.policy.rate_count = count;
    memcpy(config.policy.rates, rates, count * sizeof *rates);
    world_init(w, &config);
    world_price(w, 0, WORLD_PRICE);
    world_join(w, "a", 1);
}

static void test_a_bid_below_is_not_offered(void **state) {
    (void)state;
    static const struct sl_rate rates[] = {{"mini", "made*", "*", WORLD_BID_HIGH + 1}};
    struct world w;
    start(&w, rates, 1);
    world_batch(&w, "b1", "acme", 100, WORLD_BID_HIGH);
    assert_int_equal(world_directive(&w, "a/0")->mode, SL_MODE_HASH);
    struct sl_view_device view = world_view(&w, "a/0");
    assert_false(view.offers[SL_MODE_INFER].known);
    assert_string_equal(view.offers[SL_MODE_INFER].missing, "bid at the rate card's rate");
    world_bid(&w, "b1", "acme", WORLD_BID_HIGH + 1); /* at the rate: offered, and it pays its bid */
    assert_int_equal(world_directive(&w, "a/0")->mode, SL_MODE_INFER);
    assert_int_equal(world_directive(&w, "a/0")->price_nusd_per_mtok, WORLD_BID_HIGH + 1);
    world_bid(&w, "b1", "acme", WORLD_BID_HIGH); /* and taken away again */
    assert_int_equal(world_directive(&w, "a/0")->mode, SL_MODE_HASH);
    world_check(&w);
    world_fini(&w);
}

/* An agent of wire version 1 cannot read token ids: it gets other work, and these lines wait. */
static void test_token_inputs_need_a_newer_agent(void **state) {
    (void)state;
    struct world w;
    world_init(&w, NULL);
    world_price(&w, 0, WORLD_PRICE);
    world_join(&w, "a", 1);
    w.core->nodes[0].wire = 1;
    w.tokens = true;
    world_batch(&w, "b1", "acme", 100, WORLD_BID_HIGH * 2);
    assert_int_equal(world_directive(&w, "a/0")->mode, SL_MODE_HASH);
    assert_string_equal(world_view(&w, "a/0").offers[SL_MODE_INFER].missing,
                        "newer agent for token inputs");
    w.tokens = false;
    world_batch(&w, "b2", "acme", 100, WORLD_BID_HIGH); /* texts, for less: the best it can read */
    assert_int_equal(world_directive(&w, "a/0")->mode, SL_MODE_INFER);
    world_running(&w, "a/0", w.now.mono.ns);
    assert_string_equal(world_unit(&w, "a/0", 0)->batch, "b2");
    world_join(&w, "b", 1); /* a newer one takes what pays more */
    assert_int_equal(world_directive(&w, "b/0")->mode, SL_MODE_INFER);
    world_running(&w, "b/0", w.now.mono.ns);
    assert_string_equal(world_unit(&w, "b/0", 0)->batch, "b1");
    world_check(&w);
    world_fini(&w);
}

/* The agent comes back in an older version while it serves such a batch. */
static void test_token_inputs_end_with_the_newer_agent(void **state) {
    (void)state;
    struct world w;
    world_init(&w, NULL);
    world_price(&w, 0, WORLD_PRICE);
    world_join(&w, "a", 1);
    w.tokens = true;
    world_batch(&w, "b1", "acme", 300, WORLD_BID_HIGH);
    world_running(&w, "a/0", w.now.mono.ns);
    struct sl_unit_row unit = *world_unit(&w, "a/0", 0);
    assert_string_equal(unit.batch, "b1");
    w.core->nodes[0].wire = 1;
    world_forget_sent(&w);
    world_finish(&w, &unit, 10, true);
    world_wait(&w, 2000);
    assert_null(world_unit(&w, "a/0", 0));
    world_check(&w);
    world_fini(&w);
}

static void test_other_classes_are_free(void **state) {
    (void)state;
    static const struct sl_rate rates[] = {{"*", "NVIDIA*", "*", WORLD_BID_HIGH * 2}};
    struct world w;
    start(&w, rates, 1);
    world_batch(&w, "b1", "acme", 100, WORLD_BID_HIGH);
    assert_int_equal(world_directive(&w, "a/0")->mode, SL_MODE_INFER);
    world_fini(&w);
}

/* The highest bid is refused to its tenant; the next one, of another tenant, is served. */
static void test_a_refused_tenant_hides_nobody(void **state) {
    (void)state;
    static const struct sl_rate rates[] = {{"*", "*", "acme", WORLD_BID_HIGH * 3}};
    struct world w;
    start(&w, rates, 1);
    world_batch(&w, "b1", "acme", 100, WORLD_BID_HIGH * 2);
    assert_int_equal(world_directive(&w, "a/0")->mode, SL_MODE_HASH);
    world_batch(&w, "b2", "poor", 8, WORLD_BID_HIGH);
    assert_int_equal(world_directive(&w, "a/0")->mode, SL_MODE_INFER);
    assert_string_equal(world_unit(&w, "a/0", 0)->batch, "b2");
    assert_string_equal(world_view(&w, "a/0").best_batch, "b2");
    world_check(&w);
    world_fini(&w);
}

/* Class, file and version of the agent in all combinations, a node of two devices each; the last
 * has no model. */
static void join_kinds(struct world *w) {
    for (uint32_t n = 0; n < 12; n++) {
        char key[] = {(char)('a' + n), '\0'};
        struct sl_msg_device devices[2];
        for (uint32_t i = 0; i < 2; i++) {
            char name[] = {key[0], '/', (char)('0' + i), '\0'};
            world_device(&devices[i], name);
            strcpy(devices[i].name, n % 2 ? "made up" : "another");
            memset(devices[i].models[0].sha256, (int)(n / 2 % 3), SL_MSG_SHA256_BYTES);
            devices[i].model_count = n == 11 ? 0 : 1;
        }
        assert_true(world_hello_units(w, key, 1, 77, devices, 2, NULL, 0) != 0);
        w->core->nodes[sl_core_node_find(w->core, key)].wire = n < 6 ? SL_WIRE_VERSION : 1;
        world_report_as(w, key, devices, 2, true);
    }
}

/* What is remembered for one device within a tick is what each of its kind would find. */
static void test_devices_of_a_kind_find_the_same(void **state) {
    (void)state;
    static const struct sl_rate rates[] = {{"*", "made*", "acme", WORLD_BID_HIGH * 9},
                                           {"*", "another", "poor", WORLD_BID_HIGH * 9}};
    struct sl_core_config config = world_config();
    struct world w;
    config.policy.rate_count = 2;
    memcpy(config.policy.rates, rates, sizeof rates);
    world_init(&w, &config);
    world_price(&w, 0, WORLD_PRICE);
    join_kinds(&w);
    for (uint32_t i = 0; i < 12; i++) {
        char id[] = {'b', (char)('a' + i), '\0'};
        w.tokens = i % 3 == 0;
        world_batch(&w, id, i % 2 ? "acme" : "poor", 8, WORLD_BID_LOW + 12 - i);
        struct sl_core_batch *batch = sl_core_batch_find(w.core, id);
        for (uint32_t k = 0; k < 2 * SL_MSG_SHA256_BYTES && i >= 4; k++) {
            batch->row.model_sha256[k] = (char)(k % 2 ? '0' + i / 4 : '0'); /* 0101... or 0202... */
        }
    }
    uint32_t others = 0;
    for (int round = 0; round < 2; round++) {
        for (uint32_t i = 0; i < 12; i++) {
            for (uint32_t dev = 0; dev < w.core->fleet.count; dev++) {
                struct sl_core_batch *wanted = w.core->batches[i];
                struct sl_core_batch *alone = sl_core_rate_batch(w.core, dev, wanted);
                sl_core_rate_begin(w.core);
                for (uint32_t k = 0; k < w.core->fleet.count; k++) {
                    sl_core_rate_batch(w.core, k, wanted); /* fills what is remembered */
                }
                assert_ptr_equal(sl_core_rate_batch(w.core, dev, wanted), alone);
                sl_core_rate_end(w.core);
                others += alone && alone != wanted;
            }
        }
        /* The next tick looks anew. */
        sl_core_batch_find(w.core, "ba")->row.bid_nusd_per_mtok = WORLD_BID_HIGH * 10;
        sl_core_batch_find(w.core, "bl")->row.bid_nusd_per_mtok = WORLD_BID_HIGH * 10;
    }
    assert_true(others > 20);
    world_fini(&w);
}

/* Within a tick the batches are looked through once for a kind of devices, not for each of them. */
static void test_a_kind_looks_once(void **state) {
    (void)state;
    static const struct sl_rate rates[] = {{"*", "*", "acme", WORLD_BID_HIGH * 9}};
    struct world w;
    start(&w, rates, 1);
    world_join(&w, "b", 2);
    world_batch(&w, "b1", "acme", 8, WORLD_BID_LOW * 2);
    world_batch(&w, "b2", "poor", 8, WORLD_BID_LOW);
    struct sl_core_batch *refused = sl_core_batch_find(w.core, "b1");
    struct sl_core_batch *other = sl_core_batch_find(w.core, "b2");
    sl_core_rate_begin(w.core);
    assert_ptr_equal(sl_core_rate_batch(w.core, 0, refused), other);
    other->waiting = 0; /* nothing changes within a tick: who looked again would see this */
    assert_ptr_equal(sl_core_rate_batch(w.core, 1, refused), other);
    sl_core_rate_end(w.core);
    assert_null(sl_core_rate_batch(w.core, 1, refused));
    sl_core_rate_begin(w.core);
    assert_null(sl_core_rate_batch(w.core, 1, refused));
    sl_core_rate_end(w.core);
    world_fini(&w);
}

static void test_the_screen(void **state) {
    (void)state;
    static const struct sl_rate rates[] = {{"mini", "*", "*", 2500000000},
                                           {"mini", "*", "poor", 5000000000}};
    struct world w;
    start(&w, rates, 2);
    world_join(&w, "b", 2);
    world_batch(&w, "b1", "acme", 100, 2500000000);
    world_batch(&w, "b2", "poor", 100, 2600000000);
    struct sl_view_rate view;
    assert_true(sl_view_rate_get(w.core, 0, &view));
    assert_string_equal(view.class_, "made up");
    assert_string_equal(view.model, "mini");
    assert_int_equal(view.devices, 3);
    assert_int_equal(view.tokens_s_milli, WORLD_TOKENS_MILLI);
    assert_int_equal(view.rate_nusd_mtok, 2500000000);
    assert_int_equal(view.rate_nusd_hour, 9000000000); /* 3.6 Mtok/h */
    assert_int_equal(view.best_nusd_mtok, 2600000000);
    assert_int_equal(view.best_nusd_hour, 9360000000);
    assert_int_equal(view.refused, 1);
    assert_false(sl_view_rate_get(w.core, 1, &view));
    world_fini(&w);
    struct sl_core_config config = world_config();
    world_init(&w, &config);
    assert_false(sl_view_rate_get(w.core, 0, &view));
    world_fini(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_bid_below_is_not_offered),
        cmocka_unit_test(test_token_inputs_need_a_newer_agent),
        cmocka_unit_test(test_token_inputs_end_with_the_newer_agent),
        cmocka_unit_test(test_other_classes_are_free),
        cmocka_unit_test(test_a_refused_tenant_hides_nobody),
        cmocka_unit_test(test_devices_of_a_kind_find_the_same),
        cmocka_unit_test(test_a_kind_looks_once),
        cmocka_unit_test(test_the_screen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
