/* SPDX-License-Identifier: Apache-2.0
 * Plain records that core, store, batch workers and HTTP share inside the broker. Texts are
 * NUL-terminated and bounded; money is integer nano-USD; times are wall ms unless said otherwise.
 * No ownership beyond what a field says. */
#ifndef SLUICE_BROKER_CORE_TYPES_H
#define SLUICE_BROKER_CORE_TYPES_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/core/decided.h"
#include "broker/core/event_row.h"
#include "broker/core/joining.h"
#include "broker/core/pool_state.h"
#include "broker/core/settlement.h"
#include "proto/base/clock.h"
#include "proto/base/mode.h"
#include "proto/base/money.h"
#include "proto/wire/msg.h"

#define SL_TENANT_MAX 64                       /* tenant id, with NUL */
#define SL_META_MAX (16 * (64 + 512) * 6 + 64) /* metadata as JSON text, worst case escaped */
#define SL_BATCH_LINES_MAX 50000
#define SL_BID_MAX_NUSD (INT64_C(1000000) * SL_NUSD_PER_USD) /* per Mtok; more is a slip */

/* OpenAI's states (inference.md 10 of the facts; developers' API reference "Batch object"). */
enum sl_batch_state {
    SL_BATCH_INVALID = 0,
    SL_BATCH_VALIDATING,
    SL_BATCH_FAILED,
    SL_BATCH_IN_PROGRESS,
    SL_BATCH_FINALIZING,
    SL_BATCH_COMPLETED,
    SL_BATCH_EXPIRED,
    SL_BATCH_CANCELLING,
    SL_BATCH_CANCELLED,
};

/* One row of `batches`; the core is its only writer. */
struct sl_batch_row {
    char id[SL_ID_MAX];
    char tenant[SL_TENANT_MAX];
    char input_file[SL_ID_MAX];
    char output_file[SL_ID_MAX]; /* empty: none */
    char error_file[SL_ID_MAX];
    char model[SL_MSG_NAME_MAX];
    char endpoint[32];
    enum sl_batch_state state;
    enum sl_batch_state after_finalizing; /* COMPLETED, EXPIRED or CANCELLED */
    int64_t bid_nusd_per_mtok;
    struct sl_wall created, in_progress, finalizing, completed, failed, expired;
    struct sl_wall cancelling, cancelled, deadline; /* the tenant's, else created + 24 h */
    uint32_t lines_total;
    uint32_t lines_completed;
    uint32_t lines_failed;
    int64_t tokens;
    struct sl_accrual accrual; /* remainder of this batch's token billing */
    int64_t billed_nusd;
    int64_t output_life_ms; /* of its output and error file, from when they are made; 0: for ever */
    char model_sha256[2 * SL_MSG_SHA256_BYTES + 1]; /* of the file it keeps to; empty: none yet */
    char *metadata; /* JSON object text or NULL; of whoever holds the row (sl_batch_row_fini) */
    char *errors;   /* JSON array text of errors.data[] or NULL; likewise */
};
void sl_batch_row_fini(struct sl_batch_row *row);
/* "validating", ... as the API shows them. */
const char *sl_batch_state_name(enum sl_batch_state state);
enum sl_batch_state sl_batch_state_parse(const char *name);
bool sl_batch_state_is_final(enum sl_batch_state state);

struct sl_file_row {
    char id[SL_ID_MAX];
    char tenant[SL_TENANT_MAX];
    char filename[256];
    char purpose[24]; /* "batch", "batch_output" */
    int64_t bytes;
    struct sl_wall created;
    struct sl_wall expires; /* ms 0: never */
};

enum sl_key_role { SL_ROLE_INVALID = 0, SL_ROLE_OPERATOR, SL_ROLE_TENANT };

struct sl_key_row {
    char id[SL_ID_MAX]; /* shown; says nothing about the secret */
    uint8_t hash[32];   /* BLAKE2b-256 (libsodium generichash) of the secret, 256 random bits */
    enum sl_key_role role;
    char tenant[SL_TENANT_MAX]; /* empty for operators */
    char label[64];
    struct sl_wall created;
    struct sl_wall revoked; /* ms 0: valid */
};

/* Line outcomes as stored. */
struct sl_result_row {
    char batch[SL_ID_MAX];
    uint32_t line;
    uint64_t unit_id;
    enum sl_line_status status;
    uint32_t tokens;
    uint32_t vector_count;
    uint32_t dim;     /* of its vectors; of a line that was TOO_LONG: the limit, 0: not known */
    uint8_t *vectors; /* [vector_count][dim] little-endian f32, malloc'ed; NULL when not OK */
    int64_t amount_nusd;
    struct sl_wall at;
};

/* A transfer debits one account and credits another by the same amount, so that the ledger balances
 * by construction; accounts are texts: "tenant:ID", "revenue:lease", "receivable:pool",
 * "revenue:hash", "cash:pool", "revenue:hash-adjustment", "cost:power", "payable:power". Immutable;
 * corrections are new transfers. */
enum sl_transfer_kind {
    SL_TRANSFER_INVALID = 0,
    SL_TRANSFER_LINE,       /* a finished line, ref = "BATCH/LINE" */
    SL_TRANSFER_SHARE,      /* an accepted share, ref = "NODEKEY/SHARE_ID" */
    SL_TRANSFER_POWER,      /* energy used by a device over a span, ref = "DEVICE/SEQ" */
    SL_TRANSFER_SETTLED,    /* credited by a pool, ref = "settlement/ID" */
    SL_TRANSFER_ADJUSTMENT, /* what that is above or below the quotes, ref likewise */
};

struct sl_transfer_row {
    uint64_t id; /* rising by one, no gaps */
    enum sl_transfer_kind kind;
    char debit[SL_TENANT_MAX + 16];
    char credit[SL_TENANT_MAX + 16];
    struct sl_nusd amount;
    char ref[2 * SL_MSG_KEY_MAX];
    struct sl_wall at;
};

struct sl_share_row {
    char node_key[48];               /* the agent's public key */
    char pool[SL_MSG_POOL_NAME_MAX]; /* that it was for */
    uint64_t share_id;
    char device[SL_MSG_KEY_MAX];
    enum sl_share_outcome outcome;
    int32_t code;
    uint64_t work_hashes;
    uint64_t difficulty_nano;
    int64_t price_nusd_per_ph_day; /* the recorded hashprice used, factor included */
    int64_t amount_nusd;
    struct sl_wall at;
};

struct sl_unit_row {
    uint64_t unit_id; /* rising by one across restarts */
    char node_key[48];
    char device[SL_MSG_KEY_MAX];
    uint64_t epoch;
    char batch[SL_ID_MAX];
    int64_t price_nusd_per_mtok; /* of the grant under which it was issued */
    int64_t reserved_nusd;       /* worst cost, held against the tenant's budget until closed */
    uint32_t line_count;
    uint32_t lines[SL_MSG_LINES_MAX];
    bool closed;
};

struct sl_device_row {
    char key[SL_MSG_KEY_MAX];
    char node[SL_MSG_NAME_MAX];
    char node_key[48];
    uint64_t epoch_max; /* highest ever granted or reported */
    struct sl_wall first_seen;
};

/* An operator's order; holds until lifted. subject: device key, node name, or "*" (stop --all). */
enum sl_override_kind {
    SL_OVERRIDE_NONE = 0,
    SL_OVERRIDE_DRAIN, /* no work: idle */
    SL_OVERRIDE_PIN,   /* stay in `mode` */
    SL_OVERRIDE_STOP,  /* stop --all */
    SL_OVERRIDE_CLEAR, /* no order: the device's health is taken for good again */
};
struct sl_override_row {
    char subject[SL_MSG_KEY_MAX];
    enum sl_override_kind kind; /* NONE lifts it */
    enum sl_mode mode;
    char actor[SL_ID_MAX]; /* key id */
    struct sl_wall at;
};

struct sl_audit_row {
    char actor[SL_ID_MAX];
    char action[32];
    char subject[SL_MSG_KEY_MAX];
    char detail[SL_WHY_MAX];
    struct sl_wall at;
    uint64_t id; /* given by the store, rising */
};

struct sl_op_meta { /* one row of `meta` */
    char key[64];
    char value[192];
};

struct sl_price_row {
    char feed[32];
    int64_t value_nano; /* unit of the feed x 1e9 */
    struct sl_wall as_of, seen;
};

#endif
