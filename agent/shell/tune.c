/* SPDX-License-Identifier: Apache-2.0
 * sluice-agent tune: everything that a start does to the devices, and no work. What was tuned is
 * kept for the next start. */
#include <stdio.h>
#include <stdlib.h>

#include "agent/shell/agent.h"

#define EVENTS_MAX 4096

static void print_ready(const struct sl_device_report *report) {
    const struct sl_device_stats *stats = &report->stats;
    printf("%s (%s)\n", report->info.key, report->info.name);
    if (stats->hash_rate_hs > 0) {
        printf("  sha256d      %12.2f MH/s\n", (double)stats->hash_rate_hs / 1e6);
    }
    for (uint32_t i = 0; i < stats->model_count; i++) {
        printf("  %-12s %12.0f tokens/s\n", stats->models[i].id,
               (double)stats->models[i].tokens_per_s_milli / 1e3);
    }
}

/* Until every device is ready or has failed. */
static int wait_for_all(struct sl_agent *agent, struct sl_error *err) {
    uint32_t failed = 0;
    for (uint32_t left = agent->device_count; left > 0;) {
        struct sl_device_event event;
        if (sl_mailbox_take_wait(agent->events, -1, &event) != SL_OK) {
            return sl_fail(err, SL_CLOSED, "the devices' events ended");
        }
        if (event.kind == SL_DEVEV_READY) {
            print_ready(event.report);
            left--;
        } else if (event.kind == SL_DEVEV_FAILED) {
            printf("device %u: %s\n", event.device, event.text);
            failed++;
            left--;
        }
        sl_device_event_fini(&event);
    }
    return failed ? sl_fail(err, SL_DEVICE, "%u of %u devices failed", failed, agent->device_count)
                  : SL_OK;
}

int sl_agent_tune(struct sl_agent *agent, struct sl_error *err) {
    struct sl_agent_device_config *devices = calloc(SL_AGENT_DEVICES_MAX, sizeof *devices);
    if (!devices) {
        return sl_fail(err, SL_NOMEM, "no memory for the devices");
    }
    /* For its lock: a running agent's devices would be in the way, and keep other figures. */
    int rc = sl_agent_open_journal(agent, err);
    rc = rc ? rc : sl_agent_load_models(agent, err);
    rc = rc ? rc : sl_agent_find_devices(agent, devices, err);
    rc = rc ? rc
            : sl_mailbox_create(sizeof(struct sl_device_event), EVENTS_MAX, &agent->events, err);
    rc = rc ? rc : sl_agent_create_devices(agent, err);
    free(devices);
    return rc ? rc : wait_for_all(agent, err);
}
