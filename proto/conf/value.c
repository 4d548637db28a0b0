/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/conf/value.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/clock.h"
#include "proto/base/money.h"
#include "proto/base/text.h"

bool sl_conf_is_secret(const struct sl_conf_option *option) {
    static const char *const endings[] = {"secret", "password"};
    size_t n = strlen(option->path);
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        size_t m = strlen(endings[i]);
        if (n >= m && strcmp(option->path + n - m, endings[i]) == 0) {
            return true;
        }
    }
    return false;
}

const char *sl_conf_choice(const char *choices, int64_t index, size_t *ret_size) {
    const char *at = choices;
    for (int64_t i = 0; index >= 0; i++) {
        size_t n = strcspn(at, "|");
        if (i == index) {
            *ret_size = n;
            return at;
        }
        if (at[n] == '\0') {
            break;
        }
        at += n + 1;
    }
    return NULL;
}

const char *sl_conf_shown(const char *text, size_t size, char *out, size_t out_size) {
    bool cut = size >= out_size;
    size_t n = cut ? out_size - 4 : size;
    memcpy(out, text, n);
    while (cut && n > 0 && !sl_utf8_valid(out, n)) {
        n--; /* not in the middle of a character */
    }
    for (size_t i = 0; i < n; i++) {
        if ((unsigned char)out[i] < 0x20 || out[i] == 0x7F) {
            out[i] = '?';
        }
    }
    memcpy(out + n, cut ? "..." : "", cut ? 4 : 1);
    return out;
}

const char *sl_conf_decimal_format(int64_t value, int digits, char *buffer) {
    uint64_t scale = 1;
    for (int i = 0; i < digits; i++) {
        scale *= 10;
    }
    uint64_t size = value < 0 ? -(uint64_t)value : (uint64_t)value;
    int n = snprintf(buffer, 32, "%s%" PRIu64 ".%0*" PRIu64, value < 0 ? "-" : "", size / scale,
                     digits, size % scale);
    while (digits > 0 && buffer[n - 1] == '0') {
        buffer[--n] = '\0';
        digits--;
    }
    if (digits == 0) { /* "12." or, with no digits at all, "12.0" */
        *strchr(buffer, '.') = '\0';
    }
    return buffer;
}

const char *sl_conf_span_format(int64_t ms, char *buffer) {
    static const struct {
        const char *suffix;
        int64_t ms;
    } units[] = {{"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}};
    size_t i = 0;
    while (i < 4 && (ms == 0 || ms % units[i].ms != 0)) {
        i++;
    }
    snprintf(buffer, 32, "%" PRId64 "%s", ms / units[i].ms, units[i].suffix);
    return buffer;
}

/* One bound in the option's own notation. */
static const char *bound_text(const struct sl_conf_option *o, int64_t bound, char *buffer) {
    if (o->type == SL_CONF_DECIMAL) {
        return sl_conf_decimal_format(bound, o->digits, buffer);
    }
    if (o->type == SL_CONF_SPAN_MS) {
        return sl_conf_span_format(bound, buffer);
    }
    snprintf(buffer, 32, "%" PRId64, bound);
    return buffer;
}

static int64_t text_max(const struct sl_conf_option *o) {
    int64_t room = (int64_t)o->size - 1;
    return o->max > 0 && o->max < room ? o->max : room;
}

const char *sl_conf_wanted(const struct sl_conf_option *option, char *out, size_t out_size) {
    char low[32];
    char high[32];
    const char *unit = option->unit ? option->unit : "";
    const char *of = option->unit ? " of " : "";
    const char *min = bound_text(option, option->min, low);
    const char *max = bound_text(option, option->max, high);
    switch (option->type) {
    case SL_CONF_TEXT:
        if (option->min == text_max(option)) {
            snprintf(out, out_size, "a text of %" PRId64 " bytes", option->min);
        } else {
            snprintf(out, out_size, "a text of %" PRId64 " to %" PRId64 " bytes", option->min,
                     text_max(option));
        }
        break;
    case SL_CONF_INT:
        snprintf(out, out_size, "a whole number%s%s from %s to %s, without unit", of, unit, min,
                 max);
        break;
    case SL_CONF_BOOL:
        snprintf(out, out_size, "true or false");
        break;
    case SL_CONF_SPAN_MS:
        snprintf(out, out_size, "a span from %s to %s, such as 500ms, 15s, 90m, 6h or 7d", min,
                 max);
        break;
    case SL_CONF_DECIMAL:
        snprintf(out, out_size,
                 "a decimal number%s%s from %s to %s with at most %d decimals, without unit", of,
                 unit, min, max, option->digits);
        break;
    case SL_CONF_CHOICE:
        snprintf(out, out_size, "one of %s", option->choices);
        break;
    case SL_CONF_LIST:
        snprintf(out, out_size, "a list of %s to %s maps", min, max);
        break;
    case SL_CONF_BASE:
        snprintf(out, out_size, "the name of a file");
        break;
    case SL_CONF_INVALID:
    default:
        snprintf(out, out_size, "nothing");
        break;
    }
    return out;
}

/* Characters that would not survive printing and reading again, or that move a terminal's cursor:
 * controls, line separators, byte order mark, non-characters. */
static bool text_clean(const char *text, size_t size) {
    const unsigned char *s = (const unsigned char *)text;
    for (size_t i = 0; i < size; i++) {
        if (s[i] < 0x20 || s[i] == 0x7F) {
            return false;
        }
        if (s[i] == 0xC2 && s[i + 1] < 0xA0) { /* U+0080 to U+009F */
            return false;
        }
        if (s[i] == 0xE2 && s[i + 1] == 0x80 && (s[i + 2] == 0xA8 || s[i + 2] == 0xA9)) {
            return false;
        }
        if (s[i] == 0xEF &&
            ((s[i + 1] == 0xBB && s[i + 2] == 0xBF) || (s[i + 1] == 0xBF && s[i + 2] >= 0xBE))) {
            return false;
        }
    }
    return true;
}

/* YAML reads these as "nothing", so nobody can tell whether the text was meant. */
static bool is_null(const char *text, bool plain) {
    return plain && (text[0] == '\0' || strcmp(text, "~") == 0 || strcasecmp(text, "null") == 0);
}

static int set_text(const struct sl_conf_option *o, const char *text, size_t size, bool plain,
                    char *out) {
    if (is_null(text, plain) || (int64_t)size < o->min || (int64_t)size > text_max(o) ||
        !sl_utf8_valid(text, size) || !text_clean(text, size)) {
        return -SL_INVALID;
    }
    memset(out, 0, o->size);
    memcpy(out, text, size);
    return SL_OK;
}

/* Plain decimal: no leading zeros (010 is eight to some), no '+', no exponent. */
static int parse_int(const char *text, int64_t *ret_value) {
    const char *digits = text[0] == '-' ? text + 1 : text;
    size_t n = strspn(digits, "0123456789");
    if (n == 0 || digits[n] != '\0' || (digits[0] == '0' && (n > 1 || digits != text))) {
        return -SL_INVALID;
    }
    return sl_decimal_parse(text, 0, ret_value, NULL);
}

/* The same for decimals; ".5", "5." and "05.0" are no clear writing. */
static int parse_decimal(const char *text, int digits, int64_t *ret_value) {
    const char *at = text[0] == '-' ? text + 1 : text;
    size_t whole = strspn(at, "0123456789");
    if (whole == 0 || (at[0] == '0' && whole > 1)) {
        return -SL_INVALID;
    }
    if (at[whole] == '.') {
        size_t fraction = strspn(at + whole + 1, "0123456789");
        if (fraction == 0 || at[whole + 1 + fraction] != '\0') {
            return -SL_INVALID;
        }
    } else if (at[whole] != '\0') {
        return -SL_INVALID;
    }
    return sl_decimal_parse(text, digits, ret_value, NULL);
}

static int parse_choice(const struct sl_conf_option *o, const char *text, int64_t *ret_value) {
    size_t n = 0;
    const char *name;
    for (int64_t i = 0; (name = sl_conf_choice(o->choices, i, &n)); i++) {
        if (strlen(text) == n && memcmp(text, name, n) == 0) {
            *ret_value = i;
            return SL_OK;
        }
    }
    return -SL_INVALID;
}

static int parse_number(const struct sl_conf_option *o, const char *text, bool plain,
                        int64_t *ret_value) {
    if (o->type == SL_CONF_CHOICE) {
        return parse_choice(o, text, ret_value);
    }
    int64_t value = 0;
    int rc = -SL_INVALID;
    if (o->type == SL_CONF_INT) {
        rc = plain ? parse_int(text, &value) : -SL_INVALID; /* "65" in quotes is a text */
    } else if (o->type == SL_CONF_DECIMAL) {
        rc = parse_decimal(text, o->digits, &value);
    } else if (o->type == SL_CONF_SPAN_MS) {
        rc = sl_span_parse(text, &value);
    }
    if (rc || value < o->min || value > o->max) {
        return -SL_INVALID;
    }
    *ret_value = value;
    return SL_OK;
}

static int set_field(const struct sl_conf_option *o, const char *text, size_t size, bool plain,
                     char *field) {
    if (o->type == SL_CONF_TEXT) {
        return set_text(o, text, size, plain, field);
    }
    if (strlen(text) != size) {
        return -SL_INVALID; /* a NUL inside, by "\0" in quotes */
    }
    if (o->type == SL_CONF_BOOL) {
        bool value = strcmp(text, "true") == 0;
        if (!plain || (!value && strcmp(text, "false") != 0)) {
            return -SL_INVALID;
        }
        memcpy(field, &value, sizeof value);
        return SL_OK;
    }
    int64_t value = 0;
    int rc = parse_number(o, text, plain, &value);
    if (rc == SL_OK) {
        memcpy(field, &value, sizeof value);
    }
    return rc;
}

int sl_conf_value_set(const struct sl_conf_option *option, const char *shown, const char *text,
                      size_t size, bool plain, void *base, struct sl_error *err) {
    int rc = set_field(option, text, size, plain, (char *)base + option->offset);
    if (rc == SL_OK) {
        return SL_OK;
    }
    char wanted[160];
    char value[48];
    sl_conf_wanted(option, wanted, sizeof wanted);
    if (sl_conf_is_secret(option)) {
        return sl_fail(err, SL_INVALID, "%s is not as it should be, which is %s", shown, wanted);
    }
    sl_conf_shown(text, size, value, sizeof value);
    const char *hint = "";
    if (option->type == SL_CONF_TEXT && is_null(text, plain)) {
        hint = "; write \"\" for an empty text";
    } else if (!plain && (option->type == SL_CONF_INT || option->type == SL_CONF_BOOL)) {
        hint = ", without quotes";
    }
    return sl_fail(err, SL_INVALID, "%s is '%s', which is not %s%s", shown, value, wanted, hint);
}
