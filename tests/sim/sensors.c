/* SPDX-License-Identifier: Apache-2.0
 * What the sensors of devices say, in some of the runs, and the rule "health":
 *  - A device whose agent has told the running broker of a driver error that quarantines gets no
 *    work from a moment later until a person resumes its node.
 *  - No agent calls power measured that no device can draw.
 * Errors begin anew with each process of an agent, as those of NVML's event set do. */
#include <string.h>

#include "tests/sim/internal.h"

#define READ_NS SL_NS_PER_S
#define MOMENT_NS (4 * SL_NS_PER_S) /* to be decided, durable and sent */

/* As rated (agent.c), so that what power may have cost is known. */
static const int64_t drawn_mw[SL_MODE_COUNT] = {20000, 20000, 200000, 150000};
static const int64_t absurd[] = {-1000, 0, 1000000000};
static const uint16_t errors[] = {79, 79, 13, 154};

static bool may(const struct sim *sim, enum sim_fault fault) {
    return !sim->calm && (sim->options.faults >> fault & 1);
}

static void draw_faults(struct sim *sim, struct sim_rng *rng, struct sim_watched *w) {
    if (may(sim, SIM_SENSOR_ABSURD) && sim_chance(rng, 5000)) {
        sim_count(sim, SIM_SENSOR_ABSURD);
        w->absurd_mw = absurd[sim_range(rng, 0, 2)];
        w->absurd_until_ns = sim->now_ns + sim_range(rng, 3, 60) * SL_NS_PER_S;
    }
    if (may(sim, SIM_SENSOR_SILENT) && sim_chance(rng, 3000)) {
        sim_count(sim, SIM_SENSOR_SILENT);
        w->silent_until_ns = sim->now_ns + sim_range(rng, 3, 60) * SL_NS_PER_S;
    }
    if (may(sim, SIM_DRIVER_ERROR) && sim_chance(rng, 1500)) {
        sim_count(sim, SIM_DRIVER_ERROR);
        w->xids++;
        w->xid = errors[sim_range(rng, 0, 3)];
    }
}

static void tell(struct sim *sim, uint32_t i, uint32_t k) {
    struct sim_watched *w = &sim->agents[i].watched[k];
    struct sl_msg_telemetry t = {.source = SL_TELEMETRY_NVML};
    sl_telemetry_set(&t, SL_FIG_XIDS, w->xids);
    t.xid_count = w->xids > 0;
    t.xids[0] = w->xid;
    if (sim->now_ns >= w->silent_until_ns) {
        bool lies = sim->now_ns < w->absurd_until_ns;
        struct sl_agent_device_view view;
        sl_agent_device_get(sim->agents[i].core, k, &view);
        sl_telemetry_set(&t, SL_FIG_POWER_MW, lies ? w->absurd_mw : drawn_mw[view.mode]);
    }
    sl_agent_telemetry(sim->agents[i].core, sim_host_now(sim, i + 1), k, &t);
    sim_agent_commands(sim, i);
}

static void read_sensors(struct sim *sim, struct sim_event *event) {
    uint32_t i = (uint32_t)event->a;
    for (uint32_t k = 0; k < sim->device_count && sim->hosts[i + 1].up; k++) {
        struct sim_watched *w = &sim->agents[i].watched[k];
        struct sim_rng rng = sim_rng_of(sim->options.seed,
                                        1000000 + (uint64_t)(sim->now_ns / 1000) * 64 + i * 8 + k);
        if (w->sensor_life != sim->hosts[i + 1].life) {
            w->sensor_life = sim->hosts[i + 1].life;
            w->xids = 0;
        }
        draw_faults(sim, &rng, w);
        tell(sim, i, k);
    }
    if (sim->hosts[i + 1].up) {
        sim_agent_live(sim, i);
    }
    sim_at(sim, sim->now_ns + READ_NS, read_sensors, SIM_NOBODY, i, 0);
}

void sim_sensors_start(struct sim *sim) {
    struct sim_rng rng = sim_rng_of(sim->options.seed, 8);
    /* Caps are checked by rated watts alone (check_power.c). */
    bool on = sim_chance(&rng, 700000) && !sim->power.cap && !sim->power.strike;
    for (uint32_t i = 0; on && i < sim->agent_count; i++) {
        sim_at(sim, sim_range(&rng, 1000, 2000) * SL_NS_PER_MS, read_sensors, SIM_NOBODY, i, 0);
    }
}

static bool quarantines(uint16_t xid) {
    return xid == 79 || xid == 154;
}

void sim_sensors_heard(struct sim *sim, uint32_t agent, uint32_t k,
                       const struct sl_msg_device *device) {
    struct sim_watched *w = &sim->agents[agent].watched[k];
    const struct sl_msg_telemetry *t = &device->telemetry;
    for (int mode = 1; mode < SL_MODE_COUNT; mode++) {
        if (device->watts[mode].source == SL_SOURCE_MEASURED &&
            (device->watts[mode].mw <= 0 || device->watts[mode].mw > 2000000)) {
            sim_break(sim, "health", "%s says that it measured %lld mW", device->key,
                      (long long)device->watts[mode].mw);
        }
    }
    /* Whether a broker that died had stored it, and whether a person has forgiven it since, is not
     * known here: the next broker is held to what it hears of anew. */
    if (w->judged_life != sim->hosts[SIM_BROKER].life) {
        w->judged_life = sim->hosts[SIM_BROKER].life;
        w->sick_ns = 0;
    }
    uint32_t xids = (uint32_t)t->figures[SL_FIG_XIDS];
    if (xids > w->judged && t->xid_count > 0 && quarantines(t->xids[t->xid_count - 1]) &&
        w->sick_ns == 0) {
        w->sick_ns = sim->now_ns;
        sim_count(sim, SIM_QUARANTINED);
    }
    w->judged = xids;
}

void sim_sensors_grant(struct sim *sim, uint32_t agent, uint32_t k,
                       const struct sl_msg_directive *d) {
    const struct sim_watched *w = &sim->agents[agent].watched[k];
    if (d->mode != SL_MODE_IDLE && w->sick_ns != 0 &&
        w->judged_life == sim->hosts[SIM_BROKER].life && sim->now_ns - w->sick_ns > MOMENT_NS) {
        sim_break(sim, "health",
                  "%s was told to %s, %lld ms after the driver error that "
                  "quarantines it",
                  d->device, sl_mode_name(d->mode),
                  (long long)((sim->now_ns - w->sick_ns) / SL_NS_PER_MS));
    }
}

void sim_sensors_forgiven(struct sim *sim, uint32_t agent) {
    for (uint32_t k = 0; k < sim->device_count; k++) {
        sim->agents[agent].watched[k].sick_ns = 0;
    }
    sim_retests_pardoned(sim, agent);
}
