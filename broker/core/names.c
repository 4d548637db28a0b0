/* SPDX-License-Identifier: Apache-2.0
 * Texts that many devices share (kinds of devices, models), each kept once. A device costs a
 * pointer to them, and two are equal when their pointers are. */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "broker/core/core_internal.h"

#define BUCKETS 256 /* a site has a few dozen; more only makes chains longer */

struct name {
    struct name *next;
    uint32_t users;
    char text[];
};

struct sl_core_names {
    struct name *buckets[BUCKETS];
};

uint64_t sl_core_hash(const char *text) {
    uint64_t hash = UINT64_C(14695981039346656037); /* FNV-1a */
    for (; *text; text++) {
        hash = (hash ^ (uint8_t)*text) * UINT64_C(1099511628211);
    }
    return hash ^ hash >> 32;
}

static struct name **find(struct sl_broker_core *core, const char *text) {
    struct name **at = &core->names->buckets[sl_core_hash(text) % BUCKETS];
    while (*at && strcmp((*at)->text, text) != 0) {
        at = &(*at)->next;
    }
    return at;
}

void sl_core_names_create(struct sl_broker_core *core) {
    core->names = sl_core_calloc(1, sizeof *core->names);
}

void sl_core_names_destroy(struct sl_broker_core *core) {
    for (size_t i = 0; core->names && i < BUCKETS; i++) {
        while (core->names->buckets[i]) {
            struct name *next = core->names->buckets[i]->next;
            free(core->names->buckets[i]);
            core->names->buckets[i] = next;
        }
    }
    free(core->names);
    core->names = NULL;
}

const char *sl_core_name_take(struct sl_broker_core *core, const char *text) {
    struct name **at = find(core, text);
    if (!*at) {
        size_t size = strlen(text) + 1;
        struct name *name = sl_core_calloc(1, sizeof *name + size);
        memcpy(name->text, text, size);
        *at = name;
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
        free(gone);
    }
}
