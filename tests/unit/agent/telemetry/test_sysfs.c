/* SPDX-License-Identifier: Apache-2.0
 * Files that lie, vanish or are no files at all: unknown, and at once. */
#include "tests/unit/agent/telemetry/tree.h"

#include "agent/telemetry/source.h"

static void numbers_are_whole_or_unknown(void **state) {
    const struct tree *t = *state;
    static const struct {
        const char *text;
        bool good;
        int64_t value;
    } rows[] = {
        {"0\n", true, 0},
        {"42", true, 42},
        {"-7\n", true, -7},
        {"9223372036854775807\n", true, INT64_MAX},
        {"9223372036854775808\n", false, 0},
        {"", false, 0},
        {"\n", false, 0},
        {"12 W\n", false, 0},
        {"0x10\n", false, 0},
        {"+3\n", false, 0},
        {"- 3\n", false, 0},
        {"one\n", false, 0},
        {"1\n2\n", false, 0},
        {"000000000000000000000000000000000000000000000001\n", false, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int64_t value = 99;
        tree_write(t, "n", rows[i].text);
        bool good = sl_sysfs_number(t->root, "n", &value);
        if (good != rows[i].good || value != (good ? rows[i].value : 99)) {
            fail_msg("'%s' was taken for %lld", rows[i].text, (long long)value);
        }
    }
}

static void what_cannot_be_read_is_unknown(void **state) {
    const struct tree *t = *state;
    char path[512];
    char out[16];
    int64_t value = 5;
    assert_false(sl_sysfs_number(t->root, "nothing", &value));
    assert_false(sl_sysfs_number("/nonexistent", "n", &value));
    tree_path(t, "folder/x", path);
    assert_false(sl_sysfs_number(t->root, "folder", &value)); /* EISDIR */
    tree_path(t, "pipe", path);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_false(sl_sysfs_number(t->root, "pipe", &value)); /* does not wait for a writer */
    tree_bytes(t, "nul", "310032");
    assert_false(sl_sysfs_text(t->root, "nul", out, sizeof out));
    tree_write(t, "long", "0123456789abcdef");
    assert_false(sl_sysfs_text(t->root, "long", out, sizeof out)); /* may be cut */
    assert_int_equal(sl_sysfs_bytes(t->root, "long", out, 4), 4);
    char far[600];
    memset(far, 'a', sizeof far - 1);
    far[sizeof far - 1] = '\0';
    assert_false(sl_sysfs_number(far, "n", &value));
    assert_int_equal(value, 5);
}

static void fields_are_found_by_their_whole_name(void **state) {
    (void)state;
    int64_t value = 0;
    assert_true(sl_sysfs_field("ue: 3\nce: 7", "ce", &value));
    assert_int_equal(value, 7);
    assert_true(sl_sysfs_field("ue: 3\nce: 7", "ue", &value));
    assert_int_equal(value, 3);
    assert_false(sl_sysfs_field("uec: 3", "ue", &value));
    assert_false(sl_sysfs_field("ue: many", "ue", &value));
    assert_false(sl_sysfs_field("", "ue", &value));
}

static void a_child_is_found_by_prefix_and_number(void **state) {
    const struct tree *t = *state;
    char out[512] = "";
    assert_false(sl_sysfs_child(t->root, "hwmon", "hwmon", out, sizeof out));
    tree_write(t, "hwmon/hwmonx/name", "x\n");
    tree_write(t, "hwmon/hwmon1-2/name", "x\n");
    assert_false(sl_sysfs_child(t->root, "hwmon", "hwmon", out, sizeof out));
    tree_write(t, "hwmon/hwmon17/name", "x\n");
    assert_true(sl_sysfs_child(t->root, "hwmon", "hwmon", out, sizeof out));
    assert_string_equal(out + strlen(out) - 8, "/hwmon17");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TREE_TEST(numbers_are_whole_or_unknown),
        TREE_TEST(what_cannot_be_read_is_unknown),
        cmocka_unit_test(fields_are_found_by_their_whole_name),
        TREE_TEST(a_child_is_found_by_prefix_and_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
