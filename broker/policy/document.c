/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/policy/document.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/money.h"
#include "proto/conf/conf.h"

#define FIELD(member)                                                                              \
    .offset = offsetof(struct sl_policy_document, member),                                         \
    .size = sizeof(((struct sl_policy_document *)0)->member)
#define AT(member) FIELD(switching.member)
#define POWER(member) FIELD(power.member)
#define ITEM(type, member)                                                                         \
    .offset = offsetof(struct type, member), .size = sizeof(((struct type *)0)->member)
#define CALIBRATION(member) FIELD(calibration.member)
#define QUOTE(member) FIELD(quote.member)
#define RATE(member)                                                                               \
    .offset = offsetof(struct sl_rate, member), .size = sizeof(((struct sl_rate *)0)->member)
#define USD INT64_C(1000000000)
#define HOUR_MS INT64_C(3600000)
#define DAY_MS (24 * HOUR_MS)

#define POLICIES "threshold|fbf|percent|minimum-time|work-function|greedy|fixed"
const char sl_policy_document_policies[] = POLICIES;

#define KW_MAX INT64_C(1000000000000) /* a GW in mW */
#define PRICE_MAX (1000 * SL_NUSD_PER_USD)

static const struct sl_conf_option strike_schema[] = {
    {"class", SL_CONF_TEXT, ITEM(sl_policy_strike, class_), .min = 1, .max = SL_POLICY_NAME_MAX - 1,
     .help = "Devices whose name fits, with * for any letters; the first class that fits counts."},
    {"price", SL_CONF_DECIMAL, .unit = "USD/kWh", ITEM(sl_policy_strike, price), .digits = 9,
     .min = -PRICE_MAX, .max = PRICE_MAX, .help = "Above it these devices stand idle."},
    {0},
};

static const struct sl_conf_option circuit_schema[] = {
    {"name", SL_CONF_TEXT, ITEM(sl_policy_circuit, name), .min = 1, .max = SL_POLICY_NAME_MAX - 1,
     .help = "Of the circuit, in screens and reasons."},
    {"nodes", SL_CONF_TEXT, ITEM(sl_policy_circuit, nodes), .min = 1,
     .max = SL_POLICY_NODES_MAX - 1,
     .help = "Names of the nodes on it with commas between; * stands for any letters."},
    {"cap", SL_CONF_DECIMAL, .unit = "kW", ITEM(sl_policy_circuit, cap_mw), .digits = 6, .min = 0,
     .max = KW_MAX, .help = "That all devices on it together never exceed."},
    {0},
};

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

static const struct sl_conf_option xid_schema[] = {
    {"number", SL_CONF_INT, ITEM(sl_policy_xid, xid), .min = 1, .max = 65535,
     .help = "Of NVIDIA's driver error (Xid)."},
    {"action", SL_CONF_CHOICE, ITEM(sl_policy_xid, action), .choices = SL_POLICY_ACTIONS,
     .help = "What is done with the device."},
    {0},
};

#define HEALTH(member) FIELD(health.member)
#define ACTION(name, member, value, text)                                                          \
    {                                                                                              \
        name, SL_CONF_CHOICE, HEALTH(member), .choices = SL_POLICY_ACTIONS, .fallback = value,     \
                                              .help = text                                         \
    }

static const struct sl_conf_option schema[] = {
    {"policy", SL_CONF_CHOICE, FIELD(policy), .choices = POLICIES, .fallback = "fbf",
     .help = "The rule by which prices move a device."},
    {"step", SL_CONF_SPAN_MS, FIELD(step_ms), .min = 100, .max = HOUR_MS, .fallback = "5m",
     .help = "Between two looks of the filters at the market. What is known exactly (a bid, a "
             "tariff) acts at once."},
    {"against.interval", SL_CONF_SPAN_MS, FIELD(against_ms), .min = 1000, .max = 31 * DAY_MS,
     .fallback = "1h",
     .help = "What each device would have earned otherwise is written down once in so long."},
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
    {"threshold.advantage", SL_CONF_DECIMAL, FIELD(threshold_ppm), .unit = "%", .digits = 4,
     .min = 0, .max = 10000000, .fallback = "2",
     .help = "A move must earn so much more than staying, after its switching cost."},
    {"threshold.dwell", SL_CONF_SPAN_MS, FIELD(dwell_min_ms), .min = 0, .max = DAY_MS,
     .fallback = "10s", .help = "After a move caused by price, stay at least so long."},
    {"threshold.horizon", SL_CONF_SPAN_MS, FIELD(switch_horizon_ms), .min = 100, .max = DAY_MS,
     .fallback = "60s", .help = "The measured cost of a switch is spread over so long."},
    {"fixed.mode", SL_CONF_CHOICE, FIELD(fixed), .choices = "idle|hash|infer", .fallback = "hash",
     .help = "The one mode; a device for which it is not possible stands idle."},
    {"power.strike", SL_CONF_LIST, .offset = offsetof(struct sl_policy_document, power.strikes),
     .size = sizeof(struct sl_policy_strike), .max = SL_POLICY_CLASSES_MAX, .item = strike_schema,
     .count_offset = offsetof(struct sl_policy_document, power.strike_count), .fallback = "[]",
     .help = "Devices that stand idle while power costs more than a price, by class."},
    {"power.confirm", SL_CONF_SPAN_MS, POWER(curtail.confirm_ms), .min = 0, .max = DAY_MS,
     .fallback = "5m", .help = "Above the strike price for so long before a class is curtailed."},
    {"power.resume", SL_CONF_SPAN_MS, POWER(curtail.resume_ms), .min = 0, .max = DAY_MS,
     .fallback = "10m", .help = "Low enough for so long before it works again."},
    {"power.resume_margin", SL_CONF_DECIMAL, POWER(curtail.resume_margin), .unit = "USD/kWh",
     .digits = 9, .min = 0, .max = PRICE_MAX, .fallback = "0.005",
     .help = "Low enough is so much below the strike price."},
    {"power.ramp", SL_CONF_DECIMAL, POWER(curtail.ramp_mw), .unit = "kW a minute", .digits = 6,
     .min = 0, .max = KW_MAX, .fallback = "0",
     .help = "That curtailment switches off or on at the site; 0: no limit."},
    {"power.ramp_devices", SL_CONF_INT, POWER(curtail.ramp_devices), .unit = "devices a minute",
     .min = 0, .max = 1000000, .fallback = "0", .help = "Likewise, in devices; 0: no limit."},
    {"caps.site", SL_CONF_DECIMAL, POWER(site_mw), .unit = "kW", .digits = 6, .min = -1000000,
     .max = KW_MAX, .fallback = "-1",
     .help = "That all devices together never exceed; the least margin per watt is shed first. "
             "-1: none."},
    {"caps.circuits", SL_CONF_LIST, .offset = offsetof(struct sl_policy_document, power.circuits),
     .size = sizeof(struct sl_policy_circuit), .max = SL_POLICY_CIRCUITS_MAX,
     .item = circuit_schema,
     .count_offset = offsetof(struct sl_policy_document, power.circuit_count), .fallback = "[]",
     .help = "Groups of nodes with a cap of their own."},
    {"caps.unknown", SL_CONF_DECIMAL, POWER(unknown_mw), .unit = "W", .digits = 3, .min = -1000,
     .max = KW_MAX, .fallback = "-1",
     .help = "A mode whose watts nobody knows counts as this under a cap; -1: such a device stays "
             "idle."},
    {"caps.advantage", SL_CONF_DECIMAL, POWER(advantage_ppm), .digits = 6, .min = 0, .max = 1000000,
     .fallback = "0.05",
     .help = "By which another device's margin per watt must be better to take a working one's "
             "place under a cap."},
    {"floors.site", SL_CONF_DECIMAL, POWER(floor_mw), .unit = "kW", .digits = 6, .min = 0,
     .max = KW_MAX, .fallback = "0", .help = "Curtailment by price never goes below this load."},
    {"feeds.outlier", SL_CONF_DECIMAL, QUOTE(outlier_ppm), .digits = 6, .min = 0, .max = 10000000,
     .fallback = "0.25",
     .help = "Of three and more sources of a price, one further from the median than this part of "
             "it is out; most must be left. 0: none is out."},
    {"feeds.disagree", SL_CONF_DECIMAL, QUOTE(disagree_ppm), .digits = 6, .min = 0, .max = 10000000,
     .fallback = "0.1",
     .help =
         "Two sources that differ by more than this part of the lower one: prices move nothing, "
         "for nobody knows which one is wrong. 0: never."},
    {"feeds.jump", SL_CONF_DECIMAL, QUOTE(jump_ppm), .unit = "times", .digits = 6, .min = 0,
     .max = INT64_C(1000000000), .fallback = "2",
     .help = "One source alone that is so many times above or below the last trusted price is not "
             "believed at once (electricity is: its spikes are real). 0: it is."},
    {"feeds.confirm", SL_CONF_SPAN_MS, QUOTE(confirm_ms), .min = 0, .max = DAY_MS,
     .fallback = "10m", .help = "At its new level before it is believed, if no other agrees."},
    {"feeds.power_floor", SL_CONF_DECIMAL, QUOTE(floor_nano), .unit = "USD/kWh", .digits = 9,
     .min = 0, .max = INT64_C(1000000000), .fallback = "0.01",
     .help = "Prices of electricity no further apart than this agree, however close to zero."},
    {"settlement.weight", SL_CONF_DECIMAL, CALIBRATION(weight_ppm), .digits = 6, .min = 0,
     .max = 1000000, .fallback = "0.2",
     .help = "Of one day's settled / quoted in the factor on the quoted hashprice; the rest is the "
             "factor before. 0: the factor stays 1."},
    {"settlement.factor_min", SL_CONF_DECIMAL, CALIBRATION(min_ppm), .digits = 6, .min = 10000,
     .max = 1000000, .fallback = "0.5", .help = "The factor, and a day's ratio, is never below."},
    {"settlement.factor_max", SL_CONF_DECIMAL, CALIBRATION(max_ppm), .digits = 6, .min = 1000000,
     .max = 100000000, .fallback = "1.5", .help = "The factor, and a day's ratio, is never above."},
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
    {"joining.approve", SL_CONF_CHOICE, FIELD(joining.approve), .choices = "hand|auto",
     .fallback = "hand",
     .help = "Who admits a node that comes with a token: an operator (`sluice agents approve`), or "
             "the token alone."},
    {"joining.max_devices", SL_CONF_INT, FIELD(joining.max_devices), .min = 0, .max = 64,
     .fallback = "0",
     .help = "auto: a node with more devices waits for an operator all the same. 0: any number."},
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
    {"health.xid", SL_CONF_LIST, .offset = offsetof(struct sl_policy_document, health.xids),
     .size = sizeof(struct sl_policy_xid), .max = SL_POLICY_XIDS_MAX, .item = xid_schema,
     .count_offset = offsetof(struct sl_policy_document, health.xid_count), .fallback = "[]",
     .help = "What is done after a driver error, by number, where not as docs/operating.md says."},
    ACTION("health.ecc", ecc, "drain", "After an uncorrected memory error."),
    ACTION("health.reset", reset, "drain",
           "While the driver wants the GPU reset, or memory rows wait for that."),
    ACTION("health.remap", remap, "quarantine", "When bad memory rows cannot be replaced."),
    ACTION("health.lost", lost, "quarantine", "When a GPU has fallen off its bus."),
    ACTION("health.hung", hung, "drain", "When a kernel never returned."),
    ACTION("health.canary", canary, "quarantine", "When a known answer was wrong."),
    {"health.thermal_warn", SL_CONF_SPAN_MS, HEALTH(thermal_warn_ms), .min = 0, .max = DAY_MS,
     .fallback = "60s", .help = "Slowed by heat for so long without a break: warn. 0: never."},
    {"health.thermal_drain", SL_CONF_SPAN_MS, HEALTH(thermal_drain_ms), .min = 0, .max = DAY_MS,
     .fallback = "15m", .help = "Likewise: drain. 0: never."},
    {"health.brake_warn", SL_CONF_SPAN_MS, HEALTH(brake_warn_ms), .min = 0, .max = DAY_MS,
     .fallback = "60s",
     .help = "Slowed by its power supply or the hardware's protection for so long: warn. A power "
             "limit that was set is no reason. 0: never."},
    {"health.passes", SL_CONF_INT, HEALTH(passes), .min = 1, .max = 1000, .fallback = "3",
     .help = "Re-tests with known answers that end a warning or a drain."},
    {"health.rma_incidents", SL_CONF_INT, HEALTH(rma_incidents), .min = 0, .max = 1000,
     .fallback = "3", .help = "So many quarantines within rma_span: send it back. 0: never said."},
    {"health.rma_span", SL_CONF_SPAN_MS, HEALTH(rma_span_ms), .min = 0, .max = 3650 * DAY_MS,
     .fallback = "720h", .help = "See rma_incidents."},
    {"rates", SL_CONF_LIST, .offset = offsetof(struct sl_policy_document, rates),
     .size = sizeof(struct sl_rate), .max = SL_RATES_MAX, .item = rate_schema,
     .count_offset = offsetof(struct sl_policy_document, rate_count), .fallback = "[]",
     .help = "The rate card: least bids by model, class of devices and tenant. The most specific "
             "row counts: tenant before model before class."},
    {0},
};

int sl_policy_document_read(const char *path, struct sl_policy_document *ret_document,
                            struct sl_error *err) {
    struct sl_policy_document fresh;
    int rc = sl_conf_read(path, schema, &fresh, sizeof fresh, err);
    if (rc) {
        return rc;
    }
    rc = sl_policy_power_check(&fresh.power, err);
    if (rc) {
        return sl_wrap(err, "%s", path);
    }
    rc = sl_rate_card_check(fresh.rates, fresh.rate_count, err);
    if (rc) {
        return strstr(err->text, path) ? rc : sl_wrap(err, "%s", path);
    }
    *ret_document = fresh;
    return SL_OK;
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
