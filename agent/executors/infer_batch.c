/* SPDX-License-Identifier: Apache-2.0
 * One micro-batch on its way through a device. */
#include "agent/executors/infer_batch.h"

#include <stdlib.h>
#include <string.h>

/* Memory that the driver can copy from and to by itself, mapped until close. */
static int pinned(struct sl_cl *cl, size_t bytes, cl_mem *ret_mem, void *ret_pointer,
                  struct sl_error *err) {
    int rc = sl_cl_buffer(cl, bytes, CL_MEM_READ_WRITE | CL_MEM_ALLOC_HOST_PTR, ret_mem, err);
    if (rc < 0) {
        return rc;
    }
    cl_int code = CL_SUCCESS;
    void *at = clEnqueueMapBuffer(cl->queue, *ret_mem, CL_TRUE, CL_MAP_READ | CL_MAP_WRITE, 0,
                                  bytes, 0, NULL, NULL, &code);
    if (code != CL_SUCCESS) {
        clReleaseMemObject(*ret_mem);
        *ret_mem = NULL;
        return sl_cl_fail(err, code, "mapping of a staging buffer");
    }
    memset(at, 0, bytes);
    memcpy(ret_pointer, &at, sizeof at);
    return SL_OK;
}

static void unpin(struct sl_cl *cl, cl_mem mem, void *at) {
    if (mem) {
        clEnqueueUnmapMemObject(cl->queue, mem, at, 0, NULL, NULL);
        clFinish(cl->queue);
        clReleaseMemObject(mem);
    }
}

int sl_infer_batch_open(struct sl_infer_engine *e, uint32_t lines_cap,
                        struct sl_infer_batch *ret_batch, struct sl_error *err) {
    struct sl_infer_batch b = {.lines_cap = lines_cap};
    uint32_t tasks_cap = lines_cap + e->rows_cap / e->query_block;
    b.words_cap = e->steps_cap + 2 * e->rows_cap + 2 * lines_cap + 3 * tasks_cap;
    size_t vectors = (size_t)lines_cap * e->width_cap * sizeof(float);
    b.picks = calloc(lines_cap, sizeof *b.picks);
    int rc = b.picks ? SL_OK : sl_fail(err, SL_NOMEM, "a micro-batch");
    if (rc == SL_OK) {
        rc = sl_cl_buffer(e->cl, b.words_cap * sizeof(uint32_t), CL_MEM_READ_WRITE, &b.shape.work,
                          err);
    }
    if (rc == SL_OK) {
        rc = sl_cl_buffer(e->cl, vectors, CL_MEM_READ_WRITE, &b.shape.out, err);
    }
    if (rc == SL_OK) {
        rc = pinned(e->cl, b.words_cap * sizeof(uint32_t), &b.words_pinned, &b.words, err);
    }
    if (rc == SL_OK) {
        rc = pinned(e->cl, e->steps_cap * sizeof(uint32_t), &b.counts_pinned, &b.counts, err);
    }
    if (rc == SL_OK) {
        rc = pinned(e->cl, vectors, &b.vectors_pinned, &b.vectors, err);
    }
    if (rc < 0) {
        sl_infer_batch_close(e, &b);
        return rc;
    }
    *ret_batch = b;
    return SL_OK;
}

void sl_infer_batch_close(struct sl_infer_engine *e, struct sl_infer_batch *b) {
    free(b->picks);
    unpin(e->cl, b->words_pinned, b->words);
    unpin(e->cl, b->counts_pinned, b->counts);
    unpin(e->cl, b->vectors_pinned, b->vectors);
    cl_mem device[] = {b->shape.work, b->shape.out};
    for (size_t i = 0; i < sizeof device / sizeof *device; i++) {
        if (device[i]) {
            clReleaseMemObject(device[i]);
        }
    }
    *b = (struct sl_infer_batch){0};
}

void sl_infer_batch_fill(const struct sl_infer_engine *e, uint32_t model, uint32_t lane,
                         uint32_t lines, struct sl_infer_batch *b) {
    struct sl_infer_shape *s = &b->shape;
    sl_assert(lane < SL_LANES_MAX);
    s->model = &e->models[model];
    s->lane = lane;
    s->lines = lines;
    s->rows = s->tasks = 0;
    s->pairs = 0;
    for (uint32_t i = 0; i < lines; i++) {
        uint32_t n = b->picks[i].n_ids;
        s->rows += n;
        s->tasks += (n + e->query_block - 1) / e->query_block;
        s->pairs += (uint64_t)n * n;
    }
    struct sl_infer_offsets at = sl_infer_offsets(s);
    sl_assert(s->rows <= e->rows_cap && at.end <= b->words_cap);
    memset(b->words, 0, at.ids * sizeof *b->words);
    uint32_t row = 0;
    uint32_t *task = b->words + at.tasks;
    for (uint32_t i = 0; i < lines; i++) {
        const struct sl_infer_pick *pick = &b->picks[i];
        memcpy(b->words + at.ids + row, pick->ids, pick->n_ids * sizeof *pick->ids);
        for (uint32_t p = 0; p < pick->n_ids; p++) {
            b->words[at.positions + row + p] = p;
        }
        b->words[at.spans + 2 * i] = row;
        b->words[at.spans + 2 * i + 1] = pick->n_ids;
        for (uint32_t query = 0; query < pick->n_ids; query += e->query_block) {
            *task++ = row;
            *task++ = pick->n_ids;
            *task++ = query;
        }
        row += pick->n_ids;
    }
    b->steps = sl_infer_steps(s->model->model);
    b->used = true;
    b->uploaded = b->repeated = b->fetched = false;
    b->next_step = b->next_group = b->strikes = 0;
    b->busy_ns = 0;
}

uint64_t sl_infer_batch_cost(const struct sl_infer_batch *b) {
    uint64_t cost = 0;
    for (uint32_t step = 0; step < b->steps; step++) {
        cost += sl_infer_step_cost(&b->shape, step);
    }
    return cost;
}

int sl_infer_batch_upload(struct sl_infer_engine *e, struct sl_infer_batch *b,
                          struct sl_error *err) {
    size_t bytes = sl_infer_offsets(&b->shape).end * sizeof *b->words;
    cl_int code = clEnqueueWriteBuffer(e->lanes[b->shape.lane].queue, b->shape.work, CL_FALSE, 0,
                                       bytes, b->words, 0, NULL, NULL);
    if (code != CL_SUCCESS) {
        return sl_cl_fail(err, code, "upload of token ids");
    }
    b->uploaded = true;
    return SL_OK;
}

int sl_infer_batch_fetch(struct sl_infer_engine *e, struct sl_infer_batch *b, cl_event *ret_event,
                         struct sl_error *err) {
    size_t width = b->shape.model->model->bert->config.n_embd;
    cl_int code = clEnqueueReadBuffer(e->lanes[b->shape.lane].queue, b->shape.work, CL_FALSE, 0,
                                      b->steps * sizeof *b->counts, b->counts, 0, NULL, NULL);
    if (code == CL_SUCCESS) {
        code = clEnqueueReadBuffer(e->lanes[b->shape.lane].queue, b->shape.out, CL_FALSE, 0,
                                   b->shape.lines * width * sizeof *b->vectors, b->vectors, 0, NULL,
                                   ret_event);
    }
    if (code != CL_SUCCESS) {
        return sl_cl_fail(err, code, "read-back of vectors");
    }
    b->fetched = true;
    return SL_OK;
}

bool sl_infer_batch_whole(const struct sl_infer_engine *e, const struct sl_infer_batch *b) {
    for (uint32_t step = 0; step < b->steps; step++) {
        if (b->counts[step] != sl_infer_step_groups(e, &b->shape, step)) {
            return false;
        }
    }
    return true;
}

uint32_t sl_infer_resume_step(const uint32_t *counts, const uint32_t *groups, uint32_t steps,
                              bool later_ran) {
    uint32_t at = 0;
    while (at < steps && counts[at] == groups[at]) {
        at++;
    }
    bool behind = later_ran;
    for (uint32_t step = at + 1; step < steps; step++) {
        behind = behind || counts[step] > 0;
    }
    return behind && at < steps ? 0 : at;
}

int sl_infer_batch_read_counts(struct sl_infer_engine *e, struct sl_infer_batch *b,
                               struct sl_error *err) {
    if (!b->uploaded) { /* the device still holds an older micro-batch's counters */
        memset(b->counts, 0, b->steps * sizeof *b->counts);
        return SL_OK;
    }
    cl_int code = clEnqueueReadBuffer(e->lanes[b->shape.lane].queue, b->shape.work, CL_TRUE, 0,
                                      b->steps * sizeof *b->counts, b->counts, 0, NULL, NULL);
    return code == CL_SUCCESS ? SL_OK : sl_cl_fail(err, code, "read-back of counters");
}

bool sl_infer_batch_ran(const struct sl_infer_batch *b) {
    for (uint32_t step = 0; step < b->steps; step++) {
        if (b->counts[step] > 0) {
            return true;
        }
    }
    return false;
}

int sl_infer_batch_rewind(struct sl_infer_engine *e, struct sl_infer_batch *b, bool later_ran,
                          bool oldest, struct sl_error *err) {
    uint32_t groups[2 + SL_INFER_STEPS_PER_LAYER * SL_BERT_MAX_LAYERS];
    for (uint32_t step = 0; step < b->steps; step++) {
        groups[step] = sl_infer_step_groups(e, &b->shape, step);
    }
    uint32_t at = oldest ? sl_infer_resume_step(b->counts, groups, b->steps, later_ran) : 0;
    b->fetched = false;
    bool all_ran = oldest && b->uploaded && at == b->next_step &&
                   (at == b->steps || b->counts[at] == b->next_group);
    if (all_ran) {
        return SL_OK; /* nothing of what was enqueued was cut */
    }
    b->next_group = 0;
    b->repeated = true;
    if (at == 0 || !b->uploaded) {
        b->next_step = 0;
        b->uploaded = false; /* the upload also zeroes the counters */
        return SL_OK;
    }
    b->next_step = at;
    if (at == b->steps) {
        return SL_OK; /* only the read-back is missing */
    }
    /* words[at] is zero: counters stand first, and the host never changes them */
    cl_int code =
        clEnqueueWriteBuffer(e->lanes[b->shape.lane].queue, b->shape.work, CL_FALSE,
                             at * sizeof *b->words, sizeof *b->words, &b->words[at], 0, NULL, NULL);
    return code == CL_SUCCESS ? SL_OK : sl_cl_fail(err, code, "clearing of a counter");
}
