/* SPDX-License-Identifier: Apache-2.0
 * The real all-MiniLM-L6-v2 from text to vector against float64, where its file is at hand: the
 * environment variable SLUICE_TEST_MODEL, else build/models below the sources (deploy/get-models.sh
 * puts it there). */
#include "agent/executors/infer_reference.h"
#include "tests/unit/agent/executors/infer_drive.h"

#ifdef SLUICE_EXPECT_ASAN
#define TEXTS 15u /* the reference takes most of the time: a second a text when it is checked */
#else
#define TEXTS 60u
#endif
#define TOKENS_MAX 256u

/* Texts of many scripts; the others of the TEXTS are pairs of them. */
static const char *const BASE[] = {
    "The quick brown fox jumps over the lazy dog.",
    "A sluice steers water, and it is where gold is washed out.",
    "Caf\u00e9, na\u00efve, co\u00f6perate, \u00c5ngstr\u00f6m, Stra\u00dfe",
    "\u041c\u043e\u0441\u043a\u0432\u0430 \u2014 \u0441\u0442\u043e\u043b\u0438\u0446\u0430",
    "\u0391\u03b8\u03ae\u03bd\u03b1, \u03c0\u03c1\u03c9\u03c4\u03b5\u03cd\u03bf\u03c5\u03c3\u03b1",
    "\u6771\u4eac\u306f\u65e5\u672c\u306e\u9996\u90fd\u3067\u3059\u3002",
    "\u5317\u4eac\u662f\u4e2d\u56fd\u7684\u9996\u90fd",
    "\uc11c\uc6b8\uc740 \ub300\ud55c\ubbfc\uad6d\uc758 \uc218\ub3c4",
    "\u0627\u0644\u0642\u0627\u0647\u0631\u0629 \u0639\u0627\u0635\u0645\u0629 \u0645\u0635\u0631",
    "\u05d9\u05e8\u05d5\u05e9\u05dc\u05d9\u05dd",
    "\u0926\u093f\u0932\u094d\u0932\u0940 \u092d\u093e\u0930\u0924",
    "\u0e01\u0e23\u0e38\u0e07\u0e40\u0e17\u0e1e",
    "price: $0.05 per 1,000,000 tokens (\u20ac0.046)",
    "\U0001f680\U0001f525 launch!! \U0001f44d\U0001f3fd",
    "x = a[i] * b[i] + c; // fused",
    "pneumonoultramicroscopicsilicovolcanoconiosis",
    "[MASK] is a special piece, [SEP] too",
    "tabs\tand\nlines\r\nand   spaces",
    "a",
    "",
};
#define BASE_COUNT (sizeof BASE / sizeof *BASE)

static bool find_model(char *path, size_t size) {
    const char *named = getenv("SLUICE_TEST_MODEL");
    snprintf(path, size, "%s",
             named ? named : SLUICE_SOURCE_DIR "/build/models/all-MiniLM-L6-v2.gguf");
    return access(path, R_OK) == 0;
}

static void test_real_model(void **state) {
    (void)state;
    struct sl_model_config config = {.id = "real", .max_tokens = TOKENS_MAX};
    if (!find_model(config.path, sizeof config.path)) {
        print_message("no model file: run deploy/get-models.sh or set SLUICE_TEST_MODEL\n");
        skip();
    }
    struct sl_model_set *set = NULL;
    struct sl_error err = {0};
    if (sl_model_set_load(&config, 1, &set, &err) != SL_OK) {
        fail_msg("%s", err.text);
    }
    struct sl_cl cl;
    static struct drive d;
    rig_open(&cl, false, NULL);
    drive_open(&d, &cl, set, 50);

    static int32_t ids[TEXTS][TOKENS_MAX];
    struct sl_unit_line lines[TEXTS];
    for (uint32_t i = 0; i < TEXTS; i++) {
        char text[512];
        const char *second = i < BASE_COUNT ? "" : BASE[(i * 7) % BASE_COUNT];
        int n = snprintf(text, sizeof text, "%s %s", BASE[i % BASE_COUNT], second);
        uint32_t count = 0;
        assert_int_equal(sl_model_set_tokenize(set, "real", text, (size_t)n, ids[i], &count, &err),
                         SL_OK);
        lines[i] = (struct sl_unit_line){.line = i, .n_ids = count, .ids = ids[i]};
    }
    drive_add(&d, drive_unit(1, 1, "real", lines, TEXTS));
    d.stops = cl.stop_method == SL_STOP_NONE ? 0 : 10;
    d.stop_us_max = 10000;
    drive_all(&d);
    SL_AUTO(sl_gguf) file = NULL;
    SL_AUTO(sl_bert_model) m = NULL;
    assert_int_equal(sl_gguf_open(config.path, &file, &err), SL_OK);
    assert_int_equal(sl_bert_model_load(file, &m, &err), SL_OK);
    double *want = calloc(m->config.n_embd, sizeof *want), worst = 0;
    assert_non_null(want);
    for (uint32_t i = 0; i < TEXTS; i++) {
        assert_int_equal(d.lines[i].status, SL_OK);
        assert_int_equal(sl_ref64_embed(m, ids[i], lines[i].n_ids, want), 0);
        worst = fmax(worst, rig_gap(d.lines[i].vector, want, m->config.n_embd));
    }
    print_message("%u texts, worst 1 - cosine %.2g\n", TEXTS, worst);
    assert_true(worst <= 1e-6);
    free(want);
    drive_close(&d);
    sl_cl_close(&cl);
    sl_model_set_destroy(set);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_real_model)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
