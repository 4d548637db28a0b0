/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/base/clock.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "proto/base/error.h"

static int64_t read_ns(clockid_t id) {
    struct timespec t;
    int rc = clock_gettime(id, &t);
    sl_assert(rc == 0);
    return (int64_t)t.tv_sec * SL_NS_PER_S + t.tv_nsec;
}

struct sl_mono sl_clock_mono(void) {
    return (struct sl_mono){read_ns(CLOCK_BOOTTIME)};
}

struct sl_wall sl_clock_wall(void) {
    return (struct sl_wall){read_ns(CLOCK_REALTIME) / SL_NS_PER_MS};
}

struct sl_now sl_clock_now(void) {
    return (struct sl_now){sl_clock_mono(), sl_clock_wall()};
}

int64_t sl_clock_monotonic_raw_ns(void) {
    return read_ns(CLOCK_MONOTONIC_RAW);
}

const char *sl_wall_format(struct sl_wall t, char *buffer) {
    int64_t seconds = t.ms / 1000;
    int64_t ms = t.ms % 1000;
    if (ms < 0) {
        ms += 1000;
        seconds--;
    }
    time_t when = (time_t)seconds;
    struct tm tm;
    gmtime_r(&when, &tm);
    char date[32]; /* years beyond 9999 too */
    strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(buffer, 32, "%s.%03dZ", date, (int)ms);
    return buffer;
}

static int parse_digits(const char **at, int count, int *ret_value) {
    int value = 0;
    for (int i = 0; i < count; i++) {
        if (!isdigit((unsigned char)(*at)[i])) {
            return -SL_INVALID;
        }
        value = value * 10 + ((*at)[i] - '0');
    }
    *at += count;
    *ret_value = value;
    return SL_OK;
}

static int parse_char(const char **at, char expected) {
    if (**at != expected) {
        return -SL_INVALID;
    }
    (*at)++;
    return SL_OK;
}

static int parse_zone(const char **at, int *ret_offset_min) {
    if (**at == 'Z' || **at == 'z') {
        (*at)++;
        *ret_offset_min = 0;
        return SL_OK;
    }
    if (**at != '+' && **at != '-') {
        return -SL_INVALID;
    }
    int sign = **at == '-' ? -1 : 1;
    (*at)++;
    int hours = 0;
    int minutes = 0;
    if (parse_digits(at, 2, &hours) || parse_char(at, ':') || parse_digits(at, 2, &minutes) ||
        hours > 23 || minutes > 59) {
        return -SL_INVALID;
    }
    *ret_offset_min = sign * (hours * 60 + minutes);
    return SL_OK;
}

static int parse_fraction_ms(const char **at) {
    int ms = 0;
    int scale = 100;
    (*at)++; /* the '.' */
    if (!isdigit((unsigned char)**at)) {
        return -SL_INVALID;
    }
    for (; isdigit((unsigned char)**at); (*at)++) {
        ms += (**at - '0') * scale;
        scale /= 10;
    }
    return ms;
}

static bool date_exists(int year, int month, int day) {
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (month < 1 || month > 12 || day < 1) {
        return false;
    }
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return day <= days[month - 1] + (month == 2 && leap ? 1 : 0);
}

int sl_wall_parse(const char *text, struct sl_wall *ret_t) {
    const char *at = text;
    struct tm tm = {0};
    int ms = 0;
    int offset_min = 0;
    int year = 0;
    int month = 0;
    if (parse_digits(&at, 4, &year) || parse_char(&at, '-') || parse_digits(&at, 2, &month) ||
        parse_char(&at, '-') || parse_digits(&at, 2, &tm.tm_mday) ||
        !date_exists(year, month, tm.tm_mday)) {
        return -SL_INVALID;
    }
    tm.tm_year = year - 1900;
    tm.tm_mon = month - 1;
    if (*at != '\0') {
        if ((*at != 'T' && *at != 't' && *at != ' ')) {
            return -SL_INVALID;
        }
        at++;
        if (parse_digits(&at, 2, &tm.tm_hour) || parse_char(&at, ':') ||
            parse_digits(&at, 2, &tm.tm_min) || parse_char(&at, ':') ||
            parse_digits(&at, 2, &tm.tm_sec) || tm.tm_hour > 23 || tm.tm_min > 59 ||
            tm.tm_sec > 60) {
            return -SL_INVALID;
        }
        if (*at == '.' && (ms = parse_fraction_ms(&at)) < 0) {
            return -SL_INVALID;
        }
        if (parse_zone(&at, &offset_min) || *at != '\0') {
            return -SL_INVALID;
        }
    }
    int64_t seconds = (int64_t)timegm(&tm) - (int64_t)offset_min * 60;
    *ret_t = (struct sl_wall){seconds * 1000 + ms};
    return SL_OK;
}

int sl_span_parse(const char *text, int64_t *ret_ms) {
    static const struct {
        const char *suffix;
        int64_t ms;
    } units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};
    const char *at = text;
    int64_t value = 0;
    if (!isdigit((unsigned char)*at) || (at[0] == '0' && isdigit((unsigned char)at[1]))) {
        return -SL_INVALID;
    }
    for (; isdigit((unsigned char)*at); at++) {
        if (value > INT64_C(100000000000)) {
            return -SL_INVALID;
        }
        value = value * 10 + (*at - '0');
    }
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (strcmp(at, units[i].suffix) == 0) {
            int64_t ms = 0;
            if (__builtin_mul_overflow(value, units[i].ms, &ms)) {
                return -SL_INVALID;
            }
            *ret_ms = ms;
            return SL_OK;
        }
    }
    return -SL_INVALID;
}
