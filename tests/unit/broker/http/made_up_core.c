/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/broker/http/made_up_core.h"

#include <stdlib.h>
#include <string.h>

#include "broker/core/agents.h"
#include "broker/core/power.h"
#include "broker/core/rates.h"
#include "broker/core/stress.h"

void sl_view_shadow_get(const struct sl_broker_core *core, uint32_t index,
                        struct sl_view_shadow *ret_view) {
    (void)core;
    *ret_view = (struct sl_view_shadow){.name = "fbf", .hash_nusd = index, .switches = 3};
}
const char *sl_view_policy(const struct sl_broker_core *core, const char **ret_version) {
    (void)core;
    *ret_version = "0123";
    return "fbf";
}
void sl_view_status_get(const struct sl_broker_core *core, struct sl_now now,
                        struct sl_view_status *ret_view) {
    (void)now;
    *ret_view = (struct sl_view_status){
        .sessions_live = 1,
        .devices_total = 2,
        .devices_by_mode = {0, 3, 4, 5},
        .shares_accepted = 6,
        .hash_rate_hs = 7,
        .hash_factor_milli = 1000,
        .lines_done = 8,
        .money = {.hash_nusd = (sl_i128)INT64_MAX * 4,
                  .lease_nusd = 50000000,
                  .power_nusd = 3,
                  .always_hash_nusd = 1,
                  .always_lease_nusd = 2},
    };
    if (!core->fresh) {
        ret_view->switches = (struct sl_view_switches){.count = 9, .p50_us = 1500, .p99_us = 2000};
    }
}

void sl_view_power_get(const struct sl_broker_core *core, struct sl_now now,
                       struct sl_view_power *ret_view) {
    (void)now;
    *ret_view = (struct sl_view_power){.tariff = "fixed",
                                       .price_known = true,
                                       .price_fresh = true,
                                       .price = 70000000,
                                       .site_cap_mw = core->fresh ? -1 : 1500500,
                                       .drawn_mw = 220001,
                                       .energy = {0, 3600, (sl_i128)3600000 * 1000000, 0},
                                       .energy_complete = true};
    if (!core->fresh) {
        ret_view->carbon_ng = 800000000;
        ret_view->carbon_energy = 7200;
    }
}

bool sl_view_power_class_get(const struct sl_broker_core *core, struct sl_now now, uint32_t index,
                             struct sl_view_power_class *ret_view) {
    (void)core;
    (void)now;
    *ret_view = (struct sl_view_power_class){.class_ = "*", .strike = 100000000, .off = true};
    return index == 0;
}

bool sl_view_power_circuit_get(const struct sl_broker_core *core, struct sl_now now, uint32_t index,
                               struct sl_view_power_circuit *ret_view) {
    (void)core;
    (void)now;
    *ret_view = (struct sl_view_power_circuit){.name = "pdu1", .cap_mw = 1000};
    return index == 0;
}

bool sl_view_power_device_get(const struct sl_broker_core *core, struct sl_now now, uint32_t index,
                              struct sl_view_power_device *ret_view) {
    (void)core;
    (void)now;
    *ret_view = (struct sl_view_power_device){
        .key = "n1/pocl:1", .mode = SL_MODE_HASH, .watts = {SL_SOURCE_RATED, 65500}};
    return index == 0;
}

bool sl_view_agent_next(const struct sl_broker_core *core, struct sl_now now, uint32_t *cursor,
                        struct sl_view_agent *ret_view) {
    (void)core;
    (void)now;
    *ret_view = (struct sl_view_agent){.name = "n1", .state = "approved", .session = "live"};
    return (*cursor)++ == 0;
}
bool sl_view_token_get(const struct sl_broker_core *core, struct sl_now now, uint32_t index,
                       struct sl_view_token *ret_view) {
    (void)core;
    (void)now;
    *ret_view = (struct sl_view_token){.id = "token_1", .name = "n2", .actor = "key_1"};
    return index == 0;
}
bool sl_view_refusal_get(const struct sl_broker_core *core, uint32_t index,
                         struct sl_view_refusal *ret_view) {
    (void)core;
    *ret_view = (struct sl_view_refusal){"used_token", 3};
    return index == 0;
}
bool sl_view_node_get(const struct sl_broker_core *core, struct sl_now now, uint32_t index,
                      struct sl_view_node *ret_view) {
    (void)core;
    (void)now;
    *ret_view = (struct sl_view_node){.node = "n1", .state = "live", .pool.connected = true};
    return index == 0;
}

/* A GPU in quarantine, and one of which nothing is known. */
bool sl_view_health_get(const struct sl_broker_core *core, uint32_t index,
                        struct sl_view_health *ret_view) {
    bool sick = index == 0 && !core->fresh;
    *ret_view = (struct sl_view_health){.key = index == 0 ? "n1/pocl:0" : "n1/pocl:1",
                                        .node = "n1",
                                        .uuid = "",
                                        .text = sick ? "driver error 79" : "",
                                        .way_back = sick ? "repair it" : "",
                                        .state = sick ? SL_HEALTH_QUARANTINE : SL_HEALTH_OK,
                                        .cause = SL_FIG_XIDS,
                                        .code = 79};
    if (index == 1 && core->faulty) {
        ret_view->fault = "its results were wrong";
        ret_view->fault_way_back = "resume it";
    }
    return index < 2;
}

bool sl_view_telemetry_get(const struct sl_broker_core *core, uint32_t index,
                           struct sl_msg_telemetry *ret_telemetry) {
    struct sl_msg_telemetry telemetry;
    telemetry = (struct sl_msg_telemetry){.source = SL_TELEMETRY_NONE};
    if (index == 0 && !core->fresh) {
        telemetry.source = SL_TELEMETRY_NVML;
        sl_telemetry_set(&telemetry, SL_FIG_POWER_MW, 250125);
        sl_telemetry_set(&telemetry, SL_FIG_TEMP_MC, -1500);
        sl_telemetry_set(&telemetry, SL_FIG_THROTTLE, SL_THROTTLE_THERMAL | SL_THROTTLE_POWER_CAP);
        sl_telemetry_set(&telemetry, SL_FIG_XIDS, 2);
        telemetry.xid_count = 1;
        telemetry.xids[0] = 79;
    }
    *ret_telemetry = telemetry;
    return index < 2;
}

bool sl_view_pool_get(const struct sl_broker_core *core, struct sl_now now, uint32_t index,
                      struct sl_view_pool *ret_view) {
    (void)now;
    *ret_view = (struct sl_view_pool){
        .row = {.name = "a\"b",
                .accepted = 11,
                .stale = 12,
                .rejected = 10,
                .unknown = 13,
                .duplicate = 1,
                .low = 2,
                .unauthorised = 3,
                .work = (sl_i128)INT64_MAX * 2,
                .amount_nusd = 50000000},
        .url = "stratum+tcp://a:1",
        .nodes = 2,
        .nodes_working = 2,
        .fallbacks = 1,
        .share_age_ms = core->fresh ? -1 : 5,
        .difficulty_nano = core->fresh ? 0 : 500000,
        .latency_us_p50 = 1500,
        .latency_us_p99 = 2000000,
        .measured_hs = core->fresh ? -1 : 1000,
        .effective_hs = core->fresh ? -1 : 950,
        .figures = {.effective_permille = core->fresh ? -1 : 950, .reject_permille = -1}};
    if (index == 1) {
        strcpy(ret_view->row.name, "left");
        ret_view->gone = true;
    }
    return index < 2;
}

bool sl_view_node_pool_get(const struct sl_broker_core *core, uint32_t node, uint32_t index,
                           struct sl_msg_pool *ret_pool) {
    (void)core;
    *ret_pool = (struct sl_msg_pool){.name = "a\"b", .connected = true, .url_index = 1};
    return node == 0 && index == 0;
}

bool sl_view_device_get(const struct sl_broker_core *core, struct sl_now now, uint32_t index,
                        struct sl_view_device *ret_view) {
    (void)now;
    memset(ret_view, 0, sizeof *ret_view);
    struct sl_msg_device *report = &ret_view->report;
    strcpy(report->key, index == 0 ? "n1/pocl:0" : "n1/pocl:1");
    report->mode = SL_MODE_HASH;
    report->model_count = 1;
    strcpy(report->models[0].id, "m");
    report->watts[SL_MODE_HASH] = (struct sl_watts){SL_SOURCE_RATED, 65500};
    if (!core->fresh) {
        report->tokens_total = 1000;
        report->busy_ms[SL_MODE_INFER] = 500;
        report->switch_us[SL_MODE_HASH][SL_MODE_INFER] = 1234;
    }
    sl_view_health_get(core, index, &ret_view->health);
    sl_view_telemetry_get(core, index, &report->telemetry);
    ret_view->wanted = SL_MODE_HASH;
    ret_view->offers[SL_MODE_HASH] =
        (struct sl_view_offer){.known = true, .gross_nusd_per_hour = 10, .net_nusd_per_hour = 9};
    strcpy(ret_view->offers[SL_MODE_INFER].missing, "bid");
    strcpy(ret_view->rule, "threshold");
    return index < 2;
}

uint32_t sl_view_device_count(const struct sl_broker_core *core) {
    (void)core;
    return 2;
}

uint32_t sl_view_device_find(const struct sl_broker_core *core, const char *key) {
    (void)core;
    return strcmp(key, "n1/pocl:0") == 0 ? 0 : strcmp(key, "n1/pocl:1") == 0 ? 1 : UINT32_MAX;
}

/* The first device alone is of node n1. */
uint32_t sl_view_node_first(const struct sl_broker_core *core, const char *node) {
    (void)core;
    return strcmp(node, "n1") == 0 ? 0 : UINT32_MAX;
}

uint32_t sl_view_node_next(const struct sl_broker_core *core, uint32_t index) {
    (void)core;
    (void)index;
    return UINT32_MAX;
}

uint32_t sl_view_models_get(const struct sl_broker_core *core, const char **ids, uint32_t max) {
    (void)core;
    (void)max;
    ids[0] = "m";
    return 1;
}

uint64_t sl_view_token_rate(const struct sl_broker_core *core) {
    return core->fresh ? 0 : 4000000;
}

bool sl_view_feed_get(const struct sl_broker_core *core, struct sl_now now, uint32_t index,
                      struct sl_view_feed *ret_view) {
    (void)now;
    *ret_view = (struct sl_view_feed){
        .feed = {.id = "hp\"x", .role = SL_FEED_HASHPRICE, .age_max_ms = 60000},
        .known = !core->fresh,
        .stale = core->fresh,
        .value_nano = 37500000,
        .age_ms = 1234};
    return index == 0;
}

bool sl_view_price_get(const struct sl_broker_core *core, struct sl_now now, uint32_t index,
                       struct sl_view_price *ret_view) {
    (void)now;
    *ret_view = (struct sl_view_price){.feed = {.role = SL_FEED_CURRENCY, .currency = "BTC"},
                                       .known = !core->fresh,
                                       .value_nano = INT64_C(95000500000000),
                                       .sources = 3,
                                       .fresh = core->fresh ? 0 : 2,
                                       .agree = 2,
                                       .low_nano = INT64_C(95000000000000),
                                       .high_nano = INT64_C(95001000000000),
                                       .factor_ppm = 985000};
    if (core->fresh) {
        strcpy(ret_view->hold, "sources disagree");
        ret_view->wait_ms = 5000;
    }
    return index == 0;
}

bool sl_view_batch_get(const struct sl_broker_core *core, struct sl_now now, uint32_t index,
                       struct sl_view_batch *ret_view) {
    (void)core;
    (void)now;
    *ret_view = (struct sl_view_batch){.id = "batch_1",
                                       .tenant = "acme",
                                       .state = SL_BATCH_IN_PROGRESS,
                                       .bid_nusd_per_mtok = 50000000};
    return index == 0;
}

const struct sl_policy_document *sl_core_document(const struct sl_broker_core *core) {
    static struct sl_policy_document document;
    (void)core;
    sl_policy_document_default(&document);
    document.rate_count = 1;
    document.rates[0] = (struct sl_rate){"m", "GPU \"x\"*", "*", 20000000};
    return &document;
}

bool sl_view_rate_get(const struct sl_broker_core *core, uint32_t index,
                      struct sl_view_rate *ret_view) {
    *ret_view = (struct sl_view_rate){.class_ = "GPU \"x\" 1",
                                      .model = "m",
                                      .devices = 2,
                                      .tokens_s_milli = core->fresh ? 0 : 1500,
                                      .rate_nusd_mtok = 20000000,
                                      .best_nusd_mtok = core->fresh ? -1 : 10000000,
                                      .rate_nusd_hour = 7,
                                      .best_nusd_hour = 3,
                                      .refused = core->fresh ? 0 : 1};
    return index == 0;
}

/* One device that hashes for 100 nUSD/h with 40 of power, and serves a lease of 900 with 20; of a
 * fresh core nothing is known. */
struct sl_core_stress *sl_core_stress_take(const struct sl_broker_core *core, struct sl_now at) {
    static const char *const keys[] = {"n1/pocl:0"};
    static const char *const batches[] = {"batch_1"};
    static const char *const tenants[] = {"acme"};
    struct fake {
        struct sl_core_stress stress;
        uint8_t held, can_hash, power_known, use_known, modes[2];
        int64_t hash, power[SL_MODE_COUNT], use, rate, value[2], done[2];
        uint32_t own;
        struct sl_stress_commit commit;
    } *f = calloc(1, sizeof *f);
    (void)at;
    *f = (struct fake){.can_hash = 1,
                       .power_known = 1,
                       .hash = 100,
                       .power = {0, 5, 40, 20},
                       .use = SL_SHOCK_SAME,
                       .rate = 1,
                       .own = SL_STRESS_NONE,
                       .commit = {INT64_C(250000000), 1, 1000000, 0, 0, true}};
    f->stress.in = (struct sl_stress_input){.fixed_nusd = core->fresh ? 0 : 73000,
                                            .cash_nusd = core->fresh ? 0 : 7300,
                                            .count = core->fresh ? 0 : 1,
                                            .held = &f->held,
                                            .can_hash = &f->can_hash,
                                            .power_known = &f->power_known,
                                            .hash_nusd_h = &f->hash,
                                            .use_ppm = &f->use,
                                            .own = &f->own,
                                            .commit_count = core->fresh ? 0 : 1,
                                            .commits = &f->commit,
                                            .tokens_s_milli = &f->rate};
    for (int mode = 0; mode < SL_MODE_COUNT; mode++) {
        f->stress.in.power_nusd_h[mode] = &f->power[mode];
    }
    f->stress.before = (struct sl_stress_side){&f->modes[0], &f->value[0], &f->done[0], 0, 0, 0, 0};
    f->stress.after = (struct sl_stress_side){&f->modes[1], &f->value[1], &f->done[1], 0, 0, 0, 0};
    f->stress.keys = (const char **)keys;
    f->stress.use_known = &f->use_known;
    f->stress.batches = (const char **)batches;
    f->stress.tenants = (const char **)tenants;
    f->stress.hash_known = core->fresh ? SL_CORE_PRICE_UNKNOWN : SL_CORE_PRICE_STALE;
    return &f->stress;
}

void sl_core_stress_destroy(struct sl_core_stress *stress) {
    free(stress);
}

uint32_t sl_core_stress_tenant(const struct sl_core_stress *stress, const char *tenant) {
    (void)stress;
    return strcmp(tenant, "acme") == 0 ? 0 : SL_SHOCK_NOBODY - 1;
}
