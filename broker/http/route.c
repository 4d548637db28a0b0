/* SPDX-License-Identifier: Apache-2.0
 * The table of what there is, and who may ask for it. */
#include <stdatomic.h>
#include <string.h>
#include <strings.h>

#include "broker/http/internal.h"

#define TENANT SL_ROUTE_TENANT
#define OPERATOR (SL_ROUTE_OPERATOR | SL_ROUTE_LOCAL)
#define BOTH (SL_ROUTE_TENANT | SL_ROUTE_OPERATOR | SL_ROUTE_LOCAL)
#define MODELS (SL_ROUTE_TENANT | SL_ROUTE_OPERATOR)
#define OPEN SL_ROUTE_LOCAL
#define QUICK SL_ROUTE_QUICK

static const struct sl_route routes[] = {
    {"POST", "/v1/files", TENANT | SL_ROUTE_UPLOAD, sl_h_files_create},
    {"GET", "/v1/files", TENANT, sl_h_files_list},
    {"GET", "/v1/files/*", TENANT, sl_h_files_get},
    {"DELETE", "/v1/files/*", TENANT, sl_h_files_delete},
    {"GET", "/v1/files/*/content", TENANT, sl_h_files_content},
    {"POST", "/v1/batches", TENANT, sl_h_batches_create},
    {"GET", "/v1/batches", TENANT, sl_h_batches_list},
    {"GET", "/v1/batches/*", TENANT, sl_h_batches_get},
    {"POST", "/v1/batches/*/cancel", TENANT, sl_h_batches_cancel},
    {"GET", "/v1/models", MODELS | QUICK, sl_h_models_list},
    {"GET", "/v1/models/*", MODELS | QUICK, sl_h_models_get},
    {"GET", "/api/v1/batches", BOTH, sl_h_site_batches},
    {"GET", "/api/v1/batches/*", BOTH, sl_h_site_batch},
    {"POST", "/api/v1/batches/*/bid", BOTH | QUICK, sl_h_bid},
    {"POST", "/api/v1/batches/*/cancel", BOTH, sl_h_batches_cancel},
    {"GET", "/api/v1/market", BOTH | QUICK, sl_h_market},
    {"GET", "/api/v1/market/feeds", BOTH | QUICK, sl_h_market_feeds},
    {"GET", "/api/v1/market/rates", OPERATOR | QUICK, sl_h_rates},
    {"GET", "/api/v1/stress", OPERATOR | QUICK, sl_h_stress},
    {"GET", "/api/v1/exposure", OPERATOR, sl_h_exposure},
    {"GET", "/api/v1/status", OPERATOR | QUICK, sl_h_status},
    {"GET", "/api/v1/health", OPERATOR | QUICK, sl_h_trust},
    {"POST", "/api/v1/health/clear", OPERATOR | QUICK, sl_h_order},
    {"GET", "/api/v1/nodes", OPERATOR | QUICK, sl_h_nodes},
    {"GET", "/api/v1/devices", OPERATOR | QUICK, sl_h_devices},
    {"GET", "/api/v1/devices/**", OPERATOR | QUICK, sl_h_device},
    {"GET", "/api/v1/pools", OPERATOR | QUICK, sl_h_pools},
    {"GET", "/api/v1/switches", OPERATOR | QUICK, sl_h_switches},
    {"GET", "/api/v1/power", OPERATOR | QUICK, sl_h_power},
    {"GET", "/api/v1/summary", OPERATOR | QUICK, sl_h_summary},
    {"GET", "/api/v1/ledger", OPERATOR, sl_h_ledger},
    {"GET", "/api/v1/decisions", OPERATOR, sl_h_decisions},
    {"GET", "/api/v1/against", OPERATOR, sl_h_against},
    {"GET", "/api/v1/market/shadows", OPERATOR | QUICK, sl_h_shadows},
    {"POST", "/api/v1/settlements", OPERATOR, sl_h_settle},
    {"GET", "/api/v1/settlements", OPERATOR, sl_h_settlements},
    {"GET", "/api/v1/audit", OPERATOR, sl_h_audit},
    {"GET", "/api/v1/events", OPERATOR, sl_h_events},
    {"GET", "/api/v1/logs", OPERATOR | QUICK, sl_h_logs},
    {"GET", "/api/v1/agents", OPERATOR | QUICK, sl_h_agents},
    {"POST", "/api/v1/agents/*", OPERATOR | QUICK, sl_h_agents_order},
    {"GET", "/api/v1/keys", OPERATOR, sl_h_keys_list},
    {"POST", "/api/v1/keys", OPERATOR, sl_h_keys_create},
    {"DELETE", "/api/v1/keys/*", OPERATOR, sl_h_keys_revoke},
    {"POST", "/api/v1/drain", OPERATOR | QUICK, sl_h_order},
    {"POST", "/api/v1/resume", OPERATOR | QUICK, sl_h_order},
    {"POST", "/api/v1/pin", OPERATOR | QUICK, sl_h_order},
    {"POST", "/api/v1/stop", OPERATOR | QUICK, sl_h_order},
    {"GET", "/metrics", OPEN | QUICK, sl_h_metrics},
    {"GET", "/healthz", OPEN | QUICK, sl_h_health},
    {"GET", "/readyz", OPEN | QUICK, sl_h_ready},
};

/* Walks pattern and path together; the part under the star is decoded into arg. */
static bool matches(const char *pattern, const char *path, size_t path_bytes, char *arg,
                    size_t arg_size) {
    const char *end = path + path_bytes;
    for (; *pattern; pattern++) {
        if (*pattern != '*') {
            if (path == end || *path++ != *pattern) {
                return false;
            }
            continue;
        }
        bool rest = pattern[1] == '*';
        const char *stop = rest ? end : memchr(path, '/', (size_t)(end - path));
        stop = stop ? stop : end;
        if (stop == path || !sl_percent_decode(path, (size_t)(stop - path), arg, arg_size)) {
            return false;
        }
        path = stop;
        pattern += rest;
    }
    return path == end;
}

/* OpenAI's addresses that answer at once: who comes from there looks for them first. */
static bool is_interactive(const char *target, size_t path_bytes) {
    static const char *const paths[] = {"/v1/embeddings", "/v1/chat/completions", "/v1/completions",
                                        "/v1/responses"};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        if (strlen(paths[i]) == path_bytes && memcmp(paths[i], target, path_bytes) == 0) {
            return true;
        }
    }
    return false;
}

static void no_route(struct sl_http_call *call, size_t path_bytes, const char *allowed) {
    if (is_interactive(call->target, path_bytes)) {
        sl_call_error(call, 404, "unknown_url", NULL,
                      "Sluice takes work as batches and computes embeddings: upload the requests "
                      "with POST /v1/files, then POST /v1/batches with the endpoint "
                      "\"/v1/embeddings\"; see docs/api.md.");
    } else if (allowed) {
        call->allow = allowed;
        sl_call_error(call, 405, "method_not_allowed", NULL,
                      "This address does not take that method; it takes %s.", allowed);
    } else {
        sl_call_error(call, 404, "unknown_url", NULL, "There is nothing at this address.");
    }
}

static void find_route(struct sl_http_call *call, const char *method) {
    size_t path_bytes = strcspn(call->target, "?");
    const char *allowed = NULL;
    if (strcmp(method, "HEAD") == 0) { /* libmicrohttpd leaves the body out by itself */
        method = "GET";
    }
    while (path_bytes > 1 && call->target[path_bytes - 1] == '/') {
        path_bytes--;
    }
    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++) {
        if (!matches(routes[i].pattern, call->target, path_bytes, call->arg, sizeof call->arg)) {
            continue;
        }
        if (strcmp(routes[i].method, method) == 0) {
            call->route = &routes[i];
            return;
        }
        /* Only two methods share an address here, GET and another. */
        allowed = allowed ? (strcmp(routes[i].method, "DELETE") == 0 ? "GET, DELETE" : "GET, POST")
                          : routes[i].method;
    }
    no_route(call, path_bytes, allowed);
}

static const char *header(const struct sl_http_call *call, const char *name) {
    return MHD_lookup_connection_value(call->connection, MHD_HEADER_KIND, name);
}

static bool check_place(struct sl_http_call *call) {
    const char *host = header(call, "Host");
    const char *origin = header(call, "Origin");
    if (!sl_host_allowed(call->http, host)) {
        sl_call_error(call, 403, "host_not_allowed", NULL,
                      "The Host header does not name this broker: use its address, or localhost.");
        return false;
    }
    if (origin && !sl_origin_matches(origin, host)) {
        sl_call_error(call, 403, "origin_not_allowed", NULL,
                      "Pages of other origins may not use this API.");
        return false;
    }
    return true;
}

static bool check_key(struct sl_http_call *call) {
    const char *value = header(call, "Authorization");
    if (!value || strncasecmp(value, "Bearer ", 7) != 0) {
        sl_call_error(call, 401, "missing_api_key", NULL,
                      "Send your key as 'Authorization: Bearer KEY'.");
        return false;
    }
    value += 7;
    value += strspn(value, " ");
    if (!sl_keys_find(&call->http->keys, value, &call->who)) {
        sl_call_error(call, 401, "invalid_api_key", NULL,
                      "This key is unknown or revoked: ask the operator for a new one.");
        return false;
    }
    bool operator_key = call->who.role == SL_ROLE_OPERATOR;
    unsigned wanted = operator_key ? SL_ROUTE_OPERATOR : SL_ROUTE_TENANT;
    if (call->route->flags & wanted) {
        return true;
    }
    if (operator_key) {
        sl_call_error(call, 403, "tenant_key_required", NULL,
                      "An operator's key cannot submit batches: make a tenant's key with POST "
                      "/api/v1/keys and use that one.");
    } else {
        sl_call_error(call, 403, "operator_key_required", NULL,
                      "This address is for the site's operators.");
    }
    return false;
}

void sl_http_route(struct sl_http_call *call, const char *method) {
    find_route(call, method);
    if (call->status != 0) {
        return;
    }
    unsigned flags = call->route->flags;
    if ((flags & SL_ROUTE_LOCAL) && !check_place(call)) {
        return;
    }
    if ((flags & (SL_ROUTE_TENANT | SL_ROUTE_OPERATOR)) && !check_key(call)) {
        return;
    }
    const char *retries = header(call, "x-stainless-retry-count");
    call->retried = retries && retries[0] >= '1' && retries[0] <= '9';
    const char *key = header(call, "Idempotency-Key");
    if (key && !sl_text_copy(call->idempotency_key, sizeof call->idempotency_key, key)) {
        sl_call_error(call, 400, "invalid_value", NULL,
                      "An Idempotency-Key may have at most %zu bytes.",
                      sizeof call->idempotency_key - 1);
    }
}

static bool leave_for_stop(struct sl_http_call *call) {
    atomic_fetch_add(&call->http->suspended, 1);
    call->owed = true;
    atomic_fetch_add(&call->http->owed, 1);
    if (!atomic_load(&call->http->stopping)) {
        return false;
    }
    atomic_fetch_sub(&call->http->suspended, 1);
    call->core_status = -SL_CLOSED;
    sl_call_core_error(call);
    return true;
}

bool sl_http_dispatch(struct sl_http_call *call) {
    bool quick = (call->route->flags & SL_ROUTE_QUICK) != 0;
    if (quick && call->route->handler(call, NULL) == SL_STEP_REPLY) {
        return true;
    }
    if (leave_for_stop(call)) {
        return true;
    }
    /* Suspended first: the answer may come before this function returns. */
    call->stage = SL_CALL_WAITING;
    MHD_suspend_connection(call->connection);
    if (quick) {
        sl_http_send_ask(call);
    } else {
        sl_http_work(call);
    }
    return false;
}
