/* SPDX-License-Identifier: Apache-2.0
 * Models in F32, F16 and Q8_0, in the exact widths of the encoder families that Sluice serves, on
 * every kind of kernel: the vectors are those of a float64 pass over the same stored weights, and
 * close to those of the float32 weights that were rounded. */
#include "agent/executors/infer_batch.h"
#include "agent/executors/infer_engine.h"
#include "tests/unit/agent/executors/infer_rig.h"

#define LINES 3u
static const uint32_t LENGTHS[LINES] = {5, 1, 7};

/* Depth is cut, since it costs time and meets no other code; tests/e2e has the whole depth. */
static const struct {
    const char *name;
    struct sl_tiny_bert model; /* layers, width, heads, ff, vocabulary, context, pooling, seed */
} FAMILIES[] = {
    {"bge-small, CLS", {1, 384, 12, 1536, 80, 512, SL_BERT_POOL_CLS, 21}},
    {"e5-base and gte-base, mean", {1, 768, 12, 3072, 80, 512, SL_BERT_POOL_MEAN, 22}},
    {"a width that is no multiple of the panels", {2, 96, 3, 160, 120, 64, SL_BERT_POOL_MEAN, 23}},
};
#define FAMILY_COUNT (sizeof FAMILIES / sizeof *FAMILIES)

static const struct {
    enum sl_ggml_type type;
    double stored_gap, rounded_gap; /* 1 - cosine at most */
} TYPES[] = {{SL_GGML_F32, 1e-6, 1e-6}, {SL_GGML_F16, 1e-6, 1e-4}, {SL_GGML_Q8_0, 1e-6, 1e-3}};
#define TYPE_COUNT (sizeof TYPES / sizeof *TYPES)

struct answers {
    double *vector[LINES]; /* of the float32 weights */
    int32_t *ids[LINES];
};

static double *reference(const struct sl_bert_model *m, const int32_t *ids, uint32_t n) {
    double *out = malloc(m->config.n_embd * sizeof *out);
    assert_non_null(out);
    assert_int_equal(sl_ref64_embed(m, ids, n, out), 0);
    return out;
}

static double gap_of(const double *a, const double *b, uint32_t n) {
    double ab = 0, aa = 0, bb = 0;
    for (uint32_t i = 0; i < n; i++) {
        ab += a[i] * b[i];
        aa += a[i] * a[i];
        bb += b[i] * b[i];
    }
    return 1 - ab / sqrt(aa * bb);
}

/* Vectors of all lines, [LINES][n_embd]. */
static float *run(struct sl_cl *cl, struct sl_model_set *set, int32_t *const *ids) {
    struct sl_infer_engine engine;
    struct sl_infer_batch batch;
    struct sl_error err = {0};
    if (sl_infer_engine_open(cl, set, 128, &engine, &err) != SL_OK ||
        sl_infer_batch_open(&engine, LINES, &batch, &err) != SL_OK) {
        fail_msg("%s", err.text);
    }
    for (uint32_t i = 0; i < LINES; i++) {
        batch.picks[i] = (struct sl_infer_pick){.ids = ids[i], .n_ids = LENGTHS[i]};
    }
    sl_infer_batch_fill(&engine, 0, 0, LINES, &batch);
    assert_int_equal(sl_infer_batch_upload(&engine, &batch, NULL), SL_OK);
    for (uint32_t step = 0; step < batch.steps; step++) {
        struct sl_infer_part part = {step, 0, sl_infer_step_groups(&engine, &batch.shape, step)};
        if (sl_infer_step_enqueue(&engine, &batch.shape, part, NULL, &err) != SL_OK) {
            fail_msg("%s", err.text);
        }
    }
    assert_int_equal(sl_infer_batch_fetch(&engine, &batch, NULL, NULL), SL_OK);
    clFinish(cl->queue);
    assert_true(sl_infer_batch_whole(&engine, &batch));
    size_t bytes = LINES * (size_t)engine.width_cap * sizeof(float);
    float *vectors = malloc(bytes);
    assert_non_null(vectors);
    memcpy(vectors, batch.vectors, bytes);
    sl_infer_batch_close(&engine, &batch);
    sl_infer_engine_close(&engine);
    return vectors;
}

static void check_type(struct sl_cl *cl, size_t family, size_t type, const struct answers *a) {
    const struct sl_tiny_bert *shape = &FAMILIES[family].model;
    uint32_t e = shape->n_embd;
    struct rig_weights weights;
    rig_weights_open(&weights, shape, TYPES[type].type);
    struct sl_model_set *set = rig_bytes_set(&weights.bytes);
    double stored[RIG_VARIANT_COUNT] = {0}, rounded = 0, *want[LINES];
    for (uint32_t i = 0; i < LINES; i++) {
        want[i] = reference(weights.model, a->ids[i], LENGTHS[i]);
        rounded = fmax(rounded, gap_of(want[i], a->vector[i], e));
    }
    struct sl_cl saved = *cl;
    for (size_t v = 0; v < RIG_VARIANT_COUNT; v++) {
        bool narrow = RIG_VARIANTS[v].vector > 0;
        if (narrow && e > 100) {
            continue; /* what differs between widths of vectors, the small model shows */
        }
        rig_take_variant(cl, &RIG_VARIANTS[v]);
        float *got = run(cl, set, a->ids);
        for (uint32_t i = 0; i < LINES; i++) {
            stored[v] = fmax(stored[v], rig_gap(got + (size_t)i * e, want[i], e));
            rounded = fmax(rounded, rig_gap(got + (size_t)i * e, a->vector[i], e));
        }
        free(got);
        cl->force_gpu_kernels = saved.force_gpu_kernels;
        cl->vector_width_float = saved.vector_width_float;
    }
    print_message("%s, %s: worst 1 - cosine to the stored weights %.1g (GPU kernels %.1g), to the "
                  "float32 ones %.2g\n",
                  FAMILIES[family].name, sl_ggml_type_name(TYPES[type].type), stored[0],
                  stored[RIG_VARIANT_COUNT - 1], rounded);
    for (size_t v = 0; v < RIG_VARIANT_COUNT; v++) {
        assert_true(stored[v] <= TYPES[type].stored_gap);
    }
    assert_true(rounded <= TYPES[type].rounded_gap);
    for (uint32_t i = 0; i < LINES; i++) {
        free(want[i]);
    }
    sl_model_set_destroy(set);
    rig_weights_close(&weights);
}

/* Random weights must tell texts apart, or every model would pass. */
static void check_spread(const struct answers *a, uint32_t e) {
    for (uint32_t i = 1; i < LINES; i++) {
        assert_true(gap_of(a->vector[0], a->vector[i], e) > 0.01);
    }
}

static void test_families(void **state) {
    struct sl_cl *cl = *state;
    for (size_t f = 0; f < FAMILY_COUNT; f++) {
        const struct sl_tiny_bert *shape = &FAMILIES[f].model;
        uint64_t seed = shape->seed;
        struct rig_weights exact;
        struct answers a;
        rig_weights_open(&exact, shape, SL_GGML_F32);
        for (uint32_t i = 0; i < LINES; i++) {
            a.ids[i] = rig_ids(LENGTHS[i], shape->n_vocab, &seed);
            a.vector[i] = reference(exact.model, a.ids[i], LENGTHS[i]);
        }
        check_spread(&a, shape->n_embd);
        size_t first = f == 1 ? 2 : 0; /* the wider one costs time: tests/e2e has it in F16 */
        for (size_t t = first; t < TYPE_COUNT; t++) {
            check_type(cl, f, t, &a);
        }
        for (uint32_t i = 0; i < LINES; i++) {
            free(a.ids[i]);
            free(a.vector[i]);
        }
        rig_weights_close(&exact);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_families)};
    return cmocka_run_group_tests(tests, rig_setup, rig_teardown);
}
