/* SPDX-License-Identifier: Apache-2.0
 * Directives: durable before they are sent, epochs that only rise, renewals, expiry, refusals. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "proto/base/text.h"
#include "tests/unit/broker/core/world.h"

#include <cmocka.h>

static void start(struct world *w) {
    world_init(w, NULL);
    world_price(w, 0, WORLD_PRICE);
    world_join(w, "a", 1);
}

static void test_first_grant(void **state) {
    (void)state;
    struct world w;
    start(&w);
    const struct sl_msg_directive *d = world_directive(&w, "a/0");
    assert_non_null(d);
    assert_int_equal(d->mode, SL_MODE_HASH);
    assert_int_equal(d->epoch, 1);
    assert_int_equal(d->ttl_ms, 3000);
    assert_false(d->renewal);
    assert_int_equal(w.store->directive_count, 1);
    assert_string_equal(w.store->directives[0].rule, "start");
    assert_string_equal(world_view(&w, "a/0").state, "hashing");
    world_fini(&w);
}

static void test_sent_only_when_durable(void **state) {
    (void)state;
    struct world w;
    start(&w);
    w.hold = true;
    world_batch(&w, "b1", "acme", 100, WORLD_BID_HIGH);
    world_commit(&w); /* the batch itself */
    world_forget_sent(&w);
    w.hold = true;
    world_bid(&w, "b1", "acme", WORLD_BID_HIGH + 1);
    assert_true(w.txn_count > 0);
    /* Neither directive, unit nor answer is out while the commit is under way. */
    assert_null(world_directive(&w, "a/0"));
    assert_null(world_unit(&w, "a/0", 0));
    assert_null(world_last(&w, SL_CCMD_REPLY));
    /* Directive and first unit are one transaction: they go out together, the directive before
     * anything else, since the rest costs time that the device would stand still. */
    world_commit_one(&w);
    assert_non_null(world_directive(&w, "a/0"));
    assert_int_equal(w.sent[0].kind, SL_CCMD_SEND);
    assert_int_equal(w.sent[0].msg->kind, SL_MSG_DIRECTIVE);
    assert_int_equal(world_count(&w, SL_CCMD_SEND_UNIT), 1);
    assert_int_equal(world_last(&w, SL_CCMD_REPLY)->status, SL_OK);
    assert_int_equal(world_unit(&w, "a/0", 0)->epoch, world_directive(&w, "a/0")->epoch);
    world_check(&w);
    world_fini(&w);
}

static void test_renewals_do_not_write(void **state) {
    (void)state;
    struct world w;
    start(&w);
    world_wait(&w, 10);
    world_forget_sent(&w);
    uint32_t directives = w.store->directive_count;
    for (int i = 0; i < 12; i++) {
        world_wait(&w, 500);
        world_report(&w, "a", 1);
        assert_true(world_view(&w, "a/0").ttl_left_ms > 1000);
    }
    assert_in_range(world_count_msg(&w, "a", SL_MSG_DIRECTIVE), 5, 7); /* 6 s, every ttl / 3 */
    assert_true(world_directive(&w, "a/0")->renewal);
    assert_int_equal(world_directive(&w, "a/0")->epoch, 1);
    assert_int_equal(w.store->directive_count, directives);
    world_fini(&w);
}

static void test_moves_by_bid_and_back(void **state) {
    (void)state;
    struct world w;
    start(&w);
    world_batch(&w, "b1", "acme", 100, WORLD_BID_HIGH);
    const struct sl_msg_directive *d = world_directive(&w, "a/0");
    assert_int_equal(d->mode, SL_MODE_INFER);
    assert_string_equal(d->model, "mini");
    assert_int_equal(d->price_nusd_per_mtok, WORLD_BID_HIGH);
    assert_true(d->epoch == 2);
    world_running(&w, "a/0", w.now.mono.ns);
    assert_string_equal(world_view(&w, "a/0").state, "leased");
    assert_string_equal(world_view(&w, "a/0").batch, "b1");
    world_bid(&w, "b1", "acme", WORLD_BID_LOW);
    d = world_directive(&w, "a/0");
    assert_int_equal(d->mode, SL_MODE_HASH);
    assert_int_equal(d->epoch, 3);
    const struct sl_directive_row *row = &w.store->directives[w.store->directive_count - 1];
    assert_string_equal(row->rule, "threshold");
    assert_non_null(strstr(row->why, "hash 187500000 nUSD/h > infer 3600000 nUSD/h + 2.0 %"));
    uint8_t zero[32] = {0};
    assert_memory_not_equal(row->inputs_digest, zero, 32);
    /* The agent hands its units back; their lines wait again. */
    world_line(&w, world_unit(&w, "a/0", 0), 0, SL_LINE_INVALID, 0, true, 0);
    world_line(&w, world_unit(&w, "a/0", 1), 0, SL_LINE_INVALID, 0, true, 0);
    assert_int_equal(world_view_batch(&w, "b1").waiting, 100);
    world_check(&w);
    world_fini(&w);
}

/* A tenant that lowered its bid pays no more for lines that were not out yet, even where the grant
 * at the new price has to wait, as that of a silent node does. */
static void test_a_lower_bid_holds_before_its_grant(void **state) {
    (void)state;
    struct world w;
    start(&w);
    world_batch(&w, "b1", "acme", 2000, WORLD_BID_HIGH * 2);
    world_running(&w, "a/0", w.now.mono.ns);
    uint64_t epoch = world_directive(&w, "a/0")->epoch;
    const struct sl_unit_row out = *world_unit(&w, "a/0", 0);
    for (int i = 0; i < 100 && w.core->nodes[0].state != SL_SESSION_SUSPECT; i++) {
        world_wait(&w, 250);
    }
    assert_int_equal(w.core->nodes[0].state, SL_SESSION_SUSPECT);
    assert_true(sl_core_lease_valid(w.core, 0));
    world_bid(&w, "b1", "acme", WORLD_BID_HIGH);
    assert_int_equal(world_directive(&w, "a/0")->epoch, epoch);
    world_forget_sent(&w);
    world_finish(&w, &out, 10, true); /* it is heard again */
    for (uint32_t i = 0; world_unit(&w, "a/0", i); i++) {
        assert_int_equal(world_unit(&w, "a/0", i)->price_nusd_per_mtok, WORLD_BID_HIGH);
    }
    world_wait(&w, 1000);
    assert_int_equal(world_directive(&w, "a/0")->price_nusd_per_mtok, WORLD_BID_HIGH);
    assert_non_null(world_unit(&w, "a/0", 0));
    world_check(&w);
    world_fini(&w);
}

/* On a large fleet each decision costs: of a tenant that changes its bid again and again, only the
 * first change is decided upon at once. */
static void test_bids_in_a_row_wait_for_the_tick(void **state) {
    (void)state;
    struct world w;
    world_init(&w, NULL);
    world_price(&w, 0, WORLD_PRICE);
    static const char *const nodes[] = {"a", "b", "c", "d", "e", "f", "g", "h", "i", "j"};
    for (size_t i = 0; i < sizeof nodes / sizeof nodes[0]; i++) {
        assert_true(world_hello(&w, nodes[i], 1 + i, 77, 8) != 0);
        world_report(&w, nodes[i], 8);
    }
    world_batch(&w, "b1", "acme", 2000, WORLD_BID_HIGH);
    world_wait(&w, 1000);
    assert_int_equal(world_directive(&w, "a/0")->mode, SL_MODE_INFER);
    world_bid(&w, "b1", "acme", WORLD_BID_HIGH * 2);
    assert_int_equal(world_directive(&w, "a/0")->price_nusd_per_mtok, WORLD_BID_HIGH * 2);
    world_bid(&w, "b1", "acme", WORLD_BID_HIGH * 3);
    assert_int_equal(world_directive(&w, "a/0")->price_nusd_per_mtok, WORLD_BID_HIGH * 2);
    world_wait(&w, 100);
    assert_int_equal(world_directive(&w, "a/0")->price_nusd_per_mtok, WORLD_BID_HIGH * 3);
    world_check(&w);
    world_fini(&w);
}

static void test_reprice(void **state) {
    (void)state;
    struct world w;
    start(&w);
    world_batch(&w, "b1", "acme", 100, WORLD_BID_HIGH);
    world_running(&w, "a/0", w.now.mono.ns);
    uint64_t epoch = world_directive(&w, "a/0")->epoch;
    uint64_t unit = world_unit(&w, "a/0", 0)->unit_id;
    world_bid(&w, "b1", "acme", WORLD_BID_HIGH); /* the same: nothing happens */
    assert_int_equal(world_directive(&w, "a/0")->epoch, epoch);
    world_bid(&w, "b1", "acme", WORLD_BID_HIGH * 2);
    const struct sl_msg_directive *d = world_directive(&w, "a/0");
    assert_int_equal(d->epoch, epoch + 1);
    assert_int_equal(d->mode, SL_MODE_INFER);
    assert_int_equal(d->price_nusd_per_mtok, WORLD_BID_HIGH * 2);
    assert_string_equal(w.store->directives[w.store->directive_count - 1].rule, "reprice");
    /* New units at the new price; the old ones keep theirs. */
    assert_true(world_unit(&w, "a/0", 0)->unit_id > unit);
    assert_int_equal(world_unit(&w, "a/0", 0)->price_nusd_per_mtok, WORLD_BID_HIGH * 2);
    assert_int_equal(sl_core_unit_find(w.core, unit)->price, WORLD_BID_HIGH);
    world_check(&w);
    world_fini(&w);
}

static void test_epoch_goes_above_the_agents(void **state) {
    (void)state;
    struct world w;
    world_init(&w, NULL);
    world_price(&w, 0, WORLD_PRICE);
    struct sl_msg_device device;
    world_device(&device, "a/0");
    device.epoch_max = 41; /* a restored backup of the broker knows nothing of it */
    world_hello_units(&w, "a", 1, 5, &device, 1, NULL, 0);
    world_report_as(&w, "a", &device, 1, true);
    assert_int_equal(world_directive(&w, "a/0")->epoch, 42);
    assert_int_equal(w.store->devices[0].epoch_max, 42);
    /* It keeps running under an epoch of ours that we have lost: not renewed, granted anew. */
    world_running(&w, "a/0", w.now.mono.ns);
    device.epoch_max = 50;
    device.epoch = 50;
    device.safe = false;
    world_report_as(&w, "a", &device, 1, true);
    assert_int_equal(world_directive(&w, "a/0")->epoch, 51);
    world_fini(&w);
}

static void test_lost_session_frees_after_ttl(void **state) {
    (void)state;
    struct world w;
    start(&w);
    world_batch(&w, "b1", "acme", 40, WORLD_BID_HIGH);
    world_running(&w, "a/0", w.now.mono.ns);
    world_report(&w, "a", 1);
    struct sl_unit_row unit = *world_unit(&w, "a/0", 0);
    uint32_t issued = world_view_batch(&w, "b1").issued;
    assert_true(issued > 0);
    /* Silent from now on. Renewals stop with the third missing report; the last one left at about
     * 2.9 s and runs for 3 s more: its units must not be given away before. */
    world_wait(&w, 5100);
    assert_string_equal(world_view(&w, "a/0").state, "lost");
    assert_int_equal(world_view_batch(&w, "b1").issued, issued);
    assert_int_equal(world_view(&w, "a/0").wanted, SL_MODE_INFER);
    world_wait(&w, 2500);
    assert_int_equal(world_view_batch(&w, "b1").issued, 0);
    assert_int_equal(world_view(&w, "a/0").wanted, SL_MODE_INVALID);
    /* Work that was finished meanwhile is taken all the same, whatever the epoch is by now. */
    world_hello(&w, "a", 2, 77, 1);
    world_finish(&w, &unit, 10, true);
    assert_int_equal(world_view_batch(&w, "b1").done, unit.line_count);
    world_check(&w);
    world_fini(&w);
}

static void test_reconnect_renews(void **state) {
    (void)state;
    struct world w;
    start(&w);
    uint64_t epoch = world_directive(&w, "a/0")->epoch;
    world_forget_sent(&w);
    world_hello(&w, "a", 2, 77, 1); /* same process, new connection, inside the ttl */
    assert_int_equal(world_directive(&w, "a/0")->epoch, epoch);
    assert_int_equal(w.store->directive_count, 1);
    struct sl_msg_device device; /* a new process: it runs nothing of ours */
    world_device(&device, "a/0");
    device.epoch_max = epoch;
    world_hello_units(&w, "a", 3, 78, &device, 1, NULL, 0);
    world_report(&w, "a", 1);
    assert_int_equal(world_directive(&w, "a/0")->epoch, epoch + 1);
    world_fini(&w);
}

static void test_directive_survives_a_session_change(void **state) {
    (void)state;
    struct world w;
    start(&w);
    world_wait(&w, 100);
    w.hold = true;
    world_batch(&w, "b1", "acme", 40, WORLD_BID_HIGH); /* grants, but nothing is durable */
    world_forget_sent(&w);
    struct sl_msg_device device;
    world_device(&device, "a/0");
    device.safe = false;
    device.epoch = device.epoch_max = 1;
    world_hello_units(&w, "a", 2, 77, &device, 1, NULL, 0);
    assert_null(world_directive(&w, "a/0"));
    w.hold = false;
    world_commit(&w);
    /* What waited for the old session is dropped; the new one gets the directive once. */
    assert_int_equal(world_count_msg(&w, "a", SL_MSG_DIRECTIVE), 1);
    assert_int_equal(world_directive(&w, "a/0")->mode, SL_MODE_INFER);
    assert_int_equal(world_count(&w, SL_CCMD_SEND_UNIT), 0);
    /* Its units went nowhere: the agent does not hold them, so their lines wait again. */
    assert_true(world_view_batch(&w, "b1").issued > 0);
    world_running(&w, "a/0", w.now.mono.ns);
    world_wait(&w, 1200);
    world_report(&w, "a", 1);
    assert_non_null(world_unit(&w, "a/0", 0));
    world_check(&w);
    world_fini(&w);
}

static void test_lapsed_lease_is_granted_anew(void **state) {
    (void)state;
    struct world w;
    start(&w);
    struct sl_msg_device device;
    world_device(&device, "a/0"); /* says that it runs its safe mode */
    device.epoch_max = 1;
    world_report_as(&w, "a", &device, 1, true);
    assert_int_equal(world_directive(&w, "a/0")->epoch, 2);
    assert_string_equal(w.store->directives[1].rule, "start");
    world_fini(&w);
}

static void refuse(struct world *w, const char *text) {
    struct sl_msg msg = {.kind = SL_MSG_ACK};
    sl_text_copy(msg.ack.device, sizeof msg.ack.device, "a/0");
    msg.ack.epoch = world_directive(w, "a/0")->epoch;
    msg.ack.outcome = SL_ACK_REFUSED;
    sl_text_copy(msg.ack.text, sizeof msg.ack.text, text);
    world_msg(w, "a", 1, w->core->nodes[0].session, &msg);
}

static void test_refusal_backs_off(void **state) {
    (void)state;
    struct world w;
    world_init(&w, NULL);
    world_price(&w, 0, WORLD_PRICE);
    world_hello(&w, "a", 1, 77, 1);
    world_report(&w, "a", 1);
    uint32_t before = w.store->directive_count;
    for (int i = 0; i < 3; i++) {
        refuse(&w, "the device is still being tested");
        for (int j = 0; j < 20; j++) {
            world_wait(&w, 400);
            world_report(&w, "a", 1);
            if (world_view(&w, "a/0").wanted != SL_MODE_INVALID) {
                break;
            }
        }
    }
    /* 1 s, 2 s, 4 s apart, not as fast as the loop turns. */
    assert_int_equal(w.store->directive_count, before + 3);
    world_fini(&w);
}

static void test_refusal_of_a_lease_returns_its_lines(void **state) {
    (void)state;
    struct world w;
    start(&w);
    world_batch(&w, "b1", "acme", 40, WORLD_BID_HIGH);
    assert_true(world_view_batch(&w, "b1").issued > 0);
    refuse(&w, "the model is not offered by this device");
    assert_int_equal(world_view_batch(&w, "b1").issued, 0);
    world_check(&w);
    world_fini(&w);
}

static void test_acks_of_others_are_ignored(void **state) {
    (void)state;
    struct world w;
    start(&w);
    world_batch(&w, "b1", "acme", 40, WORLD_BID_HIGH);
    struct sl_msg msg = {.kind = SL_MSG_ACK};
    sl_text_copy(msg.ack.device, sizeof msg.ack.device, "a/0");
    msg.ack.epoch = 1; /* overtaken */
    msg.ack.outcome = SL_ACK_REFUSED;
    world_msg(&w, "a", 1, w.core->nodes[0].session, &msg);
    assert_int_equal(world_view(&w, "a/0").wanted, SL_MODE_INFER);
    world_hello(&w, "b", 5, 6, 1);
    msg.ack.epoch = 2;
    world_msg(&w, "b", 5, w.core->nodes[1].session, &msg); /* not its device */
    assert_int_equal(world_view(&w, "a/0").wanted, SL_MODE_INFER);
    world_fini(&w);
}

static void test_lease_ends_when_lines_do(void **state) {
    (void)state;
    struct world w;
    start(&w);
    world_batch(&w, "b1", "acme", 6, WORLD_BID_HIGH);
    world_running(&w, "a/0", w.now.mono.ns);
    uint32_t units = world_count(&w, SL_CCMD_SEND_UNIT);
    assert_int_equal(units, 2); /* 4 + 2 lines */
    world_finish(&w, world_unit(&w, "a/0", 1), 10, true);
    assert_int_equal(world_directive(&w, "a/0")->mode, SL_MODE_INFER); /* still at work */
    world_finish(&w, world_unit(&w, "a/0", 0), 10, true);
    assert_int_equal(world_directive(&w, "a/0")->mode, SL_MODE_HASH);
    assert_string_equal(w.store->directives[w.store->directive_count - 1].rule, "lease-end");
    world_check(&w);
    world_fini(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_grant),
        cmocka_unit_test(test_sent_only_when_durable),
        cmocka_unit_test(test_renewals_do_not_write),
        cmocka_unit_test(test_moves_by_bid_and_back),
        cmocka_unit_test(test_a_lower_bid_holds_before_its_grant),
        cmocka_unit_test(test_bids_in_a_row_wait_for_the_tick),
        cmocka_unit_test(test_reprice),
        cmocka_unit_test(test_epoch_goes_above_the_agents),
        cmocka_unit_test(test_lost_session_frees_after_ttl),
        cmocka_unit_test(test_reconnect_renews),
        cmocka_unit_test(test_directive_survives_a_session_change),
        cmocka_unit_test(test_lapsed_lease_is_granted_anew),
        cmocka_unit_test(test_refusal_backs_off),
        cmocka_unit_test(test_refusal_of_a_lease_returns_its_lines),
        cmocka_unit_test(test_acks_of_others_are_ignored),
        cmocka_unit_test(test_lease_ends_when_lines_do),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
