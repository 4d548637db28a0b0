/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/text.h"
#include "proto/conf/tree.h"

static void refused_bytes(const char *text, size_t size, int status, const char *expected,
                          const char *why) {
    yaml_document_t doc;
    struct sl_error err = {0};
    int rc = sl_conf_tree_load("f", text, size, &doc, &err);
    if (rc == 0) {
        yaml_document_delete(&doc);
    }
    if (rc != -status || strncmp(err.text, expected, strlen(expected)) != 0) {
        fail_msg("%s: %d '%s', wanted '%s'", why, rc, err.text, expected);
    }
}

static void what_means_something_else_is_refused(void **state) {
    (void)state;
    static const struct {
        const char *text;
        const char *expected;
        const char *why;
    } cases[] = {
        {"a: 1\nb: &x 2\n", "f:2: an anchor", "on a scalar"},
        {"a: 1\nb: &x\n  c: 1\n", "f:2: an anchor", "on a map"},
        {"b: &x [1]\n", "f:1: an anchor", "on a list"},
        {"&x b: 1\n", "f:1: an anchor", "on a key"},
        {"a: 1\n\nb: *x\n", "f:3: an alias", "of nothing"},
        {"a: !!str 1\n", "f:1: a tag", "a known tag"},
        {"a: !!int 1\n", "f:1: a tag", "the tag it has anyway"},
        {"a: ! 1\n", "f:1: a tag", "the bare tag"},
        {"a: !x 1\n", "f:1: a tag", "a local tag"},
        {"a: !!map\n  b: 1\n", "f:1: a tag", "on a map"},
        {"a: !!seq [1]\n", "f:1: a tag", "on a list"},
        {"%YAML 1.1\n---\na: 1\n", "f:1: a directive", "a version"},
        {"%TAG ! tag:x,2000:\n---\na: 1\n", "f:1: a directive", "a tag prefix"},
        {"a: 1\n---\na: 2\n", "f:2: a second document", "two documents"},
        {"a: 1\n...\n---\n", "f:3: a second document", "an empty second document"},
        {"a:\n\tb: 1\n", "f:2: a tab; YAML is indented with blanks", "a tab"},
        {"a:\n  b: 1\n  \tc: 1\n", "f:3: a tab", "blanks and a tab"},
        {"a: 'x\n", "f:2: this is not YAML", "an open quote"},
        {"a: [1, 2\nb: 3\n", "f:2: this is not YAML", "an open list"},
        {"a: b: c\n", "f:1: this is not YAML", "two values"},
        {"a\nb: 1\n", "f:2: this is not YAML", "a key without colon"},
        {"a: 1\n b: 2\n", "f:2: this is not YAML", "odd indentation"},
        {"a: @x\n", "f:1: this is not YAML", "a reserved character"},
        {"a: \"\\q\"\n", "f:1: this is not YAML", "an unknown escape"},
        {"a: 1\nb: \xE9\n", "f:2: not UTF-8", "Latin-1"},
        {"a: 1\nb: \xED\xA0\x80\n", "f:2: not UTF-8", "a surrogate"},
        {"\xFF\xFE\x61", "f:1: not UTF-8", "UTF-16"},
        {"a: \x07\n", "f:1: this is not YAML", "a control character"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        refused_bytes(cases[i].text, strlen(cases[i].text), SL_INVALID, cases[i].expected,
                      cases[i].why);
    }
    refused_bytes("a: 1\nb: \0\n", 10, SL_INVALID, "f:2: a NUL", "a NUL");
}

static void depth_and_number_are_bounded(void **state) {
    (void)state;
    SL_AUTO_BUF struct sl_buf deep = {0};
    sl_buf_printf(&deep, "a: ");
    for (int i = 0; i < 100000; i++) {
        sl_buf_append(&deep, "[", 1);
    }
    refused_bytes(deep.data, deep.len, SL_LIMIT, "f:1: nested too deep", "100,000 brackets");
    SL_AUTO_BUF struct sl_buf many = {0};
    sl_buf_printf(&many, "a: [");
    for (int i = 0; i < 250000; i++) {
        sl_buf_append(&many, "1,", 2);
    }
    sl_buf_append(&many, "1]\n", 3);
    refused_bytes(many.data, many.len, SL_LIMIT, "f:1: too many values", "a very long list");
}

static void good_text_becomes_a_document(void **state) {
    (void)state;
    static const char *const cases[] = {"",
                                        "a: 1\n",
                                        "a: {b: [c, 'd']}\r\n",
                                        "--- \na: 1\n...\n",
                                        "\xEF\xBB\xBF--- {a: \xE2\x82\xAC}\n",
                                        "a: x # y\n"};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        yaml_document_t doc;
        struct sl_error err = {0};
        if (sl_conf_tree_load("f", cases[i], strlen(cases[i]), &doc, &err)) {
            fail_msg("%zu: %s", i, err.text);
        }
        assert_true((yaml_document_get_root_node(&doc) != NULL) == (cases[i][0] != '\0'));
        yaml_document_delete(&doc);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_means_something_else_is_refused),
        cmocka_unit_test(depth_and_number_are_bounded),
        cmocka_unit_test(good_text_becomes_a_document),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
