/* SPDX-License-Identifier: Apache-2.0
 * What the same machines would have earned with a fixed habit, beside what they did earn.
 *
 * always-hash: every device there hashes all the time at its measured rate, at the recorded
 * hashprice, before power. always-lease: the same batches arrive at the same times; from its
 * arrival each is served by all devices that offer its model, at their measured tokens/s and at the
 * batch's bid of the moment, best bid first; with no line left a device idles. How many tokens a
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

static void advance_hash(struct sl_broker_core *core, int64_t span_ms) {
    int64_t price = 0;
    if (sl_core_hashprice(core, &price) == SL_KNOWN_NO || price <= 0) {
        return;
    }
    price = price < PRICE_MAX ? price : PRICE_MAX;
    for (uint32_t dev = 0; dev < core->fleet.count; dev++) {
        uint64_t rate = core->fleet.hash_rate_hs[dev];
        if (!counts(core, dev) || rate == 0) {
            continue;
        }
        rate = rate < RATE_MAX ? rate : RATE_MAX;
        carry(&core->shadow_hash, &core->shadow_hash_rem, (sl_i128)rate * span_ms * price,
              DENOM_SHADOW_HASH);
        core->shadow_dirty = true;
    }
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

static int64_t rate_milli(const struct sl_core_report *report, const struct sl_core_batch *batch) {
    int64_t rate = sl_core_rate_milli(report, batch);
    return rate < (int64_t)RATE_MAX ? rate : (int64_t)RATE_MAX;
}

static void serve(struct sl_broker_core *core, uint32_t dev, int64_t span_ms) {
    const struct sl_core_report *report = &core->fleet.cold[dev].report;
    struct sl_core_batch *best = NULL;
    sl_i128 best_value = 0;
    int64_t best_rate = 0;
    for (uint32_t i = 0; i < core->batch_count; i++) {
        struct sl_core_batch *batch = core->batches[i];
        int64_t rate = left_milli(batch) > 0 ? rate_milli(report, batch) : 0;
        sl_i128 value = (sl_i128)rate * batch->row.bid_nusd_per_mtok;
        if (value > best_value) {
            best = batch;
            best_value = value;
            best_rate = rate;
        }
    }
    if (!best) {
        return;
    }
    int64_t left = left_milli(best);
    sl_i128 could = (sl_i128)best_rate * span_ms / 1000;
    int64_t done = could < left ? (int64_t)could : left;
    sl_i128 before = core->shadow_lease;
    carry(&core->shadow_lease, &core->shadow_lease_rem, (sl_i128)done * best->row.bid_nusd_per_mtok,
          DENOM_SHADOW_LEASE);
    best->shadow_milli += done;
    best->shadow_nusd += core->shadow_lease - before;
    core->shadow_dirty = true;
}

void sl_core_shadow_advance(struct sl_broker_core *core) {
    int64_t span_ms = (core->now.mono.ns - core->shadow_ns) / SL_NS_PER_MS;
    if (span_ms <= 0) {
        return;
    }
    core->shadow_ns += span_ms * SL_NS_PER_MS;
    span_ms = span_ms < SPAN_MS_MAX ? span_ms : SPAN_MS_MAX;
    advance_hash(core, span_ms);
    for (uint32_t dev = 0; dev < core->fleet.count && core->batch_count > 0; dev++) {
        if (counts(core, dev)) {
            serve(core, dev, span_ms);
        }
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
