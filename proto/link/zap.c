/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/link/zap.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <zmq.h>

#include "proto/base/clock.h"
#include "proto/base/log.h"
#include "proto/base/thread.h"

#define ENDPOINT "inproc://zeromq.zap.01"
#define LOG_INTERVAL_NS (5 * SL_NS_PER_S)
/* The socket is renewed (zap.h) when so many have asked it, and none for a while; a site where
 * somebody always comes does not wait for that longer than RENEW_LATE_NS. */
#define RENEW_ASKED 64
#define RENEW_QUIET_NS (2 * SL_NS_PER_S)
#define RENEW_LATE_NS (60 * SL_NS_PER_S)
/* For those that found the old socket before it was taken away, and ask it a moment later. */
#define RETIRE_NS SL_NS_PER_S
#define LOOK_MS 250

struct sl_zap {
    void *context;
    void *socket;
    void *retired; /* the one before; NULL: it is closed */
    struct sl_allow *allow;
    char domain[64];
    int wake_fd; /* to stop, or to renew */
    pthread_t thread;
    bool running;
    atomic_bool stop, renew;
    atomic_uint_least64_t refused, renewed;
    /* Of the thread alone. */
    struct sl_mono logged;
    uint64_t unlogged;
    uint32_t asked;     /* since the last renewal */
    int64_t asked_ns;   /* last */
    int64_t renewed_ns; /* likewise */
    struct sl_zap_frame request[SL_ZAP_FRAMES];
};

/* Frames that came; negative when the socket failed. */
static int receive(struct sl_zap *zap, void *socket) {
    int count = 0;
    int more = 1;
    size_t option_size = sizeof more;
    while (more) {
        struct sl_zap_frame extra;
        struct sl_zap_frame *f = count < SL_ZAP_FRAMES ? &zap->request[count] : &extra;
        int n = zmq_recv(socket, f->data, SL_ZAP_FRAME_MAX, 0);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0 || zmq_getsockopt(socket, ZMQ_RCVMORE, &more, &option_size) != 0) {
            return -1;
        }
        f->size = (size_t)n;
        count++;
    }
    return count;
}

static bool frame_is(const struct sl_zap_frame *f, const char *text) {
    return f->size == strlen(text) && memcmp(f->data, text, f->size) == 0;
}

void sl_zap_judge(struct sl_allow *allow, const char *domain, const struct sl_zap_frame *frames,
                  int count, struct sl_zap_answer *ret_answer) {
    struct sl_zap_answer answer = {.status = "500", .text = "malformed request"};
    if (count == SL_ZAP_FRAMES) {
        /* "Temporary failure": on 400 libzmq's client gives up for ever, and a key that is added to
         * the file later could only come in after a restart of the agent. */
        answer.status = "300";
        answer.text = "key is not allowed";
        const struct sl_zap_frame *key = &frames[SL_ZAP_KEY];
        if (frame_is(&frames[SL_ZAP_VERSION], "1.0") && frame_is(&frames[SL_ZAP_DOMAIN], domain) &&
            frame_is(&frames[SL_ZAP_MECHANISM], "CURVE") && key->size == 32 &&
            zmq_z85_encode(answer.user, (const uint8_t *)key->data, 32) &&
            (allow ? sl_allow_has(allow, answer.user, true)
                   : sl_link_key_check(answer.user, NULL) == SL_OK)) {
            answer.status = "200";
            answer.text = "OK";
        }
    }
    *ret_answer = answer;
}

static void note_refusal(struct sl_zap *zap, const char *key) {
    atomic_fetch_add(&zap->refused, 1);
    struct sl_mono now = sl_clock_mono();
    zap->unlogged++;
    /* A refused agent tries again every few seconds: one line now and then is enough. */
    if (zap->logged.ns != 0 && sl_mono_since_ns(now, zap->logged) < LOG_INTERVAL_NS) {
        return;
    }
    sl_log(SL_LOG_WARN, "link.refused",
           "key=%s count=%llu hint=sluice_agents_ls_or_the_file_of_allowed_keys",
           key[0] ? key : "none", (unsigned long long)zap->unlogged);
    zap->logged = now;
    zap->unlogged = 0;
}

static void send_answer(struct sl_zap *zap, void *socket, const struct sl_zap_answer *answer,
                        const char *user) {
    const struct sl_zap_frame *id = &zap->request[SL_ZAP_REQUEST_ID];
    size_t id_size = id->size < SL_ZAP_FRAME_MAX ? id->size : SL_ZAP_FRAME_MAX;
    /* A failure to answer leaves that handshake to its timeout; nobody gets in by it. */
    if (zmq_send(socket, "1.0", 3, ZMQ_SNDMORE) < 0 ||
        zmq_send(socket, id->data, id_size, ZMQ_SNDMORE) < 0 ||
        zmq_send(socket, answer->status, strlen(answer->status), ZMQ_SNDMORE) < 0 ||
        zmq_send(socket, answer->text, strlen(answer->text), ZMQ_SNDMORE) < 0 ||
        zmq_send(socket, user, strlen(user), ZMQ_SNDMORE) < 0 || zmq_send(socket, "", 0, 0) < 0) {
        sl_log(SL_LOG_WARN, "link.zap.answer_failed", "problem=%s", zmq_strerror(errno));
    }
}

static void serve(struct sl_zap *zap, void *socket) {
    memset(zap->request, 0, sizeof zap->request);
    struct sl_zap_answer answer;
    sl_zap_judge(zap->allow, zap->domain, zap->request, receive(zap, socket), &answer);
    bool allowed = strcmp(answer.status, "200") == 0;
    if (!allowed) {
        note_refusal(zap, answer.user);
    }
    send_answer(zap, socket, &answer, allowed ? answer.user : "");
    zap->asked++;
    zap->asked_ns = sl_clock_mono().ns;
}

/* ---- renewal ---- */

static void *make_socket(void *context) {
    void *socket = zmq_socket(context, ZMQ_REP);
    int no_linger = 0;
    if (socket && zmq_setsockopt(socket, ZMQ_LINGER, &no_linger, sizeof no_linger) != 0) {
        zmq_close(socket);
        return NULL;
    }
    return socket;
}

/* Between the two calls there is no handler: who shakes hands just then is refused and tries again
 * (ZAP's domain is enforced). Should the second fail, the old one goes on. */
static void renew(struct sl_zap *zap, int64_t now_ns) {
    zap->asked = 0;
    zap->renewed_ns = now_ns;
    void *fresh = zap->retired ? NULL : make_socket(zap->context);
    if (!fresh) {
        return;
    }
    bool gone = zmq_unbind(zap->socket, ENDPOINT) == 0;
    if (!gone || zmq_bind(fresh, ENDPOINT) != 0) {
        sl_log(SL_LOG_WARN, "link.zap.renewal_failed", "problem=%s", zmq_strerror(errno));
        zmq_close(fresh);
        if (gone && zmq_bind(zap->socket, ENDPOINT) != 0) {
            sl_log(SL_LOG_ERROR, "link.zap.closed", "problem=%s nobody_is_let_in=true",
                   zmq_strerror(errno));
        }
        return;
    }
    zap->retired = zap->socket;
    zap->socket = fresh;
    atomic_fetch_add(&zap->renewed, 1);
}

static void look_after(struct sl_zap *zap) {
    int64_t now_ns = sl_clock_mono().ns;
    bool asked_for = atomic_exchange(&zap->renew, false);
    if (zap->retired && (asked_for || now_ns - zap->renewed_ns > RETIRE_NS)) {
        zmq_close(zap->retired);
        zap->retired = NULL;
    }
    bool due = zap->asked >= RENEW_ASKED && (now_ns - zap->asked_ns > RENEW_QUIET_NS ||
                                             now_ns - zap->renewed_ns > RENEW_LATE_NS);
    if (due || asked_for) {
        renew(zap, now_ns);
    }
}

/* False: the thread ends. */
static bool turn(struct sl_zap *zap) {
    zmq_pollitem_t items[] = {{NULL, zap->wake_fd, ZMQ_POLLIN, 0},
                              {zap->socket, 0, ZMQ_POLLIN, 0},
                              {zap->retired, 0, ZMQ_POLLIN, 0}};
    bool soon = zap->retired || zap->asked >= RENEW_ASKED;
    int n = zmq_poll(items, zap->retired ? 3 : 2, soon ? LOOK_MS : -1);
    if (n < 0 && errno != EINTR) {
        return false;
    }
    if (n > 0 && items[0].revents) {
        uint64_t count = 0;
        (void)!read(zap->wake_fd, &count, sizeof count);
        if (atomic_load(&zap->stop)) {
            return false;
        }
    }
    for (int i = 1; n > 0 && i < 3; i++) {
        if (items[i].socket && items[i].revents) {
            serve(zap, items[i].socket);
        }
    }
    look_after(zap);
    return true;
}

static void *run(void *arg) {
    struct sl_zap *zap = arg;
    sl_thread_name("zap");
    zap->renewed_ns = sl_clock_mono().ns;
    while (turn(zap)) {}
    return NULL;
}

static int start_thread(struct sl_zap *zap) {
    /* Signals belong to the program's loop. */
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = pthread_create(&zap->thread, NULL, run, zap);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    zap->running = rc == 0;
    return rc ? -1 : 0;
}

int sl_zap_start(void *context, const char *domain, struct sl_allow *allow, struct sl_zap **ret_zap,
                 struct sl_error *err) {
    sl_assert(domain[0] != '\0' && strlen(domain) < sizeof(((struct sl_zap *)0)->domain));
    struct sl_zap *zap = calloc(1, sizeof *zap);
    if (!zap) {
        return sl_fail(err, SL_NOMEM, "no memory to check keys of agents");
    }
    memcpy(zap->domain, domain, strlen(domain) + 1);
    zap->allow = allow;
    zap->context = context;
    zap->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    zap->socket = make_socket(context);
    if (zap->wake_fd < 0 || !zap->socket || zmq_bind(zap->socket, ENDPOINT) != 0 ||
        start_thread(zap) != 0) {
        int saved = errno;
        sl_zap_destroy(zap);
        return sl_fail(err, SL_IO, "cannot start the check of agents' keys: %s",
                       zmq_strerror(saved));
    }
    *ret_zap = zap;
    return SL_OK;
}

static void wake(struct sl_zap *zap) {
    uint64_t one = 1;
    ssize_t n = write(zap->wake_fd, &one, sizeof one);
    sl_assert(n == sizeof one);
}

void sl_zap_stop(struct sl_zap *zap) {
    if (zap->running) {
        atomic_store(&zap->stop, true);
        wake(zap);
        pthread_join(zap->thread, NULL);
        zap->running = false;
    }
    void **sockets[] = {&zap->socket, &zap->retired};
    for (int i = 0; i < 2; i++) {
        if (*sockets[i]) {
            zmq_close(*sockets[i]);
            *sockets[i] = NULL;
        }
    }
}

void sl_zap_renew(struct sl_zap *zap) {
    atomic_store(&zap->renew, true);
    wake(zap);
}

void sl_zap_destroy(struct sl_zap *zap) {
    if (!zap) {
        return;
    }
    sl_zap_stop(zap);
    if (zap->wake_fd >= 0) {
        close(zap->wake_fd);
    }
    free(zap);
}

uint64_t sl_zap_refused(struct sl_zap *zap) {
    return atomic_load(&zap->refused);
}

uint64_t sl_zap_renewed(struct sl_zap *zap) {
    return atomic_load(&zap->renewed);
}
