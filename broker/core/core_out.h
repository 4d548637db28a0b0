/* SPDX-License-Identifier: Apache-2.0
 * Commands on their way out (outbox.c). Private to broker/core and its tests. */
#ifndef SLUICE_BROKER_CORE_CORE_OUT_H
#define SLUICE_BROKER_CORE_CORE_OUT_H

#include "broker/core/core.h"

struct sl_core_item {
    struct sl_core_command command;
    uint64_t ticket;
    uint32_t node;    /* SL_CORE_NONE: to the peer whoever it is */
    uint64_t session; /* dropped when the node's session is another by then */
    uint32_t device;  /* directives: whose ttl starts when it leaves */
    uint64_t epoch;
};
struct sl_core_ring {
    struct sl_core_item *items; /* [cap] */
    size_t head, count, cap;
};
/* Order of leaving: texts of units and answers (which wake clients) stand in no move's way. */
enum sl_core_rank { SL_RANK_STORE, SL_RANK_SEND, SL_RANK_REST, SL_CORE_RANKS };

#endif
