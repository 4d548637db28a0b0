/* SPDX-License-Identifier: Apache-2.0
 * The tariff by time of day, from the texts of the configuration. */
#include "broker/shell/config.h"

static int fill_window(const struct sl_tariff_config *from, uint32_t i,
                       struct sl_tariff_window *window, struct sl_error *err) {
    window->days = sl_tariff_days(from->days);
    window->from_min = sl_tariff_minutes(from->from);
    window->to_min = sl_tariff_minutes(from->to);
    window->price = from->price;
    if (window->days == 0) {
        return sl_fail(err, SL_INVALID,
                       "power.windows[%u].days: '%s' is no list of days such as mon-fri, 'sat,sun' "
                       "or all",
                       i, from->days);
    }
    if (window->from_min < 0 || window->from_min == SL_TARIFF_DAY_MIN || window->to_min < 0) {
        return sl_fail(err, SL_INVALID,
                       "power.windows[%u]: from '%s' to '%s' are not two times such as 22:00 and "
                       "06:00",
                       i, from->from, from->to);
    }
    /* The end of a day is 24:00; 00:00 means the same. */
    window->to_min = window->to_min == 0 ? SL_TARIFF_DAY_MIN : window->to_min;
    return SL_OK;
}

int sl_broker_tariff_fill(const struct sl_broker_config *c, struct sl_tariff *ret_tariff,
                          struct sl_error *err) {
    struct sl_tariff tariff = {.price = c->tariff_nusd_per_kwh,
                               .utc_offset_min = (int32_t)c->utc_offset_min};
    if (c->tariff != SL_TARIFF_TIME_OF_DAY) {
        *ret_tariff = (struct sl_tariff){0};
        return c->window_count == 0
                   ? SL_OK
                   : sl_fail(err, SL_INVALID,
                             "power.windows are there, but power.tariff is not time_of_day");
    }
    if (c->window_count == 0) {
        return sl_fail(err, SL_INVALID,
                       "power.tariff is time_of_day, but power.windows has no window");
    }
    for (uint32_t i = 0; i < c->window_count; i++) {
        int rc = fill_window(&c->windows[i], i, &tariff.windows[i], err);
        if (rc) {
            return rc;
        }
    }
    tariff.count = c->window_count;
    *ret_tariff = tariff;
    return SL_OK;
}
