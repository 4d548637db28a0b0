/* SPDX-License-Identifier: Apache-2.0
 * The ledger, and the summary of a whole run. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/http/internal.h"
#include "broker/store/pools.h"

#define TRANSFERS_DEFAULT 50
#define TRANSFERS_MAX 1000

struct totals {
    struct sl_json *json; /* NULL: only sum */
    sl_i128 debits;
    sl_i128 credits;
    sl_i128 settled;   /* by pools, really paid */
    sl_i128 estimated; /* quoted, not settled yet */
};

static int list_account(void *arg, const void *row) {
    struct totals *totals = arg;
    const struct sl_account_row *account = row;
    struct sl_json *json = totals->json;
    totals->debits += account->debits.v;
    totals->credits += account->credits.v;
    if (strcmp(account->id, "cash:pool") == 0) {
        totals->settled = account->debits.v - account->credits.v;
    } else if (strcmp(account->id, "receivable:pool") == 0) {
        totals->estimated = account->debits.v - account->credits.v;
    }
    sl_json_open(json, NULL, '{');
    sl_json_text(json, "id", account->id);
    sl_json_usd(json, "debits_usd", account->debits.v);
    sl_json_usd(json, "credits_usd", account->credits.v);
    sl_json_usd(json, "balance_usd", account->debits.v - account->credits.v);
    sl_json_i128(json, "debits_nusd", account->debits.v);
    sl_json_i128(json, "credits_nusd", account->credits.v);
    sl_json_close(json, '}');
    return 0;
}

static int list_pool(void *arg, const void *row) {
    struct sl_json *json = arg;
    const struct sl_pool_row *pool = row;
    sl_json_open(json, NULL, '{');
    sl_json_text(json, "name", pool->name);
    sl_json_uint(json, "shares_accepted", pool->accepted);
    sl_json_i128(json, "work_accepted_hashes", pool->work);
    sl_json_usd(json, "quoted_usd", pool->amount_nusd);
    sl_json_i128(json, "quoted_nusd", pool->amount_nusd);
    sl_json_close(json, '}');
    return 0;
}

static int list_transfer(void *arg, const void *row) {
    static const char *const kinds[] = {NULL, "line", "share", "power", "settled", "adjustment"};
    struct sl_json *json = arg;
    const struct sl_transfer_row *transfer = row;
    sl_json_open(json, NULL, '{');
    sl_json_uint(json, "id", transfer->id);
    sl_json_text(json, "kind",
                 transfer->kind <= SL_TRANSFER_ADJUSTMENT ? kinds[transfer->kind] : NULL);
    sl_json_text(json, "debit", transfer->debit);
    sl_json_text(json, "credit", transfer->credit);
    sl_json_usd(json, "amount_usd", transfer->amount.v);
    sl_json_int(json, "amount_nusd", transfer->amount.v);
    sl_json_text(json, "ref", transfer->ref);
    sl_json_time(json, "at", transfer->at);
    sl_json_close(json, '}');
    return 0;
}

/* Where the page starts: ?after=ID, else so that the newest transfers are on it. */
static bool page_start(struct sl_http_call *call, struct sl_reader *reader, uint32_t limit,
                       uint64_t *ret_after) {
    char text[24] = "";
    struct sl_error err = {0};
    if (sl_call_query(call, "after", text, sizeof text)) {
        char *end = NULL;
        *ret_after = strtoull(text, &end, 10);
        if (text[0] < '0' || text[0] > '9' || *end != '\0' || *ret_after > INT64_MAX) {
            sl_call_error(call, 400, "invalid_value", "after",
                          "'after' is the id of a transfer, a number.");
            return false;
        }
        return true;
    }
    struct sl_store_high high;
    if (sl_reader_high(reader, &high, &err) != SL_OK) {
        sl_call_trouble(call, &err);
        return false;
    }
    *ret_after = high.transfer_id > limit ? high.transfer_id - limit : 0;
    return true;
}

static bool asks_replay(struct sl_http_call *call) {
    char check[8] = "";
    return sl_call_query(call, "check", check, sizeof check) && strcmp(check, "0") != 0;
}

/* Clears *balanced where a replay differs: err says how. Negative: it could not be found out. */
static int replay_ledger(struct sl_reader *reader, bool *balanced, struct sl_error *err) {
    int rc = sl_reader_ledger_check(reader, err);
    *balanced = *balanced && rc == SL_OK;
    return rc == -SL_CORRUPT ? SL_OK : rc;
}

/* Quoted for shares that are not plausible, since the store began (broker/core/claims.h). */
static void write_implausible(struct sl_json *json, struct sl_reader *reader) {
    char text[192] = "";
    char work[48] = "0", nusd[48] = "0";
    uint64_t shares = 0;
    sl_i128 amount = 0;
    if (sl_reader_meta(reader, "claims", text, sizeof text) == SL_OK &&
        sscanf(text, "%" SCNu64 " %47s %47s", &shares, work, nusd) == 3) {
        sl_i128_parse(nusd, &amount);
    }
    sl_json_uint(json, "implausible_shares", shares);
    sl_json_usd(json, "implausible_usd", amount);
    sl_json_i128(json, "implausible_nusd", amount);
}

enum sl_step sl_h_ledger(struct sl_http_call *call, struct sl_reader *reader) {
    uint32_t limit = 0;
    uint64_t after = 0;
    struct sl_json *json = &call->out;
    struct totals totals = {.json = json};
    struct sl_error err = {0};
    if (!sl_call_query_limit(call, 1, TRANSFERS_MAX, TRANSFERS_DEFAULT, &limit) ||
        !page_start(call, reader, limit, &after)) {
        return SL_STEP_REPLY;
    }
    sl_json_open(json, NULL, '{');
    sl_json_open(json, "accounts", '[');
    if (sl_reader_accounts(reader, list_account, &totals, &err) != SL_OK) {
        return sl_call_trouble(call, &err);
    }
    sl_json_close(json, ']');
    bool balanced = totals.debits == totals.credits;
    bool replay = asks_replay(call);
    if (replay && replay_ledger(reader, &balanced, &err) != SL_OK) {
        return sl_call_trouble(call, &err);
    }
    sl_json_open(json, "pools", '[');
    if (sl_reader_pools(reader, list_pool, json, &err) != SL_OK) {
        return sl_call_trouble(call, &err);
    }
    sl_json_close(json, ']');
    sl_json_open(json, "hash_revenue", '{');
    sl_json_usd(json, "settled_usd", totals.settled);
    sl_json_usd(json, "estimated_usd", totals.estimated);
    sl_json_i128(json, "settled_nusd", totals.settled);
    sl_json_i128(json, "estimated_nusd", totals.estimated);
    write_implausible(json, reader);
    sl_json_close(json, '}');
    sl_json_bool(json, "balanced", balanced);
    sl_json_bool(json, "replayed", replay);
    sl_json_text(json, "difference", replay && !balanced ? err.text : NULL);
    sl_json_open(json, "transfers", '[');
    if (sl_reader_transfers(reader, after, limit, list_transfer, json, &err) != SL_OK) {
        return sl_call_trouble(call, &err);
    }
    sl_json_close(json, ']');
    sl_json_close(json, '}');
    return sl_call_ok(call);
}

struct lines {
    uint64_t total;
    uint64_t done;
};

static int add_lines(void *arg, const void *row) {
    struct lines *lines = arg;
    const struct sl_batch_row *batch = row;
    lines->total += batch->lines_total;
    lines->done += (uint64_t)batch->lines_completed + batch->lines_failed;
    return 0;
}

static int add_account(void *arg, const void *row) {
    struct totals *totals = arg;
    const struct sl_account_row *account = row;
    totals->debits += account->debits.v;
    totals->credits += account->credits.v;
    return 0;
}

static enum sl_step write_summary(struct sl_http_call *call, struct sl_reader *reader) {
    struct sl_json *json = &call->out;
    struct sl_share_totals shares;
    struct lines lines = {0};
    struct totals totals = {0};
    struct sl_error err = {0};
    bool more = false;
    if (call->core_status != SL_OK) {
        return sl_call_core_error(call);
    }
    int rc = sl_reader_share_totals(reader, &shares, &err);
    rc = rc ? rc
            : sl_reader_batches(reader, NULL, NULL, UINT32_MAX - 1, add_lines, &lines, &more, &err);
    rc = rc ? rc : sl_reader_accounts(reader, add_account, &totals, &err);
    bool balanced = totals.debits == totals.credits;
    bool replay = asks_replay(call);
    rc = rc == SL_OK && replay ? replay_ledger(reader, &balanced, &err) : rc;
    if (rc != SL_OK) {
        return sl_call_trouble(call, &err);
    }
    sl_json_open(json, NULL, '{');
    sl_json_uint(json, "shares_accepted", shares.count[SL_SHARE_ACCEPTED]);
    sl_json_uint(json, "shares_stale", shares.count[SL_SHARE_STALE]);
    sl_json_uint(json, "shares_rejected", shares.count[SL_SHARE_REJECTED]);
    sl_json_uint(json, "lines_total", lines.total);
    sl_json_uint(json, "lines_done", lines.done);
    sl_json_bool(json, "ledger_balanced", balanced);
    sl_json_bool(json, "replayed", replay);
    sl_buf_append(&json->buf, ",", 1);
    sl_buf_append(&json->buf, call->core_text, strlen(call->core_text));
    sl_json_close(json, '}');
    return sl_call_ok(call);
}

enum sl_step sl_h_summary(struct sl_http_call *call, struct sl_reader *reader) {
    (void)reader;
    return sl_call_ask_view(call, SL_HTTP_VIEW_SUMMARY, NULL, write_summary);
}
