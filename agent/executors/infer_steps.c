/* SPDX-License-Identifier: Apache-2.0
 * The list of kernels of one micro-batch. */
#include <math.h>

#include "agent/executors/infer_args.h"
#include "agent/executors/infer_engine.h"
#include "agent/executors/model_pack.h"

/* Rows of one work-group of the CPU's row kernels: a few microseconds. */
#define CPU_ROWS_PER_GROUP 16u
#define GPU_ROW_ITEMS 64u
#define GPU_QUERY_ITEMS 64u

enum step_kind {
    STEP_INVALID = 0,
    STEP_EMBED,
    STEP_QKV,
    STEP_ATTENTION,
    STEP_OUT,
    STEP_ATTN_NORM,
    STEP_UP,
    STEP_DOWN,
    STEP_OUT_NORM,
    STEP_POOL,
};

struct step {
    enum step_kind kind;
    uint32_t layer;
};

uint32_t sl_infer_steps(const struct sl_model *model) {
    return 2 + SL_INFER_STEPS_PER_LAYER * model->bert->config.n_layer;
}

static struct step step_at(const struct sl_model *model, uint32_t number) {
    if (number == 0) {
        return (struct step){STEP_EMBED, 0};
    }
    if (number + 1 == sl_infer_steps(model)) {
        return (struct step){STEP_POOL, 0};
    }
    return (struct step){STEP_QKV + (number - 1) % SL_INFER_STEPS_PER_LAYER,
                         (number - 1) / SL_INFER_STEPS_PER_LAYER};
}

struct sl_infer_offsets sl_infer_offsets(const struct sl_infer_shape *shape) {
    struct sl_infer_offsets o = {.ids = sl_infer_steps(shape->model->model)};
    o.positions = o.ids + shape->rows;
    o.spans = o.positions + shape->rows;
    o.tasks = o.spans + 2 * shape->lines;
    o.end = o.tasks + 3 * shape->tasks;
    return o;
}

/* The product behind a step; false for steps that are none. */
static bool step_product(const struct sl_infer_engine *engine, const struct sl_infer_shape *shape,
                         struct step step, struct sl_gemm_call *ret_call) {
    const struct sl_bert_config *c = &shape->model->model->bert->config;
    const struct sl_infer_lane *lane = &engine->lanes[shape->lane];
    cl_mem *layer = shape->model->layers[step.layer];
    const struct sl_model_tensor *tensors = shape->model->model->layers[step.layer];
    enum sl_layer_tensor matrix = SL_LAYER_INVALID;
    struct sl_gemm_call call = {.rows = shape->rows, .n = c->n_embd, .k = c->n_embd};
    switch (step.kind) {
    case STEP_QKV:
        call.a = lane->hidden;
        matrix = SL_LAYER_QKV_W;
        call.bias = layer[SL_LAYER_QKV_B];
        call.residual = call.c = lane->qkv;
        call.n = 3 * c->n_embd;
        call.epilogue = SL_GEMM_BIAS;
        break;
    case STEP_OUT:
        call.a = lane->mixed;
        matrix = SL_LAYER_OUT_W;
        call.bias = layer[SL_LAYER_OUT_B];
        call.residual = lane->hidden;
        call.c = lane->sum;
        call.epilogue = SL_GEMM_RESIDUAL;
        break;
    case STEP_UP:
        call.a = lane->hidden;
        matrix = SL_LAYER_UP_W;
        call.bias = layer[SL_LAYER_UP_B];
        call.residual = call.c = lane->wide;
        call.n = c->n_ff;
        call.c_stride = sl_gemm_stride(c->n_ff);
        call.epilogue = SL_GEMM_GELU;
        break;
    case STEP_DOWN:
        call.a = lane->wide;
        matrix = SL_LAYER_DOWN_W;
        call.bias = layer[SL_LAYER_DOWN_B];
        call.residual = lane->hidden;
        call.c = lane->sum;
        call.k = c->n_ff;
        call.a_stride = sl_gemm_stride(c->n_ff);
        call.epilogue = SL_GEMM_RESIDUAL;
        break;
    case STEP_INVALID:
    case STEP_EMBED:
    case STEP_ATTENTION:
    case STEP_ATTN_NORM:
    case STEP_OUT_NORM:
    case STEP_POOL:
        return false;
    }
    call.b = layer[matrix];
    call.weights = sl_model_weights(&tensors[matrix]);
    *ret_call = call;
    return true;
}

static uint32_t rows_per_group(const struct sl_infer_engine *engine) {
    return engine->tiled ? 1 : CPU_ROWS_PER_GROUP;
}

uint32_t sl_infer_step_groups(const struct sl_infer_engine *engine,
                              const struct sl_infer_shape *shape, uint32_t number) {
    struct step step = step_at(shape->model->model, number);
    struct sl_gemm_call call;
    if (step_product(engine, shape, step, &call)) {
        return sl_gemm_groups(&engine->gemm, &call);
    }
    if (step.kind == STEP_ATTENTION) {
        return shape->tasks * shape->model->model->bert->config.n_head;
    }
    if (step.kind == STEP_POOL) {
        return shape->lines;
    }
    uint32_t rows = rows_per_group(engine);
    return (shape->rows + rows - 1) / rows;
}

uint64_t sl_infer_step_cost(const struct sl_infer_shape *shape, uint32_t number) {
    const struct sl_bert_config *c = &shape->model->model->bert->config;
    struct step step = step_at(shape->model->model, number);
    uint64_t plane = (uint64_t)shape->rows * c->n_embd;
    switch (step.kind) {
    case STEP_QKV:
        return plane * c->n_embd * 3;
    case STEP_OUT:
        return plane * c->n_embd;
    case STEP_UP:
    case STEP_DOWN:
        return plane * c->n_ff;
    case STEP_ATTENTION: /* two products at about half the speed, and softmax */
        return shape->pairs * c->n_embd * 5;
    case STEP_EMBED:
    case STEP_ATTN_NORM:
    case STEP_OUT_NORM:
    case STEP_POOL: /* bound by memory, not by arithmetic */
        return plane * 16;
    case STEP_INVALID:
        break;
    }
    return 0;
}

enum sl_embed_type sl_infer_embed_type(const struct sl_model *model) {
    enum sl_ggml_type type = model->embed[SL_EMBED_TOKEN].type;
    if (type == SL_GGML_F16) {
        return SL_EMBED_F16;
    }
    return type == SL_GGML_Q8_0 ? SL_EMBED_Q8_0 : SL_EMBED_F32; /* bert_config.h knows no others */
}

static int enqueue_embed(struct sl_infer_engine *e, const struct sl_infer_shape *shape,
                         const struct sl_infer_span *span, cl_event *ret_event,
                         struct sl_error *err) {
    const struct sl_infer_model *m = shape->model;
    struct sl_infer_offsets at = sl_infer_offsets(shape);
    struct sl_infer_args args =
        sl_infer_args_begin(e->cl, e->embed[sl_infer_embed_type(m->model)], span);
    sl_infer_args_mem(&args, shape->work);
    sl_infer_args_u32(&args, at.ids);
    sl_infer_args_u32(&args, at.positions);
    sl_infer_args_mem(&args, m->embed[SL_EMBED_TOKEN]);
    sl_infer_args_mem(&args, m->embed[SL_EMBED_POSITION]);
    sl_infer_args_mem(&args, m->embed[SL_EMBED_TYPE]);
    sl_infer_args_mem(&args, m->embed[SL_EMBED_NORM_W]);
    sl_infer_args_mem(&args, m->embed[SL_EMBED_NORM_B]);
    sl_infer_args_mem(&args, e->lanes[shape->lane].hidden);
    sl_infer_args_u32(&args, shape->rows);
    sl_infer_args_u32(&args, m->model->bert->config.n_embd);
    sl_infer_args_f32(&args, m->model->bert->config.norm_eps);
    sl_infer_args_u32(&args, rows_per_group(e));
    return sl_infer_args_launch(&args, e->tiled ? GPU_ROW_ITEMS : 1, "embed", ret_event, err);
}

static int enqueue_norm(struct sl_infer_engine *e, const struct sl_infer_shape *shape,
                        struct step step, const struct sl_infer_span *span, cl_event *ret_event,
                        struct sl_error *err) {
    const struct sl_infer_model *m = shape->model;
    bool attn = step.kind == STEP_ATTN_NORM;
    cl_mem *layer = m->layers[step.layer];
    struct sl_infer_args args = sl_infer_args_begin(e->cl, e->norm, span);
    sl_infer_args_mem(&args, e->lanes[shape->lane].sum);
    sl_infer_args_mem(&args, layer[attn ? SL_LAYER_ATTN_NORM_W : SL_LAYER_OUT_NORM_W]);
    sl_infer_args_mem(&args, layer[attn ? SL_LAYER_ATTN_NORM_B : SL_LAYER_OUT_NORM_B]);
    sl_infer_args_mem(&args, e->lanes[shape->lane].hidden);
    sl_infer_args_u32(&args, shape->rows);
    sl_infer_args_u32(&args, m->model->bert->config.n_embd);
    sl_infer_args_f32(&args, m->model->bert->config.norm_eps);
    sl_infer_args_u32(&args, rows_per_group(e));
    return sl_infer_args_launch(&args, e->tiled ? GPU_ROW_ITEMS : 1, "norm", ret_event, err);
}

static int enqueue_attention(struct sl_infer_engine *e, const struct sl_infer_shape *shape,
                             const struct sl_infer_span *span, cl_event *ret_event,
                             struct sl_error *err) {
    const struct sl_infer_attention *attention = shape->model->attention;
    const struct sl_bert_config *c = &shape->model->model->bert->config;
    struct sl_infer_args args = sl_infer_args_begin(e->cl, attention->kernel, span);
    sl_infer_args_mem(&args, shape->work);
    sl_infer_args_u32(&args, sl_infer_offsets(shape).tasks);
    sl_infer_args_mem(&args, e->lanes[shape->lane].qkv);
    sl_infer_args_mem(&args, e->lanes[shape->lane].mixed);
    sl_infer_args_u32(&args, c->n_head);
    sl_infer_args_u32(&args, c->n_embd);
    sl_infer_args_f32(&args, (float)(1 / sqrt(attention->head)));
    return sl_infer_args_launch(&args, e->tiled ? GPU_QUERY_ITEMS : 1, "attention", ret_event, err);
}

static int enqueue_pool(struct sl_infer_engine *e, const struct sl_infer_shape *shape,
                        const struct sl_infer_span *span, cl_event *ret_event,
                        struct sl_error *err) {
    const struct sl_bert_config *c = &shape->model->model->bert->config;
    struct sl_infer_args args = sl_infer_args_begin(e->cl, e->pool, span);
    sl_infer_args_mem(&args, shape->work);
    sl_infer_args_u32(&args, sl_infer_offsets(shape).spans);
    sl_infer_args_mem(&args, e->lanes[shape->lane].hidden);
    sl_infer_args_mem(&args, shape->out);
    sl_infer_args_u32(&args, shape->lines);
    sl_infer_args_u32(&args, c->n_embd);
    sl_infer_args_u32(&args, c->pooling == SL_BERT_POOL_CLS ? 1 : UINT32_MAX);
    sl_infer_args_u32(&args, 1);
    return sl_infer_args_launch(&args, e->tiled ? GPU_ROW_ITEMS : 1, "pool", ret_event, err);
}

int sl_infer_step_enqueue(struct sl_infer_engine *engine, const struct sl_infer_shape *shape,
                          struct sl_infer_part part, cl_event *ret_event, struct sl_error *err) {
    struct sl_infer_span span = {shape->work, part.step, part.first, part.count,
                                 engine->lanes[shape->lane].queue};
    struct step step = step_at(shape->model->model, part.step);
    struct sl_gemm_call call;
    if (step_product(engine, shape, step, &call)) {
        return sl_gemm_enqueue(&engine->gemm, &call, &span, ret_event, err);
    }
    if (step.kind == STEP_EMBED) {
        return enqueue_embed(engine, shape, &span, ret_event, err);
    }
    if (step.kind == STEP_ATTENTION) {
        return enqueue_attention(engine, shape, &span, ret_event, err);
    }
    if (step.kind == STEP_POOL) {
        return enqueue_pool(engine, shape, &span, ret_event, err);
    }
    return enqueue_norm(engine, shape, step, &span, ret_event, err);
}
