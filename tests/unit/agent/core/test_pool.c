/* SPDX-License-Identifier: Apache-2.0
 * The thin layer over the Stratum client. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "agent/core/pool.h"
#include "agent/stratum/failover.h"

static void a_refused_authorisation_is_an_error_for_people(void **state) {
    (void)state;
    struct sl_failover_config config;
    sl_failover_config_defaults(&config);
    config.url_count = 1;
    strcpy(config.urls[0].host, "p.test");
    config.urls[0].port = 3333;
    config.client.version_mask = 0;
    strcpy(config.client.user, "nobody");
    struct agent_pool *pool = NULL;
    assert_int_equal(agent_pool_create(&config, 1, &pool, NULL), 0);
    struct sl_mono now = {SL_NS_PER_S};
    struct agent_pool_status status;
    agent_pool_start(pool, now);
    struct agent_pool_action action;
    assert_true(agent_pool_take(pool, &action));
    assert_int_equal(action.kind, POOL_CONNECT);
    assert_string_equal(action.text, "p.test");
    assert_int_equal(action.link, 0);
    assert_false(action.tls);
    agent_pool_on_connected(pool, 0, now);
    agent_pool_get_status(pool, now, &status);
    assert_false(status.connected);
    assert_int_equal(status.difficulty_nano, 0); /* not the one that holds until another is set */
    assert_true(status.state[0] != '\0');
    static const char subscribe[] = "{\"id\":1,\"result\":[[],\"ab\",4],\"error\":null}\n";
    static const char refuse[] = "{\"id\":2,\"result\":false,\"error\":[24,\"who?\",null]}\n";
    agent_pool_on_received(pool, 0, subscribe, strlen(subscribe), now);
    agent_pool_on_received(pool, 0, refuse, strlen(refuse), now);
    bool error = false;
    while (agent_pool_take(pool, &action)) {
        error |= action.kind == POOL_LOG && action.level == SL_LOG_ERROR &&
                 strstr(action.text, "refuses this user");
    }
    assert_true(error);
    agent_pool_get_status(pool, now, &status);
    assert_non_null(strstr(status.state, "refused"));
    struct sl_mono when;
    assert_true(agent_pool_deadline(pool, &when));
    assert_true(when.ns >= 60 * SL_NS_PER_S); /* never a hot loop */
    agent_pool_destroy(pool);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_refused_authorisation_is_an_error_for_people),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
