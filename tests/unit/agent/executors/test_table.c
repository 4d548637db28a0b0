/* SPDX-License-Identifier: Apache-2.0
 * A device asks its factories by mode, and each makes an executor of just that mode. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/executors/executor.h"
#include "agent/executors/table.h"

static void factories_make_what_they_say(void **state) {
    const struct sl_executor_factory factories[] = {sl_idle_factory(), sl_hash_factory()};
    static const enum sl_mode modes[] = {SL_MODE_IDLE, SL_MODE_HASH};
    struct sl_cl cl = {0};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct sl_executor *ex = NULL;
        assert_int_equal(factories[i].mode, modes[i]);
        assert_int_equal(factories[i].create(&cl, 50, factories[i].arg, &ex, NULL), SL_OK);
        assert_int_equal(ex->ops->mode, modes[i]);
        assert_ptr_equal(ex->cl, &cl);
        assert_false(ex->cut);
        ex->ops->destroy(ex);
    }
    assert_int_equal(sl_infer_factory(NULL).mode, SL_MODE_INFER);
}

static void idle_has_nothing_to_do(void **state) {
    struct sl_cl cl = {0};
    struct sl_executor *ex = NULL;
    struct sl_launch launch = {0};
    struct sl_error err = {0};
    (void)state;
    assert_int_equal(sl_idle_executor_create(&cl, &ex, &err), SL_OK);
    assert_int_equal(ex->ops->prepare(ex, &err), SL_OK);
    assert_int_equal(ex->ops->enqueue(ex, &launch, &err), 0);
    assert_int_equal(ex->ops->complete(ex, &launch, &err), -SL_BADSTATE);
    assert_int_equal(ex->ops->halted(ex, &err), SL_OK);
    ex->ops->destroy(ex);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(factories_make_what_they_say),
        cmocka_unit_test(idle_has_nothing_to_do),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
