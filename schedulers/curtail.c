/* SPDX-License-Identifier: Apache-2.0 */
#include "schedulers/curtail.h"

#include "proto/base/mutant.h"

#define MINUTE_MS 60000

bool sl_curtail_step(const struct sl_curtail_params *params, int64_t strike, bool fresh,
                     int64_t price, int64_t now_ms, struct sl_curtail_class *class_) {
    sl_i128 low = (sl_i128)strike - params->resume_margin;
    bool wants = fresh && (class_->off ? (sl_i128)price <= low : price > strike);
    if (!wants) {
        class_->counting = false;
        return false;
    }
    if (!class_->counting) {
        class_->counting = true;
        class_->since_ms = now_ms;
    }
    int64_t window_ms = class_->off ? params->resume_ms : params->confirm_ms;
    window_ms = class_->off && SL_MUTANT(resume_without_window) ? 0 : window_ms;
    if (now_ms - class_->since_ms < window_ms) {
        return false;
    }
    class_->off = !class_->off;
    class_->counting = false;
    return true;
}

/* Fills the buckets for the time that has passed; they hold a minute's worth. */
static void fill(const struct sl_curtail_params *params, int64_t now_ms,
                 struct sl_curtail_ramp *ramp) {
    int64_t span_ms = ramp->begun ? now_ms - ramp->at_ms : MINUTE_MS;
    sl_i128 mw_max = (sl_i128)params->ramp_mw * MINUTE_MS;
    sl_i128 devices_max = (sl_i128)params->ramp_devices * MINUTE_MS;
    ramp->begun = true;
    ramp->at_ms = now_ms;
    ramp->mw += (sl_i128)params->ramp_mw * span_ms;
    ramp->devices += (sl_i128)params->ramp_devices * span_ms;
    ramp->mw = ramp->mw > mw_max ? mw_max : ramp->mw;
    ramp->devices = ramp->devices > devices_max ? devices_max : ramp->devices;
}

/* One device of so many mW; false: not now. */
static bool take(const struct sl_curtail_params *params, int64_t mw, struct sl_curtail_ramp *ramp) {
    sl_i128 cost = (sl_i128)mw * MINUTE_MS;
    bool full = ramp->mw >= (sl_i128)params->ramp_mw * MINUTE_MS;
    if ((params->ramp_mw > 0 && ramp->mw < cost && !full) ||
        (params->ramp_devices > 0 && ramp->devices < MINUTE_MS)) {
        return false;
    }
    ramp->mw -= params->ramp_mw > 0 ? cost : 0;
    ramp->devices -= params->ramp_devices > 0 ? MINUTE_MS : 0;
    return true;
}

void sl_curtail_apply(const struct sl_curtail_params *params, int64_t now_ms, int64_t room_mw,
                      struct sl_curtail_row *rows, uint32_t count, struct sl_merit *scratch_merits,
                      uint32_t *scratch_order, struct sl_curtail_ramp *ramp) {
    for (uint32_t i = 0; i < count; i++) {
        scratch_merits[i] = rows[i].merit;
    }
    sl_merit_sort(scratch_merits, count, scratch_order);
    fill(params, now_ms, ramp);
    for (uint32_t i = 0; i < count; i++) { /* off: the least worth first */
        struct sl_curtail_row *row = &rows[scratch_order[i]];
        int64_t mw = row->merit.mw > 0 ? row->merit.mw : 0;
        if (!row->wanted_off || row->off) {
            continue;
        }
        if (mw > room_mw || !take(params, mw, ramp)) {
            break; /* in order: a smaller one behind it does not overtake */
        }
        room_mw -= mw;
        row->off = true;
    }
    for (uint32_t i = count; i > 0; i--) { /* on: the most worth first */
        struct sl_curtail_row *row = &rows[scratch_order[i - 1]];
        if (row->wanted_off || !row->off) {
            continue;
        }
        if (!take(params, row->merit.mw > 0 ? row->merit.mw : 0, ramp)) {
            break;
        }
        row->off = false;
    }
}
