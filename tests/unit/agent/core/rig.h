/* SPDX-License-Identifier: Apache-2.0
 * The agent's core in a test: fake devices, a journal, a pool and a broker's end of the wire, all
 * in memory and in virtual time. The test plays the broker; what the core commands is recorded in
 * order. */
#ifndef SLUICE_TESTS_AGENT_RIG_H
#define SLUICE_TESTS_AGENT_RIG_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/core/core.h"
#include "agent/device/fake_device.h"
#include "proto/wire/codec.h"
#include "proto/wire/msg.h"

#define RIG_DEVICES 4
#define RIG_TRACE 16384
#define RIG_SENT 8192
#define RIG_RECORDS 8192

struct rig_trace {
    enum sl_agent_cmd_kind kind;
    uint32_t device;
    enum sl_device_cmd_kind post; /* POST */
    enum sl_mode mode;            /* POST of a mode */
    uint64_t epoch;
    enum sl_journal_space space; /* JOURNAL */
    int64_t at_ns;
};

struct rig_record {
    enum sl_journal_space space;
    uint8_t key[SL_JOURNAL_KEY_MAX];
    size_t key_size;
    uint8_t *value; /* NULL: deleted */
    size_t size;
    uint64_t ticket;
};

struct rig_options {
    uint32_t devices;
    bool no_pool;
    bool two_pools; /* "a" and "b"; b has a worker for each device */
    bool ack_durable;
    int64_t canary_ms;            /* 0: no re-tests */
    enum sl_mode safe_mode;       /* 0: hash */
    int64_t safe_mode_max_ms;     /* 0: 6 h */
    struct sl_fake_script script; /* of every device; zero fields get sound values */
    const char *node;             /* NULL: "rig" */
    uint32_t width;               /* of the model's vectors, as far as the core knows */
    uint32_t message_bytes;       /* of vectors, before a line goes in parts; 0: the default */
    bool takes_parts;             /* the test's broker does */
};

struct rig {
    struct rig_options options;
    struct sl_agent_core *core;
    struct sl_now now;
    struct sl_device *devices[RIG_DEVICES];
    struct sl_mailbox *events;
    struct sl_msg_arena *arena;
    uint64_t session;  /* that the test's broker has given */
    uint64_t sequence; /* of the test's broker */
    /* Disk: queued changes become durable at once, or when rig_sync is called. */
    bool disk_waits;
    struct rig_record queued[RIG_RECORDS];
    uint32_t queued_count;
    struct rig_record disk[RIG_RECORDS];
    uint32_t disk_count;
    /* Pool: answers by itself once it is up. */
    bool pool_down;    /* refuses connections */
    bool other_silent; /* the second pool, as: */
    bool pool_silent;  /* takes shares without an answer */
    bool pool_connected;
    uint32_t pool_submits;
    bool other_down, other_connected; /* of pool b */
    uint32_t other_submits;
    char submit[512]; /* newest, of either */
    char suggested[256];
    int pool_session;
    /* Recorded. */
    struct rig_trace trace[RIG_TRACE];
    uint32_t trace_count;
    struct {
        uint8_t *data;
        size_t size;
    } sent[RIG_SENT];
    uint32_t sent_count;
    bool link_down; /* what the core sends is lost */
    bool exited;
    int exit_code;
    uint32_t drop_lines;                /* of shares for which there was no room */
    char last_error[SL_AGENT_TEXT_MAX]; /* last log of level error */
    /* Tokenizer: a token per byte plus two; over the limit is too long. */
    bool tokenizer_waits;
    struct sl_agent_tokens *tokens[64];
    uint32_t tokens_count;
};

/* Starts the agent; with `keep_disk` the durable part of the disk is that of before. */
void rig_start(struct rig *rig, const struct rig_options *options);
/* kill -9 and start again: only what was durable is left. */
void rig_crash(struct rig *rig);
void rig_stop(struct rig *rig);

/* Lets time pass; everything that is due happens at its time. */
void rig_run_us(struct rig *rig, int64_t span_us);
void rig_run_ms(struct rig *rig, int64_t span_ms);
/* Makes what is queued durable and tells the core. */
void rig_sync(struct rig *rig);
/* Takes the core's commands. */
void rig_pump(struct rig *rig);
/* Gives the waiting texts to the tokenizer and the units back. */
void rig_tokenize(struct rig *rig);

/* ---- the broker's end ---- */
void rig_send(struct rig *rig, struct sl_msg *msg);
void rig_welcome(struct rig *rig);
/* Welcomed and all devices ready and in their safe mode. */
void rig_up(struct rig *rig);
void rig_direct(struct rig *rig, uint32_t device, uint64_t epoch, enum sl_mode mode,
                int64_t ttl_ms);
/* Idle, and to stay it when the directive has run out. */
void rig_stay_idle(struct rig *rig, uint32_t device, uint64_t epoch, int64_t ttl_ms, bool renewal);
void rig_renew(struct rig *rig, uint32_t device, uint64_t epoch, enum sl_mode mode, int64_t ttl_ms);
/* One unit with `lines` lines of one short text each. */
void rig_unit(struct rig *rig, uint32_t device, uint64_t epoch, uint64_t id, uint32_t lines);
void rig_ack(struct rig *rig, const uint64_t *results, uint32_t result_count,
             const uint64_t *shares, uint32_t share_count);
/* Keeps the session from falling silent. */
void rig_ping(struct rig *rig);

/* ---- looking back ---- */
const char *rig_key(const struct rig *rig, uint32_t device);
struct sl_agent_device_view rig_device(const struct rig *rig, uint32_t device);
/* n-th message of a kind (0: the first); negative: from the end. False: there is none. */
bool rig_message(struct rig *rig, enum sl_msg_kind kind, int n, struct sl_msg *ret_msg);
uint32_t rig_count(struct rig *rig, enum sl_msg_kind kind);
void rig_forget(struct rig *rig); /* trace and messages so far */
/* Index in the trace of the n-th command; -1: none. post, mode and epoch: 0 means any. */
int rig_find(const struct rig *rig, enum sl_agent_cmd_kind kind, enum sl_device_cmd_kind post,
             enum sl_mode mode, uint64_t epoch);
uint32_t rig_on_disk(const struct rig *rig, enum sl_journal_space space);

#endif
