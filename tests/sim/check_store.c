/* SPDX-License-Identifier: Apache-2.0
 * Rules that the store's rows must keep, computed anew from the file at the end of a run:
 *  - "ledger": debits equal credits, replay gives the same balances (the product's own proof, and
 *    sums of our own); a line's bill is its tokens at the price of the grant under which its unit
 *    was issued, the parts of nano-USD carried on; the same for shares at their recorded price.
 *  - "batches": a batch's counters are those of its results; a completed one has one for each line;
 *    a good line's vector is the one that its text gives.
 *  - "shares": recorded accepted <= the pool's count <= accepted + unknown + not yet reported; the
 *    same for their work.
 *  - "budget": no tenant pays more than its budget.
 *  - "power": what was posted for power is no more than all devices can have used. */
#include <stdlib.h>
#include <string.h>

#include <sqlite3.h>

#include "tests/sim/internal.h"

#define WATTS_MW_MAX 200000

struct reading {
    struct sim *sim;
    sqlite3 *db;
};

static sqlite3_stmt *ask(struct reading *r, const char *sql) {
    sqlite3_stmt *stmt = NULL;
    if (sqlite3_prepare_v2(r->db, sql, -1, &stmt, NULL) != SQLITE_OK) {
        sim_break(r->sim, "ledger", "the store cannot be read: %s", sqlite3_errmsg(r->db));
    }
    return stmt;
}

static const char *text_of(sqlite3_stmt *stmt, int column) {
    const char *text = (const char *)sqlite3_column_text(stmt, column);
    return text ? text : "";
}

/* ---- bills ---- */

static void check_bills(struct reading *r) {
    sqlite3_stmt *stmt = ask(r, "SELECT b.id,b.billed_nusd,b.tokens,r.tokens,r.amount_nusd,"
                                "u.price_nusd_per_mtok,d.price_nusd_per_mtok,r.line,d.batch"
                                " FROM results r JOIN batches b ON b.id=r.batch"
                                " LEFT JOIN units u ON u.unit_id=r.unit_id"
                                " LEFT JOIN directives d ON d.device=u.device AND d.epoch=u.epoch"
                                " WHERE r.status=1 ORDER BY b.id");
    char id[SL_ID_MAX] = "";
    sl_i128 exact = 0;
    int64_t paid = 0, billed = 0;
    bool more = true;
    while (stmt && more && r->sim->result->ok) {
        more = sqlite3_step(stmt) == SQLITE_ROW;
        if ((!more || strcmp(id, text_of(stmt, 0)) != 0) && id[0]) {
            if (exact / SL_DENOM_TOKEN != paid || paid != billed) {
                sim_break(r->sim, "ledger", "%s: lines cost %lld, were posted %lld, billed %lld",
                          id, (long long)(exact / SL_DENOM_TOKEN), (long long)paid,
                          (long long)billed);
            }
            exact = 0;
            paid = 0;
        }
        if (!more) {
            break;
        }
        sl_text_copy(id, sizeof id, text_of(stmt, 0));
        billed = sqlite3_column_int64(stmt, 1);
        exact += (sl_i128)sqlite3_column_int64(stmt, 3) * sqlite3_column_int64(stmt, 6);
        paid += sqlite3_column_int64(stmt, 4);
        if (sqlite3_column_type(stmt, 6) == SQLITE_NULL ||
            sqlite3_column_int64(stmt, 5) != sqlite3_column_int64(stmt, 6) ||
            strcmp(text_of(stmt, 8), id) != 0) {
            sim_break(r->sim, "ledger",
                      "line %d of %s was done under a unit at %lld, its grant was for %s at %lld",
                      sqlite3_column_int(stmt, 7), id, (long long)sqlite3_column_int64(stmt, 5),
                      text_of(stmt, 8), (long long)sqlite3_column_int64(stmt, 6));
        }
    }
    sqlite3_finalize(stmt);
}

static void check_share_money(struct reading *r) {
    sqlite3_stmt *stmt =
        ask(r, "SELECT work_hashes,price_nusd_per_ph_day,amount_nusd FROM shares WHERE outcome=1");
    sl_i128 exact = 0, paid = 0;
    while (stmt && sqlite3_step(stmt) == SQLITE_ROW) {
        exact += (sl_i128)sqlite3_column_int64(stmt, 0) * sqlite3_column_int64(stmt, 1);
        paid += sqlite3_column_int64(stmt, 2);
    }
    sqlite3_finalize(stmt);
    if (exact / SL_DENOM_HASH != paid) {
        sim_break(r->sim, "ledger", "accepted shares are worth %lld, credited were %lld",
                  (long long)(exact / SL_DENOM_HASH), (long long)paid);
    }
}

/* Postings by kind against what they are for. */
static void check_sums(struct reading *r) {
    static const struct {
        const char *sql, *what;
    } sums[] = {
        {"SELECT (SELECT coalesce(sum(amount_nusd),0) FROM transfers WHERE kind=1),"
         " (SELECT coalesce(sum(amount_nusd),0) FROM results WHERE status=1)",
         "postings of lines"},
        {"SELECT (SELECT coalesce(sum(amount_nusd),0) FROM transfers WHERE kind=2),"
         " (SELECT coalesce(sum(amount_nusd),0) FROM shares WHERE outcome=1)",
         "postings of shares"},
        {"SELECT (SELECT count(*) FROM transfers WHERE kind=1),"
         " (SELECT count(*) FROM results WHERE status=1)",
         "the number of postings of lines"},
        {"SELECT (SELECT count(*) FROM transfers WHERE kind=2),"
         " (SELECT count(*) FROM shares WHERE outcome=1)",
         "the number of postings of shares"},
    };
    for (size_t i = 0; i < sizeof sums / sizeof sums[0]; i++) {
        sqlite3_stmt *stmt = ask(r, sums[i].sql);
        if (stmt && sqlite3_step(stmt) == SQLITE_ROW &&
            sqlite3_column_int64(stmt, 0) != sqlite3_column_int64(stmt, 1)) {
            sim_break(r->sim, "ledger", "%s: %lld, but %lld expected", sums[i].what,
                      (long long)sqlite3_column_int64(stmt, 0),
                      (long long)sqlite3_column_int64(stmt, 1));
        }
        sqlite3_finalize(stmt);
    }
}

/* ---- batches ---- */

static int64_t refused_lines(struct sim *sim, const char *id) {
    const struct sim_batch *batch = sim_batch_find(sim, id);
    int64_t count = 0;
    for (uint32_t i = 0; batch && i < batch->lines; i++) {
        count += sim_line_is_refused(sim, (uint32_t)(batch - sim->batches), i);
    }
    return count;
}

static void check_counters(struct reading *r) {
    sqlite3_stmt *stmt =
        ask(r, "SELECT b.id,b.state,b.lines_total,b.lines_completed,b.lines_failed,"
               "(SELECT count(*) FROM results WHERE batch=b.id AND status=1),"
               "(SELECT count(*) FROM results WHERE batch=b.id AND status<>1) FROM batches b");
    while (stmt && sqlite3_step(stmt) == SQLITE_ROW) {
        int64_t total = sqlite3_column_int64(stmt, 2);
        int64_t done = sqlite3_column_int64(stmt, 3);
        int64_t failed = sqlite3_column_int64(stmt, 4);
        /* A refused line has no result; before validation there are no lines. */
        int64_t refused = total > 0 ? refused_lines(r->sim, text_of(stmt, 0)) : 0;
        if (done != sqlite3_column_int64(stmt, 5) ||
            failed - refused != sqlite3_column_int64(stmt, 6)) {
            sim_break(
                r->sim, "batches", "%s counts %lld done and %lld failed, its results %lld, %lld",
                text_of(stmt, 0), (long long)done, (long long)failed,
                (long long)sqlite3_column_int64(stmt, 5), (long long)sqlite3_column_int64(stmt, 6));
        }
        if (strcmp(text_of(stmt, 1), "completed") == 0 && done + failed != total) {
            sim_break(r->sim, "batches", "%s is completed with %lld of %lld lines",
                      text_of(stmt, 0), (long long)(done + failed), (long long)total);
        }
        if (strcmp(text_of(stmt, 1), "cancelled") == 0 && done > 0) {
            sim_count(r->sim, SIM_BATCH_CANCELLED);
        }
    }
    sqlite3_finalize(stmt);
}

/* What the line's texts give: tokens of the longest, and the vectors that a sound device computes;
 * returns the size of these. */
static size_t expect(struct sim *sim, uint32_t batch, uint32_t line, uint32_t *ret_tokens,
                     float vectors[SIM_INPUTS_WIDE * SIM_DIM]) {
    char text[128];
    int32_t ids[128 + 2];
    uint32_t bytes = sim_line_text(sim, batch, line, text, sizeof text);
    uint32_t inputs = sim_line_inputs(sim, batch, line);
    *ret_tokens = bytes + 2;
    for (uint32_t k = 0; k < inputs; k++) {
        uint32_t from = sim_input_start(bytes, k);
        uint32_t n = bytes - from;
        for (uint32_t i = 0; i < n + 2; i++) {
            ids[i] = i == 0 || i > n ? 1 : text[from + i - 1];
        }
        sl_fake_vector(ids, n + 2, SIM_DIM, vectors + (size_t)k * SIM_DIM);
    }
    return (size_t)inputs * SIM_DIM * sizeof *vectors;
}

static void check_results(struct reading *r) {
    sqlite3_stmt *stmt = ask(r, "SELECT batch,line,status,tokens,vectors FROM results");
    while (stmt && r->sim->result->ok && sqlite3_step(stmt) == SQLITE_ROW) {
        const struct sim_batch *batch = sim_batch_find(r->sim, text_of(stmt, 0));
        uint32_t line = (uint32_t)sqlite3_column_int64(stmt, 1);
        int status = sqlite3_column_int(stmt, 2);
        uint32_t tokens = 0;
        float vectors[SIM_INPUTS_WIDE * SIM_DIM];
        if (!batch || line >= batch->lines) {
            sim_break(r->sim, "batches", "a result for a line that does not exist");
            break;
        }
        uint32_t at = (uint32_t)(batch - r->sim->batches);
        size_t size = expect(r->sim, at, line, &tokens, vectors);
        if (status == SL_LINE_TOO_LONG) {
            sim_count(r->sim, SIM_LINE_TOO_LONG);
        } else if (status != SL_LINE_OK) {
            sim_count(r->sim, SIM_LINE_FAILED);
            continue;
        }
        bool fits = tokens <= SIM_MODEL_TOKENS;
        tokens = fits ? sim_line_tokens(r->sim, at, line) : tokens;
        if (fits != (status == SL_LINE_OK) || tokens != sqlite3_column_int64(stmt, 3)) {
            sim_break(r->sim, "batches", "line %u of %s has status %d and %lld tokens, not %u",
                      line, batch->id, status, (long long)sqlite3_column_int64(stmt, 3), tokens);
        } else if (fits && (sqlite3_column_bytes(stmt, 4) != (int)size ||
                            memcmp(sqlite3_column_blob(stmt, 4), vectors, size) != 0)) {
            sim_break(r->sim, "batches", "line %u of %s has another text's vector", line,
                      batch->id);
        }
    }
    sqlite3_finalize(stmt);
}

/* What was ended in time and what was believed: rows of which there must be none. */
static void check_none(struct reading *r) {
    static const struct {
        const char *sql, *rule, *what;
        bool by_wall; /* means nothing once the broker's wall clock was set */
    } none[] = {
        {"SELECT id FROM batches WHERE state='completed' AND finalizing_ms>deadline_ms+2000",
         "batches", "a batch went on after its deadline", true},
        {"SELECT feed FROM prices WHERE as_of_ms>seen_ms+60000", "prices",
         "a price from the future was taken", false},
    };
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
        sqlite3_stmt *stmt = ask(r, none[i].sql);
        if (stmt && !(none[i].by_wall && r->sim->broker.clock_stepped) &&
            sqlite3_step(stmt) == SQLITE_ROW) {
            sim_break(r->sim, none[i].rule, "%s: %s", none[i].what, text_of(stmt, 0));
        }
        sqlite3_finalize(stmt);
    }
}

/* ---- shares ---- */

/* Of one agent at one pool: booked there is what that pool knows of. */
static void check_shares_of(struct reading *r, uint32_t agent, uint32_t at) {
    struct sim *sim = r->sim;
    sqlite3_stmt *stmt = ask(r, "SELECT outcome,count(*),sum(work_hashes) FROM shares WHERE"
                                " node_key=?1 AND pool=?2 GROUP BY outcome");
    uint64_t count[SL_SHARE_UNKNOWN + 1] = {0};
    uint64_t work[SL_SHARE_UNKNOWN + 1] = {0};
    sqlite3_bind_text(stmt, 1, sim->agents[agent].key, -1, SQLITE_STATIC);
    sqlite3_bind_text(stmt, 2, sim_pool_names[at], -1, SQLITE_STATIC);
    while (stmt && sqlite3_step(stmt) == SQLITE_ROW) {
        int outcome = sqlite3_column_int(stmt, 0);
        if (outcome > 0 && outcome <= SL_SHARE_UNKNOWN) {
            count[outcome] = (uint64_t)sqlite3_column_int64(stmt, 1);
            work[outcome] = (uint64_t)sqlite3_column_int64(stmt, 2);
        }
    }
    sqlite3_finalize(stmt);
    sim->result->counts[SIM_SHARE_UNKNOWN] += count[SL_SHARE_UNKNOWN];
    sim->result->counts[SIM_SHARE_STALE] += count[SL_SHARE_STALE];
    sim->result->shares += count[SL_SHARE_ACCEPTED];
    struct sim_pool_counts pool = sim_pool_counts(sim, at, agent);
    struct sl_agent_view view = {0};
    if (sim->agents[agent].core) {
        sl_agent_get(sim->agents[agent].core, &view);
    }
    uint64_t most = count[SL_SHARE_ACCEPTED] + count[SL_SHARE_UNKNOWN] + view.shares_open;
    const char *name = sim_pool_names[at];
    if (count[SL_SHARE_ACCEPTED] > pool.accepted) {
        sim_break(sim, "shares",
                  "%s: %llu shares recorded as accepted by pool %s, it accepted %llu",
                  sim->agents[agent].node, (unsigned long long)count[SL_SHARE_ACCEPTED], name,
                  (unsigned long long)pool.accepted);
    } else if (pool.accepted > most && !sim->restored_once) {
        sim_break(sim, "shares", "%s: pool %s accepted %llu shares, known are %llu",
                  sim->agents[agent].node, name, (unsigned long long)pool.accepted,
                  (unsigned long long)most);
    } else if (work[SL_SHARE_ACCEPTED] > pool.work + pool.accepted) {
        sim_break(sim, "shares", "%s: work of %llu recorded, pool %s gave credit for %llu",
                  sim->agents[agent].node, (unsigned long long)work[SL_SHARE_ACCEPTED], name,
                  (unsigned long long)pool.work);
    }
}

/* ---- budget and power ---- */

static void check_accounts(struct reading *r) {
    struct sim *sim = r->sim;
    sqlite3_stmt *stmt = ask(r, "SELECT coalesce(sum(amount_nusd),0) FROM transfers WHERE"
                                " debit='tenant:tenant1'");
    int64_t budget = sim->broker_config->tenants[1].budget_nusd;
    if (stmt && sqlite3_step(stmt) == SQLITE_ROW && sqlite3_column_int64(stmt, 0) > budget) {
        sim_break(sim, "budget", "tenant1 paid %lld of a budget of %lld",
                  (long long)sqlite3_column_int64(stmt, 0), (long long)budget);
    }
    sqlite3_finalize(stmt);
    sim_check_power_price(sim, 0);
    stmt = ask(r, "SELECT coalesce(sum(amount_nusd),0) FROM transfers WHERE kind=3 AND"
                  " debit='cost:power'");
    /* A clock that runs fast meters a little more; a device is metered by its broker's clock. */
    sl_i128 most = sim->energy_nusd / ((sl_i128)3600000 * 1000000);
    most += most / 500 + 1000;
    if (stmt && sqlite3_step(stmt) == SQLITE_ROW && sqlite3_column_int64(stmt, 0) > most) {
        sim_break(sim, "power", "power was posted for %lld, all devices can have used %lld",
                  (long long)sqlite3_column_int64(stmt, 0), (long long)most);
    }
    sqlite3_finalize(stmt);
}

/* All devices at their most, at the tariff that held up to now; then `price` holds. */
void sim_check_power_price(struct sim *sim, int64_t price_nusd_per_kwh) {
    int64_t span_ms = (sim->now_ns - sim->energy_ns) / SL_NS_PER_MS;
    int64_t devices = (int64_t)sim->agent_count * sim->device_count;
    sim->energy_nusd += (sl_i128)span_ms * devices * WATTS_MW_MAX * sim->energy_price;
    sim->energy_ns = sim->now_ns;
    sim->energy_price = price_nusd_per_kwh ? price_nusd_per_kwh : sim->energy_price;
}

void sim_check_store(struct sim *sim) {
    struct reading r = {.sim = sim};
    struct sl_error err;
    SL_AUTO(sl_reader) reader = NULL;
    if (!sim->broker.core) {
        sim_break(sim, "progress", "the broker does not run");
        return;
    }
    if (sl_reader_open(SIM_STORE, SIM_VFS, &reader, &err) != SL_OK ||
        sl_reader_ledger_check(reader, &err) != SL_OK) {
        sim_break(sim, "ledger", "%s", err.text);
        return;
    }
    if (sqlite3_open_v2(SIM_STORE, &r.db, SQLITE_OPEN_READONLY, SIM_VFS) != SQLITE_OK) {
        sim_break(sim, "ledger", "the store cannot be opened to be read");
    } else {
        check_bills(&r);
        check_share_money(&r);
        check_sums(&r);
        check_counters(&r);
        check_results(&r);
        check_none(&r);
        check_accounts(&r);
        for (uint32_t i = 0; i < sim->agent_count; i++) {
            for (uint32_t pool = 0; pool < SIM_POOLS; pool++) {
                check_shares_of(&r, i, pool);
            }
        }
    }
    sqlite3_close(r.db);
}
