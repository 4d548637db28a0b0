/* SPDX-License-Identifier: Apache-2.0
 * Matrix products in every way and with every kind of weights against float64, at sizes that fill
 * no tile, and to the bit against each other. */
#include "agent/executors/infer_gemm.h"

#include "agent/executors/infer_gemm_internal.h"
#include "tests/unit/agent/executors/infer_rig.h"

struct size_row {
    uint32_t rows, n, k;
    const char *why;
};
static const struct size_row SIZES[] = {
    {1, 1, 1, "smallest"},
    {13, 33, 17, "one more than a tile in each direction"},
    {65, 95, 39, "odd everything"},
    {130, 130, 96, "one more than the largest tile"},
    {40, 384, 1536, "MiniLM's way down"},
    {173, 72, 800, "more of A than a CPU device takes in one sweep"},
};
/* Q8_0 has blocks of 32. */
static const struct size_row SIZES_STORED[] = {{29, 33, 64, "odd rows and columns"}};

/* One product and its float64 twin. */
struct problem {
    struct size_row size;
    enum sl_gemm_epilogue epilogue;
    enum sl_weight_type type;
    uint32_t a_stride, c_stride;
    float *a, *w, *bias, *residual, *got; /* w: what the stored weights are worth */
    uint8_t *stored;
};

static float half_value(uint16_t h) {
    double m = h & 0x3ff;
    int e = h >> 10 & 0x1f;
    double v = e ? ldexp(1024 + m, e - 25) : ldexp(m, -24);
    return (float)(h & 0x8000 ? -v : v);
}

/* Any finite half, denormal ones too, of about a weight's size. */
static uint16_t random_half(uint64_t *seed) {
    uint16_t bits = (uint16_t)rig_random(seed);
    return (uint16_t)((bits & 0x83ffu) | (uint16_t)((rig_random(seed) >> 40) % 13) << 10);
}

static void make_weights(struct problem *p, uint64_t *seed) {
    struct size_row s = p->size;
    size_t row_bytes = sl_gemm_row_bytes(p->type, s.k);
    p->stored = malloc(s.n * row_bytes);
    assert_non_null(p->stored);
    for (size_t i = 0; i < (size_t)s.n * s.k; i++) {
        uint8_t *row = p->stored + i / s.k * row_bytes;
        uint32_t at = (uint32_t)(i % s.k);
        if (p->type == SL_WEIGHT_F32) {
            memcpy(row + at * sizeof(float), &p->w[i], sizeof(float));
        } else if (p->type == SL_WEIGHT_F16) {
            uint16_t h = random_half(seed);
            memcpy(row + at * sizeof h, &h, sizeof h);
            p->w[i] = half_value(h);
        } else {
            uint8_t *block = row + at / 32 * 34;
            uint16_t scale = random_half(seed) & 0x23ffu;
            if (at % 32 == 0) {
                memcpy(block, &scale, sizeof scale);
            }
            memcpy(&scale, block, sizeof scale);
            int8_t q = (int8_t)rig_random(seed);
            memcpy(block + 2 + at % 32, &q, 1);
            p->w[i] = half_value(scale) * q;
        }
    }
}

static struct problem problem_make(struct size_row size, enum sl_gemm_epilogue epilogue,
                                   enum sl_weight_type type, uint64_t *seed) {
    struct problem p = {.size = size, .epilogue = epilogue, .type = type};
    size_t rows = size.rows + SL_GEMM_ROWS_PAD;
    p.a_stride = size.k + (epilogue == SL_GEMM_RESIDUAL ? 5 : 0);
    p.c_stride = size.n + (epilogue == SL_GEMM_RESIDUAL ? 3 : 0);
    p.a = rig_floats(rows * p.a_stride, seed, -1, 1);
    p.w = rig_floats((size_t)size.n * size.k, seed, -0.2f, 0.2f);
    p.bias = rig_floats(size.n, seed, -1, 1);
    p.residual = rig_floats(rows * p.c_stride, seed, -1, 1);
    p.got = rig_floats(rows * p.c_stride, seed, 9e9f, 9e9f);
    make_weights(&p, seed);
    return p;
}

static void problem_free(struct problem *p) {
    free(p->a);
    free(p->w);
    free(p->bias);
    free(p->residual);
    free(p->got);
    free(p->stored);
}

/* *ret_scale: the sum of magnitudes, which is what rounding errors are in proportion to. */
static double expected(const struct problem *p, uint32_t row, uint32_t col, double *ret_scale) {
    uint32_t k = p->size.k;
    double sum = 0;
    *ret_scale = 1;
    for (uint32_t i = 0; i < k; i++) {
        double term =
            (double)p->a[(size_t)row * p->a_stride + i] * (double)p->w[(size_t)col * k + i];
        sum += term;
        *ret_scale += fabs(term);
    }
    sum += (double)p->bias[col];
    if (p->epilogue == SL_GEMM_GELU) {
        return sum * 0.5 * (1 + erf(sum / sqrt(2)));
    }
    return p->epilogue == SL_GEMM_RESIDUAL
               ? sum + (double)p->residual[(size_t)row * p->c_stride + col]
               : sum;
}

static void assert_right(const struct problem *p, const char *variant) {
    for (uint32_t row = 0; row < p->size.rows; row++) {
        for (uint32_t col = 0; col < p->size.n; col++) {
            double scale = 0, want = expected(p, row, col, &scale);
            double gap = fabs((double)p->got[(size_t)row * p->c_stride + col] - want);
            if (!(gap / scale <= 1e-6)) {
                fail_msg("%s, type %d, %s: off by %g at %u, %u", variant, (int)p->type, p->size.why,
                         gap / scale, row, col);
            }
        }
    }
}

/* Runs it in `parts` launches, the way that gemm was told for this shape. */
static void problem_run(struct sl_gemm *gemm, struct problem *p, uint32_t parts) {
    struct size_row s = p->size;
    size_t rows = s.rows + SL_GEMM_ROWS_PAD;
    size_t packed_bytes = sl_gemm_packed_bytes(p->type, s.n, s.k);
    uint8_t *packed = calloc(1, packed_bytes);
    float *bias = calloc(sl_gemm_padded(s.n), sizeof *bias);
    assert_non_null(packed);
    assert_non_null(bias);
    sl_gemm_pack(p->type, p->stored, s.n, s.k, 0, packed);
    memcpy(bias, p->bias, s.n * sizeof *bias);
    struct sl_gemm_call call = {.rows = s.rows,
                                .n = s.n,
                                .k = s.k,
                                .epilogue = p->epilogue,
                                .weights = p->type,
                                .a_stride = p->a_stride,
                                .c_stride = p->c_stride};
    call.a = rig_buffer(gemm->cl, p->a, rows * p->a_stride * sizeof(float));
    call.b = rig_buffer(gemm->cl, packed, packed_bytes);
    call.bias = rig_buffer(gemm->cl, bias, sl_gemm_padded(s.n) * sizeof(float));
    call.residual = rig_buffer(gemm->cl, p->residual, rows * p->c_stride * sizeof(float));
    call.c = rig_buffer(gemm->cl, p->got, rows * p->c_stride * sizeof(float));
    cl_mem counters = rig_buffer(gemm->cl, NULL, 64);

    uint32_t groups = sl_gemm_groups(gemm, &call);
    struct sl_error err = {0};
    for (uint32_t i = 0; i < parts; i++) {
        uint32_t first = groups * i / parts, last = groups * (i + 1) / parts;
        struct sl_infer_span span = {counters, 5, first, last - first, NULL};
        if (last > first) {
            assert_int_equal(sl_gemm_enqueue(gemm, &call, &span, NULL, &err), SL_OK);
        }
    }
    uint32_t counted[16];
    rig_read(gemm->cl, counters, counted, sizeof counted);
    rig_read(gemm->cl, call.c, p->got, rows * p->c_stride * sizeof(float));
    cl_mem all[] = {call.a, call.b, call.bias, call.residual, call.c, counters};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        clReleaseMemObject(all[i]);
    }
    free(packed);
    free(bias);
    assert_true(groups > 0);
    assert_int_equal(counted[5], groups);
    assert_int_equal(counted[4], 0);
}

/* Calls `body` with every way of every variant of the device, for one type of weights. */
typedef void body_fn(struct sl_gemm *gemm, struct sl_gemm_way way, const char *name, void *arg);
static void each_way(struct sl_cl *cl, enum sl_weight_type type, body_fn *body, void *arg) {
    struct sl_cl saved = *cl;
    for (size_t v = 0; v < RIG_VARIANT_COUNT; v++) {
        struct sl_gemm_way ways[SL_GEMM_WAYS_MAX];
        struct sl_gemm gemm;
        rig_take_variant(cl, &RIG_VARIANTS[v]);
        assert_int_equal(sl_gemm_open(cl, &gemm, NULL), SL_OK);
        uint32_t count = sl_gemm_ways(&gemm, type, ways);
        assert_true(count > 0);
        /* What differs for stored weights is how one is read: two tiles tell. Compiling is slow. */
        uint32_t step = type != SL_WEIGHT_F32 && v > 0 ? 2 : 1;
        for (uint32_t i = 0; i < count; i += step) {
            body(&gemm, ways[i], RIG_VARIANTS[v].name, arg);
        }
        sl_gemm_close(&gemm);
        cl->force_gpu_kernels = saved.force_gpu_kernels;
        cl->vector_width_float = saved.vector_width_float;
    }
}

static void compare_float64(struct sl_gemm *gemm, struct sl_gemm_way way, const char *name,
                            void *arg) {
    static const enum sl_gemm_epilogue EPILOGUES[] = {SL_GEMM_BIAS, SL_GEMM_GELU, SL_GEMM_RESIDUAL};
    enum sl_weight_type type = *(enum sl_weight_type *)arg;
    bool plain = type == SL_WEIGHT_F32;
    const struct size_row *sizes = plain ? SIZES : SIZES_STORED;
    size_t count = plain ? sizeof SIZES / sizeof *SIZES : 1;
    uint64_t seed = 7;
    for (size_t i = 0; i < 3 * count; i++) {
        struct problem p = problem_make(sizes[i / 3], EPILOGUES[i % 3], type, &seed);
        assert_int_equal(sl_gemm_use_way(gemm, type, p.size.n, p.size.k, way, NULL), SL_OK);
        problem_run(gemm, &p, 1);
        assert_right(&p, name);
        problem_free(&p);
    }
}

static void test_against_float64(void **state) {
    for (enum sl_weight_type type = SL_WEIGHT_F32; type < SL_WEIGHT_TYPES; type++) {
        each_way(*state, type, compare_float64, &type);
    }
}

/* Of the same weights: what the first way gave. */
struct same {
    struct problem whole;
    float *answer;
};

/* Rows are independent to the last bit, parts add up, and all ways agree: what stop, resume and
 * determinism rest on. */
static void compare_bits(struct sl_gemm *gemm, struct sl_gemm_way way, const char *name,
                         void *arg) {
    struct same *same = arg;
    struct problem *whole = &same->whole;
    size_t bytes = (size_t)whole->size.rows * whole->c_stride * sizeof(float);
    (void)name;
    assert_int_equal(sl_gemm_use_way(gemm, whole->type, whole->size.n, whole->size.k, way, NULL),
                     SL_OK);
    problem_run(gemm, whole, 1);
    if (!same->answer) {
        same->answer = malloc(bytes);
        assert_non_null(same->answer);
        memcpy(same->answer, whole->got, bytes);
    }
    assert_memory_equal(whole->got, same->answer, bytes);
    problem_run(gemm, whole, 7);
    assert_memory_equal(whole->got, same->answer, bytes);
    for (uint32_t row = 0; row < whole->size.rows; row += 37) { /* a row on its own */
        struct problem one = *whole;
        one.size.rows = 1;
        one.a = whole->a + (size_t)row * whole->a_stride;
        one.got = malloc((1 + SL_GEMM_ROWS_PAD) * whole->c_stride * sizeof(float));
        assert_non_null(one.got);
        memcpy(one.got, whole->got, whole->c_stride * sizeof(float));
        problem_run(gemm, &one, 1);
        assert_memory_equal(one.got, same->answer + (size_t)row * whole->c_stride,
                            whole->size.n * sizeof(float));
        free(one.got);
    }
}

static void test_same_bits(void **state) {
    struct size_row size = {101, 96, 64, "odd rows"};
    for (enum sl_weight_type type = SL_WEIGHT_F32; type < SL_WEIGHT_TYPES; type++) {
        uint64_t seed = 99;
        struct same same = {.whole = problem_make(size, SL_GEMM_GELU, type, &seed)};
        /* Stored weights give the bits of the floats that they stand for. */
        struct problem plain = same.whole;
        struct sl_gemm gemm;
        struct sl_gemm_way ways[SL_GEMM_WAYS_MAX];
        plain.type = SL_WEIGHT_F32;
        make_weights(&plain, &seed);
        assert_int_equal(sl_gemm_open(*state, &gemm, NULL), SL_OK);
        sl_gemm_ways(&gemm, SL_WEIGHT_F32, ways);
        struct same first = {.whole = plain};
        compare_bits(&gemm, ways[0], "plain", &first);
        free(first.answer);
        size_t bytes = (size_t)size.rows * plain.c_stride * sizeof(float);
        same.answer = malloc(bytes);
        assert_non_null(same.answer);
        memcpy(same.answer, plain.got, bytes);
        sl_gemm_close(&gemm);
        each_way(*state, type, compare_bits, &same);
        free(plain.stored);
        free(same.answer);
        problem_free(&same.whole);
    }
}

/* A set stop word: nothing runs, nothing is written. */
static void test_stopped(void **state) {
    struct sl_cl *cl = *state;
    struct sl_gemm gemm;
    assert_int_equal(sl_gemm_open(cl, &gemm, NULL), SL_OK);
    if (cl->stop_method == SL_STOP_NONE) {
        sl_gemm_close(&gemm);
        print_message("running kernels of this device see no stop word\n");
        skip();
    }
    assert_int_equal(sl_gemm_use(&gemm, SL_WEIGHT_F32, 32, 32, NULL), SL_OK);
    float before[(3 + SL_GEMM_ROWS_PAD) * 32], zero[(3 + SL_GEMM_ROWS_PAD) * 32] = {0};
    cl_mem mem = rig_buffer(cl, zero, sizeof zero);
    cl_mem counters = rig_buffer(cl, NULL, 64);
    struct sl_gemm_call call = {.a = mem,
                                .b = mem,
                                .bias = mem,
                                .residual = mem,
                                .c = rig_buffer(cl, zero, sizeof zero),
                                .rows = 3,
                                .n = 32,
                                .k = 32,
                                .epilogue = SL_GEMM_BIAS,
                                .weights = SL_WEIGHT_F32};
    struct sl_infer_span span = {counters, 0, 0, sl_gemm_groups(&gemm, &call), NULL};
    sl_cl_stop_set(cl, true);
    assert_int_equal(sl_gemm_enqueue(&gemm, &call, &span, NULL, NULL), SL_OK);
    uint32_t counted = 99;
    rig_read(cl, counters, &counted, sizeof counted);
    sl_cl_stop_set(cl, false);
    assert_int_equal(counted, 0);
    rig_read(cl, call.c, before, sizeof before);
    assert_memory_equal(before, zero, sizeof zero);
    clReleaseMemObject(mem);
    clReleaseMemObject(counters);
    clReleaseMemObject(call.c);
    sl_gemm_close(&gemm);
}

static void test_refused(void **state) {
    static struct sl_gemm gemm;
    struct sl_error err = {0};
    assert_int_equal(sl_gemm_open(*state, &gemm, NULL), SL_OK);
    assert_int_equal(sl_gemm_use(&gemm, SL_WEIGHT_Q8_0, 32, 33, &err), -SL_UNSUPPORTED);
    assert_non_null(strstr(err.text, "multiple of 32"));
    assert_int_equal(sl_gemm_use(&gemm, (enum sl_weight_type)9, 32, 32, NULL), -SL_UNSUPPORTED);
    assert_int_equal(sl_gemm_use(&gemm, SL_WEIGHT_F32, 0, 32, NULL), -SL_UNSUPPORTED);
    struct sl_gemm_call call = {.rows = 3, .n = 32, .k = 32, .weights = SL_WEIGHT_F32};
    struct sl_infer_span span = {.count = 1};
    assert_int_equal(sl_gemm_groups(&gemm, &call), 0);
    assert_int_equal(sl_gemm_enqueue(&gemm, &call, &span, NULL, NULL), -SL_INVALID);
    for (uint32_t i = 0; i < SL_GEMM_SHAPES_MAX; i++) {
        assert_int_equal(
            sl_gemm_use_way(&gemm, SL_WEIGHT_F32, i + 1, 1, (struct sl_gemm_way){0}, NULL), SL_OK);
    }
    assert_int_equal(sl_gemm_use_way(&gemm, SL_WEIGHT_F32, 1000, 1, (struct sl_gemm_way){0}, &err),
                     -SL_LIMIT);
    assert_int_equal(sl_gemm_use(&gemm, SL_WEIGHT_F32, 1, 1, NULL), SL_OK); /* known */
    sl_gemm_close(&gemm);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_float64),
        cmocka_unit_test(test_same_bits),
        cmocka_unit_test(test_stopped),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, rig_setup, rig_teardown);
}
