/* SPDX-License-Identifier: Apache-2.0
 * Rule "progress": when the faults have been over for so long that every back-off has ended, every
 * device works under a directive that its agent obeys, nothing waits in a spool, every batch that
 * was acknowledged has reached its one end, and no person's order that was lifted still holds. */
#include <string.h>

#include "broker/core/core_internal.h"
#include "tests/sim/internal.h"

static void check_agent(struct sim *sim, uint32_t i) {
    struct sl_agent_view view;
    const struct sim_agent *agent = &sim->agents[i];
    if (!sim->hosts[i + 1].up) {
        sim_break(sim, "progress", "%s does not run", agent->node);
        return;
    }
    sl_agent_get(agent->core, &view);
    if (!view.live) {
        sim_break(sim, "progress", "%s has no session with the broker", agent->node);
    } else if (view.results_spooled > 0) {
        sim_break(sim, "progress", "%s still holds %llu results", agent->node,
                  (unsigned long long)view.results_spooled);
    } else if (view.shares_open > 16) {
        sim_break(sim, "progress", "%s still holds %llu shares", agent->node,
                  (unsigned long long)view.shares_open);
    }
}

static void check_device(struct sim *sim, const struct sl_view_device *device) {
    const char *key = device->report.key;
    for (uint32_t i = 0; i < sim->agent_count; i++) {
        size_t length = strlen(sim->agents[i].node);
        if (strncmp(key, sim->agents[i].node, length) != 0 || key[length] != '/') {
            continue;
        }
        struct sl_agent_device_view view;
        sl_agent_device_get(sim->agents[i].core, (uint32_t)(key[length + 6] - '0'), &view);
        if (device->override_ != SL_OVERRIDE_NONE) {
            sim_break(sim, "progress", "an order still holds %s", key);
        } else if (device->wanted == SL_MODE_INVALID || view.epoch != device->epoch ||
                   view.mode != device->wanted) {
            sim_break(sim, "progress", "%s is %s (%s): wanted %s under %llu, runs %s under %llu",
                      key, device->state, view.state, sl_mode_name(device->wanted),
                      (unsigned long long)device->epoch, sl_mode_name(view.mode),
                      (unsigned long long)view.epoch);
        } else if (device->wanted == SL_MODE_IDLE && !sim->near_parity &&
                   !sim_power_excuses(sim, device->rule)) {
            sim_break(sim, "progress", "%s is idle: %s", key, device->why);
        }
    }
}

static void check_batches(struct sim *sim) {
    for (uint32_t i = 0; i < sim->batch_count; i++) {
        const struct sim_batch *batch = &sim->batches[i];
        if (batch->lost || !batch->asked) {
            continue;
        }
        if (!batch->acknowledged) {
            sim_break(sim, "progress", "%s was never acknowledged", batch->id);
        } else if (!sl_batch_state_is_final(batch->state)) {
            struct sl_view_batch view = {0};
            for (uint32_t k = 0;
                 sl_view_batch_get(sim->broker.core, sim_host_now(sim, SIM_BROKER), k, &view);
                 k++) {
                if (strcmp(view.id, batch->id) == 0) {
                    break;
                }
            }
            sim_break(sim, "progress", "%s is still %s: %u wait, %u issued, %u done, %u failed",
                      batch->id, sl_batch_state_name(batch->state), view.waiting, view.issued,
                      view.done, view.failed);
        }
    }
}

/* No unit is open any more, so nothing may be held against a tenant's budget. */
static void check_reservations(struct sim *sim) {
    const struct sl_broker_core *core = sim->broker.core;
    for (uint32_t i = 0; i < core->tenant_count; i++) {
        if (core->tenants[i]->reserved != 0 && core->batch_count == 0) {
            sim_break(sim, "budget", "%s has %lld reserved and no batch",
                      core->tenants[i]->config.id, (long long)core->tenants[i]->reserved);
        }
    }
}

void sim_check_settled(struct sim *sim) {
    struct sl_now now = sim_host_now(sim, SIM_BROKER);
    struct sl_view_device device;
    uint32_t count = 0;
    if (!sim->hosts[SIM_BROKER].up) {
        sim_break(sim, "progress", "the broker does not run");
        return;
    }
    for (uint32_t i = 0; i < sim->agent_count; i++) {
        check_agent(sim, i);
    }
    for (; sim->result->ok && sl_view_device_get(sim->broker.core, now, count, &device); count++) {
        check_device(sim, &device);
    }
    if (count < sim->agent_count * sim->device_count) {
        sim_break(sim, "progress", "the broker knows %u devices of %u", count,
                  sim->agent_count * sim->device_count);
    }
    check_batches(sim);
    check_reservations(sim);
    if (sim->result->ok) {
        sim_check_pools(sim);
    }
}
