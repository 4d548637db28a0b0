/* SPDX-License-Identifier: Apache-2.0
 * The device thread on the machine's own OpenCL device, with the real hash executor. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "agent/device/cl_device.h"
#include "agent/executors/executor.h"
#include "agent/executors/table.h"
#include "tests/unit/agent/device/machine.h"
#include "tests/unit/agent/device/odd_executors.h"

#define S SL_NS_PER_S
/* Two launches of 50 ms are queued when a halt comes, so uncut not one of many would end within
 * this. The best of many is judged, since a busy machine delays some; the benchmarks have the
 * medians. */
#define HALT_NS_MAX (10 * SL_NS_PER_MS)

struct rig {
    struct sl_discovery *found;
    struct sl_mailbox *events;
    struct sl_device *device;
    struct sl_discovery *parts_found;
    struct sl_device *parts[2];
    struct sl_device_stats ready;
};

static int open_machine(void **state) {
    static struct rig rig; /* tests of one file share the discovery: one per process */
    rig.found = machine_find(0);
    if (!rig.found) {
        return -1;
    }
    if (sl_mailbox_create(sizeof(struct sl_device_event), 256, &rig.events, NULL) != SL_OK) {
        return -1;
    }
    *state = &rig;
    return 0;
}

static int close_machine(void **state) {
    struct rig *rig = *state;
    sl_mailbox_destroy(rig->events);
    sl_discovery_destroy(rig->found);
    return 0;
}

static void wait_event(struct rig *rig, enum sl_device_event_kind kind, int64_t limit_ns,
                       struct sl_device_event *event) {
    int64_t until = sl_clock_mono().ns + limit_ns;
    for (;;) {
        int64_t left = until - sl_clock_mono().ns;
        int rc = left > 0 ? sl_mailbox_take_wait(rig->events, left, event) : -SL_TIMEOUT;
        if (rc != SL_OK) {
            fail_msg("no event of kind %d in time", kind);
        }
        if (event->kind == kind) {
            return;
        }
        if (event->kind == SL_DEVEV_FAILED) {
            fail_msg("%s", event->text);
        }
        sl_device_event_fini(event);
    }
}

static int64_t wait_job(struct rig *rig, uint64_t serial) {
    struct sl_device_event event;
    do {
        wait_event(rig, SL_DEVEV_JOB_STARTED, 30 * S, &event);
    } while (event.unit_id != serial);
    return event.at.ns;
}

static void empty_events(struct rig *rig) {
    struct sl_device_event event;
    while (sl_mailbox_take(rig->events, &event)) {
        sl_device_event_fini(&event);
    }
}

static void start(struct rig *rig, const struct sl_cl_device_config *config) {
    struct sl_error err = {0};
    struct sl_device_event event;
    int rc = sl_cl_device_create(rig->found, 0, config, 5, rig->events, &rig->device, &err);
    assert_int_equal(rc, SL_OK);
    wait_event(rig, SL_DEVEV_READY, 120 * S, &event);
    rig->ready = event.report->stats;
    sl_device_event_fini(&event);
}

static void finish(struct rig *rig) {
    struct sl_device_cmd quit = {.kind = SL_DEVCMD_QUIT};
    sl_device_post(rig->device, &quit);
    sl_device_destroy(rig->device);
    rig->device = NULL;
    empty_events(rig);
}

/* Also after a failed test: a device that was left running would disturb all that follow. */
static int end_devices(void **state) {
    struct rig *rig = *state;
    sl_device_destroy(rig->device);
    sl_device_destroy(rig->parts[0]);
    sl_device_destroy(rig->parts[1]);
    sl_discovery_destroy(rig->parts_found);
    rig->device = NULL;
    rig->parts[0] = NULL;
    rig->parts[1] = NULL;
    rig->parts_found = NULL;
    empty_events(rig);
    return 0;
}

static struct sl_cl_device_config hash_and_idle(void) {
    struct sl_cl_device_config config = {.factory_count = 2};
    config.factories[0] = sl_idle_factory();
    config.factories[1] = sl_hash_factory();
    return config;
}

static void post_mode(struct sl_device *device, enum sl_mode mode, uint64_t epoch) {
    struct sl_device_cmd cmd = {.kind = SL_DEVCMD_MODE, .mode = mode, .epoch = epoch};
    assert_int_equal(sl_device_post(device, &cmd), SL_OK);
}

static void post_job(struct sl_device *device, uint64_t serial, double difficulty, bool clean) {
    static const uint8_t part[32] = {1, 2, 3, 4};
    struct sl_job draft = {.serial = serial,
                           .id = "j",
                           .clean = clean,
                           .version = 0x20000000,
                           .nbits = 0x1d00ffff,
                           .ntime = 1700000000,
                           .coinb1 = part,
                           .coinb1_size = 32,
                           .coinb2 = part,
                           .coinb2_size = 32,
                           .terms = {.extranonce2_size = 4}};
    struct sl_device_cmd cmd = {.kind = SL_DEVCMD_JOB, .extranonce2_slots = 1};
    draft.prevhash[0] = (uint8_t)serial;
    assert_int_equal(sl_difficulty_from_double(difficulty, &draft.terms.difficulty, NULL), SL_OK);
    assert_int_equal(sl_job_create(&draft, &cmd.job, NULL), SL_OK);
    assert_int_equal(sl_device_post(device, &cmd), SL_OK);
}

static void nap_ms(unsigned ms) {
    usleep(ms * 1000);
}

static int compare_ns(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a;
    int64_t y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

/* hash -> idle -> hash, so often, with a moment's work in between; the best of halts and starts. */
static void switch_often(struct rig *rig, int times, int64_t *ret_halt_ns, int64_t *ret_start_ns) {
    int64_t halts[64];
    int64_t starts[64];
    struct sl_device_event event;
    uint64_t epoch = 1;
    assert_true(times <= 64);
    post_mode(rig->device, SL_MODE_HASH, epoch);
    wait_event(rig, SL_DEVEV_STARTED, 10 * S, &event);
    for (int i = 0; i < times; i++) {
        nap_ms(20 + (unsigned)(i * 7) % 50);
        int64_t asked = sl_clock_mono().ns;
        sl_device_halt(rig->device);
        wait_event(rig, SL_DEVEV_HALTED, 10 * S, &event);
        assert_int_equal(event.epoch, epoch);
        assert_true(event.at.ns >= asked);
        halts[i] = event.at.ns - asked;
        post_mode(rig->device, SL_MODE_IDLE, ++epoch);
        wait_event(rig, SL_DEVEV_STARTED, 10 * S, &event);
        assert_int_equal(event.mode, SL_MODE_IDLE);
        int64_t posted = sl_clock_mono().ns;
        post_mode(rig->device, SL_MODE_HASH, ++epoch);
        wait_event(rig, SL_DEVEV_STARTED, 10 * S, &event);
        assert_int_equal(event.epoch, epoch);
        assert_int_equal(event.mode, SL_MODE_HASH);
        /* By the device's clock, so give its mapping half a millisecond. */
        assert_true(event.at.ns > posted - S / 2000 && event.at.ns <= sl_clock_mono().ns);
        starts[i] = event.at.ns - posted;
    }
    qsort(halts, (size_t)times, sizeof halts[0], compare_ns);
    qsort(starts, (size_t)times, sizeof starts[0], compare_ns);
    *ret_halt_ns = halts[0];
    *ret_start_ns = starts[0];
    print_message("halt p50 %.3f max %.3f ms, start p50 %.3f max %.3f ms\n",
                  (double)halts[times / 2] / 1e6, (double)halts[times - 1] / 1e6,
                  (double)starts[times / 2] / 1e6, (double)starts[times - 1] / 1e6);
}

static void hashing_is_cut_and_comes_back_at_once(void **state) {
    struct rig *rig = *state;
    struct sl_cl_device_config config = hash_and_idle();
    int64_t halt_ns = 0;
    int64_t start_ns = 0;
    start(rig, &config);
    assert_true(rig->ready.hash_rate_hs > 100000);
    assert_int_not_equal(rig->ready.stop_method, SL_STOP_UNKNOWN);
    assert_true(rig->ready.switch_us[SL_MODE_HASH][SL_MODE_IDLE] > 0);
    assert_true(rig->ready.switch_us[SL_MODE_IDLE][SL_MODE_HASH] > 0);
    assert_int_equal(rig->ready.switch_us[SL_MODE_HASH][SL_MODE_INFER], 0);
    post_job(rig->device, 1, 1.0, true);
    switch_often(rig, 30, &halt_ns, &start_ns);
    assert_true(halt_ns < HALT_NS_MAX);
    assert_true(start_ns < HALT_NS_MAX);
    finish(rig);
}

static void without_a_stop_word_launches_are_short(void **state) {
    struct rig *rig = *state;
    struct sl_cl_device_config config = hash_and_idle();
    int64_t halt_ns = 0;
    int64_t start_ns = 0;
    config.force_no_stop_word = true;
    start(rig, &config);
    assert_int_equal(rig->ready.stop_method, SL_STOP_NONE);
    post_job(rig->device, 1, 1.0, true);
    switch_often(rig, 30, &halt_ns, &start_ns);
    assert_true(halt_ns < HALT_NS_MAX);
    finish(rig);
}

/* Difficulty low enough for many shares: their number must fit the hashes that are claimed. */
static void shares_agree_with_the_hashes_counted(void **state) {
    struct rig *rig = *state;
    struct sl_cl_device_config config = hash_and_idle();
    struct sl_device_event event;
    const double difficulty = 0.0002;
    uint64_t shares = 0;
    uint64_t hashes = 0;
    uint64_t gap_ns = 0;
    uint64_t busy_ns = 0;
    start(rig, &config);
    post_job(rig->device, 3, difficulty, true);
    post_mode(rig->device, SL_MODE_HASH, 1);
    int64_t until = sl_clock_mono().ns + 4 * S;
    bool halted = false;
    while (hashes == 0) {
        if (!halted && sl_clock_mono().ns > until) {
            halted = true;
            sl_device_halt(rig->device);
            wait_event(rig, SL_DEVEV_HALTED, 2 * S, &event);
            post_mode(rig->device, SL_MODE_IDLE, 2); /* brings a report */
        }
        if (sl_mailbox_take_wait(rig->events, S, &event) != SL_OK) {
            continue;
        }
        if (event.kind == SL_DEVEV_CANDIDATE) {
            uint8_t digest[32];
            sl_work_hash(&event.candidate.work, event.candidate.nonce, digest);
            assert_true(sl_hash_meets(digest, &event.candidate.work.target));
            shares += !halted;
        }
        if (event.kind == SL_DEVEV_STATS && event.mode == SL_MODE_IDLE) {
            hashes = event.report->stats.hashes_total;
            gap_ns = event.report->stats.idle_gap_ns;
            busy_ns = event.report->stats.busy_ns[SL_MODE_HASH];
            assert_int_equal(event.report->stats.candidates_bad, 0);
            if (hashes == 0) {
                hashes = 1;
            }
        }
        sl_device_event_fini(&event);
    }
    double expected = (double)hashes / (difficulty * 4295032833.0);
    print_message("%llu shares, %.1f expected; gaps %.3f %% of device time\n",
                  (unsigned long long)shares, expected, 100.0 * (double)gap_ns / (double)busy_ns);
    assert_true(expected > 10.0);
    /* The last candidates may come while HALTED is waited for, hence the slack below; 5 sigma. */
    double sigma = 5.0 * __builtin_sqrt(expected);
    assert_true((double)shares < expected + sigma && (double)shares > expected - sigma - 3.0);
    finish(rig);
}

static void a_clean_job_cuts_what_is_queued(void **state) {
    struct rig *rig = *state;
    struct sl_cl_device_config config = hash_and_idle();
    int64_t best = INT64_MAX;
    config.launch_ms = 2000; /* of which a quarter may be as quick */
    start(rig, &config);
    post_job(rig->device, 10, 1.0, true);
    post_mode(rig->device, SL_MODE_HASH, 1);
    wait_job(rig, 10);
    /* Without a cut two launches are queued before the new job's, of which at least one is whole:
     * 500 ms. Half of it is for a machine that is busy with other things. */
    for (uint64_t serial = 11; serial < 19 && best >= 250 * SL_NS_PER_MS; serial++) {
        nap_ms(150 + (unsigned)serial % 4 * 30); /* other moments of a launch */
        int64_t posted = sl_clock_mono().ns;
        post_job(rig->device, serial, 1.0, true);
        int64_t waited = wait_job(rig, serial) - posted;
        best = waited < best ? waited : best;
    }
    assert_true(best < 250 * SL_NS_PER_MS);
    finish(rig);
}

/* The loop sets the stop word, the device's thread clears it: whichever comes first, the last job
 * is worked on in the end, and a halt in between is no less a halt. */
static void clean_jobs_in_a_row_end_with_work(void **state) {
    struct rig *rig = *state;
    struct sl_cl_device_config config = hash_and_idle();
    struct sl_device_event event;
    uint64_t serial = 100;
    start(rig, &config);
    post_mode(rig->device, SL_MODE_HASH, 1);
    for (unsigned i = 1; i <= 240; i++) {
        post_job(rig->device, ++serial, 1.0, true);
        nap_ms(i % 7 == 0 ? i % 3 : 0);
        if (i % 20 == 0) {
            wait_job(rig, serial);
        }
    }
    post_job(rig->device, ++serial, 1.0, true);
    sl_device_halt(rig->device);
    post_job(rig->device, ++serial, 1.0, true);
    wait_event(rig, SL_DEVEV_HALTED, 30 * S, &event);
    post_job(rig->device, ++serial, 1.0, true);
    post_mode(rig->device, SL_MODE_HASH, 2);
    wait_job(rig, serial);
    finish(rig);
}

static void a_mode_without_a_halt_halts_by_itself(void **state) {
    struct rig *rig = *state;
    struct sl_cl_device_config config = hash_and_idle();
    struct sl_device_event event;
    start(rig, &config);
    post_job(rig->device, 1, 1.0, true);
    post_mode(rig->device, SL_MODE_HASH, 1);
    wait_event(rig, SL_DEVEV_STARTED, 10 * S, &event);
    int64_t posted = sl_clock_mono().ns;
    post_mode(rig->device, SL_MODE_IDLE, 2);
    wait_event(rig, SL_DEVEV_STARTED, 10 * S, &event);
    assert_int_equal(event.mode, SL_MODE_IDLE);
    assert_true(event.at.ns >= posted);
    /* And an infer mode is refused by a device that has no models. */
    struct sl_device_cmd cmd = {.kind = SL_DEVCMD_MODE, .mode = SL_MODE_INFER, .epoch = 3};
    assert_int_equal(sl_device_post(rig->device, &cmd), -SL_UNSUPPORTED);
    finish(rig);
}

static void it_is_tested_again_in_service(void **state) {
    struct rig *rig = *state;
    struct sl_cl_device_config config = hash_and_idle();
    struct sl_device_event event;
    start(rig, &config);
    post_job(rig->device, 1, 1.0, true);
    for (uint64_t epoch = 1; epoch <= 2; epoch++) {
        struct sl_device_cmd cmd = {.kind = SL_DEVCMD_CANARY};
        post_mode(rig->device, epoch == 1 ? SL_MODE_HASH : SL_MODE_IDLE, epoch);
        wait_event(rig, SL_DEVEV_STARTED, 10 * S, &event);
        assert_int_equal(sl_device_post(rig->device, &cmd), SL_OK);
        wait_event(rig, SL_DEVEV_CANARY, 30 * S, &event);
        assert_string_equal(event.text, "");
    }
    finish(rig);
}

/* What a new block cuts short is no fault of the device. */
static void new_blocks_fail_no_test(void **state) {
    struct rig *rig = *state;
    struct sl_cl_device_config config = hash_and_idle();
    struct sl_device_event event;
    uint64_t serial = 1;
    start(rig, &config);
    post_job(rig->device, serial, 1.0, true);
    post_mode(rig->device, SL_MODE_HASH, 1);
    wait_event(rig, SL_DEVEV_STARTED, 10 * S, &event);
    for (int i = 0; i < 3; i++) {
        struct sl_device_cmd cmd = {.kind = SL_DEVCMD_CANARY};
        assert_int_equal(sl_device_post(rig->device, &cmd), SL_OK);
        for (int block = 0; block < 60; block++) {
            post_job(rig->device, ++serial, 1.0, true);
            nap_ms(1);
        }
        wait_event(rig, SL_DEVEV_CANARY, 30 * S, &event);
        assert_string_equal(event.text, "");
    }
    finish(rig);
}

/* Two parts of one CPU: halting the one neither stops nor delays the other. */
static void parts_of_a_cpu_switch_on_their_own(void **state) {
    struct rig *rig = *state;
    struct sl_cl_device_config config = hash_and_idle();
    struct sl_device_event event;
    int64_t halts[20];
    uint64_t hashes[2] = {0};
    if (!sl_discovery_info(rig->found, 0)->is_cpu ||
        sl_discovery_info(rig->found, 0)->compute_units < 2) {
        print_message("no CPU device with two cores to split\n");
        skip();
    }
    rig->parts_found = machine_find(2);
    assert_non_null(rig->parts_found);
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(
            sl_cl_device_create(rig->parts_found, i, &config, i, rig->events, &rig->parts[i], NULL),
            SL_OK);
    }
    for (uint32_t ready = 0; ready < 2; ready++) {
        wait_event(rig, SL_DEVEV_READY, 120 * S, &event);
        sl_device_event_fini(&event);
    }
    for (uint32_t i = 0; i < 2; i++) {
        post_job(rig->parts[i], 1, 1.0, true);
        post_mode(rig->parts[i], SL_MODE_HASH, 1);
    }
    for (uint64_t i = 0; i < 20; i++) {
        nap_ms(30 + (unsigned)(i * 11) % 50);
        int64_t asked = sl_clock_mono().ns;
        sl_device_halt(rig->parts[0]);
        wait_event(rig, SL_DEVEV_HALTED, 10 * S, &event);
        assert_int_equal(event.device, 0);
        halts[i] = event.at.ns - asked;
        post_mode(rig->parts[0], SL_MODE_HASH, 2 + i);
    }
    qsort(halts, 20, sizeof halts[0], compare_ns);
    print_message("halt p50 %.3f max %.3f ms\n", (double)halts[10] / 1e6, (double)halts[19] / 1e6);
    assert_true(halts[0] < HALT_NS_MAX);
    while (!hashes[0] || !hashes[1]) {
        wait_event(rig, SL_DEVEV_STATS, 10 * S, &event);
        hashes[event.device] = event.report->stats.hashes_total;
        sl_device_event_fini(&event);
    }
}

/* arg: where the test finds the executor again. */
struct odd_choice {
    const struct sl_executor_ops *ops;
    struct hanging **made;
};

static int create_odd(struct sl_cl *cl, uint32_t launch_ms, const void *arg,
                      struct sl_executor **ret_ex, struct sl_error *err) {
    const struct odd_choice *choice = arg;
    struct hanging *h = calloc(1, sizeof *h);
    (void)launch_ms;
    (void)err;
    h->base.ops = choice->ops;
    h->base.cl = cl;
    *choice->made = h;
    *ret_ex = &h->base;
    return SL_OK;
}

static void a_failed_self_test_is_never_offered(void **state) {
    struct rig *rig = *state;
    struct sl_device_event event;
    struct hanging *made = NULL;
    const struct odd_choice choice = {&failing_ops, &made};
    struct sl_cl_device_config config = hash_and_idle();
    config.factories[1] = (struct sl_executor_factory){create_odd, &choice, SL_MODE_HASH};
    assert_int_equal(
        sl_cl_device_create(rig->found, 0, &config, 5, rig->events, &rig->device, NULL), SL_OK);
    assert_int_equal(sl_mailbox_take_wait(rig->events, 30 * S, &event), SL_OK);
    assert_int_equal(event.kind, SL_DEVEV_FAILED);
    assert_int_equal(event.device, 5);
    assert_non_null(strstr(event.text, "replace the card"));
    finish(rig);
}

/* A device in the mode hash whose only launch ends when the test opens its gate. */
static struct hanging *start_hanging(struct rig *rig, uint32_t hang_ms) {
    struct hanging *made = NULL;
    const struct odd_choice choice = {&hanging_ops, &made};
    struct sl_cl_device_config config = hash_and_idle();
    config.factories[1] = (struct sl_executor_factory){create_odd, &choice, SL_MODE_HASH};
    config.hang_ms = hang_ms;
    start(rig, &config);
    post_mode(rig->device, SL_MODE_HASH, 1);
    return made;
}

static void a_launch_that_never_ends_is_reported(void **state) {
    struct rig *rig = *state;
    struct sl_device_event event = {0};
    struct hanging *made = start_hanging(rig, 700);
    int64_t posted = sl_clock_mono().ns;
    while (event.kind != SL_DEVEV_FAILED) {
        assert_int_equal(sl_mailbox_take_wait(rig->events, 10 * S, &event), SL_OK);
        if (event.kind == SL_DEVEV_STATS) {
            sl_device_event_fini(&event);
        }
    }
    assert_true(sl_clock_mono().ns - posted >= 700 * SL_NS_PER_MS);
    assert_non_null(strstr(event.text, "hangs"));
    /* Let the driver come back, so that the test leaves nothing behind. */
    clSetUserEventStatus(made->gate, CL_COMPLETE);
    finish(rig);
}

/* Stops this process for a while, as suspend or SIGSTOP does. The helper is forked here: a child
 * that only sleeps and kills needs nothing of what OpenCL's threads may have locked. */
static void stop_for_ms(int ms) {
    pid_t parent = getpid();
    pid_t helper = fork();
    if (helper == 0) {
        const struct timespec moment = {0, 20 * SL_NS_PER_MS};
        const struct timespec pause = {ms / 1000, ms % 1000 * SL_NS_PER_MS};
        nanosleep(&moment, NULL);
        kill(parent, SIGSTOP);
        nanosleep(&pause, NULL);
        kill(parent, SIGCONT);
        _exit(0);
    }
    assert_true(helper > 0);
    assert_int_equal(waitpid(helper, NULL, 0), helper);
}

static void a_stopped_process_is_no_hung_device(void **state) {
    struct rig *rig = *state;
    struct sl_device_event event = {0};
    /* A busy machine makes everything but the pause longer, so the limit is near the pause. */
    struct hanging *made = start_hanging(rig, 2800);
    int64_t begin = sl_clock_mono().ns;
    stop_for_ms(3000);
    assert_true(sl_clock_mono().ns - begin > 2900 * SL_NS_PER_MS);
    /* The watchdog has had a tick or two of its own since; then the launch ends. */
    const struct timespec moment = {0, 500 * SL_NS_PER_MS};
    nanosleep(&moment, NULL);
    clSetUserEventStatus(made->gate, CL_COMPLETE);
    wait_event(rig, SL_DEVEV_STARTED, 30 * S, &event); /* fails by itself on SL_DEVEV_FAILED */
    finish(rig);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(hashing_is_cut_and_comes_back_at_once, end_devices),
        cmocka_unit_test_teardown(without_a_stop_word_launches_are_short, end_devices),
        cmocka_unit_test_teardown(shares_agree_with_the_hashes_counted, end_devices),
        cmocka_unit_test_teardown(a_clean_job_cuts_what_is_queued, end_devices),
        cmocka_unit_test_teardown(clean_jobs_in_a_row_end_with_work, end_devices),
        cmocka_unit_test_teardown(a_mode_without_a_halt_halts_by_itself, end_devices),
        cmocka_unit_test_teardown(it_is_tested_again_in_service, end_devices),
        cmocka_unit_test_teardown(new_blocks_fail_no_test, end_devices),
        cmocka_unit_test_teardown(parts_of_a_cpu_switch_on_their_own, end_devices),
        cmocka_unit_test_teardown(a_failed_self_test_is_never_offered, end_devices),
        cmocka_unit_test_teardown(a_stopped_process_is_no_hung_device, end_devices),
        cmocka_unit_test_teardown(a_launch_that_never_ends_is_reported, end_devices),
    };
    return cmocka_run_group_tests(tests, open_machine, close_machine);
}
