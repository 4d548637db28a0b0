/* SPDX-License-Identifier: Apache-2.0
 * The one file of the rig that knows the Stratum client's configuration. */
#include <string.h>

#include "agent/core/core.h"
#include "agent/stratum/client.h"

int rig_pool_config_core(struct sl_agent_config *config, struct sl_agent_core **ret_core,
                         struct sl_error *err);

int rig_pool_config_core(struct sl_agent_config *config, struct sl_agent_core **ret_core,
                         struct sl_error *err) {
    struct sl_stratum_config pool;
    sl_stratum_config_defaults(&pool);
    strcpy(pool.url.host, "pool.test");
    pool.url.port = 3333;
    strcpy(pool.user, "tester");
    config->pool = &pool;
    return sl_agent_core_create(config, ret_core, err);
}
