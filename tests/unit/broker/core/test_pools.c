/* SPDX-License-Identifier: Apache-2.0
 * Several pools: who is sent where by which directive, what is booked where, and what is left. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "proto/base/text.h"
#include "tests/unit/broker/core/joining.h"
#include "tests/unit/broker/core/world.h"

#include <cmocka.h>

#define WORK UINT64_C(4295032833000) /* difficulty 1000 */

static struct sl_core_config two_pools(int64_t a, int64_t b) {
    struct sl_core_config config = world_config();
    config.policy.pools = (struct sl_pools_params){.count = 2,
                                                   .use = {{"a", a}, {"b", b}},
                                                   .return_ms = 3000,
                                                   .hold_ms = 1000,
                                                   .band_permille = 50,
                                                   .window_ms = 60000,
                                                   .min_shares = 10,
                                                   .max_reject_permille = 300,
                                                   .retry_ms = 20000};
    return config;
}

static struct sl_msg_pool pool(const char *name, bool works, uint64_t spent) {
    struct sl_msg_pool p = {.connected = works, .has_job = works, .hashes_spent = spent};
    strcpy(p.name, name);
    snprintf(p.url, sizeof p.url, "stratum+tcp://%s.test:3333", name);
    strcpy(p.state, works ? "" : "connection refused");
    return p;
}

/* As world_report, with pools. */
static void report(struct world *w, const char *key, uint32_t devices,
                   const struct sl_msg_pool *pools, uint32_t count) {
    uint32_t at = sl_core_node_find(w->core, key);
    struct sl_msg_device all[8];
    struct sl_msg msg = {.kind = SL_MSG_REPORT};
    for (uint32_t i = 0; i < devices; i++) {
        char name[SL_MSG_KEY_MAX];
        snprintf(name, sizeof name, "%s/%u", key, i);
        world_device(&all[i], name);
        uint32_t dev = sl_core_device_find(w->core, name);
        if (w->core->fleet.running[dev]) {
            all[i].safe = false;
            all[i].epoch = all[i].epoch_max = w->core->fleet.epoch[dev];
        }
    }
    msg.report.device_count = devices;
    msg.report.devices = all;
    msg.report.pool_count = count;
    msg.report.pools = pools;
    world_msg(w, key, 1, w->core->nodes[at].session, &msg);
}

static void both(struct world *w, bool a, bool b, uint64_t spent) {
    struct sl_msg_pool pools[] = {pool("a", a, spent), pool("b", b, 0)};
    report(w, "n", 4, pools, 2);
}

/* Four devices that hash, both pools with work. */
static void start(struct world *w, int64_t a, int64_t b) {
    struct sl_core_config config = two_pools(a, b);
    world_init(w, &config);
    world_price(w, 0, WORLD_PRICE);
    assert_true(world_hello(w, "n", 1, 77, 4) != 0);
    both(w, true, true, 0);
    for (uint32_t i = 0; i < 4; i++) {
        char name[8];
        snprintf(name, sizeof name, "n/%u", i);
        world_running(w, name, w->now.mono.ns);
    }
    both(w, true, true, 0);
}

static uint32_t sent_to(const struct world *w, const char *name) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < 4; i++) {
        char device[8];
        snprintf(device, sizeof device, "n/%u", i);
        n += strcmp(world_directive(w, device)->pool, name) == 0;
    }
    return n;
}

static void pass(struct world *w, bool a, bool b, int64_t ms) {
    for (int64_t at = 0; at < ms; at += 500) {
        world_wait(w, 500);
        both(w, a, b, 0);
    }
}

static void share(struct world *w, uint64_t id, const char *name, enum sl_share_outcome outcome,
                  int32_t code) {
    struct sl_msg_share one = {.share_id = id,
                               .device = "n/0",
                               .outcome = outcome,
                               .code = code,
                               .work_hashes = WORK,
                               .difficulty_nano = UINT64_C(1000000000000)};
    strcpy(one.pool, name);
    struct sl_msg msg = {.kind = SL_MSG_SHARES, .shares = {1, &one}};
    world_msg(w, "n", 1, w->core->nodes[0].session, &msg);
}

static struct sl_view_pool view(struct world *w, const char *name) {
    struct sl_view_pool found;
    for (uint32_t i = 0; sl_view_pool_get(w->core, w->now, i, &found); i++) {
        if (strcmp(found.row.name, name) == 0) {
            return found;
        }
    }
    fail_msg("no pool %s", name);
    return found;
}

static void test_order(void **state) {
    (void)state;
    struct world w;
    start(&w, 0, 0);
    assert_int_equal(sent_to(&w, "a"), 4); /* with the grant itself */
    uint64_t epoch = world_directive(&w, "n/0")->epoch;
    uint32_t rows = w.store->directive_count;
    pass(&w, false, true, 500);
    assert_int_equal(sent_to(&w, "b"), 4);
    const struct sl_msg_directive *moved = world_directive(&w, "n/0");
    assert_true(moved->renewal && moved->epoch == epoch && moved->mode == SL_MODE_HASH);
    pass(&w, true, true, 2000); /* back, but not for long */
    assert_int_equal(sent_to(&w, "b"), 4);
    pass(&w, true, true, 2000);
    assert_int_equal(sent_to(&w, "a"), 4);
    assert_int_equal(world_directive(&w, "n/0")->epoch, epoch);
    assert_int_equal(w.store->directive_count, rows); /* no lease was touched */
    pass(&w, false, false, 1000);
    assert_int_equal(sent_to(&w, "a"), 4); /* its agent falls back by itself */
    world_check(&w);
    world_fini(&w);
}

static void test_split(void **state) {
    (void)state;
    struct world w;
    start(&w, 750, 250);
    assert_int_equal(sent_to(&w, "a"), 3);
    assert_int_equal(sent_to(&w, "b"), 1);
    pass(&w, true, false, 500);
    assert_int_equal(sent_to(&w, "a"), 4);
    pass(&w, true, true, 6000);
    assert_int_equal(sent_to(&w, "a"), 3);
    assert_int_equal(view(&w, "b").devices, 1);
    assert_int_equal(view(&w, "b").share_permille, 250);
    world_fini(&w);
}

static void test_a_restart_moves_nobody(void **state) {
    (void)state;
    struct world w;
    char before[4][SL_MSG_POOL_NAME_MAX];
    struct sl_msg_device all[4];
    start(&w, 500, 500);
    pass(&w, false, true, 500);
    pass(&w, true, true, 8000);
    assert_int_equal(sent_to(&w, "a"), 2);
    for (uint32_t i = 0; i < 4; i++) {
        char name[8];
        snprintf(name, sizeof name, "n/%u", i);
        world_device(&all[i], name);
        /* Other ones than a broker would choose that begins anew. */
        sl_text_copy(before[i], sizeof before[i], i < 2 ? "b" : "a");
        sl_text_copy(all[i].pool, sizeof all[i].pool, before[i]);
        all[i].epoch_max = world_directive(&w, name)->epoch;
    }
    world_restart(&w);
    world_price(&w, 0, WORLD_PRICE);
    assert_true(world_hello_units(&w, "n", 1, 77, all, 4, NULL, 0) != 0);
    both(&w, true, true, 0);
    pass(&w, true, true, 8000);
    for (uint32_t i = 0; i < 4; i++) {
        char name[8];
        snprintf(name, sizeof name, "n/%u", i);
        assert_string_equal(world_directive(&w, name)->pool, before[i]);
    }
    world_check(&w);
    world_fini(&w);
}

static void test_booked_under_its_pool(void **state) {
    (void)state;
    struct world w;
    start(&w, 500, 500);
    share(&w, 1, "a", SL_SHARE_ACCEPTED, 0);
    share(&w, 2, "b", SL_SHARE_ACCEPTED, 0);
    share(&w, 3, "b", SL_SHARE_ACCEPTED, 0);
    share(&w, 3, "b", SL_SHARE_ACCEPTED, 0); /* again */
    share(&w, 4, "b", SL_SHARE_REJECTED, 22);
    share(&w, 5, "b", SL_SHARE_REJECTED, 23);
    share(&w, 6, "b", SL_SHARE_REJECTED, 24);
    share(&w, 7, "b", SL_SHARE_REJECTED, 20);
    share(&w, 8, "b", SL_SHARE_STALE, 21);
    share(&w, 9, "b", SL_SHARE_UNKNOWN, 0);
    share(&w, 10, "", SL_SHARE_ACCEPTED, 0); /* of an agent that knows one pool only */
    for (int round = 0; round < 2; round++) {
        struct sl_pool_row b = view(&w, "b").row;
        assert_int_equal(b.accepted, 2);
        assert_int_equal(b.rejected, 4);
        assert_int_equal(b.duplicate, 1);
        assert_int_equal(b.low, 1);
        assert_int_equal(b.unauthorised, 1);
        assert_int_equal(b.stale, 1);
        assert_int_equal(b.unknown, 1);
        assert_true(b.work == (sl_i128)2 * WORK);
        assert_int_equal(view(&w, "a").row.accepted, 1);
        assert_int_equal(view(&w, SL_POOL_UNNAMED).row.accepted, 1);
        sl_i128 sum = b.amount_nusd + view(&w, "a").row.amount_nusd +
                      view(&w, SL_POOL_UNNAMED).row.amount_nusd;
        assert_true(sum == world_balance(&w, "revenue:hash"));
        world_check(&w);
        world_restart(&w); /* and it is all there again */
    }
    world_fini(&w);
}

static void test_left_and_tried_again(void **state) {
    (void)state;
    struct world w;
    start(&w, 0, 0);
    uint32_t audits = w.store->audits;
    for (uint64_t id = 1; id <= 10; id++) {
        share(&w, id, "a", id % 2 ? SL_SHARE_ACCEPTED : SL_SHARE_STALE, 21);
    }
    pass(&w, true, true, 500);
    assert_int_equal(sent_to(&w, "b"), 4);
    struct sl_view_pool a = view(&w, "a");
    assert_true(a.left);
    assert_string_equal(a.reason, "refuses 500 of 1000 shares, more than 300");
    assert_int_equal(w.store->audits, audits + 1);
    pass(&w, true, false, 1000); /* better than none */
    assert_int_equal(sent_to(&w, "a"), 4);
    pass(&w, true, true, 4000);
    assert_int_equal(sent_to(&w, "b"), 4);
    pass(&w, true, true, 16000);
    assert_int_equal(sent_to(&w, "a"), 4);
    assert_false(view(&w, "a").left);
    assert_int_equal(w.store->audits, audits + 2);
    world_fini(&w);
}

/* The policy would never leave it; it is no good pool all the same. */
static void test_a_pool_that_takes_nothing(void **state) {
    (void)state;
    struct world w;
    start(&w, 0, 0);
    for (uint64_t id = 1; id <= 9; id++) {
        share(&w, id, "b", SL_SHARE_REJECTED, 20);
    }
    assert_false(view(&w, "b").refusing);
    share(&w, 10, "b", SL_SHARE_STALE, 21);
    assert_true(view(&w, "b").refusing);
    assert_non_null(strstr(view(&w, "b").state, "none of the last 10 shares"));
    assert_true(view(&w, "b").named);
    share(&w, 11, "b", SL_SHARE_ACCEPTED, 0);
    assert_false(view(&w, "b").refusing);
    assert_string_equal(view(&w, "b").state, "");
    world_fini(&w);
}

static void test_rates(void **state) {
    (void)state;
    struct world w;
    start(&w, 0, 0);
    assert_int_equal(view(&w, "a").measured_hs, -1);
    world_wait(&w, 1000);
    both(&w, true, true, 4 * WORK);
    share(&w, 1, "a", SL_SHARE_ACCEPTED, 0);
    share(&w, 2, "a", SL_SHARE_ACCEPTED, 0);
    struct sl_view_pool a = view(&w, "a");
    assert_true(a.measured_hs > 0);
    assert_int_equal(a.measured_hs, 2 * a.effective_hs);
    assert_int_equal(a.figures.effective_permille, 500);
    assert_int_equal(a.nodes, 1);
    assert_int_equal(a.nodes_working, 1);
    assert_string_equal(a.url, "stratum+tcp://a.test:3333");
    both(&w, false, true, 4 * WORK);
    assert_non_null(strstr(view(&w, "a").state, "connection refused"));
    /* What was spent before this broker came is not its business; a new start counts from 0. */
    world_restart(&w);
    assert_true(world_hello(&w, "n", 1, 77, 4) != 0);
    both(&w, true, true, 9 * WORK);
    assert_int_equal(view(&w, "a").figures.hashes, 0);
    assert_true(world_hello(&w, "n", 1, 78, 4) != 0);
    both(&w, true, true, 2 * WORK);
    assert_int_equal(view(&w, "a").figures.hashes, 2 * WORK);
    world_fini(&w);
}

/* Difficulty x 10^9 of which a share takes so long at this rate: work of 2^32 at difficulty 1. */
static uint64_t lasting(int64_t rate, int64_t seconds) {
    return (uint64_t)((sl_i128)rate * seconds * 1000000000 >> 32);
}

static void test_a_difficulty_for_others(void **state) {
    (void)state;
    struct world w;
    struct sl_msg_pool pools[] = {pool("a", true, 0), pool("b", true, 0)};
    start(&w, 0, 0);
    world_wait(&w, 1000);
    pools[0].hashes_spent = 4 * WORK;
    report(&w, "n", 4, pools, 2);
    int64_t rate = view(&w, "a").measured_hs;
    assert_true(rate > 0);
    assert_string_equal(view(&w, "a").state, ""); /* what it wants is not known */
    const struct {
        int64_t seconds;
        const char *says;
    } cases[] = {{3500, ""},
                 {7300, "at its difficulty a share takes about 2 h: suggest_difficulty"},
                 {900000, "at its difficulty a share takes about 10 days: suggest_difficulty"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pools[0].difficulty_nano = pools[1].difficulty_nano = lasting(rate, cases[i].seconds);
        report(&w, "n", 4, pools, 2);
        assert_memory_equal(view(&w, "a").state, cases[i].says, strlen(cases[i].says) + !i);
    }
    assert_string_equal(view(&w, "b").state, ""); /* nobody hashes for it */
    world_fini(&w);
}

static void test_names_without_end(void **state) {
    (void)state;
    struct world w;
    start(&w, 0, 0);
    for (uint64_t id = 1; id <= 100; id++) {
        char name[16];
        snprintf(name, sizeof name, "made-up-%u", (unsigned)id);
        share(&w, id, name, SL_SHARE_ACCEPTED, 0);
    }
    assert_int_equal(w.core->pools.count, 65);
    assert_int_equal(view(&w, "others").row.accepted, 100 - 62);
    world_fini(&w);
}

/* What a node had that was revoked is not listed for ever; what it earned is. */
static void test_pools_of_who_left(void **state) {
    (void)state;
    struct world w;
    struct sl_msg_pool said;
    world_init(&w, NULL);
    world_price(&w, 0, WORLD_PRICE);
    world_join(&w, "n", 1);
    const struct sl_msg_pool pools[] = {pool("paid", true, 0), pool("never", true, 0)};
    report(&w, "n", 1, pools, 2);
    share(&w, 1, "paid", SL_SHARE_ACCEPTED, 0);
    assert_false(view(&w, "paid").gone);
    assert_false(view(&w, "never").gone);
    uint32_t at = sl_core_node_find(w.core, "n");
    assert_true(sl_view_node_pool_get(w.core, at, 0, &said));
    assert_int_equal(joining_order(&w, SL_AGENT_REVOKE, w.core->nodes[at].name, 0, 0), SL_OK);
    assert_true(view(&w, "never").gone);
    struct sl_view_pool paid = view(&w, "paid");
    assert_false(paid.gone);
    assert_int_equal(paid.nodes, 0);
    assert_string_equal(paid.url, "");
    assert_false(sl_view_node_pool_get(w.core, at, 0, &said));
    world_fini(&w);
    /* What the policy names is listed, whoever has it. */
    start(&w, 0, 0);
    at = sl_core_node_find(w.core, "n");
    joining_order(&w, SL_AGENT_REVOKE, w.core->nodes[at].name, 0, 0);
    assert_int_equal(view(&w, "a").nodes, 0);
    assert_false(view(&w, "a").gone);
    world_fini(&w);
}

static void test_a_policy_names_what_is_not_there(void **state) {
    (void)state;
    struct world w;
    struct sl_core_config config = two_pools(0, 0);
    strcpy(config.policy.pools.use[0].name, "x");
    strcpy(config.policy.pools.use[1].name, "y");
    world_init(&w, &config);
    world_price(&w, 0, WORLD_PRICE);
    world_join(&w, "n", 1);
    const struct sl_msg_directive *directive = world_directive(&w, "n/0");
    assert_int_equal(directive->mode, SL_MODE_HASH);
    assert_string_equal(directive->pool, ""); /* its agent's choice */
    world_fini(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_split),
        cmocka_unit_test(test_a_restart_moves_nobody),
        cmocka_unit_test(test_booked_under_its_pool),
        cmocka_unit_test(test_left_and_tried_again),
        cmocka_unit_test(test_a_pool_that_takes_nothing),
        cmocka_unit_test(test_rates),
        cmocka_unit_test(test_a_difficulty_for_others),
        cmocka_unit_test(test_names_without_end),
        cmocka_unit_test(test_pools_of_who_left),
        cmocka_unit_test(test_a_policy_names_what_is_not_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
