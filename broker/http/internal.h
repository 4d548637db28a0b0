/* SPDX-License-Identifier: Apache-2.0
 * struct sl_http, shared by the files of this folder. */
#ifndef SLUICE_BROKER_HTTP_INTERNAL_H
#define SLUICE_BROKER_HTTP_INTERNAL_H

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>

#include "broker/http/auth.h"
#include "broker/http/call.h"
#include "broker/http/listen.h"
#include "broker/http/places.h"
#include "schedulers/exposure.h"

#define SL_HTTP_WORKERS 3
#define SL_HTTP_PENDING_MAX 512 /* more than connections: each waits for at most one answer */
#define SL_HTTP_ANSWER_MS 15000
#define SL_HTTP_HEALTH_MS 2000
#define SL_HTTP_DEDUPE_MS (15 * 60 * 1000)
#define SL_HTTP_DEDUPE_MAX 256

/* Who waits for the core. */
struct sl_pending {
    uint64_t cookie; /* 0: free */
    struct sl_http_call *call;
    struct sl_mono until;
};

#define SL_HTTP_EXPOSURE_ROWS 300 /* coins and tenants; the configuration allows 256 tenants */

/* Shares of the last 30 days' revenue, as last counted. */
struct sl_http_exposure {
    char coin[16];
    char policy_version[20];
    int64_t coin_max_ppm, tenant_max_ppm;
    struct sl_mono counted; /* ns 0: never */
    uint32_t count;
    int64_t hhi_ppm;
    struct sl_exposure_row rows[SL_HTTP_EXPOSURE_ROWS];
};

/* A batch that is being created or was lately: the SDKs repeat a POST whose answer got lost. */
struct sl_dedupe {
    uint8_t hash[32]; /* of key id and body */
    char batch[SL_ID_MAX];
    struct sl_mono until;
    bool done; /* durable */
};

struct sl_http {
    char data_dir[SL_TENANT_MAX * 4 + 64];
    char store_path[SL_TENANT_MAX * 4 + 128];
    struct sl_store *store;
    uint32_t model_count;
    char models[SL_CORE_MODELS_MAX][SL_MSG_NAME_MAX];
    uint32_t tenant_count;
    char tenants[SL_CORE_TENANTS_MAX][SL_TENANT_MAX];
    uint32_t host_count;
    char hosts[SL_HTTP_HOSTS_MAX][128];
    char join_endpoint[128]; /* what tokens name; empty: none can be made */
    char agents_endpoint[128], server_key[48];
    unsigned stranger_idle_s;
    struct sl_wall started;
    struct sl_log_ring *log_ring; /* NULL: none; not owned */

    struct MHD_Daemon *daemon;
    uint16_t port;
    char url[SL_LISTEN_URL_MAX];
    struct sl_mailbox *requests; /* of struct sl_http_request, to the loop */
    struct sl_mailbox *jobs;     /* of struct sl_http_call *, to the workers */
    pthread_t workers[SL_HTTP_WORKERS];
    uint32_t worker_count;
    _Atomic bool stopping;
    _Atomic uint32_t suspended; /* calls between dispatch and finish */
    _Atomic uint32_t owed;      /* calls between dispatch and the last byte of their answer */
    struct sl_keys keys;
    /* On the daemon's thread (places.c): requests from their headers to their last byte. */
    uint32_t tenant_calls[SL_CORE_TENANTS_MAX + 1];
    uint32_t tenants_calls; /* the sum */
    struct sl_http_guests guests;

    pthread_mutex_t lock; /* of everything below */
    struct sl_pending pending[SL_HTTP_PENDING_MAX];
    uint64_t cookie_seed;
    struct sl_mono reaped;
    struct sl_mono swept;
    struct sl_dedupe dedupe[SL_HTTP_DEDUPE_MAX];
    uint64_t answers[6]; /* by hundred of the HTTP status */
    struct sl_http_exposure exposure;
};

/* ---- route.c ---- */
/* Finds the route, checks Host, Origin and key; on failure the answer is set. */
void sl_http_route(struct sl_http_call *call, const char *method);
/* Runs the handler on this thread or hands the call to a worker; the connection is suspended where
 * that is needed. True: the answer is there and may be sent at once. */
bool sl_http_dispatch(struct sl_http_call *call);

/* ---- pending.c ---- */
/* Sends call->ask to the loop. From then on the call belongs to whoever answers. Without room the
 * answer is set and sl_http_finish done. */
void sl_http_send_ask(struct sl_http_call *call);
/* Answers calls that waited too long; all of them when everything stops. */
void sl_http_reap(struct sl_http *http, bool all);
/* The answer is set: wakes the suspended connection. */
void sl_http_finish(struct sl_http_call *call);

/* ---- server.c: the parts of sl_http_create, for who drives them without threads ---- */
/* Everything but threads and socket. */
int sl_http_prepare(const struct sl_http_config *config, struct sl_http **ret_http,
                    struct sl_error *err);
/* fd: a listening socket, the daemon's from then on. Negative: none, and no thread; connections
 * come by MHD_add_connection, and MHD_run does what is due. NULL: it cannot be started. */
struct MHD_Daemon *sl_http_daemon(struct sl_http *http, int fd);

/* ---- work.c ---- */
/* The handler's next turn, on a worker: answers, or asks the core. */
void sl_http_run(struct sl_http_call *call, struct sl_reader *reader);
int sl_http_workers_start(struct sl_http *http, struct sl_error *err);
void sl_http_workers_stop(struct sl_http *http);
void sl_http_work(struct sl_http_call *call);
/* Submits txn (taken over) and waits until it is durable. Workers only. */
int sl_http_commit(struct sl_http *http, struct sl_txn *txn, struct sl_error *err);

/* ---- dedupe.c ---- */
enum sl_dedupe_state { SL_DEDUPE_NEW = 1, SL_DEDUPE_RUNNING, SL_DEDUPE_DONE };
/* Looks for a live entry with this hash. NEW: one was made, with the batch id given. Else
 * batch_id[SL_ID_MAX] is set to the earlier one. retried false: always NEW. */
enum sl_dedupe_state sl_dedupe_begin(struct sl_http *http, const uint8_t hash[32], bool retried,
                                     char *batch_id);
/* The batch was created (durable), or was not: then the entry is dropped. */
void sl_dedupe_end(struct sl_http *http, const char *batch_id, bool created);

/* ---- sweep.c: files whose time is over (one worker, now and then) ---- */
void sl_http_sweep(struct sl_http *http, struct sl_reader *reader);

/* ---- exposure.c: shares of revenue ---- */
void sl_http_exposure_init(struct sl_http *http, const struct sl_http_config *config);
/* Counts again when that is due, and warns of what has come above its limit. */
void sl_http_exposure_sweep(struct sl_http *http, struct sl_reader *reader);
/* What was counted last, as Prometheus text. */
void sl_http_exposure_metrics(struct sl_http *http, struct sl_buf *buf);

/* ---- handlers ---- */
enum sl_step sl_h_files_create(struct sl_http_call *call, struct sl_reader *reader);
enum sl_step sl_h_files_list(struct sl_http_call *call, struct sl_reader *reader);
enum sl_step sl_h_files_get(struct sl_http_call *call, struct sl_reader *reader);
enum sl_step sl_h_files_content(struct sl_http_call *call, struct sl_reader *reader);
enum sl_step sl_h_files_delete(struct sl_http_call *call, struct sl_reader *reader);
enum sl_step sl_h_batches_create(struct sl_http_call *call, struct sl_reader *reader);
enum sl_step sl_h_batches_list(struct sl_http_call *call, struct sl_reader *reader);
enum sl_step sl_h_batches_get(struct sl_http_call *call, struct sl_reader *reader);
enum sl_step sl_h_batches_cancel(struct sl_http_call *call, struct sl_reader *reader);
enum sl_step sl_h_models_list(struct sl_http_call *call, struct sl_reader *reader);
enum sl_step sl_h_models_get(struct sl_http_call *call, struct sl_reader *reader);
enum sl_step sl_h_bid(struct sl_http_call *call, struct sl_reader *reader);
enum sl_step sl_h_site_batches(struct sl_http_call *call, struct sl_reader *reader);
enum sl_step sl_h_site_batch(struct sl_http_call *call, struct sl_reader *reader);
enum sl_step sl_h_status(struct sl_http_call *call, struct sl_reader *reader);
enum sl_step sl_h_nodes(struct sl_http_call *call, struct sl_reader *reader);
enum sl_step sl_h_devices(struct sl_http_call *call, struct sl_reader *reader);
enum sl_step sl_h_device(struct sl_http_call *call, struct sl_reader *reader);
enum sl_step sl_h_market(struct sl_http_call *call, struct sl_reader *reader);
enum sl_step sl_h_market_feeds(struct sl_http_call *call, struct sl_reader *reader);
enum sl_step sl_h_rates(struct sl_http_call *call, struct sl_reader *reader);
enum sl_step sl_h_stress(struct sl_http_call *call, struct sl_reader *reader);
enum sl_step sl_h_exposure(struct sl_http_call *call, struct sl_reader *reader);
enum sl_step sl_h_pools(struct sl_http_call *call, struct sl_reader *reader);
enum sl_step sl_h_switches(struct sl_http_call *call, struct sl_reader *reader);
enum sl_step sl_h_power(struct sl_http_call *call, struct sl_reader *reader);
enum sl_step sl_h_summary(struct sl_http_call *call, struct sl_reader *reader);
enum sl_step sl_h_decisions(struct sl_http_call *call, struct sl_reader *reader);
enum sl_step sl_h_against(struct sl_http_call *call, struct sl_reader *reader);
enum sl_step sl_h_shadows(struct sl_http_call *call, struct sl_reader *reader);
enum sl_step sl_h_ledger(struct sl_http_call *call, struct sl_reader *reader);
enum sl_step sl_h_settle(struct sl_http_call *call, struct sl_reader *reader);
enum sl_step sl_h_settlements(struct sl_http_call *call, struct sl_reader *reader);
enum sl_step sl_h_trust(struct sl_http_call *call, struct sl_reader *reader);
enum sl_step sl_h_audit(struct sl_http_call *call, struct sl_reader *reader);
enum sl_step sl_h_events(struct sl_http_call *call, struct sl_reader *reader);
enum sl_step sl_h_logs(struct sl_http_call *call, struct sl_reader *reader);
enum sl_step sl_h_order(struct sl_http_call *call, struct sl_reader *reader);
enum sl_step sl_h_keys_list(struct sl_http_call *call, struct sl_reader *reader);
enum sl_step sl_h_keys_create(struct sl_http_call *call, struct sl_reader *reader);
enum sl_step sl_h_keys_revoke(struct sl_http_call *call, struct sl_reader *reader);
enum sl_step sl_h_agents(struct sl_http_call *call, struct sl_reader *reader);
enum sl_step sl_h_agents_order(struct sl_http_call *call, struct sl_reader *reader);
enum sl_step sl_h_metrics(struct sl_http_call *call, struct sl_reader *reader);
enum sl_step sl_h_health(struct sl_http_call *call, struct sl_reader *reader);
enum sl_step sl_h_ready(struct sl_http_call *call, struct sl_reader *reader);

#endif
