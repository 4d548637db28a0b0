/* SPDX-License-Identifier: Apache-2.0
 * Bytes -> generated structs -> plain structs. Everything that a plain struct cannot hold (a text
 * too long for its array, a NUL inside, more items than an array has) is refused here; the rest of
 * the rules stand in check.c. Texts of tenants and vectors stay where the unpacker put them. */
#include "proto/wire/codec.h"

#include <stdlib.h>
#include <string.h>

#include "proto/wire/arena.h"
#include "proto/wire/check.h"
#include "proto/wire/fast.h"
#include "sluice.pb-c.h"

struct reader {
    struct sl_msg_arena *arena;
    struct sl_error *err;
};

static void *unpack_alloc(void *arena, size_t size) {
    return sl_msg_arena_alloc(arena, size);
}

static void unpack_free(void *arena, void *pointer) {
    (void)arena;
    (void)pointer; /* the next reset takes all */
}

#define TEXT(array) (array), sizeof(array)

static int get_text(const struct reader *r, ProtobufCBinaryData in, char *out, size_t out_size,
                    const char *field) {
    if (in.len >= out_size) {
        return sl_fail(r->err, SL_LIMIT, "%s is longer than %zu bytes", field, out_size - 1);
    }
    if (in.len && memchr(in.data, '\0', in.len)) {
        return sl_fail(r->err, SL_INVALID, "%s holds a NUL", field);
    }
    if (in.len) {
        memcpy(out, in.data, in.len);
    }
    out[in.len] = '\0';
    return SL_OK;
}

static int get_sha256(const struct reader *r, ProtobufCBinaryData in,
                      uint8_t out[SL_MSG_SHA256_BYTES]) {
    if (in.len != 0 && in.len != SL_MSG_SHA256_BYTES) {
        return sl_fail(r->err, SL_INVALID, "a SHA-256 has %zu bytes instead of %d", in.len,
                       SL_MSG_SHA256_BYTES);
    }
    if (in.len) {
        memcpy(out, in.data, in.len);
    }
    return SL_OK;
}

/* Bounds a repeated field before anything is made for its items. */
static int get_count(const struct reader *r, size_t n, size_t max, const char *field,
                     uint32_t *ret_n) {
    if (n > max) {
        sl_fail(r->err, SL_LIMIT, "%zu %s, at most %zu", n, field, max);
        return -SL_LIMIT;
    }
    *ret_n = (uint32_t)n;
    return SL_OK;
}

static int get_items(const struct reader *r, uint32_t n, size_t size, void **ret_items) {
    if (n == 0) {
        *ret_items = NULL;
        return SL_OK;
    }
    void *items = sl_msg_arena_alloc(r->arena, n * size);
    if (!items) {
        sl_fail(r->err, SL_LIMIT, "it needs more memory than one message may have");
        return -SL_LIMIT;
    }
    *ret_items = items;
    return SL_OK;
}

/* A mode that indexes an array must be known before it does. */
static bool mode_known(Sluice__V1__Mode mode) {
    return (int)mode > 0 && (int)mode < SL_MODE_COUNT;
}

static int get_modes(const struct reader *r, const Sluice__V1__Device *in,
                     struct sl_msg_device *d) {
    bool seen[SL_MODE_COUNT][SL_MODE_COUNT] = {{false}};
    for (size_t i = 0; i < in->n_modes; i++) {
        const Sluice__V1__ModeState *state = in->modes[i];
        if (!mode_known(state->mode) || seen[0][state->mode]) {
            return sl_fail(r->err, SL_INVALID, "mode %d is unknown or stands twice",
                           (int)state->mode);
        }
        seen[0][state->mode] = true;
        d->busy_ms[state->mode] = state->busy_ms;
        if ((int)state->watts_source == SL_SOURCE_UNKNOWN && state->watts_mw != 0) {
            return sl_fail(r->err, SL_INVALID, "watts of unknown source");
        }
        d->watts[state->mode].source = (enum sl_source)state->watts_source;
        d->watts[state->mode].mw = state->watts_mw;
    }
    for (size_t i = 0; i < in->n_switches; i++) {
        const Sluice__V1__SwitchCost *cost = in->switches[i];
        if (!mode_known(cost->from) || !mode_known(cost->to) || seen[cost->from][cost->to]) {
            return sl_fail(r->err, SL_INVALID, "switch from mode %d to %d is unknown or twice",
                           (int)cost->from, (int)cost->to);
        }
        seen[cost->from][cost->to] = true;
        d->switch_us[cost->from][cost->to] = cost->us;
    }
    return SL_OK;
}

static int get_models(const struct reader *r, const Sluice__V1__Device *in,
                      struct sl_msg_device *d) {
    int rc = get_count(r, in->n_models, SL_MSG_MODELS_MAX, "models", &d->model_count);
    for (uint32_t i = 0; rc == SL_OK && i < d->model_count; i++) {
        const Sluice__V1__Model *model = in->models[i];
        rc = get_text(r, model->id, TEXT(d->models[i].id), "model");
        rc = rc ? rc : get_sha256(r, model->sha256, d->models[i].sha256);
        d->models[i].tokens_per_s_milli = model->tokens_per_s_milli;
        d->models[i].max_tokens = model->max_tokens;
        d->models[i].truncate = model->truncate;
        /* A newer agent may know longer classes: they are left out. */
        for (size_t k = 0; k < model->n_length_rates_milli && k < SL_LENGTHS; k++) {
            d->models[i].length_rates_milli[k] = model->length_rates_milli[k];
        }
    }
    return rc;
}

/* Figures of a later version stand behind ours, since their numbers are higher. */
static int get_telemetry(const struct reader *r, const Sluice__V1__Telemetry *in,
                         struct sl_msg_telemetry *t) {
    size_t at = 0;
    if ((size_t)__builtin_popcountll(in->known) != in->n_values) {
        return sl_fail(r->err, SL_INVALID, "%zu figures where %d are said to be known",
                       in->n_values, __builtin_popcountll(in->known));
    }
    t->source = in->source < SL_TELEMETRY_SOURCES ? (enum sl_telemetry_source)in->source
                                                  : SL_TELEMETRY_NONE;
    for (uint32_t i = 0; i < SL_FIG_COUNT; i++) {
        if (in->known >> i & 1) {
            sl_telemetry_set(t, (enum sl_figure)i, in->values[at++]);
        }
    }
    sl_telemetry_bound(t);
    int rc = get_count(r, in->n_xids, SL_MSG_XIDS_MAX, "driver errors", &t->xid_count);
    for (uint32_t i = 0; rc == SL_OK && i < t->xid_count; i++) {
        if (in->xids[i] > UINT16_MAX) {
            return sl_fail(r->err, SL_INVALID, "driver error %u", (unsigned)in->xids[i]);
        }
        t->xids[i] = (uint16_t)in->xids[i];
    }
    return rc ? rc : get_text(r, in->note, TEXT(t->note), "note");
}

static int get_device(const struct reader *r, const Sluice__V1__Device *in,
                      struct sl_msg_device *d) {
    d->is_cpu = in->is_cpu;
    d->compute_units = in->compute_units;
    d->memory_bytes = in->memory_bytes;
    d->epoch_max = in->epoch_max;
    d->epoch = in->epoch;
    d->mode = (enum sl_mode)in->mode;
    d->safe = in->safe;
    d->hash_rate_hs = in->hash_rate_hs;
    d->hashes_total = in->hashes_total;
    d->tokens_total = in->tokens_total;
    d->lines_total = in->lines_total;
    d->idle_gap_us = in->idle_gap_us;
    d->stop_us_p50 = in->stop_us_p50;
    d->stop_us_max = in->stop_us_max;
    d->stop_method = in->stop_method;
    d->units_held = in->units_held;
    d->lines_held = in->lines_held;
    int rc = get_text(r, in->key, TEXT(d->key), "key");
    rc = rc ? rc : get_text(r, in->name, TEXT(d->name), "name");
    rc = rc ? rc : get_text(r, in->driver, TEXT(d->driver), "driver");
    rc = rc ? rc : get_text(r, in->health, TEXT(d->health), "health");
    rc = rc ? rc : get_text(r, in->note, TEXT(d->note), "note");
    rc = rc ? rc : get_text(r, in->pci, TEXT(d->pci), "PCI place");
    rc = rc ? rc : get_text(r, in->uuid, TEXT(d->uuid), "UUID");
    rc = rc ? rc : get_text(r, in->locality, TEXT(d->locality), "locality");
    rc = rc ? rc : get_text(r, in->pool, TEXT(d->pool), "pool of a device");
    rc = rc || !in->telemetry ? rc : get_telemetry(r, in->telemetry, &d->telemetry);
    rc = rc ? rc : get_modes(r, in, d);
    return rc ? rc : get_models(r, in, d);
}

static int get_devices(const struct reader *r, size_t n, Sluice__V1__Device **in,
                       const struct sl_msg_device **ret_devices, uint32_t *ret_n) {
    void *items = NULL;
    int rc = get_count(r, n, SL_MSG_DEVICES_MAX, "devices", ret_n);
    rc = rc ? rc : get_items(r, *ret_n, sizeof **ret_devices, &items);
    struct sl_msg_device *devices = items;
    for (uint32_t i = 0; rc == SL_OK && i < *ret_n; i++) {
        rc = get_device(r, in[i], &devices[i]);
        if (rc) {
            sl_wrap(r->err, "device %u", i);
        }
    }
    *ret_devices = devices;
    return rc;
}

static int get_ids(const struct reader *r, size_t n, const uint64_t *in, const char *field,
                   const uint64_t **ret_ids, uint32_t *ret_n) {
    *ret_ids = in;
    return get_count(r, n, SL_MSG_IDS_MAX, field, ret_n);
}

static int get_hello(const struct reader *r, const Sluice__V1__Hello *in, struct sl_msg_hello *m) {
    m->boot_id = in->boot_id;
    m->bundles = in->bundles;
    int rc = get_text(r, in->node, TEXT(m->node), "node");
    rc = rc ? rc : get_text(r, in->version, TEXT(m->version), "version");
    rc = rc ? rc : get_ids(r, in->n_units, in->units, "unit ids", &m->units, &m->unit_count);
    return rc ? rc : get_devices(r, in->n_devices, in->devices, &m->devices, &m->device_count);
}

static int get_pool(const struct reader *r, const Sluice__V1__Pool *in, struct sl_msg_pool *p) {
    p->connected = in->connected;
    p->has_job = in->has_job;
    p->difficulty_nano = in->difficulty_nano;
    p->shares_submitted = in->shares_submitted;
    p->shares_accepted = in->shares_accepted;
    p->shares_stale = in->shares_stale;
    p->shares_rejected = in->shares_rejected;
    p->shares_unknown = in->shares_unknown;
    p->work_accepted = in->work_accepted;
    p->latency_us_p50 = in->latency_us_p50;
    p->latency_us_p99 = in->latency_us_p99;
    p->rejected_duplicate = in->rejected_duplicate;
    p->rejected_low = in->rejected_low;
    p->rejected_unauthorised = in->rejected_unauthorised;
    p->hashes_spent = in->hashes_spent;
    p->share_age_ms = in->share_age_ms;
    p->url_index = in->url_index;
    p->url_count = in->url_count;
    p->tls = in->tls;
    p->suspect_ms = in->suspect_ms;
    int rc = get_text(r, in->url, TEXT(p->url), "pool url");
    rc = rc ? rc : get_text(r, in->name, TEXT(p->name), "pool name");
    return rc ? rc : get_text(r, in->state, TEXT(p->state), "pool state");
}

static int get_pools(const struct reader *r, const Sluice__V1__Report *in,
                     struct sl_msg_report *m) {
    void *items = NULL;
    int rc = get_count(r, in->n_pools, SL_MSG_POOLS_MAX, "pools", &m->pool_count);
    rc = rc ? rc : get_items(r, m->pool_count, sizeof *m->pools, &items);
    struct sl_msg_pool *pools = items;
    m->pools = pools;
    for (uint32_t i = 0; rc == SL_OK && i < m->pool_count; i++) {
        rc = get_pool(r, in->pools[i], &pools[i]);
    }
    return rc;
}

static int get_report(const struct reader *r, const Sluice__V1__Report *in,
                      struct sl_msg_report *m) {
    m->results_spooled = in->results_spooled;
    m->shares_spooled = in->shares_spooled;
    int rc = in->pool ? get_pool(r, in->pool, &m->pool) : SL_OK;
    rc = rc ? rc : get_pools(r, in, m);
    return rc ? rc : get_devices(r, in->n_devices, in->devices, &m->devices, &m->device_count);
}

static int get_ack(const struct reader *r, const Sluice__V1__Ack *in, struct sl_msg_ack *m) {
    m->epoch = in->epoch;
    m->outcome = (enum sl_ack_outcome)in->outcome;
    m->halted_us = in->halted_us;
    m->durable_us = in->durable_us;
    m->started_us = in->started_us;
    m->received_ns = in->received_ns;
    m->halted_ns = in->halted_ns;
    m->durable_ns = in->durable_ns;
    m->started_ns = in->started_ns;
    int rc = get_text(r, in->device, TEXT(m->device), "device");
    return rc ? rc : get_text(r, in->text, TEXT(m->text), "text");
}

static int get_vectors(const struct reader *r, const Sluice__V1__ResultLine *in,
                       struct sl_msg_result_line *line) {
    void *items = NULL;
    int rc = get_count(r, in->n_vectors, SL_MSG_INPUTS_MAX, "vectors", &line->vector_count);
    rc = rc ? rc : get_items(r, line->vector_count, sizeof *line->vectors, &items);
    struct sl_msg_vector *vectors = items;
    line->vectors = vectors;
    for (uint32_t i = 0; rc == SL_OK && i < line->vector_count; i++) {
        const Sluice__V1__Vector *v = in->vectors[i];
        if (v->data.len != (size_t)v->dim * 4) {
            rc = sl_fail(r->err, SL_INVALID, "vector %u has %zu bytes for %u dimensions", i,
                         v->data.len, v->dim);
        }
        vectors[i] = (struct sl_msg_vector){v->input, v->tokens, v->dim, v->data.data};
    }
    return rc;
}

static int get_result(const struct reader *r, const Sluice__V1__Result *in,
                      struct sl_msg_result *m) {
    m->result_id = in->result_id;
    m->unit_id = in->unit_id;
    m->age_ms = in->age_ms;
    m->unit_done = in->unit_done;
    void *items = NULL;
    int rc = get_text(r, in->device, TEXT(m->device), "device");
    rc = rc ? rc : get_sha256(r, in->model_sha256, m->model_sha256);
    rc = rc ? rc : get_count(r, in->n_lines, SL_MSG_LINES_MAX, "lines", &m->line_count);
    rc = rc ? rc : get_items(r, m->line_count, sizeof *m->lines, &items);
    struct sl_msg_result_line *lines = items;
    m->lines = lines;
    for (uint32_t i = 0; rc == SL_OK && i < m->line_count; i++) {
        lines[i].line = in->lines[i]->line;
        lines[i].status = (enum sl_line_status)in->lines[i]->status;
        lines[i].tokens = in->lines[i]->tokens;
        lines[i].limit = in->lines[i]->limit;
        lines[i].inputs = in->lines[i]->inputs;
        rc = get_vectors(r, in->lines[i], &lines[i]);
    }
    return rc;
}

static int get_shares(const struct reader *r, const Sluice__V1__Shares *in,
                      struct sl_msg_shares *m) {
    void *items = NULL;
    int rc = get_count(r, in->n_shares, SL_MSG_SHARES_MAX, "shares", &m->share_count);
    rc = rc ? rc : get_items(r, m->share_count, sizeof *m->shares, &items);
    struct sl_msg_share *shares = items;
    m->shares = shares;
    for (uint32_t i = 0; rc == SL_OK && i < m->share_count; i++) {
        const Sluice__V1__Share *share = in->shares[i];
        shares[i].share_id = share->share_id;
        shares[i].outcome = (enum sl_share_outcome)share->outcome;
        shares[i].code = share->code;
        shares[i].work_hashes = share->work_hashes;
        shares[i].difficulty_nano = share->difficulty_nano;
        shares[i].age_ms = share->age_ms;
        rc = get_text(r, share->device, TEXT(shares[i].device), "device");
        rc = rc ? rc : get_text(r, share->pool, TEXT(shares[i].pool), "pool");
    }
    return rc;
}

static int get_welcome(const struct reader *r, const Sluice__V1__Welcome *in,
                       struct sl_msg_welcome *m) {
    (void)r;
    m->session = in->session;
    m->report_ms = in->report_ms;
    m->safe_mode = (uint32_t)in->safe_mode;
    m->safe_mode_max_ms = in->safe_mode_max_ms;
    m->parts = in->parts;
    return SL_OK;
}

static int get_directive(const struct reader *r, const Sluice__V1__Directive *in,
                         struct sl_msg_directive *m) {
    m->epoch = in->epoch;
    m->ttl_ms = in->ttl_ms;
    m->mode = (enum sl_mode)in->mode;
    m->price_nusd_per_mtok = in->price_nusd_per_mtok;
    m->renewal = in->renewal;
    m->stay_idle = in->stay_idle;
    int rc = get_text(r, in->device, TEXT(m->device), "device");
    rc = rc ? rc : get_text(r, in->model, TEXT(m->model), "model");
    rc = rc ? rc : get_text(r, in->pool, TEXT(m->pool), "pool");
    return rc ? rc : get_text(r, in->reason, TEXT(m->reason), "reason");
}

static int get_token_inputs(const struct reader *r, const Sluice__V1__UnitLine *in,
                            struct sl_msg_unit_line *line) {
    void *items = NULL;
    if (in->n_inputs) {
        return sl_fail(r->err, SL_CORRUPT, "line %u has texts and token inputs", in->line);
    }
    int rc = get_count(r, in->n_token_inputs, SL_MSG_INPUTS_MAX, "inputs", &line->input_count);
    rc = rc ? rc : get_items(r, line->input_count, sizeof *line->inputs, &items);
    struct sl_msg_input *inputs = items;
    line->inputs = inputs;
    line->tokens = true;
    for (uint32_t i = 0; rc == SL_OK && i < line->input_count; i++) {
        const Sluice__V1__TokenInput *input = in->token_inputs[i];
        rc = get_count(r, input->n_ids, SL_MSG_TOKENS_MAX, "token ids", &inputs[i].id_count);
        inputs[i].text = "";
        inputs[i].ids = input->ids;
    }
    return rc;
}

static int get_inputs(const struct reader *r, const Sluice__V1__UnitLine *in,
                      struct sl_msg_unit_line *line) {
    if (in->n_token_inputs) {
        return get_token_inputs(r, in, line);
    }
    void *items = NULL;
    int rc = get_count(r, in->n_inputs, SL_MSG_INPUTS_MAX, "inputs", &line->input_count);
    rc = rc ? rc : get_items(r, line->input_count, sizeof *line->inputs, &items);
    if (rc) {
        return rc;
    }
    struct sl_msg_input *inputs = items;
    line->inputs = inputs;
    for (uint32_t i = 0; i < line->input_count; i++) {
        /* A length fits: the whole message is bounded far below 2^32. */
        const ProtobufCBinaryData *text = &in->inputs[i];
        inputs[i].text = text->len ? (const char *)text->data : "";
        inputs[i].bytes = (uint32_t)text->len;
    }
    return SL_OK;
}

static int get_unit(const struct reader *r, const Sluice__V1__Unit *in, struct sl_msg_unit *m) {
    m->unit_id = in->unit_id;
    m->epoch = in->epoch;
    void *items = NULL;
    int rc = get_text(r, in->device, TEXT(m->device), "device");
    rc = rc ? rc : get_text(r, in->model, TEXT(m->model), "model");
    rc = rc ? rc : get_count(r, in->n_lines, SL_MSG_LINES_MAX, "lines", &m->line_count);
    rc = rc ? rc : get_items(r, m->line_count, sizeof *m->lines, &items);
    struct sl_msg_unit_line *lines = items;
    m->lines = lines;
    for (uint32_t i = 0; rc == SL_OK && i < m->line_count; i++) {
        lines[i].line = in->lines[i]->line;
        rc = get_inputs(r, in->lines[i], &lines[i]);
    }
    return rc;
}

static int get_result_ack(const struct reader *r, const Sluice__V1__ResultAck *in,
                          struct sl_msg_result_ack *m) {
    int rc = get_ids(r, in->n_results, in->results, "result ids", &m->results, &m->result_count);
    return rc ? rc : get_ids(r, in->n_shares, in->shares, "share ids", &m->shares, &m->share_count);
}

static int get_drain(const struct reader *r, const Sluice__V1__Drain *in, struct sl_msg_drain *m) {
    int rc = get_text(r, in->device, TEXT(m->device), "device");
    return rc ? rc : get_ids(r, in->n_units, in->units, "unit ids", &m->units, &m->unit_count);
}

static int get_goodbye(const struct reader *r, const Sluice__V1__Goodbye *in,
                       struct sl_msg_goodbye *m) {
    m->retry = in->retry;
    return get_text(r, in->reason, TEXT(m->reason), "reason");
}

static int get_rotate(const struct reader *r, const Sluice__V1__Rotate *in,
                      struct sl_msg_rotate *m) {
    m->rotation = in->rotation;
    m->overlap_ms = in->overlap_ms;
    return get_text(r, in->public_key, TEXT(m->public_key), "public key");
}

static int get_rotate_key(const struct reader *r, const Sluice__V1__RotateKey *in,
                          struct sl_msg_rotate_key *m) {
    m->rotation = in->rotation;
    return get_text(r, in->public_key, TEXT(m->public_key), "public key");
}

static int get_body(const struct reader *r, const Sluice__V1__Envelope *e, struct sl_msg *msg) {
#define BODY(kind_, name)                                                                          \
    case SLUICE__V1__ENVELOPE__BODY_##kind_:                                                       \
        msg->kind = SL_MSG_##kind_;                                                                \
        return get_##name(r, e->name, &msg->name)
    switch (e->body_case) {
        BODY(HELLO, hello);
        BODY(WELCOME, welcome);
        BODY(REPORT, report);
        BODY(DIRECTIVE, directive);
        BODY(ACK, ack);
        BODY(UNIT, unit);
        BODY(RESULT, result);
        BODY(SHARES, shares);
        BODY(RESULT_ACK, result_ack);
        BODY(DRAIN, drain);
        BODY(GOODBYE, goodbye);
        BODY(ROTATE, rotate);
        BODY(ROTATE_KEY, rotate_key);
    case SLUICE__V1__ENVELOPE__BODY__NOT_SET:
    case _SLUICE__V1__ENVELOPE__BODY__CASE_IS_INT_SIZE:
    default:
        break;
    }
#undef BODY
    if (e->base.n_unknown_fields > 0) {
        return sl_fail(r->err, SL_UNSUPPORTED,
                       "message of a kind (field %u) that this program does not know; run the same "
                       "version of sluice at both ends",
                       e->base.unknown_fields[0].tag);
    }
    return sl_fail(r->err, SL_INVALID, "message without content");
}

int sl_msg_decode_general(const uint8_t *data, size_t size, struct sl_msg_arena *arena,
                          struct sl_msg *ret_msg, struct sl_error *err) {
    sl_msg_arena_reset(arena);
    if (size > SL_MSG_BYTES_MAX) {
        return sl_fail(err, SL_LIMIT, "message of %zu bytes, at most %d", size, SL_MSG_BYTES_MAX);
    }
    ProtobufCAllocator allocator = {unpack_alloc, unpack_free, arena};
    const Sluice__V1__Envelope *e = sluice__v1__envelope__unpack(&allocator, size, data);
    if (!e && sl_msg_arena_spent(arena)) {
        return sl_fail(err, SL_LIMIT,
                       "message of %zu bytes unpacks to more memory than it may have", size);
    }
    if (!e) {
        return sl_fail(err, SL_CORRUPT, "message of %zu bytes is damaged", size);
    }
    int rc = sl_msg_check_version(e->version, SL_WIRE_VERSION, err);
    if (rc) {
        return rc;
    }
    struct reader reader = {arena, err};
    struct sl_msg msg;
    memset(&msg, 0, sizeof msg);
    msg.version = e->version;
    msg.session = e->session;
    msg.sequence = e->sequence;
    rc = get_body(&reader, e, &msg);
    rc = rc ? rc : sl_msg_check(&msg, false, err);
    if (rc == SL_OK) {
        *ret_msg = msg;
    }
    return rc;
}

int sl_msg_decode(const uint8_t *data, size_t size, struct sl_msg_arena *arena,
                  struct sl_msg *ret_msg, struct sl_error *err) {
    sl_msg_arena_reset(arena);
    if (size <= SL_MSG_BYTES_MAX && sl_msg_fast_report(data, size, arena, ret_msg)) {
        return SL_OK;
    }
    return sl_msg_decode_general(data, size, arena, ret_msg, err);
}

/* ---- one device ---- */

static void *heap_alloc(void *arg, size_t size) {
    (void)arg;
    return calloc(1, size ? size : 1);
}

static void heap_free(void *arg, void *pointer) {
    (void)arg;
    free(pointer);
}

int sl_msg_device_unpack(const uint8_t *data, size_t size, struct sl_msg_device *ret_device,
                         struct sl_error *err) {
    struct sl_msg_device device;
    memset(&device, 0, sizeof device);
    if (sl_msg_fast_device(data, size, &device)) {
        *ret_device = device;
        return SL_OK;
    }
    ProtobufCAllocator allocator = {heap_alloc, heap_free, NULL};
    Sluice__V1__Device *in = sluice__v1__device__unpack(&allocator, size, data);
    if (!in) {
        return sl_fail(err, SL_CORRUPT, "a device of %zu bytes is damaged", size);
    }
    struct reader reader = {NULL, err};
    memset(&device, 0, sizeof device);
    int rc = get_device(&reader, in, &device);
    sluice__v1__device__free_unpacked(in, &allocator);
    if (rc == SL_OK) {
        *ret_device = device;
    }
    return rc;
}
