/* SPDX-License-Identifier: Apache-2.0
 * safetensors reader: the JSON header by jansson, then the checks of the format's own rules. */
#include "agent/models/safetensors.h"

#include <endian.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "agent/models/ggml_row.h"
#include "agent/models/mapping.h"

struct sl_safetensors {
    struct sl_mapping mapping; /* empty when the bytes are the caller's */
    struct sl_safetensors_tensor *tensors;
    size_t n_tensors;
};

struct type_row {
    const char *name;
    enum sl_safetensors_type type;
    uint32_t bytes;
};

static const struct type_row type_rows[] = {
    {"F32", SL_SAFETENSORS_F32, 4},       {"F16", SL_SAFETENSORS_F16, 2},
    {"BF16", SL_SAFETENSORS_BF16, 2},     {"F64", SL_SAFETENSORS_OTHER, 8},
    {"I64", SL_SAFETENSORS_OTHER, 8},     {"U64", SL_SAFETENSORS_OTHER, 8},
    {"I32", SL_SAFETENSORS_OTHER, 4},     {"U32", SL_SAFETENSORS_OTHER, 4},
    {"I16", SL_SAFETENSORS_OTHER, 2},     {"U16", SL_SAFETENSORS_OTHER, 2},
    {"I8", SL_SAFETENSORS_OTHER, 1},      {"U8", SL_SAFETENSORS_OTHER, 1},
    {"BOOL", SL_SAFETENSORS_OTHER, 1},    {"F8_E5M2", SL_SAFETENSORS_OTHER, 1},
    {"F8_E4M3", SL_SAFETENSORS_OTHER, 1},
};

static const struct type_row *find_type(const char *name) {
    for (size_t i = 0; name && i < sizeof type_rows / sizeof type_rows[0]; i++) {
        if (strcmp(type_rows[i].name, name) == 0) {
            return &type_rows[i];
        }
    }
    return NULL;
}

static bool whole_number(const json_t *value, uint64_t *ret_value) {
    if (!json_is_integer(value) || json_integer_value(value) < 0) {
        return false;
    }
    *ret_value = (uint64_t)json_integer_value(value);
    return true;
}

static int check_name(const char *name, size_t len, struct sl_error *err) {
    if (len == 0 || len > SL_SAFETENSORS_MAX_NAME_BYTES) {
        return sl_fail(err, SL_LIMIT, "a tensor's name of %zu bytes; 1 to %d are accepted", len,
                       SL_SAFETENSORS_MAX_NAME_BYTES);
    }
    for (size_t i = 0; i < len; i++) {
        if (name[i] <= ' ' || name[i] >= 0x7f) {
            return sl_fail(err, SL_CORRUPT, "a tensor's name holds a byte 0x%02x",
                           (unsigned)(unsigned char)name[i]);
        }
    }
    return SL_OK;
}

/* Fills shape and elements. */
static int read_shape(const json_t *shape, struct sl_safetensors_tensor *t, struct sl_error *err) {
    if (!json_is_array(shape) || json_array_size(shape) > SL_SAFETENSORS_MAX_DIMS) {
        return sl_fail(err, SL_CORRUPT, "tensor %s: shape must be a list of at most %d numbers",
                       t->name, SL_SAFETENSORS_MAX_DIMS);
    }
    t->n_dims = (uint32_t)json_array_size(shape);
    t->elements = 1;
    for (uint32_t i = 0; i < t->n_dims; i++) {
        if (!whole_number(json_array_get(shape, i), &t->shape[i]) ||
            __builtin_mul_overflow(t->elements, t->shape[i], &t->elements)) {
            return sl_fail(err, SL_CORRUPT, "tensor %s has an impossible shape", t->name);
        }
    }
    return SL_OK;
}

static int read_tensor(const json_t *entry, const uint8_t *data, uint64_t n_data,
                       struct sl_safetensors_tensor *t, struct sl_error *err) {
    const json_t *offsets = json_object_get(entry, "data_offsets");
    const char *type_name = json_string_value(json_object_get(entry, "dtype"));
    const struct type_row *type = find_type(type_name);
    uint64_t begin;
    uint64_t end;
    uint64_t want;
    if (!type) {
        return sl_fail(err, SL_UNSUPPORTED, "tensor %s has an unknown dtype", t->name);
    }
    t->type = type->type;
    int rc = read_shape(json_object_get(entry, "shape"), t, err);
    if (rc) {
        return rc;
    }
    if (json_array_size(offsets) != 2 || !whole_number(json_array_get(offsets, 0), &begin) ||
        !whole_number(json_array_get(offsets, 1), &end)) {
        return sl_fail(err, SL_CORRUPT, "tensor %s: data_offsets must be two numbers", t->name);
    }
    if (begin > end || end > n_data) {
        return sl_fail(err, SL_CORRUPT,
                       "tensor %s reaches beyond the end of the file: fetch the file again",
                       t->name);
    }
    if (__builtin_mul_overflow(t->elements, type->bytes, &want) || want != end - begin) {
        return sl_fail(err, SL_CORRUPT,
                       "tensor %s: its shape needs other than its %" PRIu64 " bytes", t->name,
                       end - begin);
    }
    t->data = data + begin;
    t->bytes = end - begin;
    return SL_OK;
}

/* Empty tensors sort before the one that begins at the same place. */
static int compare_places(const void *a, const void *b) {
    const struct sl_safetensors_tensor *left = (const struct sl_safetensors_tensor *)a;
    const struct sl_safetensors_tensor *right = (const struct sl_safetensors_tensor *)b;
    if (left->data != right->data) {
        return (uintptr_t)left->data < (uintptr_t)right->data ? -1 : 1;
    }
    return left->bytes < right->bytes ? -1 : left->bytes > right->bytes;
}

static int check_cover(const struct sl_safetensors *f, const uint8_t *data, uint64_t n_data,
                       struct sl_error *err) {
    const uint8_t *at = data;
    for (size_t i = 0; i < f->n_tensors; i++) {
        const struct sl_safetensors_tensor *t = &f->tensors[i];
        if (t->data != at) {
            return sl_fail(err, SL_CORRUPT, "the data before tensor %s has a hole or an overlap",
                           t->name);
        }
        at += t->bytes;
    }
    if (at != data + n_data) {
        return sl_fail(err, SL_CORRUPT, "bytes at the end of the file belong to no tensor");
    }
    return SL_OK;
}

static int read_tensors(struct sl_safetensors *f, json_t *root, const uint8_t *data,
                        uint64_t n_data, struct sl_error *err) {
    const char *name;
    json_t *entry;
    size_t count = json_object_size(root);
    if (count > SL_SAFETENSORS_MAX_TENSORS) {
        return sl_fail(err, SL_LIMIT, "%zu tensors; at most %d are accepted", count,
                       SL_SAFETENSORS_MAX_TENSORS);
    }
    f->tensors = calloc(count + 1, sizeof *f->tensors);
    if (!f->tensors) {
        return sl_fail(err, SL_NOMEM, "the table of a safetensors file");
    }
    json_object_foreach(root, name, entry) {
        if (strcmp(name, "__metadata__") == 0) {
            continue;
        }
        int rc = check_name(name, strlen(name), err);
        if (rc) {
            return rc;
        }
        struct sl_safetensors_tensor *t = &f->tensors[f->n_tensors];
        t->name = strdup(name);
        if (!t->name) {
            return sl_fail(err, SL_NOMEM, "a tensor's name");
        }
        f->n_tensors++;
        rc = read_tensor(entry, data, n_data, t, err);
        if (rc) {
            return rc;
        }
    }
    qsort(f->tensors, f->n_tensors, sizeof *f->tensors, compare_places);
    return check_cover(f, data, n_data, err);
}

static int parse(struct sl_safetensors *f, const uint8_t *bytes, size_t n_bytes,
                 struct sl_error *err) {
    uint64_t n_header;
    json_error_t why;
    if (n_bytes < sizeof n_header) {
        return sl_fail(err, SL_CORRUPT, "the file ends inside its header: fetch it again");
    }
    memcpy(&n_header, bytes, sizeof n_header);
    n_header = le64toh(n_header);
    if (n_header > SL_SAFETENSORS_MAX_HEADER_BYTES) {
        return sl_fail(err, SL_LIMIT,
                       "a header of %" PRIu64 " bytes; at most %" PRIu64
                       " are accepted (is this a safetensors file?)",
                       n_header, SL_SAFETENSORS_MAX_HEADER_BYTES);
    }
    if (n_header > n_bytes - sizeof n_header) {
        return sl_fail(err, SL_CORRUPT, "the file ends inside its header: fetch it again");
    }
    const char *text = (const char *)bytes + sizeof n_header;
    if (n_header == 0 || text[0] != '{') {
        return sl_fail(err, SL_CORRUPT, "this is no safetensors file (its header is no object)");
    }
    json_t *root = json_loadb(text, (size_t)n_header, JSON_REJECT_DUPLICATES, &why);
    if (!root) {
        return sl_fail(err, SL_CORRUPT, "the header is not valid JSON (at byte %d)", why.position);
    }
    int rc = read_tensors(f, root, bytes + sizeof n_header + n_header,
                          n_bytes - sizeof n_header - n_header, err);
    json_decref(root);
    return rc;
}

int sl_safetensors_open_memory(const void *bytes, size_t n_bytes, struct sl_safetensors **ret_file,
                               struct sl_error *err) {
    SL_AUTO(sl_safetensors) f = calloc(1, sizeof *f);
    if (!f) {
        return sl_fail(err, SL_NOMEM, "a safetensors file");
    }
    int rc = parse(f, (const uint8_t *)bytes, n_bytes, err);
    if (rc == SL_OK) {
        *ret_file = sl_take(&f);
    }
    return rc;
}

int sl_safetensors_open(const char *path, struct sl_safetensors **ret_file, struct sl_error *err) {
    SL_AUTO(sl_safetensors) f = calloc(1, sizeof *f);
    if (!f) {
        return sl_fail(err, SL_NOMEM, "a safetensors file");
    }
    int rc = sl_mapping_open(path, &f->mapping, err);
    if (rc == SL_OK) {
        rc = parse(f, f->mapping.bytes, f->mapping.n, err);
    }
    if (rc) {
        sl_wrap(err, "%s", path);
        return rc;
    }
    *ret_file = sl_take(&f);
    return SL_OK;
}

void sl_safetensors_close(struct sl_safetensors *file) {
    if (!file) {
        return;
    }
    for (size_t i = 0; i < file->n_tensors; i++) {
        free(file->tensors[i].name);
    }
    free(file->tensors);
    sl_mapping_close(&file->mapping);
    free(file);
}

size_t sl_safetensors_count(const struct sl_safetensors *file) {
    return file->n_tensors;
}

const struct sl_safetensors_tensor *sl_safetensors_at(const struct sl_safetensors *file,
                                                      size_t index) {
    sl_assert(index < file->n_tensors);
    return &file->tensors[index];
}

const struct sl_safetensors_tensor *sl_safetensors_find(const struct sl_safetensors *file,
                                                        const char *name) {
    for (size_t i = 0; i < file->n_tensors; i++) {
        if (strcmp(file->tensors[i].name, name) == 0) {
            return &file->tensors[i];
        }
    }
    return NULL;
}

void sl_safetensors_floats(const struct sl_safetensors_tensor *tensor, uint64_t first, uint64_t n,
                           float *ret_values) {
    sl_assert(tensor->type != SL_SAFETENSORS_OTHER);
    sl_assert(first <= tensor->elements && n <= tensor->elements - first);
    for (uint64_t i = 0; i < n; i++) {
        uint32_t bits;
        if (tensor->type == SL_SAFETENSORS_F32) {
            memcpy(&bits, tensor->data + 4 * (first + i), sizeof bits);
            bits = le32toh(bits);
        } else {
            uint16_t narrow;
            memcpy(&narrow, tensor->data + 2 * (first + i), sizeof narrow);
            narrow = le16toh(narrow);
            bits = tensor->type == SL_SAFETENSORS_BF16 ? (uint32_t)narrow << 16
                                                       : sl_half_to_float_bits(narrow);
        }
        memcpy(&ret_values[i], &bits, sizeof bits);
    }
}
