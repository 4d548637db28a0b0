/* SPDX-License-Identifier: Apache-2.0
 * The rig's pool: speaks enough Stratum to accept, ignore or refuse shares. Apart from rig.c, so
 * that the Stratum client's vocabulary and the wire's do not meet in one file. */
#ifndef SLUICE_TESTS_AGENT_RIG_POOL_H
#define SLUICE_TESTS_AGENT_RIG_POOL_H

#include "agent/core/core.h"

struct rig;

/* Creates the core with a pool in its configuration (unless the options say no). */
int rig_pool_core(struct rig *rig, struct sl_agent_config *config, struct sl_error *err);
void rig_pool_obey(struct rig *rig, struct sl_agent_cmd *cmd);
/* A new job; clean: the older ones are worthless. */
void rig_pool_job(struct rig *rig, int number, bool clean);
void rig_pool_job_of(struct rig *rig, uint32_t pool, int number, bool clean);
void rig_pool_cut(struct rig *rig);
void rig_pool_cut_of(struct rig *rig, uint32_t pool);

#endif
