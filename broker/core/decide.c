/* SPDX-License-Identifier: Apache-2.0
 * The tick: the one place where decisions are made. It takes a snapshot of every device that may be
 * moved, asks the policy, and grants what differs from what is. Its tables (tick_rows.h) grow as
 * they must. Snapshot and policy allocate nothing else; a grant allocates its message, its row and
 * its work unit. */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "broker/core/core_internal.h"
#include "broker/core/model_file.h"
#include "broker/core/rates.h"
#include "broker/core/tick_rows.h"
#include "proto/base/mutant.h"
#include "proto/base/text.h"
#include "schedulers/opportunity.h"
#include "schedulers/risk.h"

#define POOL_GRACE_NS (10 * SL_NS_PER_S) /* a pool's hiccup is no reason to move */
#define ROWS_AT_ONCE 64
#define LONG_AGO_MS INT64_C(1000000000000000)

/* ---- what each mode offers ---- */

static struct sl_core_best *best_of(struct sl_broker_core *core, const char *model) {
    uint32_t at = 0;
    while (at < core->best_count && strcmp(core->best[at].model, model) != 0) {
        at++;
    }
    if (at == core->best_count) {
        if (at == SL_CORE_MODELS_SEEN_MAX) {
            return NULL;
        }
        core->best[core->best_count++] = (struct sl_core_best){.model = model};
    }
    return &core->best[at];
}

/* The models that work waits for, and how much. */
static void collect_models(struct sl_broker_core *core) {
    core->best_count = 0;
    for (uint32_t i = 0; i < core->batch_count; i++) {
        struct sl_core_batch *batch = core->batches[i];
        batch->planned = 0;
        batch->worth = -1;
        sl_core_lengths_refresh(core, batch);
        struct sl_core_best *best =
            sl_core_batch_issuable(core, batch) ? best_of(core, batch->row.model) : NULL;
        if (best) {
            batch->worth = 0;
            best->tokens_left += sl_core_shadow_tokens_left(batch);
        }
    }
}

/* How many devices could share the work of each model. */
static void count_offering(struct sl_broker_core *core) {
    for (uint32_t dev = 0; dev < core->fleet.count && core->best_count > 0; dev++) {
        const struct sl_core_report *report = &core->fleet.cold[dev].report;
        for (uint32_t at = 0; at < core->best_count; at++) {
            struct sl_core_best *best = &core->best[at];
            const struct sl_core_model *model = sl_core_model_of(report, best->model);
            if (model) {
                best->silent |= !model->file;
                best->by = best->by ? best->by : report;
                best->offering++;
            }
        }
    }
}

/* The batch of each model that pays the most for a device's hour; by one device for all, so that it
 * is the same for every device of a model. */
static void choose_best(struct sl_broker_core *core) {
    for (uint32_t i = 0; i < core->batch_count; i++) {
        struct sl_core_batch *batch = core->batches[i];
        struct sl_core_best *best = batch->worth < 0 ? NULL : best_of(core, batch->row.model);
        if (best && best->by) {
            batch->worth = sl_opportunity_lease(batch->row.bid_nusd_per_mtok,
                                                sl_core_rate_milli(best->by, batch));
        }
        sl_core_file_look(core, batch, best);
        if (best && (!best->batch || sl_core_batch_pays_more(batch, best->batch))) {
            best->batch = batch;
        }
    }
}

/* How long there is work for a device that takes its share of it; 0: that is not known. */
static int64_t lease_left_ms(const struct sl_broker_core *core, uint32_t dev,
                             const struct sl_core_batch *batch) {
    for (uint32_t at = 0; batch && at < core->best_count; at++) {
        const struct sl_core_best *best = &core->best[at];
        if (strcmp(best->model, batch->row.model) == 0 && best->offering > 0) {
            int64_t rate = sl_core_rate_milli(&core->fleet.cold[dev].report, batch);
            sl_i128 left = rate ? best->tokens_left * 1000000 / rate / best->offering : 0;
            return left > LONG_AGO_MS ? LONG_AGO_MS : (int64_t)left;
        }
    }
    return 0;
}

static bool still_serves(const struct sl_broker_core *core, uint32_t dev,
                         const struct sl_core_batch *batch) {
    for (const struct sl_core_unit *unit = core->fleet.units[dev]; unit; unit = unit->next) {
        if (unit->batch == batch) {
            return true;
        }
    }
    return false;
}

static bool lease_open(const struct sl_broker_core *core, uint32_t dev) {
    const struct sl_core_batch *own = core->fleet.batch[dev];
    return own && own->row.state == SL_BATCH_IN_PROGRESS &&
           (still_serves(core, dev, own) ||
            (sl_core_batch_issuable(core, own) && sl_core_file_fits(core, dev, own)));
}

static void offer_infer(const struct sl_broker_core *core, uint32_t dev,
                        struct sl_core_offer *offer) {
    const struct sl_core_report *report = &core->fleet.cold[dev].report;
    struct sl_core_batch *own = lease_open(core, dev) ? core->fleet.batch[dev] : NULL;
    offer->missing = report->model_count > 0 ? "waiting batch" : "model";
    for (uint32_t i = 0; i <= core->best_count; i++) {
        /* The batch that it serves comes first and wins ties. */
        struct sl_core_batch *wanted = i == 0 ? own : core->best[i - 1].batch;
        struct sl_core_batch *batch = sl_core_rate_batch(core, dev, wanted);
        if (wanted && !batch && !offer->batch && sl_core_rate_milli(report, wanted) > 0) {
            const char *bars = sl_core_batch_bars(core, dev, wanted);
            offer->missing = bars ? bars : "bid at the rate card's rate";
        }
        int64_t rate = batch ? sl_core_rate_milli(report, batch) : 0;
        int64_t value = batch ? sl_opportunity_lease(batch->row.bid_nusd_per_mtok, rate) : 0;
        int64_t margin = own && offer->batch == own ? sl_core_rate_margin(report, own, value) : 0;
        if (rate == 0 || (offer->batch && value - margin <= offer->gross)) {
            continue;
        }
        offer->batch = batch;
        offer->gross = value;
        offer->bits = SL_OFFER_POSSIBLE | SL_OFFER_PRICED;
        offer->missing = NULL;
    }
}

static void offer_hash(const struct sl_broker_core *core, uint32_t dev,
                       struct sl_core_offer *offer) {
    const struct sl_core_node *node = &core->nodes[core->fleet.node[dev]];
    int64_t price = 0;
    uint64_t rate = core->fleet.hash_rate_hs[dev];
    enum sl_core_known known = sl_core_hashprice(core, &price);
    bool pool =
        node->pool_good.ns != 0 && core->now.mono.ns - node->pool_good.ns <=
                                       POOL_GRACE_NS + core->config.report_ms * SL_NS_PER_MS;
    offer->gross = sl_opportunity_hash(price, rate > INT64_MAX ? INT64_MAX : (int64_t)rate);
    offer->bits = rate > 0 && pool ? SL_OFFER_POSSIBLE : 0;
    offer->bits |= known == SL_KNOWN_FRESH ? SL_OFFER_PRICED : 0;
    if (rate == 0) {
        offer->missing = sl_core_claims_doubt(core, dev) ? "plausible hash rate" : "hash rate";
    } else if (!pool) {
        offer->missing = "pool with a job";
    } else if (known != SL_KNOWN_FRESH) {
        offer->missing = known == SL_KNOWN_STALE ? "fresh hashprice" : "hashprice";
    }
}

static void offer_power(const struct sl_broker_core *core, uint32_t dev, enum sl_mode mode,
                        struct sl_core_offer *offer) {
    struct sl_watts watts = sl_core_watts(core, dev, mode);
    offer->power_source = watts.source;
    if (watts.source == SL_SOURCE_UNKNOWN) {
        return;
    }
    int64_t price = 0;
    enum sl_core_known known = sl_core_tariff(core, &price);
    if (known == SL_KNOWN_FRESH) {
        offer->bits |= SL_OFFER_POWER;
        offer->power = sl_opportunity_power(price, watts.mw);
    } else if (known == SL_KNOWN_STALE) {
        offer->bits &= (uint8_t)~SL_OFFER_PRICED;
        offer->missing = offer->missing ? offer->missing : "fresh power price";
    }
}

void sl_core_offers(const struct sl_broker_core *core, uint32_t dev,
                    struct sl_core_offer offers[SL_MODE_COUNT]) {
    memset(offers, 0, SL_MODE_COUNT * sizeof offers[0]);
    offers[SL_MODE_IDLE].bits = SL_OFFER_POSSIBLE | SL_OFFER_PRICED;
    offer_hash(core, dev, &offers[SL_MODE_HASH]);
    offer_infer(core, dev, &offers[SL_MODE_INFER]);
    for (enum sl_mode mode = SL_MODE_IDLE; mode < SL_MODE_COUNT; mode++) {
        offer_power(core, dev, mode, &offers[mode]);
    }
}

/* ---- the snapshot ---- */

/* Whether the tick may touch the device at all. */
static bool is_movable(const struct sl_broker_core *core, uint32_t dev,
                       enum sl_policy_order order) {
    const struct sl_core_fleet *fleet = &core->fleet;
    const struct sl_core_node *node = &core->nodes[fleet->node[dev]];
    enum sl_core_device_state state = (enum sl_core_device_state)fleet->state[dev];
    if (!sl_core_node_up(core, fleet->node[dev]) || !node->has_reported ||
        state == SL_DEVICE_UNPROVEN || state == SL_DEVICE_LOST ||
        core->now.mono.ns < fleet->refused_ns[dev]) {
        return false;
    }
    if (state == SL_DEVICE_FAULTY) {
        return fleet->mode[dev] != SL_MODE_INVALID; /* only to take its lease away */
    }
    /* A silent agent gets no new work, but an order of people is tried at once. */
    return node->state == SL_SESSION_LIVE || order != SL_ORDER_NONE;
}

static void fill_row(struct sl_broker_core *core, uint32_t row, uint32_t dev,
                     enum sl_policy_order order, enum sl_mode pinned) {
    struct sl_policy_input *in = &core->input;
    const struct sl_core_fleet *fleet = &core->fleet;
    bool valid = sl_core_lease_valid(core, dev);
    uint8_t present = valid ? fleet->mode[dev] : 0;
    int64_t moved_ns = fleet->moved_ns[dev];
    in->id[row] = dev;
    in->class[row] = sl_core_class_of(core, dev);
    uint64_t hash_rate = fleet->hash_rate_hs[dev];
    in->hash_rate[row] = hash_rate > INT64_MAX ? INT64_MAX : (int64_t)hash_rate;
    in->present[row] = present;
    in->in_mode_ms[row] = moved_ns ? (core->now.mono.ns - moved_ns) / SL_NS_PER_MS : LONG_AGO_MS;
    in->lease_open[row] = lease_open(core, dev);
    in->order_kind[row] = (uint8_t)order;
    in->order_pinned[row] = (uint8_t)pinned;
    struct sl_core_offer offers[SL_MODE_COUNT];
    sl_core_offers(core, dev, offers);
    core->tick_batch[row] = offers[SL_MODE_INFER].batch;
    in->lease_left_ms[row] = lease_left_ms(core, dev, offers[SL_MODE_INFER].batch);
    for (enum sl_mode mode = SL_MODE_IDLE; mode < SL_MODE_COUNT; mode++) {
        in->offer[mode][row] = offers[mode].bits;
        /* What uncertainty costs is off before anything learns from it or compares. */
        int64_t premium = sl_risk_premium(&core->config.policy.risk, mode, offers[mode].gross);
        in->gross_nusd_h[mode][row] = sl_opportunity_minus(offers[mode].gross, premium);
        in->power_nusd_h[mode][row] = offers[mode].power;
        in->switch_us[mode][row] = sl_core_switch_us(core, dev, present, mode);
        in->back_us[mode][row] = sl_core_switch_us(core, dev, mode, present);
    }
}

static void begin_snapshot(struct sl_broker_core *core) {
    const struct sl_core_config *config = &core->config;
    core->input.params = (struct sl_policy_params){
        .threshold_ppm = config->threshold_ppm,
        .dwell_min_ms = config->dwell_min_ms,
        .switch_horizon_ms = config->switch_horizon_ms,
        .safe_mode = config->safe_mode,
        .fixed = config->policy.fixed + 1,
        .switching = config->policy.switching,
    };
    core->input.classes = core->class_views;
    core->input.count = 0;
    core->plan.count = 0;
    sl_core_remembered_grow(&core->switching, core->fleet.cap ? core->fleet.cap : 1);
}

/* The device's row behind the others, where the tick may touch it. */
static bool take_row(struct sl_broker_core *core, uint32_t dev) {
    enum sl_mode pinned = SL_MODE_INVALID;
    enum sl_policy_order order = sl_core_order(core, dev, &pinned);
    core->fleet.row[dev] = SL_CORE_NONE;
    core->fleet.planned[dev] = SL_MODE_INVALID;
    if (!is_movable(core, dev, order)) {
        return false;
    }
    sl_core_rows_reserve(core, core->input.count + 1);
    core->fleet.row[dev] = core->input.count;
    fill_row(core, core->input.count++, dev, order, pinned);
    return true;
}

static void add_bytes(void *arg, const void *bytes, size_t size) {
    crypto_generichash_update(arg, bytes, size);
}

/* Everything that the decision about a row was made from, and its digest: by these words it can be
 * made again (schedulers/decision.h). */
static void record(const struct sl_broker_core *core, uint32_t row, struct sl_core_grant *grant) {
    uint32_t dev = core->input.id[row];
    bool stepped = core->input.span_ms[row] > 0 && core->switching_before.cap > 0 &&
                   !SL_MUTANT(state_recorded_late);
    struct sl_switching_device device;
    struct sl_decision decision;
    sl_core_remembered_get(stepped ? &core->switching_before : &core->switching, dev, &device);
    sl_decision_take(&core->input, &device, &core->plan, row, &decision);
    decision.plan.mode = core->decided[row][0];
    decision.plan.rule = core->decided[row][1];
    sl_decision_pack(&decision, grant->record);
    uint8_t bytes[SL_DECISION_BYTES];
    sl_decision_bytes(grant->record, bytes);
    crypto_generichash_state state;
    crypto_generichash_init(&state, NULL, 0, sizeof grant->digest);
    crypto_generichash_update(&state, (const unsigned char *)core->policy->name,
                              strlen(core->policy->name) + 1);
    crypto_generichash_update(&state, (const unsigned char *)core->policy_version,
                              strlen(core->policy_version) + 1);
    crypto_generichash_update(&state, bytes, SL_DECISION_INPUT_WORDS * 8);
    if (core->plan.rule[row] == SL_RULE_CURTAIL || core->plan.rule[row] == SL_RULE_CAP) {
        sl_core_power_digest(core, add_bytes, &state); /* what was laid over the plan */
    }
    crypto_generichash_final(&state, grant->digest, sizeof grant->digest);
}

static void put_text(struct sl_buf *out, const char *text) {
    sl_buf_append(out, "\"", 1);
    for (; *text; text++) {
        bool plain = *text >= ' ' && *text <= '~' && *text != '"' && *text != '\\';
        sl_buf_append(out, plain ? text : "?", 1);
    }
    sl_buf_append(out, "\"", 1);
}

/* For `sluice backtest --decisions`: all that a step was decided from, also where nothing moves. */
static void log_decision(struct sl_broker_core *core, uint32_t row, bool granted) {
    uint32_t dev = core->input.id[row];
    struct sl_core_grant one;
    uint8_t bytes[SL_DECISION_BYTES];
    char hex[2 * SL_DECISION_BYTES + 1];
    char at[40];
    struct sl_buf line = {0};
    record(core, row, &one);
    sl_decision_bytes(one.record, bytes);
    sl_hex_encode(bytes, sizeof bytes, hex);
    sl_wall_format(core->now.wall, at);
    sl_buf_printf(&line, "{\"at\":\"%s\",\"tick_ns\":%lld,\"granted\":%s,\"device\":", at,
                  (long long)core->now.mono.ns, granted ? "true" : "false");
    put_text(&line, core->fleet.cold[dev].key);
    sl_buf_printf(&line, ",\"class\":");
    put_text(&line, core->classes[core->input.class[row]].name);
    sl_buf_printf(&line, ",\"policy\":\"%s\",\"policy_version\":\"%s\",\"record\":\"%s\"}",
                  core->policy->name, core->policy_version, hex);
    if (line.failed) {
        sl_buf_fini(&line);
        return;
    }
    sl_core_put(core, SL_CCMD_DECISION, 0)->command.line = line.data;
}

/* ---- carrying out ---- */

/* The batch that row's device shall serve; while prices are stale it keeps its own. */
static struct sl_core_batch *planned_batch(const struct sl_broker_core *core, uint32_t row,
                                           uint32_t dev) {
    if (core->plan.mode[row] != SL_MODE_INFER) {
        return NULL;
    }
    return core->plan.rule[row] == SL_RULE_HOLD ? core->fleet.batch[dev] : core->tick_batch[row];
}

/* The rule under which a new directive is due while there are lines for it, or NULL when all is as
 * it should be. */
static const char *wanted_rule(const struct sl_broker_core *core, uint32_t row, uint32_t dev,
                               const struct sl_core_batch *batch) {
    const struct sl_core_fleet *fleet = &core->fleet;
    bool infer = core->plan.mode[row] == SL_MODE_INFER;
    if (infer && !batch) {
        return NULL;
    }
    if (core->plan.mode[row] != core->input.present[row]) {
        return sl_rule_name((enum sl_rule)core->plan.rule[row]);
    }
    if (infer && batch != fleet->batch[dev]) {
        return "better-bid";
    }
    return infer && batch->row.bid_nusd_per_mtok != fleet->price[dev] ? "reprice" : NULL;
}

/* A grant of infer needs lines to go with it: others of this tick may have taken the last. */
static const char *due_rule(const struct sl_broker_core *core, uint32_t row, uint32_t dev,
                            const struct sl_core_batch *batch) {
    bool infer = core->plan.mode[row] == SL_MODE_INFER;
    bool lines = !infer || (batch && sl_core_batch_issuable(core, batch));
    return lines ? wanted_rule(core, row, dev, batch) : NULL;
}

/* A tick that has more to grant than may be under way goes on when what it granted is durable: the
 * rows before are as they should be by then, so that every device has its turn. */
static void apply(struct sl_broker_core *core) {
    struct sl_core_grant grant = {0};
    uint32_t granted = 0;
    for (uint32_t row = 0; row < core->plan.count; row++) {
        uint32_t dev = core->input.id[row];
        enum sl_rule rule = (enum sl_rule)core->plan.rule[row];
        grant.batch = planned_batch(core, row, dev);
        grant.rule = due_rule(core, row, dev, grant.batch);
        if (core->config.log_decisions && (grant.rule || core->input.span_ms[row] > 0)) {
            log_decision(core, row, grant.rule != NULL);
        }
        if (!grant.rule) {
            continue;
        }
        if (core->waiting.count >= 2 * SL_CORE_GRANTS_AT_ONCE ||
            granted++ == SL_CORE_GRANTS_AT_ONCE) {
            core->grants_wait = true;
            return;
        }
        record(core, row, &grant);
        grant.mode = (enum sl_mode)core->plan.mode[row];
        grant.by_price = rule == SL_RULE_THRESHOLD || rule == SL_RULE_IDLE ||
                         (rule >= SL_RULE_BAND && rule <= SL_RULE_LEASE_LEAVE);
        sl_core_explain(core, dev, row, grant.batch, grant.why, sizeof grant.why);
        sl_core_lease_grant(core, dev, &grant);
    }
}

/* The policy is asked about some rows at a time, so that what it remembers need not lie open for
 * all: a plan says of each row the same, whoever stands beside it. */
static void ask_policy(struct sl_broker_core *core, uint32_t first, uint32_t count) {
    struct sl_switching_device devices[ROWS_AT_ONCE];
    uint32_t ids[ROWS_AT_ONCE];
    struct sl_policy_input in = core->input;
    struct sl_plan plan = core->plan;
#define SHIFT_INPUT(type, name) in.name += first;
#define SHIFT_PLAN(type, name) plan.name += first;
#define SHIFT_MODES(type, name)                                                                    \
    for (int m = 0; m < SL_MODE_COUNT; m++) {                                                      \
        in.name[m] += first;                                                                       \
    }
    SL_POLICY_COLUMNS(SHIFT_INPUT)
    SL_POLICY_MODE_COLUMNS(SHIFT_MODES)
    SL_PLAN_COLUMNS(SHIFT_PLAN)
    for (uint32_t i = 0; i < count; i++) {
        ids[i] = i;
        sl_core_remembered_get(&core->switching, in.id[i], &devices[i]);
    }
    in.count = count;
    in.id = ids;
    core->policy->decide(&in, devices, &plan);
    for (uint32_t i = 0; i < count; i++) {
        if (in.span_ms[i] > 0) {
            sl_core_remembered_put(&core->switching, core->input.id[first + i], &devices[i]);
        }
    }
}

static void decide(struct sl_broker_core *core, uint32_t from) {
    core->plan.count = core->input.count;
    for (uint32_t first = from; first < core->input.count; first += ROWS_AT_ONCE) {
        uint32_t left = core->input.count - first;
        ask_policy(core, first, left < ROWS_AT_ONCE ? left : ROWS_AT_ONCE);
    }
    /* What the policy said: records are of that, whatever is laid over it. */
    for (uint32_t row = from; row < core->plan.count; row++) {
        core->decided[row][0] = core->plan.mode[row];
        core->decided[row][1] = core->plan.rule[row];
    }
}

/* The batch that the row's device shall serve by the plan. */
static struct sl_core_batch *note_plan(struct sl_broker_core *core, uint32_t row) {
    uint32_t dev = core->input.id[row];
    struct sl_core_batch *batch = planned_batch(core, row, dev);
    core->fleet.planned[dev] = core->plan.mode[row];
    if (batch) {
        batch->planned++;
    }
    return batch;
}

/* ---- a tick of few rows, and one of all ---- */

/* Of the rows from `first` on, only those stay that something is done with in this tick, or that
 * are asked for after it. Grants take lines and give some back, nothing else that a directive hangs
 * on: what does not want one now, lines or not, is not due later in the tick. */
static void sift(struct sl_broker_core *core, uint32_t first) {
    uint32_t kept = first;
    decide(core, first);
    for (uint32_t row = first; row < core->plan.count; row++) {
        uint32_t dev = core->input.id[row];
        const struct sl_core_batch *batch = note_plan(core, row);
        if (wanted_rule(core, row, dev, batch) ||
            sl_core_row_is_asked_for(core, dev, (enum sl_rule)core->plan.rule[row])) {
            sl_core_rows_move(core, row, kept++);
        } else {
            core->fleet.row[dev] = SL_CORE_NONE;
        }
    }
    core->input.count = kept;
    core->plan.count = kept;
}

/* Between two steps a row's plan needs no other row: the fleet is gone through in pieces. False
 * when a class that takes a step now has a device: it learns from all of them, so all must lie
 * open, and the tick begins anew; nothing was done yet. */
static bool plan_pieces(struct sl_broker_core *core) {
    bool steps = sl_core_classes_may_step(core);
    uint32_t first = 0; /* row that was not decided yet */
    begin_snapshot(core);
    for (uint32_t dev = 0; dev < core->fleet.count; dev++) {
        if (!take_row(core, dev)) {
            continue;
        }
        uint32_t row = core->input.count - 1;
        core->input.span_ms[row] = 0;
        if (steps && sl_core_class_is_due(core, core->input.class[row])) {
            return false;
        }
        if (core->input.count - first == ROWS_AT_ONCE) {
            sift(core, first);
            first = core->input.count;
        }
    }
    sift(core, first);
    return true;
}

static void plan_all(struct sl_broker_core *core) {
    for (uint32_t i = 0; i < core->batch_count; i++) {
        core->batches[i]->planned = 0;
    }
    begin_snapshot(core);
    sl_core_rows_reserve(core, core->fleet.count);
    for (uint32_t dev = 0; dev < core->fleet.count; dev++) {
        take_row(core, dev);
    }
    sl_core_classes_step(core);
    decide(core, 0);
    sl_core_power_limit(core); /* strike prices and caps outrank the plan */
    for (uint32_t row = 0; row < core->plan.count; row++) {
        note_plan(core, row);
    }
}

void sl_core_tick(struct sl_broker_core *core) {
    /* Caps and strike prices weigh all devices against each other, and say why by their rows. */
    bool limited = sl_core_power_limits(core);
    sl_core_rows_reserve(core, 1);
    collect_models(core);
    count_offering(core);
    choose_best(core);
    sl_core_rate_begin(core);
    if (limited || !plan_pieces(core)) {
        plan_all(core);
    }
    sl_core_rate_end(core);
    sl_core_pools_tick(core);
    apply(core);
    sl_core_pools_send(core);
    sl_core_remembered_fini(&core->switching_before);
    if (!limited) {
        sl_core_rows_drop(core);
    }
}
