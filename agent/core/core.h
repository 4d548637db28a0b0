/* SPDX-License-Identifier: Apache-2.0
 * The agent's decisions as one state machine: (state, event, now) -> commands.
 *
 * No I/O, no clock, no random source, no thread: the shell (agent/shell) or a test reports each
 * event with the present time, then takes commands until there are none, then asks when to call
 * sl_agent_timer. Inside: the session with the broker, one table-driven machine per device (epoch,
 * ttl, mode), work units, the spool of results, shares, and the Stratum client.
 *
 * Rules it keeps (design 7 and 8): an epoch is durable before its mode is posted to the device,
 * while the halt runs in parallel; lower epochs are refused; a lease that is not renewed ends by
 * itself, then the safe mode rules for a bounded time, then idle; a share is durable before it is
 * submitted; a result or share is forgotten only when the broker has acknowledged it.
 *
 * Ownership: see each call. Thread: one. A struct sl_agent_text may be worked on elsewhere. */
#ifndef SLUICE_AGENT_CORE_CORE_H
#define SLUICE_AGENT_CORE_CORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/core/tokenize.h"
#include "agent/device/device.h"
#include "agent/journal/record.h"
#include "proto/base/cleanup.h"
#include "proto/base/clock.h"
#include "proto/base/error.h"
#include "proto/base/log.h"
#include "proto/base/mode.h"
#include "proto/wire/msg_limits.h"

struct sl_msg;
struct sl_failover_config;
struct sl_msg_telemetry;

#define SL_AGENT_DEVICES_MAX 64
#define SL_AGENT_MODELS_MAX 16
#define SL_AGENT_POOLS_MAX 8
#define SL_AGENT_LINKS_MAX 8 /* connections of one pool */
#define SL_AGENT_TEXT_MAX 400

struct sl_agent_device_config {
    struct sl_device_info info;
    int64_t rated_mw[SL_MODE_COUNT]; /* used where nothing is measured; negative: not rated */
};

struct sl_agent_model {
    char id[64];
    uint32_t max_tokens;
    uint32_t width; /* numbers of a vector; 0: not known */
    bool truncate;
    uint8_t sha256[SL_MSG_SHA256_BYTES]; /* of the file; zeros: not known */
};

/* One of the pools, in the order in which they are used where the broker names none. */
struct sl_agent_pool_config {
    const char *name; /* of letters, digits, '.', '_', '-'; unique */
    const struct sl_failover_config *client;
    bool
        suggest_auto; /* suggest a difficulty that suits the measured rate, and again as it moves */
};

/* Copied by create, with what it points at. */
struct sl_agent_config {
    char node[64];
    char version[64];
    uint64_t boot_id;       /* random, new at each start */
    uint64_t seed;          /* of jitter */
    enum sl_mode safe_mode; /* until a WELCOME says otherwise; the journal remembers the last */
    int64_t safe_mode_max_ms;
    int64_t canary_ms; /* between two re-tests of a device with known answers; 0: none */
    bool ack_durable;  /* also acknowledge the moment an epoch is stored (benchmarks) */
    uint32_t device_count;
    const struct sl_agent_device_config *devices; /* [device_count] */
    uint32_t model_count;
    const struct sl_agent_model *models;      /* [model_count] */
    uint32_t pool_count;                      /* 0: no pool, so hashing is refused */
    const struct sl_agent_pool_config *pools; /* [pool_count] */
    char note[SL_MSG_TEXT_MAX];               /* what its devices are offered without; or empty */
    uint32_t message_bytes; /* a line with more of vectors goes in parts; 0: what a message takes */
};

enum sl_agent_cmd_kind {
    SL_AGENT_CMD_INVALID = 0,
    SL_AGENT_SEND,     /* data[size] to the broker; may be lost, the core repeats what matters */
    SL_AGENT_HALT,     /* sl_device_halt(device) now */
    SL_AGENT_POST,     /* `post` to device; in order, must not be lost */
    SL_AGENT_JOURNAL,  /* put (data != NULL) or delete (space, key) under `ticket` */
    SL_AGENT_TOKENIZE, /* `tokens` to the tokenizer thread, back by sl_agent_tokenized */
    SL_AGENT_MAKE_KEY, /* for rotation `number`: then sl_agent_key_made */
    SL_AGENT_USE_KEY,  /* the one made whose public half is text; then sl_agent_link_renewed */
    SL_AGENT_POOL_CONNECT, /* link: open text:port (tls), then sl_agent_pool_connected or
                              _disconnected */
    SL_AGENT_POOL_SEND,    /* link, data[size] */
    SL_AGENT_POOL_CLOSE,   /* link; no _disconnected is expected for it */
    SL_AGENT_LOG,          /* event, text */
    SL_AGENT_EXIT,         /* stopped; leave with `code`, text says why. The last command */
};

/* Owned by who takes it; end it with sl_agent_cmd_fini (what was moved out is set to NULL). */
struct sl_agent_cmd {
    enum sl_agent_cmd_kind kind;
    uint32_t device;
    struct sl_device_cmd post;
    enum sl_journal_space space;
    char key[SL_JOURNAL_KEY_MAX];
    size_t key_size;
    uint64_t ticket;
    bool urgent; /* JOURNAL: something waits for it */
    uint8_t *data;
    size_t size;
    struct sl_agent_tokens *tokens;
    uint32_t link; /* pool x SL_AGENT_LINKS_MAX + connection of the pool */
    uint16_t port;
    uint64_t number;
    bool tls;
    int code;
    enum sl_log_level level;
    const char *event; /* static */
    char text[SL_AGENT_TEXT_MAX];
};
void sl_agent_cmd_fini(struct sl_agent_cmd *cmd);

struct sl_agent_core;

int sl_agent_core_create(const struct sl_agent_config *config, struct sl_agent_core **ret_core,
                         struct sl_error *err);
void sl_agent_core_destroy(struct sl_agent_core *core);
SL_DEFINE_AUTO(sl_agent_core, sl_agent_core_destroy)

/* Every live record of the journal, before start. -SL_CORRUPT: a value that we never wrote;
 * -SL_DENIED: the directory belongs to another node. */
int sl_agent_replay(struct sl_agent_core *core, struct sl_now now, enum sl_journal_space space,
                    const void *key, size_t key_size, const void *value, size_t value_size,
                    struct sl_error *err);
void sl_agent_start(struct sl_agent_core *core, struct sl_now now);

/* ---- events ---- */

/* A decoded message; borrowed for the call. `received`: just before it was read from the socket. */
void sl_agent_message(struct sl_agent_core *core, struct sl_now now, struct sl_mono received,
                      const struct sl_msg *msg);
/* Takes over what the event points at (the event is emptied). */
void sl_agent_device(struct sl_agent_core *core, struct sl_now now, struct sl_device_event *event);
/* All journal tickets up to this one are durable since `at`. */
void sl_agent_durable(struct sl_agent_core *core, struct sl_now now, uint64_t ticket,
                      struct sl_mono at);
/* Takes `tokens` over. */
void sl_agent_tokenized(struct sl_agent_core *core, struct sl_now now,
                        struct sl_agent_tokens *tokens);
/* A key was made, or found, for the rotation. */
void sl_agent_key_made(struct sl_agent_core *core, struct sl_now now, uint64_t rotation,
                       const char *public_key);
/* The link is another one, with the new key: hello. */
void sl_agent_link_renewed(struct sl_agent_core *core, struct sl_now now);
void sl_agent_pool_connected(struct sl_agent_core *core, struct sl_now now, uint32_t link);
void sl_agent_pool_received(struct sl_agent_core *core, struct sl_now now, uint32_t link,
                            const void *data, size_t size);
void sl_agent_pool_disconnected(struct sl_agent_core *core, struct sl_now now, uint32_t link,
                                const char *reason);
/* What a device's sensors say; about once a second. What cannot be true is left out. */
void sl_agent_telemetry(struct sl_agent_core *core, struct sl_now now, uint32_t device,
                        const struct sl_msg_telemetry *reading);
void sl_agent_timer(struct sl_agent_core *core, struct sl_now now);
/* Devices are halted at once. code 0 (SIGTERM): what is finished is stored first, shares get a
 * second for their answers, then EXIT follows. Else (a failed journal): EXIT follows immediately.
 */
void sl_agent_stop(struct sl_agent_core *core, struct sl_now now, int code, const char *reason);

/* ---- commands ---- */

/* True when there was one; *ret_cmd is the caller's then. */
bool sl_agent_take(struct sl_agent_core *core, struct sl_agent_cmd *ret_cmd);
/* When to call sl_agent_timer at the latest. */
struct sl_mono sl_agent_deadline(const struct sl_agent_core *core);

/* ---- for tests and screens ---- */

struct sl_agent_device_view {
    const char *state; /* "leased", ... */
    enum sl_mode mode; /* commanded */
    uint64_t epoch;    /* of the mode; 0: safe mode */
    uint64_t epoch_max;
    uint32_t units;
    uint64_t edges_refused; /* events that the table does not list for the state */
    const char *pool;       /* whose job it has; "": none */
};
void sl_agent_device_get(const struct sl_agent_core *core, uint32_t device,
                         struct sl_agent_device_view *ret_view);
struct sl_agent_view {
    bool live; /* WELCOME seen and the broker still heard */
    uint64_t session;
    uint64_t results_spooled;
    uint64_t shares_open; /* not acknowledged by the broker yet */
};
void sl_agent_get(const struct sl_agent_core *core, struct sl_agent_view *ret_view);

#endif
