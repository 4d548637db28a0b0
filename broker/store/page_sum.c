/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/store/page_sum.h"

#include <endian.h>
#include <string.h>

#define WORDS ((SL_PAGE_BYTES - SL_PAGE_SUM_BYTES) / 8)
#define LANES 4 /* side by side, since a step waits for the multiplication before it */

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
    uint64_t lane[LANES] = {UINT64_C(0x243F6A8885A308D3), UINT64_C(0x13198A2E03707344),
                            UINT64_C(0xA4093822299F31D0), UINT64_C(0x082EFA98EC4E6C89)};
    int at = 0;
    for (; at + LANES <= WORDS; at += LANES) {
        for (int i = 0; i < LANES; i++) {
            lane[i] = step(lane[i], word_at(page, at + i));
        }
    }
    for (int i = 0; at < WORDS; i++, at++) {
        lane[i] = step(lane[i], word_at(page, at));
    }
    uint64_t sum = step(UINT64_C(0x452821E638D01377), number);
    for (int i = 0; i < LANES; i++) {
        sum = step(sum, lane[i]);
    }
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
