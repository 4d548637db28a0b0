/* SPDX-License-Identifier: Apache-2.0 */
#include "schedulers/stress.h"

#include "schedulers/opportunity.h"

/* What one device could do under a shock, before its use is counted. */
struct choice {
    int64_t gross[SL_MODE_COUNT];
    int64_t power[SL_MODE_COUNT];
    int64_t net[SL_MODE_COUNT];
    int64_t bid[SL_STRESS_COMMITS_MAX]; /* gross under each commitment; -1: cannot serve it */
    enum sl_mode second;                /* while no lease is there: idle or hash */
    bool lease;
};

static int64_t floor_ppm(sl_i128 product) {
    sl_i128 quotient = product / SL_SHOCK_SAME;
    quotient -= product % SL_SHOCK_SAME < 0 ? 1 : 0;
    if (quotient > INT64_MAX) {
        return INT64_MAX;
    }
    return quotient < INT64_MIN ? INT64_MIN : (int64_t)quotient;
}

static bool may_serve(const struct sl_stress_input *in, const struct sl_shock *shock, uint32_t dev,
                      uint32_t commit) {
    const struct sl_stress_commit *c = &in->commits[commit];
    return c->tenant != shock->tenant && (c->open || in->own[dev] == commit) &&
           in->tokens_s_milli[(uint64_t)commit * in->count + dev] > 0;
}

static int64_t lease_gross(const struct sl_stress_input *in, const struct sl_shock *shock,
                           uint32_t dev, uint32_t commit) {
    int64_t rate = in->tokens_s_milli[(uint64_t)commit * in->count + dev];
    return sl_shock_scale(sl_opportunity_lease(in->commits[commit].bid_nusd_per_mtok, rate),
                          shock->lease_ppm);
}

static void look(const struct sl_stress_input *in, const struct sl_shock *shock, uint32_t dev,
                 struct choice *out) {
    *out = (struct choice){.second = SL_MODE_IDLE};
    for (uint32_t c = 0; c < in->commit_count; c++) {
        out->bid[c] = -1;
        if (!may_serve(in, shock, dev, c)) {
            continue;
        }
        int64_t gross = out->bid[c] = lease_gross(in, shock, dev, c);
        if (!out->lease || gross > out->gross[SL_MODE_INFER]) {
            out->gross[SL_MODE_INFER] = gross;
        }
        out->lease = true;
    }
    if (in->can_hash[dev]) {
        out->gross[SL_MODE_HASH] = sl_shock_hash(shock, in->hash_nusd_h[dev], in->fee_share_ppm);
    }
    for (enum sl_mode mode = SL_MODE_IDLE; mode < SL_MODE_COUNT; mode++) {
        if (in->power_known[dev]) {
            out->power[mode] = sl_shock_scale(in->power_nusd_h[mode][dev], shock->power_ppm);
        }
        out->net[mode] = sl_opportunity_minus(out->gross[mode], out->power[mode]);
    }
    bool hash = in->held[dev] == 0 && out->net[SL_MODE_HASH] > out->net[SL_MODE_IDLE];
    if (in->can_hash[dev] && (hash || in->held[dev] == SL_MODE_HASH)) {
        out->second = SL_MODE_HASH;
    }
}

static bool takes(const struct sl_stress_input *in, uint32_t dev, const struct choice *choice,
                  int64_t lease_net) {
    if (in->held[dev] != 0) {
        return in->held[dev] == SL_MODE_INFER;
    }
    return lease_net > choice->net[choice->second];
}

static void settle(const struct sl_stress_input *in, uint32_t dev, const struct choice *choice,
                   struct sl_stress_side *out) {
    bool leased = choice->lease && takes(in, dev, choice, choice->net[SL_MODE_INFER]);
    int64_t use = leased ? in->use_ppm[dev] : 0;
    int64_t rest = SL_SHOCK_SAME - use;
    enum sl_mode second = choice->second;
    int64_t lease = floor_ppm((sl_i128)choice->gross[SL_MODE_INFER] * use);
    int64_t hash = floor_ppm((sl_i128)choice->gross[second] * rest);
    int64_t power = floor_ppm((sl_i128)choice->power[SL_MODE_INFER] * use +
                              (sl_i128)choice->power[second] * rest);
    out->mode[dev] = (uint8_t)(leased ? SL_MODE_INFER : second);
    out->value[dev] = sl_opportunity_minus(sl_opportunity_plus(lease, hash), power);
    out->lease_nusd_h += lease;
    out->hash_nusd_h += hash;
    out->power_nusd_h += power;
    out->powerless += in->power_known[dev] == 0;
}

/* Batches of a model are served one after the other, each by the devices for which it beats what
 * else they could do. */
static void finish(const struct sl_stress_input *in, const struct sl_shock *shock,
                   const sl_i128 *rate_milli, struct sl_stress_side *out) {
    sl_i128 busy_ms[SL_STRESS_COMMITS_MAX] = {0};
    for (uint32_t c = 0; c < in->commit_count; c++) {
        const struct sl_stress_commit *commit = &in->commits[c];
        if (commit->tenant == shock->tenant) {
            out->done_ms[c] = SL_STRESS_LEFT;
            continue;
        }
        if (rate_milli[c] == 0) {
            out->done_ms[c] = SL_STRESS_NEVER;
            continue;
        }
        sl_i128 *at = &busy_ms[commit->model];
        *at += ((sl_i128)commit->tokens_left * 1000000 + rate_milli[c] - 1) / rate_milli[c];
        out->done_ms[c] = *at > INT64_MAX ? INT64_MAX : (int64_t)*at;
    }
}

void sl_stress_run(const struct sl_stress_input *in, const struct sl_shock *shock,
                   struct sl_stress_side *out) {
    sl_i128 rate_milli[SL_STRESS_COMMITS_MAX] = {0};
    out->hash_nusd_h = out->lease_nusd_h = out->power_nusd_h = 0;
    out->powerless = 0;
    for (uint32_t dev = 0; dev < in->count; dev++) {
        struct choice choice;
        look(in, shock, dev, &choice);
        settle(in, dev, &choice, out);
        for (uint32_t c = 0; c < in->commit_count; c++) {
            if (choice.bid[c] < 0) {
                continue;
            }
            int64_t net = sl_opportunity_minus(choice.bid[c], choice.power[SL_MODE_INFER]);
            if (takes(in, dev, &choice, net)) {
                rate_milli[c] += in->tokens_s_milli[(uint64_t)c * in->count + dev];
            }
        }
    }
    finish(in, shock, rate_milli, out);
}

sl_i128 sl_stress_margin(const struct sl_stress_side *side) {
    return side->hash_nusd_h + side->lease_nusd_h - side->power_nusd_h;
}

bool sl_stress_stops(const struct sl_stress_input *in, const struct sl_stress_side *before,
                     const struct sl_stress_side *after, uint32_t dev) {
    return in->held[dev] == 0 && before->mode[dev] != SL_MODE_IDLE &&
           after->mode[dev] == SL_MODE_IDLE;
}

static bool in_time(const struct sl_stress_input *in, const struct sl_stress_side *side,
                    uint32_t commit) {
    return side->done_ms[commit] >= 0 && side->done_ms[commit] <= in->commits[commit].deadline_ms;
}

bool sl_stress_breaks(const struct sl_stress_input *in, const struct sl_stress_side *before,
                      const struct sl_stress_side *after, uint32_t commit) {
    return in_time(in, before, commit) && !in_time(in, after, commit) &&
           after->done_ms[commit] != SL_STRESS_LEFT;
}

enum sl_stress_cover sl_stress_cover(const struct sl_stress_input *in,
                                     const struct sl_stress_side *side, int64_t *ret_milli_months) {
    *ret_milli_months = 0;
    if (in->fixed_nusd == 0 && in->debt_nusd == 0 && in->cash_nusd == 0) {
        return SL_STRESS_COVER_UNKNOWN;
    }
    sl_i128 burn =
        (sl_i128)in->fixed_nusd + in->debt_nusd - sl_stress_margin(side) * SL_STRESS_MONTH_H;
    if (burn <= 0) {
        return SL_STRESS_COVER_MARGIN;
    }
    sl_i128 milli = (sl_i128)in->cash_nusd * 1000 / burn;
    *ret_milli_months = milli > INT64_MAX ? INT64_MAX : (int64_t)milli;
    return SL_STRESS_COVER_MONTHS;
}
