/* SPDX-License-Identifier: Apache-2.0
 * Inside of the Stratum client, shared by its files and unit tests: client.c (events, connection,
 * timers), actions.c (queue), jobs.c (agreed terms and jobs), shares.c (submitted shares),
 * dialogue.c (what each message does). */
#ifndef SLUICE_AGENT_STRATUM_CLIENT_INTERNAL_H
#define SLUICE_AGENT_STRATUM_CLIENT_INTERNAL_H

#include "agent/stratum/client.h"
#include "agent/stratum/message.h"
#include "proto/base/text.h"

/* Jobs whose shares can still be sent. A pool that announces one every 30 s without a new block for
 * half an hour stays within it. */
#define SL_STRATUM_JOBS_MAX 64
/* Log lines that a pool can cause on one connection. */
#define SL_STRATUM_CHATTER_MAX 50

struct sl_stratum_node {
    struct sl_stratum_node *next;
    struct sl_stratum_action action;
    char *data;         /* owned: action.data points here */
    struct sl_job *job; /* owned reference */
};

/* Of a connection with several workers (workers.c); each authorises on its own, after the first. */
struct sl_stratum_worker {
    char *user;
    int64_t authorize_id; /* -1: none under way */
    bool known;           /* the pool said yes: shares may be submitted under it */
};

struct sl_stratum_open {
    uint64_t seq;
    uint32_t worker; /* under which it was submitted */
    int64_t request_id;
    struct sl_mono sent_at;
};

struct sl_stratum_job_slot {
    struct sl_job *job;
    bool retired;  /* a clean job came after it */
    bool replaced; /* another job came with its id */
};

/* What holds for one connection only; zeroed when it opens. */
struct sl_stratum_link {
    int64_t configure_id, subscribe_id, authorize_id;
    bool sent_session_id;
    bool difficulty_known; /* the pool has set one */
    bool terms_known;      /* the answer to subscribe came */
    bool extranonce_moved; /* set_extranonce came; the next job uses it */
    uint32_t pool_mask; /* of the version, as the pool said it; we roll what we asked for of it */
    uint64_t first_serial;        /* first job of this connection; 0: none yet */
    struct sl_mono subscribed_at; /* asked for */
    json_t *early_notify;         /* a job from before the answer to subscribe */
    unsigned chatter;
    bool leaving; /* the pool sends us away; until then at the latest: */
    struct sl_mono leave_by;
    int64_t leave_wait_s;
};

struct sl_stratum {
    struct sl_stratum_config config;
    struct sl_stratum_worker *workers; /* [config.worker_count] */
    uint64_t random;
    enum sl_stratum_state state;
    struct sl_mono phase_end;   /* CONNECTING, SUBSCRIBING, AUTHORIZING, WAITING, REFUSED */
    struct sl_mono last_notify; /* READY */
    uint32_t attempts, failures, refusals;
    uint32_t credit;      /* refusals of the user that are still borne; see sl_stratum_trust_user */
    uint32_t unreachable; /* attempts in a row that reached nobody */
    int64_t next_id;      /* of requests; never reused */
    struct sl_stratum_link link;
    struct sl_pool_url next_url; /* where client.reconnect sent us; else the configured one */
    char session_id[SL_STRATUM_TEXT_MAX + 1]; /* of the pool, for resuming */

    struct sl_job_terms terms; /* of the next job */
    bool session_known;        /* an extranonce1 was agreed at least once */
    uint32_t session;
    uint64_t last_serial, emitted_serial;
    struct sl_job *job; /* newest; one reference */
    struct sl_stratum_job_slot jobs[SL_STRATUM_JOBS_MAX];
    size_t job_count;

    struct sl_stratum_open open[SL_STRATUM_SHARES_MAX]; /* oldest first */
    size_t open_count;
    struct sl_share waiting[SL_STRATUM_SHARES_MAX];
    size_t waiting_count;
    uint64_t accepted, stale, rejected, unknown;

    int64_t usual_ns;        /* longest answer of late; 0: none yet */
    struct sl_mono usual_at; /* when it was set */
    int64_t answered_id;     /* newest request that was answered */
    int64_t learned_id;      /* older ones say no more about the pool's pace */

    bool refusing;                 /* takes no share: not to be hashed for before refusing_until */
    struct sl_mono refusing_until; /* holds with `refusing` */
    uint32_t refused_run;          /* since the last accepted share; stale and the like apart */
    uint32_t unpaid_run;           /* the same, all of them */
    struct sl_mono unpaid_since;   /* the first of them; holds with unpaid_run */
    uint32_t refusing_times;       /* that it was left for it, since the last accepted share */
    char refused_text[64];         /* what it said last */

    struct sl_buf input;
    size_t scanned; /* bytes of input known to hold no LF */
    struct sl_stratum_node *first, *last, *taken;
    char last_error[SL_STRATUM_TEXT_MAX + 1];
};

/* actions.c */
struct sl_stratum_action *sl_stratum_queue(struct sl_stratum *client,
                                           enum sl_stratum_action_type type);
void sl_stratum_queue_log(struct sl_stratum *client, enum sl_log_level level, const char *format,
                          ...) __attribute__((format(printf, 3, 4)));
/* As above, but for what the pool can cause at will: only so many a connection. */
void sl_stratum_queue_chatter(struct sl_stratum *client, enum sl_log_level level,
                              const char *format, ...) __attribute__((format(printf, 3, 4)));
/* line: heap, taken over; NULL (out of memory) ends the process. */
void sl_stratum_queue_send(struct sl_stratum *client, char *line, size_t size);
void sl_stratum_queue_job(struct sl_stratum *client, struct sl_job *job);
void sl_stratum_queue_clear(struct sl_stratum *client);
/* Sends a request and returns its id; params taken over. */
int64_t sl_stratum_request(struct sl_stratum *client, const char *method, json_t *params);

/* client.c */
/* Ends the connection for a reason (a text for people) and backs off. */
void sl_stratum_drop(struct sl_stratum *client, const char *reason, struct sl_mono now);
/* Ends it because the pool does not want this user: slow retry, once it is sure. */
void sl_stratum_refuse(struct sl_stratum *client, const char *text, struct sl_mono now);
/* The pool accepted a share of this user: refusals of the next half minute are taken for its
 * trouble, not for ours. */
void sl_stratum_trust_user(struct sl_stratum *client);
/* The pool asks to end it: goes to client->next_url, at least wait_s after the pool's answers to
 * open shares have come. */
void sl_stratum_move(struct sl_stratum *client, int64_t wait_s, struct sl_mono now);
/* Goes, if the pool has asked for it and owes no answer. */
void sl_stratum_leave(struct sl_stratum *client, struct sl_mono now);
uint64_t sl_stratum_random(uint64_t *state);
bool sl_stratum_is_linked(const struct sl_stratum *client); /* SUBSCRIBING to READY */

/* jobs.c */
/* The answer to subscribe: a new session unless it is the known one again. */
void sl_stratum_agree(struct sl_stratum *client, const struct sl_job_terms *terms,
                      struct sl_mono now);
int sl_stratum_add_notify(struct sl_stratum *client, const json_t *params, struct sl_mono now,
                          struct sl_error *err);
/* The present job once more under the version mask of now and, regraded, at the difficulty of now:
 * else it keeps the one that held when it came. */
void sl_stratum_reissue(struct sl_stratum *client, bool regraded);
/* At the end of a read: reissues where the mask of now is another one. */
void sl_stratum_follow_mask(struct sl_stratum *client);
/* JOB actions for what came before the connection was READY. */
void sl_stratum_emit_jobs(struct sl_stratum *client);
struct sl_stratum_job_slot *sl_stratum_find_job(struct sl_stratum *client, uint64_t serial);
void sl_stratum_forget_jobs(struct sl_stratum *client);

/* shares.c */
void sl_stratum_send_waiting(struct sl_stratum *client, struct sl_mono now);
/* Sent ones become unknown. */
void sl_stratum_close_open(struct sl_stratum *client);
/* Those whose time is up, where later ones were answered: unknown. False: the pool is silent. */
bool sl_stratum_give_up_skipped(struct sl_stratum *client, struct sl_mono now);
/* Held ones become stale; all of them, or those of older sessions. */
void sl_stratum_close_waiting(struct sl_stratum *client, bool all, const char *why);
/* True when the message answers a submit. */
bool sl_stratum_share_answered(struct sl_stratum *client, const struct sl_message *message,
                               struct sl_mono now);

/* trust.c */
/* The pool has answered a request: how long it takes, and whether it still speaks. */
void sl_stratum_note_answer(struct sl_stratum *client, int64_t request_id, struct sl_mono asked_at,
                            struct sl_mono now);
/* ... and whether it took the share. */
void sl_stratum_note_verdict(struct sl_stratum *client, enum sl_share_answer outcome, int code,
                             const char *text, struct sl_mono now);
/* Sets `refusing` after enough refusals, and clears it after a pause of retry_ms to twice that,
 * doubled each time. True: the pause has ended now. */
bool sl_stratum_weigh_refusals(struct sl_stratum *client, int64_t retry_ms, struct sl_mono now);

/* workers.c */
int sl_stratum_workers_create(struct sl_stratum *client, const struct sl_stratum_config *config,
                              struct sl_error *err);
void sl_stratum_workers_free(struct sl_stratum *client);
/* READY: all but the first, which is authorised by now. */
void sl_stratum_workers_authorize(struct sl_stratum *client);
/* True when the message answers one of them. */
bool sl_stratum_worker_answered(struct sl_stratum *client, const struct sl_message *message);
/* The one to submit under: the wanted one where the pool knows it, else the first. */
uint32_t sl_stratum_worker_for(const struct sl_stratum *client, uint32_t wanted);
const char *sl_stratum_worker_user(const struct sl_stratum *client, uint32_t worker);
/* The pool refused a share of it for its user. False: it is the first, so all are refused. */
bool sl_stratum_worker_refused(struct sl_stratum *client, uint32_t worker);

/* dialogue.c */
void sl_stratum_greet(struct sl_stratum *client);
void sl_stratum_suggest_now(struct sl_stratum *client);
void sl_stratum_handle_line(struct sl_stratum *client, const char *line, size_t size,
                            struct sl_mono now);

#endif
