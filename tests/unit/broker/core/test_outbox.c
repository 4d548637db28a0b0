/* SPDX-License-Identifier: Apache-2.0
 * The outbox: nothing is seen before its transaction is durable, and nothing overtakes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/broker/core/world.h"

#include <cmocka.h>

static struct sl_broker_core *fresh(void) {
    struct sl_core_config config = world_config();
    struct sl_broker_core *core = NULL;
    assert_int_equal(sl_broker_core_create(&config, &core, NULL), SL_OK);
    return core;
}

static void reply(struct sl_broker_core *core, uint64_t cookie, uint64_t ticket) {
    sl_core_reply(core, cookie, ticket, SL_OK, "%d", (int)cookie);
}

static uint64_t next_cookie(struct sl_broker_core *core) {
    struct sl_core_command command;
    while (sl_broker_core_next(core, &command)) {
        uint64_t cookie = command.kind == SL_CCMD_REPLY ? command.cookie : 0;
        sl_core_command_fini(&command);
        if (cookie) {
            return cookie;
        }
    }
    return 0;
}

static void test_waits_for_its_ticket(void **state) {
    (void)state;
    struct sl_broker_core *core = fresh();
    sl_core_op_meta(core, "counters", "%d", 1);
    reply(core, 1, sl_core_ticket(core));
    sl_core_flush(core);
    reply(core, 2, 0); /* waits for nothing */
    assert_int_equal(next_cookie(core), 2);
    assert_int_equal(next_cookie(core), 0);
    sl_core_durable(core, 1);
    assert_int_equal(next_cookie(core), 1);
    sl_broker_core_destroy(core);
}

static void test_store_comes_first_and_tickets_rise(void **state) {
    (void)state;
    struct sl_broker_core *core = fresh();
    struct sl_core_command command;
    for (uint64_t ticket = 1; ticket <= 3; ticket++) {
        sl_core_op_meta(core, "counters", "%d", 1);
        reply(core, ticket, sl_core_ticket(core));
        sl_core_flush(core);
        assert_true(sl_broker_core_next(core, &command));
        assert_int_equal(command.kind, SL_CCMD_STORE);
        assert_int_equal(command.txn->ticket, ticket);
        sl_core_command_fini(&command);
    }
    sl_core_durable(core, 2); /* a group commit: two at once */
    assert_int_equal(next_cookie(core), 1);
    assert_int_equal(next_cookie(core), 2);
    assert_int_equal(next_cookie(core), 0);
    sl_core_durable(core, 99); /* never submitted: not believed */
    assert_int_equal(next_cookie(core), 0);
    sl_core_durable(core, 3);
    assert_int_equal(next_cookie(core), 3);
    sl_broker_core_destroy(core);
}

/* A step that asked for its ticket, but wrote nothing, depends on what was before. */
/* The commit is under way before anybody is woken by an answer. */
static void test_leaves_by_rank(void **state) {
    (void)state;
    struct sl_broker_core *core = fresh();
    struct sl_core_command command;
    reply(core, 7, 0);
    sl_core_log(core, SL_LOG_INFO, "test", "%d", 1);
    sl_core_op_meta(core, "counters", "%d", 1);
    sl_core_flush(core);
    const enum sl_core_command_kind order[] = {SL_CCMD_STORE, SL_CCMD_REPLY, SL_CCMD_LOG};
    for (size_t i = 0; i < sizeof order / sizeof order[0]; i++) {
        assert_true(sl_broker_core_next(core, &command));
        assert_int_equal(command.kind, order[i]);
        sl_core_command_fini(&command);
    }
    assert_false(sl_broker_core_next(core, &command));
    sl_broker_core_destroy(core);
}

static void test_ticket_of_nothing(void **state) {
    (void)state;
    struct sl_broker_core *core = fresh();
    reply(core, 1, sl_core_ticket(core));
    sl_core_flush(core);
    assert_int_equal(next_cookie(core), 1);
    sl_core_op_meta(core, "counters", "%d", 1);
    sl_core_flush(core);
    reply(core, 2, sl_core_ticket(core));
    sl_core_flush(core);
    assert_int_equal(next_cookie(core), 0);
    sl_core_durable(core, 1);
    assert_int_equal(next_cookie(core), 2);
    sl_broker_core_destroy(core);
}

static void test_ring_grows_in_order(void **state) {
    (void)state;
    struct sl_broker_core *core = fresh();
    uint64_t in = 0;
    uint64_t out = 0;
    for (int round = 0; round < 50; round++) {
        for (int i = 0; i < 37; i++) {
            reply(core, ++in, 0);
        }
        for (int i = 0; i < 20; i++) {
            assert_int_equal(next_cookie(core), ++out);
        }
    }
    while (out < in) {
        assert_int_equal(next_cookie(core), ++out);
    }
    reply(core, 0, 0); /* nobody asked: nobody is answered */
    assert_int_equal(next_cookie(core), 0);
    sl_broker_core_destroy(core);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_waits_for_its_ticket),
        cmocka_unit_test(test_store_comes_first_and_tickets_rise),
        cmocka_unit_test(test_leaves_by_rank),
        cmocka_unit_test(test_ticket_of_nothing),
        cmocka_unit_test(test_ring_grows_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
