/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/conf/conf.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/base/cleanup.h"
#include "proto/base/text.h"
#include "proto/conf/tree.h"
#include "proto/conf/value.h"

#define FILE_BYTES_MAX ((size_t)1024 * 1024)
#define PATH_BYTES 192

/* One map that is read against one schema: the whole file, or an item of a list. */
struct scope {
    const char *name; /* of the file */
    bool from_file;   /* not from memory: it may name files with defaults */
    bool is_base;     /* it is such a file */
    yaml_document_t *doc;
    const struct sl_conf_option *schema;
    size_t option_count;
    void *base;
    const char *shown; /* before each path in errors: "" or "devices[2]." */
    bool *seen;        /* [option_count] */
    int *home_line;    /* [option_count] line of the innermost section that is there */
    struct sl_error *err;
};

static int line_of(const yaml_node_t *node) {
    return (int)node->start_mark.line + 1;
}

static const char *scalar(const yaml_node_t *node) {
    return (const char *)node->data.scalar.value;
}

static int fail_at(const struct scope *s, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static int fail_at(const struct scope *s, int line, const char *format, ...) {
    char text[SL_ERROR_TEXT_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return sl_fail(s->err, SL_INVALID, "%s:%d: %s", s->name, line, text);
}

/* `section:` with nothing below it, perhaps because all of it is commented out. */
static bool is_empty(const yaml_node_t *node) {
    return node->type == YAML_SCALAR_NODE && node->data.scalar.length == 0 &&
           node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
}

static const char *kind_of(const yaml_node_t *node) {
    switch (node->type) {
    case YAML_SEQUENCE_NODE:
        return "a list";
    case YAML_MAPPING_NODE:
        return "a section";
    case YAML_SCALAR_NODE:
    case YAML_NO_NODE:
    default:
        return "a single value";
    }
}

static size_t count_options(const struct sl_conf_option *schema) {
    size_t n = 0;
    while (schema[n].path) {
        n++;
    }
    return n;
}

/* ---- unknown keys ---- */

/* Edit distance, at most `limit` + 1. */
static int distance(const char *a, const char *b, int limit) {
    int row[64];
    int n = (int)strlen(b);
    if (n >= 64 || strlen(a) >= 64) {
        return limit + 1;
    }
    for (int j = 0; j <= n; j++) {
        row[j] = j;
    }
    for (int i = 1; a[i - 1]; i++) {
        int corner = row[0];
        row[0] = i;
        for (int j = 1; j <= n; j++) {
            int replaced = corner + (a[i - 1] != b[j - 1]);
            corner = row[j];
            int inserted = row[j - 1] + 1;
            int deleted = row[j] + 1;
            row[j] = replaced < inserted ? replaced : inserted;
            row[j] = row[j] < deleted ? row[j] : deleted;
        }
    }
    return row[n] <= limit ? row[n] : limit + 1;
}

/* The next part of an option's path below `prefix`, copied to out; false when it is elsewhere. */
static bool next_part(const struct sl_conf_option *o, const char *prefix, char *out, size_t size) {
    size_t n = strlen(prefix);
    if (strncmp(o->path, prefix, n) != 0) {
        return false;
    }
    size_t part = strcspn(o->path + n, ".");
    if (part >= size) {
        return false;
    }
    memcpy(out, o->path + n, part);
    out[part] = '\0';
    return true;
}

static int fail_unknown(const struct scope *s, const char *prefix, const yaml_node_t *key) {
    char shown[64];
    sl_conf_shown(scalar(key), key->data.scalar.length, shown, sizeof shown);
    if (strcmp(shown, "<<") == 0) {
        return fail_at(s, line_of(key), "a merge key (<<); write the values out");
    }
    char best[64] = "";
    int best_distance = 3;
    SL_AUTO_BUF struct sl_buf all = {0};
    char last[64] = "";
    for (size_t i = 0; i < s->option_count; i++) {
        char part[64];
        if (!next_part(&s->schema[i], prefix, part, sizeof part) || strcmp(part, last) == 0) {
            continue;
        }
        sl_text_copy(last, sizeof last, part);
        sl_buf_printf(&all, "%s%s", all.len ? ", " : "", part);
        int d = distance(shown, part, 2);
        if (d < best_distance && d < (int)strlen(part)) {
            best_distance = d;
            sl_text_copy(best, sizeof best, part);
        }
    }
    if (best[0]) {
        return fail_at(s, line_of(key), "unknown key %s%s%s; did you mean %s?", s->shown, prefix,
                       shown, best);
    }
    return fail_at(s, line_of(key), "unknown key %s%s%s; possible here: %s", s->shown, prefix,
                   shown, all.data ? all.data : "nothing");
}

/* ---- values ---- */

static int read_map(const struct scope *outer, const struct sl_conf_option *schema,
                    const yaml_node_t *node, int line, const char *shown, void *base);

static int read_list(const struct scope *s, const struct sl_conf_option *o, const char *path,
                     int key_line, const yaml_node_t *node) {
    char wanted[160];
    size_t n = 0;
    if (node->type == YAML_SEQUENCE_NODE) {
        n = (size_t)(node->data.sequence.items.top - node->data.sequence.items.start);
    } else if (!is_empty(node)) {
        return fail_at(s, key_line, "%s%s is %s, which is not %s", s->shown, path, kind_of(node),
                       sl_conf_wanted(o, wanted, sizeof wanted));
    }
    if ((int64_t)n < o->min || (int64_t)n > o->max) {
        return fail_at(s, key_line, "%s%s has %zu entries, which is not %s", s->shown, path, n,
                       sl_conf_wanted(o, wanted, sizeof wanted));
    }
    /* A base may have filled it already: a list replaces a list. */
    memset((char *)s->base + o->offset, 0, (size_t)o->max * o->size);
    for (size_t i = 0; i < n; i++) {
        const yaml_node_t *item =
            yaml_document_get_node(s->doc, node->data.sequence.items.start[i]);
        char shown[PATH_BYTES];
        snprintf(shown, sizeof shown, "%s%s[%zu].", s->shown, path, i);
        if (item->type != YAML_MAPPING_NODE && !is_empty(item)) {
            return fail_at(s, line_of(item), "%s%s[%zu] is %s, which is not a map of `key: value`",
                           s->shown, path, i, kind_of(item));
        }
        int rc = read_map(s, o->item, is_empty(item) ? NULL : item, line_of(item), shown,
                          (char *)s->base + o->offset + i * o->size);
        if (rc) {
            return rc;
        }
    }
    uint32_t count = (uint32_t)n;
    memcpy((char *)s->base + o->count_offset, &count, sizeof count);
    return SL_OK;
}

static int read_option(const struct scope *s, const struct sl_conf_option *o, int key_line,
                       const yaml_node_t *node) {
    if (o->type == SL_CONF_LIST) {
        return read_list(s, o, o->path, key_line, node);
    }
    if (o->type == SL_CONF_BASE) {
        return s->is_base
                   ? fail_at(s, key_line, "%s cannot stand in a file that is named by one", o->path)
                   : SL_OK; /* was read first */
    }
    if (node->type != YAML_SCALAR_NODE) {
        char wanted[160];
        return fail_at(s, key_line, "%s%s is %s, which is not %s", s->shown, o->path, kind_of(node),
                       sl_conf_wanted(o, wanted, sizeof wanted));
    }
    char shown[PATH_BYTES];
    snprintf(shown, sizeof shown, "%s%s", s->shown, o->path);
    int rc = sl_conf_value_set(o, shown, scalar(node), node->data.scalar.length,
                               node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE, s->base, s->err);
    if (rc) {
        sl_wrap(s->err, "%s:%d", s->name, key_line);
    }
    return rc;
}

/* ---- maps ---- */

static int check_twice(const struct scope *s, const yaml_node_t *map, const yaml_node_pair_t *pair,
                       const yaml_node_t *key) {
    for (const yaml_node_pair_t *p = map->data.mapping.pairs.start; p < pair; p++) {
        const yaml_node_t *earlier = yaml_document_get_node(s->doc, p->key);
        if (earlier->data.scalar.length == key->data.scalar.length &&
            memcmp(scalar(earlier), scalar(key), key->data.scalar.length) == 0) {
            char shown[64];
            sl_conf_shown(scalar(key), key->data.scalar.length, shown, sizeof shown);
            return fail_at(s, line_of(key), "%s stands twice, first in line %d; keep one", shown,
                           line_of(earlier));
        }
    }
    return SL_OK;
}

static int read_section(struct scope *s, const char *prefix, const yaml_node_t *map, int line);

/* One `key: value` of a section. path: prefix and key. */
static int read_pair(struct scope *s, const char *prefix, const char *path, const yaml_node_t *key,
                     const yaml_node_t *value) {
    char below[PATH_BYTES + 1];
    size_t n = (size_t)snprintf(below, sizeof below, "%s.", path);
    bool section = false;
    for (size_t i = 0; i < s->option_count; i++) {
        if (strcmp(s->schema[i].path, path) == 0) {
            s->seen[i] = true;
            return read_option(s, &s->schema[i], line_of(key), value);
        }
        section = section || strncmp(s->schema[i].path, below, n) == 0;
    }
    if (!section) {
        return fail_unknown(s, prefix, key);
    }
    if (value->type != YAML_MAPPING_NODE && !is_empty(value)) {
        return fail_at(s, line_of(key), "%s%s is %s, which is not a section of `key: value`",
                       s->shown, path, kind_of(value));
    }
    return read_section(s, below, is_empty(value) ? NULL : value, line_of(key));
}

/* map NULL: the section is there and empty. */
static int read_section(struct scope *s, const char *prefix, const yaml_node_t *map, int line) {
    for (size_t i = 0; i < s->option_count; i++) {
        if (strncmp(s->schema[i].path, prefix, strlen(prefix)) == 0) {
            s->home_line[i] = line;
        }
    }
    if (!map) {
        return SL_OK;
    }
    const yaml_node_pair_t *end = map->data.mapping.pairs.top;
    for (const yaml_node_pair_t *p = map->data.mapping.pairs.start; p < end; p++) {
        const yaml_node_t *key = yaml_document_get_node(s->doc, p->key);
        const yaml_node_t *value = yaml_document_get_node(s->doc, p->value);
        if (key->type != YAML_SCALAR_NODE) {
            return fail_at(s, line_of(key), "a key is one word, not %s", kind_of(key));
        }
        int rc = check_twice(s, map, p, key);
        if (rc) {
            return rc;
        }
        char path[PATH_BYTES];
        size_t n = strlen(prefix) + key->data.scalar.length;
        /* A key with a dot would be taken for a path. */
        if (n >= sizeof path || strlen(scalar(key)) != key->data.scalar.length ||
            key->data.scalar.length == 0 || strchr(scalar(key), '.')) {
            return fail_unknown(s, prefix, key);
        }
        snprintf(path, sizeof path, "%s%s", prefix, scalar(key));
        rc = read_pair(s, prefix, path, key, value);
        if (rc) {
            return rc;
        }
    }
    return SL_OK;
}

static int fill_default(const struct scope *s, size_t i) {
    const struct sl_conf_option *o = &s->schema[i];
    if (o->type == SL_CONF_BASE) {
        return SL_OK;
    }
    if (!o->fallback) {
        char wanted[160];
        return fail_at(s, s->home_line[i], "%s%s is missing: %s (%s)", s->shown, o->path, o->help,
                       sl_conf_wanted(o, wanted, sizeof wanted));
    }
    if (o->type == SL_CONF_LIST) {
        sl_assert(strcmp(o->fallback, "[]") == 0); /* no other default can be written */
        return SL_OK;                              /* the struct is zeroed: count 0 */
    }
    int rc = sl_conf_value_set(o, o->path, o->fallback, strlen(o->fallback),
                               o->type != SL_CONF_TEXT, s->base, NULL);
    sl_assert(rc == SL_OK); /* a default that its own option refuses */
    return SL_OK;
}

static int load(const char *path, char **ret_text, size_t *ret_size, struct sl_error *err);

/* A path from the folder of the file that names it on. */
static bool beside(const char *name, const char *path, char *out, size_t out_size) {
    const char *slash = strrchr(name, '/');
    int folder = slash && path[0] != '/' ? (int)(slash + 1 - name) : 0;
    int n = snprintf(out, out_size, "%.*s%s", folder, name, path);
    return n > 0 && (size_t)n < out_size;
}

static int read_base_text(const struct scope *outer, const char *path, const char *text,
                          size_t size) {
    struct scope s = *outer;
    yaml_document_t doc;
    int rc = sl_conf_tree_load(path, text, size, &doc, s.err);
    if (rc) {
        return rc;
    }
    s.name = path;
    s.doc = &doc;
    s.is_base = true;
    s.shown = "";
    const yaml_node_t *root = yaml_document_get_root_node(&doc);
    rc = !root || root->type != YAML_MAPPING_NODE
             ? fail_at(&s, root ? line_of(root) : 1, "this is not `key: value` lines")
             : read_section(&s, "", root, 1);
    yaml_document_delete(&doc);
    return rc;
}

/* The file that `base` of this map names, before the map itself. */
static int read_base(const struct scope *s, const yaml_node_t *map) {
    const yaml_node_pair_t *end = map->data.mapping.pairs.top;
    for (const yaml_node_pair_t *p = map->data.mapping.pairs.start; p < end; p++) {
        const yaml_node_t *key = yaml_document_get_node(s->doc, p->key);
        const yaml_node_t *value = yaml_document_get_node(s->doc, p->value);
        const struct sl_conf_option *o = s->schema;
        while (o->path && (o->type != SL_CONF_BASE || key->type != YAML_SCALAR_NODE ||
                           strcmp(o->path, scalar(key)) != 0)) {
            o++;
        }
        if (!o->path) {
            continue;
        }
        char path[1024];
        if (value->type != YAML_SCALAR_NODE || !scalar(value)[0] || !s->from_file ||
            !beside(s->name, scalar(value), path, sizeof path)) {
            return fail_at(s, line_of(key), "%s%s is not a file's name that can be read from here",
                           s->shown, o->path);
        }
        SL_AUTO_FREE char *text = NULL;
        size_t size = 0;
        int rc = load(path, &text, &size, s->err);
        if (rc || size > FILE_BYTES_MAX) {
            rc = rc == -SL_NOTFOUND ? sl_fail(s->err, SL_NOTFOUND, "there is no file %s", path)
                 : rc               ? rc
                                    : sl_fail(s->err, SL_LIMIT, "%s is too large", path);
            sl_wrap(s->err, "%s:%d: %s%s", s->name, line_of(key), s->shown, o->path);
            return rc;
        }
        return read_base_text(s, path, text, size);
    }
    return SL_OK;
}

/* node NULL: nothing there, all defaults. */
static int read_map(const struct scope *outer, const struct sl_conf_option *schema,
                    const yaml_node_t *node, int line, const char *shown, void *base) {
    struct scope s = *outer;
    s.schema = schema;
    s.option_count = count_options(schema);
    s.base = base;
    s.shown = shown;
    SL_AUTO_FREE bool *seen = calloc(s.option_count + 1, sizeof *seen);
    SL_AUTO_FREE int *home_line = calloc(s.option_count + 1, sizeof *home_line);
    if (!seen || !home_line) {
        return sl_fail(s.err, SL_NOMEM, "no memory to read %s", s.name);
    }
    s.seen = seen;
    s.home_line = home_line;
    int rc = node && !s.is_base ? read_base(&s, node) : SL_OK;
    rc = rc ? rc : read_section(&s, "", node, line);
    for (size_t i = 0; i < s.option_count && rc == SL_OK; i++) {
        rc = s.seen[i] ? SL_OK : fill_default(&s, i);
    }
    return rc;
}

static int parse(const char *name, bool from_file, const char *text, size_t size,
                 const struct sl_conf_option *schema, void *config, size_t config_size,
                 struct sl_error *err) {
    if (size > FILE_BYTES_MAX) {
        return sl_fail(err, SL_LIMIT, "%s:1: %zu bytes, and a configuration has at most %zu", name,
                       size, FILE_BYTES_MAX);
    }
    void *fresh = calloc(1, config_size);
    if (!fresh) {
        return sl_fail(err, SL_NOMEM, "no memory to read %s", name);
    }
    yaml_document_t doc;
    int rc = sl_conf_tree_load(name, text, size, &doc, err);
    if (rc == SL_OK) {
        struct scope file = {
            .name = name, .from_file = from_file, .doc = &doc, .shown = "", .err = err};
        const yaml_node_t *root = yaml_document_get_root_node(&doc);
        if (root && is_empty(root)) {
            root = NULL;
        }
        rc =
            root && root->type != YAML_MAPPING_NODE
                ? fail_at(&file, line_of(root), "this is %s, not `key: value` lines", kind_of(root))
                : read_map(&file, schema, root, 1, "", fresh);
        yaml_document_delete(&doc);
    }
    if (rc == SL_OK) {
        memcpy(config, fresh, config_size);
    }
    explicit_bzero(fresh, config_size); /* may hold secrets */
    free(fresh);
    return rc;
}

int sl_conf_parse(const char *name, const char *text, size_t size,
                  const struct sl_conf_option *schema, void *config, size_t config_size,
                  struct sl_error *err) {
    return parse(name, false, text, size, schema, config, config_size, err);
}

static int load(const char *path, char **ret_text, size_t *ret_size, struct sl_error *err) {
    SL_AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 && errno == ENOENT) {
        return sl_fail(err, SL_NOTFOUND,
                       "there is no configuration %s; samples are in deploy/config", path);
    }
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0) {
        return sl_fail_errno(err, "cannot read the configuration %s", path);
    }
    if (!S_ISREG(st.st_mode)) {
        return sl_fail(err, SL_INVALID, "%s is not a file", path);
    }
    SL_AUTO_FREE char *text = malloc(FILE_BYTES_MAX + 2);
    if (!text) {
        return sl_fail(err, SL_NOMEM, "no memory to read %s", path);
    }
    size_t n = 0;
    ssize_t got;
    while (n <= FILE_BYTES_MAX && (got = read(fd, text + n, FILE_BYTES_MAX + 1 - n)) != 0) {
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return sl_fail_errno(err, "cannot read the configuration %s", path);
        }
        n += (size_t)got;
    }
    *ret_text = sl_take(&text);
    *ret_size = n;
    return SL_OK;
}

int sl_conf_read(const char *path, const struct sl_conf_option *schema, void *config,
                 size_t config_size, struct sl_error *err) {
    char *text = NULL;
    size_t size = 0;
    int rc = load(path, &text, &size, err);
    if (!text) {
        return rc;
    }
    rc = parse(path, true, text, size, schema, config, config_size, err);
    explicit_bzero(text, size);
    free(text);
    return rc;
}
