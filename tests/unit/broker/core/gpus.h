/* SPDX-License-Identifier: Apache-2.0
 * What the tests of health do often, on a world: GPUs that report figures. */
#ifndef SLUICE_TESTS_UNIT_BROKER_CORE_GPUS_H
#define SLUICE_TESTS_UNIT_BROKER_CORE_GPUS_H

#include <string.h>

#include "tests/unit/broker/core/world.h"

static inline struct sl_policy_health shipped(void) {
    struct sl_policy_document document;
    sl_policy_document_default(&document);
    return document.health;
}

#define UUID "0123456789abcdef0123456789abcdef"

static inline struct sl_msg_device gpu(const char *key) {
    struct sl_msg_device device;
    world_device(&device, key);
    strcpy(device.uuid, UUID);
    device.telemetry.source = SL_TELEMETRY_NVML;
    sl_telemetry_set(&device.telemetry, SL_FIG_XIDS, 0);
    sl_telemetry_set(&device.telemetry, SL_FIG_CANARY_PASSED, 0);
    return device;
}

static inline void start(struct world *w) {
    struct sl_core_config config = world_config();
    config.policy.health = shipped();
    world_init(w, &config);
    world_price(w, 0, WORLD_PRICE);
    world_join(w, "a", 2);
}

static inline enum sl_mode mode(struct world *w, const char *device) {
    return world_view(w, device).wanted;
}

static inline void say(struct world *w, const struct sl_msg_device *device) {
    world_report_as(w, "a", device, 1, true);
}

static inline void fact(struct world *w, struct sl_msg_device *device, enum sl_figure figure,
                        int64_t value) {
    sl_telemetry_set(&device->telemetry, figure, value);
    say(w, device);
}

static inline void give_xid(struct world *w, struct sl_msg_device *device, uint16_t number) {
    device->telemetry.xids[0] = number;
    device->telemetry.xid_count = 1;
    fact(w, device, SL_FIG_XIDS, device->telemetry.figures[SL_FIG_XIDS] + 1);
}

static inline enum sl_health_state health(struct world *w, const char *key) {
    return world_view(w, key).health.state;
}

#endif
