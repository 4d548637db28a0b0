/* SPDX-License-Identifier: Apache-2.0
 * What tenants' files leave on a disk for the store. */
#include "tests/unit/broker/batch/support.h"

#define GIB (UINT64_C(1) << 30)
#define MIB (UINT64_C(1) << 20)

static void a_sixteenth_is_kept_but_never_more_than_two_gib(void **state) {
    (void)state;
    assert_true(sl_batch_room_is_enough(SL_ROOM_TENANTS, 16 * GIB, 1 * GIB, 0));
    assert_false(sl_batch_room_is_enough(SL_ROOM_TENANTS, 16 * GIB, 1 * GIB - 1, 0));
    assert_true(sl_batch_room_is_enough(SL_ROOM_TENANTS, 16 * GIB, 1 * GIB + 200 * MIB, 200 * MIB));
    assert_false(
        sl_batch_room_is_enough(SL_ROOM_TENANTS, 16 * GIB, 1 * GIB + 200 * MIB, 200 * MIB + 1));
    assert_true(sl_batch_room_is_enough(SL_ROOM_TENANTS, 1000 * GIB, 2 * GIB, 0));
    assert_false(sl_batch_room_is_enough(SL_ROOM_TENANTS, 1000 * GIB, 2 * GIB - 1, 0));
    assert_false(sl_batch_room_is_enough(SL_ROOM_TENANTS, 1000 * GIB, 0, 0));
    assert_false(sl_batch_room_is_enough(SL_ROOM_TENANTS, 1000 * GIB, 3 * GIB, UINT64_MAX));
    assert_true(sl_batch_room_is_enough(SL_ROOM_TENANTS, 0, 0,
                                        200 * MIB)); /* some file systems do not say */
}

static void a_quarter_of_that_is_the_stores_alone(void **state) {
    (void)state;
    assert_true(sl_batch_room_is_enough(SL_ROOM_RESULTS, 16 * GIB, 256 * MIB, 0));
    assert_false(sl_batch_room_is_enough(SL_ROOM_RESULTS, 16 * GIB, 256 * MIB - 1, 0));
    assert_true(sl_batch_room_is_enough(SL_ROOM_RESULTS, 1000 * GIB, 513 * MIB, MIB));
    assert_false(sl_batch_room_is_enough(SL_ROOM_RESULTS, 1000 * GIB, 513 * MIB, MIB + 1));
    assert_true(sl_batch_room_is_enough(SL_ROOM_RESULTS, 0, 0, MIB));
}

static void a_disk_is_asked_where_the_files_are(void **state) {
    (void)state;
    struct sl_error err = {0};
    char *dir = test_dir_make();
    assert_int_equal(sl_batch_room(SL_ROOM_TENANTS, dir, INT64_MAX, &err), -SL_IO);
    assert_non_null(strstr(err.text, "No space left on device"));
    assert_non_null(strstr(err.text, dir));
    assert_true(sl_batch_is_full(&err));
    assert_int_equal(sl_fail(&err, SL_IO, "another trouble"), -SL_IO);
    assert_false(sl_batch_is_full(&err));
    assert_int_equal(sl_batch_room(SL_ROOM_RESULTS, "/nowhere/at/all", INT64_MAX, &err), SL_OK);
    test_dir_remove(dir);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sixteenth_is_kept_but_never_more_than_two_gib),
        cmocka_unit_test(a_quarter_of_that_is_the_stores_alone),
        cmocka_unit_test(a_disk_is_asked_where_the_files_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
