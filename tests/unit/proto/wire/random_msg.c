/* SPDX-License-Identifier: Apache-2.0 */
#include "random_msg.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/error.h"

struct random_msg {
    uint64_t state;
    bool big;
    struct sl_msg msg;
    void *blocks[8192]; /* what the present message points to */
    size_t block_count;
};

struct random_msg *random_msg_create(uint64_t seed) {
    struct random_msg *r = calloc(1, sizeof *r);
    sl_assert(r);
    r->state = seed * UINT64_C(0x9E3779B97F4A7C15) + 1;
    return r;
}

static void forget(struct random_msg *r) {
    while (r->block_count) {
        free(r->blocks[--r->block_count]);
    }
}

void random_msg_destroy(struct random_msg *r) {
    forget(r);
    free(r);
}

uint64_t random_msg_u64(struct random_msg *r) {
    uint64_t z = r->state += UINT64_C(0x9E3779B97F4A7C15); /* splitmix64 */
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

uint32_t random_msg_below(struct random_msg *r, uint32_t below) {
    return (uint32_t)(random_msg_u64(r) % below);
}

static void *take(struct random_msg *r, size_t n, size_t size) {
    if (n == 0) {
        return NULL;
    }
    sl_assert(r->block_count < sizeof r->blocks / sizeof r->blocks[0]);
    void *block = calloc(n, size);
    sl_assert(block);
    r->blocks[r->block_count++] = block;
    return block;
}

/* Small, large and extreme values alike. */
static uint64_t figure(struct random_msg *r) {
    uint64_t v = random_msg_u64(r) >> 1 >> random_msg_below(r, 63);
    return random_msg_below(r, 16) == 0 ? INT64_MAX : v;
}

static uint64_t id(struct random_msg *r) {
    uint64_t v = figure(r);
    return v ? v : 1;
}

static uint64_t span(struct random_msg *r) {
    return 1 + random_msg_u64(r) % (uint64_t)SL_MSG_SPAN_MS_MAX;
}

static bool coin(struct random_msg *r) {
    return random_msg_below(r, 2) == 1;
}

/* Into zeros, which an older agent's are. */
static void sha256(struct random_msg *r, uint8_t out[SL_MSG_SHA256_BYTES]) {
    for (uint32_t i = 0, said = coin(r); said && i < SL_MSG_SHA256_BYTES; i++) {
        out[i] = (uint8_t)(1 + random_msg_below(r, 255));
    }
}

static uint32_t count(struct random_msg *r, uint32_t min, uint32_t max) {
    uint32_t top = r->big ? max : (max < 4 ? max : 4);
    return min + random_msg_below(r, top - min + 1);
}

/* Between min and size - 1 bytes of characters of one to four bytes. */
static size_t text(struct random_msg *r, char *out, size_t size, size_t min) {
    static const char *const chars[] = {"a",
                                        "Z",
                                        "0",
                                        " ",
                                        "-",
                                        "\"",
                                        "\\",
                                        "\xC3\xA9",
                                        "\xE2\x82\xAC",
                                        "\xEA\x99\xAE",
                                        "\xF0\x9F\xA6\xA6",
                                        "\xF4\x8F\xBF\xBF",
                                        "\xC2\xA0",
                                        "~"};
    size_t wanted = min + random_msg_below(r, (uint32_t)(size - min));
    size_t n = 0;
    for (;;) {
        const char *c = chars[random_msg_below(r, sizeof chars / sizeof chars[0])];
        size_t step = strlen(c);
        if (n + step > wanted) {
            break;
        }
        memcpy(out + n, c, step);
        n += step;
    }
    while (n < min) {
        out[n++] = 'm';
    }
    out[n] = '\0';
    return n;
}

#define TEXT(r, array, min) text(r, array, sizeof(array), min)

static uint64_t *ids(struct random_msg *r, uint32_t *ret_n) {
    *ret_n = count(r, 0, SL_MSG_IDS_MAX);
    uint64_t *list = take(r, *ret_n, sizeof *list);
    for (uint32_t i = 0; i < *ret_n; i++) {
        list[i] = id(r);
    }
    return list;
}

static void telemetry(struct random_msg *r, struct sl_msg_telemetry *t) {
    t->source = (enum sl_telemetry_source)random_msg_below(r, SL_TELEMETRY_SOURCES);
    for (uint32_t i = 0; i < SL_FIG_COUNT; i++) {
        const struct sl_figure_info *info = sl_figure_info(i);
        uint64_t range = (uint64_t)info->max - (uint64_t)info->min;
        if (coin(r) && i != SL_FIG_POWER_LIMIT_MW) {
            sl_telemetry_set(t, (enum sl_figure)i,
                             info->min + (int64_t)(range == UINT64_MAX
                                                       ? random_msg_u64(r)
                                                       : random_msg_u64(r) % (range + 1)));
        }
    }
    t->xid_count = t->known || t->source ? random_msg_below(r, SL_MSG_XIDS_MAX + 1) : 0;
    for (uint32_t i = 0; i < t->xid_count; i++) {
        t->xids[i] = (uint16_t)random_msg_u64(r);
    }
    TEXT(r, t->note, 0);
}

static void device(struct random_msg *r, struct sl_msg_device *d, uint32_t index) {
    size_t n = text(r, d->key, sizeof d->key - 8, 1);
    snprintf(d->key + n, 8, "#%u", index); /* keys differ */
    TEXT(r, d->name, 0);
    TEXT(r, d->driver, 0);
    if (coin(r)) {
        TEXT(r, d->health, 0);
    }
    d->is_cpu = coin(r);
    if (coin(r)) {
        telemetry(r, &d->telemetry);
        TEXT(r, d->pci, 0);
        TEXT(r, d->uuid, 0);
        TEXT(r, d->locality, 0);
        TEXT(r, d->pool, 0);
        TEXT(r, d->note, 0);
    }
    d->compute_units = (uint32_t)figure(r);
    d->memory_bytes = figure(r);
    d->epoch_max = figure(r);
    d->epoch = figure(r);
    d->mode = (enum sl_mode)(1 + random_msg_below(r, 3));
    d->safe = coin(r);
    d->hash_rate_hs = figure(r);
    d->hashes_total = figure(r);
    d->tokens_total = figure(r);
    d->lines_total = figure(r);
    d->idle_gap_us = figure(r);
    for (int m = 1; m < SL_MODE_COUNT; m++) {
        d->busy_ms[m] = coin(r) ? figure(r) : 0;
        d->watts[m].source = (enum sl_source)random_msg_below(r, 3);
        d->watts[m].mw = d->watts[m].source == SL_SOURCE_UNKNOWN ? 0 : (int64_t)figure(r);
        for (int to = 1; to < SL_MODE_COUNT; to++) {
            d->switch_us[m][to] = coin(r) ? figure(r) : 0;
        }
    }
    d->stop_us_p50 = (uint32_t)figure(r);
    d->stop_us_max = (uint32_t)figure(r);
    d->stop_method = random_msg_below(r, 5);
    d->units_held = random_msg_below(r, 100);
    d->lines_held = (uint32_t)figure(r);
    d->model_count = count(r, 0, SL_MSG_MODELS_MAX);
    for (uint32_t i = 0; i < d->model_count; i++) {
        n = text(r, d->models[i].id, sizeof d->models[i].id - 8, 1);
        snprintf(d->models[i].id + n, 8, "#%u", i);
        d->models[i].tokens_per_s_milli = figure(r);
        d->models[i].max_tokens = (uint32_t)figure(r);
        d->models[i].truncate = coin(r);
        sha256(r, d->models[i].sha256);
        for (uint32_t k = 0; k < SL_LENGTHS; k++) {
            d->models[i].length_rates_milli[k] = coin(r) ? figure(r) : 0;
        }
    }
}

static struct sl_msg_device *devices(struct random_msg *r, uint32_t *ret_n) {
    *ret_n = count(r, 0, SL_MSG_DEVICES_MAX);
    struct sl_msg_device *list = take(r, *ret_n, sizeof *list);
    for (uint32_t i = 0; i < *ret_n; i++) {
        device(r, &list[i], i);
    }
    return list;
}

static void hello(struct random_msg *r, struct sl_msg_hello *m) {
    TEXT(r, m->node, 1);
    TEXT(r, m->version, 0);
    m->boot_id = random_msg_u64(r);
    m->devices = devices(r, &m->device_count);
    m->units = ids(r, &m->unit_count);
    m->bundles = random_msg_below(r, 2);
}

static void pool(struct random_msg *r, struct sl_msg_pool *p) {
    TEXT(r, p->url, 0);
    p->connected = coin(r);
    p->has_job = coin(r);
    TEXT(r, p->state, 0);
    p->difficulty_nano = figure(r);
    p->shares_submitted = figure(r);
    p->shares_accepted = figure(r);
    p->shares_stale = figure(r);
    p->shares_rejected = figure(r);
    p->shares_unknown = figure(r);
    p->work_accepted = figure(r);
    p->latency_us_p50 = (uint32_t)figure(r);
    p->latency_us_p99 = (uint32_t)figure(r);
    p->rejected_duplicate = figure(r);
    p->rejected_low = figure(r);
    p->rejected_unauthorised = figure(r);
    p->hashes_spent = figure(r);
    p->share_age_ms = span(r) - 1;
    p->url_index = (uint32_t)figure(r);
    p->url_count = (uint32_t)figure(r);
    p->suspect_ms = span(r) - 1;
    p->tls = coin(r);
}

static void report(struct random_msg *r, struct sl_msg_report *m) {
    m->devices = devices(r, &m->device_count);
    pool(r, &m->pool);
    m->pool_count = random_msg_below(r, SL_MSG_POOLS_MAX + 1);
    struct sl_msg_pool *pools = take(r, m->pool_count, sizeof *pools);
    for (uint32_t i = 0; i < m->pool_count; i++) {
        pool(r, &pools[i]);
        snprintf(pools[i].name, sizeof pools[i].name, "%u-%llx", i,
                 (unsigned long long)random_msg_u64(r));
    }
    m->pools = pools;
    m->results_spooled = figure(r);
    m->shares_spooled = figure(r);
}

static void ack(struct random_msg *r, struct sl_msg_ack *m) {
    TEXT(r, m->device, 1);
    m->epoch = figure(r);
    m->outcome = (enum sl_ack_outcome)(1 + random_msg_below(r, 3));
    TEXT(r, m->text, 0);
    m->halted_us = (uint32_t)figure(r);
    m->durable_us = (uint32_t)figure(r);
    m->started_us = (uint32_t)figure(r);
    m->received_ns = figure(r);
    m->halted_ns = figure(r);
    m->durable_ns = figure(r);
    m->started_ns = figure(r);
}

/* All inputs of the line in a rotated order, so that the order is seen to survive. */
static void result_line(struct random_msg *r, struct sl_msg_result_line *line, uint32_t index) {
    line->line = index * 7 + random_msg_below(r, 7);
    line->status = (enum sl_line_status)(1 + random_msg_below(r, 4));
    line->tokens = (uint32_t)figure(r);
    line->limit = (uint32_t)figure(r);
    if (line->status != SL_LINE_OK) {
        return;
    }
    uint32_t n = line->vector_count = 1 + random_msg_below(r, 5);
    struct sl_msg_vector *vectors = take(r, n, sizeof *vectors);
    uint32_t turn = random_msg_below(r, n);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t dim = 1 + random_msg_below(r, r->big ? 384 : 8);
        uint8_t *data = take(r, dim, 4);
        for (uint32_t k = 0; k < dim * 4; k++) {
            data[k] = (uint8_t)random_msg_u64(r);
        }
        vectors[i] = (struct sl_msg_vector){(i + turn) % n, (uint32_t)figure(r), dim, data};
    }
    line->vectors = vectors;
}

static void result(struct random_msg *r, struct sl_msg_result *m) {
    m->result_id = id(r);
    m->unit_id = id(r);
    TEXT(r, m->device, 1);
    m->age_ms = span(r);
    m->unit_done = coin(r);
    sha256(r, m->model_sha256);
    m->line_count = count(r, m->unit_done ? 0 : 1, SL_MSG_LINES_MAX);
    struct sl_msg_result_line *lines = take(r, m->line_count, sizeof *lines);
    for (uint32_t i = 0; i < m->line_count; i++) {
        result_line(r, &lines[i], i);
    }
    if (m->line_count == 1 && lines[0].vector_count > 0 && coin(r)) { /* a part of its line */
        m->unit_done = false;
        lines[0].inputs = lines[0].vector_count + 1 + random_msg_below(r, 9);
        for (uint32_t i = 0; i < lines[0].vector_count; i++) {
            ((struct sl_msg_vector *)lines[0].vectors)[i].input = 1 + i;
        }
    }
    m->lines = lines;
}

static void shares(struct random_msg *r, struct sl_msg_shares *m) {
    m->share_count = count(r, 1, SL_MSG_SHARES_MAX);
    struct sl_msg_share *list = take(r, m->share_count, sizeof *list);
    for (uint32_t i = 0; i < m->share_count; i++) {
        list[i].share_id = id(r);
        TEXT(r, list[i].device, 1);
        list[i].outcome = (enum sl_share_outcome)(1 + random_msg_below(r, 4));
        list[i].code = (int32_t)random_msg_u64(r);
        list[i].work_hashes = figure(r);
        list[i].difficulty_nano = figure(r);
        list[i].age_ms = span(r) - 1;
        TEXT(r, list[i].pool, 0);
    }
    m->shares = list;
}

static void welcome(struct random_msg *r, struct sl_msg_welcome *m) {
    m->session = random_msg_u64(r) | 1;
    m->report_ms = 1 + random_msg_below(r, 60000);
    m->safe_mode = 1 + random_msg_below(r, 2);
    m->safe_mode_max_ms = span(r) - 1;
    m->parts = coin(r);
}

static void directive(struct random_msg *r, struct sl_msg_directive *m) {
    TEXT(r, m->device, 1);
    m->epoch = id(r);
    m->ttl_ms = span(r);
    m->mode = (enum sl_mode)(1 + random_msg_below(r, 3));
    if (m->mode == SL_MODE_INFER) {
        TEXT(r, m->model, 1);
        m->price_nusd_per_mtok = figure(r);
    }
    TEXT(r, m->reason, 0);
    m->renewal = coin(r);
    m->stay_idle = m->mode == SL_MODE_IDLE && coin(r);
    if (m->mode == SL_MODE_HASH) {
        TEXT(r, m->pool, 0);
    }
}

static void unit_line(struct random_msg *r, struct sl_msg_unit_line *line, uint32_t index) {
    line->line = index * 3 + random_msg_below(r, 3);
    line->input_count = 1 + random_msg_below(r, r->big ? 60 : 4);
    struct sl_msg_input *inputs = take(r, line->input_count, sizeof *inputs);
    line->tokens = random_msg_below(r, 3) == 0;
    for (uint32_t i = 0; i < line->input_count && line->tokens; i++) {
        uint32_t n = 1 + random_msg_below(r, r->big ? 200 : 5);
        uint32_t *ids = take(r, n, sizeof *ids);
        for (uint32_t k = 0; k < n; k++) {
            ids[k] = random_msg_below(r, 8) ? random_msg_below(r, 40000) : SL_MSG_TOKEN_ID_MAX;
        }
        inputs[i] = (struct sl_msg_input){.text = "", .id_count = n, .ids = ids};
    }
    for (uint32_t i = 0; i < line->input_count && !line->tokens; i++) {
        size_t size = 2 + random_msg_below(r, r->big ? 400 : 60);
        char *bytes = take(r, size, 1);
        uint32_t n = (uint32_t)text(r, bytes, size, 0);
        if (n > 2 && bytes[0] > 0) {
            bytes[0] = '\0'; /* a NUL inside of a tenant's text is allowed */
        }
        inputs[i] = (struct sl_msg_input){.text = bytes, .bytes = n};
    }
    line->inputs = inputs;
}

static void unit(struct random_msg *r, struct sl_msg_unit *m) {
    m->unit_id = id(r);
    TEXT(r, m->device, 1);
    m->epoch = id(r);
    TEXT(r, m->model, 1);
    m->line_count = count(r, 1, SL_MSG_LINES_MAX);
    struct sl_msg_unit_line *lines = take(r, m->line_count, sizeof *lines);
    for (uint32_t i = 0; i < m->line_count; i++) {
        unit_line(r, &lines[i], i);
    }
    m->lines = lines;
}

static void public_key(struct random_msg *r, char out[SL_MSG_CURVE_KEY_MAX]) {
    for (int i = 0; i < SL_MSG_CURVE_KEY_MAX - 1; i++) {
        out[i] = (char)('!' + random_msg_below(r, 90));
    }
}

const struct sl_msg *random_msg_next(struct random_msg *r, enum sl_msg_kind kind, bool big) {
    forget(r);
    r->big = big;
    struct sl_msg *m = &r->msg;
    memset(m, 0, sizeof *m);
    m->version = SL_WIRE_VERSION;
    m->session = random_msg_u64(r);
    m->sequence = figure(r);
    m->kind = kind;
    switch (kind) {
    case SL_MSG_HELLO:
        hello(r, &m->hello);
        break;
    case SL_MSG_WELCOME:
        welcome(r, &m->welcome);
        break;
    case SL_MSG_REPORT:
        report(r, &m->report);
        break;
    case SL_MSG_DIRECTIVE:
        directive(r, &m->directive);
        break;
    case SL_MSG_ACK:
        ack(r, &m->ack);
        break;
    case SL_MSG_UNIT:
        unit(r, &m->unit);
        break;
    case SL_MSG_RESULT:
        result(r, &m->result);
        break;
    case SL_MSG_SHARES:
        shares(r, &m->shares);
        break;
    case SL_MSG_RESULT_ACK:
        m->result_ack.results = ids(r, &m->result_ack.result_count);
        m->result_ack.shares = ids(r, &m->result_ack.share_count);
        break;
    case SL_MSG_DRAIN:
        TEXT(r, m->drain.device, 1);
        m->drain.units = ids(r, &m->drain.unit_count);
        break;
    case SL_MSG_GOODBYE:
        TEXT(r, m->goodbye.reason, 0);
        m->goodbye.retry = coin(r);
        break;
    case SL_MSG_ROTATE:
        m->rotate.rotation = id(r);
        m->rotate.overlap_ms = random_msg_below(r, 1000000);
        if (coin(r)) {
            public_key(r, m->rotate.public_key);
        }
        break;
    case SL_MSG_ROTATE_KEY:
        m->rotate_key.rotation = id(r);
        public_key(r, m->rotate_key.public_key);
        break;
    case SL_MSG_INVALID:
    default:
        sl_assert_failed("a kind that exists", __FILE__, __LINE__);
    }
    return m;
}

/* ---- equality; flat structs are zeroed before they are filled, so their bytes compare ---- */

static bool same_bytes(const void *a, const void *b, size_t n) {
    return n == 0 || memcmp(a, b, n) == 0;
}

static bool same_result(const struct sl_msg_result *a, const struct sl_msg_result *b) {
    if (a->result_id != b->result_id || a->unit_id != b->unit_id || a->age_ms != b->age_ms ||
        strcmp(a->device, b->device) != 0 || a->unit_done != b->unit_done ||
        a->line_count != b->line_count ||
        memcmp(a->model_sha256, b->model_sha256, sizeof a->model_sha256) != 0) {
        return false;
    }
    for (uint32_t i = 0; i < a->line_count; i++) {
        const struct sl_msg_result_line *x = &a->lines[i];
        const struct sl_msg_result_line *y = &b->lines[i];
        if (x->line != y->line || x->status != y->status || x->tokens != y->tokens ||
            x->limit != y->limit || x->inputs != y->inputs || x->vector_count != y->vector_count) {
            return false;
        }
        for (uint32_t k = 0; k < x->vector_count; k++) {
            const struct sl_msg_vector *v = &x->vectors[k];
            const struct sl_msg_vector *w = &y->vectors[k];
            if (v->input != w->input || v->tokens != w->tokens || v->dim != w->dim ||
                !same_bytes(v->data, w->data, (size_t)v->dim * 4)) {
                return false;
            }
        }
    }
    return true;
}

static bool same_unit(const struct sl_msg_unit *a, const struct sl_msg_unit *b) {
    if (a->unit_id != b->unit_id || a->epoch != b->epoch || strcmp(a->device, b->device) != 0 ||
        strcmp(a->model, b->model) != 0 || a->line_count != b->line_count) {
        return false;
    }
    for (uint32_t i = 0; i < a->line_count; i++) {
        const struct sl_msg_unit_line *x = &a->lines[i];
        const struct sl_msg_unit_line *y = &b->lines[i];
        if (x->line != y->line || x->input_count != y->input_count) {
            return false;
        }
        for (uint32_t k = 0; k < x->input_count; k++) {
            if (x->inputs[k].bytes != y->inputs[k].bytes ||
                !same_bytes(x->inputs[k].text, y->inputs[k].text, x->inputs[k].bytes)) {
                return false;
            }
        }
    }
    return true;
}

/* The body once its pointers and counts were compared: the rest is flat. */
static bool same_rest(const struct sl_msg *a, const struct sl_msg *b) {
    struct sl_msg x = *a;
    struct sl_msg y = *b;
    if (a->kind == SL_MSG_HELLO) {
        x.hello.devices = y.hello.devices = NULL;
        x.hello.units = y.hello.units = NULL;
        return same_bytes(&x.hello, &y.hello, sizeof x.hello);
    }
    if (a->kind == SL_MSG_REPORT) {
        x.report.devices = y.report.devices = NULL;
        x.report.pools = y.report.pools = NULL;
        x.report.device_bytes = y.report.device_bytes = NULL;
        return same_bytes(&x.report, &y.report, sizeof x.report);
    }
    if (a->kind == SL_MSG_DRAIN) {
        x.drain.units = y.drain.units = NULL;
        return same_bytes(&x.drain, &y.drain, sizeof x.drain);
    }
    if (a->kind == SL_MSG_WELCOME) {
        return same_bytes(&x.welcome, &y.welcome, sizeof x.welcome);
    }
    if (a->kind == SL_MSG_DIRECTIVE) {
        return same_bytes(&x.directive, &y.directive, sizeof x.directive);
    }
    if (a->kind == SL_MSG_ACK) {
        return same_bytes(&x.ack, &y.ack, sizeof x.ack);
    }
    return same_bytes(&x.goodbye, &y.goodbye, sizeof x.goodbye);
}

bool msg_equal(const struct sl_msg *a, const struct sl_msg *b) {
    if (a->version != b->version || a->session != b->session || a->sequence != b->sequence ||
        a->kind != b->kind) {
        return false;
    }
    if (a->kind == SL_MSG_RESULT) {
        return same_result(&a->result, &b->result);
    }
    if (a->kind == SL_MSG_UNIT) {
        return same_unit(&a->unit, &b->unit);
    }
    if (a->kind == SL_MSG_SHARES) {
        return a->shares.share_count == b->shares.share_count &&
               same_bytes(a->shares.shares, b->shares.shares,
                          a->shares.share_count * sizeof *a->shares.shares);
    }
    if (a->kind == SL_MSG_RESULT_ACK) {
        const struct sl_msg_result_ack *x = &a->result_ack;
        const struct sl_msg_result_ack *y = &b->result_ack;
        return x->result_count == y->result_count && x->share_count == y->share_count &&
               same_bytes(x->results, y->results, x->result_count * sizeof *x->results) &&
               same_bytes(x->shares, y->shares, x->share_count * sizeof *x->shares);
    }
    if (!same_rest(a, b)) { /* counts too: what follows may rely on them */
        return false;
    }
    if (a->kind == SL_MSG_HELLO) {
        return same_bytes(a->hello.devices, b->hello.devices,
                          a->hello.device_count * sizeof *a->hello.devices) &&
               same_bytes(a->hello.units, b->hello.units,
                          a->hello.unit_count * sizeof *a->hello.units);
    }
    if (a->kind == SL_MSG_REPORT) {
        return same_bytes(a->report.devices, b->report.devices,
                          a->report.device_count * sizeof *a->report.devices) &&
               same_bytes(a->report.pools, b->report.pools,
                          a->report.pool_count * sizeof *a->report.pools);
    }
    return a->kind != SL_MSG_DRAIN ||
           same_bytes(a->drain.units, b->drain.units, a->drain.unit_count * sizeof *a->drain.units);
}
