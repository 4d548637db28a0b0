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
#define SL_HASH_MIDS_MAX 16
#define SL_HASH_TOGETHER_MAX 4  /* of SL_HASH_FLOW_TOGETHER, whose midstates are arguments */
#define SL_HASH_SHA_WIDTH_MAX 4 /* of SL_HASH_FLOW_SHA */

/* How several midstates share a message schedule, how a function of three words and a rotation are
 * written; see sha256d.cl. FLOW_SHA has its instructions with ROTATE_PLAIN; with ROTATE_SHIFTS they
 * are spelt out. */
enum sl_hash_flow { SL_HASH_FLOW_TOGETHER, SL_HASH_FLOW_IN_TURN, SL_HASH_FLOW_SHA };
enum sl_hash_logic { SL_HASH_LOGIC_PLAIN, SL_HASH_LOGIC_SELECT, SL_HASH_LOGIC_TABLE };
enum sl_hash_rotate { SL_HASH_ROTATE_PLAIN, SL_HASH_ROTATE_ALIGN, SL_HASH_ROTATE_SHIFTS };

struct sl_hash_shape {
    uint32_t width;  /* nonces in a vector: 1, 2, 4, 8 or 16 */
    uint32_t local;  /* work-items in a group, a power of two */
    uint32_t rounds; /* vectors per work-item, a power of two */
    uint32_t mids;   /* midstates that share a message schedule: 1, 2, 4, 8 or 16, at most */
    enum sl_hash_logic logic;
    enum sl_hash_rotate rotate;
    enum sl_hash_flow flow;
};

/* What the kernel needs of headers that have their last 16 bytes in common, nonce-free parts worked
 * out. */
struct sl_hash_input {
    cl_uint16 mids[SL_HASH_MIDS_MAX];
    uint32_t mid_count;
    uint32_t tail[3]; /* W0 to W2 of the second block */
    cl_uint8 sched;
    cl_uint top; /* top 32 bits of the target: the kernel's early test */
};

struct sl_hash_kernel {
    struct sl_cl *cl;
    cl_program program;
    cl_kernel kernel;
    cl_mem results; /* uint [2 + 2 * SL_HASH_RING]: groups that ran, candidates, ring of nonces and
                       midstates */
    struct sl_hash_shape shape;
    cl_mem mids; /* not SL_HASH_FLOW_TOGETHER: cl_uint16 [SL_HASH_MIDS_MAX], written when they
                    change */
    cl_uint16 mids_sent[SL_HASH_SLOTS][SL_HASH_MIDS_MAX]; /* a write may read its own until its
                                                             launch is over */
    uint32_t mids_at;                                     /* the last sent */
    uint32_t mids_there;                                  /* of those, how many the device has */
    uint32_t groups_seen;
    uint32_t found_seen;
    uint32_t next_slot;
    cl_mem pinned; /* host memory behind read_back, mapped while open: drivers copy into pageable
                      memory only while the caller waits */
    cl_uint *read_back; /* [SL_HASH_SLOTS][2 + 2 * SL_HASH_RING] */
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
    return sl_hash_nonce_of_word(found->ring[(found->first + i) % SL_HASH_RING * 2]);
}
/* Which of the input's midstates it belongs to: as the device wrote it, so possibly too high. */
static inline uint32_t sl_hash_found_mid(const struct sl_hash_found *found, uint32_t i) {
    return found->ring[(found->first + i) % SL_HASH_RING * 2 + 1];
}

static inline bool sl_hash_shape_takes_fewer(const struct sl_hash_shape *shape) {
    return shape->flow != SL_HASH_FLOW_TOGETHER;
}

/* False when the shape is none of those above, its group larger than the device takes, or one
 * group finds more candidates than the ring holds where every nonce is one. */
bool sl_hash_shape_fits(const struct sl_cl *cl, const struct sl_hash_shape *shape);
/* Builds (or takes from the cache), and allocates. The shape must fit. Nothing stays open on
 * failure. */
int sl_hash_kernel_open(struct sl_cl *cl, const struct sl_hash_shape *shape,
                        struct sl_hash_kernel *ret_kernel, struct sl_error *err);
void sl_hash_kernel_close(struct sl_hash_kernel *kernel);
/* After the first launches: what the driver specialised then goes into the cache too. */
void sl_hash_kernel_save(struct sl_hash_kernel *kernel);

static inline uint32_t sl_hash_nonces_per_group(const struct sl_hash_kernel *kernel) {
    return kernel->shape.local * kernel->shape.width * kernel->shape.rounds;
}
/* Each nonce is tried with each midstate, here with as many as the shape has. */
static inline uint32_t sl_hash_hashes_per_group(const struct sl_hash_kernel *kernel) {
    return sl_hash_nonces_per_group(kernel) * kernel->shape.mids;
}

/* midstate: after header[0..63]; tail: header[64..75] (merkle root's end, time, bits). One midstate
 * then; more with the same tail are added, up to SL_HASH_MIDS_MAX. */
void sl_hash_input_make(const uint32_t midstate[8], const uint8_t tail[12],
                        const struct sl_u256 *target, struct sl_hash_input *ret_input);

void sl_hash_input_add(struct sl_hash_input *input, const uint32_t midstate[8]);

/* Enqueues kernel and read-back, without waiting or flushing. The input has as many midstates as
 * the kernel's shape; one that sl_hash_shape_takes_fewer may have fewer. At most SL_HASH_SLOTS
 * launches may be neither collected nor dropped. */
int sl_hash_kernel_enqueue(struct sl_hash_kernel *kernel, const struct sl_hash_input *input,
                           uint32_t base, uint32_t groups, struct sl_hash_launch *ret_launch,
                           struct sl_error *err);
/* In the order of enqueueing: waits for the read-back, releases the events. */
int sl_hash_kernel_collect(struct sl_hash_kernel *kernel, struct sl_hash_launch *launch,
                           struct sl_hash_found *ret_found, struct sl_error *err);

#endif
