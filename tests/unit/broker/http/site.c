/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/broker/http/site.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/batch/batch.h"
#include "proto/base/text.h"

static void must(int rc, const struct sl_error *err, const char *what) {
    if (rc != SL_OK) {
        fprintf(stderr, "site: %s: %s\n", what, err->text);
        abort();
    }
}

static void on_fatal(void *arg, const char *reason) {
    (void)arg;
    fprintf(stderr, "site: the store failed: %s\n", reason);
    abort();
}

static void on_done(void *arg, uint64_t ticket) {
    sl_mailbox_put(arg, &ticket);
}

/* Writes ops and waits until they are durable. */
static void commit(struct site *site, const struct sl_op *ops, uint32_t count) {
    struct sl_error err;
    struct sl_txn *txn = NULL;
    struct sl_mailbox *box = NULL;
    must(sl_mailbox_create(sizeof(uint64_t), 1, &box, &err), &err, "mailbox");
    must(sl_txn_create(&txn, &err), &err, "txn");
    for (uint32_t i = 0; i < count; i++) {
        must(sl_txn_add(txn, &ops[i], &err), &err, "txn add");
    }
    txn->done = on_done;
    txn->arg = box;
    must(sl_store_submit(site->store, txn), &err, "submit");
    uint64_t ticket = 0;
    must(sl_mailbox_take_wait(box, 20 * SL_NS_PER_S, &ticket), &err, "commit");
    sl_mailbox_destroy(box);
}

static char *copy_text(const char *text) {
    return text ? strdup(text) : NULL;
}

static void store_batch(struct site *site, const struct sl_batch_row *row) {
    struct sl_op op = {.kind = SL_OP_BATCH, .batch = malloc(sizeof *row)};
    *op.batch = *row;
    op.batch->metadata = copy_text(row->metadata);
    op.batch->errors = copy_text(row->errors);
    commit(site, &op, 1);
}

/* Every text's vector is {its bytes, 0.25, -0.125}. */
static void run_lines(struct site *site, struct sl_batch_row *row) {
    struct sl_spool *spool = NULL;
    struct sl_error err;
    must(sl_spool_open(site->dir, row->id, &spool, &err), &err, "spool");
    for (uint32_t i = 0; i < sl_spool_count(spool); i++) {
        struct sl_spool_line line;
        must(sl_spool_line(spool, i, &line, &err), &err, "line");
        if (line.refusal) {
            row->lines_failed++;
            continue;
        }
        struct sl_msg_input *inputs = calloc(line.input_count, sizeof *inputs);
        must(sl_spool_inputs(spool, i, inputs, line.input_count, &err), &err, "inputs");
        struct sl_op op = {.kind = SL_OP_RESULT,
                           .result = {.line = i,
                                      .unit_id = i + 1,
                                      .status = SL_LINE_OK,
                                      .tokens = line.input_count,
                                      .vector_count = line.input_count,
                                      .dim = 3,
                                      .at = sl_clock_wall()}};
        sl_text_copy(op.result.batch, sizeof op.result.batch, row->id);
        op.result.vectors = malloc(12 * line.input_count);
        for (uint32_t k = 0; k < line.input_count; k++) {
            float vector[3] = {(float)inputs[k].bytes, 0.25f, -0.125f};
            memcpy(op.result.vectors + 12 * k, vector, sizeof vector);
        }
        free(inputs);
        commit(site, &op, 1);
        row->lines_completed++;
        row->tokens += line.input_count;
    }
    sl_spool_close(spool);
}

static void finish_batch(struct site *site, struct sl_batch_row *row, enum sl_batch_state state) {
    struct sl_error err;
    struct sl_op files[2] = {{.kind = SL_OP_FILE}, {.kind = SL_OP_FILE}};
    struct sl_wall now = sl_clock_wall();
    row->after_finalizing = state;
    must(sl_batch_write_outputs(site->dir, site->reader, row, now, &files[0].file, &files[1].file,
                                &err),
         &err, "outputs");
    for (int i = 0; i < 2; i++) {
        if (files[i].file.id[0] != '\0') {
            commit(site, &files[i], 1);
        }
    }
    sl_text_copy(row->output_file, sizeof row->output_file, files[0].file.id);
    sl_text_copy(row->error_file, sizeof row->error_file, files[1].file.id);
    row->state = state;
    if (state == SL_BATCH_COMPLETED) {
        row->completed = now;
    } else {
        row->cancelled = now;
    }
    store_batch(site, row);
}

static void run_batch(struct site *site, struct sl_batch_row *row) {
    static const struct sl_batch_model models[] = {{"all-MiniLM-L6-v2", NULL}};
    struct sl_batch_validation validation = {0};
    struct sl_error err;
    must(sl_batch_validate(site->dir, row->id, row->input_file, row->endpoint, models, 1,
                           &validation, &err),
         &err, "validate");
    if (validation.errors) {
        row->errors = sl_take(&validation.errors);
        row->state = SL_BATCH_FAILED;
        row->failed = sl_clock_wall();
        store_batch(site, row);
    } else {
        row->lines_total = validation.lines.count;
        sl_text_copy(row->model, sizeof row->model, validation.model);
        row->state = SL_BATCH_IN_PROGRESS;
        row->in_progress = sl_clock_wall();
        if (row->metadata && strstr(row->metadata, "test.hold")) {
            store_batch(site, row);
        } else {
            run_lines(site, row);
            finish_batch(site, row, SL_BATCH_COMPLETED);
        }
    }
    sl_batch_validation_fini(&validation);
}

static void on_batch(struct site *site, struct sl_http_request *request) {
    struct sl_batch_row *row = request->event.row;
    if (row->deadline.ms == 0) {
        row->deadline.ms = row->created.ms + 86400000;
    }
    store_batch(site, row);
    sl_http_reply(site->http, request->cookie, SL_OK, "");
    run_batch(site, row);
    sl_batch_row_fini(row);
    free(row);
}

static void on_open_batch(struct site *site, struct sl_http_request *request) {
    struct sl_batch_row row = {0};
    struct sl_core_event *event = &request->event;
    int rc = sl_reader_batch(site->reader, event->batch, &row, NULL);
    if (rc != SL_OK || (event->tenant[0] != '\0' && strcmp(event->tenant, row.tenant) != 0)) {
        sl_http_reply(site->http, request->cookie, -SL_NOTFOUND, "no such batch");
    } else if (sl_batch_state_is_final(row.state)) {
        sl_http_reply(site->http, request->cookie, -SL_BADSTATE, "the batch has ended");
    } else if (event->kind == SL_CEV_BID) {
        row.bid_nusd_per_mtok = event->bid_nusd_per_mtok;
        store_batch(site, &row);
        sl_http_reply(site->http, request->cookie, SL_OK, "");
    } else {
        row.cancelling = sl_clock_wall();
        finish_batch(site, &row, SL_BATCH_CANCELLED);
        sl_http_reply(site->http, request->cookie, SL_OK, "");
    }
    sl_batch_row_fini(&row);
}

static void on_event(struct site *site, struct sl_http_request *request) {
    pthread_mutex_lock(&site->lock);
    site->last = request->event;
    site->last.row = NULL;
    site->last.settle = NULL;
    pthread_mutex_unlock(&site->lock);
    atomic_fetch_add(&site->events, 1);
    if (atomic_load(&site->refuse)) {
        if (request->event.row) {
            sl_batch_row_fini(request->event.row);
            free(request->event.row);
        }
        sl_http_reply(site->http, request->cookie, -SL_LIMIT, "the budget is used up");
    } else if (request->event.kind == SL_CEV_BATCH) {
        on_batch(site, request);
    } else if (request->event.kind == SL_CEV_OVERRIDE) {
        bool known = strcmp(request->event.override_.subject, "nowhere") != 0;
        sl_http_reply(site->http, request->cookie, known ? SL_OK : -SL_NOTFOUND,
                      "no such device or node");
    } else if (request->event.kind == SL_CEV_AGENT) {
        bool known = strcmp(request->event.order.subject, "nowhere") != 0;
        sl_http_reply(site->http, request->cookie, known ? SL_OK : -SL_NOTFOUND,
                      known ? request->event.order.subject : "no such agent");
    } else if (request->event.kind == SL_CEV_SETTLE) {
        free(request->event.settle);
        sl_http_reply(site->http, request->cookie, SL_OK, "");
    } else {
        on_open_batch(site, request);
    }
}

static void on_view(struct site *site, const struct sl_http_request *request) {
    const char *text = "{\"from\":\"loop\"}";
    char echo[128];
    int status = SL_OK;
    if (request->view == SL_HTTP_VIEW_MODELS) {
        text = "[\"all-MiniLM-L6-v2\"]";
    } else if (request->view == SL_HTTP_VIEW_SUMMARY) {
        text = "\"switches\":4";
    } else if (request->view == SL_HTTP_VIEW_METRICS) {
        text = "sluice_sessions_live 1\n";
    } else if (request->view == SL_HTTP_VIEW_STRESS) {
        snprintf(echo, sizeof echo, "{\"arg\":\"%s\"}", request->arg);
        text = echo;
    } else if (request->view == SL_HTTP_VIEW_DEVICE && strcmp(request->arg, "node/pocl:0/1") != 0) {
        status = -SL_NOTFOUND;
        text = "no such device";
    }
    sl_http_reply(site->http, request->cookie, status, text);
}

static void *loop_main(void *arg) {
    struct site *site = arg;
    struct sl_http_request *request = malloc(sizeof *request);
    while (sl_mailbox_take_wait(sl_http_requests(site->http), -1, request) == SL_OK) {
        if (atomic_load(&site->silent)) {
            if (request->kind == SL_HTTP_EVENT && request->event.row) {
                sl_batch_row_fini(request->event.row);
                free(request->event.row);
            }
        } else if (request->kind == SL_HTTP_EVENT) {
            on_event(site, request);
        } else {
            on_view(site, request);
        }
    }
    free(request);
    return NULL;
}

static void open_all(struct site *site, const char *listen) {
    struct sl_error err = {0};
    must(sl_store_open(&(struct sl_store_config){.path = site->store_path,
                                                 .fatal = on_fatal,
                                                 .fatal_arg = NULL},
                       &site->store, &err),
         &err, "store");
    must(sl_reader_open(site->store_path, NULL, &site->reader, &err), &err, "reader");
    char port_file[96];
    snprintf(port_file, sizeof port_file, "%s/port", site->dir);
    struct sl_http_config config = {.listen = listen ? listen : "127.0.0.1:0",
                                    .port_file = port_file,
                                    .data_dir = site->dir,
                                    .store_path = site->store_path,
                                    .store = site->store,
                                    .coin_max_ppm = 500000,
                                    .tenant_max_ppm = 300000,
                                    .policy_version = "0123456789abcdef",
                                    .stranger_idle_s = site->stranger_idle_s,
                                    .tenant_count = 2,
                                    .tenants = {"acme", "globex"},
                                    .host_count = 1,
                                    .hosts = {"sluice.example"},
                                    .join_endpoint = "tcp://127.0.0.1:7601",
                                    .agents_endpoint = "tcp://127.0.0.1:7600",
                                    .server_key = "5JMDv&$(8Oe}&s9+/^qSs[CZvW/HbJL^Mc]JPDmi"};
    must(sl_http_create(&config, &site->http, &err), &err, "http");
    if (pthread_create(&site->loop, NULL, loop_main, site) != 0) {
        abort();
    }
}

void site_start(struct site *site, const char *listen) {
    memset(site, 0, sizeof *site);
    strcpy(site->dir, "/tmp/sluice-http-XXXXXX");
    if (!mkdtemp(site->dir) || pthread_mutex_init(&site->lock, NULL) != 0) {
        abort();
    }
    snprintf(site->store_path, sizeof site->store_path, "%s/store.db", site->dir);
    open_all(site, listen);
}

void site_stop(struct site *site) {
    /* The loop ends when the server closes its mailbox; its replies then find nobody. */
    sl_mailbox_close(sl_http_requests(site->http));
    pthread_join(site->loop, NULL);
    sl_http_destroy(site->http);
    sl_store_close(site->store);
    sl_reader_close(site->reader);
}

void site_restart(struct site *site) {
    site_stop(site);
    open_all(site, NULL);
}

void site_remove(struct site *site) {
    char command[128];
    site_stop(site);
    snprintf(command, sizeof command, "rm -rf /tmp/sluice-http-%s", site->dir + 17);
    if (system(command) != 0) {
        abort();
    }
    pthread_mutex_destroy(&site->lock);
}

void site_operator_key(const struct site *site, char key[96]) {
    char path[96];
    snprintf(path, sizeof path, "%s/operator.key", site->dir);
    FILE *file = fopen(path, "r");
    if (!file || !fgets(key, 96, file)) {
        abort();
    }
    key[strcspn(key, "\n")] = '\0';
    fclose(file);
}

struct sl_core_event site_last_event(struct site *site) {
    pthread_mutex_lock(&site->lock);
    struct sl_core_event event = site->last;
    pthread_mutex_unlock(&site->lock);
    return event;
}
