/* SPDX-License-Identifier: Apache-2.0 */
#include "schedulers/quote.h"

#include "proto/base/money.h"
#include "proto/base/mutant.h"

static sl_i128 magnitude(sl_i128 value) {
    return value < 0 ? -value : value;
}

/* Further apart than `ppm` of `of`, and than the floor. */
static bool is_far(int64_t a, int64_t b, int64_t of, int64_t ppm, int64_t floor_nano) {
    sl_i128 apart = magnitude((sl_i128)a - b);
    return ppm > 0 && apart > floor_nano && apart * 1000000 > magnitude(of) * ppm;
}

/* The larger is more than so many times the smaller; from or to nothing, or across zero, is any
 * distance. */
static bool is_jump(const struct sl_quote_limits *limits, int64_t from, int64_t to) {
    sl_i128 low = from < to ? from : to;
    sl_i128 high = from < to ? to : from;
    if (limits->jump_ppm <= 0 || high - low <= limits->floor_nano) {
        return false;
    }
    return low <= 0 || high * 1000000 > low * limits->jump_ppm;
}

/* Of the good ones, by insertion: there are few. */
static uint32_t sort_good(const struct sl_quote_source *sources, uint32_t count,
                          int64_t sorted[SL_QUOTE_SOURCES_MAX]) {
    uint32_t good = 0;
    for (uint32_t i = 0; i < count && i < SL_QUOTE_SOURCES_MAX; i++) {
        if (sources[i].why != SL_QUOTE_GOOD) {
            continue;
        }
        uint32_t at = good++;
        for (; at > 0 && sorted[at - 1] > sources[i].value_nano; at--) {
            sorted[at] = sorted[at - 1];
        }
        sorted[at] = sources[i].value_nano;
    }
    return good;
}

static int64_t median(const int64_t *sorted, uint32_t count) {
    return sorted[SL_MUTANT(highest_feed_used) ? count - 1 : (count - 1) / 2];
}

static void mark_good(struct sl_quote_source *sources, uint32_t count, enum sl_quote_why why) {
    for (uint32_t i = 0; i < count; i++) {
        sources[i].why = sources[i].why == SL_QUOTE_GOOD ? why : sources[i].why;
    }
}

static void judge_many(const struct sl_quote_limits *limits, struct sl_quote_source *sources,
                       uint32_t count, struct sl_quote *quote, int64_t *sorted) {
    int64_t middle = median(sorted, quote->fresh);
    for (uint32_t i = 0; i < count; i++) {
        if (sources[i].why == SL_QUOTE_GOOD && is_far(sources[i].value_nano, middle, middle,
                                                      limits->outlier_ppm, limits->floor_nano)) {
            sources[i].why = SL_QUOTE_OUTLIER;
        }
    }
    int64_t left[SL_QUOTE_SOURCES_MAX];
    quote->agree = sort_good(sources, count, left);
    if (2 * quote->agree <= quote->fresh && !SL_MUTANT(disagreement_ignored)) {
        quote->hold = SL_QUOTE_DISAGREE;
        return;
    }
    quote->value_nano =
        SL_MUTANT(outlier_counted) ? sorted[quote->fresh / 2] : median(left, quote->agree);
}

static void judge_two(const struct sl_quote_limits *limits, struct sl_quote_source *sources,
                      uint32_t count, struct sl_quote *quote, const int64_t *sorted) {
    int64_t small = magnitude(sorted[0]) < magnitude(sorted[1]) ? sorted[0] : sorted[1];
    if (is_far(sorted[0], sorted[1], small, limits->disagree_ppm, limits->floor_nano) &&
        !SL_MUTANT(median_of_two)) {
        quote->agree = 0;
        quote->hold = SL_QUOTE_DISAGREE;
        mark_good(sources, count, SL_QUOTE_DISAGREE);
        return;
    }
    quote->value_nano = median(sorted, 2);
}

/* Which of a lone source's words may be believed at once. */
static bool is_expected(const struct sl_quote_limits *limits, const struct sl_quote_state *state,
                        uint32_t count, int64_t value) {
    if (limits->jump_ppm <= 0 || SL_MUTANT(jump_not_confirmed)) {
        return true;
    }
    return state->trusted ? !is_jump(limits, state->value_nano, value) : count == 1;
}

static void judge_one(const struct sl_quote_limits *limits, const struct sl_quote_state *state,
                      int64_t now_ms, struct sl_quote_source *sources, uint32_t count,
                      struct sl_quote *quote, int64_t value) {
    quote->alone = true;
    quote->level_nano = value;
    if (is_expected(limits, state, count, value)) {
        quote->value_nano = value;
        return;
    }
    bool same = state->waiting && !is_jump(limits, state->level_nano, value);
    int64_t stayed_ms = same ? now_ms - state->since_ms : 0;
    if (same && stayed_ms >= limits->confirm_ms) {
        quote->value_nano = value;
        return;
    }
    quote->hold = SL_QUOTE_JUMPED;
    quote->wait_ms = limits->confirm_ms - stayed_ms;
    quote->agree = 0;
    mark_good(sources, count, SL_QUOTE_JUMPED);
}

void sl_quote_judge(const struct sl_quote_limits *limits, const struct sl_quote_state *state,
                    int64_t now_ms, struct sl_quote_source *sources, uint32_t count,
                    struct sl_quote *ret_quote) {
    int64_t sorted[SL_QUOTE_SOURCES_MAX];
    struct sl_quote quote = {.value_nano = state->value_nano};
    count = count < SL_QUOTE_SOURCES_MAX ? count : SL_QUOTE_SOURCES_MAX;
    quote.fresh = quote.agree = sort_good(sources, count, sorted);
    if (quote.fresh == 0) {
        /* Of several reasons the one that says most: a source that spoke, over one that did not. */
        quote.hold = SL_QUOTE_SILENT;
        for (uint32_t i = 0; i < count; i++) {
            quote.hold = sources[i].why > quote.hold ? sources[i].why : quote.hold;
        }
        *ret_quote = quote;
        return;
    }
    quote.low_nano = sorted[0];
    quote.high_nano = sorted[quote.fresh - 1];
    if (quote.fresh >= 3) {
        judge_many(limits, sources, count, &quote, sorted);
    } else if (quote.fresh == 2) {
        judge_two(limits, sources, count, &quote, sorted);
    } else {
        judge_one(limits, state, now_ms, sources, count, &quote, sorted[0]);
    }
    *ret_quote = quote;
}

void sl_quote_learn(const struct sl_quote_limits *limits, const struct sl_quote *quote,
                    int64_t now_ms, struct sl_quote_state *state) {
    if (quote->hold == SL_QUOTE_GOOD) {
        *state = (struct sl_quote_state){.trusted = true, .value_nano = quote->value_nano};
        return;
    }
    if (quote->hold != SL_QUOTE_JUMPED) {
        /* Silence or a quarrel is no time at the new level. */
        state->waiting = false;
        return;
    }
    if (!state->waiting || is_jump(limits, state->level_nano, quote->level_nano)) {
        state->waiting = true;
        state->level_nano = quote->level_nano;
        state->since_ms = now_ms;
    }
}

const char *sl_quote_words(enum sl_quote_why why) {
    static const char *const words[SL_QUOTE_WHYS] = {
        [SL_QUOTE_GOOD] = "",
        [SL_QUOTE_SILENT] = "nothing read yet",
        [SL_QUOTE_WRONG] = "its last word was no price",
        [SL_QUOTE_OLD] = "older than its limit",
        [SL_QUOTE_NO_CURRENCY] = "no fresh price of its currency",
        [SL_QUOTE_OUTLIER] = "too far from the median",
        [SL_QUOTE_DISAGREE] = "sources disagree",
        [SL_QUOTE_JUMPED] = "jumped, and no other source confirms it yet",
    };
    return (unsigned)why < SL_QUOTE_WHYS ? words[why] : "";
}
