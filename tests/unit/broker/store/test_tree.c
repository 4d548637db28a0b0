/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/store/tree.h"

#include "tests/unit/broker/store/site_dir.h"

static void trees_are_made_copied_and_removed(void **state) {
    struct fixture *f = *state;
    struct sl_error err;
    char a[SL_TREE_PATH_MAX];
    char b[SL_TREE_PATH_MAX];
    char dir[SL_TREE_PATH_MAX];
    assert_int_equal(sl_tree_path(f->dir, "a", dir, &err), SL_OK);
    assert_int_equal(sl_tree_make_dir(dir, &err), SL_OK);
    assert_int_equal(sl_tree_make_dir(dir, &err), SL_OK);
    assert_int_equal(
        run_command("mkdir -p %s/x && head -c 200000 /dev/urandom > %s/x/big", dir, dir), 0);
    assert_int_equal(sl_tree_path(dir, "x/big", a, &err), SL_OK);
    assert_int_equal(sl_tree_path(f->dir, "copy", b, &err), SL_OK);
    assert_int_equal(sl_tree_copy(a, b, &err), SL_OK);
    assert_int_equal(run_command("cmp %s %s", a, b), 0);
    assert_int_equal(sl_tree_copy(a, b, &err), -SL_IO); /* never over what is there */
    assert_int_equal(sl_tree_copy("/nowhere/at/all", b, &err), -SL_IO);
    assert_non_null(strstr(err.text, "/nowhere/at/all"));
    assert_int_equal(sl_tree_sync_parent(a, &err), SL_OK);
    assert_int_equal(sl_tree_remove(dir, &err), SL_OK);
    assert_int_not_equal(access(dir, F_OK), 0);
    assert_int_equal(sl_tree_remove(dir, &err), SL_OK);
}

static void a_long_path_is_refused(void **state) {
    (void)state;
    char name[600];
    char path[SL_TREE_PATH_MAX];
    struct sl_error err;
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    assert_int_equal(sl_tree_path("/d", name, path, &err), -SL_LIMIT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(trees_are_made_copied_and_removed, setup_small, teardown),
        cmocka_unit_test(a_long_path_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
