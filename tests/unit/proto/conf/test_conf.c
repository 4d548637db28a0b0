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
#include <sys/stat.h>
#include <unistd.h>

#include "proto/conf/conf.h"

struct gpu {
    char name[16];
    int64_t watts;
    bool spare;
    int64_t limit_ms;
};

struct config {
    char node[32];
    char url[64];
    char password[32];
    int64_t watts;
    bool enabled;
    int64_t ttl_ms;
    int64_t price; /* 9 decimals */
    int64_t mode;
    int64_t offset;
    uint32_t gpu_count;
    struct gpu gpus[3];
};

static const struct sl_conf_option gpu_schema[] = {
    {.path = "name",
     .type = SL_CONF_TEXT,
     .offset = offsetof(struct gpu, name),
     .size = 16,
     .min = 1,
     .help = "Name of the card."},
    {.path = "watts",
     .type = SL_CONF_INT,
     .unit = "W",
     .offset = offsetof(struct gpu, watts),
     .min = 1,
     .max = 1000,
     .fallback = "250",
     .help = "Rated power."},
    {.path = "spare",
     .type = SL_CONF_BOOL,
     .offset = offsetof(struct gpu, spare),
     .fallback = "false",
     .help = "Not used unless another fails."},
    {.path = "limit.after",
     .type = SL_CONF_SPAN_MS,
     .offset = offsetof(struct gpu, limit_ms),
     .min = 0,
     .max = 86400000,
     .fallback = "1h",
     .help = "When to stop."},
    {0},
};

#define AT(field) .offset = offsetof(struct config, field)

static const struct sl_conf_option schema[] = {
    {.path = "node", .type = SL_CONF_TEXT, AT(node), .size = 32, .min = 1, .help = "Name of it."},
    {.path = "pool.url",
     .type = SL_CONF_TEXT,
     AT(url),
     .size = 64,
     .min = 1,
     .max = 40,
     .help = "Where shares go."},
    {.path = "power.watts",
     .type = SL_CONF_INT,
     .unit = "W",
     AT(watts),
     .min = 0,
     .max = 100000,
     .fallback = "65",
     .help = "Rated power."},
    {.path = "pool.password",
     .type = SL_CONF_TEXT,
     AT(password),
     .size = 32,
     .fallback = "",
     .help = "Of the pool."},
    {.path = "pool.enabled",
     .type = SL_CONF_BOOL,
     AT(enabled),
     .fallback = "true",
     .help = "Hash at all."},
    {.path = "policy.hold.ttl",
     .type = SL_CONF_SPAN_MS,
     AT(ttl_ms),
     .min = 100,
     .max = 604800000,
     .fallback = "90m",
     .help = "How long."},
    {.path = "policy.price",
     .type = SL_CONF_DECIMAL,
     .unit = "USD/Mtok",
     AT(price),
     .min = 0,
     .max = INT64_C(1000000000000),
     .digits = 9,
     .fallback = "0.05",
     .help = "The least."},
    {.path = "policy.mode",
     .type = SL_CONF_CHOICE,
     AT(mode),
     .choices = "idle|hash|infer",
     .fallback = "hash",
     .help = "Safe mode."},
    {.path = "policy.offset",
     .type = SL_CONF_INT,
     AT(offset),
     .min = INT64_MIN,
     .max = INT64_MAX,
     .fallback = "-3",
     .help = "Any number."},
    {.path = "gpus",
     .type = SL_CONF_LIST,
     AT(gpus),
     .size = sizeof(struct gpu),
     .max = 3,
     .item = gpu_schema,
     .count_offset = offsetof(struct config, gpu_count),
     .fallback = "[]",
     .help = "Cards."},
    {0},
};

#define LEAST "node: rig\npool:\n  url: tcp://p:1\n"

static int parse(const char *text, size_t size, struct config *c, struct sl_error *err) {
    return sl_conf_parse("f.yaml", text, size, schema, c, sizeof *c, err);
}

static void good(const char *text, struct config *c) {
    struct sl_error err = {0};
    if (parse(text, strlen(text), c, &err)) {
        fail_msg("%s", err.text);
    }
}

static void defaults_fill_what_is_not_there(void **state) {
    (void)state;
    struct config c;
    good(LEAST, &c);
    assert_string_equal(c.node, "rig");
    assert_string_equal(c.url, "tcp://p:1");
    assert_string_equal(c.password, "");
    assert_int_equal(c.watts, 65);
    assert_true(c.enabled);
    assert_int_equal(c.ttl_ms, 90 * 60000);
    assert_int_equal(c.price, 50000000);
    assert_int_equal(c.mode, 1);
    assert_int_equal(c.offset, -3);
    assert_int_equal(c.gpu_count, 0);
}

static void all_of_it(void **state) {
    (void)state;
    struct config c;
    good("# a comment\r\n"
         "node: \"caf\xC3\xA9 \\\"x\\\"\"   # quoted\r\n"
         "policy:\r\n"
         "  mode: idle\r\n"
         "  price: 12.000000001\r\n"
         "  offset: -9223372036854775807\r\n"
         "  hold: {ttl: 250ms}\r\n"
         "pool:\r\n"
         "  enabled: false\r\n"
         "  password: '010'\r\n"
         "  url: no\r\n" /* a text is what stands there */
         "power:\r\n"    /* everything in it is commented out */
         "#  watts: 5\r\n"
         "gpus:\r\n"
         "  - name: a\r\n"
         "    limit:\r\n"
         "      after: 0ms\r\n"
         "  - {name: b, watts: 1000, spare: true}\r\n",
         &c);
    assert_string_equal(c.node, "caf\xC3\xA9 \"x\"");
    assert_int_equal(c.mode, 0);
    assert_int_equal(c.price, INT64_C(12000000001));
    assert_true(c.offset == -INT64_MAX);
    assert_int_equal(c.ttl_ms, 250);
    assert_false(c.enabled);
    assert_string_equal(c.password, "010");
    assert_string_equal(c.url, "no");
    assert_int_equal(c.watts, 65);
    assert_int_equal(c.gpu_count, 2);
    assert_string_equal(c.gpus[0].name, "a");
    assert_int_equal(c.gpus[0].watts, 250);
    assert_int_equal(c.gpus[0].limit_ms, 0);
    assert_false(c.gpus[0].spare);
    assert_string_equal(c.gpus[1].name, "b");
    assert_int_equal(c.gpus[1].watts, 1000);
    assert_true(c.gpus[1].spare);
    assert_int_equal(c.gpus[1].limit_ms, 3600000);
    good("\xEF\xBB\xBF---\n" LEAST "...\n", &c); /* byte order mark, document marks */
    good("{node: rig, pool: {url: \"tcp://p:1\"}, gpus: []}", &c);
}

/* Refused, with that line and a text that holds `part`; the struct stays untouched. */
static void refused(const char *text, size_t size, int line, const char *part, const char *why) {
    struct config c;
    struct config before;
    memset(&c, 0x5A, sizeof c);
    before = c;
    struct sl_error err = {0};
    int rc = parse(text, size, &c, &err);
    char start[32];
    snprintf(start, sizeof start, "f.yaml:%d: ", line);
    if (rc >= 0 || strncmp(err.text, start, strlen(start)) != 0 || !strstr(err.text, part)) {
        fail_msg("%s: %d '%s', wanted '%s...%s'", why, rc, err.text, start, part);
    }
    assert_memory_equal(&c, &before, sizeof c);
    assert_int_equal(parse(text, size, &c, NULL), rc);
}

struct refusal {
    const char *text; /* after LEAST, that is from line 4 */
    int line;
    const char *part;
    const char *why;
};

static void refuse_all(const struct refusal *cases, size_t n) {
    for (size_t i = 0; i < n; i++) {
        char text[2048];
        snprintf(text, sizeof text, LEAST "%s", cases[i].text);
        refused(text, strlen(text), cases[i].line, cases[i].part, cases[i].why);
    }
}

#define REFUSE(...)                                                                                \
    do {                                                                                           \
        static const struct refusal cases[] = {__VA_ARGS__};                                       \
        refuse_all(cases, sizeof cases / sizeof cases[0]);                                         \
    } while (0)

static void values_not_of_the_wanted_form(void **state) {
    (void)state;
    REFUSE({"power:\n  watts: 65 kW\n", 5,
            "power.watts is '65 kW', which is not a whole number of "
            "W from 0 to 100000, without unit",
            "a unit where none is wanted"},
           {"power:\n  watts: 80x\n", 5, "'80x'", "rubbish at the end"},
           {"power:\n  watts: 010\n", 5, "'010'", "octal to some"},
           {"power:\n  watts: +5\n", 5, "'+5'", "a sign"},
           {"power:\n  watts: -0\n", 5, "'-0'", "-0"},
           {"power:\n  watts: 1e3\n", 5, "'1e3'", "an exponent"},
           {"power:\n  watts: 0x10\n", 5, "'0x10'", "hexadecimal"},
           {"power:\n  watts: 1_000\n", 5, "'1_000'", "an underscore"},
           {"power:\n  watts: 6.0\n", 5, "'6.0'", "a decimal"},
           {"power:\n  watts: .inf\n", 5, "'.inf'", "infinity"},
           {"power:\n  watts: \"65\"\n", 5, "without quotes", "a number in quotes"},
           {"power:\n  watts:\n", 5, "''", "nothing"},
           {"power:\n  watts: 100001\n", 5, "from 0 to 100000", "over its bound"},
           {"power:\n  watts: -1\n", 5, "'-1'", "below its bound"},
           {"policy:\n  offset: 9223372036854775808\n", 5, "9223372036854775808", "over 64 bits"},
           {"policy:\n  offset: 99999999999999999999999\n", 5, "9999", "far over 64 bits"},
           {"pool:\n", 4, "pool stands twice, first in line 2", "the section again"});
    static const char *const bools[] = {"maybe", "yes", "no",       "on", "True", "TRUE",
                                        "1",     "0",   "\"true\"", "~",  ""};
    for (size_t i = 0; i < sizeof bools / sizeof bools[0]; i++) {
        char text[128];
        snprintf(text, sizeof text, "%s  enabled: %s\n", LEAST, bools[i]);
        refused(text, strlen(text), 4, "which is not true or false", bools[i]);
    }
}

static void spans_decimals_choices(void **state) {
    (void)state;
    static const char *const spans[] = {
        "90",        "1.5h", "90 m", "-5s",   "09m",
        "5 minutes", "8d",   "99ms", "1h30m", "9999999999999999999s",
        ""};
    for (size_t i = 0; i < sizeof spans / sizeof spans[0]; i++) {
        char text[128];
        snprintf(text, sizeof text, "%spolicy:\n  hold:\n    ttl: %s\n", LEAST, spans[i]);
        refused(text, strlen(text), 6, "which is not a span from 100ms to 7d", spans[i]);
    }
    static const char *const decimals[] = {
        "0.0000000001", "1e-3",           ".5",       "5.",  "05.0", "+1",  "1,5", "-0.1", "nan",
        "$1",           "1000.000000001", "0.05 USD", "1_0", "",     "1..2"};
    for (size_t i = 0; i < sizeof decimals / sizeof decimals[0]; i++) {
        char text[128];
        snprintf(text, sizeof text, "%spolicy:\n\n  price: %s\n", LEAST, decimals[i]);
        refused(text, strlen(text), 6,
                "which is not a decimal number of USD/Mtok from 0 to 1000 with at most 9 decimals",
                decimals[i]);
    }
    static const char *const choices[] = {"Hash", "has", "hash ing", "idle|hash",
                                          "|",    "2",   "inferx"};
    for (size_t i = 0; i < sizeof choices / sizeof choices[0]; i++) {
        char text[128];
        snprintf(text, sizeof text, "%spolicy:\n  mode: '%s'\n", LEAST, choices[i]);
        refused(text, strlen(text), 5, "which is not one of idle|hash|infer", choices[i]);
    }
}

static void texts(void **state) {
    (void)state;
    REFUSE({"  password: ~\n", 4, "is not as it should be", "null"},
           {"  password: null\n", 4, "is not as it should be", "null by name"},
           {"  password:\n", 4, "is not as it should be", "nothing"},
           {"  password: \"a\\0b\"\n", 4, "is not as it should be", "a NUL by escape"},
           {"  password: \"a\\eb\"\n", 4, "is not as it should be", "an escape character"},
           {"  password: \"a\\Nb\"\n", 4, "is not as it should be", "U+0085"},
           {"  password: \"a\\Lb\"\n", 4, "is not as it should be", "U+2028"},
           {"  password: \"\\ufeffa\"\n", 4, "is not as it should be", "a byte order mark"},
           {"  password: |\n    two\n    lines\n", 4, "is not as it should be", "several lines"},
           {"  password: 0123456789012345678901234567890x\n", 4, "0 to 31 bytes", "32 bytes"});
    static const struct {
        const char *text;
        int line;
        const char *part;
        const char *why;
    } cases[] = {
        {"node: ''\npool: {url: a}\n", 1, "node is '', which is not a text of 1 to 31 bytes",
         "shorter than its least"},
        {"node:\npool: {url: a}\n", 1, "write \"\" for an empty text", "nothing"},
        {"\nnode: a\npool:\n  url: 01234567890123456789012345678901234567890\n", 4, "1 to 40 bytes",
         "longer than its greatest, though it would fit"},
        {"node: \"a\\x07\"\npool: {url: a}\n", 1, "node is 'a?'", "a bell, and shown without it"},
        {"node: [a]\npool: {url: a}\n", 1, "node is a list", "a list where a scalar stands"},
        {"node: {a: b}\npool: {url: a}\n", 1, "node is a section", "a map where a scalar stands"},
        {"node: a\npool: 5\n", 2, "pool is a single value", "a scalar where a section stands"},
        {"node: a\npool: [url]\n", 2, "pool is a list", "a list where a section stands"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        refused(cases[i].text, strlen(cases[i].text), cases[i].line, cases[i].part, cases[i].why);
    }
    /* A secret's value is in no error text. */
    struct config c;
    struct sl_error err = {0};
    static const char secret[] = LEAST "  password: \"hunter\\x01\"\n";
    assert_true(parse(secret, sizeof secret - 1, &c, &err) < 0);
    assert_null(strstr(err.text, "hunter"));
}

static void unknown_and_doubled_keys(void **state) {
    (void)state;
    REFUSE({"pols:\n  a: 1\n", 4, "unknown key pols; did you mean pool?", "close to a section"},
           {"power:\n  wats: 1\n", 5, "unknown key power.wats; did you mean watts?", "close"},
           {"power:\n  # c\n  volume: 1\n", 6, "unknown key power.volume; possible here: watts",
            "close to nothing"},
           {"zzzzzz: 1\n", 4, "possible here: node, pool, power, pool, policy, gpus", "at the top"},
           {"pool.enabled: true\n", 4, "unknown key pool.enabled", "a path is no key"},
           {"Node: x\n", 4, "did you mean node?", "case counts"},
           {"'': x\n", 4, "unknown key ", "an empty key"},
           {"1: x\n", 4, "unknown key 1", "a number"}, {"<<: {a: b}\n", 4, "a merge key", "merge"},
           {"node: again\n", 4, "node stands twice, first in line 1", "a doubled key"},
           {"\"node\": again\n", 4, "node stands twice", "doubled in quotes"},
           {"  url: b\n", 4, "url stands twice, first in line 3", "doubled in a section"},
           {"power: {watts: 1, watts: 1}\n", 4, "stands twice", "doubled with the same value"},
           {"[a, b]: c\n", 4, "a key is one word, not a list", "a list as key"},
           {"{a: b}: c\n", 4, "a key is one word, not a section", "a map as key"},
           {"\"a\\0b\": c\n", 4, "unknown key a?b", "a NUL in a key"},
           {"\"a\\eb\": c\n", 4, "unknown key a?b", "an escape in a key"});
    char text[1200];
    memset(text, 'k', sizeof text);
    strcpy(text + 1000, ": 1\n" LEAST);
    refused(text, strlen(text), 1, "...; possible here", "a key longer than any path");
}

static void lists(void **state) {
    (void)state;
    REFUSE({"gpus: {name: a}\n", 4, "gpus is a section, which is not a list of 0 to 3 maps", "map"},
           {"gpus: 5\n", 4, "gpus is a single value", "scalar"},
           {"gpus:\n- name: a\n- name: b\n- name: c\n- name: d\n", 4, "has 4 entries", "too many"},
           {"gpus:\n- name: a\n- b\n", 6, "gpus[1] is a single value", "a scalar in it"},
           {"gpus:\n- name: a\n- [b]\n", 6, "gpus[1] is a list", "a list in it"},
           {"gpus:\n- name: a\n- watts: 5\n", 6, "gpus[1].name is missing: Name of the card.",
            "a required value of an item"},
           {"gpus:\n- name: a\n-\n", 6, "gpus[1].name is missing", "an empty item"},
           {"gpus:\n- name: a\n- name: b\n  watts: 5 W\n", 7, "gpus[1].watts is '5 W'", "a value"},
           {"gpus:\n- name: a\n  limit:\n    after: 2d\n", 7, "gpus[0].limit.after is '2d'",
            "a value in a section of an item"},
           {"gpus:\n- name: a\n  limits:\n    after: 2h\n", 6,
            "unknown key gpus[0].limits; did you mean limit?", "an unknown key in an item"},
           {"gpus:\n- name: a\n  name: b\n", 6, "name stands twice, first in line 5", "doubled"});
    struct config c;
    good(LEAST "gpus:\n", &c);
    assert_int_equal(c.gpu_count, 0);
    good(LEAST "gpus:\n- name: a\n- name: b\n- name: c\n", &c);
    assert_int_equal(c.gpu_count, 3);
}

static void missing_values_name_themselves(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int line;
        const char *part;
    } cases[] = {
        {"", 1, "node is missing: Name of it. (a text of 1 to 31 bytes)"},
        {"# nothing\n", 1, "node is missing"},
        {"---\n", 1, "node is missing"},
        {"node: a\n", 1, "pool.url is missing: Where shares go."},
        {"node: a\n\npool:\n  enabled: true\n", 3, "pool.url is missing"},
        {"node: a\n\npool:\n", 3, "pool.url is missing"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        refused(cases[i].text, strlen(cases[i].text), cases[i].line, cases[i].part, "missing");
    }
}

static void a_failed_read_after_a_good_one_changes_nothing(void **state) {
    (void)state;
    struct config c;
    good(LEAST, &c);
    struct config before = c;
    static const char bad[] = "node: other\npool:\n  url: x\n  enabled: maybe\n";
    assert_int_equal(parse(bad, sizeof bad - 1, &c, NULL), -SL_INVALID);
    assert_memory_equal(&c, &before, sizeof c);
}

static void files(void **state) {
    (void)state;
    char dir[] = "/tmp/sluice-conf-XXXXXX";
    char path[64];
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/a.yaml", dir);
    struct config c;
    struct sl_error err = {0};
    assert_int_equal(sl_conf_read(path, schema, &c, sizeof c, &err), -SL_NOTFOUND);
    assert_non_null(strstr(err.text, path));
    assert_int_equal(sl_conf_read(dir, schema, &c, sizeof c, &err), -SL_INVALID);
    FILE *file = fopen(path, "w");
    fputs(LEAST "power:\n  watts: 65 kW\n", file);
    fclose(file);
    assert_int_equal(sl_conf_read(path, schema, &c, sizeof c, &err), -SL_INVALID);
    char start[80];
    snprintf(start, sizeof start, "%s:5: power.watts", path);
    assert_memory_equal(err.text, start, strlen(start));
    file = fopen(path, "w"); /* 1 MiB is possible, a byte more is not */
    fputs(LEAST, file);
    for (long n = ftell(file); n < 1024 * 1024; n++) {
        fputc(n % 80 ? '#' : '\n', file);
    }
    fclose(file);
    if (sl_conf_read(path, schema, &c, sizeof c, &err)) {
        fail_msg("%s", err.text);
    }
    file = fopen(path, "a");
    fputc('\n', file);
    fclose(file);
    assert_int_equal(sl_conf_read(path, schema, &c, sizeof c, &err), -SL_LIMIT);
    assert_non_null(strstr(err.text, "1048576"));
    unlink(path);
    assert_int_equal(mkfifo(path, 0600), 0); /* must not hold up the start */
    assert_int_equal(sl_conf_read(path, schema, &c, sizeof c, &err), -SL_INVALID);
    unlink(path);
    rmdir(dir);
}

struct based {
    char node[32];
    int64_t watts;
    uint32_t gpu_count;
    struct gpu gpus[3];
};

static const struct sl_conf_option based_schema[] = {
    {.path = "from", .type = SL_CONF_BASE, .help = "A file with defaults."},
    {.path = "node",
     .type = SL_CONF_TEXT,
     .offset = offsetof(struct based, node),
     .size = 32,
     .min = 1,
     .help = "Name of it."},
    {.path = "watts",
     .type = SL_CONF_INT,
     .offset = offsetof(struct based, watts),
     .min = 0,
     .max = 1000,
     .fallback = "65",
     .help = "Rated power."},
    {.path = "gpus",
     .type = SL_CONF_LIST,
     .offset = offsetof(struct based, gpus),
     .size = sizeof(struct gpu),
     .max = 3,
     .item = gpu_schema,
     .count_offset = offsetof(struct based, gpu_count),
     .fallback = "[]",
     .help = "Cards."},
    {0},
};

static void write_text(const char *path, const char *text) {
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

/* The values of the named file, from the folder of the one that names it, are only defaults. */
static void a_base_gives_defaults(void **state) {
    (void)state;
    char dir[] = "/tmp/sluice-conf-XXXXXX";
    char path[64];
    char base[64];
    struct based c = {.watts = 77};
    struct based wiped = {0};
    struct sl_error err;
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/site.yaml", dir);
    snprintf(base, sizeof base, "%s/base.yaml", dir);
    write_text(base, "node: b\nwatts: 5\ngpus:\n- name: one\n- name: two\n  watts: 9\n");
    write_text(path, "watts: 6\nfrom: base.yaml\n");
    assert_int_equal(sl_conf_read(path, based_schema, &c, sizeof c, &err), 0);
    assert_string_equal(c.node, "b");
    assert_int_equal(c.watts, 6); /* whatever the order */
    assert_int_equal(c.gpu_count, 2);
    assert_int_equal(c.gpus[1].watts, 9);
    write_text(path, "from: base.yaml\ngpus:\n- name: three\n");
    assert_int_equal(sl_conf_read(path, based_schema, &c, sizeof c, &err), 0);
    assert_int_equal(c.gpu_count, 1);
    assert_string_equal(c.gpus[0].name, "three");
    assert_int_equal(c.gpus[0].watts, 250); /* a list replaces a list */
    assert_memory_equal(&c.gpus[1], &wiped.gpus[1], sizeof c.gpus[1]);
    static const char *const bad[] = {"from: ''\n", "from: [a]\n", "from: no.yaml\n", "from: .\n"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        write_text(path, bad[i]);
        assert_true(sl_conf_read(path, based_schema, &c, sizeof c, &err) < 0);
        assert_non_null(strstr(err.text, "site.yaml:1: from"));
    }
    static const char text[] = "node: a\nfrom: base.yaml\n"; /* from memory there is no folder */
    assert_int_equal(
        sl_conf_parse("f.yaml", text, sizeof text - 1, based_schema, &c, sizeof c, &err),
        -SL_INVALID);
    assert_non_null(strstr(err.text, "f.yaml:2: from"));
    write_text(path, "from: site.yaml\n"); /* itself: one level only */
    assert_int_equal(sl_conf_read(path, based_schema, &c, sizeof c, &err), -SL_INVALID);
    assert_non_null(strstr(err.text, "cannot stand in a file that is named by one"));
    unlink(base);
    unlink(path);
    rmdir(dir);
}

/* Whatever single byte is changed: no crash, and either refused with a line or read. */
static void every_byte_changed(void **state) {
    (void)state;
    static const char base[] = LEAST
        "  enabled: false\npolicy: {mode: \"idle\", price: 0.5}\ngpus:\n- name: 'a'\n  watts: 5\n"
        "- {name: b}\n";
    static const char bytes[] = "\0\t\n :-#&*!|>'\"%@`{}[],?x0\x80\xC3\xFF\r";
    char text[sizeof base];
    size_t read = 0;
    for (size_t i = 0; i < sizeof base - 1; i++) {
        for (size_t k = 0; k < sizeof bytes - 1; k++) {
            memcpy(text, base, sizeof base);
            text[i] = bytes[k];
            struct config c;
            struct sl_error err = {0};
            if (parse(text, sizeof base - 1, &c, &err) == 0) {
                read++;
                continue;
            }
            assert_memory_equal(err.text, "f.yaml:", 7);
            assert_true(err.text[7] >= '1' && err.text[7] <= '9');
        }
        struct config c;
        (void)parse(base, i, &c, NULL); /* and every truncation */
    }
    assert_true(read > 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_fill_what_is_not_there),
        cmocka_unit_test(all_of_it),
        cmocka_unit_test(values_not_of_the_wanted_form),
        cmocka_unit_test(spans_decimals_choices),
        cmocka_unit_test(texts),
        cmocka_unit_test(unknown_and_doubled_keys),
        cmocka_unit_test(lists),
        cmocka_unit_test(missing_values_name_themselves),
        cmocka_unit_test(a_failed_read_after_a_good_one_changes_nothing),
        cmocka_unit_test(files),
        cmocka_unit_test(a_base_gives_defaults),
        cmocka_unit_test(every_byte_changed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
