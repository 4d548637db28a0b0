/* SPDX-License-Identifier: Apache-2.0
 * BERT's text normaliser over utf8proc's tables. */
#include "agent/models/normalizer.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "agent/models/unicode_tables.h"

/* A canonical decomposition has at most 4 code points. */
#define MAX_DECOMPOSED 8

/* Marks between two starters wait here until their order is known. */
struct stage {
    struct sl_codepoints *out;
    uint64_t *marks; /* combining class, arrival and code point, so that sorting is stable */
    size_t n_marks;
    size_t cap_marks;
    bool failed;
};

void sl_codepoints_fini(struct sl_codepoints *points) {
    free(points->data);
    *points = (struct sl_codepoints){0};
}

size_t sl_utf8_decode(const char *text, size_t n, uint32_t *ret_codepoint) {
    const unsigned char *p = (const unsigned char *)text;
    if (p[0] < 0x80) {
        *ret_codepoint = p[0];
        return 1;
    }
    size_t len = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
    uint32_t value = p[0] & (0xffU >> (len + 1));
    sl_assert(len <= n); /* the caller has checked the whole text */
    for (size_t i = 1; i < len; i++) {
        value = value << 6 | (p[i] & 0x3fU);
    }
    *ret_codepoint = value;
    return len;
}

size_t sl_utf8_encode(uint32_t c, char *out) {
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    size_t len = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = len - 1; i > 0; i--) {
        out[i] = (char)(0x80U | (c & 0x3fU));
        c >>= 6;
    }
    out[0] = (char)((0xf00U >> len & 0xffU) | c);
    return len;
}

/* The White_Space property (stable since Unicode 6.3). */
bool sl_bert_is_space(uint32_t c) {
    return c == ' ' || (c >= 0x09 && c <= 0x0d) || c == 0x85 || c == 0xa0 || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f ||
           c == 0x205f || c == 0x3000;
}

bool sl_bert_is_punctuation(uint32_t c) {
    if (c < 0x80) {
        return (c >= '!' && c <= '/') || (c >= ':' && c <= '@') || (c >= '[' && c <= '`') ||
               (c >= '{' && c <= '~');
    }
    return sl_unicode_is_punctuation(c);
}

/* Cc, Cf, Co and U+FFFD go; unassigned code points stay. */
static bool is_dropped(uint32_t c) {
    if (c == '\t' || c == '\n' || c == '\r') {
        return false;
    }
    if (c < 0x80) {
        return c < 0x20 || c == 0x7f;
    }
    return sl_unicode_is_dropped(c);
}

/* The last range begins at 2B920, not at Unicode's 2B820: so it stands in the code that models were
 * trained with. */
static bool is_cjk(uint32_t c) {
    return (c >= 0x4e00 && c <= 0x9fff) || (c >= 0x3400 && c <= 0x4dbf) ||
           (c >= 0x20000 && c <= 0x2a6df) || (c >= 0x2a700 && c <= 0x2b73f) ||
           (c >= 0x2b740 && c <= 0x2b81f) || (c >= 0x2b920 && c <= 0x2ceaf) ||
           (c >= 0xf900 && c <= 0xfaff) || (c >= 0x2f800 && c <= 0x2fa1f);
}

static void push(struct stage *stage, uint32_t c) {
    struct sl_codepoints *out = stage->out;
    if (out->len == out->cap) {
        size_t cap = out->cap ? 2 * out->cap : 256;
        uint32_t *grown = reallocarray(out->data, cap, sizeof *grown);
        if (!grown) {
            stage->failed = true;
            return;
        }
        out->data = grown;
        out->cap = cap;
    }
    out->data[out->len++] = c;
}

static int compare_marks(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* Lower case by code point: a capital sigma at a word's end becomes the common small sigma. */
static void emit(struct stage *stage, uint32_t c) {
    if (c < 0x80) {
        push(stage, c >= 'A' && c <= 'Z' ? c + 32 : c);
    } else {
        push(stage, sl_unicode_late_lower((uint32_t)utf8proc_tolower((utf8proc_int32_t)c)));
    }
}

static void flush_marks(struct stage *stage) {
    if (stage->n_marks > 1) {
        qsort(stage->marks, stage->n_marks, sizeof *stage->marks, compare_marks);
    }
    for (size_t i = 0; i < stage->n_marks; i++) {
        emit(stage, (uint32_t)(stage->marks[i] & 0x1fffff));
    }
    stage->n_marks = 0;
}

static void hold_mark(struct stage *stage, uint32_t class, uint32_t c) {
    if (stage->n_marks == stage->cap_marks) {
        size_t cap = stage->cap_marks ? 2 * stage->cap_marks : 32;
        uint64_t *grown = reallocarray(stage->marks, cap, sizeof *grown);
        if (!grown) {
            stage->failed = true;
            return;
        }
        stage->marks = grown;
        stage->cap_marks = cap;
    }
    /* 8 bits of class, 35 of arrival, 21 of code point. */
    uint64_t arrival = stage->n_marks;
    stage->marks[stage->n_marks++] = (uint64_t) class << 56 | arrival << 21 | c;
}

/* A decomposed code point: canonical order, accents out, lower case. A stripped starter still parts
 * the marks around it, so it must be seen before it is dropped. */
static void accept(struct stage *stage, uint32_t c) {
    uint32_t class = 0;
    if (c >= 0x300 && sl_unicode_is_ordered(c)) {
        class = (uint32_t)utf8proc_get_property((utf8proc_int32_t)c)->combining_class;
    }
    if (class == 0) {
        flush_marks(stage);
    }
    if (c >= 0x300 && sl_unicode_is_accent(c)) {
        return;
    }
    if (class == 0) {
        emit(stage, c);
    } else {
        hold_mark(stage, class, c);
    }
}

/* Code points with a decomposition that came after HuggingFace's tables (Unicode 13 and 16). */
static bool is_late_composite(uint32_t c) {
    return c == 0x11938 || c == 0x105c9 || c == 0x105e4 || (c >= 0x11383 && c <= 0x11391) ||
           (c >= 0x113c5 && c <= 0x113c8) || (c >= 0x16121 && c <= 0x16128) ||
           (c >= 0x16d68 && c <= 0x16d6a);
}

static void decompose(struct stage *stage, uint32_t c) {
    utf8proc_int32_t parts[MAX_DECOMPOSED];
    int boundary = 0;
    if (c < 0xc0 || is_late_composite(c)) {
        accept(stage, c);
        return;
    }
    utf8proc_ssize_t n = utf8proc_decompose_char((utf8proc_int32_t)c, parts, MAX_DECOMPOSED,
                                                 UTF8PROC_DECOMPOSE, &boundary);
    sl_assert(n >= 0 && n <= MAX_DECOMPOSED);
    for (utf8proc_ssize_t i = 0; i < n; i++) {
        accept(stage, (uint32_t)parts[i]);
    }
}

int sl_normalize_bert(const char *text, size_t n, struct sl_codepoints *points,
                      struct sl_error *err) {
    struct stage stage = {.out = points};
    points->len = 0;
    for (size_t at = 0; at < n && !stage.failed;) {
        uint32_t c;
        at += sl_utf8_decode(text + at, n - at, &c);
        if (c >= 'a' && c <= 'z') {
            accept(&stage, c);
        } else if (is_dropped(c)) {
            continue;
        } else if (sl_bert_is_space(c)) {
            accept(&stage, ' ');
        } else if (is_cjk(c)) {
            accept(&stage, ' ');
            decompose(&stage, c);
            accept(&stage, ' ');
        } else {
            decompose(&stage, c);
        }
    }
    flush_marks(&stage);
    free(stage.marks);
    return stage.failed ? sl_fail(err, SL_NOMEM, "a text's code points") : SL_OK;
}
