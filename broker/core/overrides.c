/* SPDX-License-Identifier: Apache-2.0
 * What people order: drain, pin, stop --all. An order holds until it is lifted, outranks prices,
 * and is audited. The strictest of those that concern a device rules it. */
#include <stdio.h>
#include <string.h>

#include "broker/core/core_internal.h"
#include "proto/base/mutant.h"
#include "proto/base/text.h"

/* Orders lie sorted by subject: each tick asks three times for each device. The first one that is
 * not before it. */
static uint32_t place_of(const struct sl_broker_core *core, const char *subject) {
    uint32_t from = 0;
    uint32_t to = core->override_count;
    while (from < to) {
        uint32_t middle = from + (to - from) / 2;
        bool before = strcmp(core->overrides[middle].subject, subject) < 0;
        from = before ? middle + 1 : from;
        to = before ? to : middle;
    }
    return from;
}

static const struct sl_override_row *find(const struct sl_broker_core *core, const char *subject) {
    uint32_t at = place_of(core, subject);
    bool found = at < core->override_count && strcmp(core->overrides[at].subject, subject) == 0;
    return found ? &core->overrides[at] : NULL;
}

void sl_core_override_put(struct sl_broker_core *core, const struct sl_override_row *row) {
    uint32_t at = place_of(core, row->subject);
    bool found = find(core, row->subject) != NULL;
    if (row->kind == SL_OVERRIDE_NONE) {
        if (found) {
            core->override_count--;
            memmove(&core->overrides[at], &core->overrides[at + 1],
                    (core->override_count - at) * sizeof *row);
        }
        return;
    }
    if (!found) {
        sl_core_grow(&core->overrides, core->override_count, &core->override_cap,
                     sizeof *core->overrides);
        memmove(&core->overrides[at + 1], &core->overrides[at],
                (core->override_count - at) * sizeof *row);
        core->override_count++;
    }
    core->overrides[at] = *row;
}

enum sl_policy_order sl_core_order(const struct sl_broker_core *core, uint32_t dev,
                                   enum sl_mode *ret_pinned) {
    const struct sl_core_node *node = &core->nodes[core->fleet.node[dev]];
    const char *subjects[] = {core->fleet.cold[dev].key, node->name, "*"};
    enum sl_policy_order order =
        core->fleet.state[dev] == SL_DEVICE_FAULTY || sl_core_health_bars(core, dev)
            ? SL_ORDER_FAULT
            : SL_ORDER_NONE;
    bool pinned = false;
    for (size_t i = 0; i < 3; i++) {
        const struct sl_override_row *row = find(core, subjects[i]);
        if (!row) {
            continue;
        }
        if (row->kind == SL_OVERRIDE_STOP) {
            order = SL_ORDER_STOP;
        } else if (row->kind == SL_OVERRIDE_DRAIN && order < SL_ORDER_DRAIN) {
            order = SL_ORDER_DRAIN;
        } else if (row->kind == SL_OVERRIDE_PIN && !pinned) {
            pinned = true; /* the device's own pin before its node's */
            *ret_pinned = row->mode;
            order = order < SL_ORDER_PIN ? SL_ORDER_PIN : order;
        }
    }
    return order;
}

static bool is_known(const struct sl_broker_core *core, const char *subject) {
    if (strcmp(subject, "*") == 0 || sl_core_device_find(core, subject) != SL_CORE_NONE) {
        return true;
    }
    for (uint32_t i = 0; i < core->node_count; i++) {
        if (strcmp(core->nodes[i].name, subject) == 0) {
            return true;
        }
    }
    return false;
}

static void write_order(struct sl_broker_core *core, const struct sl_override_row *row) {
    struct sl_op op = {.kind = SL_OP_OVERRIDE, .override_ = *row};
    sl_core_op(core, &op);
    sl_core_override_put(core, row);
}

#define STILL_SICK "%s gets no work: %s, and that still holds; repair or reset it first"

static void heal(struct sl_broker_core *core, uint32_t dev, const char *by) {
    struct sl_core_fleet *fleet = &core->fleet;
    sl_core_device_forgive(core, dev);
    sl_core_health_clear(core, dev, by);
    if (fleet->state[dev] == SL_DEVICE_FAULTY) {
        sl_core_device_step(core, dev, SL_DEV_RETEST);
        if (!fleet->cold[dev].report.ill) {
            sl_core_device_step(core, dev, SL_DEV_OFFERED);
        }
    }
}

/* Lifting a node's order lifts those of its devices too, and quarantine: that is what a person
 * means who resumes a node. */
static void lift(struct sl_broker_core *core, const struct sl_override_row *row) {
    for (uint32_t i = 0; i < core->node_count; i++) {
        if (strcmp(core->nodes[i].name, row->subject) == 0 &&
            core->nodes[i].state == SL_SESSION_QUARANTINED) {
            core->nodes[i].flip_count = 0;
            core->nodes[i].boot_count = 0;
            sl_core_session_step(core, i, SL_SEV_RESUMED);
        }
    }
    for (uint32_t dev = 0; dev < core->fleet.count; dev++) {
        const char *key = core->fleet.cold[dev].key;
        bool of_node = strcmp(core->nodes[core->fleet.node[dev]].name, row->subject) == 0;
        if (of_node && find(core, key)) {
            struct sl_override_row inner = *row;
            sl_text_copy(inner.subject, sizeof inner.subject, key);
            write_order(core, &inner);
        }
        if (of_node || strcmp(key, row->subject) == 0) {
            heal(core, dev, row->actor);
        }
    }
    write_order(core, row);
}

/* Trust in a device, or in all of a node, as if nothing had happened; orders stay. One that is
 * trusted already loses its mark for repair: it was repaired. */
static void clear_health(struct sl_broker_core *core, const struct sl_override_row *row) {
    for (uint32_t dev = 0; dev < core->fleet.count; dev++) {
        const char *node = core->nodes[core->fleet.node[dev]].name;
        if (strcmp(core->fleet.cold[dev].key, row->subject) == 0 ||
            strcmp(node, row->subject) == 0) {
            sl_core_health_unmark(core, dev, row->actor);
            heal(core, dev, row->actor);
        }
    }
}

/* What still holds the subject after its own order is gone; empty: nothing. */
static const char *still_held_by(const struct sl_broker_core *core, const char *subject) {
    uint32_t dev = sl_core_device_find(core, subject);
    if (dev != SL_CORE_NONE && find(core, core->nodes[core->fleet.node[dev]].name)) {
        return core->nodes[core->fleet.node[dev]].name;
    }
    return strcmp(subject, "*") != 0 && find(core, "*") ? "*" : "";
}

static const char *action_name(const struct sl_override_row *row) {
    static const char *const names[] = {"resume", "drain", "pin", "stop", "clear"};
    return (size_t)row->kind < sizeof names / sizeof names[0] ? names[row->kind] : "order";
}

static const char *refuse(const struct sl_broker_core *core, const struct sl_override_row *row) {
    if (row->kind > SL_OVERRIDE_CLEAR) {
        return "no such order";
    }
    if (row->kind == SL_OVERRIDE_CLEAR && strcmp(row->subject, "*") == 0) {
        return "name the device or node whose health is cleared";
    }
    if (row->kind == SL_OVERRIDE_PIN &&
        (row->mode <= SL_MODE_INVALID || row->mode >= SL_MODE_COUNT)) {
        return "pin wants idle, hash or infer";
    }
    if (row->kind == SL_OVERRIDE_STOP && strcmp(row->subject, "*") != 0) {
        return "stop concerns all devices; use drain for one";
    }
    return is_known(core, row->subject) ? NULL
                                        : "no device or node of this name; see `sluice devices`";
}

void sl_core_override(struct sl_broker_core *core, const struct sl_core_event *event) {
    struct sl_override_row row = event->override_;
    const char *why = refuse(core, &row);
    if (why) {
        bool unknown = !is_known(core, row.subject);
        sl_core_reply(core, event->cookie, 0, unknown ? -SL_NOTFOUND : -SL_INVALID, "%s: %s",
                      row.subject, why);
        return;
    }
    uint32_t dev = sl_core_device_find(core, row.subject);
    const char *sick = dev == SL_CORE_NONE ? NULL : sl_core_health_holds(core, dev);
    if (row.kind == SL_OVERRIDE_CLEAR && sick) {
        sl_core_reply(core, event->cookie, 0, -SL_BADSTATE, STILL_SICK, row.subject, sick);
        return;
    }
    row.at = core->now.wall;
    sl_text_copy(row.actor, sizeof row.actor, event->actor[0] ? event->actor : row.actor);
    if (row.kind == SL_OVERRIDE_NONE) {
        lift(core, &row);
    } else if (row.kind == SL_OVERRIDE_CLEAR) {
        clear_health(core, &row);
    } else {
        write_order(core, &row);
    }
    struct sl_op op = {.kind = SL_OP_AUDIT};
    sl_text_copy(op.audit.actor, sizeof op.audit.actor, row.actor);
    sl_text_copy(op.audit.action, sizeof op.audit.action, action_name(&row));
    sl_text_copy(op.audit.subject, sizeof op.audit.subject, row.subject);
    if (row.kind == SL_OVERRIDE_PIN) {
        sl_text_copy(op.audit.detail, sizeof op.audit.detail, sl_mode_name(row.mode));
    }
    op.audit.at = core->now.wall;
    sl_core_op(core, &op);
    const char *held = row.kind == SL_OVERRIDE_NONE ? still_held_by(core, row.subject) : "";
    if (held[0] != '\0') {
        sl_core_reply(core, event->cookie, sl_core_ticket(core), SL_OK,
                      "lifted, but the order on %s still holds: `sluice resume %s`", held, held);
    } else if (row.kind == SL_OVERRIDE_NONE && sick) {
        sl_core_reply(core, event->cookie, sl_core_ticket(core), SL_OK,
                      "orders are lifted, but " STILL_SICK, row.subject, sick);
    } else {
        sl_core_reply(core, event->cookie,
                      SL_MUTANT(order_reply_before_durable) ? 0 : sl_core_ticket(core), SL_OK, "%s",
                      row.subject);
    }
    sl_core_arm(core);
}
