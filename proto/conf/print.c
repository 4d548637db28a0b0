/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/conf/conf.h"

#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include "proto/conf/value.h"

static void print_indent(FILE *out, int level) {
    fprintf(out, "%*s", level * 2, "");
}

/* Texts are always quoted, so that "yes", "010" or "null" come back as they are. What would need
 * more than these two escapes is refused when read. */
static void print_quoted(FILE *out, const char *text) {
    fputc('"', out);
    for (; *text; text++) {
        if (*text == '"' || *text == '\\') {
            fputc('\\', out);
        }
        fputc(*text, out);
    }
    fputc('"', out);
}

static void print_value(FILE *out, const struct sl_conf_option *o, const char *field) {
    char buffer[32];
    int64_t value = 0;
    bool truth = false;
    size_t n = 0;
    const char *choice;
    switch (o->type) {
    case SL_CONF_TEXT:
        print_quoted(out, field);
        break;
    case SL_CONF_BOOL:
        memcpy(&truth, field, sizeof truth);
        fputs(truth ? "true" : "false", out);
        break;
    case SL_CONF_INT:
        memcpy(&value, field, sizeof value);
        fprintf(out, "%" PRId64, value);
        break;
    case SL_CONF_SPAN_MS:
        memcpy(&value, field, sizeof value);
        fputs(sl_conf_span_format(value, buffer), out);
        break;
    case SL_CONF_DECIMAL:
        memcpy(&value, field, sizeof value);
        fputs(sl_conf_decimal_format(value, o->digits, buffer), out);
        break;
    case SL_CONF_CHOICE:
        memcpy(&value, field, sizeof value);
        choice = sl_conf_choice(o->choices, value, &n);
        sl_assert(choice);
        fwrite(choice, 1, n, out);
        break;
    case SL_CONF_LIST:
    case SL_CONF_BASE:
    case SL_CONF_INVALID:
    default:
        sl_assert_failed("an option of a known type", __FILE__, __LINE__);
    }
}

static void print_help(FILE *out, const struct sl_conf_option *o, int level) {
    print_indent(out, level);
    fprintf(out, "# %s", o->help);
    if (o->unit) {
        fprintf(out, " [%s]", o->unit);
    }
    if (o->type == SL_CONF_CHOICE) {
        fprintf(out, " (%s)", o->choices);
    }
    fputc('\n', out);
}

static void print_level(FILE *out, const struct sl_conf_option *schema, const char *prefix,
                        const char *base, int level);

static void print_list(FILE *out, const struct sl_conf_option *o, const char *name,
                       const char *base, int level) {
    uint32_t count = 0;
    memcpy(&count, base + o->count_offset, sizeof count);
    print_indent(out, level);
    fprintf(out, "%s:%s\n", name, count ? "" : " []");
    for (uint32_t i = 0; i < count; i++) {
        print_indent(out, level + 1);
        fputs("-\n", out);
        print_level(out, o->item, "", base + o->offset + i * o->size, level + 2);
    }
}

static void print_option(FILE *out, const struct sl_conf_option *o, const char *name,
                         const char *base, int level) {
    print_help(out, o, level);
    if (o->type == SL_CONF_LIST) {
        print_list(out, o, name, base, level);
        return;
    }
    print_indent(out, level);
    if (o->type == SL_CONF_BASE) { /* what came from it is printed as any other value */
        fprintf(out, "# %s: FILE\n", name);
        return;
    }
    if (sl_conf_is_secret(o)) {
        bool set = o->type != SL_CONF_TEXT || base[o->offset] != '\0';
        fprintf(out, "# %s: %s\n", name, set ? "(set)" : "(not set)");
        return;
    }
    fprintf(out, "%s: ", name);
    print_value(out, o, base + o->offset);
    fputc('\n', out);
}

/* True when an earlier option has the same path up to `size` bytes: that part is printed already.
 */
static bool printed_before(const struct sl_conf_option *schema, const struct sl_conf_option *o,
                           size_t size) {
    for (const struct sl_conf_option *p = schema; p < o; p++) {
        if (strncmp(p->path, o->path, size) == 0) {
            return true;
        }
    }
    return false;
}

/* Options that belong to one section need not stand together in the schema; in YAML they must. */
static void print_level(FILE *out, const struct sl_conf_option *schema, const char *prefix,
                        const char *base, int level) {
    size_t n = strlen(prefix);
    for (const struct sl_conf_option *o = schema; o->path; o++) {
        if (strncmp(o->path, prefix, n) != 0) {
            continue;
        }
        const char *name = o->path + n;
        size_t part = strcspn(name, ".");
        if (name[part] == '\0') {
            print_option(out, o, name, base, level);
            continue;
        }
        char below[192];
        size_t size = n + part + 1; /* with the dot */
        sl_assert(size < sizeof below);
        memcpy(below, o->path, size);
        below[size] = '\0';
        if (printed_before(schema, o, size)) {
            continue;
        }
        print_indent(out, level);
        fprintf(out, "%.*s:\n", (int)part, name);
        print_level(out, schema, below, base, level + 1);
    }
}

void sl_conf_print(FILE *out, const struct sl_conf_option *schema, const void *config) {
    print_level(out, schema, "", config, 0);
}
