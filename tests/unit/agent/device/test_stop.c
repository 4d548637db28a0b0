/* SPDX-License-Identifier: Apache-2.0
 * The stop word: each way in turn, the one that is chosen, and none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/device/stop.h"
#include "agent/kernels/kernels.h"
#include "tests/unit/agent/device/machine.h"

enum { TRIES = 20 };

struct machine {
    struct sl_discovery *found;
};

static int open_machine(void **state) {
    static struct machine m;
    m.found = machine_find(0);
    *state = &m;
    return m.found ? 0 : -1;
}

static int close_machine(void **state) {
    struct machine *m = *state;
    sl_discovery_destroy(m->found);
    return 0;
}

static void open_cl(struct machine *m, bool force_none, struct sl_cl *cl) {
    struct sl_error err = {0};
    struct sl_cl_spec spec = machine_spec(m->found, 0);
    spec.force_no_stop_word = force_none;
    if (sl_cl_open(cl, &spec, &err) != SL_OK) {
        fail_msg("%s", err.text);
    }
}

/* Groups that run of a launch of 64, with the word as it is. */
static uint32_t run_groups(struct sl_cl *cl) {
    struct sl_error err = {0};
    cl_program program = NULL;
    cl_mem ran = NULL;
    cl_mem sink = NULL;
    const cl_uint rounds = 10;
    const size_t local = 64;
    const size_t global = 64 * 64;
    cl_uint count = 0;
    assert_int_equal(sl_cl_program(cl, "probe", sl_kernel_probe, "", &program, &err), SL_OK);
    cl_kernel kernel = clCreateKernel(program, "probe", NULL);
    assert_non_null(kernel);
    assert_int_equal(sl_cl_buffer(cl, 4, CL_MEM_READ_WRITE, &ran, &err), SL_OK);
    assert_int_equal(sl_cl_buffer(cl, 64 * 4, CL_MEM_READ_WRITE, &sink, &err), SL_OK);
    assert_int_equal(sl_cl_set_stop_arg(cl, kernel, &err), SL_OK);
    clSetKernelArg(kernel, 1, sizeof ran, &ran);
    clSetKernelArg(kernel, 2, sizeof sink, &sink);
    clSetKernelArg(kernel, 3, sizeof rounds, &rounds);
    assert_int_equal(
        clEnqueueNDRangeKernel(cl->queue, kernel, 1, NULL, &global, &local, 0, NULL, NULL),
        CL_SUCCESS);
    assert_int_equal(
        clEnqueueReadBuffer(cl->queue, ran, CL_TRUE, 0, sizeof count, &count, 0, NULL, NULL),
        CL_SUCCESS);
    clReleaseMemObject(sink);
    clReleaseMemObject(ran);
    clReleaseKernel(kernel);
    clReleaseProgram(program);
    return count;
}

static void the_chosen_way_stops_and_is_timed(void **state) {
    struct sl_cl cl;
    open_cl(*state, false, &cl);
    /* A CPU device shares its memory with the host: one of the direct ways must work. Where other
     * work holds the cores every way may rightly be found too slow, so it is asked again. */
    for (int i = 0; i < TRIES && cl.is_cpu && cl.stop_method == SL_STOP_NONE; i++) {
        sl_cl_close(&cl);
        open_cl(*state, false, &cl);
    }
    print_message("%s: p50 %u us, max %u us\n", sl_stop_method_name(cl.stop_method), cl.stop_us_p50,
                  cl.stop_us_max);
    if (cl.is_cpu) {
        assert_true(cl.stop_method == SL_STOP_SVM || cl.stop_method == SL_STOP_MAPPED);
    }
    if (cl.stop_method == SL_STOP_NONE) {
        assert_int_equal(cl.stop_us_p50, 0);
    } else {
        assert_true(cl.stop_us_p50 > 0 && cl.stop_us_p50 <= cl.stop_us_max);
        sl_cl_stop_set(&cl, true);
        if (cl.stop_method != SL_STOP_QUEUE) {
            assert_int_equal(run_groups(&cl), 0);
        }
        sl_cl_stop_set(&cl, false);
    }
    assert_int_equal(run_groups(&cl), 64);
    sl_cl_close(&cl);
}

static void every_way_that_opens_works(void **state) {
    static const enum sl_stop_method methods[] = {SL_STOP_SVM, SL_STOP_MAPPED, SL_STOP_QUEUE};
    struct sl_cl cl;
    open_cl(*state, true, &cl);
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        struct sl_error err = {0};
        sl_stop_close(&cl);
        int rc = sl_stop_open_method(&cl, methods[i], &err);
        if (rc != SL_OK) {
            assert_int_equal(rc, -SL_UNSUPPORTED);
            continue;
        }
        print_message("%s: p50 %u us, max %u us\n", sl_stop_method_name(methods[i]), cl.stop_us_p50,
                      cl.stop_us_max);
        assert_int_equal(cl.stop_method, methods[i]);
        sl_cl_stop_set(&cl, true);
        if (methods[i] != SL_STOP_QUEUE) {
            assert_int_equal(run_groups(&cl), 0);
        }
        sl_cl_stop_set(&cl, false);
        assert_int_equal(run_groups(&cl), 64);
    }
    sl_cl_close(&cl);
}

static void none_leaves_the_word_clear(void **state) {
    struct sl_cl cl;
    open_cl(*state, true, &cl);
    assert_int_equal(cl.stop_method, SL_STOP_NONE);
    sl_cl_stop_set(&cl, true); /* does nothing: launches are short instead */
    assert_int_equal(run_groups(&cl), 64);
    sl_cl_close(&cl);
}

/* A key that no other test has: the cache is everybody's. */
static void a_way_that_worked_is_taken_up_again(void **state) {
    struct machine *m = *state;
    struct sl_error err = {0};
    struct sl_cl_spec spec = machine_spec(m->found, 0);
    char key[64];
    snprintf(key, sizeof key, "test_stop/%d", (int)getpid());
    spec.figures = key;
    spec.launch_ms = 50;
    struct sl_cl cl;
    assert_int_equal(sl_cl_open(&cl, &spec, &err), SL_OK);
    enum sl_stop_method method = cl.stop_method;
    if (method == SL_STOP_NONE) {
        sl_cl_close(&cl);
        print_message("no way to a running kernel here\n");
        skip();
    }
    assert_true(cl.figures_new && cl.figures.stop_us_p50 == cl.stop_us_p50);
    /* Where other work holds the cores, no launch may be cut in the few tries of a second start:
     * all ways are tried again then, and rightly so. So it is asked more than once. */
    for (int i = 0; i < 10 && cl.figures_new; i++) {
        cl.figures.stop_us_p50 = 1234567; /* so that it is seen to be taken over */
        sl_figures_keep(&cl, key, 50);
        sl_cl_close(&cl);
        assert_int_equal(sl_cl_open(&cl, &spec, &err), SL_OK);
    }
    assert_int_equal(cl.stop_method, method);
    assert_int_equal(cl.stop_us_p50, 1234567);
    assert_false(cl.figures_new);
    sl_cl_stop_set(&cl, true);
    assert_true(run_groups(&cl) < 64);
    sl_cl_stop_set(&cl, false);
    assert_int_equal(run_groups(&cl), 64);
    cl.figures.stop_way = 99; /* no such way: all are tried, as at a first start */
    cl.figures_new = true;
    sl_figures_keep(&cl, key, 50);
    sl_cl_close(&cl);
    assert_int_equal(sl_cl_open(&cl, &spec, &err), SL_OK);
    assert_true(cl.stop_us_p50 != 1234567);
    sl_cl_close(&cl);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_chosen_way_stops_and_is_timed),
        cmocka_unit_test(every_way_that_opens_works),
        cmocka_unit_test(none_leaves_the_word_clear),
        cmocka_unit_test(a_way_that_worked_is_taken_up_again),
    };
    return cmocka_run_group_tests(tests, open_machine, close_machine);
}
