/* SPDX-License-Identifier: Apache-2.0
 * Life of the core and its one entrance: an event changes state, the tick decides if something that
 * a decision depends on has changed, and the step's transaction is closed. */
#include <stdlib.h>
#include <string.h>

#include "broker/core/core_internal.h"
#include "broker/core/rates.h"
#include "broker/core/tick_rows.h"
#include "proto/base/mutant.h"

#define SWEEP_MS_MAX 250
#define SWEEP_MS_MIN 5
#define LAZY_BYTES ((size_t)256 * 1024)
#define PAGE_BYTES 4096
#define TICK_AT_ONCE 64
#define TICK_NS_A_DEVICE 5000 /* several times what a device takes in a tick */

static void *must_have(void *memory) {
    if (!memory) {
        sl_assert_failed("out of memory: the broker stops, a restart continues from its store",
                         __FILE__, __LINE__);
    }
    return memory;
}

void *sl_core_calloc(size_t count, size_t size) {
    return must_have(calloc(count ? count : 1, size));
}

/* Into fresh pages: of a page that holds nothing but zeros, the fresh one stays untouched. What few
 * rows of a fleet have (faults, refusals, a batch) takes no room for those that have it not. */
static void copy_pages(char *to, const char *from, size_t bytes) {
    static const char zeros[PAGE_BYTES];
    for (size_t at = 0, next = 0; at < bytes; at = next) {
        size_t to_end = PAGE_BYTES - (uintptr_t)(to + at) % PAGE_BYTES;
        next = bytes - at < to_end ? bytes : at + to_end;
        if (memcmp(from + at, zeros, next - at) != 0) {
            memcpy(to + at, from + at, next - at);
        }
    }
}

void sl_core_grow(void *array_ptr, uint32_t count, uint32_t *cap, size_t size) {
    if (count < *cap) {
        return;
    }
    uint32_t wanted = *cap ? *cap * 2 : 16;
    sl_assert(wanted > *cap);
    void *old = NULL;
    memcpy(&old, array_ptr, sizeof old); /* a pointer of any type */
    void *grown = NULL;
    if ((size_t)wanted * size >= LAZY_BYTES) {
        /* Fresh pages are zero already; those behind the last row are never touched. */
        grown = must_have(calloc(wanted, size));
        copy_pages(grown, old, (size_t)*cap * size);
        free(old);
    } else {
        grown = must_have(realloc(old, (size_t)wanted * size));
        memset((char *)grown + (size_t)*cap * size, 0, (size_t)(wanted - *cap) * size);
    }
    memcpy(array_ptr, &grown, sizeof grown);
    *cap = wanted;
    /* cppcheck-suppress memleak ; it went into *array_ptr */
}

void sl_core_arm(struct sl_broker_core *core) {
    if (!core->armed) {
        core->armed = true;
        core->armed_ns = core->read_ns;
    }
}

/* Reports come by the thousand a second, and a tick looks at every device: where there are many,
 * what they change waits for the next tick by this interval. A site of a rack or two is decided at
 * once. Prices, bids and people's orders always are. */
static int64_t tick_due_ns(const struct sl_broker_core *core) {
    int64_t devices = core->fleet.count;
    return core->ticked_ns + (devices > TICK_AT_ONCE ? devices * TICK_NS_A_DEVICE : 0);
}

void sl_core_arm_soon(struct sl_broker_core *core) {
    if (core->fleet.count <= TICK_AT_ONCE) {
        sl_core_arm(core);
    } else if (!core->armed && !core->armed_soon) {
        core->armed_ns = core->read_ns;
    }
    core->armed_soon = true;
}

/* What clocks may drift apart and messages may be under way, on top of a ttl. */
int64_t sl_core_margin_ns(const struct sl_broker_core *core) {
    return (core->config.lease_ttl_ms / 10 + 200) * SL_NS_PER_MS;
}

static void set_defaults(struct sl_core_config *c) {
    struct {
        int64_t *value;
        int64_t unset;
    } const spans[] = {
        {&c->lease_ttl_ms, 5000},
        {&c->report_ms, 1000},
        {&c->safe_mode_max_ms, INT64_C(6) * 3600 * 1000},
        {&c->switch_horizon_ms, 60000},
        {&c->hash_factor_milli, 1000},
        {&c->hash_rate_max_hs, INT64_C(1000000000000000)},
        {&c->batch_life_ms, INT64_C(24) * 3600 * 1000},
    };
    for (size_t i = 0; i < sizeof spans / sizeof spans[0]; i++) {
        *spans[i].value = *spans[i].value ? *spans[i].value : spans[i].unset;
    }
    if (c->policy.step_ms == 0) { /* a caller without a document: thresholds, as it says itself */
        struct sl_policy_document shipped;
        sl_policy_document_default(&shipped);
        c->policy.policy = SL_POLICY_THRESHOLD;
        c->policy.step_ms = shipped.step_ms;
        c->policy.against_ms = shipped.against_ms;
        c->policy.switching = shipped.switching;
        c->policy.power = shipped.power;
    }
    c->session_lost_ms = c->session_lost_ms ? c->session_lost_ms : 5 * c->report_ms;
    c->safe_mode = c->safe_mode ? c->safe_mode : SL_MODE_HASH;
    c->unit_lines = c->unit_lines ? c->unit_lines : 32;
    c->units_ahead = c->units_ahead ? c->units_ahead : 2;
}

static int check_config(const struct sl_core_config *c, struct sl_error *err) {
    const struct {
        const char *name;
        int64_t value, min, max;
    } ranges[] = {
        {"lease_ttl_ms", c->lease_ttl_ms, 50, SL_MSG_SPAN_MS_MAX},
        {"report_ms", c->report_ms, 10, 3600000},
        {"session_lost_ms", c->session_lost_ms, c->report_ms, SL_MSG_SPAN_MS_MAX},
        {"safe_mode_max_ms", c->safe_mode_max_ms, 0, SL_MSG_SPAN_MS_MAX},
        {"threshold_ppm", c->threshold_ppm, 0, 1000000000},
        {"dwell_min_ms", c->dwell_min_ms, 0, SL_MSG_SPAN_MS_MAX},
        {"switch_horizon_ms", c->switch_horizon_ms, 1, SL_MSG_SPAN_MS_MAX},
        {"hash_factor_milli", c->hash_factor_milli, 1, INT64_C(1000000000000000)},
        {"hash_rate_max_hs", c->hash_rate_max_hs, 1, INT64_C(1000000000000000)},
        {"batch_life_ms", c->batch_life_ms, 1, SL_MSG_SPAN_MS_MAX},
        {"unit_lines", c->unit_lines, 1, SL_MSG_LINES_MAX},
        {"units_ahead", c->units_ahead, 1, 64},
        {"feeds", c->feed_count, 0, SL_CORE_FEEDS_MAX},
        {"tenants", c->tenant_count, 0, SL_CORE_TENANTS_MAX},
        {"models", c->model_count, 0, SL_CORE_MODELS_MAX},
    };
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++) {
        if (ranges[i].value < ranges[i].min || ranges[i].value > ranges[i].max) {
            return sl_fail(err, SL_INVALID, "%s is %lld, but must be from %lld to %lld",
                           ranges[i].name, (long long)ranges[i].value, (long long)ranges[i].min,
                           (long long)ranges[i].max);
        }
    }
    if (c->safe_mode != SL_MODE_HASH && c->safe_mode != SL_MODE_IDLE) {
        return sl_fail(err, SL_INVALID, "the safe mode must be hash or idle");
    }
    return SL_OK;
}

int sl_broker_core_create(const struct sl_core_config *config, struct sl_broker_core **ret_core,
                          struct sl_error *err) {
    struct sl_core_config filled = *config;
    set_defaults(&filled);
    int rc = check_config(&filled, err);
    if (rc) {
        return rc;
    }
    SL_AUTO(sl_broker_core) core = calloc(1, sizeof *core);
    if (!core) {
        return sl_fail(err, SL_NOMEM, "no memory for the broker's core");
    }
    core->config = filled;
    core->believed = sl_core_calloc(SL_FEED_CARBON + 1, sizeof core->believed[0]);
    core->instead = sl_core_calloc(SL_CORE_INSTEAD, sizeof core->instead[0]);
    core->price_moment = 1;
    core->policy = sl_policy_at((size_t)filled.policy.policy);
    sl_policy_document_version(&filled.policy, core->policy_version);
    sl_core_power_create(core);
    sl_core_agents_create(core);
    sl_core_names_create(core);
    sl_core_fleet_create(core);
    for (uint32_t i = 0; i < filled.feed_count; i++) {
        core->feeds[i].config = filled.feeds[i];
    }
    for (uint32_t i = 0; i < filled.tenant_count; i++) {
        struct sl_core_tenant_state *tenant = sl_core_tenant_get(core, filled.tenants[i].id);
        tenant->config = filled.tenants[i];
        tenant->gone = false;
    }
    *ret_core = sl_take(&core);
    return SL_OK;
}

void sl_broker_core_destroy(struct sl_broker_core *core) {
    if (!core) {
        return;
    }
    for (size_t i = 0; i < SL_CORE_RANKS; i++) {
        sl_core_ring_fini(&core->ready[i]);
    }
    sl_core_ring_fini(&core->waiting);
    sl_txn_destroy(core->txn);
    for (uint32_t i = 0; i < core->batch_count; i++) {
        sl_core_batch_free(core->batches[i]);
    }
    for (uint32_t i = 0; i < core->node_count; i++) {
        sl_core_share_windows_fini(&core->nodes[i]);
        sl_core_half_drop(core, i);
        free(core->nodes[i].pools);
    }
    for (uint32_t i = 0; i < core->tenant_count; i++) {
        free(core->tenants[i]);
    }
    sl_core_power_destroy(core);
    sl_core_agents_destroy(core);
    sl_core_fleet_destroy(core);
    sl_core_names_destroy(core);
    sl_core_index_fini(&core->nodes_by_key);
    free(core->nodes);
    free(core->believed);
    free(core->instead);
    free(core->batches);
    free(core->units);
    free(core->overrides);
    free(core->accounts);
    free(core->settled);
    free(core->tenants);
    sl_core_rows_fini(core);
    sl_core_remembered_fini(&core->switching);
    sl_core_remembered_fini(&core->switching_before);
    sl_core_classes_fini(core);
    free(core->pools.list);
    free(core->pools.devices);
    free(core->pools.rows);
    free(core);
}

/* Renewals that wait for the next millisecond do not walk all units and devices each time. */
static void sweep(struct sl_broker_core *core) {
    bool all = core->now.mono.ns >= core->sweep_all_ns;
    if (all) {
        sl_core_session_sweep(core);
        sl_core_rotate_sweep(core);
        sl_core_refusals_sweep(core);
        sl_core_behind_sweep(core);
    }
    sl_core_lease_sweep(core);
    if (all) {
        sl_core_unit_sweep(core);
        sl_core_batch_sweep(core);
        sl_core_ledger_sweep(core);
        sl_core_against_sweep(core, false);
        int64_t every_ms = core->config.lease_ttl_ms / 8;
        every_ms = every_ms > SWEEP_MS_MAX ? SWEEP_MS_MAX : every_ms;
        every_ms = every_ms < SWEEP_MS_MIN ? SWEEP_MS_MIN : every_ms;
        core->sweep_all_ns = core->now.mono.ns + every_ms * SL_NS_PER_MS;
    }
    int64_t soon_ns = core->now.mono.ns + SL_NS_PER_MS;
    core->sweep_ns = core->renewals_wait ? soon_ns : core->sweep_all_ns;
    /* Ages, dwell times and deadlines pass without any event. */
    sl_core_arm_soon(core);
}

static void finish_worked(struct sl_core_event *event) {
    free(event->lines.worst_tokens);
    free(event->errors);
    event->lines = (struct sl_core_lines){0};
    event->errors = NULL;
}

static void handle(struct sl_broker_core *core, struct sl_core_event *event) {
    switch (event->kind) {
    case SL_CEV_MSG:
        sl_core_session_msg(core, event);
        break;
    case SL_CEV_DURABLE:
        sl_core_durable(core, event->ticket);
        break;
    case SL_CEV_PRICE:
        sl_core_feed_price(core, event);
        break;
    case SL_CEV_BATCH:
        sl_core_batch_create(core, event);
        break;
    case SL_CEV_VALIDATED:
        sl_core_batch_validated(core, event);
        finish_worked(event);
        break;
    case SL_CEV_FINALIZED:
        sl_core_batch_finalized(core, event);
        finish_worked(event);
        break;
    case SL_CEV_BID:
        sl_core_batch_bid(core, event);
        break;
    case SL_CEV_CANCEL:
        sl_core_batch_cancel(core, event);
        break;
    case SL_CEV_OVERRIDE:
        sl_core_override(core, event);
        break;
    case SL_CEV_AGENT:
        sl_core_agent_order(core, event);
        break;
    case SL_CEV_JOIN:
        sl_core_join(core, event->join);
        break;
    case SL_CEV_REFUSALS:
        sl_core_refused_outside(core, event->refusals);
        break;
    case SL_CEV_BEHIND:
        sl_core_behind(core, event->dropped);
        break;
    case SL_CEV_SETTLE:
        sl_core_settle(core, event);
        break;
    case SL_CEV_SHUTDOWN:
        sl_core_ledger_shutdown(core);
        sl_core_session_shutdown(core);
        break;
    case SL_CEV_TIMER:
        core->behind.heard = event->heard.ns ? event->heard : core->now.mono;
        break;
    case SL_CEV_INVALID:
    default:
        break;
    }
}

/* What the store said is whole now: go on where the last process stopped. */
static void start(struct sl_broker_core *core) {
    core->started = true;
    sl_core_tokens_start(core);
    bool complete = core->share_rows_restored >= core->share_rows;
    for (uint32_t i = 0; i < core->node_count; i++) {
        struct sl_core_node *node = &core->nodes[i];
        /* Older rows exist that were not handed over: what lies below those known is known. */
        bool known = node->share_restored != UINT64_MAX;
        node->share_floor = known && !complete ? node->share_restored : 0;
        node->share_floor =
            known && SL_MUTANT(share_floor_too_high) ? UINT64_MAX : node->share_floor;
        node->reported = core->now.mono;
    }
    for (uint32_t i = 0; i < core->batch_count; i++) {
        struct sl_core_batch *batch = core->batches[i];
        bool needs_lines =
            batch->row.state == SL_BATCH_VALIDATING || batch->row.state == SL_BATCH_IN_PROGRESS;
        if (needs_lines) {
            batch->reading = true;
            sl_core_batch_order(core, batch, SL_CCMD_VALIDATE, 0);
        } else {
            batch->settling = !SL_MUTANT(ending_batch_forgotten);
        }
    }
    for (uint32_t i = 0; i < core->unit_count; i++) {
        struct sl_core_unit *unit = core->units[i];
        if (!unit->closed) {
            /* Its agent has this long to come back and say that it still holds it. */
            unit->close_ns =
                core->now.mono.ns +
                (core->config.session_lost_ms + core->config.lease_ttl_ms) * SL_NS_PER_MS +
                sl_core_margin_ns(core);
        }
    }
    sl_core_shadow_start(core);
    for (uint32_t i = core->batch_count; i > 0; i--) {
        sl_core_batch_check(core, core->batches[i - 1]);
    }
}

void sl_broker_core_step(struct sl_broker_core *core, struct sl_core_event *event,
                         struct sl_now now) {
    core->now = now;
    core->price_moment++;
    core->read_ns = event->read_ns;
    if (!core->started) {
        start(core);
    }
    handle(core, event);
    if (now.mono.ns >= core->sweep_ns) {
        sweep(core);
    }
    bool soon = core->armed_soon && now.mono.ns >= tick_due_ns(core);
    if (core->armed || soon) {
        core->armed = false;
        core->armed_soon = false;
        core->ticked_ns = now.mono.ns;
        sl_core_tick(core);
    }
    sl_core_flush(core);
}

struct sl_mono sl_broker_core_due(const struct sl_broker_core *core) {
    int64_t tick_ns = core->armed_soon ? tick_due_ns(core) : core->sweep_ns;
    return (struct sl_mono){tick_ns < core->sweep_ns ? tick_ns : core->sweep_ns};
}
