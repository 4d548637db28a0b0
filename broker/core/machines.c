/* SPDX-License-Identifier: Apache-2.0
 * The state machines of sessions and devices as tables. A pair that is not listed changes nothing
 * and is counted. */
#include "broker/core/core_internal.h"

struct edge {
    uint8_t from;
    uint8_t event;
    uint8_t to;
};

static const struct edge session_edges[] = {
    {SL_SESSION_LOST, SL_SEV_HELLO, SL_SESSION_HELLO},
    {SL_SESSION_HELLO, SL_SEV_HELLO, SL_SESSION_HELLO},
    {SL_SESSION_LIVE, SL_SEV_HELLO, SL_SESSION_HELLO},
    {SL_SESSION_SUSPECT, SL_SEV_HELLO, SL_SESSION_HELLO},
    {SL_SESSION_HELLO, SL_SEV_WELCOMED, SL_SESSION_LIVE},
    {SL_SESSION_LIVE, SL_SEV_HEARD, SL_SESSION_LIVE},
    {SL_SESSION_SUSPECT, SL_SEV_HEARD, SL_SESSION_LIVE},
    {SL_SESSION_LIVE, SL_SEV_QUIET, SL_SESSION_SUSPECT},
    {SL_SESSION_LIVE, SL_SEV_SILENT, SL_SESSION_LOST},
    {SL_SESSION_SUSPECT, SL_SEV_SILENT, SL_SESSION_LOST},
    {SL_SESSION_LIVE, SL_SEV_BYE, SL_SESSION_LOST},
    {SL_SESSION_SUSPECT, SL_SEV_BYE, SL_SESSION_LOST},
    {SL_SESSION_LIVE, SL_SEV_DUPLICATE, SL_SESSION_QUARANTINED},
    {SL_SESSION_SUSPECT, SL_SEV_DUPLICATE, SL_SESSION_QUARANTINED},
    {SL_SESSION_LOST, SL_SEV_DUPLICATE, SL_SESSION_QUARANTINED},
    {SL_SESSION_QUARANTINED, SL_SEV_RESUMED, SL_SESSION_LOST},
};

static const struct edge device_edges[] = {
    {SL_DEVICE_UNPROVEN, SL_DEV_OFFERED, SL_DEVICE_IDLE},
    {SL_DEVICE_UNPROVEN, SL_DEV_UNHEALTHY, SL_DEVICE_UNPROVEN},
    {SL_DEVICE_UNPROVEN, SL_DEV_RETEST, SL_DEVICE_UNPROVEN},
    {SL_DEVICE_UNPROVEN, SL_DEV_GONE, SL_DEVICE_LOST},
    {SL_DEVICE_UNPROVEN, SL_DEV_BACK, SL_DEVICE_UNPROVEN},

    {SL_DEVICE_IDLE, SL_DEV_OFFERED, SL_DEVICE_IDLE},
    {SL_DEVICE_IDLE, SL_DEV_UNHEALTHY, SL_DEVICE_FAULTY},
    {SL_DEVICE_IDLE, SL_DEV_RUN_IDLE, SL_DEVICE_IDLE},
    {SL_DEVICE_IDLE, SL_DEV_RUN_HASH, SL_DEVICE_HASHING},
    {SL_DEVICE_IDLE, SL_DEV_RUN_INFER, SL_DEVICE_LEASED},
    {SL_DEVICE_IDLE, SL_DEV_DRAIN, SL_DEVICE_IDLE},
    {SL_DEVICE_IDLE, SL_DEV_FAULT, SL_DEVICE_FAULTY},
    {SL_DEVICE_IDLE, SL_DEV_RETEST, SL_DEVICE_UNPROVEN},
    {SL_DEVICE_IDLE, SL_DEV_GONE, SL_DEVICE_LOST},
    {SL_DEVICE_IDLE, SL_DEV_BACK, SL_DEVICE_IDLE},

    {SL_DEVICE_HASHING, SL_DEV_OFFERED, SL_DEVICE_HASHING},
    {SL_DEVICE_HASHING, SL_DEV_UNHEALTHY, SL_DEVICE_FAULTY},
    {SL_DEVICE_HASHING, SL_DEV_RUN_IDLE, SL_DEVICE_IDLE},
    {SL_DEVICE_HASHING, SL_DEV_RUN_HASH, SL_DEVICE_HASHING},
    {SL_DEVICE_HASHING, SL_DEV_RUN_INFER, SL_DEVICE_LEASED},
    {SL_DEVICE_HASHING, SL_DEV_DRAIN, SL_DEVICE_DRAINING},
    {SL_DEVICE_HASHING, SL_DEV_FAULT, SL_DEVICE_FAULTY},
    {SL_DEVICE_HASHING, SL_DEV_RETEST, SL_DEVICE_UNPROVEN},
    {SL_DEVICE_HASHING, SL_DEV_GONE, SL_DEVICE_LOST},
    {SL_DEVICE_HASHING, SL_DEV_BACK, SL_DEVICE_HASHING},

    {SL_DEVICE_LEASED, SL_DEV_OFFERED, SL_DEVICE_LEASED},
    {SL_DEVICE_LEASED, SL_DEV_UNHEALTHY, SL_DEVICE_FAULTY},
    {SL_DEVICE_LEASED, SL_DEV_RUN_IDLE, SL_DEVICE_IDLE},
    {SL_DEVICE_LEASED, SL_DEV_RUN_HASH, SL_DEVICE_HASHING},
    {SL_DEVICE_LEASED, SL_DEV_RUN_INFER, SL_DEVICE_LEASED},
    {SL_DEVICE_LEASED, SL_DEV_DRAIN, SL_DEVICE_DRAINING},
    {SL_DEVICE_LEASED, SL_DEV_FAULT, SL_DEVICE_FAULTY},
    {SL_DEVICE_LEASED, SL_DEV_RETEST, SL_DEVICE_UNPROVEN},
    {SL_DEVICE_LEASED, SL_DEV_GONE, SL_DEVICE_LOST},
    {SL_DEVICE_LEASED, SL_DEV_BACK, SL_DEVICE_LEASED},

    {SL_DEVICE_DRAINING, SL_DEV_OFFERED, SL_DEVICE_DRAINING},
    {SL_DEVICE_DRAINING, SL_DEV_UNHEALTHY, SL_DEVICE_FAULTY},
    {SL_DEVICE_DRAINING, SL_DEV_RUN_IDLE, SL_DEVICE_IDLE},
    {SL_DEVICE_DRAINING, SL_DEV_RUN_HASH, SL_DEVICE_HASHING},
    {SL_DEVICE_DRAINING, SL_DEV_RUN_INFER, SL_DEVICE_LEASED},
    {SL_DEVICE_DRAINING, SL_DEV_DRAIN, SL_DEVICE_DRAINING},
    {SL_DEVICE_DRAINING, SL_DEV_FAULT, SL_DEVICE_FAULTY},
    {SL_DEVICE_DRAINING, SL_DEV_RETEST, SL_DEVICE_UNPROVEN},
    {SL_DEVICE_DRAINING, SL_DEV_GONE, SL_DEVICE_LOST},
    {SL_DEVICE_DRAINING, SL_DEV_BACK, SL_DEVICE_DRAINING},

    /* A fault outlives a lost session: only a new proof or a person ends it. */
    {SL_DEVICE_FAULTY, SL_DEV_OFFERED, SL_DEVICE_FAULTY},
    {SL_DEVICE_FAULTY, SL_DEV_UNHEALTHY, SL_DEVICE_FAULTY},
    {SL_DEVICE_FAULTY, SL_DEV_RUN_IDLE, SL_DEVICE_FAULTY},
    {SL_DEVICE_FAULTY, SL_DEV_RUN_HASH, SL_DEVICE_FAULTY},
    {SL_DEVICE_FAULTY, SL_DEV_RUN_INFER, SL_DEVICE_FAULTY},
    {SL_DEVICE_FAULTY, SL_DEV_DRAIN, SL_DEVICE_FAULTY},
    {SL_DEVICE_FAULTY, SL_DEV_FAULT, SL_DEVICE_FAULTY},
    {SL_DEVICE_FAULTY, SL_DEV_RETEST, SL_DEVICE_UNPROVEN},
    {SL_DEVICE_FAULTY, SL_DEV_GONE, SL_DEVICE_FAULTY},
    {SL_DEVICE_FAULTY, SL_DEV_BACK, SL_DEVICE_FAULTY},

    {SL_DEVICE_LOST, SL_DEV_BACK, SL_DEVICE_UNPROVEN},
    {SL_DEVICE_LOST, SL_DEV_GONE, SL_DEVICE_LOST},
};

static int next_state(const struct edge *edges, size_t count, int state, int event) {
    for (size_t i = 0; i < count; i++) {
        if (edges[i].from == state && edges[i].event == event) {
            return edges[i].to;
        }
    }
    return 0;
}

enum sl_session_state sl_session_next(enum sl_session_state state, enum sl_session_event event) {
    return (enum sl_session_state)next_state(
        session_edges, sizeof session_edges / sizeof session_edges[0], (int)state, (int)event);
}

enum sl_core_device_state sl_device_next(enum sl_core_device_state state,
                                         enum sl_core_device_event event) {
    return (enum sl_core_device_state)next_state(
        device_edges, sizeof device_edges / sizeof device_edges[0], (int)state, (int)event);
}

const char *sl_session_state_name(enum sl_session_state state) {
    static const char *const names[SL_SESSION_STATES] = {"invalid", "hello", "live",
                                                         "suspect", "lost",  "quarantined"};
    return state < SL_SESSION_STATES ? names[state] : names[0];
}

const char *sl_core_device_state_name(enum sl_core_device_state state) {
    static const char *const names[SL_DEVICE_STATES] = {"invalid", "unproven", "idle",   "hashing",
                                                        "leased",  "draining", "faulty", "lost"};
    return state < SL_DEVICE_STATES ? names[state] : names[0];
}

static const char *session_event_name(enum sl_session_event event) {
    static const char *const names[SL_SEV_END] = {
        "invalid", "hello", "welcomed", "heard", "quiet", "silent", "bye", "duplicate", "resumed"};
    return names[event];
}

static const char *device_event_name(enum sl_core_device_event event) {
    static const char *const names[SL_DEV_END] = {"invalid",  "offered",   "unhealthy", "run-idle",
                                                  "run-hash", "run-infer", "drain",     "fault",
                                                  "retest",   "gone",      "back"};
    return names[event];
}

static void note_session(struct sl_broker_core *core, uint32_t node, enum sl_session_state next,
                         enum sl_session_event event) {
    if (event == SL_SEV_HELLO && core->nodes[node].state == SL_SESSION_LOST) {
        sl_core_event_note(core, SL_SEVERITY_INFO, "session.joined", node, SL_CORE_NONE,
                           "the agent is here");
    } else if (event == SL_SEV_BYE) {
        sl_core_event_note(core, SL_SEVERITY_INFO, "session.left", node, SL_CORE_NONE, "%s",
                           sl_core_node_revoked(core, node) ? "an operator revoked it"
                                                            : "the agent said goodbye");
    } else if (event == SL_SEV_SILENT) {
        sl_core_event_note(core, SL_SEVERITY_WARN, "session.lost", node, SL_CORE_NONE,
                           "nothing was heard of the agent for %lld ms",
                           (long long)core->config.session_lost_ms);
    } else if (next == SL_SESSION_QUARANTINED) {
        sl_core_event_note(core, SL_SEVERITY_ALERT, "session.quarantined", node, SL_CORE_NONE,
                           "two agents use one key: give each a key of its own, then `sluice "
                           "resume %s`",
                           core->nodes[node].name);
    }
}

bool sl_core_session_step(struct sl_broker_core *core, uint32_t node, enum sl_session_event event) {
    struct sl_core_node *n = &core->nodes[node];
    enum sl_session_state next = sl_session_next(n->state, event);
    if (next == SL_SESSION_INVALID) {
        core->edges_refused++;
        return false;
    }
    if (next != n->state) {
        enum sl_log_level level = next == SL_SESSION_QUARANTINED ? SL_LOG_WARN : SL_LOG_INFO;
        sl_core_log(core, level, "session.state", "node=%s %s->%s on %s", n->name,
                    sl_session_state_name(n->state), sl_session_state_name(next),
                    session_event_name(event));
        note_session(core, node, next, event);
        n->state = next;
    }
    return true;
}

static void note_faulty(struct sl_broker_core *core, uint32_t dev,
                        enum sl_core_device_event event) {
    struct sl_msg_device said;
    sl_core_report_get(core, dev, &said);
    sl_core_event_note(core, SL_SEVERITY_ALERT, "device.faulty", SL_CORE_NONE, dev, "%s",
                       event == SL_DEV_UNHEALTHY && said.health[0] ? said.health
                                                                   : "its results were wrong");
}

bool sl_core_device_step(struct sl_broker_core *core, uint32_t dev,
                         enum sl_core_device_event event) {
    struct sl_core_fleet *fleet = &core->fleet;
    enum sl_core_device_state state = (enum sl_core_device_state)fleet->state[dev];
    enum sl_core_device_state next = sl_device_next(state, event);
    if (next == SL_DEVICE_INVALID) {
        core->edges_refused++;
        return false;
    }
    if (next != state) {
        enum sl_log_level level = next == SL_DEVICE_FAULTY ? SL_LOG_WARN : SL_LOG_DEBUG;
        sl_core_log(core, level, "device.state", "device=%s %s->%s on %s", fleet->cold[dev].key,
                    sl_core_device_state_name(state), sl_core_device_state_name(next),
                    device_event_name(event));
        if (next == SL_DEVICE_FAULTY) {
            note_faulty(core, dev, event);
        }
        fleet->state[dev] = (uint8_t)next;
        sl_core_arm_soon(core);
    }
    return true;
}
