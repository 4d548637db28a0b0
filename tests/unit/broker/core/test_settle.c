/* SPDX-License-Identifier: Apache-2.0
 * Settlements in the core: what is refused, what is posted, what the quotes are multiplied by. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/text.h"
#include "tests/unit/broker/core/world.h"

#include <cmocka.h>

#define DAY INT64_C(86400000)
#define USD SL_NUSD_PER_USD

/* The days before the world's present, `back` days ago. */
static struct sl_settlement_row day_row(const struct world *w, int64_t back, const char *scope,
                                        int64_t amount_nano, int64_t quoted) {
    int64_t today = w->now.wall.ms / DAY * DAY;
    struct sl_settlement_row row = {.line = 2,
                                    .currency = "USD",
                                    .from = {today - back * DAY},
                                    .to = {today - (back - 1) * DAY},
                                    .amount_nano = amount_nano,
                                    .quoted_nusd = quoted,
                                    .takes_late = true};
    sl_text_copy(row.scope, sizeof row.scope, scope);
    return row;
}

static int settle(struct world *w, bool check, uint64_t high, uint32_t count,
                  const struct sl_settlement_row *rows) {
    struct sl_core_settle *import = calloc(1, sizeof *import + count * sizeof *rows);
    assert_non_null(import);
    import->check = check;
    import->high = high;
    import->count = count;
    memcpy(import->rows, rows, count * sizeof *rows);
    struct sl_core_event event = {
        .kind = SL_CEV_SETTLE, .cookie = w->cookie++, .settle = import, .actor = "key_op"};
    world_step(w, &event);
    assert_null(event.settle);
    const struct sl_core_command *reply = world_last(w, SL_CCMD_REPLY);
    assert_non_null(reply);
    assert_int_equal(reply->cookie, event.cookie);
    return reply->status;
}

static const char *said(const struct world *w) {
    return world_last(w, SL_CCMD_REPLY)->text;
}

static void open_site(struct world *w) {
    struct sl_core_config c = world_config();
    c.calibration = (struct sl_calibration_limits){200000, 500000, 1500000};
    c.feeds[1] = (struct sl_core_feed){
        .id = "btc", .role = SL_FEED_CURRENCY, .age_max_ms = 3600000, .currency = "BTC"};
    c.feed_count = 2;
    world_init(w, &c);
    world_price(w, 0, WORLD_PRICE);
    world_join(w, "a", 1);
}

static void what_is_posted(void **state) {
    (void)state;
    static const struct {
        int64_t settled, quoted, cash, adjustment;
        uint32_t transfers;
    } rows[] = {
        {USD, USD, USD, 0, 1},
        {USD * 9 / 10, USD, USD * 9 / 10, -USD / 10, 2},
        {USD * 11 / 10, USD, USD * 11 / 10, USD / 10, 2},
        {0, USD, 0, -USD, 1},
        {USD, 0, USD, USD, 2},
        {0, 0, 0, 0, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct world w;
        open_site(&w);
        uint64_t before = w.store->transfer_id;
        uint32_t audits = w.store->audits;
        struct sl_settlement_row row = day_row(&w, 1, "*", rows[i].settled, rows[i].quoted);
        assert_int_equal(settle(&w, false, 0, 1, &row), SL_OK);
        assert_int_equal(w.store->transfer_id - before, rows[i].transfers);
        assert_int_equal(w.store->audits, audits + 1);
        assert_true(world_balance(&w, "cash:pool") == -(sl_i128)rows[i].cash);
        assert_true(world_balance(&w, "revenue:hash-adjustment") == rows[i].adjustment);
        /* Nothing of the span is left to be received: what was quoted had been debited to it. */
        assert_true(world_balance(&w, "receivable:pool") == rows[i].quoted);
        assert_int_equal(w.store->settlement_count, 1);
        assert_string_equal(w.store->settlements[0].actor, "key_op");
        assert_int_equal(w.store->settlements[0].settled_nusd, rows[i].settled);
        world_check(&w);
        world_fini(&w);
    }
}

static void what_is_refused(void **state) {
    (void)state;
    struct world w;
    open_site(&w);
    struct sl_settlement_row first = day_row(&w, 3, "*", USD, USD);
    assert_int_equal(settle(&w, false, 0, 1, &first), SL_OK);
    const struct sl_settlement_row good = day_row(&w, 1, "*", USD, USD);
    struct sl_settlement_row bad[9];
    for (size_t i = 0; i < 9; i++) {
        bad[i] = good;
    }
    bad[0] = first;                                                /* again */
    bad[1].from.ms = first.to.ms - 1;                              /* a part of it */
    bad[2] = day_row(&w, 3, world_view(&w, "a/0").node, USD, USD); /* a node of the same site */
    bad[3].to = bad[3].from;
    bad[4].to.ms = w.now.wall.ms + 1;
    bad[5].amount_nano = -1;
    sl_text_copy(bad[6].scope, sizeof bad[6].scope, "nobody");
    sl_text_copy(bad[7].currency, sizeof bad[7].currency, "BTC");
    bad[8].amount_nano = INT64_MAX;
    static const struct {
        int status;
        const char *text;
    } want[] = {
        {-SL_EXISTS, "line 2: a part of its span is settled already"},
        {-SL_EXISTS, "settled already"},
        {-SL_EXISTS, "settled already"},
        {-SL_INVALID, "must end after it begins"},
        {-SL_INVALID, "not in the future"},
        {-SL_INVALID, "negative"},
        {-SL_NOTFOUND, "no node 'nobody'"},
        {-SL_BADSTATE, "no fresh BTC price"},
        {-SL_INVALID, "too large"},
    };
    uint64_t before = w.store->transfer_id;
    for (size_t i = 0; i < 9; i++) {
        /* One bad row, and the good one before it is not taken either. */
        struct sl_settlement_row both[] = {day_row(&w, 2, "*", USD, USD), bad[i]};
        assert_int_equal(settle(&w, false, 1, 2, both), want[i].status);
        if (!strstr(said(&w), want[i].text)) {
            fail_msg("row %zu: %s", i, said(&w));
        }
    }
    struct sl_settlement_row twice[] = {good, good};
    assert_int_equal(settle(&w, false, 1, 2, twice), -SL_EXISTS);
    assert_int_equal(settle(&w, false, 0, 1, &good), -SL_AGAIN); /* its figures are old */
    assert_int_equal(settle(&w, true, 1, 1, &good), SL_OK);      /* a check changes nothing */
    assert_int_equal(w.store->transfer_id, before);
    assert_int_equal(w.store->settlement_count, 1);
    assert_int_equal(settle(&w, false, 1, 1, &good), SL_OK);
    world_restart(&w); /* what is settled is known to the next process */
    world_join(&w, "a", 1);
    assert_int_equal(settle(&w, false, 2, 1, &good), -SL_EXISTS);
    world_fini(&w);
}

static void nodes_are_apart(void **state) {
    (void)state;
    struct world w;
    open_site(&w);
    world_join(&w, "b", 1);
    char a[SL_MSG_NAME_MAX];
    char b[SL_MSG_NAME_MAX];
    sl_text_copy(a, sizeof a, world_view(&w, "a/0").node);
    sl_text_copy(b, sizeof b, world_view(&w, "b/0").node);
    struct sl_settlement_row rows[] = {day_row(&w, 1, a, USD, USD), day_row(&w, 1, b, USD, USD)};
    assert_int_equal(settle(&w, false, 0, 2, rows), SL_OK);
    struct sl_settlement_row all = day_row(&w, 1, "*", USD, USD);
    assert_int_equal(settle(&w, false, 2, 1, &all), -SL_EXISTS);
    world_fini(&w);
}

static void bitcoin_is_taken_at_its_price(void **state) {
    (void)state;
    struct world w;
    open_site(&w);
    world_price(&w, 1, INT64_C(100000) * USD);
    struct sl_settlement_row row = day_row(&w, 1, "*", 12345, USD); /* 0.000012345 BTC */
    sl_text_copy(row.currency, sizeof row.currency, "BTC");
    assert_int_equal(settle(&w, false, 0, 1, &row), SL_OK);
    assert_int_equal(w.store->settlements[0].settled_nusd, 1234500000);
    assert_int_equal(w.store->settlements[0].rate_nano, INT64_C(100000) * USD);
    world_fini(&w);
}

/* Devices are moved by what pools pay; shares are credited at the quotes all the same. */
static void quotes_are_calibrated(void **state) {
    (void)state;
    struct world w;
    int64_t price = 0;
    open_site(&w);
    struct sl_settlement_row row = day_row(&w, 1, "*", USD * 6 / 10, USD);
    assert_int_equal(settle(&w, false, 0, 1, &row), SL_OK);
    assert_int_equal(sl_core_calibration_ppm(w.core), 920000);
    sl_core_hashprice(w.core, &price);
    assert_int_equal(price, WORLD_PRICE / 100 * 92);
    world_price(&w, 0, WORLD_PRICE + 1000);
    assert_true(sl_core_hashprice_at(w.core, 0, &price));
    assert_int_equal(price, WORLD_PRICE + 1000);
    struct sl_view_price view;
    assert_true(sl_view_price_get(w.core, w.now, 0, &view));
    assert_int_equal(view.factor_ppm, 920000);
    assert_int_equal(view.value_nano, WORLD_PRICE + 1000); /* as quoted */
    world_restart(&w);
    assert_int_equal(sl_core_calibration_ppm(w.core), 920000);
    static const char *const bad[] = {"", "1 2 3", "0 0 0 0", "-5 0 0 0", "100000001 0 0 0"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(sl_broker_core_restore_meta(w.core, "calibration", bad[i]), -SL_CORRUPT);
    }
    world_fini(&w);
}

static void estimated_until_settled(void **state) {
    (void)state;
    struct world w;
    struct sl_view_status view;
    open_site(&w);
    world_share(&w, "a", 1, SL_SHARE_ACCEPTED, UINT64_C(1) << 40, 0);
    sl_view_status_get(w.core, w.now, &view);
    sl_i128 quoted = view.money.hash_nusd;
    assert_true(quoted > 0);
    assert_true(view.money.hash_settled_nusd == 0);
    assert_true(view.money.hash_estimated_nusd == quoted);
    struct sl_settlement_row row = day_row(&w, 1, "*", 10 * USD, (int64_t)quoted);
    assert_int_equal(settle(&w, false, 0, 1, &row), SL_OK);
    sl_view_status_get(w.core, w.now, &view);
    assert_true(view.money.hash_settled_nusd == 10 * USD);
    assert_true(view.money.hash_estimated_nusd == 0);
    assert_true(world_balance(&w, "receivable:pool") == 0);
    world_fini(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_posted),        cmocka_unit_test(what_is_refused),
        cmocka_unit_test(nodes_are_apart),       cmocka_unit_test(bitcoin_is_taken_at_its_price),
        cmocka_unit_test(quotes_are_calibrated), cmocka_unit_test(estimated_until_settled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
