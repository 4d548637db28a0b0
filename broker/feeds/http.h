/* SPDX-License-Identifier: Apache-2.0
 * One address that a feed asks again and again: time-outs, a size limit, a key from a file, ETags.
 *
 * Redirects are not followed and nothing is decompressed. An answer has at most 1 MiB. What the
 * server says is unchanged (304) is answered from the last answer, so that times and windows in it
 * count anew. A key is read from its file for every request (it may be replaced at any time), is
 * sent to this address only and gets into no text. Thread: one at a time; a request blocks. */
#ifndef SLUICE_BROKER_FEEDS_HTTP_H
#define SLUICE_BROKER_FEEDS_HTTP_H

#include <stdatomic.h>
#include <stdbool.h>

#include "broker/feeds/config.h"
#include "proto/base/cleanup.h"

#define SL_FEED_HTTP_BYTES_MAX (1024 * 1024)
#define SL_FEED_BACK_OFF_MAX_MS INT64_C(900000) /* or the interval, where that is longer */

struct sl_feed_http;

/* config is borrowed; resource is put behind its url. A request ends soon after *stopping. */
int sl_feed_http_create(const struct sl_feed_config *config, const char *resource,
                        const _Atomic bool *stopping, struct sl_feed_http **ret_http,
                        struct sl_error *err);
void sl_feed_http_destroy(struct sl_feed_http *http);
SL_DEFINE_AUTO(sl_feed_http, sl_feed_http_destroy)

/* Whether the files of key and authorities can be used; no request is made. The text names the
 * file. -SL_DENIED: the key's; -SL_INVALID, -SL_IO: the authorities'. */
int sl_feed_http_check_files(const struct sl_feed_config *config, struct sl_error *err);

/* The answer's body, which stays the http's until the next call. -SL_IO: nobody answered, or only
 * to say that there is no answer now; -SL_LIMIT: an answer that is too large; -SL_DENIED: the key's
 * file. ret_retry_ms: how long the server wants to be left alone, 0: it said nothing. */
int sl_feed_http_get(struct sl_feed_http *http, const char **ret_text, size_t *ret_size,
                     int64_t *ret_retry_ms, struct sl_error *err);

/* Time to the next request after so many failures one after another: the interval doubles with each
 * beyond the first, up to a limit; never sooner than the server wants. Pure. */
int64_t sl_feed_back_off_ms(int64_t interval_ms, uint32_t failures, int64_t retry_ms);

#endif
