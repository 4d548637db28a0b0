/* SPDX-License-Identifier: Apache-2.0
 * Shares with a final outcome: recorded once per (node, id), accepted ones credited at the
 * hashprice of the moment of the pool's answer. Share, posting and the remainder are one
 * transaction. */
#include <stdio.h>
#include <string.h>

#include "broker/core/core_internal.h"
#include "proto/base/mutant.h"
#include "proto/base/text.h"

/* Ids rise, and an agent resends what was not acknowledged: a window of bits below the highest one
 * tells exactly; what lies below the window was recorded long ago. */
bool sl_core_share_seen(struct sl_core_node *node, uint64_t id, bool mark) {
    if (id < node->share_floor || (node->share_high >= SL_CORE_SHARE_WINDOW &&
                                   id <= node->share_high - SL_CORE_SHARE_WINDOW)) {
        return true;
    }
    if (!node->share_bits) {
        if (!mark) {
            return false;
        }
        node->share_bits = sl_core_calloc(SL_CORE_SHARE_WINDOW / 64, sizeof(uint64_t));
    }
    if (id > node->share_high) {
        if (!mark) {
            return false;
        }
        uint64_t step = id - node->share_high;
        for (uint64_t i = 1; i <= step && i <= SL_CORE_SHARE_WINDOW; i++) {
            uint64_t bit = (node->share_high + i) % SL_CORE_SHARE_WINDOW;
            node->share_bits[bit / 64] &= ~(UINT64_C(1) << (bit % 64));
        }
        node->share_high = id;
    }
    uint64_t bit = id % SL_CORE_SHARE_WINDOW;
    uint64_t mask = UINT64_C(1) << (bit % 64);
    bool seen = (node->share_bits[bit / 64] & mask) != 0;
    if (mark) {
        node->share_bits[bit / 64] |= mask;
    }
    return seen;
}

/* floor(difficulty * 2^48 / 0xffff) for the largest difficulty that rounds to difficulty_nano: an
 * agent cannot claim more work than its pool's difficulty stands for. */
static uint64_t work_bound(uint64_t difficulty_nano) {
    unsigned __int128 hashes = ((unsigned __int128)difficulty_nano + 1) << 48;
    hashes /= (unsigned __int128)65535 * 1000000000;
    return hashes >= INT64_MAX ? (uint64_t)INT64_MAX : (uint64_t)hashes + 1;
}

static void credit(struct sl_broker_core *core, struct sl_share_row *row, uint64_t age_ms) {
    int64_t price = 0;
    if (!sl_core_hashprice_at(core, SL_MUTANT(share_at_present_price) ? 0 : age_ms, &price)) {
        sl_core_log(core, SL_LOG_WARN, "share.unpriced",
                    "node_key=%s share=%llu: no hashprice was ever read, credited 0", row->node_key,
                    (unsigned long long)row->share_id);
    }
    uint64_t bound = work_bound(row->difficulty_nano);
    if (row->work_hashes > bound) {
        sl_core_log(core, SL_LOG_WARN, "share.overclaimed", "node_key=%s share=%llu claimed=%llu",
                    row->node_key, (unsigned long long)row->share_id,
                    (unsigned long long)row->work_hashes);
        row->work_hashes = bound;
    }
    struct sl_nusd amount = {0};
    /* 2^63 hashes x 2^63 / 8.64e19 is below 2^63: it always fits. */
    int rc =
        sl_accrue(&core->hash_rem, (int64_t)row->work_hashes, price, SL_DENOM_HASH, &amount, NULL);
    sl_assert(rc == SL_OK);
    core->hash_rem_dirty = true;
    row->price_nusd_per_ph_day = price;
    row->amount_nusd = amount.v;
    char ref[2 * SL_MSG_KEY_MAX];
    snprintf(ref, sizeof ref, "%s/%llu", row->node_key, (unsigned long long)row->share_id);
    sl_core_transfer(core, SL_TRANSFER_SHARE, sl_core_account(core, "receivable:pool"),
                     sl_core_account(core, "revenue:hash"), amount.v, ref);
}

static void record(struct sl_broker_core *core, uint32_t node, const struct sl_msg_share *share) {
    if (share->outcome <= SL_SHARE_INVALID || share->outcome > SL_SHARE_UNKNOWN ||
        share->share_id > INT64_MAX || share->work_hashes > INT64_MAX ||
        (sl_core_share_seen(&core->nodes[node], share->share_id, true) &&
         !SL_MUTANT(share_credited_again))) {
        return;
    }
    struct sl_op op = {.kind = SL_OP_SHARE};
    struct sl_share_row *row = &op.share;
    sl_text_copy(row->node_key, sizeof row->node_key, core->nodes[node].key);
    sl_text_copy(row->device, sizeof row->device, share->device);
    row->share_id = share->share_id;
    row->outcome = share->outcome;
    row->code = share->code;
    row->work_hashes = share->work_hashes;
    row->difficulty_nano = share->difficulty_nano;
    uint64_t age_ms = share->age_ms < SL_MSG_SPAN_MS_MAX ? share->age_ms : SL_MSG_SPAN_MS_MAX;
    row->at.ms = core->now.wall.ms - (int64_t)age_ms;
    if (share->outcome == SL_SHARE_ACCEPTED) {
        credit(core, row, age_ms);
    }
    sl_core_op(core, &op);
    core->counters.shares[share->outcome]++;
    core->counters_dirty = true;
}

void sl_core_shares(struct sl_broker_core *core, uint32_t node,
                    const struct sl_msg_shares *shares) {
    uint32_t count = shares->share_count;
    if (count == 0) {
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        record(core, node, &shares->shares[i]);
    }
    uint64_t ticket = core->txn ? sl_core_ticket(core) : core->ticket;
    struct sl_core_item *item =
        sl_core_send(core, node, SL_MSG_RESULT_ACK,
                     SL_MUTANT(share_ack_before_durable) ? 0 : ticket, count * sizeof(uint64_t));
    struct sl_msg *msg = item->command.msg;
    uint64_t *ids = (uint64_t *)(msg + 1);
    for (uint32_t i = 0; i < count; i++) {
        ids[i] = shares->shares[i].share_id;
    }
    msg->result_ack.share_count = count;
    msg->result_ack.shares = ids;
}
