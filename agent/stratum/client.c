/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/stratum/client.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/stratum/client_internal.h"

#define REFUSED_RETRY_MIN_MS 60000
#define REFUSED_RETRY_MAX_MS 3600000
/* A pool that is not there is restarted, as a rule: then devices are to hash again within 5 s. */
#define UNREACHABLE_MAX_MS 3000
#define HINT_FAILURES 3
/* A pool that sends us away has answers on their way; they would be shares of unknown fate. */
#define LEAVE_MS 1000
/* Of a user whose shares were accepted: with the pauses of other failures, about half a minute. */
#define REFUSALS_BORNE 6
#define UNREACHABLE_TRIES 100 /* later the pauses are as long as those of any other failure */

void sl_stratum_config_defaults(struct sl_stratum_config *config) {
    *config = (struct sl_stratum_config){.agent = "sluice/" SLUICE_VERSION,
                                         .password = "x",
                                         .version_mask = 0x1fffe000,
                                         .extranonce_subscribe = true,
                                         .answer_timeout_ms = 15000,
                                         .submit_timeout_ms = 60000,
                                         .notify_timeout_ms = 300000,
                                         .backoff_min_ms = 1000,
                                         .backoff_max_ms = 60000,
                                         .refused_retry_ms = 300000};
}

const char *sl_stratum_state_text(enum sl_stratum_state state) {
    static const char *const texts[] = {
        [SL_STRATUM_STOPPED] = "stopped",
        [SL_STRATUM_CONNECTING] = "connecting",
        [SL_STRATUM_SUBSCRIBING] = "subscribing",
        [SL_STRATUM_AUTHORIZING] = "authorizing",
        [SL_STRATUM_READY] = "ready",
        [SL_STRATUM_WAITING] = "waiting",
        [SL_STRATUM_REFUSED] = "refused",
    };
    return state >= SL_STRATUM_STOPPED && state <= SL_STRATUM_REFUSED ? texts[state] : "invalid";
}

static int check_config(const struct sl_stratum_config *config, struct sl_error *err) {
    if (!config->url.host[0] || config->url.port == 0) {
        return sl_fail(err, SL_INVALID, "pool without an address");
    }
    if (!config->user[0] || !sl_utf8_valid(config->user, strlen(config->user)) ||
        !sl_utf8_valid(config->password, strlen(config->password)) ||
        !sl_utf8_valid(config->agent, strlen(config->agent))) {
        return sl_fail(err, SL_INVALID,
                       "pool user is missing, or user or password is not UTF-8: set the user as "
                       "the pool documents it");
    }
    if (config->answer_timeout_ms <= 0 || config->submit_timeout_ms <= 0 ||
        config->notify_timeout_ms <= 0 || config->backoff_min_ms <= 0 ||
        config->backoff_max_ms < config->backoff_min_ms) {
        return sl_fail(err, SL_INVALID, "pool time limits must be above 0");
    }
    if (config->refused_retry_ms < REFUSED_RETRY_MIN_MS) {
        return sl_fail(err, SL_INVALID,
                       "after a refused authorisation the next attempt must wait at least 60 s");
    }
    return SL_OK;
}

int sl_stratum_create(const struct sl_stratum_config *config, uint64_t seed,
                      struct sl_stratum **ret_client, struct sl_error *err) {
    int rc = check_config(config, err);
    if (rc < 0) {
        return rc;
    }
    struct sl_stratum *client = calloc(1, sizeof *client);
    if (!client) {
        return sl_fail(err, SL_NOMEM, "no memory for a pool connection");
    }
    client->config = *config;
    client->random = seed;
    client->state = SL_STRATUM_STOPPED;
    client->next_id = 1;
    client->next_url = config->url;
    client->terms.difficulty = (struct sl_difficulty){1, 0};
    rc = sl_stratum_workers_create(client, config, err);
    if (rc < 0) {
        sl_stratum_destroy(client);
        return rc;
    }
    *ret_client = client;
    return SL_OK;
}

static void clear_link(struct sl_stratum *client) {
    json_decref(client->link.early_notify);
    client->link = (struct sl_stratum_link){0};
    client->input.len = 0;
    client->scanned = 0;
}

void sl_stratum_destroy(struct sl_stratum *client) {
    if (!client) {
        return;
    }
    clear_link(client);
    sl_stratum_forget_jobs(client);
    sl_stratum_queue_clear(client);
    sl_stratum_workers_free(client);
    sl_buf_fini(&client->input);
    free(client);
}

/* splitmix64 (Steele, Lea, Flood 2014): enough for jitter. */
uint64_t sl_stratum_random(uint64_t *state) {
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

/* Full jitter: anything from 0 to a bound that doubles with each failure. */
static int64_t backoff_ms(struct sl_stratum *client) {
    int64_t bound = client->config.backoff_min_ms;
    int64_t most = client->config.backoff_max_ms;
    if (client->unreachable > 0 && client->unreachable <= UNREACHABLE_TRIES &&
        most > UNREACHABLE_MAX_MS) {
        most = UNREACHABLE_MAX_MS;
    }
    for (uint32_t i = 1; i < client->failures && bound < most; i++) {
        bound *= 2;
    }
    if (bound > most) {
        bound = most;
    }
    return (int64_t)(sl_stratum_random(&client->random) % (uint64_t)(bound + 1));
}

bool sl_stratum_is_linked(const struct sl_stratum *client) {
    return client->state == SL_STRATUM_SUBSCRIBING || client->state == SL_STRATUM_AUTHORIZING ||
           client->state == SL_STRATUM_READY;
}

static void connect_now(struct sl_stratum *client, struct sl_mono now) {
    client->state = SL_STRATUM_CONNECTING;
    client->attempts++;
    client->phase_end = sl_mono_after_ms(now, client->config.answer_timeout_ms);
    struct sl_stratum_action *action = sl_stratum_queue(client, SL_STRATUM_CONNECT);
    action->host = client->next_url.host;
    action->port = client->next_url.port;
    action->tls = client->next_url.tls;
}

void sl_stratum_start(struct sl_stratum *client, struct sl_mono now) {
    if (client->state == SL_STRATUM_STOPPED) {
        connect_now(client, now);
    }
}

/* Everything that ends a connection passes here. */
static void unlink_pool(struct sl_stratum *client, bool close) {
    bool was_ready = client->state == SL_STRATUM_READY;
    if (close) {
        sl_stratum_queue(client, SL_STRATUM_CLOSE);
    }
    sl_stratum_close_open(client);
    clear_link(client);
    if (was_ready) {
        sl_stratum_queue(client, SL_STRATUM_NO_WORK);
    }
}

static void wait_again(struct sl_stratum *client, const char *reason, int64_t wait_ms,
                       struct sl_mono now) {
    client->state = SL_STRATUM_WAITING;
    client->phase_end = sl_mono_after_ms(now, wait_ms);
    sl_text_copy(client->last_error, sizeof client->last_error, reason);
    sl_stratum_queue_log(client, SL_LOG_WARN, "%.150s; next attempt in %lld.%lld s", reason,
                         (long long)(wait_ms / 1000), (long long)(wait_ms % 1000 / 100));
}

/* Where the pool sent us did not serve us: back to the configured address. */
static void go_home(struct sl_stratum *client) {
    client->next_url = client->config.url;
}

static void end_with_backoff(struct sl_stratum *client, const char *reason, bool close,
                             struct sl_mono now) {
    client->unreachable += client->state == SL_STRATUM_CONNECTING;
    if (client->state == SL_STRATUM_SUBSCRIBING && client->link.sent_session_id) {
        client->session_id[0] = '\0'; /* perhaps it was this that the pool did not like */
    }
    unlink_pool(client, close);
    if (client->state != SL_STRATUM_READY) {
        go_home(client);
    }
    client->failures++;
    wait_again(client, reason, backoff_ms(client), now);
}

void sl_stratum_drop(struct sl_stratum *client, const char *reason, struct sl_mono now) {
    end_with_backoff(client, reason, true, now);
}

void sl_stratum_move(struct sl_stratum *client, int64_t wait_s, struct sl_mono now) {
    if (!client->link.leaving) {
        client->link.leaving = true;
        client->link.leave_by = sl_mono_after_ms(now, LEAVE_MS);
    }
    client->link.leave_wait_s = wait_s;
    sl_stratum_leave(client, now);
}

void sl_stratum_leave(struct sl_stratum *client, struct sl_mono now) {
    int64_t most_ms = client->config.backoff_max_ms;
    int64_t wait_s = client->link.leave_wait_s;
    if (!client->link.leaving || (client->open_count > 0 && now.ns < client->link.leave_by.ns)) {
        return;
    }
    unlink_pool(client, true);
    client->failures++; /* or a pool that always sends us on would be a busy loop */
    int64_t wait_ms = backoff_ms(client);
    /* A pool may not send its miners to sleep for an hour. */
    int64_t asked_ms = wait_s * 1000 < most_ms ? wait_s * 1000 : most_ms;
    wait_again(client, "the pool asks us to reconnect", asked_ms > wait_ms ? asked_ms : wait_ms,
               now);
}

/* A pool whose database is not up yet refuses everybody, and one behind a proxy that was restarted
 * no longer knows who we are. */
static bool is_borne(struct sl_stratum *client, const char *text, struct sl_mono now) {
    char reason[SL_STRATUM_TEXT_MAX];
    if (client->credit == 0) {
        return false;
    }
    client->credit--;
    snprintf(reason, sizeof reason,
             "the pool refuses this user, whose shares it took before (%.90s)", text);
    sl_stratum_drop(client, reason, now);
    return true;
}

void sl_stratum_trust_user(struct sl_stratum *client) {
    client->credit = REFUSALS_BORNE;
}

void sl_stratum_refuse(struct sl_stratum *client, const char *text, struct sl_mono now) {
    if (is_borne(client, text, now)) {
        return;
    }
    unlink_pool(client, true);
    sl_stratum_close_waiting(client, true, "the pool refused the authorisation");
    int64_t wait_ms = client->config.refused_retry_ms;
    for (uint32_t i = 0; i < client->refusals && wait_ms < REFUSED_RETRY_MAX_MS; i++) {
        wait_ms = wait_ms < REFUSED_RETRY_MAX_MS / 2 ? wait_ms * 2 : REFUSED_RETRY_MAX_MS;
    }
    client->refusals++;
    go_home(client);
    wait_ms += (int64_t)(sl_stratum_random(&client->random) % (uint64_t)(wait_ms / 4 + 1));
    client->state = SL_STRATUM_REFUSED;
    client->phase_end = sl_mono_after_ms(now, wait_ms);
    struct sl_stratum_action *action = sl_stratum_queue(client, SL_STRATUM_MISCONFIGURED);
    snprintf(action->text, sizeof action->text,
             "the pool refuses this user (%.90s): check user and password of the pool; next "
             "attempt in %lld s",
             text, (long long)(wait_ms / 1000));
    sl_text_copy(client->last_error, sizeof client->last_error, action->text);
}

void sl_stratum_stop(struct sl_stratum *client, struct sl_mono now) {
    (void)now;
    if (client->state == SL_STRATUM_STOPPED) {
        return;
    }
    unlink_pool(client, sl_stratum_is_linked(client) || client->state == SL_STRATUM_CONNECTING);
    sl_stratum_close_waiting(client, true, "stopped before the pool was back");
    client->state = SL_STRATUM_STOPPED;
}

void sl_stratum_suggest(struct sl_stratum *client, double difficulty) {
    client->config.suggest_difficulty = difficulty;
    if (client->state == SL_STRATUM_READY && difficulty > 0) {
        sl_stratum_suggest_now(client);
    }
}

void sl_stratum_connected(struct sl_stratum *client, struct sl_mono now) {
    if (client->state != SL_STRATUM_CONNECTING) {
        return;
    }
    clear_link(client);
    client->unreachable = 0;
    client->state = SL_STRATUM_SUBSCRIBING;
    client->link.subscribed_at = now;
    client->phase_end = sl_mono_after_ms(now, client->config.answer_timeout_ms);
    client->terms.difficulty = (struct sl_difficulty){1, 0}; /* until the pool sets another */
    client->terms.version_rolling = false;
    client->terms.version_mask = 0;
    sl_stratum_greet(client);
}

/* Some pools hang up at what they do not know. Who asks them does not learn why, so after a few
 * times of it people are told what may help. */
static const char *hint(const struct sl_stratum *client) {
    if (client->failures < HINT_FAILURES) {
        return "";
    }
    if (client->state == SL_STRATUM_SUBSCRIBING && client->config.version_mask) {
        return " before it answered: version_rolling: false helps with some";
    }
    if (client->state == SL_STRATUM_READY && client->config.extranonce_subscribe) {
        return " before it took a share: extranonce_subscribe: false helps with some";
    }
    return "";
}

void sl_stratum_disconnected(struct sl_stratum *client, const char *reason, struct sl_mono now) {
    if (client->state == SL_STRATUM_CONNECTING || sl_stratum_is_linked(client)) {
        char said[SL_STRATUM_TEXT_MAX];
        char text[SL_STRATUM_TEXT_MAX];
        sl_message_clean(reason && reason[0] ? reason : "connection closed", said, sizeof said);
        snprintf(text, sizeof text, "%s%s", said, hint(client));
        end_with_backoff(client, text, false, now);
    }
}

static bool is_blank(const char *line, size_t size) {
    for (size_t i = 0; i < size; i++) {
        if (!isspace((unsigned char)line[i])) {
            return false;
        }
    }
    return true;
}

/* Handles the complete lines of the input; what is left is the beginning of one. */
static void handle_lines(struct sl_stratum *client, struct sl_mono now) {
    size_t start = 0;
    while (sl_stratum_is_linked(client)) {
        const char *from = client->input.data + client->scanned;
        const char *end = memchr(from, '\n', client->input.len - client->scanned);
        size_t stop = end ? (size_t)(end - client->input.data) : client->input.len;
        if (stop - start > SL_STRATUM_LINE_MAX) {
            sl_stratum_drop(client, "the pool sent a line of more than 256 KiB", now);
            return;
        }
        client->scanned = stop;
        if (!end) {
            sl_buf_consume(&client->input, start);
            client->scanned -= start;
            return;
        }
        client->scanned = stop + 1;
        if (!is_blank(client->input.data + start, stop - start)) {
            sl_stratum_handle_line(client, client->input.data + start, stop - start, now);
        }
        start = stop + 1;
    }
}

void sl_stratum_received(struct sl_stratum *client, const void *data, size_t size,
                         struct sl_mono now) {
    const char *bytes = data;
    /* In slices, so that the buffer is bounded by the limit of a line, not by the caller's. */
    while (size > 0 && sl_stratum_is_linked(client)) {
        size_t slice = size < 65536 ? size : 65536;
        sl_buf_append(&client->input, bytes, slice);
        if (client->input.failed) {
            client->input.failed = false;
            sl_stratum_drop(client, "no memory for what the pool sends", now);
            return;
        }
        handle_lines(client, now);
        bytes += slice;
        size -= slice;
    }
    if (sl_stratum_is_linked(client)) {
        sl_stratum_follow_mask(client);
    }
}

static void check_ready(struct sl_stratum *client, struct sl_mono now) {
    const struct sl_stratum_config *config = &client->config;
    bool answers = sl_stratum_give_up_skipped(client, now);
    sl_stratum_leave(client, now);
    if (client->state != SL_STRATUM_READY) {
        return;
    }
    if (sl_mono_since_ns(now, client->last_notify) >= config->notify_timeout_ms * SL_NS_PER_MS) {
        sl_stratum_drop(client, "the pool sends no jobs any more", now);
    } else if (!answers) {
        sl_stratum_drop(client, "the pool does not answer to shares any more", now);
    }
}

void sl_stratum_timer(struct sl_stratum *client, struct sl_mono now) {
    if (client->state == SL_STRATUM_READY) {
        check_ready(client, now);
        return;
    }
    if (client->state == SL_STRATUM_STOPPED || now.ns < client->phase_end.ns) {
        return;
    }
    if (client->state == SL_STRATUM_WAITING || client->state == SL_STRATUM_REFUSED) {
        connect_now(client, now);
    } else if (client->state == SL_STRATUM_CONNECTING) {
        sl_stratum_drop(client, "no connection to the pool in time: name, network, proxy or TLS",
                        now);
    } else if (client->state == SL_STRATUM_SUBSCRIBING) {
        sl_stratum_drop(client, "the pool does not answer mining.subscribe", now);
    } else {
        sl_stratum_drop(client, "the pool does not answer mining.authorize", now);
    }
}

bool sl_stratum_deadline(const struct sl_stratum *client, struct sl_mono *ret_when) {
    if (client->state == SL_STRATUM_STOPPED) {
        return false;
    }
    *ret_when = client->phase_end;
    if (client->state == SL_STRATUM_READY) {
        *ret_when = sl_mono_after_ms(client->last_notify, client->config.notify_timeout_ms);
        if (client->open_count > 0) {
            struct sl_mono answer =
                sl_mono_after_ms(client->open[0].sent_at, client->config.submit_timeout_ms);
            *ret_when = answer.ns < ret_when->ns ? answer : *ret_when;
        }
        if (client->link.leaving && client->link.leave_by.ns < ret_when->ns) {
            *ret_when = client->link.leave_by;
        }
    }
    return true;
}

struct sl_job *sl_stratum_job(const struct sl_stratum *client) {
    return client->job;
}

void sl_stratum_status(const struct sl_stratum *client, struct sl_stratum_status *ret_status) {
    *ret_status = (struct sl_stratum_status){.state = client->state,
                                             .session = client->session,
                                             .attempts = client->attempts,
                                             .accepted = client->accepted,
                                             .stale = client->stale,
                                             .rejected = client->rejected,
                                             .unknown = client->unknown,
                                             .unanswered = (uint32_t)client->open_count,
                                             .waiting = (uint32_t)client->waiting_count,
                                             .difficulty = client->terms.difficulty,
                                             .version_rolling = client->terms.version_rolling,
                                             .version_mask = client->terms.version_mask};
    sl_text_copy(ret_status->last_error, sizeof ret_status->last_error, client->last_error);
}
