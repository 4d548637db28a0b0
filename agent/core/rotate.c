/* SPDX-License-Identifier: Apache-2.0
 * A new key, when the broker asks for one. The shell makes and keeps it beside the present one; it
 * is used only when the broker has said that it is admitted. Everything may be asked twice: the
 * shell answers with the key that it has made already. */
#include <string.h>

#include "agent/core/core_internal.h"

void agent_on_rotate(struct sl_agent_core *core, const struct sl_msg_rotate *msg) {
    if (core->session.state != SESSION_LIVE) {
        return;
    }
    struct sl_agent_cmd *cmd =
        agent_queue(core, msg->public_key[0] ? SL_AGENT_USE_KEY : SL_AGENT_MAKE_KEY);
    cmd->number = msg->rotation;
    sl_text_copy(cmd->text, sizeof cmd->text, msg->public_key);
    if (msg->public_key[0]) {
        agent_log(core, SL_LOG_INFO, "key.rotate",
                  "the broker has admitted the new key %s; the old one ends in %llu s",
                  msg->public_key, (unsigned long long)(msg->overlap_ms / 1000));
    }
}

void sl_agent_key_made(struct sl_agent_core *core, struct sl_now now, uint64_t rotation,
                       const char *public_key) {
    if (core->session.state == SESSION_LIVE) {
        struct sl_msg msg = {.kind = SL_MSG_ROTATE_KEY};
        msg.rotate_key.rotation = rotation;
        sl_text_copy(msg.rotate_key.public_key, sizeof msg.rotate_key.public_key, public_key);
        agent_send(core, &msg);
    } /* else it is asked again after the next hello */
    agent_settle(core, now);
}

void sl_agent_link_renewed(struct sl_agent_core *core, struct sl_now now) {
    if (core->session.state == SESSION_LIVE || core->session.state == SESSION_GREETING) {
        agent_session_begin(core, now);
    }
    agent_settle(core, now);
}

void sl_agent_server_key_kept(struct sl_agent_core *core, struct sl_now now, const char *key) {
    if (strcmp(core->config.next_server_key, key) == 0) {
        return;
    }
    sl_text_copy(core->config.next_server_key, sizeof core->config.next_server_key, key);
    if (core->session.state == SESSION_LIVE) {
        agent_session_begin(core, now); /* a hello says it */
    }
    agent_settle(core, now);
}
