/* SPDX-License-Identifier: Apache-2.0
 * Two Stratum V1 pools, and the bytes between each and each agent. They keep their own books: what
 * they accepted from whom, and for how much work. Hashes are not computed (devices here make their
 * nonces up); everything else about a share is judged. */
#include <stdlib.h>
#include <string.h>

#include "tests/sim/internal.h"
#include "tests/sim/notify.h"

#define JOBS_MAX 256
#define LATENCY_MIN_NS (2 * SL_NS_PER_MS)
#define LATENCY_MAX_NS (40 * SL_NS_PER_MS)
#define REJECT_PPM 300000

struct job {
    uint64_t number;
    bool retired;
};

struct line { /* one agent's connection */
    bool open;
    uint32_t session; /* number of the connection; its extranonce1 */
    bool authorised;
    int64_t up_ns, down_ns; /* newest arrival in each direction */
    struct sl_buf input;
    double difficulty, next_difficulty;
    struct {
        uint64_t number;
        double difficulty;
    } jobs[JOBS_MAX];     /* that were given to it */
    uint64_t heard_clean; /* newest job of a new block that reached the agent */
    struct sim_pool_counts counts;
};

struct sim_pool {
    uint32_t index;
    struct sim_rng rng;
    uint32_t sessions;
    uint64_t number; /* of the newest job */
    uint64_t retired_below;
    int64_t down_until_ns, silent_until_ns, garbage_until_ns, reject_until_ns, storm_until_ns;
    struct line lines[SIM_AGENTS_MAX];
    struct sim_facts *seen; /* shares, for duplicates */
    uint64_t submits;
};

/* What an event's `a` says: which pool, which agent. */
static uint64_t tag(const struct sim_pool *pool, uint32_t agent) {
    return (uint64_t)pool->index * SIM_AGENTS_MAX + agent;
}

static struct sim_pool *pool_of(struct sim *sim, uint64_t a) {
    return sim->pools[a / SIM_AGENTS_MAX];
}

static uint32_t link_of(const struct sim_pool *pool) {
    return pool->index * SL_AGENT_LINKS_MAX;
}

/* ---- bytes on their way ---- */

/* Which block the agent knows of, from notifies that came in one piece. */
static void note_heard(struct line *line, const char *data, size_t size) {
    static const char head[] = "{\"id\":null,\"method\":\"mining.notify\",\"params\":[\"";
    static const char tail[] = "true]}\n";
    size_t n = sizeof head - 1, t = sizeof tail - 1;
    if (size > n + t && memcmp(data, head, n) == 0 && memcmp(data + size - t, tail, t) == 0) {
        line->heard_clean = strtoull(data + n, NULL, 10);
    }
}

static void to_agent(struct sim *sim, struct sim_event *event) {
    uint32_t i = (uint32_t)(event->a % SIM_AGENTS_MAX);
    struct sim_pool *pool = pool_of(sim, event->a);
    struct line *line = &pool->lines[i];
    if (!line->open || line->session != event->b || !sim->agents[i].core) {
        return;
    }
    note_heard(line, (const char *)event->data, event->size);
    sl_agent_pool_received(sim->agents[i].core, sim_host_now(sim, i + 1), link_of(pool),
                           event->data, event->size);
    sim_agent_commands(sim, i);
    sim_agent_schedule(sim, i);
}

static void say_bytes(struct sim *sim, struct sim_pool *pool, uint32_t agent, const char *data,
                      size_t size) {
    struct line *line = &pool->lines[agent];
    int64_t at_ns = sim->now_ns + sim_range(&pool->rng, LATENCY_MIN_NS, LATENCY_MAX_NS);
    line->down_ns = at_ns > line->down_ns ? at_ns : line->down_ns + 1;
    struct sim_event event = {.at_ns = line->down_ns,
                              .run = to_agent,
                              .host = agent + 1,
                              .life = sim->hosts[agent + 1].life,
                              .a = tag(pool, agent),
                              .b = line->session,
                              .size = size};
    event.data = malloc(size);
    sl_assert(event.data);
    memcpy(event.data, data, size);
    sim_at_data(sim, &event);
}

/* Now and then cut in two, as TCP may. */
static void say(struct sim *sim, struct sim_pool *pool, uint32_t agent, const char *text) {
    size_t size = strlen(text);
    if (!pool->lines[agent].open || pool->silent_until_ns > sim->now_ns) {
        return;
    }
    size_t cut = size;
    if (sim_chance(&pool->rng, 50000) && size > 2) {
        cut = (size_t)sim_range(&pool->rng, 1, (int64_t)size - 1);
    }
    say_bytes(sim, pool, agent, text, cut);
    if (cut < size) {
        say_bytes(sim, pool, agent, text + cut, size - cut);
    }
}

/* ---- jobs ---- */

static void notify(struct sim *sim, struct sim_pool *pool, uint32_t agent, bool clean) {
    struct line *line = &pool->lines[agent];
    char text[1024];
    if (!line->open || !line->authorised || pool->silent_until_ns > sim->now_ns) {
        return; /* what was not said does not hold */
    }
    if (pool->garbage_until_ns > sim->now_ns) {
        sim_count(sim, SIM_POOL_GARBAGE);
        say(sim, pool, agent,
            "\x16\x03\x01 {\"id\":null,\"method\":\"mining.notify\",\"params\":[7]}\n");
        return;
    }
    if (line->difficulty != line->next_difficulty) {
        line->difficulty = line->next_difficulty;
        snprintf(text, sizeof text,
                 "{\"id\":null,\"method\":\"mining.set_difficulty\",\"params\":[%.6f]}\n",
                 line->difficulty);
        say(sim, pool, agent, text);
    }
    line->jobs[pool->number % JOBS_MAX].number = pool->number;
    line->jobs[pool->number % JOBS_MAX].difficulty = line->difficulty;
    snprintf(
        text, sizeof text,
        "{\"id\":null,\"method\":\"mining.notify\",\"params\":[\"%llu\",\"%064llx\"," NOTIFY_BODY
        ",%s]}\n",
        (unsigned long long)pool->number, (unsigned long long)pool->retired_below,
        clean ? "true" : "false");
    say(sim, pool, agent, text);
}

static void next_job(struct sim *sim, struct sim_event *event) {
    struct sim_pool *pool = pool_of(sim, event->a);
    bool storm = pool->storm_until_ns > sim->now_ns;
    bool clean = storm || sim_chance(&pool->rng, 200000);
    pool->number++;
    if (clean) {
        pool->retired_below = pool->number;
    }
    if (storm) {
        sim_count(sim, SIM_POOL_STORM);
    }
    for (uint32_t i = 0; i < sim->agent_count; i++) {
        notify(sim, pool, i, clean);
    }
    int64_t span_ns = storm ? sim_range(&pool->rng, 200, 3000) * SL_NS_PER_MS
                            : sim_range(&pool->rng, 15, 45) * SL_NS_PER_S;
    sim_at(sim, sim->now_ns + span_ns, next_job, SIM_NOBODY, tag(pool, 0), 0);
}

static void create(struct sim *sim, uint32_t index) {
    struct sim_pool *pool = calloc(1, sizeof *pool);
    sl_assert(pool);
    pool->index = index;
    pool->rng = sim_rng_of(sim->options.seed, index ? 16 : 6);
    pool->seen = sim_facts_create();
    pool->number = 1;
    sim->pools[index] = pool;
    for (uint32_t i = 0; i < SIM_AGENTS_MAX; i++) {
        pool->lines[i].next_difficulty = 1.0;
    }
    sim_at(sim, (20 + index) * SL_NS_PER_S, next_job, SIM_NOBODY, tag(pool, 0), 0);
}

void sim_pools_create(struct sim *sim) {
    for (uint32_t i = 0; i < SIM_POOLS; i++) {
        create(sim, i);
    }
}

void sim_pools_destroy(struct sim *sim) {
    for (uint32_t k = 0; k < SIM_POOLS; k++) {
        struct sim_pool *pool = sim->pools[k];
        for (uint32_t i = 0; pool && i < SIM_AGENTS_MAX; i++) {
            sl_buf_fini(&pool->lines[i].input);
        }
        if (pool) {
            sim_facts_destroy(pool->seen);
        }
        free(pool);
        sim->pools[k] = NULL;
    }
}

/* ---- requests ---- */

/* The n-th text in quotation marks behind "params"; false: there is none. */
static bool parameter(const char *line, int n, char *out, size_t size) {
    const char *at = strstr(line, "\"params\"");
    at = at ? strchr(at + 8, '[') : NULL;
    for (int i = 0; at && i <= n; i++) {
        const char *begin = strchr(at + 1, '"');
        const char *end = begin ? strchr(begin + 1, '"') : NULL;
        if (!end || (size_t)(end - begin) > size) {
            return false;
        }
        if (i == n) {
            memcpy(out, begin + 1, (size_t)(end - begin - 1));
            out[end - begin - 1] = '\0';
            return true;
        }
        at = end;
    }
    return false;
}

static void answer(struct sim *sim, struct sim_pool *pool, uint32_t agent, long id,
                   const char *result, const char *error) {
    char text[256];
    snprintf(text, sizeof text, "{\"id\":%ld,\"result\":%s,\"error\":%s}\n", id, result, error);
    say(sim, pool, agent, text);
}

static void submit(struct sim *sim, struct sim_pool *pool, uint32_t agent, long id,
                   const char *request) {
    struct line *line = &pool->lines[agent];
    char f[6][64];
    uint64_t share = sim_fold(line->session, agent);
    for (int i = 0; i < 6; i++) {
        f[i][0] = '\0'; /* version bits, the last, come only when rolling was agreed on */
        if (!parameter(request, i, f[i], sizeof f[i]) && i < 5) {
            sim_break(sim, "shares", "%s submits a share without field %d", sim->agents[agent].node,
                      i);
            return;
        }
        share = sim_fold_text(share, f[i]);
    }
    uint64_t number = strtoull(f[1], NULL, 10);
    bool given = line->jobs[number % JOBS_MAX].number == number && number > 0;
    if (!sim_facts_put(pool->seen, share, ++pool->submits)) {
        sim_break(sim, "shares", "%s submits one share twice (job %s)", sim->agents[agent].node,
                  f[1]);
        return;
    }
    if (pool->reject_until_ns > sim->now_ns && sim_chance(&pool->rng, REJECT_PPM)) {
        sim_count(sim, SIM_POOL_REJECT);
        line->counts.rejected++;
        answer(sim, pool, agent, id, "null", "[23,\"Low difficulty share\",null]");
    } else if (!given || number < pool->retired_below) {
        line->counts.stale++;
        answer(sim, pool, agent, id, "null", "[21,\"Job not found\",null]");
    } else {
        double work = line->jobs[number % JOBS_MAX].difficulty * 4294967296.0 * 65536.0 / 65535.0;
        line->counts.accepted++;
        line->counts.work += (uint64_t)work;
        answer(sim, pool, agent, id, "true", "null");
    }
}

static void request(struct sim *sim, struct sim_pool *pool, uint32_t agent, const char *text) {
    struct line *line = &pool->lines[agent];
    const char *id_at = strstr(text, "\"id\":");
    long id = id_at ? strtol(id_at + 5, NULL, 10) : 0;
    char out[256];
    if (strstr(text, "mining.subscribe")) {
        snprintf(out, sizeof out, "[[[\"mining.notify\",\"s%u\"]],\"%08x\",4]", line->session,
                 0xAB000000u + line->session);
        answer(sim, pool, agent, id, out, "null");
    } else if (strstr(text, "mining.configure")) {
        answer(sim, pool, agent, id,
               "{\"version-rolling\":true,\"version-rolling.mask\":\"1fffe000\"}", "null");
    } else if (strstr(text, "mining.authorize")) {
        bool first = !line->authorised; /* else another worker of the same connection */
        line->authorised = true;
        answer(sim, pool, agent, id, "true", "null");
        if (first) {
            line->difficulty = 0;
            notify(sim, pool, agent, true);
        }
    } else if (strstr(text, "mining.submit")) {
        submit(sim, pool, agent, id, text);
    } else {
        answer(sim, pool, agent, id, "null", "[20,\"no such method\",null]");
    }
}

static void from_agent(struct sim *sim, struct sim_event *event) {
    uint32_t agent = (uint32_t)(event->a % SIM_AGENTS_MAX);
    struct sim_pool *pool = pool_of(sim, event->a);
    struct line *line = &pool->lines[agent];
    if (!line->open || line->session != event->b) {
        return;
    }
    sl_buf_append(&line->input, event->data, event->size);
    char *end;
    while (line->open && line->input.len > 0 &&
           (end = memchr(line->input.data, '\n', line->input.len))) {
        *end = '\0';
        size_t used = (size_t)(end - line->input.data) + 1;
        request(sim, pool, agent, line->input.data);
        sl_buf_consume(&line->input, used);
    }
}

void sim_pool_input(struct sim *sim, uint32_t link, uint32_t agent, const char *data, size_t size) {
    struct sim_pool *pool = sim->pools[link / SL_AGENT_LINKS_MAX];
    struct line *line = &pool->lines[agent];
    sim_digest(sim, 4000 + tag(pool, agent), data, size);
    char text[512];
    char job[64];
    snprintf(text, sizeof text, "%.*s", (int)size, data);
    if (strstr(text, "mining.submit") && parameter(text, 1, job, sizeof job) &&
        strtoull(job, NULL, 10) < line->heard_clean) {
        sim_break(sim, "shares", "%s submits for job %s though it knows of a new block",
                  sim->agents[agent].node, job);
    }
    if (!line->open) {
        return;
    }
    int64_t at_ns = sim->now_ns + sim_range(&pool->rng, LATENCY_MIN_NS, LATENCY_MAX_NS);
    line->up_ns = at_ns > line->up_ns ? at_ns : line->up_ns + 1;
    struct sim_event event = {.at_ns = line->up_ns,
                              .run = from_agent,
                              .host = SIM_NOBODY,
                              .a = tag(pool, agent),
                              .b = line->session,
                              .size = size};
    event.data = malloc(size);
    sl_assert(event.data);
    memcpy(event.data, data, size);
    sim_at_data(sim, &event);
}

/* ---- connections ---- */

static void connected(struct sim *sim, struct sim_event *event) {
    uint32_t i = (uint32_t)(event->a % SIM_AGENTS_MAX);
    struct sim_pool *pool = pool_of(sim, event->a);
    struct line *line = &pool->lines[i];
    struct sl_now now = sim_host_now(sim, i + 1);
    if (pool->down_until_ns > sim->now_ns) {
        sim_count(sim, SIM_POOL_DOWN);
        sl_agent_pool_disconnected(sim->agents[i].core, now, link_of(pool), "connection refused");
    } else {
        line->open = true;
        line->session = ++pool->sessions;
        line->authorised = false;
        line->input.len = 0;
        line->heard_clean = 0;
        memset(line->jobs, 0, sizeof line->jobs);
        sl_agent_pool_connected(sim->agents[i].core, now, link_of(pool));
    }
    sim_agent_commands(sim, i);
    sim_agent_schedule(sim, i);
}

void sim_pool_connect(struct sim *sim, uint32_t link, uint32_t agent) {
    struct sim_pool *pool = sim->pools[link / SL_AGENT_LINKS_MAX];
    sim_pool_hung_up(sim, link, agent);
    sim_at(sim, sim->now_ns + sim_range(&pool->rng, LATENCY_MIN_NS, LATENCY_MAX_NS), connected,
           agent + 1, tag(pool, agent), 0);
}

void sim_pool_hung_up(struct sim *sim, uint32_t link, uint32_t agent) {
    struct sim_pool *pool = sim->pools[link / SL_AGENT_LINKS_MAX];
    if (pool) {
        pool->lines[agent].open = false;
    }
}

void sim_pools_hung_up(struct sim *sim, uint32_t agent) {
    for (uint32_t k = 0; k < SIM_POOLS; k++) {
        sim_pool_hung_up(sim, k * SL_AGENT_LINKS_MAX, agent);
    }
}

/* The pool ends it. */
static void drop(struct sim *sim, struct sim_pool *pool, uint32_t agent) {
    struct line *line = &pool->lines[agent];
    if (!line->open) {
        return;
    }
    line->open = false;
    sim_count(sim, SIM_POOL_DROP);
    if (sim->agents[agent].core && sim->hosts[agent + 1].paused_until_ns <= sim->now_ns) {
        sl_agent_pool_disconnected(sim->agents[agent].core, sim_host_now(sim, agent + 1),
                                   link_of(pool), "connection reset by the pool");
        sim_agent_commands(sim, agent);
        sim_agent_schedule(sim, agent);
    }
}

/* ---- faults and figures ---- */

void sim_pool_strike(struct sim *sim, enum sim_fault fault, int64_t until_ns) {
    struct sim_pool *pool = sim->pools[sim_range(&sim->rng, 0, SIM_POOLS - 1)];
    uint32_t agent = (uint32_t)sim_range(&pool->rng, 0, sim->agent_count - 1);
    switch ((int)fault) { /* the others are not for here */
    case SIM_POOL_DOWN:
        pool->down_until_ns = until_ns;
        drop(sim, pool, agent);
        break;
    case SIM_POOL_DROP:
        drop(sim, pool, agent);
        break;
    case SIM_POOL_SILENT:
        pool->silent_until_ns = until_ns;
        sim_count(sim, SIM_POOL_SILENT);
        break;
    case SIM_POOL_GARBAGE:
        pool->garbage_until_ns = until_ns;
        break;
    case SIM_POOL_REJECT:
        pool->reject_until_ns = until_ns;
        break;
    case SIM_POOL_STORM:
        pool->storm_until_ns = until_ns;
        sim_at(sim, sim->now_ns, next_job, SIM_NOBODY, tag(pool, 0), 0);
        break;
    default: /* SIM_POOL_DIFFICULTY */
        pool->lines[agent].next_difficulty = (double)sim_range(&pool->rng, 1, 64) / 16.0;
        sim_count(sim, SIM_POOL_DIFFICULTY);
        break;
    }
}

void sim_pools_heal(struct sim *sim) {
    for (uint32_t k = 0; k < SIM_POOLS; k++) {
        struct sim_pool *pool = sim->pools[k];
        pool->down_until_ns = 0;
        pool->silent_until_ns = 0;
        pool->garbage_until_ns = 0;
        pool->reject_until_ns = 0;
        pool->storm_until_ns = 0;
    }
}

struct sim_pool_counts sim_pool_counts(const struct sim *sim, uint32_t pool, uint32_t agent) {
    return sim->pools[pool]->lines[agent].counts;
}
