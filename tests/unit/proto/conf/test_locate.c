/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "proto/base/text.h"
#include "proto/conf/conf.h"

static const char text[] = "# of a test\n"
                           "node: a\n"
                           "pool:\n"
                           "  url: x\n"
                           "pools:\n"
                           "  - name: b\n"
                           "    url: y\n"
                           "  - {url: z,\n"
                           "     name: c}\n"
                           "empty:\n";

static void the_innermost_line_that_is_there(void **state) {
    (void)state;
    static const struct {
        const char *said;
        int line; /* 0: none */
    } cases[] = {
        {"node 'a': no", 2},
        {"pool.url: no", 4},
        {"pool.user is", 3},
        {"pool: no", 3},
        {"pool[0].url: no", 3},
        {"pools[0].url: no", 7},
        {"pools[1].name: no", 9},
        {"pools[1].user: no", 8},
        {"pools[2].name: no", 5},
        {"pools[x].name: no", 5},
        {"pools.name: no", 5},
        {"empty.a.b: no", 10},
        {"empty[0]: no", 10},
        {"feed x: no", 0},
        {"two: no", 0},
        {"", 0},
        {"Node: no", 0},
        {"node", 2},
        {"pools[", 5},
        {"pools[99999999999999999999]", 5},
    };
    char path[] = "/tmp/sluice-locate-XXXXXX";
    int fd = mkstemp(path);
    assert_int_equal(write(fd, text, sizeof text - 1), sizeof text - 1);
    close(fd);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct sl_error err = {.status = -SL_INVALID};
        char wanted[200];
        sl_text_copy(err.text, sizeof err.text, cases[i].said);
        if (cases[i].line) {
            snprintf(wanted, sizeof wanted, "%s:%d: %s", path, cases[i].line, cases[i].said);
        } else {
            snprintf(wanted, sizeof wanted, "%s: %s", path, cases[i].said);
        }
        assert_int_equal(sl_conf_locate(path, &err), -SL_INVALID);
        assert_string_equal(err.text, wanted);
    }
    unlink(path);
}

/* It was read a moment ago; whatever it is by now, the text comes out. */
static void a_file_that_is_gone_or_another(void **state) {
    (void)state;
    char path[] = "/tmp/sluice-locate-XXXXXX";
    int fd = mkstemp(path);
    for (int i = 0; i < 4; i++) {
        struct sl_error err = {.status = -SL_INVALID, .text = "node: no"};
        assert_int_equal(sl_conf_locate(path, &err), -SL_INVALID);
        assert_memory_equal(err.text, path, strlen(path));
        assert_string_equal(err.text + strlen(path), ": node: no");
        if (i == 0) {
            assert_int_equal(write(fd, "- node: [", 9), 9);
        } else if (i == 1) {
            unlink(path);
        } else {
            (void)mkfifo(path, 0600);
        }
    }
    close(fd);
    unlink(path);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_innermost_line_that_is_there),
        cmocka_unit_test(a_file_that_is_gone_or_another),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
