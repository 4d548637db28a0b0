/* SPDX-License-Identifier: Apache-2.0
 * What a device said last. A site has 100,000 of them, so each is kept packed, as it came on the
 * wire, and only what decisions are made from lies open (struct sl_core_report). Screens unpack. */
#include "broker/core/said.h"

#include <stdlib.h>
#include <string.h>

#include "broker/core/core_internal.h"
#include "proto/wire/codec.h"

/* Room is given in steps, so that growing figures seldom move it. */
#define STEP 16

static void keep_bytes(struct sl_core_report *own, const uint8_t *data, uint32_t size) {
    uint32_t room = (own->size + STEP - 1) / STEP * STEP;
    if (size > room || size + 4 * STEP < room) {
        free(own->bytes);
        own->bytes = sl_core_calloc(1, (size + STEP - 1) / STEP * STEP);
    }
    memcpy(own->bytes, data, size);
    own->size = size;
}

static void keep_packed(struct sl_core_report *own, const struct sl_msg_device *report,
                        const struct sl_msg_bytes *bytes) {
    if (bytes) {
        keep_bytes(own, bytes->data, bytes->size);
        return;
    }
    SL_AUTO_BUF struct sl_buf packed = {0};
    if (sl_msg_device_pack(report, &packed, NULL) == SL_OK) {
        keep_bytes(own, (const uint8_t *)packed.data, (uint32_t)packed.len);
    }
}

static void drop_models(struct sl_broker_core *core, struct sl_core_report *own) {
    for (uint32_t i = 0; i < own->model_count; i++) {
        sl_core_name_drop(core, own->models[i].id);
    }
    free(own->models);
    own->models = NULL;
    own->model_count = 0;
}

static bool same_models(const struct sl_core_report *own, const struct sl_msg_device *report) {
    bool same = own->model_count == report->model_count;
    for (uint32_t i = 0; same && i < report->model_count; i++) {
        same = strcmp(own->models[i].id, report->models[i].id) == 0;
    }
    return same;
}

static void keep_models(struct sl_broker_core *core, struct sl_core_report *own,
                        const struct sl_msg_device *report) {
    if (!same_models(own, report)) {
        uint32_t count =
            report->model_count < SL_MSG_MODELS_MAX ? report->model_count : SL_MSG_MODELS_MAX;
        drop_models(core, own);
        own->models = count ? sl_core_calloc(count, sizeof *own->models) : NULL;
        own->model_count = (uint8_t)count;
        for (uint32_t i = 0; i < count; i++) {
            own->models[i].id = sl_core_name_take(core, report->models[i].id);
        }
    }
    for (uint32_t i = 0; i < own->model_count; i++) {
        own->models[i].tokens_per_s_milli = report->models[i].tokens_per_s_milli;
        memcpy(own->models[i].length_rates_milli, report->models[i].length_rates_milli,
               sizeof own->models[i].length_rates_milli);
    }
}

/* Over an hour a switch is as dear as it gets. */
static uint32_t short_us(uint64_t us) {
    return us < UINT32_MAX ? (uint32_t)us : UINT32_MAX;
}

static uint64_t token_rate(const struct sl_msg_device *report) {
    uint64_t busy_ms = report->busy_ms[SL_MODE_INFER];
    if (busy_ms == 0 || report->tokens_total == 0) {
        return 0;
    }
    return (uint64_t)((sl_i128)report->tokens_total * 1000000 / busy_ms);
}

void sl_core_report_keep(struct sl_broker_core *core, uint32_t dev,
                         const struct sl_msg_device *report, const struct sl_msg_bytes *bytes) {
    struct sl_core_report *own = &core->fleet.cold[dev].report;
    keep_packed(own, report, bytes);
    if (!own->name || strcmp(own->name, report->name) != 0) {
        const char *name = sl_core_name_take(core, report->name);
        sl_core_name_drop(core, own->name);
        own->name = name;
    }
    keep_models(core, own, report);
    own->ill = report->health[0] != '\0';
    own->safe = report->safe;
    own->mode = (uint8_t)((unsigned)report->mode < SL_MODE_COUNT ? report->mode : SL_MODE_INVALID);
    own->epoch = report->epoch;
    own->token_rate_milli = token_rate(report);
    own->units_held = report->units_held;
    own->lines_held = report->lines_held;
    for (int m = SL_MODE_IDLE; m < SL_MODE_COUNT; m++) {
        own->watts_source[m - 1] = (uint8_t)report->watts[m].source;
        own->watts_mw[m - 1] = report->watts[m].mw;
        for (int to = SL_MODE_IDLE; to < SL_MODE_COUNT; to++) {
            own->switch_us[m - 1][to - 1] = short_us(report->switch_us[m][to]);
        }
    }
}

void sl_core_report_get(const struct sl_broker_core *core, uint32_t dev,
                        struct sl_msg_device *ret_device) {
    const struct sl_core_device *cold = &core->fleet.cold[dev];
    memset(ret_device, 0, sizeof *ret_device);
    if (cold->report.size > 0) {
        int rc = sl_msg_device_unpack(cold->report.bytes, cold->report.size, ret_device, NULL);
        sl_assert(rc == SL_OK); /* it was decoded or packed by us */
    }
    sl_text_copy(ret_device->key, sizeof ret_device->key, cold->key);
}

void sl_core_report_drop(struct sl_broker_core *core, uint32_t dev) {
    struct sl_core_report *own = &core->fleet.cold[dev].report;
    drop_models(core, own);
    sl_core_name_drop(core, own->name);
    free(own->bytes);
    memset(own, 0, sizeof *own);
}

const char *sl_core_class_name(const struct sl_broker_core *core, uint32_t dev) {
    const char *name = core->fleet.cold[dev].report.name;
    return name ? name : "";
}

struct sl_watts sl_core_watts(const struct sl_broker_core *core, uint32_t dev, unsigned mode) {
    const struct sl_core_report *own = &core->fleet.cold[dev].report;
    if (mode < SL_MODE_IDLE || mode >= SL_MODE_COUNT) {
        return (struct sl_watts){0};
    }
    return (struct sl_watts){.source = (enum sl_source)own->watts_source[mode - 1],
                             .mw = own->watts_mw[mode - 1]};
}

int64_t sl_core_switch_us(const struct sl_broker_core *core, uint32_t dev, unsigned from,
                          unsigned to) {
    bool known =
        from >= SL_MODE_IDLE && from < SL_MODE_COUNT && to >= SL_MODE_IDLE && to < SL_MODE_COUNT;
    return known ? core->fleet.cold[dev].report.switch_us[from - 1][to - 1] : 0;
}
