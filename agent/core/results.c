/* SPDX-License-Identifier: Apache-2.0
 * The spool of results: journalled, sent, sent again until the broker has them durably.
 *
 * A result goes out without waiting for our own disk: the broker acknowledges when its store has
 * it, and if we crash before either disk has it, the lines are simply issued again. */
#include <stdlib.h>
#include <string.h>

#include "agent/core/core_internal.h"
#include "agent/core/records.h"
#include "proto/base/mutant.h"

#define RESEND_MS 5000 /* for each 4 MiB, which a slow link may need for them */
#define LOOK_MS 1000
#define WINDOW_BYTES (8u << 20)

static uint64_t age_ms(struct sl_now now, int64_t finished_ms) {
    int64_t age = now.wall.ms - finished_ms;
    return age < 0 ? 0 : age > SL_MSG_SPAN_MS_MAX ? (uint64_t)SL_MSG_SPAN_MS_MAX : (uint64_t)age;
}

static void append(struct agent_results *results, struct agent_result *entry) {
    if (!results->last) {
        results->last = &results->first;
    }
    *results->last = entry;
    results->last = &entry->next;
    results->count++;
    results->bytes += entry->size;
}

static struct agent_result *entry_create(uint64_t id, int64_t finished_ms, const void *bytes,
                                         size_t size) {
    struct agent_result *entry = agent_alloc(sizeof *entry + size);
    entry->id = id;
    entry->finished_ms = finished_ms;
    entry->size = size;
    memcpy(entry->bytes, bytes, size);
    return entry;
}

static void send_bytes(struct sl_agent_core *core, const void *bytes, size_t size) {
    struct sl_agent_cmd *cmd = agent_queue(core, SL_AGENT_SEND);
    cmd->data = agent_alloc(size);
    memcpy(cmd->data, bytes, size);
    cmd->size = size;
}

static void note_sent(struct sl_agent_core *core, struct sl_now now, struct agent_result *entry) {
    entry->sent_ns = now.mono.ns;
    core->results.in_flight_bytes += entry->size;
}

static bool next_part(const struct agent_result *entry, size_t *at, const uint8_t **ret_bytes,
                      size_t *ret_size) {
    return sl_msg_bundle_next(entry->bytes, entry->size, at, ret_bytes, ret_size);
}

/* The stored bytes with the stamp of this session and the present age. */
static int part_again(struct sl_agent_core *core, struct sl_now now, struct agent_result *entry,
                      const uint8_t *bytes, size_t size, struct sl_error *err) {
    struct sl_msg msg;
    struct sl_buf *buf = &core->encoded;
    buf->len = 0;
    int rc = sl_msg_decode(bytes, size, core->arena, &msg, err);
    if (rc) {
        return rc;
    }
    msg.version = core->session.wire; /* not the one in which it was journalled */
    msg.session = core->session.id;
    msg.sequence = core->session.sequence + 1;
    msg.result.age_ms = age_ms(now, entry->finished_ms);
    rc = sl_msg_encode(&msg, buf, err);
    if (rc) {
        return rc;
    }
    core->session.sequence++;
    send_bytes(core, buf->data, buf->len);
    return SL_OK;
}

/* False: it can never be sent. */
static bool send_again(struct sl_agent_core *core, struct sl_now now, struct agent_result *entry) {
    struct sl_error err = {0};
    const uint8_t *part = NULL;
    size_t size = 0;
    size_t at = 0;
    int rc = SL_OK;
    if (sl_msg_bundle_is(entry->bytes, entry->size) && !core->session.parts) {
        rc = sl_fail(&err, SL_UNSUPPORTED,
                     "this broker is an older one, which takes no line in parts: it issues the "
                     "line again");
    }
    while (rc == SL_OK && next_part(entry, &at, &part, &size)) {
        rc = part_again(core, now, entry, part, size, &err);
    }
    if (rc) {
        agent_log(core, SL_LOG_ERROR, "result.unsent", "result=%llu %s",
                  (unsigned long long)entry->id, err.text);
        return false;
    }
    note_sent(core, now, entry);
    return true;
}

static void journal_result(struct sl_agent_core *core, struct agent_result *entry) {
    uint8_t *value = agent_alloc(AGENT_RESULT_HEAD + entry->size);
    agent_put_le(value, (uint64_t)entry->finished_ms, AGENT_RESULT_HEAD);
    memcpy(value + AGENT_RESULT_HEAD, entry->bytes, entry->size);
    agent_journal_id(core, SL_JOURNAL_RESULT, entry->id, value, AGENT_RESULT_HEAD + entry->size,
                     false);
    free(value);
    entry->journalled = true;
}

int agent_result_add(struct sl_agent_core *core, struct sl_now now, struct sl_msg_result *result,
                     struct sl_error *err) {
    bool send = agent_live(core) && core->results.in_flight_bytes < WINDOW_BYTES;
    uint32_t parts = 0;
    struct sl_msg msg = {.version = send ? core->session.wire : SL_WIRE_VERSION,
                         .kind = SL_MSG_RESULT,
                         .session = core->session.id,
                         .sequence = core->session.sequence + 1};
    result->result_id = core->results.next_id;
    msg.result = *result;
    struct sl_buf *buf = &core->encoded;
    buf->len = 0;
    int rc = agent_result_encode(core, &msg, buf, &parts, err);
    if (rc == SL_OK && parts > 1 && agent_live(core) && !core->session.parts) {
        rc = sl_fail(err, SL_LIMIT,
                     "its vectors do not fit one message, and this broker is an "
                     "older one, which takes no line in parts");
    }
    if (rc) {
        return rc;
    }
    core->results.next_id++;
    struct agent_result *entry = entry_create(result->result_id, now.wall.ms, buf->data, buf->len);
    append(&core->results, entry);
    const uint8_t *part = NULL;
    size_t size = 0;
    for (size_t at = 0; send && next_part(entry, &at, &part, &size);) {
        core->session.sequence++;
        send_bytes(core, part, size);
    }
    if (send) {
        note_sent(core, now, entry);
    }
    /* The mere end of a unit needs no disk: after a crash the next hello tells what is held. */
    if (result->line_count > 0) {
        journal_result(core, entry);
    }
    if (core->results.resend_ns == 0) {
        core->results.resend_ns = sl_mono_after_ms(now.mono, LOOK_MS).ns;
    }
    return SL_OK;
}

int agent_result_replay(struct sl_agent_core *core, uint64_t id, const uint8_t *value, size_t size,
                        struct sl_error *err) {
    struct sl_msg msg;
    const uint8_t *part = NULL;
    size_t bytes = 0;
    size_t at = 0;
    bool good = size >= AGENT_RESULT_HEAD;
    while (good && sl_msg_bundle_next(value + AGENT_RESULT_HEAD, size - AGENT_RESULT_HEAD, &at,
                                      &part, &bytes)) {
        good = sl_msg_decode(part, bytes, core->arena, &msg, err) == SL_OK &&
               msg.kind == SL_MSG_RESULT && msg.result.result_id == id;
    }
    if (!good) {
        return sl_fail(err, SL_CORRUPT, "the journal's result %llu is none",
                       (unsigned long long)id);
    }
    struct agent_result *entry = entry_create(id, (int64_t)agent_get_le(value, AGENT_RESULT_HEAD),
                                              value + AGENT_RESULT_HEAD, size - AGENT_RESULT_HEAD);
    entry->journalled = true;
    append(&core->results, entry);
    return SL_OK;
}

/* Unlinks and frees *link. */
static void forget(struct sl_agent_core *core, struct agent_result **link) {
    struct agent_results *results = &core->results;
    struct agent_result *entry = *link;
    *link = entry->next;
    if (!*link) {
        results->last = link;
    }
    results->count--;
    results->bytes -= entry->size;
    results->in_flight_bytes -= entry->sent_ns ? entry->size : 0;
    if (entry->journalled) {
        agent_journal_id(core, SL_JOURNAL_RESULT, entry->id, NULL, 0, false);
    }
    free(entry);
}

void agent_results_acked(struct sl_agent_core *core, struct sl_now now, const uint64_t *ids,
                         uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        struct agent_result **link = &core->results.first;
        while (*link && (*link)->id != ids[i]) {
            link = &(*link)->next;
        }
        if (*link) {
            forget(core, link);
        }
    }
    agent_results_pump(core, now);
}

static bool is_late(const struct agent_result *entry, struct sl_now now) {
    int64_t patience_ms = RESEND_MS * (1 + (int64_t)(entry->size / SL_MSG_BYTES_MAX));
    return entry->sent_ns && now.mono.ns - entry->sent_ns >= patience_ms * SL_NS_PER_MS;
}

void agent_results_pump(struct sl_agent_core *core, struct sl_now now) {
    struct agent_results *results = &core->results;
    results->resend_ns = results->count ? sl_mono_after_ms(now.mono, LOOK_MS).ns : 0;
    if (!agent_live(core)) {
        return;
    }
    struct agent_result **link = &results->first;
    while (*link) {
        struct agent_result *entry = *link;
        if (is_late(entry, now)) {
            results->in_flight_bytes -= entry->size;
            entry->sent_ns = 0;
        }
        if (!entry->sent_ns) {
            if (results->in_flight_bytes >= WINDOW_BYTES) {
                return;
            }
            if (!send_again(core, now, entry)) {
                forget(core, link);
                continue;
            }
        }
        link = &entry->next;
    }
}

void agent_results_restart(struct sl_agent_core *core) {
    for (struct agent_result *entry = core->results.first; entry; entry = entry->next) {
        entry->sent_ns = SL_MUTANT(results_not_resent) ? AGENT_NEVER / 2 : 0;
    }
    core->results.in_flight_bytes = 0;
}

int64_t agent_results_deadline(const struct sl_agent_core *core) {
    return core->results.resend_ns && agent_live(core) ? core->results.resend_ns : AGENT_NEVER;
}

void agent_results_free(struct agent_results *results) {
    while (results->first) {
        struct agent_result *next = results->first->next;
        free(results->first);
        results->first = next;
    }
}
