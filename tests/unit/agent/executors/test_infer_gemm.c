/* SPDX-License-Identifier: Apache-2.0
 * Matrix products of every variant against float64, at sizes that fill no tile. */
#include "agent/executors/infer_gemm.h"

#include "tests/unit/agent/executors/infer_rig.h"

struct size_row {
    uint32_t rows, n, k;
    const char *why;
};
static const struct size_row SIZES[] = {
    {1, 1, 1, "smallest"},
    {1, 384, 384, "one token"},
    {12, 32, 16, "exactly one tile"},
    {13, 33, 17, "one more than a tile in each direction"},
    {65, 95, 39, "odd everything"},
    {200, 384, 384, "a layer of MiniLM"},
    {64, 1152, 384, "its QKV"},
    {50, 384, 1536, "its way down"},
};

/* One product and its float64 twin. */
struct problem {
    struct size_row size;
    enum sl_gemm_epilogue epilogue;
    float *a, *w, *bias, *residual, *got;
};

/* *ret_scale: the sum of magnitudes, which is what rounding errors are in proportion to. */
static double expected(const struct problem *p, uint32_t row, uint32_t col, double *ret_scale) {
    uint32_t k = p->size.k;
    double sum = 0;
    *ret_scale = 1;
    for (uint32_t i = 0; i < k; i++) {
        double term = (double)p->a[(size_t)row * k + i] * (double)p->w[(size_t)col * k + i];
        sum += term;
        *ret_scale += fabs(term);
    }
    sum += (double)p->bias[col];
    if (p->epilogue == SL_GEMM_GELU) {
        return sum * 0.5 * (1 + erf(sum / sqrt(2)));
    }
    return p->epilogue == SL_GEMM_RESIDUAL
               ? sum + (double)p->residual[(size_t)row * p->size.n + col]
               : sum;
}

static struct problem problem_make(struct size_row size, enum sl_gemm_epilogue epilogue,
                                   uint64_t *seed) {
    struct problem p = {.size = size, .epilogue = epilogue};
    size_t rows = size.rows + SL_GEMM_ROWS_PAD;
    p.a = rig_floats(rows * size.k, seed, -1, 1);
    p.w = rig_floats((size_t)size.n * size.k, seed, -0.2f, 0.2f);
    p.bias = rig_floats(size.n, seed, -1, 1);
    p.residual = rig_floats(rows * size.n, seed, -1, 1);
    p.got = rig_floats(rows * size.n, seed, 9e9f, 9e9f);
    return p;
}

static void problem_free(struct problem *p) {
    free(p->a);
    free(p->w);
    free(p->bias);
    free(p->residual);
    free(p->got);
}

/* Runs it in `parts` launches; returns what the counter says. */
static uint32_t problem_run(struct sl_gemm *gemm, struct problem *p, uint32_t parts) {
    struct size_row s = p->size;
    size_t rows = s.rows + SL_GEMM_ROWS_PAD;
    float *packed = calloc(1, sl_gemm_packed_bytes(SL_WEIGHT_F32, s.n, s.k));
    float *bias = calloc(sl_gemm_padded(s.n), sizeof *bias);
    assert_non_null(packed);
    assert_non_null(bias);
    sl_gemm_pack(SL_WEIGHT_F32, p->w, s.n, s.k, 0, packed);
    memcpy(bias, p->bias, s.n * sizeof *bias);
    struct sl_gemm_call call = {
        .rows = s.rows, .n = s.n, .k = s.k, .epilogue = p->epilogue, .weights = SL_WEIGHT_F32};
    assert_int_equal(sl_gemm_use(gemm, SL_WEIGHT_F32, s.n, s.k, NULL), SL_OK);
    call.a = rig_buffer(gemm->cl, p->a, rows * s.k * sizeof(float));
    call.b = rig_buffer(gemm->cl, packed, sl_gemm_packed_bytes(SL_WEIGHT_F32, s.n, s.k));
    call.bias = rig_buffer(gemm->cl, bias, sl_gemm_padded(s.n) * sizeof(float));
    call.residual = rig_buffer(gemm->cl, p->residual, rows * s.n * sizeof(float));
    call.c = rig_buffer(gemm->cl, p->got, rows * s.n * sizeof(float));
    cl_mem counters = rig_buffer(gemm->cl, NULL, 64);

    uint32_t groups = sl_gemm_groups(gemm, &call);
    struct sl_error err = {0};
    for (uint32_t i = 0; i < parts; i++) {
        uint32_t first = groups * i / parts, last = groups * (i + 1) / parts;
        struct sl_infer_span span = {counters, 5, first, last - first};
        if (last > first) {
            assert_int_equal(sl_gemm_enqueue(gemm, &call, &span, NULL, &err), SL_OK);
        }
    }
    uint32_t counted[16];
    rig_read(gemm->cl, counters, counted, sizeof counted);
    rig_read(gemm->cl, call.c, p->got, rows * s.n * sizeof(float));
    cl_mem all[] = {call.a, call.b, call.bias, call.residual, call.c, counters};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        clReleaseMemObject(all[i]);
    }
    free(packed);
    free(bias);
    assert_int_equal(counted[5], groups);
    assert_int_equal(counted[4], 0);
    return counted[5];
}

static void test_against_float64(void **state) {
    struct sl_cl *cl = *state;
    static const enum sl_gemm_epilogue EPILOGUES[] = {SL_GEMM_BIAS, SL_GEMM_GELU, SL_GEMM_RESIDUAL};
    uint64_t seed = 7;
    struct sl_cl saved = *cl;
    for (size_t v = 0; v < RIG_VARIANT_COUNT; v++) {
        rig_take_variant(cl, &RIG_VARIANTS[v]);
        struct sl_gemm gemm;
        assert_int_equal(sl_gemm_open(cl, &gemm, NULL), SL_OK);
        double worst = 0;
        for (size_t i = 0; i < sizeof SIZES / sizeof *SIZES * 3; i++) {
            struct problem p = problem_make(SIZES[i / 3], EPILOGUES[i % 3], &seed);
            problem_run(&gemm, &p, 1);
            for (uint32_t row = 0; row < p.size.rows; row++) {
                for (uint32_t col = 0; col < p.size.n; col++) {
                    double scale = 0, want = expected(&p, row, col, &scale);
                    double gap = fabs((double)p.got[(size_t)row * p.size.n + col] - want);
                    worst = fmax(worst, gap / scale);
                }
            }
            if (worst > 1e-6) {
                fail_msg("%s, %s: off by %g", RIG_VARIANTS[v].name, p.size.why, worst);
            }
            problem_free(&p);
        }
        print_message("%s: worst %.2g\n", RIG_VARIANTS[v].name, worst);
        sl_gemm_close(&gemm);
        cl->force_gpu_kernels = saved.force_gpu_kernels;
        cl->vector_width_float = saved.vector_width_float;
    }
}

/* Rows are independent to the last bit, parts add up, and all variants agree: what stop, resume
 * and determinism rest on. */
static void test_same_bits(void **state) {
    struct sl_cl *cl = *state;
    struct size_row size = {101, 96, 83, "odd rows"};
    uint64_t seed = 99;
    struct problem whole = problem_make(size, SL_GEMM_GELU, &seed);
    float *first_answer = NULL;
    size_t bytes = (size_t)size.rows * size.n * sizeof(float);
    struct sl_cl saved = *cl;
    for (size_t v = 0; v < RIG_VARIANT_COUNT; v++) {
        rig_take_variant(cl, &RIG_VARIANTS[v]);
        struct sl_gemm gemm;
        assert_int_equal(sl_gemm_open(cl, &gemm, NULL), SL_OK);
        problem_run(&gemm, &whole, 1);
        if (!first_answer) {
            first_answer = malloc(bytes);
            assert_non_null(first_answer);
            memcpy(first_answer, whole.got, bytes);
        }
        assert_memory_equal(whole.got, first_answer, bytes);
        problem_run(&gemm, &whole, 7);
        assert_memory_equal(whole.got, first_answer, bytes);
        for (uint32_t row = 0; row < size.rows; row += 37) { /* a row on its own */
            struct problem one =
                problem_make((struct size_row){1, size.n, size.k, ""}, SL_GEMM_GELU, &seed);
            memcpy(one.a, whole.a + (size_t)row * size.k, size.k * sizeof(float));
            memcpy(one.w, whole.w, (size_t)size.n * size.k * sizeof(float));
            memcpy(one.bias, whole.bias, size.n * sizeof(float));
            problem_run(&gemm, &one, 1);
            assert_memory_equal(one.got, first_answer + (size_t)row * size.n,
                                size.n * sizeof(float));
            problem_free(&one);
        }
        sl_gemm_close(&gemm);
        cl->force_gpu_kernels = saved.force_gpu_kernels;
        cl->vector_width_float = saved.vector_width_float;
    }
    free(first_answer);
    problem_free(&whole);
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
    float before[64 * 32], zero[64 * 32] = {0};
    cl_mem mem = rig_buffer(cl, zero, sizeof zero);
    cl_mem counters = rig_buffer(cl, NULL, 64);
    struct sl_gemm_call call = {mem, mem, mem, mem,          rig_buffer(cl, zero, sizeof zero),
                                3,   32,  32,  SL_GEMM_BIAS, SL_WEIGHT_F32};
    assert_int_equal(sl_gemm_use(&gemm, SL_WEIGHT_F32, 32, 32, NULL), SL_OK);
    struct sl_infer_span span = {counters, 0, 0, sl_gemm_groups(&gemm, &call)};
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

static int setup(void **state) {
    static struct sl_cl cl;
    rig_open(&cl, false, NULL);
    *state = &cl;
    return 0;
}

static int teardown(void **state) {
    sl_cl_close(*state);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_float64),
        cmocka_unit_test(test_same_bits),
        cmocka_unit_test(test_stopped),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
