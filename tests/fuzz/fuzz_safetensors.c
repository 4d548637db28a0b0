/* SPDX-License-Identifier: Apache-2.0
 * A hostile safetensors file: refused with a reason, or its tensors cover the data without hole or
 * overlap and every value can be read. */
#include "tests/fuzz/fuzz.h"

#include "agent/models/safetensors.h"

static void check_tensor(const struct sl_safetensors *file, size_t i, const uint8_t **next) {
    const struct sl_safetensors_tensor *t = sl_safetensors_at(file, i);
    uint64_t product = 1;
    fuzz_check(t->n_dims <= SL_SAFETENSORS_MAX_DIMS);
    fuzz_check(strlen(t->name) <= SL_SAFETENSORS_MAX_NAME_BYTES);
    for (uint32_t d = 0; d < t->n_dims; d++) {
        product *= t->shape[d];
    }
    fuzz_check(product == t->elements);
    fuzz_check(sl_safetensors_find(file, t->name) == t);
    fuzz_check(t->data == *next);
    *next += t->bytes;
    if (t->type != SL_SAFETENSORS_OTHER && t->elements > 0) {
        float ends[2];
        fuzz_check(t->bytes == t->elements * (t->type == SL_SAFETENSORS_F32 ? 4 : 2));
        sl_safetensors_floats(t, 0, 1, &ends[0]);
        sl_safetensors_floats(t, t->elements - 1, 1, &ends[1]);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct sl_safetensors *file = NULL;
    struct sl_error err = {0};
    uint8_t *copy = fuzz_copy(data, size);
    int rc = sl_safetensors_open_memory(copy, size, &file, &err);
    if (rc != SL_OK) {
        fuzz_check_error(rc, &err);
        fuzz_check(!file);
    } else {
        size_t count = sl_safetensors_count(file);
        const uint8_t *next = count > 0 ? sl_safetensors_at(file, 0)->data : copy + size;
        fuzz_check(count <= SL_SAFETENSORS_MAX_TENSORS && next >= copy + 8);
        for (size_t i = 0; i < count; i++) {
            check_tensor(file, i, &next);
        }
        fuzz_check(next == copy + size);
        sl_safetensors_close(file);
    }
    free(copy);
    return 0;
}
