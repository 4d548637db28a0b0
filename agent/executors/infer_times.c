/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/executors/infer_times.h"

#include "proto/base/error.h"

void sl_infer_times_queued(struct sl_infer_times *times, uint32_t lane, int64_t now_ns) {
    sl_assert(lane < SL_LANES_MAX);
    if (times->lanes[lane].queued++ == 0) {
        times->lanes[lane].since_ns = now_ns;
    }
}

static int64_t later(int64_t a, int64_t b) {
    return a > b ? a : b;
}

static int64_t overlap(int64_t a_start, int64_t a_end, int64_t b_start, int64_t b_end) {
    return later(0, (a_end < b_end ? a_end : b_end) - later(a_start, b_start));
}

int64_t sl_infer_times_ended(struct sl_infer_times *times, uint32_t lane, int64_t start_ns,
                             int64_t end_ns) {
    sl_assert(lane < SL_LANES_MAX && times->lanes[lane].queued > 0);
    int64_t shared = 0;
    for (uint32_t i = 0; i < SL_LANES_MAX; i++) {
        if (i == lane) {
            continue;
        }
        shared += overlap(start_ns, end_ns, times->lanes[i].start_ns, times->lanes[i].end_ns);
        if (times->lanes[i].queued > 0) {
            int64_t since = later(times->lanes[i].since_ns, times->lanes[i].end_ns);
            shared += overlap(start_ns, end_ns, since, end_ns);
        }
    }
    times->lanes[lane].queued--;
    times->lanes[lane].since_ns = end_ns;
    times->lanes[lane].start_ns = start_ns;
    times->lanes[lane].end_ns = end_ns;
    return later(0, end_ns - start_ns - shared / 2);
}
