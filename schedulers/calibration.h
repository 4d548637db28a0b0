/* SPDX-License-Identifier: Apache-2.0
 * By how much the quoted hashprice is off what pools really pay: settled / quoted of each day,
 * smoothed (an exponentially weighted mean, one step a day) and kept within bounds.
 *
 * Integers only: parts per million, nano-USD. The state belongs to the caller, starts zeroed (a
 * factor of 1) and may be stored member by member. Thread: any; pure. */
#ifndef SLUICE_SCHEDULERS_CALIBRATION_H
#define SLUICE_SCHEDULERS_CALIBRATION_H

#include <stdint.h>

struct sl_calibration_limits {
    int64_t weight_ppm; /* of a day's ratio; 0: the factor stays */
    int64_t min_ppm, max_ppm;
};

struct sl_calibration {
    int64_t factor_ppm; /* 0: 1000000 */
    int64_t day;        /* of what is collected: days since 1970, UTC */
    int64_t settled_nusd, quoted_nusd;
};

/* A span was settled. Spans of one day are added up; one of several days is so many steps. */
void sl_calibration_add(const struct sl_calibration_limits *limits, struct sl_calibration *state,
                        int64_t from_ms, int64_t to_ms, int64_t settled_nusd, int64_t quoted_nusd);
/* Nothing more is known now: the day that is collected counts if it is over. */
void sl_calibration_close(const struct sl_calibration_limits *limits, struct sl_calibration *state,
                          int64_t now_ms);
int64_t sl_calibration_factor(const struct sl_calibration *state);

#endif
