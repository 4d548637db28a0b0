/* SPDX-License-Identifier: Apache-2.0
 * The body of one /v1/embeddings request: what is wrong in here fails that line alone. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "broker/batch/line.h"
#include "proto/base/text.h"

char *sl_batch_error_body(const char *type, const char *code, const char *param,
                          const char *message) {
    /* A text that was cut inside a character would make the packing fail. */
    char safe[512];
    sl_text_copy(safe, sizeof safe, message);
    size_t n = strlen(safe);
    while (n > 0 && !sl_utf8_valid(safe, n)) {
        safe[--n] = '\0';
    }
    json_t *root =
        json_pack("{s:{s:s, s:s, s:s?, s:s?}}", "error", "message", safe, "type", type, "param",
                  param && sl_utf8_valid(param, strlen(param)) ? param : NULL, "code", code);
    char *text = root ? json_dumps(root, JSON_COMPACT) : NULL;
    json_decref(root);
    return text;
}

static int refuse(struct sl_batch_line *line, struct sl_error *err, const char *code,
                  const char *param, const char *format, ...) __attribute__((format(printf, 5, 6)));

static int refuse(struct sl_batch_line *line, struct sl_error *err, const char *code,
                  const char *param, const char *format, ...) {
    char message[384];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    line->refusal = sl_batch_error_body("invalid_request_error", code, param, message);
    return line->refusal ? SL_OK : sl_fail(err, SL_NOMEM, "refusing a line");
}

/* Nothing that a tenant asked for is ignored: what we do not do is said. */
static int check_parameters(struct sl_batch_line *line, json_t *body, struct sl_error *err) {
    const char *key = NULL;
    json_t *value = NULL;
    json_object_foreach(body, key, value) {
        if (strcmp(key, "model") == 0 || strcmp(key, "input") == 0) {
            continue;
        }
        if (strcmp(key, "dimensions") == 0) {
            if (!json_is_null(value)) {
                return refuse(line, err, "unsupported_parameter", "dimensions",
                              "This model does not support 'dimensions': leave it out.");
            }
        } else if (strcmp(key, "user") == 0) {
            if (!json_is_string(value) && !json_is_null(value)) {
                return refuse(line, err, "invalid_type", "user", "'user' must be a string.");
            }
        } else if (strcmp(key, "encoding_format") == 0) {
            const char *format = json_is_null(value) ? "float" : json_string_value(value);
            if (!format || (strcmp(format, "float") != 0 && strcmp(format, "base64") != 0)) {
                return refuse(line, err, "invalid_value", "encoding_format",
                              "'encoding_format' must be \"float\" or \"base64\".");
            }
            line->base64 = format[0] == 'b';
        } else {
            return refuse(line, err, "unknown_parameter", key, "Unknown parameter: '%.80s'.", key);
        }
    }
    return SL_OK;
}

/* One text; a refusal names its place when it stands in an array (at >= 0). */
static int check_text(struct sl_batch_line *line, const json_t *text, long at,
                      struct sl_error *err) {
    char where[32];
    if (at < 0) {
        snprintf(where, sizeof where, "input");
    } else {
        snprintf(where, sizeof where, "input[%ld]", at);
    }
    if (json_is_integer(text) || json_is_array(text)) {
        return refuse(line, err, "unsupported_parameter", "input",
                      "'%s' holds token ids, which are not supported yet: send text.", where);
    }
    if (!json_is_string(text)) {
        return refuse(line, err, "invalid_type", "input",
                      "'%s' must be a string, or 'input' an array of strings.", where);
    }
    size_t n = json_string_length(text);
    if (n == 0) {
        return refuse(line, err, "invalid_value", "input", "'%s' must not be empty.", where);
    }
    if (n > SL_MSG_INPUT_BYTES_MAX) {
        return refuse(line, err, "invalid_value", "input",
                      "'%s' has %zu bytes; a text may have at most %d.", where, n,
                      SL_MSG_INPUT_BYTES_MAX);
    }
    /* A word piece covers at least one byte; two more for the tokens around a text. */
    line->worst_tokens += (uint32_t)n + 2;
    line->input_count++;
    return SL_OK;
}

static int check_input(struct sl_batch_line *line, json_t *input, struct sl_error *err) {
    if (!input) {
        return refuse(line, err, "missing_required_parameter", "input",
                      "Missing required parameter: 'input'.");
    }
    if (!json_is_array(input)) {
        line->single = true;
        return check_text(line, input, -1, err);
    }
    size_t count = json_array_size(input);
    if (count == 0) {
        return refuse(line, err, "invalid_value", "input", "'input' must not be empty.");
    }
    if (json_is_integer(json_array_get(input, 0)) || json_is_array(json_array_get(input, 0))) {
        return check_text(line, json_array_get(input, 0), 0, err);
    }
    if (count > SL_MSG_INPUTS_MAX) {
        return refuse(line, err, "invalid_value", "input",
                      "'input' has %zu texts; a line may have at most %d.", count,
                      SL_MSG_INPUTS_MAX);
    }
    for (size_t i = 0; i < count && !line->refusal; i++) {
        int rc = check_text(line, json_array_get(input, i), (long)i, err);
        if (rc != SL_OK) {
            return rc;
        }
    }
    return SL_OK;
}

int sl_batch_line_check_body(struct sl_batch_line *line, json_t *body, struct sl_error *err) {
    int rc = check_parameters(line, body, err);
    if (rc == SL_OK && !line->refusal) {
        json_t *input = json_object_get(body, "input");
        rc = check_input(line, input, err);
        line->input = input;
    }
    if (line->refusal) {
        line->input = NULL;
        line->input_count = 0;
        line->worst_tokens = 0;
    }
    return rc;
}
