/* SPDX-License-Identifier: Apache-2.0
 * One pool, several addresses, for tests: they are played by a few lines that answer as a pool
 * does, each in its own mood. */
#ifndef SLUICE_TESTS_STRATUM_FAILOVER_RIG_H
#define SLUICE_TESTS_STRATUM_FAILOVER_RIG_H

#include <stdbool.h>

#include "agent/stratum/failover.h"
#include "proto/base/text.h"

#define LINKS 3

enum mood {
    UP = 0,
    DOWN,   /* refuses connections */
    HANGS,  /* never answers a connection */
    DUMB,   /* connects, says nothing */
    STRICT, /* refuses the user */
    JOBLESS /* accepts the user, has no job */
};

struct player {
    enum mood mood;
    bool open;
    int connects, submits, closes;
    int number; /* of its jobs */
    bool silent_on_shares;
    const char *verdict; /* the error of every share; NULL: accepted */
};

struct rig {
    struct sl_failover *pool;
    struct sl_mono now;
    struct player players[LINKS];
    struct sl_job *job; /* that devices have; NULL: none */
    int jobs, no_work, misconfigured;
    int outcomes[5];
    struct sl_buf logs;
};

void rig_say(struct rig *rig, uint32_t link, const char *text);
void rig_give_job(struct rig *rig, uint32_t link, bool clean);
void rig_pump(struct rig *rig);
void rig_set_up(struct rig *rig, uint32_t count);
void rig_begin(struct rig *rig);
void rig_tear_down(struct rig *rig);
/* Time goes on by `ms`, with every deadline kept. New jobs keep an address alive. */
void rig_pass(struct rig *rig, int64_t ms);
uint64_t rig_changes(const struct rig *rig);
int rig_serving(const struct rig *rig);
struct sl_share rig_share_of(const struct rig *rig, uint64_t seq);
void rig_submit(struct rig *rig, uint64_t seq);
void rig_cut(struct rig *rig, uint32_t link);

#endif
