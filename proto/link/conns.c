/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/link/conns.h"

#include <stdlib.h>
#include <string.h>

#define NONE UINT32_MAX

/* Slots form three lists by index: a hash chain, and either the order of use or the free ones. */
struct slot {
    uint64_t conn; /* 0: free */
    uint32_t routing_id;
    uint32_t chain;
    uint32_t newer;
    uint32_t older; /* next free one when free */
    char key[SL_LINK_KEY_MAX];
};

struct sl_conns {
    uint64_t serial;
    size_t capacity;
    size_t bucket_count; /* a power of two */
    uint32_t newest;
    uint32_t oldest;
    uint32_t free_first;
    struct slot *slots;     /* [capacity] */
    uint32_t *bucket_first; /* [bucket_count] */
};

int sl_conns_create(size_t capacity, struct sl_conns **ret_conns, struct sl_error *err) {
    sl_assert(capacity > 0 && capacity < NONE / 4);
    SL_AUTO(sl_conns) c = calloc(1, sizeof *c);
    if (!c) {
        return sl_fail(err, SL_NOMEM, "no memory for the table of connections");
    }
    c->capacity = capacity;
    c->bucket_count = 1;
    while (c->bucket_count < capacity * 2) {
        c->bucket_count *= 2;
    }
    c->slots = calloc(capacity, sizeof *c->slots);
    c->bucket_first = malloc(c->bucket_count * sizeof *c->bucket_first);
    if (!c->slots || !c->bucket_first) {
        return sl_fail(err, SL_NOMEM, "no memory for the table of connections");
    }
    memset(c->bucket_first, 0xFF, c->bucket_count * sizeof *c->bucket_first);
    c->newest = c->oldest = NONE;
    for (uint32_t i = 0; i < capacity; i++) {
        c->slots[i].older = i + 1 < capacity ? i + 1 : NONE;
    }
    *ret_conns = sl_take(&c);
    return SL_OK;
}

void sl_conns_destroy(struct sl_conns *conns) {
    if (!conns) {
        return;
    }
    free(conns->slots);
    free(conns->bucket_first);
    free(conns);
}

static uint32_t *bucket_of(struct sl_conns *c, uint32_t routing_id) {
    return &c->bucket_first[(routing_id * UINT32_C(2654435761)) & (c->bucket_count - 1)];
}

static void unlink_use(struct sl_conns *c, uint32_t i) {
    struct slot *s = &c->slots[i];
    *(s->newer == NONE ? &c->newest : &c->slots[s->newer].older) = s->older;
    *(s->older == NONE ? &c->oldest : &c->slots[s->older].newer) = s->newer;
}

static void link_newest(struct sl_conns *c, uint32_t i) {
    struct slot *s = &c->slots[i];
    s->newer = NONE;
    s->older = c->newest;
    *(c->newest == NONE ? &c->oldest : &c->slots[c->newest].newer) = i;
    c->newest = i;
}

static void release(struct sl_conns *c, uint32_t i) {
    struct slot *s = &c->slots[i];
    uint32_t *at = bucket_of(c, s->routing_id);
    while (*at != i) {
        at = &c->slots[*at].chain;
    }
    *at = s->chain;
    unlink_use(c, i);
    *s = (struct slot){.older = c->free_first};
    c->free_first = i;
}

static uint32_t find_id(struct sl_conns *c, uint32_t routing_id) {
    uint32_t i = *bucket_of(c, routing_id);
    while (i != NONE && c->slots[i].routing_id != routing_id) {
        i = c->slots[i].chain;
    }
    return i;
}

/* Slot and serial in one number: it finds its slot at once, and an old one no longer fits. */
static uint64_t next_number(struct sl_conns *c, uint32_t slot) {
    return ++c->serial * c->capacity + slot;
}

uint64_t sl_conns_seen(struct sl_conns *conns, uint32_t routing_id, const char *key) {
    uint32_t i = find_id(conns, routing_id);
    if (i != NONE) {
        struct slot *s = &conns->slots[i];
        unlink_use(conns, i);
        link_newest(conns, i);
        if (strcmp(s->key, key) != 0) { /* the id went to somebody else */
            memcpy(s->key, key, sizeof s->key);
            s->conn = next_number(conns, i);
        }
        return s->conn;
    }
    if (conns->free_first == NONE) {
        release(conns, conns->oldest);
    }
    i = conns->free_first;
    struct slot *s = &conns->slots[i];
    conns->free_first = s->older;
    uint32_t *first = bucket_of(conns, routing_id);
    s->chain = *first;
    *first = i;
    s->routing_id = routing_id;
    memcpy(s->key, key, sizeof s->key);
    s->conn = next_number(conns, i);
    link_newest(conns, i);
    return s->conn;
}

bool sl_conns_find(const struct sl_conns *conns, uint64_t conn, const char *key,
                   uint32_t *ret_routing_id) {
    const struct slot *s = &conns->slots[conn % conns->capacity];
    if (conn == 0 || s->conn != conn || strcmp(s->key, key) != 0) {
        return false;
    }
    *ret_routing_id = s->routing_id;
    return true;
}

void sl_conns_forget(struct sl_conns *conns, uint64_t conn) {
    uint32_t i = (uint32_t)(conn % conns->capacity);
    if (conn != 0 && conns->slots[i].conn == conn) {
        release(conns, i);
    }
}
