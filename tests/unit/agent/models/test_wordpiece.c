/* SPDX-License-Identifier: Apache-2.0
 * WordPiece against ids that HuggingFace's tokenizer gave for the same texts, and its limits. */
#include "agent/models/wordpiece.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "proto/base/text.h"
#include "tests/unit/agent/models/vocab_gguf.h"

#define MAX_TEXT 16384
#define MAX_IDS 8192

static const struct sl_wordpiece_limit plenty = {MAX_IDS, false};

struct sample {
    char text[MAX_TEXT];
    size_t n_text;
    int32_t ids[MAX_IDS];
    uint32_t n_ids;
};

static bool next_sample(FILE *in, char **line, size_t *cap, struct sample *ret) {
    do {
        if (getline(line, cap, in) <= 0) {
            return false;
        }
    } while ((*line)[0] == '#');
    char *ids = strchr(*line, ' ');
    assert_non_null(ids);
    *ids++ = '\0';
    ret->n_text = (*line)[0] == '-' ? 0 : strlen(*line) / 2;
    assert_true(ret->n_text < MAX_TEXT);
    if (ret->n_text) {
        assert_int_equal(sl_hex_decode(*line, (uint8_t *)ret->text, ret->n_text), SL_OK);
    }
    ret->n_ids = 0;
    for (char *end = ids; *end && *end != '\n'; ids = end + 1) {
        assert_true(ret->n_ids < MAX_IDS);
        ret->ids[ret->n_ids++] = (int32_t)strtol(ids, &end, 10);
    }
    return true;
}

static void check_sample(const struct sl_wordpiece *wp, const struct sample *want, size_t row) {
    int32_t ids[MAX_IDS];
    uint32_t n = 0;
    struct sl_error err = {0};
    int rc = sl_wordpiece_encode(wp, want->text, want->n_text, plenty, ids, &n, &err);
    if (rc || n != want->n_ids || memcmp(ids, want->ids, n * sizeof ids[0]) != 0) {
        fail_msg("text %zu: status %d (%s), %u ids, expected %u", row, rc, err.text, n,
                 want->n_ids);
    }
}

/* All samples of the fixture; returns their number. */
static size_t check_all(const struct sl_wordpiece *wp) {
    SL_AUTO_FILE FILE *in = fopen(SLUICE_FIXTURES "/models/wordpiece.txt", "re");
    SL_AUTO_FREE struct sample *sample = calloc(1, sizeof *sample);
    SL_AUTO_FREE char *line = NULL;
    size_t cap = 0;
    size_t count = 0;
    assert_non_null(in);
    assert_non_null(sample);
    while (next_sample(in, &line, &cap, sample)) {
        check_sample(wp, sample, count++);
    }
    return count;
}

static int load(void **state) {
    struct sl_wordpiece *wp = NULL;
    struct sl_gguf *file = NULL;
    SL_AUTO_BUF struct sl_buf bytes = {0};
    struct sl_error err = {0};
    if (sl_test_vocab_gguf(SLUICE_FIXTURES "/models/vocab.txt", &bytes, &err) ||
        sl_gguf_open_memory(bytes.data, bytes.len, &file, &err) ||
        sl_wordpiece_create(file, &wp, &err)) {
        print_error("%s\n", err.text);
        return -1;
    }
    /* The tokenizer keeps nothing of the file. */
    sl_gguf_close(file);
    *state = wp;
    return 0;
}

static int unload(void **state) {
    sl_wordpiece_destroy(*state);
    return 0;
}

static void test_as_huggingface(void **state) {
    assert_int_equal(sl_wordpiece_vocab_size(*state), 30522);
    assert_int_equal(check_all(*state), 300);
}

static void *check_in_thread(void *wp) {
    return (void *)(check_all(wp) == 300 ? wp : NULL);
}

static void test_threads_share_it(void **state) {
    pthread_t threads[4];
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, check_in_thread, *state), 0);
    }
    for (size_t i = 0; i < 4; i++) {
        void *result = NULL;
        pthread_join(threads[i], &result);
        assert_ptr_equal(result, *state);
    }
}

static void test_limits(void **state) {
    static const char text[] = "one two three four five"; /* 5 pieces, 7 tokens */
    static const struct {
        uint32_t max_tokens;
        bool truncate;
        int status;
        uint32_t count;
        const char *why;
    } rows[] = {
        {7, false, SL_OK, 7, "exactly full"},
        {8, false, SL_OK, 7, "room left"},
        {6, false, -SL_LIMIT, 0, "one too many"},
        {2, false, -SL_LIMIT, 0, "room for nothing but the frame"},
        {6, true, SL_OK, 6, "the last piece is cut, [SEP] stays"},
        {2, true, SL_OK, 2, "only the frame is left"},
        {1, true, -SL_INVALID, 0, "the frame does not fit"},
        {0, false, -SL_INVALID, 0, "no limit was set"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct sl_wordpiece_limit limit = {rows[i].max_tokens, rows[i].truncate};
        struct sl_error err = {0};
        int32_t *ids = calloc(rows[i].max_tokens + 1, sizeof *ids);
        uint32_t n = 99;
        assert_non_null(ids);
        int rc = sl_wordpiece_encode(*state, text, strlen(text), limit, ids, &n, &err);
        if (rc != rows[i].status || n != (rc ? 99 : rows[i].count)) {
            fail_msg("%s: %d, %u", rows[i].why, rc, n);
        }
        if (rc == SL_OK) {
            assert_int_equal(ids[0], 101);
            assert_int_equal(ids[n - 1], 102);
        }
        if (rc == -SL_LIMIT) {
            assert_non_null(strstr(err.text, "7 tokens"));
            assert_null(strstr(err.text, "three")); /* never the tenant's words */
        }
        free(ids);
    }
}

/* Ids with and without special pieces at their ends give what the text gives. */
static void test_wrap(void **state) {
    const struct sl_wordpiece *wp = *state;
    struct sl_wordpiece_limit limit = {8, false};
    static const struct {
        uint32_t ids[8], n;
        int32_t want[8];
        uint32_t count;
        const char *why;
    } rows[] = {
        {{2000, 2001}, 2, {101, 2000, 2001, 102}, 4, "bare"},
        {{101, 2000, 2001, 102}, 4, {101, 2000, 2001, 102}, 4, "whole"},
        {{101, 2000}, 2, {101, 2000, 102}, 3, "no end"},
        {{2000, 102}, 2, {101, 2000, 102}, 3, "no beginning"},
        {{101}, 1, {101, 102}, 2, "a beginning alone"},
        {{102}, 1, {101, 102}, 2, "an end alone"},
        {{102, 101}, 2, {101, 102, 101, 102}, 4, "the wrong way round"},
        {{5, 5, 5, 5, 5, 5}, 6, {101, 5, 5, 5, 5, 5, 5, 102}, 8, "exactly full"},
        {{101, 5, 5, 5, 5, 5, 5, 102}, 8, {101, 5, 5, 5, 5, 5, 5, 102}, 8, "full and whole"},
    };
    int32_t ids[8];
    uint32_t n = 0;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (sl_wordpiece_wrap(wp, rows[i].ids, rows[i].n, limit, ids, &n, NULL) != SL_OK ||
            n != rows[i].count || memcmp(ids, rows[i].want, n * sizeof *ids) != 0) {
            fail_msg("%s: %u", rows[i].why, n);
        }
    }
    static const uint32_t seven[] = {5, 5, 5, 5, 5, 5, 6};
    struct sl_error err = {0};
    assert_int_equal(sl_wordpiece_wrap(wp, seven, 7, limit, ids, &n, &err), -SL_LIMIT);
    assert_int_equal(n, 9);
    assert_non_null(strstr(err.text, "9 tokens"));
    limit.truncate = true;
    assert_int_equal(sl_wordpiece_wrap(wp, seven, 7, limit, ids, &n, &err), SL_OK);
    assert_int_equal(n, 8);
    assert_int_equal(ids[6], 5);
    assert_int_equal(ids[7], 102);
    const uint32_t outside[] = {5, sl_wordpiece_vocab_size(wp)};
    assert_int_equal(sl_wordpiece_wrap(wp, outside, 2, limit, ids, &n, &err), -SL_INVALID);
    assert_int_equal(sl_wordpiece_wrap(wp, outside, 0, limit, ids, &n, &err), -SL_INVALID);
    limit.max_tokens = 2;
    assert_int_equal(sl_wordpiece_wrap(wp, seven, 7, limit, ids, &n, &err), SL_OK);
    assert_int_equal(n, 2);
}

/* Truncation keeps a beginning of the full encoding, whatever is cut in two. */
static void test_truncated_is_a_beginning(void **state) {
    static const char text[] = "[SEP]unaffable \xe6\xbc\xa2\xe5\xad\x97[MASK] co-operate, 123!";
    int32_t full[64];
    uint32_t n = 0;
    assert_int_equal(sl_wordpiece_encode(*state, text, strlen(text),
                                         (struct sl_wordpiece_limit){64, false}, full, &n, NULL),
                     SL_OK);
    for (uint32_t max = 2; max <= n + 2; max++) {
        int32_t ids[64];
        uint32_t count = 0;
        assert_int_equal(sl_wordpiece_encode(*state, text, strlen(text),
                                             (struct sl_wordpiece_limit){max, true}, ids, &count,
                                             NULL),
                         SL_OK);
        assert_int_equal(count, max < n ? max : n);
        assert_memory_equal(ids, full, (count - 1) * sizeof ids[0]);
        assert_int_equal(ids[count - 1], 102);
    }
}

static void test_bad_text(void **state) {
    static const struct {
        const char *text;
        size_t n;
        const char *why;
    } rows[] = {
        {"\xff", 1, "no such lead byte"},       {"a\xc3", 2, "cut in a code point"},
        {"\xed\xa0\x80", 3, "a surrogate"},     {"\xc0\x80", 2, "an overlong NUL"},
        {"\xf4\x90\x80\x80", 4, "over 10FFFF"}, {"ok \x80", 4, "a lone continuation"},
    };
    int32_t ids[64];
    uint32_t n = 99;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int rc = sl_wordpiece_encode(*state, rows[i].text, rows[i].n,
                                     (struct sl_wordpiece_limit){64, true}, ids, &n, NULL);
        if (rc != -SL_INVALID || n != 99) {
            fail_msg("%s: %d", rows[i].why, rc);
        }
    }
}

/* A text at the byte limit, made of what costs most: one run of marks that stay, in falling order
 * of class, so that all of them are sorted. */
static void test_huge_text(void **state) {
    size_t n = SL_WORDPIECE_MAX_TEXT_BYTES;
    SL_AUTO_FREE char *text = malloc(n + 1);
    int32_t ids[16];
    uint32_t count = 0;
    size_t at = 0;
    assert_non_null(text);
    memset(text, ' ', n + 1);
    for (; at < n / 2; at += 3) {
        memcpy(text + at, "\xe3\x80\xaf", 3); /* U+302F, class 224 */
    }
    for (; at + 4 <= n; at += 4) {
        memcpy(text + at, "\xf0\x9d\x85\xa5", 4); /* U+1D165, class 216 */
    }
    assert_int_equal(sl_wordpiece_encode(*state, text, n, (struct sl_wordpiece_limit){16, false},
                                         ids, &count, NULL),
                     SL_OK);
    assert_int_equal(count, 3); /* one word, far too long */
    assert_int_equal(ids[1], 100);
    assert_int_equal(sl_wordpiece_encode(*state, text, n + 1, (struct sl_wordpiece_limit){16, true},
                                         ids, &count, NULL),
                     -SL_LIMIT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_as_huggingface),
        cmocka_unit_test(test_threads_share_it),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_wrap),
        cmocka_unit_test(test_truncated_is_a_beginning),
        cmocka_unit_test(test_bad_text),
        cmocka_unit_test(test_huge_text),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
