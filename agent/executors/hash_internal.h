/* SPDX-License-Identifier: Apache-2.0
 * Between hash.c (work and candidates) and hash_prepare.c (what this device is best at, and whether
 * it computes correctly). */
#ifndef SLUICE_AGENT_EXECUTORS_HASH_INTERNAL_H
#define SLUICE_AGENT_EXECUTORS_HASH_INTERNAL_H

#include "agent/executors/executor.h"
#include "agent/executors/hash_kernel.h"

#define SL_HASH_AHEAD 2 /* launches queued: the second hides the first's end */

struct sl_hash_flight {
    struct sl_hash_launch launch;
    struct sl_work work;
    bool synthetic;
};

struct sl_hash_executor {
    struct sl_executor base;
    uint32_t launch_ms;
    struct sl_hash_kernel kernel;
    bool open;
    /* Work. */
    struct sl_job *job; /* ours; NULL: no pool work */
    struct sl_work_cursor cursor;
    uint32_t slot;
    uint32_t slots;
    struct sl_work work;
    struct sl_hash_input input;
    bool has_work;
    bool exhausted;     /* this job's share of the search space is used up */
    uint64_t next_word; /* of 2^32 in `work` */
    bool synthetic;
    /* In the queue, oldest first. */
    struct sl_hash_flight flights[SL_HASH_AHEAD];
    uint32_t flight_first;
    uint32_t flight_count;
    /* Measured. */
    double ns_per_group; /* of whole launches; sizes the next ones */
    double rate_nonces;  /* fading sums: their quotient is the reported rate */
    double rate_ns;
    uint64_t hashes_total;
    uint64_t candidates_bad;
    uint32_t canaries;        /* re-tests done */
    uint64_t candidates_lost; /* the ring overflowed although launches are sized against it */
};

/* hash_prepare.c */
int sl_hash_prepare(struct sl_executor *ex, struct sl_error *err);
/* The kernel in the shape that suits the device: by its native vector width on CPUs, by timing a
 * few on GPUs. */
int sl_hash_open_best(struct sl_cl *cl, struct sl_hash_kernel *ret_kernel, struct sl_error *err);
/* A whole launch, waited for. The stop word must be clear. */
int sl_hash_run(struct sl_hash_kernel *kernel, const struct sl_hash_input *input, uint32_t base,
                uint32_t groups, struct sl_hash_found *ret_found, int64_t *ret_ns,
                struct sl_error *err);
/* Known answers at the real work-group size. -SL_DEVICE with what to do. */
int sl_hash_self_test(struct sl_hash_kernel *kernel, struct sl_error *err);

/* One of the known answers, in turn; the queue is empty. */
int sl_hash_canary(struct sl_hash_kernel *kernel, uint32_t turn, struct sl_error *err);

/* hash.c: groups of a launch that takes launch_ms and cannot overflow the ring of candidates. */
uint32_t sl_hash_launch_groups(const struct sl_hash_executor *hash, uint32_t top);

#endif
