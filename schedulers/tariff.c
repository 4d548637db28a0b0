/* SPDX-License-Identifier: Apache-2.0 */
#include "schedulers/tariff.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#define MINUTE_MS INT64_C(60000)
#define DAYS 7
#define WEEK_MIN (DAYS * SL_TARIFF_DAY_MIN)
#define EPOCH_DAY 3 /* 1970-01-01 was a Thursday */

/* Minutes since Monday 00:00 local time, whatever the sign of the time. */
static int32_t minute_of_week(const struct sl_tariff *tariff, int64_t wall_ms) {
    int64_t minutes = wall_ms / MINUTE_MS - (wall_ms % MINUTE_MS < 0 ? 1 : 0);
    int64_t local = (minutes % WEEK_MIN + WEEK_MIN + tariff->utc_offset_min +
                     EPOCH_DAY * SL_TARIFF_DAY_MIN + WEEK_MIN) %
                    WEEK_MIN;
    return (int32_t)local;
}

static bool fits(const struct sl_tariff_window *window, int32_t minute) {
    int32_t length = window->to_min - window->from_min;
    length += length <= 0 ? SL_TARIFF_DAY_MIN : 0;
    /* It may have begun today or on the day before. */
    for (int32_t back = 0; back <= 1; back++) {
        int32_t day = (minute / SL_TARIFF_DAY_MIN + DAYS - back) % DAYS;
        int32_t begin = day * SL_TARIFF_DAY_MIN + window->from_min;
        int32_t since = (minute - begin + WEEK_MIN) % WEEK_MIN;
        if ((window->days >> day & 1) && since < length) {
            return true;
        }
    }
    return false;
}

static int64_t price_at(const struct sl_tariff *tariff, int32_t minute) {
    for (uint32_t i = 0; i < tariff->count; i++) {
        if (fits(&tariff->windows[i], minute)) {
            return tariff->windows[i].price;
        }
    }
    return tariff->price;
}

/* Minutes from `minute` to the first later edge of a window on any day: 1..1440. */
static int32_t to_next_edge(const struct sl_tariff *tariff, int32_t minute) {
    int32_t now = minute % SL_TARIFF_DAY_MIN;
    int32_t next = SL_TARIFF_DAY_MIN;
    for (uint32_t i = 0; i < tariff->count; i++) {
        const int32_t edges[] = {tariff->windows[i].from_min, tariff->windows[i].to_min};
        for (size_t k = 0; k < 2; k++) {
            int32_t left = (edges[k] - now + 2 * SL_TARIFF_DAY_MIN) % SL_TARIFF_DAY_MIN;
            left = left == 0 ? SL_TARIFF_DAY_MIN : left;
            next = left < next ? left : next;
        }
    }
    return next;
}

int64_t sl_tariff_price(const struct sl_tariff *tariff, int64_t wall_ms, int64_t *ret_until_ms) {
    int32_t minute = minute_of_week(tariff, wall_ms);
    int64_t price = price_at(tariff, minute);
    if (!ret_until_ms) {
        return price;
    }
    int64_t begin_ms = wall_ms - ((wall_ms % MINUTE_MS) + MINUTE_MS) % MINUTE_MS;
    int32_t ahead = 0;
    *ret_until_ms = SL_TARIFF_NEVER;
    /* A week later all repeats. */
    while (ahead <= WEEK_MIN) {
        ahead += to_next_edge(tariff, (minute + ahead) % WEEK_MIN);
        if (price_at(tariff, (minute + ahead) % WEEK_MIN) != price) {
            *ret_until_ms = begin_ms + ahead * MINUTE_MS;
            break;
        }
    }
    return price;
}

/* The day at *text, which is moved behind it; -1: none. */
static int day_at(const char **text) {
    static const char *const names[DAYS] = {"mon", "tue", "wed", "thu", "fri", "sat", "sun"};
    for (int day = 0; day < DAYS; day++) {
        if (strncmp(*text, names[day], 3) == 0) {
            *text += 3;
            return day;
        }
    }
    return -1;
}

uint8_t sl_tariff_days(const char *text) {
    uint8_t days = 0;
    if (strcmp(text, "all") == 0) {
        return SL_TARIFF_ALL_DAYS;
    }
    for (;;) {
        int from = day_at(&text);
        int to = from;
        if (from >= 0 && *text == '-') {
            text++;
            to = day_at(&text);
        }
        if (from < 0 || to < 0) {
            return 0;
        }
        for (int day = from;; day = (day + 1) % DAYS) {
            days |= (uint8_t)(1u << day);
            if (day == to) {
                break;
            }
        }
        if (*text == '\0') {
            return days;
        }
        if (*text++ != ',') {
            return 0;
        }
        text += *text == ' ';
    }
}

int32_t sl_tariff_minutes(const char *text) {
    for (size_t i = 0; i < 5; i++) {
        bool colon = i == 2;
        if (colon ? text[i] != ':' : text[i] < '0' || text[i] > '9') {
            return -1;
        }
    }
    int32_t hour = (text[0] - '0') * 10 + text[1] - '0';
    int32_t minute = (text[3] - '0') * 10 + text[4] - '0';
    bool good = text[5] == '\0' && minute < 60 && hour * 60 + minute <= SL_TARIFF_DAY_MIN;
    return good ? hour * 60 + minute : -1;
}
