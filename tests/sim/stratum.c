/* SPDX-License-Identifier: Apache-2.0
 * The one file of the simulator that sees the Stratum client's header, which has a name in common
 * with the wire's. */
#include "agent/stratum/client.h"

#include <stdio.h>
#include <string.h>

#include "agent/core/core.h"

int sim_agent_core_create(struct sl_agent_config *config, const char *user,
                          struct sl_agent_core **ret_core, struct sl_error *err);

int sim_agent_core_create(struct sl_agent_config *config, const char *user,
                          struct sl_agent_core **ret_core, struct sl_error *err) {
    struct sl_stratum_config pool;
    sl_stratum_config_defaults(&pool);
    snprintf(pool.url.host, sizeof pool.url.host, "pool.test");
    pool.url.port = 3333;
    snprintf(pool.user, sizeof pool.user, "%s", user);
    snprintf(pool.password, sizeof pool.password, "PASSWORDxyzzy");
    config->pool = &pool;
    return sl_agent_core_create(config, ret_core, err);
}
