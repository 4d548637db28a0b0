/* SPDX-License-Identifier: Apache-2.0
 * The absolute state of all devices and of the pools, for hello and report. */
#include <string.h>

#include "agent/core/core_internal.h"

static struct sl_watts watts(const struct agent_device *device, int mode) {
    struct sl_watts measured = device->stats.watts[mode];
    if (measured.source != SL_SOURCE_MEASURED &&
        device->sensed.watts[mode].source == SL_SOURCE_MEASURED) {
        return device->sensed.watts[mode]; /* the sensors of the whole board */
    }
    if (measured.source == SL_SOURCE_UNKNOWN && device->rated_mw[mode] >= 0) {
        return (struct sl_watts){SL_SOURCE_RATED, device->rated_mw[mode]};
    }
    return measured;
}

static void fill_figures(const struct agent_device *device, struct sl_msg_device *out) {
    const struct sl_device_stats *stats = &device->stats;
    out->hash_rate_hs = stats->hash_rate_hs;
    out->hashes_total = stats->hashes_total;
    out->tokens_total = stats->tokens_total;
    out->lines_total = stats->lines_total;
    out->idle_gap_us = stats->idle_gap_ns / 1000;
    out->stop_us_p50 = stats->stop_us_p50;
    out->stop_us_max = stats->stop_us_max;
    out->stop_method = (uint32_t)stats->stop_method;
    for (int mode = 1; mode < SL_MODE_COUNT; mode++) {
        out->busy_ms[mode] = stats->busy_ns[mode] / 1000000;
        out->watts[mode] = watts(device, mode);
        for (int to = 1; to < SL_MODE_COUNT; to++) {
            out->switch_us[mode][to] = stats->switch_us[mode][to];
        }
    }
}

static void fill_models(const struct sl_agent_core *core, const struct agent_device *device,
                        struct sl_msg_device *out) {
    for (uint32_t i = 0; i < device->stats.model_count && i < SL_MSG_MODELS_MAX; i++) {
        const struct sl_device_model *model = &device->stats.models[i];
        struct sl_msg_model *to = &out->models[out->model_count++];
        sl_text_copy(to->id, sizeof to->id, model->id);
        to->tokens_per_s_milli = model->tokens_per_s_milli;
        to->max_tokens = model->max_tokens;
        memcpy(to->length_rates_milli, model->length_rates_milli, sizeof to->length_rates_milli);
        for (uint32_t j = 0; j < core->config.model_count; j++) {
            if (strcmp(core->models[j].id, model->id) == 0) {
                to->truncate = core->models[j].truncate;
                memcpy(to->sha256, core->models[j].sha256, sizeof to->sha256);
            }
        }
    }
}

static void fill_device(const struct sl_agent_core *core, const struct agent_device *device,
                        struct sl_msg_device *out) {
    memset(out, 0, sizeof *out);
    sl_text_copy(out->key, sizeof out->key, device->info.key);
    sl_text_copy(out->name, sizeof out->name, device->info.name);
    sl_text_copy(out->driver, sizeof out->driver, device->info.driver);
    sl_text_copy(out->health, sizeof out->health, device->health);
    sl_text_copy(out->note, sizeof out->note, core->config.note);
    out->is_cpu = device->info.is_cpu;
    out->compute_units = device->info.compute_units;
    out->memory_bytes = device->info.memory_bytes;
    out->epoch_max = device->epoch_durable;
    out->epoch = device->leased ? device->epoch : 0;
    out->mode = device->mode == SL_MODE_INVALID ? SL_MODE_IDLE : device->mode;
    out->safe = !device->leased;
    out->units_held = device->unit_count;
    out->lines_held = agent_units_open_lines(device);
    sl_pci_text(&device->info.place.pci, out->pci);
    sl_text_copy(out->uuid, sizeof out->uuid, device->info.place.uuid);
    sl_text_copy(out->locality, sizeof out->locality, device->info.place.locality);
    if (device->pool_posted) {
        sl_text_copy(out->pool, sizeof out->pool, core->pools[device->pool_posted - 1].name);
    }
    agent_health_fill(device, &out->telemetry);
    fill_figures(device, out);
    fill_models(core, device, out);
}

void agent_report_fill(struct sl_agent_core *core) {
    for (uint32_t i = 0; i < core->config.device_count; i++) {
        fill_device(core, &core->devices[i], &core->inventory[i]);
    }
}

void agent_report_send(struct sl_agent_core *core, struct sl_now now) {
    agent_report_fill(core);
    struct sl_msg msg = {.kind = SL_MSG_REPORT};
    struct sl_msg_report *report = &msg.report;
    report->device_count = core->config.device_count;
    report->devices = core->inventory;
    report->results_spooled = core->results.count;
    report->shares_spooled = core->shares.open.count + core->shares.settled.count;
    agent_pools_report(core, now, report);
    agent_send(core, &msg);
}
