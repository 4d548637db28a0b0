/* SPDX-License-Identifier: Apache-2.0
 * /v1/batches but for its creation; also the operators' cancel. */
#include "broker/http/batches.h"

#include <string.h>

#include "broker/http/batch_json.h"
#include "broker/http/list.h"

#define LIST_MAX 100
#define LIST_DEFAULT 20

bool sl_batch_find(struct sl_http_call *call, struct sl_reader *reader, const char *id,
                   struct sl_batch_row *ret_row) {
    struct sl_error err = {0};
    struct sl_batch_row row = {0};
    int rc = sl_reader_batch(reader, id, &row, &err);
    if (rc != SL_OK && rc != -SL_NOTFOUND) {
        sl_call_trouble(call, &err);
        return false;
    }
    bool foreign = call->who.role != SL_ROLE_OPERATOR && strcmp(row.tenant, call->who.tenant) != 0;
    if (rc == -SL_NOTFOUND || foreign) {
        sl_batch_row_fini(&row);
        sl_call_absent(call, "batch", id);
        return false;
    }
    *ret_row = row;
    return true;
}

enum sl_step sl_batch_show(struct sl_http_call *call, struct sl_reader *reader, const char *id) {
    struct sl_batch_row row;
    if (sl_batch_find(call, reader, id, &row)) {
        sl_batch_write(&call->out, &row);
        sl_batch_row_fini(&row);
        sl_call_ok(call);
    }
    return SL_STEP_REPLY;
}

struct list {
    struct sl_json *json;
    void (*write)(struct sl_json *json, const struct sl_batch_row *row);
    struct sl_list_page page;
};

static int list_batch(void *arg, const void *row) {
    struct list *list = arg;
    const struct sl_batch_row *batch = row;
    sl_list_saw(&list->page, batch->id);
    list->write(list->json, batch);
    return 0;
}

enum sl_step sl_batch_list(struct sl_http_call *call, struct sl_reader *reader, const char *tenant,
                           void (*write)(struct sl_json *json, const struct sl_batch_row *row)) {
    uint32_t limit = 0;
    char after[SL_ID_MAX] = "";
    if (!sl_call_query_limit(call, 1, LIST_MAX, LIST_DEFAULT, &limit)) {
        return SL_STEP_REPLY;
    }
    sl_call_query(call, "after", after, sizeof after);
    struct list list = {.json = &call->out, .write = write};
    struct sl_error err = {0};
    sl_list_open(call);
    int rc = sl_reader_batches(reader, tenant, after[0] != '\0' ? after : NULL, limit, list_batch,
                               &list, &list.page.more, &err);
    return sl_list_close(call, &list.page, rc, &err);
}

enum sl_step sl_h_batches_list(struct sl_http_call *call, struct sl_reader *reader) {
    return sl_batch_list(call, reader, call->who.tenant, sl_batch_write);
}

enum sl_step sl_h_batches_get(struct sl_http_call *call, struct sl_reader *reader) {
    return sl_batch_show(call, reader, call->arg);
}

/* Whatever the core said: a batch that ended meanwhile is shown as it is now. */
static enum sl_step after_cancel(struct sl_http_call *call, struct sl_reader *reader) {
    bool ended = call->core_status == -SL_BADSTATE || call->core_status == -SL_NOTFOUND;
    if (call->core_status != SL_OK && !ended) {
        return sl_call_core_error(call);
    }
    return sl_batch_show(call, reader, call->arg);
}

enum sl_step sl_h_batches_cancel(struct sl_http_call *call, struct sl_reader *reader) {
    struct sl_batch_row row;
    if (!sl_batch_find(call, reader, call->arg, &row)) {
        return SL_STEP_REPLY;
    }
    enum sl_batch_state state = row.state;
    sl_batch_row_fini(&row);
    if (state != SL_BATCH_VALIDATING && state != SL_BATCH_IN_PROGRESS) {
        return sl_batch_show(call, reader, call->arg); /* a repeated cancel changes nothing */
    }
    struct sl_http_request *ask = sl_call_ask(call, SL_HTTP_EVENT);
    if (!ask) {
        return SL_STEP_REPLY;
    }
    ask->event.kind = SL_CEV_CANCEL;
    sl_text_copy(ask->event.batch, sizeof ask->event.batch, call->arg);
    sl_text_copy(ask->event.tenant, sizeof ask->event.tenant, call->who.tenant);
    call->next = after_cancel;
    return SL_STEP_ASK;
}
