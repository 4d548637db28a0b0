/* SPDX-License-Identifier: Apache-2.0
 * Sources that lie, quarrel, fall silent or speak in another currency: what the site does then. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "proto/base/text.h"
#include "tests/unit/broker/core/world.h"

#include <cmocka.h>

#define MINUTE 60000
#define BID_BETWEEN INT64_C(28000000) /* 0.1008 USD/h: hashing earns 0.1875 */

static const struct sl_quote_limits limits = {.outlier_ppm = 250000,
                                              .disagree_ppm = 100000,
                                              .jump_ppm = 2000000,
                                              .confirm_ms = 600000,
                                              .floor_nano = 10000000};

static void add_feed(struct sl_core_config *c, const char *id, enum sl_feed_role role,
                     const char *currency, const char *algorithm) {
    struct sl_core_feed *feed = &c->feeds[c->feed_count++];
    *feed = (struct sl_core_feed){.role = role, .age_max_ms = 10 * MINUTE};
    sl_text_copy(feed->id, sizeof feed->id, id);
    sl_text_copy(feed->currency, sizeof feed->currency, currency);
    sl_text_copy(feed->algorithm, sizeof feed->algorithm, algorithm);
}

static struct sl_core_config three_sources(void) {
    struct sl_core_config c = world_config();
    c.quote = limits;
    c.feed_count = 0;
    add_feed(&c, "one", SL_FEED_HASHPRICE, "", "");
    add_feed(&c, "two", SL_FEED_HASHPRICE, "USD", "sha256d");
    add_feed(&c, "three", SL_FEED_HASHPRICE, "", "");
    return c;
}

static void say_all(struct world *w, int64_t price) {
    for (uint32_t i = 0; i < 3; i++) {
        world_price(w, i, price);
    }
}

/* The present state of device a/0, as its agent would report it. */
static void report(struct world *w) {
    struct sl_msg_device device;
    const struct sl_msg_directive *directive = world_directive(w, "a/0");
    world_device(&device, "a/0");
    device.safe = false;
    device.mode = directive->mode;
    device.epoch = device.epoch_max = directive->epoch;
    world_report_as(w, "a", &device, 1, true);
}

/* An hour in which source `liar` says `lie`, the others the truth. */
static void lie_for_an_hour(struct world *w, uint32_t liar, int64_t lie) {
    for (int minute = 0; minute < 60; minute++) {
        for (uint32_t i = 0; i < 3; i++) {
            uint32_t turn = (i + (uint32_t)minute) % 3; /* each is the first to speak at times */
            world_price(w, turn, turn == liar ? lie : WORLD_PRICE);
        }
        for (int s = 0; s < 60; s++) {
            world_wait(w, 1000);
            report(w);
        }
    }
}

static void nothing_moves_for_a_liar(void **state) {
    (void)state;
    static const struct {
        int64_t lie, bid;
        enum sl_mode mode; /* right with the true price, wrong with the lie */
    } rows[] = {
        {WORLD_PRICE * 10, WORLD_BID_HIGH, SL_MODE_INFER},
        {WORLD_PRICE / 10, BID_BETWEEN, SL_MODE_HASH},
    };
    for (size_t i = 0; i < 2; i++) {
        for (uint32_t liar = 0; liar < 3; liar++) {
            struct sl_core_config config = three_sources();
            struct world w;
            world_init(&w, &config);
            say_all(&w, WORLD_PRICE);
            world_join(&w, "a", 1);
            world_batch(&w, "b1", "acme", 4000, rows[i].bid);
            assert_int_equal(world_directive(&w, "a/0")->mode, rows[i].mode);
            world_running(&w, "a/0", w.now.mono.ns);
            uint32_t before = w.store->directive_count;
            lie_for_an_hour(&w, liar, rows[i].lie);
            assert_int_equal(w.store->directive_count, before);
            assert_string_not_equal(world_view(&w, "a/0").rule, "hold"); /* prices still count */
            int64_t price = 0;
            assert_int_equal(sl_core_hashprice(w.core, &price), SL_KNOWN_FRESH);
            assert_int_equal(price, WORLD_PRICE);
            /* When all say it, it is so. */
            say_all(&w, rows[i].lie);
            assert_int_not_equal(world_directive(&w, "a/0")->mode, rows[i].mode);
            world_check(&w);
            world_fini(&w);
        }
    }
}

static void without_the_rules_it_would_move(void **state) {
    (void)state;
    struct sl_core_config config = three_sources();
    config.quote = (struct sl_quote_limits){0};
    config.feed_count = 2; /* of two the lower counts: the lie of the lower one moves */
    struct world w;
    world_init(&w, &config);
    world_price(&w, 0, WORLD_PRICE);
    world_price(&w, 1, WORLD_PRICE);
    world_join(&w, "a", 1);
    world_batch(&w, "b1", "acme", 4000, BID_BETWEEN);
    world_price(&w, 1, WORLD_PRICE / 10);
    assert_int_equal(world_directive(&w, "a/0")->mode, SL_MODE_INFER);
    world_fini(&w);
}

/* Restarted in the middle of the lie, and the liar is the first to speak. */
static void a_restart_beside_a_liar(void **state) {
    (void)state;
    struct sl_core_config config = three_sources();
    struct world w;
    world_init(&w, &config);
    say_all(&w, WORLD_PRICE);
    world_join(&w, "a", 1);
    world_batch(&w, "b1", "acme", 400, BID_BETWEEN);
    world_restart(&w);
    world_price(&w, 2, WORLD_PRICE / 10);
    world_validated(&w, "b1", 400, 0);
    world_join(&w, "a", 1);
    world_wait(&w, 1000);
    int64_t price = 0;
    assert_int_equal(sl_core_hashprice(w.core, &price), SL_KNOWN_STALE);
    assert_true(sl_core_hashprice_at(w.core, 0, &price)); /* shares: what was before the restart */
    assert_int_equal(price, WORLD_PRICE);
    world_price(&w, 0, WORLD_PRICE);
    assert_int_equal(sl_core_hashprice(w.core, &price), SL_KNOWN_STALE); /* two differ */
    world_price(&w, 1, WORLD_PRICE);
    assert_int_equal(sl_core_hashprice(w.core, &price), SL_KNOWN_FRESH);
    assert_int_equal(price, WORLD_PRICE);
    world_fini(&w);
}

static void all_stale_holds(void **state) {
    (void)state;
    struct sl_core_config config = three_sources();
    add_feed(&config, "power", SL_FEED_POWER, "", "");
    struct world w;
    int64_t price = 0;
    world_init(&w, &config);
    say_all(&w, WORLD_PRICE);
    world_price(&w, 3, 60000000);
    world_join(&w, "a", 1);
    world_running(&w, "a/0", w.now.mono.ns);
    for (int s = 0; s < 601; s++) {
        world_wait(&w, 1000);
        report(&w);
    }
    assert_int_equal(sl_core_hashprice(w.core, &price), SL_KNOWN_STALE);
    assert_int_equal(price, WORLD_PRICE);
    uint32_t before = w.store->directive_count;
    world_batch(&w, "b1", "acme", 100, WORLD_BID_HIGH);
    assert_int_equal(w.store->directive_count, before);
    assert_string_equal(world_view(&w, "a/0").rule, "hold");
    /* Electricity's spike is believed at once, one source or not: curtailment acts on it. */
    world_price(&w, 3, INT64_C(9000000000));
    assert_int_equal(sl_core_tariff(w.core, &price), SL_KNOWN_FRESH);
    assert_int_equal(price, INT64_C(9000000000));
    world_price(&w, 3, -INT64_C(500000000));
    assert_int_equal(sl_core_tariff(w.core, &price), SL_KNOWN_FRESH);
    assert_int_equal(price, -INT64_C(500000000));
    /* People act. */
    world_order(&w, "a/0", SL_OVERRIDE_PIN, SL_MODE_INFER);
    assert_int_equal(world_directive(&w, "a/0")->mode, SL_MODE_INFER);
    world_fini(&w);
}

static void two_that_quarrel_hold(void **state) {
    (void)state;
    struct sl_core_config config = three_sources();
    config.feed_count = 2;
    struct world w;
    int64_t price = 0;
    world_init(&w, &config);
    world_price(&w, 0, WORLD_PRICE);
    assert_int_equal(sl_core_hashprice(w.core, &price), SL_KNOWN_STALE); /* it speaks alone */
    assert_int_equal(price, WORLD_PRICE);
    world_price(&w, 1, WORLD_PRICE / 100 * 103);
    assert_int_equal(sl_core_hashprice(w.core, &price), SL_KNOWN_FRESH);
    assert_int_equal(price, WORLD_PRICE);
    world_price(&w, 1, WORLD_PRICE / 100 * 120);
    assert_int_equal(sl_core_hashprice(w.core, &price), SL_KNOWN_STALE);
    assert_int_equal(price, WORLD_PRICE);
    assert_true(sl_core_hashprice_at(w.core, 0, &price));
    assert_int_equal(price, WORLD_PRICE);
    world_fini(&w);
}

static void one_alone_that_jumps_waits(void **state) {
    (void)state;
    struct sl_core_config config = three_sources();
    config.feed_count = 1;
    config.feeds[0].age_max_ms = 60 * MINUTE;
    struct world w;
    int64_t price = 0;
    world_init(&w, &config);
    world_price(&w, 0, WORLD_PRICE);
    assert_int_equal(sl_core_hashprice(w.core, &price), SL_KNOWN_FRESH);
    world_price(&w, 0, WORLD_PRICE * 3);
    assert_int_equal(sl_core_hashprice(w.core, &price), SL_KNOWN_STALE);
    assert_int_equal(price, WORLD_PRICE);
    world_wait(&w, 599000);
    assert_int_equal(sl_core_hashprice(w.core, &price), SL_KNOWN_STALE);
    world_wait(&w, 1001); /* no word is needed */
    assert_int_equal(sl_core_hashprice(w.core, &price), SL_KNOWN_FRESH);
    assert_int_equal(price, WORLD_PRICE * 3);
    world_fini(&w);
}

/* 0.00045 BTC for a PH/s and day, at 100,000 USD: 45 USD. */
static void another_currency(void **state) {
    (void)state;
    struct sl_core_config config = three_sources();
    config.feed_count = 0;
    add_feed(&config, "hash", SL_FEED_HASHPRICE, "BTC", "");
    add_feed(&config, "btc", SL_FEED_CURRENCY, "BTC", "");
    add_feed(&config, "gbp", SL_FEED_CURRENCY, "GBP", "");
    add_feed(&config, "power", SL_FEED_POWER, "GBP", "");
    struct world w;
    int64_t price = 0;
    world_init(&w, &config);
    world_price(&w, 0, 450000);
    assert_int_equal(sl_core_hashprice(w.core, &price), SL_KNOWN_STALE); /* no price of a BTC */
    struct sl_core_quote quote;
    sl_core_quote(w.core, 0, &quote);
    assert_int_equal(quote.sources[0].why, SL_QUOTE_NO_CURRENCY);
    world_price(&w, 1, INT64_C(100000) * SL_NUSD_PER_USD);
    assert_int_equal(sl_core_hashprice(w.core, &price), SL_KNOWN_FRESH);
    assert_int_equal(price, WORLD_PRICE);
    world_price(&w, 2, 1250000000);
    world_price(&w, 3, 80000000);
    assert_int_equal(sl_core_tariff(w.core, &price), SL_KNOWN_FRESH);
    assert_int_equal(price, 100000000);
    world_price(&w, 1, INT64_C(1000000) * SL_NUSD_PER_USD); /* x 10, alone: not believed */
    assert_int_equal(sl_core_hashprice(w.core, &price), SL_KNOWN_STALE);
    assert_int_equal(price, WORLD_PRICE);
    world_price(&w, 1, INT64_C(90000) * SL_NUSD_PER_USD);
    assert_int_equal(sl_core_hashprice(w.core, &price), SL_KNOWN_FRESH);
    assert_int_equal(price, WORLD_PRICE / 10 * 9);
    int64_t rate = 0;
    assert_true(sl_core_currency(w.core, "USD", &rate));
    assert_int_equal(rate, SL_NUSD_PER_USD);
    assert_false(sl_core_currency(w.core, "EUR", &rate));
    world_fini(&w);
}

static void other_algorithms_decide_nothing(void **state) {
    (void)state;
    struct sl_core_config config = three_sources();
    config.feed_count = 0;
    add_feed(&config, "scrypt", SL_FEED_HASHPRICE, "", "scrypt");
    add_feed(&config, "hash", SL_FEED_HASHPRICE, "", "sha256d");
    struct world w;
    int64_t price = 0;
    world_init(&w, &config);
    world_price(&w, 0, 999);
    assert_int_equal(sl_core_hashprice(w.core, &price), SL_KNOWN_NO);
    world_price(&w, 1, WORLD_PRICE);
    assert_int_equal(sl_core_hashprice(w.core, &price), SL_KNOWN_FRESH);
    assert_int_equal(price, WORLD_PRICE);
    assert_int_equal(sl_core_group(w.core, 0), 0);
    assert_int_equal(sl_core_group(w.core, 1), 1);
    assert_int_equal(sl_core_group_of_role(w.core, SL_FEED_HASHPRICE), 1);
    assert_int_equal(sl_core_group_of_role(w.core, SL_FEED_CARBON), SL_CORE_NONE);
    world_fini(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_moves_for_a_liar),
        cmocka_unit_test(without_the_rules_it_would_move),
        cmocka_unit_test(a_restart_beside_a_liar),
        cmocka_unit_test(all_stale_holds),
        cmocka_unit_test(two_that_quarrel_hold),
        cmocka_unit_test(one_alone_that_jumps_waits),
        cmocka_unit_test(another_currency),
        cmocka_unit_test(other_algorithms_decide_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
