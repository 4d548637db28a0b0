/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/core/behind.h"

#include "broker/core/core_internal.h"

#define NOTE_NS (60 * SL_NS_PER_S)

void sl_core_behind(struct sl_broker_core *core, uint64_t dropped) {
    if (dropped > core->behind.dropped) {
        core->behind.dropped = dropped;
    }
    sl_core_behind_sweep(core);
}

void sl_core_behind_sweep(struct sl_broker_core *core) {
    struct sl_core_behind *b = &core->behind;
    bool due = b->noted_at.ns == 0 || sl_mono_since_ns(core->now.mono, b->noted_at) >= NOTE_NS;
    if (b->dropped == b->noted || !due) {
        return;
    }
    sl_core_event_note(core, SL_SEVERITY_WARN, "broker.behind", SL_CORE_NONE, SL_CORE_NONE,
                       "%llu messages of agents were given up unread: this machine is too slow or "
                       "too busy for the site; they come again, but decisions and results are late",
                       (unsigned long long)(b->dropped - b->noted));
    sl_core_log(core, SL_LOG_WARN, "broker.behind", "dropped=%llu", (unsigned long long)b->dropped);
    b->noted = b->dropped;
    b->noted_at = core->now.mono;
}
