/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/executors/infer_times.h"

#include <stdbool.h>

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

/* Where both lanes have launches each gets half. */
static void share_out(struct sl_infer_times *times, int64_t end_ns) {
    int64_t from[SL_LANES_MAX];
    for (uint32_t i = 0; i < SL_LANES_MAX; i++) {
        bool runs = times->lanes[i].queued > 0 && times->lanes[i].since_ns < end_ns;
        from[i] = runs ? later(times->shared_ns, times->lanes[i].since_ns) : end_ns;
    }
    int64_t both = later(0, end_ns - later(from[0], from[1]));
    for (uint32_t i = 0; i < SL_LANES_MAX; i++) {
        times->lanes[i].own_ns += later(0, end_ns - from[i]) - both / 2;
    }
    times->shared_ns = later(times->shared_ns, end_ns);
}

int64_t sl_infer_times_ended(struct sl_infer_times *times, uint32_t lane, int64_t start_ns,
                             int64_t end_ns) {
    _Static_assert(SL_LANES_MAX == 2, "halves are for two");
    sl_assert(lane < SL_LANES_MAX && times->lanes[lane].queued > 0);
    times->lanes[lane].since_ns = later(times->lanes[lane].since_ns, start_ns);
    share_out(times, end_ns);
    int64_t own_ns = times->lanes[lane].own_ns;
    times->lanes[lane].own_ns = 0;
    times->lanes[lane].queued--;
    times->lanes[lane].since_ns = end_ns;
    return own_ns;
}
