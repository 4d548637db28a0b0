/* SPDX-License-Identifier: Apache-2.0
 * The world: its clocks, its queue of what comes, its beginning and end. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <sqlite3.h>

#include "tests/sim/addresses.h"
#include "tests/sim/internal.h"

/* After the faults everything must be at work again in so long: the longest back-offs are a minute
 * (a pool's, an agent that was told not to come back), a ttl and the reading of a batch on top. */
#define SETTLE_NS (240 * SL_NS_PER_S)
#define START_WALL_MS INT64_C(1780000000000)

/* ---- the queue: a binary heap by (time, order) ---- */

static bool before(const struct sim_event *a, const struct sim_event *b) {
    return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->order < b->order;
}

static void push(struct sim_queue *queue, const struct sim_event *event) {
    if (queue->count == queue->cap) {
        queue->cap = queue->cap ? queue->cap * 2 : 256;
        queue->heap = realloc(queue->heap, queue->cap * sizeof *queue->heap);
        sl_assert(queue->heap);
    }
    size_t at = queue->count++;
    while (at > 0 && before(event, &queue->heap[(at - 1) / 2])) {
        queue->heap[at] = queue->heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    queue->heap[at] = *event;
}

static struct sim_event pop(struct sim_queue *queue) {
    struct sim_event first = queue->heap[0];
    struct sim_event last = queue->heap[--queue->count];
    size_t at = 0;
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= queue->count) {
            break;
        }
        if (child + 1 < queue->count && before(&queue->heap[child + 1], &queue->heap[child])) {
            child++;
        }
        if (!before(&queue->heap[child], &last)) {
            break;
        }
        queue->heap[at] = queue->heap[child];
        at = child;
    }
    if (queue->count > 0) {
        queue->heap[at] = last;
    }
    return first;
}

void sim_at_data(struct sim *sim, const struct sim_event *event) {
    struct sim_event copy = *event;
    copy.at_ns = copy.at_ns < sim->now_ns ? sim->now_ns : copy.at_ns;
    copy.order = ++sim->queue.order;
    push(&sim->queue, &copy);
}

void sim_at(struct sim *sim, int64_t at_ns, void (*run)(struct sim *, struct sim_event *),
            uint32_t host, uint64_t a, uint64_t b) {
    struct sim_event event = {.at_ns = at_ns, .run = run, .host = host, .a = a, .b = b};
    event.life = host == SIM_NOBODY ? 0 : sim->hosts[host].life;
    sim_at_data(sim, &event);
}

/* ---- clocks ---- */

static int64_t host_mono_ns(const struct sim *sim, uint32_t host) {
    const struct sim_clock *clock = &sim->hosts[host].clock;
    __int128 span = sim->now_ns - clock->base_ns;
    return clock->mono_ns + (int64_t)(span * (1000000 + clock->drift_ppm) / 1000000);
}

struct sl_now sim_host_now(const struct sim *sim, uint32_t host) {
    const struct sim_clock *clock = &sim->hosts[host].clock;
    return (struct sl_now){
        .mono = {host_mono_ns(sim, host)},
        .wall = {START_WALL_MS + sim->now_ns / SL_NS_PER_MS + clock->wall_off_ms},
    };
}

int64_t sim_host_when(const struct sim *sim, uint32_t host, int64_t mono_ns) {
    const struct sim_clock *clock = &sim->hosts[host].clock;
    int64_t left_ns = mono_ns - host_mono_ns(sim, host);
    if (left_ns <= 0) {
        return sim->now_ns;
    }
    if (left_ns > INT64_MAX / 4) {
        return INT64_MAX;
    }
    __int128 span = (__int128)left_ns * 1000000 / (1000000 + clock->drift_ppm);
    return sim->now_ns + (int64_t)span + 1;
}

uint64_t sim_host_hurt(const struct sim *sim, uint32_t host) {
    const struct sim_disk_stats *stats = sim_disk_get_stats(sim->hosts[host].disk);
    return stats->failed_writes + stats->failed_syncs + stats->full;
}

void sim_host_reboot_clock(struct sim *sim, uint32_t host) {
    struct sim_clock *clock = &sim->hosts[host].clock;
    clock->base_ns = sim->now_ns;
    clock->mono_ns = sim_range(&sim->hosts[host].rng, 1, 30) * SL_NS_PER_S;
}

/* ---- what is noted ---- */

void sim_count(struct sim *sim, enum sim_fault what) {
    sim->result->counts[what]++;
}

void sim_digest(struct sim *sim, uint64_t tag, const void *data, size_t size) {
    uint64_t h = sim_fold(sim->result->digest, tag ^ (uint64_t)sim->now_ns * 31);
    sim->result->digest = sim_fold_bytes(h, data, size);
}

void sim_story(struct sim *sim, const char *format, ...) {
    if (!sim->options.story) {
        return;
    }
    va_list args;
    va_start(args, format);
    fprintf(sim->options.story, "%10.3f  ", (double)sim->now_ns / 1e9);
    vfprintf(sim->options.story, format, args);
    fputc('\n', sim->options.story);
    va_end(args);
}

void sim_break(struct sim *sim, const char *rule, const char *format, ...) {
    if (!sim->result->ok) {
        return;
    }
    va_list args;
    va_start(args, format);
    vsnprintf(sim->result->broken, sizeof sim->result->broken, format, args);
    va_end(args);
    sl_text_copy(sim->result->rule, sizeof sim->result->rule, rule);
    sim->result->broken_ms = sim->now_ns / SL_NS_PER_MS;
    sim->result->ok = false;
    sim->over = true;
    sim_story(sim, "BROKEN %s: %s", rule, sim->result->broken);
}

/* ---- one run ---- */

static void draw(struct sim *sim) {
    struct sim_options *options = &sim->options;
    struct sim_rng rng = sim_rng_of(options->seed, 1);
    int64_t span_ms = sim_span(&rng, 60000, 1200000);
    uint32_t agents = (uint32_t)sim_span(&rng, 1, SIM_AGENTS_MAX / 2);
    uint32_t devices = (uint32_t)sim_range(&rng, 1, 2);
    uint32_t lines = (uint32_t)sim_span(&rng, 20, 2000);
    uint64_t some = sim_next(&rng) | (sim_next(&rng) & sim_next(&rng));
    options->span_ms = options->span_ms ? options->span_ms : span_ms;
    options->agents = options->agents ? options->agents : agents;
    options->devices = options->devices ? options->devices : devices;
    options->lines = options->lines ? options->lines : lines;
    options->faults &= SIM_ALL_FAULTS & (options->all_faults ? SIM_ALL_FAULTS : some);
    sim->agent_count = options->agents;
    sim->device_count = options->devices;
    sim->span_ns = options->span_ms * SL_NS_PER_MS;
    struct sim_result *result = sim->result;
    result->span_ms = options->span_ms;
    result->agents = options->agents;
    result->devices = options->devices;
    result->line_total = options->lines;
    result->faults = options->faults;
}

static void make_hosts(struct sim *sim) {
    bool drift = sim->options.faults >> SIM_CLOCK_DRIFT & 1;
    for (uint32_t host = 0; host <= sim->agent_count; host++) {
        struct sim_host *h = &sim->hosts[host];
        h->rng = sim_rng_of(sim->options.seed, 100 + host);
        h->disk = sim_disk_create(sim_next(&h->rng));
        h->clock.mono_ns = sim_range(&h->rng, 5, 100000) * SL_NS_PER_S;
        h->clock.drift_ppm = drift ? sim_range(&h->rng, -500, 500) : 0;
        if (drift) {
            sim_count(sim, SIM_CLOCK_DRIFT);
        }
    }
}

/* Most nodes are there from the beginning; some join later, so that a backup may not know them. */
static void first_start(struct sim *sim, uint32_t i) {
    struct sim_rng rng = sim_rng_of(sim->options.seed, 400 + i);
    if (sim_chance(&rng, 150000)) {
        sim_agent_restart_soon(sim, i, sim_span(&rng, 1000, sim->options.span_ms / 2 + 1000));
    } else {
        sim_agent_start(sim, i);
    }
}

static void create(struct sim *sim) {
    struct sl_error err;
    draw(sim);
    sim->rng = sim_rng_of(sim->options.seed, 2);
    sim->net_rng = sim_rng_of(sim->options.seed, 3);
    sim->work_rng = sim_rng_of(sim->options.seed, 4);
    sim->durable = sim_facts_create();
    sim->grants = sim_facts_create();
    make_hosts(sim);
    sim_disk_set_wall_ms(sim->hosts[SIM_BROKER].disk, START_WALL_MS);
    sl_assert(sim_disk_vfs_register(sim->hosts[SIM_BROKER].disk, SIM_VFS, true) == 0);
    sqlite3_randomness(0, NULL); /* its generator is seeded anew, from our disk */
    sl_assert(sl_mem_hub_create(8192, &sim->hub, &err) == SL_OK);
    sl_assert(sl_msg_arena_create(SL_MSG_ARENA_BYTES, &sim->broker.arena, &err) == SL_OK);
    sim->broker.cut_in = -1;
    sim->broker.due_ns = INT64_MAX;
    sim_pools_create(sim);
    sim_feeds_start(sim);
    sim_broker_start(sim);
    for (uint32_t i = 0; i < sim->agent_count; i++) {
        struct sim_agent *agent = &sim->agents[i];
        snprintf(agent->key, sizeof agent->key, "agent-key-%u-0123456789012345678901234567", i);
        snprintf(agent->node, sizeof agent->node, "node%u", i);
        agent->boots = sim_rng_of(sim->options.seed, 200 + i);
        agent->due_ns = INT64_MAX;
        /* One at least reads all that tenants send. */
        agent->old = i > 0 && sim_fold(sim->options.seed + 3, i) % 4 == 0;
        sl_assert(sl_msg_arena_create(SL_MSG_ARENA_BYTES, &agent->arena, &err) == SL_OK);
        first_start(sim, i);
    }
    sim_people_start(sim);
    sim_joining_start(sim);
    sim_nemesis_start(sim);
    sim_power_start(sim);
    sim_sensors_start(sim);
}

static void destroy(struct sim *sim) {
    for (uint32_t i = 0; i < sim->agent_count; i++) {
        sim_agent_down(sim, i);
        sl_msg_arena_destroy(sim->agents[i].arena);
    }
    sim_broker_down(sim);
    sl_msg_arena_destroy(sim->broker.arena);
    sl_buf_fini(&sim->broker.outgoing);
    sim_model_crashed(sim);
    sim_pools_destroy(sim);
    sl_mem_hub_destroy(sim->hub);
    while (sim->queue.count > 0) {
        struct sim_event event = pop(&sim->queue);
        free(event.data);
    }
    free(sim->queue.heap);
    sim_disk_snapshot_free(sim->broker.backup);
    sim_disk_vfs_unregister(sim->hosts[SIM_BROKER].disk);
    for (uint32_t host = 0; host <= sim->agent_count; host++) {
        sim_disk_destroy(sim->hosts[host].disk);
    }
    for (uint32_t i = 0; i < sim->batch_count; i++) {
        free(sim->batches[i].done);
        free(sim->batches[i].taken);
    }
    sim_facts_destroy(sim->durable);
    sim_facts_destroy(sim->grants);
    free(sim->joining);
    free(sim->broker_config);
    free(sim);
}

/* The host that acts first by itself; *ret_at_ns: when. */
static uint32_t first_host(const struct sim *sim, int64_t *ret_at_ns) {
    uint32_t first = SIM_NOBODY;
    *ret_at_ns = INT64_MAX;
    for (uint32_t host = 0; host <= sim->agent_count; host++) {
        const struct sim_host *h = &sim->hosts[host];
        int64_t due_ns = host == SIM_BROKER ? sim->broker.due_ns : sim->agents[host - 1].due_ns;
        if (!h->up) {
            continue;
        }
        due_ns = due_ns < h->paused_until_ns ? h->paused_until_ns : due_ns;
        if (due_ns < *ret_at_ns) {
            *ret_at_ns = due_ns;
            first = host;
        }
    }
    return first;
}

static void run_event(struct sim *sim) {
    struct sim_event event = pop(&sim->queue);
    sim->now_ns = event.at_ns;
    if (event.host != SIM_NOBODY) {
        const struct sim_host *host = &sim->hosts[event.host];
        if (event.life != 0 && (event.life != host->life || !host->up)) {
            free(event.data);
            return;
        }
        if (event.life != 0 && host->paused_until_ns > sim->now_ns) {
            event.at_ns = host->paused_until_ns; /* in the old order: a socket keeps it */
            push(&sim->queue, &event);
            return;
        }
    }
    event.run(sim, &event);
    free(event.data);
}

static void act(struct sim *sim, uint32_t host, int64_t at_ns) {
    sim->now_ns = at_ns > sim->now_ns ? at_ns : sim->now_ns;
    if (host == SIM_BROKER) {
        sim_broker_timer(sim);
    } else {
        sim_agent_live(sim, host - 1);
    }
}

static void live_until(struct sim *sim, int64_t end_ns) {
    while (!sim->over) {
        int64_t host_ns;
        uint32_t host = first_host(sim, &host_ns);
        int64_t event_ns = sim->queue.count > 0 ? sim->queue.heap[0].at_ns : INT64_MAX;
        if (event_ns > end_ns && host_ns > end_ns) {
            break;
        }
        sim->result->steps++;
        if (event_ns <= host_ns) {
            run_event(sim);
        } else {
            act(sim, host, host_ns);
        }
    }
    sim->now_ns = sim->over ? sim->now_ns : end_ns;
}

/* The world of addresses, of the same seed. */
static void run_addresses(struct sim *sim) {
    struct sim_addresses world;
    sim_addresses_run(sim->options.seed, &world);
    sim->result->counts[SIM_ADDRESS_CHANGED] += world.changes;
    sim->result->counts[SIM_ADDRESS_RETURNED] += world.returns;
    sim->result->counts[SIM_IMPOSTOR_MET] += world.impostors;
    sim->result->counts[SIM_SENT_AWAY] += world.sent_away;
    if (world.rule[0]) {
        sim_break(sim, world.rule, "%s", world.text);
    }
}

void sim_run(const struct sim_options *options, struct sim_result *ret_result) {
    struct sim *sim = calloc(1, sizeof *sim);
    sl_assert(sim);
    memset(ret_result, 0, sizeof *ret_result);
    ret_result->ok = true;
    sim->result = ret_result;
    sim->options = *options;
    create(sim);
    run_addresses(sim);
    live_until(sim, sim->span_ns);
    if (!sim->over) {
        sim_story(sim, "-- the faults are over --");
        sim->calm = true;
        sim_nemesis_heal(sim);
        sim_people_calm(sim);
        sim_agents_update(sim);
        live_until(sim, sim->span_ns + SETTLE_NS);
    }
    if (!sim->over) {
        sim_check_settled(sim);
    }
    if (!sim->over) {
        sim_check_store(sim);
    }
    for (uint32_t host = 0; host <= sim->agent_count; host++) {
        ret_result->syncs += sim_disk_get_stats(sim->hosts[host].disk)->syncs;
    }
    destroy(sim);
}
