/* SPDX-License-Identifier: Apache-2.0
 * What each message of the pool does. A message that breaks the protocol ends the connection with
 * a text that says what was wrong; what is merely unknown is passed over. */
#include "agent/stratum/client_internal.h"
#include "proto/base/mutant.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void authorize(struct sl_stratum *client, struct sl_mono now) {
    client->state = SL_STRATUM_AUTHORIZING;
    client->phase_end = sl_mono_after_ms(now, client->config.answer_timeout_ms);
    client->link.authorize_id =
        sl_stratum_request(client, "mining.authorize",
                           json_pack("[s,s]", client->config.user, client->config.password));
    if (SL_MUTANT(password_in_log)) {
        sl_stratum_queue_log(client, SL_LOG_INFO, "authorizing with %s", client->config.password);
    }
}

void sl_stratum_greet(struct sl_stratum *client) {
    const struct sl_stratum_config *config = &client->config;
    client->link.configure_id = -1;
    client->link.authorize_id = -1;
    if (config->version_mask) {
        char mask[9];
        snprintf(mask, sizeof mask, "%08" PRIx32, config->version_mask);
        /* Subscribe does not wait for the answer: some pools never give one. */
        client->link.configure_id = sl_stratum_request(
            client, "mining.configure",
            json_pack("[[s],{s:s,s:i}]", "version-rolling", "version-rolling.mask", mask,
                      "version-rolling.min-bit-count", 2));
    }
    client->link.sent_session_id = client->session_id[0] != '\0';
    client->link.subscribe_id =
        sl_stratum_request(client, "mining.subscribe",
                           json_pack("[s,s*]", config->agent,
                                     client->link.sent_session_id ? client->session_id : NULL));
}

/* It holds at once; the present job follows at the end of the read. A pool may name bits that we
 * did not ask for: it builds headers with all of its mask, while we roll ours alone. */
static void take_mask(struct sl_stratum *client, uint32_t mask) {
    client->link.pool_mask = mask;
    client->terms.version_mask = mask & client->config.version_mask;
}

/* A mask that cannot be read costs the rolling, not the pool. */
static void on_configure(struct sl_stratum *client, const struct sl_message *message) {
    struct sl_error err;
    bool rolling = false;
    uint32_t mask = 0;
    client->link.configure_id = -1;
    if (sl_message_read_configure(message, &rolling, &mask, &err) < 0) {
        sl_stratum_queue_chatter(client, SL_LOG_WARN,
                                 "%s: versions are not rolled; should it refuse shares for that, "
                                 "set version_rolling: false",
                                 err.text);
        rolling = false;
        mask = 0;
    }
    client->terms.version_rolling = rolling;
    take_mask(client, mask);
}

static void on_subscribe(struct sl_stratum *client, const struct sl_message *message,
                         struct sl_mono now) {
    struct sl_job_terms terms = client->terms;
    struct sl_error err;
    if (!sl_message_is_yes(message)) {
        char text[SL_STRATUM_TEXT_MAX];
        snprintf(text, sizeof text, "the pool refused mining.subscribe: %.150s",
                 message->error.present ? message->error.text : "no reason given");
        sl_stratum_drop(client, text, now);
        return;
    }
    if (sl_message_read_extranonce(message->result, 1, &terms, &err) < 0) {
        sl_stratum_drop(client, err.text, now);
        return;
    }
    sl_stratum_note_answer(client, client->link.subscribe_id, client->link.subscribed_at, now);
    sl_message_read_session_id(message->result, client->session_id, sizeof client->session_id);
    if (message->mended) {
        client->session_id[0] = '\0'; /* it would name another session */
    }
    sl_stratum_agree(client, &terms, now);
    if (client->state == SL_STRATUM_SUBSCRIBING) {
        authorize(client, now);
    }
}

void sl_stratum_suggest_now(struct sl_stratum *client) {
    /* The answer is ignored: a pool that takes it up sends mining.set_difficulty. */
    sl_stratum_request(client, "mining.suggest_difficulty",
                       json_pack("[f]", client->config.suggest_difficulty));
}

static void on_authorize(struct sl_stratum *client, const struct sl_message *message,
                         struct sl_mono now) {
    if (!sl_message_is_yes(message)) {
        sl_stratum_refuse(client, message->error.present ? message->error.text : "no reason given",
                          now);
        return;
    }
    client->state = SL_STRATUM_READY;
    client->last_notify = now;
    if (SL_MUTANT(backoff_reset_early)) {
        client->failures = 0;
    }
    if (client->config.extranonce_subscribe) {
        /* The answer is ignored: pools give every kind. */
        sl_stratum_request(client, "mining.extranonce.subscribe", json_array());
    }
    if (client->config.suggest_difficulty > 0) {
        sl_stratum_suggest_now(client);
    }
    sl_stratum_workers_authorize(client);
    sl_stratum_emit_jobs(client);
    sl_stratum_send_waiting(client, now);
}

static void on_response(struct sl_stratum *client, const struct sl_message *message,
                        struct sl_mono now) {
    int64_t id = sl_message_id(message);
    if (id >= 0 && id == client->link.configure_id) {
        on_configure(client, message);
    } else if (id >= 0 && id == client->link.subscribe_id &&
               client->state == SL_STRATUM_SUBSCRIBING) {
        on_subscribe(client, message, now);
    } else if (id >= 0 && id == client->link.authorize_id &&
               client->state == SL_STRATUM_AUTHORIZING) {
        on_authorize(client, message, now);
    } else if (sl_stratum_worker_answered(client, message)) {
        return;
    } else if (id >= 0 && sl_stratum_share_answered(client, message, now)) {
        return;
    } else if (message->error.present && !message->id) {
        sl_stratum_queue_chatter(client, SL_LOG_WARN, "the pool reports: %s", message->error.text);
    }
}

static void on_difficulty(struct sl_stratum *client, const struct sl_message *message,
                          struct sl_mono now) {
    struct sl_error err;
    struct sl_difficulty difficulty;
    if (sl_message_read_difficulty(message->params, &difficulty, &err) < 0) {
        sl_stratum_drop(client, err.text, now);
        return;
    }
    bool first = !client->link.difficulty_known;
    client->link.difficulty_known = true;
    client->terms.difficulty =
        SL_MUTANT(new_difficulty_ignored) && !first ? client->terms.difficulty : difficulty;
    sl_stratum_queue(client, SL_STRATUM_DIFFICULTY)->difficulty = difficulty;
    if (first) {
        /* A difficulty holds for the jobs after it; but pools also send the first job before the
         * first difficulty, and then they grade that job by it. */
        sl_stratum_reissue(client, true);
    }
}

static void on_extranonce(struct sl_stratum *client, const struct sl_message *message,
                          struct sl_mono now) {
    struct sl_error err;
    struct sl_job_terms terms = client->terms;
    if (sl_message_read_extranonce(message->params, 0, &terms, &err) < 0) {
        sl_stratum_drop(client, err.text, now);
        return;
    }
    if (client->link.terms_known) {
        client->terms = terms; /* from the next job on: a job carries its own */
        client->link.extranonce_moved = true;
    }
}

static void on_version_mask(struct sl_stratum *client, const struct sl_message *message,
                            struct sl_mono now) {
    struct sl_error err;
    uint32_t mask;
    if (sl_message_read_mask(json_array_get(message->params, 0), "version mask", &mask, &err) < 0) {
        sl_stratum_drop(client, err.text, now);
        return;
    }
    if (client->terms.version_rolling) {
        take_mask(client, mask);
    }
}

static void on_notify(struct sl_stratum *client, const struct sl_message *message,
                      struct sl_mono now) {
    struct sl_error err;
    if (!client->link.terms_known) {
        json_decref(client->link.early_notify);
        client->link.early_notify = json_incref(message->params);
        return;
    }
    if (sl_stratum_add_notify(client, message->params, now, &err) < 0) {
        sl_stratum_drop(client, err.text, now);
    }
}

static void on_reconnect(struct sl_stratum *client, const struct sl_message *message,
                         struct sl_mono now) {
    struct sl_error err;
    struct sl_pool_url url = client->next_url;
    int64_t wait_s = 0;
    if (sl_message_read_reconnect(message->params, &url, &wait_s, &err) < 0) {
        sl_stratum_queue_chatter(client, SL_LOG_WARN, "ignored: %s", err.text);
        return;
    }
    if (!sl_pool_url_may_move(client->config.url.host, url.host) &&
        !SL_MUTANT(foreign_reconnect_obeyed)) {
        char host[80];
        sl_message_clean(url.host, host, sizeof host);
        sl_stratum_queue_chatter(client, SL_LOG_WARN,
                                 "ignored: the pool wants to send us to the foreign host %s", host);
        return;
    }
    if (!sl_pool_port_may_move(client->config.url.port, url.port)) {
        sl_stratum_queue_chatter(client, SL_LOG_WARN,
                                 "ignored: the pool wants to send us to port %u of %s, where pools "
                                 "do not listen",
                                 url.port, url.host);
        return;
    }
    client->next_url = url; /* TLS stays TLS: the message cannot say otherwise */
    sl_stratum_move(client, wait_s, now);
}

static void answer(struct sl_stratum *client, const struct sl_message *message, json_t *result,
                   json_t *error) {
    size_t size = 0;
    if (!message->id) { /* sent as a notification: nobody waits for an answer */
        json_decref(result);
        json_decref(error);
        return;
    }
    char *line = sl_message_write_answer(json_incref(message->id), result, error, &size);
    sl_stratum_queue_send(client, line, size);
}

static void on_request(struct sl_stratum *client, const struct sl_message *message) {
    char text[SL_STRATUM_TEXT_MAX - 40];
    const char *shown = json_string_value(json_array_get(message->params, 0));
    if (message->type == SL_MESSAGE_GET_VERSION) {
        answer(client, message, json_string(client->config.agent), json_null());
    } else if (message->type == SL_MESSAGE_PING) {
        answer(client, message, json_string("pong"), json_null());
    } else if (message->type == SL_MESSAGE_SHOW) {
        sl_message_clean(shown ? shown : "", text, sizeof text);
        sl_stratum_queue_chatter(client, SL_LOG_INFO, "message of the pool: %s", text);
        answer(client, message, json_true(), json_null());
    } else {
        sl_message_clean(message->method, text, sizeof text);
        sl_stratum_queue_chatter(client, SL_LOG_DEBUG, "unknown method of the pool: %s", text);
        answer(client, message, json_null(), json_pack("[i,s,n]", -3, "Method not found"));
    }
}

static void dispatch(struct sl_stratum *client, const struct sl_message *message,
                     struct sl_mono now) {
    switch (message->type) {
    case SL_MESSAGE_RESPONSE:
        on_response(client, message, now);
        return;
    case SL_MESSAGE_NOTIFY:
        on_notify(client, message, now);
        return;
    case SL_MESSAGE_SET_DIFFICULTY:
        on_difficulty(client, message, now);
        return;
    case SL_MESSAGE_SET_EXTRANONCE:
        on_extranonce(client, message, now);
        return;
    case SL_MESSAGE_SET_VERSION_MASK:
        on_version_mask(client, message, now);
        return;
    case SL_MESSAGE_RECONNECT:
        on_reconnect(client, message, now);
        return;
    case SL_MESSAGE_SHOW:
    case SL_MESSAGE_GET_VERSION:
    case SL_MESSAGE_PING:
    case SL_MESSAGE_OTHER:
        on_request(client, message);
        return;
    }
}

void sl_stratum_handle_line(struct sl_stratum *client, const char *line, size_t size,
                            struct sl_mono now) {
    struct sl_error err;
    struct sl_message message;
    if (sl_message_parse(line, size, &message, &err) < 0) {
        sl_stratum_drop(client, err.text, now);
        return;
    }
    if (message.unfit) {
        sl_stratum_queue_chatter(client, SL_LOG_WARN,
                                 "ignored: the pool sent %s with a character that no text has",
                                 message.method);
    } else {
        dispatch(client, &message, now);
    }
    sl_message_fini(&message);
}
