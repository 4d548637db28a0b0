/* SPDX-License-Identifier: Apache-2.0
 * Prometheus text format 0.0.4: the core's figures. What is unknown is left out, never zero. */
#include <inttypes.h>
#include <stdio.h>

#include "broker/http/views.h"

static void one(struct sl_buf *buf, const char *name, const char *type, const char *help,
                uint64_t value) {
    sl_view_metric_head(buf, name, type, help);
    sl_buf_printf(buf, "%s %" PRIu64 "\n", name, value);
}

static void usd(struct sl_buf *buf, const char *name, const char *label, sl_i128 nusd) {
    char text[64];
    sl_buf_printf(buf, "%s%s %s\n", name, label, sl_nusd_format(nusd, text));
}

static void write_fleet(struct sl_buf *buf, const struct sl_view_status *status) {
    one(buf, "sluice_sessions_live", "gauge", "Agents with a live session.", status->sessions_live);
    one(buf, "sluice_reports_total", "counter", "Agents' reports taken over since the start.",
        status->reports);
    one(buf, "sluice_messages_dropped_total", "counter",
        "Agents' messages given up unread because the broker was behind; they come again.",
        status->dropped);
    sl_view_metric_head(buf, "sluice_devices", "gauge", "Devices by the mode they run.");
    for (int mode = SL_MODE_IDLE; mode < SL_MODE_COUNT; mode++) {
        sl_buf_printf(buf, "sluice_devices{mode=\"%s\"} %u\n", sl_mode_name((enum sl_mode)mode),
                      status->devices_by_mode[mode]);
    }
    one(buf, "sluice_devices_granted", "gauge", "Devices that run what they were told last.",
        status->devices_obeying);
    one(buf, "sluice_stopped", "gauge", "1 while stop --all holds.", status->stopped ? 1 : 0);
    one(buf, "sluice_hash_rate_hashes_per_second", "gauge", "Measured, of all hashing devices.",
        status->hash_rate_hs);
    sl_view_metric_head(buf, "sluice_shares_total", "counter", "Shares by the pool's answer.");
    const struct {
        const char *name;
        uint64_t count;
    } shares[] = {{"accepted", status->shares_accepted},
                  {"stale", status->shares_stale},
                  {"rejected", status->shares_rejected},
                  {"unknown", status->shares_unknown}};
    for (size_t i = 0; i < sizeof shares / sizeof shares[0]; i++) {
        sl_buf_printf(buf, "sluice_shares_total{outcome=\"%s\"} %" PRIu64 "\n", shares[i].name,
                      shares[i].count);
    }
}

static void write_claims(struct sl_buf *buf, const struct sl_view_status *status) {
    one(buf, "sluice_shares_implausible_total", "counter",
        "Accepted shares of devices that claim more than they can have found.",
        status->shares_implausible);
    one(buf, "sluice_devices_implausible", "gauge",
        "Devices whose shares or hash rate are not believed.", status->devices_implausible);
}

static void write_work(struct sl_buf *buf, const struct sl_view_status *status) {
    one(buf, "sluice_batches_open", "gauge", "Batches that are not final.", status->batches_open);
    one(buf, "sluice_lines_waiting", "gauge", "Lines that no device has.", status->lines_waiting);
    one(buf, "sluice_lines_issued", "gauge", "Lines on devices.", status->lines_issued);
    one(buf, "sluice_lines_done_total", "counter", "Finished lines.", status->lines_done);
    one(buf, "sluice_tokens_done_total", "counter", "Tokens of finished lines.",
        status->tokens_done);
    one(buf, "sluice_switches_total", "counter", "Moves between hashing and leases.",
        status->switches.count);
    if (status->switches.count > 0) {
        sl_view_metric_head(
            buf, "sluice_switch_seconds", "gauge",
            "From the event to the first kernel of the new work, over the last 4096 moves.");
        sl_buf_printf(buf, "sluice_switch_seconds{quantile=\"0.5\"} %u.%06u\n",
                      status->switches.p50_us / 1000000, status->switches.p50_us % 1000000);
        sl_buf_printf(buf, "sluice_switch_seconds{quantile=\"0.99\"} %u.%06u\n",
                      status->switches.p99_us / 1000000, status->switches.p99_us % 1000000);
    }
}

static void write_money(struct sl_buf *buf, const struct sl_view_money *money) {
    static const char revenue[] = "sluice_revenue_usd_total";
    static const char shadow[] = "sluice_shadow_revenue_usd_total";
    sl_view_metric_head(buf, revenue, "counter", "Earned, by mode, before power.");
    usd(buf, revenue, "{mode=\"hash\"}", money->hash_nusd);
    usd(buf, revenue, "{mode=\"lease\"}", money->lease_nusd);
    sl_view_metric_head(buf, shadow, "counter",
                        "What a fixed policy would have earned, before power.");
    usd(buf, shadow, "{policy=\"always_hash\"}", money->always_hash_nusd);
    usd(buf, shadow, "{policy=\"always_lease\"}", money->always_lease_nusd);
    sl_view_metric_head(buf, "sluice_power_cost_usd_total", "counter",
                        "Energy of devices whose watts are known.");
    usd(buf, "sluice_power_cost_usd_total", "", money->power_nusd);
    one(buf, "sluice_power_complete", "gauge", "0: the watts of some device are unknown.",
        money->power_complete ? 1 : 0);
}

static void write_feeds(struct sl_buf *buf, const struct sl_broker_core *core, struct sl_now now) {
    struct sl_view_feed feed;
    sl_view_metric_head(buf, "sluice_feed_age_seconds", "gauge",
                        "Age of the newest value of a price feed.");
    for (uint32_t i = 0; sl_view_feed_get(core, now, i, &feed); i++) {
        if (feed.known && feed.age_ms >= 0) {
            sl_buf_printf(buf, "sluice_feed_age_seconds{feed=\"");
            sl_view_metric_label(buf, feed.feed.id);
            sl_buf_printf(buf, "\"} %" PRId64 ".%03d\n", feed.age_ms / 1000,
                          (int)(feed.age_ms % 1000));
        }
    }
    sl_view_metric_head(buf, "sluice_feed_stale", "gauge",
                        "1: too old to decide by, prices cause no move.");
    for (uint32_t i = 0; sl_view_feed_get(core, now, i, &feed); i++) {
        sl_buf_printf(buf, "sluice_feed_stale{feed=\"");
        sl_view_metric_label(buf, feed.feed.id);
        sl_buf_printf(buf, "\"} %d\n", feed.stale || !feed.known ? 1 : 0);
    }
}

void sl_view_metrics_text(struct sl_buf *buf, const struct sl_broker_core *core,
                          struct sl_now now) {
    struct sl_view_status status;
    sl_view_status_get(core, now, &status);
    write_fleet(buf, &status);
    write_claims(buf, &status);
    write_work(buf, &status);
    write_money(buf, &status.money);
    write_feeds(buf, core, now);
    sl_view_agents_metrics(buf, core);
    sl_view_pools_metrics(buf, core, now);
    sl_view_power_metrics(buf, core, now);
    sl_view_health_metrics(buf, core);
}
