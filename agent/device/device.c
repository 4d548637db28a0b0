/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/device/device.h"

#include <stdlib.h>
#include <string.h>

void sl_device_cmd_fini(struct sl_device_cmd *cmd) {
    sl_job_unref(cmd->job);
    free(cmd->unit);
    memset(cmd, 0, sizeof *cmd);
}

void sl_device_event_fini(struct sl_device_event *event) {
    switch (event->kind) {
    case SL_DEVEV_READY:
    case SL_DEVEV_STATS:
        free(event->report);
        break;
    case SL_DEVEV_LINE:
        free(event->line.vector);
        break;
    case SL_DEVEV_INVALID:
    case SL_DEVEV_FAILED:
    case SL_DEVEV_CANARY:
    case SL_DEVEV_HALTED:
    case SL_DEVEV_STARTED:
    case SL_DEVEV_CANDIDATE:
    case SL_DEVEV_UNIT_DONE:
    case SL_DEVEV_NEED_WORK:
    case SL_DEVEV_JOB_STARTED:
        break;
    }
    memset(event, 0, sizeof *event);
}
