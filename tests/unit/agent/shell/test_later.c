/* SPDX-License-Identifier: Apache-2.0
 * What waits while a burst of messages is read, and the order in which it is done. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "agent/shell/later.h"

#define SEEN_MAX 64

struct seen {
    uint32_t count;
    enum sl_agent_cmd_kind kinds[SEEN_MAX];
    uint64_t tickets[SEEN_MAX];
    bool urgent[SEEN_MAX];
};

static void note(void *context, struct sl_agent_cmd *cmd) {
    struct seen *seen = context;
    assert_true(seen->count < SEEN_MAX);
    seen->kinds[seen->count] = cmd->kind;
    seen->tickets[seen->count] = cmd->ticket;
    seen->urgent[seen->count++] = cmd->urgent;
}

static struct sl_agent_cmd command(enum sl_agent_cmd_kind kind, uint64_t ticket, bool urgent) {
    struct sl_agent_cmd cmd = {.kind = kind, .ticket = ticket, .urgent = urgent, .size = 8};
    cmd.data = calloc(1, 8); /* the leak checker sees whether all of them are freed */
    assert_non_null(cmd.data);
    return cmd;
}

static bool keep(struct sl_later *later, enum sl_agent_cmd_kind kind, uint64_t ticket,
                 bool urgent) {
    struct sl_agent_cmd cmd = command(kind, ticket, urgent);
    bool kept = sl_later_keep(later, &cmd);
    assert_true(kept == (cmd.data == NULL)); /* it has one owner */
    sl_agent_cmd_fini(&cmd);
    return kept;
}

static int open_later(void **state) {
    struct sl_later *later = calloc(1, sizeof *later);
    later->on = true;
    *state = later;
    return 0;
}

static int close_later(void **state) {
    free(*state);
    return 0;
}

static void two_directives_share_one_sync(void **state) {
    struct sl_later *later = *state;
    assert_false(keep(later, SL_AGENT_HALT, 0, false));
    assert_true(keep(later, SL_AGENT_JOURNAL, 1, true));
    assert_true(keep(later, SL_AGENT_LOG, 2, false));
    assert_false(keep(later, SL_AGENT_HALT, 0, false));
    assert_true(keep(later, SL_AGENT_JOURNAL, 3, true));
    assert_true(keep(later, SL_AGENT_LOG, 4, false));
    assert_true(keep(later, SL_AGENT_TOKENIZE, 5, false));
    assert_true(keep(later, SL_AGENT_JOURNAL, 6, false));
    struct seen seen = {0};
    sl_later_do(later, note, &seen);
    const uint64_t tickets[] = {1, 3, 6, 5, 2, 4};
    assert_int_equal(seen.count, 6);
    assert_memory_equal(seen.tickets, tickets, sizeof tickets);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(seen.kinds[i], SL_AGENT_JOURNAL);
        assert_true(seen.urgent[i] == (i == 2));
    }
    sl_later_do(later, note, &seen);
    assert_int_equal(seen.count, 6);
}

static void nothing_becomes_urgent_by_waiting(void **state) {
    struct sl_later *later = *state;
    assert_true(keep(later, SL_AGENT_JOURNAL, 1, false));
    assert_true(keep(later, SL_AGENT_JOURNAL, 2, false));
    struct seen seen = {0};
    sl_later_do(later, note, &seen);
    assert_int_equal(seen.count, 2);
    assert_false(seen.urgent[0] || seen.urgent[1]);
}

static void what_acts_on_devices_or_is_sent_does_not_wait(void **state) {
    struct sl_later *later = *state;
    assert_false(keep(later, SL_AGENT_POST, 1, false));
    assert_false(keep(later, SL_AGENT_SEND, 1, false));
    assert_false(keep(later, SL_AGENT_POOL_SEND, 1, false));
    assert_false(keep(later, SL_AGENT_EXIT, 1, false));
    later->on = false;
    assert_false(keep(later, SL_AGENT_JOURNAL, 1, true));
}

static void a_full_one_keeps_no_more(void **state) {
    struct sl_later *later = *state;
    for (uint32_t i = 0; i < SL_LATER_MAX; i++) {
        assert_true(keep(later, SL_AGENT_LOG, i, false));
    }
    assert_false(keep(later, SL_AGENT_LOG, SL_LATER_MAX, false));
    struct seen seen = {0};
    sl_later_do(later, note, &seen);
    assert_int_equal(seen.count, SL_LATER_MAX);
    assert_true(keep(later, SL_AGENT_LOG, 0, false));
    sl_later_do(later, note, &seen);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(two_directives_share_one_sync, open_later, close_later),
        cmocka_unit_test_setup_teardown(nothing_becomes_urgent_by_waiting, open_later, close_later),
        cmocka_unit_test_setup_teardown(what_acts_on_devices_or_is_sent_does_not_wait, open_later,
                                        close_later),
        cmocka_unit_test_setup_teardown(a_full_one_keeps_no_more, open_later, close_later),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
