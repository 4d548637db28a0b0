/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/policy/document.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "proto/conf/conf.h"

#define FIELD(member)                                                                              \
    .offset = offsetof(struct sl_policy_document, member),                                         \
    .size = sizeof(((struct sl_policy_document *)0)->member)
#define AT(member) FIELD(switching.member)
#define RATE(member)                                                                               \
    .offset = offsetof(struct sl_rate, member), .size = sizeof(((struct sl_rate *)0)->member)
#define USD INT64_C(1000000000)
#define HOUR_MS INT64_C(3600000)
#define DAY_MS (24 * HOUR_MS)

#define POLICIES "fbf|threshold|percent|minimum-time|work-function|greedy|fixed"
const char sl_policy_document_policies[] = POLICIES;

static const struct sl_conf_option rate_schema[] = {
    {"model", SL_CONF_TEXT, RATE(model), .min = 1, .max = 63, .fallback = "*",
     .help = "Model id, or * for every one."},
    {"class", SL_CONF_TEXT, RATE(class_), .min = 1, .max = 63, .fallback = "*",
     .help = "Name of the devices, as `sluice devices` shows it; * stands for any text."},
    {"tenant", SL_CONF_TEXT, RATE(tenant), .min = 1, .max = 63, .fallback = "*",
     .help = "Tenant id, or * for every one."},
    {"usd_per_mtok", SL_CONF_DECIMAL, RATE(nusd_per_mtok), .unit = "USD/Mtok", .digits = 9,
     .min = 0, .max = 1000000 * USD, .help = "A lower bid is not offered these devices."},
    {0},
};

static const struct sl_conf_option schema[] = {
    {"policy", SL_CONF_CHOICE, FIELD(policy), .choices = POLICIES, .fallback = "fbf",
     .help = "The rule by which prices move a device."},
    {"step", SL_CONF_SPAN_MS, FIELD(step_ms), .min = 100, .max = HOUR_MS, .fallback = "5m",
     .help = "Between two looks of the filters at the market. What is known exactly (a bid, a "
             "tariff) acts at once."},
    {"fbf.theta", SL_CONF_DECIMAL, AT(theta_ppm), .unit = "switches", .digits = 6, .min = 100000,
     .max = 100000000, .fallback = "2",
     .help = "Regret that ends a stay, as so many times the cost of a switch. Lower trusts the "
             "forecasts less."},
    {"fbf.kz", SL_CONF_DECIMAL, AT(kz_ppm), .unit = "standard deviations", .digits = 6, .min = 0,
     .max = 10000000, .fallback = "0.25",
     .help = "Of the filter's error; an advantage must beat so many besides the band."},
    {"fbf.horizon", SL_CONF_SPAN_MS, AT(horizon_ms), .min = 60000, .max = 100 * DAY_MS,
     .fallback = "4h", .help = "The band is never below the cost of a switch spread over so long."},
    {"fbf.memory", SL_CONF_INT, AT(memory_steps), .unit = "steps", .min = 16, .max = 1000000,
     .fallback = "2016",
     .help = "Over which the variances of quotes and spreads are averaged; a week of 5 minutes."},
    {"fbf.lag", SL_CONF_INT, AT(lag_short_steps), .unit = "steps", .min = 2, .max = 1000,
     .fallback = "24",
     .help = "Of the second difference variance, which tells noise from true moves; the third "
             "has four times as many."},
    {"fbf.clip", SL_CONF_INT, AT(clip), .unit = "variances", .min = 2, .max = 1000000,
     .fallback = "16",
     .help = "One difference counts for so many at most: a jump is no volatility."},
    {"fbf.gap_prior", SL_CONF_SPAN_MS, AT(gap_prior_ms), .min = 1000, .max = 100 * DAY_MS,
     .fallback = "1h", .help = "Mean gap between two leases before one was seen."},
    {"fbf.lease_prior", SL_CONF_SPAN_MS, AT(lease_prior_ms), .min = 1000, .max = 100 * DAY_MS,
     .fallback = "4h",
     .help = "Mean length of a lease, where none is declared, before one was seen."},
    {"fbf.lease_memory", SL_CONF_INT, AT(lease_memory), .unit = "leases", .min = 1, .max = 100000,
     .fallback = "50", .help = "Over which gaps and lengths are averaged."},
    {"percent.advantage", SL_CONF_DECIMAL, AT(percent_ppm), .digits = 6, .min = 0, .max = 10000000,
     .fallback = "0.03", .help = "By which another mode must be better, as a part of the present."},
    {"minimum_time.span", SL_CONF_SPAN_MS, AT(minimum_ms), .min = 0, .max = 100 * DAY_MS,
     .fallback = "10m", .help = "In a mode before it may be left."},
    {"stress.lease", SL_CONF_DECIMAL, FIELD(stress.lease_change_ppm), .unit = "%", .digits = 4,
     .min = -1000000, .max = 10000000, .fallback = "-60",
     .help = "Change of all bids in a full stress test (`sluice stress --all`)."},
    {"stress.hashprice", SL_CONF_DECIMAL, FIELD(stress.hash_change_ppm), .unit = "%", .digits = 4,
     .min = -1000000, .max = 10000000, .fallback = "-50", .help = "Change of the hashprice in it."},
    {"stress.power", SL_CONF_DECIMAL, FIELD(stress.power_ppm), .unit = "times", .digits = 6,
     .min = 0, .max = 1000000000, .fallback = "3",
     .help = "The price of power in it, as so many times the present."},
    {"stress.fee_share", SL_CONF_DECIMAL, FIELD(stress.fee_share_ppm), .unit = "%", .digits = 4,
     .min = 0, .max = 1000000, .fallback = "1",
     .help = "Fees in a miner's revenue; a halving halves the rest."},
    {"stress.use_min", SL_CONF_SPAN_MS, FIELD(stress.use_min_ms), .min = 0, .max = 400 * DAY_MS,
     .fallback = "1h",
     .help = "A device that was measured for less counts as leased whenever it would take a lease "
             "that waits."},
    {"stress.fixed", SL_CONF_DECIMAL, FIELD(stress.fixed_nusd), .unit = "USD/month", .digits = 9,
     .min = 0, .max = 9 * USD * USD, .fallback = "0",
     .help = "Costs that fall due whatever runs: rent, people, insurance."},
    {"stress.debt", SL_CONF_DECIMAL, FIELD(stress.debt_nusd), .unit = "USD/month", .digits = 9,
     .min = 0, .max = 9 * USD * USD, .fallback = "0", .help = "Service of debt."},
    {"stress.cash", SL_CONF_DECIMAL, FIELD(stress.cash_nusd), .unit = "USD", .digits = 9, .min = 0,
     .max = 9 * USD * USD, .fallback = "0",
     .help = "From which costs are paid that the margin does not cover: months of cover."},
    {"exposure.coin_max", SL_CONF_DECIMAL, FIELD(exposure_coin_max_ppm), .unit = "%", .digits = 4,
     .min = 0, .max = 1000000, .fallback = "100",
     .help = "Of the revenue of 30 days; a coin above it is warned of. 100: never."},
    {"exposure.tenant_max", SL_CONF_DECIMAL, FIELD(exposure_tenant_max_ppm), .unit = "%",
     .digits = 4, .min = 0, .max = 1000000, .fallback = "100",
     .help = "Of the revenue of 30 days; a tenant above it is warned of. 100: never."},
    {"risk.hash", SL_CONF_DECIMAL, FIELD(risk.hash_ppm), .unit = "%", .digits = 4, .min = 0,
     .max = 1000000, .fallback = "0",
     .help = "Of the hash revenue, taken off before modes are compared: what uncertainty costs."},
    {"risk.lease", SL_CONF_DECIMAL, FIELD(risk.lease_ppm), .unit = "%", .digits = 4, .min = 0,
     .max = 1000000, .fallback = "0", .help = "Likewise of the lease revenue."},
    {"rates", SL_CONF_LIST, .offset = offsetof(struct sl_policy_document, rates),
     .size = sizeof(struct sl_rate), .max = SL_RATES_MAX, .item = rate_schema,
     .count_offset = offsetof(struct sl_policy_document, rate_count), .fallback = "[]",
     .help = "The rate card: least bids by model, class of devices and tenant. The most specific "
             "row counts: tenant before model before class."},
    {0},
};

int sl_policy_document_read(const char *path, struct sl_policy_document *ret_document,
                            struct sl_error *err) {
    int rc = sl_conf_read(path, schema, ret_document, sizeof *ret_document, err);
    rc = rc ? rc : sl_rate_card_check(ret_document->rates, ret_document->rate_count, err);
    return rc == SL_OK || strstr(err->text, path) ? rc : sl_wrap(err, "%s", path);
}

void sl_policy_document_default(struct sl_policy_document *ret_document) {
    struct sl_error err;
    static const char least[] = "policy: fbf\n";
    int rc = sl_conf_parse("policy", least, sizeof least - 1, schema, ret_document,
                           sizeof *ret_document, &err);
    sl_assert(rc == SL_OK); /* the table is ours: its own values pass */
}

void sl_policy_document_print(FILE *out, const struct sl_policy_document *document) {
    sl_conf_print(out, schema, document);
}

void sl_policy_document_version(const struct sl_policy_document *document,
                                char ret_version[SL_POLICY_VERSION_MAX]) {
    /* FNV-1a over what the document prints as: it tells apart, it is no proof. */
    char *text = NULL;
    size_t size = 0;
    uint64_t hash = UINT64_C(14695981039346656037);
    FILE *out = open_memstream(&text, &size);
    if (out) {
        sl_policy_document_print(out, document);
        fclose(out);
    }
    for (size_t i = 0; i < size; i++) {
        hash = (hash ^ (uint8_t)text[i]) * UINT64_C(1099511628211);
    }
    free(text);
    snprintf(ret_version, SL_POLICY_VERSION_MAX, "%016" PRIx64, hash);
}
