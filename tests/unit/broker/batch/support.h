/* SPDX-License-Identifier: Apache-2.0
 * A temporary data directory and small files for the batch tests. */
#ifndef SLUICE_TESTS_BATCH_SUPPORT_H
#define SLUICE_TESTS_BATCH_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/batch/batch.h"
#include "proto/base/text.h"

#define TEST_LINE(id, body)                                                                        \
    "{\"custom_id\":\"" id "\",\"method\":\"POST\",\"url\":\"/v1/embeddings\",\"body\":" body "}"
#define TEST_BODY(input) "{\"model\":\"m\",\"input\":" input "}"

static inline char *test_dir_make(void) {
    char *dir = strdup("/tmp/sluice-batch-XXXXXX");
    assert_non_null(mkdtemp(dir));
    assert_int_equal(sl_batch_make_dir(dir, SL_BATCH_FILES_DIR, NULL), SL_OK);
    return dir;
}

static inline void test_dir_remove(char *dir) {
    char command[128];
    assert_memory_equal(dir, "/tmp/sluice-batch-", 18);
    snprintf(command, sizeof command, "rm -rf %s", dir);
    assert_int_equal(system(command), 0);
    free(dir);
}

static inline void test_write_file(const char *dir, const char *id, const void *data, size_t n) {
    char path[SL_BATCH_PATH_MAX];
    assert_int_equal(sl_batch_path(dir, SL_BATCH_FILES_DIR, id, path, NULL), SL_OK);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, n, file), n);
    assert_int_equal(fclose(file), 0);
}

static inline int test_validate(const char *dir, const char *batch,
                                struct sl_batch_validation *ret_validation, struct sl_error *err) {
    static const struct sl_batch_model models[] = {{"m", NULL}, {"n", "query: "}};
    return sl_batch_validate(dir, batch, "file-in", "/v1/embeddings", models, 2, ret_validation,
                             err);
}

#endif
