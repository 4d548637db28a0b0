/* SPDX-License-Identifier: Apache-2.0
 * A site's own history of a price: every new value of a feed as one row of a CSV file, in the form
 * that `sluice backtest` reads (docs/backtest.md).
 *
 * The file is "DIR/ID.csv": a line of names, "timestamp" and the unit, then times that rise. A row
 * whose time is not later than the last one's (the wall clock was set back) is left out, and so is
 * an unchanged value less than an hour after the last row. A last line that a crash left incomplete
 * is cut. Nothing is synced and nothing depends on it: what cannot be written is told once and
 * given up for good. At most 200 MiB. Thread: one at a time; writing may block. */
#ifndef SLUICE_BROKER_FEEDS_RECORD_H
#define SLUICE_BROKER_FEEDS_RECORD_H

#include <stdint.h>

#include "proto/base/cleanup.h"
#include "proto/base/clock.h"
#include "proto/base/error.h"

#define SL_FEED_RECORD_BYTES_MAX (INT64_C(200) << 20)

struct sl_feed_record;
/* unit names the column: "usd_per_ph_day". */
int sl_feed_record_open(const char *dir, const char *id, const char *unit,
                        struct sl_feed_record **ret_record, struct sl_error *err);
/* -SL_IO, -SL_LIMIT: nothing more will be written. SL_OK also for a row that is left out. */
int sl_feed_record_add(struct sl_feed_record *record, struct sl_wall at, int64_t value_nano,
                       struct sl_error *err);
void sl_feed_record_close(struct sl_feed_record *record);
SL_DEFINE_AUTO(sl_feed_record, sl_feed_record_close)

#endif
