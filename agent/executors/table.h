/* SPDX-License-Identifier: Apache-2.0
 * The executors of an OpenCL device as a device takes them (agent/device/cl_device.h). */
#ifndef SLUICE_AGENT_EXECUTORS_TABLE_H
#define SLUICE_AGENT_EXECUTORS_TABLE_H

#include "agent/device/cl_device.h"

struct sl_model_set;

struct sl_executor_factory sl_idle_factory(void);
struct sl_executor_factory sl_hash_factory(void);
/* In table_infer.c, so that a program without inference links without the models. The set must
 * outlive the devices. */
struct sl_executor_factory sl_infer_factory(const struct sl_model_set *models);

#endif
