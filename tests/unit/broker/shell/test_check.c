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

#include "broker/http/listen.h"
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

static void listen_anywhere(struct sl_broker_config *config) {
    sl_text_copy(config->agents_listen, sizeof config->agents_listen, "tcp://127.0.0.1:0");
    sl_text_copy(config->join_listen, sizeof config->join_listen, "tcp://127.0.0.1:*");
    sl_text_copy(config->http_listen, sizeof config->http_listen, "127.0.0.1:0");
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
    listen_anywhere(config);
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

struct place {
    char dir[64];
    struct sl_broker_config *config;
};

static int set_up(void **state) {
    struct place *p = calloc(1, sizeof *p);
    struct sl_link_keys keys;
    sl_text_copy(p->dir, sizeof p->dir, "/tmp/sluice-check-XXXXXX");
    p->config = calloc(1, sizeof *p->config);
    assert_non_null(p->config);
    assert_non_null(mkdtemp(p->dir));
    listen_anywhere(p->config);
    snprintf(p->config->data_dir, sizeof p->config->data_dir, "%s/data", p->dir);
    snprintf(p->config->key_file, sizeof p->config->key_file, "%s/broker.key", p->dir);
    assert_int_equal(sl_link_keys_generate(&keys, NULL), SL_OK);
    assert_int_equal(sl_link_keys_write(p->config->key_file, &keys, NULL), SL_OK);
    *state = p;
    return 0;
}

static int tear_down(void **state) {
    struct place *p = *state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", p->dir);
    int rc = system(command);
    free(p->config);
    free(p);
    return rc;
}

static void data_dir_and_the_store_are_looked_at(void **state) {
    struct place *p = *state;
    struct heard heard;
    char path[300];
    const char *dir = p->config->data_dir;
    assert_string_equal(only_fault(p->config, &heard), ""); /* a start makes it */
    write_text(dir, "");
    assert_non_null(strstr(only_fault(p->config, &heard), "data_dir: "));
    assert_non_null(strstr(heard.last.text, "is no folder: move it away"));
    unlink(dir);
    assert_int_equal(mkdir(dir, 0700), 0);
    assert_string_equal(only_fault(p->config, &heard), "");
    snprintf(path, sizeof path, "%s/files", dir);
    write_text(path, "");
    assert_non_null(strstr(only_fault(p->config, &heard), "/files is no folder"));
    unlink(path);
    snprintf(path, sizeof path, "%s/store.db", dir);
    write_text(path, "");
    assert_string_equal(only_fault(p->config, &heard), "");
    write_text(path, "a text of more than one hundred bytes, which is not a store of Sluice's, nor "
                     "of anybody else, but a text alone");
    assert_non_null(strstr(only_fault(p->config, &heard), "is no store of Sluice"));
    unlink(path);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_non_null(strstr(only_fault(p->config, &heard), "is not a regular file"));
    unlink(path);
    const struct sl_store_config config = {.path = path};
    struct sl_store *store = NULL;
    assert_int_equal(sl_store_open(&config, &store, NULL), SL_OK);
    assert_string_equal(only_fault(p->config, &heard), "");
    sl_store_close(store);
    assert_string_equal(only_fault(p->config, &heard), "");
    FILE *file = fopen(path, "r+");
    assert_non_null(file);
    assert_int_equal(fseek(file, 60, SEEK_SET), 0); /* its schema */
    assert_int_equal(fwrite("\0\0\x03\xe8", 4, 1, file), 1);
    fclose(file);
    assert_non_null(
        strstr(only_fault(p->config, &heard), "has schema 1000 and this program knows"));
}

static void the_sockets_are_tried(void **state) {
    struct place *p = *state;
    struct heard heard;
    char url[SL_LISTEN_URL_MAX];
    uint16_t port = 0;
    int fd = -1;
    assert_int_equal(sl_listen_open("127.0.0.1:0", &fd, NULL), SL_OK);
    assert_int_equal(sl_listen_describe(fd, NULL, url, &port, NULL), SL_OK);
    snprintf(p->config->http_listen, sizeof p->config->http_listen, "127.0.0.1:%u", port);
    assert_non_null(strstr(only_fault(p->config, &heard), "http.listen 127.0.0.1"));
    snprintf(p->config->agents_listen, sizeof p->config->agents_listen, "tcp://127.0.0.1:%u", port);
    snprintf(p->config->join_listen, sizeof p->config->join_listen, "tcp://127.0.0.1:%u", port);
    struct heard all = {0};
    assert_int_equal(sl_broker_check_files(p->config, hear, &all), 3);
    p->config->join_listen[0] = '\0'; /* nowhere */
    assert_int_equal(sl_broker_check_files(p->config, hear, &all), 2);
    close(fd);
    assert_string_equal(only_fault(p->config, &heard), "");
    sl_text_copy(p->config->agents_listen, sizeof p->config->agents_listen, "tcp://192.0.2.1:1");
    assert_non_null(strstr(only_fault(p->config, &heard), "agents.listen: tcp://192.0.2.1:1 is no "
                                                          "address of this machine"));
}

/* A change is checked while the broker runs, before it is started anew. */
static void a_running_broker_has_its_own_sockets(void **state) {
    struct place *p = *state;
    struct heard heard;
    char path[300];
    int fd = -1;
    char url[SL_LISTEN_URL_MAX];
    uint16_t port = 0;
    assert_int_equal(mkdir(p->config->data_dir, 0700), 0);
    snprintf(path, sizeof path, "%s/store.db", p->config->data_dir);
    const struct sl_store_config config = {.path = path};
    struct sl_store *store = NULL;
    assert_int_equal(sl_store_open(&config, &store, NULL), SL_OK);
    assert_int_equal(sl_listen_open("127.0.0.1:0", &fd, NULL), SL_OK);
    assert_int_equal(sl_listen_describe(fd, NULL, url, &port, NULL), SL_OK);
    snprintf(p->config->http_listen, sizeof p->config->http_listen, "127.0.0.1:%u", port);
    assert_string_equal(only_fault(p->config, &heard), "");
    sl_store_close(store);
    assert_non_null(strstr(only_fault(p->config, &heard), "http.listen"));
    close(fd);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_file_that_is_named_is_read),
        cmocka_unit_test_setup_teardown(data_dir_and_the_store_are_looked_at, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_sockets_are_tried, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_running_broker_has_its_own_sockets, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
