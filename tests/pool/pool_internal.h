/* SPDX-License-Identifier: Apache-2.0
 * Inside of the test pool: pool.c (jobs to sessions, log), session.c (requests), submit.c (shares).
 */
#ifndef SLUICE_TESTS_POOL_POOL_INTERNAL_H
#define SLUICE_TESTS_POOL_POOL_INTERNAL_H

#include <jansson.h>

#include "proto/base/text.h"
#include "tests/pool/pool.h"

struct sl_tp_pool {
    struct sl_tp_options options;
    struct sl_tp_chain *chain;
    uint64_t instance;
    uint32_t first_extranonce1, next_extranonce1;
    int log_fd;
    bool log_ok;
    struct sl_tp_counts counts;
    uint64_t refused;               /* REFUSE_SHARES: so many good ones by now */
    struct sl_tp_session *sessions; /* list */
};

/* From a job on, a difficulty holds. */
struct sl_tp_terms {
    uint64_t from_job;
    int64_t difficulty;
};

struct sl_tp_session {
    struct sl_tp_session *next;
    struct sl_tp_pool *pool;
    void (*write)(void *context, const char *data, size_t size);
    void *context;
    bool subscribed, resumed;
    uint32_t extranonce1;
    bool rolling;
    uint32_t version_mask;
    char workers[SL_TP_SESSION_WORKERS_MAX][129];
    int worker_count;
    int64_t difficulty;                        /* for the jobs to come; 0: none yet */
    struct sl_tp_terms terms[SL_TP_TERMS_MAX]; /* oldest first */
    int term_count;
    uint64_t last_job; /* newest that was sent */
    bool failed;       /* close */
    uint64_t accepted;
    uint32_t before_extranonce1; /* MOVE_EXTRANONCE: the one before, and until when it counts */
    struct sl_wall moved_at;     /* ... as stale, not as wrong; MOVE_MASK likewise */
    uint64_t turn;               /* counts what comes in turns */
    bool stalled;
    json_t *late; /* ACK_LATE: a list of answers */
    struct sl_buf input;
    size_t scanned;
};

struct sl_tp_log_line {
    const char *worker, *job, *result;
    int code; /* 0: null */
    int64_t difficulty;
    int64_t behind_ms; /* since the job was retired; negative: it is not */
    struct sl_wall now;
};
void sl_tp_pool_log(struct sl_tp_pool *pool, const struct sl_tp_log_line *line);

/* JSON to the miner; taken over. */
void sl_tp_session_send(struct sl_tp_session *session, json_t *message);
void sl_tp_session_reply(struct sl_tp_session *session, json_t *id, json_t *result, int code,
                         const char *text);
/* The newest job, with its difficulty before it where that is new. */
void sl_tp_session_notify(struct sl_tp_session *session, bool first);
bool sl_tp_session_works(const struct sl_tp_session *session); /* subscribed and authorised */
bool sl_tp_session_knows(const struct sl_tp_session *session, const char *worker);
/* The difficulty under which a job was given to this session. */
int64_t sl_tp_session_difficulty(const struct sl_tp_session *session, uint64_t job);

/* mischief.c */
/* Before and after each job that a tick sends. */
void sl_tp_mischief_before_job(struct sl_tp_session *session, struct sl_wall now);
void sl_tp_mischief_after_job(struct sl_tp_session *session);
/* The answer to a share, in the way of the session. */
void sl_tp_mischief_answer(struct sl_tp_session *session, json_t *id, json_t *result, int code,
                           const char *text);
/* The `error` member. */
json_t *sl_tp_mischief_error(struct sl_tp_session *session, int code, const char *text);
/* One more share of the session was accepted and answered. */
void sl_tp_mischief_accepted(struct sl_tp_session *session);
void sl_tp_session_notify_job(struct sl_tp_session *session, const struct sl_tp_job *job,
                              bool clean);
void sl_tp_session_set_difficulty(struct sl_tp_session *session);

/* submit.c */
void sl_tp_session_submit(struct sl_tp_session *session, json_t *id, const json_t *params,
                          struct sl_wall now);

#endif
