/* SPDX-License-Identifier: Apache-2.0
 * The workers: everything that waits for a disk. */
#include <stdatomic.h>
#include <stdlib.h>

#include "broker/http/internal.h"
#include "proto/base/log.h"
#include "proto/base/thread.h"

#define IDLE_NS (500 * SL_NS_PER_MS)
#define COMMIT_NS (30 * SL_NS_PER_S)

void sl_http_run(struct sl_http_call *call, struct sl_reader *reader) {
    sl_http_handler handler = call->next ? call->next : call->route->handler;
    call->next = NULL;
    if (handler(call, reader) == SL_STEP_ASK) {
        sl_http_send_ask(call);
    } else {
        sl_http_finish(call);
    }
}

static void *worker_main(void *arg) {
    struct sl_http *http = arg;
    SL_AUTO(sl_reader) reader = NULL;
    struct sl_error err = {0};
    sl_thread_name("http worker");
    int rc = sl_reader_open(http->store_path, NULL, &reader, &err);
    if (rc != SL_OK) {
        sl_log(SL_LOG_ERROR, "http.worker", "text=\"%s\"", err.text);
    }
    for (;;) {
        struct sl_http_call *call = NULL;
        int got = sl_mailbox_take_wait(http->jobs, IDLE_NS, &call);
        if (got == -SL_CLOSED) {
            return NULL;
        }
        if (got == SL_OK && (rc != SL_OK || atomic_load(&http->stopping))) {
            call->core_status = rc != SL_OK ? rc : -SL_CLOSED;
            sl_call_core_error(call);
            sl_http_finish(call);
        } else if (got == SL_OK) {
            sl_http_run(call, reader);
        } else if (rc == SL_OK) {
            sl_http_sweep(http, reader);
        }
        sl_http_reap(http, false);
    }
}

int sl_http_workers_start(struct sl_http *http, struct sl_error *err) {
    for (uint32_t i = 0; i < SL_HTTP_WORKERS; i++) {
        if (pthread_create(&http->workers[i], NULL, worker_main, http) != 0) {
            return sl_fail(err, SL_NOMEM, "no thread for an HTTP worker");
        }
        http->worker_count++;
    }
    return SL_OK;
}

void sl_http_workers_stop(struct sl_http *http) {
    if (http->jobs) {
        sl_mailbox_close(http->jobs);
    }
    for (uint32_t i = 0; i < http->worker_count; i++) {
        pthread_join(http->workers[i], NULL);
    }
    http->worker_count = 0;
}

void sl_http_work(struct sl_http_call *call) {
    if (sl_mailbox_put(call->http->jobs, &call) != SL_OK) {
        call->core_status = -SL_CLOSED;
        sl_call_core_error(call);
        sl_http_finish(call);
    }
}

/* Shared by the worker that waits and the store's thread that reports; the later one frees it,
 * since a store that fails never reports. */
struct commit {
    struct sl_mailbox *box;
    _Atomic int holders;
};

static void commit_release(struct commit *commit) {
    if (atomic_fetch_sub(&commit->holders, 1) == 1) {
        sl_mailbox_destroy(commit->box);
        free(commit);
    }
}

static void on_durable(void *arg, uint64_t ticket) {
    struct commit *commit = arg;
    sl_mailbox_put(commit->box, &ticket);
    commit_release(commit);
}

int sl_http_commit(struct sl_http *http, struct sl_txn *txn, struct sl_error *err) {
    struct commit *commit = calloc(1, sizeof *commit);
    if (!commit) {
        sl_txn_destroy(txn);
        return sl_fail(err, SL_NOMEM, "waiting for the store");
    }
    int rc = sl_mailbox_create(sizeof(uint64_t), 1, &commit->box, err);
    if (rc != SL_OK) {
        free(commit);
        sl_txn_destroy(txn);
        return rc;
    }
    atomic_store(&commit->holders, 2);
    txn->done = on_durable;
    txn->arg = commit;
    rc = sl_store_submit(http->store, txn);
    if (rc != SL_OK) {
        commit_release(commit); /* the store's share */
        commit_release(commit);
        return sl_fail(err, SL_CLOSED, "the store does not take anything any more");
    }
    uint64_t ticket = 0;
    rc = sl_mailbox_take_wait(commit->box, COMMIT_NS, &ticket);
    commit_release(commit);
    return rc == SL_OK ? SL_OK : sl_fail(err, SL_IO, "the store did not commit in time");
}
