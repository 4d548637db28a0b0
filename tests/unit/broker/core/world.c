/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/broker/core/world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/text.h"
#include "tests/unit/broker/core/world_store.h"

#include <cmocka.h>

struct sl_core_config world_config(void) {
    struct sl_core_config c = {
        .lease_ttl_ms = 3000,
        .report_ms = 1000,
        .session_lost_ms = 5000,
        .threshold_ppm = 20000,
        .switch_horizon_ms = 60000,
        .power_nusd_per_kwh = -1,
        .unit_lines = 8,
        .units_ahead = 2,
        .feed_count = 1,
        .tenant_count = 2,
    };
    c.feeds[0] =
        (struct sl_core_feed){.id = "hashprice", .role = SL_FEED_HASHPRICE, .age_max_ms = 3600000};
    c.tenants[0] = (struct sl_core_tenant){"acme", WORLD_BID_HIGH, -1};
    c.tenants[1] = (struct sl_core_tenant){"poor", WORLD_BID_HIGH, 300000};
    return c;
}

void world_init(struct world *w, const struct sl_core_config *config) {
    memset(w, 0, sizeof *w);
    w->config = config ? *config : world_config();
    w->store = calloc(1, sizeof *w->store);
    assert_non_null(w->store);
    w->now.mono.ns = 1000 * SL_NS_PER_S;
    w->now.wall.ms = INT64_C(1770000000000);
    w->cookie = 1;
    struct sl_error err;
    assert_int_equal(sl_broker_core_create(&w->config, &w->core, &err), SL_OK);
}

void world_forget_sent(struct world *w) {
    for (uint32_t i = 0; i < w->sent_count; i++) {
        sl_core_command_fini(&w->sent[i]);
    }
    w->sent_count = 0;
}

static void drop_txns(struct world *w) {
    for (uint32_t i = 0; i < w->txn_count; i++) {
        sl_txn_destroy(w->txns[i]);
    }
    w->txn_count = 0;
}

void world_fini(struct world *w) {
    world_forget_sent(w);
    drop_txns(w);
    sl_broker_core_destroy(w->core);
    free(w->store);
}

void world_restart(struct world *w) {
    world_forget_sent(w);
    drop_txns(w);
    sl_broker_core_destroy(w->core);
    w->core = NULL;
    assert_int_equal(sl_broker_core_create(&w->config, &w->core, NULL), SL_OK);
    world_store_restore(w->store, w->core);
}

static void collect(struct world *w) {
    struct sl_core_command command;
    while (sl_broker_core_next(w->core, &command)) {
        if (command.kind == SL_CCMD_STORE) {
            assert_true(w->txn_count < WORLD_TXNS);
            assert_true(command.txn->count > 0);
            w->txns[w->txn_count++] = command.txn;
        } else if (command.kind == SL_CCMD_LOG) {
            assert_true(command.event[0] != '\0');
            sl_core_command_fini(&command);
        } else {
            if (w->sent_count == WORLD_SENT) {
                sl_core_command_fini(&w->sent[0]);
                memmove(&w->sent[0], &w->sent[1], (WORLD_SENT - 1) * sizeof w->sent[0]);
                w->sent_count--;
            }
            w->sent[w->sent_count++] = command;
        }
    }
}

void world_commit_one(struct world *w) {
    assert_true(w->txn_count > 0);
    struct sl_txn *txn = w->txns[0];
    memmove(&w->txns[0], &w->txns[1], --w->txn_count * sizeof w->txns[0]);
    uint64_t ticket = txn->ticket;
    world_store_apply(w->store, txn);
    if (w->commit) {
        w->commit(w->commit_arg, txn);
    } else {
        sl_txn_destroy(txn);
    }
    struct sl_core_event event = {.kind = SL_CEV_DURABLE, .ticket = ticket};
    sl_broker_core_step(w->core, &event, w->now);
    collect(w);
}

void world_commit(struct world *w) {
    while (w->txn_count > 0) {
        world_commit_one(w);
    }
}

void world_step(struct world *w, struct sl_core_event *event) {
    sl_broker_core_step(w->core, event, w->now);
    collect(w);
    if (!w->hold) {
        world_commit(w);
    }
}

void world_wait(struct world *w, int64_t ms) {
    int64_t end_ns = w->now.mono.ns + ms * SL_NS_PER_MS;
    while (w->now.mono.ns < end_ns) {
        int64_t due_ns = sl_broker_core_due(w->core).ns;
        int64_t next_ns = due_ns > w->now.mono.ns ? due_ns : w->now.mono.ns + SL_NS_PER_MS;
        next_ns = next_ns < end_ns ? next_ns : end_ns;
        w->now.wall.ms += next_ns / SL_NS_PER_MS - w->now.mono.ns / SL_NS_PER_MS;
        w->now.mono.ns = next_ns;
        struct sl_core_event event = {.kind = SL_CEV_TIMER};
        world_step(w, &event);
    }
}

/* ---- agents ---- */

struct sl_link_peer world_peer(const char *key, uint64_t conn) {
    struct sl_link_peer peer = {.conn = conn ? conn : 1};
    sl_text_copy(peer.key, sizeof peer.key, key);
    return peer;
}

void world_device(struct sl_msg_device *device, const char *key) {
    memset(device, 0, sizeof *device);
    sl_text_copy(device->key, sizeof device->key, key);
    sl_text_copy(device->name, sizeof device->name, "made up");
    device->mode = SL_MODE_HASH;
    device->safe = true;
    device->hash_rate_hs = WORLD_HASH_RATE;
    device->model_count = 1;
    sl_text_copy(device->models[0].id, sizeof device->models[0].id, "mini");
    device->models[0].tokens_per_s_milli = WORLD_TOKENS_MILLI;
    for (int from = 1; from < SL_MODE_COUNT; from++) {
        for (int to = 1; to < SL_MODE_COUNT; to++) {
            device->switch_us[from][to] = 1000;
        }
    }
}

void world_msg(struct world *w, const char *key, uint64_t conn, uint64_t session,
               struct sl_msg *msg) {
    msg->version = msg->version ? msg->version : SL_WIRE_VERSION;
    msg->session = session;
    struct sl_core_event event = {
        .kind = SL_CEV_MSG, .peer = world_peer(key, conn), .msg = msg, .read_ns = w->now.mono.ns};
    world_step(w, &event);
}

static struct sl_core_node *node_of(struct world *w, const char *key) {
    uint32_t at = sl_core_node_find(w->core, key);
    return at == SL_CORE_NONE ? NULL : &w->core->nodes[at];
}

static uint64_t session_of(struct world *w, const char *key) {
    struct sl_core_node *node = node_of(w, key);
    return node ? node->session : 0;
}

static uint64_t conn_of(struct world *w, const char *key) {
    struct sl_core_node *node = node_of(w, key);
    return node ? node->peer.conn : 0;
}

uint64_t world_hello_units(struct world *w, const char *key, uint64_t conn, uint64_t boot,
                           const struct sl_msg_device *devices, uint32_t count,
                           const uint64_t *units, uint32_t unit_count) {
    struct sl_msg msg = {.kind = SL_MSG_HELLO};
    snprintf(msg.hello.node, sizeof msg.hello.node, "node-%s", key);
    sl_text_copy(msg.hello.version, sizeof msg.hello.version, "0.1.0");
    msg.hello.boot_id = boot;
    msg.hello.device_count = count;
    msg.hello.devices = devices;
    msg.hello.unit_count = unit_count;
    msg.hello.units = units;
    world_msg(w, key, conn, 0, &msg);
    return session_of(w, key);
}

static void fill_devices(struct world *w, const char *key, struct sl_msg_device *devices,
                         uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        char name[SL_MSG_KEY_MAX];
        snprintf(name, sizeof name, "%s/%u", key, i);
        world_device(&devices[i], name);
        memset(devices[i].models[0].sha256, world_file(w, key), SL_MSG_SHA256_BYTES);
        uint32_t dev = sl_core_device_find(w->core, name);
        if (dev != SL_CORE_NONE && w->core->fleet.running[dev]) {
            devices[i].safe = false;
            devices[i].mode = (enum sl_mode)w->core->fleet.mode[dev];
            devices[i].epoch = w->core->fleet.epoch[dev];
            devices[i].epoch_max = devices[i].epoch;
            devices[i].units_held = w->core->fleet.open_units[dev];
        }
    }
}

uint64_t world_hello(struct world *w, const char *key, uint64_t conn, uint64_t boot,
                     uint32_t devices) {
    struct sl_msg_device all[8];
    fill_devices(w, key, all, devices);
    return world_hello_units(w, key, conn, boot, all, devices, NULL, 0);
}

void world_report_as(struct world *w, const char *key, const struct sl_msg_device *devices,
                     uint32_t count, bool pool) {
    struct sl_msg msg = {.kind = SL_MSG_REPORT};
    msg.report.device_count = count;
    msg.report.devices = devices;
    msg.report.pool.connected = pool;
    msg.report.pool.has_job = pool;
    world_msg(w, key, conn_of(w, key), session_of(w, key), &msg);
}

void world_report(struct world *w, const char *key, uint32_t devices) {
    struct sl_msg_device all[8];
    fill_devices(w, key, all, devices);
    world_report_as(w, key, all, devices, true);
}

static void key_of_device(const char *device, char key[SL_LINK_KEY_MAX]) {
    snprintf(key, SL_LINK_KEY_MAX, "%.*s", (int)strcspn(device, "/"), device);
}

void world_running(struct world *w, const char *device, int64_t started_ns) {
    const struct sl_msg_directive *directive = world_directive(w, device);
    assert_non_null(directive);
    struct sl_msg msg = {.kind = SL_MSG_ACK};
    sl_text_copy(msg.ack.device, sizeof msg.ack.device, device);
    msg.ack.epoch = directive->epoch;
    msg.ack.outcome = SL_ACK_RUNNING;
    msg.ack.started_ns = (uint64_t)started_ns;
    char key[SL_LINK_KEY_MAX];
    key_of_device(device, key);
    world_msg(w, key, conn_of(w, key), session_of(w, key), &msg);
}

void world_join(struct world *w, const char *key, uint32_t devices) {
    assert_true(world_hello(w, key, 1, 77, devices) != 0);
    world_report(w, key, devices);
    for (uint32_t i = 0; i < devices; i++) {
        char name[SL_MSG_KEY_MAX];
        snprintf(name, sizeof name, "%s/%u", key, i);
        world_running(w, name, w->now.mono.ns);
    }
}

static void send_result(struct world *w, const struct sl_unit_row *unit,
                        struct sl_msg_result_line *lines, uint32_t count, bool done,
                        uint64_t result_id) {
    struct sl_msg msg = {.kind = SL_MSG_RESULT};
    msg.result.result_id = result_id;
    msg.result.unit_id = unit->unit_id;
    sl_text_copy(msg.result.device, sizeof msg.result.device, unit->device);
    msg.result.line_count = count;
    msg.result.lines = lines;
    msg.result.unit_done = done;
    memset(msg.result.model_sha256, world_file(w, unit->node_key), SL_MSG_SHA256_BYTES);
    world_msg(w, unit->node_key, conn_of(w, unit->node_key), session_of(w, unit->node_key), &msg);
}

static const uint8_t vector_data[16] = {0, 0, 0x80, 0x3f, 0, 0, 0, 0x40, 0, 0, 0x40, 0x40};
static const struct sl_msg_vector good_vector = {0, 7, 4, vector_data};

static void fill_line(struct sl_msg_result_line *out, uint32_t line, enum sl_line_status status,
                      uint32_t tokens) {
    *out = (struct sl_msg_result_line){.line = line, .status = status, .tokens = tokens};
    if (status == SL_LINE_OK) {
        out->vector_count = 1;
        out->vectors = &good_vector;
    }
}

void world_finish(struct world *w, const struct sl_unit_row *unit, uint32_t tokens, bool done) {
    struct sl_unit_row copy = *unit; /* `unit` may lie in what is sent, which moves */
    struct sl_msg_result_line lines[SL_MSG_LINES_MAX];
    for (uint32_t i = 0; i < copy.line_count; i++) {
        fill_line(&lines[i], copy.lines[i], SL_LINE_OK, tokens);
    }
    send_result(w, &copy, lines, copy.line_count, done, ++w->result_id);
}

void world_line(struct world *w, const struct sl_unit_row *unit, uint32_t line,
                enum sl_line_status status, uint32_t tokens, bool done, uint64_t result_id) {
    struct sl_unit_row copy = *unit;
    struct sl_msg_result_line one;
    fill_line(&one, line, status, tokens);
    send_result(w, &copy, &one, status == SL_LINE_INVALID ? 0 : 1, done,
                result_id ? result_id : ++w->result_id);
}

void world_share(struct world *w, const char *key, uint64_t id, enum sl_share_outcome outcome,
                 uint64_t work, uint64_t age_ms) {
    struct sl_msg_share share = {.share_id = id,
                                 .outcome = outcome,
                                 .work_hashes = work,
                                 .difficulty_nano = UINT64_C(1000000000000),
                                 .age_ms = age_ms};
    snprintf(share.device, sizeof share.device, "%s/0", key);
    struct sl_msg msg = {.kind = SL_MSG_SHARES};
    msg.shares.share_count = 1;
    msg.shares.shares = &share;
    world_msg(w, key, conn_of(w, key), session_of(w, key), &msg);
}

/* ---- tenants, feeds, people ---- */

void world_price(struct world *w, uint32_t feed, int64_t value_nano) {
    struct sl_core_event event = {.kind = SL_CEV_PRICE,
                                  .feed = feed,
                                  .price_ok = true,
                                  .value_nano = value_nano,
                                  .as_of = w->now.wall,
                                  .read_ns = w->now.mono.ns};
    world_step(w, &event);
}

void world_batch_only(struct world *w, const char *id, const char *tenant, int64_t bid,
                      int64_t deadline_ms) {
    struct sl_core_event event = {.kind = SL_CEV_BATCH, .cookie = w->cookie++};
    event.row = calloc(1, sizeof *event.row);
    assert_non_null(event.row);
    sl_text_copy(event.row->id, sizeof event.row->id, id);
    sl_text_copy(event.row->tenant, sizeof event.row->tenant, tenant);
    sl_text_copy(event.row->input_file, sizeof event.row->input_file, "file_in");
    sl_text_copy(event.row->endpoint, sizeof event.row->endpoint, "/v1/embeddings");
    event.row->metadata = strdup("{}");
    event.row->bid_nusd_per_mtok = bid;
    event.row->deadline.ms = deadline_ms;
    event.row->output_life_ms = w->output_life_ms;
    world_step(w, &event);
}

void world_validated(struct world *w, const char *id, uint32_t lines, uint32_t refused) {
    struct sl_core_event event = {.kind = SL_CEV_VALIDATED, .read_ns = w->now.mono.ns};
    sl_text_copy(event.batch, sizeof event.batch, id);
    sl_text_copy(event.model, sizeof event.model, "mini");
    event.lines.count = lines;
    event.lines.tokens = w->tokens;
    event.lines.worst_tokens = calloc(lines ? lines : 1, sizeof(uint32_t));
    assert_non_null(event.lines.worst_tokens);
    for (uint32_t i = 0; i < lines; i++) {
        event.lines.worst_tokens[i] = i < refused ? 0 : 100;
    }
    event.errors = lines ? NULL : strdup("[]");
    world_step(w, &event);
}

void world_batch(struct world *w, const char *id, const char *tenant, uint32_t lines, int64_t bid) {
    world_batch_only(w, id, tenant, bid, 0);
    world_validated(w, id, lines, 0);
}

void world_bid(struct world *w, const char *id, const char *tenant, int64_t bid) {
    struct sl_core_event event = {.kind = SL_CEV_BID,
                                  .cookie = w->cookie++,
                                  .bid_nusd_per_mtok = bid,
                                  .read_ns = w->now.mono.ns};
    sl_text_copy(event.batch, sizeof event.batch, id);
    sl_text_copy(event.tenant, sizeof event.tenant, tenant);
    sl_text_copy(event.actor, sizeof event.actor, "key_1");
    world_step(w, &event);
}

void world_cancel(struct world *w, const char *id, const char *tenant) {
    struct sl_core_event event = {.kind = SL_CEV_CANCEL, .cookie = w->cookie++};
    sl_text_copy(event.batch, sizeof event.batch, id);
    sl_text_copy(event.tenant, sizeof event.tenant, tenant);
    world_step(w, &event);
}

void world_finalized(struct world *w, const char *id) {
    struct sl_core_event event = {.kind = SL_CEV_FINALIZED};
    sl_text_copy(event.batch, sizeof event.batch, id);
    snprintf(event.output.id, sizeof event.output.id, "file_%.20s", id);
    event.output.created = w->now.wall;
    world_step(w, &event);
}

void world_order(struct world *w, const char *subject, enum sl_override_kind kind,
                 enum sl_mode mode) {
    struct sl_core_event event = {.kind = SL_CEV_OVERRIDE, .cookie = w->cookie++};
    sl_text_copy(event.override_.subject, sizeof event.override_.subject, subject);
    event.override_.kind = kind;
    event.override_.mode = mode;
    sl_text_copy(event.actor, sizeof event.actor, "key_op");
    world_step(w, &event);
}

/* ---- what came out ---- */

const struct sl_core_command *world_last(const struct world *w, enum sl_core_command_kind kind) {
    for (uint32_t i = w->sent_count; i > 0; i--) {
        if (w->sent[i - 1].kind == kind) {
            return &w->sent[i - 1];
        }
    }
    return NULL;
}

static bool is_msg(const struct sl_core_command *c, const char *key, enum sl_msg_kind kind) {
    return c->kind == SL_CCMD_SEND && c->msg->kind == kind && strcmp(c->peer.key, key) == 0;
}

const struct sl_msg *world_last_msg(const struct world *w, const char *key, enum sl_msg_kind kind) {
    for (uint32_t i = w->sent_count; i > 0; i--) {
        if (is_msg(&w->sent[i - 1], key, kind)) {
            return w->sent[i - 1].msg;
        }
    }
    return NULL;
}

const struct sl_msg_directive *world_directive(const struct world *w, const char *device) {
    for (uint32_t i = w->sent_count; i > 0; i--) {
        const struct sl_core_command *c = &w->sent[i - 1];
        if (c->kind == SL_CCMD_SEND && c->msg->kind == SL_MSG_DIRECTIVE &&
            strcmp(c->msg->directive.device, device) == 0) {
            return &c->msg->directive;
        }
    }
    return NULL;
}

uint32_t world_count(const struct world *w, enum sl_core_command_kind kind) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < w->sent_count; i++) {
        n += w->sent[i].kind == kind;
    }
    return n;
}

uint32_t world_count_msg(const struct world *w, const char *key, enum sl_msg_kind kind) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < w->sent_count; i++) {
        n += is_msg(&w->sent[i], key, kind);
    }
    return n;
}

const struct sl_unit_row *world_unit(const struct world *w, const char *device, uint32_t n) {
    for (uint32_t i = w->sent_count; i > 0; i--) {
        const struct sl_core_command *c = &w->sent[i - 1];
        if (c->kind == SL_CCMD_SEND_UNIT && strcmp(c->unit.device, device) == 0 && n-- == 0) {
            return &c->unit;
        }
    }
    return NULL;
}

struct sl_view_device world_view(struct world *w, const char *device) {
    struct sl_view_device view;
    for (uint32_t i = 0; sl_view_device_get(w->core, w->now, i, &view); i++) {
        if (strcmp(view.report.key, device) == 0) {
            return view;
        }
    }
    fail_msg("no device %s", device);
    return view;
}

struct sl_view_batch world_view_batch(struct world *w, const char *id) {
    struct sl_view_batch view = {0};
    for (uint32_t i = 0; sl_view_batch_get(w->core, w->now, i, &view); i++) {
        if (strcmp(view.id, id) == 0) {
            return view;
        }
    }
    return (struct sl_view_batch){0};
}

const struct sl_batch_row *world_stored_batch(const struct world *w, const char *id) {
    for (uint32_t i = 0; i < w->store->batch_count; i++) {
        if (strcmp(w->store->batches[i].id, id) == 0) {
            return &w->store->batches[i];
        }
    }
    return NULL;
}

sl_i128 world_balance(const struct world *w, const char *id) {
    for (uint32_t i = 0; i < w->store->account_count; i++) {
        const struct sl_account_row *row = &w->store->accounts[i];
        if (strcmp(row->id, id) == 0) {
            return row->credits.v - row->debits.v;
        }
    }
    return 0;
}

static void check_batch(struct world *w, const struct sl_core_batch *batch) {
    uint32_t states[4] = {0};
    for (uint32_t line = 0; line < batch->row.lines_total && batch->line_state; line++) {
        states[batch->line_state[line]]++;
        if (batch->line_state[line] == SL_CLINE_WAITING) {
            assert_true(line >= batch->hint);
        }
        if (batch->line_state[line] == SL_CLINE_ISSUED) {
            struct sl_core_unit *owner = sl_core_unit_find(w->core, batch->line_unit[line]);
            assert_non_null(owner);
            assert_false(owner->closed);
        }
    }
    assert_int_equal(states[SL_CLINE_WAITING], batch->waiting);
    assert_int_equal(states[SL_CLINE_ISSUED], batch->issued);
    assert_int_equal(states[SL_CLINE_DONE], batch->row.lines_completed);
    if (batch->lines_known) {
        assert_int_equal(states[SL_CLINE_FAILED], batch->row.lines_failed);
    }
}

static void check_units(struct world *w) {
    const struct sl_broker_core *core = w->core;
    for (uint32_t t = 0; t < core->tenant_count; t++) {
        sl_i128 reserved = 0;
        bool known = true; /* before lines are read again, more is held than needed */
        for (uint32_t i = 0; i < core->batch_count; i++) {
            const struct sl_core_batch *b = core->batches[i];
            known =
                known && (b->tenant != core->tenants[t] || b->lines_known || b->unit_count == 0);
        }
        for (uint32_t i = 0; i < core->unit_count; i++) {
            const struct sl_core_unit *unit = core->units[i];
            assert_true(unit->reserved >= 0);
            assert_true(!unit->closed || unit->reserved == 0);
            reserved += unit->batch->tenant == core->tenants[t] ? unit->reserved : 0;
            assert_true(i == 0 || core->units[i - 1]->id < unit->id);
        }
        assert_true(reserved == core->tenants[t]->reserved);
        const struct sl_core_tenant *config = &core->tenants[t]->config;
        if (config->budget_nusd >= 0 && known) {
            assert_true(sl_core_tenant_left(core, core->tenants[t]) >= 0);
        }
    }
}

void world_check(struct world *w) {
    const struct sl_broker_core *core = w->core;
    for (uint32_t i = 0; i < core->batch_count; i++) {
        check_batch(w, core->batches[i]);
    }
    check_units(w);
    for (uint32_t dev = 0; dev < core->fleet.count; dev++) {
        assert_true(core->fleet.epoch[dev] <= core->fleet.epoch_max[dev]);
        for (const struct sl_core_unit *u = core->fleet.units[dev]; u; u = u->next) {
            assert_false(u->closed);
            assert_int_equal(u->device, dev);
            assert_true(u->epoch <= core->fleet.epoch[dev]);
        }
    }
    if (w->txn_count > 0) {
        return; /* the store is behind */
    }
    sl_i128 debits = 0;
    sl_i128 credits = 0;
    for (uint32_t i = 0; i < w->store->account_count; i++) {
        const struct sl_account_row *row = &w->store->accounts[i];
        debits += row->debits.v;
        credits += row->credits.v;
        uint32_t at = sl_core_account_find(core, row->id);
        assert_true(at != SL_CORE_NONE);
        assert_true(core->accounts[at].debits.v == row->debits.v);
        assert_true(core->accounts[at].credits.v == row->credits.v);
    }
    assert_true(debits == credits);
    sl_i128 billed = 0;
    for (uint32_t i = 0; i < w->store->batch_count; i++) {
        billed += w->store->batches[i].billed_nusd;
    }
    assert_true(billed == w->store->line_postings);
    assert_true(billed == world_balance(w, "revenue:lease"));
}
