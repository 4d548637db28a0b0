/* SPDX-License-Identifier: Apache-2.0
 * The work function algorithm for metrical task systems (Borodin, Linial, Saks, J. ACM 39(4),
 * 1992): w(s) is the least loss with which any schedule could be in s by now; leave once staying
 * has cost a whole switch more than the best: w(present) >= min w + D. No parameter, and at most
 * 2n - 1 times the loss of the optimum for n modes; it knows nothing of noise or of leases. */
#include "schedulers/switching.h"

#define MS_PER_H 3600000

struct work {
    struct sl_switching_modes modes;
    /* In nano-USD x 3,600,000, so that a rate times a span stays whole; only differences count, and
     * the smallest is taken off after each step. */
    __int128 w[SL_SWITCHING_MODES];
};

static size_t work_state_bytes(const struct sl_switching_params *params) {
    (void)params;
    return sizeof(struct work);
}

static void work_init(void *state, const struct sl_switching_modes *modes,
                      const struct sl_switching_params *params) {
    (void)params;
    ((struct work *)state)->modes = *modes;
}

static int64_t quoted(const struct sl_switching_step *step, uint32_t mode) {
    return step->gross_nusd_h[mode] - step->known_nusd_h[mode];
}

static uint8_t work_decide(void *state, const struct sl_switching_step *step,
                           struct sl_switching_reason *ret_reason) {
    struct work *f = state;
    __int128 cost = (__int128)step->switch_nusd * MS_PER_H;
    uint8_t best = 0;  /* by quote */
    uint8_t least = 0; /* by work */
    for (uint8_t m = 1; m < f->modes.count; m++) {
        best = quoted(step, m) > quoted(step, best) ? m : best;
    }
    for (uint8_t m = 0; m < f->modes.count; m++) {
        f->w[m] += ((__int128)quoted(step, best) - quoted(step, m)) * step->span_ms;
        least = f->w[m] < f->w[least] ? m : least;
    }
    __int128 low = f->w[least];
    for (uint8_t m = 0; m < f->modes.count; m++) {
        f->w[m] = (f->w[m] < low + cost ? f->w[m] : low + cost) - low;
    }
    *ret_reason = (struct sl_switching_reason){.rule = SL_SWITCHING_STAY, .best = least};
    ret_reason->best_value = quoted(step, least);
    if (step->present == SL_SWITCHING_NONE) {
        ret_reason->rule = SL_SWITCHING_START;
        return best;
    }
    ret_reason->present_value = quoted(step, step->present);
    ret_reason->regret_nusd = (int64_t)(f->w[step->present] / MS_PER_H);
    if (step->present == least || f->w[step->present] < cost) {
        return step->present;
    }
    ret_reason->rule = SL_SWITCHING_REGRET;
    return least;
}

const struct sl_switching_policy sl_switching_work_function = {
    .name = "work-function",
    .says = "leave once staying has cost a whole switch",
    .state_bytes = work_state_bytes,
    .init = work_init,
    .decide = work_decide,
};
