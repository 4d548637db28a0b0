/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/http/batch_request.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/http/multipart.h"

#define META_PAIRS_MAX 16
#define META_KEY_MAX 64
#define META_VALUE_MAX 512
#define SLUICE_PREFIX "sluice."

static int fault(struct sl_batch_fault *ret_fault, const char *code, const char *param,
                 const char *format, ...) __attribute__((format(printf, 4, 5)));

static int fault(struct sl_batch_fault *ret_fault, const char *code, const char *param,
                 const char *format, ...) {
    ret_fault->code = code;
    sl_text_copy(ret_fault->param, sizeof ret_fault->param, param);
    va_list args;
    va_start(args, format);
    vsnprintf(ret_fault->message, sizeof ret_fault->message, format, args);
    va_end(args);
    return -SL_INVALID;
}

int sl_bid_parse(const char *text, int64_t *ret_nusd, struct sl_error *err) {
    int64_t nusd = 0;
    if (sl_decimal_parse(text, 9, &nusd, NULL) != SL_OK) {
        return sl_fail(err, SL_INVALID,
                       "a bid is a decimal number of USD per million tokens with at most 9 "
                       "decimals, such as \"0.05\"");
    }
    if (nusd <= 0) {
        return sl_fail(err, SL_INVALID,
                       "a bid must be above 0; cancel the batch to stop it, or leave the bid out "
                       "for your default");
    }
    if (nusd > SL_BID_MAX_NUSD) {
        return sl_fail(err, SL_INVALID,
                       "a bid may be at most %lld USD per million tokens: check the unit",
                       (long long)(SL_BID_MAX_NUSD / SL_NUSD_PER_USD));
    }
    *ret_nusd = nusd;
    return SL_OK;
}

/* Characters, not bytes: that is how the SDKs' users count. */
static size_t count_characters(const json_t *text) {
    const char *at = json_string_value(text);
    size_t count = 0;
    for (size_t i = 0; i < json_string_length(text); i++) {
        count += ((unsigned char)at[i] & 0xC0) != 0x80;
    }
    return count;
}

static int read_deadline(const char *text, struct sl_wall now, struct sl_batch_row *row,
                         struct sl_batch_fault *ret_fault) {
    int64_t span_ms = 0;
    struct sl_wall at = {0};
    if (sl_span_parse(text, &span_ms) == SL_OK) {
        span_ms = span_ms > SL_DEADLINE_MAX_MS ? SL_DEADLINE_MAX_MS + 1 : span_ms;
        at.ms = now.ms + span_ms;
    } else if (strlen(text) < 20 || sl_wall_parse(text, &at) != SL_OK) {
        return fault(ret_fault, "invalid_value", "metadata.sluice.deadline",
                     "'sluice.deadline' must be an RFC 3339 time such as "
                     "\"2026-11-22T17:00:00Z\", or a span such as \"90m\".");
    }
    if (at.ms <= now.ms) {
        return fault(ret_fault, "invalid_value", "metadata.sluice.deadline",
                     "'sluice.deadline' is not in the future.");
    }
    if (at.ms - now.ms > SL_DEADLINE_MAX_MS) {
        return fault(ret_fault, "invalid_value", "metadata.sluice.deadline",
                     "'sluice.deadline' may be at most 30 days away.");
    }
    row->deadline = at;
    return SL_OK;
}

/* Keys of ours inside metadata; one we do not know is a typing error that would cost money. */
static int read_sluice_key(const char *key, const char *value, struct sl_wall now,
                           struct sl_batch_row *row, struct sl_batch_fault *ret_fault) {
    const char *name = key + strlen(SLUICE_PREFIX);
    struct sl_error err = {0};
    if (strcmp(name, "bid_usd_per_mtok") == 0) {
        return sl_bid_parse(value, &row->bid_nusd_per_mtok, &err) == SL_OK
                   ? SL_OK
                   : fault(ret_fault, "invalid_value", "metadata.sluice.bid_usd_per_mtok",
                           "'sluice.bid_usd_per_mtok': %s.", err.text);
    }
    if (strcmp(name, "deadline") == 0) {
        return read_deadline(value, now, row, ret_fault);
    }
    if (strcmp(name, "class") == 0) {
        return strcmp(value, "slice") == 0
                   ? SL_OK
                   : fault(ret_fault, "unsupported_parameter", "metadata.sluice.class",
                           "'sluice.class' must be \"slice\": other classes are not offered yet.");
    }
    return fault(ret_fault, "unknown_parameter", "metadata",
                 "Unknown metadata key '%.64s': there are sluice.bid_usd_per_mtok, "
                 "sluice.deadline and sluice.class.",
                 key);
}

static int read_pair(const char *key, const json_t *value, struct sl_wall now,
                     struct sl_batch_row *row, struct sl_batch_fault *ret_fault) {
    json_t *name = json_string(key);
    size_t key_characters = name ? count_characters(name) : 0;
    json_decref(name);
    if (key_characters == 0 || key_characters > META_KEY_MAX) {
        return fault(ret_fault, "invalid_value", "metadata",
                     "Keys of 'metadata' have 1 to %d characters.", META_KEY_MAX);
    }
    if (!json_is_string(value)) {
        return fault(ret_fault, "invalid_type", "metadata",
                     "Values of 'metadata' must be strings; '%.64s' is none.", key);
    }
    if (count_characters(value) > META_VALUE_MAX) {
        return fault(ret_fault, "invalid_value", "metadata",
                     "Values of 'metadata' have at most %d characters; '%.64s' has more.",
                     META_VALUE_MAX, key);
    }
    if (strncmp(key, SLUICE_PREFIX, strlen(SLUICE_PREFIX)) == 0) {
        return read_sluice_key(key, json_string_value(value), now, row, ret_fault);
    }
    return SL_OK;
}

static int read_metadata(json_t *metadata, struct sl_wall now, struct sl_batch_row *row,
                         struct sl_batch_fault *ret_fault) {
    if (!metadata || json_is_null(metadata)) {
        return SL_OK;
    }
    if (!json_is_object(metadata)) {
        return fault(ret_fault, "invalid_type", "metadata", "'metadata' must be an object.");
    }
    if (json_object_size(metadata) > META_PAIRS_MAX) {
        return fault(ret_fault, "invalid_value", "metadata",
                     "'metadata' may have at most %d pairs.", META_PAIRS_MAX);
    }
    const char *key = NULL;
    json_t *value = NULL;
    json_object_foreach(metadata, key, value) {
        int rc = read_pair(key, value, now, row, ret_fault);
        if (rc != SL_OK) {
            return rc;
        }
    }
    row->metadata = json_dumps(metadata, JSON_COMPACT);
    return row->metadata ? SL_OK : -SL_NOMEM;
}

/* A required string that must be one given text. */
static int read_fixed(const json_t *body, const char *key, const char *only,
                      struct sl_batch_fault *ret_fault) {
    const json_t *value = json_object_get(body, key);
    if (!value || json_is_null(value)) {
        return fault(ret_fault, "missing_required_parameter", key,
                     "Missing required parameter: '%s'.", key);
    }
    const char *text = json_string_value(value);
    return text && strcmp(text, only) == 0
               ? SL_OK
               : fault(ret_fault, "invalid_value", key, "'%s' must be \"%s\".", key, only);
}

static int read_output_life(const json_t *policy, struct sl_batch_row *row,
                            struct sl_batch_fault *ret_fault) {
    if (!policy || json_is_null(policy)) {
        return SL_OK;
    }
    if (!json_is_object(policy)) {
        return fault(ret_fault, "invalid_type", "output_expires_after",
                     "'output_expires_after' must be {\"anchor\":\"created_at\",\"seconds\":N}.");
    }
    const char *anchor = json_string_value(json_object_get(policy, "anchor"));
    if (!anchor || strcmp(anchor, "created_at") != 0) {
        return fault(ret_fault, "invalid_value", "output_expires_after.anchor",
                     "'output_expires_after.anchor' must be \"created_at\": the time counts from "
                     "when the files are made.");
    }
    const json_t *seconds = json_object_get(policy, "seconds");
    if (!json_is_integer(seconds) || json_integer_value(seconds) < SL_FILE_LIFE_MIN_S ||
        json_integer_value(seconds) > SL_FILE_LIFE_MAX_S) {
        return fault(ret_fault, "invalid_value", "output_expires_after.seconds",
                     "'output_expires_after.seconds' must be a whole number from %d (an hour) to "
                     "%d (30 days).",
                     SL_FILE_LIFE_MIN_S, SL_FILE_LIFE_MAX_S);
    }
    if (json_object_size(policy) > 2) {
        return fault(ret_fault, "unknown_parameter", "output_expires_after",
                     "'output_expires_after' has 'anchor' and 'seconds', nothing else.");
    }
    row->output_life_ms = json_integer_value(seconds) * 1000;
    return SL_OK;
}

int sl_batch_request_read(const json_t *body, struct sl_wall now, struct sl_batch_row *ret_row,
                          struct sl_batch_fault *ret_fault) {
    struct sl_batch_row row = {.bid_nusd_per_mtok = -1};
    int rc = read_fixed(body, "endpoint", "/v1/embeddings", ret_fault);
    rc = rc ? rc : read_fixed(body, "completion_window", "24h", ret_fault);
    if (rc != SL_OK) {
        return rc;
    }
    sl_text_copy(row.endpoint, sizeof row.endpoint, "/v1/embeddings");
    rc = read_output_life(json_object_get(body, "output_expires_after"), &row, ret_fault);
    if (rc != SL_OK) {
        return rc;
    }
    const json_t *file = json_object_get(body, "input_file_id");
    if (!json_is_string(file)) {
        return fault(ret_fault, file ? "invalid_type" : "missing_required_parameter",
                     "input_file_id", "'input_file_id' must be the id of an uploaded file.");
    }
    const char *id = json_string_value(file);
    if (id[0] == '\0' || !sl_text_copy(row.input_file, sizeof row.input_file, id)) {
        return fault(ret_fault, "file_not_found", "input_file_id", "No such File object.");
    }
    rc = read_metadata(json_object_get(body, "metadata"), now, &row, ret_fault);
    if (rc != SL_OK) {
        sl_batch_row_fini(&row);
        return rc;
    }
    *ret_row = row;
    return SL_OK;
}
