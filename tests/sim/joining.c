/* SPDX-License-Identifier: Apache-2.0
 * Rule "joining": nodes that come with a token, get a new key and are revoked.
 *  - A token lets in one key, whoever else presents it, whatever dies in between.
 *  - What was confirmed to an operator, or told to a node, stands after every restart.
 *  - Nothing that comes under its keys is answered once a node's revocation is confirmed, nor what
 *    comes under a key that was never let in.
 *  - A node never gets hold of another node's device by calling it its own.
 *
 * The nodes are made of messages only and have no device: what agents do is simulated elsewhere.
 * Each comes, may get a new key, works a while, is revoked, and knocks on; then the next one comes.
 * Random numbers are its own, so that the other parts of a run are as they were without it. */
#include <stdlib.h>
#include <string.h>

#include "broker/core/agents.h"
#include "tests/sim/internal.h"

#define ASK_AGAIN_NS (10 * SL_NS_PER_S)
#define TTL_MS (INT64_C(15) * 60 * 1000)
#define OVERLAP_MS (INT64_C(60) * 1000)
#define KEYS 3 /* of a node: its first, one of a thief, one by rotation */

enum stage { STAGE_ENROLL, STAGE_JOIN, STAGE_APPROVE, STAGE_LIVE, STAGE_REVOKE, STAGE_OVER };

struct sim_joining {
    struct sim_rng rng;
    enum stage stage;
    uint32_t node;   /* number of the node that comes now */
    uint32_t tokens; /* made so far, its numbers */
    uint32_t member; /* which key the token has let in; KEYS: none yet */
    uint32_t key;    /* with which it speaks */
    uint64_t cookie; /* of the order that is not answered; 0: none */
    int64_t ask_ns, until_ns;
    uint64_t session, rotation;
    bool approved; /* confirmed */
    bool key_wanted, key_sent, key_admitted;
    bool revoked; /* confirmed */
};

static void key_of(const struct sim_joining *j, uint32_t which, char out[SL_LINK_KEY_MAX]) {
    snprintf(out, SL_LINK_KEY_MAX, "guest-%u-key-%u-0123456789012345678901234567890123456789",
             j->node, which);
}

static void name_of(const struct sim_joining *j, char *out, size_t size) {
    snprintf(out, size, "guest%u", j->node);
}

/* The key's number; KEYS: it is none of this node's. */
static uint32_t which_key(const struct sim_joining *j, const char *key) {
    for (uint32_t i = 0; i < KEYS; i++) {
        char own[SL_LINK_KEY_MAX];
        key_of(j, i, own);
        if (strcmp(own, key) == 0) {
            return i;
        }
    }
    return KEYS;
}

static void next_node(struct sim_joining *j) {
    uint32_t node = j->node + 1;
    uint32_t tokens = j->tokens;
    struct sim_rng rng = j->rng;
    *j = (struct sim_joining){.rng = rng, .node = node, .tokens = tokens, .member = KEYS};
}

/* ---- orders ---- */

static void order(struct sim *sim, enum sl_agent_verb verb, int64_t span_ms) {
    struct sim_joining *j = sim->joining;
    struct sl_core_event event = {.kind = SL_CEV_AGENT,
                                  .cookie = SIM_JOINING_COOKIE | (uint64_t)verb << 32 |
                                            (++sim->cookie & UINT32_MAX)};
    if (verb == SL_AGENT_ENROLL) {
        j->tokens++;
        snprintf(event.order.token, sizeof event.order.token, "token_%u", j->tokens);
    }
    event.order.verb = verb;
    event.order.span_ms = span_ms;
    memset(event.order.hash, 0, sizeof event.order.hash);
    memcpy(event.order.hash, &j->tokens, sizeof j->tokens);
    name_of(j, event.order.subject, sizeof event.order.subject);
    snprintf(event.actor, sizeof event.actor, "operator");
    j->cookie = event.cookie;
    j->ask_ns = sim->now_ns;
    sim_story(sim, "operator: agents order %d for %s", (int)verb, event.order.subject);
    sim_broker_step(sim, &event);
}

void sim_joining_reply(struct sim *sim, uint64_t cookie, int status, const char *text) {
    struct sim_joining *j = sim->joining;
    enum sl_agent_verb verb = (enum sl_agent_verb)(cookie >> 32 & 0xff);
    if (cookie != j->cookie) {
        return;
    }
    j->cookie = 0;
    bool again = status == -SL_BADSTATE && strstr(text, "already");
    if (verb == SL_AGENT_ENROLL && status == SL_OK && j->stage == STAGE_ENROLL) {
        j->stage = STAGE_JOIN;
    } else if (verb == SL_AGENT_APPROVE && (status == SL_OK || again)) {
        j->approved = true;
        j->stage = STAGE_LIVE;
        j->until_ns = sim->now_ns + sim_range(&j->rng, 30, 200) * SL_NS_PER_S;
    } else if (verb == SL_AGENT_REVOKE && (status == SL_OK || again)) {
        sim_count(sim, SIM_AGENT_REVOKED);
        j->revoked = true;
        j->stage = STAGE_OVER;
        j->until_ns = sim->now_ns + sim_range(&j->rng, 10, 60) * SL_NS_PER_S;
    } else if (status != SL_OK && status != -SL_BADSTATE && verb != SL_AGENT_ROTATE) {
        sim_break(sim, "joining", "a good order %d was refused: %s", (int)verb, text);
    }
}

/* ---- the node ---- */

static void present(struct sim *sim, uint32_t which) {
    struct sim_joining *j = sim->joining;
    struct sl_core_join join = {.conn = which, .devices = 0};
    key_of(j, which, join.key);
    name_of(j, join.node, sizeof join.node);
    memcpy(join.hash, &j->tokens, sizeof j->tokens);
    snprintf(join.inventory, sizeof join.inventory, "none");
    struct sl_core_event event = {.kind = SL_CEV_JOIN, .join = &join};
    sim_broker_step(sim, &event);
}

void sim_joining_answer(struct sim *sim, const struct sl_core_command *command) {
    struct sim_joining *j = sim->joining;
    uint32_t which = which_key(j, command->peer.key);
    bool in = command->join->status == SL_JOIN_WAITING || command->join->status == SL_JOIN_APPROVED;
    if (which == KEYS || !in) {
        return;
    }
    if (j->member != KEYS && j->member != which) {
        sim_break(sim, "joining", "token_%u let in two keys", j->tokens);
    }
    if (j->member == KEYS) {
        sim_count(sim, SIM_AGENT_JOINED);
        j->member = which;
        j->key = which;
        j->stage = STAGE_APPROVE;
        sim_story(sim, "guest%u: is taken in with key %u", j->node, which);
    }
}

static void say(struct sim *sim, uint32_t which, struct sl_msg *msg) {
    struct sl_core_event event = {.kind = SL_CEV_MSG, .msg = msg};
    key_of(sim->joining, which, event.peer.key);
    event.peer.conn = 1000000 + sim->joining->node * KEYS + which;
    msg->version = SL_WIRE_VERSION;
    msg->session = msg->kind == SL_MSG_HELLO ? 0 : sim->joining->session;
    sim_broker_step(sim, &event);
}

static void hello(struct sim *sim, uint32_t which) {
    struct sl_msg msg = {.kind = SL_MSG_HELLO};
    name_of(sim->joining, msg.hello.node, sizeof msg.hello.node);
    msg.hello.boot_id = 77 + sim->joining->node;
    say(sim, which, &msg);
}

/* Calls an agent's device its own, which the broker knows by now. */
static void claim(struct sim *sim, uint32_t which) {
    struct sim_joining *j = sim->joining;
    struct sl_view_device view;
    uint32_t at =
        (uint32_t)sim_range(&j->rng, 0, (int64_t)sim->agent_count * sim->device_count - 1);
    if (!sl_view_device_get(sim->broker.core, sim_host_now(sim, SIM_BROKER), at, &view)) {
        return;
    }
    struct sl_msg_device *device = calloc(1, sizeof *device);
    sl_assert(device);
    sl_text_copy(device->key, sizeof device->key, view.report.key);
    sl_text_copy(device->name, sizeof device->name, "claimed");
    device->mode = SL_MODE_IDLE;
    device->safe = true;
    sl_text_copy(device->health, sizeof device->health, "not yours");
    struct sl_msg msg = {.kind = SL_MSG_REPORT};
    msg.report.device_count = 1;
    msg.report.devices = device;
    say(sim, which, &msg);
    free(device);
}

void sim_joining_heard(struct sim *sim, const struct sl_link_peer *peer, const struct sl_msg *msg) {
    struct sim_joining *j = sim->joining;
    uint32_t which = which_key(j, peer->key);
    if (which == KEYS) {
        return;
    }
    if (j->revoked) {
        sim_break(sim, "joining", "guest%u was revoked and is answered with %s", j->node,
                  sl_msg_kind_name(msg->kind));
    } else if (which != j->key && which != j->member) {
        sim_break(sim, "joining", "a key of guest%u that was never let in is answered", j->node);
    } else if (msg->kind == SL_MSG_WELCOME) {
        j->session = msg->welcome.session;
    } else if (msg->kind == SL_MSG_ROTATE && msg->rotate.public_key[0] == '\0') {
        j->rotation = msg->rotate.rotation;
        j->key_wanted = true;
    } else if (msg->kind == SL_MSG_ROTATE) {
        if (!j->key_sent || which_key(j, msg->rotate.public_key) != 2) {
            sim_break(sim, "joining", "guest%u is told to use a key that it never sent", j->node);
        }
        j->key_admitted = true;
    }
}

void sim_joining_op(struct sim *sim, const struct sl_op *op) {
    if (op->kind == SL_OP_DEVICE && strncmp(op->device.node_key, "guest-", 6) == 0) {
        sim_break(sim, "joining", "%s got hold of %s, which is another node's", op->device.node_key,
                  op->device.key);
    }
}

/* After a start of the broker: what was told stands. */
void sim_joining_check(struct sim *sim, bool restored) {
    struct sim_joining *j = sim->joining;
    struct sl_view_agent view;
    char name[SL_MSG_NAME_MAX];
    if (!j) {
        return;
    }
    j->cookie = 0;
    j->session = 0;
    if (restored) { /* an older backup may take it all back: docs/operating.md */
        next_node(j);
        return;
    }
    name_of(j, name, sizeof name);
    const char *state = "none";
    uint32_t cursor = 0;
    while (sl_view_agent_next(sim->broker.core, sim_host_now(sim, SIM_BROKER), &cursor, &view)) {
        state = strcmp(view.name, name) == 0 ? view.state : state;
    }
    bool stands = j->revoked    ? strcmp(state, "revoked") == 0
                  : j->approved ? strcmp(state, "approved") == 0 ||
                                      (j->stage == STAGE_REVOKE && strcmp(state, "revoked") == 0)
                  : j->member != KEYS ? strcmp(state, "none") != 0
                                      : true;
    if (!stands) {
        sim_break(sim, "joining", "after a restart %s is %s", name, state);
    }
}

/* ---- its life ---- */

static void live(struct sim *sim) {
    struct sim_joining *j = sim->joining;
    if (j->session == 0 || sim_chance(&j->rng, 100000)) {
        hello(sim, j->key);
    } else {
        claim(sim, j->key);
    }
    if (j->key_wanted && !j->key_admitted && j->session) {
        struct sl_msg msg = {.kind = SL_MSG_ROTATE_KEY};
        msg.rotate_key.rotation = j->rotation;
        char key[SL_LINK_KEY_MAX];
        key_of(j, 2, key);
        memcpy(msg.rotate_key.public_key, key, sizeof msg.rotate_key.public_key);
        j->key_sent = true;
        say(sim, j->key, &msg);
    }
    if (j->key_admitted && j->key != 2) {
        sim_count(sim, SIM_AGENT_ROTATED);
        j->key = 2;
        j->session = 0;
    }
    bool answered = j->cookie == 0 || sim->now_ns - j->ask_ns > ASK_AGAIN_NS;
    if (sim->now_ns >= j->until_ns) {
        j->stage = STAGE_REVOKE;
    } else if (answered && !j->key_wanted && sim_chance(&j->rng, 100000)) {
        order(sim, SL_AGENT_ROTATE, OVERLAP_MS);
    }
}

static void tick(struct sim *sim, struct sim_event *event) {
    (void)event;
    struct sim_joining *j = sim->joining;
    const struct sim_host *host = &sim->hosts[SIM_BROKER];
    bool listens = host->up && !host->doomed && host->paused_until_ns <= sim->now_ns;
    bool ask = j->cookie == 0 || sim->now_ns - j->ask_ns > ASK_AGAIN_NS;
    if (listens && j->stage == STAGE_ENROLL && ask) {
        order(sim, SL_AGENT_ENROLL, TTL_MS);
    } else if (listens && j->stage == STAGE_JOIN) {
        present(sim, (uint32_t)sim_range(&j->rng, 0, 1)); /* itself, or somebody who saw it */
    } else if (listens && j->stage == STAGE_APPROVE) {
        present(sim, (uint32_t)sim_range(&j->rng, 0, 1));
        if (ask && !host->doomed) {
            order(sim, SL_AGENT_APPROVE, 0);
        }
    } else if (listens && j->stage == STAGE_LIVE) {
        live(sim);
    } else if (listens && j->stage == STAGE_REVOKE && ask) {
        order(sim, SL_AGENT_REVOKE, 0);
    } else if (listens && j->stage == STAGE_OVER) {
        hello(sim, (uint32_t)sim_range(&j->rng, 0, KEYS - 1) == j->key ? j->key : j->member);
        if (sim->now_ns >= j->until_ns) {
            next_node(j);
        }
    }
    sim_at(sim, sim->now_ns + sim_range(&j->rng, 1000, 5000) * SL_NS_PER_MS, tick, SIM_NOBODY, 0,
           0);
}

void sim_joining_start(struct sim *sim) {
    sim->joining = calloc(1, sizeof *sim->joining);
    sl_assert(sim->joining);
    sim->joining->rng = sim_rng_of(sim->options.seed, 41);
    sim->joining->member = KEYS;
    sim_at(sim, sim_range(&sim->joining->rng, 5000, 40000) * SL_NS_PER_MS, tick, SIM_NOBODY, 0, 0);
}
