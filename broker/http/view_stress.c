/* SPDX-License-Identifier: Apache-2.0
 * A stress test as JSON: its inputs, the site before, and the site after each shock. */
#include <stdio.h>
#include <string.h>

#include "broker/core/stress.h"
#include "broker/http/views.h"

struct asked {
    unsigned factor[3]; /* lease, hash, power: ppm + 1; 0: not given */
    unsigned halving, all;
    char tenant[SL_TENANT_MAX];
};

struct page {
    struct sl_json *json;
    struct sl_core_stress *stress;
    const struct sl_policy_document *document;
    struct asked asked;
    bool all_devices; /* else those that move */
};

static void write_feeds(struct sl_json *json, const struct sl_broker_core *core,
                        struct sl_now now) {
    struct sl_view_feed feed;
    char value[64];
    sl_json_open(json, "feeds", '[');
    for (uint32_t i = 0; sl_view_feed_get(core, now, i, &feed); i++) {
        if (!feed.known ||
            (feed.feed.role != SL_FEED_HASHPRICE && feed.feed.role != SL_FEED_POWER)) {
            continue;
        }
        sl_json_open(json, NULL, '{');
        sl_json_text(json, "id", feed.feed.id);
        sl_json_text(json, "value", sl_nusd_format(feed.value_nano, value));
        sl_json_int(json, "age_ms", feed.age_ms);
        sl_json_bool(json, "stale", feed.stale);
        sl_json_close(json, '}');
    }
    sl_json_close(json, ']');
}

static void write_price(struct sl_json *json, const char *key, const char *figure,
                        enum sl_core_price known, int64_t nusd, const char *source) {
    sl_json_open(json, key, '{');
    if (known == SL_CORE_PRICE_UNKNOWN) {
        sl_json_null(json, figure);
    } else {
        sl_json_usd(json, figure, nusd);
    }
    sl_json_text(json, "source", known == SL_CORE_PRICE_UNKNOWN ? "unknown" : source);
    sl_json_bool(json, "stale", known == SL_CORE_PRICE_STALE);
    sl_json_close(json, '}');
}

static void write_inputs(const struct page *page, const struct sl_broker_core *core,
                         struct sl_now now) {
    struct sl_json *json = page->json;
    const struct sl_core_stress *s = page->stress;
    char version[SL_POLICY_VERSION_MAX];
    struct sl_view_status status;
    uint32_t held = 0;
    uint32_t assumed = 0;
    for (uint32_t dev = 0; dev < s->in.count; dev++) {
        held += s->in.held[dev] != 0;
        assumed += s->use_known[dev] == 0;
    }
    sl_view_status_get(core, now, &status);
    sl_policy_document_version(page->document, version);
    sl_json_open(json, "inputs", '{');
    sl_json_text(json, "policy_version", version);
    write_price(json, "hashprice", "usd_per_ph_day", s->hash_known, s->hash_nusd_ph_day,
                "median of fresh feeds x hash_factor");
    sl_json_decimal(json, "hash_factor", (uint64_t)status.hash_factor_milli, 3);
    write_price(json, "power", "usd_per_kwh", s->power_known, s->power_nusd_kwh,
                s->power_fixed ? "configuration" : "median of fresh feeds");
    write_feeds(json, core, now);
    sl_json_decimal(json, "fee_share", (uint64_t)s->in.fee_share_ppm, 6);
    sl_json_usd(json, "fixed_usd_per_month", s->in.fixed_nusd);
    sl_json_usd(json, "debt_usd_per_month", s->in.debt_nusd);
    sl_json_usd(json, "cash_usd", s->in.cash_nusd);
    sl_json_uint(json, "hours_per_month", SL_STRESS_MONTH_H);
    sl_json_uint(json, "devices", s->in.count);
    sl_json_uint(json, "devices_away", s->devices_away);
    sl_json_uint(json, "devices_held", held);
    sl_json_uint(json, "devices_use_assumed", assumed);
    sl_json_uint(json, "devices_power_unknown", s->before.powerless);
    sl_json_uint(json, "batches", s->in.commit_count);
    sl_json_uint(json, "batches_left_out", s->commits_left_out);
    sl_json_close(json, '}');
}

static void write_side(const struct page *page, const char *key,
                       const struct sl_stress_side *side) {
    struct sl_json *json = page->json;
    const struct sl_stress_input *in = &page->stress->in;
    sl_i128 margin = sl_stress_margin(side);
    int64_t months = 0;
    enum sl_stress_cover cover = sl_stress_cover(in, side, &months);
    sl_json_open(json, key, '{');
    sl_json_usd(json, "revenue_usd_per_hour", side->hash_nusd_h + side->lease_nusd_h);
    sl_json_usd(json, "hash_usd_per_hour", side->hash_nusd_h);
    sl_json_usd(json, "lease_usd_per_hour", side->lease_nusd_h);
    if (in->count > 0 && side->powerless == in->count) {
        sl_json_null(json, "power_usd_per_hour");
    } else {
        sl_json_usd(json, "power_usd_per_hour", side->power_nusd_h);
    }
    sl_json_bool(json, "power_complete", side->powerless == 0);
    sl_json_usd(json, "margin_usd_per_hour", margin);
    sl_json_usd(json, "margin_usd_per_month", margin * SL_STRESS_MONTH_H);
    sl_json_text(json, "cover",
                 cover == SL_STRESS_COVER_UNKNOWN  ? "unknown"
                 : cover == SL_STRESS_COVER_MARGIN ? "margin"
                                                   : "cash");
    if (cover == SL_STRESS_COVER_MONTHS) {
        sl_json_decimal(json, "cover_months", (uint64_t)months, 3);
    } else {
        sl_json_null(json, "cover_months");
    }
    sl_json_close(json, '}');
}

static void write_mode(struct sl_json *json, const char *key, const struct sl_stress_side *side,
                       uint32_t dev) {
    sl_json_open(json, key, '{');
    sl_json_text(json, "mode", sl_mode_name((enum sl_mode)side->mode[dev]));
    sl_json_usd(json, "value_usd_per_hour", side->value[dev]);
    sl_json_close(json, '}');
}

static void write_devices(const struct page *page) {
    struct sl_json *json = page->json;
    const struct sl_core_stress *s = page->stress;
    sl_json_open(json, "devices", '[');
    for (uint32_t dev = 0; dev < s->in.count; dev++) {
        if (!page->all_devices && s->before.mode[dev] == s->after.mode[dev]) {
            continue;
        }
        sl_json_open(json, NULL, '{');
        sl_json_text(json, "key", s->keys[dev]);
        sl_json_text(json, "held",
                     s->in.held[dev] ? sl_mode_name((enum sl_mode)s->in.held[dev]) : NULL);
        sl_json_decimal(json, "use", (uint64_t)s->in.use_ppm[dev], 6);
        sl_json_text(json, "use_source", s->use_known[dev] ? "measured" : "assumed");
        sl_json_bool(json, "power_known", s->in.power_known[dev] != 0);
        write_mode(json, "before", &s->before, dev);
        write_mode(json, "after", &s->after, dev);
        sl_json_bool(json, "stops", sl_stress_stops(&s->in, &s->before, &s->after, dev));
        sl_json_close(json, '}');
    }
    sl_json_close(json, ']');
}

static void write_done(struct sl_json *json, const char *key, int64_t done_ms) {
    if (done_ms < 0) {
        sl_json_null(json, key);
    } else {
        sl_json_int(json, key, done_ms);
    }
}

static const char *outcome(const struct sl_stress_input *in, const struct sl_stress_side *side,
                           uint32_t c) {
    if (side->done_ms[c] < 0) {
        return side->done_ms[c] == SL_STRESS_LEFT ? "left" : "never";
    }
    return side->done_ms[c] <= in->commits[c].deadline_ms ? "kept" : "late";
}

static void write_batches(const struct page *page) {
    struct sl_json *json = page->json;
    const struct sl_core_stress *s = page->stress;
    sl_json_open(json, "batches", '[');
    for (uint32_t c = 0; c < s->in.commit_count; c++) {
        const struct sl_stress_commit *commit = &s->in.commits[c];
        sl_json_open(json, NULL, '{');
        sl_json_text(json, "id", s->batches[c]);
        sl_json_text(json, "tenant", s->tenants[c]);
        sl_json_usd(json, "bid_usd_per_mtok", commit->bid_nusd_per_mtok);
        sl_json_int(json, "tokens_left", commit->tokens_left);
        sl_json_int(json, "deadline_in_ms", commit->deadline_ms);
        sl_json_text(json, "before", outcome(&s->in, &s->before, c));
        write_done(json, "before_done_in_ms", s->before.done_ms[c]);
        sl_json_text(json, "after", outcome(&s->in, &s->after, c));
        write_done(json, "after_done_in_ms", s->after.done_ms[c]);
        sl_json_bool(json, "breaks", sl_stress_breaks(&s->in, &s->before, &s->after, c));
        sl_json_close(json, '}');
    }
    sl_json_close(json, ']');
}

static void write_case(const struct page *page, const char *name, const struct sl_shock *shock) {
    struct sl_json *json = page->json;
    struct sl_core_stress *s = page->stress;
    uint32_t stops = 0;
    uint32_t moves = 0;
    uint32_t breaks = 0;
    sl_stress_run(&s->in, shock, &s->after);
    for (uint32_t dev = 0; dev < s->in.count; dev++) {
        stops += sl_stress_stops(&s->in, &s->before, &s->after, dev);
        moves += s->before.mode[dev] != s->after.mode[dev];
    }
    for (uint32_t c = 0; c < s->in.commit_count; c++) {
        breaks += sl_stress_breaks(&s->in, &s->before, &s->after, c);
    }
    sl_json_open(json, NULL, '{');
    sl_json_text(json, "name", name);
    sl_json_open(json, "shock", '{');
    sl_json_decimal(json, "lease", (uint64_t)shock->lease_ppm, 6);
    sl_json_decimal(json, "hashprice", (uint64_t)shock->hash_ppm, 6);
    sl_json_decimal(json, "power", (uint64_t)shock->power_ppm, 6);
    sl_json_bool(json, "halving", shock->halving);
    sl_json_name(json, "tenant", shock->tenant == SL_SHOCK_NOBODY ? NULL : page->asked.tenant);
    sl_json_close(json, '}');
    write_side(page, "after", &s->after);
    sl_json_uint(json, "devices_stop", stops);
    sl_json_uint(json, "devices_move", moves);
    sl_json_uint(json, "breaches", breaks);
    write_devices(page);
    write_batches(page);
    sl_json_close(json, '}');
}

/* What was asked; with `shipped`, the policy document's size for what was not. */
static struct sl_shock full_shock(const struct page *page, bool shipped) {
    const struct asked *asked = &page->asked;
    const struct sl_stress_params *params = &page->document->stress;
    struct sl_shock shock = sl_shock_none();
    const int64_t sizes[3] = {SL_SHOCK_SAME + params->lease_change_ppm,
                              SL_SHOCK_SAME + params->hash_change_ppm, params->power_ppm};
    int64_t *const into[3] = {&shock.lease_ppm, &shock.hash_ppm, &shock.power_ppm};
    for (size_t i = 0; i < 3; i++) {
        if (asked->factor[i] > 0) {
            *into[i] = (int64_t)asked->factor[i] - 1;
        } else if (shipped) {
            *into[i] = sizes[i];
        }
    }
    shock.halving = asked->halving || shipped;
    if (asked->tenant[0] != '\0') {
        shock.tenant = sl_core_stress_tenant(page->stress, asked->tenant);
    }
    return shock;
}

static void write_all(const struct page *page) {
    struct sl_shock full = full_shock(page, true);
    struct sl_shock one = sl_shock_none();
    one.lease_ppm = full.lease_ppm;
    write_case(page, "lease", &one);
    one = sl_shock_none();
    one.hash_ppm = full.hash_ppm;
    write_case(page, "hashprice", &one);
    one = sl_shock_none();
    one.power_ppm = full.power_ppm;
    write_case(page, "power", &one);
    one = sl_shock_none();
    one.halving = true;
    write_case(page, "halving", &one);
    if (full.tenant != SL_SHOCK_NOBODY) {
        one = sl_shock_none();
        one.tenant = full.tenant;
        write_case(page, "tenant", &one);
    }
    write_case(page, "together", &full);
}

int sl_view_stress_json(struct sl_json *json, const struct sl_broker_core *core, struct sl_now now,
                        const char *arg) {
    SL_AUTO(sl_core_stress) stress = sl_core_stress_take(core, now);
    struct page page = {.json = json, .stress = stress, .document = sl_core_document(core)};
    struct asked *asked = &page.asked;
    if (!stress) {
        return -SL_NOMEM;
    }
    int rest = 0;
    int got = sscanf(arg, "%8x %8x %8x %1u %1u %n", &asked->factor[0], &asked->factor[1],
                     &asked->factor[2], &asked->halving, &asked->all, &rest);
    if (got < 5 || !sl_text_copy(asked->tenant, sizeof asked->tenant, arg + rest)) {
        return -SL_INVALID;
    }
    bool nothing = asked->factor[0] == 0 && asked->factor[1] == 0 && asked->factor[2] == 0 &&
                   !asked->halving && asked->tenant[0] == '\0';
    const struct sl_shock none = sl_shock_none();
    sl_stress_run(&stress->in, &none, &stress->before);
    page.all_devices = !asked->all && !nothing;
    sl_json_open(json, NULL, '{');
    sl_json_time(json, "now", now.wall);
    write_inputs(&page, core, now);
    write_side(&page, "before", &stress->before);
    sl_json_open(json, "cases", '[');
    if (asked->all || nothing) {
        write_all(&page);
    } else {
        struct sl_shock shock = full_shock(&page, false);
        write_case(&page, "asked", &shock);
    }
    sl_json_close(json, ']');
    sl_json_close(json, '}');
    return SL_OK;
}
