/* SPDX-License-Identifier: Apache-2.0
 * One pool with several addresses, best first: which of them the devices work for.
 *
 * Each address has a connection of its own (sl_stratum), so that a better one can be tried while
 * another serves and hashing goes on. Rules:
 *  - Nobody serves: the addresses are tried in order, the next as soon as one fails or has not
 *    served within 3 s; those that failed go on with their own back-off. The first that has
 *    accepted the user and given a job serves.
 *  - Somebody serves: worse addresses are closed. A better one that failed three times without an
 *    accepted share rests for retry_ms to twice that (full jitter) and is then tried once more.
 *  - When a better one has accepted the user and given a job, devices change over at once. The
 *    connection that served is kept for late shares and their answers, then closed.
 *  - One that serves and has become suspect (sl_stratum_suspect_at) is left for any other that
 *    serves and is not; all are tried for that, 250 ms apart. Its connection is kept for late
 *    answers: with the first of them a better one is trusted and returned to. Where no other is
 *    there, nothing better is known and it goes on.
 *  - So is one that refuses ten shares in a row, for other reasons than stale, duplicate or the
 *    user, or for any reason over a minute. It is tried again after retry_ms to twice that, with
 *    three shares; that pause doubles up to four times, until it accepts one. Where all do, the
 *    first goes on.
 *  - A refused user closes the address to the slow retry of sl_stratum; the next one is tried.
 * With one address it is exactly the connection.
 *
 * The shell has one socket for each link; an action says which (`link`, the index of the address),
 * events name it. Pure: no socket, clock or random number. Thread: one. Pointers in an action hold
 * until the next call. */
#ifndef SLUICE_AGENT_STRATUM_FAILOVER_H
#define SLUICE_AGENT_STRATUM_FAILOVER_H

#include "agent/stratum/client.h"

#define SL_FAILOVER_URLS_MAX 8

struct sl_failover_config {
    struct sl_stratum_config client; /* its url is not used */
    uint32_t url_count;
    struct sl_pool_url urls[SL_FAILOVER_URLS_MAX]; /* best first */
    int64_t head_start_ms; /* nobody serves: so long before the next is tried too */
    int64_t retry_ms;      /* somebody serves: a better one that failed is tried again after it */
    int64_t linger_ms;     /* after a change: at least so long for late shares */
};

/* Those of the client; 3 s, 300 s, 5 s; no addresses. */
void sl_failover_config_defaults(struct sl_failover_config *config);

struct sl_failover_action {
    uint32_t link;
    struct sl_stratum_action action;
};

struct sl_failover_status {
    struct sl_stratum_status client; /* of the address that serves, else of the first; the counts
                                        of shares are those of all */
    int serving;                     /* its index; -1: none */
    uint32_t urls;                   /* how many there are */
    const struct sl_pool_url *url;   /* that the status is about; borrowed */
    bool suspect;                    /* who serves does not answer, and no other address is there */
    bool refusing;                   /* who serves refuses all shares, and none other takes them */
    struct sl_mono suspect_at;       /* since when; holds with `suspect` */
    uint64_t changes;                /* of the address that serves */
};

struct sl_failover;

int sl_failover_create(const struct sl_failover_config *config, uint64_t seed,
                       struct sl_failover **ret_pool, struct sl_error *err);
void sl_failover_destroy(struct sl_failover *pool);
SL_DEFINE_AUTO(sl_failover, sl_failover_destroy)

/* Events, as those of sl_stratum. */
void sl_failover_start(struct sl_failover *pool, struct sl_mono now);
void sl_failover_stop(struct sl_failover *pool, struct sl_mono now);
void sl_failover_connected(struct sl_failover *pool, uint32_t link, struct sl_mono now);
void sl_failover_received(struct sl_failover *pool, uint32_t link, const void *data, size_t size,
                          struct sl_mono now);
void sl_failover_disconnected(struct sl_failover *pool, uint32_t link, const char *reason,
                              struct sl_mono now);
void sl_failover_timer(struct sl_failover *pool, struct sl_mono now);
/* Goes to the address whose job it is, whoever serves now. */
int sl_failover_submit(struct sl_failover *pool, const struct sl_share *share, struct sl_mono now,
                       struct sl_error *err);

/* At all addresses (sl_stratum_suggest). */
void sl_failover_suggest(struct sl_failover *pool, double difficulty);

bool sl_failover_take(struct sl_failover *pool, struct sl_failover_action *ret_action);
bool sl_failover_deadline(const struct sl_failover *pool, struct sl_mono *ret_when);
bool sl_failover_is_suspect(const struct sl_failover *pool); /* status: suspect or refusing */
void sl_failover_status(const struct sl_failover *pool, struct sl_failover_status *ret_status);

#endif
