/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/core/view_health.h"

#include "broker/core/core_internal.h"
#include "proto/base/text.h"

/* Faulty by our own count of its results, or by its agent's word. */
static void fault_of(const struct sl_broker_core *core, uint32_t dev, struct sl_view_health *view) {
    if (core->fleet.state[dev] != SL_DEVICE_FAULTY) {
        return;
    }
    bool ours = core->fleet.broken[dev];
    view->fault =
        ours ? "its results were wrong" : "its agent says so: trouble in `sluice devices`";
    view->fault_way_back = ours ? "`sluice resume DEVICE`, or a restart of its agent"
                                : "its agent finds it well again";
}

bool sl_view_health_get(const struct sl_broker_core *core, uint32_t index,
                        struct sl_view_health *ret_view) {
    if (index >= core->fleet.count) {
        return false;
    }
    const struct sl_core_health *h = sl_core_health_of(core, index);
    *ret_view = (struct sl_view_health){
        .key = core->fleet.cold[index].key,
        .node = core->nodes[core->fleet.node[index]].name,
        .uuid = h->uuid ? h->uuid : "",
        .state = (enum sl_health_state)h->state,
        .cause = (enum sl_figure)h->cause,
        .code = h->code,
        .text = h->text ? h->text : "",
        .way_back = h->state == SL_HEALTH_OK && h->rma
                        ? "marked for repair until `sluice health clear DEVICE`"
                        : sl_health_way_back((enum sl_health_state)h->state),
        .since = {h->since_ms},
        .incidents = h->incidents,
        .rma = h->rma,
        .doubt = sl_core_claims_doubt(core, index),
    };
    fault_of(core, index, ret_view);
    return true;
}

void sl_view_telemetry_now(const struct sl_broker_core *core, uint32_t index,
                           struct sl_msg_telemetry *telemetry) {
    if (core->fleet.state[index] != SL_DEVICE_LOST) {
        return;
    }
    for (uint32_t i = 0; i < SL_FIG_COUNT; i++) {
        if (!sl_figure_info(i)->counts) {
            sl_telemetry_forget(telemetry, (enum sl_figure)i);
        }
    }
    sl_text_copy(telemetry->note, sizeof telemetry->note,
                 "its agent is away, or does not have it any more");
}

bool sl_view_telemetry_get(const struct sl_broker_core *core, uint32_t index,
                           struct sl_msg_telemetry *ret_telemetry) {
    struct sl_msg_device device;
    if (index >= core->fleet.count) {
        return false;
    }
    sl_core_report_get(core, index, &device);
    *ret_telemetry = device.telemetry;
    sl_view_telemetry_now(core, index, ret_telemetry);
    return true;
}
