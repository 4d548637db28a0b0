/* SPDX-License-Identifier: Apache-2.0
 * Shares of revenue from transfers in a real store; site.c sets the limits: 50 % a coin, 30 % a
 * tenant. */
#include "tests/unit/broker/http/support.h"

#include "proto/base/clock.h"

#define HOUR_MS INT64_C(3600000)

static void on_done(void *arg, uint64_t ticket) {
    sl_mailbox_put(arg, &ticket);
}

static void post(struct ground *g, uint64_t id, enum sl_transfer_kind kind, const char *debit,
                 int64_t amount, int64_t age_ms) {
    struct sl_txn *txn = NULL;
    struct sl_mailbox *box = NULL;
    uint64_t ticket = 0;
    struct sl_op op = {.kind = SL_OP_TRANSFER};
    op.transfer.id = id;
    op.transfer.kind = kind;
    snprintf(op.transfer.debit, sizeof op.transfer.debit, "%s", debit);
    snprintf(op.transfer.credit, sizeof op.transfer.credit, "%s",
             kind == SL_TRANSFER_SHARE  ? "revenue:hash"
             : kind == SL_TRANSFER_LINE ? "revenue:lease"
                                        : "payable:power");
    snprintf(op.transfer.ref, sizeof op.transfer.ref, "ref/%d", (int)id);
    op.transfer.amount.v = amount;
    op.transfer.at.ms = sl_clock_wall().ms - age_ms;
    assert_int_equal(sl_txn_create(&txn, NULL), SL_OK);
    assert_int_equal(sl_txn_add(txn, &op, NULL), SL_OK);
    assert_int_equal(sl_mailbox_create(sizeof(uint64_t), 1, &box, NULL), SL_OK);
    txn->done = on_done;
    txn->arg = box;
    assert_int_equal(sl_store_submit(g->site.store, txn), SL_OK);
    assert_int_equal(sl_mailbox_take_wait(box, 20 * SL_NS_PER_S, &ticket), SL_OK);
    sl_mailbox_destroy(box);
}

static json_t *window(struct ground *g, size_t index, json_t **ret_root) {
    struct answer answer;
    expect(g, "GET", "/api/v1/exposure", g->operator_key, NULL, 200, &answer);
    *ret_root = answer_json(&answer);
    answer_fini(&answer);
    return json_array_get(json_object_get(*ret_root, "windows"), index);
}

static void test_nothing_yet(void **state) {
    json_t *root = NULL;
    json_t *one = window(*state, 0, &root);
    assert_string_equal(json_string_value(json_object_get(one, "window")), "24h");
    assert_true(json_is_null(json_object_get(one, "hhi")));
    assert_int_equal(json_array_size(json_object_get(one, "sources")), 0);
    assert_string_equal(json_string_value(json_object_get(root, "policy_version")),
                        "0123456789abcdef");
    json_decref(root);
}

static void check(const json_t *window, size_t index, const char *name, const char *revenue,
                  double share, bool over) {
    const json_t *row = json_array_get(json_object_get(window, "sources"), index);
    assert_string_equal(json_string_value(json_object_get(row, "name")), name);
    assert_string_equal(json_string_value(json_object_get(row, "revenue_usd")), revenue);
    assert_int_equal((int)(json_real_value(json_object_get(row, "share")) * 1e6 + 0.5),
                     (int)(share * 1e6 + 0.5));
    assert_int_equal(json_is_true(json_object_get(row, "over")), over);
}

static void test_windows(void **state) {
    struct ground *g = *state;
    post(g, 1, SL_TRANSFER_SHARE, "receivable:pool", 9000, 31 * 24 * HOUR_MS); /* too old */
    post(g, 2, SL_TRANSFER_SHARE, "receivable:pool", 500, 29 * 24 * HOUR_MS);
    post(g, 3, SL_TRANSFER_LINE, "tenant:acme", 300, 25 * HOUR_MS);
    post(g, 4, SL_TRANSFER_POWER, "cost:power", 777, HOUR_MS); /* no revenue */
    post(g, 5, SL_TRANSFER_LINE, "tenant:globex", 150, HOUR_MS);
    post(g, 6, SL_TRANSFER_SHARE, "receivable:pool", 50, HOUR_MS);
    json_t *root = NULL;
    json_t *day = window(g, 0, &root);
    check(day, 0, "globex", "0.00000015", 0.75, true);
    check(day, 1, "sha256d", "0.00000005", 0.25, false);
    assert_int_equal((int)(json_real_value(json_object_get(day, "hhi")) * 1e6 + 0.5), 625000);
    json_decref(root);
    json_t *month = window(g, 1, &root);
    check(month, 0, "sha256d", "0.00000055", 0.55, true);
    check(month, 1, "acme", "0.0000003", 0.3, false); /* at its limit */
    check(month, 2, "globex", "0.00000015", 0.15, false);
    assert_string_equal(json_string_value(json_object_get(month, "revenue_usd")), "0.000001");
    json_decref(root);
}

static void test_metrics(void **state) {
    struct ground *g = *state;
    struct answer answer;
    expect(g, "GET", "/metrics", NULL, NULL, 200, &answer);
    static const char *const lines[] = {
        "sluice_revenue_share{kind=\"coin\",name=\"sha256d\"} 0.550000\n",
        "sluice_revenue_share{kind=\"tenant\",name=\"globex\"} 0.150000\n",
        "sluice_revenue_hhi 0.415000\n", "sluice_exposure_over 1\n"};
    for (size_t i = 0; i < 4; i++) {
        if (!strstr(answer.body.data, lines[i])) {
            fail_msg("no %s in %s", lines[i], answer.body.data);
        }
    }
    answer_fini(&answer);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_yet),
        cmocka_unit_test(test_windows),
        cmocka_unit_test(test_metrics),
    };
    return cmocka_run_group_tests(tests, ground_setup, ground_teardown);
}
