/* SPDX-License-Identifier: Apache-2.0
 * The body of one /v1/embeddings request: what is wrong in here fails that line alone. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/batch/line.h"
#include "proto/base/text.h"

char *sl_batch_json_line(const json_t *value) {
    char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
    /* NEL, LINE SEPARATOR, PARAGRAPH SEPARATOR: the ones that JSON lets stand in a text. */
    if (text && (strstr(text, "\xC2\x85") || strstr(text, "\xE2\x80\xA8") ||
                 strstr(text, "\xE2\x80\xA9"))) {
        free(text);
        text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_ENSURE_ASCII);
    }
    return text;
}

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
    char *text = root ? sl_batch_json_line(root) : NULL;
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

/* How a refusal names an input: its place where it stands in an array (at >= 0). */
struct place {
    char text[40];
};

static struct place place_of(long at) {
    struct place place;
    snprintf(place.text, sizeof place.text, at < 0 ? "input" : "input[%ld]", at);
    return place;
}

static int check_text(struct sl_batch_line *line, const json_t *text, long at,
                      struct sl_error *err) {
    struct place place = place_of(at);
    if (!json_is_string(text)) {
        return refuse(line, err, "invalid_type", "input",
                      "'%s' must be a string: 'input' is a string, an array of strings, an array "
                      "of token ids, or an array of arrays of token ids.",
                      place.text);
    }
    size_t n = json_string_length(text);
    if (n == 0) {
        return refuse(line, err, "invalid_value", "input", "'%s' must not be empty.", place.text);
    }
    if (n > SL_MSG_INPUT_BYTES_MAX) {
        return refuse(line, err, "invalid_value", "input",
                      "'%s' has %zu bytes; a text may have at most %d.", place.text, n,
                      SL_MSG_INPUT_BYTES_MAX);
    }
    /* A word piece covers at least one byte; two more for the tokens around a text. */
    line->worst_tokens += (uint32_t)n + 2;
    line->input_count++;
    return SL_OK;
}

/* Ids that the tenant's own tokenizer made; whether the model has them is for the agent to say. */
static int check_ids(struct sl_batch_line *line, const json_t *ids, long at, struct sl_error *err) {
    struct place place = place_of(at);
    size_t n = json_array_size(ids);
    if (!json_is_array(ids)) {
        return refuse(line, err, "invalid_type", "input",
                      "'%s' must be an array of token ids, as the first one is.", place.text);
    }
    if (n == 0 || n > SL_MSG_TOKENS_MAX) {
        return refuse(line, err, "invalid_value", "input",
                      "'%s' has %zu token ids; 1 to %d are possible.", place.text, n,
                      SL_MSG_TOKENS_MAX);
    }
    for (size_t i = 0; i < n; i++) {
        const json_t *id = json_array_get(ids, i);
        if (!json_is_integer(id)) {
            return refuse(line, err, "invalid_type", "input",
                          "'%s[%zu]' must be a token id, a whole number.", place.text, i);
        }
        if (json_integer_value(id) < 0 || json_integer_value(id) > SL_MSG_TOKEN_ID_MAX) {
            return refuse(line, err, "invalid_value", "input",
                          "'%s[%zu]' is no token id: 0 to %d are possible.", place.text, i,
                          SL_MSG_TOKEN_ID_MAX);
        }
    }
    line->tokens = true;
    line->worst_tokens += (uint32_t)n + 2; /* [CLS] and [SEP], where they are missing */
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
    const json_t *first = json_array_get(input, 0);
    if (count == 0) {
        return refuse(line, err, "invalid_value", "input", "'input' must not be empty.");
    }
    if (json_is_number(first)) {
        line->single = true;
        return check_ids(line, input, -1, err);
    }
    if (count > SL_MSG_INPUTS_MAX) {
        return refuse(line, err, "invalid_value", "input",
                      "'input' has %zu inputs; a line may have at most %d.", count,
                      SL_MSG_INPUTS_MAX);
    }
    for (size_t i = 0; i < count && !line->refusal; i++) {
        int rc = json_is_array(first) ? check_ids(line, json_array_get(input, i), (long)i, err)
                                      : check_text(line, json_array_get(input, i), (long)i, err);
        if (rc != SL_OK) {
            return rc;
        }
    }
    return SL_OK;
}

/* A refused line has nothing that could run. */
static void empty_refused(struct sl_batch_line *line) {
    if (line->refusal) {
        line->input = NULL;
        line->prefix = NULL;
        line->prefix_bytes = 0;
        line->input_count = 0;
        line->worst_tokens = 0;
        line->single = line->tokens = false;
    }
}

int sl_batch_line_check_body(struct sl_batch_line *line, json_t *body, struct sl_error *err) {
    int rc = check_parameters(line, body, err);
    if (rc == SL_OK && !line->refusal) {
        json_t *input = json_object_get(body, "input");
        rc = check_input(line, input, err);
        line->input = input;
    }
    empty_refused(line);
    return rc;
}

int sl_batch_line_prefix(struct sl_batch_line *line, const char *prefix, struct sl_error *err) {
    size_t n = strlen(prefix);
    int rc = SL_OK;
    if (line->tokens || line->refusal || n == 0) {
        return SL_OK;
    }
    for (uint32_t i = 0; i < line->input_count && rc == SL_OK && !line->refusal; i++) {
        const json_t *text = line->single ? line->input : json_array_get(line->input, i);
        if (json_string_length(text) + n > SL_MSG_INPUT_BYTES_MAX) {
            rc = refuse(line, err, "invalid_value", "input",
                        "'%s' has %zu bytes; with the prefix that this model puts before a text "
                        "it may have at most %zu.",
                        place_of(line->single ? -1 : (long)i).text, json_string_length(text),
                        SL_MSG_INPUT_BYTES_MAX - n);
        }
    }
    line->prefix = prefix;
    line->prefix_bytes = n;
    line->worst_tokens += (uint32_t)n * line->input_count;
    empty_refused(line);
    return rc;
}
