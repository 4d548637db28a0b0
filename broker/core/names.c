/* SPDX-License-Identifier: Apache-2.0
 * Texts that many devices share (kinds of devices, models), each kept once. A device costs a
 * pointer to them, and two are equal when their pointers are. */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "broker/core/core_internal.h"

#define BUCKETS_MIN 256

struct name {
    struct name *next;
    uint32_t users;
    char text[];
};

struct sl_core_names {
    struct name **buckets; /* [cap], a power of two, and never fewer than there are names */
    uint32_t cap, count;
};

uint64_t sl_core_hash(const char *text) {
    uint64_t hash = UINT64_C(14695981039346656037); /* FNV-1a */
    for (; *text; text++) {
        hash = (hash ^ (uint8_t)*text) * UINT64_C(1099511628211);
    }
    return hash ^ hash >> 32;
}

static struct name **find(struct sl_broker_core *core, const char *text) {
    struct name **at = &core->names->buckets[sl_core_hash(text) & (core->names->cap - 1)];
    while (*at && strcmp((*at)->text, text) != 0) {
        at = &(*at)->next;
    }
    return at;
}

void sl_core_names_create(struct sl_broker_core *core) {
    core->names = sl_core_calloc(1, sizeof *core->names);
    core->names->cap = BUCKETS_MIN;
    core->names->buckets = sl_core_calloc(BUCKETS_MIN, sizeof(struct name *));
}

void sl_core_names_destroy(struct sl_broker_core *core) {
    for (size_t i = 0; core->names && i < core->names->cap; i++) {
        while (core->names->buckets[i]) {
            struct name *next = core->names->buckets[i]->next;
            free(core->names->buckets[i]);
            core->names->buckets[i] = next;
        }
    }
    if (core->names) {
        free(core->names->buckets);
    }
    free(core->names);
    core->names = NULL;
}

/* A site has a few dozen kinds, but reasons may differ from device to device. */
static void make_room(struct sl_core_names *names) {
    if (names->count < names->cap || names->cap > UINT32_MAX / 2) {
        return;
    }
    uint32_t cap = names->cap * 2;
    struct name **buckets = sl_core_calloc(cap, sizeof(struct name *));
    for (uint32_t i = 0; i < names->cap; i++) {
        while (names->buckets[i]) {
            struct name *name = names->buckets[i];
            struct name **at = &buckets[sl_core_hash(name->text) & (cap - 1)];
            names->buckets[i] = name->next;
            name->next = *at;
            *at = name;
        }
    }
    free(names->buckets);
    names->buckets = buckets;
    names->cap = cap;
}

const char *sl_core_name_find(const struct sl_broker_core *core, const char *text) {
    const struct name *at = core->names->buckets[sl_core_hash(text) & (core->names->cap - 1)];
    while (at && strcmp(at->text, text) != 0) {
        at = at->next;
    }
    return at ? at->text : NULL;
}

const char *sl_core_name_take(struct sl_broker_core *core, const char *text) {
    struct name **at = find(core, text);
    if (!*at) {
        make_room(core->names);
        at = find(core, text);
        size_t size = strlen(text) + 1;
        struct name *name = sl_core_calloc(1, offsetof(struct name, text) + size);
        memcpy(name->text, text, size);
        *at = name;
        core->names->count++;
    }
    (*at)->users++;
    return (*at)->text;
}

void sl_core_name_drop(struct sl_broker_core *core, const char *name) {
    if (!name) {
        return;
    }
    struct name **at = find(core, name);
    sl_assert(*at && (*at)->text == name && (*at)->users > 0);
    struct name *gone = *at;
    if (--gone->users == 0) {
        *at = gone->next;
        core->names->count--;
        free(gone);
    }
}
