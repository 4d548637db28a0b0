/* SPDX-License-Identifier: Apache-2.0
 * Inside of the second socket: accepts TCP connections within limits and passes their bytes on to a
 * local socket and back, unread. Addresses and times are given, so that tests need neither a clock
 * nor a flood. Thread: one. */
#ifndef SLUICE_PROTO_LINK_JOIN_FRONT_H
#define SLUICE_PROTO_LINK_JOIN_FRONT_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "proto/base/cleanup.h"
#include "proto/base/clock.h"
#include "proto/base/error.h"

#define SL_FRONT_CONNECTIONS_MAX 256
#define SL_FRONT_BYTES_MAX 16384 /* one message with its handshake takes less than half */

struct sl_front_config {
    int listener;      /* listening TCP socket, non-blocking; owned by the front from then on */
    const char *inner; /* name of an abstract local socket, without its leading NUL */
    int connections_max;
    int address_max;
    int accepts_per_s;
    int64_t life_ms;
};

struct sl_front;

int sl_front_create(const struct sl_front_config *config, struct sl_front **ret_front,
                    struct sl_error *err);
void sl_front_destroy(struct sl_front *front);
SL_DEFINE_AUTO(sl_front, sl_front_destroy)

#define SL_FRONT_POLLS_MAX (1 + 2 * SL_FRONT_CONNECTIONS_MAX)
/* What it waits for, into polls[]; their number. *ret_wait_ms: at most so long; -1: for ever. */
int sl_front_polls(struct sl_front *front, struct sl_mono now, struct pollfd *polls,
                   int64_t *ret_wait_ms);
/* Accepts, passes on and closes what is due; polls as filled by the call before and poll(2). */
void sl_front_turn(struct sl_front *front, struct sl_mono now, const struct pollfd *polls,
                   int count);

struct sl_front_stats {
    uint64_t accepted, refused;
    int open;
};
void sl_front_stats(const struct sl_front *front, struct sl_front_stats *ret_stats);

#endif
