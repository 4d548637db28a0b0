/* SPDX-License-Identifier: Apache-2.0
 * Boards without a UUID of OpenCL's, told apart by files of a made-up sysfs tree. */
#include "tests/unit/agent/telemetry/tree.h"

#include "agent/device/board.h"

#define SLOT "bus/pci/devices/0000:03:00.0/"

static void key_of(const struct tree *t, char ret_key[96]) {
    struct sl_device_place place = {.pci = {true, 0, 3, 0, 0}};
    sl_board_read(t->root, &place.pci, place.uuid, place.model);
    sl_pci_key(&place, "n1", ret_key, 96);
}

static void plug(const struct tree *t, const char *device, const char *unique_id) {
    tree_write(t, SLOT "vendor", "0x1002\n");
    tree_write(t, SLOT "device", device);
    tree_write(t, SLOT "subsystem_vendor", "0x148c\n");
    tree_write(t, SLOT "subsystem_device", "0x2408\n");
    tree_remove(t, SLOT "unique_id");
    if (unique_id) {
        tree_write(t, SLOT "unique_id", unique_id);
    }
}

static void another_board_in_the_slot_is_another_device(void **state) {
    const struct tree *t = *state;
    char key[96];
    plug(t, "0x73bf\n", "8c50d3f1a0b2c4d6\n");
    key_of(t, key);
    assert_string_equal(key, "pci:0000:03:00.0/8c50d3f1a0b2c4d6");
    plug(t, "0x73bf\n", "8c50d3f1a0b2c4d7\n"); /* alike, and yet another one */
    key_of(t, key);
    assert_string_equal(key, "pci:0000:03:00.0/8c50d3f1a0b2c4d7");
    plug(t, "0x73bf\n", "0\n"); /* as of chips that have none */
    key_of(t, key);
    assert_string_equal(key, "n1/pci:0000:03:00.0/1002.73bf.148c.2408");
    plug(t, "0x67df\n", NULL);
    key_of(t, key);
    assert_string_equal(key, "n1/pci:0000:03:00.0/1002.67df.148c.2408");
}

static void what_cannot_be_an_id_is_none(void **state) {
    const struct tree *t = *state;
    char key[96];
    static const char *const odd[] = {"", "\n", "../../x\n", "0x73bf 0x73bf\n", "123456789\n"};
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
        plug(t, odd[i], odd[i]);
        if (i == 4) {
            tree_write(t, SLOT "unique_id", "8C50-d3f1\n");
        }
        key_of(t, key);
        assert_string_equal(key, "n1/pci:0000:03:00.0");
    }
    tree_remove(t, "bus");
    key_of(t, key);
    assert_string_equal(key, "n1/pci:0000:03:00.0");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TREE_TEST(another_board_in_the_slot_is_another_device),
        TREE_TEST(what_cannot_be_an_id_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
