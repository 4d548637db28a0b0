/* SPDX-License-Identifier: Apache-2.0
 * Who waits for an answer of the loop. */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "broker/http/internal.h"

static uint64_t pending_add(struct sl_http *http, struct sl_http_call *call, int64_t wait_ms) {
    struct sl_mono until = sl_mono_after_ms(sl_clock_mono(), wait_ms);
    uint64_t cookie = 0;
    pthread_mutex_lock(&http->lock);
    for (uint32_t i = 0; i < SL_HTTP_PENDING_MAX && cookie == 0; i++) {
        uint64_t seed = ++http->cookie_seed; /* slot and age in one: an old cookie never fits */
        struct sl_pending *slot = &http->pending[seed % SL_HTTP_PENDING_MAX];
        if (slot->cookie == 0) {
            cookie = seed;
            *slot = (struct sl_pending){.cookie = cookie, .call = call, .until = until};
        }
    }
    pthread_mutex_unlock(&http->lock);
    return cookie;
}

static struct sl_http_call *pending_take(struct sl_http *http, uint64_t cookie) {
    struct sl_http_call *call = NULL;
    pthread_mutex_lock(&http->lock);
    struct sl_pending *slot = &http->pending[cookie % SL_HTTP_PENDING_MAX];
    if (cookie != 0 && slot->cookie == cookie) {
        call = slot->call;
        *slot = (struct sl_pending){0};
    }
    pthread_mutex_unlock(&http->lock);
    return call;
}

/* The call is ours again, with an answer of the core (or of ours in its place). */
static void deliver(struct sl_http_call *call, int status, const char *text) {
    struct sl_http *http = call->http;
    free(call->core_text);
    call->core_status = status;
    call->core_text = strdup(text ? text : "");
    if (!call->core_text) {
        call->core_status = -SL_NOMEM;
    }
    bool stopping = atomic_load(&http->stopping);
    /* A handler that wrote its answer in advance needs no second turn when all went well. */
    bool written = call->core_status == SL_OK && call->out.buf.len > 0;
    if (call->next && !written && !stopping) {
        sl_http_work(call);
        return;
    }
    if (call->core_status != SL_OK || stopping) {
        call->core_status = stopping ? -SL_CLOSED : call->core_status;
        sl_call_core_error(call);
    } else {
        if (!written) {
            sl_buf_append(&call->out.buf, call->core_text, strlen(call->core_text));
        }
        sl_call_ok(call);
    }
    sl_http_finish(call);
}

void sl_http_send_ask(struct sl_http_call *call) {
    struct sl_http *http = call->http;
    struct sl_http_request *ask = sl_take(&call->ask);
    bool health = ask->kind == SL_HTTP_VIEW && ask->view == SL_HTTP_VIEW_HEALTH;
    uint64_t cookie = pending_add(http, call, health ? SL_HTTP_HEALTH_MS : SL_HTTP_ANSWER_MS);
    int rc = cookie ? SL_OK : -SL_AGAIN;
    if (rc == SL_OK) {
        ask->cookie = cookie;
        ask->event.cookie = cookie;
        rc = sl_mailbox_put(http->requests, ask);
    }
    if (rc == SL_OK) {
        free(ask); /* its row moved */
        return;
    }
    sl_http_request_free(ask);
    if (cookie && !pending_take(http, cookie)) {
        return; /* the reaper has answered */
    }
    call->next = NULL;
    deliver(call, rc, "The broker has too much to do: try again in a second.");
}

void sl_http_reply(struct sl_http *http, uint64_t cookie, int status, const char *text) {
    struct sl_http_call *call = pending_take(http, cookie);
    if (call) {
        deliver(call, status, text);
    }
}

void sl_http_reap(struct sl_http *http, bool all) {
    struct sl_mono now = sl_clock_mono();
    uint64_t cookies[SL_HTTP_PENDING_MAX];
    uint32_t count = 0;
    pthread_mutex_lock(&http->lock);
    if (all || sl_mono_since_ns(now, http->reaped) > SL_NS_PER_S / 2) {
        http->reaped = now;
        for (uint32_t i = 0; i < SL_HTTP_PENDING_MAX; i++) {
            const struct sl_pending *slot = &http->pending[i];
            if (slot->cookie && (all || now.ns > slot->until.ns)) {
                cookies[count++] = slot->cookie;
            }
        }
    }
    pthread_mutex_unlock(&http->lock);
    for (uint32_t i = 0; i < count; i++) {
        sl_http_reply(http, cookies[i], all ? -SL_CLOSED : -SL_TIMEOUT,
                      all ? "The broker is stopping."
                          : "The broker did not answer in time; what was asked may still happen.");
    }
}

void sl_http_finish(struct sl_http_call *call) {
    struct sl_http *http = call->http; /* the call may be gone right after the resume */
    call->stage = SL_CALL_READY;
    MHD_resume_connection(call->connection);
    atomic_fetch_sub(&http->suspended, 1);
}
