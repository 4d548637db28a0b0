/* SPDX-License-Identifier: Apache-2.0
 * Programs, resident weights and activation buffers of one device. */
#include "agent/executors/infer_engine.h"

#include <stdio.h>
#include <stdlib.h>

#include "agent/executors/infer_args.h"
#include "agent/executors/model_pack.h"
#include "agent/kernels/kernels.h"

#define HEAD_MAX 256u /* private arrays of the attention kernels hold a few of these */
#define GPU_QUERIES 64u

static void release(cl_mem *mem) {
    if (*mem) {
        clReleaseMemObject(*mem);
        *mem = NULL;
    }
}

static void model_close(struct sl_infer_model *m) {
    for (size_t t = 1; t < SL_EMBED_TENSORS; t++) {
        release(&m->embed[t]);
    }
    for (uint32_t l = 0; m->layers && l < m->model->bert->config.n_layer; l++) {
        for (size_t t = 1; t < SL_LAYER_TENSORS; t++) {
            release(&m->layers[l][t]);
        }
    }
    free(m->layers);
}

static void attention_close(struct sl_infer_attention *a) {
    if (a->kernel) {
        clReleaseKernel(a->kernel);
    }
    if (a->program) {
        clReleaseProgram(a->program);
    }
}

uint32_t sl_infer_lanes(const struct sl_cl *cl) {
    return sl_infer_vector_width(cl) > 1 && cl->compute_units > 1 ? SL_LANES_MAX : 1;
}

static void lane_close(struct sl_infer_engine *e, uint32_t number) {
    struct sl_infer_lane *lane = &e->lanes[number];
    release(&lane->hidden);
    release(&lane->sum);
    release(&lane->qkv);
    release(&lane->mixed);
    release(&lane->wide);
    if (number > 0 && lane->queue) {
        clReleaseCommandQueue(lane->queue);
    }
}

void sl_infer_engine_close(struct sl_infer_engine *e) {
    for (uint32_t i = 0; i < e->model_count; i++) {
        model_close(&e->models[i]);
    }
    for (uint32_t i = 0; i < e->attention_count; i++) {
        attention_close(&e->attention[i]);
    }
    for (uint32_t i = 0; i < e->lane_count; i++) {
        lane_close(e, i);
    }
    cl_kernel kernels[] = {e->embed[SL_EMBED_F32], e->embed[SL_EMBED_F16], e->embed[SL_EMBED_Q8_0],
                           e->norm, e->pool};
    for (size_t i = 0; i < sizeof kernels / sizeof *kernels; i++) {
        if (kernels[i]) {
            clReleaseKernel(kernels[i]);
        }
    }
    if (e->rows_program) {
        clReleaseProgram(e->rows_program);
    }
    sl_gemm_close(&e->gemm);
    *e = (struct sl_infer_engine){0};
}

static const char *rows_name(const struct sl_infer_engine *e) {
    return e->tiled ? "bert_rows_f32_gpu" : "bert_rows_f32_cpu";
}

static const char *rows_source(const struct sl_infer_engine *e) {
    return e->tiled ? sl_kernel_bert_rows_f32_gpu : sl_kernel_bert_rows_f32_cpu;
}

static const char *attention_name(const struct sl_infer_engine *e) {
    return e->tiled ? "bert_attention_f32_gpu" : "bert_attention_f32_cpu";
}

static const char *attention_source(const struct sl_infer_engine *e) {
    return e->tiled ? sl_kernel_bert_attention_f32_gpu : sl_kernel_bert_attention_f32_cpu;
}

void sl_infer_engine_save(struct sl_infer_engine *e) {
    sl_gemm_save(&e->gemm);
    sl_cl_program_save(e->cl, rows_name(e), rows_source(e), e->rows_options, e->rows_program);
    for (uint32_t i = 0; i < e->attention_count; i++) {
        sl_cl_program_save(e->cl, attention_name(e), attention_source(e), e->attention[i].options,
                           e->attention[i].program);
    }
}

static int open_rows(struct sl_infer_engine *e, uint32_t vector, struct sl_error *err) {
    snprintf(e->rows_options, sizeof e->rows_options, "-DVW=%u%s", vector,
             e->tiled ? "" : " -DSTOP_SINGLE");
    int rc =
        sl_cl_program(e->cl, rows_name(e), rows_source(e), e->rows_options, &e->rows_program, err);
    static const char *const embeds[SL_EMBED_TYPES] = {
        [SL_EMBED_F32] = "embed_f32", [SL_EMBED_F16] = "embed_f16", [SL_EMBED_Q8_0] = "embed_q8_0"};
    for (size_t i = 0; rc == SL_OK && i < SL_EMBED_TYPES; i++) {
        rc = sl_infer_kernel(e->cl, e->rows_program, embeds[i], &e->embed[i], err);
    }
    if (rc == SL_OK) {
        rc = sl_infer_kernel(e->cl, e->rows_program, "norm", &e->norm, err);
    }
    if (rc == SL_OK) {
        rc = sl_infer_kernel(e->cl, e->rows_program, "pool", &e->pool, err);
    }
    return rc;
}

/* One program for each width of a head; models with the same one share it. */
static int find_attention(struct sl_infer_engine *e, uint32_t head, uint32_t vector,
                          const struct sl_infer_attention **ret_attention, struct sl_error *err) {
    for (uint32_t i = 0; i < e->attention_count; i++) {
        if (e->attention[i].head == head) {
            *ret_attention = &e->attention[i];
            return SL_OK;
        }
    }
    if (head > HEAD_MAX) {
        return sl_fail(err, SL_UNSUPPORTED, "attention heads are %u wide, at most %u is supported",
                       head, HEAD_MAX);
    }
    struct sl_infer_attention *a = &e->attention[e->attention_count++];
    a->head = head;
    snprintf(a->options, sizeof a->options, "-DVW=%u -DHEAD=%u%s", vector, head,
             e->tiled ? "" : " -DSTOP_SINGLE");
    int rc =
        sl_cl_program(e->cl, attention_name(e), attention_source(e), a->options, &a->program, err);
    if (rc == SL_OK) {
        rc = sl_infer_kernel(e->cl, a->program, "attention", &a->kernel, err);
    }
    if (rc == SL_OK) {
        *ret_attention = a;
    }
    return rc;
}

/* A CPU device reads the host's copy in place: one copy for all sub-devices. */
static int upload(struct sl_cl *cl, const struct sl_model_tensor *tensor, cl_mem *ret_mem,
                  struct sl_error *err) {
    cl_mem_flags flags =
        CL_MEM_READ_ONLY | (cl->is_cpu ? CL_MEM_USE_HOST_PTR : CL_MEM_COPY_HOST_PTR);
    cl_int code = CL_SUCCESS;
    /* The API wants a non-const pointer; a read-only buffer is never written. */
    cl_mem mem =
        clCreateBuffer(cl->context, flags, tensor->bytes, (void *)(uintptr_t)tensor->data, &code);
    if (code != CL_SUCCESS) {
        return sl_cl_fail(err, code, "upload of weights");
    }
    *ret_mem = mem;
    return SL_OK;
}

/* What the products of a layer need before they can run. */
static int use_products(struct sl_gemm *gemm, const struct sl_bert_config *c,
                        const struct sl_model_tensor *layer, struct sl_error *err) {
    const struct {
        enum sl_layer_tensor matrix;
        uint32_t n, k;
    } products[] = {{SL_LAYER_QKV_W, 3 * c->n_embd, c->n_embd},
                    {SL_LAYER_OUT_W, c->n_embd, c->n_embd},
                    {SL_LAYER_UP_W, c->n_ff, c->n_embd},
                    {SL_LAYER_DOWN_W, c->n_embd, c->n_ff}};
    int rc = SL_OK;
    for (size_t i = 0; rc == SL_OK && i < sizeof products / sizeof *products; i++) {
        rc = sl_gemm_use(gemm, sl_model_weights(&layer[products[i].matrix]), products[i].n,
                         products[i].k, err);
    }
    return rc;
}

static int open_model(struct sl_infer_engine *e, const struct sl_model *model, uint32_t vector,
                      struct sl_error *err) {
    const struct sl_bert_config *c = &model->bert->config;
    struct sl_infer_model *m = &e->models[e->model_count++];
    m->model = model;
    m->layers = calloc(c->n_layer, sizeof *m->layers);
    if (!m->layers) {
        return sl_fail(err, SL_NOMEM, "model '%s'", model->id);
    }
    int rc = find_attention(e, c->n_embd / c->n_head, vector, &m->attention, err);
    for (uint32_t l = 0; rc == SL_OK && l < c->n_layer; l++) {
        rc = use_products(&e->gemm, c, model->layers[l], err);
    }
    for (size_t t = 1; rc == SL_OK && t < SL_EMBED_TENSORS; t++) {
        rc = upload(e->cl, &model->embed[t], &m->embed[t], err);
    }
    for (uint32_t l = 0; l < c->n_layer; l++) {
        for (size_t t = 1; rc == SL_OK && t < SL_LAYER_TENSORS; t++) {
            rc = upload(e->cl, &model->layers[l][t], &m->layers[l][t], err);
        }
    }
    return rc;
}

static int open_lane(struct sl_infer_engine *e, uint32_t ff, struct sl_error *err) {
    struct sl_infer_lane *lane = &e->lanes[e->lane_count++];
    size_t row = sizeof(float) * ((size_t)e->rows_cap + SL_GEMM_ROWS_PAD);
    size_t plane = row * e->width_cap;
    const struct {
        cl_mem *mem;
        size_t bytes;
    } all[] = {{&lane->hidden, plane},
               {&lane->sum, plane},
               {&lane->mixed, plane},
               {&lane->qkv, plane * 3},
               {&lane->wide, row * sl_gemm_stride(ff)}};
    int rc = SL_OK;
    lane->queue = e->cl->queue;
    if (e->lane_count > 1) {
        rc = sl_cl_queue(e->cl, &lane->queue, err);
    }
    for (size_t i = 0; rc == SL_OK && i < sizeof all / sizeof *all; i++) {
        rc = sl_cl_buffer(e->cl, all[i].bytes, CL_MEM_READ_WRITE, all[i].mem, err);
    }
    return rc;
}

static int open_lanes(struct sl_infer_engine *e, const struct sl_model_set *set,
                      struct sl_error *err) {
    uint32_t ff = 1;
    for (size_t i = 0; i < sl_model_set_count(set); i++) {
        const struct sl_model *m = sl_model_set_at(set, i);
        const struct sl_bert_config *c = &m->bert->config;
        ff = c->n_ff > ff ? c->n_ff : ff;
        e->width_cap = c->n_embd > e->width_cap ? c->n_embd : e->width_cap;
        e->rows_cap = m->max_tokens > e->rows_cap ? m->max_tokens : e->rows_cap;
        e->steps_cap = sl_infer_steps(m) > e->steps_cap ? sl_infer_steps(m) : e->steps_cap;
    }
    int rc = SL_OK;
    while (rc == SL_OK && e->lane_count < sl_infer_lanes(e->cl)) {
        rc = open_lane(e, ff, err);
    }
    return rc;
}

int sl_infer_engine_open(struct sl_cl *cl, const struct sl_model_set *set, uint32_t rows_cap,
                         struct sl_infer_engine *ret_engine, struct sl_error *err) {
    uint32_t vector = sl_infer_vector_width(cl);
    struct sl_infer_engine *e = ret_engine;
    *e = (struct sl_infer_engine){.cl = cl, .rows_cap = rows_cap, .width_cap = 1, .steps_cap = 1};
    e->tiled = vector == 1;
    e->query_block = e->tiled ? GPU_QUERIES : 2 * vector;
    int rc = sl_gemm_open(cl, &e->gemm, err);
    if (rc == SL_OK) {
        rc = open_rows(e, vector, err);
    }
    for (size_t i = 0; rc == SL_OK && i < sl_model_set_count(set); i++) {
        rc = open_model(e, sl_model_set_at(set, i), vector, err);
    }
    if (rc == SL_OK) {
        rc = open_lanes(e, set, err);
    }
    if (rc < 0) {
        sl_infer_engine_close(e);
    }
    return rc;
}
