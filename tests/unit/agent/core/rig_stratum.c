/* SPDX-License-Identifier: Apache-2.0
 * The one file of the rig that knows the Stratum client's configuration. */
#include <string.h>

#include "agent/core/core.h"
#include "agent/stratum/failover.h"

int rig_pool_config_core(struct sl_agent_config *config, struct sl_agent_core **ret_core,
                         struct sl_error *err);

int rig_pool_config_core(struct sl_agent_config *config, struct sl_agent_core **ret_core,
                         struct sl_error *err) {
    struct sl_failover_config pool;
    sl_failover_config_defaults(&pool);
    pool.url_count = 1;
    strcpy(pool.urls[0].host, "pool.test");
    pool.urls[0].port = 3333;
    strcpy(pool.client.user, "tester");
    config->pool = &pool;
    return sl_agent_core_create(config, ret_core, err);
}
