/* SPDX-License-Identifier: Apache-2.0
 * What the pool does wrong on purpose and in order: all that is more than a refused request. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/pool/pool_internal.h"

#define OVERSIZE_BYTES (300 * 1024)
#define MASK_NARROW 0x00ffe000u

static bool does(const struct sl_tp_session *session, unsigned behaviour) {
    return session->pool->options.behaviours & behaviour;
}

static void say(struct sl_tp_session *session, const char *method, json_t *params) {
    sl_tp_session_send(session,
                       json_pack("{s:n,s:s,s:o}", "id", "method", method, "params", params));
}

json_t *sl_tp_mischief_error(struct sl_tp_session *session, int code, const char *text) {
    uint64_t shape = does(session, SL_TP_ERROR_SHAPES) ? session->turn++ % 4 : 0;
    switch (shape) {
    case 1:
        return json_pack("{s:i,s:s}", "code", code, "message", text);
    case 2:
        return json_string(text);
    case 3:
        return json_null(); /* only the result says no */
    default:
        return json_pack("[i,s,n]", code, text);
    }
}

/* Bells, a NUL, colours, a new window title, text from right to left, a line break, 3,000 letters.
 */
static void show_message(struct sl_tp_session *session) {
    static const char head[] =
        "\x07\0\x1b[31mred\x1b]0;owned\x07\xe2\x80\xaetfel\r\nsluice: all is "
        "well\xc2\x9b";
    char text[sizeof head + 3000];
    memcpy(text, head, sizeof head - 1);
    memset(text + sizeof head - 1, 'z', sizeof text - sizeof head);
    text[sizeof text - 1] = '\0';
    say(session, "client.show_message",
        json_pack("[o]", json_stringn_nocheck(text, sizeof text - 1)));
}

static void send_to(struct sl_tp_session *session, const char *host, int port) {
    say(session, "client.reconnect", json_pack("[s,i,i]", host, port, 0));
}

static void send_away(struct sl_tp_session *session) {
    char host[128];
    const char *to = session->pool->options.reconnect_to;
    snprintf(host, sizeof host, "%.*s", (int)strcspn(to, ":"), to);
    send_to(session, host, atoi(strchr(to, ':') + 1));
}

/* A new extranonce1 holds from the next job on, which is the same one. */
static void move_extranonce(struct sl_tp_session *session, struct sl_wall now) {
    struct sl_tp_pool *pool = session->pool;
    char text[9];
    session->before_extranonce1 = session->extranonce1;
    session->extranonce1 = pool->next_extranonce1++;
    session->moved_at = now;
    snprintf(text, sizeof text, "%08" PRIx32, session->extranonce1);
    say(session, "mining.set_extranonce", json_pack("[s,i]", text, pool->options.extranonce2_size));
    const struct sl_tp_job *last = sl_tp_chain_newest(pool->chain);
    if (session->last_job == last->number) {
        sl_tp_session_notify_job(session, last, false);
    }
}

static void move_mask(struct sl_tp_session *session, struct sl_wall now) {
    char text[9];
    if (!session->rolling) {
        return;
    }
    session->version_mask = session->version_mask == MASK_NARROW ? SL_TP_VERSION_MASK : MASK_NARROW;
    session->moved_at = now;
    snprintf(text, sizeof text, "%08" PRIx32, session->version_mask);
    say(session, "mining.set_version_mask", json_pack("[s]", text));
}

void sl_tp_mischief_before_job(struct sl_tp_session *session, struct sl_wall now) {
    size_t i;
    json_t *answer;
    json_array_foreach(session->late, i, answer) {
        sl_tp_session_send(session, json_incref(answer));
    }
    json_decref(session->late);
    session->late = NULL;
    if (does(session, SL_TP_MOVE_MASK)) {
        move_mask(session, now);
    }
    if (does(session, SL_TP_MOVE_EXTRANONCE)) {
        session->moved_at = now;
    }
}

void sl_tp_mischief_after_job(struct sl_tp_session *session) {
    if (does(session, SL_TP_MOVE_EXTRANONCE)) {
        move_extranonce(session, session->moved_at); /* in the midst of the job */
    }
    if (does(session, SL_TP_SHOW_MESSAGES)) {
        show_message(session);
    }
    if (does(session, SL_TP_SEND_AWAY)) {
        send_away(session);
    }
}

void sl_tp_mischief_answer(struct sl_tp_session *session, json_t *id, json_t *result, int code,
                           const char *text) {
    if (does(session, SL_TP_ACK_LATE)) {
        json_t *error = code ? sl_tp_mischief_error(session, code, text) : json_null();
        session->late = session->late ? session->late : json_array();
        json_array_append_new(
            session->late, json_pack("{s:O,s:o,s:o}", "id", id, "result", result, "error", error));
        return;
    }
    if (does(session, SL_TP_ACK_TWICE)) {
        sl_tp_session_reply(session, id, json_incref(result), code, text);
        sl_tp_session_send(session,
                           json_pack("{s:i,s:b,s:n}", "id", 99999999, "result", 1, "error"));
    }
    sl_tp_session_reply(session, id, result, code, text);
}

static void oversize(struct sl_tp_session *session) {
    char *text = malloc(OVERSIZE_BYTES);
    sl_assert(text);
    memset(text, 'x', OVERSIZE_BYTES);
    session->write(session->context, text, OVERSIZE_BYTES);
    free(text);
}

void sl_tp_mischief_accepted(struct sl_tp_session *session) {
    static const char noise[] = "{\"id\":null,\"method\":\"mining.notify\",\"params\":[\"j\",7]}\n";
    uint64_t after = session->pool->options.after;
    if (after == 0 || ++session->accepted % after != 0) {
        return;
    }
    if (does(session, SL_TP_NOISE)) {
        session->write(session->context, noise, sizeof noise - 1);
    }
    if (does(session, SL_TP_OVERSIZE)) {
        oversize(session);
    }
    if (does(session, SL_TP_SEND_HOME)) {
        say(session, "client.reconnect", json_array());
    }
    session->stalled = does(session, SL_TP_STALL);
    session->failed = session->failed || does(session, SL_TP_DROP);
}
