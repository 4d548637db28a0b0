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
        cmocka_unit_test(test_the_screen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
