/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/pool/pool_internal.h"

#define DIFFICULTY_MIN (SL_TP_DIFFICULTY_ONE / 1000000000)
#define DIFFICULTY_MAX (SL_TP_DIFFICULTY_ONE * 1000000)

int sl_tp_session_create(struct sl_tp_pool *pool,
                         void (*write)(void *context, const char *data, size_t size), void *context,
                         struct sl_tp_session **ret_session, struct sl_error *err) {
    struct sl_tp_session *session = calloc(1, sizeof *session);
    if (!session) {
        return sl_fail(err, SL_NOMEM, "no memory for a session");
    }
    session->pool = pool;
    session->write = write;
    session->context = context;
    session->next = pool->sessions;
    pool->sessions = session;
    *ret_session = session;
    return SL_OK;
}

void sl_tp_session_destroy(struct sl_tp_session *session) {
    if (!session) {
        return;
    }
    struct sl_tp_session **link = &session->pool->sessions;
    while (*link != session) {
        link = &(*link)->next;
    }
    *link = session->next;
    json_decref(session->late);
    sl_buf_fini(&session->input);
    free(session);
}

bool sl_tp_session_works(const struct sl_tp_session *session) {
    return session->subscribed && session->worker_count > 0;
}

bool sl_tp_session_knows(const struct sl_tp_session *session, const char *worker) {
    for (int i = 0; i < session->worker_count; i++) {
        if (strcmp(session->workers[i], worker) == 0) {
            return true;
        }
    }
    return false;
}

void sl_tp_session_send(struct sl_tp_session *session, json_t *message) {
    char *text = message ? json_dumps(message, JSON_COMPACT) : NULL;
    sl_assert(text);
    if (session->stalled) {
        free(text);
        json_decref(message);
        return;
    }
    size_t size = strlen(text);
    char *line = realloc(text, size + 2);
    sl_assert(line);
    line[size] = '\n';
    session->write(session->context, line, size + 1);
    free(line);
    json_decref(message);
}

void sl_tp_session_reply(struct sl_tp_session *session, json_t *id, json_t *result, int code,
                         const char *text) {
    json_t *error = code ? sl_tp_mischief_error(session, code, text) : json_null();
    sl_tp_session_send(session,
                       json_pack("{s:O,s:o,s:o}", "id", id, "result", result, "error", error));
}

static json_t *difficulty_number(int64_t difficulty) {
    if (difficulty % SL_TP_DIFFICULTY_ONE == 0) {
        return json_integer(difficulty / SL_TP_DIFFICULTY_ONE);
    }
    return json_real((double)difficulty / (double)SL_TP_DIFFICULTY_ONE);
}

static void hold_terms(struct sl_tp_session *session, uint64_t from_job) {
    if (session->term_count == SL_TP_TERMS_MAX) {
        session->term_count--;
        memmove(session->terms, session->terms + 1,
                (size_t)session->term_count * sizeof session->terms[0]);
    }
    session->terms[session->term_count++] = (struct sl_tp_terms){from_job, session->difficulty};
}

int64_t sl_tp_session_difficulty(const struct sl_tp_session *session, uint64_t job) {
    int64_t found = session->term_count ? session->terms[0].difficulty : session->difficulty;
    for (int i = 0; i < session->term_count; i++) {
        if (session->terms[i].from_job <= job) {
            found = session->terms[i].difficulty;
        }
    }
    return found;
}

/* Lines that are no Stratum, a different one for each connection. */
static void send_garbage(struct sl_tp_session *session) {
    static const char *const lines[] = {
        "\x16\x03\x01 this is not JSON\n",
        "[1,2,3]\n",
        "{\"id\":null,\"method\":\"mining.notify\",\"params\":[\"j\",7]}\n",
        "{\"id\":null,\"method\":\"mining.set_difficulty\",\"params\":[-1]}\n",
        "{\"id\":null,\"method\":\n",
    };
    const char *line = lines[session->extranonce1 % (sizeof lines / sizeof lines[0])];
    session->write(session->context, line, strlen(line));
}

void sl_tp_session_set_difficulty(struct sl_tp_session *session) {
    sl_tp_session_send(session,
                       json_pack("{s:n,s:s,s:[o]}", "id", "method", "mining.set_difficulty",
                                 "params", difficulty_number(session->difficulty)));
}

void sl_tp_session_notify_job(struct sl_tp_session *session, const struct sl_tp_job *job,
                              bool clean) {
    json_t *branches = json_array();
    for (int i = 0; i < job->branch_count; i++) {
        json_array_append_new(branches, json_string(job->branches[i]));
    }
    session->last_job = job->number;
    sl_tp_session_send(session,
                       json_pack("{s:n,s:s,s:[s,s,s,s,o,s,s,s,b]}", "id", "method", "mining.notify",
                                 "params", job->id, job->prevhash, job->coinb1, job->coinb2,
                                 branches, job->version, job->nbits, job->ntime, clean));
}

void sl_tp_session_notify(struct sl_tp_session *session, bool first) {
    const struct sl_tp_job *job = sl_tp_chain_newest(session->pool->chain);
    if (session->pool->options.behaviours & SL_TP_GARBAGE) {
        send_garbage(session);
        return;
    }
    int64_t held = sl_tp_session_difficulty(session, UINT64_MAX);
    bool late = session->pool->options.behaviours & SL_TP_MISORDER;
    bool set = session->term_count == 0 || held != session->difficulty;
    if (set) {
        hold_terms(session, job->number);
    }
    if (set && !late) {
        sl_tp_session_set_difficulty(session);
    }
    /* A resumed session may go on with its work, so its first job is no cleaner than the chain's.
     */
    sl_tp_session_notify_job(session, job, job->clean || (first && !session->resumed));
    if (set && late) {
        sl_tp_session_set_difficulty(session);
    }
}

static void on_configure(struct sl_tp_session *session, json_t *id, const json_t *params) {
    json_t *result = json_object();
    size_t i;
    json_t *name;
    json_array_foreach(json_array_get(params, 0), i, name) {
        const char *text = json_string_value(name);
        if (!text || strcmp(text, "version-rolling") != 0) {
            if (text) {
                json_object_set_new(result, text, json_false());
            }
            continue;
        }
        uint32_t asked = 0xffffffff;
        const char *mask =
            json_string_value(json_object_get(json_array_get(params, 1), "version-rolling.mask"));
        uint8_t bytes[4];
        if (mask && sl_hex_decode(mask, bytes, 4) == SL_OK) {
            asked = (uint32_t)strtoul(mask, NULL, 16);
        }
        bool rolling = !(session->pool->options.behaviours & SL_TP_NO_VERSION_ROLLING);
        json_object_set_new(result, text, json_boolean(rolling));
        if (rolling) {
            char granted[9];
            session->rolling = true;
            session->version_mask = SL_TP_VERSION_MASK & asked;
            snprintf(granted, sizeof granted, "%08" PRIx32, session->version_mask);
            json_object_set_new(result, "version-rolling.mask", json_string(granted));
        }
    }
    sl_tp_session_reply(session, id, result, 0, NULL);
}

static bool in_use(const struct sl_tp_pool *pool, uint32_t extranonce1) {
    for (const struct sl_tp_session *s = pool->sessions; s; s = s->next) {
        if (s->subscribed && s->extranonce1 == extranonce1) {
            return true;
        }
    }
    return false;
}

/* A session id is extranonce1 and the instance, so nothing need be remembered to resume it. */
static void session_id(const struct sl_tp_pool *pool, uint32_t extranonce1, char out[32]) {
    snprintf(out, 32, "%08" PRIx32 "%016" PRIx64, extranonce1, pool->instance);
}

static void on_subscribe(struct sl_tp_session *session, json_t *id, const json_t *params) {
    struct sl_tp_pool *pool = session->pool;
    char sid[32];
    char extranonce1[9];
    const char *wanted = json_string_value(json_array_get(params, 1));
    if (!session->subscribed) {
        uint32_t before = 0;
        if (wanted && strlen(wanted) == 24) {
            char head[9];
            memcpy(head, wanted, 8);
            head[8] = '\0';
            before = (uint32_t)strtoul(head, NULL, 16);
            session_id(pool, before, sid);
            session->resumed =
                strcmp(sid, wanted) == 0 && !in_use(pool, before) &&
                before - pool->first_extranonce1 < pool->next_extranonce1 - pool->first_extranonce1;
        }
        session->extranonce1 = session->resumed ? before : pool->next_extranonce1++;
        session->subscribed = true;
    }
    session_id(pool, session->extranonce1, sid);
    if (pool->options.behaviours & SL_TP_MISORDER) {
        session->difficulty = pool->options.difficulty;
        sl_tp_session_notify(session, true);
    }
    snprintf(extranonce1, sizeof extranonce1, "%08" PRIx32, session->extranonce1);
    sl_tp_session_reply(session, id,
                        json_pack("[[[s,s],[s,s]],s,i]", "mining.set_difficulty", sid,
                                  "mining.notify", sid, extranonce1,
                                  pool->options.extranonce2_size),
                        0, NULL);
}

static int64_t configured_difficulty(const struct sl_tp_options *options, const char *worker) {
    for (int i = 0; i < options->worker_count; i++) {
        if (strcmp(options->workers[i].worker, worker) == 0) {
            return options->workers[i].difficulty;
        }
    }
    return options->difficulty;
}

static void on_authorize(struct sl_tp_session *session, json_t *id, const json_t *params) {
    const struct sl_tp_options *options = &session->pool->options;
    const char *worker = json_string_value(json_array_get(params, 0));
    if (!session->subscribed) {
        sl_tp_session_reply(session, id, json_null(), 25, "Not subscribed");
        return;
    }
    if ((options->behaviours & SL_TP_REFUSE_AUTH) || !worker || !worker[0] ||
        strlen(worker) >= sizeof session->workers[0] ||
        (!sl_tp_session_knows(session, worker) &&
         session->worker_count == SL_TP_SESSION_WORKERS_MAX)) {
        sl_tp_session_reply(session, id, json_false(), 24, "Unauthorized worker");
        return;
    }
    bool first = session->worker_count == 0;
    if (!sl_tp_session_knows(session, worker)) {
        sl_text_copy(session->workers[session->worker_count++], sizeof session->workers[0], worker);
    }
    if (first && session->difficulty == 0) {
        session->difficulty = configured_difficulty(options, worker);
    }
    bool misorder = options->behaviours & SL_TP_MISORDER;
    if (first && misorder) {
        sl_tp_session_notify(session, false);
    }
    sl_tp_session_reply(session, id, json_true(), 0, NULL);
    if (first && !misorder) {
        sl_tp_session_notify(session, true);
    }
}

/* Holds from the next job on. */
static void on_suggest(struct sl_tp_session *session, json_t *id, const json_t *params) {
    const json_t *value = json_array_get(params, 0);
    double wish = json_is_number(value) ? json_number_value(value) : 0;
    if (session->pool->options.allow_suggest && wish > 0 && wish < 1e7) {
        int64_t units = (int64_t)(wish * (double)SL_TP_DIFFICULTY_ONE);
        units = units < DIFFICULTY_MIN ? DIFFICULTY_MIN : units;
        session->difficulty = units > DIFFICULTY_MAX ? DIFFICULTY_MAX : units;
    }
    sl_tp_session_reply(session, id, json_true(), 0, NULL);
}

static void on_request(struct sl_tp_session *session, const char *method, json_t *id,
                       const json_t *params, struct sl_wall now) {
    if (strcmp(method, "mining.submit") == 0) {
        sl_tp_session_submit(session, id, params, now);
    } else if (strcmp(method, "mining.configure") == 0) {
        on_configure(session, id, params);
    } else if (strcmp(method, "mining.subscribe") == 0) {
        on_subscribe(session, id, params);
    } else if (strcmp(method, "mining.authorize") == 0) {
        on_authorize(session, id, params);
    } else if (strcmp(method, "mining.suggest_difficulty") == 0) {
        on_suggest(session, id, params);
    } else if (strcmp(method, "mining.extranonce.subscribe") == 0) {
        bool odd = session->pool->options.behaviours & SL_TP_ERROR_SHAPES;
        sl_tp_session_reply(session, id, odd ? json_null() : json_true(), odd ? 20 : 0,
                            "Unsupported");
    } else if (strcmp(method, "mining.ping") == 0) {
        sl_tp_session_reply(session, id, json_string("pong"), 0, NULL);
    } else {
        sl_tp_session_reply(session, id, json_null(), 20, "Unknown method");
    }
}

static void handle_line(struct sl_tp_session *session, const char *line, size_t size,
                        struct sl_wall now) {
    json_t *root = json_loadb(line, size, 0, NULL);
    const char *method = json_string_value(json_object_get(root, "method"));
    json_t *id = json_object_get(root, "id");
    if (!json_is_object(root)) {
        session->failed = true; /* as pools in the field do */
    } else if (method) {
        on_request(session, method, id ? id : json_null(), json_object_get(root, "params"), now);
    }
    json_decref(root);
}

bool sl_tp_session_input(struct sl_tp_session *session, const char *data, size_t size,
                         struct sl_wall now) {
    if (session->stalled || (session->pool->options.behaviours & SL_TP_SILENT)) {
        return true;
    }
    sl_buf_append(&session->input, data, size);
    size_t start = 0;
    const char *end;
    while (!session->failed && !session->input.failed &&
           (end = memchr(session->input.data + session->scanned, '\n',
                         session->input.len - session->scanned))) {
        size_t stop = (size_t)(end - session->input.data);
        session->scanned = stop + 1;
        if (stop - start > SL_TP_LINE_MAX) {
            return false;
        }
        if (stop > start && !(stop == start + 1 && session->input.data[start] == '\r')) {
            handle_line(session, session->input.data + start, stop - start, now);
        }
        start = stop + 1;
    }
    if (session->failed || session->input.failed) {
        return false;
    }
    sl_buf_consume(&session->input, start);
    session->scanned = session->input.len;
    return session->input.len <= SL_TP_LINE_MAX;
}
