/* SPDX-License-Identifier: Apache-2.0
 * Uploads live for 30 days, or as long as their tenant said. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/batch/batch.h"
#include "broker/http/internal.h"
#include "proto/base/log.h"

#define SWEEP_EVERY_S 600
#define SWEEP_FILES_MAX 256 /* at a time: the rest waits for the next turn */

struct expired {
    struct sl_wall now;
    uint32_t count;
    char ids[SWEEP_FILES_MAX][SL_ID_MAX];
};

static int note_expired(void *arg, const void *row) {
    struct expired *expired = arg;
    const struct sl_file_row *file = row;
    if (file->expires.ms != 0 && file->expires.ms <= expired->now.ms) {
        sl_text_copy(expired->ids[expired->count++], SL_ID_MAX, file->id);
    }
    return expired->count == SWEEP_FILES_MAX;
}

static int delete_rows(struct sl_http *http, const struct expired *expired, struct sl_error *err) {
    SL_AUTO(sl_txn) txn = NULL;
    int rc = sl_txn_create(&txn, err);
    for (uint32_t i = 0; rc == SL_OK && i < expired->count; i++) {
        struct sl_op op = {.kind = SL_OP_FILE_DELETE};
        sl_text_copy(op.file.id, sizeof op.file.id, expired->ids[i]);
        rc = sl_txn_add(txn, &op, err);
    }
    return rc == SL_OK ? sl_http_commit(http, sl_take(&txn), err) : rc;
}

static bool is_due(struct sl_http *http) {
    struct sl_mono now = sl_clock_mono();
    pthread_mutex_lock(&http->lock);
    bool due =
        http->swept.ns == 0 || sl_mono_since_ns(now, http->swept) > SWEEP_EVERY_S * SL_NS_PER_S;
    if (due) {
        http->swept = now;
    }
    pthread_mutex_unlock(&http->lock);
    return due;
}

void sl_http_sweep(struct sl_http *http, struct sl_reader *reader) {
    sl_http_exposure_sweep(http, reader);
    if (!is_due(http)) {
        return;
    }
    SL_AUTO_FREE struct expired *expired = calloc(1, sizeof *expired);
    struct sl_error err = {0};
    bool more = false;
    if (!expired) {
        return;
    }
    expired->now = sl_clock_wall();
    const struct sl_file_list all = {.limit = UINT32_MAX - 1, .ascending = true};
    int rc = sl_reader_files(reader, &all, note_expired, expired, &more, &err);
    if (rc == SL_OK && expired->count > 0) {
        rc = delete_rows(http, expired, &err);
    }
    if (rc != SL_OK) {
        sl_log(SL_LOG_WARN, "http.sweep", "text=\"%s\"", err.text);
        return;
    }
    for (uint32_t i = 0; i < expired->count; i++) {
        char path[SL_BATCH_PATH_MAX];
        if (sl_batch_path(http->data_dir, SL_BATCH_FILES_DIR, expired->ids[i], path, NULL) ==
            SL_OK) {
            unlink(path);
        }
    }
}
