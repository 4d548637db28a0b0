/* SPDX-License-Identifier: Apache-2.0
 * What a device said last. A site has 100,000 of them, so each is kept packed, as it came on the
 * wire, and only what decisions are made from lies open (struct sl_core_report). Screens unpack.
 *
 * Of the packed bytes the key is left out, which the fleet has, and the fields after it that say
 * what kind of device this is (its head: name, driver, size) are kept once for all that say the
 * same. Put together again they are the bytes that came: fields stand by rising number. */
#include "broker/core/said.h"

#include <stdlib.h>
#include <string.h>

#include "broker/core/core_internal.h"
#include "broker/core/model_file.h"
#include "proto/wire/codec.h"
#include "proto/wire/msg_telemetry.h"

/* Room is given in steps, so that growing figures seldom move it. */
#define STEP 16
#define FIELD_KEY 1
#define FIELD_HEAD_FIRST 2 /* name, driver; then, unless a device is ill: is_cpu, ... */
#define FIELD_HEALTH 4
#define FIELD_HEAD_LAST 7 /* memory_bytes */
#define WIRE_VARINT 0
#define WIRE_BYTES 2

/* Where the field at *at ends, or `end`: not of the kinds that stand in a head. */
static const uint8_t *field_end(const uint8_t *at, const uint8_t *end) {
    const uint8_t *p = at + 1; /* numbers below 16: one byte */
    uint64_t value = 0;
    for (int shift = 0; p < end && shift < 64; shift += 7) {
        value |= (uint64_t)(*p & 0x7f) << shift;
        if (*p++ < 0x80) {
            break;
        }
    }
    if ((*at & 7) == WIRE_VARINT) {
        return p;
    }
    bool whole = (*at & 7) == WIRE_BYTES && value <= (uint64_t)(end - p);
    return whole ? p + value : end;
}

/* Behind the key; `data` where no key stands first. */
static const uint8_t *head_of(const uint8_t *data, const uint8_t *end) {
    bool key = data < end && *data == (FIELD_KEY << 3 | WIRE_BYTES);
    return key ? field_end(data, end) : data;
}

static const uint8_t *body_of(const uint8_t *head, const uint8_t *end) {
    while (head<end && * head<0x80 && *head>> 3 >= FIELD_HEAD_FIRST &&
           *head >> 3 <= FIELD_HEAD_LAST && *head >> 3 != FIELD_HEALTH) {
        head = field_end(head, end);
    }
    return head;
}

/* Kept among the names, so it must be a text; what we and our agents pack never has a zero byte. */
static bool keep_head(struct sl_broker_core *core, struct sl_core_report *own, const uint8_t *head,
                      size_t size) {
    if (own->head && strlen(own->head) == size && memcmp(own->head, head, size) == 0) {
        return true;
    }
    sl_core_name_drop(core, own->head);
    own->head = NULL;
    char text[SL_MSG_NAME_MAX * 4];
    if (size == 0 || size >= sizeof text || memchr(head, 0, size)) {
        return false;
    }
    memcpy(text, head, size);
    text[size] = '\0';
    own->head = sl_core_name_take(core, text);
    return true;
}

static void keep_bytes(struct sl_core_report *own, const uint8_t *data, uint32_t size) {
    uint32_t room = (own->size + STEP - 1) / STEP * STEP;
    if (size > room || size + 4 * STEP < room) {
        free(own->bytes);
        own->bytes = sl_core_calloc(1, (size + STEP - 1) / STEP * STEP);
    }
    memcpy(own->bytes, data, size);
    own->size = size;
}

static void keep_parts(struct sl_broker_core *core, struct sl_core_report *own, const uint8_t *data,
                       size_t size) {
    const uint8_t *end = data + size;
    const uint8_t *head = head_of(data, end);
    const uint8_t *body = body_of(head, end);
    body = keep_head(core, own, head, (size_t)(body - head)) ? body : head;
    keep_bytes(own, body, (uint32_t)(end - body));
}

static void keep_packed(struct sl_broker_core *core, struct sl_core_report *own,
                        const struct sl_msg_device *report, const struct sl_msg_bytes *bytes) {
    if (bytes) {
        keep_parts(core, own, bytes->data, bytes->size);
        return;
    }
    SL_AUTO_BUF struct sl_buf packed = {0};
    if (sl_msg_device_pack(report, &packed, NULL) == SL_OK) {
        keep_parts(core, own, (const uint8_t *)packed.data, packed.len);
    }
}

static void drop_models(struct sl_broker_core *core, struct sl_core_report *own) {
    for (uint32_t i = 0; i < own->model_count; i++) {
        sl_core_name_drop(core, own->models[i].id);
        sl_core_name_drop(core, own->models[i].file);
        free(own->models[i].length_rates_milli);
    }
    free(own->models);
    own->models = NULL;
    own->model_count = 0;
}

static bool same_models(const struct sl_core_report *own, const struct sl_msg_device *report) {
    bool same = own->model_count == report->model_count;
    for (uint32_t i = 0; same && i < report->model_count; i++) {
        same = strcmp(own->models[i].id, report->models[i].id) == 0 &&
               sl_core_file_is(own->models[i].file, report->models[i].sha256);
    }
    return same;
}

static void keep_lengths(struct sl_core_model *own, const uint64_t rates_milli[SL_LENGTHS]) {
    if (!own->length_rates_milli && !sl_throughput_by_length(rates_milli)) {
        return;
    }
    if (!own->length_rates_milli) {
        own->length_rates_milli = sl_core_calloc(SL_LENGTHS, sizeof rates_milli[0]);
    }
    memcpy(own->length_rates_milli, rates_milli, SL_LENGTHS * sizeof rates_milli[0]);
}

const uint64_t *sl_core_length_rates(const struct sl_core_model *model) {
    static const uint64_t none[SL_LENGTHS];
    return model->length_rates_milli ? model->length_rates_milli : none;
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
            const struct sl_msg_model *from = &report->models[i];
            own->models[i].id = sl_core_name_take(core, from->id);
            own->models[i].file = sl_core_file_take(core, from->id, from->sha256);
        }
    }
    for (uint32_t i = 0; i < own->model_count; i++) {
        own->models[i].tokens_per_s_milli = report->models[i].tokens_per_s_milli;
        keep_lengths(&own->models[i], report->models[i].length_rates_milli);
    }
}

/* Power that no device can draw is posted to nobody, whatever an agent says. */
static struct sl_watts believed(struct sl_watts watts) {
    bool absurd = watts.source == SL_SOURCE_MEASURED && !sl_watts_plausible(watts.mw);
    return absurd ? (struct sl_watts){SL_SOURCE_UNKNOWN, 0} : watts;
}

/* Over an hour a switch is as dear as it gets. */
static uint32_t short_us(uint64_t us) {
    return us < UINT32_MAX ? (uint32_t)us : UINT32_MAX;
}

/* Where the costs of going `from` one mode `to` another stand; a mode to itself costs nothing. */
static unsigned pair_of(unsigned from, unsigned to) {
    return (from - SL_MODE_IDLE) * (SL_MODE_COUNT - 2) + (to - SL_MODE_IDLE) - (to > from ? 1 : 0);
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
    keep_packed(core, own, report, bytes);
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
    own->holds = report->units_held > 0 || report->lines_held > 0;
    for (unsigned m = SL_MODE_IDLE; m < SL_MODE_COUNT; m++) {
        struct sl_watts watts = believed(report->watts[m]);
        own->watts_source[m - 1] = (uint8_t)watts.source;
        own->watts_mw[m - 1] = watts.mw;
        for (unsigned to = SL_MODE_IDLE; to < SL_MODE_COUNT; to++) {
            if (to != m) {
                own->switch_us[pair_of(m, to)] = short_us(report->switch_us[m][to]);
            }
        }
    }
}

void sl_core_report_bytes(const struct sl_broker_core *core, uint32_t dev, struct sl_buf *out) {
    const struct sl_core_device *cold = &core->fleet.cold[dev];
    const struct sl_core_report *own = &cold->report;
    size_t key = strlen(cold->key);
    _Static_assert(SL_MSG_KEY_MAX <= 128, "the key's length is one byte");
    const char begin[2] = {FIELD_KEY << 3 | WIRE_BYTES, (char)key};
    sl_buf_append(out, begin, sizeof begin);
    sl_buf_append(out, cold->key, key);
    sl_buf_append(out, own->head ? own->head : "", own->head ? strlen(own->head) : 0);
    sl_buf_append(out, own->bytes ? (const char *)own->bytes : "", own->size);
    sl_assert(!out->failed);
}

void sl_core_report_get(const struct sl_broker_core *core, uint32_t dev,
                        struct sl_msg_device *ret_device) {
    const struct sl_core_device *cold = &core->fleet.cold[dev];
    memset(ret_device, 0, sizeof *ret_device);
    if (cold->report.name) {
        SL_AUTO_BUF struct sl_buf packed = {0};
        sl_core_report_bytes(core, dev, &packed);
        int rc = sl_msg_device_unpack((const uint8_t *)packed.data, packed.len, ret_device, NULL);
        sl_assert(rc == SL_OK); /* it was decoded or packed by us */
    }
    for (int m = SL_MODE_IDLE; m < SL_MODE_COUNT; m++) {
        ret_device->watts[m] = believed(ret_device->watts[m]);
    }
    sl_text_copy(ret_device->key, sizeof ret_device->key, cold->key);
}

void sl_core_report_drop(struct sl_broker_core *core, uint32_t dev) {
    struct sl_core_report *own = &core->fleet.cold[dev].report;
    drop_models(core, own);
    sl_core_name_drop(core, own->name);
    sl_core_name_drop(core, own->head);
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
    return known && from != to ? core->fleet.cold[dev].report.switch_us[pair_of(from, to)] : 0;
}
