/* SPDX-License-Identifier: Apache-2.0
 * Price feeds: a recorded CSV (replayed, followed when it changes) or one number in an HTTP JSON
 * answer. Each feed has its own thread, so that a slow source delays nobody, and reports every
 * change and every failure to a mailbox that the loop reads. A feed knows its unit; the value
 * reported is in the role's own unit (design 5: never a bare number).
 *
 * Thread: create and destroy from the loop's. */
#ifndef SLUICE_BROKER_FEEDS_FEED_H
#define SLUICE_BROKER_FEEDS_FEED_H

#include "broker/core/core.h"
#include "proto/base/cleanup.h"
#include "proto/base/mailbox.h"

enum sl_feed_kind { SL_FEED_CSV = 0, SL_FEED_HTTP = 1 }; /* order of the config's choices */

/* Order of the config's choices; each is turned into its role's unit. */
enum sl_feed_unit {
    SL_UNIT_USD_PER_PH_DAY = 0,
    SL_UNIT_USD_PER_TH_DAY,
    SL_UNIT_USD_PER_KWH,
    SL_UNIT_USD_PER_MWH,
    SL_UNIT_USD_PER_GPU_HOUR,
};

struct sl_feed_config {
    char id[32];
    int64_t role; /* enum sl_feed_role - 1, as the config's choice */
    int64_t kind;
    int64_t unit;
    char path[256];
    char time_column[64];
    char value_column[64];
    int64_t speed_milli;
    bool loop;
    char url[256];
    char dot_path[128]; /* "data.0.hashprice": keys and array indices */
    int64_t interval_ms;
    int64_t age_max_ms;
    char record_dir[300]; /* where its values are recorded (record.h); "": nowhere */
};

struct sl_feed_event {
    uint32_t feed; /* index given at creation */
    bool ok;
    bool unreachable; /* not ok, but nothing was said: the last price may go on until its age limit
                       */
    int64_t value_nano;
    struct sl_wall as_of;
    int64_t read_ns; /* CLOCK_BOOTTIME when the bytes were read */
    char text[SL_WHY_MAX];
};

/* SL_OK when unit and role fit and the needed fields are there; text names what is wrong. */
int sl_feed_check(const struct sl_feed_config *config, struct sl_error *err);

/* value in `unit` x 1e9 -> role's unit x 1e9; -SL_LIMIT when it does not fit. */
int sl_feed_convert(enum sl_feed_unit unit, int64_t value_nano, int64_t *ret_value_nano,
                    struct sl_error *err);

/* Finds the number at dot_path in a JSON text. */
int sl_feed_json_value(const char *text, size_t size, const char *dot_path, int64_t *ret_value_nano,
                       struct sl_error *err);

struct sl_feed;
int sl_feed_start(uint32_t index, const struct sl_feed_config *config, struct sl_mailbox *events,
                  struct sl_feed **ret_feed, struct sl_error *err);
/* Stops and joins; a running HTTP request is aborted. */
void sl_feed_stop(struct sl_feed *feed);

#endif
