/* SPDX-License-Identifier: Apache-2.0
 * Pools over all nodes and each node's connections to them, as JSON and as metrics. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "broker/http/views.h"

static void uint_or_null(struct sl_json *json, const char *key, bool known, uint64_t value) {
    if (known) {
        sl_json_uint(json, key, value);
    } else {
        sl_json_null(json, key);
    }
}

static void permille_or_null(struct sl_json *json, const char *key, int64_t permille) {
    if (permille >= 0) {
        sl_json_decimal(json, key, (uint64_t)permille, 3);
    } else {
        sl_json_null(json, key);
    }
}

static void difficulty_or_null(struct sl_json *json, uint64_t nano) {
    if (nano > 0) {
        sl_json_decimal(json, "difficulty", nano, 9);
    } else {
        sl_json_null(json, "difficulty");
    }
}

static uint64_t other(const struct sl_pool_row *row) {
    return row->rejected - row->duplicate - row->low - row->unauthorised;
}

static const char *state_of(const struct sl_view_pool *view) {
    return view->nodes == 0                    ? "absent"
           : view->nodes_working == 0          ? "down"
           : view->left                        ? "left"
           : view->refusing                    ? "refusing"
           : view->suspects > 0                ? "suspect"
           : view->nodes_working < view->nodes ? "partly"
           : view->fallbacks > 0               ? "fallback"
                                               : "good";
}

static void write_shares(struct sl_json *json, const struct sl_pool_row *row) {
    sl_json_uint(json, "shares_accepted", row->accepted);
    sl_json_uint(json, "shares_stale", row->stale);
    sl_json_uint(json, "shares_rejected", row->rejected);
    sl_json_open(json, "rejected", '{');
    sl_json_uint(json, "duplicate", row->duplicate);
    sl_json_uint(json, "low_difficulty", row->low);
    sl_json_uint(json, "unauthorised", row->unauthorised);
    sl_json_uint(json, "other", other(row));
    sl_json_close(json, '}');
    sl_json_uint(json, "shares_unknown", row->unknown);
    sl_json_i128(json, "work_accepted_hashes", row->work);
}

static void write_figures(struct sl_json *json, const struct sl_view_pool *view) {
    const struct sl_pools_figures *f = &view->figures;
    sl_json_open(json, "window", '{');
    sl_json_int(json, "span_ms", f->span_ms);
    sl_json_uint(json, "shares_accepted", f->accepted);
    sl_json_uint(json, "shares_refused", f->refused);
    sl_json_uint(json, "hashes_spent", f->hashes);
    uint_or_null(json, "measured_hs", view->measured_hs >= 0, (uint64_t)view->measured_hs);
    uint_or_null(json, "effective_hs", view->effective_hs >= 0, (uint64_t)view->effective_hs);
    permille_or_null(json, "effective", f->effective_permille);
    permille_or_null(json, "refused", f->reject_permille);
    sl_json_close(json, '}');
}

static void write_pool(struct sl_json *json, const struct sl_view_pool *view) {
    sl_json_open(json, NULL, '{');
    sl_json_text(json, "name", view->row.name);
    sl_json_name(json, "url", view->url);
    sl_json_text(json, "state", state_of(view));
    sl_json_text(json, "trouble", view->left ? view->reason : view->state);
    sl_json_uint(json, "nodes", view->nodes);
    sl_json_uint(json, "nodes_working", view->nodes_working);
    sl_json_uint(json, "nodes_on_fallback", view->fallbacks);
    sl_json_uint(json, "nodes_suspect", view->suspects);
    sl_json_bool(json, "tls", view->tls);
    uint_or_null(json, "devices", view->named, view->devices);
    sl_json_uint(json, "share_permille", (uint64_t)view->share_permille);
    difficulty_or_null(json, view->difficulty_nano);
    write_shares(json, &view->row);
    bool answered = view->share_age_ms >= 0;
    uint_or_null(json, "latency_us_p50", answered, view->latency_us_p50);
    uint_or_null(json, "latency_us_p99", answered, view->latency_us_p99);
    uint_or_null(json, "share_age_ms", answered, (uint64_t)view->share_age_ms);
    write_figures(json, view);
    sl_json_usd(json, "quoted_usd", view->row.amount_nusd);
    sl_json_i128(json, "quoted_nusd", view->row.amount_nusd);
    sl_json_close(json, '}');
}

void sl_view_pool_json(struct sl_json *json, const char *key, const char *node,
                       const struct sl_msg_pool *pool) {
    sl_json_open(json, key, '{');
    if (node) {
        sl_json_text(json, "node", node);
    }
    sl_json_text(json, "name", pool->name);
    sl_json_name(json, "url", pool->url);
    sl_json_uint(json, "url_index", pool->url_index);
    sl_json_uint(json, "url_count", pool->url_count);
    sl_json_bool(json, "tls", pool->tls);
    sl_json_bool(json, "connected", pool->connected);
    sl_json_bool(json, "has_job", pool->has_job);
    sl_json_text(json, "state", pool->state);
    sl_json_uint(json, "suspect_ms", pool->suspect_ms);
    difficulty_or_null(json, pool->difficulty_nano);
    sl_json_uint(json, "shares_submitted", pool->shares_submitted);
    sl_json_uint(json, "shares_accepted", pool->shares_accepted);
    sl_json_uint(json, "shares_stale", pool->shares_stale);
    sl_json_uint(json, "shares_rejected", pool->shares_rejected);
    sl_json_uint(json, "shares_unknown", pool->shares_unknown);
    sl_json_uint(json, "work_accepted_hashes", pool->work_accepted);
    sl_json_uint(json, "hashes_spent", pool->hashes_spent);
    uint_or_null(json, "latency_us_p50", pool->share_age_ms > 0, pool->latency_us_p50);
    uint_or_null(json, "latency_us_p99", pool->share_age_ms > 0, pool->latency_us_p99);
    sl_json_close(json, '}');
}

void sl_view_pools_json(struct sl_json *json, const struct sl_broker_core *core,
                        struct sl_now now) {
    struct sl_view_pool view;
    struct sl_view_node node;
    struct sl_msg_pool pool;
    sl_json_open(json, NULL, '{');
    sl_json_open(json, "pools", '[');
    for (uint32_t i = 0; sl_view_pool_get(core, now, i, &view); i++) {
        if (!view.gone) {
            write_pool(json, &view);
        }
    }
    sl_json_close(json, ']');
    sl_json_open(json, "connections", '[');
    for (uint32_t i = 0; sl_view_node_get(core, now, i, &node); i++) {
        for (uint32_t k = 0; sl_view_node_pool_get(core, i, k, &pool); k++) {
            sl_view_pool_json(json, NULL, node.node, &pool);
        }
    }
    sl_json_close(json, ']');
    sl_json_close(json, '}');
}

/* ---- metrics ---- */

enum metric {
    SHARES,
    REJECTED,
    WORK,
    USD,
    WORKING,
    SUSPECT,
    LATENCY,
    MEASURED,
    EFFECTIVE,
    LEFT,
    METRICS
};

static void head(struct sl_buf *buf, enum metric metric) {
    static const struct {
        const char *name, *type, *help;
    } heads[METRICS] = {
        {"sluice_pool_shares_total", "counter", "Shares booked under a pool, by its answer."},
        {"sluice_pool_rejected_total", "counter", "Rejected shares of a pool, by reason."},
        {"sluice_pool_work_hashes_total", "counter", "Expected hashes of its accepted shares."},
        {"sluice_pool_revenue_usd_total", "counter", "Quoted for its accepted shares."},
        {"sluice_pool_nodes_working", "gauge", "Agents that have work of the pool."},
        {"sluice_pool_nodes_suspect", "gauge", "Agents whose shares it does not answer any more."},
        {"sluice_pool_latency_seconds", "gauge", "Submission of a share to its answer."},
        {"sluice_pool_measured_hashes_per_second", "gauge",
         "Hashes spent on the pool's jobs, over the policy's window."},
        {"sluice_pool_effective_hashes_per_second", "gauge",
         "Work of its accepted shares, over the same window."},
        {"sluice_pool_left", "gauge", "1: the policy has left the pool."},
    };
    sl_view_metric_head(buf, heads[metric].name, heads[metric].type, heads[metric].help);
}

/* Name and labels; key NULL: no other label. */
static void label(struct sl_buf *buf, const char *name, const struct sl_view_pool *view,
                  const char *key, const char *text) {
    sl_buf_printf(buf, "%s{pool=\"", name);
    sl_view_metric_label(buf, view->row.name);
    if (key) {
        sl_buf_printf(buf, "\",%s=\"%s", key, text);
    }
    sl_buf_printf(buf, "\"} ");
}

static void plain(struct sl_buf *buf, const char *name, const struct sl_view_pool *view,
                  const char *key, const char *text, uint64_t figure) {
    label(buf, name, view, key, text);
    sl_buf_printf(buf, "%" PRIu64 "\n", figure);
}

static void shares(struct sl_buf *buf, const struct sl_view_pool *view) {
    const struct sl_pool_row *row = &view->row;
    plain(buf, "sluice_pool_shares_total", view, "outcome", "accepted", row->accepted);
    plain(buf, "sluice_pool_shares_total", view, "outcome", "stale", row->stale);
    plain(buf, "sluice_pool_shares_total", view, "outcome", "rejected", row->rejected);
    plain(buf, "sluice_pool_shares_total", view, "outcome", "unknown", row->unknown);
}

static void rejected(struct sl_buf *buf, const struct sl_view_pool *view) {
    static const char name[] = "sluice_pool_rejected_total";
    const struct sl_pool_row *row = &view->row;
    plain(buf, name, view, "reason", "duplicate", row->duplicate);
    plain(buf, name, view, "reason", "low_difficulty", row->low);
    plain(buf, name, view, "reason", "unauthorised", row->unauthorised);
    plain(buf, name, view, "reason", "other", other(row));
}

static void latency(struct sl_buf *buf, const struct sl_view_pool *view) {
    const struct {
        const char *quantile;
        uint32_t us;
    } rows[] = {{"0.5", view->latency_us_p50}, {"0.99", view->latency_us_p99}};
    for (int i = 0; i < 2 && view->share_age_ms >= 0; i++) {
        label(buf, "sluice_pool_latency_seconds", view, "quantile", rows[i].quantile);
        sl_buf_printf(buf, "%u.%06u\n", rows[i].us / 1000000, rows[i].us % 1000000);
    }
}

/* Unknown: left out. */
static void rate(struct sl_buf *buf, const char *name, const struct sl_view_pool *view,
                 int64_t hs) {
    if (hs >= 0) {
        plain(buf, name, view, NULL, NULL, (uint64_t)hs);
    }
}

static void value(struct sl_buf *buf, enum metric metric, const struct sl_view_pool *view) {
    char text[64];
    switch (metric) {
    case SHARES:
        shares(buf, view);
        return;
    case REJECTED:
        rejected(buf, view);
        return;
    case WORK:
        label(buf, "sluice_pool_work_hashes_total", view, NULL, NULL);
        sl_buf_printf(buf, "%s\n", sl_i128_format(view->row.work, text));
        return;
    case USD:
        label(buf, "sluice_pool_revenue_usd_total", view, NULL, NULL);
        sl_buf_printf(buf, "%s\n", sl_nusd_format(view->row.amount_nusd, text));
        return;
    case WORKING:
        plain(buf, "sluice_pool_nodes_working", view, NULL, NULL, view->nodes_working);
        return;
    case SUSPECT:
        plain(buf, "sluice_pool_nodes_suspect", view, NULL, NULL, view->suspects);
        return;
    case LATENCY:
        latency(buf, view);
        return;
    case MEASURED:
        rate(buf, "sluice_pool_measured_hashes_per_second", view, view->measured_hs);
        return;
    case EFFECTIVE:
        rate(buf, "sluice_pool_effective_hashes_per_second", view, view->effective_hs);
        return;
    case LEFT:
        plain(buf, "sluice_pool_left", view, NULL, NULL, view->left ? 1 : 0);
        return;
    case METRICS:
        return;
    }
}

void sl_view_pools_metrics(struct sl_buf *buf, const struct sl_broker_core *core,
                           struct sl_now now) {
    struct sl_view_pool view;
    for (int metric = 0; metric < METRICS; metric++) {
        if (sl_view_pool_get(core, now, 0, &view)) {
            head(buf, (enum metric)metric);
        }
        for (uint32_t i = 0; sl_view_pool_get(core, now, i, &view); i++) {
            if (!view.gone) {
                value(buf, (enum metric)metric, &view);
            }
        }
    }
}
