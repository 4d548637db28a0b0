/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/core/refusals.h"

#include <stdio.h>

#include "broker/core/core_internal.h"

#define LOG_NS (5 * SL_NS_PER_S)
#define NOTE_NS (60 * SL_NS_PER_S)

const char *sl_refusal_name(enum sl_refusal why) {
    static const char *const names[SL_REFUSALS] = {
        "invalid",   "unknown_token", "used_token", "expired_token", "other_node",
        "known_key", "revoked",       "malformed",  "other_site",    "flooded"};
    return why < SL_REFUSALS ? names[why] : names[SL_REFUSAL_INVALID];
}

/* What has been counted since the last event, as one event. */
static void note(struct sl_broker_core *core) {
    struct sl_core_refusals *r = &core->agents->refusals;
    char text[SL_WHY_MAX] = "";
    size_t at = 0;
    for (unsigned i = 1; i < SL_REFUSALS && at < sizeof text; i++) {
        uint64_t more = r->all.count[i] - r->noted.count[i];
        if (more > 0) {
            at += (size_t)snprintf(text + at, sizeof text - at, "%s%llu %s", at ? ", " : "",
                                   (unsigned long long)more, sl_refusal_name((enum sl_refusal)i));
        }
    }
    if (at > 0) {
        r->noted = r->all;
        r->noted_at = core->now.mono;
        sl_core_event_note(core, SL_SEVERITY_WARN, "agents.refused", SL_CORE_NONE, SL_CORE_NONE,
                           "refused at the joining socket: %s", text);
    }
}

static bool is_due(struct sl_mono now, struct sl_mono last, int64_t every_ns) {
    return last.ns == 0 || sl_mono_since_ns(now, last) >= every_ns;
}

void sl_core_refused(struct sl_broker_core *core, enum sl_refusal why,
                     const struct sl_core_join *join, const char *text) {
    struct sl_core_refusals *r = &core->agents->refusals;
    uint64_t sum = 0;
    r->all.count[why]++;
    for (unsigned i = 1; i <= SL_REFUSAL_REVOKED; i++) {
        sum += r->all.count[i];
    }
    if (is_due(core->now.mono, r->logged, LOG_NS)) {
        r->logged = core->now.mono;
        sl_core_log(core, SL_LOG_WARN, "join.refused", "node=%s key=%s why=%s count=%llu: %s",
                    join->node, join->key, sl_refusal_name(why), (unsigned long long)sum, text);
    }
    sl_core_refusals_sweep(core);
}

void sl_core_refused_outside(struct sl_broker_core *core, const struct sl_refusals *total) {
    struct sl_core_refusals *r = &core->agents->refusals;
    for (unsigned i = SL_REFUSAL_MALFORMED; i < SL_REFUSALS; i++) {
        if (total->count[i] > r->all.count[i]) {
            r->all.count[i] = total->count[i];
        }
    }
    sl_core_refusals_sweep(core);
}

void sl_core_refusals_sweep(struct sl_broker_core *core) {
    if (is_due(core->now.mono, core->agents->refusals.noted_at, NOTE_NS)) {
        note(core);
    }
}

bool sl_view_refusal_get(const struct sl_broker_core *core, uint32_t index,
                         struct sl_view_refusal *ret_view) {
    if (index >= SL_REFUSALS - 1) {
        return false;
    }
    *ret_view = (struct sl_view_refusal){sl_refusal_name((enum sl_refusal)(index + 1)),
                                         core->agents->refusals.all.count[index + 1]};
    return true;
}
