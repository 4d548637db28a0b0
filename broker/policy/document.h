/* SPDX-License-Identifier: Apache-2.0
 * The policy document: how this site decides. Every constant of every rule stands in it, with its
 * unit and meaning (deploy/config/policy.yaml), and nowhere else; what a document leaves out has
 * the value shipped (document.c's table, held to deploy/config/policy.yaml by a test).
 *
 * Its version is a digest of all values, however the file was laid out: it is stored with each
 * decision. Plain struct, no ownership. Thread: any. */
#ifndef SLUICE_BROKER_POLICY_DOCUMENT_H
#define SLUICE_BROKER_POLICY_DOCUMENT_H

#include <stdio.h>

#include "broker/policy/health.h"
#include "broker/policy/power.h"
#include "proto/base/error.h"
#include "schedulers/calibration.h"
#include "schedulers/quote.h"
#include "schedulers/rate_card.h"
#include "schedulers/risk.h"
#include "schedulers/stress.h"
#include "schedulers/switching.h"

#define SL_POLICY_VERSION_MAX 20 /* 16 hex digits and NUL */

/* Nodes that come with a token (broker/core/enrol.c). */
struct sl_policy_joining {
    int64_t approve;     /* SL_JOINING_* */
    int64_t max_devices; /* an automatic approval is for at most so many; 0: any number */
};
enum { SL_JOINING_HAND = 0, SL_JOINING_AUTO };

struct sl_policy_document {
    int64_t policy;     /* index among sl_policy_document_policies */
    int64_t step_ms;    /* between two steps of the filters */
    int64_t against_ms; /* between two rows of what would have been earned otherwise */
    struct sl_switching_params switching;
    int64_t threshold_ppm, dwell_min_ms, switch_horizon_ms; /* policy `threshold` */
    int64_t fixed;                                          /* policy `fixed`: enum sl_mode - 1 */
    struct sl_policy_power power;
    struct sl_calibration_limits calibration;
    struct sl_quote_limits quote; /* which of several sources of a price is believed */
    struct sl_stress_params stress;
    struct sl_risk_params risk;
    int64_t exposure_coin_max_ppm;   /* of the revenue; above it, a warning */
    int64_t exposure_tenant_max_ppm; /* likewise */
    struct sl_policy_health health;
    struct sl_policy_joining joining;
    uint32_t rate_count;
    struct sl_rate rates[SL_RATES_MAX];
};

#define SL_POLICY_THRESHOLD 0 /* index of `threshold` */

/* The names that `policy` may have, in the order of its index, between bars. */
extern const char sl_policy_document_policies[];

int sl_policy_document_read(const char *path, struct sl_policy_document *ret_document,
                            struct sl_error *err);
/* The document as shipped. */
void sl_policy_document_default(struct sl_policy_document *ret_document);
/* As YAML, with what each means; reading it back gives the same. */
void sl_policy_document_print(FILE *out, const struct sl_policy_document *document);
void sl_policy_document_version(const struct sl_policy_document *document,
                                char ret_version[SL_POLICY_VERSION_MAX]);

#endif
