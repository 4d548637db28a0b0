/* SPDX-License-Identifier: Apache-2.0
 * What a device said last. A site has 100,000 of them, so each is kept packed, as it came on the
 * wire, and only what decisions are made from lies open (struct sl_core_report). Screens unpack.
 *
 * Of the packed bytes three parts are left out: the key, which the fleet has; the fields after it
 * that say what kind of device this is (its head: name, driver, size), kept once for all that say
 * the same; and what lies open whole: mode and epoch, models, the costs of a switch, and where they
 * are as they were said, the hash rate, the highest epoch and the watts. These share their field
 * with the times spent in each mode, which then stand before the bytes. Models, their rates by
 * length and the bytes share one block. */
#include "broker/core/said.h"

#include <stdlib.h>
#include <string.h>

#include "broker/core/core_internal.h"
#include "broker/core/model_file.h"
#include "proto/wire/codec.h"
#include "proto/wire/msg_telemetry.h"

#define SHRINKS 64
#define FIELD_KEY 1
#define FIELD_HEAD_FIRST 2 /* name, driver; then, unless a device is ill: is_cpu, ... */
#define FIELD_HEALTH 4
#define FIELD_HEAD_LAST 7 /* memory_bytes */
#define FIELD_EPOCH_MAX 8
#define FIELD_EPOCH 9
#define FIELD_MODE 10
#define FIELD_SAFE 11
#define FIELD_RATE 12
#define FIELD_STATES 17 /* of modes: time spent and watts */
#define FIELD_SWITCHES 18
#define FIELD_MODELS 24
#define FIELDS 64 /* that a set has room for */
#define WIRE_VARINT 0
#define WIRE_BYTES 2
#define LENGTHS_BYTES (SL_LENGTHS * sizeof(uint64_t))
#define KEPT_AT_ONCE 512                     /* bytes of a body that is gone through once only */
#define TIMES_MAX (10 * (SL_MODE_COUNT - 1)) /* bytes */

static const uint8_t *read_varint(const uint8_t *p, const uint8_t *end, uint64_t *ret_value) {
    *ret_value = 0;
    for (int shift = 0; p < end && shift < 64; shift += 7) {
        *ret_value |= (uint64_t)(*p & 0x7f) << shift;
        if (*p++ < 0x80) {
            break;
        }
    }
    return p;
}

static uint8_t *write_varint(uint8_t *p, uint64_t value) {
    for (; value >= 0x80; value >>= 7) {
        *p++ = (uint8_t)(value | 0x80);
    }
    *p++ = (uint8_t)value;
    return p;
}

/* Where the field at `at` ends; `end` for kinds of fields that a device does not have. */
static const uint8_t *field_end(const uint8_t *at, const uint8_t *end, uint64_t *ret_number) {
    uint64_t tag = 0;
    uint64_t value = 0;
    const uint8_t *p = read_varint(at, end, &tag);
    *ret_number = tag >> 3;
    p = read_varint(p, end, &value);
    if ((tag & 7) == WIRE_VARINT) {
        return p;
    }
    bool whole = (tag & 7) == WIRE_BYTES && value <= (uint64_t)(end - p);
    return whole ? p + value : end;
}

/* Behind the key; `data` where no key stands first. */
static const uint8_t *head_of(const uint8_t *data, const uint8_t *end) {
    uint64_t number = 0;
    const uint8_t *next = field_end(data, end, &number);
    return data < end && number == FIELD_KEY ? next : data;
}

static const uint8_t *body_of(const uint8_t *head, const uint8_t *end) {
    while (head < end) {
        uint64_t number = 0;
        const uint8_t *next = field_end(head, end, &number);
        if (number < FIELD_HEAD_FIRST || number > FIELD_HEAD_LAST || number == FIELD_HEALTH) {
            break;
        }
        head = next;
    }
    return head;
}

static uint64_t field_bit(uint64_t number) {
    return number < FIELDS ? UINT64_C(1) << number : 0;
}

/* The set of fields that are not kept packed. */
static uint64_t open_fields(const struct sl_core_report *own) {
    uint64_t always = field_bit(FIELD_EPOCH) | field_bit(FIELD_MODE) | field_bit(FIELD_SAFE) |
                      field_bit(FIELD_SWITCHES) | field_bit(FIELD_MODELS);
    return always | (own->epoch_is_max ? field_bit(FIELD_EPOCH_MAX) : 0) |
           (own->rate_open ? field_bit(FIELD_RATE) : 0) |
           (own->watts_open ? field_bit(FIELD_STATES) : 0);
}

/* The body without what lies open, into `to`, or nowhere if that is NULL. Returns its size. */
static uint32_t strip(uint64_t open, const uint8_t *body, const uint8_t *end, uint8_t *to) {
    uint32_t size = 0;
    while (body < end) {
        uint64_t number = 0;
        const uint8_t *next = field_end(body, end, &number);
        if (!(open & field_bit(number))) {
            if (to) {
                memcpy(to + size, body, (size_t)(next - body));
            }
            size += (uint32_t)(next - body);
        }
        body = next;
    }
    return size;
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

/* ---- the block ---- */

static size_t front_bytes(uint32_t models, uint32_t lengths) {
    return models * sizeof(struct sl_core_model) + lengths * LENGTHS_BYTES;
}

static uint8_t *bytes_of(const struct sl_core_report *own) {
    return own->block ? (uint8_t *)own->block + front_bytes(own->model_count, own->lengths_count)
                      : NULL;
}

const uint64_t *sl_core_length_rates(const struct sl_core_model *model) {
    static const uint64_t none[SL_LENGTHS];
    return model->lengths ? (const uint64_t *)(const void *)((const char *)model + model->lengths)
                          : none;
}

static bool same_models(const struct sl_core_report *own, const struct sl_msg_device *report,
                        uint32_t count) {
    const struct sl_core_model *models = sl_core_models(own);
    bool same = own->model_count == count;
    for (uint32_t i = 0; same && i < count; i++) {
        same = strcmp(models[i].id, report->models[i].id) == 0 &&
               sl_core_file_is(models[i].file, report->models[i].sha256);
    }
    return same;
}

static void drop_models(struct sl_broker_core *core, const struct sl_core_report *own) {
    const struct sl_core_model *models = sl_core_models(own);
    for (uint32_t i = 0; i < own->model_count; i++) {
        sl_core_name_drop(core, models[i].id);
        sl_core_name_drop(core, models[i].file);
    }
}

/* Their names are held, by the block of before or anew. Returns how many have rates by length. */
static uint32_t take_models(struct sl_broker_core *core, const struct sl_core_report *own,
                            const struct sl_msg_device *report, uint32_t count,
                            struct sl_core_model *ret_models) {
    bool same = same_models(own, report, count);
    uint32_t lengths = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct sl_msg_model *from = &report->models[i];
        struct sl_core_model *to = &ret_models[i];
        to->id = same ? sl_core_models(own)[i].id : sl_core_name_take(core, from->id);
        to->file =
            same ? sl_core_models(own)[i].file : sl_core_file_take(core, from->id, from->sha256);
        to->tokens_per_s_milli = from->tokens_per_s_milli;
        to->limit = from->max_tokens & ~SL_CORE_MODEL_CUTS;
        to->limit |= from->truncate ? SL_CORE_MODEL_CUTS : 0;
        to->lengths = 0;
        if (sl_throughput_by_length(from->length_rates_milli)) {
            to->lengths = (uint32_t)(front_bytes(count, lengths) - front_bytes(i, 0));
            lengths++;
        }
    }
    if (!same) {
        drop_models(core, own);
    }
    return lengths;
}

static void keep_block(struct sl_broker_core *core, struct sl_core_report *own,
                       const struct sl_msg_device *report, const uint8_t *body,
                       const uint8_t *end) {
    struct sl_core_model models[SL_MSG_MODELS_MAX];
    uint32_t count =
        report->model_count < SL_MSG_MODELS_MAX ? report->model_count : SL_MSG_MODELS_MAX;
    uint32_t lengths = take_models(core, own, report, count, models);
    uint64_t open = open_fields(own);
    uint8_t times[TIMES_MAX];
    uint8_t *times_end = times;
    for (unsigned m = SL_MODE_IDLE; m < SL_MODE_COUNT && own->watts_open; m++) {
        times_end = write_varint(times_end, report->busy_ms[m]);
    }
    size_t before = (size_t)(times_end - times);
    uint8_t kept[KEPT_AT_ONCE];
    bool at_once = (size_t)(end - body) <= sizeof kept;
    uint32_t rest = strip(open, body, end, at_once ? kept : NULL);
    uint32_t size = (uint32_t)before + rest;
    size_t room = sl_core_block_room(own->block);
    size_t wanted = front_bytes(count, lengths) + size;
    if (wanted > room || wanted + SHRINKS <= room) { /* figures vary: not at each of them */
        sl_core_block_drop(&core->blocks, own->block);
        own->block = wanted ? sl_core_block_take(&core->blocks, wanted) : NULL;
    }
    own->model_count = (uint8_t)count;
    own->lengths_count = (uint8_t)lengths;
    own->size = size;
    if (!own->block) {
        return;
    }
    memcpy(own->block, models, count * sizeof models[0]);
    for (uint32_t i = 0; i < count; i++) {
        if (models[i].lengths) {
            memcpy((char *)own->block + front_bytes(i, 0) + models[i].lengths,
                   report->models[i].length_rates_milli, LENGTHS_BYTES);
        }
    }
    memcpy(bytes_of(own), times, before);
    if (at_once) {
        memcpy(bytes_of(own) + before, kept, rest);
    } else {
        strip(open, body, end, bytes_of(own) + before);
    }
}

static void keep_parts(struct sl_broker_core *core, struct sl_core_report *own,
                       const struct sl_msg_device *report, const uint8_t *data, size_t size) {
    const uint8_t *end = data + size;
    const uint8_t *head = head_of(data, end);
    const uint8_t *body = body_of(head, end);
    body = keep_head(core, own, head, (size_t)(body - head)) ? body : head;
    keep_block(core, own, report, body, end);
}

static void keep_packed(struct sl_broker_core *core, struct sl_core_report *own,
                        const struct sl_msg_device *report, const struct sl_msg_bytes *bytes) {
    if (bytes) {
        keep_parts(core, own, report, bytes->data, bytes->size);
        return;
    }
    SL_AUTO_BUF struct sl_buf packed = {0};
    if (sl_msg_device_pack(report, &packed, NULL) == SL_OK) {
        keep_parts(core, own, report, (const uint8_t *)packed.data, packed.len);
    }
}

/* Power that no device can draw is posted to nobody, whatever an agent says. */
static struct sl_watts believed(struct sl_watts watts) {
    bool absurd = watts.source == SL_SOURCE_MEASURED && !sl_watts_plausible(watts.mw);
    return absurd ? (struct sl_watts){SL_SOURCE_UNKNOWN, 0} : watts;
}

/* What is measured is believable and fits; of rated watts nothing is above 2 MW here. */
static int32_t short_mw(int64_t mw) {
    return (int32_t)(mw > INT32_MAX ? INT32_MAX : mw < INT32_MIN ? INT32_MIN : mw);
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

/* Whether all of them are as they were said: they are kept nowhere else then. */
static bool keep_watts(struct sl_core_report *own, const struct sl_msg_device *report) {
    bool same = true;
    for (unsigned m = SL_MODE_IDLE; m < SL_MODE_COUNT; m++) {
        struct sl_watts watts = believed(report->watts[m]);
        own->watts_source[m - 1] = (uint8_t)watts.source;
        own->watts_mw[m - 1] = short_mw(watts.mw);
        same = same && own->watts_source[m - 1] == report->watts[m].source &&
               own->watts_mw[m - 1] == report->watts[m].mw;
    }
    return same;
}

void sl_core_report_keep(struct sl_broker_core *core, uint32_t dev,
                         const struct sl_msg_device *report, const struct sl_msg_bytes *bytes) {
    struct sl_core_report *own = &core->fleet.cold[dev].report;
    own->ill = report->health[0] != '\0';
    own->safe = report->safe;
    own->mode = (uint8_t)((unsigned)report->mode < SL_MODE_COUNT ? report->mode : SL_MODE_INVALID);
    own->epoch = report->epoch;
    own->epoch_is_max = report->epoch_max == report->epoch;
    own->token_rate_milli = token_rate(report);
    own->holds = report->units_held > 0 || report->lines_held > 0;
    own->watts_open = keep_watts(own, report);
    own->rate_open = sl_core_claims_fits(core, report->hash_rate_hs);
    if (own->rate_open) {
        core->fleet.hash_rate_hs[dev] = report->hash_rate_hs;
    }
    for (unsigned m = SL_MODE_IDLE; m < SL_MODE_COUNT; m++) {
        for (unsigned to = SL_MODE_IDLE; to < SL_MODE_COUNT; to++) {
            if (to != m) {
                own->switch_us[pair_of(m, to)] = short_us(report->switch_us[m][to]);
            }
        }
    }
    keep_packed(core, own, report, bytes);
    if (!own->name || strcmp(own->name, report->name) != 0) {
        const char *name = sl_core_name_take(core, report->name);
        sl_core_name_drop(core, own->name);
        own->name = name;
    }
}

/* Into a device that was unpacked. Returns where the packed bytes begin. */
static const uint8_t *get_times(const struct sl_core_report *own, uint64_t busy_ms[SL_MODE_COUNT]) {
    const uint8_t *p = bytes_of(own);
    const uint8_t *end = p ? p + own->size : NULL;
    for (unsigned m = SL_MODE_IDLE; m < SL_MODE_COUNT && own->watts_open; m++) {
        p = read_varint(p, end, &busy_ms[m]);
    }
    return p;
}

/* A device message without what lies open. */
static void packed_again(const struct sl_core_report *own, struct sl_buf *out) {
    uint64_t busy_ms[SL_MODE_COUNT];
    const uint8_t *bytes = get_times(own, busy_ms);
    size_t size = bytes ? (size_t)(bytes_of(own) + own->size - bytes) : 0;
    sl_buf_append(out, own->head ? own->head : "", own->head ? strlen(own->head) : 0);
    sl_buf_append(out, size ? (const char *)bytes : "", size);
    sl_assert(!out->failed);
}

/* What lies open instead of in the bytes. */
static void get_open(const struct sl_broker_core *core, uint32_t dev,
                     struct sl_msg_device *device) {
    const struct sl_core_report *own = &core->fleet.cold[dev].report;
    device->epoch_max = own->epoch_is_max ? own->epoch : device->epoch_max;
    device->hash_rate_hs = own->rate_open ? core->fleet.hash_rate_hs[dev] : device->hash_rate_hs;
    (void)get_times(own, device->busy_ms);
    for (unsigned m = SL_MODE_IDLE; m < SL_MODE_COUNT; m++) {
        device->watts[m] =
            own->watts_open ? sl_core_watts(core, dev, m) : believed(device->watts[m]);
    }
}

static void get_models(const struct sl_core_report *own, struct sl_msg_device *device) {
    device->model_count = own->model_count;
    for (uint32_t i = 0; i < own->model_count; i++) {
        const struct sl_core_model *from = &sl_core_models(own)[i];
        struct sl_msg_model *to = &device->models[i];
        sl_text_copy(to->id, sizeof to->id, from->id);
        sl_core_file_get(from->file, to->sha256);
        to->tokens_per_s_milli = from->tokens_per_s_milli;
        to->max_tokens = from->limit & ~SL_CORE_MODEL_CUTS;
        to->truncate = (from->limit & SL_CORE_MODEL_CUTS) != 0;
        memcpy(to->length_rates_milli, sl_core_length_rates(from), LENGTHS_BYTES);
    }
}

void sl_core_report_get(const struct sl_broker_core *core, uint32_t dev,
                        struct sl_msg_device *ret_device) {
    const struct sl_core_device *cold = &core->fleet.cold[dev];
    memset(ret_device, 0, sizeof *ret_device);
    if (cold->report.name) {
        SL_AUTO_BUF struct sl_buf packed = {0};
        packed_again(&cold->report, &packed);
        int rc = sl_msg_device_unpack((const uint8_t *)packed.data, packed.len, ret_device, NULL);
        sl_assert(rc == SL_OK); /* it was decoded or packed by us */
        get_models(&cold->report, ret_device);
        get_open(core, dev, ret_device);
    }
    ret_device->epoch = cold->report.epoch;
    ret_device->mode = (enum sl_mode)cold->report.mode;
    ret_device->safe = cold->report.safe;
    for (unsigned m = SL_MODE_IDLE; m < SL_MODE_COUNT; m++) {
        for (unsigned to = SL_MODE_IDLE; to < SL_MODE_COUNT; to++) {
            ret_device->switch_us[m][to] = (uint64_t)sl_core_switch_us(core, dev, m, to);
        }
    }
    sl_text_copy(ret_device->key, sizeof ret_device->key, cold->key);
}

void sl_core_report_drop(struct sl_broker_core *core, uint32_t dev) {
    struct sl_core_report *own = &core->fleet.cold[dev].report;
    drop_models(core, own);
    sl_core_name_drop(core, own->name);
    sl_core_name_drop(core, own->head);
    sl_core_block_drop(&core->blocks, own->block);
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
