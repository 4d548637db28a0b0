/* SPDX-License-Identifier: Apache-2.0
 * Whose store it is. */
#include "tests/unit/broker/store/rig.h"

static int open_as(struct fixture *f, const char *key, bool adopt, struct sl_error *err) {
    sl_store_close(f->store);
    f->store = NULL;
    const struct sl_store_config config = {
        .path = f->path, .fatal = on_fatal, .fatal_arg = f, .site_key = key, .adopt = adopt};
    return sl_store_open(&config, &f->store, err);
}

static void meta(struct fixture *f, const char *key, char value[192]) {
    SL_AUTO(sl_reader) r = NULL;
    struct sl_error err;
    assert_int_equal(sl_reader_open(f->path, NULL, &r, &err), SL_OK);
    value[0] = '\0';
    sl_reader_meta(r, key, value, 192);
}

static void a_store_of_another_site_is_refused_until_it_is_adopted(void **state) {
    struct fixture *f = *state;
    struct sl_error err;
    char id[192];
    char value[192];
    meta(f, "site.id", id); /* made without a key */
    assert_int_equal(strlen(id), 32);
    assert_int_equal(open_as(f, "KEY-A", false, &err), SL_OK);
    meta(f, "site.key", value);
    assert_string_equal(value, "KEY-A");
    assert_int_equal(open_as(f, "KEY-B", false, &err), -SL_DENIED);
    assert_non_null(strstr(err.text, f->path));
    assert_non_null(strstr(err.text, "KEY-A, not KEY-B"));
    assert_non_null(strstr(err.text, "--adopt-store"));
    assert_int_equal(open_as(f, "KEY-A", false, &err), SL_OK);
    assert_int_equal(open_as(f, "KEY-B", true, &err), SL_OK);
    assert_int_equal(open_as(f, "KEY-B", false, &err), SL_OK);
    assert_int_equal(open_as(f, NULL, false, &err), SL_OK);
    meta(f, "site.id", value);
    assert_string_equal(value, id);
    meta(f, "site.key", value);
    assert_string_equal(value, "KEY-B");
}

static void every_store_has_an_id_of_its_own(void **state) {
    struct fixture *f = *state;
    char first[192];
    char second[192];
    char command[128];
    meta(f, "site.id", first);
    sl_store_close(f->store);
    f->store = NULL;
    snprintf(command, sizeof command, "rm %s*", f->path);
    assert_int_equal(system(command), 0);
    assert_int_equal(open_again(f, NULL), SL_OK);
    meta(f, "site.id", second);
    assert_true(strlen(second) == 32 && strcmp(first, second) != 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_store_of_another_site_is_refused_until_it_is_adopted,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(every_store_has_an_id_of_its_own, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
