/* SPDX-License-Identifier: Apache-2.0
 * How long a move takes: from the event that caused it, read from a socket, to the first kernel of
 * the new work. Both moments are CLOCK_BOOTTIME, so the span means something on one host only;
 * elsewhere it is implausible and left out of the percentiles (the move still counts). */
#include <stdlib.h>
#include <string.h>

#include "broker/core/core_internal.h"

#define PLAUSIBLE_NS (60 * SL_NS_PER_S)

static bool is_work(uint8_t mode) {
    return mode == SL_MODE_HASH || mode == SL_MODE_INFER;
}

/* Span since the cause, or -1 where a step did not happen after it. */
static long long step_us(uint64_t at_ns, int64_t cause_ns) {
    return (int64_t)at_ns >= cause_ns ? (long long)(((int64_t)at_ns - cause_ns) / 1000) : -1;
}

/* All steps of one move, each since the event behind it was read from a socket (tests/bench/switch
 * reads these lines). */
static void log_steps(struct sl_broker_core *core, uint32_t dev, uint8_t from,
                      const struct sl_msg_ack *ack, int64_t cause_ns) {
    const struct sl_core_fleet *fleet = &core->fleet;
    sl_core_log(core, SL_LOG_INFO, "switch.done",
                "device=%s %s->%s durable_us=%lld received_us=%lld halted_us=%lld epoch_us=%lld "
                "started_us=%lld",
                fleet->cold[dev].key, sl_mode_name((enum sl_mode)from),
                sl_mode_name((enum sl_mode)fleet->mode[dev]),
                step_us((uint64_t)fleet->left_ns[dev], cause_ns),
                step_us(ack->received_ns, cause_ns), step_us(ack->halted_ns, cause_ns),
                step_us(ack->durable_ns, cause_ns), step_us(ack->started_ns, cause_ns));
}

static bool is_switch(uint8_t from, uint8_t to) {
    return is_work(from) && is_work(to) && from != to;
}

/* Only switches are measured: nothing is written for the many devices that stay where they are. */
void sl_core_switch_begin(struct sl_core_fleet *fleet, uint32_t dev, uint8_t from,
                          int64_t cause_ns) {
    sl_core_switch_forget(fleet, dev);
    if (is_switch(from, fleet->mode[dev]) && cause_ns != 0) {
        fleet->cause_ns[dev] = cause_ns;
    }
}

void sl_core_switch_forget(struct sl_core_fleet *fleet, uint32_t dev) {
    if (fleet->cause_ns[dev] != 0) {
        fleet->cause_ns[dev] = 0;
    }
}

void sl_core_switch_note(struct sl_broker_core *core, uint32_t dev, const struct sl_msg_ack *ack) {
    struct sl_core_fleet *fleet = &core->fleet;
    uint8_t from = fleet->from[dev];
    uint8_t to = fleet->mode[dev];
    int64_t cause_ns = fleet->cause_ns[dev];
    fleet->from[dev] = to; /* a repeated acknowledgement counts once */
    sl_core_switch_forget(fleet, dev);
    if (!is_switch(from, to)) {
        return;
    }
    core->counters.switches++;
    core->counters_dirty = true;
    int64_t span_ns = (int64_t)ack->started_ns - cause_ns;
    bool plausible = cause_ns > 0 && ack->started_ns > 0 && span_ns > 0 && span_ns < PLAUSIBLE_NS;
    if (plausible) {
        core->switch_us[core->switch_count++ % SL_CORE_SWITCHES] = (uint32_t)(span_ns / 1000);
        log_steps(core, dev, from, ack, cause_ns);
    }
}

static int compare(const void *a, const void *b) {
    uint32_t left = *(const uint32_t *)a;
    uint32_t right = *(const uint32_t *)b;
    return (left > right) - (left < right);
}

void sl_core_switch_get(const struct sl_broker_core *core, struct sl_view_switches *ret_view) {
    uint32_t sorted[SL_CORE_SWITCHES];
    uint32_t n = core->switch_count < SL_CORE_SWITCHES ? core->switch_count : SL_CORE_SWITCHES;
    memcpy(sorted, core->switch_us, n * sizeof sorted[0]);
    qsort(sorted, n, sizeof sorted[0], compare);
    ret_view->count = core->counters.switches;
    ret_view->p50_us = n ? sorted[(n - 1) / 2] : 0;
    /* Nearest rank: the smallest value that at least 99 % do not exceed. */
    ret_view->p99_us = n ? sorted[(n * 99 + 99) / 100 - 1] : 0;
}
