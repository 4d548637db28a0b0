/* SPDX-License-Identifier: Apache-2.0
 * Every kernel of the encoder against float64, step by step and as a whole, in every variant. */
#include "agent/executors/infer_engine.h"

#include "agent/executors/infer_batch.h"
#include "tests/unit/agent/executors/infer_rig.h"

struct shape_row {
    struct sl_tiny_bert model;
    const char *why;
};
static const struct shape_row SHAPES[] = {
    {{1, 39, 3, 50, 80, 70, SL_BERT_POOL_MEAN, 3}, "nothing divides anything"},
    {{2, 64, 4, 128, 96, 64, SL_BERT_POOL_CLS, 4}, "heads of 16, CLS pooling"},
    {{1, 96, 3, 200, 90, 300, SL_BERT_POOL_MEAN, 5}, "heads of 32, long lines"},
    {{1, 128, 2, 160, 90, 40, SL_BERT_POOL_MEAN, 6}, "heads of 64"},
    {{3, 20, 5, 33, 81, 33, SL_BERT_POOL_MEAN, 8}, "heads of 4"},
};
#define SHAPE_COUNT (sizeof SHAPES / sizeof *SHAPES)

/* Lengths around every block size; those over a model's context are cut to it. */
static const uint32_t LENGTHS[] = {1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 64, 65, 129, 300};
#define LENGTH_COUNT (sizeof LENGTHS / sizeof *LENGTHS)

struct bed {
    struct sl_cl *cl;
    struct sl_model_set *set;
    struct rig_weights weights; /* what the set was made of */
    struct sl_infer_engine engine;
    struct sl_infer_batch batch;
    int32_t *ids[LENGTH_COUNT];
};

static void bed_open(struct bed *bed, struct sl_cl *cl, const struct sl_tiny_bert *shape) {
    uint64_t seed = shape->seed * 1000 + 1;
    struct sl_error err = {0};
    *bed = (struct bed){.cl = cl, .set = rig_tiny_set(shape)};
    rig_weights_open(&bed->weights, shape, SL_GGML_F32);
    if (sl_infer_engine_open(cl, bed->set, 900, &bed->engine, &err) != SL_OK ||
        sl_infer_batch_open(&bed->engine, 64, &bed->batch, &err) != SL_OK) {
        fail_msg("%s", err.text);
    }
    for (size_t i = 0; i < LENGTH_COUNT; i++) {
        uint32_t n = LENGTHS[i] < shape->n_ctx ? LENGTHS[i] : shape->n_ctx;
        bed->ids[i] = rig_ids(n, shape->n_vocab, &seed);
        bed->batch.picks[i] = (struct sl_infer_pick){.ids = bed->ids[i], .n_ids = n};
    }
}

static void bed_close(struct bed *bed) {
    sl_infer_batch_close(&bed->engine, &bed->batch);
    sl_infer_engine_close(&bed->engine);
    sl_model_set_destroy(bed->set);
    rig_weights_close(&bed->weights);
    for (size_t i = 0; i < LENGTH_COUNT; i++) {
        free(bed->ids[i]);
    }
}

static void enqueue_step(struct bed *bed, uint32_t step) {
    uint32_t groups = sl_infer_step_groups(&bed->engine, &bed->batch.shape, step);
    struct sl_infer_part part = {step, 0, groups};
    struct sl_error err = {0};
    if (sl_infer_step_enqueue(&bed->engine, &bed->batch.shape, part, NULL, &err) != SL_OK) {
        fail_msg("%s", err.text);
    }
}

static void run_whole(struct bed *bed, uint32_t lines) {
    sl_infer_batch_fill(&bed->engine, 0, 0, lines, &bed->batch);
    assert_int_equal(sl_infer_batch_upload(&bed->engine, &bed->batch, NULL), SL_OK);
    for (uint32_t step = 0; step < bed->batch.steps; step++) {
        enqueue_step(bed, step);
    }
    assert_int_equal(sl_infer_batch_fetch(&bed->engine, &bed->batch, NULL, NULL), SL_OK);
    clFinish(bed->cl->queue);
    assert_true(sl_infer_batch_whole(&bed->engine, &bed->batch));
}

static double *to_double(const float *in, size_t n) {
    double *out = malloc(n * sizeof *out);
    assert_non_null(out);
    for (size_t i = 0; i < n; i++) {
        out[i] = (double)in[i];
    }
    return out;
}

static double *fetch(struct bed *bed, cl_mem mem, size_t n) {
    float *raw = malloc(n * sizeof *raw);
    assert_non_null(raw);
    rig_read(bed->cl, mem, raw, n * sizeof *raw);
    double *out = to_double(raw, n);
    free(raw);
    return out;
}

static void check(const double *got, const double *want, size_t n, const char *what) {
    double worst = 0, top = 1;
    for (size_t i = 0; i < n; i++) {
        top = fmax(top, fabs(want[i]));
        worst = fmax(worst, fabs(got[i] - want[i]));
        if (isnan(got[i])) {
            worst = INFINITY;
        }
    }
    if (!(worst <= 5e-6 * top)) {
        fail_msg("%s: off by %g (largest value %g)", what, worst, top);
    }
}

/* Writes behind the end must not happen either: they would hit a neighbour, and only sometimes. */
static const float SENTINEL = 12345.0f;

static void soil(struct bed *bed, cl_mem mem) {
    size_t bytes = 0;
    assert_int_equal(clGetMemObjectInfo(mem, CL_MEM_SIZE, sizeof bytes, &bytes, NULL), CL_SUCCESS);
    assert_int_equal(clEnqueueFillBuffer(bed->cl->queue, mem, &SENTINEL, sizeof SENTINEL, 0, bytes,
                                         0, NULL, NULL),
                     CL_SUCCESS);
}

static void check_soil(struct bed *bed, cl_mem mem, size_t from, const char *what) {
    size_t bytes = 0;
    assert_int_equal(clGetMemObjectInfo(mem, CL_MEM_SIZE, sizeof bytes, &bytes, NULL), CL_SUCCESS);
    double *all = fetch(bed, mem, bytes / sizeof(float));
    for (size_t i = from; i < bytes / sizeof(float); i++) {
        if (all[i] != (double)SENTINEL) {
            fail_msg("%s wrote behind its end, at +%zu", what, i - from);
        }
    }
    free(all);
}

/* Runs one step; what it read and what it wrote, in double. */
struct seen {
    double *in, *out;
};
static struct seen step_seen(struct bed *bed, uint32_t step, cl_mem in, size_t n_in, cl_mem out,
                             size_t n_out) {
    struct seen seen = {.in = fetch(bed, in, n_in)};
    enqueue_step(bed, step);
    seen.out = fetch(bed, out, n_out);
    return seen;
}

static void check_embed(struct bed *bed, const struct sl_bert_model *m) {
    uint32_t e = m->config.n_embd, row = 0;
    soil(bed, bed->engine.lanes[0].hidden);
    enqueue_step(bed, 0);
    check_soil(bed, bed->engine.lanes[0].hidden, (size_t)bed->batch.shape.rows * e, "embed");
    double *got = fetch(bed, bed->engine.lanes[0].hidden, (size_t)bed->batch.shape.rows * e);
    double *want = malloc((size_t)bed->batch.shape.rows * e * sizeof *want);
    assert_non_null(want);
    for (uint32_t line = 0; line < bed->batch.shape.lines; line++) {
        const struct sl_infer_pick *pick = &bed->batch.picks[line];
        for (uint32_t t = 0; t < pick->n_ids; t++, row++) {
            sl_ref64_embedding(m, pick->ids[t], t, want + (size_t)row * e);
        }
    }
    sl_ref64_layer_norm(want, m->embd_norm_w, m->embd_norm_b, row, e, (double)m->config.norm_eps);
    check(got, want, (size_t)row * e, "embed");
    free(got);
    free(want);
}

static void check_attention(struct bed *bed, const struct sl_bert_model *m, uint32_t step) {
    uint32_t e = m->config.n_embd, rows = bed->batch.shape.rows, row = 0;
    size_t plane = (size_t)rows * e;
    soil(bed, bed->engine.lanes[0].mixed);
    struct seen seen = step_seen(bed, step, bed->engine.lanes[0].qkv, plane * 3,
                                 bed->engine.lanes[0].mixed, plane);
    check_soil(bed, bed->engine.lanes[0].mixed, plane, "attention");
    double *part[3], *want = malloc(plane * sizeof *want);
    assert_non_null(want);
    for (size_t p = 0; p < 3; p++) {
        part[p] = malloc(plane * sizeof *part[p]);
        assert_non_null(part[p]);
        for (size_t i = 0; i < plane; i++) {
            part[p][i] = seen.in[i / e * e * 3 + p * e + i % e];
        }
    }
    for (uint32_t line = 0; line < bed->batch.shape.lines; line++) {
        uint32_t n = bed->batch.picks[line].n_ids;
        size_t at = (size_t)row * e;
        sl_ref64_attention(part[0] + at, part[1] + at, part[2] + at, n, m->config.n_head,
                           e / m->config.n_head, want + at);
        row += n;
    }
    check(seen.out, want, plane, "attention");
    for (size_t p = 0; p < 3; p++) {
        free(part[p]);
    }
    free(seen.in);
    free(seen.out);
    free(want);
}

static void check_norm(struct bed *bed, uint32_t step, const float *w, const float *b, float eps) {
    uint32_t e = bed->engine.width_cap, rows = bed->batch.shape.rows;
    size_t plane = (size_t)rows * e;
    soil(bed, bed->engine.lanes[0].hidden);
    struct seen seen =
        step_seen(bed, step, bed->engine.lanes[0].sum, plane, bed->engine.lanes[0].hidden, plane);
    check_soil(bed, bed->engine.lanes[0].hidden, plane, "norm");
    sl_ref64_layer_norm(seen.in, w, b, rows, e, (double)eps);
    check(seen.out, seen.in, plane, "norm");
    free(seen.in);
    free(seen.out);
}

static void check_product(struct bed *bed, uint32_t step, const struct sl_bert_model *m,
                          bool way_up) {
    const struct sl_bert_layer *l = &m->layers[0];
    uint32_t e = m->config.n_embd, f = m->config.n_ff, rows = bed->batch.shape.rows;
    size_t plane = (size_t)rows * e, wide = (size_t)rows * f;
    cl_mem out = way_up ? bed->engine.lanes[0].wide : bed->engine.lanes[0].sum;
    struct seen seen =
        step_seen(bed, step, way_up ? bed->engine.lanes[0].hidden : bed->engine.lanes[0].mixed,
                  plane, out, way_up ? wide : plane);
    double *want = malloc((way_up ? wide : plane) * sizeof *want);
    assert_non_null(want);
    if (way_up) {
        sl_ref64_linear(seen.in, &l->up_w, l->up_b, rows, f, want);
        sl_ref64_gelu(want, wide);
    } else {
        double *hidden = fetch(bed, bed->engine.lanes[0].hidden, plane);
        sl_ref64_linear(seen.in, &l->out_w, l->out_b, rows, e, want);
        for (size_t i = 0; i < plane; i++) {
            want[i] += hidden[i];
        }
        free(hidden);
    }
    check(seen.out, want, way_up ? wide : plane, way_up ? "up" : "out");
    free(seen.in);
    free(seen.out);
    free(want);
}

static void check_pool(struct bed *bed, uint32_t step, const struct sl_bert_model *m) {
    uint32_t e = m->config.n_embd, row = 0;
    size_t plane = (size_t)bed->batch.shape.rows * e;
    size_t vectors = (size_t)bed->batch.shape.lines * e;
    soil(bed, bed->batch.shape.out);
    struct seen seen =
        step_seen(bed, step, bed->engine.lanes[0].hidden, plane, bed->batch.shape.out, vectors);
    check_soil(bed, bed->batch.shape.out, vectors, "pool");
    double *want = malloc(e * sizeof *want);
    assert_non_null(want);
    for (uint32_t line = 0; line < bed->batch.shape.lines; line++) {
        uint32_t n = bed->batch.picks[line].n_ids;
        sl_ref64_pool(seen.in + (size_t)row * e, n, e, m->config.pooling, want);
        check(seen.out + (size_t)line * e, want, e, "pool");
        row += n;
    }
    free(seen.in);
    free(seen.out);
    free(want);
}

static void test_steps(void **state) {
    struct sl_cl *cl = *state, saved = *cl;
    for (size_t v = 0; v < RIG_VARIANT_COUNT; v++) {
        rig_take_variant(cl, &RIG_VARIANTS[v]);
        for (size_t s = 0; s < SHAPE_COUNT; s++) {
            struct bed bed;
            bed_open(&bed, cl, &SHAPES[s].model);
            const struct sl_bert_model *m = bed.weights.model;
            const struct sl_bert_layer *l = &m->layers[0];
            sl_infer_batch_fill(&bed.engine, 0, 0, LENGTH_COUNT, &bed.batch);
            assert_int_equal(sl_infer_batch_upload(&bed.engine, &bed.batch, NULL), SL_OK);
            check_embed(&bed, m);
            enqueue_step(&bed, 1);
            check_attention(&bed, m, 2);
            check_product(&bed, 3, m, false);
            check_norm(&bed, 4, l->attn_norm_w, l->attn_norm_b, m->config.norm_eps);
            check_product(&bed, 5, m, true);
            enqueue_step(&bed, 6);
            check_norm(&bed, 7, l->out_norm_w, l->out_norm_b, m->config.norm_eps);
            check_pool(&bed, bed.batch.steps - 1, m);
            bed_close(&bed);
        }
        cl->force_gpu_kernels = saved.force_gpu_kernels;
        cl->vector_width_float = saved.vector_width_float;
    }
}

static void test_models(void **state) {
    struct sl_cl *cl = *state, saved = *cl;
    for (size_t v = 0; v < RIG_VARIANT_COUNT; v++) {
        double worst = 0;
        rig_take_variant(cl, &RIG_VARIANTS[v]);
        for (size_t s = 0; s < SHAPE_COUNT; s++) {
            struct bed bed;
            bed_open(&bed, cl, &SHAPES[s].model);
            const struct sl_bert_model *m = bed.weights.model;
            uint32_t e = m->config.n_embd;
            run_whole(&bed, LENGTH_COUNT);
            double *want = malloc(e * sizeof *want);
            assert_non_null(want);
            for (uint32_t line = 0; line < LENGTH_COUNT; line++) {
                const struct sl_infer_pick *pick = &bed.batch.picks[line];
                assert_int_equal(sl_ref64_embed(m, pick->ids, pick->n_ids, want), 0);
                worst = fmax(worst, rig_gap(bed.batch.vectors + (size_t)line * e, want, e));
            }
            free(want);
            bed_close(&bed);
        }
        print_message("%s: worst 1 - cosine %.2g\n", RIG_VARIANTS[v].name, worst);
        assert_true(worst <= 1e-6);
        cl->force_gpu_kernels = saved.force_gpu_kernels;
        cl->vector_width_float = saved.vector_width_float;
    }
}

/* A line's bits do not depend on its neighbours or its place. */
static void test_neighbours(void **state) {
    struct sl_cl *cl = *state, saved = *cl;
    for (size_t v = 0; v < RIG_VARIANT_COUNT; v++) {
        rig_take_variant(cl, &RIG_VARIANTS[v]);
        struct bed bed;
        bed_open(&bed, cl, &SHAPES[2].model);
        uint32_t e = SHAPES[2].model.n_embd;
        run_whole(&bed, LENGTH_COUNT);
        size_t bytes = LENGTH_COUNT * e * sizeof(float);
        float *together = malloc(bytes);
        assert_non_null(together);
        memcpy(together, bed.batch.vectors, bytes);
        struct sl_infer_pick picks[LENGTH_COUNT];
        memcpy(picks, bed.batch.picks, sizeof picks);
        for (size_t line = 0; line < LENGTH_COUNT; line++) {
            bed.batch.picks[0] = picks[line];
            run_whole(&bed, 1);
            assert_memory_equal(bed.batch.vectors, together + line * e, e * sizeof(float));
        }
        for (size_t i = 0; i < LENGTH_COUNT; i++) { /* the other way round */
            bed.batch.picks[i] = picks[LENGTH_COUNT - 1 - i];
        }
        run_whole(&bed, LENGTH_COUNT);
        for (size_t i = 0; i < LENGTH_COUNT; i++) {
            assert_memory_equal(bed.batch.vectors + i * e, together + (LENGTH_COUNT - 1 - i) * e,
                                e * sizeof(float));
        }
        free(together);
        bed_close(&bed);
        cl->force_gpu_kernels = saved.force_gpu_kernels;
        cl->vector_width_float = saved.vector_width_float;
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_steps),
        cmocka_unit_test(test_models),
        cmocka_unit_test(test_neighbours),
    };
    return cmocka_run_group_tests(tests, rig_setup, rig_teardown);
}
