/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/backtest/recording.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/feeds/csv.h"
#include "proto/base/text.h"

#define GAP_MIN_MS (INT64_C(12) * 3600000)
#define GAP_FACTOR 12

struct reading {
    const struct sl_recording_source *source;
    struct sl_recording *series;
    char path[1024];
    struct sl_csv csv;
    size_t room;
    int time, value, where; /* columns; where -1: all rows */
    size_t rows;            /* of the present file */
    int64_t before_ms;      /* time of the last of them */
};

void sl_recording_destroy(struct sl_recording *series) {
    if (series) {
        free(series->name);
        free(series->at_ms);
        free(series->value);
        free(series);
    }
}

static int find_column(const struct reading *r, const char *name, int *ret_column,
                       struct sl_error *err) {
    *ret_column = sl_csv_column(&r->csv, name);
    if (*ret_column >= 0) {
        return SL_OK;
    }
    SL_AUTO_BUF struct sl_buf there = {0};
    char field[SL_CSV_FIELD_MAX];
    for (int i = 0; there.len < 160 && sl_csv_field(&r->csv, i, field); i++) {
        sl_buf_printf(&there, "%s%.40s", i ? ", " : "", field);
    }
    return sl_fail(err, SL_INVALID, "%s has no column '%s'; it has %s", r->path, name,
                   there.data ? there.data : "none");
}

static int read_head(struct reading *r, struct sl_error *err) {
    const struct sl_recording_source *source = r->source;
    if (!sl_csv_next(&r->csv)) {
        return sl_fail(err, SL_INVALID, "%s is empty", r->path);
    }
    r->where = -1;
    int rc = find_column(r, source->time, &r->time, err);
    rc = rc ? rc : find_column(r, source->column, &r->value, err);
    if (rc == SL_OK && source->where && source->where[0]) {
        rc = find_column(r, source->where, &r->where, err);
    }
    return rc;
}

static int bad_row(const struct reading *r, struct sl_error *err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static int bad_row(const struct reading *r, struct sl_error *err, const char *format, ...) {
    char what[200];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    return sl_fail(err, SL_INVALID, "%s:%d: %s", r->path, r->csv.number, what);
}

/* strtod alone takes "nan", "0x1p3" and what stands behind a number. */
static bool parse_number(const char *text, double *ret_value) {
    if (text[strspn(text, "0123456789.eE+-")] != '\0' || !*text) {
        return false;
    }
    char *end = NULL;
    *ret_value = strtod(text, &end);
    return *end == '\0' && isfinite(*ret_value);
}

static int bad_order(const struct reading *r, int64_t at_ms, int64_t before_ms,
                     struct sl_error *err) {
    char now[32];
    char before[32];
    sl_wall_format((struct sl_wall){at_ms}, now);
    sl_wall_format((struct sl_wall){before_ms}, before);
    return bad_row(r, err, "%s comes after %s: rows must be in the order of time", now, before);
}

/* A row of a time that is there already: the same value again is fine (two folders may overlap),
 * another one is not, and a time between two rows of an earlier folder is not in its order. */
static int repeated(const struct reading *r, int64_t at_ms, double value, struct sl_error *err) {
    const struct sl_recording *s = r->series;
    size_t low = 0;
    size_t high = s->count;
    while (low + 1 < high) {
        size_t middle = low + (high - low) / 2;
        low = s->at_ms[middle] <= at_ms ? middle : low;
        high = s->at_ms[middle] <= at_ms ? high : middle;
    }
    if (s->at_ms[low] != at_ms) {
        return bad_order(r, at_ms, s->at_ms[s->count - 1], err);
    }
    if (s->value[low] == value) {
        return SL_OK;
    }
    char now[32];
    sl_wall_format((struct sl_wall){at_ms}, now);
    return bad_row(r, err, "a second value for %s: %.9g after %.9g", now, value, s->value[low]);
}

static int add_row(struct reading *r, int64_t at_ms, double value, struct sl_error *err) {
    struct sl_recording *s = r->series;
    bool falls = r->rows > 0 && at_ms < r->before_ms;
    int64_t before_ms = r->before_ms;
    r->rows++;
    r->before_ms = at_ms;
    if (falls) {
        return bad_order(r, at_ms, before_ms, err);
    }
    if (s->count > 0 && at_ms <= s->at_ms[s->count - 1]) {
        return repeated(r, at_ms, value, err);
    }
    if (s->count == r->room) {
        size_t room = r->room ? r->room * 2 : 1024;
        int64_t *times = realloc(s->at_ms, room * sizeof *times);
        s->at_ms = times ? times : s->at_ms;
        double *values = realloc(s->value, room * sizeof *values);
        s->value = values ? values : s->value;
        if (!times || !values || s->count >= SL_RECORDING_ROWS_MAX) {
            return sl_fail(err, SL_NOMEM, "%s has too many rows", r->path);
        }
        r->room = room;
    }
    s->at_ms[s->count] = at_ms;
    s->value[s->count++] = value;
    return SL_OK;
}

static int read_row(struct reading *r, struct sl_error *err) {
    char time[SL_CSV_FIELD_MAX];
    char text[SL_CSV_FIELD_MAX];
    char where[SL_CSV_FIELD_MAX];
    if (r->csv.len == 0) {
        return SL_OK;
    }
    if (!sl_csv_field(&r->csv, r->time, time) || !sl_csv_field(&r->csv, r->value, text) ||
        (r->where >= 0 && !sl_csv_field(&r->csv, r->where, where))) {
        return bad_row(r, err, "the row has too few or too long fields");
    }
    struct sl_wall at;
    double value;
    if ((r->where >= 0 && strcmp(where, r->source->is) != 0) || text[0] == '\0') {
        return SL_OK;
    }
    if (sl_wall_parse(time, &at) != SL_OK) {
        return bad_row(r, err, "'%.40s' is no RFC 3339 time", time);
    }
    if (!parse_number(text, &value)) {
        return bad_row(r, err, "'%.40s' in column '%s' is no number", text, r->source->column);
    }
    return add_row(r, at.ms, value, err);
}

static int read_text(struct reading *r, const struct sl_buf *text, struct sl_error *err) {
    r->csv = (struct sl_csv){.text = text->data, .size = text->len};
    r->rows = 0;
    int rc = read_head(r, err);
    while (rc == SL_OK && sl_csv_next(&r->csv)) {
        rc = read_row(r, err);
    }
    return rc;
}

static int read_whole(struct reading *r, FILE *file, struct sl_buf *text, struct sl_error *err) {
    char block[65536];
    size_t n;
    while ((n = fread(block, 1, sizeof block, file)) > 0) {
        sl_buf_append(text, block, n);
        if (text->failed || text->len > SL_RECORDING_BYTES_MAX) {
            return sl_fail(err, SL_LIMIT,
                           "%s is longer than %u bytes, or there is no memory for it", r->path,
                           SL_RECORDING_BYTES_MAX);
        }
    }
    return ferror(file) ? sl_fail_errno(err, "reading %s", r->path) : SL_OK;
}

/* What is missing is not made up: a hole of many rows would be one price held for long. */
static int compare_spans(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a;
    int64_t y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static int usual_gap(const struct sl_recording *s, int64_t *ret_most_ms, struct sl_error *err) {
    SL_AUTO_FREE int64_t *spans = malloc(s->count * sizeof *spans);
    if (!spans) {
        return sl_fail(err, SL_NOMEM, "no memory for %zu rows", s->count);
    }
    for (size_t i = 1; i < s->count; i++) {
        spans[i - 1] = s->at_ms[i] - s->at_ms[i - 1];
    }
    qsort(spans, s->count - 1, sizeof *spans, compare_spans);
    int64_t most = GAP_FACTOR * spans[(s->count - 1) / 2];
    *ret_most_ms = most > GAP_MIN_MS ? most : GAP_MIN_MS;
    return SL_OK;
}

int sl_recording_check_gaps(const struct sl_recording *s, int64_t gap_max_ms, int64_t from_ms,
                            int64_t to_ms, struct sl_error *err) {
    int64_t most = gap_max_ms;
    int rc = most == 0 && s->count > 1 ? usual_gap(s, &most, err) : SL_OK;
    if (rc) {
        return rc;
    }
    for (size_t i = 1; i < s->count; i++) {
        bool inside = s->at_ms[i] > from_ms && s->at_ms[i - 1] < to_ms;
        if (inside && s->at_ms[i] - s->at_ms[i - 1] > most) {
            char from[32];
            char to[32];
            sl_wall_format((struct sl_wall){s->at_ms[i - 1]}, from);
            sl_wall_format((struct sl_wall){s->at_ms[i]}, to);
            return sl_fail(err, SL_INVALID,
                           "%s has a hole from %s to %s, longer than %.1f h: cut the window with "
                           "--from and --to, or give a longer gap_max in the scenario",
                           s->name, from, to, (double)most / 3.6e6);
        }
    }
    return SL_OK;
}

static int read_file(struct reading *r, const char *folder, bool *ret_found, struct sl_error *err) {
    int n = snprintf(r->path, sizeof r->path, "%s/%s", folder, r->source->file);
    if (n < 0 || (size_t)n >= sizeof r->path) {
        return sl_fail(err, SL_LIMIT, "the path %s/%s is too long", folder, r->source->file);
    }
    SL_AUTO_FILE FILE *file = fopen(r->path, "re");
    if (!file && errno == ENOENT) {
        return SL_OK;
    }
    if (!file) {
        return sl_fail_errno(err, "cannot read %s", r->path);
    }
    *ret_found = true;
    SL_AUTO_BUF struct sl_buf text = {0};
    int rc = read_whole(r, file, &text, err);
    return rc ? rc : read_text(r, &text, err);
}

int sl_recording_read(const struct sl_recording_source *source, const char *const *folders,
                      size_t folder_count, struct sl_recording **ret_series, struct sl_error *err) {
    SL_AUTO(sl_recording) series = calloc(1, sizeof *series);
    SL_AUTO_BUF struct sl_buf name = {0};
    sl_buf_printf(&name, "%s, column %s", source->file, source->column);
    if (!series || name.failed) {
        return sl_fail(err, SL_NOMEM, "no memory for a series");
    }
    series->name = sl_take(&name.data);
    struct reading r = {.source = source, .series = series};
    bool found = false;
    for (size_t i = 0; i < folder_count; i++) {
        int rc = read_file(&r, folders[i], &found, err);
        if (rc) {
            return rc;
        }
    }
    if (!found) {
        return sl_fail(err, SL_NOTFOUND, "%s is in none of the --data folders", source->file);
    }
    if (series->count == 0) {
        return source->where && source->where[0]
                   ? sl_fail(err, SL_INVALID, "%s has no row with %s = %s", source->file,
                             source->where, source->is)
                   : sl_fail(err, SL_INVALID, "%s has no values", series->name);
    }
    *ret_series = sl_take(&series);
    return SL_OK;
}

void sl_recording_hold(const struct sl_recording *series, int64_t start_ms, int64_t step_ms,
                       uint32_t steps, double *ret_values) {
    size_t at = 0;
    for (uint32_t t = 0; t < steps; t++) {
        int64_t now_ms = start_ms + (int64_t)t * step_ms;
        while (at + 1 < series->count && series->at_ms[at + 1] <= now_ms) {
            at++;
        }
        ret_values[t] = series->value[at];
    }
}
