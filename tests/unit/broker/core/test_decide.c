/* SPDX-License-Identifier: Apache-2.0
 * The tick: what arms it, which batch it takes, when it leaves things alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/text.h"
#include "tests/unit/broker/core/world.h"

#include <cmocka.h>

static void start(struct world *w, const struct sl_core_config *config) {
    world_init(w, config);
    world_price(w, 0, WORLD_PRICE);
    world_join(w, "a", 1);
}

static const char *rule(const struct world *w) {
    return w->store->directives[w->store->directive_count - 1].rule;
}

static void test_price_moves_at_once(void **state) {
    (void)state;
    struct world w;
    start(&w, NULL);
    world_batch(&w, "b1", "acme", 100, WORLD_BID_LOW);
    assert_int_equal(world_directive(&w, "a/0")->mode, SL_MODE_HASH);
    world_price(&w, 0, WORLD_PRICE / 100); /* no time passes: the same step decides */
    assert_int_equal(world_directive(&w, "a/0")->mode, SL_MODE_INFER);
    world_running(&w, "a/0", w.now.mono.ns);
    world_price(&w, 0, WORLD_PRICE);
    assert_int_equal(world_directive(&w, "a/0")->mode, SL_MODE_HASH);
    world_fini(&w);
}

static void test_best_batch(void **state) {
    (void)state;
    struct world w;
    start(&w, NULL);
    world_batch(&w, "b1", "acme", 100, WORLD_BID_HIGH);
    world_wait(&w, 10);
    world_batch(&w, "b2", "acme", 100, WORLD_BID_HIGH); /* the same bid, younger */
    world_running(&w, "a/0", w.now.mono.ns);
    assert_string_equal(world_unit(&w, "a/0", 0)->batch, "b1");
    assert_string_equal(world_view(&w, "a/0").best_batch, "b1");
    world_batch(&w, "b3", "acme", 100, WORLD_BID_HIGH + 1);
    assert_string_equal(world_unit(&w, "a/0", 0)->batch, "b3");
    assert_string_equal(rule(&w), "better-bid");
    world_check(&w);
    world_fini(&w);
}

static void test_only_offered_models(void **state) {
    (void)state;
    struct world w;
    start(&w, NULL);
    world_batch_only(&w, "b1", "acme", WORLD_BID_HIGH, 0);
    struct sl_core_event event = {.kind = SL_CEV_VALIDATED};
    sl_text_copy(event.batch, sizeof event.batch, "b1");
    sl_text_copy(event.model, sizeof event.model, "nobody-has-it");
    event.lines.count = 1;
    event.lines.worst_tokens = calloc(1, sizeof(uint32_t));
    event.lines.worst_tokens[0] = 5;
    world_step(&w, &event);
    assert_int_equal(world_directive(&w, "a/0")->mode, SL_MODE_HASH);
    assert_string_equal(world_view(&w, "a/0").offers[SL_MODE_INFER].missing, "waiting batch");
    world_fini(&w);
}

static void test_hold_while_stale(void **state) {
    (void)state;
    struct world w;
    start(&w, NULL);
    for (int i = 0; i < 3700; i++) {
        world_wait(&w, 1000);
        world_report(&w, "a", 1);
        if (world_view(&w, "a/0").offers[SL_MODE_HASH].known == false) {
            break;
        }
    }
    assert_string_equal(world_view(&w, "a/0").offers[SL_MODE_HASH].missing, "fresh hashprice");
    world_batch(&w, "b1", "acme", 100, WORLD_BID_HIGH);
    assert_int_equal(world_directive(&w, "a/0")->mode, SL_MODE_HASH);
    assert_string_equal(world_view(&w, "a/0").rule, "hold");
    assert_non_null(strstr(world_view(&w, "a/0").why, "no fresh hashprice"));
    /* People still act. */
    world_order(&w, "a/0", SL_OVERRIDE_PIN, SL_MODE_INFER);
    assert_int_equal(world_directive(&w, "a/0")->mode, SL_MODE_INFER);
    world_order(&w, "a/0", SL_OVERRIDE_NONE, SL_MODE_INVALID);
    /* The lease goes on while it has lines; another batch is not taken. */
    world_running(&w, "a/0", w.now.mono.ns);
    assert_int_equal(world_directive(&w, "a/0")->mode, SL_MODE_INFER);
    world_batch(&w, "b2", "acme", 100, WORLD_BID_HIGH * 3);
    assert_string_equal(world_view(&w, "a/0").batch, "b1");
    /* When it ends, the safe mode rules. */
    world_cancel(&w, "b1", "acme");
    assert_int_equal(world_directive(&w, "a/0")->mode, SL_MODE_HASH);
    assert_string_equal(rule(&w), "hold");
    world_check(&w);
    world_fini(&w);
}

static void test_dwell(void **state) {
    (void)state;
    struct sl_core_config config = world_config();
    config.dwell_min_ms = 2000;
    struct world w;
    start(&w, &config);
    world_batch(&w, "b1", "acme", 100, WORLD_BID_HIGH);
    world_running(&w, "a/0", w.now.mono.ns);
    world_report(&w, "a", 1);
    world_bid(&w, "b1", "acme", WORLD_BID_LOW);
    /* The new bid prices the lease, but the device stays for its dwell. */
    assert_int_equal(world_directive(&w, "a/0")->mode, SL_MODE_INFER);
    assert_string_equal(world_view(&w, "a/0").rule, "dwell");
    assert_non_null(strstr(world_view(&w, "a/0").why, "it moved a moment ago"));
    world_running(&w, "a/0", w.now.mono.ns);
    world_wait(&w, 1000);
    world_report(&w, "a", 1);
    assert_int_equal(world_directive(&w, "a/0")->mode, SL_MODE_INFER);
    world_wait(&w, 1300);
    assert_int_equal(world_directive(&w, "a/0")->mode, SL_MODE_HASH);
    world_fini(&w);
}

/* By the policy that ships: a lease of twice the hash revenue is taken, and left alone where its
 * revenue is held to be so uncertain that less than the hash revenue counts. */
static void test_a_risk_premium_counts(void **state) {
    (void)state;
    for (int premium = 0; premium < 2; premium++) {
        struct sl_core_config config = world_config();
        sl_policy_document_default(&config.policy);
        config.policy.risk.lease_ppm = premium * 600000;
        struct world w;
        start(&w, &config);
        world_batch(&w, "b1", "acme", 100, WORLD_BID_HIGH);
        assert_int_equal(world_directive(&w, "a/0")->mode, premium ? SL_MODE_HASH : SL_MODE_INFER);
        assert_string_equal(rule(&w), premium ? "start" : "lease-enter");
        world_check(&w);
        world_fini(&w);
    }
}

static void test_pool_gone(void **state) {
    (void)state;
    struct world w;
    start(&w, NULL);
    struct sl_msg_device device;
    world_device(&device, "a/0");
    device.safe = false;
    device.epoch = device.epoch_max = 1;
    for (int i = 0; i < 5; i++) {
        world_wait(&w, 1000);
        world_report_as(&w, "a", &device, 1, false);
    }
    assert_int_equal(world_directive(&w, "a/0")->mode, SL_MODE_HASH); /* a hiccup */
    for (int i = 0; i < 8; i++) {
        world_wait(&w, 1000);
        world_report_as(&w, "a", &device, 1, false);
    }
    assert_int_equal(world_directive(&w, "a/0")->mode, SL_MODE_IDLE);
    assert_string_equal(world_view(&w, "a/0").offers[SL_MODE_HASH].missing, "pool with a job");
    world_fini(&w);
}

static void test_idle_when_power_is_dear(void **state) {
    (void)state;
    struct sl_core_config config = world_config();
    config.power_nusd_per_kwh = 1000000000; /* 1 USD/kWh */
    struct world w;
    world_init(&w, &config);
    world_price(&w, 0, WORLD_PRICE); /* 0.1875 USD/h */
    struct sl_msg_device device;
    world_device(&device, "a/0");
    device.watts[SL_MODE_HASH] = (struct sl_watts){SL_SOURCE_MEASURED, 300000}; /* 0.30 USD/h */
    device.watts[SL_MODE_INFER] = device.watts[SL_MODE_HASH];
    world_hello_units(&w, "a", 1, 77, &device, 1, NULL, 0);
    world_report_as(&w, "a", &device, 1, true);
    assert_int_equal(world_directive(&w, "a/0")->mode, SL_MODE_IDLE);
    world_running(&w, "a/0", w.now.mono.ns);
    device.safe = false;
    device.mode = SL_MODE_IDLE;
    device.epoch = device.epoch_max = 1;
    world_batch(&w, "b1", "acme", 100, WORLD_BID_HIGH); /* 0.36 USD/h: pays */
    assert_int_equal(world_directive(&w, "a/0")->mode, SL_MODE_INFER);
    world_fini(&w);
}

static void test_unproven_gets_nothing(void **state) {
    (void)state;
    struct world w;
    world_init(&w, NULL);
    world_price(&w, 0, WORLD_PRICE);
    struct sl_msg_device device;
    world_device(&device, "a/0");
    sl_text_copy(device.health, sizeof device.health, "self-test failed: sha256d");
    world_hello_units(&w, "a", 1, 77, &device, 1, NULL, 0);
    world_report_as(&w, "a", &device, 1, true);
    assert_null(world_directive(&w, "a/0"));
    assert_string_equal(world_view(&w, "a/0").state, "unproven");
    device.health[0] = '\0';
    world_report_as(&w, "a", &device, 1, true);
    assert_non_null(world_directive(&w, "a/0"));
    /* It fails at work: what it does is taken away. */
    world_running(&w, "a/0", w.now.mono.ns);
    sl_text_copy(device.health, sizeof device.health, "the driver does not answer");
    device.safe = false;
    device.epoch = device.epoch_max = 1;
    world_report_as(&w, "a", &device, 1, true);
    assert_string_equal(world_view(&w, "a/0").state, "faulty");
    assert_int_equal(world_directive(&w, "a/0")->mode, SL_MODE_IDLE);
    device.health[0] = '\0'; /* tested again by its agent */
    world_report_as(&w, "a", &device, 1, true);
    assert_string_not_equal(world_view(&w, "a/0").state, "faulty");
    world_fini(&w);
}

static void test_digest_tells_inputs_apart(void **state) {
    (void)state;
    struct world w;
    struct world *v = malloc(sizeof *v); /* two do not fit the stack of a sanitizer's build */
    assert_non_null(v);
    start(&w, NULL);
    start(v, NULL);
    /* Same inputs, same bytes: two brokers agree on every digest. */
    assert_memory_equal(w.store->directives[0].inputs_digest, v->store->directives[0].inputs_digest,
                        32);
    world_batch(&w, "b1", "acme", 100, WORLD_BID_HIGH);
    world_batch(v, "b1", "acme", 100, WORLD_BID_HIGH + 1);
    assert_memory_not_equal(w.store->directives[1].inputs_digest,
                            v->store->directives[1].inputs_digest, 32);
    world_fini(&w);
    world_fini(v);
    free(v);
}

static void test_silent_agent_gets_no_new_work(void **state) {
    (void)state;
    struct world w;
    start(&w, NULL);
    world_wait(&w, 3500); /* suspect */
    uint32_t before = w.store->directive_count;
    world_batch(&w, "b1", "acme", 100, WORLD_BID_HIGH);
    assert_int_equal(w.store->directive_count, before);
    world_order(&w, "a/0", SL_OVERRIDE_DRAIN, SL_MODE_INVALID); /* a person's word is tried */
    assert_int_equal(world_directive(&w, "a/0")->mode, SL_MODE_IDLE);
    world_fini(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_price_moves_at_once),
        cmocka_unit_test(test_best_batch),
        cmocka_unit_test(test_only_offered_models),
        cmocka_unit_test(test_hold_while_stale),
        cmocka_unit_test(test_dwell),
        cmocka_unit_test(test_a_risk_premium_counts),
        cmocka_unit_test(test_pool_gone),
        cmocka_unit_test(test_idle_when_power_is_dear),
        cmocka_unit_test(test_unproven_gets_nothing),
        cmocka_unit_test(test_digest_tells_inputs_apart),
        cmocka_unit_test(test_silent_agent_gets_no_new_work),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
