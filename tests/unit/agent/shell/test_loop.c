/* SPDX-License-Identifier: Apache-2.0
 * The end of the loop while a name is being resolved. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <netdb.h>
#include <semaphore.h>
#include <stdlib.h>

#include "agent/shell/agent.h"

static sem_t *entered(void) {
    static sem_t sem; /* tidy: allow static (what getaddrinfo below can reach) */
    return &sem;
}

static sem_t *go_on(void) {
    static sem_t sem; /* tidy: allow static (what getaddrinfo below can reach) */
    return &sem;
}

/* In place of the C library's, for libuv too: a resolver that does not answer. */
__attribute__((visibility("default"))) int getaddrinfo(const char *name, const char *service,
                                                       const struct addrinfo *hints,
                                                       struct addrinfo **ret_found) {
    (void)name;
    (void)service;
    (void)ret_found;
    if (!(hints->ai_flags & AI_NUMERICHOST)) {
        sem_post(entered());
        sem_wait(go_on());
    }
    return EAI_NONAME;
}

static void heard_nothing(void *context, const char *reason) {
    (void)context;
    (void)reason;
}

static void a_name_that_is_being_resolved_is_not_waited_for(void **state) {
    (void)state;
    static const struct sl_pool_link_ops ops = {.disconnected = heard_nothing};
    struct sl_agent *agent = calloc(1, sizeof *agent);
    assert_non_null(agent);
    assert_int_equal(sem_init(entered(), 0, 0), 0);
    assert_int_equal(sem_init(go_on(), 0, 0), 0);
    assert_int_equal(uv_loop_init(&agent->loop), 0);
    agent->loop_open = true;
    sl_pool_link_init(&agent->pool_links[0].link, &agent->loop, &ops, NULL);
    sl_pool_link_connect(&agent->pool_links[0].link, "hangs.test", 1, false);
    sem_wait(entered());
    sl_agent_loop_fini(agent);
    assert_true(agent->resolving);
    sem_post(go_on());
    uv_run(&agent->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&agent->loop), 0);
    free(agent);
}

static void without_names_the_loop_is_closed(void **state) {
    (void)state;
    struct sl_agent *agent = calloc(1, sizeof *agent);
    assert_non_null(agent);
    assert_int_equal(uv_loop_init(&agent->loop), 0);
    agent->loop_open = true;
    sl_agent_loop_fini(agent);
    assert_false(agent->resolving);
    free(agent);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_that_is_being_resolved_is_not_waited_for),
        cmocka_unit_test(without_names_the_loop_is_closed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
