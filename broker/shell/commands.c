/* SPDX-License-Identifier: Apache-2.0
 * Carrying out the core's commands, in order. */
#include <stdlib.h>
#include <string.h>

#include "broker/shell/broker.h"
#include "broker/shell/join.h"
#include "proto/base/log.h"

#define DECISIONS_BYTES_MAX (INT64_C(1) << 30)
#define BUNDLE_MAX 128
#define BUNDLE_BYTES_MAX ((size_t)64 * 1024)

/* A full or gone peer is no error: epochs, ttl and resending make a lost message harmless. */
static void send_bytes(struct sl_broker *broker, const struct sl_link_peer *peer,
                       const struct sl_buf *bytes, const char *kind) {
    struct sl_error err;
    int rc = sl_link_send(broker->link, peer, (const uint8_t *)bytes->data, bytes->len, &err);
    if (rc) {
        sl_log(SL_LOG_DEBUG, "link.unsent", "agent=%s kind=%s %s", peer->key, kind,
               sl_status_text(rc));
    }
}

static bool encode(struct sl_broker *broker, const struct sl_msg *msg) {
    struct sl_error err;
    broker->outgoing.len = 0;
    int rc = sl_msg_encode(msg, &broker->outgoing, &err);
    if (rc) {
        sl_log(SL_LOG_ERROR, "wire.encode", "kind=%s %s", sl_msg_kind_name(msg->kind), err.text);
    }
    return rc == SL_OK;
}

static void send_msg(struct sl_broker *broker, const struct sl_link_peer *peer,
                     const struct sl_msg *msg) {
    if (encode(broker, msg)) {
        send_bytes(broker, peer, &broker->outgoing, sl_msg_kind_name(msg->kind));
    }
}

/* ---- directives in bundles ----
 * A node of a large site is renewed a hundred leases at a time. As one message they cost libzmq's
 * queue of the connection one place of 64 bytes, not a hundred. */

static void send_bundle(struct sl_broker *broker) {
    if (broker->bundled > 0) {
        send_bytes(broker, &broker->bundle_peer, &broker->bundle, "bundle");
    }
    broker->bundle.len = 0;
    broker->bundled = 0;
}

/* Anything but a directive to the same agent ends the bundle, so nothing waits for it. */
static bool joins_bundle(const struct sl_broker *broker, const struct sl_core_command *command) {
    const struct sl_link_peer *peer = &broker->bundle_peer;
    return command->kind == SL_CCMD_SEND && command->bundle &&
           command->msg->kind == SL_MSG_DIRECTIVE && broker->bundled < BUNDLE_MAX &&
           broker->bundle.len < BUNDLE_BYTES_MAX &&
           (broker->bundled == 0 ||
            (peer->conn == command->peer.conn && strcmp(peer->key, command->peer.key) == 0));
}

static void send_command(struct sl_broker *broker, const struct sl_core_command *command) {
    if (!joins_bundle(broker, command)) {
        send_msg(broker, &command->peer, command->msg);
        return;
    }
    if (!encode(broker, command->msg)) {
        return;
    }
    broker->bundle_peer = command->peer;
    sl_msg_bundle_add(&broker->bundle, broker->outgoing.data, broker->outgoing.len);
    sl_assert(!broker->bundle.failed);
    broker->bundled++;
}

void sl_broker_refuse_version(struct sl_broker *broker, const struct sl_link_peer *peer) {
    struct sl_msg msg = {.version = SL_WIRE_VERSION, .kind = SL_MSG_GOODBYE};
    msg.goodbye.retry = true;
    snprintf(msg.goodbye.reason, sizeof msg.goodbye.reason,
             "the broker (" SLUICE_VERSION ") understands wire versions %d to %d only",
             SL_WIRE_VERSION_OLDEST(SL_WIRE_VERSION), SL_WIRE_VERSION);
    send_msg(broker, peer, &msg);
}

static struct sl_spool *find_spool(struct sl_broker *broker, const char *batch,
                                   struct sl_error *err) {
    struct sl_open_spool *oldest = &broker->spools[0];
    for (size_t i = 0; i < SL_BROKER_SPOOLS_MAX; i++) {
        struct sl_open_spool *slot = &broker->spools[i];
        if (slot->spool && strcmp(slot->batch, batch) == 0) {
            slot->used = broker->turn;
            return slot->spool;
        }
        if (!slot->spool || (oldest->spool && slot->used < oldest->used)) {
            oldest = slot;
        }
    }
    struct sl_spool *spool = NULL;
    if (sl_spool_open(broker->config.data_dir, batch, &spool, err)) {
        return NULL;
    }
    sl_spool_close(oldest->spool);
    oldest->spool = spool;
    oldest->used = broker->turn;
    sl_text_copy(oldest->batch, sizeof oldest->batch, batch);
    return spool;
}

/* Texts of a unit's lines; *inputs is one malloc'ed block for all of them. */
static int gather_inputs(struct sl_spool *spool, const struct sl_unit_row *unit,
                         struct sl_msg_unit_line *lines, struct sl_msg_input **ret_inputs,
                         struct sl_error *err) {
    uint32_t total = 0;
    for (uint32_t i = 0; i < unit->line_count; i++) {
        struct sl_spool_line line;
        int rc = sl_spool_line(spool, unit->lines[i], &line, err);
        if (rc) {
            return rc;
        }
        lines[i] = (struct sl_msg_unit_line){
            .line = unit->lines[i], .input_count = line.input_count, .tokens = line.tokens};
        total += line.input_count;
    }
    struct sl_msg_input *inputs = calloc(total ? total : 1, sizeof *inputs);
    if (!inputs) {
        return sl_fail(err, SL_NOMEM, "no memory for the texts of a unit");
    }
    uint32_t at = 0;
    for (uint32_t i = 0; i < unit->line_count; i++) {
        int rc = sl_spool_inputs(spool, unit->lines[i], inputs + at, total - at, err);
        if (rc) {
            free(inputs);
            return rc;
        }
        lines[i].inputs = inputs + at;
        at += lines[i].input_count;
    }
    *ret_inputs = inputs;
    return SL_OK;
}

static void send_unit(struct sl_broker *broker, const struct sl_core_command *command) {
    const struct sl_unit_row *unit = &command->unit;
    struct sl_msg_unit_line lines[SL_MSG_LINES_MAX];
    struct sl_msg_input *inputs = NULL;
    struct sl_error err;
    struct sl_spool *spool = find_spool(broker, unit->batch, &err);
    if (!spool || gather_inputs(spool, unit, lines, &inputs, &err)) {
        sl_log(SL_LOG_ERROR, "unit.texts", "batch=%s unit=%llu %s", unit->batch,
               (unsigned long long)unit->unit_id, err.text);
        return;
    }
    struct sl_msg msg = *command->msg; /* envelope: version, session, sequence */
    msg.kind = SL_MSG_UNIT;
    msg.unit = (struct sl_msg_unit){
        .unit_id = unit->unit_id,
        .epoch = unit->epoch,
        .line_count = unit->line_count,
        .lines = lines,
    };
    sl_text_copy(msg.unit.device, sizeof msg.unit.device, unit->device);
    sl_text_copy(msg.unit.model, sizeof msg.unit.model, command->model);
    send_msg(broker, &command->peer, &msg);
    free(inputs);
}

static void forget_batch(struct sl_broker *broker, const char *batch) {
    for (size_t i = 0; i < SL_BROKER_SPOOLS_MAX; i++) {
        struct sl_open_spool *slot = &broker->spools[i];
        if (slot->spool && strcmp(slot->batch, batch) == 0) {
            sl_spool_close(slot->spool);
            *slot = (struct sl_open_spool){0};
        }
    }
    sl_spool_delete(broker->config.data_dir, batch);
}

static void submit_txn(struct sl_broker *broker, struct sl_core_command *command) {
    struct sl_txn *txn = command->txn;
    command->txn = NULL;
    txn->done = sl_broker_on_durable;
    txn->arg = broker;
    sl_store_submit(broker->store, txn); /* a failed store has called fatal already */
}

/* Nothing depends on this file: what cannot be written is told once and given up. */
static void log_decision(struct sl_broker *broker, const char *line) {
    FILE *file = broker->decisions;
    if (!file) {
        return;
    }
    bool full = ftell(file) > DECISIONS_BYTES_MAX;
    if (full || fputs(line, file) == EOF || fputc('\n', file) == EOF || fflush(file) != 0) {
        sl_log(SL_LOG_WARN, "decisions.log", "%s; no more is logged",
               full ? "the log of decisions has reached 1 GiB: move it away and restart"
                    : "the log of decisions cannot be written");
        fclose(file);
        broker->decisions = NULL;
    }
}

/* A list that cannot be passed on must not leave a revoked key at work: better to stop. */
static void admit(struct sl_broker *broker) {
    struct sl_error err;
    if (sl_broker_admit(broker, &err)) {
        sl_log(SL_LOG_ERROR, "link.admit", "%s", err.text);
        sl_broker_stop(broker, 1);
    }
}

static void carry_out(struct sl_broker *broker, struct sl_core_command *command) {
    switch (command->kind) {
    case SL_CCMD_SEND:
        send_command(broker, command);
        break;
    case SL_CCMD_SEND_UNIT:
        send_unit(broker, command);
        break;
    case SL_CCMD_STORE:
        submit_txn(broker, command);
        break;
    case SL_CCMD_REPLY:
        sl_http_reply(broker->http, command->cookie, command->status, command->text);
        break;
    case SL_CCMD_VALIDATE:
        sl_broker_validate(broker, command->batch);
        break;
    case SL_CCMD_FINALIZE:
        sl_broker_finalize(broker, command->batch);
        break;
    case SL_CCMD_FORGET:
        forget_batch(broker, command->batch);
        break;
    case SL_CCMD_DECISION:
        log_decision(broker, command->line);
        break;
    case SL_CCMD_ADMIT:
        admit(broker);
        break;
    case SL_CCMD_JOIN_REPLY:
        sl_broker_join_reply(broker, command);
        break;
    case SL_CCMD_LOG:
        sl_log(command->level, command->event, "%s", command->text);
        break;
    case SL_CCMD_INVALID:
    default:
        sl_assert(false && "the core gave a command without a kind");
    }
    sl_core_command_fini(command);
}

/* ---- what is urgent first ----
 * A device waits for what was decided to become durable, then for its directive. The threads that
 * do both are often on this one's core, and run when it sleeps: so it does, and writes its log
 * lines and answers when the device has most likely started. Measured with perf sched: 40 us before
 * the store began, as much again before ZeroMQ sent, since libmicrohttpd's thread went first. */

#define LATER_MS 3

static bool can_wait(const struct sl_core_command *command) {
    return command->kind == SL_CCMD_LOG || command->kind == SL_CCMD_DECISION ||
           command->kind == SL_CCMD_REPLY;
}

static bool is_urgent(const struct sl_core_command *command) {
    return command->kind == SL_CCMD_STORE ||
           (command->kind == SL_CCMD_SEND && command->msg->kind == SL_MSG_DIRECTIVE &&
            !command->msg->directive.renewal);
}

void sl_broker_carry_out_rest(struct sl_broker *broker) {
    struct sl_broker_later *later = &broker->later;
    for (uint32_t i = 0; i < later->count; i++) {
        carry_out(broker, &later->commands[i]);
    }
    later->count = 0;
}

static void on_later(uv_timer_t *timer) {
    sl_broker_carry_out_rest(timer->data);
}

static void put_off(struct sl_broker *broker, const struct sl_core_command *command) {
    if (broker->later.count == SL_BROKER_LATER_MAX) {
        sl_broker_carry_out_rest(broker);
    }
    broker->later.commands[broker->later.count++] = *command;
}

void sl_broker_carry_out(struct sl_broker *broker) {
    struct sl_core_command command;
    bool urgent = false;
    while (sl_broker_core_next(broker->core, &command)) {
        if (can_wait(&command)) {
            put_off(broker, &command);
            continue;
        }
        if (!joins_bundle(broker, &command)) {
            send_bundle(broker);
        }
        urgent = urgent || is_urgent(&command);
        carry_out(broker, &command);
    }
    send_bundle(broker);
    if (!urgent) {
        sl_broker_carry_out_rest(broker);
    } else if (broker->later.count > 0 && !uv_is_active((uv_handle_t *)&broker->later_timer)) {
        uv_update_time(&broker->loop);
        uv_timer_start(&broker->later_timer, on_later, LATER_MS, 0);
    }
}
