/* SPDX-License-Identifier: Apache-2.0
 * What the same machines would have earned with a fixed habit, beside what they did earn.
 *
 * always-hash: every device there hashes all the time at its measured rate, at the recorded
 * hashprice, before power. always-lease: the same batches arrive at the same times; from its
 * arrival each is served by all devices that offer its model, at their measured tokens/s and at the
 * batch's bid of the moment, best pay first; with no line left a device idles. The batches of a
 * model are put in order once a step, by the speed of the first device that has it, as the tick
 * does it (decide.c): a device takes the first that has tokens left, of the model that pays it the
 * most. So a step costs devices + batches, not their product. How many tokens a
 * batch has is known only when its lines are done; until then it is the sum of their upper bounds,
 * scaled by how far the bounds of the finished lines were off. When a batch is final the shadow is
 * corrected to the tokens that it really had, if all its lines were done.
 *
 * Both are integrals over steps between events, exact in integers, with remainders kept. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/core/core_internal.h"
#include "proto/base/text.h"

/* rate (H/s) x ms x price (nUSD per PH/s per day) */
#define DENOM_SHADOW_HASH (SL_DENOM_HASH * 1000)
/* milli-tokens x nUSD/Mtok */
#define DENOM_SHADOW_LEASE (SL_DENOM_TOKEN * 1000)
#define SPAN_MS_MAX 60000 /* longer steps are a suspended machine, not work */
/* 2^50 a second is 1 PH/s, far above any device. With a step below 2^16 ms and a price below 2^60
 * every product stays below 2^126. */
#define RATE_MAX (UINT64_C(1) << 50)
#define PRICE_MAX (INT64_C(1) << 60)
#define PRODUCT_MAX ((sl_i128)1 << 126)
#define SWEEP_NS SL_NS_PER_S /* sweeps come up to a thousand times a second */

static bool counts(const struct sl_broker_core *core, uint32_t dev) {
    uint8_t state = core->fleet.state[dev];
    return sl_core_node_up(core, core->fleet.node[dev]) && state != SL_DEVICE_UNPROVEN &&
           state != SL_DEVICE_LOST && state != SL_DEVICE_FAULTY;
}

static void carry(sl_i128 *sum, sl_i128 *rem, sl_i128 add, sl_i128 denominator) {
    sl_i128 total = *rem + add;
    *sum += total / denominator;
    *rem = total % denominator;
}

static void add_hash(struct sl_broker_core *core, sl_i128 rates, int64_t span_ms, int64_t price) {
    if (rates > 0) {
        carry(&core->shadow_hash, &core->shadow_hash_rem, rates * span_ms * price,
              DENOM_SHADOW_HASH);
        core->shadow_dirty = true;
    }
}

/* The rates are added up first, as far as there is room: a division for each device would be most
 * of the work, and the remainder makes the sum the same. */
static void advance_hash(struct sl_broker_core *core, int64_t span_ms) {
    int64_t price = 0;
    if (sl_core_hashprice(core, &price) == SL_KNOWN_NO || price <= 0) {
        return;
    }
    price = price < PRICE_MAX ? price : PRICE_MAX;
    const sl_i128 most = PRODUCT_MAX / ((sl_i128)span_ms * price);
    sl_i128 rates = 0;
    for (uint32_t dev = 0; dev < core->fleet.count; dev++) {
        uint64_t rate = core->fleet.hash_rate_hs[dev];
        if (rate == 0 || !counts(core, dev)) {
            continue;
        }
        rate = rate < RATE_MAX ? rate : RATE_MAX;
        if (rates + rate > most) {
            add_hash(core, rates, span_ms, price);
            rates = 0;
        }
        rates += rate;
    }
    add_hash(core, rates, span_ms, price);
}

/* Tokens x 1000 that the batch is believed to have. */
static int64_t tokens_milli(const struct sl_core_batch *batch) {
    sl_i128 tokens = batch->worst_total;
    if (batch->worst_done > 0) {
        tokens = tokens * batch->row.tokens / batch->worst_done;
    }
    tokens *= 1000;
    return tokens > INT64_MAX ? INT64_MAX : (int64_t)tokens;
}

int64_t sl_core_shadow_tokens_left(const struct sl_core_batch *batch) {
    int64_t left = tokens_milli(batch) / 1000 - batch->row.tokens;
    return batch->lines_known && left > 0 ? left : 0;
}

static int64_t left_milli(const struct sl_core_batch *batch) {
    bool served = batch->row.state == SL_BATCH_IN_PROGRESS && batch->lines_known;
    int64_t left = served ? tokens_milli(batch) - batch->shadow_milli : 0;
    return left > 0 ? left : 0;
}

/* ---- always-lease: one step ---- */

struct open_batch { /* has tokens left */
    struct sl_core_batch *batch;
    const char *model;  /* names.c: compared by address */
    uint32_t age;       /* its place among the open ones, oldest first */
    int64_t left, done; /* tokens x 1000 */
    sl_i128 worth;      /* for the device that its model is judged by */
};

struct queue { /* batches of one model */
    const char *model;
    uint32_t next, end; /* in the list */
    bool ordered;       /* best first, since a device was there to judge by */
};

struct work {
    struct open_batch *list; /* [count], those of a model beside each other */
    struct queue *queues;    /* [queue_count], none of them empty */
    uint32_t count, queue_count;
};

/* By name, not by address: the order must be the same in every run. */
static int by_model(const void *a, const void *b) {
    const struct open_batch *x = a;
    const struct open_batch *y = b;
    int order = x->model == y->model ? 0 : strcmp(x->model, y->model);
    return order ? order : (x->age > y->age) - (x->age < y->age);
}

static int by_worth(const void *a, const void *b) {
    const struct open_batch *x = a;
    const struct open_batch *y = b;
    int order = (x->worth < y->worth) - (x->worth > y->worth);
    return order ? order : (x->age > y->age) - (x->age < y->age);
}

/* A model that no device names has no queue: nobody could serve it. */
static void list_work(const struct sl_broker_core *core, struct work *work) {
    work->list = sl_core_calloc(core->batch_count, sizeof *work->list);
    for (uint32_t i = 0; i < core->batch_count; i++) {
        struct sl_core_batch *batch = core->batches[i];
        int64_t left = left_milli(batch);
        const char *model = left > 0 ? sl_core_name_find(core, batch->row.model) : NULL;
        if (model) {
            work->list[work->count++] =
                (struct open_batch){.batch = batch, .model = model, .age = i, .left = left};
        }
    }
    qsort(work->list, work->count, sizeof *work->list, by_model);
    work->queues = sl_core_calloc(work->count, sizeof *work->queues);
    for (uint32_t i = 0; i < work->count; i++) {
        if (i == 0 || work->list[i].model != work->list[i - 1].model) {
            work->queues[work->queue_count++] =
                (struct queue){.model = work->list[i].model, .next = i};
        }
        work->queues[work->queue_count - 1].end = i + 1;
    }
}

static const struct sl_core_model *measured(const struct sl_core_report *report, const char *id) {
    const struct sl_core_model *models = sl_core_models(report);
    for (uint32_t i = 0; i < report->model_count; i++) {
        if (models[i].id == id) {
            bool known = models[i].tokens_per_s_milli > 0 ||
                         sl_throughput_by_length(sl_core_length_rates(&models[i]));
            return known ? &models[i] : NULL;
        }
    }
    return NULL;
}

static int64_t rate_milli(const struct sl_core_model *model, const struct sl_core_batch *batch) {
    int64_t rate = sl_throughput_mix_milli(sl_core_length_rates(model), model->tokens_per_s_milli,
                                           &batch->lengths.mix);
    return rate < (int64_t)RATE_MAX ? rate : (int64_t)RATE_MAX;
}

static void order(struct work *work, struct queue *queue, const struct sl_core_model *model) {
    for (uint32_t i = queue->next; i < queue->end; i++) {
        struct open_batch *item = &work->list[i];
        item->worth = (sl_i128)rate_milli(model, item->batch) * item->batch->row.bid_nusd_per_mtok;
    }
    qsort(&work->list[queue->next], queue->end - queue->next, sizeof *work->list, by_worth);
    queue->ordered = true;
}

/* The device's time goes to what pays it the most; of equals to the oldest. */
static void serve(struct work *work, const struct sl_core_report *report, int64_t span_ms) {
    struct queue *best = NULL;
    sl_i128 best_value = 0;
    int64_t best_rate = 0;
    for (uint32_t i = 0; i < work->queue_count; i++) {
        struct queue *queue = &work->queues[i];
        const struct sl_core_model *model = measured(report, queue->model);
        if (model && !queue->ordered) {
            order(work, queue, model);
        }
        const struct open_batch *first = &work->list[queue->next];
        int64_t rate = model ? rate_milli(model, first->batch) : 0;
        sl_i128 value = (sl_i128)rate * first->batch->row.bid_nusd_per_mtok;
        bool older = best && value == best_value && first->age < work->list[best->next].age;
        if (value > best_value || older) {
            best = queue;
            best_value = value;
            best_rate = rate;
        }
    }
    if (!best) {
        return;
    }
    struct open_batch *item = &work->list[best->next];
    /* rate x span / 1000 without 128 bits: a rate is below 2^50, a span below 2^16 */
    int64_t could = best_rate / 1000 * span_ms + best_rate % 1000 * span_ms / 1000;
    int64_t done = could < item->left ? could : item->left;
    item->done += done;
    item->left -= done;
    if (item->left == 0 && ++best->next == best->end) {
        *best = work->queues[--work->queue_count];
    }
}

/* Once for each batch: the tokens are below 2^63 and a bid below 2^50. */
static void add_lease(struct sl_broker_core *core, const struct open_batch *item) {
    sl_i128 before = core->shadow_lease;
    carry(&core->shadow_lease, &core->shadow_lease_rem,
          (sl_i128)item->done * item->batch->row.bid_nusd_per_mtok, DENOM_SHADOW_LEASE);
    item->batch->shadow_milli += item->done;
    item->batch->shadow_nusd += core->shadow_lease - before;
    core->shadow_dirty = core->shadow_dirty || item->done > 0;
}

static void advance_lease(struct sl_broker_core *core, int64_t span_ms) {
    struct work work = {0};
    if (core->batch_count == 0) {
        return;
    }
    list_work(core, &work);
    for (uint32_t dev = 0; dev < core->fleet.count && work.queue_count > 0; dev++) {
        if (counts(core, dev)) {
            serve(&work, &core->fleet.cold[dev].report, span_ms);
        }
    }
    for (uint32_t i = 0; i < work.count; i++) {
        add_lease(core, &work.list[i]);
    }
    free(work.list);
    free(work.queues);
}

void sl_core_shadow_advance(struct sl_broker_core *core) {
    int64_t span_ms = (core->now.mono.ns - core->shadow_ns) / SL_NS_PER_MS;
    if (span_ms <= 0) {
        return;
    }
    core->shadow_ns += span_ms * SL_NS_PER_MS;
    span_ms = span_ms < SPAN_MS_MAX ? span_ms : SPAN_MS_MAX;
    advance_hash(core, span_ms);
    advance_lease(core, span_ms);
}

void sl_core_shadow_sweep(struct sl_broker_core *core) {
    if (core->now.mono.ns - core->shadow_ns >= SWEEP_NS) {
        sl_core_shadow_advance(core);
    }
}

/* The batch leaves: had it more tokens than the shadow thought, the rest would have been served as
 * well; had it fewer, they were never there. Lines that nobody finished stay an estimate. */
void sl_core_shadow_settle(struct sl_broker_core *core, struct sl_core_batch *batch) {
    bool all_done = batch->row.state == SL_BATCH_COMPLETED;
    sl_i128 real_milli = (sl_i128)batch->row.tokens * 1000;
    if (!all_done || real_milli == batch->shadow_milli) {
        return;
    }
    sl_i128 average = batch->shadow_milli > 0
                          ? batch->shadow_nusd * DENOM_SHADOW_LEASE / batch->shadow_milli
                          : (sl_i128)batch->row.bid_nusd_per_mtok;
    core->shadow_lease += (real_milli - batch->shadow_milli) * average / DENOM_SHADOW_LEASE;
    core->shadow_dirty = true;
}

static const char *const slot_keys[SL_CORE_SHADOW_SLOTS] = {"shadow.b0", "shadow.b1", "shadow.b2",
                                                            "shadow.b3", "shadow.b4", "shadow.b5",
                                                            "shadow.b6", "shadow.b7"};

void sl_core_shadow_metas(struct sl_broker_core *core) {
    core->shadow_stored_ns = core->now.mono.ns;
    if (!core->shadow_dirty) {
        return;
    }
    core->shadow_dirty = false;
    char sum[48];
    char rem[48];
    sl_core_op_meta(core, "shadow.hash", "%s %s", sl_i128_format(core->shadow_hash, sum),
                    sl_i128_format(core->shadow_hash_rem, rem));
    sl_core_op_meta(core, "shadow.lease", "%s %s", sl_i128_format(core->shadow_lease, sum),
                    sl_i128_format(core->shadow_lease_rem, rem));
    for (uint32_t i = 0; i < SL_CORE_SHADOW_SLOTS && i < core->batch_count; i++) {
        const struct sl_core_batch *batch = core->batches[i];
        sl_core_op_meta(core, slot_keys[i], "%s %lld %s", batch->row.id,
                        (long long)batch->shadow_milli, sl_i128_format(batch->shadow_nusd, sum));
    }
}

/* What no sum reaches, so that it can be counted with: far more money than there is. */
static bool is_sane(sl_i128 sum) {
    const sl_i128 most = (sl_i128)1 << 80;
    return sum > -most && sum < most;
}

static bool two_sums(const char *value, sl_i128 *ret_sum, sl_i128 *ret_rem) {
    char sum[48];
    char rem[48];
    return sscanf(value, "%47s %47s", sum, rem) == 2 && sl_i128_parse(sum, ret_sum) == SL_OK &&
           sl_i128_parse(rem, ret_rem) == SL_OK && is_sane(*ret_sum) && is_sane(*ret_rem);
}

/* The core is whole: what the slots say goes to their batches. */
void sl_core_shadow_start(struct sl_broker_core *core) {
    core->shadow_ns = core->now.mono.ns;
    core->shadow_stored_ns = core->now.mono.ns;
    for (int i = 0; i < SL_CORE_SHADOW_SLOTS; i++) {
        const struct sl_core_shadow_slot *slot = &core->shadow_slots[i];
        struct sl_core_batch *batch = sl_core_batch_find(core, slot->batch);
        if (batch && slot->milli > batch->shadow_milli) {
            batch->shadow_milli = slot->milli;
            batch->shadow_nusd = slot->nusd;
        }
    }
}

int sl_core_shadow_restore(struct sl_broker_core *core, const char *key, const char *value) {
    if (strcmp(key, "shadow.hash") == 0) {
        bool read = two_sums(value, &core->shadow_hash, &core->shadow_hash_rem);
        return read ? SL_OK : -SL_CORRUPT;
    }
    if (strcmp(key, "shadow.lease") == 0) {
        bool read = two_sums(value, &core->shadow_lease, &core->shadow_lease_rem);
        return read ? SL_OK : -SL_CORRUPT;
    }
    for (int i = 0; i < SL_CORE_SHADOW_SLOTS; i++) {
        if (strcmp(key, slot_keys[i]) != 0) {
            continue;
        }
        char id[SL_ID_MAX];
        char nusd[48];
        long long milli = 0;
        struct sl_core_shadow_slot *slot = &core->shadow_slots[i];
        if (sscanf(value, "%39s %lld %47s", id, &milli, nusd) == 3 &&
            sl_i128_parse(nusd, &slot->nusd) == SL_OK && is_sane(slot->nusd) && milli >= 0) {
            sl_text_copy(slot->batch, sizeof slot->batch, id);
            slot->milli = milli;
            return SL_OK;
        }
        return -SL_CORRUPT;
    }
    return -SL_NOTFOUND;
}
