/* SPDX-License-Identifier: Apache-2.0
 * One simulated agent: hello, reports, obedience. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/clock.h"
#include "tests/bench/fleet.h"

#define HELLO_NS (2 * SL_NS_PER_S)
#define MODEL "all-MiniLM-L6-v2"
#define DIM 4

uint64_t fleet_random(struct fleet *f) {
    f->random = f->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return f->random >> 33;
}

static int send_msg(struct fleet *f, struct fleet_agent *a, struct sl_msg *msg) {
    msg->version = SL_WIRE_VERSION;
    msg->session = msg->kind == SL_MSG_HELLO ? 0 : a->session;
    msg->sequence = ++a->sequence;
    f->out.len = 0;
    struct sl_error err;
    if (sl_msg_encode(msg, &f->out, &err)) {
        fprintf(stderr, "fleet: %s\n", err.text);
        exit(1);
    }
    int rc = sl_link_send(a->link, NULL, (const uint8_t *)f->out.data, f->out.len, &err);
    f->sent += rc == SL_OK;
    return rc;
}

static void name_device(const struct fleet *f, uint32_t at, uint32_t index, char *out,
                        size_t size) {
    snprintf(out, size, "%s%u/0000:%02x:00.0/GPU-%08x", f->config.prefix, at, index,
             (at * 64 + index) * 2654435761U);
}

/* What an agent with GPUs reports: three modes with watts, switching costs, one or two models. */
static void fill_device(struct fleet *f, uint32_t at, uint32_t index, struct sl_msg_device *d) {
    const struct fleet_device *own = &f->agents[at].devices[index];
    memset(d, 0, sizeof *d);
    name_device(f, at, index, d->key, sizeof d->key);
    snprintf(d->name, sizeof d->name, "Simulated GPU %u", at % 4);
    snprintf(d->driver, sizeof d->driver, "fleet 1.0");
    d->compute_units = 64;
    d->memory_bytes = UINT64_C(24) << 30;
    d->mode = own->mode;
    d->safe = own->epoch == 0;
    d->epoch = own->epoch;
    d->epoch_max = own->epoch_max;
    d->hash_rate_hs = UINT64_C(100000000000000) + own->hashes % 1000003;
    d->hashes_total = f->mark ? f->mark : own->hashes;
    d->tokens_total = own->tokens;
    d->lines_total = own->lines;
    d->busy_ms[SL_MODE_IDLE] = 100000 + own->hashes % 1000;
    d->busy_ms[SL_MODE_HASH] = 5000000 + own->hashes / 1000;
    d->busy_ms[SL_MODE_INFER] = own->tokens ? 1000 + own->tokens : 0;
    d->watts[SL_MODE_IDLE] = (struct sl_watts){SL_SOURCE_MEASURED, 30000};
    d->watts[SL_MODE_HASH] = (struct sl_watts){SL_SOURCE_MEASURED, 300000};
    d->watts[SL_MODE_INFER] = (struct sl_watts){SL_SOURCE_MEASURED, 250000};
    d->switch_us[SL_MODE_HASH][SL_MODE_INFER] = 1500;
    d->switch_us[SL_MODE_INFER][SL_MODE_HASH] = 900;
    d->stop_us_p50 = 150;
    d->stop_us_max = 400;
    d->stop_method = 1;
    d->model_count = 1;
    snprintf(d->models[0].id, sizeof d->models[0].id, MODEL);
    d->models[0].tokens_per_s_milli = 7000000 + own->hashes % 1000;
    d->models[0].max_tokens = 256;
}

static void fill_report(struct fleet *f, uint32_t at, struct sl_msg *msg) {
    struct fleet_agent *a = &f->agents[at];
    for (uint32_t i = 0; i < f->config.devices; i++) {
        struct fleet_device *own = &a->devices[i];
        own->hashes += own->mode == SL_MODE_HASH ? 1000000 + fleet_random(f) % 1000 : 0;
        fill_device(f, at, i, &f->scratch[i]);
    }
    *msg = (struct sl_msg){.kind = SL_MSG_REPORT};
    msg->report.device_count = f->config.devices;
    msg->report.devices = f->scratch;
    msg->report.pool.connected = true;
    msg->report.pool.has_job = true;
    msg->report.pool.difficulty_nano = 1000000;
    msg->report.pool.shares_submitted = a->sequence;
    msg->report.pool.shares_accepted = a->sequence;
    snprintf(msg->report.pool.url, sizeof msg->report.pool.url, "stratum+tcp://pool.test:3333");
}

static void say_hello(struct fleet *f, uint32_t at, int64_t now_ns) {
    struct fleet_agent *a = &f->agents[at];
    struct sl_msg msg = {.kind = SL_MSG_HELLO};
    a->next_ns = now_ns + HELLO_NS;
    a->live = false;
    a->session = 0;
    snprintf(msg.hello.node, sizeof msg.hello.node, "%s%u", f->config.prefix, at);
    snprintf(msg.hello.version, sizeof msg.hello.version, "fleet");
    msg.hello.boot_id = a->boot_id;
    msg.hello.bundles = true;
    msg.hello.device_count = f->config.devices;
    msg.hello.devices = f->scratch;
    for (uint32_t i = 0; i < f->config.devices; i++) {
        fill_device(f, at, i, &f->scratch[i]);
    }
    if (send_msg(f, a, &msg) != SL_OK) {
        a->next_ns = now_ns + 20 * SL_NS_PER_MS; /* no connection yet */
    }
}

/* The number is in its name: a site renews 100,000 leases every few seconds. */
static struct fleet_device *device_of(struct fleet *f, uint32_t at, const char *key) {
    char own[SL_MSG_KEY_MAX];
    unsigned index = 0;
    if (sscanf(key, "%*[^/]/0000:%x:", &index) != 1 || index >= f->config.devices) {
        return NULL;
    }
    name_device(f, at, index, own, sizeof own);
    return strcmp(own, key) == 0 ? &f->agents[at].devices[index] : NULL;
}

static void obey(struct fleet *f, uint32_t at, const struct sl_msg_directive *in) {
    struct fleet_agent *a = &f->agents[at];
    struct fleet_device *own = device_of(f, at, in->device);
    f->directives++;
    if (!own || in->epoch < own->epoch_max || in->renewal) {
        f->refused += own == NULL || in->epoch < own->epoch_max;
        return;
    }
    own->epoch = own->epoch_max = in->epoch;
    own->mode = in->mode;
    struct sl_msg msg = {.kind = SL_MSG_ACK};
    msg.ack.epoch = in->epoch;
    msg.ack.outcome = SL_ACK_RUNNING;
    snprintf(msg.ack.device, sizeof msg.ack.device, "%s", in->device);
    send_msg(f, a, &msg);
}

/* Every line is done as soon as it comes. */
static void work(struct fleet *f, uint32_t at, const struct sl_msg_unit *in) {
    static const uint8_t vector[DIM * 4] = {0, 0, 0x80, 0x3F};
    struct sl_msg_vector vectors[SL_MSG_LINES_MAX];
    struct sl_msg_result_line lines[SL_MSG_LINES_MAX];
    struct fleet_device *own = device_of(f, at, in->device);
    struct sl_msg msg = {.kind = SL_MSG_RESULT};
    msg.result = (struct sl_msg_result){.result_id = ++f->agents[at].result_id,
                                        .unit_id = in->unit_id,
                                        .line_count = in->line_count,
                                        .lines = lines,
                                        .unit_done = true};
    snprintf(msg.result.device, sizeof msg.result.device, "%s", in->device);
    for (uint32_t i = 0; i < in->line_count; i++) {
        vectors[i] = (struct sl_msg_vector){.tokens = 8, .dim = DIM, .data = vector};
        lines[i] = (struct sl_msg_result_line){.line = in->lines[i].line,
                                               .status = SL_LINE_OK,
                                               .tokens = 8,
                                               .vector_count = 1,
                                               .vectors = &vectors[i]};
    }
    if (own) {
        own->tokens += 8 * in->line_count;
        own->lines += in->line_count;
    }
    f->results += in->line_count;
    send_msg(f, &f->agents[at], &msg);
}

void fleet_agent_claim(struct fleet *f, uint32_t at) {
    struct fleet_agent *a = &f->agents[at];
    struct sl_msg_share shares[SL_MSG_SHARES_MAX];
    struct sl_msg msg = {.kind = SL_MSG_SHARES};
    struct sl_msg_device d;
    if (!a->live) {
        return;
    }
    fill_device(f, at, 0, &d);
    memset(shares, 0, sizeof shares);
    for (uint32_t i = 0; i < SL_MSG_SHARES_MAX; i++) {
        shares[i].share_id = ++a->share_id;
        shares[i].outcome = SL_SHARE_ACCEPTED;
        shares[i].work_hashes = shares[i].difficulty_nano = INT64_MAX;
        memcpy(shares[i].device, d.key, sizeof shares[i].device);
    }
    msg.shares.share_count = SL_MSG_SHARES_MAX;
    msg.shares.shares = shares;
    send_msg(f, a, &msg);
}

/* One rejected share, over and over: each is acknowledged, only the first is written down. */
static void chat(struct fleet *f, uint32_t at) {
    struct fleet_agent *a = &f->agents[at];
    struct sl_msg_share share = {.share_id = 1, .outcome = SL_SHARE_REJECTED};
    struct sl_msg msg = {.kind = SL_MSG_SHARES};
    name_device(f, at, 0, share.device, sizeof share.device);
    msg.shares.share_count = 1;
    msg.shares.shares = &share;
    if (a->live && a->chat > 0) {
        a->chat--;
        send_msg(f, a, &msg);
    }
}

void fleet_agent_chat(struct fleet *f, uint32_t at, uint32_t count) {
    f->agents[at].chat = count;
    chat(f, at);
}

static void prepare_variants(struct fleet *f, uint32_t at) {
    struct fleet_agent *a = &f->agents[at];
    for (uint32_t i = 0; i < FLEET_VARIANTS; i++) {
        struct sl_msg msg;
        fill_report(f, at, &msg);
        msg.version = SL_WIRE_VERSION;
        msg.session = a->session;
        msg.sequence = 1000 + i;
        a->variants[i].len = 0;
        if (sl_msg_encode(&msg, &a->variants[i], NULL)) {
            exit(1);
        }
    }
}

static void hear(struct fleet *f, uint32_t at, const struct sl_msg *msg, int64_t now_ns) {
    struct fleet_agent *a = &f->agents[at];
    switch ((int)msg->kind) {
    case SL_MSG_WELCOME:
        a->session = msg->welcome.session;
        a->live = true;
        a->next_ns = now_ns;
        if (f->config.report_ms == 0) {
            prepare_variants(f, at);
        }
        break;
    case SL_MSG_DIRECTIVE:
        obey(f, at, &msg->directive);
        break;
    case SL_MSG_UNIT:
        work(f, at, &msg->unit);
        break;
    case SL_MSG_RESULT_ACK:
        if (msg->result_ack.share_count > 0) {
            chat(f, at);
        }
        break;
    case SL_MSG_GOODBYE:
        say_hello(f, at, now_ns);
        break;
    default:
        break;
    }
}

static bool listen(struct fleet *f, uint32_t at, int64_t now_ns) {
    struct sl_link_peer peer;
    const uint8_t *data = NULL;
    size_t size = 0;
    bool any = false;
    while (f->agents[at].link &&
           sl_link_recv(f->agents[at].link, &peer, &data, &size, NULL) == SL_OK) {
        struct sl_msg msg;
        f->received++;
        any = true;
        f->in.len = 0;
        sl_buf_append(&f->in, data, size);
        const uint8_t *part = NULL;
        size_t next = 0;
        while (sl_msg_bundle_next((const uint8_t *)f->in.data, f->in.len, &next, &part, &size)) {
            if (sl_msg_decode(part, size, f->arena, &msg, NULL) == SL_OK) {
                hear(f, at, &msg, now_ns);
            }
        }
    }
    return any;
}

static bool come(struct fleet *f, uint32_t at, int64_t now_ns) {
    struct fleet_agent *a = &f->agents[at];
    struct sl_zmq_client_config config = {
        .endpoint = f->config.endpoint, .keys = a->keys, .context = f->context};
    struct sl_error err;
    snprintf(config.server_key, sizeof config.server_key, "%s", f->config.server_key);
    if (sl_zmq_client_create(&config, &a->link, &err)) {
        fprintf(stderr, "fleet: %s\n", err.text);
        exit(1);
    }
    a->next_ns = now_ns;
    a->session = f->config.deaf ? 1 : 0;
    a->live = f->config.deaf;
    if (f->config.deaf && f->config.report_ms == 0) {
        prepare_variants(f, at);
    }
    return true;
}

void fleet_agent_leave(struct fleet *f, uint32_t at, int64_t back_ns) {
    struct fleet_agent *a = &f->agents[at];
    sl_link_destroy(a->link);
    a->link = NULL;
    a->live = false;
    a->session = 0;
    a->back_ns = back_ns;
}

static bool flood(struct fleet *f, struct fleet_agent *a) {
    bool any = false;
    for (int i = 0; i < 8; i++) {
        const struct sl_buf *out = &a->variants[a->variant];
        if (sl_link_send(a->link, NULL, (const uint8_t *)out->data, out->len, NULL) != SL_OK) {
            break;
        }
        a->variant = (a->variant + 1) % FLEET_VARIANTS;
        f->sent++;
        any = true;
    }
    return any;
}

bool fleet_agent_turn(struct fleet *f, uint32_t at, int64_t now_ns) {
    struct fleet_agent *a = &f->agents[at];
    if (!a->link) {
        return now_ns >= a->back_ns && come(f, at, now_ns);
    }
    bool any = listen(f, at, now_ns);
    if (!a->live) {
        if (now_ns >= a->next_ns) {
            say_hello(f, at, now_ns);
        }
        return any;
    }
    if (f->config.report_ms == 0 && !f->mark) {
        return flood(f, a) || any;
    }
    if (now_ns >= a->next_ns) {
        struct sl_msg msg;
        fill_report(f, at, &msg);
        send_msg(f, a, &msg);
        int64_t every_ms = f->config.report_ms ? f->config.report_ms : 1000;
        a->next_ns = now_ns + every_ms * SL_NS_PER_MS;
        any = true;
    }
    return any;
}
