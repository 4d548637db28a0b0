/* SPDX-License-Identifier: Apache-2.0
 * A folder of CSV files for the backtest's tests. */
#ifndef SLUICE_TESTS_UNIT_BROKER_BACKTEST_FOLDER_H
#define SLUICE_TESTS_UNIT_BROKER_BACKTEST_FOLDER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

struct folder {
    char path[64];
};

static inline int folder_make(void **state) {
    struct folder *f = calloc(1, sizeof *f);
    strcpy(f->path, "/tmp/sluice-series-XXXXXX");
    *state = f;
    return f && mkdtemp(f->path) ? 0 : -1;
}

static inline int folder_remove(void **state) {
    struct folder *f = *state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", f->path);
    int rc = system(command);
    free(f);
    return rc;
}

static inline const char *folder_put(const struct folder *f, const char *name, const char *text) {
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", f->path, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
    return path;
}

#endif
