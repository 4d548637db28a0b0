/* SPDX-License-Identifier: Apache-2.0
 * Rule "pools": when all pools are well again and a while has passed,
 *  - by an order, every hashing device has a job of the first pool in it;
 *  - by a split, of two and more devices that hash neither pool is without one;
 *  - without a policy, every device has a job of its agent's first pool.
 * That shares are booked under the pool that accepted them is a rule of check_store.c. */
#include <string.h>

#include "tests/sim/internal.h"

const char *const sim_pool_names[SIM_POOLS] = {"a", "b"};

void sim_pools_draw(struct sim *sim, struct sl_core_config *config) {
    struct sim_rng rng = sim_rng_of(sim->options.seed, 17);
    struct sl_pools_params *pools = &config->policy.pools;
    int64_t kind = sim_range(&rng, 0, 3);
    pools->return_ms = sim_range(&rng, 0, 8) * 1000;
    pools->hold_ms = sim_range(&rng, 0, 10) * 1000;
    pools->band_permille = 50;
    pools->window_ms = 60000;
    pools->min_shares = 20;
    pools->max_reject_permille = 1000;
    pools->retry_ms = 30000;
    if (kind == 0) {
        return;
    }
    pools->count = SIM_POOLS;
    strcpy(pools->use[0].name, kind == 1 ? "b" : "a"); /* an order, or shares */
    strcpy(pools->use[1].name, kind == 1 ? "a" : "b");
    if (kind > 1) {
        pools->use[0].share = 600;
        pools->use[1].share = 400;
    }
}

void sim_check_pools(struct sim *sim) {
    const struct sl_pools_params *pools = &sim->broker_config->policy.pools;
    const char *first = pools->count ? pools->use[0].name : "a";
    bool split = pools->count && pools->use[0].share > 0;
    uint32_t hashing = 0;
    uint32_t on[SIM_POOLS] = {0};
    for (uint32_t i = 0; i < sim->agent_count; i++) {
        for (uint32_t k = 0; k < sim->device_count && sim->agents[i].core; k++) {
            struct sl_agent_device_view view;
            sl_agent_device_get(sim->agents[i].core, k, &view);
            if (view.mode != SL_MODE_HASH || view.epoch == 0) {
                continue;
            }
            hashing++;
            on[0] += strcmp(view.pool, "a") == 0;
            on[1] += strcmp(view.pool, "b") == 0;
            if (!split && strcmp(view.pool, first) != 0) {
                sim_break(sim, "pools", "device %u of %s hashes for pool '%s', not for '%s'", k,
                          sim->agents[i].node, view.pool, first);
            }
        }
    }
    if (split && hashing > 1 && (on[0] == 0 || on[1] == 0)) {
        sim_break(sim, "pools", "of %u devices %u hash for pool a and %u for b: the split is 6 : 4",
                  hashing, on[0], on[1]);
    }
}
