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

#include "broker/shell/broker.h"

struct heard {
    uint32_t count;
    struct sl_error last;
};

static void hear(void *context, const struct sl_error *why) {
    struct heard *heard = context;
    heard->count++;
    heard->last = *why;
}

static void write_text(const char *path, const char *text) {
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

/* The one thing that is wrong; "": nothing. */
static const char *only_fault(const struct sl_broker_config *config, struct heard *heard) {
    *heard = (struct heard){0};
    uint32_t count = sl_broker_check_files(config, hear, heard);
    assert_int_equal(count, heard->count);
    assert_true(count <= 1);
    return heard->last.text;
}

static void each_file_that_is_named_is_read(void **state) {
    (void)state;
    struct sl_broker_config *config = calloc(1, sizeof *config);
    assert_non_null(config);
    struct heard heard;
    char dir[] = "/tmp/sluice-check-XXXXXX";
    assert_non_null(mkdtemp(dir));
    snprintf(config->data_dir, sizeof config->data_dir, "%s/data", dir);
    snprintf(config->key_file, sizeof config->key_file, "%s/broker.key", dir);
    snprintf(config->allowed_file, sizeof config->allowed_file, "%s/allowed", dir);
    config->feed_count = 1;
    config->feeds[0] = (struct sl_feed_config){.id = "h",
                                               .role = SL_FEED_HASHPRICE - 1,
                                               .unit = "usd_per_ph_day",
                                               .time_column = "timestamp",
                                               .value_column = "usd"};
    snprintf(config->feeds[0].path, sizeof config->feeds[0].path, "%s/h.csv", dir);
    struct heard all = {0};
    assert_int_equal(sl_broker_check_files(config, hear, &all), 3);
    assert_int_equal(all.count, 3);
    struct sl_link_keys keys;
    assert_int_equal(sl_link_keys_generate(&keys, NULL), SL_OK);
    assert_int_equal(sl_link_keys_write(config->key_file, &keys, NULL), SL_OK);
    write_text(config->feeds[0].path, "timestamp,usd\n2025-01-01,1\n");
    assert_non_null(strstr(only_fault(config, &heard), "agents.allowed_file: cannot read"));
    write_text(config->allowed_file, "no key\n");
    assert_non_null(strstr(only_fault(config, &heard), "allowed:1"));
    write_text(config->allowed_file, "");
    assert_string_equal(only_fault(config, &heard), "");
    assert_int_equal(chmod(config->key_file, 0644), 0);
    assert_non_null(strstr(only_fault(config, &heard), "agents.key_file: others may read"));
    assert_int_equal(chmod(config->key_file, 0600), 0);
    unlink(config->feeds[0].path);
    assert_non_null(strstr(only_fault(config, &heard), "feed h: cannot read"));
    config->feed_count = 0;
    config->allowed_file[0] = '\0'; /* none */
    assert_string_equal(only_fault(config, &heard), "");
    assert_int_not_equal(access(config->data_dir, F_OK), 0); /* nothing is made */
    char path[300];
    snprintf(path, sizeof path, "%s/allowed", dir);
    unlink(path);
    unlink(config->key_file);
    assert_int_equal(rmdir(dir), 0);
    free(config);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_file_that_is_named_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
