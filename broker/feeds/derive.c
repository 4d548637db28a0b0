/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/feeds/derive.h"

#define DIFFICULTY_HASHES INT64_C(4294967296) /* 2^32 for each unit of difficulty */
#define BLOCKS_MAX 1000000

/* How many blocks the reward is of. */
static int count_blocks(const struct sl_feed_bitcoin *in, int64_t *ret_blocks,
                        struct sl_error *err) {
    int64_t first = 0;
    int64_t last = 0;
    int rc = sl_feed_number_nano(in->first_block, &first, err);
    rc = rc ? rc : sl_feed_number_nano(in->last_block, &last, err);
    if (rc) {
        return rc;
    }
    int64_t blocks = last / SL_NUSD_PER_USD - first / SL_NUSD_PER_USD + 1;
    if (first < 0 || last < first || blocks > BLOCKS_MAX) {
        return sl_fail(err, SL_INVALID, "the answer's blocks run from %lld to %lld",
                       (long long)(first / SL_NUSD_PER_USD), (long long)(last / SL_NUSD_PER_USD));
    }
    *ret_blocks = blocks;
    return SL_OK;
}

int sl_feed_bitcoin_hashprice(const struct sl_feed_bitcoin *in, struct sl_feed_number *ret_per_ph,
                              struct sl_error *err) {
    int64_t blocks = 0;
    if (in->difficulty.digits <= 0) {
        return sl_fail(err, SL_INVALID, "the answer's difficulty is not above 0");
    }
    if (in->reward.digits <= 0) {
        return sl_fail(err, SL_INVALID, "the answer's reward is not above 0");
    }
    if (in->has_price && in->price.digits <= 0) {
        return sl_fail(err, SL_INVALID, "the answer's price of a bitcoin is not above 0");
    }
    int rc = count_blocks(in, &blocks, err);
    if (rc) {
        return rc;
    }
    /* 1e15 hashes x 86400 s, and 1e-8 BTC in a satoshi; divided last, so that little is cut. */
    struct sl_feed_number top = sl_feed_number_mul(sl_feed_number_of(86400, 15 - 8), in->reward);
    struct sl_feed_number bottom =
        sl_feed_number_mul(in->difficulty, sl_feed_number_of(DIFFICULTY_HASHES, 0));
    bottom = sl_feed_number_mul(bottom, sl_feed_number_of(blocks, 0));
    struct sl_feed_number per_ph = sl_feed_number_div(top, bottom);
    *ret_per_ph = in->has_price ? sl_feed_number_mul(per_ph, in->price) : per_ph;
    return SL_OK;
}
