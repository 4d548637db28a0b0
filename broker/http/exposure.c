/* SPDX-License-Identifier: Apache-2.0
 * Which coin and which tenants the revenue comes from: counted from the ledger's transfers, on a
 * worker. Every hour, and whenever somebody asks; what comes above its limit is warned of once. */
#include <stdlib.h>
#include <string.h>

#include "broker/http/internal.h"
#include "broker/http/views.h"
#include "proto/base/log.h"

#define COUNT_EVERY_S 3600
#define DAY_MS INT64_C(86400000)
#define CHUNK 20000 /* rows of one statement: a long one would keep the log from being emptied */
#define TENANT_PREFIX "tenant:"

void sl_http_exposure_init(struct sl_http *http, const struct sl_http_config *config) {
    struct sl_http_exposure *exposure = &http->exposure;
    sl_text_copy(exposure->coin, sizeof exposure->coin, config->coin ? config->coin : "sha256d");
    sl_text_copy(exposure->policy_version, sizeof exposure->policy_version,
                 config->policy_version ? config->policy_version : "");
    exposure->coin_max_ppm = config->coin_max_ppm;
    exposure->tenant_max_ppm = config->tenant_max_ppm;
}

/* ---- counting ---- */

struct count {
    struct sl_exposure exposure;
    const char *coin;
    struct sl_wall since;
    uint64_t last; /* id of the last row seen */
    uint32_t seen;
    int64_t first_ms; /* time of the first row seen */
};

static int add_transfer(void *arg, const void *row) {
    struct count *count = arg;
    const struct sl_transfer_row *transfer = row;
    count->last = transfer->id;
    count->seen++;
    if (transfer->at.ms < count->since.ms) {
        return 0; /* a wall clock that was set back */
    }
    size_t prefix = strlen(TENANT_PREFIX);
    if (transfer->kind == SL_TRANSFER_SHARE) {
        sl_exposure_add(&count->exposure, SL_EXPOSURE_COIN, count->coin, transfer->amount.v);
    } else if (transfer->kind == SL_TRANSFER_LINE) {
        bool named = strncmp(transfer->debit, TENANT_PREFIX, prefix) == 0;
        sl_exposure_add(&count->exposure, SL_EXPOSURE_TENANT,
                        transfer->debit + (named ? prefix : 0), transfer->amount.v);
    }
    return 0;
}

static int note_time(void *arg, const void *row) {
    struct count *count = arg;
    const struct sl_transfer_row *transfer = row;
    count->first_ms = transfer->at.ms;
    count->seen++;
    return 1;
}

/* The id after which transfers are young enough: ids rise with time, so it can be halved down to.
 */
static int find_start(struct sl_reader *reader, struct sl_wall since, uint64_t *ret_after,
                      struct sl_error *err) {
    struct sl_store_high high;
    int rc = sl_reader_high(reader, &high, err);
    uint64_t low = 0;
    uint64_t top = rc == SL_OK ? high.transfer_id : 0;
    while (rc == SL_OK && low < top) {
        uint64_t middle = low + (top - low) / 2;
        struct count one = {0};
        rc = sl_reader_transfers(reader, middle, 1, note_time, &one, err);
        if (one.seen == 0 || one.first_ms >= since.ms) {
            top = middle;
        } else {
            low = middle + 1;
        }
    }
    *ret_after = low;
    return rc;
}

/* rows: [SL_HTTP_EXPOSURE_ROWS], in which the shares are left. */
static int count_window(const struct sl_http *http, struct sl_reader *reader, int64_t window_ms,
                        struct sl_exposure_row *rows, struct sl_exposure *ret_exposure,
                        struct sl_error *err) {
    struct count count = {
        .exposure = {.rows = rows, .cap = SL_HTTP_EXPOSURE_ROWS},
        .coin = http->exposure.coin,
        .since = {sl_clock_wall().ms - window_ms},
    };
    int rc = find_start(reader, count.since, &count.last, err);
    do {
        count.seen = 0;
        rc = rc ? rc : sl_reader_transfers(reader, count.last, CHUNK, add_transfer, &count, err);
    } while (rc == SL_OK && count.seen == CHUNK && !atomic_load(&http->stopping));
    sl_exposure_close(&count.exposure, http->exposure.coin_max_ppm, http->exposure.tenant_max_ppm);
    *ret_exposure = count.exposure;
    return rc;
}

/* ---- warning ---- */

static const char *kind_name(enum sl_exposure_kind kind) {
    return kind == SL_EXPOSURE_COIN ? "coin" : "tenant";
}

static bool was_over(const struct sl_http_exposure *old, const struct sl_exposure_row *row) {
    for (uint32_t i = 0; i < old->count; i++) {
        if (old->rows[i].kind == row->kind && strcmp(old->rows[i].name, row->name) == 0) {
            return old->rows[i].over;
        }
    }
    return false;
}

/* Takes over what was counted; what is newly above its limit is said. */
static void keep(struct sl_http *http, const struct sl_exposure *now) {
    struct sl_http_exposure *kept = &http->exposure;
    pthread_mutex_lock(&http->lock);
    for (uint32_t i = 0; i < now->count; i++) {
        const struct sl_exposure_row *row = &now->rows[i];
        if (row->over && !was_over(kept, row)) {
            bool coin = row->kind == SL_EXPOSURE_COIN;
            int64_t limit = coin ? kept->coin_max_ppm : kept->tenant_max_ppm;
            sl_log(SL_LOG_WARN, "exposure.over",
                   "%s=%s share_ppm=%lld limit_ppm=%lld text=\"above exposure.%s_max of the "
                   "policy document: find others, or raise it\"",
                   kind_name(row->kind), row->name, (long long)row->share_ppm, (long long)limit,
                   kind_name(row->kind));
        }
    }
    memcpy(kept->rows, now->rows, now->count * sizeof kept->rows[0]);
    kept->count = now->count;
    kept->hhi_ppm = now->hhi_ppm;
    kept->counted = sl_clock_mono();
    pthread_mutex_unlock(&http->lock);
}

void sl_http_exposure_sweep(struct sl_http *http, struct sl_reader *reader) {
    struct sl_mono now = sl_clock_mono();
    struct sl_mono *counted = &http->exposure.counted;
    pthread_mutex_lock(&http->lock);
    bool due = counted->ns == 0 || sl_mono_since_ns(now, *counted) > COUNT_EVERY_S * SL_NS_PER_S;
    if (due) {
        *counted = now; /* no other worker counts the same */
    }
    pthread_mutex_unlock(&http->lock);
    SL_AUTO_FREE struct sl_exposure_row *rows =
        due ? calloc(SL_HTTP_EXPOSURE_ROWS, sizeof *rows) : NULL;
    struct sl_exposure exposure;
    struct sl_error err = {0};
    if (!rows) {
        return;
    }
    if (count_window(http, reader, 30 * DAY_MS, rows, &exposure, &err) == SL_OK) {
        keep(http, &exposure);
    } else {
        sl_log(SL_LOG_WARN, "http.exposure", "text=\"%s\"", err.text);
    }
}

/* ---- showing ---- */

void sl_http_exposure_metrics(struct sl_http *http, struct sl_buf *buf) {
    const struct sl_http_exposure *kept = &http->exposure;
    pthread_mutex_lock(&http->lock);
    if (kept->count > 0) {
        sl_buf_printf(buf, "# HELP sluice_revenue_share Part of the revenue of 30 days, by source; "
                           "counted hourly.\n# TYPE sluice_revenue_share gauge\n");
        for (uint32_t i = 0; i < kept->count; i++) {
            const struct sl_exposure_row *row = &kept->rows[i];
            sl_buf_printf(buf, "sluice_revenue_share{kind=\"%s\",name=\"", kind_name(row->kind));
            sl_view_metric_label(buf, row->name);
            sl_buf_printf(buf, "\"} %lld.%06lld\n", (long long)(row->share_ppm / 1000000),
                          (long long)(row->share_ppm % 1000000));
        }
        uint32_t over = 0;
        for (uint32_t i = 0; i < kept->count; i++) {
            over += kept->rows[i].over;
        }
        sl_buf_printf(buf,
                      "# HELP sluice_revenue_hhi Sum of the squared shares; 1: one source.\n"
                      "# TYPE sluice_revenue_hhi gauge\nsluice_revenue_hhi %lld.%06lld\n"
                      "# HELP sluice_exposure_over Sources above their limit.\n"
                      "# TYPE sluice_exposure_over gauge\nsluice_exposure_over %u\n",
                      (long long)(kept->hhi_ppm / 1000000), (long long)(kept->hhi_ppm % 1000000),
                      over);
    }
    pthread_mutex_unlock(&http->lock);
}

static void write_window(struct sl_json *json, const struct sl_http_exposure *limits,
                         const char *name, const struct sl_exposure *exposure) {
    sl_json_open(json, NULL, '{');
    sl_json_text(json, "window", name);
    sl_json_usd(json, "revenue_usd", exposure->total_nusd);
    if (exposure->total_nusd > 0) {
        sl_json_decimal(json, "hhi", (uint64_t)exposure->hhi_ppm, 6);
    } else {
        sl_json_null(json, "hhi");
    }
    sl_json_open(json, "sources", '[');
    for (uint32_t i = 0; i < exposure->count; i++) {
        const struct sl_exposure_row *row = &exposure->rows[i];
        bool coin = row->kind == SL_EXPOSURE_COIN;
        sl_json_open(json, NULL, '{');
        sl_json_text(json, "kind", kind_name(row->kind));
        sl_json_text(json, "name", row->name);
        sl_json_usd(json, "revenue_usd", row->revenue_nusd);
        sl_json_decimal(json, "share", (uint64_t)row->share_ppm, 6);
        sl_json_decimal(json, "limit",
                        (uint64_t)(coin ? limits->coin_max_ppm : limits->tenant_max_ppm), 6);
        sl_json_bool(json, "over", row->over);
        sl_json_close(json, '}');
    }
    sl_json_close(json, ']');
    sl_json_close(json, '}');
}

enum sl_step sl_h_exposure(struct sl_http_call *call, struct sl_reader *reader) {
    static const struct {
        const char *name;
        int64_t ms;
    } windows[] = {{"24h", DAY_MS}, {"30d", 30 * DAY_MS}};
    struct sl_http *http = call->http;
    struct sl_json *json = &call->out;
    struct sl_error err = {0};
    SL_AUTO_FREE struct sl_exposure_row *rows = calloc(SL_HTTP_EXPOSURE_ROWS, sizeof *rows);
    if (!rows) {
        sl_fail(&err, SL_NOMEM, "no memory for shares of revenue");
        return sl_call_trouble(call, &err);
    }
    sl_json_open(json, NULL, '{');
    sl_json_time(json, "now", sl_clock_wall());
    sl_json_name(json, "policy_version", http->exposure.policy_version);
    sl_json_open(json, "windows", '[');
    for (size_t i = 0; i < sizeof windows / sizeof windows[0]; i++) {
        struct sl_exposure exposure;
        if (count_window(http, reader, windows[i].ms, rows, &exposure, &err) != SL_OK) {
            return sl_call_trouble(call, &err);
        }
        write_window(json, &http->exposure, windows[i].name, &exposure);
        if (i + 1 == sizeof windows / sizeof windows[0]) {
            keep(http, &exposure);
        }
    }
    sl_json_close(json, ']');
    sl_json_close(json, '}');
    return sl_call_ok(call);
}
