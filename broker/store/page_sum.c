/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/store/page_sum.h"

#include <endian.h>
#include <string.h>

#define WORDS ((SL_PAGE_BYTES - SL_PAGE_SUM_BYTES) / 8)

/* One-to-one in the state for a given word, and in the word for a given state. */
static uint64_t step(uint64_t state, uint64_t word) {
    state = (state ^ word) * UINT64_C(0x9E3779B97F4A7C15);
    return state << 29 | state >> 35;
}

static uint64_t word_at(const uint8_t *page, int at) {
    uint64_t word;
    memcpy(&word, page + 8 * at, sizeof word);
    return le64toh(word);
}

static uint64_t page_sum(const uint8_t *page, uint32_t number) {
    /* Four lanes side by side, since a step waits for the multiplication before it. */
    uint64_t a = UINT64_C(0x243F6A8885A308D3);
    uint64_t b = UINT64_C(0x13198A2E03707344);
    uint64_t c = UINT64_C(0xA4093822299F31D0);
    uint64_t d = UINT64_C(0x082EFA98EC4E6C89);
    int at = 0;
    for (; at + 4 <= WORDS; at += 4) {
        a = step(a, word_at(page, at));
        b = step(b, word_at(page, at + 1));
        c = step(c, word_at(page, at + 2));
        d = step(d, word_at(page, at + 3));
    }
    a = step(a, word_at(page, at)); /* 511 words */
    b = step(b, word_at(page, at + 1));
    c = step(c, word_at(page, at + 2));
    uint64_t sum = step(UINT64_C(0x452821E638D01377), number);
    sum = step(step(step(step(sum, a), b), c), d);
    return sum ^ sum >> 32;
}

static uint64_t stored_sum(const uint8_t *page) {
    return word_at(page, WORDS);
}

void sl_page_seal(uint8_t *page, uint32_t number) {
    uint64_t sum = htole64(page_sum(page, number));
    memcpy(page + SL_PAGE_BYTES - SL_PAGE_SUM_BYTES, &sum, sizeof sum);
}

enum sl_page_state sl_page_check(const uint8_t *page, uint32_t number) {
    if (stored_sum(page) == page_sum(page, number)) {
        return SL_PAGE_GOOD;
    }
    for (int at = 0; at <= WORDS; at++) {
        if (word_at(page, at) != 0) {
            return SL_PAGE_BAD;
        }
    }
    return SL_PAGE_EMPTY;
}
