/* SPDX-License-Identifier: Apache-2.0
 * Pools on screens. */
#include <stdio.h>
#include <string.h>

#include "broker/core/core_internal.h"
#include "proto/base/text.h"

/* So many that were answered, and none accepted, are no chance. */
#define REFUSING_LEAST 10
/* One whose shares are rarer cannot be judged, and at most pools earns nothing before one is found.
 */
#define RARE_S 3600
#define DAY_S 86400

void sl_core_pool_reason(const struct sl_pools_params *params, const struct sl_pools_health *health,
                         char *out, size_t size) {
    out[0] = '\0';
    if (health->why == SL_POOLS_REJECTS) {
        snprintf(out, size, "refuses %lld of 1000 shares, more than %lld",
                 (long long)health->permille, (long long)params->max_reject_permille);
    } else if (health->why == SL_POOLS_INEFFECTIVE) {
        snprintf(out, size, "credits %lld of 1000 hashes spent, less than %lld",
                 (long long)health->permille, (long long)params->min_effective_permille);
    }
}

static void add_node(const struct sl_core_node *node, const struct sl_core_node_pool *own,
                     struct sl_view_pool *view, int64_t now_ns) {
    const struct sl_msg_pool *said = &own->said;
    bool up = node->state == SL_SESSION_LIVE || node->state == SL_SESSION_SUSPECT;
    view->nodes++;
    view->nodes_working += up && own->since_ns != 0;
    view->fallbacks += up && said->url_index > 0;
    view->suspects += up && own->since_ns != 0 && said->suspect_ms > 0;
    view->tls = view->tls || said->tls;
    if (view->url[0] == '\0') {
        sl_text_copy(view->url, sizeof view->url, said->url);
    }
    if (view->state[0] == '\0' && !(up && own->since_ns)) {
        snprintf(view->state, sizeof view->state, "%.60s: %.180s", node->name,
                 !up               ? "the node is not there"
                 : said->state[0]  ? said->state
                 : said->connected ? "no job yet"
                                   : "not connected");
    } else if (view->state[0] == '\0' && said->suspect_ms > 0) {
        snprintf(view->state, sizeof view->state,
                 "%.60s: no answer to a share that was due %llu s ago", node->name,
                 (unsigned long long)said->suspect_ms / 1000);
    }
    if (up && said->difficulty_nano > view->difficulty_nano) {
        view->difficulty_nano = said->difficulty_nano;
    }
    if (said->latency_us_p50 > view->latency_us_p50) {
        view->latency_us_p50 = said->latency_us_p50;
    }
    if (said->latency_us_p99 > view->latency_us_p99) {
        view->latency_us_p99 = said->latency_us_p99;
    }
    if (said->share_age_ms) {
        int64_t age = (int64_t)said->share_age_ms + (now_ns - node->reported.ns) / SL_NS_PER_MS;
        view->share_age_ms =
            view->share_age_ms < 0 || age < view->share_age_ms ? age : view->share_age_ms;
    }
}

static void add_policy(const struct sl_broker_core *core, const struct sl_core_pool *pool,
                       struct sl_view_pool *view) {
    const struct sl_pools_params *params = &core->config.policy.pools;
    for (uint32_t i = 0; i < params->count; i++) {
        if (strcmp(params->use[i].name, pool->row.name) != 0) {
            continue;
        }
        view->share_permille = params->use[i].share;
        view->left = pool->health.why != SL_POOLS_GOOD;
        sl_core_pool_reason(params, &pool->health, view->reason, sizeof view->reason);
        for (uint32_t dev = 0; dev < core->fleet.count; dev++) {
            view->devices += core->fleet.pool[dev] == i + 1 &&
                             core->fleet.mode[dev] == SL_MODE_HASH &&
                             sl_core_node_up(core, core->fleet.node[dev]);
        }
    }
}

/* Whether the policy may leave it or not, nobody is to look at a good pool that pays nothing. */
static void note_refusing(struct sl_view_pool *view) {
    view->refusing = view->figures.accepted == 0 && view->figures.refused >= REFUSING_LEAST;
    if (view->refusing && view->state[0] == '\0') {
        snprintf(view->state, sizeof view->state,
                 "it took none of the last %llu shares: check user and worker with the pool",
                 (unsigned long long)view->figures.refused);
    }
}

static bool is_named(const struct sl_broker_core *core, const char *name) {
    const struct sl_pools_params *params = &core->config.policy.pools;
    for (uint32_t i = 0; i < params->count; i++) {
        if (strcmp(params->use[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

static void note_implausible(const struct sl_core_pool *pool, struct sl_view_pool *view) {
    if (pool->implausible > 0 && view->state[0] == '\0') {
        snprintf(view->state, sizeof view->state,
                 "%llu of its shares are not plausible: see `sluice events`",
                 (unsigned long long)pool->implausible);
    }
}

/* A pool that took whoever asks for an ASIC: nothing else ever looks wrong there. */
static void note_rare(struct sl_view_pool *view) {
    if (view->state[0] || view->measured_hs <= 0) {
        return;
    }
    /* Of a share: difficulty * 2^48 / 65535. */
    sl_i128 hashes = ((sl_i128)view->difficulty_nano << 48) / 65535 / 1000000000;
    sl_i128 seconds = hashes / view->measured_hs;
    if (seconds >= RARE_S) {
        bool days = seconds >= 2 * DAY_S;
        snprintf(view->state, sizeof view->state,
                 "at its difficulty a share takes about %lld %s: suggest_difficulty, or the pool's "
                 "port for small miners",
                 (long long)(days ? seconds / DAY_S : seconds / 3600), days ? "days" : "h");
    }
}

bool sl_view_pool_get(const struct sl_broker_core *core, struct sl_now now, uint32_t index,
                      struct sl_view_pool *ret_view) {
    if (index >= core->pools.count) {
        return false;
    }
    const struct sl_core_pool *pool = &core->pools.list[index];
    struct sl_view_pool *view = ret_view;
    memset(view, 0, sizeof *view);
    view->row = pool->row;
    view->share_age_ms = -1;
    for (uint32_t i = 0; i < core->node_count; i++) {
        const struct sl_core_node *node = &core->nodes[i];
        /* What a revoked one has is nobody's any more. */
        uint32_t count = sl_core_node_revoked(core, i) ? 0 : node->pool_count;
        for (uint32_t k = 0; k < count; k++) {
            if (node->pools[k].at == index) {
                add_node(node, &node->pools[k], view, now.mono.ns);
            }
        }
    }
    add_policy(core, pool, view);
    const struct sl_pool_row *row = &pool->row;
    view->gone = view->nodes == 0 && !is_named(core, row->name) && row->accepted == 0 &&
                 row->stale == 0 && row->rejected == 0 && row->unknown == 0;
    sl_pools_figures(&core->config.policy.pools, &pool->health, now.mono.ns / SL_NS_PER_MS,
                     &view->figures);
    view->named = is_named(core, row->name);
    note_refusing(view);
    note_implausible(pool, view);
    view->measured_hs = view->effective_hs = -1;
    if (view->figures.span_ms > 0 && view->figures.hashes > 0) {
        view->measured_hs = (int64_t)((sl_i128)view->figures.hashes * 1000 / view->figures.span_ms);
        view->effective_hs = (int64_t)((sl_i128)view->figures.work * 1000 / view->figures.span_ms);
    }
    note_rare(view);
    return true;
}

bool sl_view_node_pool_get(const struct sl_broker_core *core, uint32_t node, uint32_t index,
                           struct sl_msg_pool *ret_pool) {
    if (node >= core->node_count || index >= core->nodes[node].pool_count ||
        sl_core_node_revoked(core, node)) {
        return false;
    }
    *ret_pool = core->nodes[node].pools[index].said;
    return true;
}
