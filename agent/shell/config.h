/* SPDX-License-Identifier: Apache-2.0
 * The agent's configuration file: one schema table (config.c), one plain struct. */
#ifndef SLUICE_AGENT_SHELL_CONFIG_H
#define SLUICE_AGENT_SHELL_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/base/mode.h"
#include "proto/conf/conf.h"

#define SL_AGENT_CONFIG_MODELS_MAX 16

struct sl_agent_model_option {
    char id[64];
    char path[256];
    int64_t max_tokens; /* 0: what the model takes */
    bool truncate;
    char sha256[65]; /* empty: any file will do */
};

struct sl_agent_options {
    char node[64];
    char data_dir[256];
    int64_t log_level; /* enum sl_log_level - 1 */
    char broker_endpoint[128];
    char broker_key[64];
    char key_file[256];
    char pool_url[256]; /* empty: no pool */
    char pool_user[256];
    char pool_password[256];
    char pool_password_file[256];
    bool pool_extranonce_subscribe;
    bool pool_version_rolling;
    int64_t cpu; /* 0 auto, 1 always, 2 never */
    bool gpu;
    int64_t split_cpu;
    int64_t rated_mw[SL_MODE_COUNT]; /* negative: not rated; slot 0 stays unused */
    struct sl_agent_model_option models[SL_AGENT_CONFIG_MODELS_MAX];
    uint32_t model_count;
    int64_t safe_mode; /* 0 idle, 1 hash */
    int64_t safe_mode_max_ms;
    int64_t launch_ms;
    int64_t stop_word; /* 0 auto, 1 off */
    bool step_times;
    char sysfs_root[256];
    char nvml_library[256]; /* empty: not opened */
    int64_t telemetry_ms, telemetry_stale_ms, canary_ms;
    char cache_dir[256]; /* empty: DATA_DIR/kernels */
};

extern const struct sl_conf_option sl_agent_schema[];

/* Reads and checks; texts name file and line where there is one. */
int sl_agent_options_read(const char *path, struct sl_agent_options *ret_options,
                          struct sl_error *err);

struct sl_stratum_config;
/* What the pool client needs; reads the password file. Only where a pool is configured. */
int sl_agent_options_pool(const struct sl_agent_options *options,
                          struct sl_stratum_config *ret_pool, struct sl_error *err);

#endif
