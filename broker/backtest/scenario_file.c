/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/backtest/scenario_file.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/base/text.h"
#include "proto/conf/conf.h"

#define NANO 1e-9
#define NAME_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"
#define HOUR_MS INT64_C(3600000)
#define DAY_MS (24 * HOUR_MS)
#define MS_PER_H 3600000.0

struct source_text {
    char file[200];
    char time[64];
    char column[64];
    char where[64];
    char is[64];
    int64_t gap_max_ms;
};

/* As it stands in the file: decimals in 1e-9, spans in ms. */
struct text {
    char name[SL_SCENARIO_NAME_MAX];
    int64_t step_ms, days, instances, noise, lag;
    int64_t algorithms, hash_usd, spread, half_life_ms, base, common;
    int64_t kw, power_kind, power_usd, power_factor;
    int64_t lease_usd, lease_sd, gap_ms, lease_ms, length_sd, first_gap_ms, lease_kw, waiting_kw;
    bool idle;
    int64_t idle_kw;
    struct source_text source[SL_SCENARIO_ROLES];
};

#define AT(member)                                                                                 \
    .offset = offsetof(struct text, member), .size = sizeof(((struct text *)0)->member)
#define DECIMAL(key, member, low, high, def, text_of_unit, says)                                   \
    {                                                                                              \
        key, SL_CONF_DECIMAL, .unit = text_of_unit, AT(member), .digits = 9, .min = (low),         \
                              .max = (high), .fallback = (def), .help = says                       \
    }
#define SPAN(key, member, low, def, says)                                                          \
    {                                                                                              \
        key, SL_CONF_SPAN_MS, AT(member), .min = (low), .max = 4000 * DAY_MS, .fallback = (def),   \
                                          .help = says                                             \
    }
#define SOURCE(section, role)                                                                      \
    {section ".file",                                                                              \
     SL_CONF_TEXT,                                                                                 \
     AT(source[role].file),                                                                        \
     .min = 0,                                                                                     \
     .max = 199,                                                                                   \
     .fallback = "",                                                                               \
     .help = "CSV of recorded prices, relative to --data; none: made up."},                        \
        {section ".time_column",                                                                   \
         SL_CONF_TEXT,                                                                             \
         AT(source[role].time),                                                                    \
         .min = 1,                                                                                 \
         .max = 63,                                                                                \
         .fallback = "timestamp",                                                                  \
         .help = "Its column of RFC 3339 times."},                                                 \
        {section ".column", SL_CONF_TEXT,   AT(source[role].column),        .min = 0,              \
         .max = 63,         .fallback = "", .help = "Its column of values."},                      \
        {section ".where",                                                                         \
         SL_CONF_TEXT,                                                                             \
         AT(source[role].where),                                                                   \
         .min = 0,                                                                                 \
         .max = 63,                                                                                \
         .fallback = "",                                                                           \
         .help = "Take only rows whose column of this name..."},                                   \
        {section ".is", SL_CONF_TEXT,   AT(source[role].is),          .min = 0,                    \
         .max = 63,     .fallback = "", .help = "...holds this text."},                            \
    {                                                                                              \
        section ".gap_max", SL_CONF_SPAN_MS, AT(source[role].gap_max_ms),                          \
            .min = 0, .max = 4000 * DAY_MS, .fallback = "0ms",                                     \
            .help = "A longer hole is refused; 0ms: 12 h, or 12 times the usual distance of rows." \
    }

#define LARGE INT64_C(1000000000000000)
#define ONE INT64_C(1000000000)

static const struct sl_conf_option schema[] = {
    {"name", SL_CONF_TEXT, AT(name), .min = 1, .max = SL_SCENARIO_NAME_MAX - 1,
     .help = "Names the scenario, and its random numbers together with the seed."},
    SPAN("step", step_ms, 1000, "5m", "Span between two decisions."),
    {"days", SL_CONF_INT, AT(days), .min = 1, .max = 4000, .fallback = "60",
     .help = "Length without recorded prices."},
    {"instances", SL_CONF_INT, AT(instances), .min = 1, .max = 1000, .fallback = "6",
     .help = "Markets drawn."},
    DECIMAL("noise", noise, 0, ONE, "0.05", NULL,
            "Standard deviation of a quote's error, as a part of the gross hashprice."),
    {"lag", SL_CONF_INT, AT(lag), .min = 0, .max = 10000, .fallback = "0",
     .help = "Steps by which the quoted gross hashprice is late."},
    {"hash.algorithms", SL_CONF_INT, AT(algorithms), .min = 1, .max = SL_SCENARIO_ALGORITHMS,
     .help = "Ways of hashing."},
    DECIMAL("hash.usd_per_hour", hash_usd, 0, LARGE, NULL, "USD/h",
            "Gross revenue of the device; with a file, by which its values are multiplied."),
    DECIMAL("hash.spread", spread, 0, ONE, "0", NULL,
            "Standard deviation of each algorithm's own mean-reverting walk."),
    SPAN("hash.half_life", half_life_ms, 1, "12h", "Half-life of that walk."),
    DECIMAL("hash.base", base, 0, ONE, "0", NULL,
            "Standard deviation of each algorithm's constant advantage."),
    DECIMAL("hash.common_volatility", common, 0, 10 * ONE, "0", "per square root of a year",
            "Of the random walk that all algorithms share."),
    SOURCE("hash", SL_SCENARIO_HASH),
    DECIMAL("power.kw", kw, 0, LARGE, NULL, "kW", "Draw while hashing."),
    {"power.kind", SL_CONF_CHOICE, AT(power_kind), .choices = "constant|spiky|series",
     .fallback = "constant", .help = "Where the price of power comes from."},
    DECIMAL("power.usd_per_kwh", power_usd, -LARGE, LARGE, "0", "USD/kWh",
            "The price; with a file, added to it. `spiky` has its own."),
    DECIMAL("power.factor", power_factor, 0, LARGE, "1", NULL,
            "By which the file's values become USD/kWh."),
    SOURCE("power", SL_SCENARIO_POWER),
    DECIMAL("lease.usd_per_hour", lease_usd, 0, LARGE, "0", "USD/h",
            "Rate of a lease, 0: there are none; with a file, by which its values are multiplied."),
    DECIMAL("lease.sd", lease_sd, 0, 10 * ONE, "0", NULL, "Of the logarithm of a rate."),
    SPAN("lease.gap", gap_ms, 1, "3h", "Mean gap between two leases (exponential)."),
    SPAN("lease.length", lease_ms, 1, "6h", "Mean length of a lease (lognormal)."),
    DECIMAL("lease.length_sd", length_sd, 0, 10 * ONE, "0", NULL, "Of the logarithm of a length."),
    SPAN("lease.first_gap", first_gap_ms, 0, "0ms", "The first gap; 0ms: drawn like the others."),
    DECIMAL("lease.kw_factor", lease_kw, 0, 10 * ONE, "0.9", NULL,
            "Draw in a lease, as a part of that while hashing."),
    DECIMAL("lease.waiting_kw", waiting_kw, 0, LARGE, "0.03", "kW",
            "Draw while the device is held for the next lease."),
    SOURCE("lease", SL_SCENARIO_LEASE),
    {"idle.offered", SL_CONF_BOOL, AT(idle), .fallback = "false",
     .help = "The device may stand still."},
    DECIMAL("idle.kw", idle_kw, 0, LARGE, "0.02", "kW", "Draw while it does."),
    {0},
};

void sl_scenario_set_destroy(struct sl_scenario_set *set) {
    if (set) {
        for (int i = 0; i < SL_SCENARIO_ROLES; i++) {
            free(set->values[i]);
        }
        free(set);
    }
}

static void from_text(const struct text *t, struct sl_scenario *s) {
    *s = (struct sl_scenario){
        .step_ms = t->step_ms,
        .algorithms = (uint32_t)t->algorithms,
        .hash_usd_h = (double)t->hash_usd * NANO,
        .spread = (double)t->spread * NANO,
        .half_life_h = (double)t->half_life_ms / MS_PER_H,
        .base = (double)t->base * NANO,
        .common_volatility = (double)t->common * NANO,
        .kw = (double)t->kw * NANO,
        .power_kind = (enum sl_scenario_power)t->power_kind,
        .power_usd_kwh = (double)t->power_usd * NANO,
        .power_factor = (double)t->power_factor * NANO,
        .lease = t->lease_usd > 0,
        .lease_usd_h = (double)t->lease_usd * NANO,
        .lease_sd = (double)t->lease_sd * NANO,
        .gap_h = (double)t->gap_ms / MS_PER_H,
        .lease_h = (double)t->lease_ms / MS_PER_H,
        .lease_length_sd = (double)t->length_sd * NANO,
        .first_gap_h = (double)t->first_gap_ms / MS_PER_H,
        .lease_kw_factor = (double)t->lease_kw * NANO,
        .waiting_kw = (double)t->waiting_kw * NANO,
        .idle = t->idle,
        .idle_kw = (double)t->idle_kw * NANO,
        .noise = (double)t->noise * NANO,
        .lag_steps = (uint32_t)t->lag,
        .instances = (uint32_t)t->instances,
        .days = (double)t->days,
    };
    sl_text_copy(s->name, sizeof s->name, t->name);
}

static int check_text(const char *path, const struct text *t, struct sl_error *err) {
    static const char *const sections[] = {"hash", "power", "lease"};
    if (t->name[strspn(t->name, NAME_CHARACTERS)] != '\0') {
        return sl_fail(err, SL_INVALID, "%s: name: only letters, digits, '.', '_' and '-'", path);
    }
    bool series = t->source[SL_SCENARIO_POWER].file[0] != '\0';
    if (series != (t->power_kind == SL_SCENARIO_POWER_SERIES)) {
        return sl_fail(err, SL_INVALID, "%s: power.kind: series and power.file go together", path);
    }
    for (int i = 0; i < SL_SCENARIO_ROLES; i++) {
        const struct source_text *source = &t->source[i];
        if ((source->file[0] != '\0') != (source->column[0] != '\0')) {
            return sl_fail(err, SL_INVALID, "%s: %s.file and %s.column go together", path,
                           sections[i], sections[i]);
        }
        if (source->file[0] == '/' || strstr(source->file, "..")) {
            return sl_fail(err, SL_INVALID, "%s: %s.file must be a path below a --data folder",
                           path, sections[i]);
        }
    }
    return SL_OK;
}

struct laying {
    const struct text *text;
    struct sl_recording *series[SL_SCENARIO_ROLES];
    int64_t first_ms, last_ms; /* of the overlap */
    const char *first_name, *last_name;
};

static int read_series(struct laying *l, const char *const *folders, size_t folder_count,
                       struct sl_error *err) {
    l->first_ms = INT64_MIN;
    l->last_ms = INT64_MAX;
    for (int i = 0; i < SL_SCENARIO_ROLES; i++) {
        const struct source_text *from = &l->text->source[i];
        if (!from->file[0]) {
            continue;
        }
        if (folder_count == 0) {
            return sl_fail(err, SL_INVALID,
                           "scenario %s needs recorded prices (%s): give --data DIR", l->text->name,
                           from->file);
        }
        struct sl_recording_source source = {.file = from->file,
                                             .time = from->time,
                                             .column = from->column,
                                             .where = from->where,
                                             .is = from->is};
        int rc = sl_recording_read(&source, folders, folder_count, &l->series[i], err);
        if (rc) {
            return rc;
        }
        const struct sl_recording *s = l->series[i];
        if (s->at_ms[0] > l->first_ms) {
            l->first_ms = s->at_ms[0];
            l->first_name = s->name;
        }
        if (s->at_ms[s->count - 1] < l->last_ms) {
            l->last_ms = s->at_ms[s->count - 1];
            l->last_name = s->name;
        }
    }
    return SL_OK;
}

static int no_overlap(const struct laying *l, struct sl_error *err) {
    char text[SL_ERROR_TEXT_MAX] = "";
    size_t used = 0;
    for (int i = 0; i < SL_SCENARIO_ROLES; i++) {
        const struct sl_recording *s = l->series[i];
        if (s && used < sizeof text) {
            char from[32];
            char to[32];
            sl_wall_format((struct sl_wall){s->at_ms[0]}, from);
            sl_wall_format((struct sl_wall){s->at_ms[s->count - 1]}, to);
            used += (size_t)snprintf(text + used, sizeof text - used, "%s%s has %.16s to %.16s",
                                     used ? "; " : "", s->name, from, to);
        }
    }
    return sl_fail(err, SL_INVALID, "scenario %s: its series do not overlap: %s", l->text->name,
                   text);
}

static int cut_window(struct laying *l, const struct sl_scenario_window *window,
                      struct sl_error *err) {
    if (l->first_ms > l->last_ms) {
        return no_overlap(l, err);
    }
    int64_t first_ms = window->from_ms > l->first_ms ? window->from_ms : l->first_ms;
    int64_t last_ms = window->to_ms <= l->last_ms ? window->to_ms - 1 : l->last_ms;
    if (first_ms > last_ms) {
        char from[32];
        char to[32];
        sl_wall_format((struct sl_wall){l->first_ms}, from);
        sl_wall_format((struct sl_wall){l->last_ms}, to);
        return sl_fail(err, SL_INVALID,
                       "scenario %s: --from and --to leave nothing of its prices, which reach from "
                       "%s (%s) to %s (%s)",
                       l->text->name, from, l->first_name, to, l->last_name);
    }
    l->first_ms = first_ms;
    l->last_ms = last_ms;
    for (int i = 0; i < SL_SCENARIO_ROLES; i++) {
        int rc = l->series[i] ? sl_recording_check_gaps(l->series[i], l->text->source[i].gap_max_ms,
                                                        first_ms, last_ms, err)
                              : SL_OK;
        if (rc) {
            return rc;
        }
    }
    return SL_OK;
}

static int lay(struct laying *l, struct sl_scenario_set *set, struct sl_error *err) {
    int64_t steps = (l->last_ms - l->first_ms) / l->text->step_ms + 1;
    if (steps > SL_SCENARIO_STEPS_MAX) {
        return sl_fail(err, SL_LIMIT, "scenario %s has %lld steps, at most %d are taken",
                       l->text->name, (long long)steps, SL_SCENARIO_STEPS_MAX);
    }
    set->steps = (uint32_t)steps;
    set->start_ms = l->first_ms;
    for (int i = 0; i < SL_SCENARIO_ROLES; i++) {
        if (l->series[i]) {
            set->values[i] = malloc(set->steps * sizeof(double));
            if (!set->values[i]) {
                return sl_fail(err, SL_NOMEM, "no memory for %u steps", set->steps);
            }
            sl_recording_hold(l->series[i], l->first_ms, l->text->step_ms, set->steps,
                              set->values[i]);
        }
    }
    set->scenario.hash_series = set->values[SL_SCENARIO_HASH];
    set->scenario.power_series = set->values[SL_SCENARIO_POWER];
    set->scenario.lease_series = set->values[SL_SCENARIO_LEASE];
    return SL_OK;
}

int sl_scenario_load(const char *path, const char *const *folders, size_t folder_count,
                     const struct sl_scenario_window *window, struct sl_scenario_set **ret_set,
                     struct sl_error *err) {
    struct text text;
    SL_AUTO(sl_scenario_set) set = calloc(1, sizeof *set);
    if (!set) {
        return sl_fail(err, SL_NOMEM, "no memory for a scenario");
    }
    if (access(path, R_OK) != 0) {
        return sl_fail_errno(err, "cannot read the scenario %s", path);
    }
    int rc = sl_conf_read(path, schema, &text, sizeof text, err);
    rc = rc ? rc : check_text(path, &text, err);
    if (rc) {
        return rc;
    }
    from_text(&text, &set->scenario);
    struct laying l = {.text = &text};
    rc = read_series(&l, folders, folder_count, err);
    if (rc == SL_OK && l.first_name) {
        rc = cut_window(&l, window, err);
    } else if (rc == SL_OK) {
        l.first_ms = 0;
        l.last_ms = text.days * DAY_MS - 1;
    }
    rc = rc ? rc : lay(&l, set, err);
    for (int i = 0; i < SL_SCENARIO_ROLES; i++) {
        sl_recording_destroy(l.series[i]);
    }
    if (rc == SL_OK) {
        *ret_set = sl_take(&set);
    }
    return rc;
}
