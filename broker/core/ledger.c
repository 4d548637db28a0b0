/* SPDX-License-Identifier: Apache-2.0
 * Accounts, transfers, power. A transfer debits one account and credits another by the same amount;
 * flows keep one remainder each, which is stored in the posting's own transaction. */
#include <stdio.h>
#include <string.h>

#include "broker/core/core_internal.h"
#include "proto/base/mutant.h"
#include "proto/base/text.h"

#define POWER_EVERY_NS (60 * SL_NS_PER_S)
#define POWER_SELDOM_NS SL_NS_PER_S /* where moves follow each other closely */
#define METAS_EVERY_NS (10 * SL_NS_PER_S)

uint32_t sl_core_account_find(const struct sl_broker_core *core, const char *id) {
    for (uint32_t i = 0; i < core->account_count; i++) {
        if (strcmp(core->accounts[i].id, id) == 0) {
            return i;
        }
    }
    return SL_CORE_NONE;
}

uint32_t sl_core_account(struct sl_broker_core *core, const char *id) {
    uint32_t at = sl_core_account_find(core, id);
    if (at != SL_CORE_NONE) {
        return at;
    }
    sl_core_grow(&core->accounts, core->account_count, &core->account_cap, sizeof *core->accounts);
    struct sl_account_row *row = &core->accounts[core->account_count];
    memset(row, 0, sizeof *row);
    sl_text_copy(row->id, sizeof row->id, id);
    return core->account_count++;
}

void sl_core_transfer(struct sl_broker_core *core, enum sl_transfer_kind kind, uint32_t debit,
                      uint32_t credit, int64_t amount_nusd, const char *ref) {
    struct sl_op op = {.kind = SL_OP_TRANSFER};
    struct sl_transfer_row *row = &op.transfer;
    row->id = ++core->transfer_high;
    row->kind = kind;
    sl_text_copy(row->debit, sizeof row->debit, core->accounts[debit].id);
    sl_text_copy(row->credit, sizeof row->credit, core->accounts[credit].id);
    row->amount.v = amount_nusd;
    sl_text_copy(row->ref, sizeof row->ref, ref);
    row->at = core->now.wall;
    if (kind != SL_TRANSFER_LINE || !SL_MUTANT(result_without_posting)) {
        sl_core_op(core, &op);
    }
    core->accounts[debit].debits.v += amount_nusd;
    core->accounts[credit].credits.v += amount_nusd;
}

sl_i128 sl_core_tenant_left(const struct sl_broker_core *core,
                            const struct sl_core_tenant_state *tenant) {
    if (tenant->gone) {
        return 0;
    }
    if (tenant->config.budget_nusd < 0) {
        return (sl_i128)INT64_MAX << 32;
    }
    const struct sl_account_row *account = &core->accounts[tenant->account];
    sl_i128 reserved = SL_MUTANT(reserved_budget_spent) ? 0 : tenant->reserved;
    return tenant->config.budget_nusd - (account->debits.v - account->credits.v) - reserved;
}

void sl_core_meter(struct sl_broker_core *core, uint32_t dev) {
    struct sl_core_fleet *fleet = &core->fleet;
    int64_t since_ns = fleet->metered_ns[dev];
    int64_t span_ms = (core->now.mono.ns - since_ns) / SL_NS_PER_MS;
    if (since_ns == 0 || fleet->running_mode[dev] == SL_MODE_INVALID) {
        fleet->metered_ns[dev] = core->now.mono.ns;
        return;
    }
    if (span_ms <= 0) {
        return;
    }
    fleet->metered_ns[dev] = since_ns + span_ms * SL_NS_PER_MS;
    /* Longer than a session may be silent: nobody knows what it did then. */
    span_ms = span_ms < core->config.session_lost_ms ? span_ms : core->config.session_lost_ms;
    sl_core_power_meter(core, dev, span_ms); /* energy by mode, whatever it costs */
    struct sl_watts watts = sl_core_watts(core, dev, fleet->running_mode[dev]);
    int64_t price = 0;
    if (watts.source == SL_SOURCE_UNKNOWN || sl_core_tariff(core, &price) != SL_KNOWN_FRESH) {
        core->counters.power_missing++;
        core->counters_dirty = true;
        return;
    }
    fleet->energy[dev] += (sl_i128)watts.mw * span_ms * price;
}

static void post_power(struct sl_broker_core *core, uint32_t dev) {
    struct sl_core_fleet *fleet = &core->fleet;
    sl_i128 total = fleet->energy[dev] + core->power_rem.rem;
    fleet->energy_ns[dev] = core->now.mono.ns;
    if (fleet->energy[dev] == 0) {
        return;
    }
    sl_i128 amount = total / SL_CORE_DENOM_POWER;
    amount -= total % SL_CORE_DENOM_POWER < 0 ? 1 : 0; /* floor: the remainder is never negative */
    fleet->energy[dev] = SL_MUTANT(power_posted_again) ? fleet->energy[dev] : 0;
    core->power_rem.rem = total - amount * SL_CORE_DENOM_POWER;
    core->power_rem_dirty = true;
    sl_i128 magnitude = amount < 0 ? -amount : amount;
    int64_t posted = magnitude > INT64_MAX ? INT64_MAX : (int64_t)magnitude;
    if (posted == 0) {
        return;
    }
    char ref[2 * SL_MSG_KEY_MAX];
    snprintf(ref, sizeof ref, "%s/%llu", fleet->cold[dev].key,
             (unsigned long long)core->transfer_high + 1);
    uint32_t cost = sl_core_account(core, "cost:power");
    uint32_t payable = sl_core_account(core, "payable:power");
    /* Where the tariff is negative, the supplier owes us. */
    sl_core_transfer(core, SL_TRANSFER_POWER, amount < 0 ? payable : cost,
                     amount < 0 ? cost : payable, posted, ref);
}

void sl_core_power_settle(struct sl_broker_core *core, uint32_t dev) {
    sl_core_meter(core, dev);
    if (core->now.mono.ns - core->fleet.energy_ns[dev] >= POWER_SELDOM_NS) {
        post_power(core, dev);
    }
}

void sl_core_ledger_sweep(struct sl_broker_core *core) {
    int64_t now_ns = core->now.mono.ns;
    for (uint32_t dev = 0; dev < core->fleet.count; dev++) {
        if (now_ns - core->fleet.energy_ns[dev] >= POWER_EVERY_NS) {
            post_power(core, dev);
        }
    }
    sl_core_shadow_sweep(core);
    bool dirty = core->counters_dirty || core->shadow_dirty || core->power_rem_dirty ||
                 core->against_dirty || sl_core_power_dirty(core);
    if (dirty && now_ns - core->shadow_stored_ns >= METAS_EVERY_NS) {
        sl_core_shadow_metas(core);
        sl_core_against_metas(core);
        sl_core_ledger_metas(core);
    }
}

void sl_core_ledger_shutdown(struct sl_broker_core *core) {
    for (uint32_t dev = 0; dev < core->fleet.count; dev++) {
        if (sl_core_node_up(core, core->fleet.node[dev])) {
            sl_core_meter(core, dev);
        }
        post_power(core, dev);
    }
    sl_core_shadow_advance(core);
    sl_core_shadow_metas(core);
    sl_core_against_sweep(core, true);
    sl_core_ledger_metas(core);
}

void sl_core_ledger_metas(struct sl_broker_core *core) {
    char text[48];
    sl_core_power_metas(core);
    sl_core_pools_store(core);
    if (core->hash_rem_dirty) {
        sl_core_op_meta(core, "rem.hash", "%s", sl_i128_format(core->hash_rem.rem, text));
        core->hash_rem_dirty = false;
    }
    if (core->power_rem_dirty) {
        sl_core_op_meta(core, "rem.power", "%s", sl_i128_format(core->power_rem.rem, text));
        core->power_rem_dirty = false;
    }
    if (core->counters_dirty) {
        const struct sl_core_counters *c = &core->counters;
        sl_core_op_meta(core, "counters", "%llu %llu %llu %llu %llu %llu %llu %llu",
                        (unsigned long long)c->shares[SL_SHARE_ACCEPTED],
                        (unsigned long long)c->shares[SL_SHARE_STALE],
                        (unsigned long long)c->shares[SL_SHARE_REJECTED],
                        (unsigned long long)c->shares[SL_SHARE_UNKNOWN],
                        (unsigned long long)c->lines, (unsigned long long)c->tokens,
                        (unsigned long long)c->switches, (unsigned long long)c->power_missing);
        core->counters_dirty = false;
    }
}
