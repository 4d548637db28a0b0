/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/link/unread.h"

#include <stdlib.h>

#define BUCKETS 1024u /* a power of two */
#define SMALL_BYTES ((size_t)64 * 1024)

struct node {
    struct node *next, *before;
    zmq_msg_t message;
};

/* A connection with messages here. */
struct lane {
    struct lane *chain; /* of its bucket */
    struct lane *next;  /* in the order of their turns; the last one's is the first */
    struct node *first, *last;
    struct node *newest; /* the one that came with newest_only; NULL: none waits */
    uint32_t routing_id;
    uint32_t count;
    size_t bytes;
};

struct sl_unread {
    struct sl_unread_limits limits;
    size_t bytes;
    uint64_t dropped;
    struct lane *last; /* whose turn was last; last->next is next. NULL: nothing waits */
    struct lane *buckets[BUCKETS];
};

int sl_unread_create(const struct sl_unread_limits *limits, struct sl_unread **ret_unread,
                     struct sl_error *err) {
    struct sl_unread *unread = calloc(1, sizeof *unread);
    if (!unread) {
        return sl_fail(err, SL_NOMEM, "no memory for unread messages");
    }
    unread->limits = *limits;
    *ret_unread = unread;
    return SL_OK;
}

void sl_unread_destroy(struct sl_unread *unread) {
    if (!unread) {
        return;
    }
    zmq_msg_t message;
    uint32_t id = 0;
    zmq_msg_init(&message);
    while (sl_unread_take(unread, &id, &message)) {}
    zmq_msg_close(&message);
    free(unread);
}

static struct lane **find(struct sl_unread *unread, uint32_t routing_id) {
    struct lane **at = &unread->buckets[(routing_id * UINT32_C(2654435761)) >> 16 & (BUCKETS - 1)];
    while (*at && (*at)->routing_id != routing_id) {
        at = &(*at)->chain;
    }
    return at;
}

/* Its turn comes after all that wait already. */
static struct lane *open_lane(struct sl_unread *unread, struct lane **at, uint32_t routing_id) {
    struct lane *lane = calloc(1, sizeof *lane);
    if (lane) {
        lane->routing_id = routing_id;
        lane->next = unread->last ? unread->last->next : lane;
        if (unread->last) {
            unread->last->next = lane;
        }
        unread->last = lane;
        *at = lane;
    }
    return lane;
}

/* However much others have: each connection is heard with one message of the usual size. old: bytes
 * of the one that it replaces. */
static bool has_room(const struct sl_unread *unread, const struct lane *lane, size_t size,
                     size_t old) {
    const struct sl_unread_limits *limits = &unread->limits;
    bool fits = unread->bytes - old + size <= limits->in_total;
    if (!lane || lane->bytes == old) {
        return fits || size <= SMALL_BYTES;
    }
    return fits && lane->count < limits->count && lane->bytes - old + size <= limits->bytes;
}

static void append(struct sl_unread *unread, struct lane *lane, struct node *node) {
    size_t size = zmq_msg_size(&node->message);
    node->next = NULL;
    node->before = lane->last;
    *(lane->last ? &lane->last->next : &lane->first) = node;
    lane->last = node;
    lane->count++;
    lane->bytes += size;
    unread->bytes += size;
}

/* Out of the lane, with its message. */
static void take_out(struct sl_unread *unread, struct lane *lane, struct node *node) {
    size_t size = zmq_msg_size(&node->message);
    *(node->before ? &node->before->next : &lane->first) = node->next;
    *(node->next ? &node->next->before : &lane->last) = node->before;
    lane->newest = lane->newest == node ? NULL : lane->newest;
    lane->count--;
    lane->bytes -= size;
    unread->bytes -= size;
}

static void node_free(struct node *node) {
    zmq_msg_close(&node->message);
    free(node);
}

bool sl_unread_put(struct sl_unread *unread, uint32_t routing_id, bool newest_only,
                   zmq_msg_t *message) {
    struct lane **at = find(unread, routing_id);
    struct node *old = newest_only && *at ? (*at)->newest : NULL;
    size_t old_size = old ? zmq_msg_size(&old->message) : 0;
    bool room = has_room(unread, *at, zmq_msg_size(message), old_size);
    struct node *node = room ? malloc(sizeof *node) : NULL;
    struct lane *lane = !node ? NULL : *at ? *at : open_lane(unread, at, routing_id);
    if (!lane) {
        free(node);
        zmq_msg_close(message);
        zmq_msg_init(message);
        unread->dropped++;
        return false;
    }
    zmq_msg_init(&node->message);
    zmq_msg_move(&node->message, message);
    append(unread, lane, node);
    if (old) {
        take_out(unread, lane, old);
        node_free(old);
    }
    lane->newest = newest_only ? node : lane->newest;
    return true;
}

static void close_lane(struct sl_unread *unread, struct lane *before, struct lane *lane) {
    struct lane **at = find(unread, lane->routing_id);
    *at = lane->chain;
    before->next = lane->next;
    unread->last = lane == before ? NULL : before;
    free(lane);
}

bool sl_unread_take(struct sl_unread *unread, uint32_t *ret_routing_id, zmq_msg_t *message) {
    struct lane *before = unread->last;
    if (!before) {
        return false;
    }
    struct lane *lane = before->next;
    struct node *node = lane->first;
    *ret_routing_id = lane->routing_id;
    take_out(unread, lane, node);
    zmq_msg_move(message, &node->message);
    node_free(node);
    if (lane->count == 0) {
        close_lane(unread, before, lane);
    } else {
        unread->last = lane;
    }
    return true;
}

uint64_t sl_unread_dropped(const struct sl_unread *unread) {
    return unread->dropped;
}
