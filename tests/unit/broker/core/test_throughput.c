/* SPDX-License-Identifier: Apache-2.0
 * What a batch is worth by the length of its texts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/text.h"
#include "schedulers/opportunity.h"
#include "tests/unit/broker/core/world.h"

#include <cmocka.h>

/* tokens/s of one device by length of text: short ones are slow, as on a real one. */
static const uint64_t CURVE[SL_LENGTHS] = {250000, 500000, 1000000, 2000000};

static void join(struct world *w) {
    struct sl_msg_device device;
    world_init(w, NULL);
    world_price(w, 0, WORLD_PRICE);
    world_device(&device, "a/0");
    memcpy(device.models[0].length_rates_milli, CURVE, sizeof CURVE);
    assert_true(world_hello_units(w, "a", 1, 77, &device, 1, NULL, 0) != 0);
    world_report_as(w, "a", &device, 1, true);
    world_running(w, "a/0", w->now.mono.ns);
}

/* As world_validated, with a bound of its own. */
static void batch(struct world *w, const char *id, uint32_t lines, uint32_t bound, int64_t bid) {
    world_batch_only(w, id, "acme", bid, 0);
    struct sl_core_event event = {.kind = SL_CEV_VALIDATED};
    sl_text_copy(event.batch, sizeof event.batch, id);
    sl_text_copy(event.model, sizeof event.model, "mini");
    event.lines.count = lines;
    event.lines.worst_tokens = calloc(lines, sizeof(uint32_t));
    for (uint32_t i = 0; i < lines; i++) {
        event.lines.worst_tokens[i] = bound;
    }
    world_step(w, &event);
}

static int64_t offered(struct world *w) {
    struct sl_core_offer offers[SL_MODE_COUNT];
    sl_core_offers(w->core, 0, offers);
    return offers[SL_MODE_INFER].gross;
}

static void test_short_texts_earn_less(void **state) {
    (void)state;
    struct world w;
    join(&w);
    batch(&w, "b1", 100, 50, WORLD_BID_HIGH); /* 50 bytes, about 12 tokens */
    assert_in_range(offered(&w), sl_opportunity_lease(WORLD_BID_HIGH, 250000),
                    sl_opportunity_lease(WORLD_BID_HIGH, 250001));
    /* 90,000,000 nUSD/h, and hashing earns 187,500,000: at one rate for all it would have moved. */
    assert_int_equal(world_directive(&w, "a/0")->mode, SL_MODE_HASH);
    world_check(&w);
    world_fini(&w);
}

static void test_long_texts_are_taken_first(void **state) {
    (void)state;
    struct world w;
    join(&w);
    batch(&w, "b1", 100, 120, WORLD_BID_HIGH);          /* 30 tokens: 500/s */
    batch(&w, "b2", 100, 400, WORLD_BID_HIGH * 9 / 10); /* 100 tokens: 2000/s, a lower bid */
    assert_string_equal(world_unit(&w, "a/0", 0)->batch, "b2");
    assert_in_range(offered(&w), sl_opportunity_lease(WORLD_BID_HIGH * 9 / 10, 2000000),
                    sl_opportunity_lease(WORLD_BID_HIGH * 9 / 10, 2000002));
    world_check(&w);
    world_fini(&w);
}

/* Bytes said 25 tokens a line, results say 70: the rest of the batch is judged by that. */
static void test_results_correct_the_estimate(void **state) {
    (void)state;
    struct world w;
    join(&w);
    batch(&w, "b1", 200, 100, WORLD_BID_HIGH * 4);
    world_wait(&w, 500);
    assert_in_range(offered(&w), sl_opportunity_lease(WORLD_BID_HIGH * 4, 500000),
                    sl_opportunity_lease(WORLD_BID_HIGH * 4, 500001));
    world_running(&w, "a/0", w.now.mono.ns);
    struct sl_unit_row unit = *world_unit(&w, "a/0", 0);
    world_finish(&w, &unit, 70, true);
    world_wait(&w, 500);
    assert_in_range(offered(&w), sl_opportunity_lease(WORLD_BID_HIGH * 4, 2000000),
                    sl_opportunity_lease(WORLD_BID_HIGH * 4, 2000002));
    const struct sl_core_batch *b = sl_core_batch_find(w.core, "b1");
    int64_t left = 0;
    for (uint32_t k = 0; k < SL_LENGTHS; k++) {
        left += b->lengths.mix.tokens[k];
    }
    assert_int_equal(left, (200 - unit.line_count) * 70);
    /* The next batch begins with what the site has seen. */
    batch(&w, "b2", 10, 100, WORLD_BID_HIGH);
    world_wait(&w, 500);
    assert_int_equal(sl_core_batch_find(w.core, "b2")->lengths.mix.tokens[3], 10 * 70);
    world_check(&w);
    world_fini(&w);
}

/* Rates by length are estimates: two batches that are worth about the same do not take turns. */
static void test_near_ones_do_not_take_turns(void **state) {
    (void)state;
    struct world w;
    join(&w);
    batch(&w, "b1", 100, 400, WORLD_BID_HIGH);
    world_running(&w, "a/0", w.now.mono.ns);
    assert_string_equal(world_unit(&w, "a/0", 0)->batch, "b1");
    batch(&w, "b2", 100, 400, WORLD_BID_HIGH + WORLD_BID_HIGH / 100);
    world_wait(&w, 2000);
    assert_string_equal(world_view(&w, "a/0").batch, "b1");
    world_bid(&w, "b2", "acme", WORLD_BID_HIGH + WORLD_BID_HIGH / 10);
    world_wait(&w, 2000);
    assert_string_equal(world_view(&w, "a/0").batch, "b2");
    world_check(&w);
    world_fini(&w);
}

/* Lines of several texts: a text's length is the line's share, as far as results have shown. */
static void test_bounds_leave_as_lines_end(void **state) {
    (void)state;
    struct sl_core_batch b = {0};
    sl_core_lengths_line(&b, 100, 1);
    sl_core_lengths_line(&b, 1, 1);
    sl_core_lengths_line(&b, UINT32_MAX, 1);
    sl_core_lengths_line(&b, 0, 1); /* refused */
    sl_core_lengths_line(&b, 100, -1);
    sl_core_lengths_line(&b, 100, -1); /* was never counted */
    sl_core_lengths_line(&b, UINT32_MAX, -1);
    sl_core_lengths_line(&b, 1, -1);
    for (uint32_t i = 0; i < SL_CORE_BOUND_BINS; i++) {
        assert_int_equal(b.lengths.bound[i], 0);
        assert_int_equal(b.lengths.lines[i], 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_short_texts_earn_less),
        cmocka_unit_test(test_long_texts_are_taken_first),
        cmocka_unit_test(test_results_correct_the_estimate),
        cmocka_unit_test(test_near_ones_do_not_take_turns),
        cmocka_unit_test(test_bounds_leave_as_lines_end),
    };
    return cmocka_run_group_tests_name("throughput", tests, NULL, NULL);
}
