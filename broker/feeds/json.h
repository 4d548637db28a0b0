/* SPDX-License-Identifier: Apache-2.0
 * The value in a JSON answer, and its time.
 *
 * A path is steps between dots: a key, an index of an array, `*` (every element of an array or
 * object), `name[key=value]` (those elements of `name` whose `key` is this value) and `[key=value]`
 * at the beginning for an answer that is an array. Keys that hold a dot, `*` or `[` cannot be
 * named. With `*` or `[` there are rows: the elements that the last of them chose. divide_by,
 * time_path, valid_from, valid_to and skip_if are plain paths from the row, without rows from the
 * whole answer. A row without a value (or null) is a gap and left out; what is there and is no
 * number is an error.
 *
 * Numbers may stand in strings if the whole string is one. Doubled keys are refused. At most 10,000
 * rows. Thread: any; pure, `now` is an argument. */
#ifndef SLUICE_BROKER_FEEDS_JSON_H
#define SLUICE_BROKER_FEEDS_JSON_H

#include <stdbool.h>
#include <stddef.h>

#include "broker/feeds/number.h"
#include "proto/base/clock.h"

#define SL_FEED_ROWS_MAX 10000

/* Borrowed texts; NULL or empty: not wanted. */
struct sl_feed_select {
    const char *value_path;
    int pick;               /* enum sl_feed_pick */
    const char *divide_by;  /* the value is of so many: "num_gpus" */
    const char *time_path;  /* RFC 3339, Unix seconds or milliseconds */
    const char *valid_from; /* a row counts from then on ... */
    const char *valid_to;   /* ... until before then; missing or null: open */
    const char *skip_if;    /* a row where this is true is left out */
};

struct sl_feed_found {
    struct sl_feed_number value;
    bool has_time;
    struct sl_wall as_of; /* what time_path said */
};

int sl_feed_json_find(const char *text, size_t size, const struct sl_feed_select *select,
                      struct sl_wall now, struct sl_feed_found *ret_found, struct sl_error *err);

/* Is this a path at all? */
int sl_feed_path_check(const char *path, struct sl_error *err);

#endif
