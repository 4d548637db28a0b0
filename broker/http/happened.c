/* SPDX-License-Identifier: Apache-2.0
 * What happened on the site (the store's events), what people did (its audit), and the broker's
 * newest log lines. All are lists with rising numbers: who follows one asks again with the last
 * number that it has seen. */
#include <stdlib.h>
#include <string.h>

#include "broker/http/internal.h"
#include "broker/http/log_ring.h"
#include "broker/store/events.h"

#define LIST_DEFAULT 50
#define LIST_MAX 1000

/* ?after=N. False: the answer is set. *ret_given false: the newest are wanted. */
static bool read_after(struct sl_http_call *call, bool *ret_given, uint64_t *ret_after) {
    char text[24] = "";
    char *end = NULL;
    *ret_given = sl_call_query(call, "after", text, sizeof text);
    *ret_after = *ret_given ? strtoull(text, &end, 10) : 0;
    if (*ret_given && (text[0] < '0' || text[0] > '9' || *end || *ret_after > INT64_MAX)) {
        sl_call_error(call, 400, "invalid_value", "after",
                      "'after' is the number of the last entry that you have.");
        return false;
    }
    return true;
}

struct listing {
    uint32_t count;
    struct sl_event_row rows[LIST_MAX];
};

static int take_event(void *arg, const void *row) {
    struct listing *list = arg;
    if (list->count < LIST_MAX) {
        list->rows[list->count++] = *(const struct sl_event_row *)row;
    }
    return 0;
}

/* enum sl_severity; the core's own names are beyond this library. */
static const char *severity_text(enum sl_severity severity) {
    static const char *const names[] = {NULL, "info", "warn", "alert"};
    return (size_t)severity < sizeof names / sizeof names[0] ? names[severity] : NULL;
}

static void write_event(struct sl_json *json, const struct sl_event_row *event) {
    sl_json_open(json, NULL, '{');
    sl_json_uint(json, "id", event->id);
    sl_json_time(json, "at", event->at);
    sl_json_text(json, "node", event->node[0] ? event->node : NULL);
    sl_json_text(json, "device", event->device[0] ? event->device : NULL);
    sl_json_text(json, "kind", event->kind);
    sl_json_text(json, "severity", severity_text(event->severity));
    sl_json_text(json, "text", event->text);
    sl_json_close(json, '}');
}

static enum sl_step list_events(struct sl_http_call *call, struct sl_reader *reader,
                                struct listing *list) {
    char device[SL_MSG_KEY_MAX] = "";
    struct sl_error err = {0};
    uint32_t limit = 0;
    uint64_t after = 0, newest = 0;
    bool given = false;
    bool one = sl_call_query(call, "device", device, sizeof device);
    if (!sl_call_query_limit(call, 1, LIST_MAX, LIST_DEFAULT, &limit) ||
        !read_after(call, &given, &after)) {
        return SL_STEP_REPLY;
    }
    if (given && one) {
        return sl_call_error(call, 400, "invalid_value", "device",
                             "'after' follows the whole site; leave 'device' out.");
    }
    int rc = sl_reader_event_high(reader, &newest, &err);
    if (rc == SL_OK && given) {
        rc = sl_reader_events(reader, after, limit, take_event, list, &err);
    } else if (rc == SL_OK) {
        rc = sl_reader_events_newest(reader, one ? device : NULL, limit, take_event, list, &err);
    }
    if (rc != SL_OK) {
        return sl_call_trouble(call, &err);
    }
    struct sl_json *json = &call->out;
    sl_json_open(json, NULL, '{');
    sl_json_open(json, "events", '[');
    for (uint32_t i = 0; i < list->count; i++) { /* always oldest first */
        write_event(json, &list->rows[given ? i : list->count - 1 - i]);
    }
    sl_json_close(json, ']');
    sl_json_uint(json, "newest", newest);
    sl_json_close(json, '}');
    return sl_call_ok(call);
}

enum sl_step sl_h_events(struct sl_http_call *call, struct sl_reader *reader) {
    struct listing *list = calloc(1, sizeof *list);
    if (!list) {
        return sl_call_error(call, 503, "out_of_memory", NULL,
                             "The broker has no memory for this answer: try again.");
    }
    enum sl_step step = list_events(call, reader, list);
    free(list);
    return step;
}

/* ---- the audit ---- */

static int list_audit(void *arg, const void *row) {
    struct sl_json *json = arg;
    const struct sl_audit_row *audit = row;
    sl_json_open(json, NULL, '{');
    sl_json_uint(json, "id", audit->id);
    sl_json_time(json, "at", audit->at);
    sl_json_text(json, "actor", audit->actor);
    sl_json_text(json, "action", audit->action);
    sl_json_text(json, "subject", audit->subject);
    sl_json_text(json, "detail", audit->detail);
    sl_json_close(json, '}');
    return 0;
}

/* ?since=TIME. False: the answer is set. */
static bool read_since(struct sl_http_call *call, struct sl_wall *ret_since) {
    char text[64] = "";
    ret_since->ms = 0;
    if (sl_call_query(call, "since", text, sizeof text) && sl_wall_parse(text, ret_since)) {
        sl_call_error(call, 400, "invalid_value", "since",
                      "'since' is a time such as 2026-11-22T17:00:00Z.");
        return false;
    }
    return true;
}

enum sl_step sl_h_audit(struct sl_http_call *call, struct sl_reader *reader) {
    struct sl_error err = {0};
    struct sl_wall since = {0};
    uint64_t after = 0, newest = 0;
    uint32_t limit = 0;
    bool given = false;
    struct sl_json *json = &call->out;
    if (!sl_call_query_limit(call, 1, LIST_MAX, LIST_DEFAULT, &limit) ||
        !read_after(call, &given, &after) || !read_since(call, &since)) {
        return SL_STEP_REPLY;
    }
    if (given && since.ms != 0) {
        return sl_call_error(call, 400, "invalid_value", "since",
                             "'after' goes on behind an entry; leave 'since' out.");
    }
    sl_json_open(json, NULL, '{');
    sl_json_open(json, "audit", '[');
    int rc = sl_reader_audit_high(reader, &newest, &err);
    if (rc == SL_OK) {
        rc = given ? sl_reader_audit_after(reader, after, limit, list_audit, json, &err)
                   : sl_reader_audit(reader, since, limit, list_audit, json, &err);
    }
    if (rc != SL_OK) {
        return sl_call_trouble(call, &err);
    }
    sl_json_close(json, ']');
    sl_json_uint(json, "newest", newest);
    sl_json_close(json, '}');
    return sl_call_ok(call);
}

/* ---- the log ---- */

/* "2026-11-22T17:00:00.123Z I lease.start device=..." (proto/base/log.h) */
static void write_line(void *arg, const struct sl_log_ring_line *line) {
    static const char *const levels[] = {NULL, "error", "warn", "info", "debug"};
    struct sl_json *json = arg;
    char at[40] = "";
    char event[64] = "";
    const char *rest = line->text;
    size_t n = strcspn(rest, " ");
    snprintf(at, sizeof at, "%.*s", (int)(n < sizeof at ? n : 0), rest);
    rest += n;
    rest += strspn(rest, " ");
    rest += strcspn(rest, " "); /* the level's letter */
    rest += strspn(rest, " ");
    n = strcspn(rest, " ");
    snprintf(event, sizeof event, "%.*s", (int)n, rest);
    rest += n;
    rest += strspn(rest, " ");
    sl_json_open(json, NULL, '{');
    sl_json_uint(json, "seq", line->seq);
    sl_json_text(json, "at", at);
    sl_json_text(json, "level", levels[line->level]);
    sl_json_text(json, "event", event);
    sl_json_text(json, "text", rest);
    sl_json_close(json, '}');
}

static bool read_level(struct sl_http_call *call, enum sl_log_level *ret_level) {
    static const char *const names[] = {"", "error", "warn", "info", "debug"};
    char text[12] = "";
    *ret_level = SL_LOG_DEBUG;
    if (!sl_call_query(call, "level", text, sizeof text)) {
        return true;
    }
    for (unsigned i = SL_LOG_ERROR; i <= SL_LOG_DEBUG; i++) {
        if (strcmp(text, names[i]) == 0) {
            *ret_level = (enum sl_log_level)i;
            return true;
        }
    }
    sl_call_error(call, 400, "invalid_value", "level",
                  "'level' is error, warn, info or debug: lines that are at least so bad.");
    return false;
}

enum sl_step sl_h_logs(struct sl_http_call *call, struct sl_reader *reader) {
    enum sl_log_level level = SL_LOG_DEBUG;
    uint32_t limit = 0;
    uint64_t after = 0;
    bool given = false;
    (void)reader;
    if (!sl_call_query_limit(call, 1, LIST_MAX, LIST_DEFAULT, &limit) ||
        !read_after(call, &given, &after) || !read_level(call, &level)) {
        return SL_STEP_REPLY;
    }
    if (!call->http->log_ring) {
        return sl_call_error(call, 404, "unknown_url", NULL, "This broker keeps no log lines.");
    }
    struct sl_json *json = &call->out;
    sl_json_open(json, NULL, '{');
    sl_json_open(json, "lines", '[');
    uint64_t last =
        sl_log_ring_read(call->http->log_ring, after, level, limit, !given, write_line, json);
    sl_json_close(json, ']');
    sl_json_uint(json, "last", last);
    sl_json_time(json, "started", call->http->started);
    sl_json_close(json, '}');
    return sl_call_ok(call);
}
