/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/core/view.h"

#include <stdio.h>
#include <string.h>

#include "broker/core/core_internal.h"
#include "broker/core/tick_rows.h"
#include "proto/base/text.h"
#include "schedulers/opportunity.h"

static int64_t ms_since(struct sl_now now, int64_t then_ns) {
    int64_t span_ms = (now.mono.ns - then_ns) / SL_NS_PER_MS;
    return span_ms > 0 ? span_ms : 0;
}

static sl_i128 balance(const struct sl_broker_core *core, const char *id, bool debit) {
    uint32_t at = sl_core_account_find(core, id);
    if (at == SL_CORE_NONE) {
        return 0;
    }
    sl_i128 net = core->accounts[at].debits.v - core->accounts[at].credits.v;
    return debit ? net : -net;
}

static void fill_money(const struct sl_broker_core *core, struct sl_view_money *money) {
    money->hash_nusd = balance(core, "revenue:hash", false);
    money->hash_settled_nusd = balance(core, "cash:pool", true);
    money->hash_estimated_nusd = balance(core, "receivable:pool", true);
    money->lease_nusd = balance(core, "revenue:lease", false);
    money->power_nusd = balance(core, "cost:power", true);
    money->always_hash_nusd = core->shadow_hash;
    money->always_lease_nusd = core->shadow_lease;
    money->power_complete = core->counters.power_missing == 0;
}

static bool is_there(const struct sl_broker_core *core, uint32_t dev) {
    return sl_core_node_up(core, core->fleet.node[dev]) && core->fleet.state[dev] != SL_DEVICE_LOST;
}

void sl_view_status_get(const struct sl_broker_core *core, struct sl_now now,
                        struct sl_view_status *ret_view) {
    (void)now;
    struct sl_view_status view = {0};
    for (uint32_t i = 0; i < core->node_count; i++) {
        view.sessions_live += core->nodes[i].state == SL_SESSION_LIVE;
    }
    view.devices_total = core->fleet.count;
    for (uint32_t dev = 0; dev < core->fleet.count; dev++) {
        uint8_t mode = is_there(core, dev) ? core->fleet.running_mode[dev] : 0;
        view.devices_by_mode[mode]++;
        view.devices_obeying += core->fleet.running[dev] && core->fleet.mode[dev] != 0;
        view.hash_rate_hs = sl_core_claims_sum(
            view.hash_rate_hs, mode == SL_MODE_HASH ? core->fleet.hash_rate_hs[dev] : 0);
        view.devices_implausible += sl_core_claims_doubt(core, dev) != NULL;
    }
    view.batches_open = core->batch_count;
    for (uint32_t i = 0; i < core->batch_count; i++) {
        view.lines_waiting += core->batches[i]->waiting;
        view.lines_issued += core->batches[i]->issued;
    }
    const struct sl_core_counters *c = &core->counters;
    view.shares_accepted = c->shares[SL_SHARE_ACCEPTED];
    view.shares_stale = c->shares[SL_SHARE_STALE];
    view.shares_rejected = c->shares[SL_SHARE_REJECTED];
    view.shares_unknown = c->shares[SL_SHARE_UNKNOWN];
    view.shares_implausible = c->implausible.shares;
    view.reports = core->reports;
    view.dropped = core->behind.dropped;
    view.lines_done = c->lines;
    view.tokens_done = c->tokens;
    view.hash_factor_milli = core->config.hash_factor_milli;
    for (uint32_t i = 0; i < core->override_count; i++) {
        view.stopped = view.stopped || core->overrides[i].kind == SL_OVERRIDE_STOP;
    }
    sl_core_switch_get(core, &view.switches);
    fill_money(core, &view.money);
    *ret_view = view;
}

bool sl_view_node_get(const struct sl_broker_core *core, struct sl_now now, uint32_t index,
                      struct sl_view_node *ret_view) {
    if (index >= core->node_count) {
        return false;
    }
    const struct sl_core_node *node = &core->nodes[index];
    struct sl_view_node view = {.results_spooled = node->results_spooled,
                                .shares_spooled = node->shares_spooled};
    sl_text_copy(view.node, sizeof view.node, node->name);
    sl_text_copy(view.node_key, sizeof view.node_key, node->key);
    sl_text_copy(view.version, sizeof view.version, node->version);
    sl_text_copy(view.state, sizeof view.state, sl_session_state_name(node->state));
    sl_core_pools_node(core, index, &view.pool);
    view.report_age_ms = node->reported.ns ? ms_since(now, node->reported.ns) : -1;
    view.device_count = node->device_count;
    *ret_view = view;
    return true;
}

static void fill_offers(const struct sl_broker_core *core, uint32_t dev,
                        struct sl_view_device *view) {
    const struct sl_core_fleet *fleet = &core->fleet;
    uint8_t present = fleet->mode[dev];
    struct sl_core_offer offers[SL_MODE_COUNT];
    sl_core_offers(core, dev, offers);
    for (enum sl_mode mode = SL_MODE_IDLE; mode < SL_MODE_COUNT; mode++) {
        struct sl_view_offer *out = &view->offers[mode];
        const struct sl_core_offer *offer = &offers[mode];
        out->known = (offer->bits & (SL_OFFER_POSSIBLE | SL_OFFER_PRICED)) ==
                     (SL_OFFER_POSSIBLE | SL_OFFER_PRICED);
        sl_text_copy(out->missing, sizeof out->missing, offer->missing ? offer->missing : "");
        out->gross_nusd_per_hour = offer->gross;
        out->power_known = (offer->bits & SL_OFFER_POWER) != 0;
        out->power_source = offer->power_source;
        out->power_nusd_per_hour = offer->power;
        out->net_nusd_per_hour = sl_opportunity_minus(offer->gross, offer->power);
        out->switch_nusd = sl_opportunity_switch(sl_core_switch_us(core, dev, present, mode),
                                                 out->net_nusd_per_hour);
    }
    if (offers[SL_MODE_INFER].batch) {
        sl_text_copy(view->best_batch, sizeof view->best_batch,
                     offers[SL_MODE_INFER].batch->row.id);
    }
}

/* The rule that put it here; where something keeps it from moving now, that instead. */
static void fill_reason(const struct sl_broker_core *core, uint32_t dev,
                        struct sl_view_device *view) {
    const struct sl_core_fleet *fleet = &core->fleet;
    const struct sl_core_device *cold = &fleet->cold[dev];
    view->decided = cold->decided;
    uint32_t row = fleet->row[dev];
    enum sl_rule rule = row < core->plan.count && core->input.id[row] == dev
                            ? (enum sl_rule)core->plan.rule[row]
                            : SL_RULE_INVALID;
    if (sl_core_row_is_asked_for(core, dev, rule)) {
        sl_text_copy(view->rule, sizeof view->rule,
                     rule == SL_RULE_INVALID ? "" : sl_rule_name(rule));
        if (rule == SL_RULE_INVALID) {
            sl_text_copy(view->why, sizeof view->why, "no decision yet");
        } else {
            sl_core_explain(core, dev, row, NULL, view->why, sizeof view->why);
        }
        return;
    }
    sl_text_copy(view->rule, sizeof view->rule, sl_core_rule_text(fleet->rule[dev]));
    sl_text_copy(view->why, sizeof view->why, cold->why ? cold->why : "");
}

static enum sl_override_kind override_kind(enum sl_policy_order order) {
    switch (order) {
    case SL_ORDER_STOP:
        return SL_OVERRIDE_STOP;
    case SL_ORDER_DRAIN:
        return SL_OVERRIDE_DRAIN;
    case SL_ORDER_PIN:
        return SL_OVERRIDE_PIN;
    case SL_ORDER_FAULT:
    case SL_ORDER_NONE:
    default:
        return SL_OVERRIDE_NONE;
    }
}

bool sl_view_device_get(const struct sl_broker_core *core, struct sl_now now, uint32_t index,
                        struct sl_view_device *ret_view) {
    const struct sl_core_fleet *fleet = &core->fleet;
    if (index >= fleet->count) {
        return false;
    }
    memset(ret_view, 0, sizeof *ret_view);
    sl_core_report_get(core, index, &ret_view->report);
    sl_view_telemetry_now(core, index, &ret_view->report.telemetry);
    sl_text_copy(ret_view->node, sizeof ret_view->node, core->nodes[fleet->node[index]].name);
    sl_text_copy(ret_view->state, sizeof ret_view->state,
                 sl_core_device_state_name((enum sl_core_device_state)fleet->state[index]));
    ret_view->wanted = (enum sl_mode)fleet->mode[index];
    ret_view->epoch = fleet->epoch[index] ? fleet->epoch[index] : fleet->epoch_max[index];
    if (fleet->batch[index]) {
        sl_text_copy(ret_view->batch, sizeof ret_view->batch, fleet->batch[index]->row.id);
    }
    ret_view->price_nusd_per_mtok = fleet->price[index];
    ret_view->since_ms = fleet->since_ns[index] ? ms_since(now, fleet->since_ns[index]) : 0;
    if (fleet->mode[index] != SL_MODE_INVALID && fleet->sent[index]) {
        int64_t left_ns = fleet->expires_ns[index] - now.mono.ns;
        ret_view->ttl_left_ms = left_ns > 0 ? left_ns / SL_NS_PER_MS : 0;
    }
    ret_view->override_ = override_kind(sl_core_order(core, index, &ret_view->pinned));
    sl_view_health_get(core, index, &ret_view->health);
    fill_offers(core, index, ret_view);
    fill_reason(core, index, ret_view);
    return true;
}

bool sl_view_feed_get(const struct sl_broker_core *core, struct sl_now now, uint32_t index,
                      struct sl_view_feed *ret_view) {
    if (index >= core->config.feed_count) {
        return false;
    }
    const struct sl_core_feed_state *feed = &core->feeds[index];
    struct sl_view_feed view = {.feed = feed->config, .known = feed->known};
    view.stale = sl_core_feed_stale(core, feed, now.wall);
    view.value_nano = feed->value_nano;
    view.age_ms = feed->known ? now.wall.ms - feed->as_of.ms : -1;
    sl_text_copy(view.health, sizeof view.health, feed->health);
    if (view.health[0] == '\0' && !feed->known) {
        sl_text_copy(view.health, sizeof view.health, "nothing read yet");
    } else if (view.health[0] == '\0' && view.stale) {
        snprintf(view.health, sizeof view.health, "stale: %lld s old, at most %lld s are allowed",
                 (long long)(view.age_ms / 1000), (long long)(feed->config.age_max_ms / 1000));
    }
    sl_core_view_vote(core, index, &view);
    *ret_view = view;
    return true;
}

bool sl_view_batch_get(const struct sl_broker_core *core, struct sl_now now, uint32_t index,
                       struct sl_view_batch *ret_view) {
    (void)now;
    /* Its rank is the number of those before it. Lists are for people: open batches are few. */
    for (uint32_t i = 0; i < core->batch_count; i++) {
        const struct sl_core_batch *batch = core->batches[i];
        uint32_t rank = 0;
        for (uint32_t j = 0; j < core->batch_count; j++) {
            rank += sl_core_batch_beats(core->batches[j], batch);
        }
        if (rank != index) {
            continue;
        }
        struct sl_view_batch view = {.state = batch->row.state,
                                     .bid_nusd_per_mtok = batch->row.bid_nusd_per_mtok,
                                     .waiting = batch->waiting,
                                     .issued = batch->issued,
                                     .done = batch->row.lines_completed,
                                     .failed = batch->row.lines_failed,
                                     .over_budget = sl_core_batch_over_budget(core, batch),
                                     .tenant_gone = batch->tenant->gone,
                                     .file_lost = batch->file_lost};
        sl_text_copy(view.id, sizeof view.id, batch->row.id);
        sl_text_copy(view.tenant, sizeof view.tenant, batch->row.tenant);
        *ret_view = view;
        return true;
    }
    return false;
}

const char *sl_view_policy(const struct sl_broker_core *core, const char **ret_version) {
    *ret_version = core->policy_version;
    return core->policy->name;
}

/* ---- for lists of a large site ---- */

uint32_t sl_view_device_count(const struct sl_broker_core *core) {
    return core->fleet.count;
}

uint32_t sl_view_device_find(const struct sl_broker_core *core, const char *key) {
    return sl_core_device_find(core, key);
}

uint32_t sl_view_node_first(const struct sl_broker_core *core, const char *node) {
    for (uint32_t i = 0; i < core->node_count; i++) {
        if (strcmp(core->nodes[i].name, node) == 0) {
            return core->nodes[i].first_device;
        }
    }
    return SL_CORE_NONE;
}

uint32_t sl_view_node_next(const struct sl_broker_core *core, uint32_t index) {
    return index < core->fleet.count ? core->fleet.sibling[index] : SL_CORE_NONE;
}

uint32_t sl_view_models_get(const struct sl_broker_core *core, const char **ids, uint32_t max) {
    uint32_t count = 0;
    for (uint32_t dev = 0; dev < core->fleet.count; dev++) {
        const struct sl_core_report *report = &core->fleet.cold[dev].report;
        for (uint32_t m = 0; m < report->model_count; m++) {
            uint32_t at = 0;
            const char *id = sl_core_models(report)[m].id;
            while (at < count && ids[at] != id) { /* each text is kept once */
                at++;
            }
            if (at == count && count < max) {
                ids[count++] = id;
            }
        }
    }
    return count;
}

uint64_t sl_view_token_rate(const struct sl_broker_core *core) {
    uint64_t rate_milli = 0;
    for (uint32_t dev = 0; dev < core->fleet.count; dev++) {
        rate_milli += core->fleet.cold[dev].report.token_rate_milli;
    }
    return rate_milli;
}
