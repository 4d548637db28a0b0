/* SPDX-License-Identifier: Apache-2.0
 * Lines whose vectors do not fit one message: their results come in parts, which lie here until all
 * are there. Then the whole is a result like any other. Nothing of a part is durable, and none is
 * acknowledged: its agent keeps them all, and sends all again where one was lost, or when either
 * side was gone.
 *
 * Memory. A node has one such line at a time, begun by its first part; parts come in order, and
 * what is not the next one is left out. Only what really came is held and counted: at most 32 MiB a
 * node (2,048 vectors of 4,096 numbers), 256 MiB of all. Beyond that the one gives way that has not
 * grown for longest, so that whoever stops in the middle keeps nobody else from ending. */
#include <stdlib.h>
#include <string.h>

#include "broker/core/core_internal.h"
#include "proto/base/mutant.h"

#define HALVES_BYTES_MAX ((size_t)256 << 20)
/* Longer than an agent waits before it sends the largest line again (agent/core/results.c). */
#define HALF_IDLE_NS (60 * SL_NS_PER_S)

/* Vectors of one part. */
struct chunk {
    struct chunk *next;
    uint8_t data[];
};

struct sl_core_half {
    struct sl_msg_result whole;
    struct sl_msg_result_line line;
    struct chunk *chunks;
    size_t bytes;  /* of all this */
    uint32_t next; /* input that comes next */
    int64_t grown_ns;
    struct sl_msg_vector vectors[]; /* [line.inputs], of which [next] are here */
};

void sl_core_half_drop(struct sl_broker_core *core, uint32_t node) {
    struct sl_core_half *half = core->nodes[node].half;
    if (!half) {
        return;
    }
    core->nodes[node].half = NULL;
    core->halves_bytes -= half->bytes;
    while (half->chunks) {
        struct chunk *next = half->chunks->next;
        free(half->chunks);
        half->chunks = next;
    }
    free(half);
}

void sl_core_half_done(struct sl_broker_core *core, uint32_t node, uint64_t result_id) {
    if (core->nodes[node].half && core->nodes[node].half->whole.result_id == result_id) {
        sl_core_half_drop(core, node);
    }
}

static void give_up(struct sl_broker_core *core, uint32_t node, const char *why) {
    const struct sl_core_half *half = core->nodes[node].half;
    sl_core_log(core, SL_LOG_WARN, "result.given_up",
                "node=%s unit=%llu line=%u vectors=%u of %u: %s", core->nodes[node].name,
                (unsigned long long)half->whole.unit_id, half->line.line, half->next,
                half->line.inputs, why);
    sl_core_half_drop(core, node);
}

void sl_core_half_sweep(struct sl_broker_core *core, uint32_t node) {
    const struct sl_core_half *half = core->nodes[node].half;
    if (half && core->now.mono.ns - half->grown_ns >= HALF_IDLE_NS) {
        give_up(core, node, "no more of it came for a minute");
    }
}

/* Room for so much more of the node's: others give way, the one first that has not grown for
 * longest. */
static void make_room(struct sl_broker_core *core, uint32_t node, size_t bytes) {
    while (core->halves_bytes + bytes > HALVES_BYTES_MAX) {
        uint32_t oldest = SL_CORE_NONE;
        for (uint32_t i = 0; i < core->node_count; i++) {
            const struct sl_core_half *half = core->nodes[i].half;
            if (half && i != node &&
                (oldest == SL_CORE_NONE || half->grown_ns < core->nodes[oldest].half->grown_ns)) {
                oldest = i;
            }
        }
        if (oldest == SL_CORE_NONE) {
            return; /* all is its own, and that is bounded */
        }
        give_up(core, oldest, "lines of others need the memory; its agent sends it again");
    }
}

static struct sl_core_half *begin(struct sl_broker_core *core, uint32_t node,
                                  const struct sl_msg_result *part) {
    const struct sl_msg_result_line *line = &part->lines[0];
    size_t bytes = sizeof(struct sl_core_half) + line->inputs * sizeof(struct sl_msg_vector);
    sl_core_half_drop(core, node);
    make_room(core, node, bytes);
    struct sl_core_half *half = sl_core_calloc(1, bytes);
    half->whole = *part;
    half->line = *line;
    half->bytes = bytes;
    core->halves_bytes += bytes;
    core->nodes[node].half = half;
    return half;
}

static void append(struct sl_broker_core *core, uint32_t node, struct sl_core_half *half,
                   const struct sl_msg_result_line *line) {
    size_t bytes = sizeof(struct chunk);
    for (uint32_t i = 0; i < line->vector_count; i++) {
        bytes += (size_t)line->vectors[i].dim * 4;
    }
    make_room(core, node, bytes);
    struct chunk *chunk = sl_core_calloc(1, bytes);
    chunk->next = half->chunks;
    half->chunks = chunk;
    half->bytes += bytes;
    core->halves_bytes += bytes;
    uint8_t *at = chunk->data;
    for (uint32_t i = 0; i < line->vector_count; i++) {
        size_t n = (size_t)line->vectors[i].dim * 4;
        memcpy(at, line->vectors[i].data, n);
        half->vectors[half->next] = line->vectors[i];
        half->vectors[half->next++].data = at;
        at += n;
    }
    half->grown_ns = core->now.mono.ns;
}

/* The same words about the line as those of its other parts. */
static bool is_of(const struct sl_core_half *half, const struct sl_msg_result *part) {
    const struct sl_msg_result_line *a = &half->line;
    const struct sl_msg_result_line *b = &part->lines[0];
    return half->whole.result_id == part->result_id && half->whole.unit_id == part->unit_id &&
           a->line == b->line && a->inputs == b->inputs && a->tokens == b->tokens;
}

const struct sl_msg_result *sl_core_half_join(struct sl_broker_core *core, uint32_t node,
                                              const struct sl_msg_result *part) {
    const struct sl_msg_result_line *line = &part->lines[0];
    struct sl_core_half *half = core->nodes[node].half;
    if (line->inputs > SL_MSG_INPUTS_MAX || line->vector_count == 0) {
        return NULL;
    }
    bool known = half && (is_of(half, part) || SL_MUTANT(parts_mixed));
    if (!known && line->vectors[0].input == 0) {
        half = begin(core, node, part);
    } else if (!known) {
        return NULL; /* the beginning was lost, or given up: it comes again */
    }
    if (line->vectors[0].input != half->next ||
        line->vector_count > half->line.inputs - half->next) {
        return NULL;
    }
    append(core, node, half, line);
    if (half->next < half->line.inputs) {
        return NULL;
    }
    half->line.vector_count = half->line.inputs;
    half->line.inputs = 0;
    half->line.vectors = half->vectors;
    half->whole.lines = &half->line;
    half->whole.unit_done = part->unit_done;
    return &half->whole;
}
