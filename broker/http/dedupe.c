/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "broker/http/internal.h"

static bool is_live(const struct sl_dedupe *entry, struct sl_mono now) {
    return entry->batch[0] != '\0' && now.ns <= entry->until.ns;
}

enum sl_dedupe_state sl_dedupe_begin(struct sl_http *http, const uint8_t hash[32], bool retried,
                                     char *batch_id) {
    struct sl_mono now = sl_clock_mono();
    enum sl_dedupe_state state = SL_DEDUPE_NEW;
    pthread_mutex_lock(&http->lock);
    struct sl_dedupe *oldest = &http->dedupe[0];
    for (uint32_t i = 0; i < SL_HTTP_DEDUPE_MAX && state == SL_DEDUPE_NEW; i++) {
        struct sl_dedupe *entry = &http->dedupe[i];
        if (retried && is_live(entry, now) && memcmp(entry->hash, hash, 32) == 0) {
            state = entry->done ? SL_DEDUPE_DONE : SL_DEDUPE_RUNNING;
            sl_text_copy(batch_id, SL_ID_MAX, entry->batch);
        } else if (!is_live(entry, now) ||
                   (is_live(oldest, now) && entry->until.ns < oldest->until.ns)) {
            oldest = entry;
        }
    }
    if (state == SL_DEDUPE_NEW) {
        *oldest = (struct sl_dedupe){.until = sl_mono_after_ms(now, SL_HTTP_DEDUPE_MS)};
        memcpy(oldest->hash, hash, 32);
        sl_text_copy(oldest->batch, sizeof oldest->batch, batch_id);
    }
    pthread_mutex_unlock(&http->lock);
    return state;
}

void sl_dedupe_end(struct sl_http *http, const char *batch_id, bool created) {
    pthread_mutex_lock(&http->lock);
    for (uint32_t i = 0; i < SL_HTTP_DEDUPE_MAX; i++) {
        struct sl_dedupe *entry = &http->dedupe[i];
        if (strcmp(entry->batch, batch_id) == 0) {
            entry->done = true;
            if (!created) {
                *entry = (struct sl_dedupe){0};
            }
        }
    }
    pthread_mutex_unlock(&http->lock);
}
