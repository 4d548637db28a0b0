/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "agent/shell/config_pools.h"
#include "proto/base/text.h"

static void ids_are_short_and_safe(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"n1/pocl/0", "pocl-0"},      {"pci:0000:01:00.0/GPU-1b2c", "pci-0000-01-00-0"},
        {"n1x/pocl/0", "n1x-pocl-0"}, {"n1/fake/12", "fake-12"},
        {"n1/\"\xc3\xa4\n", "----"},
    };
    char id[40];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        sl_pool_device_id("n1", cases[i][0], id, sizeof id);
        assert_string_equal(id, cases[i][1]);
    }
    sl_pool_device_id("n1", "n1/a-key-that-is-longer-than-all-that", id, 8);
    assert_string_equal(id, "a-key-t");
}

static void placeholders(void **state) {
    (void)state;
    char out[SL_POOL_USER_MAX];
    struct sl_error err;
    assert_int_equal(sl_pool_user_expand("a.{node}-{device}@{pool}}", "n", "d", "p", out, &err), 0);
    assert_string_equal(out, "a.n-d@p}");
    assert_int_equal(sl_pool_user_expand("plain", "n", "d", "p", out, &err), 0);
    assert_string_equal(out, "plain");
    assert_int_equal(sl_pool_user_expand("{device}", "n", NULL, "p", out, &err), 0);
    assert_string_equal(out, "{device}");
    assert_true(sl_pool_user_by_device("x{device}"));
    assert_false(sl_pool_user_by_device("x{node}"));
    static const char *const bad[] = {"a{nodes}", "{", "{}", "{ node}", "{NODE}"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        strcpy(out, "kept");
        assert_int_equal(sl_pool_user_expand(bad[i], "n", "d", "p", out, &err), -SL_INVALID);
        assert_non_null(strstr(err.text, "is no placeholder"));
    }
    char node[SL_POOL_USER_MAX];
    memset(node, 'n', sizeof node - 1);
    node[sizeof node - 1] = '\0';
    assert_int_equal(sl_pool_user_expand("{node}", node, "d", "p", out, &err), 0);
    assert_int_equal(sl_pool_user_expand("x{node}", node, "d", "p", out, &err), -SL_INVALID);
}

static void one_or_several(void **state) {
    (void)state;
    static struct sl_agent_options options;
    const char *name = NULL;
    char section[16];
    struct sl_error err;
    memset(&options, 0, sizeof options);
    assert_int_equal(sl_agent_pool_count(&options), 0);
    assert_int_equal(sl_agent_address_count(&options), 0);
    assert_int_equal(sl_agent_pools_check(&options, &err), SL_OK);
    strcpy(options.node, "n");
    strcpy(options.pool.url, "stratum+tcp://a:1");
    strcpy(options.pool.user, "u");
    strcpy(options.pool.suggest, "0");
    assert_int_equal(sl_agent_pool_count(&options), 1);
    assert_int_equal(sl_agent_address_count(&options), 1);
    strcpy(options.pool.fallback_urls, "  stratum+tcp://b:1   stratum+tcp://c:1 ");
    assert_int_equal(sl_agent_address_count(&options), 3);
    options.pool.fallback_urls[0] = '\0';
    assert_ptr_equal(sl_agent_pool_at(&options, 0, &name, section), &options.pool);
    assert_string_equal(name, "default");
    assert_string_equal(section, "pool");
    assert_int_equal(sl_agent_pools_check(&options, &err), SL_OK);
    for (uint32_t i = 0; i < 2; i++) {
        options.pools[i].pool = options.pool;
        strcpy(options.pools[i].name, i ? "b" : "a");
    }
    options.pool_count = 2;
    assert_int_equal(sl_agent_pools_check(&options, &err), -SL_INVALID); /* both */
    options.pool.url[0] = '\0';
    assert_int_equal(sl_agent_pools_check(&options, &err), SL_OK);
    strcpy(options.pool.fallback_urls, "stratum+tcp://b:1"); /* fallbacks of nothing */
    assert_int_equal(sl_agent_pools_check(&options, &err), -SL_INVALID);
    assert_non_null(strstr(err.text, "pool.url is missing"));
    options.pool.fallback_urls[0] = '\0';
    assert_ptr_equal(sl_agent_pool_at(&options, 1, &name, section), &options.pools[1].pool);
    assert_string_equal(name, "b");
    assert_string_equal(section, "pools[1]");
    strcpy(options.pools[1].pool.suggest, "auto");
    assert_int_equal(sl_agent_pools_check(&options, &err), SL_OK);
    strcpy(options.pools[1].name, "a");
    assert_int_equal(sl_agent_pools_check(&options, &err), -SL_INVALID);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_are_short_and_safe),
        cmocka_unit_test(placeholders),
        cmocka_unit_test(one_or_several),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
