/* SPDX-License-Identifier: Apache-2.0
 * The core's memory from the store's rows. */
#include "broker/shell/restore.h"

#include "broker/core/agents.h"
#include "broker/store/agents.h"
#include "broker/store/events.h"
#include "broker/store/settlements.h"

/* A list ends at the first row that the core refuses, which must not pass for its end. */
struct restoring {
    struct sl_broker_core *core;
    struct sl_reader *results; /* a second connection, since the first is in the middle of a list */
    struct sl_error *err;
    int rc;
};

static int fits(struct restoring *r, int rc, const char *what, const char *id) {
    if (rc) {
        r->rc = sl_fail(r->err, SL_CORRUPT,
                        "the store is damaged: %s %s does not fit what stands beside it; restore a "
                        "backup, or move the store away to start with an empty ledger",
                        what, id);
    }
    return rc;
}

static int restore_device(void *arg, const void *row) {
    struct restoring *r = arg;
    const struct sl_device_row *device = row;
    return fits(r, sl_broker_core_restore_device(r->core, device), "device", device->key);
}
static int restore_override(void *arg, const void *row) {
    struct restoring *r = arg;
    const struct sl_override_row *order = row;
    return fits(r, sl_broker_core_restore_override(r->core, order), "the order for",
                order->subject);
}
static int restore_health(void *arg, const void *row) {
    struct restoring *r = arg;
    const struct sl_health_row *health = row;
    return fits(r, sl_broker_core_restore_health(r->core, health), "the health of", health->device);
}
static int restore_account(void *arg, const void *row) {
    struct restoring *r = arg;
    const struct sl_account_row *account = row;
    return fits(r, sl_broker_core_restore_account(r->core, account), "account", account->id);
}
static int restore_batch(void *arg, const void *row) {
    struct restoring *r = arg;
    const struct sl_batch_row *batch = row;
    return fits(r, sl_broker_core_restore_batch(r->core, batch), "batch", batch->id);
}
static int restore_result(void *arg, const void *row) {
    struct restoring *r = arg;
    const struct sl_result_row *result = row;
    return fits(r, sl_broker_core_restore_result(r->core, result), "a result of batch",
                result->batch);
}
static int restore_unit(void *arg, const void *row) {
    struct restoring *r = arg;
    const struct sl_unit_row *unit = row;
    return fits(r, sl_broker_core_restore_unit(r->core, unit), "a work unit of batch", unit->batch);
}
static int restore_share(void *arg, const void *row) {
    struct restoring *r = arg;
    const struct sl_share_ref *share = row;
    return fits(r, sl_broker_core_restore_share(r->core, share), "a share of", share->node_key);
}

static int restore_settlement(void *arg, const void *row) {
    struct restoring *r = arg;
    const struct sl_settlement_row *settlement = row;
    return fits(r, sl_broker_core_restore_settlement(r->core, settlement), "a settlement of",
                settlement->scope);
}

static int restore_agent(void *arg, const void *row) {
    struct restoring *r = arg;
    const struct sl_agent_row *agent = row;
    return fits(r, sl_broker_core_restore_agent(r->core, agent), "agent", agent->id);
}

static int restore_retired(void *arg, const void *row) {
    struct restoring *r = arg;
    const struct sl_retired_row *retired = row;
    return fits(r, sl_broker_core_restore_retired(r->core, retired), "key", retired->key);
}

static int restore_enrolment(void *arg, const void *row) {
    struct restoring *r = arg;
    const struct sl_enrolment_row *token = row;
    return fits(r, sl_broker_core_restore_enrolment(r->core, token), "token", token->id);
}

static int restore_joining(struct sl_reader *reader, struct restoring *r) {
    int rc = sl_reader_agents(reader, restore_agent, r, r->err);
    rc = rc || r->rc ? rc : sl_reader_retired(reader, restore_retired, r, r->err);
    return rc || r->rc ? rc : sl_reader_enrolments(reader, restore_enrolment, r, r->err);
}

/* Which lines of an open batch are done. */
static int restore_results_of(void *arg, const void *row) {
    struct restoring *r = arg;
    const struct sl_batch_row *batch = row;
    int rc = sl_reader_results(r->results, batch->id, false, restore_result, r, r->err);
    r->rc = rc ? rc : r->rc;
    return r->rc;
}

/* So many recent shares of each node tell a resent one from a new one. */
#define SHARES_RESTORED 70000

static int restore_counters(struct sl_broker_core *core, struct sl_reader *reader,
                            struct sl_error *err) {
    struct sl_store_high high = {0};
    int rc = sl_reader_high(reader, &high, err);
    if (rc) {
        return rc;
    }
    sl_broker_core_restore_high(core, &high);
    for (const char *const *key = sl_broker_core_meta_keys(); *key; key++) {
        char value[192];
        rc = sl_reader_meta(reader, *key, value, sizeof value);
        if (rc == -SL_NOTFOUND) {
            continue;
        }
        if (rc || sl_broker_core_restore_meta(core, *key, value)) {
            return sl_fail(err, SL_CORRUPT, "the store's counter '%s' is damaged", *key);
        }
    }
    return SL_OK;
}

/* Results come before units: a line that is done belongs to no unit any more. */
int sl_broker_restore(struct sl_broker_core *core, struct sl_reader *reader,
                      struct sl_reader *second, struct sl_error *err) {
    struct restoring r = {.core = core, .results = second, .err = err};
    int rc = restore_counters(core, reader, err);
    rc = rc ? rc : sl_reader_devices(reader, restore_device, &r, err);
    rc = rc || r.rc ? rc : sl_reader_health(reader, restore_health, &r, err);
    rc = rc || r.rc ? rc : restore_joining(reader, &r);
    rc = rc || r.rc ? rc : sl_reader_overrides(reader, restore_override, &r, err);
    rc = rc || r.rc ? rc : sl_reader_accounts(reader, restore_account, &r, err);
    rc = rc || r.rc ? rc : sl_reader_open_batches(reader, restore_batch, &r, err);
    rc = rc || r.rc ? rc : sl_reader_open_batches(reader, restore_results_of, &r, err);
    rc = rc || r.rc ? rc : sl_reader_open_units(reader, restore_unit, &r, err);
    rc = rc || r.rc ? rc : sl_reader_share_refs(reader, SHARES_RESTORED, restore_share, &r, err);
    rc =
        rc || r.rc ? rc : sl_reader_settlements(reader, 0, UINT32_MAX, restore_settlement, &r, err);
    return rc ? rc : r.rc;
}
