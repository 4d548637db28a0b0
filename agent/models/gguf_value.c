/* SPDX-License-Identifier: Apache-2.0
 * Look-ups in an opened GGUF file, and the sizes of types. */
#include "agent/models/gguf_internal.h"

#include <endian.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

size_t gguf_scalar_bytes(enum sl_gguf_type type) {
    switch (type) {
    case SL_GGUF_UINT8:
    case SL_GGUF_INT8:
    case SL_GGUF_BOOL:
        return 1;
    case SL_GGUF_UINT16:
    case SL_GGUF_INT16:
        return 2;
    case SL_GGUF_UINT32:
    case SL_GGUF_INT32:
    case SL_GGUF_FLOAT32:
        return 4;
    case SL_GGUF_UINT64:
    case SL_GGUF_INT64:
    case SL_GGUF_FLOAT64:
        return 8;
    case SL_GGUF_TEXT:
    case SL_GGUF_ARRAY:
    default:
        return 0;
    }
}

static const char *type_text(enum sl_gguf_type type) {
    static const char *const text[] = {
        [SL_GGUF_UINT8] = "uint8",     [SL_GGUF_INT8] = "int8",     [SL_GGUF_UINT16] = "uint16",
        [SL_GGUF_INT16] = "int16",     [SL_GGUF_UINT32] = "uint32", [SL_GGUF_INT32] = "int32",
        [SL_GGUF_FLOAT32] = "float32", [SL_GGUF_BOOL] = "bool",     [SL_GGUF_TEXT] = "text",
        [SL_GGUF_ARRAY] = "array",     [SL_GGUF_UINT64] = "uint64", [SL_GGUF_INT64] = "int64",
        [SL_GGUF_FLOAT64] = "float64",
    };
    return (size_t)type < sizeof text / sizeof text[0] ? text[type] : "?";
}

int gguf_text_compare(struct sl_gguf_text a, struct sl_gguf_text b) {
    size_t n = a.len < b.len ? a.len : b.len;
    int order = n ? memcmp(a.bytes, b.bytes, n) : 0;
    if (order == 0) {
        order = a.len < b.len ? -1 : a.len > b.len;
    }
    return order;
}

const struct gguf_key *gguf_key_find(const struct sl_gguf *file, const char *name) {
    struct sl_gguf_text want = {name, strlen(name)};
    size_t low = 0;
    size_t high = file->n_keys;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = gguf_text_compare(file->keys[middle].name, want);
        if (order == 0) {
            return &file->keys[middle];
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return NULL;
}

static const struct gguf_key *find(const struct sl_gguf *file, const char *name,
                                   struct sl_error *err) {
    const struct gguf_key *key = gguf_key_find(file, name);
    if (!key) {
        sl_fail(err, SL_NOTFOUND, "the file has no key %s", name);
    }
    return key;
}

static int wrong_type(const struct gguf_key *key, const char *name, const char *want,
                      struct sl_error *err) {
    return sl_fail(err, SL_INVALID, "key %s is of type %s; %s is wanted", name,
                   type_text(key->type), want);
}

/* Value of an integer key, sign-extended into 64 bits; false when it is no integer. */
static bool integer_value(const struct gguf_key *key, bool *ret_negative, uint64_t *ret_value) {
    uint64_t raw = 0;
    unsigned bits = 8 * (unsigned)gguf_scalar_bytes(key->type);
    bool is_signed = key->type == SL_GGUF_INT8 || key->type == SL_GGUF_INT16 ||
                     key->type == SL_GGUF_INT32 || key->type == SL_GGUF_INT64;
    if (bits == 0 || key->type == SL_GGUF_BOOL || key->type == SL_GGUF_FLOAT32 ||
        key->type == SL_GGUF_FLOAT64) {
        return false;
    }
    memcpy(&raw, key->value, bits / 8);
    raw = le64toh(raw);
    *ret_negative = is_signed && ((raw >> (bits - 1)) & 1);
    *ret_value = raw;
    return true;
}

bool sl_gguf_has(const struct sl_gguf *file, const char *key) {
    return gguf_key_find(file, key) != NULL;
}

int sl_gguf_get_u32(const struct sl_gguf *file, const char *name, uint32_t *ret_value,
                    struct sl_error *err) {
    const struct gguf_key *key = find(file, name, err);
    bool negative;
    uint64_t value;
    if (!key) {
        return -SL_NOTFOUND;
    }
    if (!integer_value(key, &negative, &value)) {
        return wrong_type(key, name, "a whole number", err);
    }
    if (negative || value > UINT32_MAX) {
        return sl_fail(err, SL_INVALID, "key %s is out of range (0 to %" PRIu32 ")", name,
                       UINT32_MAX);
    }
    *ret_value = (uint32_t)value;
    return SL_OK;
}

int sl_gguf_get_f32(const struct sl_gguf *file, const char *name, float *ret_value,
                    struct sl_error *err) {
    const struct gguf_key *key = find(file, name, err);
    if (!key) {
        return -SL_NOTFOUND;
    }
    if (key->type == SL_GGUF_FLOAT32) {
        uint32_t bits;
        memcpy(&bits, key->value, sizeof bits);
        bits = le32toh(bits);
        memcpy(ret_value, &bits, sizeof bits);
        return SL_OK;
    }
    if (key->type == SL_GGUF_FLOAT64) {
        uint64_t bits;
        double wide;
        memcpy(&bits, key->value, sizeof bits);
        bits = le64toh(bits);
        memcpy(&wide, &bits, sizeof bits);
        *ret_value = (float)wide;
        return SL_OK;
    }
    return wrong_type(key, name, "a number with a fraction", err);
}

int sl_gguf_get_bool(const struct sl_gguf *file, const char *name, bool *ret_value,
                     struct sl_error *err) {
    const struct gguf_key *key = find(file, name, err);
    if (!key) {
        return -SL_NOTFOUND;
    }
    if (key->type != SL_GGUF_BOOL) {
        return wrong_type(key, name, "a truth value", err);
    }
    *ret_value = *key->value == 1;
    return SL_OK;
}

int sl_gguf_get_text(const struct sl_gguf *file, const char *name, struct sl_gguf_text *ret_text,
                     struct sl_error *err) {
    const struct gguf_key *key = find(file, name, err);
    if (!key) {
        return -SL_NOTFOUND;
    }
    if (key->type != SL_GGUF_TEXT) {
        return wrong_type(key, name, "a text", err);
    }
    *ret_text = key->text;
    return SL_OK;
}

int sl_gguf_get_array(const struct sl_gguf *file, const char *name, enum sl_gguf_type type,
                      struct sl_gguf_array *ret_array, struct sl_error *err) {
    const struct gguf_key *key = find(file, name, err);
    if (!key) {
        return -SL_NOTFOUND;
    }
    if (key->type != SL_GGUF_ARRAY) {
        return wrong_type(key, name, "an array", err);
    }
    if (key->array.type != type) {
        return sl_fail(err, SL_INVALID, "key %s is an array of %s; of %s is wanted", name,
                       type_text(key->array.type), type_text(type));
    }
    *ret_array = key->array;
    return SL_OK;
}

bool sl_gguf_text_is(struct sl_gguf_text text, const char *want) {
    return gguf_text_compare(text, (struct sl_gguf_text){want, strlen(want)}) == 0;
}

bool sl_gguf_array_next_text(const struct sl_gguf_array *array, uint64_t *offset,
                             struct sl_gguf_text *ret_text) {
    uint64_t len;
    if (array->type != SL_GGUF_TEXT || *offset >= array->bytes) {
        return false;
    }
    /* Lengths were checked against the array's end when the file was opened. */
    memcpy(&len, array->data + *offset, sizeof len);
    len = le64toh(len);
    *ret_text =
        (struct sl_gguf_text){(const char *)array->data + *offset + sizeof len, (size_t)len};
    *offset += sizeof len + len;
    return true;
}

int32_t sl_gguf_array_i32(const struct sl_gguf_array *array, uint64_t index) {
    uint32_t bits;
    sl_assert(array->type == SL_GGUF_INT32 || array->type == SL_GGUF_UINT32);
    sl_assert(index < array->count);
    memcpy(&bits, array->data + index * sizeof bits, sizeof bits);
    return (int32_t)le32toh(bits);
}

struct sl_file_stamp sl_gguf_stamp(const struct sl_gguf *file) {
    return file->stamp;
}

uint32_t sl_gguf_version(const struct sl_gguf *file) {
    return file->version;
}

void sl_gguf_sha256(const struct sl_gguf *file, char ret_hex[65]) {
    unsigned char digest[crypto_hash_sha256_BYTES];
    crypto_hash_sha256(digest, file->bytes, file->n_bytes);
    sodium_bin2hex(ret_hex, 65, digest, sizeof digest);
}

size_t sl_gguf_tensor_count(const struct sl_gguf *file) {
    return file->n_tensors;
}

const struct sl_gguf_tensor *sl_gguf_tensor_at(const struct sl_gguf *file, size_t index) {
    sl_assert(index < file->n_tensors);
    return &file->tensors[index];
}

const struct sl_gguf_tensor *sl_gguf_find_tensor(const struct sl_gguf *file, const char *name) {
    size_t low = 0;
    size_t high = file->n_tensors;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(file->by_name[middle]->name, name);
        if (order == 0) {
            return file->by_name[middle];
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return NULL;
}

struct block {
    enum sl_ggml_type type;
    const char *name;
    uint32_t elements;
    uint32_t bytes;
};

/* Sizes from ggml-common.h: a block is its scales and its packed weights. */
static const struct block blocks[] = {
    {SL_GGML_F32, "F32", 1, 4},       {SL_GGML_F16, "F16", 1, 2},
    {SL_GGML_BF16, "BF16", 1, 2},     {SL_GGML_I32, "I32", 1, 4},
    {SL_GGML_Q4_0, "Q4_0", 32, 18},   {SL_GGML_Q4_1, "Q4_1", 32, 20},
    {SL_GGML_Q5_0, "Q5_0", 32, 22},   {SL_GGML_Q5_1, "Q5_1", 32, 24},
    {SL_GGML_Q8_0, "Q8_0", 32, 34},   {SL_GGML_Q4_K, "Q4_K", 256, 144},
    {SL_GGML_Q5_K, "Q5_K", 256, 176}, {SL_GGML_Q6_K, "Q6_K", 256, 210},
};

static const struct block *find_block(enum sl_ggml_type type) {
    for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++) {
        if (blocks[i].type == type) {
            return &blocks[i];
        }
    }
    return NULL;
}

const char *sl_ggml_type_name(enum sl_ggml_type type) {
    const struct block *block = find_block(type);
    return block ? block->name : "?";
}

bool sl_ggml_size(enum sl_ggml_type type, uint64_t row, uint64_t n, uint64_t *ret_bytes) {
    const struct block *block = find_block(type);
    uint64_t bytes;
    if (!block || row % block->elements != 0 ||
        __builtin_mul_overflow(n / block->elements, block->bytes, &bytes)) {
        return false;
    }
    *ret_bytes = bytes;
    return true;
}
