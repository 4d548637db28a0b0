/* SPDX-License-Identifier: Apache-2.0
 * Between hash.c (work and candidates), hash_tune.c (what this device is best at) and
 * hash_prepare.c (whether it computes correctly, and its rate). */
#ifndef SLUICE_AGENT_EXECUTORS_HASH_INTERNAL_H
#define SLUICE_AGENT_EXECUTORS_HASH_INTERNAL_H

#include "agent/executors/executor.h"
#include "agent/executors/hash_kernel.h"

#define SL_HASH_AHEAD 2 /* launches queued: the second hides the first's end */
#define SL_HASH_KERNELS 2

/* Headers that one launch searches: `count` is 1, or what the kernel for several takes. */
struct sl_hash_batch {
    struct sl_work works[SL_HASH_MIDS_MAX];
    uint32_t count;
};

struct sl_hash_flight {
    struct sl_hash_launch launch;
    uint32_t which; /* of the kernels */
    struct sl_hash_batch batch;
    bool synthetic;
};

/* Two shapes of the kernel: [0] takes one header, [1] several that differ in their version only,
 * where that is quicker; else there is no [1]. */
struct sl_hash_choice {
    struct sl_hash_shape shapes[SL_HASH_KERNELS];
    uint32_t count;
    uint64_t rate_hs; /* as timed; 0: not timed */
};

struct sl_hash_executor {
    struct sl_executor base;
    double launch_ms; /* as configured, or shorter where that is as quick */
    struct sl_hash_kernel kernels[SL_HASH_KERNELS];
    uint32_t kernel_count; /* open */
    /* Work. */
    struct sl_job *job; /* ours; NULL: no pool work */
    struct sl_work_cursor cursor;
    uint32_t slot;
    uint32_t slots;
    /* Headers that the cursor gave, with the same root: as many as kernels[1] takes, or all that
     * the version bits give. They are searched together where that kernel takes so many, else one
     * after the other. */
    struct sl_hash_batch taken;
    uint32_t taken_at;
    struct sl_hash_batch batch; /* of them, searched now */
    uint32_t which;             /* by this kernel */
    struct sl_hash_input input;
    bool has_work;
    bool exhausted;     /* this job's share of the search space is used up */
    uint64_t next_word; /* of 2^32 in `batch` */
    bool synthetic;
    /* In the queue, oldest first. */
    struct sl_hash_flight flights[SL_HASH_AHEAD];
    uint32_t flight_first;
    uint32_t flight_count;
    /* Measured. */
    double ns_per_group[SL_HASH_KERNELS]; /* of whole launches; sizes the next ones */
    double rate_hashes;                   /* fading sums: their quotient is the reported rate */
    double rate_ns;
    uint64_t started_serial; /* of the job whose first launch was reported */
    uint64_t hashes_total;
    uint64_t candidates_bad;
    uint32_t canaries;        /* re-tests done */
    uint64_t candidates_lost; /* the ring overflowed although launches are sized against it */
};

/* hash_prepare.c */
int sl_hash_prepare(struct sl_executor *ex, struct sl_error *err);
/* hash_pick.c: times of one shape, in turns with the others: round r of each is of about the same
 * moment. In ns per hash; count 0 where it does not run. */
#define SL_HASH_TRIALS 12
struct sl_hash_trials {
    double ns[SL_HASH_TRIALS];
    uint32_t count;
};
/* Which shape is quickest: the first that runs, unless another is quicker than it round by round.
 * `count` if none runs. */
uint32_t sl_hash_pick(const struct sl_hash_trials *shapes, uint32_t count);
/* hash_tune.c: the shapes that suit the device, as kept from an earlier start (cl->tuning) or by
 * timing; then kept. Builds what it times. -SL_DEVICE only when no shape runs.
 */
int sl_hash_choose(struct sl_cl *cl, struct sl_hash_choice *ret_choice, struct sl_error *err);
/* Device time of one group, from a launch of about `want_ns`, and what a first launch puts off
 * before. */
int sl_hash_time_groups(struct sl_hash_kernel *kernel, int64_t want_ns, double *ret_ns_per_group,
                        struct sl_error *err);
/* A whole launch, waited for. The stop word must be clear. */
int sl_hash_run(struct sl_hash_kernel *kernel, const struct sl_hash_input *input, uint32_t base,
                uint32_t groups, struct sl_hash_found *ret_found, int64_t *ret_ns,
                struct sl_error *err);
/* Known answers at the real work-group size. -SL_DEVICE with what to do. */
int sl_hash_self_test(struct sl_hash_kernel *kernel, struct sl_error *err);

/* One of the known answers, in turn; the queue is empty. */
int sl_hash_canary(struct sl_hash_kernel *kernel, uint32_t turn, struct sl_error *err);

/* hash.c: groups of a launch of this kernel with so many headers that takes launch_ms and cannot
 * overflow the ring of candidates. */
uint32_t sl_hash_launch_groups(const struct sl_hash_executor *hash, uint32_t which,
                               uint32_t headers, uint32_t top);

#endif
