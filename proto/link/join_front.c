/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/link/join_front.h"

#include <errno.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#define PIPE_BYTES 2048
/* Work of one turn is bounded: a flood must not keep who is in from being served. */
#define ACCEPTS_PER_TURN 16

struct pipe_buffer {
    uint32_t head, count;
    uint8_t bytes[PIPE_BYTES];
};

struct client {
    int outer, inner; /* -1: free */
    uint8_t address[8];
    int64_t until_ns;
    uint32_t sent; /* bytes from outside so far */
    struct pipe_buffer in, out;
};

struct sl_front {
    struct sl_front_config config;
    char inner[108];
    int64_t accept_credit_ns; /* of time; one accept costs a second / accepts_per_s */
    struct sl_mono filled;
    struct sl_front_stats stats;
    struct client *clients; /* [connections_max] */
};

static int64_t accept_cost_ns(const struct sl_front *front) {
    return SL_NS_PER_S / front->config.accepts_per_s;
}

int sl_front_create(const struct sl_front_config *config, struct sl_front **ret_front,
                    struct sl_error *err) {
    sl_assert(config->connections_max > 0 && config->connections_max <= SL_FRONT_CONNECTIONS_MAX);
    sl_assert(config->accepts_per_s > 0 && config->address_max > 0);
    struct sl_front *front = calloc(1, sizeof *front);
    struct client *clients = calloc((size_t)config->connections_max, sizeof *clients);
    if (!front || !clients) {
        free(front);
        free(clients);
        return sl_fail(err, SL_NOMEM, "no memory for the joining socket");
    }
    for (int i = 0; i < config->connections_max; i++) {
        clients[i].outer = clients[i].inner = -1;
    }
    front->config = *config;
    front->clients = clients;
    front->accept_credit_ns = SL_NS_PER_S;
    strncpy(front->inner, config->inner, sizeof front->inner - 2);
    *ret_front = front;
    return SL_OK;
}

static void drop(struct sl_front *front, struct client *client) {
    close(client->outer);
    close(client->inner);
    memset(client, 0, sizeof *client);
    client->outer = client->inner = -1;
    front->stats.open--;
}

void sl_front_destroy(struct sl_front *front) {
    if (!front) {
        return;
    }
    for (int i = 0; i < front->config.connections_max; i++) {
        if (front->clients[i].outer >= 0) {
            drop(front, &front->clients[i]);
        }
    }
    close(front->config.listener);
    free(front->clients);
    free(front);
}

/* Whom a limit counts: an IPv4 address, or a network of 64 bits, of which one host has all. */
static void address_of(const struct sockaddr_storage *from, uint8_t ret_address[8]) {
    memset(ret_address, 0, 8);
    if (from->ss_family == AF_INET) {
        memcpy(ret_address, &((const struct sockaddr_in *)from)->sin_addr, 4);
    } else if (from->ss_family == AF_INET6) {
        const struct in6_addr *six = &((const struct sockaddr_in6 *)from)->sin6_addr;
        if (IN6_IS_ADDR_V4MAPPED(six)) {
            memcpy(ret_address, six->s6_addr + 12, 4);
        } else {
            memcpy(ret_address, six->s6_addr, 8);
        }
    }
}

static int connect_inner(const struct sl_front *front) {
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    size_t n = strlen(front->inner);
    memcpy(to.sun_path + 1, front->inner, n);
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + n);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&to, size) != 0) {
        close(fd); /* full: whoever knocks tries again */
        fd = -1;
    }
    return fd;
}

static struct client *place_for(struct sl_front *front, const uint8_t address[8]) {
    struct client *place = NULL;
    int same = 0;
    for (int i = 0; i < front->config.connections_max; i++) {
        struct client *client = &front->clients[i];
        if (client->outer < 0) {
            place = client;
        } else if (memcmp(client->address, address, 8) == 0) {
            same++;
        }
    }
    return same < front->config.address_max ? place : NULL;
}

/* False: nobody waits. */
static bool accept_one(struct sl_front *front, struct sl_mono now) {
    struct sockaddr_storage from = {0};
    socklen_t size = sizeof from;
    int fd = accept4(front->config.listener, (struct sockaddr *)&from, &size,
                     SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    uint8_t address[8];
    address_of(&from, address);
    struct client *client = place_for(front, address);
    int inner = client ? connect_inner(front) : -1;
    front->accept_credit_ns -= accept_cost_ns(front);
    if (inner < 0) {
        front->stats.refused++;
        close(fd);
        return true;
    }
    client->outer = fd;
    client->inner = inner;
    memcpy(client->address, address, sizeof client->address);
    client->until_ns = now.ns + front->config.life_ms * SL_NS_PER_MS;
    front->stats.accepted++;
    front->stats.open++;
    return true;
}

static void fill_credit(struct sl_front *front, struct sl_mono now) {
    if (front->filled.ns != 0) {
        front->accept_credit_ns += sl_mono_since_ns(now, front->filled);
    }
    front->filled = now;
    if (front->accept_credit_ns > SL_NS_PER_S) {
        front->accept_credit_ns = SL_NS_PER_S;
    }
}

int sl_front_polls(struct sl_front *front, struct sl_mono now, struct pollfd *polls,
                   int64_t *ret_wait_ms) {
    fill_credit(front, now);
    bool full = front->stats.open >= front->config.connections_max;
    int64_t missing_ns = accept_cost_ns(front) - front->accept_credit_ns;
    bool may_accept = !full && missing_ns <= 0;
    int64_t wake_ns = !full && missing_ns > 0 ? now.ns + missing_ns : INT64_MAX;
    int count = 0;
    polls[count++] = (struct pollfd){may_accept ? front->config.listener : -1, POLLIN, 0};
    for (int i = 0; i < front->config.connections_max; i++) {
        const struct client *client = &front->clients[i];
        if (client->outer < 0) {
            continue;
        }
        short outer = (short)((client->in.count < PIPE_BYTES ? POLLIN : 0) |
                              (client->out.count > 0 ? POLLOUT : 0));
        short inner = (short)((client->out.count < PIPE_BYTES ? POLLIN : 0) |
                              (client->in.count > 0 ? POLLOUT : 0));
        polls[count++] = (struct pollfd){client->outer, outer, 0};
        polls[count++] = (struct pollfd){client->inner, inner, 0};
        wake_ns = client->until_ns < wake_ns ? client->until_ns : wake_ns;
    }
    *ret_wait_ms = wake_ns == INT64_MAX ? -1
                   : wake_ns <= now.ns  ? 0
                                        : (wake_ns - now.ns) / SL_NS_PER_MS + 1;
    return count;
}

/* False: the connection is over. */
static bool fill(struct pipe_buffer *buffer, int fd, uint32_t *sent) {
    uint32_t tail = (buffer->head + buffer->count) % PIPE_BYTES;
    uint32_t room = tail >= buffer->head && buffer->count < PIPE_BYTES ? PIPE_BYTES - tail
                                                                       : PIPE_BYTES - buffer->count;
    if (buffer->count == PIPE_BYTES) {
        return true;
    }
    ssize_t n = recv(fd, buffer->bytes + tail, room, 0);
    if (n > 0) {
        buffer->count += (uint32_t)n;
        *sent += (uint32_t)n;
    }
    return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

static bool empty(struct pipe_buffer *buffer, int fd) {
    uint32_t run = PIPE_BYTES - buffer->head;
    run = run < buffer->count ? run : buffer->count;
    ssize_t n = run ? send(fd, buffer->bytes + buffer->head, run, MSG_NOSIGNAL) : 0;
    if (n > 0) {
        buffer->head = (buffer->head + (uint32_t)n) % PIPE_BYTES;
        buffer->count -= (uint32_t)n;
    }
    return n >= 0 || errno == EAGAIN || errno == EINTR;
}

/* What the far end sent last before it closed is still passed on. */
static bool pump(struct client *client, short outer, short inner) {
    uint32_t ignored = 0;
    bool open = true;
    if (outer & (POLLIN | POLLHUP | POLLERR)) {
        open = fill(&client->in, client->outer, &client->sent);
    }
    if (inner & (POLLIN | POLLHUP | POLLERR)) {
        open = fill(&client->out, client->inner, &ignored) && open;
    }
    open = empty(&client->in, client->inner) && open;
    open = empty(&client->out, client->outer) && open;
    return open && client->sent <= SL_FRONT_BYTES_MAX;
}

void sl_front_turn(struct sl_front *front, struct sl_mono now, const struct pollfd *polls,
                   int count) {
    int at = 1;
    for (int i = 0; i < front->config.connections_max && at + 1 < count; i++) {
        struct client *client = &front->clients[i];
        if (client->outer < 0 || client->outer != polls[at].fd) {
            continue;
        }
        bool late = now.ns >= client->until_ns;
        if (late || !pump(client, polls[at].revents, polls[at + 1].revents)) {
            front->stats.refused += late || client->sent > SL_FRONT_BYTES_MAX;
            drop(front, client);
        }
        at += 2;
    }
    bool waiting = count > 0 && polls[0].revents & POLLIN;
    for (int i = 0; waiting && i < ACCEPTS_PER_TURN; i++) {
        waiting = front->stats.open < front->config.connections_max &&
                  front->accept_credit_ns >= accept_cost_ns(front) && accept_one(front, now);
    }
}

void sl_front_stats(const struct sl_front *front, struct sl_front_stats *ret_stats) {
    *ret_stats = front->stats;
}
