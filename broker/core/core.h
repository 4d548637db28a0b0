/* SPDX-License-Identifier: Apache-2.0
 * The broker's core: one single-threaded state machine, (state, event, now) -> commands. It does no
 * I/O, reads no clock and draws no random numbers. The shell (broker/shell) and the tests feed it
 * events and carry out its commands.
 *
 * Durability: whatever must be durable before it is seen outside (a directive, a unit, a result's
 * acknowledgement, an answer to a tenant) is put in the outbox behind the ticket of the transaction
 * that makes it so; the command becomes visible to sl_broker_core_next only after DURABLE with that
 * ticket. Decisions are made in one place, the tick (decide.c); events only change state and may
 * arm it.
 *
 * Thread: the loop's. An event's pointers stay the caller's; the core copies what it keeps (BATCH
 * and VALIDATED transfer). A command is the caller's after next: free with sl_core_command_fini. */
#ifndef SLUICE_BROKER_CORE_CORE_H
#define SLUICE_BROKER_CORE_CORE_H

#include "broker/core/feed.h"
#include "broker/core/types.h"
#include "broker/policy/document.h"
#include "broker/store/store.h"
#include "proto/base/log.h"
#include "proto/link/link.h"
#include "proto/wire/msg.h"
#include "schedulers/calibration.h"
#include "schedulers/quote.h"
#include "schedulers/tariff.h"

struct sl_broker_core;
struct sl_refusals;

#define SL_CORE_FEEDS_MAX 16
#define SL_CORE_TENANTS_MAX 256
#define SL_CORE_MODELS_MAX 32

struct sl_core_tenant {
    char id[SL_TENANT_MAX];
    int64_t default_bid_nusd_per_mtok; /* for a batch without a bid */
    int64_t budget_nusd;               /* < 0: unlimited */
};

struct sl_core_config {
    int64_t lease_ttl_ms; /* of a directive, default 5000; renewed at a third of it */
    int64_t report_ms;    /* wanted from agents, default 1000 */
    int64_t
        session_lost_ms; /* no report for so long: lost; its devices are free after ttl + margin */
    enum sl_mode safe_mode;
    int64_t safe_mode_max_ms;
    char next_server_key[SL_NODE_KEY_MAX]; /* public key to come, told to agents; empty: none */
    int64_t threshold_ppm;     /* a move must earn so much more, ppm of the present value */
    int64_t dwell_min_ms;      /* after a move caused by price */
    int64_t switch_horizon_ms; /* a switch's cost is spread over so long, default 60 s */
    int64_t
        hash_factor_milli; /* hashprice x this / 1000; 1000 in earnest, more in a demo on a CPU */
    int64_t power_nusd_per_kwh; /* fixed tariff; < 0: from the POWER feed, else unknown */
    struct sl_tariff tariff;    /* by time of day, where it has windows: outranks the price above */
    int64_t hash_rate_max_hs;   /* of a device; what says more is not believed. Default 1 PH/s */
    int64_t batch_life_ms;      /* default 24 h */
    uint32_t unit_lines;        /* lines of one unit, default 32 */
    uint32_t units_ahead;       /* per device, default 2 */
    bool log_decisions;         /* every step of every device, as DECISION commands */
    struct sl_policy_document policy;         /* how this site decides; zeroed: no limits */
    struct sl_calibration_limits calibration; /* zeros: quotes are taken as they are */
    struct sl_quote_limits quote;             /* zeros: every source is believed */
    uint32_t feed_count;
    struct sl_core_feed feeds[SL_CORE_FEEDS_MAX];
    uint32_t tenant_count;
    struct sl_core_tenant tenants[SL_CORE_TENANTS_MAX];
    uint32_t model_count; /* the catalogue tenants may ask for; empty: whatever agents report */
    char models[SL_CORE_MODELS_MAX][SL_MSG_NAME_MAX];
};

/* What the core needs of a validated batch's lines; texts stay in the spool (broker/batch). */
struct sl_core_lines {
    uint32_t count;
    uint32_t *worst_tokens; /* [count] upper bound from the text's bytes; malloc'ed, moves */
    bool tokens;            /* a line has token ids, which agents of wire version 1 cannot read */
};

enum sl_core_event_kind {
    SL_CEV_INVALID = 0,
    SL_CEV_MSG,       /* a decoded message of an authenticated peer */
    SL_CEV_DURABLE,   /* every transaction up to `ticket` is durable */
    SL_CEV_TIMER,     /* sl_broker_core_due_ns has come */
    SL_CEV_PRICE,     /* a feed read a value, or failed (price_ok false: why in text) */
    SL_CEV_BATCH,     /* a tenant's request passed HTTP's checks: create it; row moves */
    SL_CEV_VALIDATED, /* the worker read all lines; lines or errors move */
    SL_CEV_FINALIZED, /* output and error files are durable on disk; file rows follow. With errors:
                         they cannot be written, why in text; errors move */
    SL_CEV_BID,       /* new bid of a batch */
    SL_CEV_CANCEL,    /* of a batch by its tenant */
    SL_CEV_OVERRIDE,  /* drain, resume, pin, stop --all by an operator */
    SL_CEV_SETTLE,    /* what pools credited: settle moves; all of it or nothing */
    SL_CEV_AGENT,     /* enroll, approve, ... by an operator (joining.h) */
    SL_CEV_JOIN,      /* a request of the second socket: answered by JOIN_REPLY, behind its row */
    SL_CEV_REFUSALS,  /* what the second socket refused by itself, in all (refusals.h) */
    SL_CEV_BEHIND,    /* messages of agents given up unread, in all (behind.h) */
    SL_CEV_SHUTDOWN,  /* say goodbye to all sessions */
};

struct sl_core_event {
    enum sl_core_event_kind kind;
    uint64_t cookie; /* of a request: comes back in REPLY; 0: nobody waits */
    struct sl_link_peer peer;
    const struct sl_msg *msg;
    /* CLOCK_BOOTTIME ns at which the bytes were read from a socket (bid, price, message): goes into
     * the step times of the next decision it causes. */
    int64_t read_ns;
    uint64_t ticket;
    uint32_t feed;
    bool price_ok;
    bool price_unreachable; /* not ok because the source was silent, not because it was wrong */
    int64_t value_nano;     /* in the role's unit and the feed's currency, x 1e9 */
    struct sl_wall as_of;
    char text[SL_WHY_MAX];
    struct sl_batch_row *row; /* BATCH: malloc'ed, moves. bid < 0: the tenant's default */
    char batch[SL_ID_MAX];
    char tenant[SL_TENANT_MAX]; /* CANCEL, BID: must own the batch; empty: operator */
    int64_t bid_nusd_per_mtok;
    struct sl_core_lines lines; /* VALIDATED; count 0: failed, errors says why */
    char model[SL_MSG_NAME_MAX];
    char *errors;              /* malloc'ed JSON array text, moves */
    struct sl_file_row output; /* FINALIZED; empty id: none */
    struct sl_file_row error;
    struct sl_override_row override_;
    char actor[SL_ID_MAX];
    struct sl_core_settle *settle;      /* SETTLE */
    struct sl_core_agent_order order;   /* AGENT */
    const struct sl_core_join *join;    /* JOIN; the caller's */
    const struct sl_refusals *refusals; /* REFUSALS; the caller's */
    uint64_t dropped;                   /* BEHIND */
    struct sl_mono heard; /* TIMER: what agents said until then is read; ns 0: until now */
};

enum sl_core_command_kind {
    SL_CCMD_INVALID = 0,
    SL_CCMD_SEND,       /* msg to peer; the message's pointers belong to the command */
    SL_CCMD_SEND_UNIT,  /* unit to peer: the shell adds the texts from the batch's spool */
    SL_CCMD_STORE,      /* submit txn; report DURABLE(ticket) */
    SL_CCMD_REPLY,      /* answer the request `cookie` */
    SL_CCMD_VALIDATE,   /* read batch's input file, write its spool, answer VALIDATED */
    SL_CCMD_FINALIZE,   /* write batch's output and error file, answer FINALIZED */
    SL_CCMD_FORGET,     /* batch is final: its spool may be deleted */
    SL_CCMD_ADMIT,      /* who may connect has changed: sl_broker_core_admission */
    SL_CCMD_JOIN_REPLY, /* join to the connection join_conn of the key peer.key */
    SL_CCMD_LOG,
    SL_CCMD_DECISION, /* line: of the log of decisions */
};

struct sl_core_command {
    enum sl_core_command_kind kind;
    struct sl_link_peer peer;
    struct sl_msg *msg; /* malloc'ed with its payload in one block */
    bool bundle;        /* SEND: the peer takes it together with others in one message */
    struct sl_unit_row unit;
    char model[SL_MSG_NAME_MAX];
    struct sl_txn *txn;
    uint64_t cookie;
    int status; /* REPLY: SL_OK or negative; text for people */
    char text[SL_WHY_MAX];
    char event[32]; /* LOG: name; text holds key=value */
    enum sl_log_level level;
    char batch[SL_ID_MAX];
    char *line; /* DECISION: malloc'ed JSON, without its end of line */
    uint32_t join_conn;
    struct sl_join_reply *join; /* JOIN_REPLY: malloc'ed */
};

int sl_broker_core_create(const struct sl_core_config *config, struct sl_broker_core **ret_core,
                          struct sl_error *err);
void sl_broker_core_destroy(struct sl_broker_core *core);
SL_DEFINE_AUTO(sl_broker_core, sl_broker_core_destroy)

/* Start-up, before the first event: what the store holds. Rows are copied; lines of IN_PROGRESS
 * batches come by a VALIDATE command (the spool is rebuilt or found) and results by restore_result.
 */
int sl_broker_core_restore_device(struct sl_broker_core *core, const struct sl_device_row *row);
int sl_broker_core_restore_health(struct sl_broker_core *core, const struct sl_health_row *row);
int sl_broker_core_restore_override(struct sl_broker_core *core, const struct sl_override_row *row);
int sl_broker_core_restore_batch(struct sl_broker_core *core, const struct sl_batch_row *row);
int sl_broker_core_restore_unit(struct sl_broker_core *core, const struct sl_unit_row *row);
int sl_broker_core_restore_result(struct sl_broker_core *core, const struct sl_result_row *row);
int sl_broker_core_restore_share(struct sl_broker_core *core, const struct sl_share_ref *ref);
int sl_broker_core_restore_pool(struct sl_broker_core *core, const struct sl_pool_row *row);
int sl_broker_core_restore_account(struct sl_broker_core *core, const struct sl_account_row *row);
int sl_broker_core_restore_settlement(struct sl_broker_core *core,
                                      const struct sl_settlement_row *row); /* by rising id */
int sl_broker_core_restore_meta(struct sl_broker_core *core, const char *key, const char *value);
void sl_broker_core_restore_high(struct sl_broker_core *core, const struct sl_store_high *high);
/* Keys under which the core keeps counters and remainders; NULL ends the list. */
const char *const *sl_broker_core_meta_keys(void);

void sl_broker_core_step(struct sl_broker_core *core, struct sl_core_event *event,
                         struct sl_now now);
/* The next command in order; false when there is none now. */
bool sl_broker_core_next(struct sl_broker_core *core, struct sl_core_command *ret_command);
/* When the core wants its next TIMER, at the latest. */
struct sl_mono sl_broker_core_due(const struct sl_broker_core *core);
void sl_core_command_fini(struct sl_core_command *command);

#endif
