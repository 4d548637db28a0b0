/* SPDX-License-Identifier: Apache-2.0
 * The fleet: one row per device in columns, filled from absolute reports. A device belongs to one
 * node; another node that claims it is refused until an operator revoked the owner and its lease
 * has run out: a node speaks for its own devices only. */
#include <stdlib.h>
#include <string.h>

#include "broker/core/core_internal.h"
#include "proto/base/mutant.h"
#include "proto/base/text.h"

/* Epochs begin at 1, or at the time in ms x 1024 after a restore. What is above would leave no room
 * for the next ones in the store's integers: it is made up, or damage. */
#define EPOCH_HEARD_MAX (UINT64_C(1) << 62)
#define KEYS_BYTES 4064      /* of a block, which is a page with what malloc keeps */
#define SPOOL_NS SL_NS_PER_S /* in which an agent that came back sends what it had finished */

struct sl_core_keys {
    struct sl_core_keys *before;
    size_t used;
    char text[KEYS_BYTES];
};

/* Kept as long as the fleet is. */
static char *keep_key(struct sl_core_fleet *fleet, const char *key) {
    size_t size = strlen(key) + 1;
    sl_assert(size <= KEYS_BYTES);
    if (!fleet->keys || KEYS_BYTES - fleet->keys->used < size) {
        struct sl_core_keys *fresh = sl_core_calloc(1, sizeof *fresh);
        fresh->before = fleet->keys;
        fleet->keys = fresh;
    }
    char *kept = memcpy(fleet->keys->text + fleet->keys->used, key, size);
    fleet->keys->used += size;
    return kept;
}

static void drop_keys(struct sl_core_fleet *fleet) {
    while (fleet->keys) {
        struct sl_core_keys *before = fleet->keys->before;
        free(fleet->keys);
        fleet->keys = before;
    }
}

static const char *key_at(const struct sl_broker_core *core, uint32_t dev) {
    return core->fleet.cold[dev].key;
}

void sl_core_fleet_create(struct sl_broker_core *core) {
    core->devices_by_key.key_at = key_at;
    core->devices_by_uuid.key_at = sl_core_health_uuid;
}

uint32_t sl_core_device_find(const struct sl_broker_core *core, const char *key) {
    return sl_core_index_find(core, &core->devices_by_key, key);
}

static void grow(struct sl_core_fleet *fleet) {
    if (fleet->count < fleet->cap) {
        return;
    }
    uint32_t cap = fleet->cap;
#define GROW_COLUMN(type, name)                                                                    \
    cap = fleet->cap;                                                                              \
    sl_core_grow(&fleet->name, fleet->count, &cap, sizeof(type));
    for (uint32_t i = 0; i < SL_AGAINST_COUNT; i++) {
        GROW_COLUMN(int64_t, against[i])
    }
    SL_FLEET_COLUMNS(GROW_COLUMN)
    fleet->cap = cap;
}

void sl_core_fleet_destroy(struct sl_broker_core *core) {
    struct sl_core_fleet *fleet = &core->fleet;
    for (uint32_t dev = 0; dev < fleet->count; dev++) {
        sl_core_report_drop(core, dev);
        sl_core_health_destroy(fleet->health[dev]);
        free(fleet->claims[dev]);
        free(fleet->against_more[dev]);
        sl_core_name_drop(core, fleet->cold[dev].why);
    }
    sl_core_index_fini(&core->devices_by_key);
    sl_core_index_fini(&core->devices_by_uuid);
    drop_keys(fleet);
#define FREE_COLUMN(type, name) free(fleet->name);
    SL_FLEET_COLUMNS(FREE_COLUMN)
    for (uint32_t i = 0; i < SL_AGAINST_COUNT; i++) {
        free(fleet->against[i]);
    }
    memset(fleet, 0, sizeof *fleet);
}

static void store_device(struct sl_broker_core *core, uint32_t dev) {
    const struct sl_core_node *node = &core->nodes[core->fleet.node[dev]];
    struct sl_op op = {.kind = SL_OP_DEVICE};
    sl_text_copy(op.device.key, sizeof op.device.key, core->fleet.cold[dev].key);
    sl_text_copy(op.device.node, sizeof op.device.node, node->name);
    sl_text_copy(op.device.node_key, sizeof op.device.node_key, node->key);
    op.device.epoch_max = core->fleet.epoch_max[dev];
    op.device.first_seen = core->fleet.cold[dev].first_seen;
    sl_core_op(core, &op);
}

/* Devices of a node, by rising row: whatever concerns a node looks at these only. */
static void join(struct sl_broker_core *core, uint32_t dev, uint32_t node) {
    uint32_t *at = &core->nodes[node].first_device;
    while (*at < dev) { /* SL_CORE_NONE is above every row */
        at = &core->fleet.sibling[*at];
    }
    core->fleet.sibling[dev] = *at;
    *at = dev;
    core->fleet.node[dev] = node;
    core->nodes[node].device_count++;
}

static void leave(struct sl_broker_core *core, uint32_t dev) {
    struct sl_core_node *node = &core->nodes[core->fleet.node[dev]];
    uint32_t *at = &node->first_device;
    while (*at != dev) {
        at = &core->fleet.sibling[*at];
    }
    *at = core->fleet.sibling[dev];
    node->device_count--;
}

uint32_t sl_core_device_add(struct sl_broker_core *core, const char *key, uint32_t node) {
    struct sl_core_fleet *fleet = &core->fleet;
    grow(fleet);
    uint32_t dev = fleet->count++;
    fleet->cold[dev].key = keep_key(fleet, key);
    fleet->state[dev] = SL_DEVICE_LOST;
    fleet->row[dev] = SL_CORE_NONE;
    sl_core_index_add(core, &core->devices_by_key, dev);
    join(core, dev, node);
    return dev;
}

/* What is there already is not written: pages of rows that never served take no memory. */
void sl_core_device_serves(struct sl_core_fleet *fleet, uint32_t dev, struct sl_core_batch *batch,
                           int64_t price) {
    if (fleet->batch[dev] != batch || fleet->price[dev] != price) {
        fleet->batch[dev] = batch;
        fleet->price[dev] = price;
    }
}

void sl_core_device_why(struct sl_broker_core *core, uint32_t dev, const char *why) {
    struct sl_core_device *cold = &core->fleet.cold[dev];
    if (!cold->why || strcmp(cold->why, why) != 0) {
        const char *before = cold->why;
        cold->why = sl_core_name_take(core, why);
        sl_core_name_drop(core, before);
    }
}

/* The device's row, or SL_CORE_NONE when another node owns it, or this one has too many. */
static uint32_t adopt(struct sl_broker_core *core, uint32_t node, const char *key) {
    struct sl_core_fleet *fleet = &core->fleet;
    uint32_t dev = sl_core_device_find(core, key);
    if (dev == SL_CORE_NONE && core->nodes[node].device_count >= SL_CORE_NODE_DEVICES_MAX) {
        sl_core_made_up(core, node, key, "which is new, but 1024 are known of it already");
        return SL_CORE_NONE;
    }
    if (dev == SL_CORE_NONE) {
        dev = sl_core_device_add(core, key, node);
        fleet->cold[dev].first_seen = core->now.wall;
        fleet->epoch_max[dev] = core->epoch_floor;
        store_device(core, dev);
        return dev;
    }
    if (fleet->node[dev] != node) {
        bool free_now =
            sl_core_node_revoked(core, fleet->node[dev]) && fleet->mode[dev] == SL_MODE_INVALID;
        if (!free_now && !SL_MUTANT(foreign_device_accepted)) {
            sl_core_foreign(core, node, "device", key, fleet->node[dev]);
            return SL_CORE_NONE;
        }
        sl_core_log(core, SL_LOG_INFO, "device.moved", "device=%s from=%s to=%s", key,
                    core->nodes[fleet->node[dev]].name, core->nodes[node].name);
        sl_core_unit_close_device(core, dev);
        leave(core, dev);
        join(core, dev, node);
        store_device(core, dev);
    }
    return dev;
}

static void note_run(struct sl_broker_core *core, uint32_t dev, enum sl_mode mode) {
    static const enum sl_core_device_event events[SL_MODE_COUNT] = {
        0, SL_DEV_RUN_IDLE, SL_DEV_RUN_HASH, SL_DEV_RUN_INFER};
    uint8_t state = core->fleet.state[dev];
    if (mode > SL_MODE_INVALID && mode < SL_MODE_COUNT && state != SL_DEVICE_UNPROVEN &&
        state != SL_DEVICE_LOST) {
        sl_core_device_step(core, dev, events[mode]);
    }
}

static void note_health(struct sl_broker_core *core, uint32_t dev,
                        const struct sl_msg_device *report) {
    struct sl_core_fleet *fleet = &core->fleet;
    if (report->health[0] != '\0' && !SL_MUTANT(failed_device_granted)) {
        sl_core_device_step(core, dev, SL_DEV_UNHEALTHY);
        return;
    }
    if (fleet->state[dev] == SL_DEVICE_FAULTY && !fleet->broken[dev]) {
        sl_core_device_step(core, dev, SL_DEV_RETEST); /* the agent has proved it again */
    }
    sl_core_device_step(core, dev, SL_DEV_OFFERED);
}

static void note_epoch(struct sl_broker_core *core, uint32_t dev,
                       const struct sl_msg_device *report) {
    struct sl_core_fleet *fleet = &core->fleet;
    uint64_t reported = report->epoch_max > report->epoch ? report->epoch_max : report->epoch;
    if (reported <= fleet->epoch_max[dev]) {
        return;
    }
    if (reported > EPOCH_HEARD_MAX) {
        sl_core_made_up(core, fleet->node[dev], report->key,
                        "under an epoch that no broker has granted");
        return;
    }
    /* The agent has seen epochs that we have no record of (a store begun anew): go above them. */
    fleet->epoch_max[dev] = reported;
    store_device(core, dev);
    sl_core_lease_clear(core, dev);
}

static void take_report(struct sl_broker_core *core, uint32_t dev,
                        const struct sl_msg_device *report, const struct sl_msg_bytes *bytes) {
    struct sl_core_fleet *fleet = &core->fleet;
    sl_core_meter(core, dev);
    sl_core_report_keep(core, dev, report, bytes);
    fleet->hash_rate_hs[dev] = sl_core_claims_report(core, dev, report);
    bool mode_known = report->mode > SL_MODE_INVALID && report->mode < SL_MODE_COUNT;
    fleet->running_mode[dev] = mode_known ? (uint8_t)report->mode : 0;
    if (fleet->pool[dev] == 0 && report->mode == SL_MODE_HASH && report->epoch_max > 0) {
        sl_core_pools_adopt(core, dev, report->pool);
    }
    note_epoch(core, dev, report);
    sl_core_power_heard(core, dev, report);
    sl_core_health_heard(core, dev, report);
    note_health(core, dev, report);
    bool ours = fleet->mode[dev] != SL_MODE_INVALID && report->epoch == fleet->epoch[dev];
    if (ours) {
        fleet->running[dev] = 1;
    }
    if (ours || fleet->mode[dev] == SL_MODE_INVALID) {
        note_run(core, dev, report->mode);
    }
    if (report->safe && fleet->running[dev] && fleet->mode[dev] != SL_MODE_INVALID) {
        sl_core_log(core, SL_LOG_WARN, "lease.lapsed", "device=%s epoch=%llu: renewals were late",
                    fleet->cold[dev].key, (unsigned long long)fleet->epoch[dev]);
        sl_core_lease_clear(core, dev);
    }
}

static bool holds(const struct sl_msg_hello *hello, uint64_t unit_id) {
    for (uint32_t i = 0; i < hello->unit_count; i++) {
        if (hello->units[i] == unit_id) {
            return true;
        }
    }
    return false;
}

static void settle_list(const struct sl_broker_core *core, struct sl_core_unit *list, uint32_t node,
                        const struct sl_msg_hello *hello) {
    for (struct sl_core_unit *unit = list; unit; unit = unit->next) {
        if (unit->node == node) {
            bool held = holds(hello, unit->id);
            unit->close_ns = held ? 0 : core->now.mono.ns + SPOOL_NS;
            unit->touched_ns = core->now.mono.ns;
        }
    }
}

/* Units that the agent still holds go on. The lines of the others wait again, but for a moment
 * later: what it has finished of them is in its spool and comes first. Units that it holds but that
 * are over for us are drained. Only the node's own are looked at: after a restart thousands say
 * hello at once, and the site has many more units, most of them closed. */
static void settle_units(struct sl_broker_core *core, uint32_t node,
                         const struct sl_msg_hello *hello) {
    for (uint32_t dev = core->nodes[node].first_device; dev != SL_CORE_NONE;
         dev = core->fleet.sibling[dev]) {
        settle_list(core, core->fleet.units[dev], node, hello);
    }
    settle_list(core, core->nodes[node].strays, node, hello);
    uint64_t over[SL_MSG_IDS_MAX];
    uint32_t count = 0;
    for (uint32_t i = 0; i < hello->unit_count && count < SL_MSG_IDS_MAX; i++) {
        const struct sl_core_unit *unit = sl_core_unit_find(core, hello->units[i]);
        if (!unit || unit->closed || unit->node != node) {
            over[count++] = hello->units[i];
        }
    }
    if (count == 0 || hello->device_count == 0) {
        return;
    }
    struct sl_core_item *item = sl_core_send(core, node, SL_MSG_DRAIN, 0, count * sizeof(uint64_t));
    struct sl_msg *msg = item->command.msg;
    uint64_t *ids = (uint64_t *)(msg + 1);
    memcpy(ids, over, count * sizeof *ids);
    sl_text_copy(msg->drain.device, sizeof msg->drain.device, hello->devices[0].key);
    msg->drain.unit_count = count;
    msg->drain.units = ids;
}

void sl_core_device_forgive(struct sl_broker_core *core, uint32_t dev) {
    struct sl_core_fleet *fleet = &core->fleet;
    /* Where nothing stands, nothing is written: pages of zeros take no memory (sl_core_grow). */
#define FORGIVE(column, value)                                                                     \
    if (fleet->column[dev] != (value)) {                                                           \
        fleet->column[dev] = (value);                                                              \
    }
    FORGIVE(faults, 0)
    FORGIVE(broken, 0)
    FORGIVE(refusals, 0)
    FORGIVE(refused_ns, 0)
    FORGIVE(healed_unit, core->unit_high)
}

static void hello_device(struct sl_broker_core *core, uint32_t node,
                         const struct sl_msg_device *report, bool new_boot) {
    struct sl_core_fleet *fleet = &core->fleet;
    uint32_t dev = adopt(core, node, report->key);
    if (dev == SL_CORE_NONE) {
        return;
    }
    if (new_boot) {
        /* What ran in the earlier process is over, and so are our doubts: it has proved itself. */
        sl_core_lease_clear(core, dev);
        sl_core_power_forget(core, dev);
        sl_core_claims_boot(core, dev);
        sl_core_device_forgive(core, dev);
        if (fleet->state[dev] == SL_DEVICE_FAULTY) {
            sl_core_device_step(core, dev, SL_DEV_RETEST);
        }
    }
    sl_core_device_step(core, dev, SL_DEV_BACK);
    fleet->metered_ns[dev] = core->now.mono.ns;
    fleet->running[dev] = 0;
    take_report(core, dev, report, NULL);
    if (report->safe && report->epoch_max >= fleet->epoch[dev] && fleet->sent[dev]) {
        sl_core_lease_clear(core, dev); /* it had the epoch and does not run it any more */
    }
}

/* After a restart of the broker: a device that runs under the highest epoch ever granted has our
 * last directive, which goes on under the same epoch. What it serves is known by the units issued
 * under it: an epoch has one batch and one price. */
static void take_lease_up(struct sl_broker_core *core, uint32_t dev) {
    struct sl_core_fleet *fleet = &core->fleet;
    const struct sl_core_report *report = &fleet->cold[dev].report;
    bool ours = fleet->mode[dev] == SL_MODE_INVALID && !report->safe && report->epoch > 0 &&
                report->epoch == fleet->epoch[dev] && fleet->running_mode[dev] != 0;
    const struct sl_core_unit *unit = fleet->units[dev];
    while (unit && unit->epoch != report->epoch) {
        unit = unit->next;
    }
    if (!ours || (report->mode == SL_MODE_INFER && !unit)) {
        return;
    }
    fleet->mode[dev] = fleet->running_mode[dev];
    fleet->from[dev] = fleet->mode[dev];
    fleet->sent[dev] = 1;
    fleet->running[dev] = 1;
    fleet->since_ns[dev] = core->now.mono.ns;
    fleet->expires_ns[dev] = core->now.mono.ns + core->config.lease_ttl_ms * SL_NS_PER_MS;
    bool serves = report->mode == SL_MODE_INFER;
    sl_core_device_serves(fleet, dev, serves ? unit->batch : NULL, serves ? unit->price : 0);
    struct sl_core_device *cold = &fleet->cold[dev];
    fleet->rule[dev] = sl_core_rule_code("restart");
    sl_core_device_why(core, dev, "goes on with what it did before the broker restarted");
    cold->decided = core->now.wall;
    sl_core_device_step(core, dev, SL_DEV_OFFERED);
    note_run(core, dev, (enum sl_mode)report->mode);
}

void sl_core_fleet_hello(struct sl_broker_core *core, uint32_t node,
                         const struct sl_msg_hello *hello, bool new_boot) {
    struct sl_core_fleet *fleet = &core->fleet;
    for (uint32_t dev = core->nodes[node].first_device; dev != SL_CORE_NONE;
         dev = fleet->sibling[dev]) {
        bool listed = false;
        for (uint32_t i = 0; i < hello->device_count && !listed; i++) {
            listed = strcmp(hello->devices[i].key, fleet->cold[dev].key) == 0;
        }
        sl_core_health_here(core, dev, listed ? hello : NULL);
        if (!listed) {
            if (fleet->state[dev] != SL_DEVICE_LOST) {
                sl_core_event_note(core, SL_SEVERITY_WARN, "device.gone", SL_CORE_NONE, dev,
                                   "its agent does not find it any more");
            }
            sl_core_device_step(core, dev, SL_DEV_GONE);
        }
    }
    bool heard[SL_MSG_DEVICES_MAX] = {false};
    for (uint32_t i = 0; i < hello->device_count; i++) {
        heard[i] = sl_core_health_moved(core, &hello->devices[i]);
        if (heard[i]) {
            hello_device(core, node, &hello->devices[i], new_boot);
        }
    }
    for (uint32_t i = 0; i < hello->device_count; i++) {
        if (!heard[i]) {
            hello_device(core, node, &hello->devices[i], new_boot);
        }
    }
    settle_units(core, node, hello);
    for (uint32_t dev = core->nodes[node].first_device; dev != SL_CORE_NONE;
         dev = fleet->sibling[dev]) {
        if (fleet->state[dev] == SL_DEVICE_LOST) {
            continue;
        }
        take_lease_up(core, dev);
        if (sl_core_lease_called_off(core, dev)) {
            if (!fleet->running[dev]) {
                sl_core_lease_clear(core, dev);
            }
        } else if (fleet->mode[dev] != SL_MODE_INVALID) {
            sl_core_lease_resend(core, dev);
            sl_core_unit_top_up(core, dev);
        }
    }
}

void sl_core_fleet_report(struct sl_broker_core *core, uint32_t node,
                          const struct sl_msg_report *report) {
    uint32_t guess = core->nodes[node].first_device; /* an agent names them in one order */
    for (uint32_t i = 0; i < report->device_count; i++) {
        const char *key = report->devices[i].key;
        bool right = guess != SL_CORE_NONE && strcmp(core->fleet.cold[guess].key, key) == 0;
        uint32_t dev = right ? guess : adopt(core, node, key);
        if (dev == SL_CORE_NONE) {
            continue;
        }
        guess = core->fleet.sibling[dev];
        if (core->fleet.state[dev] == SL_DEVICE_LOST) {
            sl_core_device_step(core, dev, SL_DEV_BACK);
            core->fleet.metered_ns[dev] = core->now.mono.ns;
        }
        take_report(core, dev, &report->devices[i],
                    report->device_bytes ? &report->device_bytes[i] : NULL);
        sl_core_unit_top_up(core, dev);
    }
}

void sl_core_fleet_lost(struct sl_broker_core *core, uint32_t node) {
    for (uint32_t dev = core->nodes[node].first_device; dev != SL_CORE_NONE;
         dev = core->fleet.sibling[dev]) {
        sl_core_meter(core, dev);
        sl_core_device_step(core, dev, SL_DEV_GONE);
        sl_core_health_here(core, dev, false);
    }
    sl_core_arm_soon(core);
}
