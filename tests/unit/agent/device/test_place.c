/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/device/place.h"

static void addresses_are_read_and_written(void **state) {
    (void)state;
    static const struct {
        const char *text, *again;
    } rows[] = {
        {"0000:01:00.0", "0000:01:00.0"},
        {"01:00.0", "0000:01:00.0"},
        {"00000000:C1:1f.7", "0000:c1:1f.7"},
        {"10000:e0:06.0", "10000:e0:06.0"},
        {"0000:100:00.0", NULL},
        {"0000:01:20.0", NULL},
        {"0000:01:00.8", NULL},
        {"0000:01:00", NULL},
        {"0000:01:00.0 ", NULL},
        {"", NULL},
        {":::.", NULL},
        {"0000::00.0", NULL},
        {"1:2:3:4.0", NULL},
        {"000000001:01:00.0", NULL},
        {"0000:0g:00.0", NULL},
        {"../../etc", NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct sl_pci_place pci = {0};
        char text[SL_PCI_TEXT_MAX];
        if (sl_pci_parse(rows[i].text, &pci) != (rows[i].again != NULL)) {
            fail_msg("'%s'", rows[i].text);
        }
        sl_pci_text(&pci, text);
        assert_string_equal(text, rows[i].again ? rows[i].again : "");
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_read_and_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
