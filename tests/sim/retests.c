/* SPDX-License-Identifier: Apache-2.0
 * Re-tests of devices with known answers, in some of the runs, and what the rule "health" says of
 * them:
 *  - A device that computes wrongly, though nothing else shows it, gets no work any more once a
 *    re-test was due and its word could come through.
 *  - What the broker wrote of a quarantine holds, over its own restarts too, until a person resumes
 *    the node; it ends by nothing else.
 *  - No device that computes rightly is quarantined for its re-tests. */
#include <string.h>

#include "tests/sim/internal.h"

#define MOMENT_NS (4 * SL_NS_PER_S)
/* For a launch to end, a report to be sent again, and a decision on a slow disk. */
#define SLACK_MS 20000

int64_t sim_retest_ms(const struct sim *sim) {
    struct sim_rng rng = sim_rng_of(sim->options.seed, 11);
    return sim_chance(&rng, 600000) ? sim_range(&rng, 3000, 40000) : 0;
}

static bool computes_wrongly(enum sl_fake_failure failure) {
    return failure == SL_FAKE_WRONG || failure == SL_FAKE_BAD_VECTOR ||
           failure == SL_FAKE_NAN_VECTOR;
}

static bool is_troubled(const struct sim *sim, const struct sim_net_side *side) {
    return side->cut_until_ns > sim->now_ns || side->lossy_until_ns > sim->now_ns ||
           side->slow_until_ns > sim->now_ns || side->shuffling_until_ns > sim->now_ns;
}

/* Whether a re-test that is due would be made now, and its word come through. */
static bool may_be_told(const struct sim *sim, uint32_t i, uint32_t k) {
    const struct sim_agent *agent = &sim->agents[i];
    const struct sim_host *hosts[] = {&sim->hosts[SIM_BROKER], &sim->hosts[i + 1]};
    for (int h = 0; h < 2; h++) {
        if (!hosts[h]->up || hosts[h]->doomed || hosts[h]->paused_until_ns > sim->now_ns ||
            hosts[h]->sync_slow_until_ns > sim->now_ns) {
            return false;
        }
    }
    struct sl_agent_device_view view;
    struct sl_agent_view core;
    sl_agent_device_get(agent->core, k, &view);
    sl_agent_get(agent->core, &core);
    bool testable = strcmp(view.state, "leased") == 0 || strcmp(view.state, "safe") == 0 ||
                    strcmp(view.state, "resting") == 0;
    return testable && core.live && agent->session == core.session &&
           !is_troubled(sim, &agent->up) && !is_troubled(sim, &agent->down);
}

void sim_retests_watch(struct sim *sim, uint32_t i, uint32_t k) {
    struct sim_watched *w = &sim->agents[i].watched[k];
    enum sl_fake_failure failure = sim->agents[i].failures[k];
    w->ever_wrong = w->ever_wrong || computes_wrongly(failure);
    if (failure != SL_FAKE_WRONG || sim_retest_ms(sim) == 0 || !may_be_told(sim, i, k)) {
        w->unfit_ns = 0;
    } else if (w->unfit_ns == 0) {
        w->unfit_ns = sim->now_ns;
    }
}

/* After sim_sensors_heard, which knows which broker heard it. */
void sim_retests_heard(struct sim *sim, uint32_t agent, uint32_t k,
                       const struct sl_msg_device *device) {
    struct sim_watched *w = &sim->agents[agent].watched[k];
    uint32_t failed = (uint32_t)device->telemetry.figures[SL_FIG_CANARY_FAILED];
    if (failed > w->unfit_told && w->sick_ns == 0) {
        w->sick_ns = sim->now_ns;
        sim_count(sim, SIM_RETEST_FAILED);
    }
    w->unfit_told = failed;
}

void sim_retests_grant(struct sim *sim, uint32_t agent, uint32_t k,
                       const struct sl_msg_directive *d) {
    const struct sim_watched *w = &sim->agents[agent].watched[k];
    int64_t within_ns = (sim_retest_ms(sim) + SLACK_MS) * SL_NS_PER_MS;
    if (d->mode == SL_MODE_IDLE) {
        return;
    }
    if (w->unfit_ns != 0 && sim->now_ns - w->unfit_ns > within_ns) {
        sim_break(sim, "health", "%s was told to %s, though it computes wrongly since %lld ms",
                  d->device, sl_mode_name(d->mode),
                  (long long)((sim->now_ns - w->unfit_ns) / SL_NS_PER_MS));
    }
    if (w->written_out && sim->now_ns - w->written_ns > MOMENT_NS) {
        sim_break(sim, "health", "%s was told to %s, and the store says that it is quarantined",
                  d->device, sl_mode_name(d->mode));
    }
}

static struct sim_watched *find(struct sim *sim, const char *device) {
    for (uint32_t i = 0; i < sim->agent_count; i++) {
        uint32_t k = sim_device_index(sim, i, device);
        if (k != SIM_NOBODY) {
            return &sim->agents[i].watched[k];
        }
    }
    return NULL;
}

static void note_out(struct sim *sim, struct sim_watched *w) {
    w->written_out = true;
    w->written_ns = sim->now_ns;
    w->pardoned = false;
}

void sim_retests_written(struct sim *sim, const struct sl_health_row *row) {
    struct sim_watched *w = find(sim, row->device);
    if (!w) {
        return;
    }
    if (row->state == SL_HEALTH_QUARANTINE) {
        if (row->cause == SL_FIG_CANARY_FAILED && !w->ever_wrong) {
            sim_break(sim, "health", "%s computes rightly and was quarantined: %s", row->device,
                      row->text);
        }
        if (!w->written_out) {
            note_out(sim, w);
        }
        return;
    }
    if (w->written_out && !w->pardoned) {
        sim_break(sim, "health", "the quarantine of %s ended by itself", row->device);
    }
    w->written_out = false;
}

/* At a start: once for each row, before them with NULL. */
void sim_retests_found(struct sim *sim, const char *device, enum sl_health_state state) {
    for (uint32_t i = 0; !device && i < sim->agent_count; i++) {
        for (uint32_t k = 0; k < sim->device_count; k++) {
            sim->agents[i].watched[k].written_out = false;
        }
    }
    struct sim_watched *w = device ? find(sim, device) : NULL;
    if (w && state == SL_HEALTH_QUARANTINE) {
        sim_count(sim, SIM_HEALTH_SURVIVED);
        note_out(sim, w);
    }
}

void sim_retests_pardoned(struct sim *sim, uint32_t agent) {
    for (uint32_t k = 0; k < sim->device_count; k++) {
        struct sim_watched *w = &sim->agents[agent].watched[k];
        w->pardoned = true;
        w->unfit_ns = 0; /* if it still computes wrongly, the next re-test tells */
    }
}
