/* SPDX-License-Identifier: Apache-2.0
 * Power as JSON and as metrics. What is unknown is null, or left out of the metrics. */
#include <inttypes.h>

#include "broker/core/power.h"
#include "broker/http/views.h"

/* mW x ms in a kWh is 3.6e12; a text keeps nine decimals of it: 3.6e3 for each. */
#define PER_NANO_KWH 3600

static const char *kwh(sl_i128 energy, char text[64]) {
    return sl_nusd_format(energy / PER_NANO_KWH, text);
}

static void write_mw(struct sl_json *json, const char *key, int64_t mw) {
    if (mw < 0) {
        sl_json_null(json, key);
    } else {
        sl_json_decimal(json, key, (uint64_t)mw, 3);
    }
}

static void write_energy(struct sl_json *json, const sl_i128 energy[SL_MODE_COUNT],
                         sl_i128 curtailed) {
    char text[64];
    sl_json_open(json, "energy_kwh", '{');
    for (enum sl_mode mode = SL_MODE_IDLE; mode < SL_MODE_COUNT; mode++) {
        sl_json_text(json, sl_mode_name(mode), kwh(energy[mode], text));
    }
    sl_json_text(json, "curtailed", kwh(curtailed, text));
    sl_json_close(json, '}');
}

void sl_view_power_summary_json(struct sl_json *json, const struct sl_broker_core *core,
                                struct sl_now now) {
    char text[64];
    struct sl_view_power view;
    sl_view_power_get(core, now, &view);
    sl_json_open(json, "power", '{');
    sl_json_text(json, "tariff", view.tariff);
    if (view.price_known && view.price_fresh) {
        sl_json_text(json, "price_usd_per_kwh", sl_nusd_format(view.price, text));
    } else {
        sl_json_null(json, "price_usd_per_kwh");
    }
    sl_json_bool(json, "price_stale", view.price_known && !view.price_fresh);
    sl_json_time(json, "price_until", view.price_until);
    write_mw(json, "drawn_w", view.drawn_mw);
    write_mw(json, "site_cap_w", view.site_cap_mw);
    write_mw(json, "floor_w", view.floor_mw);
    sl_json_uint(json, "devices_unknown", view.devices_unknown);
    sl_json_uint(json, "devices_curtailed", view.devices_curtailed);
    sl_json_uint(json, "devices_capped", view.devices_capped);
    write_energy(json, view.energy, view.curtailed);
    sl_json_bool(json, "energy_complete", view.energy_complete);
    if (view.carbon_known) {
        sl_json_text(json, "carbon_g_per_kwh", sl_nusd_format(view.carbon_nano_g, text));
    } else {
        sl_json_null(json, "carbon_g_per_kwh");
    }
    if (view.carbon_energy > 0) {
        sl_json_text(json, "carbon_g", sl_nusd_format(view.carbon_ng, text));
        sl_json_text(json, "carbon_kwh", kwh(view.carbon_energy, text));
    } else {
        sl_json_null(json, "carbon_g");
        sl_json_null(json, "carbon_kwh");
    }
    sl_json_close(json, '}');
}

static void write_class(struct sl_json *json, const struct sl_view_power_class *view) {
    sl_json_open(json, NULL, '{');
    sl_json_text(json, "class", view->class_);
    sl_json_usd(json, "strike_usd_per_kwh", view->strike);
    sl_json_text(json, "state", view->off ? "curtailed" : "working");
    if (view->counting) {
        sl_json_int(json, "window_left_ms", view->window_left_ms);
    } else {
        sl_json_null(json, "window_left_ms");
    }
    sl_json_uint(json, "devices", view->devices);
    sl_json_close(json, '}');
}

static void write_device(struct sl_json *json, const struct sl_view_power_device *view) {
    bool known = view->watts.source != SL_SOURCE_UNKNOWN;
    sl_json_open(json, NULL, '{');
    sl_json_text(json, "key", view->key);
    sl_json_text(json, "mode", view->mode == SL_MODE_INVALID ? NULL : sl_mode_name(view->mode));
    write_mw(json, "watts", known ? view->watts.mw : -1);
    sl_json_text(json, "source", sl_source_name(view->watts.source));
    write_mw(json, "held_w", view->held_mw);
    sl_json_bool(json, "curtailed", view->curtailed);
    sl_json_bool(json, "capped", view->capped);
    write_energy(json, view->energy, view->curtailed_energy);
    sl_json_close(json, '}');
}

int sl_view_power_json(struct sl_json *json, const struct sl_broker_core *core, struct sl_now now,
                       const char *arg) {
    struct sl_view_page page;
    int rc = sl_view_page_parse(core, arg, &page);
    if (rc) {
        return rc;
    }
    struct sl_view_power_class class_;
    struct sl_view_power_circuit circuit;
    struct sl_view_power_device device;
    sl_json_open(json, NULL, '{');
    sl_json_time(json, "now", now.wall);
    sl_view_power_summary_json(json, core, now);
    sl_json_open(json, "classes", '[');
    for (uint32_t i = 0; sl_view_power_class_get(core, now, i, &class_); i++) {
        write_class(json, &class_);
    }
    sl_json_close(json, ']');
    sl_json_open(json, "circuits", '[');
    for (uint32_t i = 0; sl_view_power_circuit_get(core, now, i, &circuit); i++) {
        sl_json_open(json, NULL, '{');
        sl_json_text(json, "circuit", circuit.name);
        write_mw(json, "cap_w", circuit.cap_mw);
        write_mw(json, "drawn_w", circuit.drawn_mw);
        sl_json_uint(json, "devices", circuit.devices);
        sl_json_close(json, '}');
    }
    sl_json_close(json, ']');
    sl_json_open(json, "devices", '[');
    char last[SL_MSG_KEY_MAX] = "";
    uint32_t at = page.first;
    for (; page.limit > 0 && sl_view_power_device_get(core, now, at, &device); page.limit--) {
        write_device(json, &device);
        sl_text_copy(last, sizeof last, device.key);
        at = page.of_node ? sl_view_node_next(core, at) : at + 1;
    }
    sl_json_close(json, ']');
    sl_view_page_json(json, core, at < sl_view_device_count(core) ? last : NULL);
    sl_json_close(json, '}');
    return SL_OK;
}

void sl_view_power_metrics(struct sl_buf *buf, const struct sl_broker_core *core,
                           struct sl_now now) {
    char text[64];
    struct sl_view_power view;
    sl_view_power_get(core, now, &view);
    sl_view_metric_head(buf, "sluice_energy_kwh_total", "counter",
                        "Energy by mode, where watts are known.");
    for (enum sl_mode mode = SL_MODE_IDLE; mode < SL_MODE_COUNT; mode++) {
        sl_buf_printf(buf, "sluice_energy_kwh_total{mode=\"%s\"} %s\n", sl_mode_name(mode),
                      kwh(view.energy[mode], text));
    }
    sl_view_metric_head(buf, "sluice_energy_curtailed_kwh_total", "counter",
                        "Not drawn because power cost more than a strike price.");
    sl_buf_printf(buf, "sluice_energy_curtailed_kwh_total %s\n", kwh(view.curtailed, text));
    sl_view_metric_head(buf, "sluice_power_watts", "gauge",
                        "The most that all devices may be drawing now.");
    sl_buf_printf(buf, "sluice_power_watts %" PRId64 ".%03d\n", view.drawn_mw / 1000,
                  (int)(view.drawn_mw % 1000));
    if (view.site_cap_mw >= 0) {
        sl_view_metric_head(buf, "sluice_power_cap_watts", "gauge", "The site's cap.");
        sl_buf_printf(buf, "sluice_power_cap_watts %" PRId64 ".%03d\n", view.site_cap_mw / 1000,
                      (int)(view.site_cap_mw % 1000));
    }
    sl_view_metric_head(buf, "sluice_power_unknown_devices", "gauge",
                        "Devices whose watts are not known.");
    sl_buf_printf(buf, "sluice_power_unknown_devices %u\n", view.devices_unknown);
    sl_view_metric_head(buf, "sluice_power_curtailed_devices", "gauge",
                        "Devices idle by a strike price.");
    sl_buf_printf(buf, "sluice_power_curtailed_devices %u\n", view.devices_curtailed);
    if (view.price_known && view.price_fresh) {
        sl_view_metric_head(buf, "sluice_power_price_usd_per_kwh", "gauge",
                            "The tariff of this moment.");
        sl_buf_printf(buf, "sluice_power_price_usd_per_kwh %s\n", sl_nusd_format(view.price, text));
    }
    if (view.carbon_energy > 0) {
        sl_view_metric_head(buf, "sluice_carbon_grams_total", "counter",
                            "CO2 of the energy for which the grid's intensity was known.");
        sl_buf_printf(buf, "sluice_carbon_grams_total %s\n", sl_nusd_format(view.carbon_ng, text));
    }
}
