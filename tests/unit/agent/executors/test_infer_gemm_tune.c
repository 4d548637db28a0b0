/* SPDX-License-Identifier: Apache-2.0
 * The choice of a way: measured once, kept, taken over, and doubted when it makes no sense. */
#include "agent/executors/infer_gemm_internal.h"

#include "agent/device/tuning.h"
#include "tests/unit/agent/executors/infer_rig.h"

/* Small: what is tested is not how fast it is. */
#define N 64u
#define K 32u
static const char TASK[] = "gemm-v1-f16-n64-k32";

static struct sl_gemm_shape tuned(struct sl_cl *cl, struct sl_tuned *ret_kept) {
    struct sl_gemm gemm;
    struct sl_error err = {0};
    assert_int_equal(sl_gemm_open(cl, &gemm, NULL), SL_OK);
    assert_int_equal(gemm.vector, 1);
    if (sl_gemm_use(&gemm, SL_WEIGHT_F16, N, K, &err) != SL_OK) {
        fail_msg("%s", err.text);
    }
    assert_int_equal(gemm.shape_count, 1);
    struct sl_gemm_shape shape = gemm.shapes[0];
    assert_non_null(gemm.built[SL_WEIGHT_F16][shape.few.program].kernel);
    assert_non_null(gemm.built[SL_WEIGHT_F16][shape.many.program].kernel);
    assert_true(sl_tuning_find(cl->tuning, TASK, sl_gemm_source(&gemm), ret_kept));
    sl_gemm_close(&gemm);
    return shape;
}

static void test_kept(void **state) {
    struct sl_cl *cl = *state;
    struct sl_tuned first = {0}, second = {0};
    struct sl_gemm_shape a = tuned(cl, &first);
    assert_int_equal(first.count, 2 * SL_GEMM_WAY_VALUES);
    assert_true(first.figure > 0);
    /* Had it been measured again, the figure would be another. */
    struct sl_tuned other = first;
    const struct sl_gemm_tile *tiles = NULL;
    assert_true(sl_gemm_tiles(1, &tiles) > 1);
    other.figure = 12345678;
    other.values[0] = tiles[1].rows;
    other.values[1] = tiles[1].columns;
    struct sl_gemm gemm;
    assert_int_equal(sl_gemm_open(cl, &gemm, NULL), SL_OK);
    assert_int_equal(sl_tuning_put(cl->tuning, TASK, sl_gemm_source(&gemm), &other), SL_OK);
    struct sl_gemm_shape b = tuned(cl, &second);
    assert_int_equal(second.figure, 12345678);
    assert_int_equal(b.few.program, 1);
    assert_int_equal(b.many.program, a.many.program);
    /* Of another kernel, or of none that there is. */
    assert_int_equal(sl_tuning_put(cl->tuning, TASK, "an older kernel", &other), SL_OK);
    tuned(cl, &second);
    assert_int_not_equal(second.figure, 12345678);
    other.values[SL_GEMM_WAY_VALUES] = 77;
    assert_int_equal(sl_tuning_put(cl->tuning, TASK, sl_gemm_source(&gemm), &other), SL_OK);
    tuned(cl, &second);
    assert_int_not_equal(second.figure, 12345678);
    sl_gemm_close(&gemm);
}

/* Two tiles of the same size that differ in their steps were taken for each other. */
static void test_each_way_comes_back(void **state) {
    static const uint32_t vectors[] = {1, 4, 8, 16};
    struct sl_cl *cl = *state;
    struct sl_gemm gemm;
    assert_int_equal(sl_gemm_open(cl, &gemm, NULL), SL_OK);
    for (size_t v = 0; v < sizeof vectors / sizeof vectors[0]; v++) {
        gemm.vector = vectors[v];
        for (uint32_t type = SL_WEIGHT_F32; type < SL_WEIGHT_TYPES; type++) {
            struct sl_gemm_way ways[SL_GEMM_WAYS_MAX];
            uint32_t count = sl_gemm_ways(&gemm, (enum sl_weight_type)type, ways);
            assert_true(count > 0);
            for (uint32_t i = 0; i < count; i++) {
                uint32_t kept[SL_GEMM_WAY_VALUES];
                struct sl_gemm_way back = {.program = UINT32_MAX};
                sl_gemm_way_write(&gemm, &ways[i], kept);
                assert_true(sl_gemm_way_read(&gemm, (enum sl_weight_type)type, kept, &back));
                assert_int_equal(back.program, ways[i].program);
                assert_int_equal(back.block_floats, ways[i].block_floats);
            }
        }
    }
    sl_gemm_close(&gemm);
}

/* A device that can hold small work-groups only gets what fits; one that holds none is refused. */
static void test_limits(void **state) {
    struct sl_cl saved = *(struct sl_cl *)*state, *cl = *state;
    struct sl_gemm gemm;
    struct sl_gemm_way ways[SL_GEMM_WAYS_MAX];
    struct sl_error err = {0};
    assert_int_equal(sl_gemm_open(cl, &gemm, NULL), SL_OK);
    uint32_t all = sl_gemm_ways(&gemm, SL_WEIGHT_F32, ways);
    cl->work_group_max = 128;
    uint32_t some = sl_gemm_ways(&gemm, SL_WEIGHT_F32, ways);
    assert_true(some > 0 && some < all);
    cl->work_group_max = saved.work_group_max;
    cl->local_bytes = 1024;
    assert_int_equal(sl_gemm_use(&gemm, SL_WEIGHT_F32, N, K, &err), -SL_UNSUPPORTED);
    assert_non_null(strstr(err.text, "local memory"));
    cl->local_bytes = saved.local_bytes;
    sl_gemm_close(&gemm);
}

static int setup(void **state) {
    static struct sl_cl cl;
    rig_open(&cl, false, NULL);
    cl.force_gpu_kernels = true;
    if (!cl.tuning) {
        assert_int_equal(sl_tuning_open(NULL, "device", "driver", &cl.tuning, NULL), SL_OK);
    }
    *state = &cl;
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kept),
        cmocka_unit_test(test_each_way_comes_back),
        cmocka_unit_test(test_limits),
    };
    return cmocka_run_group_tests(tests, setup, rig_teardown);
}
