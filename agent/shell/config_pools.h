/* SPDX-License-Identifier: Apache-2.0
 * The pools of an agent: the section `pool` (one, called "default") or the list `pools`; and what
 * stands for node, device and pool in the name of a worker. Thread: any, no state. */
#ifndef SLUICE_AGENT_SHELL_CONFIG_POOLS_H
#define SLUICE_AGENT_SHELL_CONFIG_POOLS_H

#include "agent/core/core.h"
#include "agent/shell/config.h"

#define SL_POOL_DEFAULT_NAME "default"
#define SL_POOL_USER_MAX 256 /* of an expanded name, with NUL */

uint32_t sl_agent_pool_count(const struct sl_agent_options *options);
/* Of all pools, fallbacks too. */
uint32_t sl_agent_address_count(const struct sl_agent_options *options);
/* index below the count. section: "pool" or "pools[1]", for texts. */
const struct sl_pool_options *sl_agent_pool_at(const struct sl_agent_options *options,
                                               uint32_t index, const char **ret_name,
                                               char ret_section[16]);
/* Names, addresses and users of all of them. Texts begin with the option. */
int sl_agent_pools_check(const struct sl_agent_options *options, struct sl_error *err);

/* A device's key as a pool takes it: without its node, letters, digits and '-': "pocl-0",
 * "pci-0000-01-00-0". */
void sl_pool_device_id(const char *node, const char *key, char *out, size_t size);
/* Puts node, device and pool in for {node}, {device} and {pool}. -SL_INVALID: another placeholder,
 * or the result is too long. device NULL: {device} stays as it is (to check). */
int sl_pool_user_expand(const char *user, const char *node, const char *device, const char *pool,
                        char out[SL_POOL_USER_MAX], struct sl_error *err);
/* Whether each device is a worker of its own. */
bool sl_pool_user_by_device(const char *user);

#endif
