/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/core/pools.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/core/core_internal.h"
#include "proto/base/mutant.h"
#include "proto/base/text.h"

static uint32_t find(const struct sl_broker_core *core, const char *name) {
    for (uint32_t i = 0; i < core->pools.count; i++) {
        if (strcmp(core->pools.list[i].row.name, name) == 0) {
            return i;
        }
    }
    return SL_CORE_NONE;
}

uint32_t sl_core_pool(struct sl_broker_core *core, const char *name) {
    name = name[0] ? name : SL_POOL_UNNAMED;
    uint32_t at = find(core, name);
    if (at != SL_CORE_NONE) {
        return at;
    }
    if (core->pools.count >= SL_CORE_POOLS_MAX) {
        at = find(core, SL_CORE_POOLS_OTHER);
        if (at != SL_CORE_NONE) {
            return at;
        }
        name = SL_CORE_POOLS_OTHER;
    }
    sl_core_grow(&core->pools.list, core->pools.count, &core->pools.cap, sizeof *core->pools.list);
    struct sl_core_pool *pool = &core->pools.list[core->pools.count];
    memset(pool, 0, sizeof *pool);
    sl_text_copy(pool->row.name, sizeof pool->row.name, name);
    return core->pools.count++;
}

/* ---- what was booked ---- */

const char *sl_core_pool_booking(struct sl_broker_core *core, const char *name) {
    uint32_t at = sl_core_pool(core, name);
    return core->pools.list[SL_MUTANT(share_booked_to_wrong_pool) ? 0 : at].row.name;
}

void sl_core_pool_booked(struct sl_broker_core *core, const struct sl_share_row *row,
                         bool plausible) {
    uint32_t at = sl_core_pool(core, row->pool); /* may move the table */
    struct sl_core_pool *pool = &core->pools.list[at];
    struct sl_pool_row *sum = &pool->row;
    bool accepted = row->outcome == SL_SHARE_ACCEPTED;
    bool rejected = row->outcome == SL_SHARE_REJECTED;
    sum->accepted += accepted;
    sum->stale += row->outcome == SL_SHARE_STALE;
    sum->unknown += row->outcome == SL_SHARE_UNKNOWN;
    sum->rejected += rejected;
    sum->duplicate += rejected && row->code == 22;
    sum->low += rejected && row->code == 23;
    sum->unauthorised += rejected && (row->code == 24 || row->code == 25);
    sum->work += accepted ? row->work_hashes : 0;
    sum->amount_nusd += row->amount_nusd;
    sum->last_share = row->at.ms > sum->last_share.ms ? row->at : sum->last_share;
    pool->dirty = true;
    pool->implausible += !plausible;
    if (row->outcome != SL_SHARE_UNKNOWN && plausible) {
        sl_pools_share(&core->config.policy.pools, &pool->health, core->now.mono.ns / SL_NS_PER_MS,
                       accepted, row->work_hashes);
    }
}

void sl_core_pools_store(struct sl_broker_core *core) {
    for (uint32_t i = 0; i < core->pools.count; i++) {
        if (core->pools.list[i].dirty) {
            core->pools.list[i].dirty = false;
            sl_core_op(core, &(struct sl_op){.kind = SL_OP_POOL, .pool = core->pools.list[i].row});
        }
    }
}

int sl_broker_core_restore_pool(struct sl_broker_core *core, const struct sl_pool_row *row) {
    if (row->name[0] == '\0' || row->work < 0 || row->amount_nusd < 0 ||
        find(core, row->name) != SL_CORE_NONE) {
        return -SL_CORRUPT;
    }
    uint32_t at = sl_core_pool(core, row->name); /* may move the table */
    core->pools.list[at].row = *row;
    return SL_OK;
}

/* ---- what agents say ---- */

static bool works(const struct sl_msg_pool *pool) {
    return pool->connected && pool->has_job;
}

/* Of what it says that it has spent since it last said so, no more than its devices can: one agent
 * could make a good pool look as if it credited nothing. */
static uint64_t spent_more(const struct sl_broker_core *core, const struct sl_core_node_pool *own,
                           uint64_t spent, uint32_t devices) {
    int64_t span_ns = core->now.mono.ns - own->spent_ns + core->config.report_ms * SL_NS_PER_MS;
    uint64_t most = sl_core_claims_most(core, devices, span_ns);
    return spent - own->spent < most ? spent - own->spent : most;
}

static void take_one(struct sl_broker_core *core, struct sl_core_node_pool *own,
                     const struct sl_msg_pool *said, uint32_t devices) {
    int64_t now_ns = core->now.mono.ns;
    own->said = *said;
    if (own->said.name[0] == '\0') {
        sl_text_copy(own->said.name, sizeof own->said.name, SL_POOL_UNNAMED);
    }
    own->since_ns = works(said) ? (own->since_ns ? own->since_ns : now_ns) : 0;
    own->at = sl_core_pool(core, own->said.name);
    if (own->spent_known && said->hashes_spent > own->spent) {
        sl_pools_spent(&core->config.policy.pools, &core->pools.list[own->at].health,
                       now_ns / SL_NS_PER_MS, (now_ns - own->spent_ns) / SL_NS_PER_MS,
                       spent_more(core, own, said->hashes_spent, devices));
    }
    own->spent = said->hashes_spent;
    own->spent_ns = now_ns;
    own->spent_known = true;
}

void sl_core_pools_report(struct sl_broker_core *core, uint32_t at,
                          const struct sl_msg_report *report) {
    struct sl_core_node *node = &core->nodes[at];
    /* An agent that knows one pool only; without an address it has none. */
    bool old = report->pool_count == 0 && (report->pool.url[0] || report->pool.connected);
    const struct sl_msg_pool *said = old ? &report->pool : report->pools;
    uint32_t count = old ? 1 : report->pool_count;
    if (node->pool_count != count) {
        free(node->pools);
        node->pools = count ? sl_core_calloc(count, sizeof *node->pools) : NULL;
        node->pool_count = count;
    }
    for (uint32_t i = 0; i < count; i++) {
        struct sl_core_node_pool *own = &node->pools[i];
        if (strcmp(own->said.name, said[i].name[0] ? said[i].name : SL_POOL_UNNAMED) != 0) {
            *own = (struct sl_core_node_pool){.at = 0}; /* another one stands there now */
        }
        take_one(core, own, &said[i], node->device_count);
        if (works(&said[i])) {
            node->pool_good = core->now.mono;
        }
    }
}

void sl_core_pools_boot(struct sl_broker_core *core, uint32_t at) {
    for (uint32_t i = 0; i < core->nodes[at].pool_count; i++) {
        core->nodes[at].pools[i].spent = 0;
        core->nodes[at].pools[i].since_ns = 0;
    }
}

void sl_core_pools_node(const struct sl_broker_core *core, uint32_t at,
                        struct sl_msg_pool *ret_pool) {
    const struct sl_core_node *node = &core->nodes[at];
    memset(ret_pool, 0, sizeof *ret_pool);
    if (node->pool_count == 0) {
        sl_text_copy(ret_pool->state, sizeof ret_pool->state, "no pool is configured");
        return;
    }
    uint32_t shown = 0;
    for (uint32_t i = node->pool_count; i-- > 0;) {
        shown = node->pools[i].since_ns ? i : shown;
    }
    *ret_pool = node->pools[shown].said;
}

/* ---- which one ---- */

static void note_judged(struct sl_broker_core *core, const char *name,
                        const struct sl_pools_health *health) {
    struct sl_op op = {.kind = SL_OP_AUDIT};
    const struct sl_pools_params *params = &core->config.policy.pools;
    sl_text_copy(op.audit.actor, sizeof op.audit.actor, "policy");
    sl_text_copy(op.audit.action, sizeof op.audit.action, "pool");
    sl_text_copy(op.audit.subject, sizeof op.audit.subject, name);
    sl_core_pool_reason(params, health, op.audit.detail, sizeof op.audit.detail);
    if (health->why == SL_POOLS_GOOD) {
        sl_text_copy(op.audit.detail, sizeof op.audit.detail, "tried again, figures begin anew");
    }
    op.audit.at = core->now.wall;
    sl_core_event_note(core, SL_SEVERITY_WARN,
                       health->why == SL_POOLS_GOOD ? "pool.retry" : "pool.left", SL_CORE_NONE,
                       SL_CORE_NONE, "%s: %s", name, op.audit.detail);
    sl_core_log(core, SL_LOG_WARN, health->why == SL_POOLS_GOOD ? "pool.retry" : "pool.left",
                "pool=%s %s", name, op.audit.detail);
    sl_core_op(core, &op);
}

static uint8_t judge(struct sl_broker_core *core) {
    const struct sl_pools_params *params = &core->config.policy.pools;
    uint8_t left = 0;
    for (uint32_t i = 0; i < params->count; i++) {
        uint32_t at = find(core, params->use[i].name);
        if (at == SL_CORE_NONE) {
            continue;
        }
        struct sl_pools_health *health = &core->pools.list[at].health;
        if (sl_pools_judge(params, health, core->now.mono.ns / SL_NS_PER_MS)) {
            note_judged(core, params->use[i].name, health);
        }
        left = (uint8_t)(left | (health->why != SL_POOLS_GOOD ? 1u << i : 0));
    }
    return left;
}

static void look_at_node(const struct sl_broker_core *core, uint32_t at,
                         struct sl_pools_device *device) {
    const struct sl_pools_params *params = &core->config.policy.pools;
    const struct sl_core_node *node = &core->nodes[at];
    for (uint32_t k = 0; k < node->pool_count; k++) {
        const struct sl_core_node_pool *own = &node->pools[k];
        for (uint32_t i = 0; own->since_ns && i < params->count; i++) {
            if (strcmp(params->use[i].name, own->said.name) != 0) {
                continue;
            }
            bool fresh = core->now.mono.ns - own->since_ns < params->return_ms * SL_NS_PER_MS;
            device->usable = (uint8_t)(device->usable | 1u << i);
            device->fresh = (uint8_t)(device->fresh | (fresh ? 1u << i : 0));
        }
    }
}

void sl_core_pools_adopt(struct sl_broker_core *core, uint32_t dev, const char *name) {
    const struct sl_pools_params *params = &core->config.policy.pools;
    for (uint32_t i = 0; i < params->count; i++) {
        if (strcmp(params->use[i].name, name) == 0) {
            core->fleet.pool[dev] = (uint8_t)(i + 1);
        }
    }
}

/* Whether it hashes after this tick. */
static bool will_hash(const struct sl_broker_core *core, uint32_t dev) {
    uint8_t planned = core->fleet.planned[dev];
    if (!sl_core_node_up(core, core->fleet.node[dev])) {
        return false;
    }
    return (planned ? planned : core->fleet.mode[dev]) == SL_MODE_HASH;
}

static void reserve(struct sl_broker_core *core) {
    uint32_t wanted = core->fleet.cap ? core->fleet.cap : 1;
    if (core->pools.device_cap < wanted) {
        free(core->pools.devices);
        free(core->pools.rows);
        core->pools.devices = sl_core_calloc(wanted, sizeof *core->pools.devices);
        core->pools.rows = sl_core_calloc(wanted, sizeof *core->pools.rows);
        core->pools.device_cap = wanted;
    }
}

void sl_core_pools_tick(struct sl_broker_core *core) {
    const struct sl_pools_params *params = &core->config.policy.pools;
    struct sl_core_fleet *fleet = &core->fleet;
    int64_t now_ns = core->now.mono.ns;
    uint32_t count = 0;
    if (params->count == 0) {
        return;
    }
    reserve(core);
    for (uint32_t dev = 0; dev < fleet->count; dev++) {
        if (!will_hash(core, dev)) {
            continue;
        }
        uint64_t rate = fleet->hash_rate_hs[dev];
        struct sl_pools_device *device = &core->pools.devices[count];
        *device = (struct sl_pools_device){
            .rate = rate > INT64_MAX ? INT64_MAX : (int64_t)rate,
            .present = fleet->pool[dev],
            .held = fleet->pool_ns[dev] &&
                    now_ns - fleet->pool_ns[dev] < params->hold_ms * SL_NS_PER_MS,
        };
        look_at_node(core, fleet->node[dev], device);
        core->pools.rows[count++] = dev;
    }
    sl_pools_choose(params, judge(core), core->pools.devices, count);
    core->pools.row_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t dev = core->pools.rows[i];
        uint8_t chosen = core->pools.devices[i].chosen;
        /* Without any that works, the name stays as it is: its agent falls back by itself. */
        if (chosen && chosen != fleet->pool[dev]) {
            fleet->pool[dev] = chosen;
            fleet->pool_ns[dev] = now_ns;
            core->pools.rows[core->pools.row_count++] = dev;
        }
    }
}

void sl_core_pools_send(struct sl_broker_core *core) {
    const struct sl_core_fleet *fleet = &core->fleet;
    uint32_t told = 0;
    for (uint32_t i = 0; i < core->pools.row_count; i++) {
        uint32_t dev = core->pools.rows[i];
        /* A directive of this step carries it already. */
        if (fleet->mode[dev] == SL_MODE_HASH && fleet->sent[dev] &&
            !sl_core_lease_called_off(core, dev)) {
            sl_core_lease_resend(core, dev);
            told++;
        }
    }
    if (core->pools.row_count > 0) {
        sl_core_log(core, SL_LOG_INFO, "pool.moved", "devices=%u told=%u first=%s pool=%s",
                    core->pools.row_count, told, fleet->cold[core->pools.rows[0]].key,
                    core->config.policy.pools.use[fleet->pool[core->pools.rows[0]] - 1].name);
    }
    core->pools.row_count = 0;
}
