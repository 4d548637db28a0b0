/* SPDX-License-Identifier: Apache-2.0
 * Files of a store as they lay on the disk at some moment, put down again with damage or with what
 * a power failure takes back, and what they then hold. */
#ifndef SLUICE_TESTS_UNIT_BROKER_STORE_IMAGE_H
#define SLUICE_TESTS_UNIT_BROKER_STORE_IMAGE_H

#include "broker/store/file_check.h"
#include "tests/unit/broker/store/rig.h"

#define FRAME_BYTES (24 + SL_PAGE_BYTES)

struct bytes {
    uint8_t *data;
    size_t size;
};

struct image {
    struct bytes main, wal;
};

static inline struct bytes load(const char *path) {
    struct bytes b = {0};
    FILE *file = fopen(path, "rb");
    if (file) {
        fseek(file, 0, SEEK_END);
        b.size = (size_t)ftell(file);
        rewind(file);
        b.data = malloc(b.size + 1);
        assert_non_null(b.data);
        assert_int_equal(fread(b.data, 1, b.size, file), b.size);
        fclose(file);
    }
    return b;
}

static inline void save(const char *path, const struct bytes *b) {
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(b->data, 1, b->size, file), b->size);
    fclose(file);
}

static inline struct bytes copy_bytes(const struct bytes *b) {
    struct bytes c = {malloc(b->size + 1), b->size};
    assert_non_null(c.data);
    memcpy(c.data, b->data, b->size);
    return c;
}

/* The store's files now; the log with so many frames, since it is made long ahead. */
static inline struct image take_image(const struct fixture *f, size_t wal_frames) {
    char path[128];
    snprintf(path, sizeof path, "%s-wal", f->path);
    struct image image = {load(f->path), load(path)};
    size_t bytes = 32 + wal_frames * FRAME_BYTES;
    uint8_t *wal = calloc(1, bytes);
    assert_non_null(wal);
    if (image.wal.data) {
        memcpy(wal, image.wal.data, image.wal.size < bytes ? image.wal.size : bytes);
    }
    free(image.wal.data);
    image.wal.data = wal;
    image.wal.size = wal_frames ? bytes : 0;
    return image;
}

static inline void image_free(struct image *image) {
    free(image->main.data);
    free(image->wal.data);
}

static inline void put_image(const char *path, const struct image *image) {
    char other[128];
    save(path, &image->main);
    snprintf(other, sizeof other, "%s-wal", path);
    unlink(other);
    if (image->wal.size) {
        save(other, &image->wal);
    }
    snprintf(other, sizeof other, "%s-shm", path);
    unlink(other);
}

static inline int check_image(const char *path, const struct image *image, struct sl_error *err) {
    struct sl_file_facts facts;
    put_image(path, image);
    return sl_file_check(NULL, path, &facts, err);
}

static inline uint64_t mix_bytes(uint64_t hash, const void *data, size_t n) {
    for (size_t i = 0; i < n; i++) {
        hash = (hash ^ ((const uint8_t *)data)[i]) * UINT64_C(1099511628211);
    }
    return (hash ^ n) * UINT64_C(1099511628211);
}

/* A hash of all that the files at `path` say, as SQLite reads them; 0: it cannot. */
static inline uint64_t contents(const char *path) {
    static const char *const tables[] = {"meta",  "batches", "devices",   "directives",
                                         "units", "results", "transfers", "accounts",
                                         "audit", "prices",  "shares",    "files"};
    uint64_t hash = UINT64_C(1469598103934665603);
    sqlite3 *db = open_raw(path);
    sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    for (size_t i = 0; i < sizeof tables / sizeof tables[0] && hash; i++) {
        char sql[64];
        sqlite3_stmt *stmt = NULL;
        snprintf(sql, sizeof sql, "SELECT * FROM %s ORDER BY 1,2", tables[i]);
        if (sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) != SQLITE_OK) {
            hash = 0;
            break;
        }
        int rc;
        while ((rc = sqlite3_step(stmt)) == SQLITE_ROW) {
            for (int k = 0; k < sqlite3_column_count(stmt); k++) {
                const void *value = sqlite3_column_blob(stmt, k);
                hash = mix_bytes(hash, value, (size_t)sqlite3_column_bytes(stmt, k));
            }
        }
        hash = rc == SQLITE_DONE ? hash : 0;
        sqlite3_finalize(stmt);
    }
    sqlite3_close(db);
    return hash;
}

static inline uint64_t dice(uint64_t *state) {
    *state = *state * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return *state >> 20;
}

/* As the store does it in quiet moments; by another connection, which has to look first. */
static inline void checkpoint_now(const char *path) {
    sqlite3 *db = open_raw(path);
    assert_int_equal(sqlite3_exec(db, "SELECT count(*) FROM meta", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_wal_checkpoint_v2(db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL),
                     SQLITE_OK);
    sqlite3_close(db);
}

/* One commit: a line with its posting, and something large. */
static inline void commit_line(struct fixture *f, uint32_t n) {
    char ref[32];
    snprintf(ref, sizeof ref, "batch_1/%u", n);
    struct sl_op audit = {.kind = SL_OP_AUDIT};
    snprintf(audit.audit.detail, sizeof audit.audit.detail, "line %u", n);
    struct sl_op ops[] = {line_op(n, 100 + n), transfer_op(n + 1, ref, 100 + n), audit};
    free(ops[0].result.vectors);
    ops[0].result.dim = 2000;
    ops[0].result.vectors = malloc(8000);
    assert_non_null(ops[0].result.vectors);
    memset(ops[0].result.vectors, (int)n, 8000);
    submit(f, ops, 3, n + 1);
    wait_for(f, n + 1);
    assert_int_equal(atomic_load(&f->durable), n + 1);
}

#endif
