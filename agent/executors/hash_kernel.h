/* SPDX-License-Identifier: Apache-2.0
 * The sha256d kernel on one device: program, buffers, and launches of consecutive nonces. No
 * policy: which work, how long a launch and what to do with a candidate is hash.c's.
 *
 * A launch covers `groups` work-groups of sl_hash_nonces_per_group nonces each. Under the stop word
 * a part of its groups does not run; `groups_ran` says how many did, and only those count as
 * hashes. SHA-256 reads the nonce big-endian while a header holds it little-endian: launches count
 * through words, and a word is the header's nonce with its bytes turned round
 * (sl_hash_nonce_of_word). Thread: the device's. Ownership: the sl_cl must outlive it. */
#ifndef SLUICE_AGENT_EXECUTORS_HASH_KERNEL_H
#define SLUICE_AGENT_EXECUTORS_HASH_KERNEL_H

#include "agent/device/cl.h"
#include "agent/stratum/work.h"

#define SL_HASH_RING 4096 /* candidates kept between two read-backs; a power of two */
#define SL_HASH_SLOTS 4   /* launches in flight */

/* What the kernel needs of a header, nonce-free parts worked out. */
struct sl_hash_input {
    cl_uint8 head;
    cl_uint8 mid;
    cl_uint8 sched;
    cl_uint top; /* top 32 bits of the target: the kernel's early test */
};

struct sl_hash_kernel {
    struct sl_cl *cl;
    cl_program program;
    cl_kernel kernel;
    cl_mem results;  /* uint [2 + SL_HASH_RING]: groups that ran, candidates, ring of nonces */
    uint32_t width;  /* nonces in a vector */
    uint32_t local;  /* work-items in a group */
    uint32_t rounds; /* vectors per work-item */
    uint32_t groups_seen;
    uint32_t found_seen;
    uint32_t next_slot;
    cl_mem pinned; /* host memory behind read_back, mapped while open: drivers copy into pageable
                      memory only while the caller waits */
    cl_uint *read_back; /* [SL_HASH_SLOTS][2 + SL_HASH_RING] */
};

struct sl_hash_launch {
    cl_event kernel;
    cl_event read;
    uint32_t slot;
    uint32_t base;
    uint32_t groups;
};

struct sl_hash_found {
    uint32_t groups_ran;
    uint32_t count;       /* candidates by the early test, at most SL_HASH_RING */
    uint32_t lost;        /* candidates that the ring had no room for */
    const uint32_t *ring; /* valid until the slot is used again; see sl_hash_found_nonce */
    uint32_t first;
};

static inline uint32_t sl_hash_nonce_of_word(uint32_t word) {
    return __builtin_bswap32(word);
}
/* The nonce of candidate i < found->count, as it stands in a header. */
static inline uint32_t sl_hash_found_nonce(const struct sl_hash_found *found, uint32_t i) {
    return sl_hash_nonce_of_word(found->ring[(found->first + i) % SL_HASH_RING]);
}

/* width: 1, 2, 4, 8 or 16; local: work-items in a group, at most the device's maximum. Builds (or
 * takes from the cache), and allocates. Nothing stays open on failure. */
int sl_hash_kernel_open(struct sl_cl *cl, uint32_t width, uint32_t local, uint32_t rounds,
                        struct sl_hash_kernel *ret_kernel, struct sl_error *err);
void sl_hash_kernel_close(struct sl_hash_kernel *kernel);
/* After the first launches: what the driver specialised then goes into the cache too. */
void sl_hash_kernel_save(struct sl_hash_kernel *kernel);

static inline uint32_t sl_hash_nonces_per_group(const struct sl_hash_kernel *kernel) {
    return kernel->local * kernel->width * kernel->rounds;
}

/* midstate: after header[0..63]; tail: header[64..75] (merkle root's end, time, bits). */
void sl_hash_input_make(const uint32_t midstate[8], const uint8_t tail[12],
                        const struct sl_u256 *target, struct sl_hash_input *ret_input);

/* Enqueues kernel and read-back, without waiting or flushing. At most SL_HASH_SLOTS launches may be
 * neither collected nor dropped. */
int sl_hash_kernel_enqueue(struct sl_hash_kernel *kernel, const struct sl_hash_input *input,
                           uint32_t base, uint32_t groups, struct sl_hash_launch *ret_launch,
                           struct sl_error *err);
/* In the order of enqueueing: waits for the read-back, releases the events. */
int sl_hash_kernel_collect(struct sl_hash_kernel *kernel, struct sl_hash_launch *launch,
                           struct sl_hash_found *ret_found, struct sl_error *err);

#endif
