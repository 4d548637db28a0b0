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

#include "proto/base/folder.h"

static void a_folder_is_there_or_can_be_made(void **state) {
    (void)state;
    char dir[] = "/tmp/sluice-folder-XXXXXX";
    char path[128];
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/file", dir);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fclose(file);
    snprintf(path, sizeof path, "%s/link", dir);
    assert_int_equal(symlink("/nowhere/at/all", path), 0);
    static const struct {
        const char *below;
        const char *said; /* NULL: good */
    } cases[] = {
        {"", NULL},
        {"/", NULL},
        {"/new", NULL},
        {"/new//", NULL},
        {"/file", "/file is no folder: move it away"},
        {"/file/new", "cannot use the folder"},
        {"/link", "/link is no folder: move it away"},
        {"/a/new", "/a is no folder: make that (mkdir -p)"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct sl_error err = {0};
        snprintf(path, sizeof path, "%s%s", dir, cases[i].below);
        int rc = sl_folder_check(path, true, "agent", &err);
        if ((rc == SL_OK) != (cases[i].said == NULL) ||
            (cases[i].said && !strstr(err.text, cases[i].said))) {
            fail_msg("%s: %d %s", path, rc, err.text);
        }
    }
    snprintf(path, sizeof path, "%s/new", dir);
    assert_int_not_equal(access(path, F_OK), 0); /* nothing is made */
    struct sl_error err;
    assert_int_equal(sl_folder_check("/", false, "agent", &err), SL_OK);
    assert_int_equal(chdir(dir), 0);
    assert_int_equal(sl_folder_check("new", true, "agent", &err), SL_OK);
    snprintf(path, sizeof path, "%s/file", dir);
    unlink(path);
    snprintf(path, sizeof path, "%s/link", dir);
    unlink(path);
    rmdir(dir);
}

static void who_may_not_write_is_told(void **state) {
    (void)state;
    char dir[] = "/tmp/sluice-folder-XXXXXX";
    char path[128];
    struct sl_error there, missing;
    bool root = geteuid() == 0;
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/new", dir);
    assert_int_equal(chmod(dir, 0555), 0);
    if (root) { /* who may write everywhere */
        assert_int_equal(seteuid(65534), 0);
    }
    int there_rc = sl_folder_check(dir, true, "agent", &there);
    int read_only = sl_folder_check(dir, false, "agent", NULL);
    int missing_rc = sl_folder_check(path, true, "agent", &missing);
    if (root) {
        assert_int_equal(seteuid(0), 0);
    }
    rmdir(dir);
    assert_true(there_rc < 0 && missing_rc < 0 && read_only == SL_OK);
    assert_non_null(strstr(there.text, "give it to the agent's user (chown -R, chmod 700)"));
    assert_non_null(strstr(missing.text, "cannot make it in /tmp/sluice-folder-"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_folder_is_there_or_can_be_made),
        cmocka_unit_test(who_may_not_write_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
