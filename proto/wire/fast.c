/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/wire/fast.h"

#include <string.h>

#include "proto/wire/arena.h"

/* Wire types. */
#define VARINT 0
#define BYTES 2
#define TAG(field, type) ((uint64_t)(field) << 3 | (type))

struct in {
    const uint8_t *at;
    const uint8_t *end;
};

/* Most of them have one byte. Over 64 bits: refused. So is one that ends in zeros, which nobody
 * writes: protobuf-c reads no tag or length beyond five bytes, and what is kept of a device as it
 * came must be readable by both. */
static bool read_varint(struct in *in, uint64_t *ret_value) {
    if (in->at < in->end && *in->at < 0x80) {
        *ret_value = *in->at++;
        return true;
    }
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 70 && in->at < in->end; shift += 7) {
        uint8_t byte = *in->at++;
        if ((shift == 63 && byte > 1) || (shift > 0 && byte == 0)) {
            return false;
        }
        value |= (uint64_t)(byte & 0x7F) << shift;
        if (byte < 0x80) {
            *ret_value = value;
            return true;
        }
    }
    return false;
}

static bool read_figure(struct in *in, uint64_t max, uint64_t *ret_value) {
    return read_varint(in, ret_value) && *ret_value <= max;
}

static bool read_u32(struct in *in, uint32_t *ret_value) {
    uint64_t value = 0;
    bool good = read_figure(in, UINT32_MAX, &value);
    *ret_value = (uint32_t)value;
    return good;
}

static bool read_bool(struct in *in, bool *ret_value) {
    uint64_t value = 0;
    bool good = read_figure(in, 1, &value);
    *ret_value = value != 0;
    return good;
}

static bool read_part(struct in *in, struct in *ret_part) {
    uint64_t size = 0;
    if (!read_varint(in, &size) || size > (uint64_t)(in->end - in->at)) {
        return false;
    }
    *ret_part = (struct in){in->at, in->at + size};
    in->at += size;
    return true;
}

/* Whether no byte of the word is outside ' ' to '~'. */
static bool is_plain(uint64_t word) {
    const uint64_t ones = UINT64_C(0x0101010101010101);
    uint64_t below = (word - ones * 0x20) & ~word;
    uint64_t rubout = word ^ ones * 0x7F;
    rubout = (rubout - ones) & ~rubout;
    return ((word | below | rubout) & ones * 0x80) == 0;
}

/* Into a zeroed array. */
static bool read_text(struct in *in, char *out, size_t out_size) {
    struct in text;
    if (!read_part(in, &text)) {
        return false;
    }
    size_t n = (size_t)(text.end - text.at);
    if (n >= out_size) {
        return false;
    }
    for (size_t i = 0; i < n; i += 8) {
        uint64_t word = UINT64_C(0x2020202020202020);
        memcpy(&word, text.at + i, n - i < 8 ? n - i : 8);
        if (!is_plain(word)) {
            return false;
        }
    }
    if (n) {
        memcpy(out, text.at, n);
    }
    return true;
}

/* Tags rise, and repeat only where `again` may stand several times: what a field that stands twice
 * means is left to the general way. */
static bool next_tag(struct in *in, uint64_t *last, uint64_t again_from, uint64_t again_to) {
    uint64_t tag = 0;
    if (!read_varint(in, &tag) || tag < *last ||
        (tag == *last && (tag < again_from || tag > again_to))) {
        return false;
    }
    *last = tag;
    return true;
}

static bool is_mode(uint64_t mode) {
    return mode > SL_MODE_INVALID && mode < SL_MODE_COUNT;
}

static bool read_mode_state(struct in in, struct sl_msg_device *d, uint32_t *seen) {
    uint64_t mode = 0;
    uint64_t busy_ms = 0;
    uint64_t source = 0;
    uint64_t mw = 0;
    uint64_t tag = 0;
    while (in.at < in.end) {
        if (!next_tag(&in, &tag, 1, 0)) {
            return false;
        }
        bool good = tag == TAG(1, VARINT)   ? read_varint(&in, &mode)
                    : tag == TAG(2, VARINT) ? read_figure(&in, INT64_MAX, &busy_ms)
                    : tag == TAG(3, VARINT)
                        ? read_figure(&in, SL_SOURCE_RATED, &source)
                        : tag == TAG(4, VARINT) && read_figure(&in, INT64_MAX, &mw);
        if (!good) {
            return false;
        }
    }
    if (!is_mode(mode) || (*seen >> mode & 1) || (source == SL_SOURCE_UNKNOWN && mw != 0)) {
        return false;
    }
    *seen |= UINT32_C(1) << mode;
    d->busy_ms[mode] = busy_ms;
    d->watts[mode].source = (enum sl_source)source;
    d->watts[mode].mw = (int64_t)mw;
    return true;
}

static bool read_switch(struct in in, struct sl_msg_device *d, uint32_t *seen) {
    uint64_t from = 0;
    uint64_t to = 0;
    uint64_t us = 0;
    uint64_t tag = 0;
    while (in.at < in.end) {
        if (!next_tag(&in, &tag, 1, 0)) {
            return false;
        }
        bool good = tag == TAG(1, VARINT) ? read_varint(&in, &from)
                    : tag == TAG(2, VARINT)
                        ? read_varint(&in, &to)
                        : tag == TAG(3, VARINT) && read_figure(&in, INT64_MAX, &us);
        if (!good) {
            return false;
        }
    }
    if (!is_mode(from) || !is_mode(to)) {
        return false;
    }
    uint32_t bit = UINT32_C(1) << (from * SL_MODE_COUNT + to);
    if (*seen & bit) {
        return false;
    }
    *seen |= bit;
    d->switch_us[from][to] = us;
    return true;
}

/* Packed; a class that is not known here is for the general way. */
static bool read_lengths(struct in *in, struct sl_msg_model *m) {
    struct in part;
    uint32_t n = 0;
    if (!read_part(in, &part)) {
        return false;
    }
    while (part.at < part.end) {
        if (n == SL_LENGTHS || !read_figure(&part, INT64_MAX, &m->length_rates_milli[n])) {
            return false;
        }
        n++;
    }
    return true;
}

static bool read_sha256(struct in *in, uint8_t sha256[SL_MSG_SHA256_BYTES]) {
    struct in part;
    if (!read_part(in, &part) || part.end - part.at != SL_MSG_SHA256_BYTES) {
        return false;
    }
    memcpy(sha256, part.at, SL_MSG_SHA256_BYTES);
    return true;
}

static bool read_model(struct in in, struct sl_msg_device *d) {
    if (d->model_count == SL_MSG_MODELS_MAX) {
        return false;
    }
    struct sl_msg_model *m = &d->models[d->model_count];
    uint64_t tag = 0;
    while (in.at < in.end) {
        if (!next_tag(&in, &tag, 1, 0)) {
            return false;
        }
        bool good = tag == TAG(1, BYTES)    ? read_text(&in, m->id, sizeof m->id)
                    : tag == TAG(2, VARINT) ? read_figure(&in, INT64_MAX, &m->tokens_per_s_milli)
                    : tag == TAG(3, VARINT) ? read_u32(&in, &m->max_tokens)
                    : tag == TAG(4, VARINT) ? read_bool(&in, &m->truncate)
                    : tag == TAG(5, BYTES)  ? read_lengths(&in, m)
                                            : tag == TAG(6, BYTES) && read_sha256(&in, m->sha256);
        if (!good) {
            return false;
        }
    }
    for (uint32_t i = 0; i < d->model_count; i++) {
        if (strcmp(d->models[i].id, m->id) == 0) {
            return false;
        }
    }
    d->model_count++;
    return m->id[0] != '\0';
}

/* Packed; as many as there are bits in `known`, which stands before them. */
static bool read_values(struct in *in, uint64_t known, struct sl_msg_telemetry *t) {
    struct in part;
    if (!read_part(in, &part) || known >> SL_FIG_COUNT) {
        return false;
    }
    for (uint32_t i = 0; i < SL_FIG_COUNT; i++) {
        uint64_t value = 0;
        if (!(known >> i & 1)) {
            continue;
        }
        if (part.at == part.end || !read_varint(&part, &value)) {
            return false;
        }
        sl_telemetry_set(t, (enum sl_figure)i, (int64_t)(value >> 1 ^ (0 - (value & 1))));
    }
    return part.at == part.end;
}

static bool read_xids(struct in *in, struct sl_msg_telemetry *t) {
    struct in part;
    if (!read_part(in, &part)) {
        return false;
    }
    while (part.at < part.end) {
        uint64_t xid = 0;
        if (t->xid_count == SL_MSG_XIDS_MAX || !read_figure(&part, UINT16_MAX, &xid)) {
            return false;
        }
        t->xids[t->xid_count++] = (uint16_t)xid;
    }
    return true;
}

static bool read_telemetry(struct in in, struct sl_msg_telemetry *t) {
    uint64_t tag = 0;
    uint64_t source = 0;
    uint64_t known = 0;
    while (in.at < in.end) {
        if (!next_tag(&in, &tag, 1, 0)) {
            return false;
        }
        bool good = tag == TAG(1, VARINT)   ? read_figure(&in, SL_TELEMETRY_SOURCES - 1, &source)
                    : tag == TAG(2, VARINT) ? read_varint(&in, &known)
                    : tag == TAG(3, BYTES)  ? read_values(&in, known, t)
                    : tag == TAG(4, BYTES)
                        ? read_xids(&in, t)
                        : tag == TAG(5, BYTES) && read_text(&in, t->note, sizeof t->note);
        if (!good) {
            return false;
        }
    }
    t->source = (enum sl_telemetry_source)source;
    if (t->known != known) { /* bits without values */
        return false;
    }
    sl_telemetry_bound(t);
    return true;
}

struct seen {
    uint32_t modes;
    uint32_t switches;
};

static bool read_part_of_device(struct in *in, uint64_t tag, struct sl_msg_device *d,
                                struct seen *seen) {
    struct in part;
    if (!read_part(in, &part)) {
        return false;
    }
    return tag == TAG(17, BYTES)   ? read_mode_state(part, d, &seen->modes)
           : tag == TAG(18, BYTES) ? read_switch(part, d, &seen->switches)
           : tag == TAG(24, BYTES) ? read_model(part, d)
                                   : tag == TAG(25, BYTES) && read_telemetry(part, &d->telemetry);
}

static bool read_mode(struct in *in, enum sl_mode *ret_mode) {
    uint64_t mode = 0;
    bool good = read_varint(in, &mode) && is_mode(mode);
    *ret_mode = good ? (enum sl_mode)mode : SL_MODE_INVALID;
    return good;
}

static bool read_field(struct in *in, uint64_t tag, struct sl_msg_device *d, struct seen *seen) {
    switch (tag) {
    case TAG(1, BYTES):
        return read_text(in, d->key, sizeof d->key);
    case TAG(2, BYTES):
        return read_text(in, d->name, sizeof d->name);
    case TAG(3, BYTES):
        return read_text(in, d->driver, sizeof d->driver);
    case TAG(4, BYTES):
        return read_text(in, d->health, sizeof d->health);
    case TAG(5, VARINT):
        return read_bool(in, &d->is_cpu);
    case TAG(6, VARINT):
        return read_u32(in, &d->compute_units);
    case TAG(7, VARINT):
        return read_figure(in, INT64_MAX, &d->memory_bytes);
    case TAG(8, VARINT):
        return read_figure(in, INT64_MAX, &d->epoch_max);
    case TAG(9, VARINT):
        return read_figure(in, INT64_MAX, &d->epoch);
    case TAG(10, VARINT):
        return read_mode(in, &d->mode);
    case TAG(11, VARINT):
        return read_bool(in, &d->safe);
    case TAG(12, VARINT):
        return read_figure(in, INT64_MAX, &d->hash_rate_hs);
    case TAG(13, VARINT):
        return read_figure(in, INT64_MAX, &d->hashes_total);
    case TAG(14, VARINT):
        return read_figure(in, INT64_MAX, &d->tokens_total);
    case TAG(15, VARINT):
        return read_figure(in, INT64_MAX, &d->lines_total);
    case TAG(16, VARINT):
        return read_figure(in, INT64_MAX, &d->idle_gap_us);
    case TAG(19, VARINT):
        return read_u32(in, &d->stop_us_p50);
    case TAG(20, VARINT):
        return read_u32(in, &d->stop_us_max);
    case TAG(21, VARINT):
        return read_u32(in, &d->stop_method);
    case TAG(22, VARINT):
        return read_u32(in, &d->units_held);
    case TAG(23, VARINT):
        return read_u32(in, &d->lines_held);
    case TAG(26, BYTES):
        return read_text(in, d->pci, sizeof d->pci);
    case TAG(27, BYTES):
        return read_text(in, d->uuid, sizeof d->uuid);
    case TAG(28, BYTES):
        return read_text(in, d->locality, sizeof d->locality);
    case TAG(29, BYTES):
        return read_text(in, d->pool, sizeof d->pool);
    case TAG(30, BYTES):
        return read_text(in, d->note, sizeof d->note);
    default:
        return read_part_of_device(in, tag, d, seen);
    }
}

bool sl_msg_fast_device(const uint8_t *data, size_t size, struct sl_msg_device *ret_device) {
    struct in in = {data, data + size};
    struct seen seen = {0, 0};
    uint64_t tag = 0;
    while (in.at < in.end) {
        /* A figure that stands twice counts as it stands last, here and there. */
        if (!next_tag(&in, &tag, TAG(17, BYTES), TAG(24, BYTES)) ||
            !read_field(&in, tag, ret_device, &seen)) {
            return false;
        }
    }
    return ret_device->key[0] != '\0' && ret_device->mode != SL_MODE_INVALID;
}

static bool read_counts(struct in *in, uint64_t tag, struct sl_msg_pool *p) {
    uint64_t *const figures[] = {&p->difficulty_nano, &p->shares_submitted, &p->shares_accepted,
                                 &p->shares_stale,    &p->shares_rejected,  &p->shares_unknown,
                                 &p->work_accepted};
    uint64_t field = tag >> 3;
    return (tag & 7) == VARINT && field >= 5 && field <= 11 &&
           read_figure(in, INT64_MAX, figures[field - 5]);
}

static bool read_part_of_pool(struct in *in, uint64_t tag, struct sl_msg_pool *p) {
    switch (tag) {
    case TAG(12, BYTES):
        return read_text(in, p->name, sizeof p->name);
    case TAG(13, VARINT):
        return read_u32(in, &p->latency_us_p50);
    case TAG(14, VARINT):
        return read_u32(in, &p->latency_us_p99);
    case TAG(15, VARINT):
        return read_figure(in, INT64_MAX, &p->rejected_duplicate);
    case TAG(16, VARINT):
        return read_figure(in, INT64_MAX, &p->rejected_low);
    case TAG(17, VARINT):
        return read_figure(in, INT64_MAX, &p->rejected_unauthorised);
    case TAG(18, VARINT):
        return read_figure(in, INT64_MAX, &p->hashes_spent);
    case TAG(19, VARINT):
        return read_figure(in, SL_MSG_SPAN_MS_MAX, &p->share_age_ms);
    case TAG(20, VARINT):
        return read_u32(in, &p->url_index);
    case TAG(21, VARINT):
        return read_u32(in, &p->url_count);
    case TAG(22, VARINT):
        return read_bool(in, &p->tls);
    case TAG(23, VARINT):
        return read_figure(in, SL_MSG_SPAN_MS_MAX, &p->suspect_ms);
    default:
        return read_counts(in, tag, p);
    }
}

static bool read_pool(struct in in, struct sl_msg_pool *p) {
    uint64_t tag = 0;
    while (in.at < in.end) {
        if (!next_tag(&in, &tag, 1, 0)) {
            return false;
        }
        bool good = tag == TAG(1, BYTES)    ? read_text(&in, p->url, sizeof p->url)
                    : tag == TAG(2, VARINT) ? read_bool(&in, &p->connected)
                    : tag == TAG(3, VARINT) ? read_bool(&in, &p->has_job)
                    : tag == TAG(4, BYTES)  ? read_text(&in, p->state, sizeof p->state)
                                            : read_part_of_pool(&in, tag, p);
        if (!good) {
            return false;
        }
    }
    return true;
}

/* One of those that have a name of their own. */
static bool read_named_pool(struct in *in, struct sl_msg_pool *pools, struct sl_msg_report *m) {
    struct in part;
    if (m->pool_count == SL_MSG_POOLS_MAX || !read_part(in, &part) ||
        !read_pool(part, &pools[m->pool_count]) || pools[m->pool_count].name[0] == '\0') {
        return false;
    }
    for (uint32_t i = 0; i < m->pool_count; i++) {
        if (strcmp(pools[i].name, pools[m->pool_count].name) == 0) {
            return false;
        }
    }
    m->pool_count++;
    m->pools = pools;
    return true;
}

/* Shorter ones first, then by bytes: the order in which agents number their devices. */
static bool key_rises(const struct sl_msg_device *before, const struct sl_msg_device *d) {
    size_t a = strlen(before->key);
    size_t b = strlen(d->key);
    return a < b || (a == b && memcmp(before->key, d->key, a) < 0);
}

static bool keys_differ(const struct sl_msg_device *devices, uint32_t n) {
    uint32_t risen = 1;
    while (risen < n && key_rises(&devices[risen - 1], &devices[risen])) {
        risen++;
    }
    for (uint32_t i = risen; i < n; i++) {
        for (uint32_t j = 0; j < i; j++) {
            if (strcmp(devices[i].key, devices[j].key) == 0) {
                return false;
            }
        }
    }
    return true;
}

/* Devices stand first in a report; how many there are. */
static uint32_t count_devices(struct in in) {
    uint32_t n = 0;
    uint64_t tag = 0;
    struct in part;
    while (in.at < in.end && read_varint(&in, &tag) && tag == TAG(1, BYTES) &&
           read_part(&in, &part)) {
        n++;
    }
    return n;
}

static bool read_devices(struct in *in, struct sl_msg_arena *arena, struct sl_msg_report *m) {
    uint32_t n = count_devices(*in);
    if (n == 0 || n > SL_MSG_DEVICES_MAX) {
        return n == 0;
    }
    struct sl_msg_device *devices = sl_msg_arena_alloc(arena, n * sizeof *devices);
    struct sl_msg_bytes *bytes = sl_msg_arena_alloc(arena, n * sizeof *bytes);
    if (!devices || !bytes) {
        return false;
    }
    for (uint32_t i = 0; i < n; i++) {
        uint64_t tag = 0;
        struct in part = {NULL, NULL};
        if (!read_varint(in, &tag) || !read_part(in, &part)) {
            return false;
        }
        size_t size = (size_t)(part.end - part.at);
        if (!sl_msg_fast_device(part.at, size, &devices[i])) {
            return false;
        }
        bytes[i] = (struct sl_msg_bytes){part.at, (uint32_t)size};
    }
    m->devices = devices;
    m->device_bytes = bytes;
    m->device_count = n;
    return keys_differ(devices, n);
}

static bool read_report(struct in in, struct sl_msg_arena *arena, struct sl_msg_report *m) {
    if (!read_devices(&in, arena, m)) {
        return false;
    }
    uint64_t tag = TAG(1, BYTES);
    struct sl_msg_pool *pools = NULL;
    while (in.at < in.end) {
        struct in part;
        if (!next_tag(&in, &tag, TAG(5, BYTES), TAG(5, BYTES))) {
            return false;
        }
        if (tag == TAG(5, BYTES) && !pools) {
            pools = sl_msg_arena_alloc(arena, SL_MSG_POOLS_MAX * sizeof *pools);
        }
        bool good = tag == TAG(2, BYTES)    ? read_part(&in, &part) && read_pool(part, &m->pool)
                    : tag == TAG(3, VARINT) ? read_figure(&in, INT64_MAX, &m->results_spooled)
                    : tag == TAG(4, VARINT)
                        ? read_figure(&in, INT64_MAX, &m->shares_spooled)
                        : tag == TAG(5, BYTES) && pools && read_named_pool(&in, pools, m);
        if (!good) {
            return false;
        }
    }
    return true;
}

bool sl_msg_fast_report(const uint8_t *data, size_t size, struct sl_msg_arena *arena,
                        struct sl_msg *ret_msg) {
    struct in in = {data, data + size};
    struct in part = {NULL, NULL};
    struct sl_msg msg;
    uint64_t tag = 0;
    uint64_t version = 0;
    msg.session = 0;
    msg.sequence = 0;
    while (in.at < in.end && tag != TAG(12, BYTES)) {
        if (!next_tag(&in, &tag, 1, 0)) {
            return false;
        }
        bool good = tag == TAG(1, VARINT)   ? read_figure(&in, UINT32_MAX, &version)
                    : tag == TAG(2, VARINT) ? read_varint(&in, &msg.session)
                    : tag == TAG(3, VARINT) ? read_varint(&in, &msg.sequence)
                                            : tag == TAG(12, BYTES) && read_part(&in, &part);
        if (!good) {
            return false;
        }
    }
    if (tag != TAG(12, BYTES) || in.at != in.end ||
        sl_msg_check_version((uint32_t)version, SL_WIRE_VERSION, NULL) != SL_OK) {
        return false;
    }
    msg.version = (uint32_t)version;
    msg.kind = SL_MSG_REPORT;
    memset(&msg.report, 0, sizeof msg.report);
    if (!read_report(part, arena, &msg.report)) {
        return false;
    }
    *ret_msg = msg;
    return true;
}
