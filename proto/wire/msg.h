/* SPDX-License-Identifier: Apache-2.0
 * The messages between broker and agent as plain structs: the vocabulary both cores speak. codec.h
 * turns them into bytes and back; nothing else sees generated code.
 *
 * Reports carry absolute state, so that a lost one is harmless. Commands carry epoch and ttl;
 * results and shares carry ids and are resent until acknowledged. Spans, never instants (design 5);
 * the exception are the moments in sl_msg_ack, by the agent's own clock, which measure a switch and
 * decide nothing. Ownership: a decoded message's pointers live in its arena (sl_msg_arena) until
 * that is reset. A message to be encoded borrows everything. Sizes are limits checked by the codec
 * in both directions (msg_limits.h). */
#ifndef SLUICE_PROTO_WIRE_MSG_H
#define SLUICE_PROTO_WIRE_MSG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/mode.h"
#include "proto/wire/msg_device.h"
#include "proto/wire/msg_limits.h"
#include "proto/wire/msg_work.h"

enum sl_msg_kind {
    SL_MSG_INVALID = 0,
    SL_MSG_HELLO,      /* agent -> broker, first of a session */
    SL_MSG_WELCOME,    /* broker -> agent: the session is live */
    SL_MSG_REPORT,     /* agent -> broker, once a second and on change */
    SL_MSG_DIRECTIVE,  /* broker -> agent */
    SL_MSG_ACK,        /* agent -> broker: directive obeyed, refused, or running (with times) */
    SL_MSG_UNIT,       /* broker -> agent: lines to work on under an epoch */
    SL_MSG_RESULT,     /* agent -> broker: finished lines of one unit */
    SL_MSG_SHARES,     /* agent -> broker: shares with a final outcome */
    SL_MSG_RESULT_ACK, /* broker -> agent: durable now; forget */
    SL_MSG_DRAIN,      /* broker -> agent: hand back units (ids) that have not been started */
    SL_MSG_GOODBYE,    /* either way: session ends on purpose, reason */
    SL_MSG_ROTATE,     /* broker -> agent, version 2: make a new key, or use the new one now */
    SL_MSG_ROTATE_KEY, /* agent -> broker, version 2: the key that it made */
};

/* ---- agent -> broker ---- */

struct sl_msg_hello {
    char node[SL_MSG_NAME_MAX];
    char version[SL_MSG_NAME_MAX];
    uint64_t boot_id; /* random, new at each start of the agent */
    uint32_t device_count;
    const struct sl_msg_device *devices; /* [device_count] */
    uint32_t unit_count;
    const uint64_t *units; /* [unit_count] ids held from before: the rest must be issued anew */
    bool bundles;          /* it takes several messages in one (codec.h) */
};

/* Of a message that was read: where something of it stood. */
struct sl_msg_bytes {
    const uint8_t *data;
    uint32_t size;
};

struct sl_msg_report {
    uint32_t device_count;
    const struct sl_msg_device *devices;
    /* [device_count] each device as it came, to be kept and unpacked later (codec.h); NULL in a
     * message that was made here, and where it came in an unusual form. Not sent. */
    const struct sl_msg_bytes *device_bytes;
    struct sl_msg_pool pool;
    uint64_t results_spooled; /* waiting for an acknowledgement */
    uint64_t shares_spooled;
    uint32_t pool_count;             /* 0: an agent that knows one pool only, which is `pool` */
    const struct sl_msg_pool *pools; /* [pool_count] in the agent's order */
};

enum sl_ack_outcome {
    SL_ACK_INVALID = 0,
    SL_ACK_RUNNING, /* the first kernel of the new mode has started and finished */
    SL_ACK_REFUSED, /* lower epoch, unknown device, unknown model: text says which */
    SL_ACK_DURABLE, /* epoch stored; sent only when the config asks for step times (bench) */
};

struct sl_msg_ack {
    char device[SL_MSG_KEY_MAX];
    uint64_t epoch;
    enum sl_ack_outcome outcome;
    char text[SL_MSG_TEXT_MAX];
    /* Spans in us since the directive was read from the socket; 0 where not reached. */
    uint32_t halted_us;
    uint32_t durable_us;
    uint32_t started_us;
    /* CLOCK_BOOTTIME ns of the same moments: meaningful on one host only, for benchmarks. */
    uint64_t received_ns;
    uint64_t halted_ns;
    uint64_t durable_ns;
    uint64_t started_ns;
};

struct sl_msg_rotate_key {
    uint64_t rotation;
    char public_key[SL_MSG_CURVE_KEY_MAX];
};

/* ---- broker -> agent ---- */

struct sl_msg_rotate {
    uint64_t rotation;                     /* its number; rises per agent */
    char public_key[SL_MSG_CURVE_KEY_MAX]; /* empty: make one and send it; else it is admitted */
    uint64_t overlap_ms;
};

struct sl_msg_welcome {
    uint64_t session;
    uint32_t report_ms;        /* interval wanted */
    uint32_t safe_mode;        /* enum sl_mode after all directives ran out */
    uint64_t safe_mode_max_ms; /* then idle */
    bool parts;                /* it takes lines in parts (msg_work.h) */
};

/* Terms are what the agent needs to work and to show, not to decide. */
struct sl_msg_directive {
    char device[SL_MSG_KEY_MAX];
    uint64_t epoch;
    uint64_t ttl_ms; /* from reception; renewed by the same epoch and mode again */
    enum sl_mode mode;
    char model[SL_MSG_NAME_MAX];  /* infer: which model stays resident; else empty */
    uint64_t price_nusd_per_mtok; /* of the grant; 0 unless infer */
    char reason[SL_MSG_TEXT_MAX];
    bool renewal; /* same epoch as before: only the ttl is new, and perhaps the pool */
    char pool[SL_MSG_POOL_NAME_MAX]; /* hash: for which pool; empty: the agent's first usable */
    bool stay_idle; /* idle by an order, or not trusted: the safe mode does no work either */
};

struct sl_msg_result_ack {
    uint32_t result_count;
    const uint64_t *results; /* result ids */
    uint32_t share_count;
    const uint64_t *shares; /* share ids */
};

struct sl_msg_drain {
    char device[SL_MSG_KEY_MAX];
    uint32_t unit_count;
    const uint64_t *units; /* drop what has not been finished of these */
};

struct sl_msg_goodbye {
    char reason[SL_MSG_TEXT_MAX];
    bool retry; /* false: do not come back until an operator changed something */
};

struct sl_msg {
    uint32_t version;  /* SL_WIRE_VERSION of the sender */
    uint64_t session;  /* 0 in HELLO; else from WELCOME. Others are discarded */
    uint64_t sequence; /* rises by one per sender and session */
    enum sl_msg_kind kind;
    union {
        struct sl_msg_hello hello;
        struct sl_msg_welcome welcome;
        struct sl_msg_report report;
        struct sl_msg_directive directive;
        struct sl_msg_ack ack;
        struct sl_msg_unit unit;
        struct sl_msg_result result;
        struct sl_msg_shares shares;
        struct sl_msg_result_ack result_ack;
        struct sl_msg_drain drain;
        struct sl_msg_goodbye goodbye;
        struct sl_msg_rotate rotate;
        struct sl_msg_rotate_key rotate_key;
    };
};

#endif
