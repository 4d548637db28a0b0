/* SPDX-License-Identifier: Apache-2.0
 * The work function algorithm for metrical task systems (Borodin, Linial, Saks, J. ACM 39(4),
 * 1992): w(s) is the least loss with which any schedule could be in s by now; leave once staying
 * has cost a whole switch more than the best: w(present) >= min w + D. No parameter, and at most
 * 2n - 1 times the loss of the optimum for n modes; it knows nothing of noise or of leases. */
#include "schedulers/switching.h"

#include <stdbool.h>

/* Work is kept in nano-USD x 3600, so that a rate times whole seconds stays whole; only differences
 * count, and the smallest is taken off after each step. */
#define SCALE 3600
#define COST_MAX (INT64_MAX / SCALE / 4)

static int64_t quoted(const struct sl_switching_step *step, uint32_t mode) {
    return step->gross_nusd_h[mode] - step->known_nusd_h[mode];
}

static bool possible(const struct sl_switching_step *step, uint32_t mode) {
    return step->possible >> mode & 1;
}

/* A switch, whatever the pair: the dearest that is possible. */
static int64_t cost_of(const struct sl_switching_view *view, const struct sl_switching_step *step) {
    int64_t cost = 0;
    for (uint32_t m = 0; m < view->modes.count; m++) {
        cost = possible(step, m) && step->switch_nusd[m] > cost ? step->switch_nusd[m] : cost;
    }
    return (cost < COST_MAX ? cost : COST_MAX) * SCALE;
}

static int64_t bounded(__int128 work, int64_t most) {
    return work < most ? (int64_t)work : most;
}

static uint8_t work_decide(const struct sl_switching_params *params,
                           const struct sl_switching_view *view, struct sl_switching_device *device,
                           const struct sl_switching_step *step,
                           struct sl_switching_reason *ret_reason) {
    (void)params;
    int64_t cost = cost_of(view, step);
    uint8_t best = SL_SWITCHING_NONE;  /* by quote */
    uint8_t least = SL_SWITCHING_NONE; /* by work */
    __int128 work[SL_SWITCHING_MODES];
    for (uint8_t m = 0; m < view->modes.count; m++) {
        bool better = best == SL_SWITCHING_NONE || quoted(step, m) > quoted(step, best);
        best = possible(step, m) && better ? m : best;
    }
    *ret_reason = (struct sl_switching_reason){.rule = SL_SWITCHING_STAY, .best = best};
    if (best == SL_SWITCHING_NONE) {
        return step->present;
    }
    for (uint8_t m = 0; m < view->modes.count; m++) {
        __int128 lost = ((__int128)quoted(step, best) - quoted(step, m)) * step->span_ms / 1000;
        work[m] = device->work[m] + lost;
        bool less = least == SL_SWITCHING_NONE || work[m] < work[least];
        least = possible(step, m) && less ? m : least;
    }
    __int128 low = work[least];
    for (uint8_t m = 0; m < view->modes.count; m++) {
        work[m] = bounded(work[m] - low, cost);
        if (step->span_ms > 0) {
            device->work[m] = work[m] < 0 ? 0 : (int64_t)work[m];
        }
    }
    ret_reason->best = least;
    ret_reason->best_value = quoted(step, least);
    if (step->present == SL_SWITCHING_NONE) {
        ret_reason->rule = SL_SWITCHING_START;
        return best;
    }
    ret_reason->present_value = quoted(step, step->present);
    ret_reason->regret_nusd = (int64_t)(work[step->present] / SCALE);
    bool leaves = step->present != least && work[step->present] >= cost;
    if (step->span_ms > 0) {
        device->noted = leaves;
        device->noted_mode = least;
    } else if (device->noted && device->noted_mode == least && least != step->present &&
               quoted(step, least) > quoted(step, step->present)) {
        /* The last step said so, and it was not carried out yet (a cap lets others shrink first): a
         * cost that has risen a little with the price since does not take it back. */
        leaves = true;
    }
    ret_reason->rule = leaves ? SL_SWITCHING_REGRET : SL_SWITCHING_STAY;
    return leaves ? least : step->present;
}

const struct sl_switching_policy sl_switching_work_function = {
    .name = "work-function",
    .says = "leave once staying has cost a whole switch",
    .decide = work_decide,
};
