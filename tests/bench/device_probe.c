/* SPDX-License-Identifier: Apache-2.0
 * What the agent finds out about each OpenCL device before it offers it.
 *
 *   device_probe [--split N] [--cache DIR] [--all-ways] [--no-stop-word] [--gpu-kernels] [--json]
 *
 * For every device: identity, stop method and its latencies (--all-ways: of every way that works),
 * the shape of the hash kernel, the self-test, hash rate, switching costs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/device/cl_device.h"
#include "agent/device/cl_open.h"
#include "agent/device/discover_internal.h"
#include "agent/device/stop.h"
#include "agent/executors/hash_internal.h"
#include "agent/executors/model_set.h"
#include "agent/executors/table.h"

struct options {
    uint32_t split;
    bool all_ways;
    bool no_stop_word;
    bool gpu_kernels;
    bool json;
    const char *cache;
    const char *model;
    const struct sl_model_set *models; /* NULL: no inference */
};

struct way {
    enum sl_stop_method method;
    uint32_t us_p50;
    uint32_t us_max;
    bool works;
};

struct result {
    struct way ways[3];
    struct sl_hash_shape best;
    int64_t prepare_ms;
    bool offered;
    char why[SL_ERROR_TEXT_MAX];
    struct sl_device_report report;
};

static void try_ways(const struct sl_discovered *found, const struct options *o,
                     struct result *result) {
    static const enum sl_stop_method methods[] = {SL_STOP_SVM, SL_STOP_MAPPED, SL_STOP_QUEUE};
    struct sl_cl cl;
    const struct sl_cl_spec spec = {.platform = found->platform,
                                    .device = found->device,
                                    .cache_dir = o->cache,
                                    .force_gpu_kernels = o->gpu_kernels,
                                    .force_no_stop_word = true};
    if (sl_cl_open(&cl, &spec, NULL) != SL_OK) {
        return; /* the device's own report says why */
    }
    struct sl_hash_choice choice;
    if (sl_hash_choose(&cl, &choice, NULL) == SL_OK) {
        result->best = choice.shapes[choice.count - 1];
    }
    for (size_t i = 0; o->all_ways && i < sizeof methods / sizeof methods[0]; i++) {
        struct way *way = &result->ways[i];
        way->method = methods[i];
        sl_stop_close(&cl);
        if (sl_stop_open_method(&cl, methods[i], NULL) == SL_OK) {
            way->works = true;
            way->us_p50 = cl.stop_us_p50;
            way->us_max = cl.stop_us_max;
        }
    }
    sl_cl_close(&cl);
}

static int offer(const struct sl_discovery *found, uint32_t i, const struct options *o,
                 struct result *result) {
    struct sl_error err = {0};
    struct sl_mailbox *events = NULL;
    struct sl_device *device = NULL;
    struct sl_device_event event;
    struct sl_cl_device_config config = {.factory_count = 2,
                                         .force_gpu_kernels = o->gpu_kernels,
                                         .force_no_stop_word = o->no_stop_word};
    config.factories[0] = sl_idle_factory();
    config.factories[1] = sl_hash_factory();
    if (o->models) {
        config.factories[config.factory_count++] = sl_infer_factory(o->models);
    }
    int64_t begin = sl_clock_mono().ns;
    int rc = sl_mailbox_create(sizeof event, 64, &events, &err);
    rc = rc == SL_OK ? sl_cl_device_create(found, i, &config, i, events, &device, &err) : rc;
    if (rc == SL_OK) {
        rc = sl_mailbox_take_wait(events, -1, &event);
    }
    result->prepare_ms = (sl_clock_mono().ns - begin) / SL_NS_PER_MS;
    if (rc == SL_OK && event.kind == SL_DEVEV_READY) {
        result->offered = true;
        result->report = *event.report;
    }
    if (rc == SL_OK) {
        snprintf(result->why, sizeof result->why, "%s",
                 event.kind == SL_DEVEV_FAILED ? event.text : "");
        sl_device_event_fini(&event);
    } else {
        snprintf(result->why, sizeof result->why, "%s", err.text);
    }
    sl_device_destroy(device);
    while (events && sl_mailbox_take(events, &event)) {
        sl_device_event_fini(&event);
    }
    sl_mailbox_destroy(events);
    return rc;
}

static void print_text(const struct sl_device_info *info, const struct result *r) {
    const struct sl_device_stats *s = &r->report.stats;
    printf("%s\n  %s, %s, driver %s, %u compute units, %llu MiB\n", info->key, info->name,
           info->platform, info->driver, info->compute_units,
           (unsigned long long)(info->memory_bytes >> 20));
    printf(
        "  hash kernel: vectors of %u, work-groups of %u, %u rounds, %u headers at once, logic %d, "
        "rotate %d, flow %d\n",
        r->best.width, r->best.local, r->best.rounds, r->best.mids, (int)r->best.logic,
        (int)r->best.rotate, (int)r->best.flow);
    for (size_t i = 0; i < 3; i++) {
        if (r->ways[i].method != SL_STOP_UNKNOWN) {
            printf("  stop by %s: ", sl_stop_method_name(r->ways[i].method));
            printf(r->ways[i].works ? "p50 %u us, max %u us\n" : "not seen by running kernels\n",
                   r->ways[i].us_p50, r->ways[i].us_max);
        }
    }
    if (!r->offered) {
        printf("  NOT OFFERED: %s\n", r->why);
        return;
    }
    printf("  self-test passed; ready after %lld ms\n", (long long)r->prepare_ms);
    printf("  stop method %s: p50 %u us, max %u us\n", sl_stop_method_name(s->stop_method),
           s->stop_us_p50, s->stop_us_max);
    printf("  %.2f MH/s\n", (double)s->hash_rate_hs / 1e6);
    for (uint32_t i = 0; i < s->model_count; i++) {
        printf("  %s: %.0f tokens/s\n", s->models[i].id,
               (double)s->models[i].tokens_per_s_milli / 1e3);
    }
    for (int from = SL_MODE_IDLE; from < SL_MODE_COUNT; from++) {
        for (int to = SL_MODE_IDLE; to < SL_MODE_COUNT; to++) {
            if (s->switch_us[from][to]) {
                printf("  switch %s to %s: %llu us\n", sl_mode_name(from), sl_mode_name(to),
                       (unsigned long long)s->switch_us[from][to]);
            }
        }
    }
}

static void print_json(const struct sl_device_info *info, const struct result *r, bool more) {
    const struct sl_device_stats *s = &r->report.stats;
    printf("%s{\"key\":\"%s\",\"name\":\"%s\",\"driver\":\"%s\",\"offered\":%s,\"prepare_ms\":%lld,"
           "\"width\":%u,\"local\":%u,\"rounds\":%u,\"stop_method\":\"%s\",\"stop_us_p50\":%u,"
           "\"stop_us_max\":%u,\"hash_rate_hs\":%llu,\"ways\":[",
           more ? "," : "", info->key, info->name, info->driver, r->offered ? "true" : "false",
           (long long)r->prepare_ms, r->best.width, r->best.local, r->best.rounds,
           sl_stop_method_name(s->stop_method), s->stop_us_p50, s->stop_us_max,
           (unsigned long long)s->hash_rate_hs);
    bool first = true;
    for (size_t i = 0; i < 3; i++) {
        if (r->ways[i].works) {
            printf("%s{\"method\":\"%s\",\"us_p50\":%u,\"us_max\":%u}", first ? "" : ",",
                   sl_stop_method_name(r->ways[i].method), r->ways[i].us_p50, r->ways[i].us_max);
            first = false;
        }
    }
    printf("],\"models\":{");
    for (uint32_t i = 0; i < s->model_count; i++) {
        printf("%s\"%s\":%.1f", i ? "," : "", s->models[i].id,
               (double)s->models[i].tokens_per_s_milli / 1e3);
    }
    printf("},\"switch_us\":{");
    first = true;
    for (int from = SL_MODE_IDLE; from < SL_MODE_COUNT; from++) {
        for (int to = SL_MODE_IDLE; to < SL_MODE_COUNT; to++) {
            if (s->switch_us[from][to]) {
                printf("%s\"%s-%s\":%llu", first ? "" : ",", sl_mode_name(from), sl_mode_name(to),
                       (unsigned long long)s->switch_us[from][to]);
                first = false;
            }
        }
    }
    printf("}}");
}

static bool read_options(int argc, char **argv, struct options *o) {
    memset(o, 0, sizeof *o);
    for (int i = 1; i < argc; i++) {
        bool more = i + 1 < argc;
        if (strcmp(argv[i], "--json") == 0) {
            o->json = true;
        } else if (strcmp(argv[i], "--all-ways") == 0) {
            o->all_ways = true;
        } else if (strcmp(argv[i], "--no-stop-word") == 0) {
            o->no_stop_word = true;
        } else if (strcmp(argv[i], "--gpu-kernels") == 0) {
            o->gpu_kernels = true;
        } else if (more && strcmp(argv[i], "--split") == 0) {
            o->split = (uint32_t)strtoul(argv[++i], NULL, 10);
        } else if (more && strcmp(argv[i], "--cache") == 0) {
            o->cache = argv[++i];
        } else if (more && strcmp(argv[i], "--model") == 0) {
            o->model = argv[++i];
        } else {
            return false;
        }
    }
    return true;
}

int main(int argc, char **argv) {
    struct options options;
    struct sl_error err = {0};
    struct sl_discovery *found = NULL;
    int rc = 0;
    if (!read_options(argc, argv, &options)) {
        fprintf(stderr, "usage: device_probe [--split N] [--cache DIR] [--model GGUF] [--all-ways] "
                        "[--no-stop-word] [--gpu-kernels] [--json]\n");
        return 2;
    }
    struct sl_model_set *models = NULL;
    struct sl_model_config model = {.id = "model"};
    if (options.model) {
        snprintf(model.path, sizeof model.path, "%s", options.model);
        if (sl_model_set_load(&model, 1, &models, &err) != SL_OK) {
            fprintf(stderr, "device_probe: %s\n", err.text);
            return 1;
        }
        options.models = models;
    }
    const struct sl_discover_config config = {.node = "probe",
                                              .cache_dir = options.cache,
                                              .cpu = SL_CPU_USE_ALWAYS,
                                              .gpus = true,
                                              .split_cpu = options.split};
    if (sl_discover(&config, &found, &err) != SL_OK) {
        fprintf(stderr, "device_probe: %s\n", err.text);
        return 1;
    }
    printf("%s", options.json ? "[" : "");
    for (uint32_t i = 0; i < sl_discovery_count(found); i++) {
        struct result result = {0};
        try_ways(&found->devices[i], &options, &result);
        offer(found, i, &options, &result);
        if (options.json) {
            print_json(sl_discovery_info(found, i), &result, i > 0);
        } else {
            print_text(sl_discovery_info(found, i), &result);
        }
        rc = result.offered ? rc : 1;
    }
    printf("%s", options.json ? "]\n" : "");
    sl_discovery_destroy(found);
    sl_model_set_destroy(models);
    return rc;
}
