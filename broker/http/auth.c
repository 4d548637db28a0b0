/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/http/auth.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "broker/batch/batch.h"
#include "broker/http/internal.h"

int sl_keys_init(struct sl_keys *keys, struct sl_error *err) {
    *keys = (struct sl_keys){0};
    return pthread_mutex_init(&keys->lock, NULL) == 0
               ? SL_OK
               : sl_fail(err, SL_NOMEM, "no memory for keys");
}

void sl_keys_fini(struct sl_keys *keys) {
    free(keys->rows);
    pthread_mutex_destroy(&keys->lock);
}

static int append_key(void *arg, const void *row) {
    struct sl_keys *keys = arg;
    if (keys->count == keys->cap) {
        uint32_t cap = keys->cap ? keys->cap * 2 : 64;
        struct sl_key_row *rows = realloc(keys->rows, cap * sizeof *rows);
        if (!rows) {
            return 1;
        }
        keys->rows = rows;
        keys->cap = cap;
    }
    memcpy(&keys->rows[keys->count++], row, sizeof keys->rows[0]);
    return 0;
}

int sl_keys_load(struct sl_keys *keys, struct sl_reader *reader, struct sl_error *err) {
    struct sl_keys fresh = {0};
    int rc = sl_reader_keys(reader, append_key, &fresh, err);
    if (rc != SL_OK) {
        free(fresh.rows);
        return rc;
    }
    pthread_mutex_lock(&keys->lock);
    struct sl_key_row *old = keys->rows;
    keys->rows = fresh.rows;
    keys->count = fresh.count;
    keys->cap = fresh.cap;
    pthread_mutex_unlock(&keys->lock);
    free(old);
    return SL_OK;
}

static void hash_secret(const char *secret, uint8_t hash[32]) {
    crypto_generichash(hash, 32, (const unsigned char *)secret, strlen(secret), NULL, 0);
}

bool sl_keys_find(struct sl_keys *keys, const char *secret, struct sl_identity *ret_identity) {
    uint8_t hash[32];
    bool found = false;
    hash_secret(secret, hash);
    pthread_mutex_lock(&keys->lock);
    for (uint32_t i = 0; i < keys->count; i++) {
        const struct sl_key_row *row = &keys->rows[i];
        /* Every row is compared, and each comparison takes the same time. */
        if (sodium_memcmp(hash, row->hash, sizeof hash) == 0 && row->revoked.ms == 0) {
            found = true;
            ret_identity->role = row->role;
            sl_text_copy(ret_identity->key_id, sizeof ret_identity->key_id, row->id);
            sl_text_copy(ret_identity->tenant, sizeof ret_identity->tenant, row->tenant);
        }
    }
    pthread_mutex_unlock(&keys->lock);
    return found;
}

uint32_t sl_keys_operators(struct sl_keys *keys) {
    uint32_t count = 0;
    pthread_mutex_lock(&keys->lock);
    for (uint32_t i = 0; i < keys->count; i++) {
        count += keys->rows[i].role == SL_ROLE_OPERATOR && keys->rows[i].revoked.ms == 0;
    }
    pthread_mutex_unlock(&keys->lock);
    return count;
}

static void fill_row(enum sl_key_role role, const char *tenant, const char *label,
                     const char *secret, struct sl_key_row *ret_row) {
    struct sl_key_row row = {.role = role, .created = sl_clock_wall()};
    uint8_t random[8];
    randombytes_buf(random, sizeof random);
    memcpy(row.id, "key_", 4);
    sl_hex_encode(random, sizeof random, row.id + 4);
    hash_secret(secret, row.hash);
    sl_text_copy(row.tenant, sizeof row.tenant, tenant);
    sl_text_copy(row.label, sizeof row.label, label);
    *ret_row = row;
}

void sl_key_make(enum sl_key_role role, const char *tenant, const char *label,
                 char secret[SL_SECRET_MAX], struct sl_key_row *ret_row) {
    uint8_t random[32];
    randombytes_buf(random, sizeof random);
    memcpy(secret, SL_SECRET_PREFIX, sizeof SL_SECRET_PREFIX);
    sl_hex_encode(random, sizeof random, secret + sizeof SL_SECRET_PREFIX - 1);
    sodium_memzero(random, sizeof random);
    fill_row(role, tenant, label, secret, ret_row);
}

/* The secret in the file, without its line end. -SL_NOTFOUND when there is none. */
static int read_secret(const char *path, char secret[SL_SECRET_MAX], struct sl_error *err) {
    SL_AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0) {
        return errno == ENOENT ? -SL_NOTFOUND : sl_fail_errno(err, "reading %s", path);
    }
    ssize_t n = read(fd, secret, SL_SECRET_MAX - 1);
    if (n < 0) {
        return sl_fail_errno(err, "reading %s", path);
    }
    secret[n] = '\0';
    secret[strcspn(secret, "\r\n")] = '\0';
    if (strncmp(secret, SL_SECRET_PREFIX, sizeof SL_SECRET_PREFIX - 1) != 0 ||
        strlen(secret) != sizeof SL_SECRET_PREFIX - 1 + 64) {
        return sl_fail(err, SL_CORRUPT,
                       "%s holds no operator key: remove it, and a new one is "
                       "written at the next start",
                       path);
    }
    return SL_OK;
}

static int write_secret(const char *data_dir, const char *path, const char *secret,
                        struct sl_error *err) {
    char tmp[SL_BATCH_PATH_MAX + 8];
    snprintf(tmp, sizeof tmp, "%s.tmp", path);
    unlink(tmp);
    SL_AUTO_FD int fd = open(tmp, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
    size_t n = strlen(secret);
    if (fd < 0 || write(fd, secret, n) != (ssize_t)n || write(fd, "\n", 1) != 1 || fsync(fd) != 0 ||
        rename(tmp, path) != 0) {
        return sl_fail_errno(err, "writing the operator key %s", path);
    }
    return sl_batch_sync_dir(data_dir, ".", err);
}

int sl_http_ensure_operator_key(struct sl_http *http, struct sl_reader *reader,
                                struct sl_error *err) {
    char path[SL_BATCH_PATH_MAX];
    char secret[SL_SECRET_MAX] = "";
    struct sl_identity identity;
    snprintf(path, sizeof path, "%s/operator.key", http->data_dir);
    int rc = sl_keys_load(&http->keys, reader, err);
    if (rc != SL_OK) {
        return rc;
    }
    rc = read_secret(path, secret, err);
    if (rc != SL_OK && rc != -SL_NOTFOUND) {
        return rc;
    }
    bool has_file = rc == SL_OK;
    if (sl_keys_operators(&http->keys) > 0 ||
        (has_file && sl_keys_find(&http->keys, secret, &identity))) {
        sodium_memzero(secret, sizeof secret);
        return SL_OK;
    }
    struct sl_op op = {.kind = SL_OP_KEY};
    if (has_file) { /* the store is new, or the last start ended between file and row */
        fill_row(SL_ROLE_OPERATOR, "", "first start", secret, &op.key);
        rc = SL_OK;
    } else {
        sl_key_make(SL_ROLE_OPERATOR, "", "first start", secret, &op.key);
        rc = write_secret(http->data_dir, path, secret, err);
    }
    sodium_memzero(secret, sizeof secret);
    SL_AUTO(sl_txn) txn = NULL;
    rc = rc ? rc : sl_txn_create(&txn, err);
    rc = rc ? rc : sl_txn_add(txn, &op, err);
    rc = rc ? rc : sl_http_commit(http, sl_take(&txn), err);
    return rc ? rc : sl_keys_load(&http->keys, reader, err);
}

static bool is_address(const char *name) {
    uint8_t address[16];
    return inet_pton(AF_INET, name, address) == 1 || inet_pton(AF_INET6, name, address) == 1;
}

bool sl_host_allowed(const struct sl_http *http, const char *host) {
    char name[128];
    if (!host || !sl_text_copy(name, sizeof name, host)) {
        return false;
    }
    const char *bare = name;
    if (name[0] == '[') {
        bare = name + 1;
        name[strcspn(name, "]")] = '\0';
    } else {
        name[strcspn(name, ":")] = '\0';
    }
    /* An address cannot be rebound to another one, as a name can. */
    if (is_address(bare) || strcasecmp(bare, "localhost") == 0) {
        return true;
    }
    for (uint32_t i = 0; i < http->host_count; i++) {
        if (strcasecmp(bare, http->hosts[i]) == 0) {
            return true;
        }
    }
    return false;
}

bool sl_origin_matches(const char *origin, const char *host) {
    const char *at = strstr(origin, "://");
    if (!host || !at ||
        (strncasecmp(origin, "http:", 5) != 0 && strncasecmp(origin, "https:", 6) != 0)) {
        return false;
    }
    return strcasecmp(at + 3, host) == 0;
}
