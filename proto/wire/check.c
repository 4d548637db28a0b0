/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/wire/check.h"

#include <string.h>

struct check {
    bool sending;
    uint32_t version; /* of the envelope */
    struct sl_error *err;
};

/* A named figure, so that a run of them is checked in one loop. */
struct figure {
    const char *name;
    uint64_t value;
};

#define TEXT(array) (array), sizeof(array)

static int check_end(const struct check *c, const char *text, size_t size, const char *field,
                     size_t *ret_len) {
    size_t len = strnlen(text, size);
    if (len == size) {
        return sl_fail(c->err, SL_LIMIT, "%s is longer than %zu bytes", field, size - 1);
    }
    *ret_len = len;
    return SL_OK;
}

/* Identities and models: compared, stored and shown, hence without control characters. */
static int check_name(const struct check *c, const char *text, size_t size, const char *field,
                      bool wanted) {
    size_t len = 0;
    int rc = check_end(c, text, size, field, &len);
    if (rc) {
        return rc;
    }
    if (len == 0 && wanted) {
        return sl_fail(c->err, SL_INVALID, "%s is empty", field);
    }
    for (size_t i = 0; i < len; i++) {
        if (!sl_msg_printable(text + i)) {
            return sl_fail(c->err, SL_INVALID, "%s holds a control character", field);
        }
    }
    if (!sl_utf8_valid(text, len)) {
        return sl_fail(c->err, SL_INVALID, "%s is not UTF-8", field);
    }
    return SL_OK;
}

static int check_people(const struct check *c, const char *text, size_t size, const char *field) {
    size_t len = 0;
    int rc = check_end(c, text, size, field, &len);
    if (rc || c->sending) {
        return rc;
    }
    for (size_t i = 0; i < len; i++) {
        if (!sl_msg_printable(text + i) && text[i] != '\n' && text[i] != '\t') {
            return sl_fail(c->err, SL_INVALID, "%s holds a control character", field);
        }
    }
    if (!sl_utf8_valid(text, len)) {
        return sl_fail(c->err, SL_INVALID, "%s is not UTF-8", field);
    }
    return SL_OK;
}

static int check_figures(const struct check *c, const struct figure *figures, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (figures[i].value > INT64_MAX) {
            return sl_fail(c->err, SL_LIMIT, "%s is over 2^63 - 1", figures[i].name);
        }
    }
    return SL_OK;
}

static int check_figure(const struct check *c, const char *field, uint64_t value) {
    return check_figures(c, &(struct figure){field, value}, 1);
}

static int check_id(const struct check *c, const char *field, uint64_t value) {
    if (value == 0) {
        return sl_fail(c->err, SL_INVALID, "%s is 0, and they start at 1", field);
    }
    return check_figure(c, field, value);
}

static int check_ids(const struct check *c, const char *field, const uint64_t *ids, uint32_t n) {
    if (n > SL_MSG_IDS_MAX) {
        return sl_fail(c->err, SL_LIMIT, "%u %ss, at most %d", n, field, SL_MSG_IDS_MAX);
    }
    int rc = SL_OK;
    for (uint32_t i = 0; i < n && rc == SL_OK; i++) {
        rc = check_id(c, field, ids[i]);
    }
    return rc;
}

static int check_count(const struct check *c, const char *field, uint32_t n, uint32_t min,
                       uint32_t max) {
    if (n < min || n > max) {
        return sl_fail(c->err, SL_LIMIT, "%u %s, where %u to %u are possible", n, field, min, max);
    }
    return SL_OK;
}

static int check_enum(const struct check *c, const char *field, unsigned value, unsigned max) {
    if (value == 0 || value > max) {
        return sl_fail(c->err, SL_INVALID, "%s %u is unknown", field, value);
    }
    return SL_OK;
}

static int check_span(const struct check *c, const char *field, uint64_t ms, uint64_t min_ms) {
    if (ms < min_ms || ms > (uint64_t)SL_MSG_SPAN_MS_MAX) {
        return sl_fail(c->err, SL_LIMIT, "%s of %llu ms is outside %llu ms to ten years", field,
                       (unsigned long long)ms, (unsigned long long)min_ms);
    }
    return SL_OK;
}

static int check_modes(const struct check *c, const struct sl_msg_device *d) {
    for (int m = 1; m < SL_MODE_COUNT; m++) {
        int rc = check_figure(c, "busy time", d->busy_ms[m]);
        for (int to = 1; to < SL_MODE_COUNT && rc == SL_OK; to++) {
            rc = check_figure(c, "switching time", d->switch_us[m][to]);
        }
        if (rc) {
            return rc;
        }
        const struct sl_watts *w = &d->watts[m];
        if ((unsigned)w->source > SL_SOURCE_RATED) {
            return sl_fail(c->err, SL_INVALID, "source of watts %u is unknown",
                           (unsigned)w->source);
        }
        if (w->source != SL_SOURCE_UNKNOWN && w->mw < 0) {
            return sl_fail(c->err, SL_INVALID, "watts are negative");
        }
    }
    return SL_OK;
}

static int check_models(const struct check *c, const struct sl_msg_device *d) {
    int rc = check_count(c, "models", d->model_count, 0, SL_MSG_MODELS_MAX);
    for (uint32_t i = 0; i < d->model_count && rc == SL_OK; i++) {
        const struct sl_msg_model *m = &d->models[i];
        rc = check_name(c, TEXT(m->id), "model", true);
        rc = rc ? rc : check_figure(c, "tokens per second", m->tokens_per_s_milli);
        for (uint32_t k = 0; k < SL_LENGTHS && rc == SL_OK; k++) {
            rc = check_figure(c, "tokens per second of a length", m->length_rates_milli[k]);
        }
        for (uint32_t j = 0; j < i && rc == SL_OK; j++) {
            if (strcmp(m->id, d->models[j].id) == 0) {
                rc = sl_fail(c->err, SL_INVALID, "model %s stands twice", m->id);
            }
        }
    }
    return rc;
}

static int check_telemetry(const struct check *c, const struct sl_msg_telemetry *t) {
    if ((unsigned)t->source >= SL_TELEMETRY_SOURCES || t->known >> SL_FIG_COUNT) {
        return sl_fail(c->err, SL_INVALID, "its telemetry has an unknown source or figure");
    }
    int rc = check_count(c, "driver errors", t->xid_count, 0, SL_MSG_XIDS_MAX);
    return rc ? rc : check_people(c, TEXT(t->note), "note");
}

static int check_device(const struct check *c, const struct sl_msg_device *d) {
    const struct figure figures[] = {
        {"memory", d->memory_bytes},
        {"highest epoch", d->epoch_max},
        {"epoch", d->epoch},
        {"hash rate", d->hash_rate_hs},
        {"hashes in total", d->hashes_total},
        {"tokens in total", d->tokens_total},
        {"lines in total", d->lines_total},
        {"idle gaps", d->idle_gap_us},
    };
    int rc = check_name(c, TEXT(d->key), "key", true);
    rc = rc ? rc : check_people(c, TEXT(d->name), "name");
    rc = rc ? rc : check_people(c, TEXT(d->driver), "driver");
    rc = rc ? rc : check_people(c, TEXT(d->health), "health");
    rc = rc ? rc : check_people(c, TEXT(d->note), "note");
    rc = rc ? rc : check_enum(c, "mode", (unsigned)d->mode, SL_MODE_COUNT - 1);
    rc = rc ? rc : check_figures(c, figures, sizeof figures / sizeof figures[0]);
    rc = rc ? rc : check_name(c, TEXT(d->pci), "PCI place", false);
    rc = rc ? rc : check_name(c, TEXT(d->uuid), "UUID", false);
    rc = rc ? rc : check_people(c, TEXT(d->locality), "locality");
    rc = rc ? rc : check_name(c, TEXT(d->pool), "pool of a device", false);
    rc = rc ? rc : check_telemetry(c, &d->telemetry);
    rc = rc ? rc : check_modes(c, d);
    return rc ? rc : check_models(c, d);
}

static int check_devices(const struct check *c, const struct sl_msg_device *devices, uint32_t n) {
    int rc = check_count(c, "devices", n, 0, SL_MSG_DEVICES_MAX);
    for (uint32_t i = 0; i < n && rc == SL_OK; i++) {
        rc = check_device(c, &devices[i]);
        for (uint32_t j = 0; j < i && rc == SL_OK; j++) {
            if (strcmp(devices[i].key, devices[j].key) == 0) {
                rc = sl_fail(c->err, SL_INVALID, "its key is that of device %u", j);
            }
        }
        if (rc) {
            sl_wrap(c->err, "device %u", i);
        }
    }
    return rc;
}

static int check_hello(const struct check *c, const struct sl_msg_hello *m) {
    int rc = check_name(c, TEXT(m->node), "node", true);
    rc = rc ? rc : check_name(c, TEXT(m->version), "version", false);
    rc = rc ? rc : check_devices(c, m->devices, m->device_count);
    return rc ? rc : check_ids(c, "unit id", m->units, m->unit_count);
}

static int check_pool(const struct check *c, const struct sl_msg_pool *p, bool named) {
    const struct figure figures[] = {
        {"difficulty", p->difficulty_nano},
        {"shares submitted", p->shares_submitted},
        {"shares accepted", p->shares_accepted},
        {"stale shares", p->shares_stale},
        {"rejected shares", p->shares_rejected},
        {"unknown shares", p->shares_unknown},
        {"accepted work", p->work_accepted},
        {"duplicate shares", p->rejected_duplicate},
        {"shares of low difficulty", p->rejected_low},
        {"unauthorised shares", p->rejected_unauthorised},
        {"hashes spent", p->hashes_spent},
    };
    int rc = check_name(c, TEXT(p->name), "pool name", named);
    rc = rc ? rc : check_name(c, TEXT(p->url), "pool url", false);
    rc = rc ? rc : check_people(c, TEXT(p->state), "pool state");
    rc = rc ? rc : check_span(c, "age of a share", p->share_age_ms, 0);
    rc = rc ? rc : check_span(c, "silence of a pool", p->suspect_ms, 0);
    return rc ? rc : check_figures(c, figures, sizeof figures / sizeof figures[0]);
}

/* Names are told apart by them: no two of one agent are the same. */
static int check_pools(const struct check *c, const struct sl_msg_pool *pools, uint32_t n) {
    int rc = check_count(c, "pools", n, 0, SL_MSG_POOLS_MAX);
    for (uint32_t i = 0; i < n && rc == SL_OK; i++) {
        rc = check_pool(c, &pools[i], true);
        for (uint32_t k = 0; k < i && rc == SL_OK; k++) {
            if (strcmp(pools[i].name, pools[k].name) == 0) {
                rc = sl_fail(c->err, SL_INVALID, "two pools are called %s", pools[i].name);
            }
        }
    }
    return rc;
}

static int check_report(const struct check *c, const struct sl_msg_report *m) {
    const struct figure figures[] = {
        {"spooled results", m->results_spooled},
        {"spooled shares", m->shares_spooled},
    };
    int rc = check_devices(c, m->devices, m->device_count);
    rc = rc ? rc : check_pool(c, &m->pool, false);
    rc = rc ? rc : check_pools(c, m->pools, m->pool_count);
    return rc ? rc : check_figures(c, figures, sizeof figures / sizeof figures[0]);
}

static int check_ack(const struct check *c, const struct sl_msg_ack *m) {
    const struct figure figures[] = {
        {"epoch", m->epoch},
        {"time received", m->received_ns},
        {"time halted", m->halted_ns},
        {"time durable", m->durable_ns},
        {"time started", m->started_ns},
    };
    int rc = check_name(c, TEXT(m->device), "device", true);
    rc = rc ? rc : check_people(c, TEXT(m->text), "text");
    rc = rc ? rc : check_enum(c, "outcome", (unsigned)m->outcome, SL_ACK_DURABLE);
    return rc ? rc : check_figures(c, figures, sizeof figures / sizeof figures[0]);
}

static int check_dim(const struct check *c, const struct sl_msg_result_line *line, uint32_t i) {
    uint32_t dim = line->vectors[i].dim;
    return dim > 0 && dim <= SL_MSG_VECTOR_MAX
               ? SL_OK
               : sl_fail(c->err, SL_LIMIT, "vector %u has %u dimensions, 1 to %d are possible", i,
                         dim, SL_MSG_VECTOR_MAX);
}

/* Some inputs of the line, fewer than all, by rising input without a gap. */
static int check_part(const struct check *c, const struct sl_msg_result_line *line) {
    int rc = check_count(c, "inputs", line->inputs, 2, SL_MSG_INPUTS_MAX);
    if (rc == SL_OK && line->vector_count >= line->inputs) {
        rc = sl_fail(c->err, SL_INVALID, "a part with all vectors");
    }
    for (uint32_t i = 0; i < line->vector_count && rc == SL_OK; i++) {
        uint32_t input = line->vectors[i].input;
        rc = check_dim(c, line, i);
        if (rc == SL_OK && input >= line->inputs) {
            rc = sl_fail(c->err, SL_INVALID, "vector %u is for input %u of %u", i, input,
                         line->inputs);
        } else if (rc == SL_OK && i > 0 && input != line->vectors[i - 1].input + 1) {
            rc = sl_fail(c->err, SL_INVALID, "input %u after input %u of a part", input,
                         line->vectors[i - 1].input);
        }
    }
    return rc;
}

/* Every input of the line exactly once: vector_count inputs, each below it, none twice. */
static int check_vectors(const struct check *c, const struct sl_msg_result_line *line) {
    uint64_t seen[SL_MSG_INPUTS_MAX / 64] = {0};
    for (uint32_t i = 0; i < line->vector_count; i++) {
        const struct sl_msg_vector *v = &line->vectors[i];
        int rc = check_dim(c, line, i);
        if (rc) {
            return rc;
        }
        if (v->input >= line->vector_count) {
            return sl_fail(c->err, SL_INVALID, "vector %u is for input %u of %u", i, v->input,
                           line->vector_count);
        }
        uint64_t bit = UINT64_C(1) << (v->input % 64);
        if (seen[v->input / 64] & bit) {
            return sl_fail(c->err, SL_INVALID, "two vectors for input %u", v->input);
        }
        seen[v->input / 64] |= bit;
    }
    return SL_OK;
}

static int check_result_line(const struct check *c, const struct sl_msg_result_line *line) {
    int rc = check_enum(c, "status", (unsigned)line->status,
                        c->version >= SL_WIRE_VERSION_TOKENS ? SL_LINE_BAD_TOKEN : SL_LINE_FAILED);
    if (rc) {
        return rc;
    }
    bool ok = line->status == SL_LINE_OK;
    rc = check_count(c, ok ? "vectors" : "vectors of a failed line", line->vector_count, ok ? 1 : 0,
                     ok ? SL_MSG_INPUTS_MAX : 0);
    if (rc == SL_OK && line->inputs && !ok) {
        rc = sl_fail(c->err, SL_INVALID, "a part of a failed line");
    }
    return rc ? rc : line->inputs ? check_part(c, line) : check_vectors(c, line);
}

/* A part is alone in its message, and only the last one may say that its unit is done. */
static int check_alone(const struct check *c, const struct sl_msg_result *m) {
    for (uint32_t i = 0; i < m->line_count; i++) {
        const struct sl_msg_result_line *line = &m->lines[i];
        if (line->inputs && m->line_count > 1) {
            return sl_fail(c->err, SL_INVALID, "a part beside other lines");
        }
        if (line->inputs && m->unit_done &&
            line->vectors[line->vector_count - 1].input + 1 < line->inputs) {
            return sl_fail(c->err, SL_INVALID, "a unit done before the last part");
        }
    }
    return SL_OK;
}

static int check_result(const struct check *c, const struct sl_msg_result *m) {
    int rc = check_id(c, "result id", m->result_id);
    rc = rc ? rc : check_id(c, "unit id", m->unit_id);
    rc = rc ? rc : check_name(c, TEXT(m->device), "device", true);
    rc = rc ? rc : check_span(c, "age", m->age_ms, 0);
    rc = rc ? rc : check_count(c, "lines", m->line_count, m->unit_done ? 0 : 1, SL_MSG_LINES_MAX);
    for (uint32_t i = 0; i < m->line_count && rc == SL_OK; i++) {
        rc = check_result_line(c, &m->lines[i]);
        for (uint32_t j = 0; j < i && rc == SL_OK; j++) {
            if (m->lines[i].line == m->lines[j].line) {
                rc = sl_fail(c->err, SL_INVALID, "stands twice");
            }
        }
        if (rc) {
            sl_wrap(c->err, "line %u", m->lines[i].line);
        }
    }
    return rc ? rc : check_alone(c, m);
}

static int check_shares(const struct check *c, const struct sl_msg_shares *m) {
    int rc = check_count(c, "shares", m->share_count, 1, SL_MSG_SHARES_MAX);
    for (uint32_t i = 0; i < m->share_count && rc == SL_OK; i++) {
        const struct sl_msg_share *s = &m->shares[i];
        rc = check_id(c, "share id", s->share_id);
        rc = rc ? rc : check_name(c, TEXT(s->device), "device", true);
        rc = rc ? rc : check_enum(c, "outcome", (unsigned)s->outcome, SL_SHARE_UNKNOWN);
        rc = rc ? rc : check_figure(c, "work", s->work_hashes);
        rc = rc ? rc : check_figure(c, "difficulty", s->difficulty_nano);
        rc = rc ? rc : check_span(c, "age", s->age_ms, 0);
        rc = rc ? rc : check_name(c, TEXT(s->pool), "pool", false);
        if (rc) {
            sl_wrap(c->err, "share %u", i);
        }
    }
    return rc;
}

static int check_welcome(const struct check *c, const struct sl_msg_welcome *m) {
    if (m->session == 0) {
        return sl_fail(c->err, SL_INVALID, "session is 0");
    }
    /* Safe is what needs nobody: there is no lease to infer for when the broker is away. */
    int rc = check_enum(c, "safe mode", m->safe_mode, SL_MODE_HASH);
    rc = rc ? rc : check_span(c, "report interval", m->report_ms, 1);
    return rc ? rc : check_span(c, "time in safe mode", m->safe_mode_max_ms, 0);
}

static int check_directive(const struct check *c, const struct sl_msg_directive *m) {
    bool infers = m->mode == SL_MODE_INFER;
    int rc = check_name(c, TEXT(m->device), "device", true);
    rc = rc ? rc : check_id(c, "epoch", m->epoch);
    rc = rc ? rc : check_span(c, "ttl", m->ttl_ms, 1);
    rc = rc ? rc : check_enum(c, "mode", (unsigned)m->mode, SL_MODE_COUNT - 1);
    rc = rc ? rc : check_name(c, TEXT(m->model), "model", infers);
    rc = rc ? rc : check_figure(c, "price", m->price_nusd_per_mtok);
    rc = rc ? rc : check_people(c, TEXT(m->reason), "reason");
    rc = rc ? rc : check_name(c, TEXT(m->pool), "pool", false);
    if (rc == SL_OK && m->pool[0] && m->mode != SL_MODE_HASH) {
        return sl_fail(c->err, SL_INVALID, "a pool belongs to hash, not to %s",
                       sl_mode_name(m->mode));
    }
    if (rc == SL_OK && m->stay_idle && m->mode != SL_MODE_IDLE) {
        return sl_fail(c->err, SL_INVALID, "to stay idle belongs to idle, not to %s",
                       sl_mode_name(m->mode));
    }
    if (rc == SL_OK && !infers && (m->model[0] || m->price_nusd_per_mtok)) {
        rc = sl_fail(c->err, SL_INVALID, "model and price belong to infer, not to %s",
                     sl_mode_name(m->mode));
    }
    return rc;
}

static int check_token_line(const struct check *c, const struct sl_msg_unit_line *line) {
    if (c->version < SL_WIRE_VERSION_TOKENS) {
        return sl_fail(c->err, SL_INVALID, "token inputs need wire version %d, this is %u",
                       SL_WIRE_VERSION_TOKENS, c->version);
    }
    for (uint32_t i = 0; i < line->input_count; i++) {
        const struct sl_msg_input *in = &line->inputs[i];
        int rc = check_count(c, "token ids", in->id_count, 1, SL_MSG_TOKENS_MAX);
        for (uint32_t k = 0; k < in->id_count && rc == SL_OK; k++) {
            if (in->ids[k] > SL_MSG_TOKEN_ID_MAX) {
                rc = sl_fail(c->err, SL_LIMIT, "token id %u is above %d", in->ids[k],
                             SL_MSG_TOKEN_ID_MAX);
            }
        }
        if (rc) {
            return sl_wrap(c->err, "input %u", i);
        }
    }
    return SL_OK;
}

static int check_unit_line(const struct check *c, const struct sl_msg_unit_line *line) {
    int rc = check_count(c, "inputs", line->input_count, 1, SL_MSG_INPUTS_MAX);
    if (rc == SL_OK && line->tokens) {
        return check_token_line(c, line);
    }
    for (uint32_t i = 0; i < line->input_count && rc == SL_OK; i++) {
        const struct sl_msg_input *in = &line->inputs[i];
        if (in->bytes > SL_MSG_INPUT_BYTES_MAX) {
            rc = sl_fail(c->err, SL_LIMIT, "input %u has %u bytes, at most %d", i, in->bytes,
                         SL_MSG_INPUT_BYTES_MAX);
        } else if (!sl_utf8_valid(in->text, in->bytes)) {
            rc = sl_fail(c->err, SL_INVALID, "input %u is not UTF-8", i);
        }
    }
    return rc;
}

static int check_unit(const struct check *c, const struct sl_msg_unit *m) {
    int rc = check_id(c, "unit id", m->unit_id);
    rc = rc ? rc : check_name(c, TEXT(m->device), "device", true);
    rc = rc ? rc : check_id(c, "epoch", m->epoch);
    rc = rc ? rc : check_name(c, TEXT(m->model), "model", true);
    rc = rc ? rc : check_count(c, "lines", m->line_count, 1, SL_MSG_LINES_MAX);
    for (uint32_t i = 0; i < m->line_count && rc == SL_OK; i++) {
        rc = check_unit_line(c, &m->lines[i]);
        for (uint32_t j = 0; j < i && rc == SL_OK; j++) {
            if (m->lines[i].line == m->lines[j].line) {
                rc = sl_fail(c->err, SL_INVALID, "stands twice");
            }
        }
        if (rc) {
            sl_wrap(c->err, "line %u", m->lines[i].line);
        }
    }
    return rc;
}

static int check_result_ack(const struct check *c, const struct sl_msg_result_ack *m) {
    int rc = check_ids(c, "result id", m->results, m->result_count);
    return rc ? rc : check_ids(c, "share id", m->shares, m->share_count);
}

static int check_drain(const struct check *c, const struct sl_msg_drain *m) {
    int rc = check_name(c, TEXT(m->device), "device", true);
    return rc ? rc : check_ids(c, "unit id", m->units, m->unit_count);
}

/* Its characters are the link's business: they are looked at when the key is used. */
static int check_curve_key(const struct check *c, const char *key, bool wanted) {
    int rc = check_name(c, key, SL_MSG_CURVE_KEY_MAX, "public key", wanted);
    if (rc == SL_OK && key[0] && strlen(key) != SL_MSG_CURVE_KEY_MAX - 1) {
        rc =
            sl_fail(c->err, SL_INVALID, "a public key has %d characters", SL_MSG_CURVE_KEY_MAX - 1);
    }
    return rc;
}

static int check_rotate(const struct check *c, const struct sl_msg_rotate *m) {
    int rc = check_id(c, "rotation", m->rotation);
    rc = rc ? rc : check_curve_key(c, m->public_key, false);
    if (rc == SL_OK && m->overlap_ms > SL_MSG_SPAN_MS_MAX) {
        rc = sl_fail(c->err, SL_LIMIT, "overlap of more than ten years");
    }
    return rc;
}

static int check_rotate_key(const struct check *c, const struct sl_msg_rotate_key *m) {
    int rc = check_id(c, "rotation", m->rotation);
    return rc ? rc : check_curve_key(c, m->public_key, true);
}

static int check_body(const struct check *c, const struct sl_msg *msg) {
    switch (msg->kind) {
    case SL_MSG_HELLO:
        return check_hello(c, &msg->hello);
    case SL_MSG_WELCOME:
        return check_welcome(c, &msg->welcome);
    case SL_MSG_REPORT:
        return check_report(c, &msg->report);
    case SL_MSG_DIRECTIVE:
        return check_directive(c, &msg->directive);
    case SL_MSG_ACK:
        return check_ack(c, &msg->ack);
    case SL_MSG_UNIT:
        return check_unit(c, &msg->unit);
    case SL_MSG_RESULT:
        return check_result(c, &msg->result);
    case SL_MSG_SHARES:
        return check_shares(c, &msg->shares);
    case SL_MSG_RESULT_ACK:
        return check_result_ack(c, &msg->result_ack);
    case SL_MSG_DRAIN:
        return check_drain(c, &msg->drain);
    case SL_MSG_GOODBYE:
        return check_people(c, TEXT(msg->goodbye.reason), "reason");
    case SL_MSG_ROTATE:
        return check_rotate(c, &msg->rotate);
    case SL_MSG_ROTATE_KEY:
        return check_rotate_key(c, &msg->rotate_key);
    case SL_MSG_INVALID:
    default:
        return sl_fail(c->err, SL_INVALID, "message kind %u is unknown", (unsigned)msg->kind);
    }
}

int sl_msg_check(const struct sl_msg *msg, bool sending, struct sl_error *err) {
    struct check c = {sending, msg->version, err};
    int rc = check_body(&c, msg);
    if (rc == SL_OK && msg->kind >= SL_MSG_ROTATE && msg->version < 2) {
        rc = sl_fail(err, SL_INVALID, "version 1 has no such message");
    }
    if (rc) {
        sl_wrap(err, "%s", sl_msg_kind_name(msg->kind));
    }
    return rc;
}
