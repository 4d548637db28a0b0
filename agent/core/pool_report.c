/* SPDX-License-Identifier: Apache-2.0
 * What the broker is told of the pools, and the difficulty that suits the measured rate. */
#include <stdlib.h>
#include <string.h>

#include "agent/core/core_internal.h"

/* A share about this often: enough to see trouble within a minute, little enough for any pool. */
#define SHARE_EVERY_S 6.0
#define SUGGEST_AGAIN_NS (10 * SL_NS_PER_S)
#define SUGGEST_RATIO 2.0

static int by_value(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static void fill_latency(const struct agent_pool_slot *slot, struct sl_msg_pool *out) {
    uint32_t sorted[AGENT_POOL_LATENCIES];
    uint32_t n =
        slot->latencies < AGENT_POOL_LATENCIES ? (uint32_t)slot->latencies : AGENT_POOL_LATENCIES;
    if (n == 0) {
        return;
    }
    memcpy(sorted, slot->latency_us, n * sizeof sorted[0]);
    qsort(sorted, n, sizeof sorted[0], by_value);
    out->latency_us_p50 = sorted[(n - 1) / 2];
    out->latency_us_p99 = sorted[(n - 1) * 99 / 100];
}

static void fill(const struct agent_pool_slot *slot, struct sl_now now, struct sl_msg_pool *out) {
    struct agent_pool_status status;
    agent_pool_get_status(slot->client, now.mono, &status);
    *out = (struct sl_msg_pool){
        .connected = status.connected,
        .has_job = slot->job != NULL,
        .difficulty_nano = status.difficulty_nano,
        .shares_submitted = slot->submitted,
        .shares_accepted = slot->accepted,
        .shares_stale = slot->stale,
        .shares_rejected = slot->rejected,
        .shares_unknown = slot->unknown,
        .work_accepted = slot->work_accepted,
        .rejected_duplicate = slot->duplicate,
        .rejected_low = slot->low,
        .rejected_unauthorised = slot->unauthorised,
        .hashes_spent = slot->hashes_spent,
        .url_index = status.url_index,
        .url_count = status.url_count,
        .tls = status.tls,
        .suspect_ms = (uint64_t)status.suspect_ms,
    };
    if (slot->answered_ns) {
        int64_t ms = (now.mono.ns - slot->answered_ns) / SL_NS_PER_MS;
        out->share_age_ms = ms > 0 ? (uint64_t)ms : 1;
    }
    sl_text_copy(out->name, sizeof out->name, slot->name);
    sl_text_copy(out->url, sizeof out->url, status.url);
    sl_text_copy(out->state, sizeof out->state, status.state);
    fill_latency(slot, out);
}

void agent_pools_report(struct sl_agent_core *core, struct sl_now now,
                        struct sl_msg_report *report) {
    report->pool_count = core->pool_count;
    report->pools = core->pool_reports;
    if (core->pool_count == 0) {
        sl_text_copy(report->pool.state, sizeof report->pool.state, "no pool is configured");
        return;
    }
    uint32_t shown = 0;
    for (uint32_t i = core->pool_count; i-- > 0;) {
        fill(&core->pools[i], now, &core->pool_reports[i]);
        shown = core->pools[i].job ? i : shown;
    }
    /* Brokers that know one pool ask whether there is work at all: the first that has some. */
    report->pool = core->pool_reports[shown];
}

void agent_pools_suggest(struct sl_agent_core *core, struct sl_now now) {
    for (uint32_t i = 0; i < core->pool_count; i++) {
        struct agent_pool_slot *slot = &core->pools[i];
        double rate = 0.0;
        for (uint32_t d = 0; slot->suggest_auto && d < core->config.device_count; d++) {
            const struct agent_device *device = &core->devices[d];
            bool here = device->pool_posted == i + 1 && device->mode == SL_MODE_HASH;
            rate += here ? (double)device->stats.hash_rate_hs : 0.0;
        }
        if (rate <= 0.0 ||
            (slot->suggested > 0.0 && now.mono.ns - slot->suggested_ns < SUGGEST_AGAIN_NS)) {
            continue;
        }
        /* Expected hashes of a share are difficulty * 2^48 / 65535. */
        double wanted = rate * SHARE_EVERY_S * 65535.0 / (double)(UINT64_C(1) << 48);
        if (slot->suggested > 0.0 && wanted < slot->suggested * SUGGEST_RATIO &&
            wanted > slot->suggested / SUGGEST_RATIO) {
            continue;
        }
        slot->suggested = wanted;
        slot->suggested_ns = now.mono.ns;
        agent_pool_suggest(slot->client, wanted);
        agent_log(core, SL_LOG_INFO, "pool.suggest", "pool=%s difficulty=%.9g", slot->name, wanted);
    }
}
