/* SPDX-License-Identifier: Apache-2.0
 * One pool's configuration: each option arrives, each mistake is named with its section. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/shell/config_pool.h"
#include "agent/shell/pool_link.h"
#include "agent/stratum/failover.h"

#define PIN "sha256//47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
#define F(member)                                                                                  \
    .offset = offsetof(struct sl_pool_options, member),                                            \
    .size = sizeof(((struct sl_pool_options *)0)->member)

/* As an item of a list has it: without a prefix. */
static const struct sl_conf_option schema[] = {SL_POOL_OPTION_ROWS("", F), {0}};

static void read_text(const char *text, struct sl_pool_options *ret_options) {
    struct sl_error err = {0};
    if (sl_conf_parse("t", text, strlen(text), schema, ret_options, sizeof *ret_options, &err)) {
        fail_msg("%s", err.text);
    }
}

static void every_option_arrives(void **state) {
    (void)state;
    struct sl_pool_options options;
    struct sl_failover_config config;
    struct sl_pool_link_options link;
    struct sl_error err = {0};
    read_text("url: stratum+ssl://A.test:3333\n"
              "fallback_urls: \"stratum+ssl://b.test:443  stratum+tls://[::1]:5\"\n"
              "user: u\npassword: p\nextranonce_subscribe: false\nversion_rolling: false\n"
              "submit_stale: true\nsuggest_difficulty: 0.25\ntls_pins: " PIN "\n"
              "proxy: socks5://proxy.test:1080\nanswer_timeout: 3s\nshare_timeout: 4s\n"
              "job_timeout: 5s\nretry_primary: 6s\n",
              &options);
    assert_int_equal(sl_pool_options_check(&options, "pools[1]", &err), SL_OK);
    assert_int_equal(sl_pool_options_client(&options, "pools[1]", &config, &err), SL_OK);
    assert_int_equal(config.url_count, 3);
    assert_string_equal(config.urls[0].host, "a.test");
    assert_true(config.urls[0].tls && config.urls[1].tls && config.urls[2].tls);
    assert_string_equal(config.urls[2].host, "::1");
    assert_string_equal(config.client.user, "u");
    assert_string_equal(config.client.password, "p");
    assert_false(config.client.extranonce_subscribe);
    assert_int_equal(config.client.version_mask, 0);
    assert_true(config.client.submit_stale);
    assert_true(config.client.suggest_difficulty == 0.25);
    assert_int_equal(config.client.answer_timeout_ms, 3000);
    assert_int_equal(config.client.submit_timeout_ms, 4000);
    assert_int_equal(config.client.notify_timeout_ms, 5000);
    assert_int_equal(config.retry_ms, 6000);
    assert_int_equal(sl_pool_options_link(&options, "pools[1]", &link, &err), SL_OK);
    assert_string_equal(link.proxy.host, "proxy.test");
    assert_int_equal(link.proxy.port, 1080);
    assert_int_equal(link.pins.count, 1);
}

static void defaults_are_those_of_the_client(void **state) {
    (void)state;
    struct sl_pool_options options;
    struct sl_failover_config config, defaults;
    read_text("url: stratum+tcp://a.test:3333\nuser: u\n", &options);
    assert_int_equal(sl_pool_options_client(&options, "pool", &config, NULL), SL_OK);
    sl_failover_config_defaults(&defaults);
    assert_int_equal(config.retry_ms, defaults.retry_ms);
    assert_int_equal(config.client.submit_timeout_ms, defaults.client.submit_timeout_ms);
    assert_int_equal(config.client.notify_timeout_ms, defaults.client.notify_timeout_ms);
    assert_int_equal(config.client.answer_timeout_ms, defaults.client.answer_timeout_ms);
    assert_int_equal(config.client.version_mask, defaults.client.version_mask);
    assert_string_equal(config.client.password, defaults.client.password);
}

static void mistakes_are_named(void **state) {
    (void)state;
    static const struct {
        const char *text, *wanted;
    } cases[] = {
        {"url: stratum+tcp://a:1\n", "pool.user"},
        {"url: http://a:1\nuser: u\n", "pool.url"},
        {"url: stratum+tcp://a:1\nuser: u\nfallback_urls: stratum+tcp://b\n", "pool.fallback_urls"},
        {"url: stratum+tcp://a:1\nuser: u\nfallback_urls: stratum+tcp://A:1\n", "twice"},
        {"url: stratum+tcp://a:1\nuser: u\nfallback_urls: stratum+tcp://b:1,stratum+tcp://c:1\n",
         "spaces between them"},
        {"url: stratum+tcp://a:1\nuser: u\nsuggest_difficulty: 1e5\n", "at most 6 decimals"},
        {"url: stratum+ssl://a:1\nuser: u\ntls_pins: " PIN "," PIN "\n", "spaces between them"},
        {"url: stratum+tcp://a:1\nuser: u\ntls_pins: " PIN "\n", "a:1 is none"},
        {"url: stratum+ssl://a:1\nuser: u\ntls_pins: x\n", "pool.tls_pins"},
        {"url: stratum+ssl://a:1\nuser: u\ntls_pins: " PIN "\nfallback_urls: stratum+tcp://b:2\n",
         "b:2 is none"},
        {"url: stratum+tcp://a:1\nuser: u\nproxy: http://p:1\n", "pool.proxy"},
        {"url: stratum+tcp://a:1\nuser: u\nproxy_user: x\n", "pool.proxy is missing"},
        {"url: stratum+tcp://a:1\nuser: u\nproxy: socks5://p:1\nproxy_user: x\n", "go together"},
        {"url: stratum+tcp://a:1\nuser: u\nfallback_urls: \"stratum+tcp://b:1 stratum+tcp://b:2 "
         "stratum+tcp://b:3 stratum+tcp://b:4 stratum+tcp://b:5 stratum+tcp://b:6 "
         "stratum+tcp://b:7 stratum+tcp://b:8\"\n",
         "more than 8"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct sl_pool_options options;
        struct sl_error err = {0};
        read_text(cases[i].text, &options);
        if (sl_pool_options_check(&options, "pool", &err) == SL_OK ||
            !strstr(err.text, cases[i].wanted)) {
            fail_msg("case %zu: %s", i, err.text);
        }
    }
}

static void passwords_come_from_files_of_ours_alone(void **state) {
    (void)state;
    struct sl_pool_options options;
    struct sl_error err = {0};
    struct sl_failover_config pool;
    struct sl_pool_link_options link;
    char path[] = "/tmp/sluice-agent-pass-XXXXXX";
    int fd = mkstemp(path);
    assert_int_equal(write(fd, "secret\nrest\n", 12), 12);
    close(fd);
    char text[512];
    snprintf(text, sizeof text,
             "url: stratum+tcp://a.test:3333\nuser: u\npassword_file: %s\n"
             "proxy: socks5://p.test:1\nproxy_user: me\nproxy_password_file: %s\n",
             path, path);
    read_text(text, &options);
    assert_int_equal(sl_pool_options_client(&options, "pool", &pool, &err), SL_OK);
    assert_string_equal(pool.client.password, "secret");
    assert_int_equal(sl_pool_options_link(&options, "pool", &link, &err), SL_OK);
    assert_string_equal(link.proxy_user, "me");
    assert_string_equal(link.proxy_password, "secret");
    assert_int_equal(chmod(path, 0644), 0);
    assert_int_equal(sl_pool_options_client(&options, "pool", &pool, &err), -SL_DENIED);
    assert_non_null(strstr(err.text, "chmod 600"));
    assert_int_equal(sl_pool_options_link(&options, "pool", &link, &err), -SL_DENIED);
    assert_non_null(strstr(err.text, "pool.proxy_password_file"));
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0); /* nobody writes: it must not be waited for */
    assert_int_not_equal(sl_pool_options_client(&options, "pool", &pool, &err), SL_OK);
    assert_non_null(strstr(err.text, "pool.password_file"));
    assert_non_null(strstr(err.text, "is not a file"));
    assert_int_equal(unlink(path), 0);
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
    assert_int_equal(write(fd, "\nsecret\n", 8), 8);
    close(fd);
    assert_int_equal(sl_pool_options_link(&options, "pool", &link, &err), -SL_INVALID);
    assert_non_null(strstr(err.text, "empty"));
    char longest[300]; /* one character too many must not be a password cut short */
    memset(longest, 'p', sizeof longest);
    fd = open(path, O_WRONLY | O_TRUNC);
    assert_int_equal(write(fd, longest, sizeof pool.client.password), sizeof pool.client.password);
    close(fd);
    assert_int_equal(sl_pool_options_client(&options, "pool", &pool, &err), -SL_INVALID);
    assert_non_null(strstr(err.text, "more than 256 characters"));
    assert_int_equal(truncate(path, sizeof pool.client.password - 1), 0);
    assert_int_equal(sl_pool_options_client(&options, "pool", &pool, &err), SL_OK);
    assert_int_equal(strlen(pool.client.password), sizeof pool.client.password - 1);
    unlink(path);
    assert_true(sl_pool_options_client(&options, "pool", &pool, &err) < 0);
    for (int fifo = 0; fifo < 2; fifo++) { /* nobody writes into it: must not wait */
        assert_int_equal(fifo ? mkfifo(path, 0600) : mkdir(path, 0700), 0);
        assert_int_equal(sl_pool_options_client(&options, "pool", &pool, &err), -SL_INVALID);
        assert_non_null(strstr(err.text, "is not a file"));
        assert_int_equal(remove(path), 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_option_arrives),
        cmocka_unit_test(defaults_are_those_of_the_client),
        cmocka_unit_test(mistakes_are_named),
        cmocka_unit_test(passwords_come_from_files_of_ours_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
