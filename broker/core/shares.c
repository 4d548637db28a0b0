/* SPDX-License-Identifier: Apache-2.0
 * Shares with a final outcome: recorded once per (node, id), accepted ones credited at the
 * hashprice of the moment of the pool's answer. Share, posting and the remainder are one
 * transaction. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/core/core_internal.h"
#include "proto/base/mutant.h"
#include "proto/base/text.h"

/* An id's upper half is the number of the agent's start; each start has a window of its own, since
 * shares of an earlier one may still come when those of a later one are here. NULL: so many later
 * ones are known that this one's were recorded long ago. */
static struct sl_core_share_window *window_of(struct sl_core_node *node, uint64_t start) {
    struct sl_core_share_window *oldest = &node->share_windows[0];
    for (uint32_t i = 0; i < node->share_window_count; i++) {
        struct sl_core_share_window *window = &node->share_windows[i];
        if (window->start == start) {
            return window;
        }
        oldest = window->start < oldest->start ? window : oldest;
    }
    if (node->share_window_count < SL_CORE_SHARE_STARTS) {
        oldest = &node->share_windows[node->share_window_count++];
        oldest->bits = sl_core_calloc(SL_CORE_SHARE_WINDOW / 64, sizeof(uint64_t));
    } else if (oldest->start > start) {
        return NULL;
    } else {
        memset(oldest->bits, 0, SL_CORE_SHARE_WINDOW / 8);
    }
    oldest->start = start;
    oldest->high = start << 32;
    return oldest;
}

void sl_core_share_windows_fini(struct sl_core_node *node) {
    for (uint32_t i = 0; i < node->share_window_count; i++) {
        free(node->share_windows[i].bits);
    }
    node->share_window_count = 0;
}

/* Within a start ids rise, and an agent resends what was not acknowledged, never far behind what it
 * sends first: bits below the highest one tell exactly; what lies below them was recorded. */
bool sl_core_share_seen(struct sl_core_node *node, uint64_t id, bool mark) {
    struct sl_core_share_window *window = id < node->share_floor ? NULL : window_of(node, id >> 32);
    if (!window || (window->high - (window->start << 32) >= SL_CORE_SHARE_WINDOW &&
                    id <= window->high - SL_CORE_SHARE_WINDOW)) {
        return true;
    }
    if (id > window->high) {
        if (!mark) {
            return false;
        }
        uint64_t step = id - window->high;
        for (uint64_t i = 1; i <= step && i <= SL_CORE_SHARE_WINDOW; i++) {
            uint64_t bit = (window->high + i) % SL_CORE_SHARE_WINDOW;
            window->bits[bit / 64] &= ~(UINT64_C(1) << (bit % 64));
        }
        window->high = id;
    }
    uint64_t bit = id % SL_CORE_SHARE_WINDOW;
    uint64_t mask = UINT64_C(1) << (bit % 64);
    bool seen = (window->bits[bit / 64] & mask) != 0;
    if (mark) {
        window->bits[bit / 64] |= mask;
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
    /* A device that the broker never heard of (it was restored from a backup) is nobody else's. */
    uint32_t dev = sl_core_device_find(core, share->device);
    if (dev != SL_CORE_NONE && core->fleet.node[dev] != node) {
        sl_core_foreign(core, node, "share", share->device, core->fleet.node[dev]);
        return;
    }
    struct sl_op op = {.kind = SL_OP_SHARE};
    struct sl_share_row *row = &op.share;
    sl_text_copy(row->node_key, sizeof row->node_key, core->nodes[node].key);
    sl_text_copy(row->device, sizeof row->device, share->device);
    sl_text_copy(row->pool, sizeof row->pool, sl_core_pool_booking(core, share->pool));
    row->share_id = share->share_id;
    row->outcome = share->outcome;
    row->code = share->code;
    row->work_hashes = share->work_hashes;
    row->difficulty_nano = share->difficulty_nano;
    uint64_t age_ms = share->age_ms < SL_MSG_SPAN_MS_MAX ? share->age_ms : SL_MSG_SPAN_MS_MAX;
    row->at.ms = core->now.wall.ms - (int64_t)age_ms;
    bool plausible = true;
    if (share->outcome == SL_SHARE_ACCEPTED) {
        credit(core, row, age_ms);
        plausible = !sl_core_claims_share(core, node, dev, row);
    }
    sl_core_op(core, &op);
    sl_core_pool_booked(core, row, plausible);
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
