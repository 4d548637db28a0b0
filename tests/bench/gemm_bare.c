/* SPDX-License-Identifier: Apache-2.0
 * Matrix products of one engine, in float32 on row-major matrices; tests/bench/gemm runs several of
 * these in turns.
 *
 *   gemm_bare sluice [--weights f32|f16|q8_0] [--gpu-kernels] [--drain] [--way I] [--cache DIR]
 *   gemm_bare dnnl | openblas      from libdnnl.so.2, libopenblas.so.0, where they are installed
 *
 * Prints what it is, then "ready"; then for every line "run M N K MS" on stdin it repeats the
 * product for MS milliseconds, QUEUED at a time, and prints the median time of one in nanoseconds.
 * Ours are queued as by the engine: half of them in each of its lanes, where the device has two,
 * with matrices of their own, and the next QUEUED before the last are done (--drain: after it).
 * Every first product of a shape is checked against double precision. The peers' threads are set
 * by their own environment variables. Ours go the way of the agent's own: its context, queue, stop
 * word and counters, and the kernel that its tuning chose. */
#include <dlfcn.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/device/cl_open.h"
#include "agent/device/discover_internal.h"
#include "agent/device/pages.h"
#include "agent/executors/infer_engine.h"
#include "agent/executors/infer_gemm_internal.h"
#include "proto/base/clock.h"

#define QUEUED 8u
#define SAMPLES_MAX 4096u
#define CHECKED 64u

struct problem {
    uint32_t m, n, k;
    float *a, *b, *c; /* b: [n][k] as weights come, or [k][n] for the peers */
};

typedef int (*dnnl_sgemm_fn)(char ta, char tb, int64_t m, int64_t n, int64_t k, float alpha,
                             const float *a, int64_t lda, const float *b, int64_t ldb, float beta,
                             float *c, int64_t ldc);
typedef void (*cblas_sgemm_fn)(int order, int ta, int tb, int m, int n, int k, float alpha,
                               const float *a, int lda, const float *b, int ldb, float beta,
                               float *c, int ldc);

struct lane {
    cl_command_queue queue;
    struct sl_gemm_call call;
    cl_mem counters;
};

struct engine {
    const char *name;
    dnnl_sgemm_fn dnnl;
    cblas_sgemm_fn cblas;
    /* ours */
    struct sl_cl cl;
    struct sl_gemm gemm;
    struct lane lanes[SL_LANES_MAX];
    uint32_t lane_count; /* 0: a peer */
    enum sl_weight_type weights;
    int way;    /* -1: as tuned */
    bool drain; /* the queue before more is queued */
};

__attribute__((noreturn)) static void die(const char *what, const char *more) {
    fprintf(stderr, "gemm_bare: %s%s%s\n", what, more[0] ? ": " : "", more);
    exit(1);
}

static float *numbers(size_t count, uint32_t seed) {
    float *out = aligned_alloc(4096, (count * sizeof *out + 4095) / 4096 * 4096);
    if (!out) {
        die("out of memory", "");
    }
    sl_pages_large(out, count * sizeof *out); /* the peers have what the engine has */
    for (size_t i = 0; i < count; i++) {
        seed = seed * 1664525u + 1013904223u;
        out[i] = (float)(seed >> 8) / (float)(1 << 23) - 1.0f;
    }
    return out;
}

static struct problem problem_make(const struct engine *e, uint32_t m, uint32_t n, uint32_t k) {
    struct problem p = {.m = m, .n = n, .k = k};
    p.a = numbers((size_t)(m + SL_GEMM_ROWS_PAD) * k, 1);
    p.c = numbers((size_t)(m + SL_GEMM_ROWS_PAD) * n, 3);
    p.b = numbers((size_t)n * k, 2);
    if (!e->cl.context) { /* the same matrix, as the peers want it */
        float *turned = numbers((size_t)n * k, 0);
        for (uint32_t j = 0; j < n; j++) {
            for (uint32_t i = 0; i < k; i++) {
                turned[(size_t)i * n + j] = p.b[(size_t)j * k + i];
            }
        }
        free(p.b);
        p.b = turned;
    }
    return p;
}

static void problem_free(struct problem *p) {
    free(p->a);
    free(p->b);
    free(p->c);
}

static uint16_t to_half(float v) { /* normal halves only, rounded to nearest even */
    uint32_t bits;
    memcpy(&bits, &v, sizeof bits);
    uint32_t sign = bits >> 16 & 0x8000u, rest = bits & 0x7fffffffu;
    if (rest < 0x38800000u) {
        return (uint16_t)sign;
    }
    rest += 0xfffu + (rest >> 13 & 1u);
    return (uint16_t)(sign | (rest - 0x38000000u) >> 13);
}

static float from_half(uint16_t h) {
    uint32_t bits = (h & 0x7fffu) == 0
                        ? 0
                        : ((uint32_t)(h & 0x8000u) << 16 | ((h & 0x7fffu) << 13)) + 0x38000000u;
    float v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

/* Writes the weights as they are stored, and back into b what that made of them. */
static void *store_weights(const struct engine *e, struct problem *p) {
    size_t row_bytes = sl_gemm_row_bytes(e->weights, p->k);
    uint8_t *out = calloc(p->n, row_bytes);
    if (!out) {
        die("out of memory", "");
    }
    for (uint32_t j = 0; j < p->n; j++) {
        uint8_t *at = out + j * row_bytes;
        float *w = p->b + (size_t)j * p->k;
        if (e->weights == SL_WEIGHT_F32) {
            memcpy(at, w, row_bytes);
            continue;
        }
        for (uint32_t i = 0; i < p->k && e->weights == SL_WEIGHT_F16; i++) {
            uint16_t h = to_half(w[i]);
            memcpy(at + i * sizeof h, &h, sizeof h);
            w[i] = from_half(h);
        }
        for (uint32_t i = 0; i < p->k && e->weights == SL_WEIGHT_Q8_0; i++) {
            uint16_t scale = to_half(1.0f / 127);
            int8_t q = (int8_t)lrintf(w[i] * 127);
            uint8_t *block = at + (size_t)(i / 32) * 34;
            memcpy(block, &scale, sizeof scale);
            memcpy(block + 2 + i % 32, &q, 1);
            w[i] = from_half(scale) * q;
        }
    }
    return out;
}

static cl_mem buffer(struct engine *e, const void *data, size_t bytes) {
    cl_mem mem = NULL;
    struct sl_error err = {0};
    if (sl_cl_buffer(&e->cl, bytes, CL_MEM_READ_WRITE, &mem, &err) < 0 ||
        (data && clEnqueueWriteBuffer(e->cl.queue, mem, CL_TRUE, 0, bytes, data, 0, NULL, NULL) !=
                     CL_SUCCESS)) {
        die("buffers", err.text);
    }
    return mem;
}

static void prepare(struct engine *e, struct problem *p) {
    struct sl_error err = {0};
    int rc;
    if (e->way < 0) {
        rc = sl_gemm_use(&e->gemm, e->weights, p->n, p->k, &err);
    } else {
        struct sl_gemm_way ways[SL_GEMM_WAYS_MAX];
        uint32_t count = sl_gemm_ways(&e->gemm, e->weights, ways);
        rc =
            sl_gemm_use_way(&e->gemm, e->weights, p->n, p->k, ways[(uint32_t)e->way % count], &err);
    }
    if (rc < 0) {
        die("products", err.text);
    }
    void *stored = store_weights(e, p);
    size_t packed_bytes = sl_gemm_packed_bytes(e->weights, p->n, p->k);
    void *packed = calloc(1, packed_bytes);
    float *zero = calloc(sl_gemm_padded(p->n), sizeof *zero);
    if (!packed || !zero) {
        die("out of memory", "");
    }
    sl_gemm_pack(e->weights, stored, p->n, p->k, 0, packed);
    size_t rows = (size_t)p->m + SL_GEMM_ROWS_PAD;
    struct sl_gemm_call call = {
        .rows = p->m, .n = p->n, .k = p->k, .epilogue = SL_GEMM_BIAS, .weights = e->weights};
    call.b = buffer(e, packed, packed_bytes); /* lanes share weights */
    call.bias = buffer(e, zero, sl_gemm_padded(p->n) * sizeof(float));
    for (uint32_t i = 0; i < e->lane_count; i++) {
        call.a = buffer(e, p->a, rows * p->k * sizeof(float));
        call.c = call.residual = buffer(e, p->c, rows * p->n * sizeof(float));
        e->lanes[i].call = call;
        e->lanes[i].counters = buffer(e, NULL, 64);
    }
    free(packed);
    free(zero);
    free(stored);
}

static void release(struct engine *e) {
    clReleaseMemObject(e->lanes[0].call.b);
    clReleaseMemObject(e->lanes[0].call.bias);
    for (uint32_t i = 0; i < e->lane_count; i++) {
        clReleaseMemObject(e->lanes[i].call.a);
        clReleaseMemObject(e->lanes[i].call.c);
        clReleaseMemObject(e->lanes[i].counters);
    }
}

/* The i-th product that is queued. */
static void launch(struct engine *e, uint32_t i, cl_event *ret_event) {
    struct lane *lane = &e->lanes[i % e->lane_count];
    struct sl_error err = {0};
    struct sl_infer_span span = {lane->counters, i, 0, sl_gemm_groups(&e->gemm, &lane->call),
                                 lane->queue};
    if (sl_gemm_enqueue(&e->gemm, &lane->call, &span, ret_event, &err) < 0) {
        die("launch", err.text);
    }
}

static void multiply(struct engine *e, struct problem *p, uint32_t times) {
    for (uint32_t i = 0; i < times; i++) {
        if (e->dnnl) {
            e->dnnl('N', 'N', p->m, p->n, p->k, 1, p->a, p->k, p->b, p->n, 0, p->c, p->n);
        } else if (e->cblas) {
            e->cblas(101, 111, 111, (int)p->m, (int)p->n, (int)p->k, 1, p->a, (int)p->k, p->b,
                     (int)p->n, 0, p->c, (int)p->n);
        } else {
            launch(e, i, NULL);
        }
    }
}

static void check(struct engine *e, const struct problem *p) {
    for (uint32_t i = 0; i < CHECKED; i++) {
        uint32_t row = i * 7919u % p->m, col = i * 104729u % p->n;
        double sum = 0, scale = 1;
        for (uint32_t j = 0; j < p->k; j++) {
            float b = e->cl.context ? p->b[(size_t)col * p->k + j] : p->b[(size_t)j * p->n + col];
            double term = (double)p->a[(size_t)row * p->k + j] * (double)b;
            sum += term;
            scale += fabs(term);
        }
        if (!(fabs((double)p->c[(size_t)row * p->n + col] - sum) / scale < 1e-6)) {
            die("a product is wrong", e->name);
        }
    }
}

static void check_all(struct engine *e, struct problem *p) {
    multiply(e, p, e->lane_count ? e->lane_count : 1);
    for (uint32_t i = 0; i < e->lane_count; i++) {
        if (clEnqueueReadBuffer(e->lanes[i].queue, e->lanes[i].call.c, CL_TRUE, 0,
                                (size_t)p->m * p->n * sizeof(float), p->c, 0, NULL,
                                NULL) != CL_SUCCESS) {
            die("the device failed", "");
        }
        check(e, p);
    }
    if (e->lane_count == 0) {
        check(e, p);
    }
}

/* The last of QUEUED products in each lane; none without a device, where they are done by then. */
struct queued {
    cl_event last[SL_LANES_MAX];
};

static struct queued queue_some(struct engine *e, struct problem *p) {
    struct queued q = {{NULL}};
    if (!e->cl.context) {
        multiply(e, p, QUEUED);
        return q;
    }
    for (uint32_t i = 0; i < QUEUED; i++) {
        launch(e, i, i + e->lane_count < QUEUED ? NULL : &q.last[i % e->lane_count]);
    }
    for (uint32_t i = 0; i < e->lane_count; i++) {
        clFlush(e->lanes[i].queue);
    }
    return q;
}

static void wait_for(struct queued q) {
    for (uint32_t i = 0; i < SL_LANES_MAX; i++) {
        if (!q.last[i]) {
            continue;
        }
        if (clWaitForEvents(1, &q.last[i]) != CL_SUCCESS) {
            die("the device failed", "");
        }
        clReleaseEvent(q.last[i]);
    }
}

static int by_size(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

static int64_t run(struct engine *e, struct problem *p, int64_t ms) {
    static int64_t samples[SAMPLES_MAX];
    uint32_t count = 0;
    bool ahead = e->cl.context && !e->drain;
    struct queued before = {{NULL}};
    if (ahead) {
        struct queued first = queue_some(e, p);
        before = queue_some(e, p);
        wait_for(first);
    }
    int64_t begin = sl_clock_mono().ns, end = begin + ms * SL_NS_PER_MS;
    while (count < SAMPLES_MAX && (count < 3 || begin < end)) {
        struct queued now = queue_some(e, p);
        wait_for(ahead ? before : now);
        before = now;
        int64_t done = sl_clock_mono().ns;
        samples[count++] = (done - begin) / QUEUED;
        begin = done;
    }
    if (ahead) {
        wait_for(before);
    }
    qsort(samples, count, sizeof *samples, by_size);
    return samples[count / 2];
}

static void *symbol(const char *library, const char *name) {
    void *handle = dlopen(library, RTLD_NOW);
    void *at = handle ? dlsym(handle, name) : NULL;
    if (!at) {
        die("not installed", library);
    }
    return at;
}

static void open_ours(struct engine *e, bool gpu_kernels, const char *cache) {
    const struct sl_discover_config discover = {
        .node = "bench", .cpu = SL_CPU_USE_AUTO, .gpus = true, .cache_dir = cache};
    struct sl_discovery *found = NULL;
    struct sl_error err = {0};
    if (sl_discover(&discover, &found, &err) < 0 || sl_discovery_count(found) == 0) {
        die("no device", err.text);
    }
    const struct sl_discovered *first = &found->devices[0];
    const struct sl_cl_spec spec = {.platform = first->platform,
                                    .device = first->device,
                                    .cache_dir = cache,
                                    .figures = first->info.key, /* so that it is tuned */
                                    .force_gpu_kernels = gpu_kernels};
    if (sl_cl_open(&e->cl, &spec, &err) < 0 || sl_gemm_open(&e->cl, &e->gemm, &err) < 0) {
        die("device", err.text);
    }
    e->lane_count = sl_infer_lanes(&e->cl);
    e->lanes[0].queue = e->cl.queue;
    for (uint32_t i = 1; i < e->lane_count; i++) {
        if (sl_cl_queue(&e->cl, &e->lanes[i].queue, &err) < 0) {
            die("queues", err.text);
        }
    }
    printf("%s, %u compute units, vectors of %u, lanes: %u\n", first->info.name,
           e->cl.compute_units, e->gemm.vector, e->lane_count);
    sl_discovery_destroy(found);
}

static void obey(struct engine *e) {
    char *line = NULL;
    size_t room = 0;
    struct problem p = {0};
    while (getline(&line, &room, stdin) > 0) {
        uint32_t m = 0, n = 0, k = 0;
        int64_t ms = 0;
        if (sscanf(line, "run %" SCNu32 " %" SCNu32 " %" SCNu32 " %" SCNd64, &m, &n, &k, &ms) !=
                4 ||
            m == 0 || n == 0 || k == 0 || m > 65536 || n > 65536 || k > 65536) {
            die("run M N K MS", "");
        }
        if (p.m != m || p.n != n || p.k != k) {
            if (p.m && e->cl.context) {
                release(e);
            }
            problem_free(&p);
            p = problem_make(e, m, n, k);
            if (e->cl.context) {
                prepare(e, &p);
            }
            check_all(e, &p);
        }
        printf("%" PRId64 "\n", run(e, &p, ms));
        fflush(stdout);
    }
    if (p.m && e->cl.context) {
        release(e);
    }
    problem_free(&p);
    free(line);
}

int main(int argc, char **argv) {
    static struct engine e = {.way = -1, .weights = SL_WEIGHT_F32};
    const char *cache = NULL;
    bool gpu_kernels = false;
    e.name = argc > 1 ? argv[1] : "";
    for (int i = 2; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(argv[i], "--gpu-kernels") == 0) {
            gpu_kernels = true;
            continue;
        }
        if (strcmp(argv[i], "--drain") == 0) {
            e.drain = true;
            continue;
        }
        if (strcmp(argv[i], "--way") == 0) {
            e.way = atoi(value);
        } else if (strcmp(argv[i], "--cache") == 0) {
            cache = value;
        } else if (strcmp(argv[i], "--weights") == 0) {
            e.weights = strcmp(value, "f16") == 0    ? SL_WEIGHT_F16
                        : strcmp(value, "q8_0") == 0 ? SL_WEIGHT_Q8_0
                                                     : SL_WEIGHT_F32;
        } else {
            die("usage: see the head of tests/bench/gemm_bare.c", "");
        }
        i++;
    }
    if (strcmp(e.name, "sluice") == 0) {
        open_ours(&e, gpu_kernels, cache);
    } else if (strcmp(e.name, "dnnl") == 0) {
        void *at = symbol("libdnnl.so.2", "dnnl_sgemm");
        memcpy(&e.dnnl, &at, sizeof at);
    } else if (strcmp(e.name, "openblas") == 0) {
        void *at = symbol("libopenblas.so.0", "cblas_sgemm");
        memcpy(&e.cblas, &at, sizeof at);
    } else {
        die("usage: see the head of tests/bench/gemm_bare.c", "");
    }
    printf("ready\n");
    fflush(stdout);
    obey(&e);
    if (e.cl.context) {
        for (uint32_t i = 1; i < e.lane_count; i++) {
            clReleaseCommandQueue(e.lanes[i].queue);
        }
        sl_gemm_close(&e.gemm);
        sl_cl_close(&e.cl);
    }
    return 0;
}
