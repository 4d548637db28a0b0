/* SPDX-License-Identifier: Apache-2.0
 * One connection to a Stratum V1 pool, as a state machine without a socket.
 *
 * The shell reports what happened (connected, bytes, disconnected, timer, a share found) with the
 * present time, and then takes actions until there are none: connect, send, close, a new job, the
 * answer to a share. So the same code runs on a real socket, in a test and in the simulator; time
 * comes in as `now`, randomness as a seed. Order on the wire: mining.configure (version rolling)
 * and mining.subscribe, mining.authorize, then mining.extranonce.subscribe.
 *
 * Thread: one; all memory is the client's. Pointers inside an action hold until the next call of
 * any function of the client; a job is kept by sl_job_ref. Names, error texts and messages of the
 * pool are cleaned of control characters before they appear in an action. */
#ifndef SLUICE_AGENT_STRATUM_CLIENT_H
#define SLUICE_AGENT_STRATUM_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/stratum/url.h"
#include "agent/stratum/work.h"
#include "proto/base/clock.h"
#include "proto/base/log.h"

#define SL_STRATUM_LINE_MAX (256 * 1024)
#define SL_STRATUM_TEXT_MAX 200
#define SL_STRATUM_USER_MAX 256
#define SL_STRATUM_WORKERS_MAX 64
#define SL_STRATUM_SHARES_MAX 1024 /* unanswered, and waiting for a connection: each */

struct sl_stratum_config {
    struct sl_pool_url url;
    char user[SL_STRATUM_USER_MAX + 1];
    char password[SL_STRATUM_USER_MAX + 1]; /* sent to the pool, never logged */
    char agent[64];                         /* "sluice/0.1.0" */
    uint32_t version_mask;                  /* to ask for; 0: no mining.configure at all */
    bool extranonce_subscribe;              /* some pools drop the connection when asked */
    bool submit_stale;                      /* send shares of retired jobs all the same */
    double suggest_difficulty;              /* 0: do not suggest one; _suggest changes it */
    /* Of one connection, in place of `user`: share.worker says which one found it; copied by
     * create. The first one is `user`. NULL: one worker. */
    const char *const *workers;
    uint32_t worker_count;
    int64_t answer_timeout_ms; /* connect, subscribe, authorize */
    int64_t submit_timeout_ms; /* no answer to a share, nor to a later one: connection is dead */
    int64_t notify_timeout_ms; /* no job for so long: reconnect */
    int64_t backoff_min_ms, backoff_max_ms;
    int64_t refused_retry_ms; /* after a refused authorisation; at least 60 s */
};

/* Every field but url and user: mask 1fffe000, extranonce.subscribe on, 15 s, 60 s, 300 s,
 * 1 s to 60 s, 300 s. */
void sl_stratum_config_defaults(struct sl_stratum_config *config);

enum sl_stratum_state {
    SL_STRATUM_STOPPED = 1, /* before start and after stop */
    SL_STRATUM_CONNECTING,
    SL_STRATUM_SUBSCRIBING,
    SL_STRATUM_AUTHORIZING,
    SL_STRATUM_READY,   /* jobs come, shares may be sent */
    SL_STRATUM_WAITING, /* backing off before the next attempt */
    SL_STRATUM_REFUSED, /* authorisation refused: a person must act; retried slowly */
};
const char *sl_stratum_state_text(enum sl_stratum_state state);

enum sl_share_answer {
    SL_ANSWER_ACCEPTED = 1,
    SL_ANSWER_STALE,    /* by the pool, or here without having been sent */
    SL_ANSWER_REJECTED, /* duplicate, low difficulty, unauthorised, malformed */
    SL_ANSWER_UNKNOWN,  /* sent; the connection ended before the answer, or it never came */
};
const char *sl_share_answer_text(enum sl_share_answer outcome);

/* A share to submit. All but seq and nonce is copied from the sl_work it was found in. */
struct sl_share {
    uint64_t seq; /* the caller's (the journal's) number; comes back with the outcome */
    uint64_t job_serial;
    uint32_t session;
    uint32_t worker; /* index into the workers; the first where the pool does not know it */
    uint32_t ntime, nonce, version_bits;
    uint8_t extranonce2_size;
    uint8_t extranonce2[SL_EXTRANONCE2_MAX];
};
void sl_share_from_work(const struct sl_work *work, uint32_t nonce, uint64_t seq,
                        struct sl_share *ret_share);

enum sl_stratum_action_type {
    SL_STRATUM_CONNECT = 1, /* open host:port (tls), then call _connected or _disconnected */
    SL_STRATUM_SEND,        /* write data[0..size) */
    SL_STRATUM_CLOSE,       /* close the socket; no _disconnected is expected for it */
    SL_STRATUM_JOB,         /* hash this now; if job->clean, drop all older work */
    SL_STRATUM_NO_WORK,    /* connection lost: shares are kept, but fresh work is unlikely to pay */
    SL_STRATUM_SHARE,      /* a share's fate; exactly one for every submitted share */
    SL_STRATUM_DIFFICULTY, /* for display: the difficulty of the jobs to come */
    SL_STRATUM_MISCONFIGURED, /* authorisation refused: text says what to check */
    SL_STRATUM_LOG,
};

struct sl_stratum_action {
    enum sl_stratum_action_type type;
    const char *host; /* CONNECT */
    uint16_t port;
    bool tls;         /* only inside TLS, and only to a peer that has been checked */
    const char *data; /* SEND */
    size_t size;
    struct sl_job *job;              /* JOB */
    struct sl_difficulty difficulty; /* DIFFICULTY */
    uint64_t share_seq;              /* SHARE */
    enum sl_share_answer outcome;
    bool sent;                          /* false: decided here, the pool never saw it */
    int code;                           /* the pool's error code, 0 if none */
    int64_t latency_us;                 /* SHARE, sent and answered: from its submission */
    enum sl_log_level level;            /* LOG */
    char text[SL_STRATUM_TEXT_MAX + 1]; /* SHARE, MISCONFIGURED, LOG */
};

struct sl_stratum_status {
    enum sl_stratum_state state;
    uint32_t session;  /* generation of extranonce1 */
    uint32_t attempts; /* connection attempts since the last accepted share */
    uint64_t accepted, stale, rejected, unknown; /* of this process */
    uint32_t unanswered, waiting; /* shares sent and not answered; held until connected */
    struct sl_difficulty difficulty;
    bool version_rolling;
    uint32_t version_mask;
    char last_error[SL_STRATUM_TEXT_MAX + 1]; /* why the last connection ended; empty if none */
};

struct sl_stratum;

/* seed: any number that differs between nodes; jitter is drawn from it. */
int sl_stratum_create(const struct sl_stratum_config *config, uint64_t seed,
                      struct sl_stratum **ret_client, struct sl_error *err);
void sl_stratum_destroy(struct sl_stratum *client);
SL_DEFINE_AUTO(sl_stratum, sl_stratum_destroy)

/* Events. Each may queue actions; none fails, except that a share may be refused. */
void sl_stratum_start(struct sl_stratum *client, struct sl_mono now);
/* Closes; every share still open gets its outcome (unknown if it was sent, else stale). */
void sl_stratum_stop(struct sl_stratum *client, struct sl_mono now);
void sl_stratum_connected(struct sl_stratum *client, struct sl_mono now);
/* Any number of bytes, cut anywhere. */
void sl_stratum_received(struct sl_stratum *client, const void *data, size_t size,
                         struct sl_mono now);
/* The connection ended or could not be made; reason is a text for the log. */
void sl_stratum_disconnected(struct sl_stratum *client, const char *reason, struct sl_mono now);
void sl_stratum_timer(struct sl_stratum *client, struct sl_mono now);
/* Journal the share before the call. -SL_AGAIN when too many are open (nothing was taken),
 * -SL_BADSTATE when stopped. Sent at once when READY; otherwise held until the pool gave the same
 * session back, or reported stale. */
int sl_stratum_submit(struct sl_stratum *client, const struct sl_share *share, struct sl_mono now,
                      struct sl_error *err);
/* The difficulty that suits us, from now on and after every authorisation; 0: none. Only a
 * suggestion: pools may ignore it. */
void sl_stratum_suggest(struct sl_stratum *client, double difficulty);

/* True when there was an action; the shell loops until false. */
bool sl_stratum_take(struct sl_stratum *client, struct sl_stratum_action *ret_action);
/* When to call _timer at the latest; false when there is nothing to wait for. */
bool sl_stratum_deadline(const struct sl_stratum *client, struct sl_mono *ret_when);
/* When the silence of the pool becomes suspect: its oldest share that is not answered, nor is any
 * after it, was sent longer ago than 1 s and than 3 times what the pool takes of late. False: no
 * such share. The connection is not ended before submit_timeout_ms. */
bool sl_stratum_suspect_at(const struct sl_stratum *client, struct sl_mono *ret_when);
/* The job to hash now, borrowed; NULL if none. It stays through a reconnect, since shares for it
 * count again if the pool resumes the session. */
struct sl_job *sl_stratum_job(const struct sl_stratum *client);
void sl_stratum_status(const struct sl_stratum *client, struct sl_stratum_status *ret_status);

#endif
