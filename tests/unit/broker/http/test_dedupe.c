/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "broker/http/internal.h"

static struct sl_http *make(void) {
    struct sl_http *http = calloc(1, sizeof *http);
    assert_int_equal(pthread_mutex_init(&http->lock, NULL), 0);
    return http;
}

static enum sl_dedupe_state begin(struct sl_http *http, uint8_t byte, bool retried, char *id) {
    uint8_t hash[32];
    memset(hash, byte, sizeof hash);
    return sl_dedupe_begin(http, hash, retried, id);
}

static void test_life_of_an_entry(void **state) {
    (void)state;
    struct sl_http *http = make();
    char id[SL_ID_MAX] = "batch_1";
    assert_int_equal(begin(http, 1, false, id), SL_DEDUPE_NEW);
    strcpy(id, "batch_2");
    assert_int_equal(begin(http, 1, true, id), SL_DEDUPE_RUNNING);
    assert_string_equal(id, "batch_1");
    sl_dedupe_end(http, "batch_1", true);
    strcpy(id, "batch_3");
    assert_int_equal(begin(http, 1, true, id), SL_DEDUPE_DONE);
    assert_string_equal(id, "batch_1");
    strcpy(id, "batch_4");
    assert_int_equal(begin(http, 2, true, id), SL_DEDUPE_NEW); /* another body */
    sl_dedupe_end(http, "batch_4", false);
    assert_int_equal(begin(http, 2, true, id), SL_DEDUPE_NEW); /* the first try failed */
    for (int i = 0; i < SL_HTTP_DEDUPE_MAX; i++) {
        if (strcmp(http->dedupe[i].batch, "batch_1") == 0) {
            http->dedupe[i].until.ns = 1; /* 15 minutes later */
        }
    }
    strcpy(id, "batch_5");
    assert_int_equal(begin(http, 1, true, id), SL_DEDUPE_NEW);
    free(http);
}

/* A full table forgets its oldest entry, not the newest. */
static void test_the_oldest_makes_room(void **state) {
    (void)state;
    struct sl_http *http = make();
    char id[SL_ID_MAX];
    uint8_t hash[32] = {0};
    for (uint32_t i = 0; i <= SL_HTTP_DEDUPE_MAX; i++) {
        memcpy(hash, &i, sizeof i);
        snprintf(id, sizeof id, "batch_%u", i);
        assert_int_equal(sl_dedupe_begin(http, hash, false, id), SL_DEDUPE_NEW);
        for (int k = 0; k < SL_HTTP_DEDUPE_MAX;
             k++) { /* distinct ages, whatever the clock's step */
            if (strcmp(http->dedupe[k].batch, id) == 0) {
                http->dedupe[k].until.ns += i;
            }
        }
    }
    assert_int_equal(sl_dedupe_begin(http, hash, true, id), SL_DEDUPE_RUNNING);
    memset(hash, 0, sizeof hash);
    strcpy(id, "batch_new");
    assert_int_equal(sl_dedupe_begin(http, hash, true, id), SL_DEDUPE_NEW);
    free(http);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_life_of_an_entry),
        cmocka_unit_test(test_the_oldest_makes_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
