/* SPDX-License-Identifier: Apache-2.0
 * What a kWh costs by the time of day: windows of local time with a price each, and a price for the
 * rest. Local time is UTC plus a fixed offset, so that a price never depends on the machine's time
 * zone files; where clocks are changed in summer, the offset has to be changed with them.
 *
 * Prices in nano-USD per kWh, times in ms since 1970 (UTC), minutes from local midnight. Plain
 * structs, no ownership. Thread: any; pure, no heap. */
#ifndef SLUICE_SCHEDULERS_TARIFF_H
#define SLUICE_SCHEDULERS_TARIFF_H

#include <stdint.h>

#define SL_TARIFF_WINDOWS_MAX 32
#define SL_TARIFF_DAY_MIN 1440
#define SL_TARIFF_ALL_DAYS 0x7f
#define SL_TARIFF_NEVER INT64_MAX

struct sl_tariff_window {
    uint8_t days;     /* bit 0: Monday, ... bit 6: Sunday; the day on which it begins */
    int32_t from_min; /* 0..1439 */
    int32_t to_min;   /* 1..1440, not in it; at or below from: it ends on the next day */
    int64_t price;
};

struct sl_tariff {
    int64_t price; /* outside of all windows */
    int32_t utc_offset_min;
    uint32_t count;
    struct sl_tariff_window windows[SL_TARIFF_WINDOWS_MAX]; /* the first that fits counts */
};

/* The price of that moment. *ret_until_ms (may be NULL): when it next changes, SL_TARIFF_NEVER when
 * it never does. */
int64_t sl_tariff_price(const struct sl_tariff *tariff, int64_t wall_ms, int64_t *ret_until_ms);

/* "mon-fri", "sat,sun", "all", "fri-mon" as days; 0: not of this form. */
uint8_t sl_tariff_days(const char *text);
/* "07:30", "24:00" as minutes; -1: not of this form. */
int32_t sl_tariff_minutes(const char *text);

#endif
