/* SPDX-License-Identifier: Apache-2.0
 * What an admitted agent claims to have found, against what it can have hashed. An agent that is
 * broken or lies could name any number of shares and any rate, and until a pool's settlement
 * comes nothing contradicts it.
 *
 * Shares are booked whatever they claim: they are the only record of what a pool owes. But those of
 * a device whose claims cannot be luck (schedulers/claims.h) are counted apart, told to people, and
 * left out of the pools' figures. Judged are
 *   - shares found since we know the agent's present start: against the hashes that the
 *     device says it has spent since, of which no more count than `hash_rate_max` allows;
 *   - older ones, from before a restart of either side: against `hash_rate_max` and their age.
 * A rate above `hash_rate_max` is taken as none, so that it moves neither the device nor what its
 * class learns. Work in hashes, spans ns. Private to broker/core and its tests; thread: the
 * loop's. */
#ifndef SLUICE_BROKER_CORE_CLAIMS_H
#define SLUICE_BROKER_CORE_CLAIMS_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/base/clock.h"
#include "proto/base/money.h"
#include "proto/wire/msg.h"

struct sl_broker_core;
struct sl_share_row;

struct sl_core_claim {
    sl_i128 work;  /* of accepted shares */
    uint64_t most; /* of the greatest */
};

/* Of a device; made when it first claims something. */
struct sl_core_claims {
    int64_t since_ns; /* hashes are counted from here; shares found before are `old` */
    uint64_t total;   /* hashes_total of its last report */
    sl_i128 spent;
    struct sl_core_claim now, old;
    int64_t old_ns; /* how long before since_ns the oldest of `old` was found */
    bool shares;    /* its shares are not plausible: until its agent starts anew */
    bool rate;      /* its last rate was not */
};

/* META "claims", in this order. */
struct sl_core_implausible {
    uint64_t shares;
    sl_i128 work;
    sl_i128 nusd;
    struct sl_mono told; /* last event of a device that is not known; not stored */
};

/* An accepted share, its work bounded and its amount known. dev: SL_CORE_NONE where nobody ever
 * reported it. True: it is not plausible, and was counted so. */
bool sl_core_claims_share(struct sl_broker_core *core, uint32_t node, uint32_t dev,
                          const struct sl_share_row *row);
/* The rate that decisions may use. Call with every report. */
uint64_t sl_core_claims_report(struct sl_broker_core *core, uint32_t dev,
                               const struct sl_msg_device *report);
/* Whether it is a rate that is believed. */
bool sl_core_claims_fits(const struct sl_broker_core *core, uint64_t rate_hs);
/* The agent has started anew: its counts begin at 0. Before its first report is taken. */
void sl_core_claims_boot(struct sl_broker_core *core, uint32_t dev);
/* Why it is not believed, for people; NULL: it is. */
const char *sl_core_claims_doubt(const struct sl_broker_core *core, uint32_t dev);
/* Hashes that so many devices can do at most. */
uint64_t sl_core_claims_most(const struct sl_broker_core *core, uint32_t devices, int64_t span_ns);
/* a + b, at most INT64_MAX. */
uint64_t sl_core_claims_sum(uint64_t a, uint64_t b);
int sl_core_claims_restore(struct sl_broker_core *core, const char *value);

#endif
