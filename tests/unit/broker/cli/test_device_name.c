/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "broker/cli/cli.h"

static void test_match(void **state) {
    (void)state;
    json_t *rows = json_loads("[{\"key\":\"n1/pocl/1\"},{\"key\":\"n1/pocl/11\"},"
                              "{\"key\":\"pci:0000:01:00.0/uuid\"},{\"key\":\"n2/pocl/1\"},"
                              "{\"key\":\"pocl/1\"}]",
                              0, NULL);
    static const struct {
        const char *name;
        enum sl_cli_match match;
        const char *key;
    } cases[] = {
        {"n1/pocl/1", SL_CLI_MATCH_ONE, "n1/pocl/1"}, /* exact, though n1/pocl/11 has it */
        {"pocl/1", SL_CLI_MATCH_ONE, "pocl/1"},       /* exact comes before an ending */
        {"/11", SL_CLI_MATCH_ONE, "n1/pocl/11"},      /* the only ending */
        {"01:00.0", SL_CLI_MATCH_ONE, "pci:0000:01:00.0/uuid"}, /* a part */
        {"n2", SL_CLI_MATCH_ONE, "n2/pocl/1"},
        {"n1", SL_CLI_MATCH_MANY, NULL},
        {"/1", SL_CLI_MATCH_MANY, NULL}, /* two endings: never guess */
        {"n3", SL_CLI_MATCH_NONE, NULL},
        {"", SL_CLI_MATCH_NONE, NULL}, /* would fit everything */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *key = NULL;
        assert_int_equal(sl_cli_match(rows, "key", cases[i].name, &key), cases[i].match);
        if (cases[i].key) {
            assert_string_equal(key, cases[i].key);
        }
    }
    json_decref(rows);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_match)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
