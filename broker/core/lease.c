/* SPDX-License-Identifier: Apache-2.0
 * Directives: who may use a device, for what, until when.
 *
 * Each has an epoch above every epoch granted or reported before. It is sent when its row is
 * durable, together with the first units of the lease (same transaction). Renewals repeat it
 * without writing. A device is free again when its agent said so, or when the ttl of the last
 * directive that left, plus a margin, has passed: the agent counts its ttl from the reception. */
#include <string.h>

#include "broker/core/core_internal.h"
#include "proto/base/mutant.h"
#include "proto/base/text.h"

#define REFUSED_WAIT_NS SL_NS_PER_S
#define REFUSED_DOUBLINGS 6

bool sl_core_lease_valid(const struct sl_broker_core *core, uint32_t dev) {
    const struct sl_core_fleet *fleet = &core->fleet;
    return fleet->mode[dev] != SL_MODE_INVALID &&
           (!fleet->sent[dev] || core->now.mono.ns < fleet->expires_ns[dev]);
}

static int64_t ttl_ns(const struct sl_broker_core *core) {
    return core->config.lease_ttl_ms * SL_NS_PER_MS;
}

int64_t sl_core_lease_sent_ns(const struct sl_broker_core *core, uint32_t dev) {
    int64_t expires_ns = core->fleet.expires_ns[dev];
    return expires_ns != 0 ? expires_ns - ttl_ns(core) : 0;
}

/* A third of the ttl after it was last sent. */
static int64_t renew_ns(const struct sl_broker_core *core, uint32_t dev) {
    return sl_core_lease_sent_ns(core, dev) + ttl_ns(core) / 3;
}

/* Units of an ended lease: the agent hands them back; if it does not, they are closed by then. */
static void let_units_go(struct sl_broker_core *core, uint32_t dev) {
    int64_t close_ns = core->now.mono.ns + ttl_ns(core) + sl_core_margin_ns(core);
    for (struct sl_core_unit *unit = core->fleet.units[dev]; unit; unit = unit->next) {
        unit->close_ns = unit->close_ns ? unit->close_ns : close_ns;
    }
}

void sl_core_lease_clear(struct sl_broker_core *core, uint32_t dev) {
    struct sl_core_fleet *fleet = &core->fleet;
    if (fleet->mode[dev] == SL_MODE_INVALID) {
        return;
    }
    fleet->mode[dev] = SL_MODE_INVALID;
    sl_core_device_serves(fleet, dev, NULL, 0);
    fleet->sent[dev] = 0;
    fleet->running[dev] = 0;
    sl_core_switch_forget(fleet, dev);
    let_units_go(core, dev);
    sl_core_arm_soon(core);
}

/* An order of people or of health, which also binds an agent that loses the broker. */
static bool must_stay_idle(const struct sl_broker_core *core, uint32_t dev) {
    enum sl_mode pinned = SL_MODE_INVALID;
    enum sl_policy_order order = sl_core_order(core, dev, &pinned);
    return order >= SL_ORDER_FAULT || (order == SL_ORDER_PIN && pinned == SL_MODE_IDLE);
}

static void send_directive(struct sl_broker_core *core, uint32_t dev, uint64_t ticket,
                           bool renewal) {
    const struct sl_core_fleet *fleet = &core->fleet;
    struct sl_core_item *item = sl_core_send(core, fleet->node[dev], SL_MSG_DIRECTIVE, ticket, 0);
    item->device = dev;
    item->epoch = fleet->epoch[dev];
    struct sl_msg_directive *out = &item->command.msg->directive;
    sl_text_copy(out->device, sizeof out->device, fleet->cold[dev].key);
    sl_text_copy(out->reason, sizeof out->reason, fleet->cold[dev].why ? fleet->cold[dev].why : "");
    out->epoch = fleet->epoch[dev];
    out->ttl_ms = (uint64_t)core->config.lease_ttl_ms;
    out->mode = (enum sl_mode)fleet->mode[dev];
    out->renewal = renewal;
    out->stay_idle = out->mode == SL_MODE_IDLE && must_stay_idle(core, dev);
    if (out->mode == SL_MODE_HASH && fleet->pool[dev]) {
        sl_text_copy(out->pool, sizeof out->pool,
                     core->config.policy.pools.use[fleet->pool[dev] - 1].name);
    }
    if (fleet->batch[dev]) {
        sl_text_copy(out->model, sizeof out->model, fleet->batch[dev]->row.model);
        out->price_nusd_per_mtok = (uint64_t)fleet->price[dev];
    }
}

static void store_directive(struct sl_broker_core *core, uint32_t dev,
                            const struct sl_core_grant *g) {
    struct sl_op op = {.kind = SL_OP_DIRECTIVE};
    struct sl_directive_row *row = &op.directive;
    sl_text_copy(row->device, sizeof row->device, core->fleet.cold[dev].key);
    row->epoch = core->fleet.epoch[dev];
    row->mode = g->mode;
    if (g->batch) {
        sl_text_copy(row->batch, sizeof row->batch, g->batch->row.id);
        row->price_nusd_per_mtok = g->batch->row.bid_nusd_per_mtok;
    }
    sl_text_copy(row->rule, sizeof row->rule, g->rule);
    sl_text_copy(row->why, sizeof row->why, g->why);
    memcpy(row->inputs_digest, g->digest, sizeof row->inputs_digest);
    sl_text_copy(row->policy, sizeof row->policy, core->policy->name);
    sl_text_copy(row->policy_version, sizeof row->policy_version, core->policy_version);
    sl_decision_bytes(g->record, row->record);
    row->recorded = true;
    row->at = core->now.wall;
    sl_core_op(core, &op);
}

/* A device costs a byte for the name of its rule: a rule of a plan (policy.h), or, beside them,
 * what a directive is sent under without one. */
static const char *const other_rules[] = {"better-bid", "reprice", "restart"};

uint8_t sl_core_rule_code(const char *rule) {
    for (uint32_t i = 0; i < sizeof other_rules / sizeof other_rules[0]; i++) {
        if (strcmp(rule, other_rules[i]) == 0) {
            return (uint8_t)(SL_RULE_COUNT + i);
        }
    }
    uint8_t code = SL_RULE_INVALID;
    for (uint8_t i = 1; i < SL_RULE_COUNT && code == SL_RULE_INVALID; i++) {
        code = strcmp(rule, sl_rule_name((enum sl_rule)i)) == 0 ? i : code;
    }
    return code;
}

const char *sl_core_rule_text(uint8_t code) {
    return code < SL_RULE_COUNT ? sl_rule_name((enum sl_rule)code)
                                : other_rules[code - SL_RULE_COUNT];
}

static void set_columns(struct sl_broker_core *core, uint32_t dev, const struct sl_core_grant *g) {
    struct sl_core_fleet *fleet = &core->fleet;
    int64_t now_ns = core->now.mono.ns;
    bool other_mode = fleet->mode[dev] != g->mode;
    fleet->from[dev] = fleet->mode[dev];
    fleet->mode[dev] = (uint8_t)g->mode;
    fleet->epoch[dev] = ++fleet->epoch_max[dev];
    fleet->sent[dev] = 0;
    fleet->running[dev] = 0;
    sl_core_device_serves(fleet, dev, g->batch, g->batch ? g->batch->row.bid_nusd_per_mtok : 0);
    if (fleet->open_units[dev] > 0) {
        fleet->open_units[dev] = 0;
    }
    fleet->since_ns[dev] = other_mode ? now_ns : fleet->since_ns[dev];
    if (g->by_price && other_mode) {
        fleet->moved_ns[dev] = now_ns;
    }
    sl_core_switch_begin(fleet, dev, fleet->from[dev], core->armed_ns);
    struct sl_core_device *cold = &fleet->cold[dev];
    fleet->rule[dev] = sl_core_rule_code(g->rule);
    sl_core_device_why(core, dev, g->why);
    cold->decided = core->now.wall;
}

void sl_core_lease_grant(struct sl_broker_core *core, uint32_t dev, const struct sl_core_grant *g) {
    struct sl_core_fleet *fleet = &core->fleet;
    if (fleet->epoch_max[dev] >= INT64_MAX) {
        return; /* of a store in which an earlier broker kept what a node had made up */
    }
    bool was_working = fleet->mode[dev] == SL_MODE_HASH || fleet->mode[dev] == SL_MODE_INFER;
    set_columns(core, dev, g);
    sl_core_power_granted(core, dev, g->mode); /* counts under a cap from now on */
    store_directive(core, dev, g);
    let_units_go(core, dev);
    uint64_t ticket = sl_core_ticket(core);
    send_directive(core, dev, SL_MUTANT(directive_before_durable) ? 0 : ticket, false);
    if (g->mode == SL_MODE_INFER) {
        sl_core_unit_top_up(core, dev);
    } else if (g->mode == SL_MODE_IDLE && was_working) {
        sl_core_device_step(core, dev, SL_DEV_DRAIN);
    }
    sl_core_log(core, SL_LOG_INFO, "lease.grant", "device=%s epoch=%llu mode=%s rule=%s batch=%s",
                fleet->cold[dev].key, (unsigned long long)fleet->epoch[dev], sl_mode_name(g->mode),
                g->rule, g->batch ? g->batch->row.id : "-");
}

/* A directive leaves the outbox: from now on its agent may be using the device. */
void sl_core_lease_left(struct sl_broker_core *core, const struct sl_core_item *item) {
    struct sl_core_fleet *fleet = &core->fleet;
    if (fleet->epoch[item->device] != item->epoch) {
        return;
    }
    if (!fleet->sent[item->device] && fleet->cause_ns[item->device] != 0) {
        fleet->left_ns[item->device] = core->now.mono.ns;
    }
    fleet->sent[item->device] = 1;
    fleet->expires_ns[item->device] = core->now.mono.ns + ttl_ns(core);
}

void sl_core_lease_resend(struct sl_broker_core *core, uint32_t dev) {
    struct sl_core_fleet *fleet = &core->fleet;
    /* Not durable yet: behind whatever is under way, this step's transaction included. */
    uint64_t ticket = 0;
    if (!fleet->sent[dev]) {
        ticket = core->txn ? sl_core_ticket(core) : core->ticket;
    }
    send_directive(core, dev, ticket, fleet->running[dev] != 0);
}

/* An agent that was away, or has not reported yet, gets no new directive at once; meanwhile a
 * person may have stopped its device, or it is not trusted any more, or the batch that it serves
 * may have come to its end elsewhere. */
bool sl_core_lease_called_off(const struct sl_broker_core *core, uint32_t dev) {
    enum sl_mode pinned = SL_MODE_INVALID;
    enum sl_policy_order order = sl_core_order(core, dev, &pinned);
    bool stopped =
        order == SL_ORDER_DRAIN || order == SL_ORDER_STOP || sl_core_health_bars(core, dev) != NULL;
    bool works = core->fleet.mode[dev] == SL_MODE_HASH || core->fleet.mode[dev] == SL_MODE_INFER;
    bool nothing_left = core->fleet.mode[dev] == SL_MODE_INFER && !core->fleet.batch[dev];
    return (works && stopped) || nothing_left;
}

void sl_core_lease_sweep(struct sl_broker_core *core) {
    struct sl_core_fleet *fleet = &core->fleet;
    int64_t now_ns = core->now.mono.ns;
    uint32_t renewed = 0;
    core->renewals_wait = false;
    for (uint32_t dev = 0; dev < fleet->count; dev++) {
        if (fleet->mode[dev] == SL_MODE_INVALID || !fleet->sent[dev]) {
            continue;
        }
        bool live = core->nodes[fleet->node[dev]].state == SL_SESSION_LIVE &&
                    fleet->state[dev] != SL_DEVICE_LOST;
        if (now_ns >= fleet->expires_ns[dev] + sl_core_margin_ns(core)) {
            sl_core_log(core, SL_LOG_WARN, "lease.expired", "device=%s epoch=%llu",
                        fleet->cold[dev].key, (unsigned long long)fleet->epoch[dev]);
            sl_core_lease_clear(core, dev);
            sl_core_unit_close_device(core, dev);
        } else if (live && now_ns >= renew_ns(core, dev) && !sl_core_lease_called_off(core, dev)) {
            /* Messages take memory until they have left: the rest go with the next sweep. */
            if (renewed++ == SL_CORE_GRANTS_AT_ONCE) {
                core->renewals_wait = true;
                return;
            }
            sl_core_lease_resend(core, dev);
        }
    }
}

static void refused(struct sl_broker_core *core, uint32_t dev, const struct sl_msg_ack *ack) {
    struct sl_core_fleet *fleet = &core->fleet;
    sl_core_log(core, SL_LOG_WARN, "lease.refused", "device=%s epoch=%llu: %s",
                fleet->cold[dev].key, (unsigned long long)ack->epoch, ack->text);
    if (!fleet->running[dev]) {
        uint32_t doublings = fleet->refusals[dev];
        if (doublings < REFUSED_DOUBLINGS) {
            fleet->refusals[dev]++;
        }
        fleet->refused_ns[dev] = core->now.mono.ns + (REFUSED_WAIT_NS << doublings);
    } /* else a renewal came too late: a new epoch is granted at once */
    for (struct sl_core_unit *unit = fleet->units[dev], *next = NULL; unit; unit = next) {
        next = unit->next;
        if (unit->epoch == ack->epoch) {
            sl_core_unit_close(core, unit);
        }
    }
    sl_core_lease_clear(core, dev);
}

void sl_core_lease_ack(struct sl_broker_core *core, uint32_t node, const struct sl_msg_ack *ack) {
    static const enum sl_core_device_event events[SL_MODE_COUNT] = {
        0, SL_DEV_RUN_IDLE, SL_DEV_RUN_HASH, SL_DEV_RUN_INFER};
    struct sl_core_fleet *fleet = &core->fleet;
    uint32_t dev = sl_core_device_find(core, ack->device);
    if (dev != SL_CORE_NONE && fleet->node[dev] != node) {
        sl_core_foreign(core, node, "lease", ack->device, fleet->node[dev]);
        return;
    }
    if (dev == SL_CORE_NONE || ack->epoch != fleet->epoch[dev] ||
        fleet->mode[dev] == SL_MODE_INVALID) {
        return; /* of an older directive: overtaken */
    }
    if (ack->outcome == SL_ACK_REFUSED) {
        refused(core, dev, ack);
    } else if (ack->outcome == SL_ACK_RUNNING) {
        fleet->running[dev] = 1;
        fleet->refusals[dev] = 0;
        sl_core_power_settle(core, dev); /* of the mode that ends here */
        fleet->running_mode[dev] = fleet->mode[dev];
        sl_core_power_confirmed(core, dev, (enum sl_mode)fleet->mode[dev]);
        sl_core_device_step(core, dev, events[fleet->mode[dev]]);
        sl_core_switch_note(core, dev, ack);
        sl_core_unit_top_up(core, dev);
    }
}
