/* SPDX-License-Identifier: Apache-2.0
 * Keys: 256 random bits as "sk-sluice-" and 64 hex digits, shown once, stored as BLAKE2b-256. The
 * rows are cached; a change reloads them. Thread: any. */
#ifndef SLUICE_BROKER_HTTP_AUTH_H
#define SLUICE_BROKER_HTTP_AUTH_H

#include <pthread.h>

#include "broker/http/call.h"

#define SL_SECRET_PREFIX "sk-sluice-"
#define SL_SECRET_MAX 96

struct sl_keys {
    pthread_mutex_t lock;
    struct sl_key_row *rows; /* revoked ones too */
    uint32_t count;
    uint32_t cap;
};

int sl_keys_init(struct sl_keys *keys, struct sl_error *err);
void sl_keys_fini(struct sl_keys *keys);
/* Replaces the cache by the store's rows. */
int sl_keys_load(struct sl_keys *keys, struct sl_reader *reader, struct sl_error *err);
/* Whose secret this is; false when nobody's or revoked. Takes the same time for all secrets. */
bool sl_keys_find(struct sl_keys *keys, const char *secret, struct sl_identity *ret_identity);
uint32_t sl_keys_operators(struct sl_keys *keys); /* valid ones */

/* A fresh secret and its row; the caller wipes the secret after showing it. */
void sl_key_make(enum sl_key_role role, const char *tenant, const char *label,
                 char secret[SL_SECRET_MAX], struct sl_key_row *ret_row);
/* DATA_DIR/operator.key and its row exist afterwards, unless there is a valid operator key whose
 * file was taken away. */
int sl_http_ensure_operator_key(struct sl_http *http, struct sl_reader *reader,
                                struct sl_error *err);

/* Host names us and Origin, where there is one, is the same place: a page of another site that
 * found its way here by DNS is refused. */
bool sl_host_allowed(const struct sl_http *http, const char *host);
bool sl_origin_matches(const char *origin, const char *host);

#endif
