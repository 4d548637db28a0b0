/* SPDX-License-Identifier: Apache-2.0
 * Rule "prices": no device is moved by a price that is not to be trusted: a move to or from hashing
 * that prices caused happens only while some source of the hashprice is fresh. */
#include <string.h>

#include "tests/sim/internal.h"

static struct sim_watched *watched_of(struct sim *sim, const char *device) {
    for (uint32_t i = 0; i < sim->agent_count; i++) {
        size_t length = strlen(sim->agents[i].node);
        if (strncmp(device, sim->agents[i].node, length) == 0 && device[length] == '/') {
            return &sim->agents[i].watched[(uint32_t)(device[length + 6] - '0') % SIM_DEVICES_MAX];
        }
    }
    return NULL;
}

void sim_check_decided(struct sim *sim, const struct sl_directive_row *row) {
    struct sim_watched *watched = watched_of(sim, row->device);
    int64_t wall_ms = sim_host_now(sim, SIM_BROKER).wall.ms;
    bool fresh = sim_feed_is_fresh(sim, 0, wall_ms) || sim_feed_is_fresh(sim, 1, wall_ms);
    bool about_hash = row->mode == SL_MODE_HASH || (watched && watched->decided == SL_MODE_HASH);
    if (strcmp(row->rule, "threshold") == 0 && about_hash && !fresh) {
        sim_break(sim, "prices", "%s was moved to %s by a price that is stale or wrong",
                  row->device, sl_mode_name(row->mode));
    }
    if (watched) {
        watched->decided = row->mode;
    }
}
