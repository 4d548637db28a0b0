/* SPDX-License-Identifier: Apache-2.0
 * Tenants who submit, ask again when no answer comes, change bids, cancel and read; operators who
 * drain, pin, stop and resume. They stand where the HTTP server stands: a request is an event with
 * a cookie, a repeat is first looked up among what exists (broker/http/create.c). */
#include <stdlib.h>
#include <string.h>

#include "tests/sim/internal.h"

#define PATIENCE                                                                                   \
    40 /* asks, 2.5 s apart in the mean: well within the time that must settle it all */
#define BID_WINS INT64_C(20000000000) /* beats hashing on the slowest device here */
#define ASK_AGAIN_NS (10 * SL_NS_PER_S)
#define LINES_A_BATCH 200

enum asked { ASK_CREATE = 1, ASK_BID, ASK_CANCEL, ASK_ORDER };

/* kind, index, what was asked for, a number. */
static uint64_t make_cookie(struct sim *sim, enum asked kind, uint32_t index, uint32_t what) {
    return (uint64_t)kind << 56 | (uint64_t)what << 48 | (uint64_t)index << 32 |
           (++sim->cookie & UINT32_MAX);
}

struct sim_batch *sim_batch_find(struct sim *sim, const char *id) {
    uint32_t at = strncmp(id, "batch_", 6) == 0 ? (uint32_t)strtoul(id + 6, NULL, 10) : UINT32_MAX;
    return at < sim->batch_count && strcmp(sim->batches[at].id, id) == 0 ? &sim->batches[at] : NULL;
}

uint32_t sim_line_text(const struct sim *sim, uint32_t batch, uint32_t line, char *out,
                       size_t size) {
    uint64_t h = sim_fold(sim_fold(sim->options.seed, batch), line);
    int length = snprintf(out, size, SIM_PROMPT " %u.%u ", batch, line);
    int wanted = h % 50 == 0 ? 70 : 16 + (int)(h / 50 % 40);
    for (; length < wanted && (size_t)length + 1 < size; length++) {
        out[length] = (char)('a' + (h >> (length % 40)) % 26);
    }
    out[length] = '\0';
    return (uint32_t)length;
}

uint32_t sim_line_inputs(const struct sim *sim, uint32_t batch, uint32_t line) {
    return sim_fold(sim_fold(sim->options.seed + 3, batch), line) % 10 == 0 ? SIM_INPUTS_WIDE : 1;
}

uint32_t sim_input_start(uint32_t bytes, uint32_t input) {
    uint32_t length = 1 + input % 8;
    return input == 0 || length > bytes ? 0 : bytes - length;
}

uint32_t sim_line_tokens(const struct sim *sim, uint32_t batch, uint32_t line) {
    char text[128];
    uint32_t bytes = sim_line_text(sim, batch, line, text, sizeof text);
    uint32_t tokens = 0;
    for (uint32_t i = 0; i < sim_line_inputs(sim, batch, line); i++) {
        tokens += bytes - sim_input_start(bytes, i) + 2;
    }
    return tokens;
}

bool sim_line_is_refused(const struct sim *sim, uint32_t batch, uint32_t line) {
    return sim_fold(sim_fold(sim->options.seed + 1, batch), line) % 40 == 0;
}

bool sim_batch_has_ids(const struct sim *sim, uint32_t batch) {
    return sim_fold(sim->options.seed + 2, batch) % 4 == 0;
}

static bool broker_listens(const struct sim *sim) {
    const struct sim_host *host = &sim->hosts[SIM_BROKER];
    return host->up && !host->doomed && host->paused_until_ns <= sim->now_ns;
}

/* ---- tenants ---- */

static struct sl_batch_row *make_row(struct sim *sim, const struct sim_batch *batch) {
    struct sl_batch_row *row = calloc(1, sizeof *row);
    sl_assert(row);
    sl_text_copy(row->id, sizeof row->id, batch->id);
    snprintf(row->tenant, sizeof row->tenant, "tenant%u", batch->tenant);
    snprintf(row->input_file, sizeof row->input_file, "file_in_%s", batch->id);
    snprintf(row->endpoint, sizeof row->endpoint, "/v1/embeddings");
    row->state = SL_BATCH_VALIDATING;
    row->bid_nusd_per_mtok = batch->bid;
    row->created = sim_host_now(sim, SIM_BROKER).wall;
    row->deadline.ms = batch->deadline_span_ms ? row->created.ms + batch->deadline_span_ms : 0;
    return row;
}

static void create(struct sim *sim, uint32_t i) {
    struct sim_batch *batch = &sim->batches[i];
    batch->asks++;
    if (batch->asks > 1) {
        sim_count(sim, SIM_TENANT_RESUBMIT);
    }
    /* An earlier request may have come through without its answer: then it is shown. */
    if (batch->state != SL_BATCH_INVALID) {
        batch->acknowledged = true;
        return;
    }
    sim_story(sim, "tenant%u: submits %s, %u lines, bid %lld (time %u)", batch->tenant, batch->id,
              batch->lines, (long long)batch->bid, batch->asks);
    batch->asked = true;
    struct sl_core_event event = {.kind = SL_CEV_BATCH,
                                  .cookie = make_cookie(sim, ASK_CREATE, i, 0),
                                  .row = make_row(sim, batch)};
    sl_text_copy(event.batch, sizeof event.batch, batch->id);
    sim_broker_step(sim, &event);
}

static void ask_about(struct sim *sim, uint32_t i, enum asked kind, int64_t bid) {
    const struct sim_batch *batch = &sim->batches[i];
    struct sl_core_event event = {.kind = kind == ASK_BID ? SL_CEV_BID : SL_CEV_CANCEL,
                                  .cookie = make_cookie(sim, kind, i, 0),
                                  .bid_nusd_per_mtok = bid};
    sl_text_copy(event.batch, sizeof event.batch, batch->id);
    snprintf(event.tenant, sizeof event.tenant, "tenant%u", batch->tenant);
    snprintf(event.actor, sizeof event.actor, "key%u", batch->tenant);
    sim_broker_step(sim, &event);
}

/* Something that a tenant may do while its batch is open. */
static void fuss(struct sim *sim, uint32_t i) {
    struct sim_batch *batch = &sim->batches[i];
    uint64_t faults = sim->options.faults;
    if ((faults >> SIM_TENANT_BID & 1) && !sim->calm && sim_chance(&sim->rng, 60000)) {
        sim_count(sim, SIM_TENANT_BID);
        batch->bid = sim_range(&sim->rng, 200000000, 3000000000);
        ask_about(sim, i, ASK_BID, batch->bid);
    } else if (batch->wants_cancel && sim_chance(&sim->rng, 100000)) {
        sim_count(sim, SIM_TENANT_CANCEL);
        ask_about(sim, i, ASK_CANCEL, 0);
    } else if (sim->calm && batch->tenant == 1 &&
               (sim_chance(&sim->rng, 100000) || ++batch->patience > PATIENCE)) {
        ask_about(sim, i, ASK_CANCEL, 0); /* its budget may be used up */
    } else if (sim->calm && (batch->bid != BID_WINS || sim_chance(&sim->rng, 50000))) {
        batch->bid = BID_WINS;
        ask_about(sim, i, ASK_BID, BID_WINS);
    }
}

static void tick(struct sim *sim, struct sim_event *event) {
    uint32_t i = (uint32_t)event->a;
    struct sim_batch *batch = &sim->batches[i];
    if (batch->lost) {
        return;
    }
    if (broker_listens(sim) && !batch->told_end) { /* a restored backup may take an end back */
        if (!batch->acknowledged) {
            if (sim->now_ns >= batch->retry_ns) {
                batch->retry_ns = sim->now_ns + ASK_AGAIN_NS;
                create(sim, i);
            }
        } else if (!sl_batch_state_is_final(batch->state)) {
            fuss(sim, i);
        } else if ((sim->options.faults >> SIM_TENANT_SLOW & 1) && !sim->calm &&
                   sim_chance(&sim->rng, 900000)) {
            sim_count(sim, SIM_TENANT_SLOW);
        } else {
            batch->told_end = true;
            sim_story(sim, "tenant%u: %s ended %s", batch->tenant, batch->id,
                      sl_batch_state_name(batch->state));
        }
    }
    sim_at(sim, sim->now_ns + sim_range(&sim->rng, 1000, 4000) * SL_NS_PER_MS, tick, SIM_NOBODY, i,
           0);
}

static void start_tenants(struct sim *sim) {
    uint64_t faults = sim->options.faults;
    uint32_t left = sim->options.lines;
    while (left > 0 && sim->batch_count < SIM_BATCHES_MAX) {
        uint32_t i = sim->batch_count++;
        struct sim_batch *batch = &sim->batches[i];
        int64_t most = left < LINES_A_BATCH ? left : LINES_A_BATCH;
        batch->lines = (uint32_t)sim_range(&sim->rng, most < 3 ? 1 : most / 3, most);
        left -= batch->lines;
        snprintf(batch->id, sizeof batch->id, "batch_%u", i);
        batch->tenant = (uint32_t)sim_range(&sim->rng, 0, SIM_TENANTS - 1);
        batch->bid = sim_chance(&sim->rng, 100000)   ? -1
                     : sim_chance(&sim->rng, 300000) ? BID_WINS
                                                     : sim_range(&sim->rng, 200000000, 3000000000);
        batch->deadline_span_ms =
            sim_chance(&sim->rng, 100000) ? sim_range(&sim->rng, 1000, 60000) : 0;
        batch->wants_cancel = (faults >> SIM_TENANT_CANCEL & 1) && sim_chance(&sim->rng, 300000);
        batch->done = calloc(batch->lines, 1);
        batch->taken = calloc(batch->lines, 1);
        sl_assert(batch->done && batch->taken);
        int64_t at_ns = sim_range(&sim->rng, 0, sim->span_ns / 10 * 7);
        sim_at(sim, at_ns, tick, SIM_NOBODY, i, 0);
    }
}

/* ---- operators: one order a node, and one for all ---- */

static void subject_of(const struct sim *sim, uint32_t i, char *out, size_t size) {
    snprintf(out, size, "%s", i < sim->agent_count ? sim->agents[i].node : "*");
}

static void order(struct sim *sim, uint32_t i, enum sl_override_kind kind) {
    struct sl_core_event event = {.kind = SL_CEV_OVERRIDE,
                                  .cookie = make_cookie(sim, ASK_ORDER, i, kind)};
    subject_of(sim, i, event.override_.subject, sizeof event.override_.subject);
    event.override_.kind = kind;
    event.override_.mode = sim_chance(&sim->rng, 500000) ? SL_MODE_HASH : SL_MODE_IDLE;
    snprintf(event.actor, sizeof event.actor, "operator");
    sim->orders[i].asked = kind;
    sim->orders[i].ask_ns = sim->now_ns;
    sim->orders[i].answered = false;
    if (kind == SL_OVERRIDE_NONE && i < sim->agent_count) {
        sim_sensors_forgiven(sim, i);
    }
    sim_story(sim, "operator: %s %s",
              kind == SL_OVERRIDE_NONE    ? "resume"
              : kind == SL_OVERRIDE_DRAIN ? "drain"
              : kind == SL_OVERRIDE_PIN   ? "pin"
                                          : "stop",
              event.override_.subject);
    sim_broker_step(sim, &event);
}

static void operate(struct sim *sim, struct sim_event *event) {
    uint32_t i = (uint32_t)event->a;
    bool may = sim->options.faults >> SIM_OPERATOR_ORDER & 1;
    bool free_hand = sim->orders[i].answered || sim->now_ns - sim->orders[i].ask_ns > ASK_AGAIN_NS;
    if (broker_listens(sim) && free_hand) {
        bool held = sim->orders[i].asked != SL_OVERRIDE_NONE || !sim->orders[i].answered;
        if (held && (sim->calm || sim_chance(&sim->rng, 300000))) {
            order(sim, i, SL_OVERRIDE_NONE);
        } else if (may && !held && !sim->calm && sim_chance(&sim->rng, 40000)) {
            sim_count(sim, SIM_OPERATOR_ORDER);
            order(sim, i,
                  i == sim->agent_count           ? SL_OVERRIDE_STOP
                  : sim_chance(&sim->rng, 500000) ? SL_OVERRIDE_DRAIN
                                                  : SL_OVERRIDE_PIN);
        }
    }
    sim_at(sim, sim->now_ns + sim_range(&sim->rng, 2000, 8000) * SL_NS_PER_MS, operate, SIM_NOBODY,
           i, 0);
}

void sim_people_start(struct sim *sim) {
    start_tenants(sim);
    for (uint32_t i = 0; i <= sim->agent_count; i++) {
        sim->orders[i].answered = true;
        sim_at(sim, sim_range(&sim->rng, 5000, 20000) * SL_NS_PER_MS, operate, SIM_NOBODY, i, 0);
    }
}

/* What a person would do who sees a device marked faulty by bad vectors: resume its node. */
void sim_people_calm(struct sim *sim) {
    for (uint32_t i = 0; i < sim->agent_count; i++) {
        sim->orders[i].answered = false;
        sim->orders[i].ask_ns = 0;
    }
}

void sim_people_reply(struct sim *sim, uint64_t cookie, int status, const char *text) {
    if ((cookie & SIM_JOINING_COOKIE) == SIM_JOINING_COOKIE) {
        sim_joining_reply(sim, cookie, status, text);
        return;
    }
    enum asked kind = (enum asked)(cookie >> 56);
    uint32_t i = (uint32_t)(cookie >> 32) & 0xffff;
    if (kind == ASK_CREATE && status == SL_OK) {
        struct sim_batch *batch = &sim->batches[i];
        if (batch->state == SL_BATCH_INVALID && !batch->lost) {
            sim_break(sim, "durability", "%s was acknowledged before it was durable", batch->id);
        }
        batch->acknowledged = true;
    } else if (kind == ASK_CREATE && status == -SL_INVALID) {
        sim_break(sim, "batches", "a good request was refused: %s", text);
    } else if (kind == ASK_CANCEL && status == SL_OK) {
        struct sim_batch *batch = &sim->batches[i];
        bool ends = batch->state == SL_BATCH_CANCELLING || sl_batch_state_is_final(batch->state);
        if (!ends) {
            sim_break(sim, "durability", "the cancelling of %s was acknowledged, but it is %s",
                      batch->id, sl_batch_state_name(batch->state));
        }
    } else if (kind == ASK_ORDER) {
        enum sl_override_kind wanted = (enum sl_override_kind)(cookie >> 48 & 0xff);
        sim->orders[i].answered = sim->orders[i].asked == wanted;
        if (status == -SL_NOTFOUND) {
            /* A node that never came yet has no orders; later perhaps. */
            sim->orders[i].asked = SL_OVERRIDE_NONE;
            sim->orders[i].answered = !sim->calm;
        } else if (status == SL_OK && sim->orders[i].durable != wanted &&
                   sim->orders[i].asked == wanted) {
            sim_break(sim, "durability", "an order was acknowledged before it was durable");
        }
    }
}
