/* SPDX-License-Identifier: Apache-2.0
 * A broker without agents and without prices: a real store, the real HTTP server, and a thread in
 * the core's place that obeys the same contract (it answers when a row is durable, validates with
 * broker/batch, and gives every line the vector that counts its bytes). A batch whose metadata
 * holds "test.hold" stays in progress until it is cancelled. */
#ifndef SLUICE_TESTS_HTTP_SITE_H
#define SLUICE_TESTS_HTTP_SITE_H

#include <pthread.h>
#include <stdatomic.h>

#include "broker/http/server.h"

struct site {
    char dir[64];
    char store_path[96];
    struct sl_store *store;
    struct sl_reader *reader; /* the loop thread's */
    struct sl_http *http;
    pthread_t loop;
    uint32_t stranger_idle_s; /* from the next restart on; 0: as in earnest */
    _Atomic bool silent;      /* takes requests and never answers */
    _Atomic bool refuse;      /* answers every event with -SL_LIMIT */
    _Atomic int events;       /* events seen */
    pthread_mutex_t lock;     /* of last */
    struct sl_core_event last;
};

/* Aborts the process on any failure: it is a test's ground. listen NULL: a free loopback port. */
void site_start(struct site *site, const char *listen);
/* As after a crash of the process: the same directory, a new server. */
void site_restart(struct site *site);
void site_stop(struct site *site);
/* Removes the directory too. */
void site_remove(struct site *site);
/* The operator's key as its file holds it. */
void site_operator_key(const struct site *site, char key[96]);
struct sl_core_event site_last_event(struct site *site);

#endif
