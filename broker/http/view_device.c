/* SPDX-License-Identifier: Apache-2.0
 * One device: what it is, what it does, what it would earn, and the rule that put it there. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/http/views.h"
#include "proto/base/text.h"

static const char *override_name(enum sl_override_kind kind) {
    switch (kind) {
    case SL_OVERRIDE_DRAIN:
        return "drain";
    case SL_OVERRIDE_PIN:
        return "pin";
    case SL_OVERRIDE_STOP:
        return "stop";
    case SL_OVERRIDE_NONE:
    case SL_OVERRIDE_CLEAR:
    default:
        return NULL;
    }
}

static void write_watts(struct sl_json *json, const struct sl_msg_device *report) {
    sl_json_open(json, "watts", '{');
    for (int mode = SL_MODE_IDLE; mode < SL_MODE_COUNT; mode++) {
        const struct sl_watts *watts = &report->watts[mode];
        sl_json_open(json, sl_mode_name((enum sl_mode)mode), '{');
        if (watts->source == SL_SOURCE_UNKNOWN) {
            sl_json_null(json, "watts");
        } else {
            sl_json_decimal(json, "watts", (uint64_t)watts->mw, 3);
        }
        sl_json_text(json, "source", sl_source_name(watts->source));
        sl_json_close(json, '}');
    }
    sl_json_close(json, '}');
}

void sl_view_lengths(struct sl_json *json, const uint64_t *rates_milli) {
    sl_json_open(json, "tokens_per_s_by_length", '{');
    for (uint32_t k = 0; k < SL_LENGTHS; k++) {
        char most[16] = "longer";
        if (sl_length_most(k) > 0) {
            snprintf(most, sizeof most, "%u", sl_length_most(k));
        }
        if (rates_milli[k] > 0) {
            sl_json_decimal(json, most, rates_milli[k], 3);
        }
    }
    sl_json_close(json, '}');
}

static void write_models(struct sl_json *json, const struct sl_msg_device *report) {
    sl_json_open(json, "models", '[');
    for (uint32_t i = 0; i < report->model_count; i++) {
        const struct sl_msg_model *model = &report->models[i];
        sl_json_open(json, NULL, '{');
        sl_json_text(json, "id", model->id);
        sl_json_decimal(json, "tokens_per_s", model->tokens_per_s_milli, 3);
        sl_view_lengths(json, model->length_rates_milli);
        sl_json_uint(json, "max_tokens", model->max_tokens);
        sl_json_bool(json, "truncate", model->truncate);
        sl_json_close(json, '}');
    }
    sl_json_close(json, ']');
}

static void write_times(struct sl_json *json, const struct sl_msg_device *report) {
    sl_json_open(json, "busy_ms", '{');
    for (int mode = SL_MODE_IDLE; mode < SL_MODE_COUNT; mode++) {
        sl_json_uint(json, sl_mode_name((enum sl_mode)mode), report->busy_ms[mode]);
    }
    sl_json_close(json, '}');
    sl_json_uint(json, "idle_gap_us", report->idle_gap_us);
    sl_json_open(json, "switch_us", '{');
    for (int from = SL_MODE_IDLE; from < SL_MODE_COUNT; from++) {
        for (int to = SL_MODE_IDLE; to < SL_MODE_COUNT; to++) {
            char key[32];
            snprintf(key, sizeof key, "%s_%s", sl_mode_name((enum sl_mode)from),
                     sl_mode_name((enum sl_mode)to));
            if (from == to) {
                continue;
            }
            if (report->switch_us[from][to] == 0) {
                sl_json_null(json, key);
            } else {
                sl_json_uint(json, key, report->switch_us[from][to]);
            }
        }
    }
    sl_json_close(json, '}');
    sl_json_uint(json, "stop_us_p50", report->stop_us_p50);
    sl_json_uint(json, "stop_us_max", report->stop_us_max);
}

static void write_offer(struct sl_json *json, const char *key, const struct sl_view_offer *offer) {
    sl_json_open(json, key, '{');
    sl_json_bool(json, "known", offer->known);
    sl_json_name(json, "missing", offer->missing);
    if (offer->known) {
        sl_json_usd(json, "gross_usd_per_hour", offer->gross_nusd_per_hour);
        sl_json_usd(json, "net_usd_per_hour", offer->net_nusd_per_hour);
    } else {
        sl_json_null(json, "gross_usd_per_hour");
        sl_json_null(json, "net_usd_per_hour");
    }
    if (offer->power_known) {
        sl_json_usd(json, "power_usd_per_hour", offer->power_nusd_per_hour);
    } else {
        sl_json_null(json, "power_usd_per_hour");
    }
    sl_json_text(json, "power_source", sl_source_name(offer->power_source));
    sl_json_usd(json, "switch_usd", offer->switch_nusd);
    sl_json_close(json, '}');
}

/* Of a device that has not reported since the broker started nothing is known. */
static const char *mode_or_null(enum sl_mode mode) {
    return mode > SL_MODE_INVALID && mode < SL_MODE_COUNT ? sl_mode_name(mode) : NULL;
}

static void write_decision(struct sl_json *json, const struct sl_view_device *device) {
    sl_json_text(json, "wanted", mode_or_null(device->wanted));
    sl_json_uint(json, "epoch", device->epoch);
    sl_json_name(json, "batch", device->batch);
    if (device->batch[0] != '\0') {
        sl_json_usd(json, "price_usd_per_mtok", device->price_nusd_per_mtok);
    } else {
        sl_json_null(json, "price_usd_per_mtok");
    }
    sl_json_int(json, "since_ms", device->since_ms);
    sl_json_int(json, "ttl_left_ms", device->ttl_left_ms);
    sl_json_text(json, "override", override_name(device->override_));
    sl_json_text(json, "pinned",
                 device->override_ == SL_OVERRIDE_PIN ? sl_mode_name(device->pinned) : NULL);
    sl_json_name(json, "rule", device->rule);
    sl_json_name(json, "why", device->why);
    sl_json_time(json, "decided", device->decided);
    sl_json_open(json, "offers", '{');
    for (int mode = SL_MODE_IDLE; mode < SL_MODE_COUNT; mode++) {
        write_offer(json, sl_mode_name((enum sl_mode)mode), &device->offers[mode]);
    }
    sl_json_close(json, '}');
    sl_json_name(json, "best_batch", device->best_batch);
}

void sl_view_device_json(struct sl_json *json, const struct sl_view_device *device) {
    const struct sl_msg_device *report = &device->report;
    sl_json_open(json, NULL, '{');
    sl_json_text(json, "key", report->key);
    sl_json_text(json, "node", device->node);
    sl_json_text(json, "name", report->name);
    sl_json_text(json, "driver", report->driver);
    sl_json_bool(json, "is_cpu", report->is_cpu);
    sl_json_uint(json, "compute_units", report->compute_units);
    sl_json_uint(json, "memory_bytes", report->memory_bytes);
    sl_json_name(json, "trouble", report->health);
    sl_json_name(json, "note", report->note);
    sl_json_text(json, "state", device->state);
    sl_json_text(json, "mode", mode_or_null(report->mode));
    sl_json_bool(json, "safe_mode", report->safe);
    write_decision(json, device);
    sl_json_name(json, "pool", report->pool);
    sl_json_uint(json, "hashrate_hs", report->hash_rate_hs);
    sl_json_uint(json, "hashes_total", report->hashes_total);
    sl_json_text(json, "claims_doubt", device->health.doubt);
    sl_json_uint(json, "tokens_total", report->tokens_total);
    sl_json_uint(json, "lines_total", report->lines_total);
    sl_json_uint(json, "units_held", report->units_held);
    sl_json_uint(json, "lines_held", report->lines_held);
    write_models(json, report);
    write_watts(json, report);
    write_times(json, report);
    sl_view_health_json(json, &device->health);
    sl_view_telemetry_json(json, report);
    sl_json_close(json, '}');
}

int sl_view_device_by_key_json(struct sl_json *json, const struct sl_broker_core *core,
                               struct sl_now now, const char *key) {
    struct sl_view_device device;
    if (!sl_view_device_get(core, now, sl_view_device_find(core, key), &device)) {
        return -SL_NOTFOUND;
    }
    sl_view_device_json(json, &device);
    return SL_OK;
}

/* ---- pages: a site may have 100,000 devices, and the loop has other work too ---- */

const char *sl_view_page_key(const char *arg) {
    const char *space = strchr(arg, ' ');
    return space ? space + 1 : arg;
}

int sl_view_page_parse(const struct sl_broker_core *core, const char *arg,
                       struct sl_view_page *ret_page) {
    char after[SL_MSG_KEY_MAX] = "";
    const char *key = sl_view_page_key(arg);
    const char *line = strchr(arg, '\n');
    size_t n = line && line >= key ? (size_t)(line - key) : strlen(key);
    struct sl_view_page page = {.limit = (uint32_t)strtoul(arg, NULL, 10), .first = 0};
    if (n >= sizeof after) {
        return -SL_NOTFOUND;
    }
    page.limit = page.limit > 0 ? page.limit : UINT32_MAX;
    memcpy(after, key, n);
    page.of_node = line && line[1] != '\0';
    if (page.of_node) {
        page.first = sl_view_node_first(core, line + 1);
    }
    if (after[0] != '\0') {
        uint32_t last = sl_view_device_find(core, after);
        if (last == UINT32_MAX) {
            return -SL_NOTFOUND;
        }
        page.first = page.of_node ? sl_view_node_next(core, last) : last + 1;
    }
    *ret_page = page;
    return SL_OK;
}

void sl_view_page_json(struct sl_json *json, const struct sl_broker_core *core, const char *next) {
    sl_json_uint(json, "total", sl_view_device_count(core));
    sl_json_text(json, "next", next);
}

int sl_view_devices_json(struct sl_json *json, const struct sl_broker_core *core, struct sl_now now,
                         const char *arg) {
    struct sl_view_device device;
    struct sl_view_page page;
    char last[SL_MSG_KEY_MAX] = "";
    int rc = sl_view_page_parse(core, arg, &page);
    if (rc) {
        return rc;
    }
    sl_json_open(json, NULL, '{');
    sl_json_open(json, "devices", '[');
    uint32_t at = page.first;
    for (; page.limit > 0 && sl_view_device_get(core, now, at, &device); page.limit--) {
        sl_view_device_json(json, &device);
        sl_text_copy(last, sizeof last, device.report.key);
        at = page.of_node ? sl_view_node_next(core, at) : at + 1;
    }
    sl_json_close(json, ']');
    sl_view_page_json(json, core, at < sl_view_device_count(core) ? last : NULL);
    sl_json_close(json, '}');
    return SL_OK;
}
