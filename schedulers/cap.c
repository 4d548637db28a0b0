/* SPDX-License-Identifier: Apache-2.0 */
#include "schedulers/cap.h"

#include "proto/base/mutant.h"

struct job {
    const struct sl_cap_limits *limits;
    struct sl_cap_row *rows;
    const uint32_t *order; /* least worth first */
    int64_t *sums;         /* by circuit, the site's behind them */
    uint32_t count;
};

static uint32_t circuit_of(const struct job *job, const struct sl_cap_row *row) {
    return row->circuit < job->limits->circuit_count ? row->circuit : SL_CAP_NO_CIRCUIT;
}

static bool is_capped(const struct job *job, const struct sl_cap_row *row) {
    uint32_t circuit = circuit_of(job, row);
    return job->limits->site_mw >= 0 ||
           (circuit != SL_CAP_NO_CIRCUIT && job->limits->circuit_mw[circuit] >= 0);
}

/* Watts of the row as planned, or idle when it was shed. */
static int64_t planned_mw(const struct sl_cap_row *row) {
    bool off = row->verdict == SL_CAP_SHED || row->verdict == SL_CAP_UNKNOWN;
    return off || row->want_mw < 0 ? row->idle_mw : row->want_mw;
}

static void add(struct job *job, const struct sl_cap_row *row, int64_t mw) {
    uint32_t circuit = circuit_of(job, row);
    job->sums[job->limits->circuit_count] += mw;
    if (circuit != SL_CAP_NO_CIRCUIT) {
        job->sums[circuit] += mw;
    }
}

static void clear_sums(struct job *job) {
    for (uint32_t i = 0; i <= job->limits->circuit_count; i++) {
        job->sums[i] = 0;
    }
}

/* True when `more` does not fit beside the sum. */
static bool over(int64_t sum, int64_t more, int64_t limit) {
    return limit >= 0 && sum + more > limit;
}

static void shed_pass(struct job *job, bool site) {
    for (uint32_t i = 0; i < job->count; i++) {
        struct sl_cap_row *row = &job->rows[job->order[i]];
        uint32_t circuit = circuit_of(job, row);
        bool full = site ? over(job->sums[job->limits->circuit_count], 0, job->limits->site_mw)
                         : circuit != SL_CAP_NO_CIRCUIT &&
                               over(job->sums[circuit], 0, job->limits->circuit_mw[circuit]);
        bool sheds = row->verdict == SL_CAP_KEEP || row->verdict == SL_CAP_WAIT;
        if (full && sheds && row->merit.mw > 0) {
            row->verdict = SL_CAP_SHED;
            row->by_circuit = !site;
            add(job, row, row->idle_mw - row->want_mw);
        }
    }
}

/* What cannot have more goes on with what it has: to stand idle for want of more would be worse,
 * and the policy would send it back the next moment. */
static void stay_pass(struct job *job, bool site) {
    for (uint32_t i = 0; i < job->count; i++) {
        struct sl_cap_row *row = &job->rows[job->order[i]];
        uint32_t circuit = circuit_of(job, row);
        bool full = site ? over(job->sums[job->limits->circuit_count], 0, job->limits->site_mw)
                         : circuit != SL_CAP_NO_CIRCUIT &&
                               over(job->sums[circuit], 0, job->limits->circuit_mw[circuit]);
        if (full && row->verdict == SL_CAP_KEEP && row->stay_mw >= 0 &&
            row->stay_mw < row->want_mw) {
            row->verdict = SL_CAP_WAIT;
            row->by_circuit = !site;
            add(job, row, row->stay_mw - row->want_mw);
            row->want_mw = row->stay_mw;
        }
    }
}

static void shed(struct job *job) {
    clear_sums(job);
    for (uint32_t i = 0; i < job->count; i++) {
        add(job, &job->rows[i], planned_mw(&job->rows[i]));
    }
    stay_pass(job, false);
    shed_pass(job, false);
    stay_pass(job, true);
    shed_pass(job, true);
}

/* What grows is let go while it fits beside all that may still be drawn. */
static void grow(struct job *job) {
    clear_sums(job);
    for (uint32_t i = 0; i < job->count; i++) {
        const struct sl_cap_row *row = &job->rows[i];
        add(job, row, row->held_mw);
    }
    for (uint32_t i = job->count; i > 0; i--) {
        struct sl_cap_row *row = &job->rows[job->order[i - 1]];
        int64_t more = planned_mw(row) - row->held_mw;
        if (more <= 0 || row->verdict != SL_CAP_KEEP || !is_capped(job, row)) {
            continue;
        }
        uint32_t circuit = circuit_of(job, row);
        bool site = job->limits->frozen ||
                    over(job->sums[job->limits->circuit_count], more, job->limits->site_mw);
        bool full = site || (circuit != SL_CAP_NO_CIRCUIT &&
                             over(job->sums[circuit], more, job->limits->circuit_mw[circuit]));
        if (full && !SL_MUTANT(cap_checked_after_growing)) {
            row->verdict = SL_CAP_WAIT;
            row->by_circuit = !site;
        } else {
            add(job, row, more);
        }
    }
}

void sl_cap_apply(const struct sl_cap_limits *limits, struct sl_cap_row *rows, uint32_t count,
                  struct sl_merit *scratch_merits, uint32_t *scratch_order, int64_t *scratch_sums) {
    struct job job = {limits, rows, scratch_order, scratch_sums, count};
    for (uint32_t i = 0; i < count; i++) {
        struct sl_cap_row *row = &rows[i];
        bool unknown = row->want_mw < 0 && is_capped(&job, row);
        row->verdict = unknown ? SL_CAP_UNKNOWN : SL_CAP_KEEP;
        row->by_circuit = unknown && limits->site_mw < 0;
        row->merit.mw = row->want_mw - row->idle_mw;
        scratch_merits[i] = row->merit;
    }
    sl_merit_sort(scratch_merits, count, scratch_order);
    shed(&job);
    grow(&job);
}
