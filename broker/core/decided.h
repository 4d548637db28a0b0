/* SPDX-License-Identifier: Apache-2.0
 * Rows of what was decided and of what would have been earned otherwise. Plain records, part of
 * types.h. */
#ifndef SLUICE_BROKER_CORE_DECIDED_H
#define SLUICE_BROKER_CORE_DECIDED_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/base/clock.h"
#include "proto/base/mode.h"
#include "proto/wire/msg_limits.h"
#include "schedulers/decision.h"

#define SL_ID_MAX 40 /* "batch_" + 24 hex and the like, with NUL */
#define SL_WHY_MAX 256

struct sl_directive_row {
    char device[SL_MSG_KEY_MAX];
    uint64_t epoch;
    enum sl_mode mode;
    char batch[SL_ID_MAX]; /* infer: the batch that won, else empty */
    int64_t price_nusd_per_mtok;
    char rule[32];        /* "threshold", "dwell", "idle", "hold", "pin", "drain", "start", ... */
    char why[SL_WHY_MAX]; /* the figures, for people */
    uint8_t inputs_digest[32];
    char policy[24];         /* name of the rule by which prices move */
    char policy_version[20]; /* of the document (broker/policy) */
    bool recorded;
    uint8_t record[SL_DECISION_BYTES]; /* all figures of the decision (schedulers/decision.h) */
    struct sl_wall at;
};

/* What a device earned, and would have earned, over a span that ended at `at`: estimates at the
 * prices quoted then (broker/core/against.c). */
enum {
    SL_AGAINST_ACTUAL,
    SL_AGAINST_HASH,
    SL_AGAINST_LEASE,
    SL_AGAINST_IDLE,
    SL_AGAINST_POLICIES, /* the switching policies, in the order of sl_switching_at */
    SL_AGAINST_COUNT = SL_AGAINST_POLICIES + 5,
};
struct sl_against_row {
    char device[SL_MSG_KEY_MAX];
    struct sl_wall at;
    int64_t span_ms;
    int64_t nusd[SL_AGAINST_COUNT];
};
/* "actual", "hash", "lease", "idle", "fbf", ...; NULL past the end. */
const char *sl_against_name(uint32_t index);

#endif
