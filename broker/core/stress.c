/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/core/stress.h"

#include <stdlib.h>
#include <string.h>

#include "broker/core/core_internal.h"
#include "broker/core/rates.h"

struct build {
    const struct sl_broker_core *core;
    struct sl_core_stress *out;
    const struct sl_core_batch *batches[SL_STRESS_COMMITS_MAX];
    uint32_t batch_count;
};

static bool is_counted(const struct sl_broker_core *core, uint32_t dev) {
    enum sl_core_device_state state = (enum sl_core_device_state)core->fleet.state[dev];
    return sl_core_node_up(core, core->fleet.node[dev]) && state != SL_DEVICE_LOST &&
           state != SL_DEVICE_UNPROVEN && !core->fleet.cold[dev].report.ill;
}

/* Best first, as the tick takes them; a simple insertion, for open batches are few. */
static void collect(struct build *b) {
    for (uint32_t i = 0; i < b->core->batch_count; i++) {
        const struct sl_core_batch *batch = b->core->batches[i];
        if (batch->row.state != SL_BATCH_IN_PROGRESS ||
            (batch->issued == 0 && !sl_core_batch_issuable(b->core, batch))) {
            continue;
        }
        uint32_t at = b->batch_count;
        while (at > 0 && sl_core_batch_beats(batch, b->batches[at - 1])) {
            at--;
        }
        b->out->commits_left_out += b->batch_count == SL_STRESS_COMMITS_MAX;
        uint32_t last =
            b->batch_count < SL_STRESS_COMMITS_MAX ? b->batch_count++ : SL_STRESS_COMMITS_MAX - 1;
        if (at > last) {
            continue;
        }
        memmove(&b->batches[at + 1], &b->batches[at], (last - at) * sizeof b->batches[0]);
        b->batches[at] = batch;
    }
}

struct space {
    char *base; /* NULL: only counted */
    size_t used;
};

static void *take(struct space *space, size_t count, size_t size) {
    void *column = space->base ? space->base + space->used : NULL;
    space->used += (count * size + 7) / 8 * 8;
    return column;
}

static size_t place(struct sl_core_stress *out, char *memory, size_t devices, size_t commits) {
    struct space at = {.base = memory};
    struct sl_stress_input *in = &out->in;
    in->hash_nusd_h = take(&at, devices, sizeof(int64_t));
    for (enum sl_mode mode = SL_MODE_IDLE; mode < SL_MODE_COUNT; mode++) {
        in->power_nusd_h[mode] = take(&at, devices, sizeof(int64_t));
    }
    in->use_ppm = take(&at, devices, sizeof(int64_t));
    in->tokens_s_milli = take(&at, devices * commits, sizeof(int64_t));
    in->commits = take(&at, commits, sizeof *in->commits);
    in->own = take(&at, devices, sizeof(uint32_t));
    in->held = take(&at, devices, 1);
    in->can_hash = take(&at, devices, 1);
    in->power_known = take(&at, devices, 1);
    out->use_known = take(&at, devices, 1);
    out->keys = take(&at, devices, sizeof *out->keys);
    out->batches = take(&at, commits, sizeof *out->batches);
    out->tenants = take(&at, commits, sizeof *out->tenants);
    struct sl_stress_side *sides[] = {&out->before, &out->after};
    for (size_t i = 0; i < 2; i++) {
        sides[i]->value = take(&at, devices, sizeof(int64_t));
        sides[i]->done_ms = take(&at, commits, sizeof(int64_t));
        sides[i]->mode = take(&at, devices, 1);
    }
    return at.used;
}

static void fill_commits(struct build *b, struct sl_now now) {
    const char *models[SL_STRESS_COMMITS_MAX];
    uint32_t model_count = 0;
    for (uint32_t c = 0; c < b->batch_count; c++) {
        const struct sl_core_batch *batch = b->batches[c];
        struct sl_stress_commit *commit = &b->out->in.commits[c];
        sl_i128 tokens = (sl_i128)batch->worst_total - batch->worst_done;
        if (batch->worst_done > 0) { /* bounds are by bytes: scaled by what was really seen */
            tokens = tokens * batch->row.tokens / batch->worst_done;
        }
        uint32_t model = 0;
        while (model < model_count && strcmp(models[model], batch->row.model) != 0) {
            model++;
        }
        models[model] = batch->row.model;
        model_count += model == model_count;
        uint32_t tenant = 0;
        while (tenant < c && strcmp(b->batches[tenant]->row.tenant, batch->row.tenant) != 0) {
            tenant++;
        }
        *commit = (struct sl_stress_commit){
            .bid_nusd_per_mtok = batch->row.bid_nusd_per_mtok,
            .tokens_left = tokens < 0           ? 0
                           : tokens > INT64_MAX ? INT64_MAX
                                                : (int64_t)tokens,
            .deadline_ms = batch->row.deadline.ms - now.wall.ms,
            .tenant = tenant,
            .model = model,
            .open = sl_core_batch_issuable(b->core, batch),
        };
        b->out->batches[c] = batch->row.id;
        b->out->tenants[c] = batch->row.tenant;
    }
}

static uint8_t held_in(const struct sl_broker_core *core, uint32_t dev) {
    enum sl_mode pinned = SL_MODE_INVALID;
    enum sl_policy_order order = sl_core_order(core, dev, &pinned);
    if (core->fleet.state[dev] == SL_DEVICE_FAULTY) {
        return SL_MODE_IDLE;
    }
    if (order == SL_ORDER_PIN) {
        return (uint8_t)pinned;
    }
    return order == SL_ORDER_NONE ? 0 : SL_MODE_IDLE;
}

/* The part of its measured time for which it was leased; measured for too short, all of it. */
static void fill_use(struct build *b, uint32_t row, uint32_t dev) {
    sl_i128 total = 0;
    struct sl_msg_device report;
    sl_core_report_get(b->core, dev, &report);
    for (enum sl_mode mode = SL_MODE_IDLE; mode < SL_MODE_COUNT; mode++) {
        total += report.busy_ms[mode];
    }
    bool known = total > 0 && total >= b->core->config.policy.stress.use_min_ms;
    b->out->use_known[row] = known;
    b->out->in.use_ppm[row] = SL_SHOCK_SAME;
    if (known) {
        sl_i128 leased = report.busy_ms[SL_MODE_INFER];
        b->out->in.use_ppm[row] = (int64_t)(leased * SL_SHOCK_SAME / total);
    }
}

static bool serves(const struct sl_broker_core *core, uint32_t dev,
                   const struct sl_core_batch *batch) {
    for (const struct sl_core_unit *unit = core->fleet.units[dev]; unit; unit = unit->next) {
        if (unit->batch == batch) {
            return true;
        }
    }
    return core->fleet.batch[dev] == batch && sl_core_batch_issuable(core, batch);
}

static void fill_device(struct build *b, uint32_t row, uint32_t dev) {
    const struct sl_broker_core *core = b->core;
    struct sl_stress_input *in = &b->out->in;
    const struct sl_core_report *report = &core->fleet.cold[dev].report;
    struct sl_core_offer offers[SL_MODE_COUNT];
    sl_core_offers(core, dev, offers);
    b->out->keys[row] = core->fleet.cold[dev].key;
    in->held[row] = held_in(core, dev);
    /* A pool's hiccup is no reason to count a miner as idle; a stale price is said to be one. */
    in->can_hash[row] =
        core->fleet.hash_rate_hs[dev] > 0 && b->out->hash_known != SL_CORE_PRICE_UNKNOWN;
    in->hash_nusd_h[row] = offers[SL_MODE_HASH].gross;
    in->own[row] = SL_STRESS_NONE;
    bool lease = false;
    for (uint32_t c = 0; c < b->batch_count; c++) {
        const struct sl_core_batch *batch = b->batches[c];
        if (batch == core->fleet.batch[dev] && serves(core, dev, batch)) {
            in->own[row] = c;
        }
        bool allowed =
            sl_core_batch_readable(core, dev, batch) && !sl_core_rate_refuses(core, dev, batch);
        int64_t rate = allowed ? sl_core_rate_milli(report, batch) : 0;
        in->tokens_s_milli[(uint64_t)c * in->count + row] = rate;
        lease = lease || rate > 0;
    }
    bool power = true;
    for (enum sl_mode mode = SL_MODE_IDLE; mode < SL_MODE_COUNT; mode++) {
        bool used = mode == SL_MODE_IDLE || (mode == SL_MODE_HASH ? in->can_hash[row] : lease);
        in->power_nusd_h[mode][row] = offers[mode].power;
        power = power && (!used || (offers[mode].bits & SL_OFFER_POWER));
    }
    in->power_known[row] = power;
    fill_use(b, row, dev);
}

static void fill_prices(struct build *b) {
    static const enum sl_core_price price[] = {SL_CORE_PRICE_UNKNOWN, SL_CORE_PRICE_STALE,
                                               SL_CORE_PRICE_FRESH};
    const struct sl_broker_core *core = b->core;
    b->out->hash_known = price[sl_core_hashprice(core, &b->out->hash_nusd_ph_day)];
    b->out->power_known = price[sl_core_tariff(core, &b->out->power_nusd_kwh)];
    b->out->power_fixed = core->config.power_nusd_per_kwh >= 0;
    const struct sl_stress_params *params = &core->config.policy.stress;
    b->out->in.fee_share_ppm = params->fee_share_ppm;
    b->out->in.fixed_nusd = params->fixed_nusd;
    b->out->in.debt_nusd = params->debt_nusd;
    b->out->in.cash_nusd = params->cash_nusd;
}

struct sl_core_stress *sl_core_stress_take(const struct sl_broker_core *core, struct sl_now now) {
    struct sl_core_stress *out = calloc(1, sizeof *out);
    if (!out) {
        return NULL;
    }
    struct build b = {.core = core, .out = out};
    for (uint32_t dev = 0; dev < core->fleet.count; dev++) {
        out->in.count += is_counted(core, dev);
    }
    out->devices_away = core->fleet.count - out->in.count;
    collect(&b);
    out->in.commit_count = b.batch_count;
    out->memory = calloc(1, place(out, NULL, out->in.count, b.batch_count) + 1);
    if (!out->memory) {
        free(out);
        return NULL;
    }
    place(out, out->memory, out->in.count, b.batch_count);
    fill_prices(&b);
    fill_commits(&b, now);
    uint32_t row = 0;
    for (uint32_t dev = 0; dev < core->fleet.count; dev++) {
        if (is_counted(core, dev)) {
            fill_device(&b, row++, dev);
        }
    }
    return out;
}

void sl_core_stress_destroy(struct sl_core_stress *stress) {
    if (stress) {
        free(stress->memory);
        free(stress);
    }
}

uint32_t sl_core_stress_tenant(const struct sl_core_stress *stress, const char *tenant) {
    for (uint32_t c = 0; c < stress->in.commit_count; c++) {
        if (strcmp(stress->tenants[c], tenant) == 0) {
            return stress->in.commits[c].tenant;
        }
    }
    return SL_SHOCK_NOBODY - 1;
}

const struct sl_policy_document *sl_core_document(const struct sl_broker_core *core) {
    return &core->config.policy;
}
