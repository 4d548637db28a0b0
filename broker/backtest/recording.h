/* SPDX-License-Identifier: Apache-2.0
 * Recorded prices from CSV files: one column of one file name, found in one or several folders, a
 * later folder extending the earlier. Unlike the broker's live feeds (broker/feeds/series.h), which
 * take what is appended as news, this refuses rows that do not rise.
 *
 * The first line names the columns; times are RFC 3339 and rise; values are plain decimals. What is
 * not exactly so is refused with file and line: a column that is not there, a row out of order, two
 * values for one time, a text, NaN. An empty field is no value. Between two rows
 * the earlier one holds. Thread: any. */
#ifndef SLUICE_BROKER_BACKTEST_RECORDING_H
#define SLUICE_BROKER_BACKTEST_RECORDING_H

#include <stddef.h>
#include <stdint.h>

#include "proto/base/cleanup.h"
#include "proto/base/clock.h"
#include "proto/base/error.h"

#define SL_RECORDING_FOLDERS_MAX 16
#define SL_RECORDING_BYTES_MAX (256u << 20)
#define SL_RECORDING_ROWS_MAX 4000000

struct sl_recording_source {
    const char *file;   /* relative to each folder */
    const char *time;   /* column of times */
    const char *column; /* of values */
    const char *where;  /* take only rows whose column of this name... NULL or "": all rows */
    const char *is;     /* ...holds this text */
};

struct sl_recording {
    char *name; /* "FILE, column COLUMN", for messages */
    size_t count;
    int64_t *at_ms; /* [count], rising */
    double *value;  /* [count] */
};

int sl_recording_read(const struct sl_recording_source *source, const char *const *folders,
                      size_t folder_count, struct sl_recording **ret_series, struct sl_error *err);
void sl_recording_destroy(struct sl_recording *series);
SL_DEFINE_AUTO(sl_recording, sl_recording_destroy)

/* Refuses a hole longer than gap_max_ms between from and to; 0: 12 h, or 12 times the usual
 * distance of two rows, whichever is longer. */
int sl_recording_check_gaps(const struct sl_recording *series, int64_t gap_max_ms, int64_t from_ms,
                            int64_t to_ms, struct sl_error *err);
/* The value that holds at each of `steps` times from start_ms on; the first row must not be later
 * than the start. */
void sl_recording_hold(const struct sl_recording *series, int64_t start_ms, int64_t step_ms,
                       uint32_t steps, double *ret_values);

#endif
