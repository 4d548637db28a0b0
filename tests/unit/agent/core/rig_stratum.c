/* SPDX-License-Identifier: Apache-2.0
 * The one file of the rig that knows the Stratum client's configuration. */
#include <string.h>

#include "agent/core/core.h"
#include "agent/stratum/failover.h"

int rig_pool_config_core(struct sl_agent_config *config, uint32_t pools,
                         struct sl_agent_core **ret_core, struct sl_error *err);

int rig_pool_config_core(struct sl_agent_config *config, uint32_t pools,
                         struct sl_agent_core **ret_core, struct sl_error *err) {
    static const char *const workers[] = {"tester.0", "tester.1", "tester.2"};
    struct sl_failover_config clients[2];
    struct sl_agent_pool_config list[2] = {
        {.name = "a", .client = &clients[0]},
        {.name = "b", .client = &clients[1]},
    };
    for (uint32_t i = 0; i < 2; i++) {
        sl_failover_config_defaults(&clients[i]);
        clients[i].url_count = 1;
        strcpy(clients[i].urls[0].host, i ? "pool-b.test" : "pool.test");
        clients[i].urls[0].port = 3333;
        strcpy(clients[i].client.user, "tester");
    }
    strcpy(clients[1].client.user, workers[0]);
    clients[1].client.workers = workers;
    clients[1].client.worker_count = 3;
    list[1].suggest_auto = true;
    config->pools = list;
    config->pool_count = pools;
    return sl_agent_core_create(config, ret_core, err);
}
