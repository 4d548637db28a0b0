/* SPDX-License-Identifier: Apache-2.0
 * What pools credited: POST /api/v1/settlements imports rows, all or none, GET lists them. A worker
 * reads what the shares of each span were quoted at; whether the rows are taken the core decides.
 */
#include <stdlib.h>
#include <string.h>

#include "broker/http/internal.h"
#include "broker/store/settlements.h"

#define LIST_DEFAULT 100
#define LIST_MAX 1000

static void write_row(struct sl_json *json, const struct sl_settlement_row *row, bool booked) {
    sl_json_open(json, NULL, '{');
    if (booked) {
        sl_json_uint(json, "id", row->id);
    } else {
        sl_json_null(json, "id");
    }
    sl_json_text(json, "node", row->scope);
    sl_json_name(json, "pool", row->pool);
    sl_json_time(json, "from", row->from);
    sl_json_time(json, "to", row->to);
    sl_json_usd(json, "amount", row->amount_nano);
    sl_json_text(json, "currency", row->currency);
    if (booked) {
        sl_json_usd(json, "settled_usd", row->settled_nusd);
    } else {
        sl_json_null(json, "settled_usd"); /* a currency's price is looked up at the import */
    }
    sl_json_usd(json, "quoted_usd", row->quoted_nusd);
    sl_json_usd(json, "late_usd", row->late_nusd);
    sl_json_name(json, "by", row->actor);
    if (booked) {
        sl_json_time(json, "at", row->at);
    } else {
        sl_json_null(json, "at");
    }
    sl_json_close(json, '}');
}

static int list_row(void *arg, const void *row) {
    write_row(arg, row, true);
    return 0;
}

/* ---- reading a request; false: the answer is set ---- */

static bool bad_row(struct sl_http_call *call, uint32_t line, const char *what) {
    sl_call_error(call, 400, "invalid_value", "rows", "line %u: %s.", line, what);
    return false;
}

static const char *text_of(const json_t *row, const char *key) {
    const char *text = json_string_value(json_object_get(row, key));
    return text ? text : "";
}

static bool only_known(struct sl_http_call *call, const json_t *row, uint32_t line) {
    static const char *const known[] = {"line", "from", "to", "pool", "node", "amount", "currency"};
    const char *key = NULL;
    json_t *value = NULL;
    json_object_foreach((json_t *)row, key, value) {
        size_t at = 0;
        while (at < sizeof known / sizeof known[0] && strcmp(known[at], key) != 0) {
            at++;
        }
        if (at == sizeof known / sizeof known[0]) {
            return bad_row(call, line, "it has a member that is not known");
        }
    }
    return true;
}

static bool read_row(struct sl_http_call *call, const json_t *row, uint32_t at,
                     struct sl_settlement_row *out) {
    const json_t *number = json_object_get(row, "line");
    json_int_t line = json_is_integer(number) ? json_integer_value(number) : at + 1;
    out->line = line > 0 && line < UINT32_MAX ? (uint32_t)line : at + 1;
    if (!json_is_object(row)) {
        return bad_row(call, out->line, "a row is an object");
    }
    if (!only_known(call, row, out->line)) {
        return false;
    }
    bool site = json_object_get(row, "node") == NULL;
    if (site == (json_object_get(row, "pool") == NULL)) {
        return bad_row(call, out->line, "give either 'node' (that node's shares) or 'pool' (all)");
    }
    if (!sl_text_copy(out->scope, sizeof out->scope, site ? "*" : text_of(row, "node")) ||
        !sl_text_copy(out->pool, sizeof out->pool, text_of(row, "pool")) || out->scope[0] == '\0') {
        return bad_row(call, out->line, "'node' or 'pool' is empty or too long");
    }
    if (sl_wall_parse(text_of(row, "from"), &out->from) != SL_OK ||
        sl_wall_parse(text_of(row, "to"), &out->to) != SL_OK) {
        return bad_row(call, out->line,
                       "'from' and 'to' are times such as 2026-11-01 or 2026-11-01T00:00:00Z");
    }
    if (sl_decimal_parse(text_of(row, "amount"), 9, &out->amount_nano, NULL) != SL_OK ||
        out->amount_nano < 0) {
        return bad_row(call, out->line,
                       "'amount' is a decimal text from \"0\" with at most nine decimals");
    }
    size_t letters = strspn(text_of(row, "currency"), "ABCDEFGHIJKLMNOPQRSTUVWXYZ");
    if (letters < 3 || text_of(row, "currency")[letters] != '\0' ||
        !sl_text_copy(out->currency, sizeof out->currency, text_of(row, "currency"))) {
        return bad_row(call, out->line, "'currency' is a code such as USD or BTC");
    }
    return true;
}

static size_t bytes_of(uint32_t count) {
    return sizeof(struct sl_core_settle) + count * sizeof(struct sl_settlement_row);
}

/* malloc'ed; NULL: the answer is set. */
static struct sl_core_settle *read_body(struct sl_http_call *call) {
    static const char *const known[] = {"rows", "check", NULL};
    json_t *body = sl_call_body(call, known);
    if (!body) {
        return NULL;
    }
    const json_t *rows = json_object_get(body, "rows");
    const json_t *check = json_object_get(body, "check");
    size_t count = json_array_size(rows);
    struct sl_core_settle *settle = NULL;
    if (count == 0 || count > SL_SETTLE_ROWS_MAX || (check && !json_is_boolean(check))) {
        sl_call_error(call, 400, "invalid_value", "rows",
                      "'rows' is an array of 1 to %d settlements, 'check' true or false.",
                      SL_SETTLE_ROWS_MAX);
    } else if (!(settle = calloc(1, bytes_of((uint32_t)count)))) {
        sl_call_error(call, 503, "out_of_memory", NULL, "The broker has no memory: try again.");
    } else {
        settle->check = json_is_true(check);
        settle->count = (uint32_t)count;
        for (uint32_t i = 0; i < count && settle; i++) {
            if (!read_row(call, json_array_get(rows, i), i, &settle->rows[i])) {
                free(settle);
                settle = NULL;
            }
        }
    }
    json_decref(body);
    return settle;
}

/* ---- the two turns ---- */

static enum sl_step after_settle(struct sl_http_call *call, struct sl_reader *reader) {
    const struct sl_core_settle *asked = call->state;
    struct sl_json *json = &call->out;
    struct sl_error err = {0};
    if (call->core_status != SL_OK) {
        return sl_call_core_error(call);
    }
    sl_json_open(json, NULL, '{');
    sl_json_bool(json, "check", asked->check);
    sl_json_open(json, "settlements", '[');
    for (uint32_t i = 0; i < asked->count && asked->check; i++) {
        write_row(json, &asked->rows[i], false);
    }
    if (!asked->check &&
        sl_reader_settlements(reader, asked->high, asked->count, list_row, json, &err) != SL_OK) {
        return sl_call_trouble(call, &err);
    }
    sl_json_close(json, ']');
    sl_json_close(json, '}');
    return sl_call_ok(call);
}

enum sl_step sl_h_settle(struct sl_http_call *call, struct sl_reader *reader) {
    struct sl_error err = {0};
    struct sl_core_settle *settle = read_body(call);
    if (!settle) {
        return SL_STEP_REPLY;
    }
    if (sl_reader_quoted(reader, settle->rows, settle->count, &settle->high, &err) != SL_OK) {
        free(settle);
        return sl_call_trouble(call, &err);
    }
    struct sl_http_request *ask = sl_call_ask(call, SL_HTTP_EVENT);
    call->state = ask ? malloc(bytes_of(settle->count)) : NULL;
    if (!call->state) {
        free(settle);
        return ask ? sl_call_error(call, 503, "out_of_memory", NULL,
                                   "The broker has no memory: try again.")
                   : SL_STEP_REPLY;
    }
    memcpy(call->state, settle, bytes_of(settle->count));
    ask->event.kind = SL_CEV_SETTLE;
    ask->event.settle = settle;
    call->next = after_settle;
    return SL_STEP_ASK;
}

enum sl_step sl_h_settlements(struct sl_http_call *call, struct sl_reader *reader) {
    uint32_t limit = 0;
    uint64_t high = 0;
    struct sl_error err = {0};
    struct sl_json *json = &call->out;
    if (!sl_call_query_limit(call, 1, LIST_MAX, LIST_DEFAULT, &limit)) {
        return SL_STEP_REPLY;
    }
    sl_json_open(json, NULL, '{');
    sl_json_open(json, "settlements", '[');
    int rc = sl_reader_quoted(reader, NULL, 0, &high, &err);
    rc = rc ? rc
            : sl_reader_settlements(reader, high > limit ? high - limit : 0, limit, list_row, json,
                                    &err);
    if (rc != SL_OK) {
        return sl_call_trouble(call, &err);
    }
    sl_json_close(json, ']');
    sl_json_close(json, '}');
    return sl_call_ok(call);
}
