/* SPDX-License-Identifier: Apache-2.0
 * The broker's end of the second socket: a thread with the front (join_front.c), and behind it
 * ROUTER with CURVE on a local socket that only this user may connect to. */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zmq.h>

#include "proto/base/clock.h"
#include "proto/base/log.h"
#include "proto/base/mailbox.h"
#include "proto/base/text.h"
#include "proto/base/thread.h"
#include "proto/link/join.h"
#include "proto/link/join_front.h"
#include "proto/link/zap.h"
#include "proto/link/zmq_monitor.h"
#include "proto/link/zmq_options.h"

#define DOMAIN "sluice.join"
#define NICE 10 /* behind everything that works */
#define PACKETS_MAX 16
#define HEARD_MAX 512 /* connections whose one message is remembered */
#define WAITING_MAX 64
#define ROUTING_ID_BYTES 5  /* a zero byte and 32 bits, when the peer chose none */
#define ENVELOPE_ROOM 256   /* CURVE wraps a message in a frame of its own */
#define MESSAGES_PER_TURN 8 /* then the front has its turn */
#define FLOOD 100           /* refused connections that are worth a line */
#define LOG_INTERVAL_NS (10 * SL_NS_PER_S)

struct sl_join_server {
    struct sl_join_server_config config;
    char endpoint[SL_LINK_KEY_MAX * 4];
    char inner[64];
    int listener;
    int stop_fd;
    struct sl_mailbox *arrived;
    struct sl_mailbox *answers;
    pthread_t thread;
    bool running;
    sem_t opened;
    int status; /* of opening, with its text */
    struct sl_error trouble;
    atomic_uint_least64_t accepted, refused, messages, dropped, other_key, no_handshake;
    /* Of the thread alone. */
    void *context, *router, *monitor;
    struct sl_zap *zap;
    struct sl_front *front;
    int64_t message_credit_ns;
    struct sl_mono filled, logged;
    uint64_t refused_logged;
    uint32_t heard[HEARD_MAX]; /* ring of routing ids */
    uint32_t heard_next;
    struct sl_join_packet waiting[WAITING_MAX]; /* ring; for the rate */
    uint32_t waiting_first, waiting_count;
};

/* ---- opening ---- */

static int bind_to(const struct addrinfo *at) {
    int on = 1;
    int fd = socket(at->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -1;
    }
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, at->ai_addr, at->ai_addrlen) != 0 || listen(fd, 64) != 0) {
        int saved = errno;
        close(fd);
        errno = saved;
        return -1;
    }
    return fd;
}

static int note_endpoint(struct sl_join_server *s, struct sl_error *err) {
    struct sockaddr_storage at;
    socklen_t size = sizeof at;
    char host[64];
    char port[16];
    if (getsockname(s->listener, (struct sockaddr *)&at, &size) != 0 ||
        getnameinfo((struct sockaddr *)&at, size, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
        return sl_fail_errno(err, "cannot tell the address of the joining socket");
    }
    bool six = strchr(host, ':') != NULL;
    snprintf(s->endpoint, sizeof s->endpoint, "tcp://%s%s%s:%s", six ? "[" : "", host,
             six ? "]" : "", port);
    return SL_OK;
}

static int open_listener(struct sl_join_server *s, struct sl_error *err) {
    char host[128];
    const char *port = NULL;
    int rc = sl_zmq_check_endpoint(s->config.endpoint, true, err);
    rc = rc ? rc : sl_zmq_split_endpoint(s->config.endpoint, host, sizeof host, &port, err);
    if (rc) {
        return rc;
    }
    bool any = strcmp(host, "*") == 0;
    struct addrinfo hints = {.ai_family = any ? AF_INET6 : AF_UNSPEC,
                             .ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    int failed = getaddrinfo(any ? NULL : host, port, &hints, &found);
    if (failed) {
        return sl_fail(err, SL_INVALID, "cannot listen on %s: %s", s->config.endpoint,
                       gai_strerror(failed));
    }
    s->listener = bind_to(found);
    freeaddrinfo(found);
    if (s->listener < 0 && errno == EADDRINUSE) {
        return sl_fail(err, SL_EXISTS,
                       "%s is in use by another program (`ss -ltnp` shows which); stop it, or "
                       "configure another address for joining",
                       s->config.endpoint);
    }
    return s->listener < 0 ? sl_fail_errno(err, "cannot listen on %s", s->config.endpoint)
                           : note_endpoint(s, err);
}

static int set_options(const struct sl_join_server *s, struct sl_error *err) {
    const struct sl_zmq_option options[] = {
        {ZMQ_ROUTER_MANDATORY, 1, "ZMQ_ROUTER_MANDATORY"},
        {ZMQ_CURVE_SERVER, 1, "ZMQ_CURVE_SERVER"},
        {ZMQ_SNDHWM, 4, "ZMQ_SNDHWM"},
        {ZMQ_RCVHWM, 0, "ZMQ_RCVHWM"}, /* unread.h says why; join_front.h limits what comes in */
        {ZMQ_HANDSHAKE_IVL, 3000, "ZMQ_HANDSHAKE_IVL"},
        {ZMQ_LINGER, 0, "ZMQ_LINGER"},
        {ZMQ_BACKLOG, SL_FRONT_CONNECTIONS_MAX, "ZMQ_BACKLOG"},
        {ZMQ_IPC_FILTER_UID, (int)getuid(), "ZMQ_IPC_FILTER_UID"},
    };
    int64_t size_max = SL_JOIN_BYTES_MAX + ENVELOPE_ROOM;
    if (zmq_setsockopt(s->router, ZMQ_MAXMSGSIZE, &size_max, sizeof size_max) != 0) {
        return sl_fail(err, SL_UNSUPPORTED, "this libzmq does not take ZMQ_MAXMSGSIZE: %s",
                       zmq_strerror(errno));
    }
    int rc = sl_zmq_set(s->router, options, sizeof options / sizeof options[0], err);
    rc = rc ? rc
            : sl_zmq_set_text(s->router, ZMQ_CURVE_SECRETKEY, s->config.keys.secret_key,
                              "secret key", err);
    rc = rc ? rc : sl_zmq_set_text(s->router, ZMQ_ZAP_DOMAIN, DOMAIN, "ZAP domain", err);
    return rc ? rc : sl_zmq_enforce_domain(s->router, err);
}

static int open_inside(struct sl_join_server *s, struct sl_error *err) {
    char address[96];
    int rc = sl_zmq_context(&s->context, err);
    rc = rc ? rc : sl_zap_start(s->context, DOMAIN, NULL, &s->zap, err);
    if (rc) {
        return rc;
    }
    s->router = zmq_socket(s->context, ZMQ_ROUTER);
    if (!s->router) {
        return sl_fail(err, SL_IO, "cannot make a ZeroMQ socket: %s", zmq_strerror(errno));
    }
    rc = set_options(s, err);
    rc = rc ? rc
            : sl_zmq_monitor_open(s->context, s->router, ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL,
                                  &s->monitor, err);
    if (rc) {
        return rc;
    }
    snprintf(address, sizeof address, "ipc://@%s", s->inner);
    if (zmq_bind(s->router, address) != 0) {
        return sl_fail(err, SL_IO, "cannot open the joining socket inside: %s",
                       zmq_strerror(errno));
    }
    const struct sl_front_config front = {.listener = s->listener,
                                          .inner = s->inner,
                                          .connections_max = s->config.connections_max,
                                          .address_max = s->config.address_max,
                                          .accepts_per_s = s->config.accepts_per_s,
                                          .life_ms = s->config.life_ms};
    rc = sl_front_create(&front, &s->front, err);
    s->listener = s->front ? -1 : s->listener; /* the front's from now on */
    return rc;
}

static void close_inside(struct sl_join_server *s) {
    sl_front_destroy(s->front);
    sl_zmq_monitor_close(s->router, s->monitor);
    if (s->router) {
        zmq_close(s->router);
    }
    sl_zap_destroy(s->zap);
    sl_zmq_context_end(s->context);
}

/* ---- the thread ---- */

static int64_t message_cost_ns(const struct sl_join_server *s) {
    return SL_NS_PER_S / s->config.messages_per_s;
}

static void fill_credit(struct sl_join_server *s, struct sl_mono now) {
    s->message_credit_ns += s->filled.ns ? sl_mono_since_ns(now, s->filled) : SL_NS_PER_S;
    s->message_credit_ns = s->message_credit_ns > SL_NS_PER_S ? SL_NS_PER_S : s->message_credit_ns;
    s->filled = now;
}

static bool put_waiting(struct sl_join_server *s, const struct sl_join_packet *packet) {
    if (s->waiting_count >= (uint32_t)s->config.waiting_max) {
        return false;
    }
    s->waiting[(s->waiting_first + s->waiting_count++) % WAITING_MAX] = *packet;
    return true;
}

/* Whoever waits goes on, so many a second: nodes that join at once are all heard within seconds.
 * Returns after how many ms there is more to do, -1: nobody waits. */
static int64_t pass_on(struct sl_join_server *s, struct sl_mono now) {
    fill_credit(s, now);
    while (s->waiting_count && s->message_credit_ns >= message_cost_ns(s)) {
        struct sl_join_packet *packet = &s->waiting[s->waiting_first];
        s->message_credit_ns -= message_cost_ns(s);
        if (sl_mailbox_put(s->arrived, packet) != SL_OK) {
            break; /* the broker is behind: later */
        }
        explicit_bzero(packet, sizeof *packet); /* secrets of tokens */
        s->waiting_first = (s->waiting_first + 1) % WAITING_MAX;
        s->waiting_count--;
        atomic_fetch_add(&s->messages, 1);
    }
    int64_t missing_ns = message_cost_ns(s) - s->message_credit_ns;
    return !s->waiting_count ? -1 : missing_ns > 0 ? missing_ns / SL_NS_PER_MS + 1 : 1;
}

static bool spoke_before(struct sl_join_server *s, uint32_t conn) {
    for (uint32_t i = 0; i < HEARD_MAX; i++) {
        if (s->heard[i] == conn) {
            return true;
        }
    }
    s->heard[s->heard_next++ % HEARD_MAX] = conn;
    return false;
}

/* [routing id][payload] into *packet; false: none now, or the socket failed. *ret_good: in that
 * form. */
static bool receive(struct sl_join_server *s, struct sl_join_packet *packet, bool *ret_good) {
    bool good = true;
    int more = 1;
    size_t option = sizeof more;
    for (int frame = 0; more; frame++) {
        zmq_msg_t part;
        zmq_msg_init(&part);
        if (zmq_msg_recv(&part, s->router, ZMQ_DONTWAIT) < 0) {
            zmq_msg_close(&part);
            return false;
        }
        const uint8_t *bytes = zmq_msg_data(&part);
        size_t size = zmq_msg_size(&part);
        const char *key = zmq_msg_gets(&part, "User-Id");
        if (frame == 0 && size == ROUTING_ID_BYTES && bytes[0] == 0) {
            memcpy(&packet->conn, bytes + 1, sizeof packet->conn);
        } else if (frame == 1 && size <= SL_JOIN_BYTES_MAX && key &&
                   sl_text_copy(packet->key, sizeof packet->key, key)) {
            memcpy(packet->data, bytes, size);
            packet->size = (uint32_t)size;
        } else {
            good = false;
        }
        zmq_msg_close(&part);
        if (zmq_getsockopt(s->router, ZMQ_RCVMORE, &more, &option) != 0) {
            return false;
        }
        good = good && (more || frame == 1);
    }
    *ret_good = good;
    return true;
}

static void hear(struct sl_join_server *s) {
    struct sl_join_packet packet = {0};
    bool good = false;
    for (int i = 0; i < MESSAGES_PER_TURN && receive(s, &packet, &good); i++) {
        if (!good || spoke_before(s, packet.conn) || !put_waiting(s, &packet)) {
            atomic_fetch_add(&s->dropped, 1);
        }
    }
    explicit_bzero(&packet, sizeof packet); /* secrets of tokens */
}

static void answer(struct sl_join_server *s) {
    struct sl_join_packet packet;
    while (sl_mailbox_take(s->answers, &packet)) {
        uint8_t id[ROUTING_ID_BYTES] = {0};
        memcpy(id + 1, &packet.conn, sizeof packet.conn);
        /* Whoever is gone asks again. */
        if (zmq_send(s->router, id, sizeof id, ZMQ_SNDMORE | ZMQ_DONTWAIT) >= 0) {
            (void)zmq_send(s->router, packet.data, packet.size, ZMQ_DONTWAIT);
        }
    }
}

/* All of them: the front accepts so few a second, and ZeroMQ's thread waits for a full queue. */
static void note_handshakes(struct sl_join_server *s) {
    uint32_t error = 0;
    while (sl_zmq_monitor_next(s->monitor, &error) != 0) {
        bool other = error == ZMQ_PROTOCOL_ERROR_ZMTP_CRYPTOGRAPHIC;
        atomic_fetch_add(other ? &s->other_key : &s->no_handshake, 1);
    }
}

static void note_flood(struct sl_join_server *s, struct sl_mono now) {
    struct sl_front_stats stats;
    sl_front_stats(s->front, &stats);
    atomic_store(&s->accepted, stats.accepted);
    atomic_store(&s->refused, stats.refused);
    if (stats.refused > s->refused_logged + FLOOD &&
        (s->logged.ns == 0 || sl_mono_since_ns(now, s->logged) > LOG_INTERVAL_NS)) {
        s->logged = now;
        s->refused_logged = stats.refused;
        sl_log(SL_LOG_WARN, "join.flooded", "refused=%llu accepted=%llu dropped=%llu",
               (unsigned long long)stats.refused, (unsigned long long)stats.accepted,
               (unsigned long long)atomic_load(&s->dropped));
    }
}

/* Events are asked for anew each time: the descriptor tells of changes only. */
static bool more_to_hear(struct sl_join_server *s) {
    int events = 0;
    size_t size = sizeof events;
    return zmq_getsockopt(s->router, ZMQ_EVENTS, &events, &size) == 0 && events & ZMQ_POLLIN;
}

static void serve(struct sl_join_server *s, struct pollfd *polls) {
    int router_fd = -1;
    size_t size = sizeof router_fd;
    zmq_getsockopt(s->router, ZMQ_FD, &router_fd, &size);
    int64_t pass_ms = -1;
    for (;;) {
        struct sl_mono now = sl_clock_mono();
        int64_t wait_ms = -1;
        polls[0] = (struct pollfd){s->stop_fd, POLLIN, 0};
        polls[1] = (struct pollfd){sl_mailbox_fd(s->answers), POLLIN, 0};
        polls[2] = (struct pollfd){router_fd, POLLIN, 0};
        int count = sl_front_polls(s->front, now, polls + 3, &wait_ms);
        if (pass_ms >= 0 && (wait_ms < 0 || wait_ms > pass_ms)) {
            wait_ms = pass_ms;
        }
        if (more_to_hear(s)) {
            wait_ms = 0;
        }
        if (poll(polls, (nfds_t)count + 3, (int)wait_ms) < 0 && errno != EINTR) {
            return;
        }
        if (polls[0].revents) {
            return;
        }
        now = sl_clock_mono();
        sl_front_turn(s->front, now, polls + 3, count);
        hear(s);
        pass_ms = pass_on(s, now);
        answer(s);
        note_handshakes(s);
        note_flood(s, now);
    }
}

static void *run(void *arg) {
    struct sl_join_server *s = arg;
    sl_thread_name("join");
    sl_thread_patient(NICE); /* ZeroMQ's threads inherit it */
    struct pollfd *polls = calloc(SL_FRONT_POLLS_MAX + 3, sizeof *polls);
    s->status = polls ? open_inside(s, &s->trouble) : -SL_NOMEM;
    bool open = s->status == SL_OK;
    sem_post(&s->opened);
    if (open) {
        serve(s, polls);
    }
    close_inside(s);
    free(polls);
    return NULL;
}

static int start_thread(struct sl_join_server *s, struct sl_error *err) {
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    s->running = pthread_create(&s->thread, NULL, run, s) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!s->running) {
        return sl_fail(err, SL_NOMEM, "cannot start the thread of the joining socket");
    }
    while (sem_wait(&s->opened) != 0) {}
    if (s->status) {
        *err = s->trouble;
    }
    return s->status;
}

/* ---- outside ---- */

static void set_defaults(struct sl_join_server_config *c) {
    c->connections_max = c->connections_max ? c->connections_max : 64;
    c->address_max = c->address_max ? c->address_max : 8;
    c->accepts_per_s = c->accepts_per_s ? c->accepts_per_s : 50;
    c->messages_per_s = c->messages_per_s ? c->messages_per_s : 20;
    bool fits = c->waiting_max > 0 && c->waiting_max < WAITING_MAX;
    c->waiting_max = fits ? c->waiting_max : WAITING_MAX;
    c->life_ms = c->life_ms ? c->life_ms : 10000;
}

static int name_inner(struct sl_join_server *s, struct sl_error *err) {
    uint8_t random[16];
    char hex[2 * sizeof random + 1];
    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random) {
        return sl_fail_errno(err, "the system gives no random numbers");
    }
    sl_hex_encode(random, sizeof random, hex);
    snprintf(s->inner, sizeof s->inner, "sluice-join-%s", hex);
    return SL_OK;
}

int sl_join_server_create(const struct sl_join_server_config *config,
                          struct sl_join_server **ret_server, struct sl_error *err) {
    struct sl_error local = {0};
    err = err ? err : &local;
    struct sl_join_server *s = calloc(1, sizeof *s);
    if (!s) {
        return sl_fail(err, SL_NOMEM, "no memory for the joining socket");
    }
    s->config = *config;
    set_defaults(&s->config);
    s->listener = -1;
    sem_init(&s->opened, 0, 0);
    s->stop_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    int rc = s->stop_fd < 0 ? sl_fail_errno(err, "cannot open the joining socket") : SL_OK;
    rc = rc ? rc : name_inner(s, err);
    rc = rc ? rc : sl_mailbox_create(sizeof(struct sl_join_packet), PACKETS_MAX, &s->arrived, err);
    rc = rc ? rc : sl_mailbox_create(sizeof(struct sl_join_packet), PACKETS_MAX, &s->answers, err);
    rc = rc ? rc : open_listener(s, err);
    rc = rc ? rc : start_thread(s, err);
    if (rc) {
        sl_join_server_destroy(s);
        return rc;
    }
    *ret_server = s;
    return SL_OK;
}

void sl_join_server_destroy(struct sl_join_server *server) {
    if (!server) {
        return;
    }
    if (server->running) {
        uint64_t one = 1;
        ssize_t n = write(server->stop_fd, &one, sizeof one);
        sl_assert(n == sizeof one);
        pthread_join(server->thread, NULL);
    }
    if (server->listener >= 0) {
        close(server->listener);
    }
    if (server->stop_fd >= 0) {
        close(server->stop_fd);
    }
    sl_mailbox_destroy(server->arrived);
    sl_mailbox_destroy(server->answers);
    sem_destroy(&server->opened);
    explicit_bzero(&server->config.keys, sizeof server->config.keys);
    explicit_bzero(server->waiting, sizeof server->waiting);
    free(server);
}

const char *sl_join_server_endpoint(const struct sl_join_server *server) {
    return server->endpoint;
}

int sl_join_server_fd(struct sl_join_server *server) {
    return sl_mailbox_fd(server->arrived);
}

bool sl_join_server_take(struct sl_join_server *server, struct sl_join_packet *ret_packet) {
    return sl_mailbox_take(server->arrived, ret_packet);
}

void sl_join_server_answer(struct sl_join_server *server, const struct sl_join_packet *packet) {
    (void)sl_mailbox_put(server->answers, packet); /* full: its sender asks again */
}

void sl_join_server_stats(struct sl_join_server *server, struct sl_join_server_stats *ret_stats) {
    *ret_stats = (struct sl_join_server_stats){.accepted = atomic_load(&server->accepted),
                                               .refused = atomic_load(&server->refused),
                                               .messages = atomic_load(&server->messages),
                                               .dropped = atomic_load(&server->dropped),
                                               .other_key = atomic_load(&server->other_key),
                                               .no_handshake = atomic_load(&server->no_handshake)};
}
