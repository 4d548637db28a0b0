/* SPDX-License-Identifier: Apache-2.0
 * One value of an answer as text for people. */
#include <string.h>
#include <time.h>

#include "broker/cli/cli.h"

const json_t *sl_cli_find(const json_t *object, const char *path) {
    const json_t *node = object;
    char name[64];
    for (const char *at = path; node && *at;) {
        size_t len = strcspn(at, ".");
        if (len >= sizeof name) {
            return NULL;
        }
        memcpy(name, at, len);
        name[len] = '\0';
        node = json_object_get(node, name);
        at += len + (at[len] == '.' ? 1 : 0);
    }
    return node;
}

const char *sl_cli_text(const json_t *object, const char *path) {
    const char *text = json_string_value(sl_cli_find(object, path));
    return text ? text : "";
}

/* Names and troubles come from other machines: none of them may steer the terminal. C1 controls
 * are two bytes in UTF-8, C2 80 to C2 9F. */
void sl_cli_clean(struct sl_buf *out, const char *text) {
    for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
        if (*c < 0x20 || *c == 0x7F) {
            sl_buf_append(out, "?", 1);
        } else if (*c == 0xC2 && c[1] >= 0x80 && c[1] < 0xA0) {
            sl_buf_append(out, "?", 1);
            c++;
        } else {
            sl_buf_append(out, c, 1);
        }
    }
}

bool sl_cli_nusd(const char *text, sl_i128 *ret_nusd) {
    char digits[64];
    size_t n = 0;
    size_t after = 0;
    bool point = false;
    const char *at = text;
    if (*at == '-') {
        digits[n++] = *at++;
    }
    if (*at < '0' || *at > '9') {
        return false;
    }
    for (; *at; at++) {
        if (*at == '.' && !point) {
            point = true;
        } else if (*at >= '0' && *at <= '9' && n + 10 < sizeof digits && after < 9) {
            digits[n++] = *at;
            after += point;
        } else {
            return false;
        }
    }
    for (; after < 9; after++) {
        digits[n++] = '0';
    }
    digits[n] = '\0';
    return sl_i128_parse(digits, ret_nusd) == SL_OK;
}

/* Five digits that say something are enough for a glance; nothing is rounded up. */
static void print_usd_short(struct sl_buf *out, const char *text) {
    sl_i128 nusd = 0;
    if (!sl_cli_nusd(text, &nusd)) {
        sl_cli_clean(out, text);
        return;
    }
    sl_i128 size = nusd < 0 ? -nusd : nusd;
    int decimals = 9;
    sl_i128 unit = 1; /* of what is left, in nano-USD */
    while (decimals > 2 && size >= unit * 100000) {
        unit *= 10;
        decimals--;
    }
    char exact[64];
    sl_nusd_format(size / unit * unit, exact);
    size_t len = strlen(exact);
    size_t whole = strcspn(exact, ".");
    size_t wanted = whole + 1 + (size_t)decimals;
    sl_buf_printf(out, "%s%.*s", nusd < 0 ? "-" : "", (int)(len < wanted ? len : wanted), exact);
}

static void print_usd_full(struct sl_buf *out, const char *text) {
    size_t whole = strcspn(text, ".");
    size_t decimals = text[whole] == '.' ? strlen(text + whole + 1) : 0;
    sl_cli_clean(out, text);
    sl_buf_printf(out, "%s%.*s", decimals ? "" : ".", decimals < 9 ? 9 - (int)decimals : 0,
                  "000000000");
}

static void print_scaled(struct sl_buf *out, double value, const char *unit) {
    static const char *const prefixes[] = {"", "k", "M", "G", "T", "P", "E"};
    size_t i = 0;
    while (value >= 999.5 && i + 1 < sizeof prefixes / sizeof prefixes[0]) {
        value /= 1000;
        i++;
    }
    int decimals = i == 0 || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
    sl_buf_printf(out, "%.*f %s%s", decimals, value, prefixes[i], unit);
}

static void print_span(struct sl_buf *out, double ms) {
    long long s = (long long)(ms / 1000);
    if (ms < 999.5) {
        sl_buf_printf(out, "%.0f ms", ms);
    } else if (s < 60) {
        sl_buf_printf(out, "%.1f s", ms / 1000);
    } else if (s < 3600) {
        sl_buf_printf(out, "%lld min %02lld s", s / 60, s % 60);
    } else if (s < 86400) {
        sl_buf_printf(out, "%lld h %02lld min", s / 3600, s / 60 % 60);
    } else {
        sl_buf_printf(out, "%lld d %02lld h", s / 86400, s / 3600 % 24);
    }
}

static void print_unix(struct sl_buf *out, const json_t *value) {
    time_t when = (time_t)json_integer_value(value);
    struct tm tm;
    char text[32];
    if (gmtime_r(&when, &tm) && strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &tm) > 0) {
        sl_buf_printf(out, "%s", text);
    } else {
        sl_buf_printf(out, "unknown");
    }
}

static void print_number(struct sl_buf *out, const json_t *value, enum sl_cli_format format) {
    double number = json_number_value(value);
    switch (format) {
    case SL_CLI_RATE_ZERO:
    case SL_CLI_RATE_HS:
        if (format == SL_CLI_RATE_ZERO && number <= 0) {
            sl_buf_printf(out, "unknown");
        } else {
            print_scaled(out, number, "H/s");
        }
        break;
    case SL_CLI_MS:
        if (number < 0) {
            sl_buf_printf(out, "unknown"); /* an age of what never came */
        } else {
            print_span(out, number);
        }
        break;
    case SL_CLI_US:
        if (number < 1000) {
            sl_buf_printf(out, "%.0f us", number);
        } else if (number < 1e6) {
            sl_buf_printf(out, "%.2f ms", number / 1000);
        } else {
            print_span(out, number / 1000);
        }
        break;
    case SL_CLI_TIME:
        print_unix(out, value);
        break;
    case SL_CLI_TEXT:
    case SL_CLI_NUMBER:
    case SL_CLI_USD:
    case SL_CLI_USD_FULL:
    case SL_CLI_USD_SHORT:
    default:
        if (json_is_integer(value)) {
            sl_buf_printf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        } else {
            sl_buf_printf(out, "%.10g", number);
        }
    }
}

/* "2026-11-22T17:00:00.123Z" without what a table has no room for. All times are UTC. */
static void print_time(struct sl_buf *out, const char *text) {
    char copy[20];
    sl_text_copy(copy, sizeof copy, text);
    if (strlen(copy) == 19 && copy[10] == 'T') {
        copy[10] = ' ';
    }
    sl_cli_clean(out, copy);
}

void sl_cli_value(const json_t *object, const char *path, enum sl_cli_format format,
                  struct sl_buf *out) {
    const json_t *value = sl_cli_find(object, path);
    const char *text = json_string_value(value);
    if (json_is_boolean(value)) {
        sl_buf_printf(out, "%s", json_is_true(value) ? "yes" : "no");
    } else if (json_is_number(value)) {
        print_number(out, value, format);
    } else if (text && text[0] != '\0' && format == SL_CLI_USD_SHORT) {
        print_usd_short(out, text);
    } else if (text && text[0] != '\0' && format == SL_CLI_USD_FULL) {
        print_usd_full(out, text);
    } else if (text && text[0] != '\0' && format == SL_CLI_TIME) {
        print_time(out, text);
    } else if (text && text[0] != '\0') {
        sl_cli_clean(out, text);
    } else {
        bool name = format == SL_CLI_TEXT || format == SL_CLI_TIME;
        sl_buf_printf(out, "%s", name ? "-" : "unknown");
    }
}

void sl_cli_watts(const json_t *watts, struct sl_buf *out) {
    const json_t *figure = sl_cli_find(watts, "watts");
    const char *source = sl_cli_text(watts, "source");
    if (!json_is_number(figure)) {
        sl_buf_printf(out, "unknown");
        return;
    }
    double w = json_number_value(figure);
    sl_buf_printf(out, "%.*f W%s", w < 10 ? 1 : 0, w,
                  strcmp(source, "rated") == 0 ? " (rated)" : "");
}

void sl_cli_hottest(const json_t *device, struct sl_buf *out) {
    static const char *const sensors[] = {"telemetry.temperature_mc",
                                          "telemetry.temperature_junction_mc",
                                          "telemetry.temperature_memory_mc"};
    json_int_t most = INT64_MIN;
    for (size_t i = 0; i < sizeof sensors / sizeof sensors[0]; i++) {
        const json_t *mc = sl_cli_find(device, sensors[i]);
        most = json_is_integer(mc) && json_integer_value(mc) > most ? json_integer_value(mc) : most;
    }
    if (most > INT64_MIN) {
        sl_buf_printf(out, "%lld C", (long long)(most / 1000));
    } else {
        sl_buf_printf(out, "unknown");
    }
}
