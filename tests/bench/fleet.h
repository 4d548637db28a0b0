/* SPDX-License-Identifier: Apache-2.0
 * Simulated agents for load: each a real CURVE connection that speaks our wire, all in one process
 * and one ZeroMQ context. They have no devices; what they report is made up, what they are told
 * they do at once. */
#ifndef SLUICE_TESTS_BENCH_FLEET_H
#define SLUICE_TESTS_BENCH_FLEET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/text.h"
#include "proto/link/link.h"
#include "proto/wire/codec.h"

#define FLEET_DEVICES_MAX SL_MSG_DEVICES_MAX
#define FLEET_VARIANTS 16 /* different reports that a flood sends in turn */

struct fleet_device {
    uint64_t epoch;
    uint64_t epoch_max;
    uint64_t hashes;
    uint64_t tokens;
    uint64_t lines;
    enum sl_mode mode;
};

struct fleet_agent {
    struct sl_link_keys keys;
    struct sl_link *link; /* NULL: away */
    uint64_t session;     /* 0: not welcomed */
    uint64_t sequence;
    uint64_t boot_id;
    uint64_t result_id, share_id;
    int64_t next_ns; /* hello or report */
    int64_t back_ns; /* away: until then */
    bool live;
    uint32_t chat; /* messages left that only ask for an answer */
    struct sl_buf variants[FLEET_VARIANTS];
    uint32_t variant;
    struct fleet_device devices[FLEET_DEVICES_MAX];
};

struct fleet_config {
    const char *endpoint;
    const char *server_key;
    const char *prefix; /* of keys and node names */
    uint32_t agents;
    uint32_t devices;  /* of each */
    int64_t report_ms; /* 0: as fast as they go */
    bool deaf;         /* nobody answers: reports without a session (the bare sink) */
};

struct fleet {
    struct fleet_config config;
    void *context;
    struct sl_msg_arena *arena;
    struct sl_buf out, in;
    struct sl_msg_device *scratch; /* [FLEET_DEVICES_MAX] */
    struct fleet_agent *agents;    /* [config.agents] */
    uint64_t mark;                 /* hashes_total of all devices; 0: it grows by itself */
    uint64_t sent, received, directives, results, refused;
    uint32_t flap_percent;
    int64_t flap_ns; /* next round */
    uint64_t random;
};

/* agent.c of the fleet: one turn of one agent; true when it sent or received something. */
bool fleet_agent_turn(struct fleet *f, uint32_t at, int64_t now_ns);
/* As many shares of the agent's first device as one message holds, each for all hashes that the
 * wire can say. */
void fleet_agent_claim(struct fleet *f, uint32_t at);
/* So many messages, one after the other's answer: what a connection carries in hours. */
void fleet_agent_chat(struct fleet *f, uint32_t at, uint32_t count);
void fleet_agent_leave(struct fleet *f, uint32_t at, int64_t back_ns);
uint64_t fleet_random(struct fleet *f);
/* fleet_sink.c: a ROUTER with CURVE that unpacks with protobuf-c and nothing else. */
int fleet_sink(const char *endpoint, const char *secret_key);
/* fleet_floor.c: the same for memory; devices: of each agent. */
#define FLEET_RENEWAL_BYTES 160
int fleet_floor(const char *endpoint, const char *secret_key, uint32_t devices, bool plain);

#endif
