/* SPDX-License-Identifier: Apache-2.0
 * Agents and tokens on the disk: read back as written, and a token once. */
#include "broker/store/agents.h"
#include "tests/unit/broker/store/rig.h"

#define KEY_A "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
#define KEY_B "BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB"

static struct sl_op token_op(const char *id, int64_t created_ms, int64_t used_ms) {
    struct sl_op op = {.kind = SL_OP_ENROLMENT};
    strcpy(op.enrolment.id, id);
    strcpy(op.enrolment.name, "n1");
    strcpy(op.enrolment.actor, "key_1");
    memset(op.enrolment.hash, id[0], sizeof op.enrolment.hash);
    op.enrolment.created.ms = created_ms;
    op.enrolment.expires.ms = created_ms + 1000;
    op.enrolment.used.ms = used_ms;
    strcpy(op.enrolment.key, used_ms ? KEY_A : "");
    return op;
}

static struct sl_op agent_op(const char *id, const char *key, const char *enrolment) {
    struct sl_op op = {.kind = SL_OP_AGENT};
    op.agent = (struct sl_agent_row){.state = SL_AGENT_WAITING, .rotation = 3, .overlap_ms = 5};
    strcpy(op.agent.id, id);
    strcpy(op.agent.key, key);
    strcpy(op.agent.name, "n1");
    strcpy(op.agent.enrolment, enrolment);
    strcpy(op.agent.inventory, "2 x made up");
    return op;
}

struct seen {
    int count;
    struct sl_agent_row agent;
    struct sl_enrolment_row token;
    struct sl_retired_row retired;
};

static int see_agent(void *arg, const void *row) {
    struct seen *seen = arg;
    seen->count++;
    seen->agent = *(const struct sl_agent_row *)row;
    return 0;
}

static int see_token(void *arg, const void *row) {
    struct seen *seen = arg;
    seen->count++;
    seen->token = *(const struct sl_enrolment_row *)row;
    return 0;
}

static int see_retired(void *arg, const void *row) {
    struct seen *seen = arg;
    seen->count++;
    seen->retired = *(const struct sl_retired_row *)row;
    return 0;
}

static void rows_are_read_back(void **state) {
    struct fixture *f = *state;
    struct sl_op ops[] = {token_op("t1", 1000, 0), token_op("t1", 1000, 1500),
                          agent_op(KEY_A, KEY_A, "t1"), agent_op(KEY_A, KEY_B, "t1")};
    strcpy(ops[3].agent.retired, KEY_A);
    ops[3].agent.state = SL_AGENT_APPROVED;
    submit(f, ops, 4, 1);
    wait_for(f, 1);
    SL_AUTO(sl_reader) r = NULL;
    struct sl_error err;
    assert_int_equal(sl_reader_open(f->path, NULL, &r, &err), 0);
    struct seen seen = {0};
    assert_int_equal(sl_reader_agents(r, see_agent, &seen, &err), 0);
    assert_int_equal(seen.count, 1);
    assert_string_equal(seen.agent.id, KEY_A);
    assert_string_equal(seen.agent.key, KEY_B);
    assert_int_equal(seen.agent.state, SL_AGENT_APPROVED);
    assert_int_equal(seen.agent.rotation, 3);
    assert_string_equal(seen.agent.inventory, "2 x made up");
    seen.count = 0;
    assert_int_equal(sl_reader_enrolments(r, see_token, &seen, &err), 0);
    assert_int_equal(seen.count, 1);
    assert_int_equal(seen.token.used.ms, 1500);
    assert_string_equal(seen.token.key, KEY_A);
    seen.count = 0;
    assert_int_equal(sl_reader_retired(r, see_retired, &seen, &err), 0);
    assert_int_equal(seen.count, 1);
    assert_string_equal(seen.retired.key, KEY_A);
    /* A week later nobody asks for it any more. */
    struct sl_op later = token_op("u2", INT64_C(8) * 24 * 3600 * 1000, 0);
    submit(f, &later, 1, 2);
    wait_for(f, 2);
    seen.count = 0;
    assert_int_equal(sl_reader_enrolments(r, see_token, &seen, &err), 0);
    assert_int_equal(seen.count, 1);
    assert_string_equal(seen.token.id, "u2");
}

/* Whatever the core does: the store stops rather than let a token in twice. */
static void a_token_is_used_once(void **state) {
    struct fixture *f = *state;
    struct sl_op ops[] = {token_op("t1", 1000, 1500), token_op("t1", 1000, 1600)};
    submit(f, ops, 2, 1);
    while (!atomic_load(&f->fatal)) {
        usleep(1000);
    }
    assert_non_null(strstr(f->reason, "used already"));
}

static void a_token_lets_one_agent_in(void **state) {
    struct fixture *f = *state;
    struct sl_op ops[] = {agent_op(KEY_A, KEY_A, "t1"), agent_op(KEY_B, KEY_B, "t1")};
    submit(f, ops, 2, 1);
    while (!atomic_load(&f->fatal)) {
        usleep(1000);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(rows_are_read_back, setup, teardown),
        cmocka_unit_test_setup_teardown(a_token_is_used_once, setup, teardown),
        cmocka_unit_test_setup_teardown(a_token_lets_one_agent_in, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
