/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/conf/conf.h"

struct tier {
    int64_t price;
    char label[24];
};

struct feed {
    char id[40];
    bool on;
    int64_t age_ms;
    char token_secret[16];
    uint32_t tier_count;
    struct tier tiers[2];
};

struct config {
    char a[48];
    char c[48];
    char secret[16];
    int64_t number;
    int64_t factor;
    int64_t mode;
    bool flag;
    uint32_t feed_count;
    struct feed feeds[3];
};

static const struct sl_conf_option tier_schema[] = {
    {.path = "price",
     .type = SL_CONF_DECIMAL,
     .offset = offsetof(struct tier, price),
     .min = INT64_MIN,
     .max = INT64_MAX,
     .digits = 4,
     .fallback = "1",
     .help = "Price."},
    {.path = "label",
     .type = SL_CONF_TEXT,
     .offset = offsetof(struct tier, label),
     .size = 24,
     .fallback = "",
     .help = "Label."},
    {0},
};

static const struct sl_conf_option feed_schema[] = {
    {.path = "id",
     .type = SL_CONF_TEXT,
     .offset = offsetof(struct feed, id),
     .size = 40,
     .fallback = "",
     .help = "Id."},
    {.path = "age.max",
     .type = SL_CONF_SPAN_MS,
     .offset = offsetof(struct feed, age_ms),
     .max = 1 << 30,
     .fallback = "1s",
     .help = "Age."},
    {.path = "on",
     .type = SL_CONF_BOOL,
     .offset = offsetof(struct feed, on),
     .fallback = "true",
     .help = "On."},
    {.path = "token_secret",
     .type = SL_CONF_TEXT,
     .offset = offsetof(struct feed, token_secret),
     .size = 16,
     .fallback = "",
     .help = "Token."},
    {.path = "tiers",
     .type = SL_CONF_LIST,
     .offset = offsetof(struct feed, tiers),
     .size = sizeof(struct tier),
     .max = 2,
     .item = tier_schema,
     .count_offset = offsetof(struct feed, tier_count),
     .fallback = "[]",
     .help = "Tiers."},
    {0},
};

/* Sections on purpose not together. */
static const struct sl_conf_option schema[] = {
    {.path = "x.a",
     .type = SL_CONF_TEXT,
     .offset = offsetof(struct config, a),
     .size = 48,
     .fallback = "",
     .help = "First."},
    {.path = "number",
     .type = SL_CONF_INT,
     .unit = "W",
     .offset = offsetof(struct config, number),
     .min = INT64_MIN,
     .max = INT64_MAX,
     .fallback = "0",
     .help = "A number."},
    {.path = "x.y.factor",
     .type = SL_CONF_DECIMAL,
     .offset = offsetof(struct config, factor),
     .min = INT64_MIN,
     .max = INT64_MAX,
     .digits = 9,
     .fallback = "1",
     .help = "Deep."},
    {.path = "x.c",
     .type = SL_CONF_TEXT,
     .offset = offsetof(struct config, c),
     .size = 48,
     .fallback = "",
     .help = "Third."},
    {.path = "x.secret",
     .type = SL_CONF_TEXT,
     .offset = offsetof(struct config, secret),
     .size = 16,
     .fallback = "",
     .help = "Hush."},
    {.path = "x.y.mode",
     .type = SL_CONF_CHOICE,
     .offset = offsetof(struct config, mode),
     .choices = "idle|hash|infer",
     .fallback = "idle",
     .help = "Mode."},
    {.path = "x.y.flag",
     .type = SL_CONF_BOOL,
     .offset = offsetof(struct config, flag),
     .fallback = "false",
     .help = "Flag."},
    {.path = "feeds",
     .type = SL_CONF_LIST,
     .offset = offsetof(struct config, feeds),
     .size = sizeof(struct feed),
     .max = 3,
     .item = feed_schema,
     .count_offset = offsetof(struct config, feed_count),
     .fallback = "[]",
     .help = "Feeds."},
    {0},
};

static char *print(const struct config *c) {
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    sl_conf_print(out, schema, c);
    assert_int_equal(fclose(out), 0);
    return text;
}

static uint64_t next(uint64_t *state) {
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *state >> 17;
}

/* Texts that YAML would gladly take for something else. */
static void random_text(uint64_t *r, char *out, size_t size) {
    static const char *const whole[] = {
        "yes", "010", "null", "~",   "",      "# no comment", "a: b",
        "- x", "&x",  "*x",   "!t",  "'q'",   "\"d\"",        "\\",
        "%",   "@",   "{",    "[1]", " lead", "trail ",       "\xE2\x82\xAC",
        "1e3", "<<",  "|",    ">"};
    static const char *const parts[] = {
        "a", " ", ":", "#", "\"", "\\", "'", "\xC3\xA9", "\xF0\x9F\xA6\xA6", "\xE2\x80\xA7",
        ",", "]", "n"};
    memset(out, 0, size);
    if (next(r) % 2) {
        strcpy(out, whole[next(r) % (sizeof whole / sizeof whole[0])]);
        return;
    }
    size_t n = 0;
    for (;;) {
        const char *part = parts[next(r) % (sizeof parts / sizeof parts[0])];
        if (n + strlen(part) >= size || next(r) % 20 == 0) {
            return;
        }
        strcpy(out + n, part);
        n += strlen(part);
    }
}

static int64_t random_int(uint64_t *r) {
    uint64_t v = (next(r) << 40) ^ next(r);
    return (int64_t)(v << (next(r) % 2)) >> (next(r) % 63);
}

static void random_config(uint64_t *r, struct config *c) {
    memset(c, 0, sizeof *c);
    random_text(r, c->a, sizeof c->a);
    random_text(r, c->c, sizeof c->c);
    c->number = random_int(r);
    c->factor = random_int(r);
    c->mode = (int64_t)(next(r) % 3);
    c->flag = next(r) % 2;
    c->feed_count = (uint32_t)(next(r) % 4);
    for (uint32_t i = 0; i < c->feed_count; i++) {
        struct feed *f = &c->feeds[i];
        random_text(r, f->id, sizeof f->id);
        f->on = next(r) % 2;
        f->age_ms = (int64_t)(next(r) % (1 << 30));
        f->tier_count = (uint32_t)(next(r) % 3);
        for (uint32_t k = 0; k < f->tier_count; k++) {
            f->tiers[k].price = random_int(r);
            random_text(r, f->tiers[k].label, sizeof f->tiers[k].label);
        }
    }
}

static void what_is_printed_reads_back_the_same(void **state) {
    (void)state;
    uint64_t r = 1;
    struct config *c = calloc(1, sizeof *c);
    struct config *back = calloc(1, sizeof *back);
    for (int i = 0; i < 3000; i++) {
        random_config(&r, c);
        char *text = print(c);
        struct sl_error err = {0};
        memset(back, 0x5A, sizeof *back);
        if (sl_conf_parse("p", text, strlen(text), schema, back, sizeof *back, &err)) {
            fail_msg("%s\n%s", err.text, text);
        }
        if (memcmp(c, back, sizeof *c) != 0) {
            fail_msg("came back changed:\n%s", text);
        }
        free(text);
    }
    free(c);
    free(back);
}

static void it_looks_like_this(void **state) {
    (void)state;
    struct config *c = calloc(1, sizeof *c);
    strcpy(c->a, "say \"hi\"");
    strcpy(c->secret, "hunter2");
    c->number = 65;
    c->factor = 1500000000;
    c->mode = 2;
    c->feed_count = 1;
    strcpy(c->feeds[0].id, "f");
    c->feeds[0].age_ms = 5400000;
    char *text = print(c);
    assert_string_equal(text, "x:\n"
                              "  # First.\n"
                              "  a: \"say \\\"hi\\\"\"\n"
                              "  y:\n"
                              "    # Deep.\n"
                              "    factor: 1.5\n"
                              "    # Mode. (idle|hash|infer)\n"
                              "    mode: infer\n"
                              "    # Flag.\n"
                              "    flag: false\n"
                              "  # Third.\n"
                              "  c: \"\"\n"
                              "  # Hush.\n"
                              "  # secret: (set)\n"
                              "# A number. [W]\n"
                              "number: 65\n"
                              "# Feeds.\n"
                              "feeds:\n"
                              "  -\n"
                              "    # Id.\n"
                              "    id: \"f\"\n"
                              "    age:\n"
                              "      # Age.\n"
                              "      max: 90m\n"
                              "    # On.\n"
                              "    on: false\n"
                              "    # Token.\n"
                              "    # token_secret: (not set)\n"
                              "    # Tiers.\n"
                              "    tiers: []\n");
    free(text);
    free(c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_printed_reads_back_the_same),
        cmocka_unit_test(it_looks_like_this),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
