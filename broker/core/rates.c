/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/core/rates.h"

#include <string.h>

#include "broker/core/core_internal.h"
#include "broker/core/model_file.h"
#include "proto/base/mutant.h"
#include "proto/base/text.h"
#include "schedulers/opportunity.h"

static const struct sl_rate *rate_of(const struct sl_broker_core *core, const char *class_,
                                     const char *model, const char *tenant) {
    const struct sl_policy_document *document = &core->config.policy;
    return sl_rate_card_find(document->rates, document->rate_count, model, class_, tenant);
}

static bool below(const struct sl_broker_core *core, const char *class_,
                  const struct sl_core_batch *batch) {
    const struct sl_rate *rate = rate_of(core, class_, batch->row.model, batch->row.tenant);
    return rate && batch->row.bid_nusd_per_mtok < rate->nusd_per_mtok;
}

bool sl_core_rate_refuses(const struct sl_broker_core *core, uint32_t dev,
                          const struct sl_core_batch *batch) {
    return core->config.policy.rate_count > 0 && below(core, sl_core_class_name(core, dev), batch);
}

static bool reads_tokens(const struct sl_broker_core *core, uint32_t dev) {
    return core->nodes[core->fleet.node[dev]].wire >= SL_WIRE_VERSION_TOKENS;
}

const char *sl_core_batch_bars(const struct sl_broker_core *core, uint32_t dev,
                               const struct sl_core_batch *batch) {
    if (batch->tokens && !SL_MUTANT(ids_for_old_agents) && !reads_tokens(core, dev)) {
        return "newer agent for token inputs";
    }
    return sl_core_file_fits(core, dev, batch) ? NULL
                                               : "model file that the batch began with (sha256)";
}

bool sl_core_batch_readable(const struct sl_broker_core *core, uint32_t dev,
                            const struct sl_core_batch *batch) {
    return !sl_core_batch_bars(core, dev, batch);
}

static bool may_serve(const struct sl_broker_core *core, uint32_t dev,
                      const struct sl_core_batch *batch) {
    return sl_core_batch_readable(core, dev, batch) && !sl_core_rate_refuses(core, dev, batch);
}

static struct sl_core_batch *best_of_model(const struct sl_broker_core *core, uint32_t dev,
                                           const char *model) {
    struct sl_core_batch *best = NULL;
    for (uint32_t i = 0; i < core->batch_count; i++) {
        struct sl_core_batch *other = core->batches[i];
        if (strcmp(other->row.model, model) == 0 && sl_core_batch_issuable(core, other) &&
            may_serve(core, dev, other) && (!best || sl_core_batch_pays_more(other, best))) {
            best = other;
        }
    }
    return best;
}

/* Where two meet in one slot, the later one stays: that costs time, and changes nothing. */
static struct sl_core_instead *slot_of(const struct sl_broker_core *core,
                                       const struct sl_core_instead *key) {
    const uintptr_t words[] = {(uintptr_t)key->class_, (uintptr_t)key->model, (uintptr_t)key->file,
                               key->tokens};
    uint64_t hash = 0;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        hash = (hash ^ words[i]) * UINT64_C(0x9e3779b97f4a7c15);
        hash ^= hash >> 32;
    }
    return &core->instead[hash % SL_CORE_INSTEAD];
}

/* Every device asks in a tick, and the site may have thousands of batches: whatever keeps a device
 * from one of them is the same for all of its kind (may_serve). */
struct sl_core_batch *sl_core_rate_batch(const struct sl_broker_core *core, uint32_t dev,
                                         struct sl_core_batch *batch) {
    if (!batch || may_serve(core, dev, batch)) {
        return batch;
    }
    const struct sl_core_report *report = &core->fleet.cold[dev].report;
    const struct sl_core_model *model = sl_core_model_of(report, batch->row.model);
    if (!model || !core->planning) {
        return model ? best_of_model(core, dev, model->id) : NULL;
    }
    struct sl_core_instead key = {.tick = core->rate_tick,
                                  .class_ = report->name,
                                  .model = model->id,
                                  .file = model->file,
                                  .tokens = reads_tokens(core, dev)};
    struct sl_core_instead *slot = slot_of(core, &key);
    bool found = slot->tick == key.tick && slot->class_ == key.class_ && slot->model == key.model &&
                 slot->file == key.file && slot->tokens == key.tokens;
    if (!found) {
        key.batch = best_of_model(core, dev, model->id);
        *slot = key;
    }
    return slot->batch;
}

void sl_core_rate_begin(struct sl_broker_core *core) {
    core->rate_tick++;
    core->planning = true;
}

void sl_core_rate_end(struct sl_broker_core *core) {
    core->planning = false;
}

/* ---- for screens ---- */

static bool same_class(const struct sl_broker_core *core, uint32_t a, uint32_t b) {
    return core->fleet.cold[a].report.name == core->fleet.cold[b].report.name; /* kept once */
}

static int model_at(const struct sl_core_report *report, const char *model) {
    for (uint32_t i = 0; i < report->model_count; i++) {
        if (strcmp(sl_core_models(report)[i].id, model) == 0) {
            return (int)i;
        }
    }
    return -1;
}

/* Pairs of class and model, in the order in which devices show them. */
#define PAIRS_MAX 256
struct pair {
    const char *name, *model; /* each text is kept once: compared by address */
};

static bool is_new(const struct pair *pairs, uint32_t count, const struct pair *pair) {
    for (uint32_t i = 0; i < count; i++) {
        if (pairs[i].name == pair->name && pairs[i].model == pair->model) {
            return false;
        }
    }
    return count < PAIRS_MAX;
}

static void add_devices(const struct sl_broker_core *core, uint32_t first,
                        struct sl_view_rate *view) {
    sl_i128 sum = 0, by_length[SL_LENGTHS] = {0};
    uint32_t measured = 0, measured_length[SL_LENGTHS] = {0};
    for (uint32_t dev = first; dev < core->fleet.count; dev++) {
        const struct sl_core_report *report = &core->fleet.cold[dev].report;
        int at = same_class(core, dev, first) ? model_at(report, view->model) : -1;
        if (at < 0) {
            continue;
        }
        view->devices++;
        sum += sl_core_models(report)[at].tokens_per_s_milli;
        measured += sl_core_models(report)[at].tokens_per_s_milli > 0;
        const uint64_t *rates = sl_core_length_rates(&sl_core_models(report)[at]);
        for (uint32_t k = 0; k < SL_LENGTHS; k++) {
            by_length[k] += rates[k];
            measured_length[k] += rates[k] > 0;
        }
    }
    for (uint32_t k = 0; k < SL_LENGTHS; k++) {
        view->length_s_milli[k] =
            measured_length[k] ? (int64_t)(by_length[k] / measured_length[k]) : 0;
    }
    view->tokens_s_milli = measured ? (int64_t)(sum / measured) : 0;
}

static void add_bids(const struct sl_broker_core *core, struct sl_view_rate *view) {
    for (uint32_t i = 0; i < core->batch_count; i++) {
        const struct sl_core_batch *batch = core->batches[i];
        if (batch->row.state != SL_BATCH_IN_PROGRESS ||
            strcmp(batch->row.model, view->model) != 0) {
            continue;
        }
        if (batch->row.bid_nusd_per_mtok > view->best_nusd_mtok) {
            view->best_nusd_mtok = batch->row.bid_nusd_per_mtok;
        }
        view->refused += below(core, view->class_, batch);
    }
}

bool sl_view_rate_get(const struct sl_broker_core *core, uint32_t index,
                      struct sl_view_rate *ret_view) {
    struct pair pairs[PAIRS_MAX];
    uint32_t count = 0;
    for (uint32_t dev = 0; dev < core->fleet.count; dev++) {
        const struct sl_core_report *report = &core->fleet.cold[dev].report;
        for (uint32_t m = 0; m < report->model_count; m++) {
            struct pair pair = {report->name, sl_core_models(report)[m].id};
            if (!is_new(pairs, count, &pair)) {
                continue;
            }
            pairs[count++] = pair;
            if (index-- > 0) {
                continue;
            }
            struct sl_view_rate view = {.rate_nusd_mtok = -1, .best_nusd_mtok = -1};
            sl_text_copy(view.class_, sizeof view.class_, sl_core_class_name(core, dev));
            sl_text_copy(view.model, sizeof view.model, sl_core_models(report)[m].id);
            /* No tenant has an empty name: only rows for every tenant count. */
            const struct sl_rate *rate = rate_of(core, view.class_, view.model, "");
            view.rate_nusd_mtok = rate ? rate->nusd_per_mtok : -1;
            add_devices(core, dev, &view);
            add_bids(core, &view);
            view.rate_nusd_hour = sl_opportunity_lease(view.rate_nusd_mtok, view.tokens_s_milli);
            view.best_nusd_hour = sl_opportunity_lease(view.best_nusd_mtok, view.tokens_s_milli);
            *ret_view = view;
            return true;
        }
    }
    return false;
}
