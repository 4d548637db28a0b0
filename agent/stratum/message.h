/* SPDX-License-Identifier: Apache-2.0
 * Lines of Stratum V1, read and written. Internal to agent/stratum.
 *
 * Every field of every message is checked here for type, size and range; what passes is plain data.
 * Pure. Thread: any. A message owns its JSON tree; params, result and id are borrowed from it. */
#ifndef SLUICE_AGENT_STRATUM_MESSAGE_H
#define SLUICE_AGENT_STRATUM_MESSAGE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/stratum/client.h"
#include "agent/stratum/work.h"
#include "proto/base/error.h"
#include "proto/base/text.h"

enum sl_message_type {
    SL_MESSAGE_RESPONSE = 1,
    SL_MESSAGE_NOTIFY,
    SL_MESSAGE_SET_DIFFICULTY,
    SL_MESSAGE_SET_EXTRANONCE,
    SL_MESSAGE_SET_VERSION_MASK,
    SL_MESSAGE_RECONNECT,
    SL_MESSAGE_SHOW,
    SL_MESSAGE_GET_VERSION,
    SL_MESSAGE_PING,
    SL_MESSAGE_OTHER, /* a method that we do not know */
};

/* The `error` member in any of its four shapes: null, [code, text, ...], {code, message}, text. */
struct sl_message_error {
    bool present;
    int code; /* 0: none given */
    char text[SL_STRATUM_TEXT_MAX + 1];
};

struct sl_message {
    enum sl_message_type type;
    json_t *root;
    json_t *id;     /* NULL when absent or null */
    json_t *params; /* an array, or NULL: absent, or another kind where none is needed */
    json_t *result; /* NULL when absent */
    const char *method;
    struct sl_message_error error;
    bool mended; /* characters that no text has were replaced */
    bool unfit;  /* mended, and what it says must be what the pool wrote: to be passed over */
};

/* -SL_INVALID with a text for a person. On success sl_message_fini must be called. */
int sl_message_parse(const char *line, size_t size, struct sl_message *ret_message,
                     struct sl_error *err);
void sl_message_fini(struct sl_message *message);
/* The id of an answer to one of our requests, -1 if it is not one of our numbers. Pools that turn
 * numbers into strings or reals are understood. */
int64_t sl_message_id(const struct sl_message *message);
/* True when the answer means yes: no error, and the result is neither false nor null. */
bool sl_message_is_yes(const struct sl_message *message);

/* accepted, stale or rejected; code first, text where the code says nothing (other than 21-25). */
enum sl_share_answer sl_message_share_answer(const struct sl_message *message);
/* The pool's code, or one of 22-25 where only its text says so; 0: none. */
int sl_message_share_code(const struct sl_message *message);

/* mining.notify, without what pool and client agreed on before: terms, serial and session of the
 * draft stay as they were. The draft's pointers point into `*store`. */
struct sl_notify_store {
    struct sl_buf coinb1, coinb2;
    uint8_t branches[SL_JOB_BRANCHES_MAX][32];
};
void sl_notify_store_fini(struct sl_notify_store *store);
int sl_message_read_notify(const json_t *params, struct sl_notify_store *store,
                           struct sl_job *draft, struct sl_error *err);
int sl_message_read_difficulty(const json_t *params, struct sl_difficulty *ret_difficulty,
                               struct sl_error *err);
/* [extranonce1, extranonce2_size, ...] from index `first` on. */
int sl_message_read_extranonce(const json_t *array, size_t first, struct sl_job_terms *terms,
                               struct sl_error *err);
/* A mask of the version: up to 8 hex digits, perhaps after "0x". */
int sl_message_read_mask(const json_t *value, const char *what, uint32_t *ret_mask,
                         struct sl_error *err);
/* 8 hex digits. */
int sl_message_read_hex32(const json_t *value, const char *what, uint32_t *ret_value,
                          struct sl_error *err);
/* The subscription id to send back after a reconnect; empty when the pool gave none. */
void sl_message_read_session_id(const json_t *result, char *out, size_t out_size);
/* mining.configure's answer. *ret_rolling false when the pool does not roll versions; -SL_INVALID
 * when it does and gives no mask that can be read. */
int sl_message_read_configure(const struct sl_message *message, bool *ret_rolling,
                              uint32_t *ret_mask, struct sl_error *err);
/* client.reconnect [host, port, wait_s], all optional; what is absent stays as it is. */
int sl_message_read_reconnect(const json_t *params, struct sl_pool_url *url, int64_t *wait_s,
                              struct sl_error *err);

/* Text from a pool made fit for a log line: control characters become '?', cut at whole
 * characters. */
void sl_message_clean(const char *text, char *out, size_t out_size);

/* Writers: one line with its LF in heap memory, or NULL when memory is short. `params`, `id` and
 * `result` are taken over. */
char *sl_message_write_request(int64_t id, const char *method, json_t *params, size_t *ret_size);
char *sl_message_write_answer(json_t *id, json_t *result, json_t *error, size_t *ret_size);

#endif
