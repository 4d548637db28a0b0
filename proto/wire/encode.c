/* SPDX-License-Identifier: Apache-2.0
 * Plain structs -> generated structs -> bytes. The message was checked before, so that this file
 * only moves fields; large texts and vectors are referenced, never copied. */
#include "proto/wire/codec.h"

#include <stdlib.h>
#include <string.h>

#include "proto/wire/check.h"
#include "proto/wire/sha256.h"
#include "sluice.pb-c.h"

/* Memory of one encoding: small messages never touch the heap. */
#define INLINE_BYTES 4096

struct block {
    struct block *next;
    _Alignas(16) char bytes[];
};

struct scratch {
    struct block *blocks;
    size_t used;
    bool failed;
    _Alignas(16) char first[INLINE_BYTES];
};

static void scratch_fini(struct scratch *s) {
    while (s->blocks) {
        struct block *next = s->blocks->next;
        free(s->blocks);
        s->blocks = next;
    }
}

/* Zeroed. NULL sets `failed`; nothing is returned to anyone before that is looked at. */
static void *take(struct scratch *s, size_t size) {
    size_t rounded = (size + 15) / 16 * 16;
    if (rounded <= INLINE_BYTES - s->used) {
        s->used += rounded;
        return memset(s->first + s->used - rounded, 0, rounded);
    }
    struct block *block = calloc(1, sizeof *block + rounded);
    if (!block) {
        s->failed = true;
        return NULL;
    }
    block->next = s->blocks;
    s->blocks = block;
    return block->bytes;
}

/* n objects of `size` bytes and the array of pointers to them that protobuf-c wants. */
static void *take_items(struct scratch *s, size_t n, size_t size) {
    void **pointers = take(s, n * sizeof *pointers);
    char *items = take(s, n * size);
    if (!pointers || !items) {
        return NULL;
    }
    for (size_t i = 0; i < n; i++) {
        pointers[i] = items + i * size;
    }
    return pointers;
}

#define SHA256(bytes) ((ProtobufCBinaryData){sl_msg_sha256_size(bytes), (uint8_t *)(bytes)})
static ProtobufCBinaryData text_of(const char *text) {
    return (ProtobufCBinaryData){strlen(text), (uint8_t *)text};
}

/* Length of the character at `text`, or 0 when it is none that a text for people may hold. */
static size_t people_char(const char *text, size_t left) {
    if (!sl_msg_printable(text)) {
        return text[0] == '\n' || text[0] == '\t' ? 1 : 0;
    }
    for (size_t n = 1; n <= 4 && n <= left; n++) {
        if (sl_utf8_valid(text, n)) {
            return n;
        }
    }
    return 0;
}

/* Drivers and other programs write such texts, and they are cut to length: what is not clean UTF-8
 * becomes '?', so that an odd byte never costs a whole report. */
static ProtobufCBinaryData people_of(struct scratch *s, const char *text) {
    size_t n = strlen(text);
    size_t i = 0;
    size_t step = 1;
    while (i < n && (step = people_char(text + i, n - i)) > 0) {
        i += step;
    }
    if (i == n) {
        return text_of(text);
    }
    char *mended = take(s, n + 1);
    if (!mended) {
        return (ProtobufCBinaryData){0};
    }
    memcpy(mended, text, n + 1);
    while (i < n) {
        step = people_char(text + i, n - i);
        if (step == 0) {
            mended[i] = '?';
            step = 1;
        }
        i += step;
    }
    return (ProtobufCBinaryData){n, (uint8_t *)mended};
}

static void put_modes(struct scratch *s, const struct sl_msg_device *d, Sluice__V1__Device *out) {
    out->modes = take_items(s, SL_MODE_COUNT, sizeof **out->modes);
    out->switches = take_items(s, SL_MODE_COUNT * SL_MODE_COUNT, sizeof **out->switches);
    if (!out->modes || !out->switches) {
        return;
    }
    for (int m = 1; m < SL_MODE_COUNT; m++) {
        bool known = d->watts[m].source != SL_SOURCE_UNKNOWN;
        if (known || d->busy_ms[m] > 0) {
            Sluice__V1__ModeState *state = out->modes[out->n_modes++];
            sluice__v1__mode_state__init(state);
            state->mode = (Sluice__V1__Mode)m;
            state->busy_ms = d->busy_ms[m];
            state->watts_source = (Sluice__V1__Source)d->watts[m].source;
            state->watts_mw = known ? d->watts[m].mw : 0;
        }
        for (int to = 1; to < SL_MODE_COUNT; to++) {
            if (d->switch_us[m][to] > 0) {
                Sluice__V1__SwitchCost *cost = out->switches[out->n_switches++];
                sluice__v1__switch_cost__init(cost);
                cost->from = (Sluice__V1__Mode)m;
                cost->to = (Sluice__V1__Mode)to;
                cost->us = d->switch_us[m][to];
            }
        }
    }
}

/* Classes behind the last measured one are left out. */
static size_t lengths_known(const struct sl_msg_model *model) {
    size_t n = SL_LENGTHS;
    while (n > 0 && model->length_rates_milli[n - 1] == 0) {
        n--;
    }
    return n;
}

static void put_models(struct scratch *s, const struct sl_msg_device *d, Sluice__V1__Device *out) {
    out->models = take_items(s, d->model_count, sizeof **out->models);
    if (!out->models) {
        return;
    }
    out->n_models = d->model_count;
    for (uint32_t i = 0; i < d->model_count; i++) {
        Sluice__V1__Model *model = out->models[i];
        sluice__v1__model__init(model);
        model->id = text_of(d->models[i].id);
        model->tokens_per_s_milli = d->models[i].tokens_per_s_milli;
        model->max_tokens = d->models[i].max_tokens;
        model->truncate = d->models[i].truncate;
        model->length_rates_milli = (uint64_t *)d->models[i].length_rates_milli; /* only read */
        model->n_length_rates_milli = lengths_known(&d->models[i]);
        model->sha256 = SHA256(d->models[i].sha256);
    }
}

static void put_telemetry(struct scratch *s, const struct sl_msg_telemetry *t,
                          Sluice__V1__Device *device) {
    if (t->source == SL_TELEMETRY_NONE && t->known == 0 && t->note[0] == '\0') {
        return;
    }
    Sluice__V1__Telemetry *out = take(s, sizeof *out);
    int64_t *values = take(s, SL_FIG_COUNT * sizeof *values);
    uint32_t *xids = take(s, SL_MSG_XIDS_MAX * sizeof *xids);
    if (!out || !values || !xids) {
        return;
    }
    sluice__v1__telemetry__init(out);
    out->source = t->source;
    out->known = t->known;
    out->values = values;
    for (uint32_t i = 0; i < SL_FIG_COUNT; i++) {
        if (sl_telemetry_has(t, (enum sl_figure)i)) {
            values[out->n_values++] = t->figures[i];
        }
    }
    out->xids = xids;
    out->n_xids = t->xid_count;
    for (uint32_t i = 0; i < t->xid_count; i++) {
        xids[i] = t->xids[i];
    }
    out->note = people_of(s, t->note);
    device->telemetry = out;
}

static void put_device(struct scratch *s, const struct sl_msg_device *d, Sluice__V1__Device *out) {
    sluice__v1__device__init(out);
    out->key = text_of(d->key);
    out->name = people_of(s, d->name);
    out->driver = people_of(s, d->driver);
    out->health = people_of(s, d->health);
    out->is_cpu = d->is_cpu;
    out->compute_units = d->compute_units;
    out->memory_bytes = d->memory_bytes;
    out->epoch_max = d->epoch_max;
    out->epoch = d->epoch;
    out->mode = (Sluice__V1__Mode)d->mode;
    out->safe = d->safe;
    out->hash_rate_hs = d->hash_rate_hs;
    out->hashes_total = d->hashes_total;
    out->tokens_total = d->tokens_total;
    out->lines_total = d->lines_total;
    out->idle_gap_us = d->idle_gap_us;
    out->stop_us_p50 = d->stop_us_p50;
    out->stop_us_max = d->stop_us_max;
    out->stop_method = d->stop_method;
    out->units_held = d->units_held;
    out->lines_held = d->lines_held;
    out->pci = text_of(d->pci);
    out->uuid = text_of(d->uuid);
    out->locality = people_of(s, d->locality);
    out->pool = text_of(d->pool);
    out->note = people_of(s, d->note);
    put_modes(s, d, out);
    put_models(s, d, out);
    put_telemetry(s, &d->telemetry, out);
}

static Sluice__V1__Device **put_devices(struct scratch *s, const struct sl_msg_device *devices,
                                        size_t n) {
    Sluice__V1__Device **out = take_items(s, n, sizeof **out);
    for (size_t i = 0; out && i < n; i++) {
        put_device(s, &devices[i], out[i]);
    }
    return out;
}

static void put_hello(struct scratch *s, const struct sl_msg_hello *m, Sluice__V1__Envelope *e) {
    Sluice__V1__Hello *out = e->hello = take(s, sizeof *out);
    if (!out) {
        return;
    }
    sluice__v1__hello__init(out);
    out->node = text_of(m->node);
    out->version = text_of(m->version);
    out->boot_id = m->boot_id;
    out->devices = put_devices(s, m->devices, m->device_count);
    out->n_devices = m->device_count;
    out->units = (uint64_t *)m->units;
    out->n_units = m->unit_count;
    out->bundles = m->bundles;
}

static void put_pool(struct scratch *s, const struct sl_msg_pool *p, Sluice__V1__Pool *out) {
    sluice__v1__pool__init(out);
    out->url = text_of(p->url);
    out->connected = p->connected;
    out->has_job = p->has_job;
    out->state = people_of(s, p->state);
    out->difficulty_nano = p->difficulty_nano;
    out->shares_submitted = p->shares_submitted;
    out->shares_accepted = p->shares_accepted;
    out->shares_stale = p->shares_stale;
    out->shares_rejected = p->shares_rejected;
    out->shares_unknown = p->shares_unknown;
    out->work_accepted = p->work_accepted;
    out->name = text_of(p->name);
    out->latency_us_p50 = p->latency_us_p50;
    out->latency_us_p99 = p->latency_us_p99;
    out->rejected_duplicate = p->rejected_duplicate;
    out->rejected_low = p->rejected_low;
    out->rejected_unauthorised = p->rejected_unauthorised;
    out->hashes_spent = p->hashes_spent;
    out->share_age_ms = p->share_age_ms;
    out->url_index = p->url_index;
    out->url_count = p->url_count;
    out->tls = p->tls;
    out->suspect_ms = p->suspect_ms;
}

static void put_report(struct scratch *s, const struct sl_msg_report *m, Sluice__V1__Envelope *e) {
    Sluice__V1__Report *out = e->report = take(s, sizeof *out);
    Sluice__V1__Pool *pool = take(s, sizeof *pool);
    if (!out || !pool) {
        return;
    }
    sluice__v1__report__init(out);
    out->devices = put_devices(s, m->devices, m->device_count);
    out->n_devices = m->device_count;
    put_pool(s, &m->pool, pool);
    out->pool = pool;
    out->pools = take_items(s, m->pool_count, sizeof **out->pools);
    out->n_pools = m->pool_count;
    for (uint32_t i = 0; out->pools && i < m->pool_count; i++) {
        put_pool(s, &m->pools[i], out->pools[i]);
    }
    out->results_spooled = m->results_spooled;
    out->shares_spooled = m->shares_spooled;
}

static void put_ack(struct scratch *s, const struct sl_msg_ack *m, Sluice__V1__Envelope *e) {
    Sluice__V1__Ack *out = e->ack = take(s, sizeof *out);
    if (!out) {
        return;
    }
    sluice__v1__ack__init(out);
    out->device = text_of(m->device);
    out->epoch = m->epoch;
    out->outcome = (Sluice__V1__AckOutcome)m->outcome;
    out->text = people_of(s, m->text);
    out->halted_us = m->halted_us;
    out->durable_us = m->durable_us;
    out->started_us = m->started_us;
    out->received_ns = m->received_ns;
    out->halted_ns = m->halted_ns;
    out->durable_ns = m->durable_ns;
    out->started_ns = m->started_ns;
}

static void put_result_line(struct scratch *s, const struct sl_msg_result_line *line,
                            Sluice__V1__ResultLine *out) {
    sluice__v1__result_line__init(out);
    out->line = line->line;
    out->status = (Sluice__V1__LineStatus)line->status;
    out->tokens = line->tokens;
    out->limit = line->limit;
    out->inputs = line->inputs;
    out->vectors = take_items(s, line->vector_count, sizeof **out->vectors);
    out->n_vectors = out->vectors ? line->vector_count : 0;
    for (uint32_t i = 0; out->vectors && i < line->vector_count; i++) {
        const struct sl_msg_vector *v = &line->vectors[i];
        sluice__v1__vector__init(out->vectors[i]);
        out->vectors[i]->input = v->input;
        out->vectors[i]->tokens = v->tokens;
        out->vectors[i]->dim = v->dim;
        out->vectors[i]->data = (ProtobufCBinaryData){(size_t)v->dim * 4, (uint8_t *)v->data};
    }
}

static void put_result(struct scratch *s, const struct sl_msg_result *m, Sluice__V1__Envelope *e) {
    Sluice__V1__Result *out = e->result = take(s, sizeof *out);
    if (!out) {
        return;
    }
    sluice__v1__result__init(out);
    out->result_id = m->result_id;
    out->unit_id = m->unit_id;
    out->device = text_of(m->device);
    out->age_ms = m->age_ms;
    out->unit_done = m->unit_done;
    out->model_sha256 = SHA256(m->model_sha256);
    out->lines = take_items(s, m->line_count, sizeof **out->lines);
    out->n_lines = m->line_count;
    for (uint32_t i = 0; out->lines && i < m->line_count; i++) {
        put_result_line(s, &m->lines[i], out->lines[i]);
    }
}

static void put_shares(struct scratch *s, const struct sl_msg_shares *m, Sluice__V1__Envelope *e) {
    Sluice__V1__Shares *out = e->shares = take(s, sizeof *out);
    if (!out) {
        return;
    }
    sluice__v1__shares__init(out);
    out->shares = take_items(s, m->share_count, sizeof **out->shares);
    out->n_shares = m->share_count;
    for (uint32_t i = 0; out->shares && i < m->share_count; i++) {
        const struct sl_msg_share *from = &m->shares[i];
        Sluice__V1__Share *share = out->shares[i];
        sluice__v1__share__init(share);
        share->share_id = from->share_id;
        share->device = text_of(from->device);
        share->outcome = (Sluice__V1__ShareOutcome)from->outcome;
        share->code = from->code;
        share->work_hashes = from->work_hashes;
        share->difficulty_nano = from->difficulty_nano;
        share->age_ms = from->age_ms;
        share->pool = text_of(from->pool);
    }
}

static void put_welcome(struct scratch *s, const struct sl_msg_welcome *m,
                        Sluice__V1__Envelope *e) {
    Sluice__V1__Welcome *out = e->welcome = take(s, sizeof *out);
    if (!out) {
        return;
    }
    sluice__v1__welcome__init(out);
    out->session = m->session;
    out->report_ms = m->report_ms;
    out->safe_mode = (Sluice__V1__Mode)m->safe_mode;
    out->safe_mode_max_ms = m->safe_mode_max_ms;
    out->parts = m->parts;
}

static void put_directive(struct scratch *s, const struct sl_msg_directive *m,
                          Sluice__V1__Envelope *e) {
    Sluice__V1__Directive *out = e->directive = take(s, sizeof *out);
    if (!out) {
        return;
    }
    sluice__v1__directive__init(out);
    out->device = text_of(m->device);
    out->epoch = m->epoch;
    out->ttl_ms = m->ttl_ms;
    out->mode = (Sluice__V1__Mode)m->mode;
    out->model = text_of(m->model);
    out->price_nusd_per_mtok = m->price_nusd_per_mtok;
    out->reason = people_of(s, m->reason);
    out->renewal = m->renewal;
    out->stay_idle = m->stay_idle;
    out->pool = text_of(m->pool);
}

static void put_unit_line(struct scratch *s, const struct sl_msg_unit_line *line,
                          Sluice__V1__UnitLine *out) {
    sluice__v1__unit_line__init(out);
    out->line = line->line;
    if (line->tokens) {
        out->token_inputs = take_items(s, line->input_count, sizeof **out->token_inputs);
        out->n_token_inputs = line->input_count;
        for (uint32_t i = 0; out->token_inputs && i < line->input_count; i++) {
            sluice__v1__token_input__init(out->token_inputs[i]);
            out->token_inputs[i]->n_ids = line->inputs[i].id_count;
            out->token_inputs[i]->ids = (uint32_t *)line->inputs[i].ids;
        }
        return;
    }
    out->inputs = take(s, line->input_count * sizeof *out->inputs);
    if (!out->inputs) {
        return;
    }
    out->n_inputs = line->input_count;
    for (uint32_t i = 0; i < line->input_count; i++) {
        out->inputs[i] =
            (ProtobufCBinaryData){line->inputs[i].bytes, (uint8_t *)line->inputs[i].text};
    }
}

static void put_unit(struct scratch *s, const struct sl_msg_unit *m, Sluice__V1__Envelope *e) {
    Sluice__V1__Unit *out = e->unit = take(s, sizeof *out);
    if (!out) {
        return;
    }
    sluice__v1__unit__init(out);
    out->unit_id = m->unit_id;
    out->device = text_of(m->device);
    out->epoch = m->epoch;
    out->model = text_of(m->model);
    out->lines = take_items(s, m->line_count, sizeof **out->lines);
    out->n_lines = m->line_count;
    for (uint32_t i = 0; out->lines && i < m->line_count; i++) {
        put_unit_line(s, &m->lines[i], out->lines[i]);
    }
}

static void put_result_ack(struct scratch *s, const struct sl_msg_result_ack *m,
                           Sluice__V1__Envelope *e) {
    Sluice__V1__ResultAck *out = e->result_ack = take(s, sizeof *out);
    if (!out) {
        return;
    }
    sluice__v1__result_ack__init(out);
    out->results = (uint64_t *)m->results;
    out->n_results = m->result_count;
    out->shares = (uint64_t *)m->shares;
    out->n_shares = m->share_count;
}

static void put_drain(struct scratch *s, const struct sl_msg_drain *m, Sluice__V1__Envelope *e) {
    Sluice__V1__Drain *out = e->drain = take(s, sizeof *out);
    if (!out) {
        return;
    }
    sluice__v1__drain__init(out);
    out->device = text_of(m->device);
    out->units = (uint64_t *)m->units;
    out->n_units = m->unit_count;
}

static void put_goodbye(struct scratch *s, const struct sl_msg_goodbye *m,
                        Sluice__V1__Envelope *e) {
    Sluice__V1__Goodbye *out = e->goodbye = take(s, sizeof *out);
    if (!out) {
        return;
    }
    sluice__v1__goodbye__init(out);
    out->reason = people_of(s, m->reason);
    out->retry = m->retry;
}

static void put_rotate(struct scratch *s, const struct sl_msg_rotate *m, Sluice__V1__Envelope *e) {
    Sluice__V1__Rotate *out = e->rotate = take(s, sizeof *out);
    if (!out) {
        return;
    }
    sluice__v1__rotate__init(out);
    out->rotation = m->rotation;
    out->public_key = text_of(m->public_key);
    out->overlap_ms = m->overlap_ms;
}

static void put_rotate_key(struct scratch *s, const struct sl_msg_rotate_key *m,
                           Sluice__V1__Envelope *e) {
    Sluice__V1__RotateKey *out = e->rotate_key = take(s, sizeof *out);
    if (!out) {
        return;
    }
    sluice__v1__rotate_key__init(out);
    out->rotation = m->rotation;
    out->public_key = text_of(m->public_key);
}

static void put_body(struct scratch *s, const struct sl_msg *msg, Sluice__V1__Envelope *e) {
#define BODY(kind, name)                                                                           \
    case SL_MSG_##kind:                                                                            \
        e->body_case = SLUICE__V1__ENVELOPE__BODY_##kind;                                          \
        put_##name(s, &msg->name, e);                                                              \
        break
    switch (msg->kind) {
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
    case SL_MSG_INVALID:
    default:
        sl_assert_failed("a checked message has a kind", __FILE__, __LINE__);
    }
#undef BODY
}

static int pack(const Sluice__V1__Envelope *e, const struct sl_msg *msg, struct sl_buf *out,
                struct sl_error *err) {
    size_t size = sluice__v1__envelope__get_packed_size(e);
    if (size > SL_MSG_BYTES_MAX) {
        return sl_fail(err, SL_LIMIT,
                       "%s takes %zu bytes, at most %d fit in one message: send less",
                       sl_msg_kind_name(msg->kind), size, SL_MSG_BYTES_MAX);
    }
    char *at = sl_buf_extend(out, size);
    if (!at) {
        return sl_fail(err, SL_NOMEM, "no memory to encode %zu bytes", size);
    }
    size_t packed = sluice__v1__envelope__pack(e, (uint8_t *)at);
    sl_assert(packed == size);
    return SL_OK;
}

int sl_msg_encode(const struct sl_msg *msg, struct sl_buf *out, struct sl_error *err) {
    if (sl_msg_check_version(msg->version, SL_WIRE_VERSION, NULL)) {
        return sl_fail(err, SL_INVALID, "message has version %u, this program speaks %d",
                       msg->version, SL_WIRE_VERSION);
    }
    int rc = sl_msg_check(msg, true, err);
    if (rc) {
        return rc;
    }
    struct scratch scratch;
    scratch.blocks = NULL;
    scratch.used = 0;
    scratch.failed = false;
    Sluice__V1__Envelope envelope = SLUICE__V1__ENVELOPE__INIT;
    envelope.version = msg->version;
    envelope.session = msg->session;
    envelope.sequence = msg->sequence;
    put_body(&scratch, msg, &envelope);
    rc = scratch.failed ? sl_fail(err, SL_NOMEM, "no memory to encode a message")
                        : pack(&envelope, msg, out, err);
    scratch_fini(&scratch);
    return rc;
}

int sl_msg_device_pack(const struct sl_msg_device *device, struct sl_buf *out,
                       struct sl_error *err) {
    struct scratch scratch;
    scratch.blocks = NULL;
    scratch.used = 0;
    scratch.failed = false;
    Sluice__V1__Device packed;
    put_device(&scratch, device, &packed);
    char *at = NULL;
    if (!scratch.failed) {
        at = sl_buf_extend(out, sluice__v1__device__get_packed_size(&packed));
    }
    if (at) {
        sluice__v1__device__pack(&packed, (uint8_t *)at);
    }
    scratch_fini(&scratch);
    return at ? SL_OK : sl_fail(err, SL_NOMEM, "no memory to pack a device");
}
