/* SPDX-License-Identifier: Apache-2.0
 * Prices as JSON: each feed with its vote, and what each kind of price is worth. */
#include <stdio.h>

#include "broker/http/views.h"

static const char *role_name(enum sl_feed_role role) {
    static const char *const names[] = {NULL,        "hashprice", "power",
                                        "lease_ref", "currency",  "carbon"};
    return (unsigned)role <= SL_FEED_CARBON ? names[role] : NULL;
}

static const char *or_else(const char *text, const char *otherwise) {
    return text[0] != '\0' ? text : otherwise;
}

/* "BTC/PH/s/day (sha256d)". currency: of the value; a CURRENCY feed's is what it prices. */
static const char *unit_text(const struct sl_core_feed *feed, const char *currency, char *out,
                             size_t size) {
    switch (feed->role) {
    case SL_FEED_HASHPRICE:
        snprintf(out, size, "%s/PH/s/day (%s)", currency, or_else(feed->algorithm, "sha256d"));
        return out;
    case SL_FEED_POWER:
        snprintf(out, size, "%s/kWh", currency);
        return out;
    case SL_FEED_LEASE_REF:
        snprintf(out, size, "%s/GPU-hour", currency);
        return out;
    case SL_FEED_CURRENCY:
        snprintf(out, size, "USD%s%s", feed->currency[0] != '\0' ? "/" : "", feed->currency);
        return out;
    case SL_FEED_CARBON:
        return "g/kWh";
    case SL_FEED_INVALID:
    default:
        return NULL;
    }
}

static void write_value(struct sl_json *json, const char *key, bool known, int64_t nano) {
    char text[64];
    sl_json_text(json, key, known ? sl_nusd_format(nano, text) : NULL);
}

static void write_names(struct sl_json *json, const struct sl_core_feed *feed) {
    bool hash = feed->role == SL_FEED_HASHPRICE;
    sl_json_text(json, "role", role_name(feed->role));
    sl_json_text(json, "algorithm", hash ? or_else(feed->algorithm, "sha256d") : NULL);
    sl_json_name(json, "model", feed->model);
}

void sl_view_feed_json(struct sl_json *json, const struct sl_view_feed *feed) {
    char unit[64];
    bool money = feed->feed.role != SL_FEED_CARBON;
    bool priced = feed->feed.role == SL_FEED_CURRENCY;
    const char *currency = priced ? "USD" : or_else(feed->feed.currency, "USD");
    sl_json_open(json, NULL, '{');
    sl_json_text(json, "id", feed->feed.id);
    write_names(json, &feed->feed);
    sl_json_text(json, "currency", money ? currency : NULL);
    sl_json_text(json, "unit", unit_text(&feed->feed, currency, unit, sizeof unit));
    write_value(json, "value", feed->known, feed->value_nano);
    write_value(json, "value_usd", money && feed->in_usd, feed->usd_nano);
    if (feed->known) {
        sl_json_int(json, "age_ms", feed->age_ms);
    } else {
        sl_json_null(json, "age_ms");
    }
    sl_json_int(json, "age_max_ms", feed->feed.age_max_ms);
    sl_json_bool(json, "stale", feed->stale);
    sl_json_name(json, "trouble", feed->health);
    sl_json_bool(json, "counts", feed->counts);
    sl_json_name(json, "out", feed->out);
    sl_json_close(json, '}');
}

static void write_price(struct sl_json *json, const struct sl_view_price *price) {
    char unit[64];
    bool held = price->hold[0] != '\0';
    sl_json_open(json, NULL, '{');
    write_names(json, &price->feed);
    sl_json_name(json, "of", price->feed.role == SL_FEED_CURRENCY ? price->feed.currency : "");
    sl_json_text(json, "unit", unit_text(&price->feed, "USD", unit, sizeof unit));
    sl_json_bool(json, "decides", price->decides);
    sl_json_text(json, "state", held ? "held" : "trusted");
    write_value(json, "value", price->known, price->value_nano);
    sl_json_uint(json, "sources", price->sources);
    sl_json_uint(json, "fresh", price->fresh);
    sl_json_uint(json, "agree", price->agree);
    write_value(json, "lowest", price->fresh > 0, price->low_nano);
    write_value(json, "highest", price->fresh > 0, price->high_nano);
    if (price->fresh > 0) {
        sl_json_usd(json, "spread", (sl_i128)price->high_nano - price->low_nano);
    } else {
        sl_json_null(json, "spread");
    }
    sl_json_name(json, "hold", price->hold);
    if (held && price->wait_ms > 0) {
        sl_json_int(json, "confirmed_in_ms", price->wait_ms);
    } else {
        sl_json_null(json, "confirmed_in_ms");
    }
    sl_json_decimal(json, "calibration", (uint64_t)price->factor_ppm, 6);
    sl_json_close(json, '}');
}

void sl_view_feeds_json(struct sl_json *json, const struct sl_broker_core *core,
                        struct sl_now now) {
    struct sl_view_feed feed;
    struct sl_view_price price;
    sl_json_open(json, NULL, '{');
    sl_json_time(json, "now", now.wall);
    sl_json_open(json, "prices", '[');
    for (uint32_t i = 0; sl_view_price_get(core, now, i, &price); i++) {
        write_price(json, &price);
    }
    sl_json_close(json, ']');
    sl_json_open(json, "feeds", '[');
    for (uint32_t i = 0; sl_view_feed_get(core, now, i, &feed); i++) {
        sl_view_feed_json(json, &feed);
    }
    sl_json_close(json, ']');
    sl_json_close(json, '}');
}
