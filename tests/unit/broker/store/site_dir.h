/* SPDX-License-Identifier: Apache-2.0
 * A broker's data directory with a batch under way, for tests of backups: rows and their files. */
#ifndef SLUICE_TESTS_UNIT_BROKER_STORE_SITE_DIR_H
#define SLUICE_TESTS_UNIT_BROKER_STORE_SITE_DIR_H

#include <fcntl.h>
#include <sys/stat.h>

#include "broker/store/backup.h"
#include "tests/unit/broker/store/image.h"

#define BIG_BYTES (3 * 1024 * 1024 + 17)

static inline void write_text(const struct fixture *f, const char *name, const char *text,
                              size_t n) {
    char path[160];
    struct bytes b = {(uint8_t *)text, n};
    snprintf(path, sizeof path, "%s/%s", f->dir, name);
    save(path, &b);
}

static inline struct sl_op file_op(const char *id, int64_t bytes) {
    struct sl_op op = {.kind = SL_OP_FILE};
    strcpy(op.file.id, id);
    strcpy(op.file.tenant, "demo");
    strcpy(op.file.purpose, "batch");
    op.file.bytes = bytes;
    return op;
}

static inline void make_site(struct fixture *f) {
    char path[160];
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/%s", f->dir, i ? "lines" : "files");
        assert_int_equal(mkdir(path, 0700), 0);
    }
    char *big = malloc(BIG_BYTES);
    assert_non_null(big);
    for (size_t i = 0; i < BIG_BYTES; i++) {
        big[i] = (char)(i * 7 + i / 999);
    }
    write_text(f, "files/file-in", big, BIG_BYTES);
    write_text(f, "files/file-empty", "", 0);
    write_text(f, "files/file-part", big, 1 << 20);
    write_text(f, "files/file-gone", "deleted", 7);
    write_text(f, "lines/batch_1", "spool", 5);
    write_text(f, "lines/batch_old", "forgotten", 9);
    write_text(f, "operator.key", "secret\n", 7);
    free(big);
    struct sl_op gone = file_op("file-gone", 7);
    struct sl_op delete = {.kind = SL_OP_FILE_DELETE};
    strcpy(delete.file.id, "file-gone");
    struct sl_op device = {.kind = SL_OP_DEVICE};
    strcpy(device.device.key, "n/pocl/0");
    device.device.epoch_max = 5;
    struct sl_op unit = {.kind = SL_OP_UNIT};
    unit.unit.unit_id = 41;
    strcpy(unit.unit.batch, "batch_1");
    struct sl_op ops[] = {batch_op(0),
                          file_op("file-in", BIG_BYTES),
                          file_op("file-empty", 0),
                          file_op("file-part", 1 << 20),
                          gone,
                          delete,
                          device,
                          unit};
    submit(f, ops, 8, 1);
    wait_for(f, 1);
    assert_int_equal(atomic_load(&f->durable), 1);
}

static inline bool same_file(const char *dir_a, const char *dir_b, const char *name) {
    char path[200];
    snprintf(path, sizeof path, "%s/%s", dir_a, name);
    struct bytes a = load(path);
    snprintf(path, sizeof path, "%s/%s", dir_b, name);
    struct bytes b = load(path);
    bool same = a.data && b.data && a.size == b.size && memcmp(a.data, b.data, a.size) == 0;
    free(a.data);
    free(b.data);
    return same;
}

static inline int backup_to(struct fixture *f, const char *file, struct sl_error *err) {
    struct sl_backup_facts facts;
    const struct sl_backup_config config = {
        .data_dir = f->dir, .file = file, .now = {INT64_C(1800000000000)}};
    return sl_backup_make(&config, &facts, err);
}

__attribute__((format(printf, 1, 2))) static inline int run_command(const char *format, ...) {
    char command[900];
    va_list args;
    va_start(args, format);
    vsnprintf(command, sizeof command, format, args);
    va_end(args);
    return system(command);
}

#endif
