/* SPDX-License-Identifier: Apache-2.0
 * GGUF parser: one pass with a bounded cursor, then order and overlap checks. */
#include "agent/models/gguf.h"

#include <endian.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "agent/models/gguf_internal.h"

struct cursor {
    const uint8_t *bytes;
    size_t at;
    size_t end;
};

static bool take(struct cursor *c, uint64_t n, const uint8_t **ret_bytes) {
    if (n > c->end - c->at) {
        return false;
    }
    *ret_bytes = c->bytes + c->at;
    c->at += (size_t)n;
    return true;
}

static bool take_u32(struct cursor *c, uint32_t *ret_value) {
    const uint8_t *p;
    if (!take(c, sizeof *ret_value, &p)) {
        return false;
    }
    memcpy(ret_value, p, sizeof *ret_value);
    *ret_value = le32toh(*ret_value);
    return true;
}

static bool take_u64(struct cursor *c, uint64_t *ret_value) {
    const uint8_t *p;
    if (!take(c, sizeof *ret_value, &p)) {
        return false;
    }
    memcpy(ret_value, p, sizeof *ret_value);
    *ret_value = le64toh(*ret_value);
    return true;
}

static int cut_short(const struct cursor *c, const char *where, struct sl_error *err) {
    return sl_fail(err, SL_CORRUPT, "the file ends inside %s (at byte %zu): fetch it again", where,
                   c->at);
}

static int take_text(struct cursor *c, uint64_t max, const char *what, struct sl_gguf_text *ret,
                     struct sl_error *err) {
    uint64_t len;
    const uint8_t *p;
    if (!take_u64(c, &len)) {
        return cut_short(c, what, err);
    }
    if (len > max) {
        return sl_fail(err, SL_LIMIT,
                       "%s at byte %zu has %" PRIu64 " bytes; at most %" PRIu64 " are accepted",
                       what, c->at - 8, len, max);
    }
    if (!take(c, len, &p)) {
        return cut_short(c, what, err);
    }
    *ret = (struct sl_gguf_text){(const char *)p, (size_t)len};
    return SL_OK;
}

/* Keys and tensor names: printable ASCII without blanks, so that errors and logs can show them. */
static int take_name(struct cursor *c, uint64_t max, const char *what, struct sl_gguf_text *ret,
                     struct sl_error *err) {
    struct sl_gguf_text name = {0};
    int rc = take_text(c, max, what, &name, err);
    if (rc) {
        return rc;
    }
    if (name.len == 0) {
        return sl_fail(err, SL_CORRUPT, "%s at byte %zu is empty", what, c->at - 8);
    }
    for (size_t i = 0; i < name.len; i++) {
        unsigned char byte = (unsigned char)name.bytes[i];
        if (byte <= 0x20 || byte >= 0x7f) {
            return sl_fail(err, SL_CORRUPT, "%s before byte %zu holds a byte 0x%02x", what, c->at,
                           byte);
        }
    }
    *ret = name;
    return SL_OK;
}

static int check_bools(const uint8_t *p, uint64_t n, struct sl_gguf_text key,
                       struct sl_error *err) {
    for (uint64_t i = 0; i < n; i++) {
        if (p[i] > 1) {
            return sl_fail(err, SL_CORRUPT, "key %.*s holds the truth value %u; only 0 and 1 exist",
                           (int)key.len, key.bytes, p[i]);
        }
    }
    return SL_OK;
}

static int take_array(struct cursor *c, unsigned depth, struct sl_gguf_text key,
                      struct sl_gguf_array *ret_array, struct sl_error *err);

/* Walks the items of an array whose items have no fixed size. */
static int take_items(struct cursor *c, unsigned depth, struct sl_gguf_text key,
                      const struct sl_gguf_array *array, struct sl_error *err) {
    int rc = SL_OK;
    for (uint64_t i = 0; i < array->count && rc == SL_OK; i++) {
        if (array->type == SL_GGUF_TEXT) {
            struct sl_gguf_text text;
            rc = take_text(c, SL_GGUF_MAX_TEXT_BYTES, "a text of an array", &text, err);
        } else {
            struct sl_gguf_array inner;
            rc = take_array(c, depth + 1, key, &inner, err);
        }
    }
    return rc;
}

static int take_array(struct cursor *c, unsigned depth, struct sl_gguf_text key,
                      struct sl_gguf_array *ret_array, struct sl_error *err) {
    uint32_t type;
    uint64_t count;
    if (depth > SL_GGUF_MAX_NESTING) {
        return sl_fail(err, SL_LIMIT, "key %.*s: arrays are nested deeper than %d", (int)key.len,
                       key.bytes, SL_GGUF_MAX_NESTING);
    }
    if (!take_u32(c, &type) || !take_u64(c, &count)) {
        return cut_short(c, "an array's header", err);
    }
    if (count > SL_GGUF_MAX_ARRAY_ITEMS) {
        return sl_fail(err, SL_LIMIT, "key %.*s: an array of %" PRIu64 " items; at most %u",
                       (int)key.len, key.bytes, count, SL_GGUF_MAX_ARRAY_ITEMS);
    }
    struct sl_gguf_array array = {(enum sl_gguf_type)type, count, c->bytes + c->at, 0};
    size_t start = c->at;
    size_t item = gguf_scalar_bytes(array.type);
    const uint8_t *p;
    if (item) {
        if (!take(c, count * item, &p)) {
            return cut_short(c, "an array", err);
        }
        int rc = type == SL_GGUF_BOOL ? check_bools(p, count, key, err) : SL_OK;
        if (rc) {
            return rc;
        }
    } else if (type == SL_GGUF_TEXT || type == SL_GGUF_ARRAY) {
        int rc = take_items(c, depth, key, &array, err);
        if (rc) {
            return rc;
        }
    } else {
        return sl_fail(err, SL_UNSUPPORTED, "key %.*s: array items of unknown type %u",
                       (int)key.len, key.bytes, type);
    }
    array.bytes = c->at - start;
    *ret_array = array;
    return SL_OK;
}

static int take_key(struct cursor *c, struct gguf_key *key, struct sl_error *err) {
    uint32_t type;
    int rc = take_name(c, SL_GGUF_MAX_KEY_BYTES, "a key", &key->name, err);
    if (rc) {
        return rc;
    }
    if (!take_u32(c, &type)) {
        return cut_short(c, "a key's type", err);
    }
    key->type = (enum sl_gguf_type)type;
    if (type == SL_GGUF_TEXT) {
        return take_text(c, SL_GGUF_MAX_TEXT_BYTES, "a text value", &key->text, err);
    }
    if (type == SL_GGUF_ARRAY) {
        return take_array(c, 1, key->name, &key->array, err);
    }
    size_t n = gguf_scalar_bytes(key->type);
    if (n == 0) {
        return sl_fail(err, SL_UNSUPPORTED, "key %.*s has the unknown type %u", (int)key->name.len,
                       key->name.bytes, type);
    }
    if (!take(c, n, &key->value)) {
        return cut_short(c, "a key's value", err);
    }
    return type == SL_GGUF_BOOL ? check_bools(key->value, 1, key->name, err) : SL_OK;
}

static int compare_keys(const void *a, const void *b) {
    const struct gguf_key *left = (const struct gguf_key *)a;
    const struct gguf_key *right = (const struct gguf_key *)b;
    return gguf_text_compare(left->name, right->name);
}

static int parse_keys(struct sl_gguf *f, struct cursor *c, uint64_t count, struct sl_error *err) {
    f->keys = calloc(count + 1, sizeof *f->keys);
    if (!f->keys) {
        return sl_fail(err, SL_NOMEM, "the table of a GGUF file's keys");
    }
    for (f->n_keys = 0; f->n_keys < count; f->n_keys++) {
        int rc = take_key(c, &f->keys[f->n_keys], err);
        if (rc) {
            return rc;
        }
    }
    qsort(f->keys, f->n_keys, sizeof *f->keys, compare_keys);
    for (size_t i = 1; i < f->n_keys; i++) {
        if (compare_keys(&f->keys[i - 1], &f->keys[i]) == 0) {
            return sl_fail(err, SL_CORRUPT, "key %.*s stands twice", (int)f->keys[i].name.len,
                           f->keys[i].name.bytes);
        }
    }
    return SL_OK;
}

static int read_alignment(struct sl_gguf *f, struct sl_error *err) {
    uint32_t alignment = 32;
    if (sl_gguf_has(f, "general.alignment")) {
        int rc = sl_gguf_get_u32(f, "general.alignment", &alignment, err);
        if (rc) {
            return rc;
        }
    }
    if (alignment < 8 || alignment > SL_GGUF_MAX_ALIGNMENT || (alignment & (alignment - 1))) {
        return sl_fail(err, SL_CORRUPT,
                       "general.alignment is %u; it must be a power of two from 8 to %u", alignment,
                       SL_GGUF_MAX_ALIGNMENT);
    }
    f->alignment = alignment;
    return SL_OK;
}

/* Fills all but data, whose place is only known after the last tensor; *ret_offset is into the
 * data. */
static int take_tensor(struct cursor *c, uint64_t alignment, struct sl_gguf_tensor *t,
                       uint64_t *ret_offset, struct sl_error *err) {
    struct sl_gguf_text name = {"", 0};
    uint32_t type;
    uint64_t n = 1;
    int rc = take_name(c, SL_GGUF_MAX_NAME_BYTES, "a tensor's name", &name, err);
    if (rc) {
        return rc;
    }
    memcpy(t->name, name.bytes, name.len);
    if (!take_u32(c, &t->n_dims)) {
        return cut_short(c, "a tensor's description", err);
    }
    if (t->n_dims < 1 || t->n_dims > SL_GGUF_MAX_DIMS) {
        return sl_fail(err, SL_CORRUPT, "tensor %s has %u dimensions; 1 to %d exist", t->name,
                       t->n_dims, SL_GGUF_MAX_DIMS);
    }
    for (uint32_t i = 0; i < SL_GGUF_MAX_DIMS; i++) {
        t->dims[i] = 1;
        if (i < t->n_dims && !take_u64(c, &t->dims[i])) {
            return cut_short(c, "a tensor's description", err);
        }
        if (t->dims[i] == 0 || __builtin_mul_overflow(n, t->dims[i], &n)) {
            return sl_fail(err, SL_CORRUPT, "tensor %s has an impossible shape", t->name);
        }
    }
    if (!take_u32(c, &type) || !take_u64(c, ret_offset)) {
        return cut_short(c, "a tensor's description", err);
    }
    t->type = (enum sl_ggml_type)type;
    if (strcmp(sl_ggml_type_name(t->type), "?") == 0) {
        return sl_fail(err, SL_UNSUPPORTED, "tensor %s has type %u, which is not supported",
                       t->name, type);
    }
    if (!sl_ggml_size(t->type, t->dims[0], n, &t->bytes)) {
        return sl_fail(err, SL_CORRUPT, "tensor %s: its rows of %" PRIu64 " do not fit type %s",
                       t->name, t->dims[0], sl_ggml_type_name(t->type));
    }
    if (*ret_offset & (alignment - 1)) {
        return sl_fail(err, SL_CORRUPT, "tensor %s begins at an unaligned offset", t->name);
    }
    return SL_OK;
}

static int compare_names(const void *a, const void *b) {
    const struct sl_gguf_tensor *const *left = (const struct sl_gguf_tensor *const *)a;
    const struct sl_gguf_tensor *const *right = (const struct sl_gguf_tensor *const *)b;
    return strcmp((*left)->name, (*right)->name);
}

static int compare_places(const void *a, const void *b) {
    const struct sl_gguf_tensor *const *left = (const struct sl_gguf_tensor *const *)a;
    const struct sl_gguf_tensor *const *right = (const struct sl_gguf_tensor *const *)b;
    uintptr_t x = (uintptr_t)(*left)->data;
    uintptr_t y = (uintptr_t)(*right)->data;
    return x < y ? -1 : x > y;
}

static int check_overlaps(struct sl_gguf *f, struct sl_error *err) {
    qsort(f->by_name, f->n_tensors, sizeof(void *), compare_places);
    for (size_t i = 1; i < f->n_tensors; i++) {
        const struct sl_gguf_tensor *a = f->by_name[i - 1];
        const struct sl_gguf_tensor *b = f->by_name[i];
        if ((const uint8_t *)a->data + a->bytes > (const uint8_t *)b->data) {
            return sl_fail(err, SL_CORRUPT, "tensors %s and %s overlap", a->name, b->name);
        }
    }
    qsort(f->by_name, f->n_tensors, sizeof(void *), compare_names);
    for (size_t i = 1; i < f->n_tensors; i++) {
        if (strcmp(f->by_name[i - 1]->name, f->by_name[i]->name) == 0) {
            return sl_fail(err, SL_CORRUPT, "tensor %s stands twice", f->by_name[i]->name);
        }
    }
    return SL_OK;
}

static int place_tensors(struct sl_gguf *f, const struct cursor *c, const uint64_t *offsets,
                         struct sl_error *err) {
    /* No overflow: a mapping is far below SIZE_MAX. */
    size_t data_at = (c->at + (size_t)f->alignment - 1) & ~((size_t)f->alignment - 1);
    size_t data_bytes = data_at < c->end ? c->end - data_at : 0;
    for (size_t i = 0; i < f->n_tensors; i++) {
        struct sl_gguf_tensor *t = &f->tensors[i];
        if (offsets[i] > data_bytes || t->bytes > data_bytes - offsets[i]) {
            return sl_fail(err, SL_CORRUPT,
                           "tensor %s reaches beyond the end of the file: fetch the file again",
                           t->name);
        }
        t->data = f->bytes + data_at + offsets[i];
        f->by_name[i] = t;
    }
    return check_overlaps(f, err);
}

static int parse_tensors(struct sl_gguf *f, struct cursor *c, uint64_t count,
                         struct sl_error *err) {
    SL_AUTO_FREE uint64_t *offsets = calloc(count + 1, sizeof *offsets);
    f->tensors = calloc(count + 1, sizeof *f->tensors);
    f->by_name = calloc(count + 1, sizeof(void *));
    if (!offsets || !f->tensors || !f->by_name) {
        return sl_fail(err, SL_NOMEM, "the table of a GGUF file's tensors");
    }
    for (f->n_tensors = 0; f->n_tensors < count; f->n_tensors++) {
        int rc =
            take_tensor(c, f->alignment, &f->tensors[f->n_tensors], &offsets[f->n_tensors], err);
        if (rc) {
            return rc;
        }
    }
    return place_tensors(f, c, offsets, err);
}

static int parse(struct sl_gguf *f, struct sl_error *err) {
    struct cursor c = {f->bytes, 0, f->n_bytes};
    const uint8_t *magic;
    uint64_t n_tensors;
    uint64_t n_keys;
    if (!take(&c, 4, &magic) || memcmp(magic, "GGUF", 4) != 0) {
        return sl_fail(err, SL_CORRUPT, "this is no GGUF file (its first bytes are not GGUF)");
    }
    if (!take_u32(&c, &f->version)) {
        return cut_short(&c, "the header", err);
    }
    if (f->version != 2 && f->version != 3) {
        if (__builtin_bswap32(f->version) <= 16) {
            return sl_fail(err, SL_UNSUPPORTED,
                           "big-endian GGUF; only little-endian files are read");
        }
        return sl_fail(err, SL_UNSUPPORTED, "GGUF version %u; versions 2 and 3 are read",
                       f->version);
    }
    if (!take_u64(&c, &n_tensors) || !take_u64(&c, &n_keys)) {
        return cut_short(&c, "the header", err);
    }
    if (n_tensors > SL_GGUF_MAX_TENSORS || n_keys > SL_GGUF_MAX_KEYS) {
        return sl_fail(err, SL_LIMIT,
                       "%" PRIu64 " tensors and %" PRIu64 " keys; at most %d and %d are accepted",
                       n_tensors, n_keys, SL_GGUF_MAX_TENSORS, SL_GGUF_MAX_KEYS);
    }
    int rc = parse_keys(f, &c, n_keys, err);
    if (rc == SL_OK) {
        rc = read_alignment(f, err);
    }
    return rc == SL_OK ? parse_tensors(f, &c, n_tensors, err) : rc;
}

int sl_gguf_open_memory(const void *bytes, size_t n_bytes, struct sl_gguf **ret_file,
                        struct sl_error *err) {
    SL_AUTO(sl_gguf) f = calloc(1, sizeof *f);
    if (!f) {
        return sl_fail(err, SL_NOMEM, "a GGUF file");
    }
    f->bytes = (const uint8_t *)bytes;
    f->n_bytes = n_bytes;
    int rc = parse(f, err);
    if (rc == SL_OK) {
        *ret_file = sl_take(&f);
    }
    return rc;
}

int sl_gguf_open(const char *path, struct sl_gguf **ret_file, struct sl_error *err) {
    SL_AUTO(sl_gguf) f = calloc(1, sizeof *f);
    if (!f) {
        return sl_fail(err, SL_NOMEM, "a GGUF file");
    }
    int rc = sl_mapping_read(path, &f->mapping, &f->stamp, err);
    if (rc == SL_OK) {
        f->bytes = f->mapping.bytes;
        f->n_bytes = f->mapping.n;
        rc = parse(f, err);
    }
    if (rc) {
        sl_wrap(err, "%s", path);
        return rc;
    }
    *ret_file = sl_take(&f);
    return SL_OK;
}

void sl_gguf_close(struct sl_gguf *file) {
    if (!file) {
        return;
    }
    sl_mapping_close(&file->mapping);
    free(file->keys);
    free(file->tensors);
    free(file->by_name);
    free(file);
}
