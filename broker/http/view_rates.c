/* SPDX-License-Identifier: Apache-2.0
 * The rate card beside bids and reference rates, as JSON. */
#include <string.h>

#include "broker/core/rates.h"
#include "broker/core/stress.h"
#include "broker/http/views.h"

static void write_card(struct sl_json *json, const struct sl_policy_document *document) {
    sl_json_open(json, "card", '[');
    for (uint32_t i = 0; i < document->rate_count; i++) {
        const struct sl_rate *rate = &document->rates[i];
        sl_json_open(json, NULL, '{');
        sl_json_text(json, "model", rate->model);
        sl_json_text(json, "class", rate->class_);
        sl_json_text(json, "tenant", rate->tenant);
        sl_json_usd(json, "rate_usd_per_mtok", rate->nusd_per_mtok);
        sl_json_close(json, '}');
    }
    sl_json_close(json, ']');
}

static void write_or_null(struct sl_json *json, const char *key, bool known, int64_t nusd) {
    if (known) {
        sl_json_usd(json, key, nusd);
    } else {
        sl_json_null(json, key);
    }
}

static void write_offers(struct sl_json *json, const struct sl_broker_core *core) {
    struct sl_view_rate view;
    sl_json_open(json, "classes", '[');
    for (uint32_t i = 0; sl_view_rate_get(core, i, &view); i++) {
        bool rate = view.rate_nusd_mtok >= 0;
        bool bid = view.best_nusd_mtok >= 0;
        bool speed = view.tokens_s_milli > 0;
        sl_json_open(json, NULL, '{');
        sl_json_text(json, "class", view.class_);
        sl_json_text(json, "model", view.model);
        sl_json_uint(json, "devices", view.devices);
        if (speed) {
            sl_json_decimal(json, "tokens_per_s", (uint64_t)view.tokens_s_milli, 3);
        } else {
            sl_json_null(json, "tokens_per_s");
        }
        uint64_t by_length[SL_LENGTHS];
        for (uint32_t k = 0; k < SL_LENGTHS; k++) {
            by_length[k] = (uint64_t)view.length_s_milli[k];
        }
        sl_view_lengths(json, by_length);
        write_or_null(json, "rate_usd_per_mtok", rate, view.rate_nusd_mtok);
        write_or_null(json, "best_bid_usd_per_mtok", bid, view.best_nusd_mtok);
        write_or_null(json, "rate_usd_per_hour", rate && speed, view.rate_nusd_hour);
        write_or_null(json, "best_bid_usd_per_hour", bid && speed, view.best_nusd_hour);
        sl_json_uint(json, "batches_below_rate", view.refused);
        sl_json_close(json, '}');
    }
    sl_json_close(json, ']');
}

static void write_references(struct sl_json *json, const struct sl_broker_core *core,
                             struct sl_now now) {
    struct sl_view_feed feed;
    sl_json_open(json, "references", '[');
    for (uint32_t i = 0; sl_view_feed_get(core, now, i, &feed); i++) {
        if (feed.feed.role != SL_FEED_LEASE_REF) {
            continue;
        }
        sl_json_open(json, NULL, '{');
        sl_json_text(json, "id", feed.feed.id);
        sl_json_name(json, "model", feed.feed.model);
        write_or_null(json, "usd_per_gpu_hour", feed.known, feed.value_nano);
        sl_json_int(json, "age_ms", feed.age_ms);
        sl_json_bool(json, "stale", feed.stale);
        sl_json_close(json, '}');
    }
    sl_json_close(json, ']');
}

void sl_view_rates_json(struct sl_json *json, const struct sl_broker_core *core,
                        struct sl_now now) {
    const struct sl_policy_document *document = sl_core_document(core);
    char version[SL_POLICY_VERSION_MAX];
    sl_policy_document_version(document, version);
    sl_json_open(json, NULL, '{');
    sl_json_time(json, "now", now.wall);
    sl_json_text(json, "policy_version", version);
    write_card(json, document);
    write_offers(json, core);
    write_references(json, core, now);
    sl_json_close(json, '}');
}
