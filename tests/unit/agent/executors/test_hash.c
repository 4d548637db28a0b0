/* SPDX-License-Identifier: Apache-2.0
 * The hash executor's policy on a real device: what it enqueues, cuts, claims and refuses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "agent/executors/hash_internal.h"
#include "agent/executors/table.h"
#include "tests/unit/agent/device/machine.h"

struct machine {
    struct sl_discovery *found;
    struct sl_mailbox *events;
    struct sl_cl cl;
    struct sl_executor *ex;
};

static int open_machine(void **state) {
    static struct machine m;
    struct sl_error err = {0};
    m.found = machine_find(0);
    if (!m.found || sl_mailbox_create(sizeof(struct sl_device_event), 8192, &m.events, &err)) {
        return -1;
    }
    struct sl_cl_spec spec = machine_spec(m.found, 0);
    spec.events = m.events;
    spec.index = 2;
    struct sl_executor_factory factory = sl_hash_factory();
    assert_int_equal(factory.mode, SL_MODE_HASH);
    if (sl_cl_open(&m.cl, &spec, &err) != SL_OK ||
        sl_tuning_open(NULL, "a device", "a driver", &m.cl.tuning, &err) != SL_OK ||
        factory.create(&m.cl, 5, factory.arg, &m.ex, &err) != SL_OK ||
        m.ex->ops->prepare(m.ex, &err) != SL_OK) {
        print_error("%s\n", err.text);
        return -1;
    }
    *state = &m;
    return 0;
}

static int close_machine(void **state) {
    struct machine *m = *state;
    struct sl_device_event event;
    m->ex->ops->destroy(m->ex);
    sl_cl_close(&m->cl);
    while (sl_mailbox_take(m->events, &event)) {
        sl_device_event_fini(&event);
    }
    sl_mailbox_destroy(m->events);
    sl_discovery_destroy(m->found);
    return 0;
}

struct job_row {
    uint64_t serial;
    double difficulty;
    bool clean;
    uint32_t session;
    uint8_t prevhash;
    uint8_t extranonce2_size;
    uint32_t version_mask; /* 0: versions are not rolled */
};

static void command_job(struct machine *m, const struct job_row *row) {
    static const uint8_t part[32] = {7};
    struct sl_job draft = {.serial = row->serial,
                           .session = row->session,
                           .id = "j",
                           .clean = row->clean,
                           .version = 0x20000000,
                           .nbits = 0x1d00ffff,
                           .ntime = 1700000000,
                           .coinb1 = part,
                           .coinb1_size = 32,
                           .coinb2 = part,
                           .coinb2_size = 32,
                           .terms = {.extranonce2_size = row->extranonce2_size,
                                     .version_rolling = row->version_mask != 0,
                                     .version_mask = row->version_mask}};
    struct sl_device_cmd cmd = {
        .kind = SL_DEVCMD_JOB, .extranonce2_slot = 0, .extranonce2_slots = 1};
    draft.prevhash[0] = row->prevhash;
    assert_int_equal(sl_difficulty_from_double(row->difficulty, &draft.terms.difficulty, NULL),
                     SL_OK);
    assert_int_equal(sl_job_create(&draft, &cmd.job, NULL), SL_OK);
    m->ex->ops->command(m->ex, &cmd);
    sl_device_cmd_fini(&cmd);
}

static bool enqueue(struct machine *m, struct sl_launch *launch) {
    struct sl_error err = {0};
    int rc = m->ex->ops->enqueue(m->ex, launch, &err);
    if (rc < 0) {
        fail_msg("%s", err.text);
    }
    clFlush(m->cl.queue);
    return rc == 1;
}

static void complete(struct machine *m, struct sl_launch *launch) {
    struct sl_error err = {0};
    clWaitForEvents(1, &launch->last);
    assert_int_equal(
        sl_cl_event_times(&m->cl, launch->last, &launch->start_ns, &launch->end_ns, &err), SL_OK);
    clReleaseEvent(launch->first);
    clReleaseEvent(launch->last);
    if (m->ex->ops->complete(m->ex, launch, &err) != SL_OK) {
        fail_msg("%s", err.text);
    }
}

static struct sl_device_stats stats_of(struct machine *m) {
    struct sl_device_stats stats = {0};
    m->ex->ops->stats(m->ex, &stats);
    return stats;
}

static void no_job(struct machine *m) {
    struct sl_device_cmd none = {.kind = SL_DEVCMD_JOB};
    m->ex->ops->command(m->ex, &none);
    m->ex->cut = false;
}

static void without_a_job_nothing_is_enqueued(void **state) {
    struct machine *m = *state;
    struct sl_launch launch;
    no_job(m);
    assert_false(enqueue(m, &launch));
    assert_true(stats_of(m).hash_rate_hs > 0); /* measured before the device was offered */
    assert_int_equal(stats_of(m).hashes_total, 0);
}

static void what_an_earlier_start_measured_is_taken_over(void **state) {
    struct machine *m = *state;
    struct sl_error err = {0};
    struct sl_hash_figures measured = m->cl.figures.hash;
    assert_true(m->cl.figures_new && measured.rate_ns > 1e9 && measured.ns_per_group[0] > 0);
    /* A rate that no machine has, so that it is seen to be taken over and not measured again. */
    for (int known = 0; known < 2; known++) {
        struct sl_executor_factory factory = sl_hash_factory();
        struct sl_executor *again = NULL;
        struct sl_device_stats stats = {0};
        m->cl.figures_new = false;
        m->cl.figures.hash = measured;
        m->cl.figures.hash.rate_hashes = 123 * measured.rate_ns;
        m->cl.figures.hash.shapes ^= known ? 0 : 2; /* of another kernel: measured all the same */
        assert_int_equal(factory.create(&m->cl, 5, factory.arg, &again, &err), SL_OK);
        assert_int_equal(again->ops->prepare(again, &err), SL_OK);
        again->ops->stats(again, &stats);
        assert_int_equal(stats.hash_rate_hs == UINT64_C(123000000000), known);
        assert_int_equal(m->cl.figures_new, !known);
        again->ops->destroy(again);
    }
    m->cl.figures.hash = measured;
}

static void two_launches_are_kept_ahead_and_counted(void **state) {
    struct machine *m = *state;
    const struct job_row job = {1, 1.0, true, 1, 1, 4, 0};
    struct sl_launch launches[3];
    uint64_t before = stats_of(m).hashes_total;
    command_job(m, &job);
    assert_true(enqueue(m, &launches[0]));
    assert_true(enqueue(m, &launches[1]));
    assert_false(enqueue(m, &launches[2]));
    complete(m, &launches[0]);
    complete(m, &launches[1]);
    assert_true(stats_of(m).hashes_total > before);
    no_job(m);
}

static void only_worthless_work_is_cut(void **state) {
    struct machine *m = *state;
    static const struct job_row first = {1, 1.0, true, 1, 1, 4, 0};
    static const struct {
        struct job_row next;
        bool cut;
        const char *why;
    } rows[] = {
        {{2, 1.0, false, 1, 1, 4, 0}, false, "same block: what is queued may still be a share"},
        {{2, 1.0, true, 1, 1, 4, 0}, true, "the pool says clean"},
        {{2, 1.0, false, 1, 9, 4, 0}, true, "a new block, whatever the pool says"},
        {{2, 1.0, false, 2, 1, 4, 0}, true, "another session: its extranonce1 is gone"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct sl_launch launch;
        no_job(m);
        command_job(m, &first);
        m->ex->cut = false;
        assert_true(enqueue(m, &launch));
        command_job(m, &rows[i].next);
        assert_int_equal(m->ex->cut, rows[i].cut);
        complete(m, &launch);
        m->ex->cut = false;
    }
    no_job(m);
    command_job(m, &first);
    assert_false(m->ex->cut); /* nothing was queued */
    no_job(m);
}

static void low_difficulty_shortens_launches(void **state) {
    struct machine *m = *state;
    const struct sl_hash_executor *hash = (const struct sl_hash_executor *)m->ex;
    for (uint32_t which = 0; which < hash->kernel_count; which++) {
        double per_group = sl_hash_hashes_per_group(&hash->kernels[which]);
        const uint32_t mids = hash->kernels[which].shape.mids;
        uint32_t usual = sl_hash_launch_groups(hash, which, mids, 0);
        assert_true(usual > 1);
        /* Expected candidates x 8 + 64 must fit the ring. */
        for (uint32_t top = 0xffff; top < 0x80000000u; top *= 2) {
            uint32_t groups = sl_hash_launch_groups(hash, which, mids, top);
            double expected = groups * per_group * ((double)top + 1) / 4294967296.0;
            assert_true(groups <= usual);
            assert_true(groups == 1 || expected * 8 + 64 <= SL_HASH_RING);
        }
        /* Even where every nonce is a candidate, one group always fits. */
        assert_int_equal(sl_hash_launch_groups(hash, which, mids, 0xffffffff), 1);
        assert_true(per_group <= SL_HASH_RING);
    }
}

/* Shares of one job until some 300 are expected; which version bits they had, as a set. */
static uint32_t check_candidates(struct machine *m, const struct job_row *job) {
    struct sl_device_event event;
    uint64_t before = stats_of(m).hashes_total;
    uint64_t shares = 0;
    uint32_t starts = 0;
    uint32_t versions = 0;
    double expected = 0.0;
    while (sl_mailbox_take(m->events, &event)) {
        sl_device_event_fini(&event); /* of what was before */
    }
    command_job(m, job);
    /* As many launches as it takes: on a busy machine each does less. */
    for (int i = 0; i < 1000 && expected <= 300.0; i++) {
        struct sl_launch launch;
        assert_true(enqueue(m, &launch));
        complete(m, &launch);
        expected = (double)(stats_of(m).hashes_total - before) / (1e-6 * 4295032833.0);
        while (sl_mailbox_take(m->events, &event)) {
            uint8_t digest[32];
            if (event.kind == SL_DEVEV_JOB_STARTED) {
                assert_int_equal(event.unit_id, job->serial);
                assert_int_equal(starts++, 0); /* once a job */
                continue;
            }
            assert_int_equal(event.kind, SL_DEVEV_CANDIDATE);
            assert_int_equal(event.device, 2);
            assert_int_equal(event.epoch, 12);
            assert_int_equal(event.candidate.work.job_serial, job->serial);
            assert_int_equal(event.candidate.work.session, 3);
            assert_int_equal(event.candidate.work.version_bits & ~job->version_mask, 0);
            sl_work_hash(&event.candidate.work, event.candidate.nonce, digest);
            assert_true(sl_hash_meets(digest, &event.candidate.work.target));
            versions |= UINT32_C(1) << (event.candidate.work.version_bits >> 13 & 31);
            shares++;
        }
    }
    double sigma = __builtin_sqrt(expected);
    print_message("%llu shares, %.0f expected\n", (unsigned long long)shares, expected);
    assert_true(expected > 300.0);
    assert_int_equal(starts, 1);
    assert_true((double)shares > expected - 5 * sigma && (double)shares < expected + 5 * sigma);
    assert_int_equal(stats_of(m).candidates_bad, 0);
    return versions;
}

static void every_candidate_is_a_share(void **state) {
    struct machine *m = *state;
    const struct job_row plain = {77, 1e-6, true, 3, 1, 4, 0};
    m->ex->epoch = 12;
    assert_int_equal(check_candidates(m, &plain), 1);
    no_job(m);
}

/* Searched together where the kernel for several is the quicker one: then shares of all of them
 * come from the first launches, though one header alone has 2^32 nonces. */
static void every_candidate_of_rolled_versions_is_a_share(void **state) {
    struct machine *m = *state;
    const struct sl_hash_executor *hash = (const struct sl_hash_executor *)m->ex;
    const uint32_t together = hash->kernels[hash->kernel_count - 1].shape.mids;
    const struct job_row rolled = {78, 1e-6, true, 3, 1, 4, 0x1fffe000};
    assert_int_equal(check_candidates(m, &rolled), (1u << together) - 1);
    assert_int_equal(hash->batch.count, together);
    no_job(m);
}

/* Fewer version bits than the kernel for several takes headers: it takes all that there are, where
 * it takes fewer. */
static void few_versions_are_searched_together(void **state) {
    static const uint32_t masks[] = {0x2000, 0x6000, 0xe000};
    struct machine *m = *state;
    const struct sl_hash_executor *hash = (const struct sl_hash_executor *)m->ex;
    const struct sl_hash_shape *shape = &hash->kernels[hash->kernel_count - 1].shape;
    for (uint32_t i = 0; i < sizeof masks / sizeof masks[0]; i++) {
        const struct job_row job = {90 + i, 1e-6, true, 3, 1, 4, masks[i]};
        uint32_t headers = 2u << i;
        if (headers > shape->mids) {
            headers = shape->mids;
        } else if (headers < shape->mids && !sl_hash_shape_takes_fewer(shape)) {
            headers = 1;
        }
        assert_int_equal(check_candidates(m, &job), (1u << headers) - 1);
        assert_int_equal(hash->batch.count, headers);
        no_job(m);
    }
}

/* One version bit: two headers of each extranonce2, and none twice. */
static void no_header_is_searched_twice(void **state) {
    struct machine *m = *state;
    struct sl_hash_executor *hash = (struct sl_hash_executor *)m->ex;
    const struct job_row job = {79, 1.0, true, 3, 1, 4, 0x2000};
    struct sl_launch launch;
    uint8_t seen[8][80];
    uint64_t before_counter = hash->cursor.counter;
    command_job(m, &job);
    for (uint32_t i = 0; i < 8; i += hash->batch.count) {
        hash->next_word = (uint64_t)1 << 32; /* as if this header had been searched */
        assert_true(enqueue(m, &launch));
        complete(m, &launch);
        assert_in_range(hash->batch.count, 1, 2);
        for (uint32_t k = 0; k < hash->batch.count; k++) {
            memcpy(seen[i + k], hash->batch.works[k].header, 80);
            for (uint32_t before = 0; before < i + k; before++) {
                assert_true(memcmp(seen[before], seen[i + k], 80) != 0);
            }
        }
    }
    assert_int_equal(hash->cursor.counter - before_counter, 4); /* two versions of each */
    no_job(m);
}

/* A one-byte extranonce2 gives 256 headers of 2^32 nonces a second of ntime: too many to exhaust
 * here, so the cursor is put near its end. */
static void a_used_up_job_waits_for_the_next(void **state) {
    struct machine *m = *state;
    struct sl_hash_executor *hash = (struct sl_hash_executor *)m->ex;
    const struct job_row job = {5, 1.0, true, 1, 1, 1, 0};
    const struct job_row next = {6, 1.0, true, 1, 2, 4, 0};
    struct sl_launch launch;
    command_job(m, &job);
    assert_true(enqueue(m, &launch));
    complete(m, &launch);
    hash->cursor.ntime += SL_WORK_NTIME_AHEAD_MAX;
    for (int i = 0; i < 255; i++) {
        hash->next_word = (uint64_t)1 << 32; /* as if this header had been searched */
        assert_true(enqueue(m, &launch));
        complete(m, &launch);
    }
    hash->next_word = (uint64_t)1 << 32;
    assert_false(enqueue(m, &launch));
    assert_false(enqueue(m, &launch));
    command_job(m, &next);
    assert_true(enqueue(m, &launch));
    complete(m, &launch);
    no_job(m);
}

static void made_up_work_reports_nothing(void **state) {
    struct machine *m = *state;
    struct sl_launch launch;
    uint64_t before = stats_of(m).hashes_total;
    struct sl_device_event event;
    while (sl_mailbox_take(m->events, &event)) {
        sl_device_event_fini(&event);
    }
    m->ex->ops->synthetic(m->ex, true);
    for (int i = 0; i < 3; i++) {
        assert_true(enqueue(m, &launch));
        complete(m, &launch);
    }
    m->ex->ops->synthetic(m->ex, false);
    assert_int_equal(stats_of(m).hashes_total, before);
    assert_int_equal(sl_mailbox_count(m->events), 0);
    assert_false(enqueue(m, &launch));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_job_nothing_is_enqueued),
        cmocka_unit_test(what_an_earlier_start_measured_is_taken_over),
        cmocka_unit_test(two_launches_are_kept_ahead_and_counted),
        cmocka_unit_test(only_worthless_work_is_cut),
        cmocka_unit_test(low_difficulty_shortens_launches),
        cmocka_unit_test(every_candidate_is_a_share),
        cmocka_unit_test(every_candidate_of_rolled_versions_is_a_share),
        cmocka_unit_test(few_versions_are_searched_together),
        cmocka_unit_test(no_header_is_searched_twice),
        cmocka_unit_test(a_used_up_job_waits_for_the_next),
        cmocka_unit_test(made_up_work_reports_nothing),
    };
    return cmocka_run_group_tests(tests, open_machine, close_machine);
}
