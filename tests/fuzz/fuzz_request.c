/* SPDX-License-Identifier: Apache-2.0
 * What HTTP handlers read by themselves, without a socket. Input: the address as sent, a line feed,
 * the body. Query parameters, percent escapes, JSON bodies, POST /v1/batches and bids; whole
 * requests through libmicrohttpd are fuzz_http.c. */
#include "tests/fuzz/fuzz.h"

#include "broker/http/batch_request.h"
#include "broker/http/call.h"

static void check_error_body(const struct sl_http_call *call) {
    json_error_t error;
    fuzz_check(call->status >= 400 && call->status < 600);
    json_t *root = json_loadb(call->out.buf.data, call->out.buf.len, 0, &error);
    fuzz_check(json_is_string(json_object_get(json_object_get(root, "error"), "message")));
    json_decref(root);
}

static void check_decode(const char *text) {
    char big[SL_CALL_TARGET_MAX];
    char small[8];
    size_t n = strlen(text);
    bool fits = sl_percent_decode(text, n, big, sizeof big);
    bool fits_small = sl_percent_decode(text, n, small, sizeof small);
    fuzz_check(!fits || strlen(big) <= n);
    fuzz_check(fits_small == (fits && strlen(big) < sizeof small));
    fuzz_check(!fits_small || strcmp(big, small) == 0);
}

static void check_query(struct sl_http_call *call) {
    char value[64];
    uint32_t limit = 77;
    (void)sl_call_query(call, "after", value, sizeof value);
    (void)sl_call_query(call, "purpose", value, 4);
    if (sl_call_query_limit(call, 1, 100, 20, &limit)) {
        fuzz_check(limit >= 1 && limit <= 100);
    } else {
        fuzz_check(limit == 77);
        check_error_body(call);
    }
}

static void check_row(const struct sl_batch_row *row, struct sl_wall now) {
    fuzz_check(strcmp(row->endpoint, "/v1/embeddings") == 0 && row->input_file[0] != '\0');
    fuzz_check(row->bid_nusd_per_mtok == -1 ||
               (row->bid_nusd_per_mtok > 0 && row->bid_nusd_per_mtok <= SL_BID_MAX_NUSD));
    fuzz_check(row->deadline.ms == 0 ||
               (row->deadline.ms > now.ms && row->deadline.ms <= now.ms + SL_DEADLINE_MAX_MS));
    if (row->metadata) {
        json_t *again = json_loads(row->metadata, 0, NULL);
        fuzz_check(json_is_object(again) && json_object_size(again) <= 16);
        json_decref(again);
    }
}

static void check_batch(const json_t *body) {
    const struct sl_wall now = {1767225600000};
    struct sl_batch_row row;
    struct sl_batch_row untouched;
    struct sl_batch_fault fault = {0};
    memset(&row, 0x5A, sizeof row);
    untouched = row;
    int rc = sl_batch_request_read(body, now, &row, &fault);
    if (rc == SL_OK) {
        check_row(&row, now);
        sl_batch_row_fini(&row);
    } else {
        fuzz_check(rc == -SL_INVALID && fault.code && fault.message[0] != '\0');
        fuzz_check(memcmp(&row, &untouched, sizeof row) == 0);
    }
}

static void check_bid(const char *text) {
    int64_t nusd = 77;
    struct sl_error err = {0};
    int rc = sl_bid_parse(text, &nusd, &err);
    if (rc == SL_OK) {
        fuzz_check(nusd > 0 && nusd <= SL_BID_MAX_NUSD);
    } else {
        fuzz_check_error(rc, &err);
        fuzz_check(nusd == 77);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const known[] = {"endpoint",
                                        "completion_window",
                                        "input_file_id",
                                        "metadata",
                                        "output_expires_after",
                                        "subject",
                                        "mode",
                                        NULL};
    const uint8_t *end = memchr(data, '\n', size);
    size_t target_bytes = end ? (size_t)(end - data) : size;
    size_t body_at = end ? target_bytes + 1 : size;
    char *target = fuzz_text(data, target_bytes);
    struct sl_http_call *call = sl_call_create(NULL, target);
    fuzz_check(call);
    check_decode(target);
    check_bid(target);
    if (call->status == 0) {
        check_query(call);
    } else {
        fuzz_check(call->status == 414 && target_bytes >= SL_CALL_TARGET_MAX);
    }
    call->status = 0;
    sl_buf_append(&call->body, data + body_at, size - body_at);
    json_t *body = sl_call_body(call, known);
    if (body) {
        check_batch(body);
        json_decref(body);
    } else {
        check_error_body(call);
    }
    sl_call_destroy(call);
    free(target);
    return 0;
}
