/* SPDX-License-Identifier: Apache-2.0
 * What an HTTP feed's answers say now: one number in JSON, the row in force of a CSV text, or a
 * figure derived from several answers. Owns its requests. Thread: one at a time; a look blocks. */
#ifndef SLUICE_BROKER_FEEDS_SOURCE_H
#define SLUICE_BROKER_FEEDS_SOURCE_H

#include "broker/feeds/config.h"
#include "broker/feeds/http.h"

struct sl_feed_value {
    int64_t nano;         /* in the role's unit, x 1e9 */
    bool has_time;        /* the source said from when it is; else it is from now */
    struct sl_wall as_of; /* of several: the oldest */
};

struct sl_feed_source;

/* config was checked and is borrowed. */
int sl_feed_source_create(const struct sl_feed_config *config, const _Atomic bool *stopping,
                          struct sl_feed_source **ret_source, struct sl_error *err);
void sl_feed_source_destroy(struct sl_feed_source *source);
SL_DEFINE_AUTO(sl_feed_source, sl_feed_source_destroy)

/* Status as sl_feed_http_get; -SL_INVALID: what was answered is wrong. */
int sl_feed_source_look(struct sl_feed_source *source, struct sl_feed_value *ret_value,
                        int64_t *ret_retry_ms, struct sl_error *err);

/* The value in one answer, without any request. Pure. */
int sl_feed_source_read(const struct sl_feed_config *config, const char *text, size_t size,
                        struct sl_wall now, struct sl_feed_value *ret_value, struct sl_error *err);

#endif
