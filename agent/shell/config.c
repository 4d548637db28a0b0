/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/shell/config.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "agent/shell/config_pools.h"
#include "proto/link/link.h"

#define FIELD(type, member) .offset = offsetof(type, member), .size = sizeof(((type *)0)->member)
#define AGENT(member) FIELD(struct sl_agent_options, member)
#define AGENT_POOL(member) AGENT(pool.member)
#define MODEL(member) FIELD(struct sl_agent_model_option, member)
#define HOUR_MS INT64_C(3600000)
#define WATTS_MAX_MW INT64_C(100000000)

static const struct sl_conf_option model_schema[] = {
    {"id", SL_CONF_TEXT, MODEL(id), .min = 1, .max = 63,
     .help = "Name under which tenants ask for it."},
    {"path", SL_CONF_TEXT, MODEL(path), .min = 1, .max = 255, .help = "GGUF file."},
    {"max_tokens", SL_CONF_INT, .unit = "tokens", MODEL(max_tokens), .min = 0, .max = 1 << 20,
     .fallback = "0", .help = "Longest input; 0: what the model takes."},
    {"truncate", SL_CONF_BOOL, MODEL(truncate), .fallback = "false",
     .help = "Cut longer input instead of refusing the line."},
    {"sha256", SL_CONF_TEXT, MODEL(sha256), .min = 0, .max = 64, .fallback = "",
     .help = "What `sha256sum FILE` says; with another file it is not offered. Empty: any."},
    {0},
};

#define POOL(member) FIELD(struct sl_agent_pool_option, pool.member)
static const struct sl_conf_option pool_schema[] = {
    {"name", SL_CONF_TEXT, FIELD(struct sl_agent_pool_option, name), .min = 1, .max = 31,
     .help = "By which broker, statistics and ledger know it: letters, digits, '.', '_', '-'."},
    SL_POOL_OPTION_ROWS("", POOL),
    {0},
};

const struct sl_conf_option sl_agent_schema[] = {
    {"node", SL_CONF_TEXT, AGENT(node), .min = 1, .max = 31,
     .help = "Name of this machine: letters, digits, '.', '_', '-'. Part of its CPU devices' "
             "identity, so keep it."},
    {"data_dir", SL_CONF_TEXT, AGENT(data_dir), .min = 1, .max = 200,
     .help = "Journal (epochs, unacknowledged results and shares) and compiled kernels. Created "
             "with mode 0700; on a disk that survives power loss."},
    {"log_level", SL_CONF_CHOICE, AGENT(log_level), .choices = "error|warn|info|debug",
     .fallback = "info", .help = "What goes to the log (stderr)."},
    {"broker.endpoint", SL_CONF_TEXT, AGENT(broker_endpoint), .min = 1, .max = 127,
     .fallback = "tcp://127.0.0.1:7600", .help = "Where the broker listens for agents."},
    {"broker.server_key", SL_CONF_TEXT, AGENT(broker_key), .min = 40, .max = 40,
     .help = "The broker's public key, as `sluice-broker keygen` printed it."},
    {"broker.key_file", SL_CONF_TEXT, AGENT(key_file), .min = 1, .max = 255,
     .help = "This agent's CURVE keys, made by `sluice-agent keygen`."},
    SL_POOL_OPTION_ROWS("pool.", AGENT_POOL),
    {"pools", SL_CONF_LIST, .offset = offsetof(struct sl_agent_options, pools),
     .size = sizeof(struct sl_agent_pool_option), .max = SL_AGENT_CONFIG_POOLS_MAX,
     .item = pool_schema, .count_offset = offsetof(struct sl_agent_options, pool_count),
     .fallback = "[]",
     .help = "Several pools, best first, in place of the section pool; which one a device hashes "
             "for is the broker's choice (pools.use of its policy), else the first that has work."},
    {"devices.cpu", SL_CONF_CHOICE, AGENT(cpu), .choices = "auto|always|never", .fallback = "auto",
     .help = "Use the CPU as a device: only where there is no GPU, always, or never."},
    {"devices.gpu", SL_CONF_BOOL, AGENT(gpu), .fallback = "true",
     .help = "Use GPUs and accelerators."},
    {"devices.split_cpu", SL_CONF_INT, AGENT(split_cpu), .min = 0, .max = 32, .fallback = "0",
     .help = "Split the CPU device into so many; 0 and 1: not."},
    {"devices.rated_watts.idle", SL_CONF_DECIMAL, .unit = "W", AGENT(rated_mw[SL_MODE_IDLE]),
     .digits = 3, .min = -1000, .max = WATTS_MAX_MW, .fallback = "-1",
     .help = "Power of one device where nothing measures it; -1: not known, then its revenue is "
             "shown gross."},
    {"devices.rated_watts.hash", SL_CONF_DECIMAL, .unit = "W", AGENT(rated_mw[SL_MODE_HASH]),
     .digits = 3, .min = -1000, .max = WATTS_MAX_MW, .fallback = "-1", .help = "While hashing."},
    {"devices.rated_watts.infer", SL_CONF_DECIMAL, .unit = "W", AGENT(rated_mw[SL_MODE_INFER]),
     .digits = 3, .min = -1000, .max = WATTS_MAX_MW, .fallback = "-1", .help = "While inferring."},
    {"models", SL_CONF_LIST, .offset = offsetof(struct sl_agent_options, models),
     .size = sizeof(struct sl_agent_model_option), .max = SL_AGENT_CONFIG_MODELS_MAX,
     .item = model_schema, .count_offset = offsetof(struct sl_agent_options, model_count),
     .fallback = "[]", .help = "Models on offer; each stays in memory."},
    {"safe_mode", SL_CONF_CHOICE, AGENT(safe_mode), .choices = "idle|hash", .fallback = "hash",
     .help = "Without a valid directive, until a broker has said otherwise."},
    {"safe_mode_max", SL_CONF_SPAN_MS, AGENT(safe_mode_max_ms), .min = 0, .max = 30 * 24 * HOUR_MS,
     .fallback = "6h", .help = "After so long in safe mode: idle."},
    {"launch", SL_CONF_SPAN_MS, AGENT(launch_ms), .min = 1, .max = 2000, .fallback = "50ms",
     .help = "Longest kernel launch where the stop word works."},
    {"stop_word", SL_CONF_CHOICE, AGENT(stop_word), .choices = "auto|off", .fallback = "auto",
     .help = "off: launches are kept short instead (to compare; slower)."},
    {"step_times", SL_CONF_BOOL, AGENT(step_times), .fallback = "false",
     .help = "Acknowledge also the moment an epoch is stored (benchmarks)."},
    {"sysfs_root", SL_CONF_TEXT, AGENT(sysfs_root), .min = 1, .max = 200, .fallback = "/sys",
     .help = "Where power sensors are read."},
    {"telemetry.nvml", SL_CONF_TEXT, AGENT(nvml_library), .min = 0, .max = 200,
     .fallback = "libnvidia-ml.so.1",
     .help = "NVIDIA's library of sensors, opened where there is a GPU; empty: never."},
    {"telemetry.interval", SL_CONF_SPAN_MS, AGENT(telemetry_ms), .min = 0, .max = 60000,
     .fallback = "1s", .help = "Between two readings of the sensors; 0: none are read."},
    {"telemetry.stale", SL_CONF_SPAN_MS, AGENT(telemetry_stale_ms), .min = 100, .max = 600000,
     .fallback = "5s", .help = "A source that is silent for so long is unknown."},
    {"canary", SL_CONF_SPAN_MS, AGENT(canary_ms), .min = 0, .max = 24 * HOUR_MS, .fallback = "10m",
     .help = "Between two re-tests of a device with known answers; 0: none."},
    {"cache_dir", SL_CONF_TEXT, AGENT(cache_dir), .min = 0, .max = 200, .fallback = "",
     .help = "Compiled kernels; empty: data_dir/kernels."},
    {0},
};

static int check_node(const char *node, struct sl_error *err) {
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789._-";
    if (node[strspn(node, allowed)] != '\0') {
        return sl_fail(err, SL_INVALID,
                       "node '%s': only letters, digits, '.', '_' and '-' are possible", node);
    }
    return SL_OK;
}

static int check_models(const struct sl_agent_options *options, struct sl_error *err) {
    for (uint32_t i = 0; i < options->model_count; i++) {
        for (uint32_t k = 0; k < i; k++) {
            if (strcmp(options->models[i].id, options->models[k].id) == 0) {
                return sl_fail(err, SL_INVALID, "models[%u].id: two models are called '%s'", i,
                               options->models[i].id);
            }
        }
        const char *sha256 = options->models[i].sha256;
        if (sha256[0] && (strlen(sha256) != 64 || strspn(sha256, "0123456789abcdefABCDEF") != 64)) {
            return sl_fail(err, SL_INVALID, "models[%u].sha256 must be 64 hexadecimal digits", i);
        }
    }
    return SL_OK;
}

/* Each text begins with its option: sl_conf_locate. */
static int check(const struct sl_agent_options *options, struct sl_error *err) {
    int rc = check_node(options->node, err);
    if (rc == SL_OK && sl_link_key_check(options->broker_key, err) != SL_OK) {
        rc = sl_wrap(err, "broker.server_key");
    }
    rc = rc ? rc : check_models(options, err);
    rc = rc ? rc : sl_agent_pools_check(options, err);
    if (rc == SL_OK && options->cpu == 2 && !options->gpu) {
        rc = sl_fail(err, SL_INVALID, "devices.cpu and devices.gpu exclude every device");
    }
    return rc;
}

int sl_agent_options_read(const char *path, struct sl_agent_options *ret_options,
                          struct sl_error *err) {
    struct sl_agent_options options;
    int rc = sl_conf_read(path, sl_agent_schema, &options, sizeof options, err);
    if (rc) {
        return rc;
    }
    if (check(&options, err) != SL_OK) {
        return sl_conf_locate(path, err);
    }
    *ret_options = options;
    return SL_OK;
}
