/* SPDX-License-Identifier: Apache-2.0
 * Filling a fresh core from the store, in the order of broker/shell/start.c. Rows come from our own
 * store, but may be damaged: one that does not fit is refused, and the start then fails by name. */
#include <stdio.h>
#include <string.h>

#include "broker/core/core_internal.h"
#include "proto/base/mutant.h"
#include "proto/base/text.h"

static const char *const meta_keys[] = {"hashprice",
                                        "counters",
                                        "rem.hash",
                                        "rem.power",
                                        "shadow.hash",
                                        "shadow.lease",
                                        "shadow.b0",
                                        "shadow.b1",
                                        "shadow.b2",
                                        "shadow.b3",
                                        "shadow.b4",
                                        "shadow.b5",
                                        "shadow.b6",
                                        "shadow.b7",
                                        "against.actual",
                                        "against.hash",
                                        "against.lease",
                                        "against.idle",
                                        "against.fbf",
                                        "against.work-function",
                                        "against.percent",
                                        "against.minimum-time",
                                        "against.greedy",
                                        "calibration",
                                        "energy",
                                        "carbon",
                                        "power.off",
                                        "claims",
                                        NULL};

const char *const *sl_broker_core_meta_keys(void) {
    return meta_keys;
}

static uint32_t node_of(struct sl_broker_core *core, const char *key, const char *name) {
    uint32_t node = sl_core_node_find(core, key);
    return node == SL_CORE_NONE ? sl_core_node_add(core, key, name) : node;
}

/* Sums of this size cannot be reached by adding, and leave room for it. */
static bool is_sum(sl_i128 sum) {
    return sum >= 0 && sum < (sl_i128)1 << 120;
}

int sl_broker_core_restore_device(struct sl_broker_core *core, const struct sl_device_row *row) {
    if (row->key[0] == '\0' || row->epoch_max > INT64_MAX) {
        return -SL_CORRUPT;
    }
    if (sl_core_device_find(core, row->key) != SL_CORE_NONE) {
        return -SL_EXISTS;
    }
    uint32_t dev = sl_core_device_add(core, row->key, node_of(core, row->node_key, row->node));
    core->fleet.epoch_max[dev] = row->epoch_max;
    core->fleet.epoch[dev] = row->epoch_max;
    core->fleet.cold[dev].first_seen = row->first_seen;
    return SL_OK;
}

int sl_broker_core_restore_override(struct sl_broker_core *core,
                                    const struct sl_override_row *row) {
    bool pin = row->kind == SL_OVERRIDE_PIN;
    if (row->subject[0] == '\0' || row->kind < SL_OVERRIDE_DRAIN || row->kind > SL_OVERRIDE_STOP ||
        (pin && row->mode == SL_MODE_INVALID)) {
        return -SL_CORRUPT;
    }
    if (!SL_MUTANT(order_forgotten)) {
        sl_core_override_put(core, row);
    }
    return SL_OK;
}

int sl_broker_core_restore_batch(struct sl_broker_core *core, const struct sl_batch_row *row) {
    if (sl_batch_state_is_final(row->state) || row->state == SL_BATCH_INVALID) {
        return SL_OK;
    }
    if (row->lines_total > SL_BATCH_LINES_MAX || row->lines_completed > row->lines_total ||
        row->lines_failed > row->lines_total - row->lines_completed || row->tokens < 0 ||
        row->tokens > INT64_MAX / 1000 || row->billed_nusd < 0 || row->bid_nusd_per_mtok < 0 ||
        row->bid_nusd_per_mtok > SL_BID_MAX_NUSD || row->accrual.rem < 0 ||
        row->accrual.rem >= SL_DENOM_TOKEN) {
        return -SL_CORRUPT;
    }
    if (sl_core_batch_find(core, row->id)) {
        return -SL_EXISTS;
    }
    struct sl_core_batch *batch = sl_core_batch_add(core, row);
    if (row->lines_total > 0) {
        sl_core_batch_lines(batch, row->lines_total);
    }
    /* The shadow was at least as far as the truth. */
    batch->shadow_milli = row->tokens * 1000;
    batch->shadow_nusd = row->billed_nusd;
    return SL_OK;
}

int sl_broker_core_restore_unit(struct sl_broker_core *core, const struct sl_unit_row *row) {
    struct sl_core_batch *batch = sl_core_batch_find(core, row->batch);
    if (row->unit_id == 0 || row->unit_id > INT64_MAX) {
        return -SL_CORRUPT;
    }
    core->unit_high = row->unit_id > core->unit_high ? row->unit_id : core->unit_high;
    if (!batch || SL_MUTANT(units_forgotten)) {
        return SL_OK; /* its batch is final: nothing can come of it */
    }
    bool fits = row->line_count > 0 && row->line_count <= SL_MSG_LINES_MAX &&
                row->reserved_nusd >= 0 && row->price_nusd_per_mtok >= 0 &&
                row->price_nusd_per_mtok <= SL_BID_MAX_NUSD &&
                !sl_core_unit_find(core, row->unit_id);
    for (uint32_t i = 0; i < row->line_count && fits; i++) {
        fits = row->lines[i] < batch->row.lines_total;
    }
    if (!fits) {
        return -SL_CORRUPT;
    }
    uint32_t dev = sl_core_device_find(core, row->device);
    uint32_t node = node_of(core, row->node_key, "?");
    struct sl_core_unit *unit = sl_core_unit_add(core, row, batch, dev, node);
    for (uint32_t i = 0; i < row->line_count && !row->closed; i++) {
        uint32_t line = row->lines[i];
        if (batch->line_state[line] == SL_CLINE_WAITING) {
            batch->line_state[line] = SL_CLINE_ISSUED;
            batch->line_unit[line] = unit->id;
            batch->waiting--;
            batch->issued++;
            unit->left++;
        }
    }
    return SL_OK;
}

int sl_broker_core_restore_result(struct sl_broker_core *core, const struct sl_result_row *row) {
    struct sl_core_batch *batch = sl_core_batch_find(core, row->batch);
    if (!batch || SL_MUTANT(done_lines_forgotten)) {
        return SL_OK;
    }
    if (row->line >= batch->row.lines_total) {
        return -SL_CORRUPT;
    }
    uint8_t *state = &batch->line_state[row->line];
    if (*state == SL_CLINE_WAITING) {
        batch->waiting--;
    } else if (*state == SL_CLINE_ISSUED) {
        struct sl_core_unit *unit = sl_core_unit_find(core, batch->line_unit[row->line]);
        unit->left--;
        batch->issued--;
        batch->line_unit[row->line] = 0;
    } else {
        return -SL_CORRUPT;
    }
    *state = row->status == SL_LINE_OK ? SL_CLINE_DONE : SL_CLINE_FAILED;
    batch->dim = row->status == SL_LINE_OK ? row->dim : batch->dim;
    return SL_OK;
}

int sl_broker_core_restore_share(struct sl_broker_core *core, const struct sl_share_ref *ref) {
    uint32_t at = node_of(core, ref->node_key, "?"); /* may move the table */
    struct sl_core_node *node = &core->nodes[at];
    sl_core_share_seen(node, ref->share_id, true);
    node->share_restored =
        ref->share_id < node->share_restored ? ref->share_id : node->share_restored;
    core->share_rows_restored++;
    return SL_OK;
}

int sl_broker_core_restore_account(struct sl_broker_core *core, const struct sl_account_row *row) {
    if (!is_sum(row->debits.v) || !is_sum(row->credits.v)) {
        return -SL_CORRUPT;
    }
    uint32_t at = sl_core_account(core, row->id); /* may move the table */
    core->accounts[at].debits.v = SL_MUTANT(budget_anew_at_restart) ? 0 : row->debits.v;
    core->accounts[at].credits = row->credits;
    return SL_OK;
}

static int restore_counters(struct sl_core_counters *c, const char *value) {
    unsigned long long n[8] = {0};
    int read = sscanf(value, "%llu %llu %llu %llu %llu %llu %llu %llu", &n[0], &n[1], &n[2], &n[3],
                      &n[4], &n[5], &n[6], &n[7]);
    if (read != 8) {
        return -SL_CORRUPT;
    }
    c->shares[SL_SHARE_ACCEPTED] = n[0];
    c->shares[SL_SHARE_STALE] = n[1];
    c->shares[SL_SHARE_REJECTED] = n[2];
    c->shares[SL_SHARE_UNKNOWN] = n[3];
    c->lines = n[4];
    c->tokens = n[5];
    c->switches = n[6];
    c->power_missing = n[7];
    return SL_OK;
}

static int restore_remainder(struct sl_accrual *accrual, const char *value, sl_i128 denominator) {
    sl_i128 rem = 0;
    if (sl_i128_parse(value, &rem) || rem < 0 || rem >= denominator) {
        return -SL_CORRUPT;
    }
    accrual->rem = rem;
    return SL_OK;
}

int sl_broker_core_restore_meta(struct sl_broker_core *core, const char *key, const char *value) {
    if (strcmp(key, "counters") == 0) {
        return restore_counters(&core->counters, value);
    }
    if (strcmp(key, "hashprice") == 0) {
        return sl_core_hashprice_restore(core, value);
    }
    if (strcmp(key, "calibration") == 0) {
        return sl_core_calibration_restore(core, value);
    }
    if (strcmp(key, "claims") == 0) {
        return sl_core_claims_restore(core, value);
    }
    if (strcmp(key, "rem.hash") == 0) {
        return SL_MUTANT(share_remainder_lost)
                   ? SL_OK
                   : restore_remainder(&core->hash_rem, value, SL_DENOM_HASH);
    }
    if (strcmp(key, "rem.power") == 0) {
        return restore_remainder(&core->power_rem, value, SL_CORE_DENOM_POWER);
    }
    int rc = sl_core_against_restore(core, key, value);
    rc = rc == -SL_NOTFOUND ? sl_core_power_restore(core, key, value) : rc;
    return rc == -SL_NOTFOUND ? sl_core_shadow_restore(core, key, value) : rc;
}

void sl_broker_core_restore_high(struct sl_broker_core *core, const struct sl_store_high *high) {
    core->unit_high = high->unit_id > core->unit_high ? high->unit_id : core->unit_high;
    core->epoch_floor = high->epoch_floor;
    core->transfer_high = high->transfer_id;
    core->share_rows = high->share_rows;
}
