/* SPDX-License-Identifier: Apache-2.0
 * What sensors say of a device and how far it is trusted. What is unknown is null in JSON and left
 * out of metrics. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "broker/http/views.h"

/* Each device has a dozen lines; a scrape of a large site must stay small. */
#define METRIC_DEVICES_MAX 2048

static void write_throttle(struct sl_json *json, const struct sl_msg_telemetry *t) {
    static const char *const names[] = {"power-limit", "thermal", "hardware", "power-brake"};
    if (!sl_telemetry_has(t, SL_FIG_THROTTLE)) {
        sl_json_null(json, "throttled_by");
        return;
    }
    sl_json_open(json, "throttled_by", '[');
    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (t->figures[SL_FIG_THROTTLE] >> i & 1) {
            sl_json_text(json, NULL, names[i]);
        }
    }
    sl_json_close(json, ']');
}

void sl_view_telemetry_json(struct sl_json *json, const struct sl_msg_device *report) {
    const struct sl_msg_telemetry *t = &report->telemetry;
    sl_json_name(json, "pci", report->pci);
    sl_json_name(json, "uuid", report->uuid);
    sl_json_name(json, "locality", report->locality);
    sl_json_open(json, "telemetry", '{');
    sl_json_text(json, "source", sl_telemetry_source_name(t->source));
    sl_json_name(json, "note", t->note);
    for (uint32_t i = 0; i < SL_FIG_COUNT; i++) {
        if (sl_telemetry_has(t, (enum sl_figure)i)) {
            sl_json_int(json, sl_figure_info(i)->name, t->figures[i]);
        } else {
            sl_json_null(json, sl_figure_info(i)->name);
        }
    }
    write_throttle(json, t);
    sl_json_open(json, "xids_last", '[');
    for (uint32_t i = 0; i < t->xid_count; i++) {
        sl_json_uint(json, NULL, t->xids[i]);
    }
    sl_json_close(json, ']');
    sl_json_close(json, '}');
}

static void write_health(struct sl_json *json, const struct sl_view_health *health,
                         const char *name) {
    sl_json_text(json, "health", name);
    sl_json_text(json, "health_cause",
                 health->state != SL_HEALTH_OK && health->cause < SL_FIG_COUNT
                     ? sl_figure_info(health->cause)->name
                     : NULL);
    if (health->state != SL_HEALTH_OK && health->cause == SL_FIG_XIDS) {
        sl_json_uint(json, "health_xid", health->code);
    } else {
        sl_json_null(json, "health_xid");
    }
    sl_json_name(json, "health_reason", health->text);
    sl_json_time(json, "health_since", health->since);
    sl_json_name(json, "health_way_back", health->way_back);
    sl_json_uint(json, "health_incidents", health->incidents);
    sl_json_bool(json, "health_rma", health->rma);
}

void sl_view_health_json(struct sl_json *json, const struct sl_view_health *health) {
    write_health(json, health, sl_health_state_name(health->state));
}

/* A device that is faulty while nothing is wrong with its health belongs in the list, too. */
static void write_listed(struct sl_json *json, const struct sl_view_health *health) {
    struct sl_view_health shown = *health;
    bool faulty = health->state == SL_HEALTH_OK && health->fault;
    if (faulty) {
        shown.text = health->fault;
        shown.way_back = health->fault_way_back;
    }
    sl_json_open(json, NULL, '{');
    sl_json_text(json, "key", shown.key);
    sl_json_text(json, "node", shown.node);
    sl_json_name(json, "uuid", shown.uuid);
    write_health(json, &shown, faulty ? "faulty" : sl_health_state_name(shown.state));
    sl_json_close(json, '}');
}

void sl_view_healths_json(struct sl_json *json, const struct sl_broker_core *core) {
    struct sl_view_health health;
    uint64_t counts[SL_HEALTH_STATES] = {0};
    uint64_t faulty = 0;
    sl_json_open(json, NULL, '{');
    sl_json_open(json, "devices", '[');
    for (uint32_t i = 0; sl_view_health_get(core, i, &health); i++) {
        counts[health.state]++;
        faulty += health.fault != NULL;
        if (health.state != SL_HEALTH_OK || health.rma || health.fault) {
            write_listed(json, &health);
        }
    }
    sl_json_close(json, ']');
    sl_json_open(json, "counts", '{');
    for (unsigned i = 0; i < SL_HEALTH_STATES; i++) {
        sl_json_uint(json, sl_health_state_name((enum sl_health_state)i), counts[i]);
    }
    sl_json_uint(json, "faulty", faulty); /* whatever their health is */
    sl_json_close(json, '}');
    sl_json_close(json, '}');
}

/* ---- metrics ---- */

/* One metric over all devices of which it is known; divided by 10^digits. */
static void gauge(struct sl_buf *buf, const struct sl_broker_core *core,
                  const struct sl_msg_telemetry *sensors, const char *name, const char *help,
                  enum sl_figure figure, int digits, const char *more) {
    struct sl_view_health health;
    int64_t scale = 1;
    for (int i = 0; i < digits; i++) {
        scale *= 10;
    }
    if (help) {
        sl_view_metric_head(buf, name, sl_figure_info(figure)->counts ? "counter" : "gauge", help);
    }
    for (uint32_t i = 0; i < METRIC_DEVICES_MAX && sl_view_health_get(core, i, &health); i++) {
        const struct sl_msg_telemetry *t = &sensors[i];
        if (!sl_telemetry_has(t, figure)) {
            continue;
        }
        int64_t value = t->figures[figure];
        sl_buf_printf(buf, "%s{device=\"", name);
        sl_view_metric_label(buf, health.key);
        sl_buf_printf(buf, "\"%s} %s%" PRId64, more, value < 0 ? "-" : "",
                      (value < 0 ? -value : value) / scale);
        if (digits > 0) {
            sl_buf_printf(buf, ".%0*" PRId64, digits, (value < 0 ? -value : value) % scale);
        }
        sl_buf_append(buf, "\n", 1);
    }
}

static void device_metrics(struct sl_buf *buf, const struct sl_broker_core *core,
                           const struct sl_msg_telemetry *sensors);

void sl_view_health_metrics(struct sl_buf *buf, const struct sl_broker_core *core) {
    struct sl_view_health health;
    uint32_t counts[SL_HEALTH_STATES] = {0};
    for (uint32_t i = 0; sl_view_health_get(core, i, &health); i++) {
        counts[health.state]++;
    }
    sl_view_metric_head(buf, "sluice_devices_health", "gauge", "Devices by their health.");
    for (unsigned i = 0; i < SL_HEALTH_STATES; i++) {
        sl_buf_printf(buf, "sluice_devices_health{state=\"%s\"} %u\n",
                      sl_health_state_name((enum sl_health_state)i), counts[i]);
    }
    sl_view_metric_head(buf, "sluice_device_health", "gauge",
                        "0 ok, 1 warn, 2 drain, 3 quarantine; devices that are not ok.");
    for (uint32_t i = 0; i < METRIC_DEVICES_MAX && sl_view_health_get(core, i, &health); i++) {
        if (health.state != SL_HEALTH_OK) {
            sl_buf_printf(buf, "sluice_device_health{device=\"");
            sl_view_metric_label(buf, health.key);
            sl_buf_printf(buf, "\"} %d\n", (int)health.state);
        }
    }
    struct sl_msg_telemetry *sensors = calloc(METRIC_DEVICES_MAX, sizeof *sensors);
    for (uint32_t i = 0; sensors && i < METRIC_DEVICES_MAX && sl_view_health_get(core, i, &health);
         i++) {
        sl_view_telemetry_get(core, i, &sensors[i]);
    }
    if (sensors) {
        device_metrics(buf, core, sensors);
    }
    free(sensors);
}

static void device_metrics(struct sl_buf *buf, const struct sl_broker_core *core,
                           const struct sl_msg_telemetry *sensors) {
    static const char heat[] = "sluice_device_temperature_celsius";
    gauge(buf, core, sensors, "sluice_device_power_watts", "Measured power of a device.",
          SL_FIG_POWER_MW, 3, "");
    gauge(buf, core, sensors, heat, "By the device's own sensors.", SL_FIG_TEMP_MC, 3,
          ",sensor=\"core\"");
    gauge(buf, core, sensors, heat, NULL, SL_FIG_TEMP_JUNCTION_MC, 3, ",sensor=\"junction\"");
    gauge(buf, core, sensors, heat, NULL, SL_FIG_TEMP_MEMORY_MC, 3, ",sensor=\"memory\"");
    gauge(buf, core, sensors, "sluice_device_throttle",
          "Sum of 1 (power limit), 2 (thermal), 4 (hardware), 8 (power brake); 0: runs freely.",
          SL_FIG_THROTTLE, 0, "");
    gauge(buf, core, sensors, "sluice_device_driver_errors_total", "Critical driver errors (Xid).",
          SL_FIG_XIDS, 0, "");
    gauge(buf, core, sensors, "sluice_device_ecc_uncorrected_total",
          "Uncorrected memory errors since the agent's start.", SL_FIG_ECC_NEW, 0, "");
    gauge(buf, core, sensors, "sluice_device_canaries_passed_total",
          "Re-tests with known answers passed.", SL_FIG_CANARY_PASSED, 0, "");
    gauge(buf, core, sensors, "sluice_device_canaries_failed_total", "And failed.",
          SL_FIG_CANARY_FAILED, 0, "");
    gauge(buf, core, sensors, "sluice_device_readings_refused", "Readings that cannot be true.",
          SL_FIG_REFUSED, 0, "");
}
