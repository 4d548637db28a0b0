/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/shell/model_watch.h"

#include <pthread.h>
#include <stdlib.h>

#include "proto/base/clock.h"
#include "proto/base/log.h"
#include "proto/base/mailbox.h"
#include "proto/base/thread.h"

struct sl_model_watch {
    const struct sl_model_set *models;
    int64_t period_ns;
    sl_model_watch_fn note;
    void *context;
    struct sl_mailbox *ending; /* nothing is ever put into it: closing it ends the wait */
    pthread_t thread;
    bool running;
    enum sl_model_file seen[SL_DEVICE_MODELS_MAX];
    struct sl_file_stamp stamps[SL_DEVICE_MODELS_MAX];
};

static void look(struct sl_model_watch *watch) {
    for (size_t i = 0; i < sl_model_set_count(watch->models); i++) {
        const struct sl_model *model = sl_model_set_at(watch->models, i);
        enum sl_model_file now = sl_model_set_look(model, watch->seen[i], &watch->stamps[i]);
        if (now != watch->seen[i]) {
            watch->seen[i] = now;
            watch->note(watch->context, model, now);
        }
    }
}

static void *watch_main(void *context) {
    struct sl_model_watch *watch = context;
    char nothing;
    sl_thread_name("models");
    sl_thread_patient(5);
    while (sl_mailbox_take_wait(watch->ending, watch->period_ns, &nothing) == -SL_TIMEOUT) {
        look(watch);
    }
    return NULL;
}

int sl_model_watch_start(const struct sl_model_set *models, int64_t period_ms,
                         sl_model_watch_fn note, void *context, struct sl_model_watch **ret_watch,
                         struct sl_error *err) {
    SL_AUTO(sl_model_watch) watch = calloc(1, sizeof *watch);
    if (!watch) {
        return sl_fail(err, SL_NOMEM, "no memory to watch the models' files");
    }
    watch->models = models;
    watch->period_ns = period_ms * SL_NS_PER_MS;
    watch->note = note;
    watch->context = context;
    for (size_t i = 0; i < sl_model_set_count(models); i++) {
        watch->seen[i] = SL_MODEL_FILE_SAME;
        watch->stamps[i] = sl_model_set_at(models, i)->stamp;
    }
    int rc = sl_mailbox_create(1, 1, &watch->ending, err);
    if (rc) {
        return rc;
    }
    if (pthread_create(&watch->thread, NULL, watch_main, watch) != 0) {
        return sl_fail(err, SL_NOMEM, "no thread to watch the models' files");
    }
    watch->running = true;
    *ret_watch = sl_take(&watch);
    return SL_OK;
}

void sl_model_watch_destroy(struct sl_model_watch *watch) {
    if (!watch) {
        return;
    }
    if (watch->running) {
        sl_mailbox_close(watch->ending);
        pthread_join(watch->thread, NULL);
    }
    sl_mailbox_destroy(watch->ending);
    free(watch);
}

void sl_model_watch_log(void *context, const struct sl_model *model, enum sl_model_file file) {
    (void)context;
    if (file == SL_MODEL_FILE_SAME) {
        sl_log(SL_LOG_INFO, "model.same", "model=%s %s is again what was loaded", model->id,
               model->path);
        return;
    }
    sl_log(SL_LOG_WARN, "model.changed",
           "model=%s %s %s; the agent goes on with what it loaded (sha256 %s): put that file back, "
           "or restart the agent to take the new one",
           model->id, model->path,
           file == SL_MODEL_FILE_GONE ? "is gone" : "is not what was loaded any more",
           model->sha256);
}
