/* SPDX-License-Identifier: Apache-2.0
 * POST /v1/batches: one batch per wish, however often it is sent.
 *
 * The SDKs send no idempotency key; after a lost reply they send the same body again with
 * x-stainless-retry-count > 0. Such a repeat is matched with what was created in the last 15
 * minutes, first in memory by (key, body), then in the store, since the reply may have been lost
 * because the broker died. An explicit Idempotency-Key is kept in the store, with the batch id it
 * stands for, before the batch is created. */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/batch/batch.h"
#include "broker/http/batch_request.h"
#include "broker/http/batches.h"

#define RECENT_BATCHES 50

struct create {
    char batch[SL_ID_MAX];
};

static void hash_two(const char *a, const void *b, size_t b_bytes, uint8_t out[32]) {
    crypto_generichash_state state;
    crypto_generichash_init(&state, NULL, 0, 32);
    crypto_generichash_update(&state, (const unsigned char *)a, strlen(a) + 1);
    crypto_generichash_update(&state, b, b_bytes);
    crypto_generichash_final(&state, out, 32);
}

struct match {
    const struct sl_batch_row *wanted;
    char found[SL_ID_MAX];
};

static bool same_text(const char *a, const char *b) {
    return strcmp(a ? a : "", b ? b : "") == 0;
}

static int match_batch(void *arg, const void *row) {
    struct match *match = arg;
    const struct sl_batch_row *batch = row;
    if (match->wanted->created.ms - batch->created.ms > SL_HTTP_DEDUPE_MS) {
        return 1; /* newest first: the rest is older still */
    }
    if (strcmp(batch->input_file, match->wanted->input_file) == 0 &&
        batch->output_life_ms == match->wanted->output_life_ms &&
        same_text(batch->metadata, match->wanted->metadata)) {
        sl_text_copy(match->found, sizeof match->found, batch->id);
        return 1;
    }
    return 0;
}

static int find_twin(struct sl_reader *reader, const struct sl_batch_row *row, char *ret_id,
                     struct sl_error *err) {
    struct match match = {.wanted = row};
    bool more = false;
    int rc = sl_reader_batches(reader, row->tenant, NULL, RECENT_BATCHES, match_batch, &match,
                               &more, err);
    if (rc == SL_OK && match.found[0] != '\0') {
        sl_text_copy(ret_id, SL_ID_MAX, match.found);
        return SL_OK;
    }
    return rc == SL_OK ? -SL_NOTFOUND : rc;
}

static bool check_input(struct sl_http_call *call, struct sl_reader *reader, const char *id) {
    struct sl_file_row file = {0};
    struct sl_error err = {0};
    int rc = sl_reader_file(reader, id, &file, &err);
    if (rc != SL_OK && rc != -SL_NOTFOUND) {
        sl_call_trouble(call, &err);
        return false;
    }
    bool gone = file.expires.ms != 0 && file.expires.ms <= sl_clock_wall().ms;
    if (rc == -SL_NOTFOUND || gone || strcmp(file.tenant, call->who.tenant) != 0) {
        sl_call_error(call, 400, "file_not_found", "input_file_id", "No such File object: '%s'.",
                      id);
        return false;
    }
    if (strcmp(file.purpose, "batch") != 0) {
        sl_call_error(call, 400, "invalid_value", "input_file_id",
                      "The file '%s' was not uploaded with the purpose \"batch\".", id);
        return false;
    }
    /* Its texts are written again. */
    if (sl_batch_room(SL_ROOM_TENANTS, call->http->data_dir, file.bytes, &err)) {
        sl_call_trouble(call, &err);
        return false;
    }
    return true;
}

/* The explicit key: "BODYHASH BATCH" under its own hash. *ret_exists when an earlier request used
 * it; id is set to that one's batch. -SL_EXISTS when its body was another; -SL_DENIED when a new
 * one asks for what is refused anyway (the answer is set): its key would be kept for ever. */
static int note_key(struct sl_http_call *call, struct sl_reader *reader, const char *input_file,
                    char *id, bool *ret_exists, struct sl_error *err) {
    uint8_t hash[32];
    char hex[33];
    struct sl_op op = {.kind = SL_OP_META};
    hash_two(call->who.key_id, call->idempotency_key, strlen(call->idempotency_key), hash);
    sl_hex_encode(hash, 16, hex);
    snprintf(op.meta.key, sizeof op.meta.key, "idempotency:%s", hex);
    hash_two("", call->body.data ? call->body.data : "", call->body.len, hash);
    sl_hex_encode(hash, 16, hex);
    char stored[192];
    int rc = sl_reader_meta(reader, op.meta.key, stored, sizeof stored);
    if (rc == SL_OK) {
        if (strncmp(stored, hex, 32) != 0 || stored[32] != ' ') {
            return -SL_EXISTS;
        }
        sl_text_copy(id, SL_ID_MAX, stored + 33);
        *ret_exists = true;
        return SL_OK;
    }
    if (rc != -SL_NOTFOUND) {
        return sl_fail(err, SL_IO, "reading an idempotency key");
    }
    if (!check_input(call, reader, input_file)) {
        return -SL_DENIED;
    }
    snprintf(op.meta.value, sizeof op.meta.value, "%s %s", hex, id);
    SL_AUTO(sl_txn) txn = NULL;
    rc = sl_txn_create(&txn, err);
    rc = rc ? rc : sl_txn_add(txn, &op, err);
    return rc ? rc : sl_http_commit(call->http, sl_take(&txn), err);
}

/* The row's id, or the answer (then false): an earlier request's batch, or why not. */
static bool choose_id(struct sl_http_call *call, struct sl_reader *reader,
                      struct sl_batch_row *row) {
    uint8_t hash[32];
    uint8_t random[12];
    bool explicit_key = call->idempotency_key[0] != '\0';
    randombytes_buf(random, sizeof random);
    memcpy(row->id, "batch_", 6);
    sl_hex_encode(random, sizeof random, row->id + 6);
    if (explicit_key) {
        hash_two(call->who.key_id, call->idempotency_key, strlen(call->idempotency_key), hash);
    } else {
        hash_two(call->who.key_id, call->body.data ? call->body.data : "", call->body.len, hash);
    }
    char id[SL_ID_MAX];
    sl_text_copy(id, sizeof id, row->id);
    enum sl_dedupe_state state =
        sl_dedupe_begin(call->http, hash, call->retried || explicit_key, id);
    if (state == SL_DEDUPE_RUNNING) {
        call->retry = SL_RETRY_YES;
        call->retry_after_s = 1;
        sl_call_error(call, 409, "request_in_progress", NULL,
                      "The same request is being worked on: repeat it in a second.");
        return false;
    }
    if (state == SL_DEDUPE_DONE && !explicit_key) {
        sl_batch_show(call, reader, id);
        return false;
    }
    struct sl_error err = {0};
    bool exists = false;
    int rc = -SL_NOTFOUND;
    if (explicit_key) {
        rc = note_key(call, reader, row->input_file, id, &exists, &err);
        struct sl_batch_row earlier = {0};
        if (rc == SL_OK && (!exists || sl_reader_batch(reader, id, &earlier, &err) != SL_OK)) {
            /* New, or noted before a crash: it is created under the id that was noted. */
            sl_dedupe_end(call->http, row->id, false);
            sl_text_copy(row->id, sizeof row->id, id);
            sl_dedupe_begin(call->http, hash, false, id);
            return true;
        }
        sl_batch_row_fini(&earlier);
    } else if (call->retried) {
        rc = find_twin(reader, row, id, &err);
    }
    if (rc == -SL_NOTFOUND) {
        return true;
    }
    if (state == SL_DEDUPE_NEW) {
        sl_dedupe_end(call->http, row->id, false);
    }
    if (rc == -SL_EXISTS) {
        sl_call_error(call, 400, "idempotency_key_reused", NULL,
                      "This Idempotency-Key was used with another body: use a new one.");
    } else if (rc == SL_OK) {
        sl_batch_show(call, reader, id);
    } else if (rc != -SL_DENIED) {
        sl_call_trouble(call, &err);
    }
    return false;
}

static enum sl_step after_create(struct sl_http_call *call, struct sl_reader *reader) {
    const struct create *create = call->state;
    /* Without an answer it may still come to be: the entry stays, and a repeat finds it. */
    if (call->core_status != -SL_TIMEOUT) {
        sl_dedupe_end(call->http, create->batch, call->core_status == SL_OK);
    }
    if (call->core_status != SL_OK) {
        return sl_call_core_error(call);
    }
    return sl_batch_show(call, reader, create->batch);
}

static enum sl_step ask_to_create(struct sl_http_call *call, struct sl_batch_row *row) {
    struct create *create = calloc(1, sizeof *create);
    struct sl_batch_row *moved = malloc(sizeof *moved);
    struct sl_http_request *ask = create && moved ? sl_call_ask(call, SL_HTTP_EVENT) : NULL;
    if (!ask) {
        free(create);
        free(moved);
        sl_dedupe_end(call->http, row->id, false);
        sl_batch_row_fini(row);
        return sl_call_error(call, 503, "out_of_memory", NULL,
                             "The broker has no memory: try again.");
    }
    sl_text_copy(create->batch, sizeof create->batch, row->id);
    *moved = *row;
    call->state = create;
    ask->event.kind = SL_CEV_BATCH;
    ask->event.row = moved;
    sl_text_copy(ask->event.batch, sizeof ask->event.batch, row->id);
    sl_text_copy(ask->event.tenant, sizeof ask->event.tenant, row->tenant);
    call->next = after_create;
    return SL_STEP_ASK;
}

enum sl_step sl_h_batches_create(struct sl_http_call *call, struct sl_reader *reader) {
    static const char *const known[] = {"input_file_id",        "endpoint", "completion_window",
                                        "output_expires_after", "metadata", NULL};
    json_t *body = sl_call_body(call, known);
    if (!body) {
        return SL_STEP_REPLY;
    }
    struct sl_batch_row row;
    struct sl_batch_fault fault;
    struct sl_wall now = sl_clock_wall();
    int rc = sl_batch_request_read(body, now, &row, &fault);
    json_decref(body);
    if (rc == -SL_INVALID) {
        return sl_call_error(call, 400, fault.code, fault.param, "%s", fault.message);
    }
    if (rc != SL_OK) {
        return sl_call_error(call, 503, "out_of_memory", NULL,
                             "The broker has no memory: try again.");
    }
    row.state = SL_BATCH_VALIDATING;
    row.created = now;
    sl_text_copy(row.tenant, sizeof row.tenant, call->who.tenant);
    /* A repeat is answered even when the input file is gone by now. */
    if (!choose_id(call, reader, &row)) {
        sl_batch_row_fini(&row);
        return SL_STEP_REPLY;
    }
    if (!check_input(call, reader, row.input_file)) {
        sl_dedupe_end(call->http, row.id, false);
        sl_batch_row_fini(&row);
        return SL_STEP_REPLY;
    }
    return ask_to_create(call, &row);
}
