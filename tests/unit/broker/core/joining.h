/* SPDX-License-Identifier: Apache-2.0
 * What the tests of joining do often, on a world. Keys are 40 times one letter. */
#ifndef SLUICE_TESTS_UNIT_BROKER_CORE_JOINING_H
#define SLUICE_TESTS_UNIT_BROKER_CORE_JOINING_H

#include <stdio.h>
#include <string.h>

#include "broker/core/agents.h"
#include "tests/unit/broker/core/world.h"

#define KEY_A "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
#define KEY_B "BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB"
#define KEY_C "CCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCC"
#define MINUTE INT64_C(60000)

/* The answer's status; its text is world_last(REPLY). */
static inline int joining_order(struct world *w, enum sl_agent_verb verb, const char *subject,
                                int64_t span_ms, uint8_t secret) {
    struct sl_core_event event = {.kind = SL_CEV_AGENT, .cookie = ++w->cookie};
    event.order.verb = verb;
    event.order.span_ms = span_ms;
    snprintf(event.order.subject, sizeof event.order.subject, "%s", subject);
    snprintf(event.order.token, sizeof event.order.token, "token_%u", secret);
    memset(event.order.hash, secret, sizeof event.order.hash);
    snprintf(event.actor, sizeof event.actor, "key_op");
    world_step(w, &event);
    const struct sl_core_command *reply = world_last(w, SL_CCMD_REPLY);
    return reply && reply->cookie == w->cookie ? reply->status : 1;
}

/* What the node hears; INVALID: nothing yet. */
static inline enum sl_join_status joining_present(struct world *w, const char *key,
                                                  const char *node, uint8_t secret) {
    struct sl_core_join join = {.conn = (uint32_t)++w->cookie, .devices = 2};
    snprintf(join.key, sizeof join.key, "%s", key);
    snprintf(join.node, sizeof join.node, "%s", node);
    snprintf(join.version, sizeof join.version, "1.0");
    snprintf(join.inventory, sizeof join.inventory, "2 x made up");
    memset(join.hash, secret, sizeof join.hash);
    struct sl_core_event event = {.kind = SL_CEV_JOIN, .join = &join};
    world_step(w, &event);
    const struct sl_core_command *reply = world_last(w, SL_CCMD_JOIN_REPLY);
    return reply && reply->join_conn == join.conn ? reply->join->status : SL_JOIN_INVALID;
}

static inline const char *joining_text(const struct world *w) {
    const struct sl_core_command *reply = world_last(w, SL_CCMD_JOIN_REPLY);
    return reply ? reply->join->text : "";
}

/* Hello of that key under a node's name, with devices "IDENTITY/0"..; the node's session. */
static inline uint64_t joining_hello(struct world *w, const char *key, const char *node,
                                     const char *identity, uint64_t boot, uint32_t devices) {
    struct sl_msg_device all[4];
    for (uint32_t i = 0; i < devices; i++) {
        char name[SL_MSG_KEY_MAX];
        snprintf(name, sizeof name, "%s/%u", identity, i);
        world_device(&all[i], name);
    }
    struct sl_msg msg = {.kind = SL_MSG_HELLO};
    snprintf(msg.hello.node, sizeof msg.hello.node, "%s", node);
    msg.hello.boot_id = boot;
    msg.hello.device_count = devices;
    msg.hello.devices = all;
    world_msg(w, key, 1 + (uint64_t)key[0], 0, &msg);
    uint32_t at = sl_core_node_of_peer(w->core, key);
    return at == SL_CORE_NONE ? 0 : w->core->nodes[at].session;
}

/* Enrolled, joined, approved, live. */
static inline void joining_member(struct world *w, const char *key, const char *node,
                                  uint8_t secret, uint32_t devices) {
    joining_order(w, SL_AGENT_ENROLL, node, 15 * MINUTE, secret);
    joining_present(w, key, node, secret);
    joining_order(w, SL_AGENT_APPROVE, node, 0, 0);
    joining_hello(w, key, node, key, 7, devices);
    world_report(w, key, devices);
}

#endif
