/* SPDX-License-Identifier: Apache-2.0
 * The interface of every switching policy: a total, pure function from a snapshot and a flat state
 * to a plan. No I/O, no clock, no globals, no heap, no failure return; same inputs, same bytes.
 *
 * A snapshot holds columns of [count] (structure of arrays), integers only. Devices may come in any
 * order: a plan never depends on it. Money is nano-USD per device-hour. What was learnt comes from
 * outside: of classes in views, of devices in their states. Adding a policy: one file, one row in
 * policy.c, one golden test. Thread: any. */
#ifndef SLUICE_SCHEDULERS_POLICY_H
#define SLUICE_SCHEDULERS_POLICY_H

#include <stddef.h>
#include <stdint.h>

#include "proto/base/mode.h"
#include "schedulers/switching.h"

/* What an operator ordered; it outranks prices. Highest first in force when several apply. */
enum sl_policy_order {
    SL_ORDER_NONE = 0,
    SL_ORDER_PIN,   /* stay in `pinned` */
    SL_ORDER_FAULT, /* not an order of people: the device is not to be trusted with work */
    SL_ORDER_DRAIN, /* idle */
    SL_ORDER_STOP,  /* idle, all of them */
};

/* Bits of the column `offer`, per mode. */
#define SL_OFFER_POSSIBLE 1u /* it could do this now: the pool is there, a batch waits */
#define SL_OFFER_PRICED 2u   /* every price the figures need is known and fresh */
#define SL_OFFER_POWER 4u    /* power is known; without it a mode's value is its gross */

struct sl_policy_params {
    int64_t threshold_ppm;
    int64_t dwell_min_ms;
    int64_t switch_horizon_ms;
    int64_t safe_mode; /* enum sl_mode */
    int64_t fixed;     /* policy `fixed`: enum sl_mode */
    struct sl_switching_params switching;
};

#define SL_POLICY_COLUMNS(X)                                                                       \
    X(int64_t, in_mode_ms)    /* since the last move caused by price; large when there was none */ \
    X(int64_t, span_ms)       /* since its class took a step; 0: between two */                    \
    X(int64_t, lease_left_ms) /* of the lease on offer, as far as it is declared; 0: it is not */  \
    X(int64_t, hash_rate)     /* H/s, measured */                                                  \
    X(uint32_t, id)           /* of the caller; says nothing about the order; its row in states */ \
    X(uint32_t, class)        /* its row in `classes` */                                           \
    X(uint8_t, present)       /* enum sl_mode; 0: holds no directive */                            \
    X(uint8_t, lease_open)    /* 1: the batch that it serves still has work for it */              \
    X(uint8_t, order_kind)    /* enum sl_policy_order */                                           \
    X(uint8_t, order_pinned)  /* enum sl_mode */

#define SL_POLICY_MODE_COLUMNS(X)                                                                  \
    X(int64_t, gross_nusd_h) /* revenue after fees, before power */                                \
    X(int64_t, power_nusd_h) /* may be negative where power is */                                  \
    X(int64_t, switch_us)    /* measured, from the present mode; 0: not measured */                \
    X(int64_t, back_us)      /* and back to it */                                                  \
    X(uint8_t, offer)

#define SL_PLAN_COLUMNS(X)                                                                         \
    X(int64_t, present_nusd_h) /* value of the present mode as compared */                         \
    X(int64_t, best_nusd_h)    /* value of `best` */                                               \
    X(int64_t, switch_nusd_h)  /* switching there once, spread over the horizon */                 \
    X(int64_t, margin_nusd_h)  /* threshold on the present value */                                \
    X(int64_t, dwell_left_ms)                                                                      \
    X(int64_t, regret_nusd) /* of not being in `best` */                                           \
    X(uint8_t, mode)        /* enum sl_mode: what the device shall do */                           \
    X(uint8_t, rule)        /* enum sl_rule */                                                     \
    X(uint8_t, best)        /* the mode worth most; 0 where prices did not count */                \
    X(uint8_t, marks)       /* SL_MARK_* */

#define SL_POLICY_COLUMN(type, name) type *name;
#define SL_POLICY_MODE_COLUMN(type, name) type *name[SL_MODE_COUNT];

/* The modes of a class in a fleet, and where they stand in a sl_switching_step. */
enum { SL_POLICY_HASH, SL_POLICY_LEASE, SL_POLICY_IDLE };
#define SL_POLICY_MODES 3
extern const struct sl_switching_modes sl_policy_modes;

struct sl_policy_input {
    struct sl_policy_params params;
    const struct sl_switching_view *const *classes; /* what was learnt of each */
    uint32_t count;
    SL_POLICY_COLUMNS(SL_POLICY_COLUMN)
    SL_POLICY_MODE_COLUMNS(SL_POLICY_MODE_COLUMN)
};

enum sl_rule {
    SL_RULE_INVALID = 0,
    SL_RULE_STOP,
    SL_RULE_DRAIN,
    SL_RULE_FAULT,
    SL_RULE_PIN,
    SL_RULE_HOLD,        /* a needed price is stale: nothing moves because of prices */
    SL_RULE_START,       /* it did nothing before */
    SL_RULE_LEASE_END,   /* what it did is not there any more: no line, no pool */
    SL_RULE_STAY,        /* nothing beats the present mode by enough */
    SL_RULE_DWELL,       /* something does, but it moved a moment ago */
    SL_RULE_THRESHOLD,   /* moved because it earns more */
    SL_RULE_IDLE,        /* nothing pays for its power */
    SL_RULE_BAND,        /* moved because it earns more by more than the band */
    SL_RULE_REGRET,      /* by less, but for so long that the switch is paid for */
    SL_RULE_LEASE_ENTER, /* what is left of a lease pays more than the switches cost */
    SL_RULE_LEASE_LEAVE, /* what is left of it pays too little */
    SL_RULE_FIXED,       /* the policy names this mode */
    /* Laid over a plan by the caller, no policy of this folder says them. */
    SL_RULE_CURTAIL, /* power costs more than the strike price */
    SL_RULE_CAP,     /* does not fit under a cap on watts */
};
#define SL_RULE_COUNT (SL_RULE_CAP + 1)

#define SL_MARK_GROSS 1u          /* compared without power, since some power is unknown */
#define SL_MARK_SWITCH_UNKNOWN 2u /* switching cost not measured, left out */
#define SL_MARK_IMPOSSIBLE 4u     /* the wanted (pinned, safe) mode is not possible now */
#define SL_MARK_SAFE_MODE 8u

struct sl_plan {
    uint32_t count;
    SL_PLAN_COLUMNS(SL_POLICY_COLUMN)
};

struct sl_policy {
    const char *name;
    uint32_t version; /* rises whenever the same inputs could give another plan */
    /* devices: rows by `id`, zeroed at first, changed only where span_ms is not 0. */
    void (*decide)(const struct sl_policy_input *in, struct sl_switching_device *devices,
                   struct sl_plan *out);
};

/* NULL when there is no policy of that name. Index order is fixed; NULL past the end. */
const struct sl_policy *sl_policy_find(const char *name);
const struct sl_policy *sl_policy_at(size_t index);
const char *sl_rule_name(enum sl_rule rule);

/* Memory for columns of `cap` devices, given by the caller and aligned for int64_t; place only sets
 * the pointers (count is left alone). */
size_t sl_policy_input_bytes(uint32_t cap);
void sl_policy_input_place(struct sl_policy_input *in, void *memory, uint32_t cap);
size_t sl_plan_bytes(uint32_t cap);
void sl_plan_place(struct sl_plan *plan, void *memory, uint32_t cap);

/* threshold.c */
extern const struct sl_policy sl_policy_threshold;
/* market.c: the switching policies, and a mode that is fixed */
extern const struct sl_policy sl_policy_fbf, sl_policy_percent, sl_policy_minimum,
    sl_policy_work_function, sl_policy_greedy, sl_policy_fixed;
/* The typical device of a class, the mean of its rows, as the class is shown it (class.h). Its
 * first row, or UINT32_MAX when it has none. */
uint32_t sl_policy_typical(const struct sl_policy_input *in, uint32_t class, int64_t span_ms,
                           struct sl_switching_step *ret_step);
/* The step of one device that a switching policy is asked with; `gross`: power does not count. */
void sl_policy_step(const struct sl_policy_input *in, uint32_t row, int gross,
                    struct sl_switching_step *ret_step);

#endif
