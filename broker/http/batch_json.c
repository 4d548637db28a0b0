/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/http/batch_json.h"

static void write_errors(struct sl_json *json, const char *errors) {
    if (!errors) {
        sl_json_null(json, "errors");
        return;
    }
    sl_json_open(json, "errors", '{');
    sl_json_text(json, "object", "list");
    sl_json_raw(json, "data", errors);
    sl_json_close(json, '}');
}

static void write_counts(struct sl_json *json, const struct sl_batch_row *row) {
    sl_json_open(json, "request_counts", '{');
    sl_json_uint(json, "total", row->lines_total);
    sl_json_uint(json, "completed", row->lines_completed);
    sl_json_uint(json, "failed", row->lines_failed);
    sl_json_close(json, '}');
}

static void write_usage(struct sl_json *json, const struct sl_batch_row *row) {
    sl_json_open(json, "usage", '{');
    sl_json_int(json, "input_tokens", row->tokens);
    sl_json_raw(json, "input_tokens_details", "{\"cached_tokens\":0}");
    sl_json_int(json, "output_tokens", 0);
    sl_json_raw(json, "output_tokens_details", "{\"reasoning_tokens\":0}");
    sl_json_int(json, "total_tokens", row->tokens);
    sl_json_close(json, '}');
}

void sl_batch_write(struct sl_json *json, const struct sl_batch_row *row) {
    sl_json_open(json, NULL, '{');
    sl_json_text(json, "id", row->id);
    sl_json_text(json, "object", "batch");
    sl_json_text(json, "endpoint", row->endpoint);
    sl_json_name(json, "model", row->model);
    write_errors(json, row->errors);
    sl_json_text(json, "input_file_id", row->input_file);
    sl_json_text(json, "completion_window", "24h");
    sl_json_text(json, "status", sl_batch_state_name(row->state));
    sl_json_name(json, "output_file_id", row->output_file);
    sl_json_name(json, "error_file_id", row->error_file);
    sl_json_unix(json, "created_at", row->created);
    sl_json_unix(json, "in_progress_at", row->in_progress);
    sl_json_unix(json, "expires_at", row->deadline);
    sl_json_unix(json, "finalizing_at", row->finalizing);
    sl_json_unix(json, "completed_at", row->completed);
    sl_json_unix(json, "failed_at", row->failed);
    sl_json_unix(json, "expired_at", row->expired);
    sl_json_unix(json, "cancelling_at", row->cancelling);
    sl_json_unix(json, "cancelled_at", row->cancelled);
    write_counts(json, row);
    write_usage(json, row);
    sl_json_raw(json, "metadata", row->metadata ? row->metadata : "null");
    sl_json_close(json, '}');
}

void sl_batch_write_site(struct sl_json *json, const struct sl_batch_row *row) {
    sl_json_open(json, NULL, '{');
    sl_json_text(json, "id", row->id);
    sl_json_text(json, "tenant", row->tenant);
    sl_json_text(json, "status", sl_batch_state_name(row->state));
    sl_json_name(json, "model", row->model);
    sl_json_name(json, "model_sha256", row->model_sha256);
    sl_json_text(json, "endpoint", row->endpoint);
    if (row->bid_nusd_per_mtok < 0) {
        sl_json_null(json, "bid_usd_per_mtok");
    } else {
        sl_json_usd(json, "bid_usd_per_mtok", row->bid_nusd_per_mtok);
    }
    write_counts(json, row);
    sl_json_int(json, "tokens", row->tokens);
    sl_json_usd(json, "billed_usd", row->billed_nusd);
    sl_json_text(json, "input_file_id", row->input_file);
    sl_json_name(json, "output_file_id", row->output_file);
    sl_json_name(json, "error_file_id", row->error_file);
    sl_json_time(json, "created", row->created);
    sl_json_time(json, "in_progress", row->in_progress);
    sl_json_time(json, "deadline", row->deadline);
    sl_json_time(json, "finalizing", row->finalizing);
    sl_json_time(json, "completed", row->completed);
    sl_json_time(json, "failed", row->failed);
    sl_json_time(json, "expired", row->expired);
    sl_json_time(json, "cancelled", row->cancelled);
    sl_json_raw(json, "metadata", row->metadata ? row->metadata : "null");
    write_errors(json, row->errors);
    sl_json_close(json, '}');
}
