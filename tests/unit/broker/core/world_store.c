/* SPDX-License-Identifier: Apache-2.0
 * The made-up store: applies transactions in order and fails the test on every broken rule that the
 * real store would stop the broker for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "broker/core/agents.h"
#include "proto/base/text.h"
#include "tests/unit/broker/core/world_store.h"

#include <cmocka.h>

static struct sl_account_row *account(struct world_store *s, const char *id) {
    for (uint32_t i = 0; i < s->account_count; i++) {
        if (strcmp(s->accounts[i].id, id) == 0) {
            return &s->accounts[i];
        }
    }
    assert_true(s->account_count < 64);
    struct sl_account_row *row = &s->accounts[s->account_count++];
    memset(row, 0, sizeof *row);
    sl_text_copy(row->id, sizeof row->id, id);
    return row;
}

static struct sl_device_row *device(struct world_store *s, const char *key) {
    for (uint32_t i = 0; i < s->device_count; i++) {
        if (strcmp(s->devices[i].key, key) == 0) {
            return &s->devices[i];
        }
    }
    return NULL;
}

static void apply_device(struct world_store *s, const struct sl_device_row *row) {
    struct sl_device_row *old = device(s, row->key);
    if (!old) {
        assert_true(s->device_count < sizeof s->devices / sizeof s->devices[0]);
        s->devices[s->device_count++] = *row;
        return;
    }
    uint64_t epoch = old->epoch_max;
    *old = *row;
    old->epoch_max = epoch > row->epoch_max ? epoch : row->epoch_max;
}

static void apply_directive(struct world_store *s, const struct sl_directive_row *row) {
    struct sl_device_row *owner = device(s, row->device);
    assert_non_null(owner);
    assert_true(row->epoch > owner->epoch_max); /* strictly rising */
    owner->epoch_max = row->epoch;
    assert_true(s->directive_count < 4096);
    assert_true(row->why[0] != '\0' && row->rule[0] != '\0');
    s->directives[s->directive_count++] = *row;
}

static void apply_unit(struct world_store *s, const struct sl_unit_row *row) {
    for (uint32_t i = 0; i < s->unit_count; i++) {
        if (s->units[i].unit_id == row->unit_id) {
            assert_true(row->closed); /* an id is issued once */
            s->units[i].closed = true;
            s->units[i].reserved_nusd = 0;
            return;
        }
    }
    assert_false(row->closed);
    assert_true(s->unit_count < 8192);
    assert_true(s->unit_count == 0 || row->unit_id > s->units[s->unit_count - 1].unit_id);
    s->units[s->unit_count++] = *row;
}

static void apply_result(struct world_store *s, const struct sl_result_row *row) {
    for (uint32_t i = 0; i < s->result_count; i++) {
        bool same = s->results[i].line == row->line && strcmp(s->results[i].batch, row->batch) == 0;
        assert_false(same); /* the first one wins, a second is never written */
    }
    assert_true(s->result_count < WORLD_LINES);
    struct world_result *out = &s->results[s->result_count++];
    sl_text_copy(out->batch, sizeof out->batch, row->batch);
    out->line = row->line;
    out->status = row->status;
    out->amount = row->amount_nusd;
    out->dim = row->dim;
    assert_int_equal(row->vectors != NULL, row->status == SL_LINE_OK);
}

static void apply_transfer(struct world_store *s, const struct sl_transfer_row *row) {
    assert_int_equal(row->id, s->transfer_id + 1); /* no gaps */
    s->transfer_id = row->id;
    assert_true(row->amount.v >= 0);
    assert_string_not_equal(row->debit, row->credit);
    account(s, row->debit)->debits.v += row->amount.v;
    account(s, row->credit)->credits.v += row->amount.v;
    s->line_postings += row->kind == SL_TRANSFER_LINE ? row->amount.v : 0;
    s->share_postings += row->kind == SL_TRANSFER_SHARE ? row->amount.v : 0;
}

static void apply_share(struct world_store *s, const struct sl_share_row *row) {
    for (uint32_t i = 0; i < s->share_count; i++) {
        assert_false(s->shares[i].share_id == row->share_id &&
                     strcmp(s->shares[i].node_key, row->node_key) == 0);
    }
    assert_true(s->share_count < WORLD_SHARES);
    s->shares[s->share_count++] = *row;
}

static void apply_batch(struct world_store *s, const struct sl_batch_row *row) {
    struct sl_batch_row copy = *row;
    copy.metadata = NULL;
    copy.errors = NULL;
    for (uint32_t i = 0; i < s->batch_count; i++) {
        if (strcmp(s->batches[i].id, row->id) == 0) {
            assert_false(sl_batch_state_is_final(s->batches[i].state)); /* exactly one end */
            s->batches[i] = copy;
            return;
        }
    }
    assert_true(s->batch_count < 64);
    s->batches[s->batch_count++] = copy;
}

static void apply_override(struct world_store *s, const struct sl_override_row *row) {
    uint32_t at = 0;
    while (at < s->override_count && strcmp(s->overrides[at].subject, row->subject) != 0) {
        at++;
    }
    if (row->kind == SL_OVERRIDE_NONE) {
        if (at < s->override_count) {
            s->overrides[at] = s->overrides[--s->override_count];
        }
        return;
    }
    assert_true(at < 64);
    s->override_count += at == s->override_count;
    s->overrides[at] = *row;
}

static void apply_health(struct world_store *s, const struct sl_health_row *row) {
    uint32_t at = 0;
    while (at < s->health_count && strcmp(s->health[at].device, row->device) != 0) {
        at++;
    }
    assert_true(at < 64);
    s->health_count += at == s->health_count;
    s->health[at] = *row;
}

static void apply_meta(struct world_store *s, const struct sl_op_meta *row) {
    bool listed = false;
    for (const char *const *key = sl_broker_core_meta_keys(); *key; key++) {
        listed = listed || strcmp(*key, row->key) == 0;
    }
    assert_true(listed); /* else it would be lost at a restart */
    uint32_t at = 0;
    while (at < s->meta_count && strcmp(s->metas[at].key, row->key) != 0) {
        at++;
    }
    assert_true(at < 64);
    s->meta_count += at == s->meta_count;
    s->metas[at] = *row;
}

static void apply_pool(struct world_store *s, const struct sl_pool_row *row) {
    uint32_t at = 0;
    while (at < s->pool_count && strcmp(s->pools[at].name, row->name) != 0) {
        at++;
    }
    assert_true(at < 80);
    s->pool_count += at == s->pool_count;
    s->pools[at] = *row;
}

static void apply_enrolment(struct world_store *s, const struct sl_enrolment_row *row) {
    uint32_t at = 0;
    while (at < s->token_count && strcmp(s->tokens[at].id, row->id) != 0) {
        at++;
    }
    assert_true(at < 64);
    assert_true(at == s->token_count || s->tokens[at].used.ms == 0);
    s->token_count += at == s->token_count;
    s->tokens[at] = *row;
}

static void apply_agent(struct world_store *s, const struct sl_agent_row *row) {
    uint32_t at = 0;
    while (at < s->agent_count && strcmp(s->agents[at].id, row->id) != 0) {
        assert_true(row->enrolment[0] == '\0' ||
                    strcmp(s->agents[at].enrolment, row->enrolment) != 0);
        at++;
    }
    assert_true(at < 64);
    s->agent_count += at == s->agent_count;
    s->agents[at] = *row;
    if (row->retired[0]) {
        assert_true(s->retired_count < 64);
        snprintf(s->retired[s->retired_count].key, sizeof s->retired[0].key, "%s", row->retired);
        snprintf(s->retired[s->retired_count++].id, sizeof s->retired[0].id, "%s", row->id);
    }
}

static void apply(struct world_store *s, const struct sl_op *op) {
    switch (op->kind) {
    case SL_OP_DEVICE:
        apply_device(s, &op->device);
        break;
    case SL_OP_DIRECTIVE:
        apply_directive(s, &op->directive);
        break;
    case SL_OP_UNIT:
        apply_unit(s, &op->unit);
        break;
    case SL_OP_RESULT:
        apply_result(s, &op->result);
        break;
    case SL_OP_TRANSFER:
        apply_transfer(s, &op->transfer);
        break;
    case SL_OP_SHARE:
        apply_share(s, &op->share);
        break;
    case SL_OP_BATCH:
        apply_batch(s, op->batch);
        break;
    case SL_OP_FILE:
        assert_true(s->file_count < 64);
        s->files[s->file_count++] = op->file;
        break;
    case SL_OP_OVERRIDE:
        apply_override(s, &op->override_);
        break;
    case SL_OP_AUDIT:
        s->audits++;
        break;
    case SL_OP_PRICE:
        s->prices++;
        break;
    case SL_OP_EVENT:
        s->events[s->event_count++ % 64] = op->event;
        break;
    case SL_OP_HEALTH:
        apply_health(s, &op->health);
        break;
    case SL_OP_AGAINST:
        break; /* nothing is read from it at a start */
    case SL_OP_ENROLMENT:
        apply_enrolment(s, &op->enrolment);
        break;
    case SL_OP_AGENT:
        apply_agent(s, &op->agent);
        break;
    case SL_OP_SETTLEMENT:
        assert_true(s->settlement_count < 64);
        assert_int_equal(op->settlement.id, s->settlement_count + 1);
        s->settlements[s->settlement_count++] = op->settlement;
        break;
    case SL_OP_POOL:
        apply_pool(s, &op->pool);
        break;
    case SL_OP_META:
        apply_meta(s, &op->meta);
        break;
    case SL_OP_KEY:
    case SL_OP_FILE_DELETE:
    case SL_OP_INVALID:
    default:
        fail_msg("the core wrote an operation of kind %d", (int)op->kind);
    }
}

void world_store_apply(struct world_store *s, const struct sl_txn *txn) {
    for (uint32_t i = 0; i < txn->count; i++) {
        apply(s, sl_txn_op(txn, i));
    }
}

/* As the shell does it: counters and accounts first, then what hangs together. */
void world_store_restore(const struct world_store *s, struct sl_broker_core *core) {
    struct sl_store_high high = {.transfer_id = s->transfer_id, .share_rows = s->share_count};
    high.unit_id = s->unit_count ? s->units[s->unit_count - 1].unit_id : 0;
    sl_broker_core_restore_high(core, &high);
    for (uint32_t i = 0; i < s->meta_count; i++) {
        assert_int_equal(sl_broker_core_restore_meta(core, s->metas[i].key, s->metas[i].value),
                         SL_OK);
    }
    for (uint32_t i = 0; i < s->device_count; i++) {
        assert_int_equal(sl_broker_core_restore_device(core, &s->devices[i]), SL_OK);
    }
    for (uint32_t i = 0; i < s->agent_count; i++) {
        assert_int_equal(sl_broker_core_restore_agent(core, &s->agents[i]), SL_OK);
    }
    for (uint32_t i = 0; i < s->retired_count; i++) {
        assert_int_equal(sl_broker_core_restore_retired(core, &s->retired[i]), SL_OK);
    }
    for (uint32_t i = 0; i < s->token_count; i++) {
        assert_int_equal(sl_broker_core_restore_enrolment(core, &s->tokens[i]), SL_OK);
    }
    for (uint32_t i = 0; i < s->health_count; i++) {
        assert_int_equal(sl_broker_core_restore_health(core, &s->health[i]), SL_OK);
    }
    for (uint32_t i = 0; i < s->override_count; i++) {
        assert_int_equal(sl_broker_core_restore_override(core, &s->overrides[i]), SL_OK);
    }
    for (uint32_t i = 0; i < s->account_count; i++) {
        assert_int_equal(sl_broker_core_restore_account(core, &s->accounts[i]), SL_OK);
    }
    for (uint32_t i = 0; i < s->batch_count; i++) {
        assert_int_equal(sl_broker_core_restore_batch(core, &s->batches[i]), SL_OK);
    }
    for (uint32_t i = 0; i < s->result_count; i++) {
        struct sl_result_row row = {
            .line = s->results[i].line, .status = s->results[i].status, .dim = s->results[i].dim};
        sl_text_copy(row.batch, sizeof row.batch, s->results[i].batch);
        assert_int_equal(sl_broker_core_restore_result(core, &row), SL_OK);
    }
    for (uint32_t i = 0; i < s->unit_count; i++) {
        if (!s->units[i].closed) {
            assert_int_equal(sl_broker_core_restore_unit(core, &s->units[i]), SL_OK);
        }
    }
    for (uint32_t i = 0; i < s->pool_count; i++) {
        assert_int_equal(sl_broker_core_restore_pool(core, &s->pools[i]), SL_OK);
    }
    for (uint32_t i = 0; i < s->settlement_count; i++) {
        assert_int_equal(sl_broker_core_restore_settlement(core, &s->settlements[i]), SL_OK);
    }
    for (uint32_t i = s->share_count; i > 0; i--) {
        struct sl_share_ref ref = {.share_id = s->shares[i - 1].share_id};
        sl_text_copy(ref.node_key, sizeof ref.node_key, s->shares[i - 1].node_key);
        assert_int_equal(sl_broker_core_restore_share(core, &ref), SL_OK);
    }
}
