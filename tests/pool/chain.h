/* SPDX-License-Identifier: Apache-2.0
 * The made-up chain of the test pool: jobs as they stand on the wire, and the check of a share.
 *
 * A share is checked from the very texts that were sent: coinbase, merkle root and header are put
 * together as hex digits and hashed with libsodium. Nothing of agent/stratum is used, so that one
 * mistake cannot hide on both sides. Pure (time comes in). One thread. */
#ifndef SLUICE_TESTS_POOL_CHAIN_H
#define SLUICE_TESTS_POOL_CHAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/clock.h"
#include "proto/base/error.h"
#include "tests/pool/options.h"

#define SL_TP_BRANCHES_MAX 12
#define SL_TP_JOBS_MAX 64
#define SL_TP_EXTRANONCE1_SIZE 4
#define SL_TP_VERSION_MASK 0x1fffe000u

struct sl_tp_job {
    uint64_t number; /* counts up; 0: none */
    char id[48];
    char prevhash[65]; /* as on the wire */
    char coinb1[512], coinb2[512];
    char branches[SL_TP_BRANCHES_MAX][65];
    int branch_count;
    char version[9], nbits[9], ntime[9];
    uint32_t ntime_s;
    bool clean;
    bool retired; /* a clean job came after it */
    struct sl_wall retired_at;
};

struct sl_tp_chain;

/* instance: differs between two runs of the pool, so that no job id repeats. */
int sl_tp_chain_create(const struct sl_tp_options *options, uint64_t instance,
                       struct sl_tp_chain **ret_chain, struct sl_error *err);
void sl_tp_chain_destroy(struct sl_tp_chain *chain);

/* The next job; `clean` begins a new block and retires all jobs before. */
const struct sl_tp_job *sl_tp_chain_advance(struct sl_tp_chain *chain, bool clean,
                                            struct sl_wall now);
const struct sl_tp_job *sl_tp_chain_newest(const struct sl_tp_chain *chain);
/* NULL when unknown or too old. */
const struct sl_tp_job *sl_tp_chain_find(const struct sl_tp_chain *chain, const char *id);

/* A submit; every text has passed its length check as hex. */
struct sl_tp_submit {
    const char *extranonce1, *extranonce2, *ntime, *nonce;
    bool rolled;
    uint32_t version_bits, version_mask;
};
enum sl_tp_verdict { SL_TP_GOOD = 1, SL_TP_LOW, SL_TP_DUPLICATE };
/* Rebuilds the header and judges it; a good one is remembered until the next clean job. */
enum sl_tp_verdict sl_tp_chain_check(struct sl_tp_chain *chain, const struct sl_tp_job *job,
                                     const struct sl_tp_submit *submit, int64_t difficulty);

/* Parts of the above, for the unit test. */
void sl_tp_header_hex(const struct sl_tp_job *job, const struct sl_tp_submit *submit,
                      char ret_header[161]);
/* hash (as SHA-256 gives it) * difficulty <= 0xFFFF * 2^208, exactly. */
bool sl_tp_hash_meets(const uint8_t hash[32], int64_t difficulty);

#endif
