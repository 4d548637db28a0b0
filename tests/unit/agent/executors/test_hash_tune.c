/* SPDX-License-Identifier: Apache-2.0
 * Which shape of the hash kernel is taken: the one that was kept where it is of this device, driver
 * and source and can be; else one that was timed, which is kept then. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "agent/executors/hash_internal.h"
#include "agent/kernels/kernels.h"
#include "tests/unit/agent/device/machine.h"

#define TASK "sha256d"

struct machine {
    struct sl_discovery *found;
    struct sl_cl cl;
};

static int open_machine(void **state) {
    static struct machine m;
    struct sl_error err = {0};
    m.found = machine_find(0);
    if (!m.found) {
        return -1;
    }
    struct sl_cl_spec spec = machine_spec(m.found, 0);
    if (sl_cl_open(&m.cl, &spec, &err) != SL_OK ||
        sl_tuning_open(NULL, "a device", "a driver", &m.cl.tuning, &err) != SL_OK) {
        print_error("%s\n", err.text);
        return -1;
    }
    *state = &m;
    return 0;
}

static int close_machine(void **state) {
    struct machine *m = *state;
    sl_cl_close(&m->cl);
    sl_discovery_destroy(m->found);
    return 0;
}

static void choose(struct machine *m, struct sl_hash_choice *choice) {
    struct sl_error err = {0};
    if (sl_hash_choose(&m->cl, choice, &err) != SL_OK) {
        fail_msg("%s", err.text);
    }
    assert_in_range(choice->count, 1, SL_HASH_KERNELS);
    for (uint32_t i = 0; i < choice->count; i++) {
        assert_true(sl_hash_shape_fits(&m->cl, &choice->shapes[i]));
    }
    /* One for a single header is always there, and the best comes last. */
    assert_int_equal(choice->shapes[0].mids, 1);
    assert_true((choice->count == 2) == (choice->shapes[choice->count - 1].mids > 1));
    assert_true(choice->rate_hs > 0);
}

static void what_was_timed_is_kept(void **state) {
    struct machine *m = *state;
    struct sl_hash_choice first;
    struct sl_hash_choice second;
    struct sl_tuned tuned;
    sl_tuning_forget(m->cl.tuning);
    choose(m, &first);
    assert_true(sl_tuning_find(m->cl.tuning, TASK, sl_kernel_sha256d, &tuned));
    assert_int_equal(tuned.figure, first.rate_hs);
    choose(m, &second);
    assert_memory_equal(&first, &second, sizeof first);
}

static void what_was_kept_is_taken(void **state) {
    struct machine *m = *state;
    /* No device would be timed to be so: an unusual one, with a rate that no machine has. */
    const struct sl_tuned kept = {UINT64_C(123000000000000), 7, {2, 16, 4, 8, 1, 2, 1}};
    struct sl_hash_choice choice;
    assert_int_equal(sl_tuning_put(m->cl.tuning, TASK, sl_kernel_sha256d, &kept), SL_OK);
    choose(m, &choice);
    const struct sl_hash_shape *best = &choice.shapes[1];
    assert_int_equal(choice.count, 2);
    assert_int_equal(best->width, 2);
    assert_int_equal(best->local, 16);
    assert_int_equal(best->rounds, 4);
    assert_int_equal(best->mids, 8);
    assert_int_equal(best->logic, SL_HASH_LOGIC_SELECT);
    assert_int_equal(best->rotate, SL_HASH_ROTATE_SHIFTS);
    assert_int_equal(best->flow, SL_HASH_FLOW_IN_TURN);
    /* One header has those of four in a group, and its flow is no choice. */
    assert_int_equal(choice.shapes[0].local, 64);
    assert_int_equal(choice.shapes[0].flow, SL_HASH_FLOW_TOGETHER);
    assert_int_equal(choice.rate_hs, kept.figure);
}

/* Instructions that take fewer headers than the shape take one alone, too. */
static void one_header_keeps_the_sha_instructions(void **state) {
    struct machine *m = *state;
    const struct sl_tuned kept = {UINT64_C(123000000000000), 7, {4, 64, 1, 16, 0, 0, 2}};
    const bool has_sha = m->cl.has_sha;
    struct sl_hash_choice choice;
    m->cl.has_sha = true;
    assert_int_equal(sl_tuning_put(m->cl.tuning, TASK, sl_kernel_sha256d, &kept), SL_OK);
    choose(m, &choice);
    assert_int_equal(choice.count, 2);
    assert_int_equal(choice.shapes[0].flow, SL_HASH_FLOW_SHA);
    assert_int_equal(choice.shapes[0].mids, 1);
    assert_int_equal(choice.shapes[0].width, 4);
    /* Tuned on another processor: neither taken nor tried. */
    m->cl.has_sha = false;
    choose(m, &choice);
    assert_true(choice.rate_hs != kept.figure);
    assert_int_not_equal(choice.shapes[0].flow, SL_HASH_FLOW_SHA);
    assert_int_not_equal(choice.shapes[choice.count - 1].flow, SL_HASH_FLOW_SHA);
    m->cl.has_sha = has_sha;
}

static void what_cannot_be_or_is_of_another_source_is_timed_anew(void **state) {
    struct machine *m = *state;
    static const struct {
        struct sl_tuned kept;
        const char *source;
    } rows[] = {
        {{UINT64_C(123000000000000), 7, {3, 64, 1, 1, 0, 0, 0}}, NULL},
        {{UINT64_C(123000000000000), 7, {2, 16, 4, 8, 0, 0, 0}}, NULL}, /* 8, together */
        {{UINT64_C(123000000000000), 6, {2, 16, 4, 2, 1, 2}}, NULL},    /* an older agent's */
        {{UINT64_C(123000000000000), 7, {2, 16, 4, 2, 1, 2, 0}}, "an older kernel"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct sl_hash_choice choice;
        const char *source = rows[i].source ? rows[i].source : sl_kernel_sha256d;
        assert_int_equal(sl_tuning_put(m->cl.tuning, TASK, source, &rows[i].kept), SL_OK);
        choose(m, &choice);
        assert_true(choice.rate_hs != rows[i].kept.figure);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_timed_is_kept),
        cmocka_unit_test(what_was_kept_is_taken),
        cmocka_unit_test(one_header_keeps_the_sha_instructions),
        cmocka_unit_test(what_cannot_be_or_is_of_another_source_is_timed_anew),
    };
    return cmocka_run_group_tests(tests, open_machine, close_machine);
}
