/* SPDX-License-Identifier: Apache-2.0
 * The one file of the simulator that sees the Stratum client's header, which has a name in common
 * with the wire's. */
#include "agent/stratum/failover.h"

#include <stdio.h>
#include <string.h>

#include "agent/core/core.h"
#include "tests/sim/sim.h"

int sim_agent_core_create(struct sl_agent_config *config, const char *user,
                          struct sl_agent_core **ret_core, struct sl_error *err);

int sim_agent_core_create(struct sl_agent_config *config, const char *user,
                          struct sl_agent_core **ret_core, struct sl_error *err) {
    struct sl_failover_config clients[2];
    const struct sl_agent_pool_config pools[2] = {
        {.name = "a", .client = &clients[0]},
        {.name = "b", .client = &clients[1], .suggest_auto = true},
    };
    char names[SIM_DEVICES_MAX][80];
    const char *workers[SIM_DEVICES_MAX];
    for (uint32_t i = 0; i < 2; i++) {
        sl_failover_config_defaults(&clients[i]);
        clients[i].url_count = 1;
        snprintf(clients[i].urls[0].host, sizeof clients[i].urls[0].host, "pool-%c.test",
                 'a' + (int)i);
        clients[i].urls[0].port = 3333;
        snprintf(clients[i].client.user, sizeof clients[i].client.user, "%s", user);
        snprintf(clients[i].client.password, sizeof clients[i].client.password, "PASSWORDxyzzy");
    }
    for (uint32_t i = 0; i < SIM_DEVICES_MAX; i++) {
        snprintf(names[i], sizeof names[i], "%s.%u", user, i);
        workers[i] = names[i];
    }
    snprintf(clients[1].client.user, sizeof clients[1].client.user, "%s", names[0]);
    clients[1].client.workers = workers;
    clients[1].client.worker_count = SIM_DEVICES_MAX;
    config->pools = pools;
    config->pool_count = 2;
    return sl_agent_core_create(config, ret_core, err);
}
