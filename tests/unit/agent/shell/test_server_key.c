/* SPDX-License-Identifier: Apache-2.0
 * Which key the broker has: what it announced, what was met, and what an operator wrote. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/shell/server_key.h"

static char keys[4][SL_LINK_KEY_MAX];
static char path[64];

static int setup(void **state) {
    (void)state;
    strcpy(path, "/tmp/sluice-server-key-XXXXXX");
    int fd = mkstemp(path);
    if (fd < 0) {
        return -1;
    }
    close(fd);
    for (int i = 0; i < 4; i++) {
        struct sl_link_keys pair;
        if (sl_link_keys_generate(&pair, NULL)) {
            return -1;
        }
        memcpy(keys[i], pair.public_key, sizeof keys[i]);
    }
    return unlink(path);
}

static int teardown(void **state) {
    (void)state;
    unlink(path);
    return 0;
}

static struct sl_server_keys open_with(const char *configured) {
    struct sl_server_keys k;
    struct sl_error err = {0};
    assert_int_equal(sl_server_keys_read(path, configured, &k, &err), SL_OK);
    return k;
}

static void save(const struct sl_server_keys *k) {
    struct sl_error err = {0};
    assert_int_equal(sl_server_keys_write(path, k, &err), SL_OK);
}

static void a_key_is_kept_until_it_is_met(void **state) {
    (void)state;
    struct sl_server_keys k = open_with(keys[0]);
    assert_string_equal(k.now, keys[0]);
    assert_string_equal(k.next, "");
    assert_false(sl_server_keys_said(&k, keys[0], ""));
    assert_true(sl_server_keys_said(&k, keys[0], keys[1]));
    assert_false(sl_server_keys_said(&k, keys[0], keys[1])); /* said again */
    save(&k);
    k = open_with(keys[0]);
    assert_string_equal(k.now, keys[0]);
    assert_string_equal(k.next, keys[1]);
    /* It has come: the one before is not believed any more. */
    assert_true(sl_server_keys_said(&k, keys[1], ""));
    assert_string_equal(k.now, keys[1]);
    assert_string_equal(k.next, "");
    save(&k);
    k = open_with(keys[0]);
    assert_string_equal(k.now, keys[1]);
    /* And once more, in one step: the key that came names the one after it. */
    assert_true(sl_server_keys_said(&k, keys[1], keys[2]));
    assert_true(sl_server_keys_said(&k, keys[2], keys[3]));
    assert_string_equal(k.now, keys[2]);
    assert_string_equal(k.next, keys[3]);
}

static void a_plan_can_be_dropped_or_changed(void **state) {
    (void)state;
    struct sl_server_keys k = open_with(keys[0]);
    assert_true(sl_server_keys_said(&k, keys[0], keys[1]));
    assert_true(sl_server_keys_said(&k, keys[0], keys[2]));
    assert_string_equal(k.next, keys[2]);
    assert_true(sl_server_keys_said(&k, keys[0], ""));
    assert_string_equal(k.next, "");
    assert_false(sl_server_keys_said(&k, keys[0], keys[0])); /* that is the one it has */
    assert_string_equal(k.now, keys[0]);
}

static void what_an_operator_writes_outranks_what_was_said(void **state) {
    (void)state;
    struct sl_server_keys k = open_with(keys[0]);
    sl_server_keys_said(&k, keys[0], keys[1]);
    sl_server_keys_said(&k, keys[1], "");
    save(&k);
    k = open_with(keys[2]);
    assert_string_equal(k.now, keys[2]);
    assert_string_equal(k.next, "");
    assert_string_equal(k.configured, keys[2]);
}

static void a_damaged_file_is_said_and_not_used(void **state) {
    (void)state;
    const struct {
        const char *first, *key, *then, *end;
    } rows[] = {
        {"", "", "", ""},
        {"# nothing\n", "", "", ""},
        {"configured ", "x", "\n", ""},
        {"now ", keys[0], "\nnext ", keys[1]},
        {"configured ", keys[0], "\n", ""},
        {"configured ", keys[0], "\nnow ", keys[1] + 1},
        {"configured ", keys[0], "\n\nnow ", keys[1]},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct sl_server_keys k;
        struct sl_error err = {0};
        FILE *file = fopen(path, "we");
        assert_non_null(file);
        fprintf(file, "%s%s%s%s\n", rows[i].first, rows[i].key, rows[i].then, rows[i].end);
        fclose(file);
        assert_int_equal(sl_server_keys_read(path, keys[0], &k, &err), -SL_INVALID);
        assert_non_null(strstr(err.text, path));
        assert_string_equal(k.now, keys[0]);
        assert_string_equal(k.next, "");
    }
    unlink(path);
}

static void a_folder_that_cannot_be_written_is_said(void **state) {
    (void)state;
    struct sl_server_keys k = open_with(keys[0]);
    struct sl_error err = {0};
    assert_true(sl_server_keys_write("/nonexistent/broker-keys", &k, &err) != SL_OK);
    assert_non_null(strstr(err.text, "/nonexistent/broker-keys"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_key_is_kept_until_it_is_met, setup, teardown),
        cmocka_unit_test_setup_teardown(a_plan_can_be_dropped_or_changed, setup, teardown),
        cmocka_unit_test_setup_teardown(what_an_operator_writes_outranks_what_was_said, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_damaged_file_is_said_and_not_used, setup, teardown),
        cmocka_unit_test_setup_teardown(a_folder_that_cannot_be_written_is_said, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
