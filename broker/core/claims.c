/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/core/claims.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "broker/core/core_internal.h"
#include "schedulers/claims.h"

/* Hashes that were counted before we counted, of shares that come after: a pool may answer late, a
 * launch is counted when it ends, and a share overtakes the report behind it. */
#define UNREPORTED_NS (60 * SL_NS_PER_S)
#define TELL_NS (60 * SL_NS_PER_S)
#define SLOWEST_HS 1000000 /* before its first figure, a device is taken to be at least so fast */

uint64_t sl_core_claims_sum(uint64_t a, uint64_t b) {
    uint64_t sum = a + b; /* both below 2^63 */
    return sum > INT64_MAX ? (uint64_t)INT64_MAX : sum;
}

static sl_i128 hashes_of(uint64_t rate_hs, int64_t span_ns) {
    return (sl_i128)rate_hs * (span_ns > 0 ? span_ns : 0) / SL_NS_PER_S;
}

static sl_i128 most_of(const struct sl_broker_core *core, int64_t span_ns) {
    return hashes_of((uint64_t)core->config.hash_rate_max_hs, span_ns);
}

static int64_t unreported_ns(const struct sl_broker_core *core) {
    return UNREPORTED_NS + core->config.report_ms * SL_NS_PER_MS;
}

uint64_t sl_core_claims_most(const struct sl_broker_core *core, uint32_t devices, int64_t span_ns) {
    sl_i128 all = most_of(core, span_ns) * (devices ? devices : 1);
    return all > INT64_MAX ? (uint64_t)INT64_MAX : (uint64_t)all;
}

static struct sl_core_claims *claims_of(struct sl_broker_core *core, uint32_t dev) {
    struct sl_core_claims **at = &core->fleet.claims[dev];
    if (!*at) {
        struct sl_msg_device said;
        sl_core_report_get(core, dev, &said);
        *at = sl_core_calloc(1, sizeof **at);
        (*at)->since_ns = core->now.mono.ns;
        (*at)->total = said.hashes_total;
    }
    return *at;
}

static void claim(struct sl_core_claim *claim, uint64_t work) {
    claim->work += work;
    claim->most = work > claim->most ? work : claim->most;
}

/* ---- shares ---- */

/* Hashes behind the shares of its present start. */
static sl_i128 spent_since(const struct sl_broker_core *core, uint32_t dev) {
    const struct sl_core_claims *c = core->fleet.claims[dev];
    sl_i128 most = most_of(core, core->now.mono.ns - c->since_ns + unreported_ns(core));
    uint64_t rate = core->fleet.hash_rate_hs[dev];
    sl_i128 spent =
        c->spent + hashes_of(rate > SLOWEST_HS ? rate : SLOWEST_HS, unreported_ns(core));
    return spent < most ? spent : most;
}

/* And behind older ones, as the device is known to us and they say when they were found. */
static sl_i128 spent_before(const struct sl_broker_core *core, uint32_t dev) {
    const struct sl_core_claims *c = core->fleet.claims[dev];
    int64_t known_ms = core->now.wall.ms - core->fleet.cold[dev].first_seen.ms;
    int64_t span_ns = c->old_ns;
    if (known_ms >= 0 && span_ns / SL_NS_PER_MS > known_ms) {
        span_ns = known_ms * SL_NS_PER_MS;
    }
    return most_of(core, span_ns + unreported_ns(core));
}

static void tell_shares(struct sl_broker_core *core, uint32_t dev,
                        const struct sl_core_claim *claimed, sl_i128 spent, const char *which) {
    char work[48], most[48];
    sl_i128_format(claimed->work, work);
    sl_i128_format(spent, most);
    sl_core_event_note(core, SL_SEVERITY_ALERT, "claims.implausible", SL_CORE_NONE, dev,
                       "claims %s shares for %s hashes, and can have spent %s: that is no luck. "
                       "They are booked and counted apart; check its agent, or revoke it",
                       which, work, most);
    sl_core_log(core, SL_LOG_WARN, "claims.implausible", "device=%s %s_work=%s spent=%s",
                core->fleet.cold[dev].key, which, work, most);
}

static void judge(struct sl_broker_core *core, uint32_t dev) {
    struct sl_core_claims *c = core->fleet.claims[dev];
    sl_i128 now = spent_since(core, dev);
    sl_i128 before = spent_before(core, dev);
    if (c->shares) {
        return;
    }
    if (!sl_claims_plausible(c->now.work, c->now.most, now)) {
        c->shares = true;
        tell_shares(core, dev, &c->now, now, "new");
    } else if (!sl_claims_plausible(c->old.work, c->old.most, before)) {
        c->shares = true;
        tell_shares(core, dev, &c->old, before, "old");
    }
}

/* A GPU that was taken out, or an agent that makes devices up. */
static void tell_unknown(struct sl_broker_core *core, uint32_t node, const char *key) {
    struct sl_mono *told = &core->counters.implausible.told;
    if (told->ns == 0 || sl_mono_since_ns(core->now.mono, *told) >= TELL_NS) {
        *told = core->now.mono;
        sl_core_event_note(core, SL_SEVERITY_WARN, "claims.implausible", node, SL_CORE_NONE,
                           "has shares of the device %s, which never came: they are booked and "
                           "counted apart",
                           key);
    }
}

bool sl_core_claims_share(struct sl_broker_core *core, uint32_t node, uint32_t dev,
                          const struct sl_share_row *row) {
    struct sl_core_implausible *sum = &core->counters.implausible;
    if (dev == SL_CORE_NONE) {
        tell_unknown(core, node, row->device);
    } else {
        struct sl_core_claims *c = claims_of(core, dev);
        int64_t age_ns = (core->now.wall.ms - row->at.ms) * SL_NS_PER_MS;
        int64_t before_ns = age_ns - (core->now.mono.ns - c->since_ns);
        claim(before_ns > 0 ? &c->old : &c->now, row->work_hashes);
        c->old_ns = before_ns > c->old_ns ? before_ns : c->old_ns;
        judge(core, dev);
        if (!c->shares) {
            return false;
        }
    }
    char work[48], nusd[48];
    sum->shares++;
    sum->work += row->work_hashes;
    sum->nusd += row->amount_nusd;
    sl_core_op_meta(core, "claims", "%" PRIu64 " %s %s", sum->shares,
                    sl_i128_format(sum->work, work), sl_i128_format(sum->nusd, nusd));
    return true;
}

/* ---- reports ---- */

bool sl_core_claims_fits(const struct sl_broker_core *core, uint64_t rate_hs) {
    return rate_hs <= (uint64_t)core->config.hash_rate_max_hs;
}

static bool believe_rate(struct sl_broker_core *core, uint32_t dev, uint64_t rate_hs) {
    bool good = sl_core_claims_fits(core, rate_hs);
    if (good && !core->fleet.claims[dev]) {
        return true;
    }
    struct sl_core_claims *c = claims_of(core, dev);
    if (!good && !c->rate) {
        sl_core_event_note(core, SL_SEVERITY_ALERT, "claims.rate", SL_CORE_NONE, dev,
                           "says that it does %" PRIu64 " H/s, more than %" PRIu64
                           " (agents.hash_rate_max): it gets no hashing work while it does",
                           rate_hs, (uint64_t)core->config.hash_rate_max_hs);
        sl_core_log(core, SL_LOG_WARN, "claims.rate", "device=%s rate_hs=%" PRIu64,
                    core->fleet.cold[dev].key, rate_hs);
    }
    c->rate = !good;
    return good;
}

uint64_t sl_core_claims_report(struct sl_broker_core *core, uint32_t dev,
                               const struct sl_msg_device *report) {
    bool good = believe_rate(core, dev, report->hash_rate_hs);
    struct sl_core_claims *c = core->fleet.claims[dev];
    if (c) {
        uint64_t more = report->hashes_total > c->total ? report->hashes_total - c->total : 0;
        c->spent += more;
        c->total = report->hashes_total;
    }
    return good ? report->hash_rate_hs : 0;
}

void sl_core_claims_boot(struct sl_broker_core *core, uint32_t dev) {
    struct sl_core_claims *c = core->fleet.claims[dev];
    if (c) {
        /* What was found since then is old now: a start does not wash off what it claimed. */
        bool any = c->old.most > 0 || c->now.most > 0;
        c->old_ns += any ? core->now.mono.ns - c->since_ns : 0;
        c->old.work += c->now.work;
        c->old.most = c->now.most > c->old.most ? c->now.most : c->old.most;
        c->now = (struct sl_core_claim){0};
        c->since_ns = core->now.mono.ns;
        c->spent = 0;
        c->total = 0;
        c->shares = false;
    }
}

const char *sl_core_claims_doubt(const struct sl_broker_core *core, uint32_t dev) {
    const struct sl_core_claims *c = core->fleet.claims[dev];
    if (c && c->rate) {
        return "its hash rate is above agents.hash_rate_max";
    }
    return c && c->shares ? "it claims more shares than it can have found" : NULL;
}

int sl_core_claims_restore(struct sl_broker_core *core, const char *value) {
    char work[48], nusd[48];
    struct sl_core_implausible sum = {0};
    if (sscanf(value, "%" SCNu64 " %47s %47s", &sum.shares, work, nusd) != 3 ||
        sl_i128_parse(work, &sum.work) || sl_i128_parse(nusd, &sum.nusd) || sum.work < 0 ||
        sum.nusd < 0) {
        return -SL_CORRUPT;
    }
    core->counters.implausible = sum;
    return SL_OK;
}
