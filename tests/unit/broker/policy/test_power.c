/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/broker/backtest/folder.h"

#include "broker/policy/document.h"

static void what_contradicts_itself_is_refused(void **state) {
    static const struct {
        const char *text;
        const char *said[3];
    } cases[] = {
        {"caps:\n  site: 1.5\nfloors:\n  site: 2\n",
         {"floors.site (2.000000 kW)", "caps.site (1.500000 kW)", "lower the floor"}},
        {"power:\n  strike:\n    - {class: \"*\", price: 0.1}\n    - {class: \"*\", price: 0.2}\n",
         {"class '*' twice", "bad.yaml"}},
        {"power:\n  strike:\n    - {class: \"\", price: 0.1}\n", {"bad.yaml:3: ", "class"}},
        {"power:\n  strike:\n    - {price: 0.1}\n", {"bad.yaml:3: ", "class is missing"}},
        {"power:\n  strike:\n    - {class: \"*\", price: 0.1 EUR}\n", {"bad.yaml:3: ", "USD/kWh"}},
        {"power:\n  confirm: 5\n", {"bad.yaml:2: ", "power.confirm"}},
        {"power:\n  ramp: -1\n", {"bad.yaml:2: "}},
        {"caps:\n  site: 65 W\n", {"bad.yaml:2: ", "kW"}},
        {"caps:\n  circuits:\n    - {name: a, nodes: \"n1\", cap: 1}\n"
         "    - {name: a, nodes: \"n2\", cap: 1}\n",
         {"'a' twice"}},
        {"caps:\n  circuits:\n    - {name: a, nodes: \"n1, n2\", cap: 1}\n"
         "    - {name: b, nodes: \"n3,n2\", cap: 1}\n",
         {"'n2'", "'a'", "'b'"}},
        {"caps:\n  circuits:\n    - {name: a, nodes: \" , \", cap: 1}\n", {"'a' names no node"}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct sl_policy_document document;
        struct sl_error err;
        const char *path = folder_put(*state, "bad.yaml", cases[i].text);
        assert_int_equal(sl_policy_document_read(path, &document, &err), -SL_INVALID);
        for (size_t k = 0; k < 3 && cases[i].said[k]; k++) {
            if (!strstr(err.text, cases[i].said[k])) {
                fail_msg("case %zu: '%s' lacks '%s'", i, err.text, cases[i].said[k]);
            }
        }
    }
}

static void units_are_what_they_say(void **state) {
    struct sl_policy_document document;
    struct sl_error err;
    const char *path = folder_put(
        *state, "good.yaml",
        "power:\n  strike:\n    - {class: \"*H100*\", price: 0.12}\n  confirm: 2m\n  ramp: 10\n"
        "caps:\n  site: 6.5\n  unknown: 300\n  circuits:\n"
        "    - {name: pdu1, nodes: \"rig1, rig2*\", cap: 1.25}\nfloors:\n  site: 1\n");
    if (sl_policy_document_read(path, &document, &err)) {
        fail_msg("%s", err.text);
    }
    assert_int_equal(document.power.strikes[0].price, 120000000);
    assert_int_equal(document.power.curtail.confirm_ms, 120000);
    assert_int_equal(document.power.curtail.ramp_mw, 10000000);
    assert_int_equal(document.power.site_mw, 6500000);
    assert_int_equal(document.power.unknown_mw, 300000);
    assert_int_equal(document.power.floor_mw, 1000000);
    assert_int_equal(document.power.circuits[0].cap_mw, 1250000);
    assert_true(sl_policy_power_fits(document.power.circuits[0].nodes, "rig1"));
    assert_true(sl_policy_power_fits(document.power.circuits[0].nodes, "rig27"));
    assert_false(sl_policy_power_fits(document.power.circuits[0].nodes, "rig12"));
    assert_false(sl_policy_power_fits("", "rig1"));
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, folder_make, folder_remove)
    const struct CMUnitTest tests[] = {
        TEST(what_contradicts_itself_is_refused),
        TEST(units_are_what_they_say),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
