/* SPDX-License-Identifier: Apache-2.0
 * One line of a tenant's JSONL, checked. Three outcomes: fit to run; at fault of its own (it is
 * answered with a 400 and fails alone); or so broken that the whole batch fails (OpenAI's Batch
 * API does the same with lines it cannot attribute to a request).
 *
 * Thread: any. A checked line owns its JSON; free with sl_batch_line_fini. */
#ifndef SLUICE_BROKER_BATCH_LINE_H
#define SLUICE_BROKER_BATCH_LINE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/batch/batch.h"

#define SL_BATCH_CUSTOM_ID_MAX 512 /* bytes */
#define SL_BATCH_DEPTH_MAX 32      /* nested arrays and objects in one line */

struct sl_batch_line {
    json_t *root;
    json_t *custom_id;     /* borrowed from root */
    json_t *input;         /* as the tenant wrote it; NULL when refused */
    const char *model;     /* NUL-terminated, borrowed from root */
    char *refusal;         /* JSON body of the 400, malloc'ed, or NULL */
    const char *prefix;    /* borrowed; goes before each text */
    size_t prefix_bytes;   /* 0 for ids */
    uint32_t input_count;  /* 0 when refused */
    uint32_t worst_tokens; /* 0 when refused */
    bool base64;
    bool single; /* input is one text or one array of ids */
    bool tokens; /* of ids */
    /* Why the whole batch fails; code empty: it does not. */
    char code[32];
    char param[32];
    char message[256];
};

/* text: without the line end. -SL_NOMEM only; faults are in the struct. */
int sl_batch_line_check(const char *text, size_t bytes, const char *endpoint,
                        struct sl_batch_line *ret_line, struct sl_error *err);
void sl_batch_line_fini(struct sl_batch_line *line);

/* The batch fails for this line. The first fault found is kept. */
void sl_batch_line_fault(struct sl_batch_line *line, const char *code, const char *param,
                         const char *format, ...) __attribute__((format(printf, 4, 5)));

/* body.c: fills input or refusal, encoding and token bound from the request's body. */
int sl_batch_line_check_body(struct sl_batch_line *line, json_t *body, struct sl_error *err);
/* Puts the model's prefix before each text of a line that is fit to run; ids stay as they are. May
 * refuse: with the prefix a text may be too long. */
int sl_batch_line_prefix(struct sl_batch_line *line, const char *prefix, struct sl_error *err);
/* Compact JSON as malloc'ed text that is one line for every reader, also for those that end a line
 * where Unicode does, such as Python's str.splitlines: what would end one is escaped. NULL without
 * memory. */
char *sl_batch_json_line(const json_t *value);
/* {"error":{message,type,param,code}} as malloc'ed text; NULL without memory. param may be NULL. */
char *sl_batch_error_body(const char *type, const char *code, const char *param,
                          const char *message);

#endif
