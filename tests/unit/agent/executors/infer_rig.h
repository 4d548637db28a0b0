/* SPDX-License-Identifier: Apache-2.0
 * What the tests of the inference executor share: an opened device in each variant, buffers from
 * host arrays, and a small generator of numbers. Each test program includes it once. */
#ifndef SLUICE_TESTS_INFER_RIG_H
#define SLUICE_TESTS_INFER_RIG_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/device/cl_open.h"
#include "agent/device/stop.h"
#include "agent/executors/model_set.h"
#include "proto/base/clock.h"
#include "tests/unit/agent/models/bert_ref64.h"
#include "tests/unit/agent/models/tiny_bert.h"

#include <cmocka.h>

/* The ways in which a device can be taken: every one must give the right answer. */
struct rig_variant {
    const char *name;
    bool gpu;
    uint32_t vector; /* 0: as the device says */
};
static const struct rig_variant RIG_VARIANTS[] = {
    {"native vectors", false, 0},
    {"8 floats, as on AVX2", false, 8},
    {"4 floats, as on SSE and NEON", false, 4},
    {"GPU kernels", true, 0},
};
#define RIG_VARIANT_COUNT (sizeof RIG_VARIANTS / sizeof *RIG_VARIANTS)

/* The first OpenCL device, or its first core where it is split. `cl` is zeroed by rig_close. */
static inline void rig_open(struct sl_cl *cl, bool split, struct sl_mailbox *events) {
    struct sl_cl_spec spec = {.events = events};
    assert_int_equal(clGetPlatformIDs(1, &spec.platform, NULL), CL_SUCCESS);
    assert_int_equal(clGetDeviceIDs(spec.platform, CL_DEVICE_TYPE_ALL, 1, &spec.device, NULL),
                     CL_SUCCESS);
    if (split) {
        cl_device_partition_property by[] = {CL_DEVICE_PARTITION_EQUALLY, 1, 0};
        cl_device_id parts[64];
        cl_uint count = 0;
        if (clCreateSubDevices(spec.device, by, 64, parts, &count) == CL_SUCCESS && count > 0) {
            spec.device = parts[0];
        }
    }
    struct sl_error err = {0};
    if (sl_cl_open(cl, &spec, &err) != SL_OK) {
        fail_msg("no OpenCL device: %s", err.text);
    }
}

/* A group's device, for cmocka_run_group_tests: `*state` is a struct sl_cl. */
static inline int rig_setup(void **state) {
    static struct sl_cl cl;
    rig_open(&cl, false, NULL);
    *state = &cl;
    return 0;
}

static inline int rig_teardown(void **state) {
    return sl_cl_close(*state), 0;
}

static inline void rig_take_variant(struct sl_cl *cl, const struct rig_variant *variant) {
    cl->force_gpu_kernels = variant->gpu;
    if (variant->vector) {
        cl->vector_width_float = variant->vector;
    }
}

/* xorshift64*: the same numbers everywhere. */
static inline uint64_t rig_random(uint64_t *state) {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * UINT64_C(2685821657736338717);
}

static inline float rig_uniform(uint64_t *state, float low, float high) {
    return low + (high - low) * (float)(rig_random(state) >> 40) / (float)(1 << 24);
}

static inline float *rig_floats(size_t n, uint64_t *state, float low, float high) {
    float *out = malloc((n ? n : 1) * sizeof *out);
    assert_non_null(out);
    for (size_t i = 0; i < n; i++) {
        out[i] = rig_uniform(state, low, high);
    }
    return out;
}

static inline cl_mem rig_buffer(struct sl_cl *cl, const void *data, size_t bytes) {
    cl_mem mem = NULL;
    struct sl_error err = {0};
    assert_int_equal(sl_cl_buffer(cl, bytes, CL_MEM_READ_WRITE, &mem, &err), SL_OK);
    if (data) {
        assert_int_equal(
            clEnqueueWriteBuffer(cl->queue, mem, CL_TRUE, 0, bytes, data, 0, NULL, NULL),
            CL_SUCCESS);
    }
    return mem;
}

static inline void rig_read(struct sl_cl *cl, cl_mem mem, void *out, size_t bytes) {
    assert_int_equal(clEnqueueReadBuffer(cl->queue, mem, CL_TRUE, 0, bytes, out, 0, NULL, NULL),
                     CL_SUCCESS);
}

/* The weights of a random model as they stand in its file, which a model set no longer has. */
struct rig_weights {
    struct sl_buf bytes;
    struct sl_gguf *file;
    struct sl_bert_model *model;
};

static inline void rig_weights_open(struct rig_weights *w, const struct sl_tiny_bert *shape,
                                    enum sl_ggml_type type) {
    struct sl_error err = {0};
    *w = (struct rig_weights){0};
    if (sl_tiny_bert_bytes_as(shape, type, &w->bytes, &err) != SL_OK ||
        sl_gguf_open_memory(w->bytes.data, w->bytes.len, &w->file, &err) != SL_OK ||
        sl_bert_model_load(w->file, &w->model, &err) != SL_OK) {
        fail_msg("%s", err.text);
    }
}

static inline void rig_weights_close(struct rig_weights *w) {
    sl_bert_model_free(w->model);
    sl_gguf_close(w->file);
    sl_buf_fini(&w->bytes);
}

/* A model set of random models, under the ids "tiny", "tiny1", "tiny2", ... */
static inline struct sl_model_set *rig_tiny_sets(const struct sl_tiny_bert *shapes, size_t count) {
    struct sl_model_config configs[4];
    struct sl_error err = {0};
    struct sl_model_set *set = NULL;
    assert_true(count <= 4);
    memset(configs, 0, sizeof configs);
    for (size_t i = 0; i < count; i++) {
        snprintf(configs[i].path, sizeof configs[i].path, "/tmp/sluice-tiny-XXXXXX");
        int fd = mkstemp(configs[i].path);
        assert_true(fd >= 0);
        close(fd);
        snprintf(configs[i].id, sizeof configs[i].id, i ? "tiny%zu" : "tiny", i);
        assert_int_equal(sl_tiny_bert_save(&shapes[i], configs[i].path, &err), SL_OK);
    }
    if (sl_model_set_load(configs, count, &set, &err) != SL_OK) {
        fail_msg("%s", err.text);
    }
    for (size_t i = 0; i < count; i++) {
        unlink(configs[i].path);
    }
    return set;
}

/* A set of one model, "tiny", of a GGUF file's bytes. */
static inline struct sl_model_set *rig_bytes_set(const struct sl_buf *bytes) {
    struct sl_model_config config = {.id = "tiny", .path = "/tmp/sluice-tiny-XXXXXX"};
    struct sl_model_set *set = NULL;
    struct sl_error err = {0};
    int fd = mkstemp(config.path);
    assert_true(fd >= 0 && write(fd, bytes->data, bytes->len) == (ssize_t)bytes->len);
    close(fd);
    if (sl_model_set_load(&config, 1, &set, &err) != SL_OK) {
        fail_msg("%s", err.text);
    }
    unlink(config.path);
    return set;
}

#define rig_tiny_set(shape) rig_tiny_sets(shape, 1)

/* n random ids of a vocabulary. */
static inline int32_t *rig_ids(uint32_t n, uint32_t n_vocab, uint64_t *state) {
    int32_t *ids = malloc((n ? n : 1) * sizeof *ids);
    assert_non_null(ids);
    for (uint32_t i = 0; i < n; i++) {
        ids[i] = (int32_t)(rig_random(state) % n_vocab);
    }
    return ids;
}

/* 1 - cosine of a device's vector and a float64 one. */
static inline double rig_gap(const float *got, const double *want, uint32_t n) {
    double ab = 0, aa = 0, bb = 0;
    for (uint32_t i = 0; i < n; i++) {
        ab += (double)got[i] * want[i];
        aa += (double)got[i] * (double)got[i];
        bb += want[i] * want[i];
    }
    return 1 - ab / sqrt(aa * bb);
}

#endif
