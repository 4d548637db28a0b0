/* SPDX-License-Identifier: Apache-2.0
 * The partner of `ingest`: what libzmq and protobuf-c alone can take in. */
#include <stdio.h>
#include <string.h>
#include <zmq.h>

#include "proto/base/clock.h"
#include "proto/link/link.h"
#include "sluice.pb-c.h"
#include "tests/bench/fleet.h"

#define SAY_NS (100 * SL_NS_PER_MS)

static int open_sink(void *context, const char *endpoint, const char *secret_key,
                     void **ret_router) {
    int one = 1;
    void *router = zmq_socket(context, ZMQ_ROUTER);
    if (!router || zmq_setsockopt(router, ZMQ_CURVE_SERVER, &one, sizeof one) != 0 ||
        zmq_setsockopt(router, ZMQ_CURVE_SECRETKEY, secret_key, strlen(secret_key)) != 0 ||
        zmq_bind(router, endpoint) != 0) {
        fprintf(stderr, "sink: %s\n", zmq_strerror(zmq_errno()));
        return 1;
    }
    *ret_router = router;
    return 0;
}

int fleet_sink(const char *endpoint, const char *secret_key) {
    void *router = NULL;
    if (open_sink(zmq_ctx_new(), endpoint, secret_key, &router)) {
        return 1;
    }
    unsigned long long count = 0;
    unsigned long long devices = 0;
    int64_t said_ns = 0;
    zmq_msg_t id;
    zmq_msg_t message;
    zmq_msg_init(&id);
    zmq_msg_init(&message);
    while (zmq_msg_recv(&id, router, 0) >= 0 && zmq_msg_recv(&message, router, 0) >= 0) {
        Sluice__V1__Envelope *e =
            sluice__v1__envelope__unpack(NULL, zmq_msg_size(&message), zmq_msg_data(&message));
        if (e && e->body_case == SLUICE__V1__ENVELOPE__BODY_REPORT) {
            count++;
            devices += e->report->n_devices;
        }
        sluice__v1__envelope__free_unpacked(e, NULL);
        if (count % 64 == 0) {
            int64_t now_ns = sl_clock_mono().ns;
            if (now_ns - said_ns > SAY_NS) {
                said_ns = now_ns;
                printf("%lld %llu %llu\n", (long long)now_ns, count, devices);
                fflush(stdout);
            }
        }
    }
    return 1;
}
