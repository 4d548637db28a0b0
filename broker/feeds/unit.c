/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/feeds/unit.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "proto/base/text.h"

/* What stands after "_per_", and how much of the role's unit one of it is. */
static const struct {
    const char *name;
    enum sl_feed_role role;
    int64_t digits;
    int exponent;
} per[] = {
    {"eh_day", SL_FEED_HASHPRICE, 1, -3}, {"ph_day", SL_FEED_HASHPRICE, 1, 0},
    {"th_day", SL_FEED_HASHPRICE, 1, 3},  {"gh_day", SL_FEED_HASHPRICE, 1, 6},
    {"mh_day", SL_FEED_HASHPRICE, 1, 9},  {"kh_day", SL_FEED_HASHPRICE, 1, 12},
    {"h_day", SL_FEED_HASHPRICE, 1, 15},  {"kwh", SL_FEED_POWER, 1, 0},
    {"mwh", SL_FEED_POWER, 1, -3},        {"gpu_hour", SL_FEED_LEASE_REF, 1, 0},
};

/* A mass of CO2; lb is 453.59237 g by its definition. */
static const struct {
    const char *name;
    int64_t digits;
    int exponent;
} carbon[] = {
    {"g_per_kwh", 1, 0}, {"kg_per_mwh", 1, 0},         {"kg_per_kwh", 1, 3},
    {"t_per_mwh", 1, 3}, {"lb_per_mwh", 45359237, -8},
};

static const char *const fitting[] = {
    [SL_FEED_HASHPRICE] = "usd_per_ph_day, btc_per_th_day or eur_per_gh_day",
    [SL_FEED_POWER] = "usd_per_kwh, eur_per_mwh, pence_per_kwh or eur_cent_per_kwh",
    [SL_FEED_LEASE_REF] = "usd_per_gpu_hour",
    [SL_FEED_CURRENCY] = "usd_per_btc or usd_per_eur, USD for one unit",
    [SL_FEED_CARBON] = "g_per_kwh, kg_per_mwh or lb_per_mwh",
};

static bool is(const char *text, size_t size, const char *word) {
    return strlen(word) == size && memcmp(text, word, size) == 0;
}

/* A code of 3 to 5 letters or digits, in lower case, as capitals; parts of currencies are none. */
static bool take_code(const char *text, size_t size, char out[8]) {
    if (size < 3 || size > 5 || !islower((unsigned char)text[0]) || is(text, size, "sat") ||
        is(text, size, "pence")) {
        return false;
    }
    for (size_t i = 0; i < size; i++) {
        if (!islower((unsigned char)text[i]) && !isdigit((unsigned char)text[i])) {
            return false;
        }
        out[i] = (char)toupper((unsigned char)text[i]);
    }
    out[size] = '\0';
    return true;
}

/* What stands before "_per_": a currency or a part of one. */
static bool take_money(const char *text, size_t size, char out[8], int *ret_exponent) {
    *ret_exponent = 0;
    if (is(text, size, "pence")) {
        *ret_exponent = -2;
        return take_code("gbp", 3, out);
    }
    if (is(text, size, "sat")) {
        *ret_exponent = -8;
        return take_code("btc", 3, out);
    }
    if (size > 5 && memcmp(text + size - 5, "_cent", 5) == 0) {
        *ret_exponent = -2;
        return take_code(text, size - 5, out);
    }
    return take_code(text, size, out);
}

static bool parse_carbon(const char *text, struct sl_feed_unit *unit) {
    for (size_t i = 0; i < sizeof carbon / sizeof carbon[0]; i++) {
        if (strcmp(text, carbon[i].name) == 0) {
            unit->role = SL_FEED_CARBON;
            unit->scale = sl_feed_number_of(carbon[i].digits, carbon[i].exponent);
            return true;
        }
    }
    return false;
}

static bool parse(const char *text, struct sl_feed_unit *unit) {
    const char *split = strstr(text, "_per_");
    int exponent = 0;
    if (parse_carbon(text, unit)) {
        return true;
    }
    if (!split || !take_money(text, (size_t)(split - text), unit->currency, &exponent)) {
        return false;
    }
    const char *what = split + 5;
    for (size_t i = 0; i < sizeof per / sizeof per[0]; i++) {
        if (strcmp(what, per[i].name) == 0) {
            unit->role = per[i].role;
            unit->scale = sl_feed_number_of(per[i].digits, per[i].exponent + exponent);
            return true;
        }
    }
    unit->role = SL_FEED_CURRENCY;
    unit->scale = sl_feed_number_of(1, exponent);
    bool usd = strcmp(unit->currency, "USD") == 0;
    return usd && take_code(what, strlen(what), unit->currency) &&
           strcmp(unit->currency, "USD") != 0;
}

int sl_feed_unit_parse(const char *text, enum sl_feed_role role, struct sl_feed_unit *ret_unit,
                       struct sl_error *err) {
    sl_assert(role > SL_FEED_INVALID && role <= SL_FEED_CARBON);
    struct sl_feed_unit unit = {0};
    if (strlen(text) >= SL_FEED_UNIT_MAX || !parse(text, &unit)) {
        return sl_fail(err, SL_INVALID, "unit '%.40s' is not known; for this role: %s", text,
                       fitting[role]);
    }
    if (unit.role != role) {
        return sl_fail(err, SL_INVALID, "unit %s does not fit its role; for this role: %s", text,
                       fitting[role]);
    }
    *ret_unit = unit;
    return SL_OK;
}

const char *sl_feed_unit_name(const struct sl_feed_unit *unit, char out[SL_FEED_UNIT_MAX]) {
    static const char *const after[] = {
        [SL_FEED_HASHPRICE] = "ph_day", [SL_FEED_POWER] = "kwh", [SL_FEED_LEASE_REF] = "gpu_hour"};
    char code[8] = "";
    for (size_t i = 0; unit->currency[i]; i++) {
        code[i] = (char)tolower((unsigned char)unit->currency[i]);
    }
    if (unit->role == SL_FEED_CARBON) {
        sl_text_copy(out, SL_FEED_UNIT_MAX, "g_per_kwh");
    } else if (unit->role == SL_FEED_CURRENCY) {
        snprintf(out, SL_FEED_UNIT_MAX, "usd_per_%s", code);
    } else {
        snprintf(out, SL_FEED_UNIT_MAX, "%s_per_%s", code, after[unit->role]);
    }
    return out;
}
