/* SPDX-License-Identifier: Apache-2.0 */
#include "schedulers/throughput.h"

#include "proto/base/money.h"

/* Time of a class in 2^-40 of (tokens / rate): tokens below 2^63 leave room for all classes. */
#define TIME_BITS 40

bool sl_throughput_by_length(const uint64_t rates_milli[SL_LENGTHS]) {
    for (uint32_t i = 0; i < SL_LENGTHS; i++) {
        if (rates_milli[i] > 0) {
            return true;
        }
    }
    return false;
}

static uint64_t nearest(const uint64_t rates_milli[SL_LENGTHS], uint32_t class_) {
    for (uint32_t away = 0; away < SL_LENGTHS; away++) {
        if (class_ >= away && rates_milli[class_ - away] > 0) {
            return rates_milli[class_ - away];
        }
        if (class_ + away < SL_LENGTHS && rates_milli[class_ + away] > 0) {
            return rates_milli[class_ + away];
        }
    }
    return 0;
}

static int64_t cut(sl_i128 value) {
    return value > INT64_MAX ? INT64_MAX : (int64_t)value;
}

int64_t sl_throughput_mix_milli(const uint64_t rates_milli[SL_LENGTHS], uint64_t typical_milli,
                                const struct sl_length_mix *mix) {
    sl_i128 tokens = 0, time = 0;
    if (!sl_throughput_by_length(rates_milli)) {
        return cut((sl_i128)typical_milli);
    }
    for (uint32_t i = 0; i < SL_LENGTHS; i++) {
        if (mix->tokens[i] <= 0) { /* most of them: this runs for every device in a tick */
            continue;
        }
        sl_i128 here = mix->tokens[i];
        tokens += here;
        time += (here << TIME_BITS) / (sl_i128)nearest(rates_milli, i);
    }
    if (tokens == 0) {
        return cut((sl_i128)typical_milli);
    }
    /* tokens < 2^66, so shifted below 2^106; a time of 0 is a rate above 2^40 tokens in 1000 s. */
    return cut(time > 0 ? (tokens << TIME_BITS) / time : INT64_MAX);
}
