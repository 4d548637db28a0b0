/* SPDX-License-Identifier: Apache-2.0
 * The one file of the simulator that sees the Stratum client's header, which has a name in common
 * with the wire's. */
#include "agent/stratum/failover.h"

#include <stdio.h>
#include <string.h>

#include "agent/core/core.h"

int sim_agent_core_create(struct sl_agent_config *config, const char *user,
                          struct sl_agent_core **ret_core, struct sl_error *err);

int sim_agent_core_create(struct sl_agent_config *config, const char *user,
                          struct sl_agent_core **ret_core, struct sl_error *err) {
    struct sl_failover_config pool;
    sl_failover_config_defaults(&pool);
    pool.url_count = 1;
    snprintf(pool.urls[0].host, sizeof pool.urls[0].host, "pool.test");
    pool.urls[0].port = 3333;
    snprintf(pool.client.user, sizeof pool.client.user, "%s", user);
    snprintf(pool.client.password, sizeof pool.client.password, "PASSWORDxyzzy");
    config->pool = &pool;
    return sl_agent_core_create(config, ret_core, err);
}
