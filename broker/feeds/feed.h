/* SPDX-License-Identifier: Apache-2.0
 * Price feeds: a recorded CSV (replayed, followed when it changes) or a source that is asked by
 * HTTP (source.h). Each feed has its own thread, so that a slow source delays nobody, and reports
 * every change and every failure to a mailbox that the loop reads. A feed knows its unit; the value
 * reported is in the role's own unit and the source's currency (design 5: never a bare number).
 *
 * Thread: create and destroy from the loop's. */
#ifndef SLUICE_BROKER_FEEDS_FEED_H
#define SLUICE_BROKER_FEEDS_FEED_H

#include "broker/feeds/config.h"
#include "proto/base/cleanup.h"
#include "proto/base/mailbox.h"

struct sl_feed_event {
    uint32_t feed; /* index given at creation */
    bool ok;
    bool unreachable; /* not ok, but nothing was said: the last price may go on until its age limit
                       */
    int64_t value_nano; /* in the role's unit and the unit's currency, x 1e9 */
    struct sl_wall as_of;
    int64_t read_ns; /* CLOCK_BOOTTIME when the bytes were read */
    char text[SL_WHY_MAX];
};

struct sl_feed;
int sl_feed_start(uint32_t index, const struct sl_feed_config *config, struct sl_mailbox *events,
                  struct sl_feed **ret_feed, struct sl_error *err);
/* Reads the files that the feed would (its CSV, its key, its authorities) without asking anybody.
 * Fails with what such a feed would say, since none of this keeps one from being started; the text
 * names feed and file. config was checked. */
int sl_feed_check_files(const struct sl_feed_config *config, struct sl_error *err);
/* Stops and joins; a running HTTP request is aborted. */
void sl_feed_stop(struct sl_feed *feed);

#endif
