/* SPDX-License-Identifier: Apache-2.0
 * What the broker's core remembers. Private to broker/core and its tests. Everything belongs to one
 * struct sl_broker_core and its thread. Tables grow when something joins; what a step sends and
 * stores is allocated by it. Without memory the process ends: a broker that cannot write down what
 * it does must not go on (a restart continues from the store). */
#ifndef SLUICE_BROKER_CORE_CORE_STATE_H
#define SLUICE_BROKER_CORE_CORE_STATE_H

#include "broker/core/blocks.h"
#include "broker/core/core.h"
#include "broker/core/core_learn.h"
#include "broker/core/core_out.h"
#include "broker/core/health.h"
#include "broker/core/said.h"
#include "broker/core/tables.h"
#include "broker/core/throughput.h"
#include "schedulers/policy.h"

#define SL_CORE_NONE UINT32_MAX
#define SL_CORE_SHARE_WINDOW 16384 /* ids of one agent's start in which a duplicate is told */
#define SL_CORE_SHARE_STARTS 8     /* of an agent, the newest that are told apart */
#define SL_CORE_LINE_TRIES_MAX 3   /* bad vectors for one line before it fails for good */
#define SL_CORE_FAULTS_MAX 3       /* lines with a bad vector before a device is faulty */
#define SL_CORE_BATCHES_MAX 4096   /* open at a time */
#define SL_CORE_TENANT_BATCHES_MAX (SL_CORE_BATCHES_MAX / 4)
#define SL_CORE_HISTORY 512 /* hashprices remembered, for shares that come late */
#define SL_CORE_SWITCHES 4096
/* Of a tick: rows and messages of a grant take memory until they are durable. */
#define SL_CORE_GRANTS_AT_ONCE 2048
/* mW x ms x nUSD/kWh: a kWh is 1e6 mW for 3.6e6 ms. */
#define SL_CORE_DENOM_POWER ((sl_i128)3600000 * 1000000)
#define SL_CORE_MODELS_SEEN_MAX 64 /* models with a waiting batch, in one tick */
struct sl_core_unit;
/* ---- nodes and sessions ---- */
enum sl_session_state {
    SL_SESSION_INVALID = 0,
    SL_SESSION_HELLO,
    SL_SESSION_LIVE,
    SL_SESSION_SUSPECT, /* reports are missing: no new work */
    SL_SESSION_LOST,
    SL_SESSION_QUARANTINED, /* two agents with one key */
    SL_SESSION_STATES,
};
#define SL_CORE_BOOTS 8
struct sl_core_share_window {
    uint64_t start; /* upper half of its ids: the number of the agent's start */
    uint64_t high;
    uint64_t *bits; /* [SL_CORE_SHARE_WINDOW / 64] */
};
struct sl_core_node {
    char key[48];
    char name[SL_MSG_NAME_MAX], version[SL_MSG_NAME_MAX];
    enum sl_session_state state;
    uint32_t first_device, device_count; /* SL_CORE_NONE: it has none */
    struct sl_core_unit *strays;         /* open ones of devices that are not known any more */
    struct sl_link_peer peer;
    uint32_t wire; /* version that it speaks: it is answered in the same */
    uint64_t session, sequence, boot_id;
    uint64_t old_boots[SL_CORE_BOOTS]; /* superseded ones, a ring */
    int64_t flips_ns[SL_CORE_BOOTS];   /* when a superseded one came back, a ring */
    uint32_t boot_count, flip_count, share_window_count;
    struct sl_mono reported;
    bool has_reported, bundles;      /* in this session: nothing is granted before; takes bundles */
    bool keeps_next_key;             /* core->config.next_server_key */
    struct sl_mono said_goodbye;     /* last answer to a message of no session */
    struct sl_mono spoke;            /* last message to it */
    struct sl_core_node_pool *pools; /* [pool_count] in its order */
    uint32_t pool_count;
    struct sl_mono pool_good; /* when one last had work; ns 0: never */
    uint64_t results_spooled, shares_spooled;
    struct sl_core_share_window share_windows[SL_CORE_SHARE_STARTS];
    uint64_t share_floor, share_restored; /* ids below are known; lowest id restored */
    struct sl_core_half *half;            /* a line of which not all parts are here (halves.c) */
};

/* ---- the fleet: columns of [count], one row per device ---- */
enum sl_core_device_state {
    SL_DEVICE_INVALID = 0,
    SL_DEVICE_UNPROVEN,
    SL_DEVICE_IDLE,
    SL_DEVICE_HASHING,
    SL_DEVICE_LEASED,
    SL_DEVICE_DRAINING,
    SL_DEVICE_FAULTY,
    SL_DEVICE_LOST,
    SL_DEVICE_STATES,
};
#define SL_FLEET_COLUMNS(X)                                                                        \
    X(uint32_t, node)                                                                              \
    X(uint32_t, sibling)     /* next of its node, by rising row, or SL_CORE_NONE */                \
    X(uint8_t, state)        /* enum sl_core_device_state */                                       \
    X(uint8_t, broken)       /* faulty by our own count: only a person or a new boot heals it */   \
    X(uint64_t, healed_unit) /* the newest when it was healed: older ones tell nothing of it */    \
    X(uint8_t, faults)                                                                             \
    X(uint8_t, refusals)                                                                           \
    X(uint32_t, good_lines) /* since the last fault */                                             \
    X(uint64_t, epoch_max)  /* highest ever granted or reported */                                 \
    X(uint8_t, mode)        /* of the newest directive; 0: holds none */                           \
    X(uint8_t, from)        /* mode before it */                                                   \
    X(uint8_t, rule)        /* of the newest directive (lease.c); 0: none yet */                   \
    X(uint8_t, sent)        /* it was durable and has left */                                      \
    X(uint8_t, running)     /* the agent says that it runs */                                      \
    X(uint64_t, epoch)      /* of the newest directive */                                          \
    X(int64_t, expires_ns)  /* last sent + ttl */                                                  \
    X(int64_t, since_ns)    /* mode began */                                                       \
    X(int64_t, moved_ns)    /* last move caused by price; 0: none */                               \
    X(int64_t, cause_ns)    /* of a switch under way: when the event behind it was read, or 0 */   \
    X(int64_t, left_ns)     /* and when its directive was durable and left */                      \
    X(int64_t, refused_ns)  /* no grant before */                                                  \
    X(int64_t, price)       /* nUSD/Mtok of the grant */                                           \
    X(uint8_t, pool)        /* to hash for: entry of the policy + 1; 0: its agent's choice */      \
    X(int64_t, pool_ns)     /* since when */                                                       \
    X(struct sl_core_batch *, batch)                                                               \
    X(struct sl_core_unit *, units) /* open ones, newest first */                                  \
    X(uint32_t, open_units)         /* of the present epoch: an agent drops those of lower ones */ \
    X(struct sl_core_health *, health)             /* NULL: nothing was ever told of it */         \
    X(struct sl_core_against_more *, against_more) /* malloc'ed; NULL: all fits the sums */        \
    X(uint32_t, against_ms)                        /* since the last row */                        \
    X(uint8_t, against_mode)                       /* in the step before; 0: none yet */           \
    X(uint8_t, class_row)                          /* + 1; 0: not looked up yet */                 \
    X(uint32_t, row)                   /* in the last tick's tables, or SL_CORE_NONE */            \
    X(uint8_t, planned)                /* by the last tick; 0: it was left alone */                \
    X(uint8_t, running_mode)           /* as reported */                                           \
    X(uint64_t, hash_rate_hs)          /* as far as it is believed */                              \
    X(struct sl_core_claims *, claims) /* NULL: it never claimed anything */                       \
    X(int64_t, metered_ns)             /* power and shadows are accounted up to here */            \
    X(sl_i128, energy)                 /* mW x ms x nUSD/kWh not posted yet */                     \
    X(int64_t, energy_ns)              /* last posting */                                          \
    X(struct sl_core_device, cold)

struct sl_core_device {
    char *key; /* in the fleet's `keys` */
    struct sl_wall first_seen;
    struct sl_core_report report;
    const char *why; /* of names.c: devices of a class often have the same; NULL: none yet */
    struct sl_wall decided;
};
#define SL_FLEET_COLUMN(type, name) type *name;
struct sl_core_fleet {
    uint32_t count, cap;
    /* [cap] a column each, nano-USD/h x ms since the last row: over 2,500 USD fit (against.c) */
    int64_t *against[SL_AGAINST_COUNT];
    struct sl_core_keys *keys; /* texts one behind the other: no row ever goes away */
    SL_FLEET_COLUMNS(SL_FLEET_COLUMN)
};

/* ---- batches and units ---- */
enum sl_core_line { SL_CLINE_WAITING = 0, SL_CLINE_ISSUED, SL_CLINE_DONE, SL_CLINE_FAILED };
struct sl_core_unit {
    uint64_t id;
    struct sl_core_batch *batch;
    uint32_t device; /* SL_CORE_NONE: a device that is not known any more */
    uint32_t node;
    uint64_t epoch;
    int64_t price;
    int64_t reserved; /* worst cost of what is not finished */
    int64_t close_ns; /* the broker closes it then; 0: no such time */
    int64_t touched_ns;
    struct sl_core_unit *next; /* of the device, or of the node's strays */
    bool closed;
    uint32_t left; /* lines without a result */
    uint32_t line_count;
    uint32_t lines[]; /* [line_count] */
};
struct sl_core_batch {
    struct sl_batch_row row;
    struct sl_core_tenant_state *tenant;
    bool lines_known;
    bool tokens;    /* only for agents that read token inputs */
    bool settling;  /* nothing is issued any more; when no unit is open, it is finalized */
    bool sealed;    /* FINALIZE was ordered: results that come now are too late */
    bool reading;   /* since a start, VALIDATE may be writing its spool: FINALIZE waits for it */
    bool mixed;     /* vectors of another file came: said once */
    bool file_lost; /* model_file.h */
    uint32_t dim;   /* of its vectors; 0: none is known */
    uint32_t waiting, issued;
    uint32_t hint;       /* no line below it waits */
    uint8_t *line_state; /* [lines_total] enum sl_core_line */
    uint8_t *line_tries; /* [lines_total] */
    uint32_t *worst;     /* [lines_total]; 0: refused at validation. NULL before lines_known */
    uint64_t *line_unit; /* [lines_total] unit that holds an issued line */
    uint32_t planned;    /* devices that serve it by the present plan */
    uint32_t open_units;
    struct sl_core_unit **units; /* [unit_count] every unit ever issued, by rising id */
    uint32_t unit_count, unit_cap;
    int64_t worst_total;  /* sum over lines not refused */
    int64_t worst_done;   /* of finished ones: how far the bound was off */
    int64_t shadow_milli; /* tokens x 1000 that the always-lease shadow served */
    sl_i128 shadow_nusd;  /* and earned */
    struct sl_core_lengths lengths;
    int64_t worth; /* nUSD/h of the device that its model is judged by, in this tick */
};
struct sl_core_tenant_state {
    struct sl_core_tenant config;
    bool gone;        /* taken out of the configuration: it buys nothing any more */
    sl_i128 reserved; /* sum over its open units */
    uint32_t account;
    int64_t bid_ns; /* of its last change of a bid; 0: none yet */
};
#endif
