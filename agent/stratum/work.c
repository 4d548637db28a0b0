/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/stratum/work.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "agent/stratum/sha256.h"

/* The smallest transaction: version, one input with its 36-byte outpoint, one output, lock time. A
 * shorter coinbase is a pool that sends something else. */
#define COINBASE_MIN 60

static int check_draft(const struct sl_job *draft, struct sl_error *err) {
    const struct sl_job_terms *terms = &draft->terms;
    if (draft->serial == 0 || draft->id[0] == '\0' || !memchr(draft->id, '\0', sizeof draft->id)) {
        return sl_fail(err, SL_INVALID, "job without an id");
    }
    if (terms->difficulty.mantissa == 0) {
        return sl_fail(err, SL_INVALID, "job without a difficulty");
    }
    if (terms->extranonce1_size > SL_EXTRANONCE1_MAX || terms->extranonce2_size == 0 ||
        terms->extranonce2_size > SL_EXTRANONCE2_MAX) {
        return sl_fail(err, SL_LIMIT, "extranonce sizes %u and %u: at most %d and 1 to %d",
                       terms->extranonce1_size, terms->extranonce2_size, SL_EXTRANONCE1_MAX,
                       SL_EXTRANONCE2_MAX);
    }
    if (draft->branch_count > SL_JOB_BRANCHES_MAX) {
        return sl_fail(err, SL_LIMIT, "%u merkle branches: at most %d", draft->branch_count,
                       SL_JOB_BRANCHES_MAX);
    }
    uint64_t coinbase = (uint64_t)draft->coinb1_size + draft->coinb2_size +
                        terms->extranonce1_size + terms->extranonce2_size;
    if (coinbase < COINBASE_MIN || coinbase > SL_JOB_COINBASE_MAX) {
        return sl_fail(err, SL_LIMIT, "coinbase of %llu bytes: %d to %d are possible",
                       (unsigned long long)coinbase, COINBASE_MIN, SL_JOB_COINBASE_MAX);
    }
    return SL_OK;
}

int sl_job_create(const struct sl_job *draft, struct sl_job **ret_job, struct sl_error *err) {
    int rc = check_draft(draft, err);
    if (rc < 0) {
        return rc;
    }
    size_t branches = (size_t)draft->branch_count * 32;
    size_t total = sizeof(struct sl_job) + branches + draft->coinb1_size + draft->coinb2_size;
    struct sl_job *job = malloc(total);
    if (!job) {
        return sl_fail(err, SL_NOMEM, "no memory for a job of %zu bytes", total);
    }
    *job = *draft;
    uint8_t *tail = (uint8_t *)(job + 1);
    if (branches) {
        memcpy(tail, draft->branches, branches);
    }
    job->branches = (const uint8_t(*)[32])tail;
    tail += branches;
    if (draft->coinb1_size) {
        memcpy(tail, draft->coinb1, draft->coinb1_size);
    }
    job->coinb1 = tail;
    tail += draft->coinb1_size;
    if (draft->coinb2_size) {
        memcpy(tail, draft->coinb2, draft->coinb2_size);
    }
    job->coinb2 = tail;
    if (!job->terms.version_rolling) {
        job->terms.version_mask = 0;
    }
    sl_difficulty_target(job->terms.difficulty, &job->target);
    job->hashes_per_share = sl_difficulty_hashes(job->terms.difficulty);
    job->references = 1;
    *ret_job = job;
    return SL_OK;
}

struct sl_job *sl_job_ref(struct sl_job *job) {
    job->references++;
    return job;
}

void sl_job_unref(struct sl_job *job) {
    if (job && --job->references == 0) {
        free(job);
    }
}

void sl_job_merkle_root(const struct sl_job *job, const uint8_t *extranonce2,
                        uint8_t ret_root[32]) {
    crypto_hash_sha256_state hash;
    uint8_t node[64];
    crypto_hash_sha256_init(&hash);
    crypto_hash_sha256_update(&hash, job->coinb1, job->coinb1_size);
    crypto_hash_sha256_update(&hash, job->terms.extranonce1, job->terms.extranonce1_size);
    crypto_hash_sha256_update(&hash, extranonce2, job->terms.extranonce2_size);
    crypto_hash_sha256_update(&hash, job->coinb2, job->coinb2_size);
    crypto_hash_sha256_final(&hash, node);
    crypto_hash_sha256(node, node, 32);
    for (uint32_t i = 0; i < job->branch_count; i++) {
        memcpy(node + 32, job->branches[i], 32);
        sl_sha256d(node, sizeof node, node);
    }
    memcpy(ret_root, node, 32);
}

uint32_t sl_job_version(const struct sl_job *job, uint32_t version_bits) {
    uint32_t mask = job->terms.version_mask;
    return (job->version & ~mask) | (version_bits & mask);
}

static void put_le32(uint8_t *out, uint32_t value) {
    for (int i = 0; i < 4; i++) {
        out[i] = (uint8_t)(value >> 8 * i);
    }
}

void sl_header_write(uint32_t version, const struct sl_job *job, const uint8_t root[32],
                     uint32_t ntime, uint32_t nonce, uint8_t ret_header[80]) {
    put_le32(ret_header, version);
    memcpy(ret_header + 4, job->prevhash, 32);
    memcpy(ret_header + 36, root, 32);
    put_le32(ret_header + 68, ntime);
    put_le32(ret_header + 72, job->nbits);
    put_le32(ret_header + 76, nonce);
}

void sl_work_hash(const struct sl_work *work, uint32_t nonce, uint8_t ret_hash[32]) {
    uint8_t header[80];
    memcpy(header, work->header, sizeof header);
    put_le32(header + 76, nonce);
    sl_sha256d(header, sizeof header, ret_hash);
}

int sl_work_cursor_init(struct sl_work_cursor *cursor, uint32_t device, uint32_t slots,
                        struct sl_error *err) {
    if (device >= slots) {
        return sl_fail(err, SL_INVALID, "device %u of %u", device, slots);
    }
    *cursor = (struct sl_work_cursor){.device = device, .slots = slots};
    return SL_OK;
}

/* Equal where two jobs give the same headers for the same extranonce2, version bits and time. */
static uint64_t key_of(const struct sl_job *job) {
    static const uint8_t zero[SL_EXTRANONCE2_MAX] = {0};
    uint8_t header[80];
    uint8_t digest[32];
    uint64_t key = 0;
    sl_job_merkle_root(job, zero, digest);
    sl_header_write(job->version, job, digest, 0, 0, header);
    sl_sha256d(header, sizeof header, digest);
    memcpy(&key, digest, sizeof key);
    return key | 1;
}

/* Notes how far the job that is left has been searched, and goes on with the other where that was
 * left. A new one begins at the counter of the last: should it be one that is no longer remembered,
 * what was searched first comes last. */
static void change_place(struct sl_work_cursor *cursor, const struct sl_job *job) {
    struct sl_work_place place = {
        .key = key_of(job), .counter = cursor->counter, .ntime = job->ntime};
    struct sl_work_place *left = cursor->places[cursor->source];
    uint32_t at = 0;
    if (left->key) {
        left->counter = cursor->counter;
        left->used = cursor->used;
        left->ntime = cursor->ntime;
    }
    cursor->source = (uint32_t)(job->serial >> SL_JOB_SOURCE_SHIFT);
    struct sl_work_place *places = cursor->places[cursor->source];
    while (at < SL_WORK_PLACES - 1 && places[at].key != place.key) {
        at++;
    }
    if (places[at].key == place.key) {
        place.counter = places[at].counter;
        /* With a later time, all values are new again. */
        if (places[at].ntime >= job->ntime &&
            places[at].ntime - job->ntime <= SL_WORK_NTIME_AHEAD_MAX) {
            place.ntime = places[at].ntime;
            place.used = places[at].used;
        }
    }
    memmove(places + 1, places, at * sizeof places[0]);
    places[0] = place;
    cursor->counter = place.counter;
    cursor->used = place.used;
    cursor->ntime = place.ntime;
}

static void enter_job(struct sl_work_cursor *cursor, const struct sl_job *job) {
    unsigned size = job->terms.extranonce2_size;
    uint64_t last = size >= 8 ? UINT64_MAX : (UINT64_C(1) << 8 * size) - 1;
    uint64_t room = 0;
    if (cursor->device <= last) {
        room = (last - cursor->device) / cursor->slots;
        room += room < UINT64_MAX; /* one device and 8 bytes: one value is never reached */
    }
    cursor->job_serial = job->serial;
    cursor->room = room;
    change_place(cursor, job);
    cursor->roll = 0;
    cursor->roll_count = UINT64_C(1) << __builtin_popcount(job->terms.version_mask);
    if (cursor->counter >= room) {
        cursor->counter = 0;
    }
}

static void next_extranonce2(struct sl_work_cursor *cursor, const struct sl_job *job) {
    uint64_t value = cursor->counter * cursor->slots + cursor->device;
    unsigned size = job->terms.extranonce2_size;
    memset(cursor->extranonce2, 0, sizeof cursor->extranonce2);
    for (unsigned i = 0; i < size && i < 8; i++) {
        cursor->extranonce2[size - 1 - i] = (uint8_t)(value >> 8 * i);
    }
    sl_job_merkle_root(job, cursor->extranonce2, cursor->root);
    cursor->used++;
    cursor->counter = cursor->counter + 1 < cursor->room ? cursor->counter + 1 : 0;
}

/* The low bits of `index`, spread over the set bits of `mask`. */
static uint32_t spread_bits(uint64_t index, uint32_t mask) {
    uint32_t bits = 0;
    while (mask) {
        uint32_t lowest = mask & -mask;
        bits |= index & 1 ? lowest : 0;
        index >>= 1;
        mask ^= lowest;
    }
    return bits;
}

/* One second on, and all extranonce2 values are new again. */
static bool roll_ntime(struct sl_work_cursor *cursor, const struct sl_job *job) {
    if (cursor->room == 0 || cursor->ntime - job->ntime >= SL_WORK_NTIME_AHEAD_MAX ||
        job->ntime >= UINT32_MAX - SL_WORK_NTIME_AHEAD_MAX) {
        return false;
    }
    cursor->ntime++;
    cursor->used = 0;
    return true;
}

bool sl_work_same_root(const struct sl_work_cursor *cursor) {
    return cursor->roll != 0;
}

int sl_work_next(struct sl_work_cursor *cursor, const struct sl_job *job, struct sl_work *ret_work,
                 struct sl_error *err) {
    if (cursor->job_serial != job->serial) {
        enter_job(cursor, job);
    }
    if (cursor->roll == 0) {
        if (cursor->used >= cursor->room && !roll_ntime(cursor, job)) {
            return sl_fail(err, SL_LIMIT,
                           "extranonce2 of %u bytes has no more work for device %u of %u in this "
                           "job",
                           job->terms.extranonce2_size, cursor->device, cursor->slots);
        }
        next_extranonce2(cursor, job);
    }
    uint32_t bits = spread_bits(cursor->roll, job->terms.version_mask);
    cursor->roll = cursor->roll + 1 < cursor->roll_count ? cursor->roll + 1 : 0;
    *ret_work = (struct sl_work){.job_serial = job->serial,
                                 .session = job->session,
                                 .version_bits = bits,
                                 .ntime = cursor->ntime,
                                 .extranonce2_size = job->terms.extranonce2_size,
                                 .target = job->target,
                                 .hashes_per_share = job->hashes_per_share};
    memcpy(ret_work->extranonce2, cursor->extranonce2, sizeof ret_work->extranonce2);
    sl_header_write(sl_job_version(job, bits), job, cursor->root, ret_work->ntime, 0,
                    ret_work->header);
    sl_sha256_initial(ret_work->midstate);
    sl_sha256_compress(ret_work->midstate, ret_work->header);
    return SL_OK;
}
