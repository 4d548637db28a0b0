/* SPDX-License-Identifier: Apache-2.0
 * Batches: every acknowledged one reaches exactly one end, and what is finished is kept. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/broker/core/world.h"

#include <cmocka.h>

static void start(struct world *w) {
    world_init(w, NULL);
    world_price(w, 0, WORLD_PRICE);
    world_join(w, "a", 1);
}

static enum sl_batch_state stored(const struct world *w, const char *id) {
    const struct sl_batch_row *row = world_stored_batch(w, id);
    return row ? row->state : SL_BATCH_INVALID;
}

static void finish_all(struct world *w, uint32_t most) {
    for (uint32_t i = 0; i < most; i++) {
        const struct sl_unit_row *unit = NULL;
        for (uint32_t n = 0; (unit = world_unit(w, "a/0", n)) != NULL; n++) {
            struct sl_core_unit *known = sl_core_unit_find(w->core, unit->unit_id);
            if (known && !known->closed) {
                break;
            }
        }
        if (!unit) {
            return;
        }
        world_finish(w, unit, 10, true);
    }
}

static void test_to_the_end(void **state) {
    (void)state;
    struct world w;
    start(&w);
    w.hold = true;
    world_batch_only(&w, "b1", "acme", -1, 0);
    /* Neither the answer nor the reading of its lines before it is durable. */
    assert_null(world_last(&w, SL_CCMD_REPLY));
    assert_null(world_last(&w, SL_CCMD_VALIDATE));
    w.hold = false;
    world_commit(&w);
    assert_int_equal(world_last(&w, SL_CCMD_REPLY)->status, SL_OK);
    assert_string_equal(world_last(&w, SL_CCMD_VALIDATE)->batch, "b1");
    assert_int_equal(stored(&w, "b1"), SL_BATCH_VALIDATING);
    assert_int_equal(world_stored_batch(&w, "b1")->bid_nusd_per_mtok, WORLD_BID_HIGH);
    assert_int_equal(world_stored_batch(&w, "b1")->deadline.ms, w.now.wall.ms + INT64_C(86400000));
    world_validated(&w, "b1", 20, 3);
    assert_int_equal(stored(&w, "b1"), SL_BATCH_IN_PROGRESS);
    assert_int_equal(world_stored_batch(&w, "b1")->lines_failed, 3); /* refused: never issued */
    for (uint32_t i = 0; i < w.sent_count; i++) {
        for (uint32_t k = 0; w.sent[i].kind == SL_CCMD_SEND_UNIT && k < w.sent[i].unit.line_count;
             k++) {
            assert_true(w.sent[i].unit.lines[k] >= 3);
        }
    }
    world_running(&w, "a/0", w.now.mono.ns);
    finish_all(&w, 50);
    assert_int_equal(stored(&w, "b1"), SL_BATCH_FINALIZING);
    const struct sl_core_command *c = world_last(&w, SL_CCMD_FINALIZE);
    assert_string_equal(c->batch, "b1");
    assert_null(world_last(&w, SL_CCMD_FORGET));
    world_finalized(&w, "b1");
    const struct sl_batch_row *row = world_stored_batch(&w, "b1");
    assert_int_equal(row->state, SL_BATCH_COMPLETED);
    assert_string_equal(row->output_file, "file_b1");
    assert_string_equal(row->error_file, "");
    assert_int_equal(row->lines_completed, 17);
    assert_int_equal(row->lines_failed, 3);
    assert_true(row->completed.ms > 0);
    assert_int_equal(w.store->file_count, 1);
    assert_int_equal(w.store->files[0].expires.ms, 0); /* nobody asked for an end */
    assert_string_equal(world_last(&w, SL_CCMD_FORGET)->batch, "b1");
    assert_int_equal(world_directive(&w, "a/0")->mode, SL_MODE_HASH);
    world_check(&w);
    world_fini(&w);
}

static void test_finalize_waits_for_the_last_result(void **state) {
    (void)state;
    struct world w;
    start(&w);
    world_batch(&w, "b1", "acme", 4, -1);
    struct sl_unit_row unit = *world_unit(&w, "a/0", 0);
    w.hold = true;
    world_finish(&w, &unit, 10, true);
    assert_null(world_last(&w, SL_CCMD_FINALIZE)); /* the writer reads results from the store */
    w.hold = false;
    world_commit(&w);
    assert_non_null(world_last(&w, SL_CCMD_FINALIZE));
    world_fini(&w);
}

static void test_all_lines_refused(void **state) {
    (void)state;
    struct world w;
    start(&w);
    world_batch_only(&w, "b1", "acme", -1, 0);
    world_validated(&w, "b1", 5, 5);
    assert_non_null(world_last(&w, SL_CCMD_FINALIZE));
    world_finalized(&w, "b1");
    assert_int_equal(stored(&w, "b1"), SL_BATCH_COMPLETED);
    assert_int_equal(world_stored_batch(&w, "b1")->lines_failed, 5);
    world_fini(&w);
}

static void test_invalid_file(void **state) {
    (void)state;
    struct world w;
    start(&w);
    world_batch_only(&w, "b1", "acme", -1, 0);
    world_validated(&w, "b1", 0, 0);
    assert_int_equal(stored(&w, "b1"), SL_BATCH_FAILED);
    assert_non_null(world_last(&w, SL_CCMD_FORGET));
    assert_true(world_stored_batch(&w, "b1")->failed.ms > 0);
    world_fini(&w);
}

static void test_refused_requests(void **state) {
    (void)state;
    struct world w;
    start(&w);
    const struct {
        const char *why;
        const char *id, *tenant;
        int64_t bid, deadline_ms;
        int want;
    } rows[] = {
        {"a bid of nothing", "b1", "acme", 0, 0, -SL_INVALID},
        {"no bid and no default", "b1", "poor", -1, 0, -SL_INVALID},
        {"a tenant that is not configured", "b1", "stranger", 5, 0, -SL_DENIED},
        {"a bid beyond all sense", "b1", "acme", SL_BID_MAX_NUSD + 1, 0, -SL_INVALID},
        {"a deadline in the past", "b1", "acme", -1, 1, -SL_INVALID},
        {"good", "b1", "acme", SL_BID_MAX_NUSD, 0, SL_OK},
        {"the same id again", "b1", "acme", -1, 0, -SL_EXISTS},
    };
    sl_core_tenant_get(w.core, "poor")->config.default_bid_nusd_per_mtok = -1;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        world_batch_only(&w, rows[i].id, rows[i].tenant, rows[i].bid, rows[i].deadline_ms);
        const struct sl_core_command *reply = world_last(&w, SL_CCMD_REPLY);
        if (reply->status != rows[i].want) {
            fail_msg("%s: %d %s", rows[i].why, reply->status, reply->text);
        }
        assert_int_equal(reply->cookie, w.cookie - 1);
    }
    assert_int_equal(w.store->batch_count, 1);
    world_fini(&w);
}

/* One tenant takes a quarter of the places; the others are not concerned. */
static void test_a_tenant_has_its_share_of_places(void **state) {
    (void)state;
    struct world w;
    start(&w);
    for (uint32_t i = 0; i < 1023; i++) {
        struct sl_batch_row row = {.tenant = "acme", .state = SL_BATCH_VALIDATING};
        snprintf(row.id, sizeof row.id, "x%u", i);
        sl_core_batch_add(w.core, &row);
    }
    world_batch_only(&w, "b1", "acme", -1, 0);
    assert_int_equal(world_last(&w, SL_CCMD_REPLY)->status, SL_OK);
    world_batch_only(&w, "b2", "acme", -1, 0);
    assert_int_equal(world_last(&w, SL_CCMD_REPLY)->status, -SL_LIMIT);
    assert_string_equal(
        world_last(&w, SL_CCMD_REPLY)->text,
        "this tenant has 1,024 batches open: wait until some are done, or cancel some");
    world_batch_only(&w, "b3", "poor", -1, 0);
    assert_int_equal(world_last(&w, SL_CCMD_REPLY)->status, SL_OK);
    world_cancel(&w, "b1", "acme");
    world_validated(&w, "b1", 1, 0); /* it is gone, so there is a place again */
    world_batch_only(&w, "b2", "acme", -1, 0);
    assert_int_equal(world_last(&w, SL_CCMD_REPLY)->status, SL_OK);
    world_fini(&w);
}

static void test_bids(void **state) {
    (void)state;
    struct world w;
    start(&w);
    world_batch(&w, "b1", "acme", 10, WORLD_BID_LOW);
    const struct {
        const char *why;
        const char *id, *tenant;
        int64_t bid;
        int want;
    } rows[] = {
        {"nothing", "b1", "acme", 0, -SL_INVALID},
        {"negative", "b1", "acme", -5, -SL_INVALID},
        {"huge", "b1", "acme", SL_BID_MAX_NUSD + 1, -SL_INVALID},
        {"of another tenant", "b1", "poor", 5, -SL_NOTFOUND},
        {"of no batch", "b9", "acme", 5, -SL_NOTFOUND},
        {"by an operator", "b1", "", 5, SL_OK},
        {"by its tenant", "b1", "acme", 6, SL_OK},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        world_bid(&w, rows[i].id, rows[i].tenant, rows[i].bid);
        if (world_last(&w, SL_CCMD_REPLY)->status != rows[i].want) {
            fail_msg("%s: %s", rows[i].why, world_last(&w, SL_CCMD_REPLY)->text);
        }
    }
    assert_int_equal(world_stored_batch(&w, "b1")->bid_nusd_per_mtok, 6);
    assert_int_equal(w.store->audits, 2);
    world_fini(&w);
}

static void test_cancel_keeps_what_is_done(void **state) {
    (void)state;
    struct world w;
    start(&w);
    world_batch(&w, "b1", "acme", 100, -1);
    world_running(&w, "a/0", w.now.mono.ns);
    struct sl_unit_row first = *world_unit(&w, "a/0", 1);
    struct sl_unit_row second = *world_unit(&w, "a/0", 0);
    world_line(&w, &first, first.lines[0], SL_LINE_OK, 10, false, 0);
    world_cancel(&w, "b1", "acme");
    assert_int_equal(stored(&w, "b1"), SL_BATCH_CANCELLING);
    assert_int_equal(world_last(&w, SL_CCMD_REPLY)->status, SL_OK);
    /* Its units are called back; what comes before they end is still taken and billed. */
    assert_int_equal(world_count_msg(&w, "a", SL_MSG_DRAIN), 2);
    world_cancel(&w, "b1", "acme"); /* again: nothing more happens */
    assert_int_equal(world_last(&w, SL_CCMD_REPLY)->status, SL_OK);
    world_line(&w, &first, first.lines[1], SL_LINE_OK, 10, true, 0);
    assert_null(world_last(&w, SL_CCMD_FINALIZE));
    world_line(&w, &second, 0, SL_LINE_INVALID, 0, true, 0);
    assert_non_null(world_last(&w, SL_CCMD_FINALIZE));
    /* The output is being written: too late. */
    world_finish(&w, &second, 10, true);
    world_finalized(&w, "b1");
    const struct sl_batch_row *row = world_stored_batch(&w, "b1");
    assert_int_equal(row->state, SL_BATCH_CANCELLED);
    assert_int_equal(row->lines_completed, 2);
    assert_int_equal(row->billed_nusd, 2000);
    assert_true(row->cancelled.ms > 0);
    world_cancel(&w, "b1", "acme"); /* final: the core knows it no more */
    assert_int_equal(world_last(&w, SL_CCMD_REPLY)->status, -SL_NOTFOUND);
    world_finish(&w, &second, 10, true); /* resent: acknowledged, so that it is forgotten */
    assert_int_equal(world_stored_batch(&w, "b1")->lines_completed, 2);
    world_check(&w);
    world_fini(&w);
}

static void test_cancel_does_not_wait_for_ever(void **state) {
    (void)state;
    struct world w;
    start(&w);
    world_batch(&w, "b1", "acme", 100, -1);
    world_running(&w, "a/0", w.now.mono.ns);
    world_cancel(&w, "b1", "acme");
    for (int i = 0; i < 5; i++) {
        world_wait(&w, 900);
        world_report(&w, "a", 1); /* there, but it does not answer the drain */
    }
    assert_non_null(world_last(&w, SL_CCMD_FINALIZE));
    world_check(&w);
    world_fini(&w);
}

static void test_cancel_while_validating(void **state) {
    (void)state;
    struct world w;
    start(&w);
    world_batch_only(&w, "b1", "acme", -1, 0);
    world_cancel(&w, "b1", "acme");
    assert_int_equal(stored(&w, "b1"), SL_BATCH_CANCELLING);
    world_validated(&w, "b1", 10, 0);
    assert_int_equal(stored(&w, "b1"), SL_BATCH_CANCELLED);
    assert_null(world_unit(&w, "a/0", 0));
    world_fini(&w);
}

static void test_deadline(void **state) {
    (void)state;
    struct world w;
    start(&w);
    world_batch_only(&w, "b1", "acme", -1, w.now.wall.ms + 3000);
    world_validated(&w, "b1", 100, 0);
    world_running(&w, "a/0", w.now.mono.ns);
    struct sl_unit_row unit = *world_unit(&w, "a/0", 1);
    world_finish(&w, &unit, 10, true);
    for (int i = 0; i < 9; i++) {
        world_wait(&w, 900);
        world_report(&w, "a", 1);
    }
    assert_int_equal(stored(&w, "b1"), SL_BATCH_FINALIZING);
    world_finalized(&w, "b1");
    const struct sl_batch_row *row = world_stored_batch(&w, "b1");
    assert_int_equal(row->state, SL_BATCH_EXPIRED);
    assert_int_equal(row->lines_completed, 8);
    assert_true(row->billed_nusd > 0);
    assert_int_equal(world_directive(&w, "a/0")->mode, SL_MODE_HASH);
    world_check(&w);
    world_fini(&w);
}

static const struct sl_event_row *last_event(const struct world *w) {
    return w->store->event_count ? &w->store->events[(w->store->event_count - 1) % 64] : NULL;
}

static void expect_lost(struct world *w) {
    const struct sl_batch_row *row = world_stored_batch(w, "b1");
    assert_int_equal(row->state, SL_BATCH_FAILED);
    assert_true(row->failed.ms > 0);
    assert_string_equal(row->output_file, "");
    assert_true(row->billed_nusd > 0);
    const struct sl_event_row *event = last_event(w);
    assert_string_equal(event->kind, "batch.lost");
    assert_int_equal(event->severity, SL_SEVERITY_ALERT);
    assert_non_null(strstr(event->text, "b1 of acme failed"));
    assert_string_equal(world_last(w, SL_CCMD_FORGET)->batch, "b1");
    assert_null(sl_core_batch_find(w->core, "b1"));
}

/* Its texts are gone, and its input file: this one fails, and somebody hears of it. */
static void test_results_that_cannot_be_written(void **state) {
    (void)state;
    struct world w;
    start(&w);
    world_batch(&w, "b1", "acme", 4, -1);
    world_batch(&w, "b2", "acme", 4, -1);
    finish_all(&w, 50);
    assert_int_equal(stored(&w, "b1"), SL_BATCH_FINALIZING);
    struct sl_core_event event = {.kind = SL_CEV_FINALIZED,
                                  .batch = "b1",
                                  .text = "its spool is damaged",
                                  .errors = strdup("[]")};
    world_step(&w, &event);
    free(event.errors); /* NULL when the core took it */
    expect_lost(&w);
    world_finalized(&w, "b2");
    assert_int_equal(stored(&w, "b2"), SL_BATCH_COMPLETED);
    world_check(&w);
    world_fini(&w);
}

/* The same at a start, while it is in progress. */
static void test_lines_that_cannot_be_read_again(void **state) {
    (void)state;
    struct world w;
    start(&w);
    world_batch(&w, "b1", "acme", 40, -1);
    world_running(&w, "a/0", w.now.mono.ns);
    struct sl_unit_row unit = *world_unit(&w, "a/0", 0);
    world_finish(&w, &unit, 10, true);
    world_restart(&w);
    world_validated(&w, "b1", 0, 0);
    expect_lost(&w);
    world_check(&w);
    world_fini(&w);
}

/* Both would build a spool that is missing, in the same place. */
static void test_an_end_waits_for_the_reading_of_lines(void **state) {
    (void)state;
    struct world w;
    start(&w);
    world_batch(&w, "b1", "acme", 40, -1);
    world_running(&w, "a/0", w.now.mono.ns);
    struct sl_unit_row unit = *world_unit(&w, "a/0", 0);
    world_finish(&w, &unit, 10, true);
    world_restart(&w);
    world_cancel(&w, "b1", "acme");
    for (int i = 0; i < 15; i++) { /* until no unit is open */
        world_wait(&w, 900);
    }
    assert_int_equal(stored(&w, "b1"), SL_BATCH_CANCELLING);
    assert_null(world_last(&w, SL_CCMD_FINALIZE));
    world_validated(&w, "b1", 0, 0); /* in vain: what that means is seen when it is finalized */
    assert_int_equal(stored(&w, "b1"), SL_BATCH_CANCELLING);
    assert_string_equal(world_last(&w, SL_CCMD_FINALIZE)->batch, "b1");
    world_finalized(&w, "b1");
    assert_int_equal(stored(&w, "b1"), SL_BATCH_CANCELLED);
    world_check(&w);
    world_fini(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_to_the_end),
        cmocka_unit_test(test_finalize_waits_for_the_last_result),
        cmocka_unit_test(test_all_lines_refused),
        cmocka_unit_test(test_invalid_file),
        cmocka_unit_test(test_refused_requests),
        cmocka_unit_test(test_a_tenant_has_its_share_of_places),
        cmocka_unit_test(test_bids),
        cmocka_unit_test(test_cancel_keeps_what_is_done),
        cmocka_unit_test(test_cancel_does_not_wait_for_ever),
        cmocka_unit_test(test_cancel_while_validating),
        cmocka_unit_test(test_deadline),
        cmocka_unit_test(test_results_that_cannot_be_written),
        cmocka_unit_test(test_an_end_waits_for_the_reading_of_lines),
        cmocka_unit_test(test_lines_that_cannot_be_read_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
