/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "broker/http/batch_request.h"

static const struct sl_wall now = {1767225600000}; /* 2026-01-01T00:00:00Z */

static int read_body(const char *text, struct sl_batch_row *row, struct sl_batch_fault *fault) {
    json_t *body = json_loads(text, 0, NULL);
    assert_non_null(body);
    int rc = sl_batch_request_read(body, now, row, fault);
    json_decref(body);
    return rc;
}

#define GOOD                                                                                       \
    "\"input_file_id\":\"file-1\",\"endpoint\":\"/v1/embeddings\",\"completion_window\":\"24h\""
#define EXPIRES(policy) "{" GOOD ",\"output_expires_after\":" policy "}"
#define AFTER(seconds) EXPIRES("{\"anchor\":\"created_at\",\"seconds\":" seconds "}")
#define META(pairs) "{" GOOD ",\"metadata\":{" pairs "}}"

struct bad {
    const char *why;
    const char *body;
    const char *code;
    const char *param;
};

static const struct bad bad_cases[] = {
    {"nothing", "{}", "missing_required_parameter", "endpoint"},
    {"other endpoint", "{\"endpoint\":\"/v1/responses\"}", "invalid_value", "endpoint"},
    {"no window", "{\"endpoint\":\"/v1/embeddings\"}", "missing_required_parameter",
     "completion_window"},
    {"other window", "{\"endpoint\":\"/v1/embeddings\",\"completion_window\":\"1h\"}",
     "invalid_value", "completion_window"},
    {"no file", "{\"endpoint\":\"/v1/embeddings\",\"completion_window\":\"24h\"}",
     "missing_required_parameter", "input_file_id"},
    {"file id is a number",
     "{\"endpoint\":\"/v1/embeddings\",\"completion_window\":\"24h\",\"input_file_id\":1}",
     "invalid_type", "input_file_id"},
    {"an empty file id",
     "{\"endpoint\":\"/v1/embeddings\",\"completion_window\":\"24h\",\"input_file_id\":\"\"}",
     "file_not_found", "input_file_id"},
    {"output expiry is a number", EXPIRES("3600"), "invalid_type", "output_expires_after"},
    {"output expiry says nothing", EXPIRES("{}"), "invalid_value", "output_expires_after.anchor"},
    {"output expiry without an anchor", EXPIRES("{\"seconds\":3600}"), "invalid_value",
     "output_expires_after.anchor"},
    {"other anchor", EXPIRES("{\"anchor\":\"last_active_at\",\"seconds\":3600}"), "invalid_value",
     "output_expires_after.anchor"},
    {"output expiry without a time", EXPIRES("{\"anchor\":\"created_at\"}"), "invalid_value",
     "output_expires_after.seconds"},
    {"a text as the time", AFTER("\"3600\""), "invalid_value", "output_expires_after.seconds"},
    {"a broken number", AFTER("3600.5"), "invalid_value", "output_expires_after.seconds"},
    {"too short", AFTER("3599"), "invalid_value", "output_expires_after.seconds"},
    {"too long", AFTER("2592001"), "invalid_value", "output_expires_after.seconds"},
    {"negative", AFTER("-1"), "invalid_value", "output_expires_after.seconds"},
    {"what would be ignored", AFTER("3600,\"second\":1"), "unknown_parameter",
     "output_expires_after"},
    {"metadata is a list", "{" GOOD ",\"metadata\":[]}", "invalid_type", "metadata"},
    {"17 pairs",
     META("\"1\":\"\",\"2\":\"\",\"3\":\"\",\"4\":\"\",\"5\":\"\",\"6\":\"\",\"7\":\"\",\"8\":\"\","
          "\"9\":\"\",\"10\":\"\",\"11\":\"\",\"12\":\"\",\"13\":\"\",\"14\":\"\",\"15\":\"\","
          "\"16\":\"\",\"17\":\"\""),
     "invalid_value", "metadata"},
    {"a number as a value", META("\"a\":1"), "invalid_type", "metadata"},
    {"an empty key", META("\"\":\"x\""), "invalid_value", "metadata"},
    {"65 characters of key",
     META("\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\":\"x\""),
     "invalid_value", "metadata"},
    {"a typing error in our own keys would cost money", META("\"sluice.bid\":\"1\""),
     "unknown_parameter", "metadata"},
    {"bid 0", META("\"sluice.bid_usd_per_mtok\":\"0\""), "invalid_value",
     "metadata.sluice.bid_usd_per_mtok"},
    {"bid negative", META("\"sluice.bid_usd_per_mtok\":\"-0.1\""), "invalid_value",
     "metadata.sluice.bid_usd_per_mtok"},
    {"bid NaN", META("\"sluice.bid_usd_per_mtok\":\"NaN\""), "invalid_value",
     "metadata.sluice.bid_usd_per_mtok"},
    {"bid infinite", META("\"sluice.bid_usd_per_mtok\":\"inf\""), "invalid_value",
     "metadata.sluice.bid_usd_per_mtok"},
    {"bid with an exponent", META("\"sluice.bid_usd_per_mtok\":\"1e-3\""), "invalid_value",
     "metadata.sluice.bid_usd_per_mtok"},
    {"bid finer than a nano-USD", META("\"sluice.bid_usd_per_mtok\":\"0.0000000001\""),
     "invalid_value", "metadata.sluice.bid_usd_per_mtok"},
    {"bid over the cap", META("\"sluice.bid_usd_per_mtok\":\"1000000.01\""), "invalid_value",
     "metadata.sluice.bid_usd_per_mtok"},
    {"bid beyond 64 bits", META("\"sluice.bid_usd_per_mtok\":\"99999999999999999999\""),
     "invalid_value", "metadata.sluice.bid_usd_per_mtok"},
    {"deadline in the past", META("\"sluice.deadline\":\"2025-12-31T23:59:59Z\""), "invalid_value",
     "metadata.sluice.deadline"},
    {"deadline now", META("\"sluice.deadline\":\"0s\""), "invalid_value",
     "metadata.sluice.deadline"},
    {"deadline without a unit", META("\"sluice.deadline\":\"90\""), "invalid_value",
     "metadata.sluice.deadline"},
    {"a date alone does not say when", META("\"sluice.deadline\":\"2026-02-01\""), "invalid_value",
     "metadata.sluice.deadline"},
    {"deadline too far", META("\"sluice.deadline\":\"31d\""), "invalid_value",
     "metadata.sluice.deadline"},
    {"other class", META("\"sluice.class\":\"firm\""), "unsupported_parameter",
     "metadata.sluice.class"},
};

static void test_bad_bodies(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof bad_cases / sizeof bad_cases[0]; i++) {
        const struct bad *c = &bad_cases[i];
        struct sl_batch_row row = {.id = "untouched"};
        struct sl_batch_fault fault = {0};
        int rc = read_body(c->body, &row, &fault);
        if (rc != -SL_INVALID || strcmp(fault.code, c->code) != 0 ||
            strcmp(fault.param, c->param) != 0 || strcmp(row.id, "untouched") != 0) {
            fail_msg("%s: rc %d code %s param %s: %s", c->why, rc, fault.code, fault.param,
                     fault.message);
        }
    }
}

static void test_good_bodies(void **state) {
    (void)state;
    struct sl_batch_row row;
    struct sl_batch_fault fault;
    assert_int_equal(
        read_body("{" GOOD ",\"metadata\":null,\"output_expires_after\":null}", &row, &fault),
        SL_OK);
    assert_string_equal(row.input_file, "file-1");
    assert_string_equal(row.endpoint, "/v1/embeddings");
    assert_int_equal(row.bid_nusd_per_mtok, -1);
    assert_int_equal(row.deadline.ms, 0);
    assert_null(row.metadata);
    assert_int_equal(row.output_life_ms, 0);
    assert_int_equal(read_body(AFTER("3600"), &row, &fault), SL_OK);
    assert_int_equal(row.output_life_ms, 3600000);
    assert_int_equal(read_body(AFTER("2592000"), &row, &fault), SL_OK);
    assert_int_equal(row.output_life_ms, INT64_C(2592000000));
    assert_int_equal(read_body(META("\"sluice.bid_usd_per_mtok\":\"0.05\",\"sluice.deadline\":"
                                    "\"90m\",\"sluice.class\":\"slice\",\"x\":\"\""),
                               &row, &fault),
                     SL_OK);
    assert_int_equal(row.bid_nusd_per_mtok, 50000000);
    assert_int_equal(row.deadline.ms, now.ms + 5400000);
    assert_string_equal(row.metadata, "{\"sluice.bid_usd_per_mtok\":\"0.05\",\"sluice.deadline\":"
                                      "\"90m\",\"sluice.class\":\"slice\",\"x\":\"\"}");
    sl_batch_row_fini(&row);
    assert_int_equal(
        read_body(META("\"sluice.deadline\":\"2026-01-01T01:30:00+01:00\""), &row, &fault), SL_OK);
    assert_int_equal(row.deadline.ms, now.ms + 1800000);
    sl_batch_row_fini(&row);
}

/* 512 characters of three bytes each fit, 513 do not. */
static void test_metadata_counts_characters(void **state) {
    (void)state;
    for (int extra = 0; extra < 2; extra++) {
        char text[2048] = "{" GOOD ",\"metadata\":{\"k\":\"";
        size_t at = strlen(text);
        for (int i = 0; i < 512 + extra; i++, at += 3) {
            memcpy(text + at, "\xE2\x82\xAC", 4);
        }
        memcpy(text + at, "\"}}", 4);
        struct sl_batch_row row;
        struct sl_batch_fault fault;
        int rc = read_body(text, &row, &fault);
        assert_int_equal(rc, extra ? -SL_INVALID : SL_OK);
        if (rc == SL_OK) {
            sl_batch_row_fini(&row);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bad_bodies),
        cmocka_unit_test(test_good_bodies),
        cmocka_unit_test(test_metadata_counts_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
