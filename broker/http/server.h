/* SPDX-License-Identifier: Apache-2.0
 * The HTTP side of the broker: tenants' OpenAI Batch API (/v1), operators' API (/api/v1), /metrics,
 * /healthz and /readyz. docs/api.md lists them for their users.
 *
 * Threads: libmicrohttpd's epoll thread parses requests and streams bodies; a few workers of our
 * own read the store, write files and wait for commits; what only the core knows or may change goes
 * through one bounded mailbox to the loop. A connection that waits is suspended, never polled.
 *
 * The loop takes requests from sl_http_requests (its fd is readable while there are any). For
 * SL_HTTP_EVENT it sets event.cookie = cookie and steps the core, which answers with a REPLY
 * command: sl_http_reply. For SL_HTTP_VIEW it calls sl_http_answer_view (views.h). A request that
 * is not answered within 15 s gets a 503; a later reply to its cookie is ignored. */
#ifndef SLUICE_BROKER_HTTP_SERVER_H
#define SLUICE_BROKER_HTTP_SERVER_H

#include <stdint.h>

#include "broker/core/core.h"
#include "broker/store/store.h"
#include "proto/base/cleanup.h"
#include "proto/base/error.h"
#include "proto/base/mailbox.h"

#define SL_HTTP_HOSTS_MAX 16

struct sl_http_config {
    const char *listen;    /* "127.0.0.1:7680", "[::1]:7680"; port 0: a free one */
    const char *port_file; /* the bound port is written here; NULL or empty: nowhere */
    const char *data_dir;  /* files/, operator.key */
    const char *store_path;
    struct sl_store *store;
    /* What tenants may ask for. No entries: whatever agents report, and any tenant id. */
    uint32_t model_count;
    const char *models[SL_CORE_MODELS_MAX];
    uint32_t tenant_count;
    const char *tenants[SL_CORE_TENANTS_MAX];
    /* Names under which browsers may reach us, besides the loopback names (Host header). */
    uint32_t host_count;
    const char *hosts[SL_HTTP_HOSTS_MAX];
    /* For the shares of revenue (exposure.c): what hashing earns, limits in parts per million, and
     * the version of the policy document that sets them. */
    const char *coin; /* NULL: "sha256d" */
    int64_t coin_max_ppm, tenant_max_ppm;
    const char *policy_version;   /* NULL: none */
    struct sl_log_ring *log_ring; /* the log's newest lines, borrowed; NULL: none are shown */
    /* Seconds without a byte, after which a connection that has shown no key is closed; 0: 10. */
    uint32_t stranger_idle_s;
    /* What tokens name; NULL or empty: none can be made. */
    const char *join_endpoint, *agents_endpoint, *server_key;
};

enum sl_http_request_kind {
    SL_HTTP_INVALID = 0,
    SL_HTTP_EVENT, /* for sl_broker_core_step */
    SL_HTTP_VIEW,  /* for sl_http_answer_view */
};

enum sl_http_view {
    SL_HTTP_VIEW_INVALID = 0,
    SL_HTTP_VIEW_HEALTH,
    SL_HTTP_VIEW_TRUST, /* devices that are not healthy */
    SL_HTTP_VIEW_STATUS,
    SL_HTTP_VIEW_NODES,
    SL_HTTP_VIEW_DEVICES, /* arg: a page, see views.h */
    SL_HTTP_VIEW_DEVICE,  /* arg: its key */
    SL_HTTP_VIEW_MARKET,  /* arg: show this tenant's batches only; empty: all */
    SL_HTTP_VIEW_FEEDS,   /* prices, and who has a vote in them */
    SL_HTTP_VIEW_POOLS,
    SL_HTTP_VIEW_MODELS,
    SL_HTTP_VIEW_SWITCHES,
    SL_HTTP_VIEW_SHADOWS,
    SL_HTTP_VIEW_SUMMARY, /* members without braces: the worker adds the store's */
    SL_HTTP_VIEW_POWER,   /* arg: a page of its devices */
    SL_HTTP_VIEW_METRICS, /* Prometheus text */
    SL_HTTP_VIEW_STRESS,  /* arg: the shock as sl_h_stress writes it */
    SL_HTTP_VIEW_RATES,
    SL_HTTP_VIEW_AGENTS,
};

struct sl_http_request {
    enum sl_http_request_kind kind;
    uint64_t cookie;
    struct sl_core_event event; /* event.row moves with the request */
    enum sl_http_view view;
    char arg[2 * SL_MSG_KEY_MAX];
};

struct sl_http;

/* Binds, writes DATA_DIR/operator.key (0600) and its row when the store has no valid operator key,
 * starts the threads. Copies the configuration. -SL_EXISTS when the port is taken. */
int sl_http_create(const struct sl_http_config *config, struct sl_http **ret_http,
                   struct sl_error *err);
/* Answers everything that waits with a 503, joins all threads. The store must still be open. */
void sl_http_destroy(struct sl_http *http);
SL_DEFINE_AUTO(sl_http, sl_http_destroy)

/* Of struct sl_http_request; owned by http. */
struct sl_mailbox *sl_http_requests(struct sl_http *http);
/* Answer to one request. status SL_OK: text is the view's text (events: ignored). Negative: text
 * tells the client what to do. Copies the text. Thread: any. */
void sl_http_reply(struct sl_http *http, uint64_t cookie, int status, const char *text);

/* "http://127.0.0.1:7680", with the port really bound. */
const char *sl_http_url(const struct sl_http *http);
uint16_t sl_http_port(const struct sl_http *http);

#endif
