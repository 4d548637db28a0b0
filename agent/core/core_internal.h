/* SPDX-License-Identifier: Apache-2.0
 * The inside of the agent's core, shared by its parts: outbox, session, devices, units, results,
 * shares, pool. Each part writes only its own member of struct sl_agent_core. */
#ifndef SLUICE_AGENT_CORE_CORE_INTERNAL_H
#define SLUICE_AGENT_CORE_CORE_INTERNAL_H

#include "agent/core/core.h"
#include "agent/core/device_internal.h"
#include "agent/core/pool_set.h"
#include "agent/core/spool_internal.h"
#include "agent/core/unit_internal.h"
#include "proto/base/text.h"
#include "proto/wire/codec.h"
#include "proto/wire/msg.h"

#define AGENT_NEVER INT64_MAX
#define AGENT_FINISHED_MAX 4096 /* unit ids remembered after their end, to know a repeat */

/* ---- outbox (core.c) ---- */

struct agent_outbox {
    struct sl_agent_cmd *cmds; /* ring */
    size_t capacity, head, count;
    bool ended; /* EXIT was queued: nothing is queued after it */
    struct sl_agent_cmd scrap;
};

/* ---- session with the broker (session.c, report.c) ---- */

enum agent_session_state {
    SESSION_INVALID = 0,
    SESSION_BOOTING,  /* the number of this start is not durable yet */
    SESSION_GREETING, /* hello sent or due */
    SESSION_LIVE,
    SESSION_BANNED, /* told not to come back: asks again slowly */
    SESSION_STOPPED,
};

struct agent_session {
    enum agent_session_state state;
    uint64_t id;
    uint64_t sequence;
    uint32_t attempts; /* hellos since the last welcome */
    uint32_t wire;     /* version spoken: the broker's, where it is the older one */
    bool parts;        /* the broker takes lines in parts */
    int64_t hello_due_ns;
    int64_t heard_ns; /* last valid message */
    int64_t report_due_ns;
    int64_t report_ms;
    int64_t report_sent_ns;
    bool report_wanted; /* something changed: at the end of this event */
    enum sl_mode safe_mode;
    int64_t safe_mode_max_ms;
};

/* ---- the whole ---- */

struct sl_agent_core {
    struct sl_agent_config config; /* its pointers are copies, owned here */
    struct sl_agent_model models[SL_AGENT_MODELS_MAX];
    struct agent_outbox outbox;
    struct agent_session session;
    struct agent_device *devices; /* [config.device_count] */
    struct agent_results results;
    struct agent_shares shares;
    struct agent_pool_slot pools[SL_AGENT_POOLS_MAX];
    uint32_t pool_count;
    struct sl_msg_pool pool_reports[SL_AGENT_POOLS_MAX]; /* scratch of the report */
    struct sl_msg_arena *arena;                          /* for results that are sent again */
    struct sl_buf encoded;                               /* scratch */
    struct sl_msg_device *inventory;       /* [device_count] scratch of hello and report */
    uint64_t finished[AGENT_FINISHED_MAX]; /* ring of unit ids */
    uint32_t finished_next;
    uint64_t starts; /* number of this start; upper half of ids */
    uint64_t ticket; /* last given */
    uint64_t durable;
    uint64_t boot_ticket;
    uint64_t random;
    bool started;
    bool node_known; /* the journal names this node */
    bool stopping;
    bool pool_stopped;
    int64_t answers_by_ns; /* stopping: shares may be answered until then */
    int64_t stop_by_ns;    /* stopping: EXIT then, whatever is open */
};

/* outbox.c, core.c */
void agent_outbox_free(struct agent_outbox *outbox);
struct sl_agent_cmd *agent_queue(struct sl_agent_core *core, enum sl_agent_cmd_kind kind);
void agent_log(struct sl_agent_core *core, enum sl_log_level level, const char *event,
               const char *format, ...) __attribute__((format(printf, 4, 5)));
/* Zeroed. Without memory the fate of a share or an epoch would be lost without a trace: it is
 * better to stop at once and let the journal say after the restart what was promised. */
void *agent_alloc(size_t size);
uint64_t agent_random(struct sl_agent_core *core);
/* At the end of every event: what the parts have gathered meanwhile goes out. */
void agent_settle(struct sl_agent_core *core, struct sl_now now);
void agent_post(struct sl_agent_core *core, uint32_t device, const struct sl_device_cmd *post);
/* Returns the ticket. value NULL: delete. */
uint64_t agent_journal(struct sl_agent_core *core, enum sl_journal_space space, const void *key,
                       size_t key_size, const void *value, size_t value_size, bool urgent);
uint64_t agent_journal_id(struct sl_agent_core *core, enum sl_journal_space space, uint64_t id,
                          const void *value, size_t value_size, bool urgent);

/* session.c */
void agent_session_begin(struct sl_agent_core *core, struct sl_now now);
void agent_session_timer(struct sl_agent_core *core, struct sl_now now);
int64_t agent_session_deadline(const struct sl_agent_core *core);
void agent_on_welcome(struct sl_agent_core *core, struct sl_now now, const struct sl_msg *msg);
void agent_on_goodbye(struct sl_agent_core *core, struct sl_now now,
                      const struct sl_msg_goodbye *msg);
bool agent_live(const struct sl_agent_core *core);
/* Stamps and sends; kind and body are the caller's. False: not encoded (logged). */
bool agent_send(struct sl_agent_core *core, struct sl_msg *msg);
/* Sends the report if something asked for one and the last is not too fresh. */
/* Inputs of a line whose vectors the broker takes (unit_flush.c). */
uint32_t agent_line_inputs_max(const struct sl_agent_core *core, const char *model);
void agent_report_flush(struct sl_agent_core *core, struct sl_now now);
/* rotate.c */
void agent_on_rotate(struct sl_agent_core *core, const struct sl_msg_rotate *msg);
/* report.c */
void agent_report_fill(struct sl_agent_core *core);
void agent_report_send(struct sl_agent_core *core, struct sl_now now);
/* pool_set.c */
int agent_pools_create(struct sl_agent_core *core, const struct sl_agent_config *config,
                       struct sl_error *err);
void agent_pools_destroy(struct sl_agent_core *core);
void agent_pools_begin(struct sl_agent_core *core, struct sl_now now);
void agent_pools_stop(struct sl_agent_core *core, struct sl_now now);
void agent_pools_timer(struct sl_agent_core *core, struct sl_now now);
int64_t agent_pools_deadline(const struct sl_agent_core *core);
/* SL_AGENT_POOLS_MAX: there is none of this name. */
uint32_t agent_pool_find(const struct sl_agent_core *core, const char *name);
/* Which pool a directive named, from now on ("": none); posts a job if that changes. */
void agent_pool_ask(struct sl_agent_core *core, struct sl_now now, struct agent_device *device,
                    const char *name);
/* The job of the pool that the device is to hash for now, if it has another or `again`. */
void agent_pool_post_job(struct sl_agent_core *core, struct sl_now now, struct agent_device *device,
                         bool again);
/* The device has hashed so much since it was last heard: on the jobs that it had. */
void agent_pool_spent(struct sl_agent_core *core, struct sl_now now, struct agent_device *device,
                      uint64_t hashes);
/* pool_glue.c: takes what the pool clients want done. */
void agent_pools_drain(struct sl_agent_core *core, struct sl_now now);
/* pool_report.c */
void agent_pools_report(struct sl_agent_core *core, struct sl_now now,
                        struct sl_msg_report *report);
/* A device's rate has moved: perhaps another difficulty suits its pool. */
void agent_pools_suggest(struct sl_agent_core *core, struct sl_now now);
/* A device began with a job: says how long after its coming that was. */
void agent_pool_job_started(struct sl_agent_core *core, const struct agent_device *device,
                            const struct sl_device_event *event);

#endif
