/* SPDX-License-Identifier: Apache-2.0
 * What the sensors of a device say: a set of figures, each of which may be unknown. Part of
 * msg_device.h. Absolute state: a lost report costs nothing.
 *
 * Facts are figures that say how far a device can be trusted. A counting fact counts since the
 * start of the agent, so that the receiver sees each event once, however many reports are lost. */
#ifndef SLUICE_PROTO_WIRE_MSG_TELEMETRY_H
#define SLUICE_PROTO_WIRE_MSG_TELEMETRY_H

#include <stdbool.h>
#include <stdint.h>

#define SL_MSG_XIDS_MAX 8
#define SL_MSG_NOTE_MAX 96
#define SL_MSG_PCI_MAX 24      /* "0000:01:00.0" */
#define SL_MSG_UUID_MAX 48     /* hex digits */
#define SL_MSG_LOCALITY_MAX 96 /* "package 0, NUMA node 1, CPUs 8-15" */

enum sl_telemetry_source {
    SL_TELEMETRY_NONE = 0, /* nobody knows the device */
    SL_TELEMETRY_NVML,
    SL_TELEMETRY_AMDGPU, /* sysfs and hwmon */
    SL_TELEMETRY_I915,
    SL_TELEMETRY_XE,
    SL_TELEMETRY_RAPL,
    SL_TELEMETRY_SOURCES,
};
/* "nvml", "amdgpu", ...; "unknown". */
const char *sl_telemetry_source_name(enum sl_telemetry_source source);

/* Numbers of the wire: never changed, added at the end. Temperatures are milli-degrees Celsius. */
enum sl_figure {
    SL_FIG_POWER_MW = 0,
    SL_FIG_POWER_LIMIT_MW, /* that is enforced now */
    SL_FIG_ENERGY_MJ,      /* since some start of the driver */
    SL_FIG_TEMP_MC,        /* of the core, or the edge of the die */
    SL_FIG_TEMP_JUNCTION_MC,
    SL_FIG_TEMP_MEMORY_MC,
    SL_FIG_CLOCK_MHZ,
    SL_FIG_CLOCK_MEMORY_MHZ,
    SL_FIG_BUSY_PPT, /* of the time, thousandths */
    SL_FIG_MEMORY_USED_MIB,
    SL_FIG_MEMORY_TOTAL_MIB,
    SL_FIG_FAN_PPT, /* of the fan's range */
    SL_FIG_FAN_RPM,
    SL_FIG_THROTTLE, /* bits SL_THROTTLE_*; 0: runs freely */
    SL_FIG_ECC_CORRECTED,
    SL_FIG_ECC_UNCORRECTED,
    SL_FIG_PCIE_REPLAYS,
    SL_FIG_REFUSED, /* readings refused as implausible since the agent's start */
    /* Facts that hold now: 1, or how long. */
    SL_FIG_LOST,          /* fell off its bus */
    SL_FIG_RESET_NEEDED,  /* the driver wants it reset */
    SL_FIG_REMAP_PENDING, /* memory rows wait for a reset to be replaced */
    SL_FIG_REMAP_FAILED,
    SL_FIG_HUNG,       /* a launch never returned: the agent has given it up */
    SL_FIG_THERMAL_MS, /* slowed by heat for so long without a break */
    SL_FIG_BRAKE_MS,   /* slowed by the power supply or hardware protection, likewise */
    /* Facts that count. */
    SL_FIG_XIDS,          /* critical driver errors; the last ones are in xids */
    SL_FIG_ECC_NEW,       /* uncorrected memory errors */
    SL_FIG_CANARY_PASSED, /* re-tests with known answers */
    SL_FIG_CANARY_FAILED,
    SL_FIG_COUNT,
};

#define SL_THROTTLE_POWER_CAP 1 /* kept at its power limit: that is what a limit is for */
#define SL_THROTTLE_THERMAL 2
#define SL_THROTTLE_HARDWARE 4 /* the hardware's own protection */
#define SL_THROTTLE_BRAKE 8    /* the power supply's */

struct sl_msg_telemetry {
    enum sl_telemetry_source source;
    uint64_t known;                 /* bit (1 << enum sl_figure) */
    int64_t figures[SL_FIG_COUNT];  /* 0 where not known */
    uint32_t xid_count;             /* in xids */
    uint16_t xids[SL_MSG_XIDS_MAX]; /* the last ones, oldest first */
    char note[SL_MSG_NOTE_MAX];     /* why figures are missing; empty: as it should be */
};

static inline bool sl_telemetry_has(const struct sl_msg_telemetry *t, enum sl_figure figure) {
    return (t->known >> (unsigned)figure & 1) != 0;
}
static inline void sl_telemetry_set(struct sl_msg_telemetry *t, enum sl_figure figure,
                                    int64_t value) {
    t->known |= UINT64_C(1) << (unsigned)figure;
    t->figures[figure] = value;
}
static inline void sl_telemetry_forget(struct sl_msg_telemetry *t, enum sl_figure figure) {
    t->known &= ~(UINT64_C(1) << (unsigned)figure);
    t->figures[figure] = 0;
}

struct sl_figure_info {
    const char *name; /* with its unit: "power_mw" */
    int64_t min, max; /* what is outside cannot be true */
    bool fact, counts;
};
/* NULL past the end. */
const struct sl_figure_info *sl_figure_info(uint32_t figure);

/* Makes unknown what cannot be true, and what is above so many times the device's own power limit.
 * Returns how many figures that were. */
uint32_t sl_telemetry_bound(struct sl_msg_telemetry *t);
/* Watts that a device can draw: above 0 and at most 2 kW (a package of CPUs or a GPU). */
bool sl_watts_plausible(int64_t mw);

#endif
