/* SPDX-License-Identifier: Apache-2.0
 * The agent's Stratum client against the test pool, both in memory: real hashes, found by trying.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/stratum/client.h"
#include "proto/base/text.h"
#include "tests/pool/pool.h"

struct world {
    struct sl_tp_pool *pool;
    struct sl_tp_session *session; /* NULL: not connected */
    struct sl_stratum *client;
    struct sl_mono mono;
    struct sl_wall wall;
    struct sl_buf to_client;
    struct sl_job *job;
    struct sl_work_cursor cursor;
    uint64_t seq;
    int outcomes[SL_ANSWER_UNKNOWN + 1];
    int last_code;
    bool misconfigured;
    unsigned chop; /* bytes a segment towards the client; 0: whole */
};

static void from_pool(void *context, const char *data, size_t size) {
    struct world *world = context;
    sl_buf_append(&world->to_client, data, size);
}

static void act(struct world *world, const struct sl_stratum_action *action) {
    switch (action->type) {
    case SL_STRATUM_CONNECT:
        assert_null(world->session);
        assert_int_equal(sl_tp_session_create(world->pool, from_pool, world, &world->session, NULL),
                         SL_OK);
        sl_stratum_connected(world->client, world->mono);
        return;
    case SL_STRATUM_SEND:
        if (world->session) {
            assert_true(
                sl_tp_session_input(world->session, action->data, action->size, world->wall));
        }
        return;
    case SL_STRATUM_CLOSE:
        sl_tp_session_destroy(world->session);
        world->session = NULL;
        world->to_client.len = 0;
        return;
    case SL_STRATUM_JOB:
        sl_job_unref(world->job);
        world->job = sl_job_ref(action->job);
        return;
    case SL_STRATUM_SHARE:
        world->outcomes[action->outcome]++;
        world->last_code = action->code;
        return;
    case SL_STRATUM_MISCONFIGURED:
        world->misconfigured = true;
        return;
    case SL_STRATUM_NO_WORK:
    case SL_STRATUM_DIFFICULTY:
    case SL_STRATUM_LOG:
        return;
    }
}

/* Until neither side has anything to say. */
static void settle(struct world *world) {
    bool busy = true;
    while (busy) {
        struct sl_stratum_action action;
        busy = false;
        while (sl_stratum_take(world->client, &action)) {
            act(world, &action);
            busy = true;
        }
        if (world->to_client.len > 0) {
            size_t n = world->chop && world->chop < world->to_client.len ? world->chop
                                                                         : world->to_client.len;
            sl_stratum_received(world->client, world->to_client.data, n, world->mono);
            if (world->to_client.len >= n) {
                sl_buf_consume(&world->to_client, n);
            }
            busy = true;
        }
    }
}

static struct sl_tp_options pool_options(void) {
    return (struct sl_tp_options){.difficulty = SL_TP_DIFFICULTY_ONE / 10000000,
                                  .extranonce2_size = 4,
                                  .branches = -1,
                                  .seed = 3};
}

static void client_options(struct sl_stratum_config *config) {
    sl_stratum_config_defaults(config);
    strcpy(config->url.host, "127.0.0.1");
    config->url.port = 1;
    strcpy(config->user, "w\"1");
}

static void begin(struct world *world, const struct sl_tp_options *options,
                  const struct sl_stratum_config *config, int log_fd) {
    *world = (struct world){.mono = {5 * SL_NS_PER_S}, .wall = {1700000000123}};
    assert_int_equal(sl_tp_pool_create(options, log_fd, world->wall, &world->pool, NULL), SL_OK);
    assert_int_equal(sl_stratum_create(config, 1, &world->client, NULL), SL_OK);
    assert_int_equal(sl_work_cursor_init(&world->cursor, 2, 5, NULL), SL_OK);
    sl_stratum_start(world->client, world->mono);
    settle(world);
}

static void end(struct world *world) {
    sl_stratum_stop(world->client, world->mono);
    settle(world);
    sl_stratum_destroy(world->client);
    sl_tp_session_destroy(world->session);
    sl_tp_pool_destroy(world->pool);
    sl_job_unref(world->job);
    sl_buf_fini(&world->to_client);
}

/* Takes a header and tries nonces until one is a share. */
static struct sl_share mine(struct world *world) {
    struct sl_work work;
    struct sl_share share;
    uint8_t hash[32];
    uint32_t nonce = 0;
    assert_non_null(world->job);
    assert_int_equal(sl_work_next(&world->cursor, world->job, &work, NULL), SL_OK);
    for (sl_work_hash(&work, nonce, hash); !sl_hash_meets(hash, &work.target);) {
        sl_work_hash(&work, ++nonce, hash);
    }
    sl_share_from_work(&work, nonce, ++world->seq, &share);
    return share;
}

static void submit(struct world *world, const struct sl_share *share) {
    assert_int_equal(sl_stratum_submit(world->client, share, world->mono, NULL), SL_OK);
    settle(world);
}

static void every_mined_share_is_accepted(void **state) {
    (void)state;
    for (int size = 1; size <= 16; size++) {
        struct sl_tp_options options = pool_options();
        struct sl_stratum_config config;
        struct world world;
        options.extranonce2_size = size;
        options.seed = (uint64_t)size;
        options.behaviours = size % 3 == 0 ? SL_TP_NO_VERSION_ROLLING : 0;
        client_options(&config);
        begin(&world, &options, &config, -1);
        world.chop = size % 4 ? 0 : 1;
        for (int i = 0; i < 60; i++) {
            struct sl_share share = mine(&world);
            submit(&world, &share);
            if (i % 3 == 2) {
                sl_tp_pool_tick(world.pool, i % 2 == 0, world.wall);
                settle(&world);
            }
        }
        assert_int_equal(world.outcomes[SL_ANSWER_ACCEPTED], 60);
        assert_int_equal(sl_tp_pool_counts(world.pool).accepted, 60);
        end(&world);
    }
}

/* At another difficulty the number of hashes tried for a share agrees with the work it is worth. */
static void work_of_a_share_is_what_it_costs(void **state) {
    (void)state;
    struct sl_tp_options options = pool_options();
    struct sl_stratum_config config;
    struct world world;
    uint64_t tried = 0, worth = 0;
    options.worker_count = 1;
    strcpy(options.workers[0].worker, "w\"1");
    options.workers[0].difficulty = SL_TP_DIFFICULTY_ONE / 50000000; /* 2e-8: 85.9 hashes */
    client_options(&config);
    begin(&world, &options, &config, -1);
    for (int i = 0; i < 4000; i++) {
        struct sl_share share = mine(&world);
        tried += share.nonce + 1;
        worth += world.job->hashes_per_share;
        submit(&world, &share);
    }
    assert_int_equal(world.outcomes[SL_ANSWER_ACCEPTED], 4000);
    assert_true(tried > worth * 95 / 100 && tried < worth * 105 / 100);
    end(&world);
}

static void good_shares_are_refused_for_a_while(void **state) {
    (void)state;
    struct sl_tp_options options = pool_options();
    struct sl_stratum_config config;
    struct world world;
    options.behaviours = SL_TP_REFUSE_SHARES;
    options.after = 3;
    client_options(&config);
    begin(&world, &options, &config, -1);
    for (int i = 0; i < 5; i++) {
        struct sl_share share = mine(&world);
        submit(&world, &share);
        assert_int_equal(world.last_code, i < 3 ? 20 : 0);
    }
    assert_int_equal(world.outcomes[SL_ANSWER_REJECTED], 3);
    assert_int_equal(world.outcomes[SL_ANSWER_ACCEPTED], 2);
    end(&world);
}

static void duplicates_and_stales_are_told_apart(void **state) {
    (void)state;
    struct sl_tp_options options = pool_options();
    struct sl_stratum_config config;
    struct world world;
    client_options(&config);
    config.submit_stale = true;
    begin(&world, &options, &config, -1);
    struct sl_share share = mine(&world);
    submit(&world, &share);
    submit(&world, &share);
    assert_int_equal(world.outcomes[SL_ANSWER_REJECTED], 1);
    assert_int_equal(world.last_code, 22);
    sl_tp_pool_tick(world.pool, false, world.wall);
    settle(&world);
    struct sl_share next = mine(&world);
    submit(&world, &next);
    assert_int_equal(world.outcomes[SL_ANSWER_ACCEPTED], 2);
    next = mine(&world);
    sl_tp_pool_tick(world.pool, true, world.wall);
    settle(&world);
    submit(&world, &next);
    assert_int_equal(world.outcomes[SL_ANSWER_STALE], 1);
    assert_int_equal(world.last_code, 21);
    share = mine(&world);
    share.nonce++; /* not what was found */
    submit(&world, &share);
    assert_int_equal(world.last_code, 23);
    end(&world);
}

static void a_lost_connection_is_resumed(void **state) {
    (void)state;
    struct sl_tp_options options = pool_options();
    struct sl_stratum_config config;
    struct world world;
    client_options(&config);
    begin(&world, &options, &config, -1);
    struct sl_share first = mine(&world);
    struct sl_share second = mine(&world);
    submit(&world, &first);
    sl_tp_session_destroy(world.session);
    world.session = NULL;
    sl_stratum_disconnected(world.client, "cut", world.mono);
    submit(&world, &second);
    assert_int_equal(world.outcomes[SL_ANSWER_ACCEPTED], 1);
    struct sl_mono when;
    assert_true(sl_stratum_deadline(world.client, &when));
    world.mono = when;
    sl_stratum_timer(world.client, world.mono);
    settle(&world);
    assert_int_equal(world.outcomes[SL_ANSWER_ACCEPTED], 2); /* the pool took it after the gap */
    struct sl_share third = mine(&world); /* the same job again: not the same headers */
    submit(&world, &third);
    assert_int_equal(world.outcomes[SL_ANSWER_ACCEPTED], 3);
    end(&world);
}

static void misbehaving_pools_end_in_back_off(void **state) {
    (void)state;
    static const struct {
        unsigned behaviour;
        enum sl_stratum_state expected;
    } cases[] = {{SL_TP_REFUSE_AUTH, SL_STRATUM_REFUSED},
                 {SL_TP_GARBAGE, SL_STRATUM_WAITING},
                 {SL_TP_SILENT, SL_STRATUM_WAITING}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct sl_tp_options options = pool_options();
        struct sl_stratum_config config;
        struct sl_stratum_status status;
        struct world world;
        options.behaviours = cases[i].behaviour;
        client_options(&config);
        begin(&world, &options, &config, -1);
        for (int k = 0; k < 12; k++) { /* each kind of garbage more than once */
            if (cases[i].behaviour == SL_TP_SILENT) {
                world.mono = sl_mono_after_ms(world.mono, 15000);
                sl_stratum_timer(world.client, world.mono);
                settle(&world);
            }
            sl_stratum_status(world.client, &status);
            assert_int_equal(status.state, cases[i].expected);
            assert_int_equal(world.misconfigured, cases[i].behaviour == SL_TP_REFUSE_AUTH);
            assert_true(status.last_error[0]);
            assert_null(world.session);
            struct sl_mono when;
            assert_true(sl_stratum_deadline(world.client, &when));
            world.mono = when;
            sl_stratum_timer(world.client, world.mono);
            settle(&world);
        }
        end(&world);
    }
}

static void the_log_has_one_line_for_each_share(void **state) {
    (void)state;
    char path[] = "/tmp/sluice-pool-log-XXXXXX";
    struct sl_tp_options options = pool_options();
    struct sl_stratum_config config;
    struct world world;
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "{\"t\":0}\n", 8), 8); /* of an earlier run */
    close(fd);
    fd = open(path, O_WRONLY | O_APPEND);
    client_options(&config);
    begin(&world, &options, &config, fd);
    struct sl_share share = mine(&world);
    submit(&world, &share);
    submit(&world, &share);
    end(&world);
    close(fd);
    FILE *file = fopen(path, "r");
    char line[500];
    assert_non_null(fgets(line, sizeof line, file));
    assert_string_equal(line, "{\"t\":0}\n");
    for (int i = 0; i < 2; i++) {
        assert_non_null(fgets(line, sizeof line, file));
        json_t *entry = json_loads(line, 0, NULL);
        assert_true(json_number_value(json_object_get(entry, "t")) == 1700000000.123);
        assert_string_equal(json_string_value(json_object_get(entry, "worker")), "w\"1");
        assert_true(json_is_string(json_object_get(entry, "job")));
        assert_string_equal(json_string_value(json_object_get(entry, "result")),
                            i == 0 ? "accepted" : "rejected");
        assert_int_equal(json_integer_value(json_object_get(entry, "code")), i == 0 ? 0 : 22);
        assert_int_equal(json_is_null(json_object_get(entry, "code")), i == 0);
        assert_true(json_number_value(json_object_get(entry, "difficulty")) == 1e-7);
        assert_int_equal(json_object_size(entry), 7);
        json_decref(entry);
    }
    assert_null(fgets(line, sizeof line, file));
    fclose(file);
    unlink(path);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_mined_share_is_accepted),
        cmocka_unit_test(work_of_a_share_is_what_it_costs),
        cmocka_unit_test(good_shares_are_refused_for_a_while),
        cmocka_unit_test(duplicates_and_stales_are_told_apart),
        cmocka_unit_test(a_lost_connection_is_resumed),
        cmocka_unit_test(misbehaving_pools_end_in_back_off),
        cmocka_unit_test(the_log_has_one_line_for_each_share),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
