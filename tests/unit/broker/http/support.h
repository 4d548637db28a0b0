/* SPDX-License-Identifier: Apache-2.0
 * A site for each test group, two tenants' keys, and short forms of the client's calls. */
#ifndef SLUICE_TESTS_HTTP_SUPPORT_H
#define SLUICE_TESTS_HTTP_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/broker/http/client.h"
#include "tests/unit/broker/http/site.h"

struct ground {
    struct site site;
    char operator_key[96];
    char acme[96];
    char globex[96];
};

static inline uint16_t port_of(const struct ground *ground) {
    return sl_http_port(ground->site.http);
}

/* Sends a JSON body (or none) and expects a status. The caller calls answer_fini. */
static inline void expect(struct ground *ground, const char *method, const char *target,
                          const char *key, const char *body, int status, struct answer *answer) {
    client_call(port_of(ground), method, target, key, NULL, body, body ? strlen(body) : 0, answer);
    if (answer->status != status) {
        fail_msg("%s %s %s: %d instead of %d: %s", method, target, body ? body : "", answer->status,
                 status, answer->body.data ? answer->body.data : "");
    }
}

static inline void expect_code(struct ground *ground, const char *method, const char *target,
                               const char *key, const char *body, int status, const char *code) {
    struct answer answer;
    char got[64];
    expect(ground, method, target, key, body, status, &answer);
    if (strcmp(answer_error(&answer, got), code) != 0) {
        fail_msg("%s %s %s: code '%s' instead of '%s': %s", method, target, body ? body : "", got,
                 code, answer.body.data);
    }
    answer_fini(&answer);
}

/* A text member of the 200 answer; out[size]. */
static inline void expect_text(struct ground *ground, const char *method, const char *target,
                               const char *key, const char *body, const char *member, char *out,
                               size_t size) {
    struct answer answer;
    expect(ground, method, target, key, body, 200, &answer);
    json_t *root = answer_json(&answer);
    const char *text = json_string_value(json_object_get(root, member));
    snprintf(out, size, "%s", text ? text : "");
    json_decref(root);
    answer_fini(&answer);
}

static inline int ground_setup(void **state) {
    struct ground *ground = calloc(1, sizeof *ground);
    site_start(&ground->site, NULL);
    site_operator_key(&ground->site, ground->operator_key);
    expect_text(ground, "POST", "/api/v1/keys", ground->operator_key, "{\"tenant\":\"acme\"}",
                "key", ground->acme, sizeof ground->acme);
    expect_text(ground, "POST", "/api/v1/keys", ground->operator_key, "{\"tenant\":\"globex\"}",
                "key", ground->globex, sizeof ground->globex);
    *state = ground;
    return 0;
}

static inline int ground_teardown(void **state) {
    struct ground *ground = *state;
    site_remove(&ground->site);
    free(ground);
    return 0;
}

#define MULTIPART_HEADER "Content-Type: multipart/form-data; boundary=XX\r\n"
#define PART(name, extra, value)                                                                   \
    "--XX\r\nContent-Disposition: form-data; name=\"" name "\"" extra "\r\n\r\n" value "\r\n"
#define PART_FILE(value)                                                                           \
    PART("file", "; filename=\"in.jsonl\"\r\nContent-Type: application/octet-stream", value)
#define PART_PURPOSE PART("purpose", "", "batch")
#define PARTS_END "--XX--\r\n"

static inline void upload(struct ground *ground, const char *key, const char *body,
                          struct answer *answer) {
    client_call(port_of(ground), "POST", "/v1/files", key, MULTIPART_HEADER, body, strlen(body),
                answer);
}

/* Uploads text; id[40] of the file. */
static inline void upload_text(struct ground *ground, const char *key, const char *text,
                               char id[40]) {
    struct sl_buf body = {0};
    struct answer answer;
    sl_buf_printf(&body,
                  "%s--XX\r\nContent-Disposition: form-data; name=\"file\"; "
                  "filename=\"in.jsonl\"\r\n\r\n%s\r\n%s",
                  PART_PURPOSE, text, PARTS_END);
    upload(ground, key, body.data, &answer);
    sl_buf_fini(&body);
    assert_int_equal(answer.status, 200);
    json_t *root = answer_json(&answer);
    snprintf(id, 40, "%s", json_string_value(json_object_get(root, "id")));
    json_decref(root);
    answer_fini(&answer);
}

#define INPUT_LINE                                                                                 \
    "{\"custom_id\":\"a\",\"method\":\"POST\",\"url\":\"/v1/embeddings\",\"body\":{\"model\":"     \
    "\"all-MiniLM-L6-v2\",\"input\":\"one\"}}"

/* Creates a batch over file; metadata is the JSON object's text. */
static inline void create_batch(struct ground *ground, const char *key, const char *file,
                                const char *metadata, char id[40]) {
    char body[512];
    snprintf(body, sizeof body,
             "{\"input_file_id\":\"%s\",\"endpoint\":\"/v1/embeddings\",\"completion_window\":"
             "\"24h\",\"metadata\":%s}",
             file, metadata);
    expect_text(ground, "POST", "/v1/batches", key, body, "id", id, 40);
}

/* Polls until the batch has this status. */
static inline void wait_status(struct ground *ground, const char *key, const char *id,
                               const char *status) {
    char target[64];
    char got[32] = "";
    snprintf(target, sizeof target, "/v1/batches/%s", id);
    for (int i = 0; i < 500; i++) {
        expect_text(ground, "GET", target, key, NULL, "status", got, sizeof got);
        if (strcmp(got, status) == 0) {
            return;
        }
        usleep(20000);
    }
    fail_msg("batch %s is '%s', not '%s'", id, got, status);
}

#endif
