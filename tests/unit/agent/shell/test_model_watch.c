/* SPDX-License-Identifier: Apache-2.0
 * A model's file is rewritten, removed and put back under a running agent. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/shell/model_watch.h"
#include "proto/base/clock.h"
#include "proto/base/mailbox.h"
#include "tests/unit/agent/models/tiny_bert.h"

static void note(void *context, const struct sl_model *model, enum sl_model_file file) {
    assert_string_equal(model->id, "tiny");
    sl_model_watch_log(NULL, model, file);
    sl_mailbox_put(context, &file);
}

static enum sl_model_file next(struct sl_mailbox *notes) {
    enum sl_model_file file = SL_MODEL_FILE_INVALID;
    assert_int_equal(sl_mailbox_take_wait(notes, 20 * SL_NS_PER_S, &file), SL_OK);
    return file;
}

/* By rename, as a careful operator does: the watch never sees half of it. */
static void replace(const char *path, uint64_t seed) {
    struct sl_tiny_bert shape = sl_tiny_bert_default();
    shape.seed = seed;
    assert_int_equal(sl_tiny_bert_save(&shape, path, NULL), SL_OK);
}

static void every_change_is_told_once(void **state) {
    (void)state;
    char path[] = "/tmp/sluice-watch-XXXXXX";
    close(mkstemp(path));
    replace(path, 1);
    struct sl_model_config config = {.id = "tiny"};
    snprintf(config.path, sizeof config.path, "%s", path);
    struct sl_model_set *set = NULL;
    struct sl_mailbox *notes = NULL;
    struct sl_model_watch *watch = NULL;
    assert_int_equal(sl_model_set_load(&config, 1, &set, NULL), SL_OK);
    assert_int_equal(sl_mailbox_create(sizeof(enum sl_model_file), 16, &notes, NULL), SL_OK);
    assert_int_equal(sl_model_watch_start(set, 2, note, notes, &watch, NULL), SL_OK);
    replace(path, 2);
    assert_int_equal(next(notes), SL_MODEL_FILE_CHANGED);
    replace(path, 1);
    assert_int_equal(next(notes), SL_MODEL_FILE_SAME);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(next(notes), SL_MODEL_FILE_GONE);
    replace(path, 1);
    assert_int_equal(next(notes), SL_MODEL_FILE_SAME);
    assert_int_equal(truncate(path, 64), 0); /* in place */
    assert_int_equal(next(notes), SL_MODEL_FILE_CHANGED);
    sl_model_watch_destroy(watch);
    enum sl_model_file more;
    assert_false(sl_mailbox_take(notes, &more));
    unlink(path);
    sl_mailbox_destroy(notes);
    sl_model_set_destroy(set);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_change_is_told_once)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
