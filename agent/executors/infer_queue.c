/* SPDX-License-Identifier: Apache-2.0
 * Units that wait, and the choice of lines. */
#include "agent/executors/infer_queue.h"

#include <stdlib.h>

#include "proto/base/cleanup.h"

bool sl_infer_line_valid(const struct sl_model *model, const struct sl_unit_line *line) {
    if (line->n_ids == 0 || line->n_ids > model->max_tokens) {
        return false;
    }
    for (uint32_t i = 0; i < line->n_ids; i++) {
        if (line->ids[i] < 0 || (uint32_t)line->ids[i] >= model->bert->config.n_vocab) {
            return false;
        }
    }
    return true;
}

struct by_length {
    uint32_t n_ids, line;
};

static int longest_first(const void *a, const void *b) {
    const struct by_length *x = a, *y = b;
    if (x->n_ids != y->n_ids) {
        return x->n_ids < y->n_ids ? 1 : -1;
    }
    return x->line < y->line ? -1 : x->line > y->line;
}

int sl_infer_queue_add(struct sl_infer_queue *queue, struct sl_device_unit *unit,
                       const struct sl_model *model, uint32_t model_index,
                       struct sl_infer_unit **ret_unit, struct sl_error *err) {
    SL_AUTO_FREE struct by_length *sorted = malloc((unit->n_lines + 1) * sizeof *sorted);
    struct sl_infer_unit *u = malloc(sizeof *u + unit->n_lines * sizeof *u->order);
    if (!sorted || !u) {
        free(u);
        return sl_fail(err, SL_NOMEM, "a unit of %u lines", unit->n_lines);
    }
    *u = (struct sl_infer_unit){.unit = unit, .model = model_index};
    for (uint32_t i = 0; i < unit->n_lines; i++) {
        if (sl_infer_line_valid(model, &unit->lines[i])) {
            sorted[u->tail++] = (struct by_length){unit->lines[i].n_ids, i};
            queue->tokens_waiting += unit->lines[i].n_ids;
        }
    }
    u->open = u->tail;
    qsort(sorted, u->tail, sizeof *sorted, longest_first);
    for (uint32_t i = 0; i < u->tail; i++) {
        u->order[i] = sorted[i].line;
    }
    if (queue->last) {
        queue->last->next = u;
    } else {
        queue->first = u;
    }
    queue->last = u;
    *ret_unit = u;
    return SL_OK;
}

static bool waits(const struct sl_infer_unit *u) {
    return !u->dropped && u->head < u->tail;
}

struct picking {
    struct sl_infer_queue *queue;
    struct sl_infer_pick *picks;
    uint32_t count, tokens;
    struct sl_infer_room room;
};

/* Takes the line if it fits; the first line of a micro-batch always does. */
static bool take(struct picking *p, struct sl_infer_unit *u, uint32_t line) {
    const struct sl_unit_line *l = &u->unit->lines[line];
    bool fits = p->count == 0 || l->n_ids + p->tokens <= p->room.tokens;
    if (!fits || p->count == p->room.lines) {
        return false;
    }
    p->picks[p->count++] = (struct sl_infer_pick){u, line, l->ids, l->n_ids};
    p->tokens += l->n_ids;
    p->queue->tokens_waiting -= l->n_ids;
    u->held++;
    return true;
}

uint32_t sl_infer_queue_pick(struct sl_infer_queue *queue, struct sl_infer_room room,
                             struct sl_infer_pick *ret_picks, uint32_t *ret_model) {
    struct picking p = {.queue = queue, .picks = ret_picks, .room = room};
    for (struct sl_infer_unit *u = queue->first; u; u = u->next) {
        if (!waits(u) || (p.count > 0 && u->model != *ret_model)) {
            continue;
        }
        *ret_model = u->model;
        while (u->head < u->tail && take(&p, u, u->order[u->head])) {
            u->head++;
        }
        while (u->head < u->tail && take(&p, u, u->order[u->tail - 1])) {
            u->tail--;
        }
        if (u->head < u->tail) {
            break; /* full; later units must not overtake */
        }
    }
    return p.count;
}

bool sl_infer_queue_settle(struct sl_infer_queue *queue, const struct sl_infer_pick *pick) {
    struct sl_infer_unit *u = pick->unit;
    (void)queue;
    u->held--;
    u->open--;
    return u->open == 0 && !u->dropped;
}

uint32_t sl_infer_queue_drop(struct sl_infer_queue *queue, uint64_t unit_id, uint64_t epoch_below) {
    uint32_t count = 0;
    for (struct sl_infer_unit *u = queue->first; u; u = u->next) {
        if (u->dropped || (unit_id != 0 && u->unit->unit_id != unit_id) ||
            (epoch_below != 0 && u->unit->epoch >= epoch_below)) {
            continue;
        }
        u->dropped = true;
        count++;
        for (uint32_t i = u->head; i < u->tail; i++) {
            queue->tokens_waiting -= u->unit->lines[u->order[i]].n_ids;
        }
    }
    return count;
}

void sl_infer_queue_reap(struct sl_infer_queue *queue) {
    struct sl_infer_unit **at = &queue->first;
    queue->last = NULL;
    while (*at) {
        struct sl_infer_unit *u = *at;
        if ((u->dropped || u->open == 0) && u->held == 0) {
            *at = u->next;
            free(u->unit);
            free(u);
        } else {
            queue->last = u;
            at = &u->next;
        }
    }
}

void sl_infer_queue_fini(struct sl_infer_queue *queue) {
    for (struct sl_infer_unit *u = queue->first; u; u = u->next) {
        u->dropped = true;
        u->held = 0; /* whoever held lines is gone as well */
    }
    sl_infer_queue_reap(queue);
}
