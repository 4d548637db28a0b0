/* SPDX-License-Identifier: Apache-2.0
 * The inference executor: results, stops at random moments, drops, refusals. */
#include "agent/executors/infer_reference.h"
#include "tests/unit/agent/executors/infer_drive.h"

static const struct sl_tiny_bert SHAPE = {3, 96, 3, 200, 90, 200, SL_BERT_POOL_MEAN, 5};
#define UNITS 6u
#define UNIT_LINES 60u
#define LINES (UNITS * UNIT_LINES)

/* The same work for every test: LINES texts, mostly short, some as long as the model takes. */
struct bed {
    struct sl_cl cl;
    struct sl_model_set *set;
    struct rig_weights weights;
    const struct sl_bert_model *model;
    struct sl_unit_line lines[LINES];
    float *answers[LINES]; /* from an undisturbed run */
};

static void add_all(struct bed *bed, struct drive *d, uint64_t epoch) {
    for (uint32_t u = 0; u < UNITS; u++) {
        drive_add(d, drive_unit(u + 1, epoch, "tiny", bed->lines + u * UNIT_LINES, UNIT_LINES));
    }
}

static void check_answers(struct bed *bed, struct drive *d, uint32_t from, uint32_t to) {
    for (uint32_t i = from; i < to; i++) {
        assert_true(d->lines[i].seen);
        assert_int_equal(d->lines[i].status, SL_OK);
        assert_int_equal(d->lines[i].tokens, bed->lines[i].n_ids);
        assert_memory_equal(d->lines[i].vector, bed->answers[i], SHAPE.n_embd * sizeof(float));
    }
}

static void test_results(void **state) {
    struct bed *bed = *state;
    struct drive d;
    drive_open(&d, &bed->cl, bed->set, 50);
    assert_false(drive_turn(&d)); /* nothing to do: asks for work, once */
    assert_false(drive_turn(&d));
    assert_int_equal(d.asked, 1);
    const struct sl_infer *x = (struct sl_infer *)d.ex;
    int64_t begin_ns = sl_clock_mono().ns;
    add_all(bed, &d, 1);
    drive_all(&d);
    uint32_t lanes = bed->cl.stop_method == SL_STOP_NONE ? 1 : sl_infer_lanes(&bed->cl);
    for (uint32_t lane = 0; lane < lanes; lane++) {
        assert_true(x->times.lanes[lane].since_ns > begin_ns - SL_NS_PER_MS); /* each was used */
    }
    assert_int_equal(d.lines_seen, LINES);
    assert_int_equal(d.units_done, UNITS);
    assert_int_equal(d.last_done, UNITS);
    assert_int_equal(d.asked, 2); /* again when little was left */
    double want[256], worst = 0;
    uint64_t tokens = 0;
    for (uint32_t i = 0; i < LINES; i++) {
        const struct sl_unit_line *line = &bed->lines[i];
        assert_int_equal(sl_ref64_embed(bed->model, line->ids, line->n_ids, want), 0);
        worst = fmax(worst, rig_gap(d.lines[i].vector, want, SHAPE.n_embd));
        tokens += line->n_ids;
    }
    print_message("worst 1 - cosine %.2g\n", worst);
    assert_true(worst <= 1e-6);
    struct sl_device_stats stats = {0};
    d.ex->ops->stats(d.ex, &stats);
    assert_int_equal(stats.tokens_total, tokens);
    assert_int_equal(stats.lines_total, LINES);
    assert_int_equal(stats.model_count, 1);
    assert_string_equal(stats.models[0].id, "tiny");
    assert_int_equal(stats.models[0].max_tokens, SHAPE.n_ctx);
    assert_true(stats.models[0].tokens_per_s_milli > 0);
    for (uint32_t i = 0; i < LINES; i++) {
        bed->answers[i] = d.lines[i].vector;
        d.lines[i].vector = NULL;
    }
    drive_close(&d);
}

/* Stopped at any moment and resumed, the bits are the same. */
static void run_stops(struct bed *bed, uint32_t stops, uint32_t stop_us_max, uint32_t launch_ms) {
    struct drive d;
    drive_open(&d, &bed->cl, bed->set, launch_ms);
    uint32_t left = stops, rounds = 0;
    struct sl_infer *x = (struct sl_infer *)d.ex;
    while (left > 0) {
        drive_forget(&d);
        add_all(bed, &d, 1);
        d.stops = left;
        d.stop_us_max = stop_us_max;
        drive_all(&d);
        left = d.stops;
        rounds++;
        assert_int_equal(d.lines_seen, LINES);
        assert_int_equal(d.units_done, UNITS);
        check_answers(bed, &d, 0, LINES);
    }
    print_message("%u stops in %u rounds, %lu micro-batches cut\n", stops, rounds,
                  (unsigned long)x->repeats_total);
    assert_true(x->repeats_total > stops / 4);
    drive_close(&d);
}

static void test_stops(void **state) {
    struct bed *bed = *state;
    if (bed->cl.stop_method == SL_STOP_NONE) {
        print_message("running kernels of this device see no stop word\n");
        skip();
    }
    run_stops(bed, 300, 1500, 50);
}

static void test_stops_gpu(void **state) {
    struct bed *bed = *state;
    if (bed->cl.stop_method == SL_STOP_NONE) {
        print_message("running kernels of this device see no stop word\n");
        skip();
    }
    struct drive d;
    bed->cl.force_gpu_kernels = true;
    drive_open(&d, &bed->cl, bed->set, 50);
    add_all(bed, &d, 1);
    drive_all(&d);
    float *first[LINES];
    for (uint32_t i = 0; i < LINES; i++) {
        assert_true(sl_infer_cosine_gap(d.lines[i].vector, bed->answers[i], SHAPE.n_embd) < 1e-6);
        first[i] = bed->answers[i];
        bed->answers[i] = d.lines[i].vector;
        d.lines[i].vector = NULL;
    }
    drive_close(&d);
    run_stops(bed, 60, 4000, 50);
    bed->cl.force_gpu_kernels = false;
    for (uint32_t i = 0; i < LINES; i++) {
        free(bed->answers[i]);
        bed->answers[i] = first[i];
    }
}

/* Without a stop word launches are short: steps are split into ranges of groups. */
static void test_short_launches(void **state) {
    struct bed *bed = *state;
    struct drive d;
    drive_open(&d, &bed->cl, bed->set, 1);
    struct sl_infer *x = (struct sl_infer *)d.ex;
    add_all(bed, &d, 1);
    uint32_t turns = 0;
    do {
        x->ns_per_cost = 5; /* as if the device were very slow */
        turns++;
    } while (drive_turn(&d));
    assert_true(turns > 300);
    assert_int_equal(d.units_done, UNITS);
    check_answers(bed, &d, 0, LINES);
    if (bed->cl.stop_method != SL_STOP_NONE) { /* cut between the parts of a step */
        drive_forget(&d);
        add_all(bed, &d, 1);
        do {
            x->ns_per_cost = 2;
            d.stops = turns % 3 == 0;
            d.stop_us_max = 300;
            turns++;
        } while (drive_turn(&d));
        check_answers(bed, &d, 0, LINES);
        assert_true(x->repeats_total > 0);
    }
    drive_close(&d);
}

static void test_drop(void **state) {
    struct bed *bed = *state;
    struct drive d;
    drive_open(&d, &bed->cl, bed->set, 50);
    add_all(bed, &d, 1);
    for (uint32_t i = 0; i < 3; i++) {
        drive_turn(&d);
    }
    for (uint32_t u = 2; u < UNITS; u++) {
        drive_command(&d, (struct sl_device_cmd){.kind = SL_DEVCMD_DROP, .unit_id = u});
    }
    uint32_t before = 0;
    for (uint32_t i = UNIT_LINES; i < LINES - UNIT_LINES; i++) {
        before += d.lines[i].seen;
    }
    drive_all(&d);
    check_answers(bed, &d, 0, UNIT_LINES);
    check_answers(bed, &d, LINES - UNIT_LINES, LINES);
    for (uint32_t i = UNIT_LINES; i < LINES - UNIT_LINES; i++) {
        before -= d.lines[i].seen;
    }
    assert_int_equal(before, 0); /* nothing came after the drop */
    assert_int_equal(d.units_done, 2);

    /* all units, while they run: the queue has become worthless */
    drive_forget(&d);
    add_all(bed, &d, 1);
    struct sl_error err = {0};
    assert_int_equal(d.ex->ops->enqueue(d.ex, &d.launches[0], &err), 1);
    d.queued = 1;
    assert_false(d.ex->cut);
    drive_command(&d, (struct sl_device_cmd){.kind = SL_DEVCMD_DROP, .unit_id = 0});
    assert_true(d.ex->cut);
    d.ex->cut = false;
    drive_stop(&d);
    drive_all(&d);
    assert_int_equal(d.lines_seen, 0);
    assert_int_equal(d.units_done, 0);

    add_all(bed, &d, 1); /* and it goes on */
    drive_all(&d);
    check_answers(bed, &d, 0, LINES);
    drive_close(&d);
}

static void test_epochs(void **state) {
    struct bed *bed = *state;
    struct drive d;
    drive_open(&d, &bed->cl, bed->set, 50);
    drive_command(
        &d, (struct sl_device_cmd){.kind = SL_DEVCMD_MODE, .epoch = 7, .mode = SL_MODE_INFER});
    drive_add(&d, drive_unit(1, 6, "tiny", bed->lines, UNIT_LINES)); /* too old already */
    drive_add(&d, drive_unit(2, 7, "tiny", bed->lines + UNIT_LINES, UNIT_LINES));
    drive_turn(&d);
    drive_stop(&d);
    uint32_t seen = d.lines_seen;
    drive_command(&d,
                  (struct sl_device_cmd){.kind = SL_DEVCMD_MODE, .epoch = 8, .mode = SL_MODE_HASH});
    drive_command(
        &d, (struct sl_device_cmd){.kind = SL_DEVCMD_MODE, .epoch = 9, .mode = SL_MODE_INFER});
    drive_add(&d, drive_unit(3, 9, "tiny", bed->lines + 2 * UNIT_LINES, UNIT_LINES));
    drive_all(&d);
    assert_int_equal(d.lines_seen, seen + UNIT_LINES);
    assert_int_equal(d.units_done, 1);
    assert_int_equal(d.last_done, 3);
    check_answers(bed, &d, 2 * UNIT_LINES, 3 * UNIT_LINES);
    drive_close(&d);
}

static void test_refusals(void **state) {
    struct bed *bed = *state;
    struct drive d;
    drive_open(&d, &bed->cl, bed->set, 50);
    static const int32_t low[] = {-1}, high[] = {5, 90}, good[] = {5, 6, 7};
    int32_t *longer = calloc(SHAPE.n_ctx + 1, sizeof *longer);
    assert_non_null(longer);
    const struct sl_unit_line lines[] = {
        {.line = 0, .n_ids = 1, .ids = low},  {.line = 1, .n_ids = 2, .ids = high},
        {.line = 2, .n_ids = 0, .ids = good}, {.line = 3, .n_ids = SHAPE.n_ctx + 1, .ids = longer},
        {.line = 4, .n_ids = 3, .ids = good},
    };
    drive_add(&d, drive_unit(1, 1, "tiny", lines, 5));
    drive_all(&d);
    for (uint32_t i = 0; i < 4; i++) {
        assert_true(d.lines[i].seen);
        assert_int_equal(d.lines[i].status, -SL_INVALID);
        assert_null(d.lines[i].vector);
    }
    assert_int_equal(d.lines[4].status, SL_OK);
    assert_int_equal(d.units_done, 1);

    drive_forget(&d);
    drive_add(&d, drive_unit(2, 1, "tiny", lines, 4)); /* nothing good in it */
    assert_false(drive_turn(&d));
    assert_int_equal(d.units_done, 1);
    drive_forget(&d);
    drive_add(&d, drive_unit(3, 1, "no such model", lines + 4, 1));
    assert_false(drive_turn(&d));
    assert_int_equal(d.lines[4].status, -SL_NOTFOUND);
    assert_int_equal(d.units_done, 1);
    drive_forget(&d);
    drive_add(&d, drive_unit(4, 1, "tiny", lines, 0)); /* an empty unit is done at once */
    assert_false(drive_turn(&d));
    assert_int_equal(d.units_done, 1);
    free(longer);
    drive_close(&d);
}

/* Units of two models in turns; they share the activation buffers. */
static void test_two_models(void **state) {
    struct bed *bed = *state;
    static const struct sl_tiny_bert shapes[] = {
        {3, 96, 3, 200, 90, 200, SL_BERT_POOL_MEAN, 5}, /* SHAPE again */
        {1, 40, 5, 300, 95, 700, SL_BERT_POOL_CLS, 6},  /* lines longer than a micro-batch */
    };
    struct sl_model_set *set = rig_tiny_sets(shapes, 2);
    struct rig_weights weights;
    rig_weights_open(&weights, &shapes[1], SL_GGML_F32);
    const struct sl_bert_model *second = weights.model;
    uint64_t seed = 77;
    int32_t *ids = rig_ids(700, 95, &seed);
    struct drive d;
    drive_open(&d, &bed->cl, set, 50);
    for (uint32_t i = 0; i < 4; i++) {
        struct sl_unit_line lines[] = {{.line = LINES + 2 * i, .n_ids = 700, .ids = ids},
                                       {.line = LINES + 2 * i + 1, .n_ids = 9 + i, .ids = ids}};
        drive_add(&d, drive_unit(100 + i, 1, "tiny1", lines, 2));
        drive_add(&d, drive_unit(i + 1, 1, "tiny", bed->lines + i * UNIT_LINES, UNIT_LINES));
    }
    d.stops = bed->cl.stop_method == SL_STOP_NONE ? 0 : 30;
    d.stop_us_max = 2000;
    drive_all(&d);
    assert_int_equal(d.units_done, 8);
    check_answers(bed, &d, 0, 4 * UNIT_LINES);
    double want[64];
    for (uint32_t i = 0; i < 8; i++) {
        const struct drive_line *line = &d.lines[LINES + i];
        assert_int_equal(sl_ref64_embed(second, ids, i % 2 ? 9 + i / 2 : 700, want), 0);
        assert_int_equal(line->status, SL_OK);
        assert_true(rig_gap(line->vector, want, 40) <= 1e-6);
    }
    free(ids);
    drive_close(&d);
    rig_weights_close(&weights);
    sl_model_set_destroy(set);
}

/* What only happens on a GPU: weights copied to the device, large micro-batches. */
static void test_as_on_a_gpu(void **state) {
    struct bed *bed = *state;
    struct drive d;
    bool is_cpu = bed->cl.is_cpu;
    bed->cl.is_cpu = false;
    drive_open(&d, &bed->cl, bed->set, 50);
    assert_true(((struct sl_infer *)d.ex)->engine.tiled);
    add_all(bed, &d, 1);
    drive_all(&d);
    for (uint32_t i = 0; i < LINES; i++) {
        assert_int_equal(d.lines[i].status, SL_OK);
        assert_true(sl_infer_cosine_gap(d.lines[i].vector, bed->answers[i], SHAPE.n_embd) < 1e-6);
    }
    drive_close(&d);
    bed->cl.is_cpu = is_cpu;
}

/* A device that computes nonsense: its vectors are not handed on. */
static void test_broken_device(void **state) {
    struct bed *bed = *state;
    if (!bed->cl.is_cpu) {
        print_message("weights are used in place on CPU devices only\n");
        skip();
    }
    struct drive d;
    drive_open(&d, &bed->cl, bed->set, 50);
    const struct sl_model *m = sl_model_set_at(bed->set, 0);
    float *w = (float *)(uintptr_t)m->layers[2][SL_LAYER_OUT_NORM_W].data, saved = *w;
    *w = NAN;
    drive_add(&d, drive_unit(1, 1, "tiny", bed->lines, 3));
    drive_all(&d);
    *w = saved;
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(d.lines[i].status, -SL_DEVICE);
        assert_null(d.lines[i].vector);
    }
    drive_close(&d);

    *w = NAN; /* and it is not even offered */
    struct sl_executor *ex = NULL;
    struct sl_error err = {0};
    assert_int_equal(sl_infer_executor_create(&bed->cl, bed->set, 50, &ex, &err), SL_OK);
    assert_int_equal(ex->ops->prepare(ex, &err), -SL_DEVICE);
    assert_non_null(strstr(err.text, "known answer"));
    ex->ops->destroy(ex);
    *w = saved;
}

/* Known answers between units: nothing is reported or counted, and a device that has gone bad
 * since is found. */
static void test_canary(void **state) {
    struct bed *bed = *state;
    struct drive d;
    struct sl_error err = {0};
    struct sl_device_stats before = {0}, after = {0};
    drive_open(&d, &bed->cl, bed->set, 50);
    d.ex->ops->stats(d.ex, &before);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(d.ex->ops->canary(d.ex, &err), SL_OK);
    }
    add_all(bed, &d, 1);
    assert_true(drive_turn(&d));
    assert_int_equal(d.ex->ops->canary(d.ex, &err), -SL_AGAIN); /* something is half done */
    drive_all(&d);
    check_answers(bed, &d, 0, LINES);
    uint32_t seen = d.lines_seen;
    assert_int_equal(d.ex->ops->canary(d.ex, &err), SL_OK);
    assert_int_equal(d.lines_seen, seen);
    d.ex->ops->stats(d.ex, &after);
    assert_true(after.lines_total - before.lines_total == seen);
    if (bed->cl.is_cpu) { /* weights are used in place */
        const struct sl_model *m = sl_model_set_at(bed->set, 0);
        const unsigned char *data = m->layers[2][SL_LAYER_OUT_NORM_W].data;
        float *w = (float *)(void *)(m->packed + (data - m->packed)), saved = *w;
        *w = saved + 3;
        assert_int_equal(d.ex->ops->canary(d.ex, &err), -SL_DEVICE);
        assert_non_null(strstr(err.text, "known answer"));
        *w = saved;
        assert_int_equal(d.ex->ops->canary(d.ex, &err), SL_OK);
    }
    drive_close(&d);
}

/* With a mode comes one short launch, then the usual ones. */
static void test_opening(void **state) {
    struct bed *bed = *state;
    struct drive d;
    struct sl_error err = {0};
    drive_open(&d, &bed->cl, bed->set, 50);
    for (uint64_t epoch = 1; epoch < 3; epoch++) {
        drive_forget(&d);
        drive_command(&d, (struct sl_device_cmd){
                              .kind = SL_DEVCMD_MODE, .mode = SL_MODE_INFER, .epoch = epoch});
        add_all(bed, &d, epoch);
        for (uint32_t i = 0; i < 2; i++) {
            assert_int_equal(d.ex->ops->enqueue(d.ex, &d.launches[i], &err), 1);
            d.queued++;
            uint64_t kernels = d.launches[i].tag >> 16;
            assert_true(d.launches[i].opening == (i == 0));
            assert_true((kernels <= SL_INFER_OPENING_KERNELS) == (i == 0));
        }
        drive_all(&d);
        check_answers(bed, &d, 0, LINES);
    }
    drive_close(&d);
}

static void test_synthetic(void **state) {
    struct bed *bed = *state;
    struct drive d;
    drive_open(&d, &bed->cl, bed->set, 50);
    d.ex->ops->synthetic(d.ex, true);
    for (uint32_t i = 0; i < 20; i++) {
        assert_true(drive_turn(&d)); /* there is always something */
    }
    drive_stop(&d);
    for (uint32_t i = 0; i < 5; i++) {
        assert_true(drive_turn(&d));
    }
    d.ex->ops->synthetic(d.ex, false);
    drive_all(&d);
    assert_int_equal(d.lines_seen, 0);
    add_all(bed, &d, 1);
    drive_all(&d);
    check_answers(bed, &d, 0, LINES);
    drive_close(&d);
}

static int setup(void **state) {
    static struct bed bed;
    rig_open(&bed.cl, false, NULL);
    bed.set = rig_tiny_set(&SHAPE);
    rig_weights_open(&bed.weights, &SHAPE, SL_GGML_F32);
    bed.model = bed.weights.model;
    uint64_t seed = 1234;
    for (uint32_t i = 0; i < LINES; i++) {
        uint32_t n = 1 + (uint32_t)(rig_random(&seed) % 40);
        n = i % 29 == 0 ? SHAPE.n_ctx : n;
        bed.lines[i] =
            (struct sl_unit_line){.line = i, .n_ids = n, .ids = rig_ids(n, SHAPE.n_vocab, &seed)};
    }
    *state = &bed;
    return 0;
}

static int teardown(void **state) {
    struct bed *bed = *state;
    for (uint32_t i = 0; i < LINES; i++) {
        free((int32_t *)(uintptr_t)bed->lines[i].ids);
        free(bed->answers[i]);
    }
    rig_weights_close(&bed->weights);
    sl_model_set_destroy(bed->set);
    sl_cl_close(&bed->cl);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_results), /* first: the others compare with its answers */
        cmocka_unit_test(test_stops),          cmocka_unit_test(test_stops_gpu),
        cmocka_unit_test(test_short_launches), cmocka_unit_test(test_drop),
        cmocka_unit_test(test_epochs),         cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_two_models),     cmocka_unit_test(test_as_on_a_gpu),
        cmocka_unit_test(test_broken_device),  cmocka_unit_test(test_synthetic),
        cmocka_unit_test(test_opening),        cmocka_unit_test(test_broken_device),
        cmocka_unit_test(test_canary),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
