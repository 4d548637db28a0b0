/* SPDX-License-Identifier: Apache-2.0
 * From a run that fails to the smallest that still breaks the same rule: each change that keeps the
 * failure is kept. A change draws other dice from there on, so some of them lose it; then the next
 * is tried. */
#include <string.h>

#include "tests/sim/runner.h"

struct shrinking {
    struct sim_options best;
    const struct sim_result *first;
    const char *mutant;
    uint32_t tries;
};

static bool still_fails(struct shrinking *s, const struct sim_options *options,
                        struct sim_result *ret_result) {
    if (s->tries == 0) {
        return false;
    }
    s->tries--;
    sim_run_apart(options, s->mutant, ret_result);
    if (ret_result->ok || strcmp(ret_result->rule, s->first->rule) != 0) {
        return false;
    }
    s->best = *options;
    return true;
}

static bool shorter(struct shrinking *s) {
    struct sim_options options = s->best;
    struct sim_result result;
    options.span_ms = options.span_ms / 2;
    return options.span_ms >= 2000 && still_fails(s, &options, &result);
}

static bool smaller(struct shrinking *s) {
    struct sim_result result;
    bool any = false;
    for (int what = 0; what < 3; what++) {
        struct sim_options options = s->best;
        uint32_t *size = what == 0   ? &options.agents
                         : what == 1 ? &options.devices
                                     : &options.lines;
        *size /= 2;
        any = (*size > 0 && still_fails(s, &options, &result)) || any;
    }
    return any;
}

static bool fewer_faults(struct shrinking *s) {
    struct sim_result result;
    bool any = false;
    for (int i = 0; i < SIM_FAULTS; i++) {
        struct sim_options options = s->best;
        if (!(options.faults >> i & 1)) {
            continue;
        }
        options.faults &= ~(UINT64_C(1) << i);
        any = still_fails(s, &options, &result) || any;
    }
    return any;
}

static bool fewer_strikes(struct shrinking *s) {
    struct sim_result result;
    struct sim_options options = s->best;
    uint32_t most = options.strikes_max ? options.strikes_max : s->first->strikes;
    options.strikes_max = most / 2;
    bool any = options.strikes_max > 0 && still_fails(s, &options, &result);
    if (!any && most > 1) {
        options.strikes_max = most - 1;
        any = still_fails(s, &options, &result);
    }
    return any;
}

struct sim_options sim_shrink(const struct sim_options *options, const struct sim_result *result,
                              const char *mutant, uint32_t tries) {
    struct shrinking s = {.best = *options, .first = result, .mutant = mutant, .tries = tries};
    /* What was drawn is said, so that it can be made smaller. */
    s.best.span_ms = result->span_ms ? result->span_ms : s.best.span_ms;
    s.best.agents = result->agents ? result->agents : s.best.agents;
    s.best.devices = result->devices ? result->devices : s.best.devices;
    s.best.lines = result->line_total ? result->line_total : s.best.lines;
    s.best.faults = result->faults;
    s.best.all_faults = true;
    s.best.story = NULL;
    bool any = true;
    while (any && s.tries > 0) {
        any = shorter(&s);
        any = smaller(&s) || any;
        any = fewer_strikes(&s) || any;
        any = fewer_faults(&s) || any;
    }
    return s.best;
}
