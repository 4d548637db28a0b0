/* SPDX-License-Identifier: Apache-2.0
 * A small world beside the site, of the same seed: one pool with three addresses (the second by TLS
 * with a pinned key), which die, hang, fall silent, become slow, refuse, kick, storm, send miners
 * away or are somebody else; and the real machine that chooses between them. An hour of it. Rules:
 *  "hosts": connections go to the addresses that are configured, wherever a pool sends us.
 *  "pins": nobody with another key is spoken to.
 *  "busy": an address that gives no accepted share is not connected to again and again.
 *  "wasted": a second after a new block was heard, devices have no job from before it; nor, a
 * second after a connection was lost, one of that connection; nor, a second after the answer to a
 * share was due, one of an address that is silent while another is well. "served": while one
 * address is well for longer than any back-off, devices have a job. "return": while the first is
 * well for long enough, the job is its job. "refused": one that refuses all shares costs ten (for
 * a minute, where it calls them stale), then no more than a few now and then, while another is
 * well. "shares": each has one outcome; recorded accepted <= the pool's count <= accepted +
 * unknown; none that could have been sent is dropped. */
#include <stdlib.h>
#include <string.h>

#include "tests/sim/addresses_internal.h"

static const char *const hosts[LINKS] = {"a.pool.test", "b.pool.test", "10.0.0.3"};

/* ---- the agent's side ---- */

static void note_heard(struct world *world, uint32_t link, const char *text) {
    static const char head[] = "{\"id\":null,\"method\":\"mining.notify\",\"params\":[\"";
    if (strncmp(text, head, sizeof head - 1) == 0 && strstr(text, "true]}")) {
        uint64_t number = strtoull(text + sizeof head - 1, NULL, 10);
        world->addresses[link].heard_clean = number;
        sim_addresses_at(world, world->now_ns + SL_NS_PER_S, CHECK_JOB, link, number, NULL);
    }
}

static void to_agent(struct world *world, const struct event *event) {
    struct address *address = &world->addresses[event->link];
    if (!address->open || address->connection != event->tag) {
        return;
    }
    if (!event->text) {
        sim_addresses_hang_up(world, event->link, "kicked");
        return;
    }
    note_heard(world, event->link, event->text);
    sl_failover_received(world->pool, event->link, event->text, strlen(event->text),
                         sim_addresses_mono(world));
}

/* The limit-th time ago; false: not so often yet. */
static bool too_often(int64_t *ring, uint32_t limit, uint32_t *count, int64_t now_ns) {
    bool full = *count >= limit;
    int64_t oldest_ns = ring[*count % limit];
    ring[(*count)++ % limit] = now_ns;
    return full && now_ns - oldest_ns < 60 * SL_NS_PER_S;
}

static void connect_to(struct world *world, uint32_t link, const struct sl_stratum_action *action) {
    struct address *address = &world->addresses[link];
    if (strcmp(action->host, hosts[link]) != 0 || action->port != 3333 ||
        action->tls != (link == 1)) {
        sim_addresses_broken(world, "hosts", "the agent goes to %s:%u", action->host, action->port);
    }
    if (too_often(address->connects_ns, CONNECTS_MAX, &address->connects, world->now_ns)) {
        sim_addresses_broken(world, "busy", "%u attempts in a minute at %s", CONNECTS_MAX,
                             hosts[link]);
    }
    address->open = false;
    address->connection++;
    sim_addresses_at(world, world->now_ns + sim_addresses_latency(world), REACHED, link,
                     address->connection, NULL);
}

/* What the shell does: TCP, and for TLS the peer's key against the pins. */
static void reached(struct world *world, const struct event *event) {
    struct address *address = &world->addresses[event->link];
    uint8_t key[SL_POOL_PIN_BYTES] = {1};
    if (address->connection != event->tag || address->mood == HANGS) {
        return;
    }
    if (address->mood == DOWN) {
        sl_failover_disconnected(world->pool, event->link, "connection refused",
                                 sim_addresses_mono(world));
        return;
    }
    key[0] = address->mood == IMPOSTOR ? 2 : 1;
    if (event->link == 1 && !sl_pool_pins_hold(&world->pins, key)) {
        world->result->impostors++;
        sl_failover_disconnected(world->pool, event->link, "another key",
                                 sim_addresses_mono(world));
        return;
    }
    if (event->link == 1 && address->mood == IMPOSTOR) {
        sim_addresses_broken(world, "pins", "somebody with another key is trusted");
    }
    if (too_often(address->openings_ns, OPENINGS_MAX, &address->openings, world->now_ns)) {
        sim_addresses_broken(world, "busy", "%u connections in a minute to %s", OPENINGS_MAX,
                             hosts[event->link]);
    }
    address->open = true;
    address->authorised = false;
    address->heard_clean = 0;
    sl_failover_connected(world->pool, event->link, sim_addresses_mono(world));
}

static void send_up(struct world *world, uint32_t link, const char *data, size_t size) {
    struct address *address = &world->addresses[link];
    int64_t when = world->now_ns + sim_addresses_latency(world);
    address->up_ns = when > address->up_ns ? when : address->up_ns + 1;
    sim_addresses_at(world, address->up_ns, TO_POOL, link, address->connection,
                     strndup(data, size));
}

/* Another one than this has taken shares for long; the third may be in the long pause of a refused
 * user. */
static bool another_is_well(const struct world *world, uint32_t link) {
    for (uint32_t i = 0; i < 2; i++) {
        const struct address *other = &world->addresses[i];
        if (i != link && world->now_ns - other->well_since_ns > WELL_NS && other->refusals == 0 &&
            !other->heeded) {
            return true;
        }
    }
    return false;
}

/* One whose refusals are to be heeded: stale shares count only where there was nothing else for
 * long. */
static bool takes_none(const struct world *world, const struct address *address) {
    return address->refusals >= REFUSALS_MAX ||
           (address->unpaid >= REFUSALS_MAX &&
            world->now_ns - address->refused_since_ns >= UNPAID_NS);
}

static void note_refusal(struct world *world, uint32_t link, bool stale) {
    struct address *address = &world->addresses[link];
    address->refused_since_ns = address->unpaid ? address->refused_since_ns : world->now_ns;
    address->refused_ns = world->now_ns;
    address->unpaid++;
    address->refusals += !stale;
    bool heeded = address->heeded;
    address->heeded = heeded || takes_none(world, address);
    if (!another_is_well(world, link)) {
        address->probes = 0;
    } else if (address->heeded && !heeded) {
        sim_addresses_at(world, world->now_ns + SL_NS_PER_S, CHECK_REFUSED, link, 0, NULL);
    } else if (heeded &&
               too_often(address->probes_ns, PROBES_MAX, &address->probes, world->now_ns)) {
        sim_addresses_broken(world, "refused", "%u more shares in a minute for %s, after %u",
                             PROBES_MAX + 1, hosts[link], address->unpaid);
    }
}

static void settle_share(struct world *world, uint32_t link,
                         const struct sl_stratum_action *action) {
    struct share *share = &world->shares[action->share_seq];
    if (share->ended) {
        sim_addresses_broken(world, "shares", "share %llu ends twice",
                             (unsigned long long)action->share_seq);
    }
    if (action->outcome == SL_ANSWER_STALE && !action->sent && share->could) {
        sim_addresses_broken(world, "shares", "share %llu could have been sent: %s",
                             (unsigned long long)action->share_seq, action->text);
    }
    share->ended = true;
    world->outcomes[action->outcome]++;
    struct address *address = &world->addresses[link];
    if (action->outcome == SL_ANSWER_ACCEPTED) {
        address->connects = address->openings = address->probes = 0;
        address->refusals = address->unpaid = 0;
        address->heeded = false;
    } else if (action->outcome == SL_ANSWER_REJECTED ||
               (action->outcome == SL_ANSWER_STALE && action->sent)) {
        note_refusal(world, link, action->outcome == SL_ANSWER_STALE);
    }
}

static void take_job(struct world *world, struct sl_job *job) {
    int before = world->job ? (int)(world->job->serial >> 56) : world->result->last_link;
    int now = job ? (int)(job->serial >> 56) : before;
    world->result->changes += now > before;
    world->result->returns += now < before;
    world->result->last_link = now;
    world->idle_since_ns = world->job ? world->now_ns : world->idle_since_ns;
    sl_job_unref(world->job);
    world->job = job ? sl_job_ref(job) : NULL;
}

static void obey(struct world *world) {
    struct sl_failover_action next;
    while (sl_failover_take(world->pool, &next)) {
        const struct sl_stratum_action *action = &next.action;
        switch (action->type) {
        case SL_STRATUM_CONNECT:
            connect_to(world, next.link, action);
            break;
        case SL_STRATUM_SEND:
            send_up(world, next.link, action->data, action->size);
            break;
        case SL_STRATUM_CLOSE:
            world->addresses[next.link].open = false;
            world->addresses[next.link].connection++;
            break;
        case SL_STRATUM_JOB:
            take_job(world, action->job);
            break;
        case SL_STRATUM_NO_WORK:
            take_job(world, NULL);
            break;
        case SL_STRATUM_SHARE:
            settle_share(world, next.link, action);
            break;
        case SL_STRATUM_DIFFICULTY:
        case SL_STRATUM_MISCONFIGURED:
        case SL_STRATUM_LOG:
            break;
        }
    }
}

static void find_share(struct world *world) {
    struct sl_work_cursor cursor;
    struct sl_work work;
    struct sl_share share;
    sim_addresses_at(world, world->now_ns + sim_range(&world->rng, 1000, 9000) * SL_NS_PER_MS,
                     SHARE, 0, 0, NULL);
    if (!world->job || world->share_count == SHARES_MAX) {
        return;
    }
    uint32_t link = (uint32_t)(world->job->serial >> 56);
    const struct address *address = &world->addresses[link];
    sl_assert(sl_work_cursor_init(&cursor, 0, 1, NULL) == SL_OK &&
              sl_work_next(&cursor, world->job, &work, NULL) == SL_OK);
    sl_share_from_work(&work, world->share_count, world->share_count, &share);
    world->shares[world->share_count] =
        (struct share){.link = link,
                       .could = address->open && address->authorised && address->heard_clean > 0 &&
                                strtoull(world->job->id, NULL, 10) >= address->heard_clean};
    if (address->mood == SILENT && world->shares[world->share_count].could) {
        int64_t due_ns = address->ever_slow ? SLOW_PATIENCE_NS : PATIENCE_NS;
        sim_addresses_at(world, world->now_ns + due_ns + SL_NS_PER_S, CHECK_SILENT, link,
                         (uint64_t)world->now_ns, NULL);
    }
    world->share_count++;
    if (sl_failover_submit(world->pool, &share, sim_addresses_mono(world), NULL) != SL_OK) {
        sim_addresses_broken(world, "shares", "a share of the present job is refused");
    }
}

/* ---- faults and rules ---- */

/* Whoever serves says nothing more, after a time in which all recovered. */
static void hush(struct world *world) {
    uint32_t link = world->job ? (uint32_t)(world->job->serial >> 56) : 0;
    struct address *address = &world->addresses[link];
    address->mood_since_ns = world->now_ns;
    address->mood = SILENT;
    address->mood_until_ns = world->now_ns + sim_range(&world->rng, 20, 150) * SL_NS_PER_S;
}

/* One takes no share for a while, or none does; a third of them call each stale. */
static void spite(struct world *world, bool begins) {
    bool all = begins && sim_chance(&world->spite, 200000);
    uint32_t link = sim_chance(&world->spite, 700000) ? 0 : 1;
    for (uint32_t i = 0; i < LINKS; i++) {
        world->addresses[i].spiteful = begins && (all || i == link);
    }
    int64_t span_ms =
        begins ? sim_range(&world->spite, 20000, 1200000) : sim_range(&world->spite, 60000, 900000);
    world->forgetful = span_ms % 3 == 0; /* no die more: older worlds stay what they were */
    sim_addresses_at(world, world->now_ns + span_ms * SL_NS_PER_MS, SPITE, 0, !begins, NULL);
}

static void strike(struct world *world) {
    if (world->quiet) {
        hush(world);
        world->quiet = false;
        sim_addresses_at(world, world->now_ns + 200 * SL_NS_PER_S, STRIKE, 0, 0, NULL);
        return;
    }
    world->quiet = sim_chance(&world->rng, 50000);
    uint32_t link = (uint32_t)sim_range(&world->rng, 0, LINKS - 1);
    enum mood mood = (enum mood)sim_range(&world->rng, DOWN, MOODS - 1);
    bool all = mood != IMPOSTOR && mood != REFUSES && sim_chance(&world->rng, 250000);
    int64_t until_ns = world->now_ns + sim_span(&world->rng, 1000, 600000) * SL_NS_PER_MS;
    int64_t next_ns = sim_span(&world->rng, 5000, 500000) * SL_NS_PER_MS;
    if (world->quiet) {
        next_ns = 500 * SL_NS_PER_S;
        until_ns = world->now_ns + 20 * SL_NS_PER_S;
    }
    sim_addresses_at(world, world->now_ns + next_ns, STRIKE, 0, 0, NULL);
    link = mood == IMPOSTOR ? 1 : mood == REFUSES ? 2 : link;
    for (uint32_t i = 0; i < LINKS; i++) {
        struct address *address = &world->addresses[i];
        if (i != link && !all) {
            continue;
        }
        address->mood_since_ns = address->mood == mood ? address->mood_since_ns : world->now_ns;
        address->mood = mood;
        address->ever_slow |= mood == SLOW;
        address->mood_until_ns = until_ns;
        if (mood == DOWN || mood == HANGS || mood == IMPOSTOR || mood == REFUSES) {
            sim_addresses_hang_up(world, i, "reset by the pool");
        }
        if (mood == STORMS) {
            sim_addresses_new_job(world, i);
        }
    }
}

static void cheer_up(struct world *world) {
    for (uint32_t i = 0; i < LINKS; i++) {
        struct address *address = &world->addresses[i];
        if (address->mood != WELL && address->mood_until_ns <= world->now_ns) {
            address->mood = WELL;
        }
        /* Storms and wishes to send us away cost no service. */
        bool well = address->mood == WELL || address->mood == STORMS || address->mood == SENDS_AWAY;
        well = well && !address->spiteful;
        address->well_since_ns = well ? address->well_since_ns : world->now_ns;
    }
}

/* Pauses double: the last is no longer than twice the time in which it refused, and one more. */
static int64_t pause_ns(const struct address *address) {
    return address->refusals || address->heeded
               ? 2 * (address->refused_ns - address->refused_since_ns + RETRY_MS * SL_NS_PER_MS)
               : 0;
}

static void check_served(struct world *world) {
    const struct address *first = &world->addresses[0];
    const struct address *second = &world->addresses[1];
    int64_t since_ns =
        first->well_since_ns < second->well_since_ns ? first->well_since_ns : second->well_since_ns;
    since_ns = since_ns > world->idle_since_ns ? since_ns : world->idle_since_ns;
    if (!world->job && world->now_ns - since_ns > WELL_NS) {
        sim_addresses_broken(world, "served", "no work, though an address has been well for %lld s",
                             (long long)((world->now_ns - since_ns) / SL_NS_PER_S));
    }
    if (world->job && world->job->serial >> 56 != 0 &&
        world->now_ns - first->well_since_ns > RETURN_NS + pause_ns(first)) {
        sim_addresses_broken(world, "return",
                             "%s serves, though the first has been well for %lld s",
                             hosts[world->job->serial >> 56],
                             (long long)((world->now_ns - first->well_since_ns) / SL_NS_PER_S));
    }
}

static void check_job(struct world *world, const struct event *event) {
    if (!world->job || world->job->serial >> 56 != event->link) {
        return;
    }
    if (event->tag == UINT64_MAX) {
        if (!world->addresses[event->link].open) {
            sim_addresses_broken(world, "wasted",
                                 "work for %s a second after its connection was lost",
                                 hosts[event->link]);
        }
    } else if (world->addresses[event->link].heard_clean >= event->tag &&
               strtoull(world->job->id, NULL, 10) < event->tag) {
        sim_addresses_broken(world, "wasted",
                             "job %s of %s is worked on a second after job %llu began a block",
                             world->job->id, hosts[event->link], (unsigned long long)event->tag);
    }
}

/* A share was sent to it, and nothing has been heard since. */
static void check_silent(struct world *world, const struct event *event) {
    const struct address *address = &world->addresses[event->link];
    bool silent = address->mood == SILENT && address->mood_since_ns <= (int64_t)event->tag;
    if (!silent || !another_is_well(world, event->link)) {
        return;
    }
    world->result->silences++;
    if (world->job && world->job->serial >> 56 == event->link) {
        sim_addresses_broken(world, "wasted", "work for %s a second after its answer was due",
                             hosts[event->link]);
    }
}

static void check_refused(struct world *world, const struct event *event) {
    const struct address *address = &world->addresses[event->link];
    if (!address->heeded || !another_is_well(world, event->link)) {
        return;
    }
    world->result->refused++;
    if (world->job && world->job->serial >> 56 == event->link) {
        sim_addresses_broken(world, "refused", "work for %s a second after its %u. refusal",
                             hosts[event->link], address->unpaid);
    }
}

static void run_event(struct world *world, const struct event *event) {
    switch (event->kind) {
    case TO_AGENT:
        to_agent(world, event);
        break;
    case TO_POOL:
        sim_addresses_to_pool(world, event);
        break;
    case REACHED:
        reached(world, event);
        break;
    case NEW_JOB:
        sim_addresses_new_job(world, event->link);
        break;
    case STRIKE:
        strike(world);
        break;
    case SHARE:
        find_share(world);
        break;
    case SPITE:
        spite(world, event->tag);
        break;
    case CHECK_REFUSED:
        check_refused(world, event);
        break;
    case CHECK_JOB:
        check_job(world, event);
        break;
    case CHECK_SILENT:
        check_silent(world, event);
        break;
    }
}

/* The next event, or the machine's own deadline, whichever comes first. */
static bool turn(struct world *world) {
    size_t next = 0;
    struct sl_mono when;
    for (size_t i = 1; i < world->event_count; i++) {
        next = world->events[i].at_ns < world->events[next].at_ns ? i : next;
    }
    int64_t event_ns = world->events[next].at_ns;
    if (sl_failover_deadline(world->pool, &when) && when.ns <= event_ns) {
        world->now_ns = when.ns > world->now_ns ? when.ns : world->now_ns;
        cheer_up(world);
        sl_failover_timer(world->pool, sim_addresses_mono(world));
    } else {
        struct event event = world->events[next];
        world->events[next] = world->events[--world->event_count];
        world->now_ns = event.at_ns;
        cheer_up(world);
        run_event(world, &event);
        free(event.text);
    }
    obey(world);
    cheer_up(world); /* a strike counts from now */
    check_served(world);
    return world->now_ns < SPAN_NS && !world->result->rule[0];
}

static void begin(struct world *world, uint64_t seed) {
    struct sl_failover_config config;
    world->rng = sim_rng_of(seed, 90);
    world->spite = sim_rng_of(seed, 91);
    world->pins.count = 1;
    world->pins.keys[0][0] = 1;
    sl_failover_config_defaults(&config);
    config.url_count = LINKS;
    config.retry_ms = RETRY_MS;
    config.client.extranonce_subscribe = false;
    config.client.version_mask = 0;
    strcpy(config.client.user, "u");
    for (uint32_t i = 0; i < LINKS; i++) {
        sl_text_copy(config.urls[i].host, sizeof config.urls[i].host, hosts[i]);
        config.urls[i].port = 3333;
        config.urls[i].tls = i == 1;
        world->addresses[i].number = world->addresses[i].retired_below = 1;
        sim_addresses_at(world, sim_range(&world->rng, 1, 20) * SL_NS_PER_S, NEW_JOB, i, 0, NULL);
    }
    sl_assert(sl_failover_create(&config, sim_next(&world->rng), &world->pool, NULL) == SL_OK);
    sim_addresses_at(world, sim_range(&world->rng, 1, 100) * SL_NS_PER_S, STRIKE, 0, 0, NULL);
    sim_addresses_at(world, SL_NS_PER_S, SHARE, 0, 0, NULL);
    if (sim_chance(&world->spite, 400000)) {
        sim_addresses_at(world, sim_range(&world->spite, 60, 1500) * SL_NS_PER_S, SPITE, 0, 1,
                         NULL);
    }
    sl_failover_start(world->pool, sim_addresses_mono(world));
    obey(world);
}

static void end(struct world *world) {
    sl_failover_stop(world->pool, sim_addresses_mono(world));
    obey(world);
    for (uint32_t i = 0; i < world->share_count; i++) {
        if (!world->shares[i].ended) {
            sim_addresses_broken(world, "shares", "share %u has no outcome", i);
        }
    }
    uint64_t accepted = world->outcomes[SL_ANSWER_ACCEPTED];
    uint64_t unknown = world->outcomes[SL_ANSWER_UNKNOWN];
    if (accepted > world->pool_accepted || world->pool_accepted > accepted + unknown) {
        sim_addresses_broken(world, "shares",
                             "recorded %llu accepted and %llu unknown, the pool accepted %llu",
                             (unsigned long long)accepted, (unsigned long long)unknown,
                             (unsigned long long)world->pool_accepted);
    }
    world->result->shares = world->share_count;
    for (size_t i = 0; i < world->event_count; i++) {
        free(world->events[i].text);
    }
    sl_failover_destroy(world->pool);
    sl_job_unref(world->job);
}

void sim_addresses_run(uint64_t seed, struct sim_addresses *ret_result) {
    struct world *world = calloc(1, sizeof *world);
    sl_assert(world);
    *ret_result = (struct sim_addresses){.last_link = 0};
    world->result = ret_result;
    begin(world, seed);
    while (turn(world)) {}
    end(world);
    free(world);
}
