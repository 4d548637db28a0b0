/* SPDX-License-Identifier: Apache-2.0
 * The partner of `large` in memory: what a connection costs libzmq alone. A ROUTER with CURVE and a
 * handler of keys that lets everybody in; it reads what comes, keeps nothing, and answers every
 * 11th message with as many bytes as a node's renewals take. `plain`: as libzmq and glibc are by
 * themselves. Otherwise with the broker's own measures: ZAP's handler is renewed (zap.h), large
 * blocks are mapped and what is free goes back (broker/shell, main.c and loop.c). */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#include "proto/base/clock.h"
#include "proto/link/zap.h"
#include "proto/link/zmq_options.h"
#include "tests/bench/fleet.h"

#define DOMAIN "sluice.agents"
#define APART_BYTES (12 * 1024)
#define TRIM_BYTES ((size_t)1024 * 1024)
#define TRIM_EVERY_NS (10 * SL_NS_PER_S)
#define ANSWER_EVERY 11 /* shares no factor with the number of agents: each has its turn */
#define PLAIN_ENDPOINT "inproc://zeromq.zap.01"

/* The handler of `plain`: never renewed. */
static void let_in(void *socket) {
    for (;;) {
        int more = 1;
        size_t size = sizeof more;
        while (more) {
            char frame[256];
            if (zmq_recv(socket, frame, sizeof frame, 0) < 0 ||
                zmq_getsockopt(socket, ZMQ_RCVMORE, &more, &size) != 0) {
                return;
            }
        }
        static const char *const parts[] = {"1.0", "1", "200", "OK", "agent", ""};
        for (int i = 0; i < 6; i++) {
            zmq_send(socket, parts[i], strlen(parts[i]), i < 5 ? ZMQ_SNDMORE : 0);
        }
    }
}

static int start_handler(void *context, bool plain, struct sl_error *err) {
    struct sl_zap *zap = NULL;
    if (!plain) {
        return sl_zap_start(context, DOMAIN, NULL, &zap, err);
    }
    void *socket = zmq_socket(context, ZMQ_REP);
    if (!socket || zmq_bind(socket, PLAIN_ENDPOINT) != 0) {
        return sl_fail(err, SL_IO, "%s", zmq_strerror(errno));
    }
    return zmq_threadstart(let_in, socket) ? SL_OK : -SL_NOMEM;
}

static int open_router(void *context, const char *endpoint, const char *secret_key, void **ret,
                       struct sl_error *err) {
    static const struct sl_zmq_option options[] = {{ZMQ_CURVE_SERVER, 1, "ZMQ_CURVE_SERVER"},
                                                   {ZMQ_BACKLOG, 4096, "ZMQ_BACKLOG"}};
    void *router = zmq_socket(context, ZMQ_ROUTER);
    int rc = router ? sl_zmq_set_common(router, 0, err) : -SL_IO;
    rc = rc ? rc : sl_zmq_set(router, options, 2, err);
    rc = rc ? rc : sl_zmq_set_text(router, ZMQ_CURVE_SECRETKEY, secret_key, "secret key", err);
    rc = rc ? rc : sl_zmq_set_text(router, ZMQ_ZAP_DOMAIN, DOMAIN, "ZAP domain", err);
    rc = rc ? rc : sl_zmq_enforce_domain(router, err);
    *ret = router;
    return rc || zmq_bind(router, endpoint) == 0 ? rc
                                                 : sl_fail(err, SL_IO, "%s", zmq_strerror(errno));
}

static void give_back(int64_t *trimmed_ns) {
    int64_t now_ns = sl_clock_mono().ns;
    if (now_ns - *trimmed_ns > TRIM_EVERY_NS) {
        *trimmed_ns = now_ns;
        if (mallinfo2().fordblks > TRIM_BYTES) {
            malloc_trim(0);
        }
    }
}

static void answer(void *router, const zmq_msg_t *id, size_t size) {
    static const uint8_t bytes[FLEET_DEVICES_MAX * FLEET_RENEWAL_BYTES];
    zmq_msg_t *to = (zmq_msg_t *)id;
    if (zmq_send(router, zmq_msg_data(to), zmq_msg_size(to), ZMQ_SNDMORE | ZMQ_DONTWAIT) >= 0) {
        zmq_send(router, bytes, size, ZMQ_DONTWAIT);
    }
}

int fleet_floor(const char *endpoint, const char *secret_key, uint32_t devices, bool plain) {
    struct sl_error err = {0};
    void *context = zmq_ctx_new();
    void *router = NULL;
    if (!plain) {
        mallopt(M_MMAP_THRESHOLD, APART_BYTES);
        mallopt(M_TRIM_THRESHOLD, (int)TRIM_BYTES);
    }
    if (!context || devices > FLEET_DEVICES_MAX || start_handler(context, plain, &err) ||
        open_router(context, endpoint, secret_key, &router, &err)) {
        fprintf(stderr, "floor: %s\n", err.text);
        return 1;
    }
    int64_t trimmed_ns = 0;
    zmq_msg_t id;
    zmq_msg_t message;
    zmq_msg_init(&id);
    zmq_msg_init(&message);
    for (uint64_t count = 1;
         zmq_msg_recv(&id, router, 0) >= 0 && zmq_msg_recv(&message, router, 0) >= 0; count++) {
        if (count % ANSWER_EVERY == 0) {
            answer(router, &id, (size_t)devices * FLEET_RENEWAL_BYTES);
        }
        if (!plain) {
            give_back(&trimmed_ns);
        }
    }
    return 1;
}
