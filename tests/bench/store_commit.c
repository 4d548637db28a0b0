/* SPDX-License-Identifier: Apache-2.0
 * How long a commit of the store takes, from its submission to `done`, and how many it does a
 * second when many wait: what a change of the store costs. One line of figures; run old and new in
 * turns.
 *
 *     store_commit FOLDER [COMMITS] */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/store/store.h"
#include "proto/base/clock.h"
#include "proto/base/mailbox.h"

static void on_fatal(void *arg, const char *reason) {
    (void)arg;
    fprintf(stderr, "store_commit: %s\n", reason);
    exit(1);
}

static void on_done(void *arg, uint64_t ticket) {
    sl_mailbox_put_wait(arg, &ticket);
}

/* As one result of a unit: four lines, their postings, the batch's row. */
static struct sl_txn *line_txn(uint64_t n, void *arg) {
    struct sl_txn *txn = NULL;
    if (sl_txn_create(&txn, NULL)) {
        exit(1);
    }
    for (uint64_t i = 0; i < 4; i++) {
        struct sl_op result = {.kind = SL_OP_RESULT};
        snprintf(result.result.batch, sizeof result.result.batch, "batch_%llu",
                 (unsigned long long)(n / 1000));
        result.result.line = (uint32_t)(n % 1000 * 4 + i);
        result.result.status = SL_LINE_OK;
        result.result.vector_count = 1;
        result.result.dim = 384;
        result.result.vectors = calloc(384, 4);
        struct sl_op transfer = {.kind = SL_OP_TRANSFER};
        transfer.transfer.id = n * 4 + i + 1;
        transfer.transfer.kind = SL_TRANSFER_LINE;
        snprintf(transfer.transfer.debit, sizeof transfer.transfer.debit, "tenant:demo");
        snprintf(transfer.transfer.credit, sizeof transfer.transfer.credit, "revenue:lease");
        transfer.transfer.amount.v = 1000;
        snprintf(transfer.transfer.ref, sizeof transfer.transfer.ref, "batch_%llu/%u",
                 (unsigned long long)(n / 1000), result.result.line);
        if (sl_txn_add(txn, &result, NULL) || sl_txn_add(txn, &transfer, NULL)) {
            exit(1);
        }
    }
    txn->ticket = n + 1;
    txn->done = on_done;
    txn->arg = arg;
    return txn;
}

static int compare(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a;
    int64_t y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

int main(int argc, char **argv) {
    struct sl_store *store = NULL;
    struct sl_mailbox *done = NULL;
    struct sl_error err;
    char path[256];
    size_t count = argc > 2 ? (size_t)strtoull(argv[2], NULL, 10) : 2000;
    int64_t *took = calloc(count, sizeof *took);
    if (argc < 2 || !took) {
        fprintf(stderr, "Usage: store_commit FOLDER [COMMITS]\n");
        return 2;
    }
    snprintf(path, sizeof path, "%s/store.db", argv[1]);
    const struct sl_store_config config = {.path = path, .fatal = on_fatal};
    if (sl_mailbox_create(sizeof(uint64_t), 65536, &done, &err) ||
        sl_store_open(&config, &store, &err)) {
        fprintf(stderr, "store_commit: %s\n", err.text);
        return 1;
    }
    uint64_t ticket = 0;
    for (size_t i = 0; i < count; i++) {
        struct sl_mono start = sl_clock_mono();
        sl_store_submit(store, line_txn(i, done));
        sl_mailbox_take_wait(done, -1, &ticket);
        took[i] = sl_mono_since_ns(sl_clock_mono(), start);
    }
    qsort(took, count, sizeof *took, compare);
    struct sl_mono start = sl_clock_mono();
    for (size_t i = count; i < 11 * count; i++) {
        sl_store_submit(store, line_txn(i, done));
    }
    while (ticket < 11 * count) {
        sl_mailbox_take_wait(done, -1, &ticket);
    }
    int64_t all_ns = sl_mono_since_ns(sl_clock_mono(), start);
    printf("commit_p50_us=%lld commit_p99_us=%lld txn_per_s=%lld\n",
           (long long)took[count / 2] / 1000, (long long)took[count * 99 / 100] / 1000,
           (long long)((int64_t)count * 10 * SL_NS_PER_S / all_ns));
    sl_store_close(store);
    sl_mailbox_destroy(done);
    free(took);
    return 0;
}
