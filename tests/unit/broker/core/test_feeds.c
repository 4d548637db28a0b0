/* SPDX-License-Identifier: Apache-2.0
 * Prices: medians, age limits, values that cannot be right. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "proto/base/text.h"
#include "tests/unit/broker/core/world.h"

#include <cmocka.h>

static struct sl_view_feed feed(struct world *w, uint32_t index) {
    struct sl_view_feed view;
    assert_true(sl_view_feed_get(w->core, w->now, index, &view));
    return view;
}

static void bad(struct world *w, const char *text, bool ok, int64_t value, int64_t age_ms) {
    struct sl_core_event event = {
        .kind = SL_CEV_PRICE, .price_ok = ok, .value_nano = value, .as_of = w->now.wall};
    event.as_of.ms -= age_ms;
    sl_text_copy(event.text, sizeof event.text, text);
    world_step(w, &event);
}

static void test_life_of_a_feed(void **state) {
    (void)state;
    struct world w;
    world_init(&w, NULL);
    assert_false(feed(&w, 0).known);
    assert_string_equal(feed(&w, 0).health, "nothing read yet");
    world_price(&w, 0, WORLD_PRICE);
    assert_true(feed(&w, 0).known);
    assert_false(feed(&w, 0).stale);
    assert_int_equal(feed(&w, 0).value_nano, WORLD_PRICE);
    assert_string_equal(feed(&w, 0).health, "");
    assert_int_equal(w.store->prices, 1);
    world_price(&w, 0, WORLD_PRICE); /* the same again: not written */
    assert_int_equal(w.store->prices, 1);
    world_price(&w, 0, WORLD_PRICE + 1);
    assert_int_equal(w.store->prices, 2);
    world_wait(&w, 3600000 + 1000);
    assert_true(feed(&w, 0).stale);
    assert_non_null(strstr(feed(&w, 0).health, "stale: 3601 s old, at most 3600 s"));
    struct sl_view_feed none;
    assert_false(sl_view_feed_get(w.core, w.now, 1, &none));
    world_fini(&w);
}

static void test_bad_values(void **state) {
    (void)state;
    struct world w;
    world_init(&w, NULL);
    world_price(&w, 0, WORLD_PRICE);
    const struct {
        const char *text;
        bool ok;
        int64_t value;
        int64_t age_ms;
        const char *health;
    } rows[] = {
        {"'abc' is not a number", false, 0, 0, "'abc' is not a number"},
        {"", false, 0, 0, "no value could be read"},
        {"", true, -1, 0, "the value is negative"},
        {"", true, WORLD_PRICE, -600000, "the value is dated in the future: check the clocks"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        bad(&w, rows[i].text, rows[i].ok, rows[i].value, rows[i].age_ms);
        assert_string_equal(feed(&w, 0).health, rows[i].health);
        assert_int_equal(feed(&w, 0).value_nano, WORLD_PRICE); /* the last good one is shown */
        assert_true(feed(&w, 0).stale);                        /* but moves nothing */
    }
    world_price(&w, 0, WORLD_PRICE);
    assert_false(feed(&w, 0).stale);
    /* Silence is no wrong word: the age limit decides. */
    struct sl_core_event silent = {.kind = SL_CEV_PRICE, .price_unreachable = true};
    sl_text_copy(silent.text, sizeof silent.text, "connection refused");
    world_step(&w, &silent);
    assert_string_equal(feed(&w, 0).health, "connection refused");
    assert_false(feed(&w, 0).stale);
    world_price(&w, 0, WORLD_PRICE);
    assert_string_equal(feed(&w, 0).health, "");
    struct sl_core_event event = {.kind = SL_CEV_PRICE, .feed = 77, .price_ok = true};
    world_step(&w, &event); /* no such feed */
    world_fini(&w);
}

static void test_median(void **state) {
    (void)state;
    struct sl_core_config config = world_config();
    config.feed_count = 3;
    for (uint32_t i = 1; i < 3; i++) {
        config.feeds[i] = config.feeds[0];
        config.feeds[i].id[0] = (char)('a' + i);
    }
    struct world w;
    world_init(&w, &config);
    int64_t price = 0;
    assert_int_equal(sl_core_hashprice(w.core, &price), SL_KNOWN_NO);
    world_price(&w, 0, 40);
    world_price(&w, 1, 9000); /* gone mad */
    world_price(&w, 2, 42);
    assert_int_equal(sl_core_hashprice(w.core, &price), SL_KNOWN_FRESH);
    assert_int_equal(price, 42);
    world_price(&w, 2, 41);
    sl_core_hashprice(w.core, &price);
    assert_int_equal(price, 41);
    /* One stale source does not make the others stale. */
    world_wait(&w, 3000000);
    world_price(&w, 0, 40);
    world_wait(&w, 1000000);
    assert_int_equal(sl_core_hashprice(w.core, &price), SL_KNOWN_FRESH);
    assert_int_equal(price, 40);
    world_wait(&w, 3000000);
    assert_int_equal(sl_core_hashprice(w.core, &price), SL_KNOWN_STALE);
    assert_int_equal(price, 41); /* the last that a word of a feed made, marked as stale */
    world_fini(&w);
}

static void test_tariff(void **state) {
    (void)state;
    struct sl_core_config config = world_config();
    struct world w;
    int64_t price = 0;
    world_init(&w, &config); /* neither fixed nor a feed */
    assert_int_equal(sl_core_tariff(w.core, &price), SL_KNOWN_NO);
    world_fini(&w);
    config.power_nusd_per_kwh = 70;
    world_init(&w, &config);
    assert_int_equal(sl_core_tariff(w.core, &price), SL_KNOWN_FRESH);
    assert_int_equal(price, 70);
    world_fini(&w);
    config.power_nusd_per_kwh = -1;
    config.feeds[0].role = SL_FEED_POWER;
    world_init(&w, &config); /* a feed that has not spoken is not "no tariff" */
    assert_int_equal(sl_core_tariff(w.core, &price), SL_KNOWN_STALE);
    world_price(&w, 0, -30);
    assert_int_equal(sl_core_tariff(w.core, &price), SL_KNOWN_FRESH);
    assert_int_equal(price, -30);
    world_fini(&w);
}

/* Found by the simulator: while no hashprice is to be trusted, a tariff's word made shares count at
 * the newest stale source in place of the median that was. */
static void test_tariff_changes_no_hashprice(void **state) {
    (void)state;
    struct sl_core_config config = world_config();
    config.feed_count = 3;
    config.feeds[1] = config.feeds[0];
    config.feeds[1].id[0] = 'a';
    config.feeds[2] =
        (struct sl_core_feed){.id = "power", .role = SL_FEED_POWER, .age_max_ms = 7200000};
    struct world w;
    world_init(&w, &config);
    world_price(&w, 0, 40);
    world_wait(&w, 1000);
    world_price(&w, 1, 90);
    int64_t price = 0;
    assert_true(sl_core_hashprice_at(w.core, 0, &price));
    assert_int_equal(price, 40);
    world_wait(&w, 3700000); /* both are too old */
    world_price(&w, 2, 70);
    assert_true(sl_core_hashprice_at(w.core, 0, &price));
    assert_int_equal(price, 40);
    world_price(&w, 1, 90); /* one is good again, alone */
    assert_true(sl_core_hashprice_at(w.core, 0, &price));
    assert_int_equal(price, 90);
    world_fini(&w);
}

static void test_history_ring(void **state) {
    (void)state;
    struct world w;
    world_init(&w, NULL);
    int64_t price = 0;
    assert_false(sl_core_hashprice_at(w.core, 0, &price));
    for (int64_t i = 1; i <= 2 * SL_CORE_HISTORY; i++) {
        world_price(&w, 0, i);
        world_wait(&w, 100);
    }
    assert_true(sl_core_hashprice_at(w.core, 0, &price));
    assert_int_equal(price, 2 * SL_CORE_HISTORY);
    assert_true(sl_core_hashprice_at(w.core, 1050, &price));
    assert_int_equal(price, 2 * SL_CORE_HISTORY - 10);
    assert_true(sl_core_hashprice_at(w.core, SL_MSG_SPAN_MS_MAX, &price));
    assert_int_equal(price, SL_CORE_HISTORY + 1); /* the oldest that is remembered */
    world_fini(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_life_of_a_feed),
        cmocka_unit_test(test_bad_values),
        cmocka_unit_test(test_median),
        cmocka_unit_test(test_tariff),
        cmocka_unit_test(test_tariff_changes_no_hashprice),
        cmocka_unit_test(test_history_ring),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
