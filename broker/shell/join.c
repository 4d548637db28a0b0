/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/shell/join.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "broker/core/agents.h"
#include "proto/base/log.h"
#include "proto/link/join.h"
#include "proto/wire/join.h"

#define PER_TURN 4 /* the agents' socket comes first */

/* libzmq tells an IPv4 address of a socket that knows IPv6 too as "[::ffff:10.0.0.1]": no machine
 * without IPv6 could use that, and "every address" would not be known for it. */
static void unmap(const char *bound, char *out, size_t size) {
    static const char mapped[] = "tcp://[::ffff:";
    const char *end = strchr(bound, ']');
    if (strncmp(bound, mapped, sizeof mapped - 1) != 0 || !end || !strchr(bound, '.')) {
        sl_text_copy(out, size, bound);
        return;
    }
    const char *host = bound + sizeof mapped - 1;
    snprintf(out, size, "tcp://%.*s%s", (int)(end - host), host, end + 1);
}

void sl_broker_advertised(const char *said, const char *advertise, char *out, size_t size) {
    char bound[128];
    unmap(said, bound, sizeof bound);
    const char *colon = strrchr(bound, ':');
    out[0] = '\0';
    if (!colon) {
        return;
    }
    if (advertise[0]) {
        bool six = strchr(advertise, ':') && advertise[0] != '[';
        snprintf(out, size, "tcp://%s%s%s%s", six ? "[" : "", advertise, six ? "]" : "", colon);
    } else if (!strstr(bound, "//0.0.0.0:") && !strstr(bound, "//[::]:") &&
               !strstr(bound, "//*:")) {
        sl_text_copy(out, size, bound);
    }
}

int sl_broker_open_join(struct sl_broker *broker, struct sl_error *err) {
    if (!broker->config.join_listen[0]) {
        return SL_OK;
    }
    struct sl_join_server_config config = {.endpoint = broker->config.join_listen};
    config.keys = broker->keys;
    int rc = sl_join_server_create(&config, &broker->join, err);
    explicit_bzero(&config.keys, sizeof config.keys);
    if (rc == SL_OK) {
        sl_broker_advertised(sl_join_server_endpoint(broker->join), broker->config.advertise,
                             broker->join_endpoint, sizeof broker->join_endpoint);
        sl_broker_advertised(sl_zmq_server_endpoint(broker->link), broker->config.advertise,
                             broker->agents_endpoint, sizeof broker->agents_endpoint);
    }
    return rc;
}

int sl_broker_admit(struct sl_broker *broker, struct sl_error *err) {
    struct sl_link_admission admission;
    sl_broker_core_admission(broker->core, &admission);
    int rc = sl_zmq_server_admit(broker->link, &admission, err);
    free((void *)admission.admitted);
    free((void *)admission.refused);
    return rc;
}

static void describe(const struct sl_join_request *request, struct sl_core_join *join) {
    size_t at = 0;
    for (uint32_t i = 0; i < request->device_count; i++) {
        const struct sl_join_device *d = &request->devices[i];
        join->devices += d->count;
        if (at < sizeof join->inventory) {
            at += (size_t)snprintf(join->inventory + at, sizeof join->inventory - at, "%s%u x %s",
                                   i ? ", " : "", d->count, d->name);
        }
    }
    if (request->device_count == 0) {
        sl_text_copy(join->inventory, sizeof join->inventory, "no devices told");
    }
    /* A name cut in the middle of a character would be no text any more. */
    size_t n = strlen(join->inventory);
    while (n > 0 && !sl_utf8_valid(join->inventory, n)) {
        join->inventory[--n] = '\0';
    }
}

static void reply(struct sl_broker *broker, uint32_t conn, const char *key,
                  const struct sl_join_reply *answer) {
    struct sl_join_packet packet = {.conn = conn};
    struct sl_error err;
    size_t size = 0;
    sl_text_copy(packet.key, sizeof packet.key, key);
    if (sl_join_reply_encode(answer, packet.data, &size, &err)) {
        sl_log(SL_LOG_ERROR, "join.encode", "%s", err.text);
        return;
    }
    packet.size = (uint32_t)size;
    sl_join_server_answer(broker->join, &packet);
}

static void take(struct sl_broker *broker, struct sl_join_packet *packet) {
    struct sl_join_request request;
    struct sl_error err;
    int rc = sl_join_request_decode(packet->data, packet->size, &request, &err);
    explicit_bzero(packet->data, sizeof packet->data);
    if (rc) {
        broker->joins_malformed++;
        sl_log(SL_LOG_DEBUG, "join.bad", "key=%s %s", packet->key, err.text);
        struct sl_join_reply answer = {.status = SL_JOIN_REFUSED};
        sl_text_copy(answer.text, sizeof answer.text, err.text);
        reply(broker, packet->conn, packet->key, &answer);
        return;
    }
    struct sl_core_join join = {.conn = packet->conn};
    sl_text_copy(join.key, sizeof join.key, packet->key);
    sl_text_copy(join.node, sizeof join.node, request.node);
    sl_text_copy(join.version, sizeof join.version, request.agent_version);
    crypto_generichash(join.hash, sizeof join.hash, request.secret, sizeof request.secret, NULL, 0);
    describe(&request, &join);
    explicit_bzero(&request, sizeof request);
    struct sl_core_event event = {.kind = SL_CEV_JOIN, .join = &join};
    sl_broker_step(broker, &event);
}

void sl_broker_read_joins(struct sl_broker *broker) {
    struct sl_join_packet packet;
    for (int i = 0; i < PER_TURN && sl_join_server_take(broker->join, &packet); i++) {
        take(broker, &packet);
    }
}

void sl_broker_count_refusals(struct sl_broker *broker) {
    struct sl_join_server_stats stats;
    if (!broker->join) {
        return;
    }
    sl_join_server_stats(broker->join, &stats);
    struct sl_refusals now = {0};
    now.count[SL_REFUSAL_MALFORMED] = broker->joins_malformed + stats.no_handshake;
    now.count[SL_REFUSAL_OTHER_SITE] = stats.other_key;
    now.count[SL_REFUSAL_FLOODED] = stats.refused + stats.dropped;
    if (memcmp(&now, &broker->refusals, sizeof now) != 0) {
        broker->refusals = now;
        struct sl_core_event event = {.kind = SL_CEV_REFUSALS, .refusals = &now};
        sl_broker_step(broker, &event);
    }
}

void sl_broker_join_reply(struct sl_broker *broker, const struct sl_core_command *command) {
    reply(broker, command->join_conn, command->peer.key, command->join);
}
