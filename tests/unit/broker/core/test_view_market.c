/* SPDX-License-Identifier: Apache-2.0
 * What people are shown of prices, sources and their votes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "proto/base/text.h"
#include "tests/unit/broker/core/world.h"

#include <cmocka.h>

static void add(struct sl_core_config *c, enum sl_feed_role role, const char *currency) {
    struct sl_core_feed *feed = &c->feeds[c->feed_count++];
    *feed = (struct sl_core_feed){.role = role, .age_max_ms = 600000};
    feed->id[0] = (char)('a' + c->feed_count - 1);
    sl_text_copy(feed->currency, sizeof feed->currency, currency);
}

static void open_site(struct world *w) {
    struct sl_core_config c = world_config();
    c.quote = (struct sl_quote_limits){250000, 100000, 2000000, 600000, 10000000};
    c.feed_count = 0;
    add(&c, SL_FEED_POWER, "");
    add(&c, SL_FEED_HASHPRICE, "");
    add(&c, SL_FEED_HASHPRICE, "BTC");
    add(&c, SL_FEED_HASHPRICE, "");
    add(&c, SL_FEED_CURRENCY, "BTC");
    world_init(w, &c);
}

static struct sl_view_feed feed(struct world *w, uint32_t index) {
    struct sl_view_feed view;
    assert_true(sl_view_feed_get(w->core, w->now, index, &view));
    return view;
}

static struct sl_view_price price(struct world *w, uint32_t index) {
    struct sl_view_price view;
    assert_true(sl_view_price_get(w->core, w->now, index, &view));
    return view;
}

static void kinds_in_the_order_of_their_feeds(void **state) {
    (void)state;
    struct world w;
    struct sl_view_price none;
    open_site(&w);
    assert_int_equal(price(&w, 0).feed.role, SL_FEED_POWER);
    assert_int_equal(price(&w, 1).feed.role, SL_FEED_HASHPRICE);
    assert_int_equal(price(&w, 2).feed.role, SL_FEED_CURRENCY);
    assert_false(sl_view_price_get(w.core, w.now, 3, &none));
    assert_true(price(&w, 0).decides);
    assert_true(price(&w, 1).decides);
    assert_false(price(&w, 2).decides);
    assert_int_equal(price(&w, 1).sources, 3);
    assert_int_equal(price(&w, 1).factor_ppm, 1000000);
    assert_string_equal(price(&w, 1).hold, "nothing read yet");
    assert_false(price(&w, 1).known);
    world_fini(&w);
}

static void why_a_source_is_out(void **state) {
    (void)state;
    struct world w;
    open_site(&w);
    world_price(&w, 1, WORLD_PRICE);
    assert_string_equal(feed(&w, 1).out, "speaks alone: waits for another to agree");
    assert_int_equal(price(&w, 1).wait_ms, 600000);
    world_price(&w, 2, 460000); /* BTC */
    assert_string_equal(feed(&w, 2).out, "no fresh BTC price");
    assert_false(feed(&w, 2).in_usd);
    world_price(&w, 4, INT64_C(100000) * SL_NUSD_PER_USD);
    assert_string_equal(feed(&w, 2).out, "");
    assert_true(feed(&w, 2).counts);
    assert_int_equal(feed(&w, 2).usd_nano, INT64_C(46000000000));
    assert_string_equal(price(&w, 1).hold, "");
    assert_int_equal(price(&w, 1).value_nano, WORLD_PRICE);
    assert_int_equal(price(&w, 1).low_nano, WORLD_PRICE);
    assert_int_equal(price(&w, 1).high_nano, INT64_C(46000000000));
    world_price(&w, 3, WORLD_PRICE * 10);
    assert_string_equal(feed(&w, 3).out, "too far from the median");
    assert_false(feed(&w, 3).counts);
    assert_int_equal(price(&w, 1).agree, 2);
    world_wait(&w, 601000);
    assert_string_equal(feed(&w, 1).out, "older than its limit");
    assert_string_equal(feed(&w, 2).out, "older than its limit");
    assert_string_equal(price(&w, 1).hold, "older than its limit");
    assert_true(price(&w, 1).known);
    assert_int_equal(price(&w, 1).value_nano, WORLD_PRICE); /* the last that was trusted */
    world_price(&w, 3, WORLD_PRICE * 10);
    assert_string_equal(feed(&w, 3).out, "jumped, and no other source confirms it yet");
    world_price(&w, 1, WORLD_PRICE);
    assert_string_equal(feed(&w, 1).out, "sources disagree");
    world_fini(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kinds_in_the_order_of_their_feeds),
        cmocka_unit_test(why_a_source_is_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
