/* SPDX-License-Identifier: Apache-2.0
 * The devices' sensors, read into the core. The service never waits for a driver, so that this is
 * a copy from memory once in an interval. */
#include "agent/shell/agent.h"

#define READ_MS_MAX 1000

int sl_agent_sensors_open(struct sl_agent *agent, const struct sl_agent_device_config *devices,
                          struct sl_error *err) {
    const struct sl_device_info *infos[SL_AGENT_DEVICES_MAX];
    struct sl_telemetry_config config = {.root = agent->options.sysfs_root,
                                         .nvml_library = agent->options.nvml_library,
                                         .interval_ms = agent->options.telemetry_ms,
                                         .stale_ms = agent->options.telemetry_stale_ms};
    for (uint32_t i = 0; i < agent->device_count; i++) {
        infos[i] = &devices[i].info;
    }
    return sl_telemetry_create(&config, infos, agent->device_count, &agent->telemetry, err);
}

static void on_sensors(uv_timer_t *timer) {
    struct sl_agent *agent = timer->data;
    for (uint32_t i = 0; i < agent->device_count; i++) {
        struct sl_msg_telemetry reading;
        sl_telemetry_get(agent->telemetry, i, &reading);
        sl_agent_telemetry(agent->core, sl_clock_now(), i, &reading);
        sl_agent_carry_out(agent);
    }
}

void sl_agent_sensors_start(struct sl_agent *agent) {
    int64_t ms = agent->options.telemetry_ms;
    uv_timer_init(&agent->loop, &agent->sensors);
    agent->sensors.data = agent;
    if (ms > 0) {
        ms = ms < READ_MS_MAX ? ms : READ_MS_MAX; /* staleness is seen within a second */
        uv_timer_start(&agent->sensors, on_sensors, 0, (uint64_t)ms);
    }
}
