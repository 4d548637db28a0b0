/* SPDX-License-Identifier: Apache-2.0
 * A broker that is behind its agents: how many of their messages were given up unread
 * (proto/link/unread.h), in all since the start, and as an event for people at most once a minute.
 * Nothing is lost by it: agents send again what is not acknowledged, and report anew. */
#ifndef SLUICE_BROKER_CORE_BEHIND_H
#define SLUICE_BROKER_CORE_BEHIND_H

#include <stdint.h>

#include "proto/base/clock.h"

struct sl_core_behind {
    uint64_t dropped, noted; /* since the start; as the last event told */
    struct sl_mono noted_at;
};

struct sl_broker_core;

/* What the link says, a total that only grows. */
void sl_core_behind(struct sl_broker_core *core, uint64_t dropped);
void sl_core_behind_sweep(struct sl_broker_core *core);

#endif
