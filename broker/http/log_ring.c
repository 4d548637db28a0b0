/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/http/log_ring.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct line {
    char *text; /* NULL: there was no memory for it */
    enum sl_log_level level;
};

struct sl_log_ring {
    pthread_mutex_t lock;
    uint32_t cap;
    uint64_t count; /* lines ever; line `seq` stands at (seq - 1) % cap */
    struct line lines[];
};

int sl_log_ring_create(uint32_t lines, struct sl_log_ring **ret_ring, struct sl_error *err) {
    struct sl_log_ring *ring = calloc(1, sizeof *ring + lines * sizeof ring->lines[0]);
    if (!ring || lines == 0) {
        free(ring);
        return sl_fail(err, SL_NOMEM, "no memory for the log's newest lines");
    }
    ring->cap = lines;
    pthread_mutex_init(&ring->lock, NULL);
    *ret_ring = ring;
    return SL_OK;
}

void sl_log_ring_destroy(struct sl_log_ring *ring) {
    if (!ring) {
        return;
    }
    for (uint32_t i = 0; i < ring->cap; i++) {
        free(ring->lines[i].text);
    }
    pthread_mutex_destroy(&ring->lock);
    free(ring);
}

void sl_log_ring_add(void *arg, enum sl_log_level level, const char *text) {
    struct sl_log_ring *ring = arg;
    char *copy = strdup(text);
    pthread_mutex_lock(&ring->lock);
    struct line *line = &ring->lines[ring->count++ % ring->cap];
    char *old = line->text;
    *line = (struct line){copy, level};
    pthread_mutex_unlock(&ring->lock);
    free(old);
}

static bool is_wanted(const struct sl_log_ring *ring, uint64_t seq, enum sl_log_level level) {
    const struct line *line = &ring->lines[(seq - 1) % ring->cap];
    return line->text && line->level <= level;
}

/* The first of the last `limit` wanted lines from `first` on. */
static uint64_t skip_to_newest(const struct sl_log_ring *ring, uint64_t first,
                               enum sl_log_level level, uint32_t limit) {
    uint64_t seq = ring->count + 1;
    for (uint32_t found = 0; seq > first && found < limit; seq--) {
        found += is_wanted(ring, seq - 1, level);
    }
    return seq;
}

uint64_t sl_log_ring_read(struct sl_log_ring *ring, uint64_t after, enum sl_log_level level,
                          uint32_t limit, bool newest,
                          void (*cb)(void *arg, const struct sl_log_ring_line *line), void *arg) {
    pthread_mutex_lock(&ring->lock);
    uint64_t first = ring->count > ring->cap ? ring->count - ring->cap + 1 : 1;
    first = after >= first ? after + 1 : first;
    if (newest) {
        first = skip_to_newest(ring, first, level, limit);
    }
    uint64_t seq = first;
    for (uint32_t found = 0; seq <= ring->count && found < limit; seq++) {
        if (is_wanted(ring, seq, level)) {
            const struct line *line = &ring->lines[(seq - 1) % ring->cap];
            cb(arg, &(struct sl_log_ring_line){seq, line->level, line->text});
            found++;
        }
    }
    uint64_t last = seq - 1 < ring->count ? seq - 1 : ring->count;
    pthread_mutex_unlock(&ring->lock);
    return last;
}
