/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/batch/line.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/text.h"

/* What a lone surrogate is replaced by, so that the rest of its line can be read; and another, to
 * see where it stood. */
#define REPLACEMENT_ESCAPE "\\ufffd"
#define OTHER_ESCAPE "\\ufffe"
#define DIGITS_64 19 /* a number of fewer characters is within 64 bits */

/* What is valid JSON, and yet nothing that the parser can hold. */
struct misfits {
    bool surrogate; /* a lone one, somewhere */
    bool in_id;     /* in custom_id */
    bool number;    /* beyond 64 bits, or beyond a double */
};

void sl_batch_line_fault(struct sl_batch_line *line, const char *code, const char *param,
                         const char *format, ...) {
    if (line->code[0] != '\0') {
        return;
    }
    sl_text_copy(line->code, sizeof line->code, code);
    sl_text_copy(line->param, sizeof line->param, param ? param : "");
    va_list args;
    va_start(args, format);
    vsnprintf(line->message, sizeof line->message, format, args);
    va_end(args);
    /* A cut text may end inside a character, and a parser's text may quote broken bytes. */
    size_t n = strlen(line->message);
    while (n > 0 && !sl_utf8_valid(line->message, n)) {
        line->message[--n] = '\0';
    }
}

void sl_batch_line_fini(struct sl_batch_line *line) {
    json_decref(line->root);
    free(line->refusal);
    *line = (struct sl_batch_line){0};
}

static bool is_blank(const char *text, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (text[i] != ' ' && text[i] != '\t' && text[i] != '\r') {
            return false;
        }
    }
    return true;
}

/* The parser recurses; its own cap of 2,048 is far more than any request needs. */
static bool is_too_deep(const char *text, size_t n) {
    uint32_t depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < n; i++) {
        char c = text[i];
        if (in_string) {
            while (i < n && text[i] != '"' && text[i] != '\\') {
                i++;
            }
            in_string = i < n && text[i] == '\\';
            i += in_string; /* what it escapes is passed by too */
        } else if (c == '"') {
            in_string = true;
        } else if (c == '{' || c == '[') {
            if (++depth > SL_BATCH_DEPTH_MAX) {
                return true;
            }
        } else if ((c == '}' || c == ']') && depth > 0) {
            depth--;
        }
    }
    return false;
}

/* Code unit of the \uXXXX escape at text[at], or -1. */
static int escape_unit(const char *text, size_t n, size_t at) {
    char digits[5];
    uint8_t bytes[2];
    if (at + 6 > n || text[at] != '\\' || text[at + 1] != 'u') {
        return -1;
    }
    snprintf(digits, sizeof digits, "%.4s", text + at + 2);
    if (sl_hex_decode(digits, bytes, 2) != SL_OK) {
        return -1;
    }
    return bytes[0] << 8 | bytes[1];
}

/* Replaces lone surrogate escapes in place; true when there was one. Backslashes occur in strings
 * only, or the text is no JSON anyway. */
static bool replace_lone_surrogates(char *text, size_t n, const char *escape) {
    bool found = false;
    for (size_t i = 0; i + 1 < n; i++) {
        if (text[i] != '\\') {
            continue;
        }
        int unit = escape_unit(text, n, i);
        if (unit < 0xD800 || unit > 0xDFFF) {
            i++;
            continue;
        }
        int next = escape_unit(text, n, i + 6);
        if (unit < 0xDC00 && next >= 0xDC00 && next <= 0xDFFF) {
            i += 11;
            continue;
        }
        for (size_t k = 0; k < 6; k++) {
            text[i + k] = escape[k];
        }
        found = true;
        i += 5;
    }
    return found;
}

static json_t *parse(const char *text, size_t n, json_error_t *ret_error) {
    return json_loadb(text, n, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, ret_error);
}

/* What strtod takes and JSON does not: zeros in front, no digit behind the point. */
static bool is_number(const char *text) {
    const char *digits = text + (text[0] == '-');
    const char *point = digits + strspn(digits, "0123456789");
    bool zeros = digits[0] == '0' && point - digits > 1;
    return !zeros && point > digits && (point[0] != '.' || (point[1] >= '0' && point[1] <= '9'));
}

/* Looks no further than its end: a line may hold half a million. */
static size_t number_size(const char *text, bool *ret_real) {
    for (size_t n = 0;; n++) {
        if (text[n] == '.' || text[n] == 'e' || text[n] == 'E') {
            *ret_real = true;
        } else if (text[n] != '+' && text[n] != '-' && (text[n] < '0' || text[n] > '9')) {
            return n;
        }
    }
}

static bool is_huge(const char *text, size_t size, bool real) {
    char *end = NULL;
    errno = 0;
    double value = real ? strtod(text, &end) : 0.0;
    bool huge = real ? value == HUGE_VAL || value == -HUGE_VAL
                     : strtoll(text, &end, 10) != 0 && errno == ERANGE;
    return huge && end == text + size && is_number(text); /* or it is no JSON */
}

/* Replaces numbers that the parser cannot hold by 0 and blanks; true when there was one. text[n] is
 * '\0'. */
static bool replace_huge_numbers(char *text, size_t n) {
    bool found = false;
    bool in_string = false;
    for (size_t i = 0; i < n; i++) {
        if (text[i] == '"') {
            in_string = !in_string;
        } else if (in_string) {
            i += text[i] == '\\';
        } else if (text[i] == '-' || (text[i] >= '0' && text[i] <= '9')) {
            bool real = false;
            size_t size = number_size(text + i, &real);
            bool huge = (real || size >= DIGITS_64) && is_huge(text + i, size, real);
            if (huge) {
                memset(text + i, ' ', size);
                text[i] = '0';
            }
            found = found || huge;
            i += size - 1;
        }
    }
    return found;
}

static bool same_id(const json_t *a, const json_t *b) {
    const json_t *one = json_object_get(a, "custom_id");
    const json_t *two = json_object_get(b, "custom_id");
    return json_equal(one, two) || (!one && !two);
}

/* A line that the parser refused, read without what it cannot hold; NULL: it is no JSON. */
static int parse_misfits(const char *text, size_t n, json_t **ret_root, struct misfits *ret_misfits,
                         struct sl_error *err) {
    json_error_t ignored;
    SL_AUTO_FREE char *copy = malloc(n + 1);
    if (!copy) {
        return sl_fail(err, SL_NOMEM, "checking a line of %zu bytes", n);
    }
    memcpy(copy, text, n);
    copy[n] = '\0';
    struct misfits is = {.number = replace_huge_numbers(copy, n),
                         .surrogate = replace_lone_surrogates(copy, n, REPLACEMENT_ESCAPE)};
    *ret_root = is.number || is.surrogate ? parse(copy, n, &ignored) : NULL;
    if (*ret_root && is.surrogate) {
        memcpy(copy, text, n);
        replace_huge_numbers(copy, n);
        replace_lone_surrogates(copy, n, OTHER_ESCAPE);
        json_t *other = parse(copy, n, &ignored);
        is.in_id = other && !same_id(*ret_root, other);
        json_decref(other);
    }
    *ret_misfits = *ret_root ? is : (struct misfits){0};
    return SL_OK;
}

/* JSON of the line into line->root. */
static int parse_line(struct sl_batch_line *line, const char *text, size_t n,
                      struct misfits *ret_misfits, struct sl_error *err) {
    if (is_too_deep(text, n)) {
        sl_batch_line_fault(line, "invalid_json_line", NULL,
                            "This line nests arrays or objects deeper than %d levels.",
                            SL_BATCH_DEPTH_MAX);
        return SL_OK;
    }
    json_error_t error;
    line->root = parse(text, n, &error);
    int rc = line->root ? SL_OK : parse_misfits(text, n, &line->root, ret_misfits, err);
    if (rc != SL_OK) {
        return rc;
    }
    if (!line->root) {
        const char *what =
            sl_utf8_valid(error.text, strlen(error.text)) ? error.text : "not valid UTF-8";
        sl_batch_line_fault(line, "invalid_json_line", NULL,
                            "This line is not parseable as valid JSON (column %d: %s).",
                            error.column, what);
    } else if (!json_is_object(line->root)) {
        sl_batch_line_fault(line, "invalid_json_line", NULL,
                            "This line is valid JSON but not an object: write one request object.");
    }
    return SL_OK;
}

static const json_t *require_string(struct sl_batch_line *line, const json_t *object,
                                    const char *key, const char *param) {
    const json_t *value = json_object_get(object, key);
    if (!value) {
        sl_batch_line_fault(line, "missing_required_parameter", param,
                            "Missing required parameter: '%s'.", param);
        return NULL;
    }
    if (!json_is_string(value)) {
        sl_batch_line_fault(line, "invalid_type", param, "'%s' must be a string.", param);
        return NULL;
    }
    return value;
}

static bool string_is(const json_t *value, const char *expected) {
    size_t n = strlen(expected);
    return json_string_length(value) == n && memcmp(json_string_value(value), expected, n) == 0;
}

static void check_custom_id(struct sl_batch_line *line, const struct misfits *misfits) {
    const json_t *id = require_string(line, line->root, "custom_id", "custom_id");
    if (!id) {
        return;
    }
    size_t n = json_string_length(id);
    if (n == 0 || n > SL_BATCH_CUSTOM_ID_MAX) {
        sl_batch_line_fault(line, "invalid_custom_id", "custom_id",
                            "'custom_id' must have 1 to %d bytes, this one has %zu.",
                            SL_BATCH_CUSTOM_ID_MAX, n);
    } else if (misfits->in_id) {
        sl_batch_line_fault(line, "invalid_json_line", "custom_id",
                            "'custom_id' holds a lone surrogate escape, which is no character.");
    }
    line->custom_id = json_object_get(line->root, "custom_id");
}

static void check_model(struct sl_batch_line *line, const json_t *body) {
    const json_t *model = require_string(line, body, "model", "body.model");
    if (!model) {
        return;
    }
    size_t n = json_string_length(model);
    if (n == 0 || n >= SL_MSG_NAME_MAX || strlen(json_string_value(model)) != n) {
        sl_batch_line_fault(line, "model_not_found", "body.model",
                            "'body.model' must name a model that /v1/models lists.");
        return;
    }
    line->model = json_string_value(model);
}

static void check_envelope(struct sl_batch_line *line, const char *endpoint,
                           const struct misfits *misfits) {
    check_custom_id(line, misfits);
    const json_t *method = require_string(line, line->root, "method", "method");
    if (method && !string_is(method, "POST")) {
        sl_batch_line_fault(line, "invalid_method", "method", "'method' must be \"POST\".");
    }
    const json_t *url = require_string(line, line->root, "url", "url");
    if (url && !string_is(url, endpoint)) {
        sl_batch_line_fault(line, "url_mismatch", "url",
                            "'url' must be the endpoint of the batch, \"%s\".", endpoint);
    }
    const json_t *body = json_object_get(line->root, "body");
    if (!json_is_object(body)) {
        sl_batch_line_fault(line, body ? "invalid_type" : "missing_required_parameter", "body",
                            "'body' must be an object with the request's parameters.");
        return;
    }
    check_model(line, body);
}

static const char *unknown_key(json_t *root) {
    static const char *const known[] = {"custom_id", "method", "url", "body"};
    const char *key = NULL;
    json_t *value = NULL;
    json_object_foreach(root, key, value) {
        bool found = false;
        for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
            found = found || strcmp(key, known[i]) == 0;
        }
        if (!found) {
            return key;
        }
    }
    return NULL;
}

static int refuse_line(struct sl_batch_line *line, const char *code, const char *param,
                       const char *message, struct sl_error *err) {
    line->refusal = sl_batch_error_body("invalid_request_error", code, param, message);
    return line->refusal ? SL_OK : sl_fail(err, SL_NOMEM, "refusing a line");
}

/* A good envelope: what is wrong from here on refuses this line alone. */
static int check_request(struct sl_batch_line *line, const struct misfits *misfits,
                         struct sl_error *err) {
    const char *extra = unknown_key(line->root);
    if (misfits->surrogate) {
        return refuse_line(line, "invalid_value", "input",
                           "The request holds a lone surrogate escape (\\ud800 to \\udfff "
                           "without its partner), which is no character.",
                           err);
    }
    if (misfits->number) {
        return refuse_line(line, "invalid_value", "input",
                           "The request holds a number beyond 64 bits or beyond 1.8e308: no "
                           "parameter takes such a one, and no token has such an id.",
                           err);
    }
    if (extra) {
        char message[160];
        snprintf(message, sizeof message, "Unknown parameter: '%.80s'.", extra);
        return refuse_line(line, "unknown_parameter", NULL, message, err);
    }
    return sl_batch_line_check_body(line, json_object_get(line->root, "body"), err);
}

int sl_batch_line_check(const char *text, size_t bytes, const char *endpoint,
                        struct sl_batch_line *ret_line, struct sl_error *err) {
    struct sl_batch_line line = {0};
    struct misfits misfits = {0};
    int rc = SL_OK;
    if (is_blank(text, bytes)) {
        sl_batch_line_fault(&line, "empty_line", NULL,
                            "This line is empty: remove it, every line is one request.");
    } else {
        rc = parse_line(&line, text, bytes, &misfits, err);
    }
    if (rc == SL_OK && line.code[0] == '\0') {
        check_envelope(&line, endpoint, &misfits);
    }
    if (rc == SL_OK && line.code[0] == '\0') {
        rc = check_request(&line, &misfits, err);
    }
    if (rc != SL_OK) {
        sl_batch_line_fini(&line);
        return rc;
    }
    *ret_line = line;
    return SL_OK;
}
