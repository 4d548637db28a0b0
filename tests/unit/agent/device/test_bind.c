/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <sched.h>

#include "agent/device/bind.h"

struct bound {
    struct sl_discovered found;
    int status;
    cpu_set_t before;
    cpu_set_t after;
};

static void *bind_main(void *arg) {
    struct bound *b = arg;
    sched_getaffinity(0, sizeof b->before, &b->before);
    b->status = sl_bind_thread(&b->found, NULL);
    sched_getaffinity(0, sizeof b->after, &b->after);
    return NULL;
}

static void run(struct bound *b) {
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, bind_main, b), 0);
    pthread_join(thread, NULL);
}

static void parts_of_a_cpu_are_spread(void **state) {
    struct bound b[2] = {0};
    cpu_set_t both;
    (void)state;
    for (uint32_t i = 0; i < 2; i++) {
        b[i].found.info.is_cpu = true;
        b[i].found.sub_index = i;
        b[i].found.sub_count = 2;
        run(&b[i]);
        assert_int_equal(b[i].status, SL_OK);
        assert_true(CPU_COUNT(&b[i].after) >= 1);
    }
    if (CPU_COUNT(&b[0].before) < 2) {
        print_message("this process may use one core only\n");
        skip();
    }
    CPU_AND(&both, &b[0].after, &b[1].after);
    assert_int_equal(CPU_COUNT(&both), 0);
}

static void a_whole_cpu_keeps_every_core(void **state) {
    struct bound b = {.found = {.sub_count = 1}};
    (void)state;
    b.found.info.is_cpu = true;
    run(&b);
    assert_int_equal(b.status, SL_OK);
    assert_true(CPU_EQUAL(&b.before, &b.after));
}

static void a_gpu_that_is_nowhere_stays_unbound(void **state) {
    static const struct {
        struct sl_pci_place pci;
        const char *why;
    } rows[] = {
        {{0}, "the driver says nothing"},
        {{true, 0x7777, 0xfe, 0x1e, 6}, "no such slot in this machine"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct bound b = {.found = {.sub_count = 1, .info.place.pci = rows[i].pci}};
        run(&b);
        assert_int_equal(b.status, -SL_UNSUPPORTED);
        assert_true(CPU_EQUAL(&b.before, &b.after));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_of_a_cpu_are_spread),
        cmocka_unit_test(a_whole_cpu_keeps_every_core),
        cmocka_unit_test(a_gpu_that_is_nowhere_stays_unbound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
