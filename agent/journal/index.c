/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/journal/journal_internal.h"

#include <stdlib.h>
#include <string.h>

#define INDEX_BUCKETS_FIRST 256

/* FNV-1a: keys are ids and names of our own making, so nobody can aim at one bucket. */
static uint64_t key_hash(unsigned space, const uint8_t *key, size_t size) {
    uint64_t h = UINT64_C(0xCBF29CE484222325) ^ space;
    for (size_t i = 0; i < size; i++) {
        h = (h ^ key[i]) * UINT64_C(0x100000001B3);
    }
    return h ^ (h >> 29);
}

int journal_index_init(struct journal_index *index, struct sl_error *err) {
    memset(index, 0, sizeof *index);
    index->buckets = calloc(INDEX_BUCKETS_FIRST, sizeof(struct journal_entry *));
    if (!index->buckets) {
        return sl_fail(err, SL_NOMEM, "no memory for the journal's index");
    }
    index->bucket_count = INDEX_BUCKETS_FIRST;
    return SL_OK;
}

void journal_index_fini(struct journal_index *index) {
    for (size_t i = 0; i < index->bucket_count; i++) {
        struct journal_entry *entry = index->buckets[i];
        while (entry) {
            struct journal_entry *next = entry->next;
            free(entry);
            entry = next;
        }
    }
    free(index->buckets);
    memset(index, 0, sizeof *index);
}

static void grow(struct journal_index *index) {
    size_t count = index->bucket_count * 2;
    struct journal_entry **buckets = calloc(count, sizeof(struct journal_entry *));
    if (!buckets) {
        return; /* longer chains, still right */
    }
    for (size_t i = 0; i < index->bucket_count; i++) {
        struct journal_entry *entry = index->buckets[i];
        while (entry) {
            struct journal_entry *next = entry->next;
            size_t at = key_hash(entry->space, entry->key, entry->key_size) & (count - 1);
            entry->next = buckets[at];
            buckets[at] = entry;
            entry = next;
        }
    }
    free(index->buckets);
    index->buckets = buckets;
    index->bucket_count = count;
}

int journal_index_apply(struct journal_index *index, const struct journal_record *record,
                        int64_t offset, struct sl_error *err) {
    size_t at = key_hash(record->space, record->key, record->key_size) & (index->bucket_count - 1);
    struct journal_entry **link = &index->buckets[at];
    while (*link && ((*link)->space != record->space || (*link)->key_size != record->key_size ||
                     memcmp((*link)->key, record->key, record->key_size) != 0)) {
        link = &(*link)->next;
    }
    struct journal_entry *entry = *link;
    if (record->op == JOURNAL_DELETE) {
        if (entry) {
            *link = entry->next;
            index->count--;
            index->bytes -= entry->bytes;
            free(entry);
        }
        return SL_OK;
    }
    if (!entry) {
        entry = calloc(1, sizeof *entry + record->key_size);
        if (!entry) {
            return sl_fail(err, SL_NOMEM, "no memory for the journal's index");
        }
        entry->space = (uint8_t)record->space;
        entry->key_size = (uint16_t)record->key_size;
        memcpy(entry->key, record->key, record->key_size);
        *link = entry;
        index->count++;
    }
    index->bytes -= entry->bytes;
    entry->offset = offset;
    entry->bytes = (uint32_t)(JOURNAL_RECORD_HEAD + record->key_size + record->value_size);
    index->bytes += entry->bytes;
    if (index->count > index->bucket_count * 2) {
        grow(index);
    }
    return SL_OK;
}

static int by_offset(const void *a, const void *b) {
    const struct journal_entry *left = *(struct journal_entry *const *)a;
    const struct journal_entry *right = *(struct journal_entry *const *)b;
    return (left->offset > right->offset) - (left->offset < right->offset);
}

struct journal_entry **journal_index_sorted(const struct journal_index *index) {
    struct journal_entry **all = calloc(index->count + 1, sizeof *all);
    if (!all) {
        return NULL;
    }
    size_t n = 0;
    for (size_t i = 0; i < index->bucket_count; i++) {
        for (struct journal_entry *entry = index->buckets[i]; entry; entry = entry->next) {
            all[n++] = entry;
        }
    }
    qsort(all, n, sizeof *all, by_offset);
    return all;
}
