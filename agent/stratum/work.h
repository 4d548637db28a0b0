/* SPDX-License-Identifier: Apache-2.0
 * Work of a Stratum V1 pool of the Bitcoin family: difficulty, target, job, block header.
 *
 * Rules of the bytes (Stratum V1 as pools speak it; BIP 320 for version rolling):
 *   coinbase = coinb1 | extranonce1 | extranonce2 | coinb2;  root = sha256d(coinbase), then
 *   root = sha256d(root | branch) for each branch;
 *   header = version LE | prevhash | root | ntime LE | nbits LE | nonce LE  (80 bytes);
 *   a share is good if sha256d(header), read as a little-endian number, is <= target;
 *   T1 = 0xFFFF * 2^208, target = floor(T1 / difficulty), expected hashes of a share =
 *   difficulty * 2^48 / 0xFFFF.
 * Everything here is pure: no clock, no socket, no random number. Thread: any, except that the
 * reference count of a job is plain, so jobs stay on the thread of their client; what crosses to a
 * device thread is `struct sl_work`, a flat copy. */
#ifndef SLUICE_AGENT_STRATUM_WORK_H
#define SLUICE_AGENT_STRATUM_WORK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/cleanup.h"
#include "proto/base/error.h"

#define SL_JOB_ID_MAX 128         /* characters */
#define SL_JOB_BRANCHES_MAX 32    /* a block of 2^32 transactions */
#define SL_JOB_COINBASE_MAX 65536 /* bytes, all four parts together */
#define SL_EXTRANONCE1_MAX 32     /* bytes */
#define SL_EXTRANONCE2_MAX 16     /* bytes */
/* Seconds by which a job's time may be rolled forward where its extranonce2 values are used up;
 * pools take some 7,000, and blocks 7,200. */
#define SL_WORK_NTIME_AHEAD_MAX 600

/* mantissa * 2^exponent: exactly the number that the pool wrote (a JSON real is a binary64, which
 * is such a number), so that target and work need no rounding but the last floor. */
struct sl_difficulty {
    uint64_t mantissa; /* odd, or 0 for "none" */
    int32_t exponent;
};

/* An unsigned 256-bit number; limb[0] is the least significant. */
struct sl_u256 {
    uint64_t limb[4];
};

/* -SL_INVALID for zero, negative, NaN or infinite; -SL_LIMIT below 65535 / 2^48 (every hash would
 * be a share) or where the work of a share does not fit an int64 (about 2^31). */
int sl_difficulty_from_double(double value, struct sl_difficulty *ret_difficulty,
                              struct sl_error *err);
int sl_difficulty_from_int(int64_t value, struct sl_difficulty *ret_difficulty,
                           struct sl_error *err);
/* For people and logs only. */
double sl_difficulty_to_double(struct sl_difficulty difficulty);

/* floor(T1 / difficulty); the difficulty is one that sl_difficulty_from_* gave. */
void sl_difficulty_target(struct sl_difficulty difficulty, struct sl_u256 *ret_target);
/* floor(difficulty * 2^48 / 65535): hashes that a share stands for; fits an int64. */
uint64_t sl_difficulty_hashes(struct sl_difficulty difficulty);

/* What pool and client agreed on when the job came; copied into the job. */
struct sl_job_terms {
    struct sl_difficulty difficulty;
    uint8_t extranonce1[SL_EXTRANONCE1_MAX];
    uint8_t extranonce1_size;
    uint8_t extranonce2_size;
    bool version_rolling; /* negotiated: submits carry the version bits */
    uint32_t version_mask;
};

/* The top bits of a serial say whose it is, where jobs of several pools come together. */
#define SL_JOB_SOURCE_SHIFT 60
#define SL_JOB_SOURCES 16

/* Immutable once created. One heap block; the pointers point into it. */
struct sl_job {
    uint64_t serial;  /* counts up within a client: the key of shares and work; never 0 */
    uint32_t session; /* raised when a reconnect did not get the same extranonce1 back */
    bool clean;       /* work of older jobs is worthless */
    char id[SL_JOB_ID_MAX + 1];
    uint8_t prevhash[32]; /* in header order */
    uint32_t version, nbits, ntime;
    struct sl_job_terms terms;
    struct sl_u256 target;     /* of terms.difficulty */
    uint64_t hashes_per_share; /* of terms.difficulty */
    const uint8_t *coinb1, *coinb2;
    uint32_t coinb1_size, coinb2_size;
    const uint8_t (*branches)[32];
    uint32_t branch_count;
    uint32_t references;
};

/* A copy of `*draft` on the heap with one reference; target and hashes are computed, the pointers'
 * contents copied. Checks counts and sizes. -SL_LIMIT, -SL_INVALID, -SL_NOMEM. */
int sl_job_create(const struct sl_job *draft, struct sl_job **ret_job, struct sl_error *err);
/* Another reference to the same job; returns it. */
struct sl_job *sl_job_ref(struct sl_job *job);
/* Drops a reference; the last one frees. Accepts NULL. */
void sl_job_unref(struct sl_job *job);
SL_DEFINE_AUTO(sl_job, sl_job_unref)

/* extranonce2: terms.extranonce2_size bytes. */
void sl_job_merkle_root(const struct sl_job *job, const uint8_t *extranonce2, uint8_t ret_root[32]);
/* (version & ~mask) | (version_bits & mask). */
uint32_t sl_job_version(const struct sl_job *job, uint32_t version_bits);
void sl_header_write(uint32_t version, const struct sl_job *job, const uint8_t root[32],
                     uint32_t ntime, uint32_t nonce, uint8_t ret_header[80]);

/* One header to search, 2^32 nonces. Flat: copied through mailboxes. */
struct sl_work {
    uint64_t job_serial;
    uint32_t session;
    uint32_t version_bits;
    uint32_t ntime;
    uint8_t extranonce2_size;
    uint8_t extranonce2[SL_EXTRANONCE2_MAX];
    uint8_t header[80];    /* nonce 0 */
    uint32_t midstate[8];  /* after header[0..63] */
    struct sl_u256 target; /* share target */
    uint64_t hashes_per_share;
};

/* sha256d of the header with this nonce, which goes into bytes 76-79 little-endian. */
void sl_work_hash(const struct sl_work *work, uint32_t nonce, uint8_t ret_hash[32]);
/* True when the hash, as a little-endian number, is <= target. */
bool sl_hash_meets(const uint8_t hash[32], const struct sl_u256 *target);
/* T1 / hash, for people; infinite for a hash of zero. */
double sl_hash_difficulty(const uint8_t hash[32]);

/* How far the headers of a job have been searched: of all jobs with the same ones, whatever their
 * serial, id, difficulty and version mask. */
struct sl_work_place {
    uint64_t key; /* of what the headers are made of; 0: unused */
    uint64_t counter, used;
    uint32_t ntime; /* as far as it was rolled */
};
#define SL_WORK_PLACES 4 /* of each source, the latest */

/* Walks one device's part of a job's search space: extranonce2 = counter * slots + device, and for
 * each every combination of the version bits; then all again a second later in ntime. No two
 * devices ever get the same header, and one device gets none twice: where a job comes back (the
 * device was lent to another pool, or the pool sends it again), the search goes on where it was.
 * Flat; owned by the caller. */
struct sl_work_cursor {
    uint64_t job_serial;
    uint32_t source; /* of that job */
    /* As they were left, the newest first. */
    struct sl_work_place places[SL_JOB_SOURCES][SL_WORK_PLACES];
    uint32_t device, slots;
    uint64_t counter;          /* next extranonce2 of this device */
    uint64_t used, room;       /* extranonce2 values taken, and there are, in this job */
    uint32_t ntime;            /* of the job, or rolled */
    uint64_t roll, roll_count; /* next combination of version bits */
    uint8_t root[32];          /* of the present extranonce2 */
    uint8_t extranonce2[SL_EXTRANONCE2_MAX];
};

/* device < slots; slots is the number of devices on this connection and stays as it is while the
 * connection lives. */
int sl_work_cursor_init(struct sl_work_cursor *cursor, uint32_t device, uint32_t slots,
                        struct sl_error *err);
/* The next header of this job. Switching to another job is done by passing it. -SL_LIMIT when the
 * device's part is used up (with an extranonce2 of one or two bytes, all of it
 * SL_WORK_NTIME_AHEAD_MAX times more), or has no room for this device: then wait for the next job.
 */
int sl_work_next(struct sl_work_cursor *cursor, const struct sl_job *job, struct sl_work *ret_work,
                 struct sl_error *err);
/* True when the next header of the same job differs from the last one in its version only, so that
 * both have their last 16 bytes but the nonce in common. */
bool sl_work_same_root(const struct sl_work_cursor *cursor);

#endif
