/* SPDX-License-Identifier: Apache-2.0
 * Long work on libuv's worker threads: reading a tenant's lines, writing a batch's output. Each job
 * has a store connection of its own; its answer is an event on the loop's thread. A job whose
 * files cannot be read or written (a full disk, above all) waits and is tried again: one tenant's
 * batch must not stop the others. */
#include <stdlib.h>
#include <string.h>

#include "broker/shell/broker.h"
#include "proto/base/log.h"
#include "proto/base/thread.h"

#define AGAIN_S 10

struct sl_broker_job {
    uv_work_t work;
    struct sl_broker *broker;
    bool finalize;
    bool waits;                 /* its own files failed it, not the store */
    bool full;                  /* that is, for want of room */
    struct sl_mono again;       /* when it is tried again */
    struct sl_broker_job *next; /* of those that wait */
    char batch[SL_ID_MAX];
    struct sl_batch_model models[SL_CORE_MODELS_MAX];
    struct sl_core_event *event;
};

static int validate(struct sl_broker_job *job, const struct sl_batch_row *row,
                    struct sl_error *err) {
    const struct sl_broker_config *config = &job->broker->config;
    struct sl_batch_validation validation = {0};
    int rc = sl_batch_validate(config->data_dir, row->id, row->input_file, row->endpoint,
                               job->models, config->model_count, &validation, err);
    if (rc) {
        return rc;
    }
    job->event->kind = SL_CEV_VALIDATED;
    job->event->lines = validation.lines;
    job->event->errors = validation.errors;
    sl_text_copy(job->event->model, sizeof job->event->model, validation.model);
    return SL_OK;
}

static int finalize(struct sl_broker_job *job, struct sl_reader *reader,
                    const struct sl_batch_row *row, struct sl_error *err) {
    struct sl_core_event *event = job->event;
    int rc = sl_batch_finalize(job->broker->config.data_dir, reader, row, sl_clock_wall(),
                               &event->output, &event->error, &event->errors, err);
    if (rc == SL_OK) {
        event->kind = SL_CEV_FINALIZED;
    }
    if (event->errors) {
        sl_text_copy(event->text, sizeof event->text, err->text);
    }
    return rc;
}

static void run(uv_work_t *work) {
    struct sl_broker_job *job = work->data;
    sl_thread_name("batch worker");
    sl_thread_patient(0);
    SL_AUTO(sl_reader) reader = NULL;
    struct sl_batch_row row = {0};
    struct sl_error err;
    int rc = sl_reader_open(job->broker->store_path, NULL, &reader, &err);
    if (rc == SL_OK) {
        rc = sl_reader_batch(reader, job->batch, &row, &err);
    }
    if (rc == SL_OK) {
        rc = job->finalize ? finalize(job, reader, &row, &err) : validate(job, &row, &err);
        job->waits = rc == -SL_IO;
    }
    if (rc) {
        job->event->kind = SL_CEV_INVALID;
        job->full = sl_batch_is_full(&err);
        sl_text_copy(job->event->text, sizeof job->event->text, err.text);
    }
    sl_batch_row_fini(&row);
}

static void drop(struct sl_broker_job *job) {
    free(job->event);
    free(job);
}

static void wait_and_retry(struct sl_broker_job *job) {
    struct sl_broker *broker = job->broker;
    sl_log(SL_LOG_ERROR, "batch.work", "batch=%s %s; tried again every %d s: %s", job->batch,
           job->event->text, AGAIN_S,
           job->full ? "make room" : "check the disk and whose the file is");
    job->again = (struct sl_mono){sl_clock_mono().ns + AGAIN_S * SL_NS_PER_S};
    job->next = broker->work_waiting;
    broker->work_waiting = job;
}

static void after(uv_work_t *work, int status) {
    (void)status;
    struct sl_broker_job *job = work->data;
    struct sl_broker *broker = job->broker;
    if (job->event->kind == SL_CEV_INVALID && job->waits && !broker->stopping) {
        wait_and_retry(job);
        return;
    }
    if (job->event->kind == SL_CEV_INVALID) { /* the store cannot be read, or no memory */
        sl_log(SL_LOG_ERROR, "batch.work", "batch=%s %s", job->batch, job->event->text);
        sl_broker_stop(broker, 1);
    } else {
        sl_broker_step(broker, job->event);
    }
    drop(job);
}

static void start(struct sl_broker_job *job) {
    job->waits = false;
    job->event->text[0] = '\0';
    uv_queue_work(&job->broker->loop, &job->work, run, after);
}

void sl_broker_work_again(struct sl_broker *broker) {
    int64_t now_ns = sl_clock_mono().ns;
    for (struct sl_broker_job **at = &broker->work_waiting; *at;) {
        struct sl_broker_job *job = *at;
        if (job->again.ns > now_ns) {
            at = &job->next;
            continue;
        }
        *at = job->next;
        start(job);
    }
}

void sl_broker_work_drop(struct sl_broker *broker) {
    while (broker->work_waiting) {
        struct sl_broker_job *job = broker->work_waiting;
        broker->work_waiting = job->next;
        drop(job);
    }
}

static void queue(struct sl_broker *broker, const char *batch, bool finalize) {
    struct sl_broker_job *job = calloc(1, sizeof *job);
    struct sl_core_event *event = calloc(1, sizeof *event);
    if (!job || !event) {
        free(job);
        free(event);
        sl_broker_on_fatal(broker, "no memory to work on a batch");
        return;
    }
    job->work.data = job;
    job->broker = broker;
    job->finalize = finalize;
    job->event = event;
    sl_text_copy(job->batch, sizeof job->batch, batch);
    sl_text_copy(event->batch, sizeof event->batch, batch);
    for (uint32_t i = 0; i < broker->config.model_count; i++) {
        job->models[i] = (struct sl_batch_model){broker->config.models[i].id,
                                                 broker->config.models[i].input_prefix};
    }
    start(job);
}

void sl_broker_validate(struct sl_broker *broker, const char *batch) {
    queue(broker, batch, false);
}

void sl_broker_finalize(struct sl_broker *broker, const char *batch) {
    queue(broker, batch, true);
}
