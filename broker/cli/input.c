/* SPDX-License-Identifier: Apache-2.0
 * A file of a tenant as the JSONL of a batch. What the broker judges it judges: broken lines go to
 * it as they are, so that there is one list of faults, with one numbering. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/cli/batch.h"

#define READ_BYTES 65536

struct conversion {
    const char *model;
    struct sl_buf *out;
    uint64_t requests;
    uint64_t line; /* in the file, from 1 */
    struct sl_error *err;
};

static int over_limit(struct sl_error *err) {
    return sl_fail(err, SL_LIMIT, "a batch has at most %u MB: split the file",
                   SL_CLI_INPUT_MAX / 1024 / 1024);
}

/* One request line: the model is put in where there is none. */
static int add_request(struct conversion *c, const char *line, size_t n) {
    json_t *root = c->model ? json_loadb(line, n, JSON_DECODE_ANY, NULL) : NULL;
    json_t *body = json_object_get(root, "body");
    const json_t *model = json_object_get(body, "model");
    int rc = SL_OK;
    if (!json_is_object(body) || (model && !json_is_string(model))) {
        sl_buf_append(c->out, line, n);
    } else if (!model) {
        json_object_set_new(body, "model", json_string(c->model));
        char *text = json_dumps(root, JSON_COMPACT | JSON_ENSURE_ASCII);
        sl_buf_append(c->out, text ? text : "", text ? strlen(text) : 0);
        rc = text ? SL_OK : sl_fail(c->err, SL_NOMEM, "no memory for the batch");
        free(text);
    } else if (strcmp(json_string_value(model), c->model) == 0) {
        sl_buf_append(c->out, line, n);
    } else {
        rc =
            sl_fail(c->err, SL_INVALID,
                    "line %llu asks for the model '%.60s', and --model says '%.60s': leave --model "
                    "out, or make a batch for each model",
                    (unsigned long long)c->line, json_string_value(model), c->model);
    }
    json_decref(root);
    sl_buf_append(c->out, "\n", 1);
    c->requests++;
    return rc;
}

static int add_text(struct conversion *c, const char *line, size_t n) {
    if (strspn(line, " \t") >= n) {
        return SL_OK;
    }
    if (!sl_utf8_valid(line, n)) {
        return sl_fail(c->err, SL_INVALID, "line %llu is no UTF-8 text: convert the file first",
                       (unsigned long long)c->line);
    }
    char id[40];
    snprintf(id, sizeof id, "line-%llu", (unsigned long long)c->line);
    json_t *root = json_pack("{s:s, s:s, s:s, s:{s:s, s:s%}}", "custom_id", id, "method", "POST",
                             "url", "/v1/embeddings", "body", "model", c->model, "input", line, n);
    char *text = root ? json_dumps(root, JSON_COMPACT) : NULL;
    json_decref(root);
    if (!text) {
        return sl_fail(c->err, SL_NOMEM, "no memory for the batch");
    }
    sl_buf_append(c->out, text, strlen(text));
    sl_buf_append(c->out, "\n", 1);
    c->requests++;
    free(text);
    return SL_OK;
}

static int convert(struct conversion *c, const char *text, size_t bytes, bool requests) {
    const char *end = text + bytes;
    for (const char *line = text; line < end;) {
        const char *stop = memchr(line, '\n', (size_t)(end - line));
        const char *next = stop ? stop + 1 : end;
        stop = stop ? stop : end;
        size_t n = (size_t)(stop - line);
        n -= n > 0 && line[n - 1] == '\r';
        c->line++;
        int rc = requests ? add_request(c, line, n) : add_text(c, line, n);
        if (rc) {
            return rc;
        }
        if (c->out->failed) {
            return sl_fail(c->err, SL_NOMEM, "no memory for the batch");
        }
        if (c->out->len > SL_CLI_INPUT_MAX) {
            return over_limit(c->err);
        }
        line = next;
    }
    return SL_OK;
}

int sl_cli_input_convert(const char *text, size_t bytes, const char *model,
                         struct sl_buf *ret_jsonl, uint64_t *ret_requests, struct sl_error *err) {
    SL_AUTO_BUF struct sl_buf out = {0};
    struct conversion c = {.model = model, .out = &out, .err = err};
    if (bytes >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0) { /* a byte order mark is no text */
        text += 3;
        bytes -= 3;
    }
    size_t blank = 0;
    while (blank < bytes && strchr(" \t\r\n", text[blank]) && text[blank]) {
        blank++;
    }
    bool requests = blank < bytes && text[blank] == '{';
    if (blank == bytes) {
        return sl_fail(err, SL_INVALID, "the file holds no input");
    }
    if (!requests && !model) {
        return sl_fail(err, SL_INVALID,
                       "the file holds plain text, one input a line: say for which --model");
    }
    int rc = convert(&c, text, bytes, requests);
    if (rc == SL_OK) {
        *ret_jsonl = out;
        out = (struct sl_buf){0};
        *ret_requests = c.requests;
    }
    return rc;
}

static int read_all(FILE *file, const char *name, struct sl_buf *out, struct sl_error *err) {
    char chunk[READ_BYTES];
    size_t n = 0;
    while ((n = fread(chunk, 1, sizeof chunk, file)) > 0) {
        sl_buf_append(out, chunk, n);
        if (out->failed) {
            return sl_fail(err, SL_NOMEM, "no memory for the batch");
        }
        if (out->len > SL_CLI_INPUT_MAX) {
            return over_limit(err);
        }
    }
    return ferror(file) ? sl_fail_errno(err, "reading %s", name) : SL_OK;
}

int sl_cli_input_read(const char *file, const char *model, struct sl_buf *ret_jsonl,
                      uint64_t *ret_requests, struct sl_error *err) {
    SL_AUTO_BUF struct sl_buf raw = {0};
    bool from_stdin = strcmp(file, "-") == 0;
    SL_AUTO_FILE FILE *opened = from_stdin ? NULL : fopen(file, "re");
    if (!from_stdin && !opened) {
        return sl_fail_errno(err, "cannot read %s", file);
    }
    int rc = read_all(from_stdin ? stdin : opened, file, &raw, err);
    rc = rc ? rc
            : sl_cli_input_convert(raw.data ? raw.data : "", raw.len, model, ret_jsonl,
                                   ret_requests, err);
    return rc ? sl_wrap(err, "%s", from_stdin ? "standard input" : file) : SL_OK;
}
