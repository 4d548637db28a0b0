/* SPDX-License-Identifier: Apache-2.0
 * A tenant's text through the tokenizer with a small vocabulary (vocab.txt). The first byte
 * chooses the limit. Ids are of the vocabulary, [CLS] and [SEP] stand at the ends, a limit that is
 * cut to gives the beginning of the full answer, and white space around changes nothing. */
#include "tests/fuzz/fuzz.h"

#include "agent/models/normalizer.h"
#include "agent/models/wordpiece.h"
#include "proto/base/text.h"
#include "tests/unit/agent/models/vocab_gguf.h"

#define TOKENS_MAX 4096

static struct sl_wordpiece *load(void) {
    SL_AUTO_BUF struct sl_buf bytes = {0};
    SL_AUTO(sl_gguf) file = NULL;
    struct sl_wordpiece *wp = NULL;
    fuzz_check(sl_test_vocab_gguf(SLUICE_FUZZ_DIR "/vocab.txt", &bytes, NULL) == SL_OK);
    fuzz_check(sl_gguf_open_memory(bytes.data, bytes.len, &file, NULL) == SL_OK);
    fuzz_check(sl_wordpiece_create(file, &wp, NULL) == SL_OK);
    return wp;
}

static uint32_t encode(const struct sl_wordpiece *wp, const char *text, size_t n, uint32_t most,
                       int32_t ids[TOKENS_MAX]) {
    uint32_t count = 0;
    struct sl_error err = {0};
    struct sl_wordpiece_limit limit = {.max_tokens = most, .truncate = true};
    fuzz_check(sl_wordpiece_encode(wp, text, n, limit, ids, &count, &err) == SL_OK);
    fuzz_check(count >= 2 && count <= most);
    for (uint32_t i = 0; i < count; i++) {
        fuzz_check(ids[i] >= 0 && (uint32_t)ids[i] < sl_wordpiece_vocab_size(wp));
    }
    return count;
}

static void check_truncation(const struct sl_wordpiece *wp, const char *text, size_t n,
                             uint32_t most, const int32_t *full, uint32_t count) {
    static int32_t ids[TOKENS_MAX];
    uint32_t cut = encode(wp, text, n, most, ids);
    fuzz_check(cut == (count < most ? count : most));
    fuzz_check(memcmp(ids, full, (cut - 1) * sizeof ids[0]) == 0);
    fuzz_check(ids[cut - 1] == full[count - 1]);
    uint32_t strict = 77;
    struct sl_error err = {0};
    struct sl_wordpiece_limit limit = {.max_tokens = most, .truncate = false};
    int rc = sl_wordpiece_encode(wp, text, n, limit, ids, &strict, &err);
    fuzz_check(rc == (count <= most ? SL_OK : -SL_LIMIT));
    fuzz_check(strict == (rc == SL_OK ? count : 77));
}

static void check_normalised(const char *text, size_t n) {
    struct sl_codepoints points = {0};
    fuzz_check(sl_normalize_bert(text, n, &points, NULL) == SL_OK);
    for (size_t i = 0; i < points.len; i++) {
        char back[4];
        uint32_t again = 0;
        fuzz_check(points.data[i] <= 0x10FFFF);
        fuzz_check(sl_utf8_decode(back, sl_utf8_encode(points.data[i], back), &again) > 0);
        fuzz_check(again == points.data[i]);
    }
    sl_codepoints_fini(&points);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct sl_wordpiece *wp;
    static int32_t full[TOKENS_MAX];
    static int32_t ids[TOKENS_MAX];
    struct fuzz_input in = {data, size};
    wp = wp ? wp : load();
    uint32_t most = 2 + fuzz_u8(&in) % 32u;
    if (in.left > 1000) { /* at most four ids a byte: a limit that is never reached */
        in.left = 1000;
    }
    char *text = (char *)fuzz_copy(in.at, in.left);
    if (!sl_utf8_valid(text, in.left)) {
        uint32_t count = 77;
        struct sl_wordpiece_limit limit = {.max_tokens = most, .truncate = true};
        fuzz_check(sl_wordpiece_encode(wp, text, in.left, limit, ids, &count, NULL) == -SL_INVALID);
        fuzz_check(count == 77);
    } else {
        uint32_t count = encode(wp, text, in.left, TOKENS_MAX, full);
        check_truncation(wp, text, in.left, most, full, count);
        check_normalised(text, in.left);
        SL_AUTO_BUF struct sl_buf wide = {0};
        sl_buf_printf(&wide, " \n");
        sl_buf_append(&wide, text, in.left);
        sl_buf_printf(&wide, "\t ");
        fuzz_check(encode(wp, wide.data, wide.len, TOKENS_MAX, ids) == count);
        fuzz_check(memcmp(ids, full, count * sizeof ids[0]) == 0);
    }
    free(text);
    return 0;
}
