/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/stratum/message.h"

#define PREV "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define LEAF "9c12cfdc04c74584d787ac3d23772132c18524bc7ab28dec4219b8fc5b425f70"

static int read_notify(const char *text, struct sl_job *draft, struct sl_error *err) {
    json_t *params = json_loads(text, 0, NULL);
    struct sl_notify_store store = {0};
    assert_non_null(params);
    int rc = sl_message_read_notify(params, &store, draft, err);
    if (rc == SL_OK) {
        assert_int_equal(draft->coinb1_size, store.coinb1.len);
    }
    sl_notify_store_fini(&store);
    json_decref(params);
    return rc;
}

static void a_good_job_is_read(void **state) {
    (void)state;
    struct sl_job draft = {0};
    assert_int_equal(read_notify("[\"a b\\u00e4\",\"" PREV "\",\"0102\",\"\",[\"" LEAF "\"],"
                                 "\"20000000\",\"1C2ac4af\",\"504e86b9\",true]",
                                 &draft, NULL),
                     SL_OK);
    assert_string_equal(draft.id, "a b\xc3\xa4");
    /* Each word of four bytes is turned round. */
    for (uint8_t i = 0; i < 32; i++) {
        assert_int_equal(draft.prevhash[i], i / 4 * 4 + 3 - i % 4);
    }
    assert_int_equal(draft.coinb1_size, 2);
    assert_int_equal(draft.coinb2_size, 0);
    assert_int_equal(draft.branch_count, 1);
    assert_int_equal(draft.version, 0x20000000);
    assert_int_equal(draft.nbits, 0x1c2ac4af);
    assert_int_equal(draft.ntime, 0x504e86b9);
    assert_true(draft.clean);
    assert_int_equal(read_notify("[\"j\",\"" PREV "\",\"\",\"00\",[],\"20000000\",\"1c2ac4af\","
                                 "\"504e86b9\"]",
                                 &draft, NULL),
                     SL_OK);
    assert_false(draft.clean); /* left out by some pools */
}

static const char *const good[9] = {"\"j\"",        "\"" PREV "\"", "\"00\"",       "\"00\"", "[]",
                                    "\"20000000\"", "\"1c2ac4af\"", "\"504e86b9\"", "false"};

/* One field wrong at a time. */
static void each_bad_field_of_a_job_is_named(void **state) {
    (void)state;
    static const struct {
        int field;
        const char *value, *names;
    } cases[] = {
        {0, "\"\"", "job id"},
        {0, "7", "job id"},
        {0, "null", "job id"},
        {1, "\"00\"", "prevhash"},
        {1, "\"" PREV "00\"", "prevhash"},
        {1, "[]", "prevhash"},
        {2, "\"0\"", "coinb1"},
        {2, "\"0g\"", "coinb1"},
        {2, "5", "coinb1"},
        {3, "\"abc\"", "coinb2"},
        {3, "null", "coinb2"},
        {4, "null", "merkle branch"},
        {4, "\"" LEAF "\"", "merkle branch"},
        {4, "[\"00\"]", "merkle branch"},
        {4, "[7]", "merkle branch"},
        {4, "[[]]", "merkle branch"},
        {5, "\"2000000\"", "version"},
        {5, "\"0x200000\"", "version"},
        {5, "536870912", "version"},
        {6, "\"1c2ac4a\"", "nbits"},
        {6, "null", "nbits"},
        {7, "\"504e86b99\"", "ntime"},
        {7, "1347323577", "ntime"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[1000] = "[";
        for (int f = 0; f < 9; f++) {
            strcat(text, f ? "," : "");
            strcat(text, f == cases[i].field ? cases[i].value : good[f]);
        }
        strcat(text, "]");
        struct sl_job draft = {0};
        struct sl_error err = {0};
        assert_int_equal(read_notify(text, &draft, &err), -SL_INVALID);
        assert_true(strstr(err.text, cases[i].names));
    }
    struct sl_job draft = {0};
    assert_int_equal(read_notify("[]", &draft, NULL), -SL_INVALID);
}

static void clean_jobs_of_every_kind(void **state) {
    (void)state;
    static const struct {
        const char *value;
        bool clean;
    } cases[] = {
        {"true", true},  {"1", true},      {"1.0", true},    {"\"true\"", true},
        {"\"1\"", true}, {"false", false}, {"0", false},     {"null", false},
        {"\"\"", false}, {"[]", false},    {"\"0\"", false}, {"\"false\"", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[1000] = "[";
        for (int f = 0; f < 8; f++) {
            strcat(text, good[f]);
            strcat(text, ",");
        }
        strcat(text, cases[i].value);
        strcat(text, "]");
        struct sl_job draft = {.clean = !cases[i].clean};
        assert_int_equal(read_notify(text, &draft, NULL), SL_OK);
        assert_int_equal(draft.clean, cases[i].clean);
    }
}

static void sizes_of_a_job_are_limited(void **state) {
    (void)state;
    struct sl_job draft = {0};
    struct sl_buf text = {0};
    sl_buf_printf(&text,
                  "[\"%0*d\",\"" PREV "\",\"\",\"\",[],\"20000000\",\"1c2ac4af\","
                  "\"504e86b9\",true]",
                  SL_JOB_ID_MAX, 1);
    assert_int_equal(read_notify(text.data, &draft, NULL), SL_OK);
    assert_int_equal(strlen(draft.id), SL_JOB_ID_MAX);
    text.len = 0;
    sl_buf_printf(&text,
                  "[\"%0*d\",\"" PREV "\",\"\",\"\",[],\"20000000\",\"1c2ac4af\","
                  "\"504e86b9\",true]",
                  SL_JOB_ID_MAX + 1, 1);
    assert_int_equal(read_notify(text.data, &draft, NULL), -SL_INVALID);
    text.len = 0;
    sl_buf_printf(&text,
                  "[\"j\",\"" PREV "\",\"%0*d\",\"\",[],\"20000000\",\"1c2ac4af\","
                  "\"504e86b9\",true]",
                  2 * SL_JOB_COINBASE_MAX + 2, 0);
    assert_int_equal(read_notify(text.data, &draft, NULL), -SL_LIMIT);
    for (int branches = SL_JOB_BRANCHES_MAX; branches <= SL_JOB_BRANCHES_MAX + 1; branches++) {
        text.len = 0;
        sl_buf_printf(&text, "[\"j\",\"" PREV "\",\"\",\"\",[");
        for (int i = 0; i < branches; i++) {
            sl_buf_printf(&text, "%s\"" LEAF "\"", i ? "," : "");
        }
        sl_buf_printf(&text, "],\"20000000\",\"1c2ac4af\",\"504e86b9\",true]");
        assert_int_equal(read_notify(text.data, &draft, NULL),
                         branches <= SL_JOB_BRANCHES_MAX ? SL_OK : -SL_INVALID);
    }
    sl_buf_fini(&text);
}

static void difficulties_of_every_type(void **state) {
    (void)state;
    static const struct {
        const char *params;
        int rc;
        double value;
    } cases[] = {
        {"[1]", SL_OK, 1},
        {"[0.001]", SL_OK, 0.001},
        {"[1e-7,\"more\"]", SL_OK, 1e-7},
        {"[65536.0]", SL_OK, 65536},
        {"[0]", -SL_INVALID, 0},
        {"[-1]", -SL_INVALID, 0},
        {"[-0.5]", -SL_INVALID, 0},
        {"[0.0]", -SL_INVALID, 0},
        {"[\"1\"]", -SL_INVALID, 0},
        {"[null]", -SL_INVALID, 0},
        {"[]", -SL_INVALID, 0},
        {"[[1]]", -SL_INVALID, 0},
        {"[true]", -SL_INVALID, 0},
        {"[1e300]", -SL_LIMIT, 0},
        {"[1e-300]", -SL_LIMIT, 0},
        {"[4294967296]", -SL_LIMIT, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        json_t *params = json_loads(cases[i].params, 0, NULL);
        struct sl_difficulty difficulty;
        struct sl_error err = {0};
        assert_int_equal(sl_message_read_difficulty(params, &difficulty, &err), cases[i].rc);
        assert_true(cases[i].rc == SL_OK ? sl_difficulty_to_double(difficulty) == cases[i].value
                                         : strstr(err.text, "difficulty") != NULL);
        json_decref(params);
    }
    struct sl_difficulty difficulty;
    assert_int_equal(sl_message_read_difficulty(NULL, &difficulty, NULL), -SL_INVALID);
}

static void extranonces_of_every_size(void **state) {
    (void)state;
    static const struct {
        const char *array;
        int rc, size1, size2;
    } cases[] = {
        {"[\"08000002\",4]", SL_OK, 4, 4},
        {"[\"\",1]", SL_OK, 0, 1},
        {"[\"AaBb\",16]", SL_OK, 2, 16},
        {"[\"0\",4]", -SL_INVALID, 0, 0},
        {"[\"zz\",4]", -SL_INVALID, 0, 0},
        {"[7,4]", -SL_INVALID, 0, 0},
        {"[\"aa\"]", -SL_INVALID, 0, 0},
        {"[\"aa\",0]", -SL_INVALID, 0, 0},
        {"[\"aa\",17]", -SL_INVALID, 0, 0},
        {"[\"aa\",-1]", -SL_INVALID, 0, 0},
        {"[\"aa\",4294967300]", -SL_INVALID, 0, 0},
        {"[\"aa\",4.0]", -SL_INVALID, 0, 0},
        {"[\"aa\",\"4\"]", -SL_INVALID, 0, 0},
        {"[\"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20\",4]", -SL_INVALID,
         0, 0},
        {"{}", -SL_INVALID, 0, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        json_t *array = json_loads(cases[i].array, 0, NULL);
        struct sl_job_terms terms = {.extranonce1_size = 99};
        assert_int_equal(sl_message_read_extranonce(array, 0, &terms, NULL), cases[i].rc);
        assert_int_equal(terms.extranonce1_size, cases[i].rc == SL_OK ? cases[i].size1 : 99);
        assert_int_equal(terms.extranonce2_size, cases[i].size2);
        json_decref(array);
    }
}

/* The session's own id, never a cut one, which would be somebody else's. */
static void a_session_id_is_whole_or_none(void **state) {
    (void)state;
    char out[8];
    json_t *result = json_loads("[[[\"mining.notify\",\"1234567\"]]]", 0, NULL);
    sl_message_read_session_id(result, out, sizeof out);
    assert_string_equal(out, "1234567");
    json_decref(result);
    result = json_loads("[[[\"mining.notify\",\"12345678\"]]]", 0, NULL);
    sl_message_read_session_id(result, out, sizeof out);
    assert_string_equal(out, "");
    json_decref(result);
    sl_message_read_session_id(NULL, out, sizeof out);
    assert_string_equal(out, "");
}

static void masks_of_every_kind(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int rc;
        uint32_t mask;
    } cases[] = {
        {"\"1fffe000\"", SL_OK, 0x1fffe000},
        {"\"1FFFE000\"", SL_OK, 0x1fffe000},
        {"\"0x1fffe000\"", SL_OK, 0x1fffe000},
        {"\"e000\"", SL_OK, 0xe000},
        {"\"0\"", SL_OK, 0},
        {"\"ffffffff\"", SL_OK, 0xffffffff},
        {"\"01fffe000\"", -SL_INVALID, 7},
        {"\"\"", -SL_INVALID, 7},
        {"\"0x\"", -SL_INVALID, 7},
        {"\"-1\"", -SL_INVALID, 7},
        {"\" 1fffe000\"", -SL_INVALID, 7},
        {"\"1fffe000 \"", -SL_INVALID, 7},
        {"536862720", -SL_INVALID, 7},
        {"null", -SL_INVALID, 7},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char line[200];
        struct sl_message message;
        bool rolling = false;
        uint32_t mask = 7;
        int n = snprintf(line, sizeof line,
                         "{\"id\":1,\"result\":{\"version-rolling\":true,"
                         "\"version-rolling.mask\":%s}}",
                         cases[i].text);
        assert_int_equal(sl_message_parse(line, (size_t)n, &message, NULL), SL_OK);
        assert_int_equal(sl_message_read_configure(&message, &rolling, &mask, NULL), cases[i].rc);
        assert_int_equal(rolling, cases[i].rc == SL_OK);
        assert_int_equal(mask, cases[i].mask);
        sl_message_fini(&message);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_job_is_read),
        cmocka_unit_test(each_bad_field_of_a_job_is_named),
        cmocka_unit_test(clean_jobs_of_every_kind),
        cmocka_unit_test(sizes_of_a_job_are_limited),
        cmocka_unit_test(difficulties_of_every_type),
        cmocka_unit_test(extranonces_of_every_size),
        cmocka_unit_test(a_session_id_is_whole_or_none),
        cmocka_unit_test(masks_of_every_kind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
