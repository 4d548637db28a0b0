/* SPDX-License-Identifier: Apache-2.0
 * What operators look at: pictures of the core, lists from the store, and both together. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/http/batch_json.h"
#include "broker/http/batches.h"

#define HISTORY_DEVICE 20
#define HISTORY_DEFAULT 50
#define HISTORY_MAX 1000
#define PAGE_DEFAULT 500 /* devices of one answer: some 2 KB each */
#define PAGE_MAX 1000

enum sl_step sl_h_status(struct sl_http_call *call, struct sl_reader *reader) {
    (void)reader;
    return sl_call_ask_view(call, SL_HTTP_VIEW_STATUS, NULL, NULL);
}

enum sl_step sl_h_trust(struct sl_http_call *call, struct sl_reader *reader) {
    (void)reader;
    return sl_call_ask_view(call, SL_HTTP_VIEW_TRUST, NULL, NULL);
}

enum sl_step sl_h_nodes(struct sl_http_call *call, struct sl_reader *reader) {
    (void)reader;
    return sl_call_ask_view(call, SL_HTTP_VIEW_NODES, NULL, NULL);
}

enum sl_step sl_h_pools(struct sl_http_call *call, struct sl_reader *reader) {
    (void)reader;
    return sl_call_ask_view(call, SL_HTTP_VIEW_POOLS, NULL, NULL);
}

/* limit, after and node of the query as the views' arg. */
static enum sl_step ask_page(struct sl_http_call *call, enum sl_http_view view) {
    char after[SL_MSG_KEY_MAX] = "";
    char node[SL_MSG_NAME_MAX] = "";
    char arg[2 * SL_MSG_KEY_MAX];
    uint32_t limit = 0;
    if (!sl_call_query_limit(call, 1, PAGE_MAX, PAGE_DEFAULT, &limit)) {
        return SL_STEP_REPLY;
    }
    sl_call_query(call, "after", after, sizeof after);
    sl_call_query(call, "node", node, sizeof node);
    snprintf(arg, sizeof arg, "%u %s\n%s", limit, after, node);
    return sl_call_ask_view(call, view, arg, NULL);
}

enum sl_step sl_h_power(struct sl_http_call *call, struct sl_reader *reader) {
    (void)reader;
    return ask_page(call, SL_HTTP_VIEW_POWER);
}

enum sl_step sl_h_market(struct sl_http_call *call, struct sl_reader *reader) {
    (void)reader;
    return sl_call_ask_view(call, SL_HTTP_VIEW_MARKET, call->who.tenant, NULL);
}

enum sl_step sl_h_market_feeds(struct sl_http_call *call, struct sl_reader *reader) {
    (void)reader;
    return sl_call_ask_view(call, SL_HTTP_VIEW_FEEDS, NULL, NULL);
}

enum sl_step sl_h_site_batches(struct sl_http_call *call, struct sl_reader *reader) {
    const char *tenant = call->who.tenant[0] != '\0' ? call->who.tenant : NULL;
    return sl_batch_list(call, reader, tenant, sl_batch_write_site);
}

enum sl_step sl_h_site_batch(struct sl_http_call *call, struct sl_reader *reader) {
    struct sl_batch_row row;
    if (sl_batch_find(call, reader, call->arg, &row)) {
        sl_batch_write_site(&call->out, &row);
        sl_batch_row_fini(&row);
        sl_call_ok(call);
    }
    return SL_STEP_REPLY;
}

static int list_directive(void *arg, const void *row) {
    struct sl_json *json = arg;
    const struct sl_directive_row *directive = row;
    sl_json_open(json, NULL, '{');
    sl_json_time(json, "at", directive->at);
    sl_json_text(json, "device", directive->device);
    sl_json_uint(json, "epoch", directive->epoch);
    sl_json_text(json, "mode", sl_mode_name(directive->mode));
    sl_json_name(json, "batch", directive->batch);
    if (directive->batch[0] != '\0') {
        sl_json_usd(json, "price_usd_per_mtok", directive->price_nusd_per_mtok);
    } else {
        sl_json_null(json, "price_usd_per_mtok");
    }
    sl_json_text(json, "rule", directive->rule);
    sl_json_text(json, "why", directive->why);
    sl_json_close(json, '}');
    return 0;
}

/* The loop's object, opened again at its end, with the stored decisions added as `key`. */
static enum sl_step add_history(struct sl_http_call *call, struct sl_reader *reader,
                                const char *key, const char *device, uint32_t limit) {
    size_t n = call->core_text ? strlen(call->core_text) : 0;
    if (call->core_status != SL_OK || n < 2) {
        return sl_call_core_error(call);
    }
    struct sl_error err = {0};
    sl_buf_append(&call->out.buf, call->core_text, n - 1);
    call->out.comma = true;
    sl_json_open(&call->out, key, '[');
    if (sl_reader_directives(reader, device, limit, list_directive, &call->out, &err) != SL_OK) {
        return sl_call_trouble(call, &err);
    }
    sl_json_close(&call->out, ']');
    sl_json_close(&call->out, '}');
    return sl_call_ok(call);
}

static enum sl_step add_device_history(struct sl_http_call *call, struct sl_reader *reader) {
    return add_history(call, reader, "history", call->arg, HISTORY_DEVICE);
}

enum sl_step sl_h_device(struct sl_http_call *call, struct sl_reader *reader) {
    (void)reader;
    return sl_call_ask_view(call, SL_HTTP_VIEW_DEVICE, call->arg, add_device_history);
}

enum sl_step sl_h_devices(struct sl_http_call *call, struct sl_reader *reader) {
    if (sl_call_query(call, "device", call->arg, sizeof call->arg)) {
        return sl_h_device(call, reader);
    }
    return ask_page(call, SL_HTTP_VIEW_DEVICES);
}

static enum sl_step add_switches(struct sl_http_call *call, struct sl_reader *reader) {
    uint32_t limit = 0;
    char device[SL_MSG_KEY_MAX] = "";
    if (!sl_call_query_limit(call, 1, HISTORY_MAX, HISTORY_DEFAULT, &limit)) {
        return SL_STEP_REPLY;
    }
    sl_call_query(call, "device", device, sizeof device);
    return add_history(call, reader, "directives", device[0] != '\0' ? device : NULL, limit);
}

enum sl_step sl_h_switches(struct sl_http_call *call, struct sl_reader *reader) {
    (void)reader;
    return sl_call_ask_view(call, SL_HTTP_VIEW_SWITCHES, NULL, add_switches);
}

/* ---- /metrics, /healthz, /readyz ---- */

static void add_own_metrics(struct sl_http_call *call) {
    struct sl_buf *buf = &call->out.buf;
    uint32_t p50 = 0;
    uint32_t p99 = 0;
    uint64_t answers[6];
    sl_store_commit_times(call->http->store, &p50, &p99);
    if (p99 > 0) {
        sl_buf_printf(buf,
                      "# HELP sluice_store_commit_seconds Time of a durable commit.\n"
                      "# TYPE sluice_store_commit_seconds gauge\n"
                      "sluice_store_commit_seconds{quantile=\"0.5\"} %u.%06u\n"
                      "sluice_store_commit_seconds{quantile=\"0.99\"} %u.%06u\n",
                      p50 / 1000000, p50 % 1000000, p99 / 1000000, p99 % 1000000);
    }
    pthread_mutex_lock(&call->http->lock);
    memcpy(answers, call->http->answers, sizeof answers);
    pthread_mutex_unlock(&call->http->lock);
    sl_buf_printf(buf, "# HELP sluice_http_answers_total Answers by class of status.\n"
                       "# TYPE sluice_http_answers_total counter\n");
    for (unsigned i = 2; i < 6; i++) {
        sl_buf_printf(buf, "sluice_http_answers_total{class=\"%uxx\"} %llu\n", i,
                      (unsigned long long)answers[i]);
    }
}

static enum sl_step after_metrics(struct sl_http_call *call, struct sl_reader *reader) {
    (void)reader;
    if (call->core_status != SL_OK) {
        return sl_call_core_error(call);
    }
    sl_buf_append(&call->out.buf, call->core_text, strlen(call->core_text));
    add_own_metrics(call);
    sl_http_exposure_metrics(call->http, &call->out.buf);
    call->content_type = "text/plain; version=0.0.4; charset=utf-8";
    return sl_call_ok(call);
}

enum sl_step sl_h_metrics(struct sl_http_call *call, struct sl_reader *reader) {
    (void)reader;
    return sl_call_ask_view(call, SL_HTTP_VIEW_METRICS, NULL, after_metrics);
}

enum sl_step sl_h_health(struct sl_http_call *call, struct sl_reader *reader) {
    (void)reader;
    return sl_call_ask_view(call, SL_HTTP_VIEW_HEALTH, NULL, NULL);
}

static enum sl_step after_ready(struct sl_http_call *call, struct sl_reader *reader) {
    struct sl_store_high high;
    struct sl_error err = {0};
    if (call->core_status != SL_OK) {
        return sl_call_core_error(call);
    }
    if (sl_reader_high(reader, &high, &err) != SL_OK) {
        call->core_status = -SL_AGAIN;
        free(call->core_text);
        call->core_text = strdup("The store cannot be read.");
        return sl_call_core_error(call);
    }
    sl_json_raw(&call->out, NULL, "{\"status\":\"ready\"}");
    return sl_call_ok(call);
}

enum sl_step sl_h_ready(struct sl_http_call *call, struct sl_reader *reader) {
    (void)reader;
    return sl_call_ask_view(call, SL_HTTP_VIEW_HEALTH, NULL, after_ready);
}
