/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "agent/device/fake_device.h"

#define MS SL_NS_PER_MS

struct world {
    struct sl_mailbox *events;
    struct sl_device *device;
};

static const struct sl_fake_script usual = {
    .info = {.key = "fake/0", .name = "fake", .is_cpu = true},
    .hash_rate_hs = 1000000,
    .model_count = 1,
    .models = {{.id = "m", .tokens_per_s_milli = 1000 * 1000, .max_tokens = 256}},
    .dim = 8,
    .ready_us = 1000,
    .halt_us = 200,
    .start_us = 300,
    .launch_us = 50000,
};

static void open_world(struct world *w, const struct sl_fake_script *script) {
    assert_int_equal(sl_mailbox_create(sizeof(struct sl_device_event), 64, &w->events, NULL),
                     SL_OK);
    assert_int_equal(
        sl_fake_device_create(script, 3, w->events, (struct sl_mono){0}, &w->device, NULL), SL_OK);
}

static void close_world(struct world *w) {
    struct sl_device_event event;
    while (sl_mailbox_take(w->events, &event)) {
        sl_device_event_fini(&event);
    }
    sl_device_destroy(w->device);
    sl_mailbox_destroy(w->events);
}

static void run_to(struct world *w, int64_t ns) {
    sl_fake_device_advance(w->device, (struct sl_mono){ns});
}

/* The next event of that kind; others are dropped on the way. */
static bool take(struct world *w, enum sl_device_event_kind kind, struct sl_device_event *event) {
    while (sl_mailbox_take(w->events, event)) {
        if (event->kind == kind) {
            return true;
        }
        sl_device_event_fini(event);
    }
    return false;
}

static void post_mode(struct world *w, enum sl_mode mode, uint64_t epoch) {
    struct sl_device_cmd cmd = {.kind = SL_DEVCMD_MODE, .mode = mode, .epoch = epoch};
    assert_int_equal(sl_device_post(w->device, &cmd), SL_OK);
}

static void post_job(struct world *w) {
    static const uint8_t part[32] = {1, 2, 3, 4};
    struct sl_job draft = {.serial = 1,
                           .id = "j",
                           .version = 0x20000000,
                           .nbits = 0x1d00ffff,
                           .ntime = 1700000000,
                           .coinb1 = part,
                           .coinb1_size = 32,
                           .coinb2 = part,
                           .coinb2_size = 32,
                           .terms = {.extranonce2_size = 4}};
    struct sl_device_cmd cmd = {.kind = SL_DEVCMD_JOB, .extranonce2_slots = 1};
    /* The easiest difficulty that is allowed, so that the host finds shares at once. */
    assert_int_equal(sl_difficulty_from_double(1e-8, &draft.terms.difficulty, NULL), SL_OK);
    assert_int_equal(sl_job_create(&draft, &cmd.job, NULL), SL_OK);
    assert_int_equal(sl_device_post(w->device, &cmd), SL_OK);
    assert_null(cmd.job);
}

static struct sl_device_unit *make_unit(uint64_t id, uint64_t epoch, uint32_t lines,
                                        uint32_t tokens) {
    struct sl_device_unit *unit = calloc(1, sizeof *unit + lines * sizeof(struct sl_unit_line) +
                                                (size_t)lines * tokens * sizeof(int32_t));
    assert_non_null(unit);
    int32_t *ids = (int32_t *)(unit->lines + lines);
    unit->unit_id = id;
    unit->epoch = epoch;
    strcpy(unit->model, "m");
    unit->n_lines = lines;
    for (uint32_t i = 0; i < lines; i++) {
        for (uint32_t k = 0; k < tokens; k++) {
            ids[i * tokens + k] = (int32_t)(100 * i + k);
        }
        unit->lines[i] = (struct sl_unit_line){i, 0, tokens, ids + i * tokens};
    }
    return unit;
}

static void post_unit(struct world *w, struct sl_device_unit *unit) {
    struct sl_device_cmd cmd = {.kind = SL_DEVCMD_UNIT, .unit = unit};
    assert_int_equal(sl_device_post(w->device, &cmd), SL_OK);
}

static void a_switch_takes_what_the_script_says(void **state) {
    struct world w;
    struct sl_device_event event;
    (void)state;
    open_world(&w, &usual);
    run_to(&w, 999 * 1000);
    assert_false(take(&w, SL_DEVEV_READY, &event));
    run_to(&w, 10 * MS);
    assert_true(take(&w, SL_DEVEV_READY, &event));
    assert_int_equal(event.at.ns, MS);
    assert_int_equal(event.device, 3);
    assert_int_equal(event.report->stats.hash_rate_hs, 1000000);
    sl_device_event_fini(&event);
    post_job(&w);
    post_mode(&w, SL_MODE_HASH, 7);
    run_to(&w, 100 * MS);
    assert_true(take(&w, SL_DEVEV_STARTED, &event));
    /* halts by itself (0.2 ms), then 0.3 ms to the first kernel */
    assert_int_equal(event.at.ns, 10 * MS + 500 * 1000);
    assert_int_equal(event.epoch, 7);
    assert_int_equal(event.mode, SL_MODE_HASH);
    sl_device_halt(w.device);
    run_to(&w, 200 * MS);
    assert_true(take(&w, SL_DEVEV_HALTED, &event));
    assert_int_equal(event.at.ns, 100 * MS + 200 * 1000);
    assert_int_equal(event.epoch, 7);
    /* Halted, it waits for the mode however long that takes. */
    run_to(&w, 5000 * MS);
    assert_false(take(&w, SL_DEVEV_STARTED, &event));
    post_mode(&w, SL_MODE_IDLE, 8);
    run_to(&w, 5001 * MS);
    assert_true(take(&w, SL_DEVEV_STARTED, &event));
    assert_int_equal(event.at.ns, 5000 * MS);
    close_world(&w);
}

static void hashes_and_candidates_follow_the_script(void **state) {
    struct world w;
    struct sl_device_event event;
    struct sl_fake_script script = usual;
    int good = 0;
    (void)state;
    script.candidate_every_us = 100000;
    script.candidate_search = 100000;
    open_world(&w, &script);
    run_to(&w, 2 * MS);
    post_job(&w);
    post_mode(&w, SL_MODE_HASH, 1);
    /* 0.5 ms until it starts, 50 ms of the first launch, then exactly one second of work */
    run_to(&w, 2 * MS + 50500 * 1000 + SL_NS_PER_S);
    while (sl_mailbox_take(w.events, &event)) {
        if (event.kind == SL_DEVEV_CANDIDATE) {
            uint8_t hash[32];
            sl_work_hash(&event.candidate.work, event.candidate.nonce, hash);
            assert_true(sl_hash_meets(hash, &event.candidate.work.target));
            assert_int_equal(event.candidate.work.job_serial, 1);
            good++;
        }
        sl_device_event_fini(&event);
    }
    assert_int_equal(good, 10);
    sl_device_halt(w.device);
    run_to(&w, 4000 * MS);
    assert_true(take(&w, SL_DEVEV_STATS, &event));
    assert_int_equal(event.report->stats.hashes_total, 1000000);
    assert_int_equal(event.report->stats.busy_ns[SL_MODE_HASH], SL_NS_PER_S);
    sl_device_event_fini(&event);
    close_world(&w);
}

static void lines_take_the_time_of_their_length(void **state) {
    struct world w;
    struct sl_device_event event;
    struct sl_fake_script script = usual;
    (void)state;
    script.models[0].length_rates_milli[0] = 500 * 1000; /* up to 16 tokens: half as fast */
    open_world(&w, &script);
    run_to(&w, 2 * MS);
    post_mode(&w, SL_MODE_INFER, 5);
    run_to(&w, 100 * MS);
    assert_true(take(&w, SL_DEVEV_NEED_WORK, &event));
    post_unit(&w, make_unit(11, 5, 1, 10));
    run_to(&w, 119 * MS);
    assert_false(take(&w, SL_DEVEV_LINE, &event));
    run_to(&w, 121 * MS);
    assert_true(take(&w, SL_DEVEV_LINE, &event));
    sl_device_event_fini(&event);
    close_world(&w);
}

static void lines_come_in_order_with_the_same_vectors(void **state) {
    struct world w;
    struct sl_device_event event;
    float expected[8];
    uint32_t lines = 0;
    (void)state;
    open_world(&w, &usual);
    run_to(&w, 2 * MS);
    post_mode(&w, SL_MODE_INFER, 5);
    run_to(&w, 100 * MS);
    assert_true(take(&w, SL_DEVEV_NEED_WORK, &event));
    post_unit(&w, make_unit(11, 5, 3, 10));
    /* 30 tokens at 1000 a second */
    run_to(&w, 129 * MS);
    while (sl_mailbox_take(w.events, &event)) {
        assert_int_not_equal(event.kind, SL_DEVEV_UNIT_DONE);
        if (event.kind == SL_DEVEV_LINE) {
            int32_t ids[10];
            double sum = 0.0;
            for (int k = 0; k < 10; k++) {
                ids[k] = (int32_t)(100 * lines) + k;
                sum += k < 8 ? (double)event.line.vector[k] * event.line.vector[k] : 0.0;
            }
            sl_fake_vector(ids, 10, 8, expected);
            assert_int_equal(event.line.line, lines);
            assert_int_equal(event.line.tokens, 10);
            assert_int_equal(event.line.unit_id, 11);
            assert_memory_equal(event.line.vector, expected, sizeof expected);
            assert_true(fabs(sum - 1.0) < 1e-5);
            lines++;
        }
        sl_device_event_fini(&event);
    }
    assert_int_equal(lines, 2);
    run_to(&w, 131 * MS);
    assert_true(take(&w, SL_DEVEV_LINE, &event));
    sl_device_event_fini(&event);
    assert_true(take(&w, SL_DEVEV_UNIT_DONE, &event));
    assert_int_equal(event.unit_id, 11);
    assert_int_equal(event.at.ns, 130 * MS);
    close_world(&w);
}

static void units_are_dropped_by_id_and_by_epoch(void **state) {
    struct world w;
    struct sl_device_event event;
    (void)state;
    open_world(&w, &usual);
    run_to(&w, 2 * MS);
    post_unit(&w, make_unit(1, 4, 1, 1)); /* older than the mode's epoch */
    post_unit(&w, make_unit(2, 5, 1, 1)); /* dropped by id */
    post_unit(&w, make_unit(3, 5, 1, 1));
    post_mode(&w, SL_MODE_INFER, 5);
    struct sl_device_cmd drop = {.kind = SL_DEVCMD_DROP, .unit_id = 2};
    assert_int_equal(sl_device_post(w.device, &drop), SL_OK);
    run_to(&w, 1000 * MS);
    assert_true(take(&w, SL_DEVEV_UNIT_DONE, &event));
    assert_int_equal(event.unit_id, 3);
    assert_false(take(&w, SL_DEVEV_UNIT_DONE, &event));
    close_world(&w);
}

static void failures_show_as_failures(void **state) {
    static const struct {
        enum sl_fake_failure failure;
        int64_t at_ms;
        const char *why;
    } rows[] = {
        {SL_FAKE_SELF_TEST, 1, "never offered"},
        {SL_FAKE_HANG, 10000, "only the watchdog ends it"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct world w;
        struct sl_device_event event;
        struct sl_fake_script script = usual;
        script.failure = rows[i].failure;
        open_world(&w, &script);
        run_to(&w, 20000 * MS);
        assert_true(sl_mailbox_take(w.events, &event));
        assert_int_equal(event.kind, SL_DEVEV_FAILED);
        assert_int_equal(event.at.ns, rows[i].at_ms * MS);
        assert_true(event.text[0] != '\0');
        assert_false(sl_mailbox_take(w.events, &event));
        close_world(&w);
    }
}

static void a_bad_vector_is_a_failed_line(void **state) {
    struct world w;
    struct sl_device_event event;
    (void)state;
    open_world(&w, &usual);
    run_to(&w, 2 * MS);
    sl_fake_device_fail(w.device, SL_FAKE_BAD_VECTOR);
    post_mode(&w, SL_MODE_INFER, 5);
    post_unit(&w, make_unit(1, 5, 1, 4));
    run_to(&w, 1000 * MS);
    assert_true(take(&w, SL_DEVEV_LINE, &event));
    assert_int_equal(event.line.status, -SL_DEVICE);
    assert_null(event.line.vector);
    close_world(&w);
}

static void a_full_mailbox_loses_nothing(void **state) {
    struct sl_mailbox *events = NULL;
    struct sl_device *device = NULL;
    struct sl_device_event event;
    uint32_t lines = 0;
    (void)state;
    assert_int_equal(sl_mailbox_create(sizeof event, 2, &events, NULL), SL_OK);
    assert_int_equal(sl_fake_device_create(&usual, 0, events, (struct sl_mono){0}, &device, NULL),
                     SL_OK);
    sl_fake_device_advance(device, (struct sl_mono){2 * MS});
    struct sl_device_cmd mode = {.kind = SL_DEVCMD_MODE, .mode = SL_MODE_INFER, .epoch = 1};
    struct sl_device_cmd unit = {.kind = SL_DEVCMD_UNIT, .unit = make_unit(1, 1, 40, 1)};
    assert_int_equal(sl_device_post(device, &mode), SL_OK);
    assert_int_equal(sl_device_post(device, &unit), SL_OK);
    for (int i = 0; i < 1000; i++) {
        sl_fake_device_advance(device, (struct sl_mono){1000 * MS});
        while (sl_mailbox_take(events, &event)) {
            lines += event.kind == SL_DEVEV_LINE;
            sl_device_event_fini(&event);
        }
    }
    assert_int_equal(lines, 40);
    sl_device_destroy(device);
    sl_mailbox_destroy(events);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_switch_takes_what_the_script_says),
        cmocka_unit_test(hashes_and_candidates_follow_the_script),
        cmocka_unit_test(lines_take_the_time_of_their_length),
        cmocka_unit_test(lines_come_in_order_with_the_same_vectors),
        cmocka_unit_test(units_are_dropped_by_id_and_by_epoch),
        cmocka_unit_test(failures_show_as_failures),
        cmocka_unit_test(a_bad_vector_is_a_failed_line),
        cmocka_unit_test(a_full_mailbox_loses_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
