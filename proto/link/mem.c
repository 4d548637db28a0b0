/* SPDX-License-Identifier: Apache-2.0
 * In memory: one server, many clients, bounded queues, in one thread. Behaves as ZeroMQ does where
 * a caller can tell: nothing queues for a peer that is away, a client that comes back is a new
 * connection, and order holds within a connection. */
#include "proto/link/link.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/text.h"

struct packet {
    struct packet *next;
    struct mem_client *from; /* towards the server; NULL once that client is gone */
    struct sl_link_peer peer;
    size_t size;
    uint8_t data[];
};

struct queue {
    struct packet *first;
    struct packet **end;
};

struct mem_server {
    struct sl_link link; /* first */
    struct sl_mem_hub *hub;
    struct packet *current; /* what recv returned last */
};

struct mem_client {
    struct sl_link link; /* first */
    struct sl_mem_hub *hub;
    struct mem_client *next;
    struct packet *current;
    struct sl_link_peer self; /* conn: of the present connection */
    bool cut;
    struct queue inbox; /* from the server */
    size_t inbox_count;
    size_t outbox_count; /* its packets in the hub's inbox */
};

struct sl_mem_hub {
    size_t depth;
    uint64_t conn_last;
    struct mem_server *server;
    struct mem_client *clients;
    struct queue inbox; /* of the server, in order of arrival */
};

static void queue_init(struct queue *q) {
    q->first = NULL;
    q->end = &q->first;
}

static void queue_put(struct queue *q, struct packet *p) {
    p->next = NULL;
    *q->end = p;
    q->end = &p->next;
}

static struct packet *queue_take(struct queue *q) {
    struct packet *p = q->first;
    if (p) {
        q->first = p->next;
        if (!q->first) {
            q->end = &q->first;
        }
    }
    return p;
}

static void queue_clear(struct queue *q) {
    struct packet *p;
    while ((p = queue_take(q))) {
        free(p);
    }
}

static int packet_make(const uint8_t *data, size_t size, struct packet **ret_packet,
                       struct sl_error *err) {
    struct packet *p = calloc(1, sizeof *p + size);
    if (!p) {
        return sl_fail(err, SL_NOMEM, "no memory for a message");
    }
    if (size) {
        memcpy(p->data, data, size);
    }
    p->size = size;
    *ret_packet = p;
    return SL_OK;
}

static int check_size(size_t size, struct sl_error *err) {
    if (size > SL_LINK_BYTES_MAX) {
        return sl_fail(err, SL_LIMIT, "a message of %zu bytes, at most %d can be sent", size,
                       SL_LINK_BYTES_MAX);
    }
    return SL_OK;
}

int sl_mem_hub_create(size_t depth, struct sl_mem_hub **ret_hub, struct sl_error *err) {
    struct sl_mem_hub *hub = calloc(1, sizeof *hub);
    if (!hub) {
        return sl_fail(err, SL_NOMEM, "no memory for a hub");
    }
    hub->depth = depth;
    queue_init(&hub->inbox);
    *ret_hub = hub;
    return SL_OK;
}

void sl_mem_hub_destroy(struct sl_mem_hub *hub) {
    if (!hub) {
        return;
    }
    sl_assert(!hub->server && !hub->clients); /* links go first */
    queue_clear(&hub->inbox);
    free(hub);
}

/* Loses what is under way in both directions; the next connection has a new number. */
static void drop_connection(struct mem_client *c) {
    struct queue kept;
    struct packet *p;
    queue_init(&kept);
    while ((p = queue_take(&c->hub->inbox))) {
        if (p->from == c) {
            free(p);
        } else {
            queue_put(&kept, p);
        }
    }
    queue_init(&c->hub->inbox);
    while ((p = queue_take(&kept))) {
        queue_put(&c->hub->inbox, p);
    }
    queue_clear(&c->inbox);
    c->inbox_count = 0;
    c->outbox_count = 0;
    c->self.conn = ++c->hub->conn_last;
}

static int mem_fd(struct sl_link *link) {
    (void)link;
    return -1;
}

/* ---- server ---- */

static int server_recv(struct sl_link *link, struct sl_link_peer *ret_peer,
                       const uint8_t **ret_data, size_t *ret_size, struct sl_error *err) {
    (void)err;
    struct mem_server *s = (struct mem_server *)link;
    struct packet *p = queue_take(&s->hub->inbox);
    if (!p) {
        return -SL_AGAIN;
    }
    if (p->from) {
        p->from->outbox_count--;
    }
    free(s->current);
    s->current = p;
    *ret_peer = p->peer;
    *ret_data = p->data;
    *ret_size = p->size;
    return SL_OK;
}

static struct mem_client *find_peer(struct sl_mem_hub *hub, const struct sl_link_peer *peer) {
    for (struct mem_client *c = hub->clients; c; c = c->next) {
        if (c->self.conn == peer->conn && strcmp(c->self.key, peer->key) == 0) {
            return c;
        }
    }
    return NULL;
}

static int server_send(struct sl_link *link, const struct sl_link_peer *peer, const uint8_t *data,
                       size_t size, struct sl_error *err) {
    struct mem_server *s = (struct mem_server *)link;
    struct packet *p = NULL;
    int rc = check_size(size, err);
    if (rc) {
        return rc;
    }
    struct mem_client *c = find_peer(s->hub, peer);
    if (!c || c->cut) {
        return sl_fail(err, SL_CLOSED, "the agent's connection is gone");
    }
    if (c->inbox_count == s->hub->depth) {
        return sl_fail(err, SL_AGAIN, "the agent's queue is full");
    }
    rc = packet_make(data, size, &p, err);
    if (rc || !p) {
        return rc;
    }
    queue_put(&c->inbox, p);
    c->inbox_count++;
    return SL_OK;
}

static void server_destroy(struct sl_link *link) {
    struct mem_server *s = (struct mem_server *)link;
    for (struct mem_client *c = s->hub->clients; c; c = c->next) {
        drop_connection(c);
    }
    queue_clear(&s->hub->inbox);
    s->hub->server = NULL;
    free(s->current);
    free(s);
}

static const struct sl_link_ops server_ops = {mem_fd, server_recv, server_send, server_destroy};

int sl_mem_server_create(struct sl_mem_hub *hub, struct sl_link **ret_link, struct sl_error *err) {
    if (hub->server) {
        return sl_fail(err, SL_EXISTS, "the hub has a server already");
    }
    struct mem_server *s = calloc(1, sizeof *s);
    if (!s) {
        return sl_fail(err, SL_NOMEM, "no memory for a link");
    }
    s->link.ops = &server_ops;
    s->hub = hub;
    hub->server = s;
    *ret_link = &s->link;
    return SL_OK;
}

/* ---- client ---- */

static int client_recv(struct sl_link *link, struct sl_link_peer *ret_peer,
                       const uint8_t **ret_data, size_t *ret_size, struct sl_error *err) {
    (void)err;
    struct mem_client *c = (struct mem_client *)link;
    struct packet *p = queue_take(&c->inbox);
    if (!p) {
        return -SL_AGAIN;
    }
    c->inbox_count--;
    free(c->current);
    c->current = p;
    *ret_peer = (struct sl_link_peer){"server", 1};
    *ret_data = p->data;
    *ret_size = p->size;
    return SL_OK;
}

static int client_send(struct sl_link *link, const struct sl_link_peer *peer, const uint8_t *data,
                       size_t size, struct sl_error *err) {
    (void)peer;
    struct mem_client *c = (struct mem_client *)link;
    struct packet *p = NULL;
    int rc = check_size(size, err);
    if (rc) {
        return rc;
    }
    if (c->cut || !c->hub->server || c->outbox_count == c->hub->depth) {
        return sl_fail(err, SL_AGAIN, "no connection to the broker, or its queue is full");
    }
    rc = packet_make(data, size, &p, err);
    if (rc || !p) {
        return rc;
    }
    p->from = c;
    p->peer = c->self;
    queue_put(&c->hub->inbox, p);
    c->outbox_count++;
    return SL_OK;
}

static void client_destroy(struct sl_link *link) {
    struct mem_client *c = (struct mem_client *)link;
    /* What it sent last still arrives, as it would over TCP. */
    for (struct packet *p = c->hub->inbox.first; p; p = p->next) {
        if (p->from == c) {
            p->from = NULL;
        }
    }
    for (struct mem_client **at = &c->hub->clients; *at; at = &(*at)->next) {
        if (*at == c) {
            *at = c->next;
            break;
        }
    }
    queue_clear(&c->inbox);
    free(c->current);
    free(c);
}

static const struct sl_link_ops client_ops = {mem_fd, client_recv, client_send, client_destroy};

int sl_mem_client_create(struct sl_mem_hub *hub, const char *key, struct sl_link **ret_link,
                         struct sl_error *err) {
    struct mem_client *c = calloc(1, sizeof *c);
    if (!c) {
        return sl_fail(err, SL_NOMEM, "no memory for a link");
    }
    c->link.ops = &client_ops;
    c->hub = hub;
    queue_init(&c->inbox);
    if (!sl_text_copy(c->self.key, sizeof c->self.key, key)) {
        free(c);
        return sl_fail(err, SL_INVALID, "a key has at most %d characters", SL_LINK_KEY_MAX - 1);
    }
    c->self.conn = ++hub->conn_last;
    c->next = hub->clients;
    hub->clients = c;
    *ret_link = &c->link;
    return SL_OK;
}

void sl_mem_hub_cut(struct sl_mem_hub *hub, const char *key, int cut) {
    for (struct mem_client *c = hub->clients; c; c = c->next) {
        if (strcmp(c->self.key, key) == 0) {
            if (cut && !c->cut) {
                drop_connection(c);
            }
            c->cut = cut != 0;
        }
    }
}
