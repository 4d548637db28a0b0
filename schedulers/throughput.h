/* SPDX-License-Identifier: Apache-2.0
 * How fast a device works off texts of given lengths, from what it measured by class of length
 * (proto/base/length.h). Exact integers, rounded down. Thread: any; pure. */
#ifndef SLUICE_SCHEDULERS_THROUGHPUT_H
#define SLUICE_SCHEDULERS_THROUGHPUT_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/base/length.h"

/* What waits, by the length of its texts. */
struct sl_length_mix {
    int64_t tokens[SL_LENGTHS]; /* sum over the texts of the class; >= 0 */
};

/* tokens/s x 1000 over the whole mix: its tokens / the sum of each class's time. A class that was
 * not measured (0) counts with the nearest measured one, the shorter of two; where none was, or the
 * mix is empty, it is the model's `typical` rate. */
int64_t sl_throughput_mix_milli(const uint64_t rates_milli[SL_LENGTHS], uint64_t typical_milli,
                                const struct sl_length_mix *mix);

/* Whether any class has been measured. */
bool sl_throughput_by_length(const uint64_t rates_milli[SL_LENGTHS]);

#endif
