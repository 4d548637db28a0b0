/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/feeds/series.h"

#include <stdlib.h>
#include <string.h>

#include "broker/feeds/csv.h"

struct columns {
    const char *name;
    const struct sl_series_format *format;
    int time;
    int value;
    int filter; /* < 0: all rows count */
};

/* 1: a row, 0: a gap, negative: an error. */
static int parse_row(const struct columns *columns, const struct sl_csv *line,
                     struct sl_series_row *ret_row, struct sl_error *err) {
    char time_text[SL_CSV_FIELD_MAX];
    char value_text[SL_CSV_FIELD_MAX];
    char filter_text[SL_CSV_FIELD_MAX] = "";
    const struct sl_series_format *format = columns->format;
    if (line->len == 0) {
        return 0;
    }
    if (!sl_csv_field(line, columns->time, time_text) ||
        !sl_csv_field(line, columns->value, value_text) ||
        (columns->filter >= 0 && !sl_csv_field(line, columns->filter, filter_text))) {
        return sl_fail(err, SL_INVALID, "%s:%d: the row has too few or too long fields",
                       columns->name, line->number);
    }
    if (value_text[0] == '\0' ||
        (columns->filter >= 0 && strcmp(filter_text, format->filter_value) != 0)) {
        return 0;
    }
    struct sl_series_row row;
    if (sl_wall_parse(time_text, &row.at)) {
        return sl_fail(err, SL_INVALID,
                       "%s:%d: '%.40s' is not a time such as 2025-01-31T12:00:00Z or "
                       "2025-01-31 06:00:00-06:00 (local time needs its offset)",
                       columns->name, line->number, time_text);
    }
    struct sl_error why;
    struct sl_feed_number number;
    int rc = sl_feed_number_parse(value_text, &number, &why);
    rc = rc ? rc
            : sl_feed_number_nano(sl_feed_number_mul(number, format->scale), &row.value_nano, &why);
    if (rc) {
        return sl_fail(err, SL_INVALID, "%s:%d: %s: %s", columns->name, line->number,
                       format->value_column, why.text);
    }
    if (number.digits < 0 && !format->negative_ok) {
        return sl_fail(err, SL_INVALID, "%s:%d: %s must not be negative, and is %.40s",
                       columns->name, line->number, format->value_column, value_text);
    }
    *ret_row = row;
    return 1;
}

static int append_row(struct sl_series *series, size_t *cap, struct sl_series_row row,
                      const char *name, struct sl_error *err) {
    if (series->count == SL_SERIES_ROWS_MAX) {
        return sl_fail(err, SL_LIMIT, "%s has more than %d rows", name, SL_SERIES_ROWS_MAX);
    }
    if (series->count == *cap) {
        size_t grown = *cap ? *cap * 2 : 512;
        struct sl_series_row *rows = realloc(series->rows, grown * sizeof *rows);
        if (!rows) {
            return sl_fail(err, SL_NOMEM, "no memory for %s", name);
        }
        series->rows = rows;
        *cap = grown;
    }
    /* A row that goes back in time counts from the row before it on: its place in the file is what
     * somebody who appends a price means. */
    if (series->count > 0 && row.at.ms < series->rows[series->count - 1].at.ms) {
        row.at = series->rows[series->count - 1].at;
    }
    series->rows[series->count++] = row;
    return SL_OK;
}

static int find_columns(const char *name, const struct sl_csv *head,
                        const struct sl_series_format *format, struct columns *ret_columns,
                        struct sl_error *err) {
    bool filtered = format->filter_column && format->filter_column[0];
    struct columns c = {.name = name,
                        .format = format,
                        .time = sl_csv_column(head, format->time_column),
                        .value = sl_csv_column(head, format->value_column),
                        .filter = filtered ? sl_csv_column(head, format->filter_column) : -1};
    const char *missing = c.time < 0                 ? format->time_column
                          : c.value < 0              ? format->value_column
                          : filtered && c.filter < 0 ? format->filter_column
                                                     : NULL;
    if (missing) {
        return sl_fail(err, SL_INVALID, "%s:1: there is no column '%s'", name, missing);
    }
    *ret_columns = c;
    return SL_OK;
}

int sl_series_parse(const char *name, const char *text, size_t size,
                    const struct sl_series_format *format, struct sl_series **ret_series,
                    struct sl_error *err) {
    struct sl_csv line = {.text = text, .size = size};
    struct columns columns = {.format = format};
    if (!sl_csv_next(&line)) {
        return sl_fail(err, SL_INVALID, "%s is empty; its first line names the columns", name);
    }
    int rc = find_columns(name, &line, format, &columns, err);
    if (rc) {
        return rc;
    }
    SL_AUTO(sl_series) series = calloc(1, sizeof *series);
    if (!series) {
        return sl_fail(err, SL_NOMEM, "no memory for %s", name);
    }
    size_t cap = 0;
    while (sl_csv_next(&line)) {
        struct sl_series_row row = {0};
        int got = parse_row(&columns, &line, &row, err);
        if (got < 0) {
            return got;
        }
        rc = got ? append_row(series, &cap, row, name, err) : SL_OK;
        if (rc) {
            return rc;
        }
    }
    if (series->count == 0) {
        return sl_fail(err, SL_INVALID, "%s has no row with a value in '%s'%s%s", name,
                       format->value_column, columns.filter >= 0 ? " and the filter_value " : "",
                       columns.filter >= 0 ? format->filter_value : "");
    }
    *ret_series = sl_take(&series);
    return SL_OK;
}

const struct sl_series_row *sl_series_at(const struct sl_series *series, struct sl_wall now) {
    const struct sl_series_row *found = NULL;
    for (size_t i = 0; i < series->count && series->rows[i].at.ms <= now.ms; i++) {
        found = &series->rows[i];
    }
    return found;
}

void sl_series_destroy(struct sl_series *series) {
    if (series) {
        free(series->rows);
        free(series);
    }
}

void sl_replay_init(struct sl_replay *replay, struct sl_series *series, int64_t speed_milli,
                    bool loop, int64_t age_max_ms, struct sl_now now) {
    int64_t age_ms = now.wall.ms - series->rows[series->count - 1].at.ms;
    bool live = age_ms <= age_max_ms;
    *replay = (struct sl_replay){
        .series = series,
        .speed_milli = speed_milli,
        .loop = loop,
        .live = live,
        .started = now.mono,
        /* Only of a young row: centuries do not fit into nanoseconds. */
        .live_since = {now.mono.ns - (live && age_ms > 0 ? age_ms : 0) * SL_NS_PER_MS},
    };
}

void sl_replay_fini(struct sl_replay *replay) {
    sl_series_destroy(replay->series);
    replay->series = NULL;
}

/* Recorded ms that have passed since the replay began: at most so many that adding them to a time
 * is still a time (at a hundred million times real speed that is a matter of years). */
static int64_t recorded_ms(const struct sl_replay *replay, struct sl_mono now) {
    sl_i128 ns = (sl_i128)sl_mono_since_ns(now, replay->started) * replay->speed_milli;
    sl_i128 ms = ns / 1000 / SL_NS_PER_MS;
    return ms < INT64_MAX / 2 ? (int64_t)ms : INT64_MAX / 2;
}

void sl_replay_update(struct sl_replay *replay, struct sl_series *series, struct sl_mono now) {
    const struct sl_series *old = replay->series;
    bool begins_alike = series->count >= old->count &&
                        memcmp(series->rows, old->rows, old->count * sizeof old->rows[0]) == 0;
    bool changed = series->count != old->count || !begins_alike;
    bool appended = changed && begins_alike;
    /* Where the new content has nothing to replay any more, its last row is the news; and what
     * somebody keeps replacing stays live. */
    int64_t position = series->rows[0].at.ms + recorded_ms(replay, now);
    bool over = changed && (series->count == 1 ||
                            (!replay->loop && position >= series->rows[series->count - 1].at.ms));
    if (appended || over || (replay->live && changed)) {
        replay->live = true;
        replay->live_since = now;
    }
    sl_series_destroy(replay->series);
    replay->series = series;
}

static int64_t real_ms(const struct sl_replay *replay, int64_t recorded) {
    return replay->speed_milli > 0 ? (int64_t)((sl_i128)recorded * 1000 / replay->speed_milli) : 0;
}

void sl_replay_at(const struct sl_replay *replay, struct sl_mono now,
                  struct sl_replay_point *ret_point) {
    const struct sl_series *s = replay->series;
    const struct sl_series_row *last = &s->rows[s->count - 1];
    if (replay->live) {
        *ret_point = (struct sl_replay_point){
            .value_nano = last->value_nano,
            .recorded = last->at,
            .age_ms = sl_mono_since_ns(now, replay->live_since) / SL_NS_PER_MS,
            .next_ms = -1,
        };
        return;
    }
    int64_t span = last->at.ms - s->rows[0].at.ms;
    int64_t passed = recorded_ms(replay, now);
    if (replay->loop && span > 0) {
        /* The last row stays in force as long as the one before it did. */
        int64_t tail = s->count > 1 ? last->at.ms - s->rows[s->count - 2].at.ms : 0;
        passed %= span + (tail > 0 ? tail : 1);
    }
    int64_t position = s->rows[0].at.ms + passed;
    size_t low = 0;
    size_t high = s->count;
    while (high - low > 1) { /* last row at or before the position; rows are in time order */
        size_t middle = low + (high - low) / 2;
        if (s->rows[middle].at.ms <= position) {
            low = middle;
        } else {
            high = middle;
        }
    }
    *ret_point = (struct sl_replay_point){
        .value_nano = s->rows[low].value_nano,
        .recorded = s->rows[low].at,
        .age_ms = real_ms(replay, position - s->rows[low].at.ms),
        .next_ms = low + 1 < s->count ? real_ms(replay, s->rows[low + 1].at.ms - position)
                   : replay->loop     ? real_ms(replay, 1)
                                      : -1,
    };
    if (ret_point->age_ms < 0) {
        ret_point->age_ms = 0;
    }
}
