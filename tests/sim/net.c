/* SPDX-License-Identifier: Apache-2.0
 * The network between broker and agents: every message takes a moment, and may be lost, doubled,
 * delayed or overtaken before it is put on the in-memory link, whose own rules (a connection that
 * ended takes what was under way with it) hold then. */
#include <stdlib.h>
#include <string.h>

#include "tests/sim/internal.h"

#define LATENCY_MIN_NS 100000
#define LATENCY_MAX_NS 1500000
#define LOSS_PPM 300000
#define DOUBLE_PPM 300000
#define SHUFFLE_PPM 300000
#define SLOW_PPM 200000

uint32_t sim_agent_by_key(const struct sim *sim, const char *key) {
    for (uint32_t i = 0; i < sim->agent_count; i++) {
        if (strcmp(sim->agents[i].key, key) == 0) {
            return i;
        }
    }
    return SIM_NOBODY;
}

static void arrive_up(struct sim *sim, struct sim_event *event) {
    struct sim_agent *agent = &sim->agents[event->a];
    if (!agent->link || sim->hosts[event->a + 1].life != event->b) {
        return; /* its process is gone, and the connection with it */
    }
    if (sl_link_send(agent->link, NULL, event->data, event->size, NULL) == SL_OK) {
        sim_broker_read(sim);
    }
}

struct down_head {
    struct sl_link_peer peer;
};

static void arrive_down(struct sim *sim, struct sim_event *event) {
    struct down_head head;
    memcpy(&head, event->data, sizeof head);
    if (!sim->broker.link || sim->hosts[SIM_BROKER].life != event->b) {
        return;
    }
    const uint8_t *data = event->data + sizeof head;
    if (sl_link_send(sim->broker.link, &head.peer, data, event->size - sizeof head, NULL) ==
        SL_OK) {
        sim_agent_read(sim, (uint32_t)event->a);
    }
}

static int64_t arrival(struct sim *sim, struct sim_net_side *side) {
    struct sim_rng *rng = &sim->net_rng;
    int64_t at_ns = sim->now_ns + sim_range(rng, LATENCY_MIN_NS, LATENCY_MAX_NS);
    if (side->slow_until_ns > sim->now_ns && sim_chance(rng, SLOW_PPM)) {
        at_ns += sim_span(rng, 10 * SL_NS_PER_MS, 20 * SL_NS_PER_S);
        sim_count(sim, SIM_NET_DELAY);
    }
    if (side->shuffling_until_ns > sim->now_ns && sim_chance(rng, SHUFFLE_PPM)) {
        sim_count(sim, SIM_NET_REORDER);
        return at_ns + sim_range(rng, 0, 50 * SL_NS_PER_MS);
    }
    at_ns = at_ns <= side->last_ns ? side->last_ns + 1 : at_ns;
    side->last_ns = at_ns;
    return at_ns;
}

/* `event` is complete but for its time and a copy of the bytes. */
static void carry(struct sim *sim, struct sim_net_side *side, struct sim_event *event,
                  const void *head, size_t head_size, const uint8_t *data, size_t size) {
    struct sim_rng *rng = &sim->net_rng;
    sim->result->messages++;
    if (side->cut_until_ns > sim->now_ns) {
        return;
    }
    if (side->lossy_until_ns > sim->now_ns && sim_chance(rng, LOSS_PPM)) {
        sim_count(sim, SIM_NET_LOSS);
        return;
    }
    int copies = 1;
    if (side->doubling_until_ns > sim->now_ns && sim_chance(rng, DOUBLE_PPM)) {
        sim_count(sim, SIM_NET_DUPLICATE);
        copies = 2;
    }
    for (int i = 0; i < copies; i++) {
        event->size = head_size + size;
        event->data = malloc(event->size ? event->size : 1);
        sl_assert(event->data);
        if (head_size) {
            memcpy(event->data, head, head_size);
        }
        memcpy(event->data + head_size, data, size);
        event->at_ns = arrival(sim, side);
        sim_at_data(sim, event);
    }
}

void sim_net_up(struct sim *sim, uint32_t agent, const uint8_t *data, size_t size) {
    sim_digest(sim, 1 + agent, data, size);
    struct sim_event event = {
        .run = arrive_up, .host = SIM_NOBODY, .a = agent, .b = sim->hosts[agent + 1].life};
    /* The version stands first (field 1, a varint): an agent of the version before says that. */
    bool old = sim->agents[agent].old && size > 1 && data[0] == 0x08;
    const uint8_t begin[2] = {0x08, old ? SL_WIRE_VERSION_OLDEST(SL_WIRE_VERSION) : 0};
    size_t cut = old ? sizeof begin : 0;
    carry(sim, &sim->agents[agent].up, &event, begin, cut, data + cut, size - cut);
}

void sim_net_down(struct sim *sim, const struct sl_link_peer *peer, const uint8_t *data,
                  size_t size) {
    uint32_t agent = sim_agent_by_key(sim, peer->key);
    if (agent == SIM_NOBODY) {
        return;
    }
    sim_digest(sim, 1001 + agent, data, size);
    struct down_head head;
    memset(&head, 0, sizeof head);
    head.peer = *peer;
    struct sim_event event = {
        .run = arrive_down, .host = SIM_NOBODY, .a = agent, .b = sim->hosts[SIM_BROKER].life};
    carry(sim, &sim->agents[agent].down, &event, &head, sizeof head, data, size);
}
