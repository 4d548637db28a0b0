/* SPDX-License-Identifier: Apache-2.0
 * What happened on the site, and which devices are not trusted. An event's id is its row id: the
 * newest row is never deleted, so the next id is always above all that were given out. */
#include <string.h>

#include "broker/store/events.h"
#include "broker/store/store_internal.h"

int sl_store_apply_event(struct sl_statements *s, const struct sl_event_row *row,
                         struct sl_error *err) {
    static const char insert[] = "INSERT INTO events(at_ms,node,device,kind,severity,text)"
                                 " VALUES(?1,?2,?3,?4,?5,?6)";
    static const char prune[] = "DELETE FROM events WHERE id <= ?1";
    sqlite3_stmt *stmt = sl_statements_get(s, insert, err);
    if (!stmt) {
        return -SL_IO;
    }
    sqlite3_bind_int64(stmt, 1, row->at.ms);
    sqlite3_bind_text(stmt, 2, row->node, -1, SQLITE_STATIC);
    sqlite3_bind_text(stmt, 3, row->device, -1, SQLITE_STATIC);
    sqlite3_bind_text(stmt, 4, row->kind, -1, SQLITE_STATIC);
    sqlite3_bind_int(stmt, 5, (int)row->severity);
    sqlite3_bind_text(stmt, 6, row->text, -1, SQLITE_STATIC);
    int rc = sl_store_run(s->db, stmt, "recording an event", err);
    sqlite3_int64 id = sqlite3_last_insert_rowid(s->db);
    if (rc || id <= SL_STORE_EVENTS_KEPT) {
        return rc;
    }
    stmt = sl_statements_get(s, prune, err);
    if (!stmt) {
        return -SL_IO;
    }
    sqlite3_bind_int64(stmt, 1, id - SL_STORE_EVENTS_KEPT);
    return sl_store_run(s->db, stmt, "pruning old events", err);
}

int sl_store_apply_health(struct sl_statements *s, const struct sl_health_row *row,
                          struct sl_error *err) {
    static const char put[] =
        "INSERT INTO device_health(device,uuid,state,cause,code,text,since_ms,incidents,"
        "incident_ms,rma,seen) VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11)"
        " ON CONFLICT(device) DO UPDATE SET uuid=?2, state=?3, cause=?4, code=?5, text=?6,"
        " since_ms=?7, incidents=?8, incident_ms=?9, rma=?10, seen=?11";
    sqlite3_stmt *stmt = sl_statements_get(s, put, err);
    if (!stmt) {
        return -SL_IO;
    }
    sqlite3_bind_text(stmt, 1, row->device, -1, SQLITE_STATIC);
    sqlite3_bind_text(stmt, 2, row->uuid, -1, SQLITE_STATIC);
    sqlite3_bind_int(stmt, 3, (int)row->state);
    sqlite3_bind_int(stmt, 4, row->cause);
    sqlite3_bind_int64(stmt, 5, row->code);
    sqlite3_bind_text(stmt, 6, row->text, -1, SQLITE_STATIC);
    sqlite3_bind_int64(stmt, 7, row->since.ms);
    sqlite3_bind_int64(stmt, 8, row->incidents);
    sqlite3_bind_int64(stmt, 9, row->incident_at.ms);
    sqlite3_bind_int(stmt, 10, row->rma);
    sqlite3_bind_text(stmt, 11, row->seen, -1, SQLITE_STATIC);
    return sl_store_run(s->db, stmt, "recording the health of a device", err);
}

static bool read_event(sqlite3_stmt *stmt, struct sl_event_row *row) {
    bool good = true;
    row->id = (uint64_t)sqlite3_column_int64(stmt, 0);
    row->at.ms = sqlite3_column_int64(stmt, 1);
    good &= sl_column_text(stmt, 2, row->node, sizeof row->node);
    good &= sl_column_text(stmt, 3, row->device, sizeof row->device);
    good &= sl_column_text(stmt, 4, row->kind, sizeof row->kind);
    row->severity = (enum sl_severity)sqlite3_column_int(stmt, 5);
    good &= sl_column_text(stmt, 6, row->text, sizeof row->text);
    return good && row->severity >= SL_SEVERITY_INFO && row->severity <= SL_SEVERITY_ALERT;
}

static bool read_health(sqlite3_stmt *stmt, struct sl_health_row *row) {
    bool good = true;
    good &= sl_column_text(stmt, 0, row->device, sizeof row->device);
    good &= sl_column_text(stmt, 1, row->uuid, sizeof row->uuid);
    row->state = (enum sl_health_state)sqlite3_column_int(stmt, 2);
    row->cause = (uint8_t)sqlite3_column_int(stmt, 3);
    row->code = (uint32_t)sqlite3_column_int64(stmt, 4);
    good &= sl_column_text(stmt, 5, row->text, sizeof row->text);
    row->since.ms = sqlite3_column_int64(stmt, 6);
    row->incidents = (uint32_t)sqlite3_column_int64(stmt, 7);
    row->incident_at.ms = sqlite3_column_int64(stmt, 8);
    row->rma = sqlite3_column_int(stmt, 9) != 0;
    good &= sl_column_text(stmt, 10, row->seen, sizeof row->seen);
    return good && (unsigned)row->state < SL_HEALTH_STATES;
}

/* Hands the rows of a bound statement on until the callback has enough. */
static int rows(struct sl_reader *r, sqlite3_stmt *stmt, bool events, sl_row_cb cb, void *arg,
                struct sl_error *err) {
    union {
        struct sl_event_row event;
        struct sl_health_row health;
    } row;
    int step = SQLITE_OK;
    int rc = SL_OK;
    bool on = true;
    while (on && rc == SL_OK && (step = sqlite3_step(stmt)) == SQLITE_ROW) {
        memset(&row, 0, sizeof row);
        if (events ? read_event(stmt, &row.event) : read_health(stmt, &row.health)) {
            on = cb(arg, &row) == 0;
        } else {
            rc = sl_fail(err, SL_CORRUPT,
                         "the store is damaged: a row of '%s' cannot be read; restore a backup",
                         events ? "events" : "device_health");
        }
    }
    if (rc == SL_OK && on && step != SQLITE_DONE) {
        rc = sl_store_fail(err, r->db, "reading events");
    }
    sqlite3_reset(stmt);
    return rc;
}

#define EVENT_COLUMNS "id,at_ms,node,device,kind,severity,text"

int sl_reader_events(struct sl_reader *r, uint64_t after, uint32_t limit, sl_row_cb cb, void *arg,
                     struct sl_error *err) {
    sqlite3_stmt *stmt = sl_statements_get(
        &r->statements, "SELECT " EVENT_COLUMNS " FROM events WHERE id>?1 ORDER BY id LIMIT ?2",
        err);
    if (!stmt) {
        return -SL_IO;
    }
    sqlite3_bind_int64(stmt, 1, after > INT64_MAX ? INT64_MAX : (sqlite3_int64)after);
    sqlite3_bind_int64(stmt, 2, limit);
    return rows(r, stmt, true, cb, arg, err);
}

int sl_reader_events_newest(struct sl_reader *r, const char *device, uint32_t limit, sl_row_cb cb,
                            void *arg, struct sl_error *err) {
    sqlite3_stmt *stmt =
        sl_statements_get(&r->statements,
                          "SELECT " EVENT_COLUMNS " FROM events WHERE (?1 IS NULL OR device=?1)"
                          " ORDER BY id DESC LIMIT ?2",
                          err);
    if (!stmt) {
        return -SL_IO;
    }
    sqlite3_bind_text(stmt, 1, device, -1, SQLITE_STATIC);
    sqlite3_bind_int64(stmt, 2, limit);
    return rows(r, stmt, true, cb, arg, err);
}

int sl_reader_event_high(struct sl_reader *r, uint64_t *ret_id, struct sl_error *err) {
    int64_t id = 0;
    int rc = sl_store_int(r->db, "SELECT coalesce(max(id),0) FROM events", &id, err);
    if (rc == SL_OK) {
        *ret_id = (uint64_t)id;
    }
    return rc;
}

int sl_reader_health(struct sl_reader *r, sl_row_cb cb, void *arg, struct sl_error *err) {
    sqlite3_stmt *stmt =
        sl_statements_get(&r->statements,
                          "SELECT device,uuid,state,cause,code,text,since_ms,incidents,incident_ms,"
                          "rma,seen FROM device_health ORDER BY device",
                          err);
    return stmt ? rows(r, stmt, false, cb, arg, err) : -SL_IO;
}
