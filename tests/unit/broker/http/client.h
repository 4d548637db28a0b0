/* SPDX-License-Identifier: Apache-2.0
 * The smallest HTTP client that can also misbehave: it sends the bytes it is given. */
#ifndef SLUICE_TESTS_HTTP_CLIENT_H
#define SLUICE_TESTS_HTTP_CLIENT_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/text.h"

struct answer {
    int status;      /* 0: the connection was closed without one */
    char head[4096]; /* status line and headers */
    struct sl_buf body;
};

int client_connect(uint16_t port);
/* Sends bytes and reads until the server closes. half_close: says that nothing more comes. */
void client_raw(uint16_t port, const void *bytes, size_t n, struct answer *ret_answer);
/* One request with Connection: close. key NULL: no Authorization. headers: further lines, each
 * with its \r\n, or NULL. body NULL: none. */
void client_call(uint16_t port, const char *method, const char *target, const char *key,
                 const char *headers, const void *body, size_t body_bytes,
                 struct answer *ret_answer);
void answer_fini(struct answer *answer);
/* A header's value, or NULL; valid until the next call. */
const char *answer_header(struct answer *answer, const char *name, char value[256]);
/* The body as JSON; NULL when it is none. The caller frees it. */
json_t *answer_json(const struct answer *answer);
/* error.code of a JSON error with exactly the four keys, else "". */
const char *answer_error(const struct answer *answer, char code[64]);

#endif
