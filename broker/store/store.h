/* SPDX-License-Identifier: Apache-2.0
 * The broker's durable memory: one SQLite file (WAL, synchronous=FULL), one thread that writes and
 * checkpoints (SQLite 3.40.1 has a WAL-reset defect with two writers, design 4), any number of
 * read-only connections that never checkpoint.
 *
 * A transaction is a list of operations that take effect together or not at all. The thread commits
 * all waiting transactions in one SQLite transaction (group commit), in the order of submission,
 * and then calls each one's `done`. A failed commit or checkpoint (full disk, I/O error, a broken
 * rule) fails the process: `fatal` is called once with the reason and nothing is written after it.
 *
 * Thread: submit from any thread; `done` and `fatal` run on the store's, and only hand on. */
#ifndef SLUICE_BROKER_STORE_STORE_H
#define SLUICE_BROKER_STORE_STORE_H

#include "broker/core/types.h"
#include "proto/base/cleanup.h"
#include "proto/base/error.h"

enum sl_op_kind {
    SL_OP_INVALID = 0,
    SL_OP_DEVICE,    /* upsert */
    SL_OP_DIRECTIVE, /* insert; its epoch must exceed the highest stored one of the device */
    SL_OP_UNIT,      /* insert, or close when unit.closed */
    SL_OP_RESULT,    /* insert; a second one for (batch, line) breaks a rule: the core dedupes */
    SL_OP_TRANSFER,  /* insert and add to both accounts' 128-bit sums */
    SL_OP_SHARE,     /* insert; (node_key, share_id) is unique */
    SL_OP_BATCH,     /* upsert of the whole row */
    SL_OP_FILE,      /* upsert */
    SL_OP_FILE_DELETE,
    SL_OP_KEY,        /* upsert */
    SL_OP_OVERRIDE,   /* upsert by subject; NONE deletes */
    SL_OP_AUDIT,      /* insert */
    SL_OP_PRICE,      /* insert; rows older than 30 days are pruned */
    SL_OP_AGAINST,    /* insert; rows older than 400 days are pruned */
    SL_OP_SETTLEMENT, /* insert, and its shares are marked */
    SL_OP_ENROLMENT,  /* upsert of a token; old ones are pruned */
    SL_OP_AGENT,      /* upsert of the whole row */
    SL_OP_EVENT,      /* insert under the next id; the newest 200,000 are kept */
    SL_OP_HEALTH,     /* upsert by device */
    SL_OP_POOL,       /* upsert of a pool's sums */
    SL_OP_META,       /* upsert of key -> text: counters, remainders, shadow sums */
};

struct sl_op {
    enum sl_op_kind kind;
    union {
        struct sl_device_row device;
        struct sl_directive_row directive;
        struct sl_unit_row unit;
        struct sl_result_row result; /* owns vectors */
        struct sl_transfer_row transfer;
        struct sl_share_row share;
        struct sl_batch_row *batch; /* malloc'ed, owned by the op */
        struct sl_file_row file;    /* FILE_DELETE: id only */
        struct sl_key_row key;
        struct sl_override_row override_;
        struct sl_audit_row audit;
        struct sl_price_row price;
        struct sl_against_row against;
        struct sl_settlement_row settlement;
        struct sl_enrolment_row enrolment;
        struct sl_agent_row agent;
        struct sl_event_row event;
        struct sl_health_row health;
        struct sl_pool_row pool;
        struct sl_op_meta meta;
    };
};

/* A growing list of operations; the store frees it, with what they own, after the commit. */
struct sl_txn {
    struct sl_op **blocks; /* [block_count], of eight each */
    uint32_t block_count, count;
    uint64_t ticket;
    void (*done)(void *arg, uint64_t ticket);
    void *arg;
};

int sl_txn_create(struct sl_txn **ret_txn, struct sl_error *err);
void sl_txn_destroy(struct sl_txn *txn);
SL_DEFINE_AUTO(sl_txn, sl_txn_destroy)
/* Appends by copy and takes over what *op owns (also on failure: -SL_NOMEM frees it). */
int sl_txn_add(struct sl_txn *txn, const struct sl_op *op, struct sl_error *err);
struct sl_op *sl_txn_op(const struct sl_txn *txn, uint32_t index);

struct sl_store;
struct sl_store_config {
    const char *path;
    /* Called once, with what to tell the operator, when the store can write no more. */
    void (*fatal)(void *arg, const char *reason);
    void *fatal_arg;
    /* SQLite's VFS below; NULL: files. With one there is no lock file: its owner sees to it that no
     * second broker opens the store. */
    const char *vfs;
    bool threadless; /* no writer thread: the caller calls sl_store_commit (simulator, tests) */
    /* Public key of the broker: a store made under another one is refused, unless it is to be
     * adopted. NULL: not looked at. */
    const char *site_key;
    bool adopt;
    /* Of the log, at which it is moved into the file in the next quiet moment; after six times as
     * many in any. 0: 5000. */
    uint32_t checkpoint_pages;
    int64_t lock_wait_ms; /* for a broker that is ending (proto/base/lock.h) */
};
/* Opens or creates the file (0600), takes an exclusive lock beside it (a second broker is refused),
 * checks every page and the log (file_check.h), runs PRAGMA quick_check and the schema migrations,
 * starts the writer thread. A damaged or newer store, and one of another site, is refused by name.
 */
int sl_store_open(const struct sl_store_config *config, struct sl_store **ret_store,
                  struct sl_error *err);
/* One group commit of what waits, or a checkpoint that is due; for a store without a thread. True
 * when there was something to do. */
bool sl_store_commit(struct sl_store *store);
/* Commits what waits, checkpoints, closes. */
void sl_store_close(struct sl_store *store);
SL_DEFINE_AUTO(sl_store, sl_store_close)
/* Takes the transaction over. -SL_CLOSED after a failure. */
int sl_store_submit(struct sl_store *store, struct sl_txn *txn);
/* Median and p99 of the last commits in us, for /metrics. */
void sl_store_commit_times(struct sl_store *store, uint32_t *ret_p50_us, uint32_t *ret_p99_us);

/* ---- reading: a connection of its own per thread, query_only ---- */
struct sl_reader;
/* vfs: as in sl_store_config. */
int sl_reader_open(const char *path, const char *vfs, struct sl_reader **ret_reader,
                   struct sl_error *err);
void sl_reader_close(struct sl_reader *reader);
SL_DEFINE_AUTO(sl_reader, sl_reader_close)

/* Returns 0 to go on, else the loop ends with SL_OK. Rows are valid during the call only. */
typedef int (*sl_row_cb)(void *arg, const void *row);

/* NULL filters mean all. after: exclusive row id (empty: from the newest). */
int sl_reader_devices(struct sl_reader *r, sl_row_cb cb, void *arg, struct sl_error *err);
int sl_reader_overrides(struct sl_reader *r, sl_row_cb cb, void *arg, struct sl_error *err);
/* Open ones, and closed ones of open batches. */
int sl_reader_open_units(struct sl_reader *r, sl_row_cb cb, void *arg, struct sl_error *err);
int sl_reader_open_batches(struct sl_reader *r, sl_row_cb cb, void *arg, struct sl_error *err);
int sl_reader_keys(struct sl_reader *r, sl_row_cb cb, void *arg, struct sl_error *err);
int sl_reader_meta(struct sl_reader *r, const char *key, char *ret_value,
                   size_t size); /* -SL_NOTFOUND, -SL_CORRUPT, -SL_IO */
/* Newest first. limit rows after `after`; *ret_has_more tells whether there are others. */
int sl_reader_batches(struct sl_reader *r, const char *tenant, const char *after, uint32_t limit,
                      sl_row_cb cb, void *arg, bool *ret_has_more, struct sl_error *err);
struct sl_file_list {
    const char *tenant, *purpose, *after;
    uint32_t limit;
    bool ascending;           /* oldest first */
    struct sl_wall living_at; /* those that have expired by then are left out; 0: none are */
};
int sl_reader_files(struct sl_reader *r, const struct sl_file_list *which, sl_row_cb cb, void *arg,
                    bool *ret_has_more, struct sl_error *err);
int sl_reader_batch(struct sl_reader *r, const char *id, struct sl_batch_row *ret_row,
                    struct sl_error *err); /* -SL_NOTFOUND; free with sl_batch_row_fini */
int sl_reader_file(struct sl_reader *r, const char *id, struct sl_file_row *ret_row,
                   struct sl_error *err);
/* struct sl_result_row in line order, with or without the vectors. */
int sl_reader_results(struct sl_reader *r, const char *batch, bool with_vectors, sl_row_cb cb,
                      void *arg, struct sl_error *err);
int sl_reader_directives(struct sl_reader *r, const char *device, uint32_t limit, sl_row_cb cb,
                         void *arg, struct sl_error *err); /* newest first */
/* The newest of a device; epoch 0: any, at.ms 0: whenever, else at or before. */
int sl_reader_decision(struct sl_reader *r, const char *device, uint64_t epoch, struct sl_wall at,
                       struct sl_directive_row *ret_row, struct sl_error *err); /* -SL_NOTFOUND */
/* struct sl_against_row, newest first; device NULL: all. */
int sl_reader_against(struct sl_reader *r, const char *device, uint32_t limit, sl_row_cb cb,
                      void *arg, struct sl_error *err);
int sl_reader_transfers(struct sl_reader *r, uint64_t after_id, uint32_t limit, sl_row_cb cb,
                        void *arg, struct sl_error *err);
struct sl_account_row {
    char id[SL_TENANT_MAX + 16];
    struct sl_nusd_sum debits, credits;
};
int sl_reader_accounts(struct sl_reader *r, sl_row_cb cb, void *arg, struct sl_error *err);
struct sl_share_totals { /* by outcome */
    uint64_t count[SL_SHARE_UNKNOWN + 1];
    int64_t last_share_ms;
};
int sl_reader_share_totals(struct sl_reader *r, struct sl_share_totals *ret_totals,
                           struct sl_error *err);
struct sl_store_high { /* highest ids in use, for the core's counters */
    uint64_t unit_id, transfer_id, share_rows;
    uint64_t epoch_floor; /* of devices that are not in the store */
};
int sl_reader_high(struct sl_reader *r, struct sl_store_high *ret_high, struct sl_error *err);
struct sl_share_ref { /* tells a share that was recorded from a new one */
    char node_key[48];
    uint64_t share_id;
};
/* struct sl_share_ref, node by node, the highest `limit` ids of each, falling: the core refills its
 * duplicate filter from them. */
int sl_reader_share_refs(struct sl_reader *r, uint32_t limit, sl_row_cb cb, void *arg,
                         struct sl_error *err);
bool sl_reader_has_share(struct sl_reader *r, const char *node_key, uint64_t share_id);
/* Replays every transfer and compares with the accounts: SL_OK when debits equal credits, every
 * account matches, no (batch, line) and no share was posted twice; else -SL_CORRUPT with the first
 * difference. */
int sl_reader_ledger_check(struct sl_reader *r, struct sl_error *err);

#endif
