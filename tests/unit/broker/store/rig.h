/* SPDX-License-Identifier: Apache-2.0
 * What the store's tests share: a store in a folder of its own, and operations to fill it with. */
#ifndef SLUICE_TESTS_UNIT_BROKER_STORE_RIG_H
#define SLUICE_TESTS_UNIT_BROKER_STORE_RIG_H

#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "broker/store/page_sum.h"
#include "broker/store/store.h"
#include "proto/base/text.h"

struct fixture {
    char dir[64];
    char path[96];
    const char *vfs; /* named: without the room of the log and the lock */
    struct sl_store *store;
    _Atomic uint64_t durable;
    _Atomic int fatal;
    char reason[SL_ERROR_TEXT_MAX];
};

static inline void on_done(void *arg, uint64_t ticket) {
    atomic_store(&((struct fixture *)arg)->durable, ticket);
}

static inline void on_fatal(void *arg, const char *reason) {
    struct fixture *f = arg;
    sl_text_copy(f->reason, sizeof f->reason, reason);
    atomic_store(&f->fatal, 1);
}

static inline int open_again(struct fixture *f, struct sl_error *err) {
    return sl_store_open(
        &(struct sl_store_config){
            .path = f->path, .fatal = on_fatal, .fatal_arg = f, .vfs = f->vfs},
        &f->store, err);
}

/* As SQLite's own tools would, but with page checksums. */
static inline sqlite3 *open_raw(const char *path) {
    sqlite3 *db = NULL;
    char vfs[SL_PAGE_VFS_NAME_MAX];
    assert_int_equal(sl_page_vfs(NULL, vfs), SQLITE_OK);
    assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, vfs),
                     SQLITE_OK);
    return db;
}

static inline int setup_on(void **state, const char *vfs) {
    struct fixture *f = calloc(1, sizeof *f);
    strcpy(f->dir, "/tmp/sluice-store-XXXXXX");
    if (!f || !mkdtemp(f->dir)) {
        return -1;
    }
    snprintf(f->path, sizeof f->path, "%s/store.db", f->dir);
    f->vfs = vfs;
    struct sl_error err;
    if (open_again(f, &err)) {
        fprintf(stderr, "%s\n", err.text);
        return -1;
    }
    *state = f;
    return 0;
}

static inline int setup(void **state) {
    return setup_on(state, NULL);
}

/* Small files, for tests that put many of them down. */
static inline int setup_small(void **state) {
    return setup_on(state, "unix");
}

static inline int teardown(void **state) {
    struct fixture *f = *state;
    sl_store_close(f->store);
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", f->dir);
    int rc = system(command);
    free(f);
    return rc;
}

static inline void submit(struct fixture *f, const struct sl_op *ops, uint32_t count,
                          uint64_t ticket) {
    struct sl_txn *txn = NULL;
    assert_int_equal(sl_txn_create(&txn, NULL), 0);
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(sl_txn_add(txn, &ops[i], NULL), 0);
    }
    txn->ticket = ticket;
    txn->done = on_done;
    txn->arg = f;
    assert_int_equal(sl_store_submit(f->store, txn), 0);
}

static inline void wait_for(struct fixture *f, uint64_t ticket) {
    for (int i = 0; i < 5000 && atomic_load(&f->durable) < ticket && !atomic_load(&f->fatal); i++) {
        usleep(1000);
    }
}

static inline struct sl_op line_op(uint32_t line, int64_t amount) {
    struct sl_op op = {.kind = SL_OP_RESULT};
    strcpy(op.result.batch, "batch_1");
    op.result.line = line;
    op.result.status = SL_LINE_OK;
    op.result.tokens = 7;
    op.result.vector_count = 1;
    op.result.dim = 2;
    op.result.vectors = calloc(2, 4);
    op.result.amount_nusd = amount;
    return op;
}

static inline struct sl_op transfer_op(uint64_t id, const char *ref, int64_t amount) {
    struct sl_op op = {.kind = SL_OP_TRANSFER};
    op.transfer.id = id;
    op.transfer.kind = SL_TRANSFER_LINE;
    strcpy(op.transfer.debit, "tenant:demo");
    strcpy(op.transfer.credit, "revenue:lease");
    op.transfer.amount.v = amount;
    strcpy(op.transfer.ref, ref);
    return op;
}

static inline struct sl_op batch_op(int64_t billed) {
    struct sl_op op = {.kind = SL_OP_BATCH, .batch = calloc(1, sizeof(struct sl_batch_row))};
    strcpy(op.batch->id, "batch_1");
    strcpy(op.batch->tenant, "demo");
    op.batch->state = SL_BATCH_IN_PROGRESS;
    op.batch->after_finalizing = SL_BATCH_COMPLETED;
    op.batch->metadata = strdup("{\"a\":\"b\"}");
    op.batch->accrual.rem = 999999;
    op.batch->billed_nusd = billed;
    return op;
}

static inline int count_rows(void *arg, const void *row) {
    (void)row;
    (*(int *)arg)++;
    return 0;
}

#endif
