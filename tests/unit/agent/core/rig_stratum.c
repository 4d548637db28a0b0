/* SPDX-License-Identifier: Apache-2.0
 * The one file of the rig that knows the Stratum client's configuration. */
#include <string.h>

#include "agent/core/core.h"
#include "agent/stratum/client.h"

int rig_pool_config_core(struct sl_agent_config *config, uint32_t pools,
                         struct sl_agent_core **ret_core, struct sl_error *err);

int rig_pool_config_core(struct sl_agent_config *config, uint32_t pools,
                         struct sl_agent_core **ret_core, struct sl_error *err) {
    static const char *const workers[] = {"tester.0", "tester.1", "tester.2"};
    struct sl_stratum_config clients[2];
    struct sl_agent_pool_config list[2] = {
        {.name = "a", .url = "stratum+tcp://pool.test:3333", .client = &clients[0]},
        {.name = "b", .url = "stratum+tcp://pool-b.test:3333", .client = &clients[1]},
    };
    for (uint32_t i = 0; i < 2; i++) {
        sl_stratum_config_defaults(&clients[i]);
        strcpy(clients[i].url.host, i ? "pool-b.test" : "pool.test");
        clients[i].url.port = 3333;
        strcpy(clients[i].user, "tester");
    }
    strcpy(clients[1].user, workers[0]);
    clients[1].workers = workers;
    clients[1].worker_count = 3;
    list[1].suggest_auto = true;
    config->pools = list;
    config->pool_count = pools;
    return sl_agent_core_create(config, ret_core, err);
}
