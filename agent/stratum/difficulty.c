/* SPDX-License-Identifier: Apache-2.0
 * Difficulty, target and expected hashes as exact numbers (work.h). */
#include "agent/stratum/work.h"

#include <string.h>

typedef unsigned __int128 u128;

/* Above this the work of a share cannot fit an int64; a GPU would need decades for one. */
#define DIFFICULTY_MAX_LOG2 31

/* floor(mantissa * 2^exponent * 2^48 / 65535). The caller keeps the difficulty <= 2^31, so that
 * neither the product nor the divisor leaves 128 bits. */
static u128 expected_hashes(struct sl_difficulty d) {
    int shift = 48 + d.exponent;
    if (shift >= 0) {
        return ((u128)d.mantissa << shift) / 65535;
    }
    return shift > -100 ? d.mantissa / ((u128)65535 << -shift) : 0;
}

static int checked(struct sl_difficulty d, struct sl_difficulty *ret_difficulty,
                   struct sl_error *err) {
    int zeros = __builtin_ctzll(d.mantissa);
    d.mantissa >>= zeros;
    d.exponent += zeros;
    int bits = 64 - __builtin_clzll(d.mantissa) + d.exponent; /* value < 2^bits */
    if (bits > DIFFICULTY_MAX_LOG2 + 1 || (bits > 0 && expected_hashes(d) > INT64_MAX)) {
        return sl_fail(err, SL_LIMIT,
                       "difficulty above 2^31: no device here would find a share; "
                       "ask the pool for a lower one");
    }
    if (bits < -100 || expected_hashes(d) == 0) {
        return sl_fail(err, SL_LIMIT,
                       "difficulty below 2.3e-10: every hash would be a share; ask the pool for a "
                       "higher one");
    }
    *ret_difficulty = d;
    return SL_OK;
}

int sl_difficulty_from_double(double value, struct sl_difficulty *ret_difficulty,
                              struct sl_error *err) {
    uint64_t bits;
    _Static_assert(sizeof bits == sizeof value, "binary64");
    memcpy(&bits, &value, sizeof bits);
    int biased = (int)(bits >> 52 & 0x7ff);
    uint64_t fraction = bits & ((UINT64_C(1) << 52) - 1);
    if (biased == 0x7ff || bits >> 63 || (biased == 0 && fraction == 0)) {
        return sl_fail(err, SL_INVALID, "difficulty must be a number above 0");
    }
    struct sl_difficulty d = {.mantissa = fraction, .exponent = -1074};
    if (biased > 0) {
        d.mantissa |= UINT64_C(1) << 52;
        d.exponent = biased - 1075;
    }
    return checked(d, ret_difficulty, err);
}

int sl_difficulty_from_int(int64_t value, struct sl_difficulty *ret_difficulty,
                           struct sl_error *err) {
    if (value <= 0) {
        return sl_fail(err, SL_INVALID, "difficulty must be a number above 0");
    }
    return checked((struct sl_difficulty){.mantissa = (uint64_t)value}, ret_difficulty, err);
}

double sl_difficulty_to_double(struct sl_difficulty difficulty) {
    double value = (double)difficulty.mantissa;
    for (int i = difficulty.exponent; i < 0; i++) {
        value /= 2;
    }
    for (int i = 0; i < difficulty.exponent; i++) {
        value *= 2;
    }
    return value;
}

void sl_difficulty_target(struct sl_difficulty difficulty, struct sl_u256 *ret_target) {
    /* T1 / (m * 2^e) = (65535 * 2^(208 + max(-e, 0))) / (m * 2^max(e, 0)). The limits of `checked`
     * keep the divisor within 64 bits and the numerator within 384: e >= -(64 + 33). */
    int up = difficulty.exponent < 0 ? -difficulty.exponent : 0;
    int down = difficulty.exponent > 0 ? difficulty.exponent : 0;
    uint64_t divisor = difficulty.mantissa << down;
    uint64_t numerator[6] = {0};
    int place = 208 + up;
    sl_assert(place / 64 < 6 && divisor);
    numerator[place / 64] = UINT64_C(65535) << place % 64;
    if (place % 64 > 48 && place / 64 < 5) {
        numerator[place / 64 + 1] = UINT64_C(65535) >> (64 - place % 64);
    }
    uint64_t quotient[6];
    uint64_t remainder = 0;
    for (int i = 5; i >= 0; i--) {
        u128 part = (u128)remainder << 64 | numerator[i];
        quotient[i] = (uint64_t)(part / divisor);
        remainder = (uint64_t)(part % divisor);
    }
    if (quotient[4] | quotient[5]) { /* only at the lowest difficulty: 2^256 */
        memset(quotient, 0xff, sizeof quotient);
    }
    memcpy(ret_target->limb, quotient, sizeof ret_target->limb);
}

uint64_t sl_difficulty_hashes(struct sl_difficulty difficulty) {
    return (uint64_t)expected_hashes(difficulty);
}

static struct sl_u256 hash_number(const uint8_t hash[32]) {
    struct sl_u256 n = {{0}};
    for (int i = 0; i < 32; i++) {
        n.limb[i / 8] |= (uint64_t)hash[i] << 8 * (i % 8);
    }
    return n;
}

bool sl_hash_meets(const uint8_t hash[32], const struct sl_u256 *target) {
    struct sl_u256 n = hash_number(hash);
    for (int i = 3; i >= 0; i--) {
        if (n.limb[i] != target->limb[i]) {
            return n.limb[i] < target->limb[i];
        }
    }
    return true;
}

double sl_hash_difficulty(const uint8_t hash[32]) {
    struct sl_u256 n = hash_number(hash);
    double value = 0;
    for (int i = 3; i >= 0; i--) {
        value = value * 18446744073709551616.0 + (double)n.limb[i];
    }
    double one = 65535.0;
    for (int i = 0; i < 208; i++) {
        one *= 2;
    }
    return one / value;
}
