/* SPDX-License-Identifier: Apache-2.0
 * The messages between broker and agent as plain structs: the vocabulary both cores speak. codec.h
 * turns them into bytes and back; nothing else sees generated code.
 *
 * Reports carry absolute state, so that a lost one is harmless. Commands carry epoch and ttl;
 * results and shares carry ids and are resent until acknowledged. Spans only, never instants
 * (design 5). Ownership: a decoded message's pointers live in its arena (sl_msg_arena) until that
 * is reset. A message to be encoded borrows everything. Sizes are limits checked by the codec in
 * both directions. */
#ifndef SLUICE_PROTO_WIRE_MSG_H
#define SLUICE_PROTO_WIRE_MSG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/mode.h"

#define SL_WIRE_VERSION 1
#define SL_MSG_DEVICES_MAX 64
#define SL_MSG_MODELS_MAX 16
#define SL_MSG_KEY_MAX 96      /* device key, with NUL */
#define SL_MSG_NAME_MAX 64     /* node, model id, pool user */
#define SL_MSG_TEXT_MAX 256    /* reasons for people */
#define SL_MSG_LINES_MAX 64    /* lines of one work unit */
#define SL_MSG_INPUTS_MAX 2048 /* texts of one line */
#define SL_MSG_INPUT_BYTES_MAX (512 * 1024)
#define SL_MSG_VECTOR_MAX 4096 /* floats */
#define SL_MSG_SHARES_MAX 256
#define SL_MSG_BYTES_MAX (4 * 1024 * 1024) /* one envelope */

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
};

/* ---- agent -> broker ---- */

struct sl_msg_model {
    char id[SL_MSG_NAME_MAX];
    uint64_t tokens_per_s_milli;
    uint32_t max_tokens;
    bool truncate;
};

/* Absolute state of one device; in HELLO and REPORT. */
struct sl_msg_device {
    char key[SL_MSG_KEY_MAX];
    char name[SL_MSG_KEY_MAX];
    char driver[SL_MSG_KEY_MAX];
    char health[SL_MSG_TEXT_MAX]; /* empty: healthy and offered; else why it is not */
    bool is_cpu;
    uint32_t compute_units;
    uint64_t memory_bytes;
    uint64_t epoch_max; /* highest epoch stored durably by the agent */
    uint64_t epoch;     /* epoch of the mode that runs now; 0: safe mode */
    enum sl_mode mode;
    bool safe; /* runs its safe mode (no valid directive) */
    uint64_t hash_rate_hs;
    uint64_t hashes_total;
    uint64_t tokens_total;
    uint64_t lines_total;
    uint64_t busy_ms[SL_MODE_COUNT];
    uint64_t idle_gap_us;
    uint64_t switch_us[SL_MODE_COUNT][SL_MODE_COUNT]; /* [from][to], 0: not measured */
    struct sl_watts watts[SL_MODE_COUNT];
    uint32_t stop_us_p50;
    uint32_t stop_us_max;
    uint32_t stop_method; /* enum sl_stop_method, for screens */
    uint32_t units_held;
    uint32_t lines_held; /* not finished yet: the broker tops up by this */
    uint32_t model_count;
    struct sl_msg_model models[SL_MSG_MODELS_MAX];
};

struct sl_msg_pool {
    char url[SL_MSG_TEXT_MAX]; /* no user, no password */
    bool connected;
    bool has_job;
    char state[SL_MSG_TEXT_MAX]; /* why not connected, for people */
    uint64_t difficulty_nano;    /* difficulty x 1e9 */
    uint64_t shares_submitted;
    uint64_t shares_accepted;
    uint64_t shares_stale;
    uint64_t shares_rejected;
    uint64_t shares_unknown;
    uint64_t work_accepted; /* expected hashes, sum over accepted shares */
};

struct sl_msg_hello {
    char node[SL_MSG_NAME_MAX];
    char version[SL_MSG_NAME_MAX];
    uint64_t boot_id; /* random, new at each start of the agent */
    uint32_t device_count;
    const struct sl_msg_device *devices; /* [device_count] */
    uint32_t unit_count;
    const uint64_t *units; /* [unit_count] ids held from before: the rest must be issued anew */
};

struct sl_msg_report {
    uint32_t device_count;
    const struct sl_msg_device *devices;
    struct sl_msg_pool pool;
    uint64_t results_spooled; /* waiting for an acknowledgement */
    uint64_t shares_spooled;
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

/* One finished input text of a line. */
struct sl_msg_vector {
    uint32_t input; /* index inside the line */
    uint32_t tokens;
    uint32_t dim;
    const uint8_t *data; /* [dim * 4] little-endian IEEE binary32 */
};

enum sl_line_status {
    SL_LINE_INVALID = 0,
    SL_LINE_OK,
    SL_LINE_TOO_LONG, /* over the model's limit: the tenant's error, not billed */
    SL_LINE_BAD_MODEL,
    SL_LINE_FAILED, /* the device gave a bad vector: the line is issued again elsewhere */
};

struct sl_msg_result_line {
    uint32_t line;
    enum sl_line_status status;
    uint32_t tokens; /* exact usage of the whole line; for TOO_LONG the length that was too long */
    uint32_t vector_count; /* inputs of the line, all of them */
    const struct sl_msg_vector *vectors;
};

struct sl_msg_result {
    uint64_t result_id; /* per agent, rising, durable: resent under the same id */
    uint64_t unit_id;
    char device[SL_MSG_KEY_MAX];
    uint64_t age_ms; /* since it was finished */
    uint32_t line_count;
    const struct sl_msg_result_line *lines;
    bool unit_done; /* no more lines of this unit will come */
};

enum sl_share_outcome {
    SL_SHARE_INVALID = 0,
    SL_SHARE_ACCEPTED,
    SL_SHARE_STALE,
    SL_SHARE_REJECTED,
    SL_SHARE_UNKNOWN, /* submitted, never answered */
};

struct sl_msg_share {
    uint64_t share_id; /* per agent, rising, durable */
    char device[SL_MSG_KEY_MAX];
    enum sl_share_outcome outcome;
    int32_t code;         /* pool's error code, 0 when accepted */
    uint64_t work_hashes; /* floor(difficulty * 2^48 / 0xffff) */
    uint64_t difficulty_nano;
    uint64_t age_ms; /* since the pool's answer */
};

struct sl_msg_shares {
    uint32_t share_count;
    const struct sl_msg_share *shares;
};

/* ---- broker -> agent ---- */

struct sl_msg_welcome {
    uint64_t session;
    uint32_t report_ms;        /* interval wanted */
    uint32_t safe_mode;        /* enum sl_mode after all directives ran out */
    uint64_t safe_mode_max_ms; /* then idle */
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
    bool renewal; /* same epoch as before: only the ttl is new */
};

struct sl_msg_input {
    const char *text; /* UTF-8, NUL may occur inside */
    uint32_t bytes;
};

struct sl_msg_unit_line {
    uint32_t line;
    uint32_t input_count;
    const struct sl_msg_input *inputs;
};

struct sl_msg_unit {
    uint64_t unit_id;
    char device[SL_MSG_KEY_MAX];
    uint64_t epoch;
    char model[SL_MSG_NAME_MAX];
    uint32_t line_count;
    const struct sl_msg_unit_line *lines;
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
    };
};

#endif
