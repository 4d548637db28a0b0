/* SPDX-License-Identifier: Apache-2.0
 * The session with the broker: hello until a welcome comes, liveness, goodbye. */
#include <string.h>

#include "agent/core/core_internal.h"
#include "agent/core/records.h"

#define HELLO_MS_MIN 250
#define HELLO_MS_MAX 2000 /* more would be most of the time in which a restart is to be over */
#define SILENCE_MS 5000   /* the broker renews or acknowledges every second or two */
#define BANNED_MS 60000
#define REPORT_MS_DEFAULT 1000
#define REPORT_MS_MIN 100
#define REPORT_MS_MAX 60000
#define REPORT_GAP_MS 10 /* between two that a change asked for */

bool agent_live(const struct sl_agent_core *core) {
    return core->session.state == SESSION_LIVE;
}

bool agent_send(struct sl_agent_core *core, struct sl_msg *msg) {
    msg->version = core->session.wire;
    msg->session = msg->kind == SL_MSG_HELLO ? 0 : core->session.id;
    msg->sequence = ++core->session.sequence;
    struct sl_buf *buf = &core->encoded;
    struct sl_error err;
    buf->len = 0;
    if (sl_msg_encode(msg, buf, &err) != SL_OK) {
        agent_log(core, SL_LOG_ERROR, "message.unsent", "kind=%s %s", sl_msg_kind_name(msg->kind),
                  err.text);
        return false;
    }
    struct sl_agent_cmd *cmd = agent_queue(core, SL_AGENT_SEND);
    cmd->data = agent_alloc(buf->len);
    memcpy(cmd->data, buf->data, buf->len);
    cmd->size = buf->len;
    return true;
}

/* The upper half of a doubling span is jitter, so that a fleet does not return in one moment. */
static int64_t backoff_ms(struct sl_agent_core *core) {
    int64_t span = HELLO_MS_MIN;
    for (uint32_t i = 0; i < core->session.attempts && span < HELLO_MS_MAX; i++) {
        span *= 2;
    }
    span = span < HELLO_MS_MAX ? span : HELLO_MS_MAX;
    return span / 2 + (int64_t)(agent_random(core) % (uint64_t)(span / 2 + 1));
}

static void send_hello(struct sl_agent_core *core, struct sl_now now) {
    uint64_t units[SL_MSG_IDS_MAX];
    uint32_t count = 0;
    for (uint32_t i = 0; i < core->config.device_count; i++) {
        const struct agent_unit *unit = core->devices[i].units;
        for (; unit && count < SL_MSG_IDS_MAX; unit = unit->next) {
            if (unit->state != UNIT_CLOSING) {
                units[count++] = unit->id;
            }
        }
    }
    agent_report_fill(core);
    /* A broker that refused us said in which version it does so. If that one leads to nothing (it
     * was updated meanwhile), ours is tried again. */
    if (core->session.attempts > 0 || core->session.wire == 0) {
        core->session.wire = SL_WIRE_VERSION;
    }
    struct sl_msg msg = {.kind = SL_MSG_HELLO};
    sl_text_copy(msg.hello.node, sizeof msg.hello.node, core->config.node);
    sl_text_copy(msg.hello.version, sizeof msg.hello.version, core->config.version);
    msg.hello.boot_id = core->config.boot_id;
    msg.hello.device_count = core->config.device_count;
    msg.hello.devices = core->inventory;
    msg.hello.unit_count = count;
    msg.hello.units = units;
    msg.hello.bundles = true;
    agent_send(core, &msg);
    core->session.hello_due_ns = sl_mono_after_ms(now.mono, backoff_ms(core)).ns;
    core->session.attempts++;
}

static void greet(struct sl_agent_core *core, struct sl_now now, int64_t wait_ms) {
    core->session.state = SESSION_GREETING;
    core->session.attempts = 0;
    core->session.hello_due_ns = sl_mono_after_ms(now.mono, wait_ms).ns;
    if (wait_ms == 0) {
        send_hello(core, now);
    }
}

void agent_session_begin(struct sl_agent_core *core, struct sl_now now) {
    greet(core, now, 0);
}

static void take_safe_mode(struct sl_agent_core *core, struct sl_now now,
                           const struct sl_msg_welcome *welcome) {
    struct agent_session *session = &core->session;
    enum sl_mode mode = welcome->safe_mode == SL_MODE_HASH ? SL_MODE_HASH : SL_MODE_IDLE;
    int64_t max_ms = (int64_t)welcome->safe_mode_max_ms;
    if (mode != session->safe_mode || max_ms != session->safe_mode_max_ms) {
        session->safe_mode = mode;
        session->safe_mode_max_ms = max_ms;
        uint8_t value[AGENT_SAFE_BYTES];
        value[0] = (uint8_t)mode;
        agent_put_le(value + 1, (uint64_t)max_ms, 8);
        agent_journal(core, SL_JOURNAL_NODE, AGENT_KEY_SAFE, strlen(AGENT_KEY_SAFE), value,
                      sizeof value, false);
    }
    agent_devices_safe_changed(core, now);
}

void agent_on_welcome(struct sl_agent_core *core, struct sl_now now, const struct sl_msg *msg) {
    struct agent_session *session = &core->session;
    const struct sl_msg_welcome *welcome = &msg->welcome;
    if (session->state == SESSION_BOOTING || session->state == SESSION_STOPPED) {
        return;
    }
    bool other = welcome->session != session->id || session->state != SESSION_LIVE;
    if (other) {
        agent_log(core, SL_LOG_INFO, "session.live", "session=%llu spooled=%llu shares=%llu",
                  (unsigned long long)welcome->session, (unsigned long long)core->results.count,
                  (unsigned long long)core->shares.settled.count);
    }
    if (welcome->session != session->id) {
        session->sequence = 0;
    }
    session->id = welcome->session;
    session->parts = welcome->parts;
    session->state = SESSION_LIVE;
    session->attempts = 0;
    session->heard_ns = now.mono.ns;
    session->report_ms = welcome->report_ms < REPORT_MS_MIN   ? REPORT_MS_MIN
                         : welcome->report_ms > REPORT_MS_MAX ? REPORT_MS_MAX
                                                              : (int64_t)welcome->report_ms;
    session->report_sent_ns = 0;
    session->report_wanted = true;
    take_safe_mode(core, now, welcome);
    if (other) {
        agent_results_restart(core);
        agent_shares_restart(core, now);
    }
    agent_results_pump(core, now);
}

void agent_on_goodbye(struct sl_agent_core *core, struct sl_now now,
                      const struct sl_msg_goodbye *msg) {
    struct agent_session *session = &core->session;
    if (session->state == SESSION_BOOTING || session->state == SESSION_STOPPED) {
        return;
    }
    if (msg->retry) {
        agent_log(core, SL_LOG_WARN, "session.goodbye", "the broker ends the session: %.200s",
                  msg->reason);
        greet(core, now, HELLO_MS_MIN / 2 + (int64_t)(agent_random(core) % HELLO_MS_MIN));
        return;
    }
    session->state = SESSION_BANNED;
    session->attempts = 0;
    session->hello_due_ns =
        sl_mono_after_ms(now.mono, BANNED_MS + (int64_t)(agent_random(core) % 10000)).ns;
    agent_log(core, SL_LOG_ERROR, "session.refused",
              "the broker does not want this agent: %.200s. An operator must act (two agents with "
              "one key?); leases run out, then the safe mode rules; next attempt in a minute",
              msg->reason);
}

void agent_session_timer(struct sl_agent_core *core, struct sl_now now) {
    struct agent_session *session = &core->session;
    if (session->state == SESSION_LIVE) {
        if (now.mono.ns - session->heard_ns >= SILENCE_MS * SL_NS_PER_MS) {
            agent_log(core, SL_LOG_WARN, "session.silent",
                      "nothing heard from the broker for %d s: asking for a new session",
                      SILENCE_MS / 1000);
            greet(core, now, 0);
        } else if (now.mono.ns >= session->report_due_ns) {
            session->report_wanted = true;
        }
    } else if ((session->state == SESSION_GREETING || session->state == SESSION_BANNED) &&
               now.mono.ns >= session->hello_due_ns) {
        bool banned = session->state == SESSION_BANNED;
        send_hello(core, now);
        if (banned) {
            session->hello_due_ns = sl_mono_after_ms(now.mono, BANNED_MS).ns;
        }
    }
}

int64_t agent_session_deadline(const struct sl_agent_core *core) {
    const struct agent_session *session = &core->session;
    switch (session->state) {
    case SESSION_LIVE: {
        int64_t silent = session->heard_ns + SILENCE_MS * SL_NS_PER_MS;
        return silent < session->report_due_ns ? silent : session->report_due_ns;
    }
    case SESSION_GREETING:
    case SESSION_BANNED:
        return session->hello_due_ns;
    case SESSION_INVALID:
    case SESSION_BOOTING:
    case SESSION_STOPPED:
        break;
    }
    return AGENT_NEVER;
}

void agent_report_flush(struct sl_agent_core *core, struct sl_now now) {
    struct agent_session *session = &core->session;
    if (!session->report_wanted || session->state != SESSION_LIVE) {
        return;
    }
    int64_t gap_ns = session->report_sent_ns + REPORT_GAP_MS * SL_NS_PER_MS;
    int64_t latest_ns = session->report_sent_ns + session->report_ms * SL_NS_PER_MS;
    int64_t moved_ns = agent_devices_moving_until(core);
    moved_ns = moved_ns < latest_ns ? moved_ns : latest_ns;
    gap_ns = gap_ns > moved_ns ? gap_ns : moved_ns;
    if (session->report_sent_ns && now.mono.ns < gap_ns) {
        session->report_due_ns = gap_ns;
        return;
    }
    session->report_wanted = false;
    session->report_sent_ns = now.mono.ns;
    session->report_due_ns = sl_mono_after_ms(now.mono, session->report_ms).ns;
    agent_report_send(core, now);
}
