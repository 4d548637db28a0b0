/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/wire/msg_telemetry.h"

#include <stddef.h>

#include "proto/base/mutant.h"

#define WATTS_MAX_MW 2000000
#define COUNT_MAX (INT64_C(1) << 53)
#define SPAN_MAX_MS (INT64_C(400) * 86400 * 1000)
#define MIB_MAX (INT64_C(16) << 20)

static const struct sl_figure_info infos[SL_FIG_COUNT] = {
    [SL_FIG_POWER_MW] = {"power_mw", 1, WATTS_MAX_MW, false, false},
    [SL_FIG_POWER_LIMIT_MW] = {"power_limit_mw", 1000, WATTS_MAX_MW, false, false},
    [SL_FIG_ENERGY_MJ] = {"energy_mj", 0, INT64_MAX, false, false},
    [SL_FIG_TEMP_MC] = {"temperature_mc", -40000, 150000, false, false},
    [SL_FIG_TEMP_JUNCTION_MC] = {"temperature_junction_mc", -40000, 150000, false, false},
    [SL_FIG_TEMP_MEMORY_MC] = {"temperature_memory_mc", -40000, 150000, false, false},
    [SL_FIG_CLOCK_MHZ] = {"clock_mhz", 0, 20000, false, false},
    [SL_FIG_CLOCK_MEMORY_MHZ] = {"clock_memory_mhz", 0, 50000, false, false},
    [SL_FIG_BUSY_PPT] = {"busy_ppt", 0, 1000, false, false},
    [SL_FIG_MEMORY_USED_MIB] = {"memory_used_mib", 0, MIB_MAX, false, false},
    [SL_FIG_MEMORY_TOTAL_MIB] = {"memory_total_mib", 1, MIB_MAX, false, false},
    [SL_FIG_FAN_PPT] = {"fan_ppt", 0, 2000, false, false},
    [SL_FIG_FAN_RPM] = {"fan_rpm", 0, 100000, false, false},
    [SL_FIG_THROTTLE] = {"throttle", 0, 15, false, false},
    [SL_FIG_ECC_CORRECTED] = {"ecc_corrected", 0, COUNT_MAX, false, false},
    [SL_FIG_ECC_UNCORRECTED] = {"ecc_uncorrected", 0, COUNT_MAX, false, false},
    [SL_FIG_PCIE_REPLAYS] = {"pcie_replays", 0, COUNT_MAX, false, false},
    [SL_FIG_REFUSED] = {"readings_refused", 0, COUNT_MAX, false, false},
    [SL_FIG_LOST] = {"lost", 0, 1, true, false},
    [SL_FIG_RESET_NEEDED] = {"reset_needed", 0, 1, true, false},
    [SL_FIG_REMAP_PENDING] = {"remap_pending", 0, 1, true, false},
    [SL_FIG_REMAP_FAILED] = {"remap_failed", 0, 1, true, false},
    [SL_FIG_HUNG] = {"hung", 0, 1, true, false},
    [SL_FIG_THERMAL_MS] = {"thermal_ms", 0, SPAN_MAX_MS, true, false},
    [SL_FIG_BRAKE_MS] = {"brake_ms", 0, SPAN_MAX_MS, true, false},
    [SL_FIG_XIDS] = {"xids", 0, UINT32_MAX, true, true},
    [SL_FIG_ECC_NEW] = {"ecc_new", 0, UINT32_MAX, true, true},
    [SL_FIG_CANARY_PASSED] = {"canary_passed", 0, UINT32_MAX, true, true},
    [SL_FIG_CANARY_FAILED] = {"canary_failed", 0, UINT32_MAX, true, true},
};

const char *sl_telemetry_source_name(enum sl_telemetry_source source) {
    static const char *const names[SL_TELEMETRY_SOURCES] = {"unknown", "nvml", "amdgpu",
                                                            "i915",    "xe",   "rapl"};
    return (unsigned)source < SL_TELEMETRY_SOURCES ? names[source] : names[0];
}

const struct sl_figure_info *sl_figure_info(uint32_t figure) {
    return figure < SL_FIG_COUNT ? &infos[figure] : NULL;
}

static int64_t watts_max_mw(void) {
    return SL_MUTANT(absurd_watts_posted) ? INT64_MAX : WATTS_MAX_MW;
}

bool sl_watts_plausible(int64_t mw) {
    return mw > 0 && mw <= watts_max_mw();
}

uint32_t sl_telemetry_bound(struct sl_msg_telemetry *t) {
    uint32_t refused = 0;
    for (uint32_t i = 0; i < SL_FIG_COUNT; i++) {
        int64_t max = i == SL_FIG_POWER_MW ? watts_max_mw() : infos[i].max;
        bool sound = t->figures[i] >= infos[i].min && t->figures[i] <= max;
        if (sl_telemetry_has(t, (enum sl_figure)i) && !sound) {
            sl_telemetry_forget(t, (enum sl_figure)i);
            refused++;
        }
    }
    /* Boards draw more than their limit for moments only. */
    if (sl_telemetry_has(t, SL_FIG_POWER_LIMIT_MW) &&
        t->figures[SL_FIG_POWER_MW] > t->figures[SL_FIG_POWER_LIMIT_MW] / 2 * 3) {
        sl_telemetry_forget(t, SL_FIG_POWER_MW);
        refused++;
    }
    return refused;
}
