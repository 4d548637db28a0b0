/* SPDX-License-Identifier: Apache-2.0
 * The small world of addresses: what a pool says and hears at each of them. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/addresses_internal.h"
#include "tests/sim/notify.h"

void sim_addresses_broken(struct world *world, const char *rule, const char *format, ...) {
    if (world->result->rule[0]) {
        return;
    }
    va_list args;
    va_start(args, format);
    vsnprintf(world->result->text, sizeof world->result->text, format, args);
    va_end(args);
    sl_text_copy(world->result->rule, sizeof world->result->rule, rule);
}

struct sl_mono sim_addresses_mono(const struct world *world) {
    return (struct sl_mono){world->now_ns};
}

void sim_addresses_at(struct world *world, int64_t at_ns, enum kind kind, uint32_t link,
                      uint64_t tag, char *text) {
    sl_assert(world->event_count < EVENTS_MAX);
    world->events[world->event_count++] = (struct event){at_ns, kind, link, tag, text};
}

int64_t sim_addresses_latency(struct world *world) {
    return sim_range(&world->rng, 2, 40) * SL_NS_PER_MS;
}
static void say(struct world *world, uint32_t link, const char *text) {
    struct address *address = &world->addresses[link];
    if (!address->open || address->mood == SILENT) {
        return;
    }
    int64_t when = world->now_ns + sim_addresses_latency(world);
    if (address->mood == SLOW) {
        when += sim_range(&world->rng, SLOW_MS / 3, SLOW_MS) * SL_NS_PER_MS;
    }
    address->down_ns = when > address->down_ns ? when : address->down_ns + 1;
    sim_addresses_at(world, address->down_ns, TO_AGENT, link, address->connection, strdup(text));
}

static void notify(struct world *world, uint32_t link, bool clean) {
    struct address *address = &world->addresses[link];
    char line[1024];
    if (!address->authorised || address->mood == REFUSES) {
        return;
    }
    snprintf(
        line, sizeof line,
        "{\"id\":null,\"method\":\"mining.notify\",\"params\":[\"%llu\",\"%064llx\"," NOTIFY_BODY
        ",%s]}\n",
        (unsigned long long)address->number, (unsigned long long)address->retired_below,
        clean ? "true" : "false");
    say(world, link, line);
    if (address->mood == SENDS_AWAY) {
        say(world, link,
            "{\"method\":\"client.reconnect\",\"params\":[\"evil.example\",3333,0]}\n");
        world->result->sent_away++;
    } else if (address->mood == SENDS_HOME) {
        say(world, link, "{\"method\":\"client.reconnect\",\"params\":[]}\n");
    }
}

void sim_addresses_new_job(struct world *world, uint32_t link) {
    struct address *address = &world->addresses[link];
    bool storm = address->mood == STORMS;
    bool clean = storm || sim_chance(&world->rng, 300000);
    address->number++;
    if (clean) {
        address->retired_below = address->number;
    }
    notify(world, link, clean);
    int64_t span_ms =
        storm ? sim_range(&world->rng, 200, 2000) : sim_range(&world->rng, 8000, 40000);
    sim_addresses_at(world, world->now_ns + span_ms * SL_NS_PER_MS, NEW_JOB, link, 0, NULL);
}

void sim_addresses_hang_up(struct world *world, uint32_t link, const char *reason) {
    struct address *address = &world->addresses[link];
    if (address->open) {
        address->open = false;
        sl_failover_disconnected(world->pool, link, reason, sim_addresses_mono(world));
        sim_addresses_at(world, world->now_ns + SL_NS_PER_S, CHECK_JOB, link, UINT64_MAX, NULL);
    }
}

static void judge(struct world *world, uint32_t link, long id, const char *line) {
    struct address *address = &world->addresses[link];
    char text[128];
    /* [user, job, ...]: the job is the second text. */
    const char *params = strstr(line, "\"params\":[\"u\",\"");
    uint64_t number = params ? strtoull(params + 15, NULL, 10) : 0;
    bool good = number > 0 && number <= address->number && number >= address->retired_below;
    bool no = good && address->spiteful;
    good = good && !no;
    no = no && !world->forgetful;
    world->pool_accepted += good;
    snprintf(text, sizeof text, "{\"id\":%ld,\"result\":%s,\"error\":%s}\n", id,
             good ? "true" : "null",
             good ? "null"
             : no ? "[20,\"Not good enough\",null]"
                  : "[21,\"Job not found\",null]");
    say(world, link, text);
}

static void request(struct world *world, uint32_t link, const char *line) {
    struct address *address = &world->addresses[link];
    const char *id_at = strstr(line, "\"id\":");
    long id = id_at ? strtol(id_at + 5, NULL, 10) : 0;
    char text[256];
    if (strstr(line, "mining.submit")) {
        judge(world, link, id, line);
        return;
    }
    bool no = strstr(line, "mining.authorize") && address->mood == REFUSES;
    char subscribed[128];
    snprintf(subscribed, sizeof subscribed, "[[[\"mining.notify\",\"s\"]],\"%u%07llx\",4]", link,
             (unsigned long long)(address->connection / 2)); /* every other one is resumed */
    snprintf(text, sizeof text, "{\"id\":%ld,\"result\":%s,\"error\":null}\n", id,
             strstr(line, "mining.subscribe") ? subscribed
             : no                             ? "false"
                                              : "true");
    say(world, link, text);
    if (strstr(line, "mining.authorize") && !no) {
        address->authorised = true;
        notify(world, link, true);
    }
}

void sim_addresses_to_pool(struct world *world, const struct event *event) {
    struct address *address = &world->addresses[event->link];
    char *save = NULL;
    if (!address->open || address->connection != event->tag || address->mood == SILENT) {
        return;
    }
    for (char *line = strtok_r(event->text, "\n", &save); line;
         line = strtok_r(NULL, "\n", &save)) {
        request(world, event->link, line);
    }
    if (address->mood == KICKS && address->authorised) {
        /* A job comes before the end. */
        sim_addresses_at(world, address->down_ns + SL_NS_PER_MS, TO_AGENT, event->link,
                         address->connection, NULL);
    }
}
