/* SPDX-License-Identifier: Apache-2.0
 * /v1/files. */
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/batch/batch.h"
#include "broker/http/internal.h"
#include "broker/http/list.h"
#include "broker/http/multipart.h"

#define LIST_MAX 10000

/* The shape of openai-openapi's OpenAIFile; "processed" is what the SDKs' waiting helpers wait for.
 */
static void write_file(struct sl_json *json, const struct sl_file_row *row) {
    sl_json_open(json, NULL, '{');
    sl_json_text(json, "id", row->id);
    sl_json_text(json, "object", "file");
    sl_json_int(json, "bytes", row->bytes);
    sl_json_unix(json, "created_at", row->created);
    sl_json_unix(json, "expires_at", row->expires);
    sl_json_text(json, "filename", row->filename);
    sl_json_text(json, "purpose", row->purpose);
    sl_json_text(json, "status", "processed");
    sl_json_null(json, "status_details");
    sl_json_close(json, '}');
}

static bool has_expired(const struct sl_file_row *row) {
    return row->expires.ms != 0 && row->expires.ms <= sl_clock_wall().ms;
}

/* The tenant's own live file; false: the answer is set. */
static bool find_file(struct sl_http_call *call, struct sl_reader *reader,
                      struct sl_file_row *ret_row) {
    struct sl_error err = {0};
    struct sl_file_row row = {0};
    int rc = sl_reader_file(reader, call->arg, &row, &err);
    if (rc != SL_OK && rc != -SL_NOTFOUND) {
        sl_call_trouble(call, &err);
        return false;
    }
    if (rc == -SL_NOTFOUND || strcmp(row.tenant, call->who.tenant) != 0 || has_expired(&row)) {
        sl_call_absent(call, "File object", call->arg);
        return false;
    }
    *ret_row = row;
    return true;
}

static int store_file(struct sl_http_call *call, enum sl_op_kind kind,
                      const struct sl_file_row *row, struct sl_error *err) {
    struct sl_op op = {.kind = kind, .file = *row};
    SL_AUTO(sl_txn) txn = NULL;
    int rc = sl_txn_create(&txn, err);
    rc = rc ? rc : sl_txn_add(txn, &op, err);
    return rc ? rc : sl_http_commit(call->http, sl_take(&txn), err);
}

static void remove_file(struct sl_http_call *call, const char *id) {
    char path[SL_BATCH_PATH_MAX];
    if (sl_batch_path(call->http->data_dir, SL_BATCH_FILES_DIR, id, path, NULL) == SL_OK) {
        unlink(path);
    }
}

enum sl_step sl_h_files_create(struct sl_http_call *call, struct sl_reader *reader) {
    (void)reader;
    struct sl_upload *upload = call->upload;
    struct sl_file_row row = {0};
    struct sl_error err = {0};
    int rc = sl_upload_check(upload, sl_clock_wall(), &row, &err);
    if (rc == -SL_INVALID) {
        return sl_call_error(call, upload->status, upload->code,
                             upload->param[0] != '\0' ? upload->param : NULL, "%s",
                             upload->message);
    }
    uint8_t random[12];
    randombytes_buf(random, sizeof random);
    memcpy(row.id, "file-", 5);
    sl_hex_encode(random, sizeof random, row.id + 5);
    sl_text_copy(row.tenant, sizeof row.tenant, call->who.tenant);
    rc = rc ? rc : sl_upload_keep(upload, call->http->data_dir, row.id, &err);
    if (rc == SL_OK && (rc = store_file(call, SL_OP_FILE, &row, &err)) != SL_OK) {
        remove_file(call, row.id);
    }
    if (rc != SL_OK) {
        return sl_call_trouble(call, &err);
    }
    write_file(&call->out, &row);
    return sl_call_ok(call);
}

struct list {
    struct sl_json *json;
    struct sl_list_page page;
};

static int list_file(void *arg, const void *row) {
    struct list *list = arg;
    const struct sl_file_row *file = row;
    sl_list_saw(&list->page, file->id);
    write_file(list->json, file);
    return 0;
}

enum sl_step sl_h_files_list(struct sl_http_call *call, struct sl_reader *reader) {
    uint32_t limit = 0;
    char after[SL_ID_MAX] = "";
    char order[8] = "desc";
    char purpose[24] = "";
    if (!sl_call_query_limit(call, 1, LIST_MAX, LIST_MAX, &limit)) {
        return SL_STEP_REPLY;
    }
    sl_call_query(call, "after", after, sizeof after);
    sl_call_query(call, "order", order, sizeof order);
    sl_call_query(call, "purpose", purpose, sizeof purpose);
    bool ascending = strcmp(order, "asc") == 0;
    if (!ascending && strcmp(order, "desc") != 0) {
        return sl_call_error(call, 400, "invalid_value", "order",
                             "'order' must be \"asc\" or \"desc\".");
    }
    struct list list = {.json = &call->out};
    struct sl_error err = {0};
    sl_list_open(call);
    const struct sl_file_list which = {.tenant = call->who.tenant,
                                       .purpose = purpose[0] != '\0' ? purpose : NULL,
                                       .after = after[0] != '\0' ? after : NULL,
                                       .limit = limit,
                                       .ascending = ascending,
                                       .living_at = sl_clock_wall()};
    int rc = sl_reader_files(reader, &which, list_file, &list, &list.page.more, &err);
    return sl_list_close(call, &list.page, rc, &err);
}

enum sl_step sl_h_files_get(struct sl_http_call *call, struct sl_reader *reader) {
    struct sl_file_row row;
    if (!find_file(call, reader, &row)) {
        return SL_STEP_REPLY;
    }
    write_file(&call->out, &row);
    return sl_call_ok(call);
}

enum sl_step sl_h_files_content(struct sl_http_call *call, struct sl_reader *reader) {
    struct sl_file_row row;
    if (!find_file(call, reader, &row)) {
        return SL_STEP_REPLY;
    }
    char path[SL_BATCH_PATH_MAX];
    struct sl_error err = {0};
    int rc = sl_batch_path(call->http->data_dir, SL_BATCH_FILES_DIR, row.id, path, &err);
    if (rc != SL_OK) {
        return sl_call_trouble(call, &err);
    }
    struct stat st;
    call->file = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (call->file < 0 && errno == ENOENT) { /* deleted between the look-up and here */
        return sl_call_absent(call, "File object", call->arg);
    }
    if (call->file < 0 || fstat(call->file, &st) != 0) {
        sl_fail_errno(&err, "opening %s", path);
        return sl_call_trouble(call, &err);
    }
    call->file_bytes = st.st_size;
    call->status = 200;
    call->content_type = "application/octet-stream";
    snprintf(call->disposition, sizeof call->disposition, "attachment; filename=\"%s.jsonl\"",
             row.id);
    return SL_STEP_REPLY;
}

struct in_use {
    const char *file;
    bool found;
};

static int check_in_use(void *arg, const void *row) {
    struct in_use *use = arg;
    const struct sl_batch_row *batch = row;
    use->found = batch->state == SL_BATCH_VALIDATING && strcmp(batch->input_file, use->file) == 0;
    return use->found;
}

enum sl_step sl_h_files_delete(struct sl_http_call *call, struct sl_reader *reader) {
    struct sl_file_row row;
    struct sl_error err = {0};
    if (!find_file(call, reader, &row)) {
        return SL_STEP_REPLY;
    }
    struct in_use use = {.file = row.id};
    int rc = sl_reader_open_batches(reader, check_in_use, &use, &err);
    if (rc == SL_OK && use.found) {
        call->retry = SL_RETRY_YES;
        call->retry_after_s = 1;
        return sl_call_error(call, 409, "file_in_use", NULL,
                             "A batch is reading this file right now: delete it in a moment.");
    }
    rc = rc ? rc : store_file(call, SL_OP_FILE_DELETE, &row, &err);
    if (rc != SL_OK) {
        return sl_call_trouble(call, &err);
    }
    remove_file(call, row.id);
    sl_json_open(&call->out, NULL, '{');
    sl_json_text(&call->out, "id", row.id);
    sl_json_text(&call->out, "object", "file");
    sl_json_bool(&call->out, "deleted", true);
    sl_json_close(&call->out, '}');
    return sl_call_ok(call);
}
