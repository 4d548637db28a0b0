/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "broker/feeds/derive.h"

/* The sample of mempool.space's own documentation: 100 blocks, 63,811,748,254 satoshi. */
static struct sl_feed_bitcoin sample(void) {
    return (struct sl_feed_bitcoin){.difficulty = {3125, 10},
                                    .reward = {INT64_C(63811748254), 0},
                                    .first_block = {736556, 0},
                                    .last_block = {736655, 0}};
}

static void the_documented_sample_gives_its_hashprice(void **state) {
    (void)state;
    struct sl_feed_bitcoin in = sample();
    struct sl_feed_number per_ph;
    int64_t nano = 0;
    assert_int_equal(sl_feed_bitcoin_hashprice(&in, &per_ph, NULL), 0);
    assert_int_equal(sl_feed_number_nano(per_ph, &nano, NULL), 0);
    /* 1e15 x 86400 / (3.125e13 x 2^32) x 6.3811748254 BTC = 0.0041077547... BTC per PH/s and day */
    assert_int_equal(nano, 4107754);
    per_ph.exponent += 9; /* more of its digits */
    assert_int_equal(sl_feed_number_nano(per_ph, &nano, NULL), 0);
    assert_int_equal(nano / 1000, INT64_C(4107754714150));
    in.has_price = true;
    in.price = sl_feed_number_of(40000, 0);
    assert_int_equal(sl_feed_bitcoin_hashprice(&in, &per_ph, NULL), 0);
    assert_int_equal(sl_feed_number_nano(per_ph, &nano, NULL), 0);
    assert_int_equal(nano, INT64_C(164310188566));
}

static void figures_that_cannot_be_are_refused(void **state) {
    (void)state;
    for (int turn = 0; turn < 6; turn++) {
        static const char *const says[] = {"difficulty", "reward", "bitcoin",
                                           "blocks",     "blocks", "blocks"};
        struct sl_feed_bitcoin in = sample();
        struct sl_feed_number per_ph = {77, 0};
        struct sl_error err;
        in.has_price = turn == 2;
        in.difficulty.digits = turn == 0 ? 0 : in.difficulty.digits;
        in.reward.digits = turn == 1 ? -1 : in.reward.digits;
        in.last_block.digits = turn == 3 ? 736555 : in.last_block.digits;
        in.last_block.exponent = turn == 4 ? 1 : 0; /* more blocks than there are */
        in.first_block.digits = turn == 5 ? -1 : in.first_block.digits;
        assert_int_equal(sl_feed_bitcoin_hashprice(&in, &per_ph, &err), -SL_INVALID);
        assert_non_null(strstr(err.text, says[turn]));
        assert_true(per_ph.digits == 77);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_documented_sample_gives_its_hashprice),
        cmocka_unit_test(figures_that_cannot_be_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
