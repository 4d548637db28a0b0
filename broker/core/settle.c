/* SPDX-License-Identifier: Apache-2.0
 * What pools really credited. Shares are credited at the quote of their moment, which is an
 * estimate; a settlement of their span replaces it: the amount goes from the receivable to cash,
 * and what it is above or below the quotes to revenue:hash-adjustment, so that nothing of the span
 * is left to be received. An import is one transaction; a span is paid once.
 *
 * settled / quoted of each day calibrates the hashprice by which devices are moved
 * (schedulers/calibration.h); the quotes at which shares are credited stay as they are, or the
 * factor would be measured against itself. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/core/core_internal.h"
#include "proto/base/text.h"

#define NANO INT64_C(1000000000)

int64_t sl_core_calibration_ppm(const struct sl_broker_core *core) {
    return sl_calibration_factor(&core->calibration);
}

int64_t sl_core_calibrated(const struct sl_broker_core *core, int64_t price) {
    sl_i128 calibrated = (sl_i128)price * sl_core_calibration_ppm(core) / 1000000;
    return calibrated > INT64_MAX ? INT64_MAX : (int64_t)calibrated;
}

int sl_core_calibration_restore(struct sl_broker_core *core, const char *value) {
    struct sl_calibration c = {0};
    int read = sscanf(value, "%" SCNd64 " %" SCNd64 " %" SCNd64 " %" SCNd64, &c.factor_ppm, &c.day,
                      &c.settled_nusd, &c.quoted_nusd);
    if (read != 4 || c.factor_ppm <= 0 || c.factor_ppm > INT64_C(100000000) || c.day < 0 ||
        c.settled_nusd < 0 || c.quoted_nusd < 0) {
        return -SL_CORRUPT;
    }
    core->calibration = c;
    return SL_OK;
}

static void note(struct sl_broker_core *core, const struct sl_settlement_row *row) {
    sl_core_grow(&core->settled, core->settled_count, &core->settled_cap, sizeof *core->settled);
    struct sl_core_settled *span = &core->settled[core->settled_count++];
    *span = (struct sl_core_settled){.from_ms = row->from.ms, .to_ms = row->to.ms};
    sl_text_copy(span->scope, sizeof span->scope, row->scope);
    sl_text_copy(span->only_pool, sizeof span->only_pool, row->only_pool);
    core->settlement_high = row->id;
}

int sl_broker_core_restore_settlement(struct sl_broker_core *core,
                                      const struct sl_settlement_row *row) {
    if (row->id <= core->settlement_high || row->from.ms >= row->to.ms || row->scope[0] == '\0') {
        return -SL_CORRUPT;
    }
    note(core, row);
    return SL_OK;
}

/* The whole site overlaps each of its nodes, and all pools each one; two pools pay for shares of
 * their own. */
static bool overlap(const char *scope, const char *only_pool, int64_t from_ms, int64_t to_ms,
                    const struct sl_settlement_row *row) {
    bool same =
        strcmp(scope, row->scope) == 0 || strcmp(scope, "*") == 0 || strcmp(row->scope, "*") == 0;
    bool pool =
        only_pool[0] == '\0' || row->only_pool[0] == '\0' || strcmp(only_pool, row->only_pool) == 0;
    return same && pool && from_ms < row->to.ms && row->from.ms < to_ms;
}

static bool is_paid(const struct sl_broker_core *core, const struct sl_core_settle *settle,
                    uint32_t at) {
    const struct sl_settlement_row *row = &settle->rows[at];
    for (uint32_t i = 0; i < core->settled_count; i++) {
        const struct sl_core_settled *span = &core->settled[i];
        if (overlap(span->scope, span->only_pool, span->from_ms, span->to_ms, row)) {
            return true;
        }
    }
    for (uint32_t i = 0; i < at; i++) {
        const struct sl_settlement_row *before = &settle->rows[i];
        if (overlap(before->scope, before->only_pool, before->from.ms, before->to.ms, row)) {
            return true;
        }
    }
    return false;
}

static bool is_node(const struct sl_broker_core *core, const char *name) {
    for (uint32_t i = 0; i < core->node_count; i++) {
        if (strcmp(core->nodes[i].name, name) == 0) {
            return true;
        }
    }
    return strcmp(name, "*") == 0;
}

/* Pools whose shares are to be paid. */
static uint32_t paying_pools(const struct sl_broker_core *core) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < core->pools.count; i++) {
        count += core->pools.list[i].row.accepted > 0;
    }
    return count;
}

/* Its value in USD; the reason why it is not taken is in *err. */
static int judge(const struct sl_broker_core *core, struct sl_core_settle *settle, uint32_t at,
                 struct sl_error *err) {
    struct sl_settlement_row *row = &settle->rows[at];
    if (row->from.ms < 0 || row->from.ms >= row->to.ms || row->to.ms > core->now.wall.ms) {
        return sl_fail(err, SL_INVALID, "its span must end after it begins, and not in the future");
    }
    if (row->quoted_nusd > INT64_MAX / 4 || row->late_nusd > INT64_MAX / 4) {
        return sl_fail(err, SL_LIMIT,
                       "the shares of its span were quoted at more than 2.3 billion USD: some "
                       "agent claims too much (see `sluice events`), settle the other nodes");
    }
    if (row->amount_nano < 0 || row->quoted_nusd < 0 || row->late_nusd < 0) {
        return sl_fail(err, SL_INVALID, "its amount is negative or too large");
    }
    if (!is_node(core, row->scope)) {
        return sl_fail(err, SL_NOTFOUND, "there is no node '%.60s'; see `sluice nodes`",
                       row->scope);
    }
    if (strcmp(row->scope, "*") == 0 && row->only_pool[0] == '\0' && paying_pools(core) > 1) {
        return sl_fail(err, SL_INVALID,
                       "the site has shares of several pools: name the one that paid as `sluice "
                       "pools` does, not '%.40s'",
                       row->pool);
    }
    if (is_paid(core, settle, at)) {
        return sl_fail(err, SL_EXISTS,
                       "a part of its span is settled already; see `sluice settle ls`");
    }
    if (!sl_core_currency(core, row->currency, &row->rate_nano)) {
        return sl_fail(err, SL_BADSTATE,
                       "no fresh %s price (see `sluice market feeds`): import it later, or in USD",
                       row->currency);
    }
    sl_i128 usd = (sl_i128)row->amount_nano * row->rate_nano / NANO;
    if (usd < 0 || usd > INT64_MAX / 4) {
        return sl_fail(err, SL_INVALID, "its amount is too large");
    }
    row->settled_nusd = (int64_t)usd;
    return SL_OK;
}

static void post(struct sl_broker_core *core, const struct sl_settlement_row *row) {
    uint32_t cash = sl_core_account(core, "cash:pool");
    uint32_t receivable = sl_core_account(core, "receivable:pool");
    uint32_t adjustment = sl_core_account(core, "revenue:hash-adjustment");
    int64_t more = row->settled_nusd - row->quoted_nusd - row->late_nusd;
    char ref[40];
    snprintf(ref, sizeof ref, "settlement/%" PRIu64, row->id);
    if (row->settled_nusd > 0) {
        sl_core_transfer(core, SL_TRANSFER_SETTLED, cash, receivable, row->settled_nusd, ref);
    }
    if (more != 0) {
        sl_core_transfer(core, SL_TRANSFER_ADJUSTMENT, more > 0 ? receivable : adjustment,
                         more > 0 ? adjustment : receivable, more > 0 ? more : -more, ref);
    }
}

static void audit(struct sl_broker_core *core, const struct sl_settlement_row *row) {
    struct sl_op op = {.kind = SL_OP_AUDIT};
    char amount[64];
    char from[32];
    char to[32];
    sl_text_copy(op.audit.actor, sizeof op.audit.actor, row->actor);
    sl_text_copy(op.audit.action, sizeof op.audit.action, "settle");
    sl_text_copy(op.audit.subject, sizeof op.audit.subject, row->scope);
    snprintf(op.audit.detail, sizeof op.audit.detail, "%s %s from %s to %s",
             sl_nusd_format(row->amount_nano, amount), row->currency,
             sl_wall_format(row->from, from), sl_wall_format(row->to, to));
    op.audit.at = row->at;
    sl_core_op(core, &op);
}

static void take(struct sl_broker_core *core, struct sl_settlement_row *row, const char *actor) {
    row->id = core->settlement_high + 1;
    row->at = core->now.wall;
    sl_text_copy(row->actor, sizeof row->actor, actor);
    struct sl_op op = {.kind = SL_OP_SETTLEMENT, .settlement = *row};
    sl_core_op(core, &op);
    post(core, row);
    audit(core, row);
    note(core, row);
    sl_calibration_add(&core->config.calibration, &core->calibration, row->from.ms, row->to.ms,
                       row->settled_nusd, row->quoted_nusd);
}

static int judge_all(const struct sl_broker_core *core, struct sl_core_settle *settle,
                     struct sl_error *err) {
    if (settle->high != core->settlement_high) {
        return sl_fail(err, SL_AGAIN, "another import was under way: try again");
    }
    for (uint32_t i = 0; i < settle->count; i++) {
        int rc = judge(core, settle, i, err);
        if (rc) {
            return sl_wrap(err, "line %u", settle->rows[i].line);
        }
    }
    return SL_OK;
}

void sl_core_settle(struct sl_broker_core *core, struct sl_core_event *event) {
    struct sl_core_settle *settle = event->settle;
    struct sl_error err = {0};
    event->settle = NULL;
    if (!settle) {
        sl_core_reply(core, event->cookie, 0, -SL_INVALID, "no rows");
        return;
    }
    int rc = judge_all(core, settle, &err);
    if (rc || settle->check) {
        sl_core_reply(core, event->cookie, 0, rc, "%s", rc ? err.text : "it would be taken");
        free(settle);
        return;
    }
    for (uint32_t i = 0; i < settle->count; i++) {
        take(core, &settle->rows[i], event->actor);
    }
    sl_calibration_close(&core->config.calibration, &core->calibration, core->now.wall.ms);
    const struct sl_calibration *c = &core->calibration;
    sl_core_op_meta(core, "calibration", "%lld %lld %lld %lld", (long long)sl_calibration_factor(c),
                    (long long)c->day, (long long)c->settled_nusd, (long long)c->quoted_nusd);
    sl_core_log(core, SL_LOG_INFO, "settle.import", "rows=%u factor_ppm=%lld", settle->count,
                (long long)sl_calibration_factor(c));
    sl_core_reply(core, event->cookie, sl_core_ticket(core), SL_OK, "%u settled", settle->count);
    free(settle);
    sl_core_arm(core);
}
