/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/broker/backtest/folder.h"

#include "broker/policy/document.h"
#include "tests/unit/schedulers/constants.h"

static const struct sl_quote_limits shipped_quote = {.outlier_ppm = 250000,
                                                     .disagree_ppm = 100000,
                                                     .jump_ppm = 2000000,
                                                     .confirm_ms = 600000,
                                                     .floor_nano = 10000000};

static const struct sl_calibration_limits shipped_calibration = {200000, 500000, 1500000};

/* The document that is shipped, an empty one and the code say the same. */
static void the_shipped_document_has_the_shipped_constants(void **state) {
    struct sl_policy_document params;
    struct sl_error err;
    memset(&params, 0xff, sizeof params);
    if (sl_policy_document_read(SLUICE_SOURCE_DIR "/deploy/config/policy.yaml", &params, &err)) {
        fail_msg("%s", err.text);
    }
    assert_memory_equal(&params.switching, &shipped_constants, sizeof shipped_constants);
    struct sl_policy_document shipped;
    memset(&shipped, 0, sizeof shipped);
    sl_policy_document_default(&shipped);
    assert_memory_equal(&params, &shipped, sizeof shipped);
    assert_memory_equal(&params.quote, &shipped_quote, sizeof shipped_quote);
    assert_memory_equal(&params.calibration, &shipped_calibration, sizeof shipped_calibration);
    memset(&params, 0xff, sizeof params);
    const char *path = folder_put(*state, "empty.yaml", "fbf:\n  theta: 2\n");
    assert_int_equal(sl_policy_document_read(path, &params, &err), 0);
    assert_memory_equal(&params.switching, &shipped_constants, sizeof shipped_constants);
    assert_memory_equal(&params.quote, &shipped_quote, sizeof shipped_quote);
    assert_memory_equal(&params.calibration, &shipped_calibration, sizeof shipped_calibration);
}

static void what_is_printed_reads_back(void **state) {
    struct sl_policy_document params;
    struct sl_policy_document again;
    struct sl_error err;
    sl_policy_document_default(&params);
    params.switching.theta_ppm = 1234567;
    params.switching.horizon_ms = 90 * 60000;
    params.switching.clip = 7;
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    sl_policy_document_print(out, &params);
    fclose(out);
    const char *path = folder_put(*state, "again.yaml", text);
    assert_int_equal(sl_policy_document_read(path, &again, &err), 0);
    assert_memory_equal(&again, &params, sizeof params);
    free(text);
}

static void a_rate_card(void **state) {
    struct sl_policy_document params;
    struct sl_error err;
    const char *path = folder_put(*state, "card.yaml",
                                  "stress:\n  lease: -100\n  fixed: 1000.5\nrates:\n"
                                  "  - usd_per_mtok: 0.01\n"
                                  "  - model: m\n    class: \"NVIDIA H100*\"\n    tenant: acme\n"
                                  "    usd_per_mtok: 0.02\n");
    assert_int_equal(sl_policy_document_read(path, &params, &err), 0);
    assert_int_equal(params.stress.lease_change_ppm, -1000000);
    assert_int_equal(params.stress.fixed_nusd, INT64_C(1000500000000));
    assert_int_equal(params.rate_count, 2);
    assert_string_equal(params.rates[0].tenant, "*");
    assert_string_equal(params.rates[1].class_, "NVIDIA H100*");
    assert_int_equal(params.rates[1].nusd_per_mtok, 20000000);
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    sl_policy_document_print(out, &params);
    fclose(out);
    struct sl_policy_document again;
    path = folder_put(*state, "printed.yaml", text);
    assert_int_equal(sl_policy_document_read(path, &again, &err), 0);
    assert_memory_equal(&again, &params, sizeof params);
    free(text);
    char one[SL_POLICY_VERSION_MAX];
    char two[SL_POLICY_VERSION_MAX];
    sl_policy_document_version(&params, one);
    again.rates[1].nusd_per_mtok++;
    sl_policy_document_version(&again, two);
    assert_string_not_equal(one, two);
    path = folder_put(*state, "tie.yaml", "rates:\n  - usd_per_mtok: 1\n  - usd_per_mtok: 2\n");
    assert_int_equal(sl_policy_document_read(path, &params, &err), -SL_INVALID);
    assert_non_null(strstr(err.text, "tie.yaml: rates: rows 1 "));
}

static void bad_documents(void **state) {
    static const char *const cases[] = {
        "fbf:\n  theta: 0\n",
        "fbf:\n  kz: -1\n",
        "fbf:\n  horizon: 4\n",
        "fbf:\n  thetta: 2\n",
        "fbf:\n  lag: 1\n",
        "fbf:\n  memory: 2 weeks\n",
        "minimum_time:\n  span: 10",
        "percent:\n  advantage: 3 %\n",
        "feeds:\n  outlier: 25 %\n",
        "feeds:\n  confirm: 10\n",
        "feeds:\n  jump: -2\n",
        "feeds:\n  power_floor: x\n",
        "stress:\n  lease: -101\n",
        "stress:\n  power: x3\n",
        "exposure:\n  coin_max: 101\n",
        "risk:\n  hash: -1\n",
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct sl_policy_document params;
        struct sl_error err;
        const char *path = folder_put(*state, "bad.yaml", cases[i]);
        assert_int_equal(sl_policy_document_read(path, &params, &err), -SL_INVALID);
        assert_non_null(strstr(err.text, "bad.yaml:2: "));
    }
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, folder_make, folder_remove)
    const struct CMUnitTest tests[] = {
        TEST(the_shipped_document_has_the_shipped_constants),
        TEST(what_is_printed_reads_back),
        TEST(a_rate_card),
        TEST(bad_documents),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
