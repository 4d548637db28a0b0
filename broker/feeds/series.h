/* SPDX-License-Identifier: Apache-2.0
 * Recorded prices: reading a CSV column into (time, value) pairs and replaying them. No clock, no
 * files beyond the one read; time is an argument.
 *
 * Replay: recorded time runs `speed` times as fast as real time, from the first row on. The row in
 * force is the last at or before the replay's position (the first row when there is none). When
 * rows are appended to the file, they are news: the last of them is in force at once and recorded
 * time stops there ("live"). When the file is replaced, the position is kept and the new content
 * counts; if the new content is the old one with rows added, that is an append. */
#ifndef SLUICE_BROKER_FEEDS_SERIES_H
#define SLUICE_BROKER_FEEDS_SERIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/feeds/number.h"
#include "proto/base/cleanup.h"
#include "proto/base/clock.h"
#include "proto/base/error.h"

#define SL_SERIES_ROWS_MAX 2000000
#define SL_SERIES_BYTES_MAX (64u * 1024 * 1024)

struct sl_series_row {
    struct sl_wall at;
    int64_t value_nano; /* in the unit that the scale gives, x 1e9 */
};

struct sl_series {
    struct sl_series_row *rows; /* [count], in file order */
    size_t count;
};

/* How the text is to be read; borrowed. */
struct sl_series_format {
    const char *time_column;
    const char *value_column;
    const char *filter_column; /* only rows that have filter_value here; NULL or "": all */
    const char *filter_value;
    struct sl_feed_number scale; /* what the column's figures are multiplied by */
    bool negative_ok;
};

/* First line: column names. Rows with an empty value are skipped (gaps are gaps); a value that is
 * not a number, a negative one where that is impossible, or a bad time is an error that names the
 * line. A time has its offset or Z: without one the hour that comes twice when summer time ends
 * would be two hours in one. */
int sl_series_parse(const char *name, const char *text, size_t size,
                    const struct sl_series_format *format, struct sl_series **ret_series,
                    struct sl_error *err);
/* The last row at or before `now`; NULL: all are later. Rows are in time order. */
const struct sl_series_row *sl_series_at(const struct sl_series *series, struct sl_wall now);
void sl_series_destroy(struct sl_series *series);
SL_DEFINE_AUTO(sl_series, sl_series_destroy)

struct sl_replay {
    struct sl_series *series; /* owned */
    int64_t speed_milli;      /* recorded ms per 1000 real ms; 1000: real time */
    bool loop;                /* begin again after the last row, else it stays in force */
    bool live;                /* rows were appended: the last one is in force */
    struct sl_mono started;
    struct sl_mono live_since;
};

struct sl_replay_point {
    int64_t value_nano;
    struct sl_wall recorded; /* the row's own time */
    int64_t age_ms;          /* real time since it came into force */
    int64_t next_ms;         /* real time until the next row; < 0: none will come by itself */
};

/* Takes the series over. A file whose last row is at most age_max_ms old is no recording but
 * somebody's live feed: its last row is in force (a restart must not bring back the price of its
 * first row). */
void sl_replay_init(struct sl_replay *replay, struct sl_series *series, int64_t speed_milli,
                    bool loop, int64_t age_max_ms, struct sl_now now);
/* The file was read again: takes the new series over. */
void sl_replay_update(struct sl_replay *replay, struct sl_series *series, struct sl_mono now);
void sl_replay_at(const struct sl_replay *replay, struct sl_mono now,
                  struct sl_replay_point *ret_point);
void sl_replay_fini(struct sl_replay *replay);

#endif
