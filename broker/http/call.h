/* SPDX-License-Identifier: Apache-2.0
 * One HTTP request from its first byte to its answer. At any moment exactly one thread has it:
 * libmicrohttpd's thread while it is read or sent, a worker while a handler runs, nobody while the
 * core's answer is awaited (the connection is suspended then). */
#ifndef SLUICE_BROKER_HTTP_CALL_H
#define SLUICE_BROKER_HTTP_CALL_H

#include <jansson.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

#include "broker/http/json.h"
#include "broker/http/server.h"

#define SL_CALL_TARGET_MAX 2048 /* path and query as sent */
#define SL_CALL_JSON_MAX (256 * 1024)
/* So much of a body that will be refused is still read, so that the client sees the answer. */
#define SL_CALL_DISCARD_MAX (INT64_C(64) * 1024 * 1024)

struct MHD_Connection;
struct sl_upload;
struct sl_http_call;

/* What a handler did: the answer is there, or call->ask goes to the core and call->next (or the
 * plain rendering, when NULL) runs with what comes back. */
enum sl_step { SL_STEP_REPLY = 1, SL_STEP_ASK };
/* reader: a connection to the store; NULL in handlers of routes marked as quick. */
typedef enum sl_step (*sl_http_handler)(struct sl_http_call *call, struct sl_reader *reader);

enum sl_route_flags {
    SL_ROUTE_TENANT = 1,   /* a tenant's key is accepted */
    SL_ROUTE_OPERATOR = 2, /* an operator's key is accepted */
    SL_ROUTE_LOCAL = 4,    /* Host and Origin are checked */
    SL_ROUTE_QUICK = 8,    /* runs on libmicrohttpd's thread: no store, no file */
    SL_ROUTE_UPLOAD = 16,  /* the body is a multipart upload */
};

struct sl_route {
    const char *method;
    const char *pattern; /* '*' is one segment, a last '**' all that follow */
    unsigned flags;      /* without TENANT and OPERATOR: no key is asked for */
    sl_http_handler handler;
};

struct sl_identity {
    enum sl_key_role role;
    char key_id[SL_ID_MAX];
    char tenant[SL_TENANT_MAX]; /* empty for operators */
};

enum sl_call_stage { SL_CALL_NEW = 0, SL_CALL_BODY, SL_CALL_WAITING, SL_CALL_READY };
enum sl_call_retry { SL_RETRY_UNSAID = 0, SL_RETRY_NO, SL_RETRY_YES };

struct sl_http_call {
    struct sl_http *http;
    struct MHD_Connection *connection;
    const struct sl_route *route;
    enum sl_call_stage stage;
    int64_t read_ns; /* CLOCK_BOOTTIME when the request line was there */
    char request_id[24];
    struct sl_identity who;
    char target[SL_CALL_TARGET_MAX]; /* as sent, percent-encoded */
    char arg[SL_CALL_TARGET_MAX];    /* what the pattern's '*' stood for, decoded */
    bool retried;                    /* x-stainless-retry-count > 0 */
    bool owed;                       /* counted in sl_http.owed */
    uint32_t *place;                 /* where it is counted in sl_http.tenant_calls, or NULL */
    char idempotency_key[256];
    struct sl_buf body;
    int64_t body_bytes; /* seen so far, kept or not */
    struct sl_upload *upload;

    struct sl_http_request *ask; /* malloc'ed */
    sl_http_handler next;
    int core_status;
    char *core_text; /* malloc'ed */
    void *state;     /* a handler's own, freed with free() */

    int status; /* HTTP; 0: no answer yet */
    struct sl_json out;
    const char *content_type;
    const char *allow;
    char disposition[128];
    int file; /* >= 0: the answer's body */
    int64_t file_bytes;
    enum sl_call_retry retry;
    int retry_after_s;
};

/* ---- answers ---- */
/* 200 with what was written to call->out. */
enum sl_step sl_call_ok(struct sl_http_call *call);
/* {"error":{message,type,param,code}}; what call->out held is dropped. param may be NULL. */
enum sl_step sl_call_error(struct sl_http_call *call, int status, const char *code,
                           const char *param, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
/* Trouble on our side: logged with the request id, told without details. */
enum sl_step sl_call_trouble(struct sl_http_call *call, const struct sl_error *err);
/* The core's refusal (call->core_status, call->core_text) as an HTTP error. */
enum sl_step sl_call_core_error(struct sl_http_call *call);
/* Another tenant's object is answered exactly like an absent one. */
enum sl_step sl_call_absent(struct sl_http_call *call, const char *what, const char *id);

/* ---- asking the core ---- */
/* call->ask, zeroed but for the kind; NULL without memory (then the answer is set). */
struct sl_http_request *sl_call_ask(struct sl_http_call *call, enum sl_http_request_kind kind);
enum sl_step sl_call_ask_view(struct sl_http_call *call, enum sl_http_view view, const char *arg,
                              sl_http_handler next);
void sl_http_request_free(struct sl_http_request *request);

/* ---- reading the request ---- */
/* The body as a JSON object whose keys are all in known[] (NULL ends it); an empty body is {}.
 * NULL: the answer is set. The caller frees it. */
json_t *sl_call_body(struct sl_http_call *call, const char *const *known);
/* Decoded query parameter; false when it is absent or too long. */
bool sl_call_query(const struct sl_http_call *call, const char *name, char *out, size_t size);
/* limit=N within [min, max], else fallback; false: the answer is set. */
bool sl_call_query_limit(struct sl_http_call *call, uint32_t min, uint32_t max, uint32_t fallback,
                         uint32_t *ret_limit);
/* Percent-decodes n bytes; false on a broken escape, a NUL or too little room. */
bool sl_percent_decode(const char *text, size_t n, char *out, size_t size);

struct sl_http_call *sl_call_create(struct sl_http *http, const char *target);
void sl_call_destroy(struct sl_http_call *call);

#endif
