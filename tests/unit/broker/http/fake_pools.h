/* SPDX-License-Identifier: Apache-2.0
 * A core for tests of views, and its side of view.h about pools. For one file of a program. */
#ifndef SLUICE_TESTS_UNIT_BROKER_HTTP_FAKE_POOLS_H
#define SLUICE_TESTS_UNIT_BROKER_HTTP_FAKE_POOLS_H

#include "broker/core/view.h"

/* The core's side of view.h, with figures that must all be told apart. */
struct sl_broker_core {
    bool fresh; /* nothing was ever measured */
};

bool sl_view_pool_get(const struct sl_broker_core *core, struct sl_now now, uint32_t index,
                      struct sl_view_pool *ret_view) {
    (void)now;
    *ret_view = (struct sl_view_pool){
        .row = {.name = "a\"b",
                .accepted = 11,
                .stale = 12,
                .rejected = 10,
                .unknown = 13,
                .duplicate = 1,
                .low = 2,
                .unauthorised = 3,
                .work = (sl_i128)INT64_MAX * 2,
                .amount_nusd = 50000000},
        .url = "stratum+tcp://a:1",
        .nodes = 2,
        .nodes_working = 2,
        .fallbacks = 1,
        .share_age_ms = core->fresh ? -1 : 5,
        .latency_us_p50 = 1500,
        .latency_us_p99 = 2000000,
        .measured_hs = core->fresh ? -1 : 1000,
        .effective_hs = core->fresh ? -1 : 950,
        .figures = {.effective_permille = core->fresh ? -1 : 950, .reject_permille = -1}};
    return index == 0;
}

bool sl_view_node_pool_get(const struct sl_broker_core *core, uint32_t node, uint32_t index,
                           struct sl_msg_pool *ret_pool) {
    (void)core;
    *ret_pool = (struct sl_msg_pool){.name = "a\"b", .connected = true, .url_index = 1};
    return node == 0 && index == 0;
}

#endif
