/* SPDX-License-Identifier: Apache-2.0
 * A map of what a journal must hold, to compare with what it holds. */
#ifndef SLUICE_TESTS_JOURNAL_HELPERS_H
#define SLUICE_TESTS_JOURNAL_HELPERS_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/journal/journal.h"

#define MAP_KEYS 64

/* Key n of space RESULT holds `value` bytes of the value (n + generation); absent: generation 0. */
struct map {
    int generation[MAP_KEYS];
    size_t size[MAP_KEYS];
};

static void map_fill(uint8_t *out, int key, int generation, size_t size) {
    for (size_t i = 0; i < size; i++) {
        out[i] = (uint8_t)(key * 7 + generation * 13 + (int)i + 1);
    }
}

static int map_visit(void *context, enum sl_journal_space space, const void *key, size_t key_size,
                     const void *value, size_t value_size, struct sl_error *err) {
    struct map *map = context;
    char text[8] = {0};
    if (space != SL_JOURNAL_RESULT || key_size >= sizeof text) {
        return sl_fail(err, SL_CORRUPT, "not a key of this test");
    }
    memcpy(text, key, key_size);
    int n = atoi(text + 1);
    if (text[0] != 'k' || n < 0 || n >= MAP_KEYS || value_size < 2 || map->generation[n]) {
        return sl_fail(err, SL_CORRUPT, "not a key of this test");
    }
    const uint8_t *bytes = value;
    int generation = bytes[0] | bytes[1] << 8;
    uint8_t *want = malloc(value_size);
    map_fill(want, n, generation, value_size - 2);
    int rc = memcmp(want, bytes + 2, value_size - 2)
                 ? sl_fail(err, SL_CORRUPT, "the value of %s is another one", text)
                 : SL_OK;
    free(want);
    map->generation[n] = generation;
    map->size[n] = value_size - 2;
    return rc;
}

/* Queues a put (generation > 0) or a delete and notes it in the map. */
static int map_queue(struct sl_journal *journal, struct map *map, int n, int generation,
                     size_t size, uint64_t ticket, bool urgent) {
    char key[8];
    snprintf(key, sizeof key, "k%d", n);
    uint8_t *value = malloc(size + 2);
    value[0] = (uint8_t)generation;
    value[1] = (uint8_t)(generation >> 8);
    map_fill(value + 2, n, generation, size);
    struct sl_journal_change change = {
        .space = SL_JOURNAL_RESULT,
        .key = key,
        .key_size = strlen(key),
        .value = generation ? value : NULL,
        .value_size = generation ? size + 2 : 0,
        .ticket = ticket,
        .urgent = urgent,
    };
    int rc = sl_journal_queue(journal, &change, NULL);
    free(value);
    if (rc == SL_OK && map) {
        map->generation[n] = generation;
        map->size[n] = generation ? size : 0;
    }
    return rc;
}

#endif
