/* SPDX-License-Identifier: Apache-2.0
 * Work units: some lines of one batch for one device, at the price of the grant. A unit's row is
 * durable before it is sent, and its worst cost is held against the tenant's budget until it is
 * closed. Units are kept until their batch is final, so that a late result finds its unit. */
#include <stdlib.h>
#include <string.h>

#include "broker/core/core_internal.h"
#include "broker/core/rates.h"
#include "proto/base/mutant.h"
#include "proto/base/text.h"

#define UNIT_BYTES_MAX (SL_MSG_BYTES_MAX * 3 / 4) /* texts of one unit; the rest is envelope */
#define SMALLEST_UNIT 4 /* a message and a commit for fewer lines is waste */
/* The first unit of a grant stands in the way of the device's first kernel, from the commit to the
 * tokenizer: it is small and alone; the rest follows when the device runs. */
#define FIRST_UNIT 8
#define STUCK_NS (2 * SL_NS_PER_S)

int64_t sl_core_unit_cost(uint32_t worst_tokens, int64_t price_nusd_per_mtok) {
    sl_i128 product = (sl_i128)worst_tokens * price_nusd_per_mtok;
    return (int64_t)((product + SL_DENOM_TOKEN - 1) / SL_DENOM_TOKEN);
}

static uint32_t unit_index(const struct sl_broker_core *core, uint64_t id) {
    uint32_t low = 0;
    uint32_t high = core->unit_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (core->units[middle]->id < id) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

struct sl_core_unit *sl_core_unit_find(const struct sl_broker_core *core, uint64_t id) {
    uint32_t at = unit_index(core, id);
    return at < core->unit_count && core->units[at]->id == id ? core->units[at] : NULL;
}

/* Open units are listed with their device, or with their node where the device is not known. */
static struct sl_core_unit **list_of(struct sl_broker_core *core, const struct sl_core_unit *unit) {
    return unit->device == SL_CORE_NONE ? &core->nodes[unit->node].strays
                                        : &core->fleet.units[unit->device];
}

struct sl_core_unit *sl_core_unit_add(struct sl_broker_core *core, const struct sl_unit_row *row,
                                      struct sl_core_batch *batch, uint32_t dev, uint32_t node) {
    struct sl_core_unit *unit =
        sl_core_calloc(1, sizeof *unit + row->line_count * sizeof unit->lines[0]);
    unit->id = row->unit_id;
    unit->batch = batch;
    unit->device = dev;
    unit->node = node;
    unit->epoch = row->epoch;
    unit->price = row->price_nusd_per_mtok;
    unit->closed = row->closed;
    unit->touched_ns = core->now.mono.ns;
    unit->line_count = row->line_count;
    memcpy(unit->lines, row->lines, row->line_count * sizeof unit->lines[0]);
    sl_core_grow(&core->units, core->unit_count, &core->unit_cap, sizeof(void *));
    uint32_t at = unit_index(core, unit->id);
    memmove(&core->units[at + 1], &core->units[at],
            (core->unit_count - at) * sizeof core->units[0]);
    core->units[at] = unit;
    core->unit_count++;
    sl_core_grow(&batch->units, batch->unit_count, &batch->unit_cap, sizeof(void *));
    batch->units[batch->unit_count++] = unit;
    if (!unit->closed) {
        unit->reserved = row->reserved_nusd;
        batch->tenant->reserved += unit->reserved;
        batch->open_units++;
        struct sl_core_unit **list = list_of(core, unit);
        unit->next = *list;
        *list = unit;
        if (dev != SL_CORE_NONE) {
            core->fleet.open_units[dev] += unit->epoch == core->fleet.epoch[dev];
        }
    }
    return unit;
}

/* The next waiting line at or after `from`, or SL_CORE_NONE. */
static uint32_t next_waiting(const struct sl_core_batch *batch, uint32_t from) {
    for (uint32_t line = from; line < batch->row.lines_total; line++) {
        if (batch->line_state[line] == SL_CLINE_WAITING) {
            return line;
        }
    }
    return SL_CORE_NONE;
}

/* Guided self-scheduling: each unit is a share of what is left, so that units shrink towards the
 * end and all devices of a batch finish at about the same time. */
static uint32_t unit_size(const struct sl_broker_core *core, const struct sl_core_batch *batch,
                          bool running) {
    uint32_t devices = batch->planned > 0 ? batch->planned : 1;
    uint32_t shares = 2 * devices * core->config.units_ahead;
    uint32_t size = (batch->waiting + shares - 1) / shares;
    size = size < SMALLEST_UNIT ? SMALLEST_UNIT : size;
    size = !running && size > FIRST_UNIT ? FIRST_UNIT : size;
    return size < core->config.unit_lines ? size : core->config.unit_lines;
}

static void pick_lines(const struct sl_broker_core *core, struct sl_core_batch *batch, uint32_t dev,
                       struct sl_unit_row *row) {
    sl_i128 left = sl_core_tenant_left(core, batch->tenant);
    int64_t price = core->fleet.price[dev];
    uint32_t size = unit_size(core, batch, core->fleet.running[dev]);
    uint64_t bytes = 0;
    uint32_t line = next_waiting(batch, batch->hint);
    batch->hint = line == SL_CORE_NONE ? batch->row.lines_total : line;
    for (; line != SL_CORE_NONE && row->line_count < size; line = next_waiting(batch, line + 1)) {
        int64_t cost = sl_core_unit_cost(batch->worst[line], price);
        if ((sl_i128)row->reserved_nusd + cost > left || row->reserved_nusd > INT64_MAX - cost) {
            break;
        }
        /* A worst case is never below the texts' bytes, and an id has at most 4 bytes: so the unit
         * fits one message. */
        bytes += batch->tokens ? 4 * (uint64_t)batch->worst[line] : batch->worst[line];
        if (row->line_count > 0 && bytes > UNIT_BYTES_MAX) {
            break;
        }
        row->reserved_nusd += cost;
        row->lines[row->line_count++] = line;
    }
}

static void send_unit(struct sl_broker_core *core, uint32_t dev, const struct sl_unit_row *row,
                      const struct sl_core_batch *batch) {
    struct sl_op op = {.kind = SL_OP_UNIT, .unit = *row};
    sl_core_op(core, &op);
    uint64_t ticket = SL_MUTANT(unit_before_durable) ? 0 : sl_core_ticket(core);
    struct sl_core_item *item = sl_core_send(core, core->fleet.node[dev], SL_MSG_UNIT, ticket, 0);
    item->command.unit = *row;
    sl_text_copy(item->command.batch, sizeof item->command.batch, batch->row.id);
    sl_text_copy(item->command.model, sizeof item->command.model, batch->row.model);
    struct sl_msg_unit *out = &item->command.msg->unit;
    out->unit_id = row->unit_id;
    sl_text_copy(out->device, sizeof out->device, row->device);
    out->epoch = row->epoch;
    sl_text_copy(out->model, sizeof out->model, batch->row.model);
    out->line_count = row->line_count; /* the shell adds the lines' texts */
}

static bool issue(struct sl_broker_core *core, uint32_t dev, struct sl_core_batch *batch) {
    struct sl_core_fleet *fleet = &core->fleet;
    struct sl_unit_row row = {.unit_id = core->unit_high + 1,
                              .epoch = fleet->epoch[dev],
                              .price_nusd_per_mtok = fleet->price[dev]};
    pick_lines(core, batch, dev, &row);
    if (row.line_count == 0) {
        return false;
    }
    core->unit_high++;
    sl_text_copy(row.node_key, sizeof row.node_key, core->nodes[fleet->node[dev]].key);
    sl_text_copy(row.device, sizeof row.device, fleet->cold[dev].key);
    sl_text_copy(row.batch, sizeof row.batch, batch->row.id);
    struct sl_core_unit *unit = sl_core_unit_add(core, &row, batch, dev, fleet->node[dev]);
    unit->left = row.line_count;
    for (uint32_t i = 0; i < row.line_count; i++) {
        batch->line_state[row.lines[i]] = SL_CLINE_ISSUED;
        batch->line_unit[row.lines[i]] = unit->id;
    }
    batch->waiting -= row.line_count;
    batch->issued += row.line_count;
    send_unit(core, dev, &row, batch);
    return true;
}

uint32_t sl_core_unit_top_up(struct sl_broker_core *core, uint32_t dev) {
    struct sl_core_fleet *fleet = &core->fleet;
    struct sl_core_batch *batch = fleet->batch[dev];
    bool may_work = fleet->mode[dev] == SL_MODE_INFER && batch &&
                    core->nodes[fleet->node[dev]].state == SL_SESSION_LIVE &&
                    fleet->state[dev] != SL_DEVICE_LOST && fleet->state[dev] != SL_DEVICE_FAULTY &&
                    sl_core_lease_valid(core, dev) && sl_core_batch_readable(core, dev, batch) &&
                    /* A bid that was lowered holds for every line that is not out yet; the grant at
                     * the new price may still be on its way (a silent node, a long queue). */
                    fleet->price[dev] <= batch->row.bid_nusd_per_mtok;
    uint32_t issued = 0;
    uint32_t ahead = fleet->running[dev] ? core->config.units_ahead : 1;
    while (may_work && fleet->open_units[dev] < ahead && sl_core_batch_issuable(core, batch) &&
           issue(core, dev, batch)) {
        issued++;
    }
    return issued;
}

static void unlink_unit(struct sl_broker_core *core, struct sl_core_unit *unit) {
    struct sl_core_unit **at = list_of(core, unit);
    while (*at && *at != unit) {
        at = &(*at)->next;
    }
    sl_assert(*at == unit);
    *at = unit->next;
    unit->next = NULL;
    if (unit->device != SL_CORE_NONE) {
        core->fleet.open_units[unit->device] -= unit->epoch == core->fleet.epoch[unit->device];
    }
}

void sl_core_unit_close(struct sl_broker_core *core, struct sl_core_unit *unit) {
    if (unit->closed) {
        return;
    }
    struct sl_core_batch *batch = unit->batch;
    unit->closed = true;
    for (uint32_t i = 0; i < unit->line_count; i++) {
        uint32_t line = unit->lines[i];
        if (batch->line_state[line] == SL_CLINE_ISSUED && batch->line_unit[line] == unit->id &&
            !SL_MUTANT(lost_lines_kept)) {
            sl_core_batch_line_back(batch, line);
        }
    }
    batch->tenant->reserved -= SL_MUTANT(reservation_kept) ? 0 : unit->reserved;
    unit->reserved = 0;
    batch->open_units--;
    unlink_unit(core, unit);
    struct sl_op op = {.kind = SL_OP_UNIT};
    op.unit.unit_id = unit->id;
    op.unit.epoch = unit->epoch;
    op.unit.price_nusd_per_mtok = unit->price;
    op.unit.closed = true;
    sl_text_copy(op.unit.batch, sizeof op.unit.batch, batch->row.id);
    sl_text_copy(op.unit.node_key, sizeof op.unit.node_key, core->nodes[unit->node].key);
    sl_core_op(core, &op);
    sl_core_batch_check(core, batch);
    sl_core_arm(core);
}

void sl_core_unit_close_device(struct sl_broker_core *core, uint32_t dev) {
    while (core->fleet.units[dev]) {
        sl_core_unit_close(core, core->fleet.units[dev]);
    }
}

static void send_drain(struct sl_broker_core *core, uint32_t dev, const uint64_t *ids,
                       uint32_t count) {
    if (count == 0 || !sl_core_node_up(core, core->fleet.node[dev])) {
        return;
    }
    struct sl_core_item *item = sl_core_send(core, core->fleet.node[dev], SL_MSG_DRAIN,
                                             sl_core_ticket(core), count * sizeof *ids);
    struct sl_msg *msg = item->command.msg;
    memcpy(msg + 1, ids, count * sizeof *ids);
    sl_text_copy(msg->drain.device, sizeof msg->drain.device, core->fleet.cold[dev].key);
    msg->drain.unit_count = count;
    msg->drain.units = (const uint64_t *)(msg + 1);
}

void sl_core_unit_call_back(struct sl_broker_core *core, struct sl_core_unit *unit) {
    send_drain(core, unit->device, &unit->id, 1);
    sl_core_unit_close(core, unit);
}

/* The batch takes no more results than it must: its units are called back, and closed if nobody
 * answers. */
void sl_core_unit_drop_all(struct sl_broker_core *core, struct sl_core_batch *batch) {
    int64_t close_ns =
        core->now.mono.ns + core->config.lease_ttl_ms * SL_NS_PER_MS + sl_core_margin_ns(core);
    for (uint32_t i = batch->unit_count; i > 0; i--) {
        struct sl_core_unit *unit = batch->units[i - 1];
        if (unit->closed) {
            continue;
        }
        unit->close_ns = unit->close_ns ? unit->close_ns : close_ns;
        if (unit->device != SL_CORE_NONE) {
            send_drain(core, unit->device, &unit->id, 1);
        }
    }
}

/* A unit that its agent has neither finished nor holds was lost on the way. */
static bool is_stuck(const struct sl_broker_core *core, const struct sl_core_unit *unit) {
    if (unit->device == SL_CORE_NONE) {
        return false;
    }
    const struct sl_core_node *node = &core->nodes[unit->node];
    const struct sl_core_report *report = &core->fleet.cold[unit->device].report;
    int64_t patience_ns = 3 * core->config.report_ms * SL_NS_PER_MS + STUCK_NS;
    return node->state == SL_SESSION_LIVE && core->fleet.sent[unit->device] && !report->holds &&
           node->results_spooled == 0 && core->now.mono.ns - unit->touched_ns > patience_ns &&
           !SL_MUTANT(lost_unit_unnoticed);
}

void sl_core_unit_sweep(struct sl_broker_core *core) {
    for (uint32_t i = 0; i < core->unit_count; i++) {
        struct sl_core_unit *unit = core->units[i];
        if (unit->closed) {
            continue;
        }
        bool late = unit->close_ns != 0 && core->now.mono.ns >= unit->close_ns;
        if (late || is_stuck(core, unit)) {
            sl_core_log(core, SL_LOG_WARN, "unit.closed", "unit=%llu batch=%s left=%u: %s",
                        (unsigned long long)unit->id, unit->batch->row.id, unit->left,
                        late ? "its agent did not hand it back" : "it never arrived");
            sl_core_unit_close(core, unit);
        }
    }
}
