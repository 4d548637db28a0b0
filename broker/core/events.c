/* SPDX-License-Identifier: Apache-2.0
 * Events for people: appended to the store with the transaction of the step that they belong to. */
#include <stdarg.h>
#include <stdio.h>

#include "broker/core/core_internal.h"
#include "proto/base/text.h"

const char *sl_severity_name(enum sl_severity severity) {
    static const char *const names[] = {"invalid", "info", "warn", "alert"};
    return (size_t)severity < sizeof names / sizeof names[0] ? names[severity] : names[0];
}

const char *sl_health_state_name(enum sl_health_state state) {
    static const char *const names[SL_HEALTH_STATES] = {"ok", "warn", "drain", "quarantine"};
    return state < SL_HEALTH_STATES ? names[state] : "invalid";
}

void sl_core_event_note(struct sl_broker_core *core, enum sl_severity severity, const char *kind,
                        uint32_t node, uint32_t dev, const char *format, ...) {
    struct sl_op op = {.kind = SL_OP_EVENT};
    op.event.at = core->now.wall;
    op.event.severity = severity;
    sl_text_copy(op.event.kind, sizeof op.event.kind, kind);
    if (dev != SL_CORE_NONE) {
        sl_text_copy(op.event.device, sizeof op.event.device, core->fleet.cold[dev].key);
        node = core->fleet.node[dev];
    }
    if (node != SL_CORE_NONE) {
        sl_text_copy(op.event.node, sizeof op.event.node, core->nodes[node].name);
    }
    va_list args;
    va_start(args, format);
    vsnprintf(op.event.text, sizeof op.event.text, format, args);
    va_end(args);
    for (char *at = op.event.text; *at; at++) {
        *at = (unsigned char)*at < ' ' ? ' ' : *at; /* one line */
    }
    sl_core_op(core, &op);
}
