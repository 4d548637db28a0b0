/* SPDX-License-Identifier: Apache-2.0
 * Pictures of the core as text, made on the loop's thread: JSON for /api/v1, Prometheus text for
 * /metrics. The only part of broker/http that looks into the core. Keys are listed in docs/api.md.
 */
#ifndef SLUICE_BROKER_HTTP_VIEWS_H
#define SLUICE_BROKER_HTTP_VIEWS_H

#include "broker/core/view.h"
#include "broker/http/json.h"
#include "broker/http/server.h"

/* Renders and replies. */
void sl_http_answer_view(struct sl_http *http, const struct sl_broker_core *core, struct sl_now now,
                         const struct sl_http_request *request);

/* malloc'ed text, NULL without memory. -SL_NOTFOUND in *ret_status for an unknown device; the text
 * then is for people. */
char *sl_http_view_text(const struct sl_broker_core *core, struct sl_now now,
                        enum sl_http_view view, const char *arg, int *ret_status);

/* Parts, one per file. */
int sl_view_power_json(struct sl_json *json, const struct sl_broker_core *core, struct sl_now now,
                       const char *arg);
/* The key "power" of the status, and the head of the above. */
void sl_view_power_summary_json(struct sl_json *json, const struct sl_broker_core *core,
                                struct sl_now now);
void sl_view_power_metrics(struct sl_buf *buf, const struct sl_broker_core *core,
                           struct sl_now now);
/* The key "tokens_per_s_by_length": measured classes only, by their longest text; "longer" is the
 * class without an end. rates_milli: [SL_LENGTHS]. */
void sl_view_lengths(struct sl_json *json, const uint64_t *rates_milli);
/* Keys of a device's object. */
void sl_view_telemetry_json(struct sl_json *json, const struct sl_msg_device *report);
void sl_view_health_json(struct sl_json *json, const struct sl_view_health *health);
/* All that are not as they should be. */
void sl_view_healths_json(struct sl_json *json, const struct sl_broker_core *core);
void sl_view_health_metrics(struct sl_buf *buf, const struct sl_broker_core *core);
void sl_view_pools_json(struct sl_json *json, const struct sl_broker_core *core, struct sl_now now);
/* One agent's connection to one pool; node NULL: not named. */
void sl_view_pool_json(struct sl_json *json, const char *key, const char *node,
                       const struct sl_msg_pool *pool);
void sl_view_pools_metrics(struct sl_buf *buf, const struct sl_broker_core *core,
                           struct sl_now now);
void sl_view_device_json(struct sl_json *json, const struct sl_view_device *device);
int sl_view_device_by_key_json(struct sl_json *json, const struct sl_broker_core *core,
                               struct sl_now now, const char *key);
/* A page of devices. arg: "LIMIT AFTER\nNODE", as sl_h_devices writes it;
 * empty: all of them. -SL_NOTFOUND when there
 * is no device AFTER. */
int sl_view_devices_json(struct sl_json *json, const struct sl_broker_core *core, struct sl_now now,
                         const char *arg);
struct sl_view_page {
    uint32_t limit, first; /* index of the first row; UINT32_MAX: there is none */
    bool of_node;          /* only rows of its node follow */
};
int sl_view_page_parse(const struct sl_broker_core *core, const char *arg,
                       struct sl_view_page *ret_page);
/* The key that a page goes on behind, for people. */
const char *sl_view_page_key(const char *arg);
/* Members "total" and "next" (NULL: that was the last page). */
void sl_view_page_json(struct sl_json *json, const struct sl_broker_core *core, const char *next);
void sl_view_feed_json(struct sl_json *json, const struct sl_view_feed *feed);
void sl_view_feeds_json(struct sl_json *json, const struct sl_broker_core *core, struct sl_now now);
/* arg: as sl_h_stress writes it: "LEASE HASH POWER HALVING ALL TENANT", factors in ppm plus 1 and
 * in hexadecimal, 0: not given. */
int sl_view_stress_json(struct sl_json *json, const struct sl_broker_core *core, struct sl_now now,
                        const char *arg);
void sl_view_rates_json(struct sl_json *json, const struct sl_broker_core *core, struct sl_now now);
void sl_view_agents_json(struct sl_json *json, const struct sl_broker_core *core,
                         struct sl_now now);
void sl_view_agents_metrics(struct sl_buf *buf, const struct sl_broker_core *core);
/* What stands before the values of a metric. */
void sl_view_metric_head(struct sl_buf *buf, const char *name, const char *type, const char *help);
/* A label's value: quotes, backslashes and line ends are escaped. */
void sl_view_metric_label(struct sl_buf *buf, const char *text);
void sl_view_metrics_text(struct sl_buf *buf, const struct sl_broker_core *core, struct sl_now now);

#endif
