/* SPDX-License-Identifier: Apache-2.0
 * Before a device is offered: its known-answer test, its rate, how long a launch should be. */
#include <string.h>

#include "agent/executors/hash_internal.h"
#include "agent/kernels/kernels.h"
#include "agent/stratum/sha256.h"
#include "proto/base/text.h"

#define LENGTH_NS (40 * SL_NS_PER_MS)
#define LENGTHS 3
#define LENGTH_ROUNDS 3
#define LENGTH_TUNED_MS 8 /* shorter launches are short for a reason */
#define AS_QUICK 0.995
#define TASK_LENGTH "sha256d.launch"
#define MEASURE_NS (SL_NS_PER_S + SL_NS_PER_S / 10)
#define WINDOW_GROUPS 16

/* Blocks of the main chain: 0, 125552 and 955474. */
static const char *const known_headers[] = {
    "0100000000000000000000000000000000000000000000000000000000000000000000003ba3edfd7a7b12b27ac72c"
    "3e67768f617fc81bc3888a51323a9fb8aa4b1e5e4a29ab5f49ffff001d1dac2b7c",
    "0100000081cd02ab7e569e8bcd9317e2fe99f2de44d49ab2b8851ba4a308000000000000e320b6c2fffc8d750423db"
    "8b1eb942ae710e951ed797f7affc8892b0f1fc122bc7f5d74df2b9441a42a14695",
    "00800520e69bbf839ec6fc8ddf6859ed4b16dcb95141b96e8fc20100000000000000000081828df54d88a521e32ef9"
    "7cd8ffa8b5617defb759089ffd3c36876872259ea62d563e6ac340021701924cd8",
};

int sl_hash_run(struct sl_hash_kernel *kernel, const struct sl_hash_input *input, uint32_t base,
                uint32_t groups, struct sl_hash_found *ret_found, int64_t *ret_ns,
                struct sl_error *err) {
    struct sl_hash_launch launch;
    int64_t start = 0;
    int64_t end = 0;
    int rc = sl_hash_kernel_enqueue(kernel, input, base, groups, &launch, err);
    if (rc != SL_OK) {
        return rc;
    }
    cl_int code = clWaitForEvents(1, &launch.read);
    int times = sl_cl_event_times(kernel->cl, launch.kernel, &start, &end, err);
    rc = sl_hash_kernel_collect(kernel, &launch, ret_found, err);
    if (code != CL_SUCCESS) {
        return sl_cl_fail(err, code, "a hash launch failed");
    }
    if (rc == SL_OK && times == SL_OK && ret_ns) {
        *ret_ns = end - start;
    }
    return rc == SL_OK ? times : rc;
}

static int self_test_failed(struct sl_error *err, const char *what) {
    return sl_fail(err, SL_DEVICE,
                   "sha256d self-test failed: %s. The device computes wrongly: update its OpenCL "
                   "driver, take back overclocking, or leave the device out of the config",
                   what);
}

static void known_input(const char *hex, const struct sl_u256 *target, uint8_t header[80],
                        struct sl_hash_input *ret_input) {
    uint32_t midstate[8];
    int rc = sl_hex_decode(hex, header, 80);
    sl_assert(rc == SL_OK);
    sl_sha256_initial(midstate);
    sl_sha256_compress(midstate, header);
    sl_hash_input_make(midstate, header + 64, target, ret_input);
}

/* The block's midstate comes last, behind some that no header has. */
static void fill_mids(const struct sl_hash_kernel *kernel, struct sl_hash_input *input) {
    const cl_uint16 last = input->mids[0];
    uint32_t other[8];
    input->mid_count = 0;
    while (input->mid_count + 1 < kernel->shape.mids) {
        for (uint32_t i = 0; i < 8; i++) {
            other[i] = last.s[8 + i] ^ (0x9e3779b9 * (input->mid_count + 1));
        }
        sl_hash_input_add(input, other);
    }
    input->mids[input->mid_count++] = last;
}

/* The winning nonce of a real block, and nothing else, in a window around it. */
static int test_block(struct sl_hash_kernel *kernel, const char *hex, struct sl_error *err) {
    static const struct sl_u256 target = {{0, 0, 0, 0xffff0000}};
    uint8_t header[80];
    struct sl_hash_input input;
    struct sl_hash_found found;
    uint32_t nonce = 0;
    known_input(hex, &target, header, &input);
    fill_mids(kernel, &input);
    memcpy(&nonce, header + 76, sizeof nonce); /* little-endian in a header and on our hosts */
    uint32_t span = WINDOW_GROUPS * sl_hash_nonces_per_group(kernel);
    uint32_t base = sl_hash_nonce_of_word(nonce) - span / 3;
    int rc = sl_hash_run(kernel, &input, base, WINDOW_GROUPS, &found, NULL, err);
    if (rc != SL_OK) {
        return rc;
    }
    if (found.groups_ran != WINDOW_GROUPS) {
        return self_test_failed(err, "work-groups are missing");
    }
    if (found.count != 1 || sl_hash_found_nonce(&found, 0) != nonce ||
        sl_hash_found_mid(&found, 0) != input.mid_count - 1) {
        return self_test_failed(err, "the nonce of a known block is not found");
    }
    return SL_OK;
}

/* Which of the span's nonces the host finds good under this version, compared with what was found.
 */
static int compare_low(const struct sl_hash_found *found, uint8_t header[80], uint32_t base,
                       uint32_t span, uint32_t mid, uint32_t *expected, struct sl_error *err) {
    uint8_t digest[32];
    for (uint32_t i = 0; i < span; i++) {
        uint32_t nonce = sl_hash_nonce_of_word(base + i);
        memcpy(header + 76, &nonce, sizeof nonce);
        sl_sha256d(header, 80, digest);
        if (digest[31] != 0) {
            continue;
        }
        ++*expected;
        bool reported = false;
        for (uint32_t k = 0; k < found->count; k++) {
            reported = reported || (sl_hash_found_nonce(found, k) == nonce &&
                                    sl_hash_found_mid(found, k) == mid);
        }
        if (!reported) {
            return self_test_failed(err, "a share of low difficulty is missed");
        }
    }
    return SL_OK;
}

/* A share difficulty far below 1: every nonce that the host finds good must be reported, under each
 * version, and no other. */
static int test_low_difficulty(struct sl_hash_kernel *kernel, struct sl_error *err) {
    static const struct sl_u256 target = {{0, 0, 0, UINT64_C(0x00ffffff00000000)}};
    uint8_t header[80];
    uint32_t midstate[8];
    struct sl_hash_input input;
    struct sl_hash_found found;
    uint32_t expected = 0;
    known_input(known_headers[0], &target, header, &input);
    for (uint32_t mid = 1; mid < kernel->shape.mids; mid++) {
        header[3] = (uint8_t)mid;
        sl_sha256_initial(midstate);
        sl_sha256_compress(midstate, header);
        sl_hash_input_add(&input, midstate);
    }
    uint32_t base = 0xfffff000; /* across the end of the words, where a sum must wrap */
    uint32_t span = 2 * sl_hash_nonces_per_group(kernel);
    int rc = sl_hash_run(kernel, &input, base, 2, &found, NULL, err);
    for (uint32_t mid = 0; rc == SL_OK && mid < kernel->shape.mids; mid++) {
        header[3] = (uint8_t)mid;
        rc = compare_low(&found, header, base, span, mid, &expected, err);
    }
    if (rc != SL_OK) {
        return rc;
    }
    return found.count == expected ? SL_OK
                                   : self_test_failed(err, "a nonce is reported that is no share");
}

int sl_hash_self_test(struct sl_hash_kernel *kernel, struct sl_error *err) {
    for (size_t i = 0; i < sizeof known_headers / sizeof known_headers[0]; i++) {
        int rc = test_block(kernel, known_headers[i], err);
        if (rc != SL_OK) {
            return rc;
        }
    }
    return test_low_difficulty(kernel, err);
}

int sl_hash_canary(struct sl_hash_kernel *kernel, uint32_t turn, struct sl_error *err) {
    const size_t count = sizeof known_headers / sizeof known_headers[0];
    return test_block(kernel, known_headers[turn % count], err);
}

/* As in service: two launches queued, device time by events. */
static int measure(struct sl_hash_executor *hash, int64_t for_ns, struct sl_error *err) {
    struct sl_executor *ex = &hash->base;
    int64_t device_ns = 0;
    int rc = SL_OK;
    ex->ops->synthetic(ex, true);
    while (rc == SL_OK && device_ns < for_ns) {
        struct sl_launch launches[SL_HASH_AHEAD];
        uint32_t n = 0;
        while (rc == SL_OK && n < SL_HASH_AHEAD) {
            rc = ex->ops->enqueue(ex, &launches[n], err);
            sl_assert(rc != 0);
            n += rc == 1;
            rc = rc == 1 ? SL_OK : rc;
        }
        clFlush(ex->cl->queue);
        for (uint32_t i = 0; i < n; i++) {
            clWaitForEvents(1, &launches[i].last);
            int got = sl_cl_event_times(ex->cl, launches[i].last, &launches[i].start_ns,
                                        &launches[i].end_ns, err);
            clReleaseEvent(launches[i].first);
            clReleaseEvent(launches[i].last);
            int done = ex->ops->complete(ex, &launches[i], err);
            rc = rc == SL_OK ? (got == SL_OK ? done : got) : rc;
            device_ns += launches[i].end_ns - launches[i].start_ns;
        }
    }
    ex->ops->synthetic(ex, false);
    return rc;
}

/* Hashes per nanosecond with launches of this length. */
static int measure_length(struct sl_hash_executor *hash, double launch_ms, double *ret_rate,
                          struct sl_error *err) {
    hash->launch_ms = launch_ms;
    hash->rate_hashes = 0.0;
    hash->rate_ns = 0.0;
    int rc = measure(hash, MEASURE_NS / (LENGTHS * LENGTH_ROUNDS), err);
    *ret_rate = hash->rate_ns > 0.0 ? hash->rate_hashes / hash->rate_ns : 0.0;
    return rc;
}

static double median3(const double v[LENGTH_ROUNDS]) {
    double low = v[0] < v[1] ? v[0] : v[1];
    double high = v[0] < v[1] ? v[1] : v[0];
    return v[2] < low ? low : v[2] > high ? high : v[2];
}

/* Shares are seen when their launch ends, so launches are no longer than pays: a quarter or half of
 * what is configured, where that is as quick. In turns, since other work on the machine comes and
 * goes. */
static int tune_length(struct sl_hash_executor *hash, struct sl_error *err) {
    static const double parts[LENGTHS] = {0.25, 0.5, 1.0};
    double rates[LENGTHS][LENGTH_ROUNDS];
    double medians[LENGTHS];
    const double whole = hash->launch_ms;
    double hashes = 0.0;
    double ns = 0.0;
    for (int round = 0; round < LENGTH_ROUNDS; round++) {
        for (int i = 0; i < LENGTHS; i++) {
            int rc = measure_length(hash, whole * parts[i], &rates[i][round], err);
            if (rc != SL_OK) {
                return rc;
            }
            hashes += hash->rate_hashes;
            ns += hash->rate_ns;
        }
    }
    int best = LENGTHS - 1;
    for (int i = 0; i < LENGTHS; i++) {
        medians[i] = median3(rates[i]);
    }
    for (int i = LENGTHS - 2; i >= 0; i--) {
        best = medians[i] >= medians[LENGTHS - 1] * AS_QUICK ? i : best;
    }
    hash->launch_ms = whole * parts[best];
    hash->rate_hashes = hashes;
    hash->rate_ns = ns;
    const struct sl_tuned tuned = {
        .figure = (uint64_t)(medians[best] * 1e9),
        .count = 2,
        .values = {(uint32_t)(hash->launch_ms * 1000.0), (uint32_t)(whole * 1000.0)}};
    return sl_tuning_put(hash->base.cl->tuning, TASK_LENGTH, sl_kernel_sha256d, &tuned);
}

/* True when an earlier start found how long launches should be, below the same limit. */
static bool recall_length(struct sl_hash_executor *hash) {
    struct sl_tuned tuned;
    if (!sl_tuning_find(hash->base.cl->tuning, TASK_LENGTH, sl_kernel_sha256d, &tuned) ||
        tuned.count != 2 || tuned.values[1] != (uint32_t)(hash->launch_ms * 1000.0) ||
        tuned.values[0] == 0 || tuned.values[0] > tuned.values[1]) {
        return false;
    }
    hash->launch_ms = tuned.values[0] / 1000.0;
    return true;
}

/* Which shapes figures belong to. Never 0. */
static uint64_t digest_of(const struct sl_hash_choice *choice) {
    uint8_t digest[32];
    uint64_t first = 0;
    sl_sha256d(choice->shapes, choice->count * sizeof choice->shapes[0], digest);
    memcpy(&first, digest, sizeof first);
    return first | 1;
}

/* True when an earlier start measured these kernels. */
static bool recall(struct sl_hash_executor *hash, const struct sl_hash_choice *choice) {
    const struct sl_hash_figures *kept = &hash->base.cl->figures.hash;
    if (!(kept->rate_ns > 0.0 && kept->rate_hashes > 0.0 && kept->ns_per_group[0] > 0.0 &&
          kept->ns_per_group[1] > 0.0) ||
        kept->shapes != digest_of(choice)) {
        return false;
    }
    memcpy(hash->ns_per_group, kept->ns_per_group, sizeof hash->ns_per_group);
    hash->rate_hashes = kept->rate_hashes;
    hash->rate_ns = kept->rate_ns;
    return true;
}

static void keep(struct sl_hash_executor *hash, const struct sl_hash_choice *choice) {
    struct sl_hash_figures *kept = &hash->base.cl->figures.hash;
    memset(kept, 0, sizeof *kept);
    kept->shapes = digest_of(choice);
    memcpy(kept->ns_per_group, hash->ns_per_group, sizeof kept->ns_per_group);
    kept->rate_hashes = hash->rate_hashes;
    kept->rate_ns = hash->rate_ns;
    hash->base.cl->figures_new = true;
}

static int open_kernels(struct sl_hash_executor *hash, const struct sl_hash_choice *choice,
                        bool known, struct sl_error *err) {
    for (uint32_t i = 0; i < choice->count; i++) {
        struct sl_hash_kernel *kernel = &hash->kernels[i];
        int rc = sl_hash_kernel_open(hash->base.cl, &choice->shapes[i], kernel, err);
        if (rc != SL_OK) {
            return rc;
        }
        hash->kernel_count++;
        rc = known ? SL_OK : sl_hash_time_groups(kernel, LENGTH_NS, &hash->ns_per_group[i], err);
        rc = rc == SL_OK ? sl_hash_self_test(kernel, err) : rc;
        if (rc != SL_OK) {
            return rc;
        }
        if (!known) {
            sl_hash_kernel_save(kernel);
        }
    }
    return SL_OK;
}

int sl_hash_prepare(struct sl_executor *ex, struct sl_error *err) {
    struct sl_hash_executor *hash = (struct sl_hash_executor *)ex;
    struct sl_hash_choice choice;
    int rc = sl_hash_choose(ex->cl, &choice, err);
    if (rc != SL_OK) {
        return rc;
    }
    bool length_known = hash->launch_ms < LENGTH_TUNED_MS || recall_length(hash);
    bool known = recall(hash, &choice) && length_known;
    rc = open_kernels(hash, &choice, known, err);
    if (rc == SL_OK && !known) {
        rc = length_known ? measure(hash, MEASURE_NS, err) : tune_length(hash, err);
        if (rc == SL_OK) {
            keep(hash, &choice);
        }
    }
    return rc;
}
