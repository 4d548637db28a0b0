/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>

#include "agent/device/cl_device.h"
#include "agent/device/fake_device.h"
#include "agent/executors/table.h"
#include "agent/shell/agent.h"
#include "agent/shell/config_pools.h"
#include "proto/base/log.h"
#include "proto/base/text.h"

/* Fake devices: slow enough that searching real shares on the loop costs next to nothing. */
#define FAKE_HASH_RATE 25000
#define FAKE_CANDIDATE_US 200000
#define FAKE_SEARCH 5000
#define FAKE_TOKENS_PER_S_MILLI 20000000
#define FAKE_DIM 384

/* A driver that compiles into a full disk may end the whole process without a word (PoCL does). */
#define COMPILE_ROOM_BYTES ((uint64_t)8 << 20)

/* The index-th of "PCI/UUID,...": a fake device that looks like this GPU. */
static bool fake_gpu(const char *list, uint32_t index, const char *node,
                     struct sl_device_info *info) {
    char pci[SL_PCI_TEXT_MAX];
    for (; list && index > 0; index--) {
        list = strchr(list, ',');
        list += list != NULL;
    }
    size_t n = list ? strcspn(list, "/,") : 0;
    if (n == 0 || n >= sizeof pci) {
        return false;
    }
    memcpy(pci, list, n);
    pci[n] = '\0';
    if (!sl_pci_parse(pci, &info->place.pci)) {
        return false;
    }
    if (list[n] == '/') {
        size_t hex = strcspn(list + n + 1, ",");
        hex = hex < sizeof info->place.uuid ? hex : sizeof info->place.uuid - 1;
        memcpy(info->place.uuid, list + n + 1, hex);
        info->place.uuid[hex] = '\0';
    }
    sl_pci_key(&info->place, node, info->key, sizeof info->key);
    return true;
}

static void fake_script(const struct sl_agent *agent, uint32_t index,
                        struct sl_fake_script *ret_script) {
    *ret_script = (struct sl_fake_script){
        .hash_rate_hs = FAKE_HASH_RATE,
        .dim = FAKE_DIM,
        .ready_us = 100000,
        .halt_us = 200,
        .start_us = 100,
        .launch_us = 1000,
        .candidate_every_us = FAKE_CANDIDATE_US,
        .candidate_search = FAKE_SEARCH,
    };
    struct sl_device_info *info = &ret_script->info;
    snprintf(info->key, sizeof info->key, "%.60s/fake/%u", agent->options.node, index);
    sl_text_copy(info->name, sizeof info->name, "fake device (tests only)");
    sl_text_copy(info->driver, sizeof info->driver, SLUICE_VERSION);
    info->is_cpu = !fake_gpu(agent->fake_gpus, index, agent->options.node, info);
    info->compute_units = 1;
    for (size_t i = 0; i < sl_model_set_count(agent->models); i++) {
        const struct sl_model *model = sl_model_set_at(agent->models, i);
        struct sl_device_model *to = &ret_script->models[ret_script->model_count++];
        sl_text_copy(to->id, sizeof to->id, model->id);
        to->max_tokens = model->max_tokens;
        to->tokens_per_s_milli = FAKE_TOKENS_PER_S_MILLI;
    }
}

static int check_room(const char *cache, const char *data_dir, struct sl_error *err) {
    struct statvfs disk;
    /* The folder of the cache is made later. */
    if (statvfs(cache, &disk) != 0 && statvfs(data_dir, &disk) != 0) {
        return SL_OK;
    }
    uint64_t left = (uint64_t)disk.f_bavail * disk.f_frsize;
    if (left < COMPILE_ROOM_BYTES) {
        return sl_fail(err, SL_IO,
                       "the disk is full: %llu KiB are left for the devices' compiled programs in "
                       "%s, at least %llu are needed: make room and start again",
                       (unsigned long long)(left / 1024), cache,
                       (unsigned long long)(COMPILE_ROOM_BYTES / 1024));
    }
    return SL_OK;
}

static int discover(struct sl_agent *agent, struct sl_error *err) {
    static const enum sl_cpu_use cpu_use[] = {SL_CPU_USE_AUTO, SL_CPU_USE_ALWAYS, SL_CPU_USE_NEVER};
    char cache[300];
    const struct sl_agent_options *options = &agent->options;
    if (options->cache_dir[0]) {
        snprintf(cache, sizeof cache, "%s", options->cache_dir);
    } else {
        snprintf(cache, sizeof cache, "%s/kernels", options->data_dir);
    }
    int rc = check_room(cache, options->data_dir, err);
    if (rc) {
        return rc;
    }
    struct sl_discover_config config = {
        .node = options->node,
        .cache_dir = cache,
        .cpu = cpu_use[options->cpu],
        .gpus = options->gpu,
        .split_cpu = (uint32_t)options->split_cpu,
        .sysfs_root = options->sysfs_root,
    };
    return sl_discover(&config, &agent->discovery, err);
}

int sl_agent_find_devices(struct sl_agent *agent, struct sl_agent_device_config *ret_devices,
                          struct sl_error *err) {
    if (agent->fake_devices) {
        agent->device_count = agent->fake_devices;
    } else {
        int rc = discover(agent, err);
        if (rc) {
            return rc;
        }
        agent->device_count = sl_discovery_count(agent->discovery);
    }
    if (agent->device_count > SL_AGENT_DEVICES_MAX) {
        return sl_fail(err, SL_LIMIT, "%u devices are found, at most %d are possible",
                       agent->device_count, SL_AGENT_DEVICES_MAX);
    }
    for (uint32_t i = 0; i < agent->device_count; i++) {
        if (agent->fake_devices) {
            struct sl_fake_script script;
            fake_script(agent, i, &script);
            ret_devices[i].info = script.info;
        } else {
            ret_devices[i].info = *sl_discovery_info(agent->discovery, i);
        }
        memcpy(ret_devices[i].rated_mw, agent->options.rated_mw, sizeof ret_devices[i].rated_mw);
        sl_log(SL_LOG_INFO, "device.found", "device=%s name=\"%s\" compute_units=%u",
               ret_devices[i].info.key, ret_devices[i].info.name,
               ret_devices[i].info.compute_units);
    }
    return SL_OK;
}

static void cl_config(const struct sl_agent *agent, struct sl_cl_device_config *ret_config) {
    const struct sl_agent_options *options = &agent->options;
    *ret_config = (struct sl_cl_device_config){
        .factories = {sl_idle_factory()},
        .factory_count = 1,
        .launch_ms = (uint32_t)options->launch_ms,
        .force_no_stop_word = options->stop_word == 1,
        .tune_again = agent->tune_again,
        .sysfs_root = options->sysfs_root,
    };
    if (sl_agent_pool_count(options) > 0) {
        ret_config->factories[ret_config->factory_count++] = sl_hash_factory();
    }
    if (sl_model_set_count(agent->models) > 0) {
        ret_config->factories[ret_config->factory_count++] = sl_infer_factory(agent->models);
    }
    for (int mode = 1; mode < SL_MODE_COUNT; mode++) {
        ret_config->rated_mw[mode] = options->rated_mw[mode] > 0 ? options->rated_mw[mode] : 0;
    }
}

int sl_agent_create_devices(struct sl_agent *agent, struct sl_error *err) {
    struct sl_cl_device_config config;
    cl_config(agent, &config);
    for (uint32_t i = 0; i < agent->device_count; i++) {
        int rc;
        if (agent->fake_devices) {
            struct sl_fake_script script;
            fake_script(agent, i, &script);
            rc = sl_fake_device_create(&script, i, agent->events, sl_clock_mono(),
                                       &agent->devices[i], err);
        } else {
            rc = sl_cl_device_create(agent->discovery, i, &config, i, agent->events,
                                     &agent->devices[i], err);
        }
        if (rc) {
            return rc;
        }
    }
    return SL_OK;
}

void sl_agent_fake_advance(struct sl_agent *agent) {
    struct sl_mono now = sl_clock_mono();
    for (uint32_t i = 0; i < agent->fake_devices; i++) {
        sl_fake_device_advance(agent->devices[i], now);
    }
}

int64_t sl_agent_fake_next_ns(const struct sl_agent *agent) {
    int64_t next = INT64_MAX;
    for (uint32_t i = 0; i < agent->fake_devices; i++) {
        int64_t at = sl_fake_device_next_ns(agent->devices[i]);
        next = at < next ? at : next;
    }
    return next;
}
