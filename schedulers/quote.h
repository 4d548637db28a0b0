/* SPDX-License-Identifier: Apache-2.0
 * Which of several sources of one price are believed, and what the price is.
 *
 * In: what each source said last, in one currency, and how old that is. Out: the trusted price or a
 * hold, and a verdict for each source. The rules, in this order:
 *  - A source that never spoke, whose last word was no price, that is older than its limit, or that
 *    cannot be turned into USD is out.
 *  - Three and more: a source further from the (lower) median than `outlier` is out; more than half
 *    of them must be left, else hold. The price is the lower median of those left.
 *  - Two that differ by more than `disagree`: hold, nobody knows which one lies. Else the lower.
 *  - One alone is believed, but while it is further from the last trusted price than `jump`, or
 *    nothing was trusted before and others should have spoken, it is held until another agrees or
 *    it has stayed at the new level for `confirm`.
 * While held, the last trusted price is shown and moves nothing.
 *
 * Integers only; no clock, no heap, no globals, no failure. Prices and floors are x 1e9, parts are
 * per million, spans ms. The state belongs to the caller, starts zeroed, and is changed by
 * sl_quote_learn alone. Thread: any; pure. */
#ifndef SLUICE_SCHEDULERS_QUOTE_H
#define SLUICE_SCHEDULERS_QUOTE_H

#include <stdbool.h>
#include <stdint.h>

#define SL_QUOTE_SOURCES_MAX 16

/* What is wrong with a source; of a whole quote: why it is held. */
enum sl_quote_why {
    SL_QUOTE_GOOD = 0,
    SL_QUOTE_SILENT,      /* it has not spoken yet */
    SL_QUOTE_WRONG,       /* its last word was no price */
    SL_QUOTE_OLD,         /* beyond its age limit */
    SL_QUOTE_NO_CURRENCY, /* no trusted price of its currency */
    SL_QUOTE_OUTLIER,     /* too far from the median of the others */
    SL_QUOTE_DISAGREE,    /* two differ; of a quote also: no majority */
    SL_QUOTE_JUMPED,      /* alone, and far from the last trusted price */
    SL_QUOTE_WHYS,
};

struct sl_quote_limits {
    int64_t outlier_ppm;  /* of the median; 0: none is out */
    int64_t disagree_ppm; /* of the lower one; 0: two never disagree */
    int64_t jump_ppm;     /* times, up or down: 2000000 is double or half; 0: no breaker */
    int64_t confirm_ms;
    int64_t floor_nano; /* differences up to this are none, for prices that cross zero */
};

struct sl_quote_source {
    enum sl_quote_why why; /* GOOD: it is fresh and in USD */
    int64_t value_nano;    /* of a good one */
};

struct sl_quote_state {
    bool trusted; /* some price was, since the state began */
    int64_t value_nano;
    bool waiting; /* one source alone has jumped */
    int64_t level_nano;
    int64_t since_ms;
};

struct sl_quote {
    enum sl_quote_why hold;      /* GOOD: value_nano is trusted */
    int64_t value_nano;          /* held: the last trusted one, if there is one */
    uint32_t fresh;              /* sources that are not out for their own sake */
    uint32_t agree;              /* of these, the ones that made the price */
    int64_t low_nano, high_nano; /* of the fresh ones */
    bool alone;                  /* the breaker looked at it */
    int64_t level_nano;          /* alone: what it says */
    int64_t wait_ms;             /* held for a jump: until it counts as confirmed */
};

/* Fills in sources[].why (OUTLIER, DISAGREE, JUMPED) for those that came in as GOOD. now_ms: any
 * clock that does not go back. */
void sl_quote_judge(const struct sl_quote_limits *limits, const struct sl_quote_state *state,
                    int64_t now_ms, struct sl_quote_source *sources, uint32_t count,
                    struct sl_quote *ret_quote);
/* The state after a judgement. */
void sl_quote_learn(const struct sl_quote_limits *limits, const struct sl_quote *quote,
                    int64_t now_ms, struct sl_quote_state *state);
/* For people: "too far from the median", ...; "" for GOOD. */
const char *sl_quote_words(enum sl_quote_why why);

#endif
