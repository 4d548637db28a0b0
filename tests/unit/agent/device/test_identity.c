/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "agent/device/discover_internal.h"

static const char uuid[] = "4750552d0102030405060708090a0bff";

static void keys_name_a_device_for_good(void **state) {
    static const struct {
        bool is_cpu;
        uint32_t sub;
        struct sl_pci_place pci;
        const char *platform;
        bool has_uuid;
        uint32_t ordinal;
        const char *key;
        const char *why;
    } rows[] = {
        {true, 1, {0}, "Portable Computing Language", false, 0, "n1/pocl/1", "part of a CPU"},
        {true, 0, {0}, "Intel(R) OpenCL", false, 3, "n1/intel/0", "the ordinal says nothing"},
        {false,
         0,
         {true, 0, 1, 0, 0},
         "NVIDIA CUDA",
         true,
         0,
         "pci:0000:01:00.0/4750552d0102030405060708090a0bff",
         "PCI place and UUID"},
        {false,
         0,
         {true, 0x10002, 0xc1, 0x1f, 7},
         "AMD Accelerated Parallel Processing",
         false,
         0,
         "n1/pci:10002:c1:1f.7",
         "a domain beyond 16 bits, no UUID: another machine may have one there"},
        {false,
         0,
         {0},
         "NVIDIA CUDA",
         true,
         0,
         "uuid:4750552d0102030405060708090a0bff",
         "only a UUID"},
        {false, 0, {0}, "  ", false, 2, "n1/ocl/gpu2", "a driver that says nothing at all"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct sl_discovered d = {.sub_index = rows[i].sub, .info.place.pci = rows[i].pci};
        char key[SL_DEVICE_TEXT_MAX];
        d.info.is_cpu = rows[i].is_cpu;
        strcpy(d.info.place.uuid, rows[i].has_uuid ? uuid : "");
        sl_identity_key(&d, "n1", rows[i].platform, rows[i].ordinal, key);
        assert_string_equal(key, rows[i].key);
    }
}

static void a_long_node_id_leaves_room_for_the_rest(void **state) {
    struct sl_discovered d = {.sub_index = 31};
    char node[96];
    char key[SL_DEVICE_TEXT_MAX];
    (void)state;
    memset(node, 'x', sizeof node - 1);
    node[sizeof node - 1] = '\0';
    d.info.is_cpu = true;
    sl_identity_key(&d, node, "Portable Computing Language", 0, key);
    assert_string_equal(key + strlen(key) - 8, "/pocl/31");
    d.info.is_cpu = false;
    d.info.place.pci = (struct sl_pci_place){true, UINT32_MAX, 255, 31, 7};
    strcpy(d.info.place.model, "1002.73bf.148c.2408");
    sl_identity_key(&d, node, "AMD", 0, key);
    assert_string_equal(key + strlen(key) - 37, ":ffffffff:ff:1f.7/1002.73bf.148c.2408");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_name_a_device_for_good),
        cmocka_unit_test(a_long_node_id_leaves_room_for_the_rest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
