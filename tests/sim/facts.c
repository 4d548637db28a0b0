/* SPDX-License-Identifier: Apache-2.0
 * Open addressing, linear probing, a load of at most a half. Key 0 marks a free slot. */
#include "tests/sim/facts.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/error.h"

struct slot {
    uint64_t key, value;
};

struct sim_facts {
    struct slot *slots; /* [cap], cap a power of two */
    size_t count, cap;
};

static struct slot *make_slots(size_t cap) {
    struct slot *slots = calloc(cap, sizeof *slots);
    sl_assert(slots);
    return slots;
}

struct sim_facts *sim_facts_create(void) {
    struct sim_facts *facts = calloc(1, sizeof *facts);
    sl_assert(facts);
    facts->cap = 1024;
    facts->slots = make_slots(facts->cap);
    return facts;
}

void sim_facts_destroy(struct sim_facts *facts) {
    if (facts) {
        free(facts->slots);
        free(facts);
    }
}

void sim_facts_clear(struct sim_facts *facts) {
    memset(facts->slots, 0, facts->cap * sizeof *facts->slots);
    facts->count = 0;
}

static struct slot *find(const struct sim_facts *facts, uint64_t key) {
    size_t at = (size_t)(key * UINT64_C(0x9E3779B97F4A7C15)) & (facts->cap - 1);
    while (facts->slots[at].key != 0 && facts->slots[at].key != key) {
        at = (at + 1) & (facts->cap - 1);
    }
    return &facts->slots[at];
}

static void grow(struct sim_facts *facts) {
    struct sim_facts old = *facts;
    facts->cap *= 2;
    facts->slots = make_slots(facts->cap);
    for (size_t i = 0; i < old.cap; i++) {
        if (old.slots[i].key != 0) {
            *find(facts, old.slots[i].key) = old.slots[i];
        }
    }
    free(old.slots);
}

bool sim_facts_put(struct sim_facts *facts, uint64_t key, uint64_t value) {
    key = key ? key : 1;
    struct slot *slot = find(facts, key);
    if (slot->key != 0) {
        return slot->value == value;
    }
    *slot = (struct slot){key, value};
    if (++facts->count * 2 > facts->cap) {
        grow(facts);
    }
    return true;
}

bool sim_facts_get(const struct sim_facts *facts, uint64_t key, uint64_t *ret_value) {
    const struct slot *slot = find(facts, key ? key : 1);
    if (slot->key == 0) {
        return false;
    }
    if (ret_value) {
        *ret_value = slot->value;
    }
    return true;
}

size_t sim_facts_count(const struct sim_facts *facts) {
    return facts->count;
}

bool sim_facts_at(const struct sim_facts *facts, size_t *index, uint64_t *ret_key,
                  uint64_t *ret_value) {
    while (*index < facts->cap && facts->slots[*index].key == 0) {
        ++*index;
    }
    if (*index == facts->cap) {
        return false;
    }
    *ret_key = facts->slots[*index].key;
    *ret_value = facts->slots[*index].value;
    ++*index;
    return true;
}

uint64_t sim_fold_bytes(uint64_t so_far, const void *data, size_t size) {
    const uint8_t *bytes = data;
    uint64_t h = so_far ^ UINT64_C(0xCBF29CE484222325);
    while (size >= 8) {
        uint64_t word;
        memcpy(&word, bytes, 8);
        h = (h ^ word) * UINT64_C(0x9FB21C651E98DF25);
        h ^= h >> 29;
        bytes += 8;
        size -= 8;
    }
    for (size_t i = 0; i < size; i++) {
        h = (h ^ bytes[i]) * UINT64_C(0x100000001B3);
    }
    return h ^ (h >> 32);
}

uint64_t sim_fold_text(uint64_t so_far, const char *text) {
    return sim_fold_bytes(so_far, text, strlen(text) + 1);
}

uint64_t sim_fold(uint64_t so_far, uint64_t value) {
    return sim_fold_bytes(so_far, &value, sizeof value);
}
