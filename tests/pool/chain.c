/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/pool/chain.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/text.h"

#define FIRST_HEIGHT 900000 /* three bytes as a script number */

struct sl_tp_chain {
    struct sl_tp_options options;
    uint64_t instance;
    uint64_t last_number;
    uint32_t height;
    struct sl_tp_job jobs[SL_TP_JOBS_MAX]; /* number % SL_TP_JOBS_MAX */
    uint8_t (*seen)[16];                   /* open addressing; all zero: free */
    size_t seen_cap, seen_count;           /* cap: a power of two */
};

static void double_hash(const uint8_t *data, size_t size, uint8_t out[32]) {
    uint8_t inner[32];
    crypto_hash_sha256(inner, data, size);
    crypto_hash_sha256(out, inner, sizeof inner);
}

/* Bytes that depend only on the seed and what they are for. */
static void seeded(const struct sl_tp_chain *chain, const char *purpose, uint64_t a, uint64_t b,
                   uint8_t out[32]) {
    char text[128];
    int n = snprintf(text, sizeof text, "%s/%" PRIu64 "/%" PRIu64 "/%" PRIu64, purpose,
                     chain->options.seed, a, b);
    crypto_hash_sha256(out, (const uint8_t *)text, (size_t)n);
}

int sl_tp_chain_create(const struct sl_tp_options *options, uint64_t instance,
                       struct sl_tp_chain **ret_chain, struct sl_error *err) {
    struct sl_tp_chain *chain = calloc(1, sizeof *chain);
    if (!chain) {
        return sl_fail(err, SL_NOMEM, "no memory for the chain");
    }
    chain->options = *options;
    chain->instance = instance;
    chain->height = FIRST_HEIGHT;
    chain->seen_cap = 1024;
    chain->seen = calloc(chain->seen_cap, sizeof *chain->seen);
    if (!chain->seen) {
        free(chain);
        return sl_fail(err, SL_NOMEM, "no memory for the chain");
    }
    *ret_chain = chain;
    return SL_OK;
}

void sl_tp_chain_destroy(struct sl_tp_chain *chain) {
    if (chain) {
        free(chain->seen);
        free(chain);
    }
}

/* The level list [coinbase, t1..tn]: the branch takes its second element, then pairs the rest from
 * the third on (an odd last one with itself) for the next level. */
static void build_branches(const struct sl_tp_chain *chain, struct sl_tp_job *job, uint8_t choice,
                           uint8_t count_byte) {
    int want =
        chain->options.branches >= 0 ? chain->options.branches : choice % (SL_TP_BRANCHES_MAX + 1);
    job->branch_count = 0;
    if (want == 0) {
        return;
    }
    size_t least = (size_t)1 << (want - 1);
    size_t count = least + (size_t)count_byte * (least - 1) / 255; /* least .. 2 * least - 1 */
    uint8_t(*level)[32] = calloc(count + 2, sizeof *level);
    sl_assert(level);
    for (size_t i = 0; i < count; i++) {
        seeded(chain, "tx", job->number, i, level[i]);
    }
    while (count > 0) {
        sl_hex_encode(level[0], 32, job->branches[job->branch_count++]);
        size_t rest = count - 1;
        size_t next = 0;
        for (size_t i = 0; i < rest; i += 2) {
            uint8_t pair[64];
            memcpy(pair, level[1 + i], 32);
            memcpy(pair + 32, level[1 + (i + 1 < rest ? i + 1 : i)], 32);
            double_hash(pair, sizeof pair, level[next++]);
        }
        count = next;
    }
    free(level);
}

/* A coinbase as a pool makes it: height (BIP 34), time, a gap for both extranonces, a tag; an
 * output to a key hash and the empty witness commitment's. */
static void build_coinbase(const struct sl_tp_chain *chain, struct sl_tp_job *job) {
    static const char tag[] = "/sluice test pool/";
    int gap = SL_TP_EXTRANONCE1_SIZE + chain->options.extranonce2_size;
    char tag_hex[2 * sizeof tag];
    uint8_t key[32];
    char key_hex[65];
    sl_hex_encode((const uint8_t *)tag, sizeof tag - 1, tag_hex);
    seeded(chain, "payout", 0, 0, key);
    sl_hex_encode(key, 20, key_hex);
    int script = 4 + 5 + 1 + gap + (int)sizeof tag - 1;
    snprintf(job->coinb1, sizeof job->coinb1,
             "0100000001%064dffffffff%02x03%02x%02x%02x04%02x%02x%02x%02x%02x", 0, script,
             chain->height & 0xff, chain->height >> 8 & 0xff, chain->height >> 16 & 0xff,
             job->ntime_s & 0xff, job->ntime_s >> 8 & 0xff, job->ntime_s >> 16 & 0xff,
             job->ntime_s >> 24, gap);
    snprintf(job->coinb2, sizeof job->coinb2,
             "%sffffffff0200f90295000000001976a914%s88ac0000000000000000266a24aa21a9ed"
             "e2f61c3f71d1defd3fa999dfa36953755c690689799962b48bebd836974e8cf900000000",
             tag_hex, key_hex);
}

const struct sl_tp_job *sl_tp_chain_advance(struct sl_tp_chain *chain, bool clean,
                                            struct sl_wall now) {
    uint8_t random[32];
    clean = clean || chain->last_number == 0;
    if (clean) {
        chain->height++;
        chain->seen_count = 0;
        memset(chain->seen, 0, chain->seen_cap * sizeof *chain->seen);
        for (int i = 0; i < SL_TP_JOBS_MAX; i++) {
            if (!chain->jobs[i].retired) {
                chain->jobs[i].retired = true;
                chain->jobs[i].retired_at = now;
            }
        }
    }
    struct sl_tp_job *job = &chain->jobs[++chain->last_number % SL_TP_JOBS_MAX];
    *job = (struct sl_tp_job){.number = chain->last_number, .clean = clean};
    snprintf(job->id, sizeof job->id, "%" PRIx64 "-%" PRIx64, chain->instance, job->number);
    seeded(chain, "block", chain->height, 0, random);
    memset(random, 0, 4); /* displayed, a block's hash begins with zeros; so ends the wire form */
    for (int i = 0; i < 8; i++) {
        /* Eight words of the displayed hash in reverse order. */
        sl_hex_encode(random + 4 * (7 - i), 4, job->prevhash + 8 * i);
    }
    job->ntime_s = (uint32_t)(now.ms / 1000);
    snprintf(job->ntime, sizeof job->ntime, "%08" PRIx32, job->ntime_s);
    snprintf(job->version, sizeof job->version, "20000000");
    snprintf(job->nbits, sizeof job->nbits, "1702905c");
    seeded(chain, "shape", job->number, 0, random);
    build_branches(chain, job, random[0], random[1]);
    build_coinbase(chain, job);
    return job;
}

const struct sl_tp_job *sl_tp_chain_newest(const struct sl_tp_chain *chain) {
    return &chain->jobs[chain->last_number % SL_TP_JOBS_MAX];
}

const struct sl_tp_job *sl_tp_chain_find(const struct sl_tp_chain *chain, const char *id) {
    for (int i = 0; i < SL_TP_JOBS_MAX; i++) {
        if (chain->jobs[i].number && strcmp(chain->jobs[i].id, id) == 0) {
            return &chain->jobs[i];
        }
    }
    return NULL;
}

/* "aabbccdd" -> "ddccbbaa", for each group of 8 digits. */
static void turn_words(const char *text, size_t words, char *out) {
    for (size_t w = 0; w < words; w++) {
        for (size_t b = 0; b < 4; b++) {
            memcpy(out + 8 * w + 2 * b, text + 8 * w + 6 - 2 * b, 2);
        }
    }
}

void sl_tp_header_hex(const struct sl_tp_job *job, const struct sl_tp_submit *submit,
                      char ret_header[161]) {
    char text[1200];
    uint8_t raw[sizeof text / 2];
    uint8_t node[64];
    int n = snprintf(text, sizeof text, "%s%s%s%s", job->coinb1, submit->extranonce1,
                     submit->extranonce2, job->coinb2);
    sl_assert(n > 0 && (size_t)n / 2 <= sizeof raw);
    sl_assert(sl_hex_decode(text, raw, (size_t)n / 2) == SL_OK);
    double_hash(raw, (size_t)n / 2, node);
    for (int i = 0; i < job->branch_count; i++) {
        sl_assert(sl_hex_decode(job->branches[i], node + 32, 32) == SL_OK);
        double_hash(node, sizeof node, node);
    }
    uint32_t version = (uint32_t)strtoul(job->version, NULL, 16);
    if (submit->rolled) {
        version = (version & ~submit->version_mask) | (submit->version_bits & submit->version_mask);
    }
    char version_text[9];
    snprintf(version_text, sizeof version_text, "%08" PRIx32, version);
    turn_words(version_text, 1, ret_header);
    turn_words(job->prevhash, 8, ret_header + 8);
    sl_hex_encode(node, 32, ret_header + 72);
    turn_words(submit->ntime, 1, ret_header + 136);
    turn_words(job->nbits, 1, ret_header + 144);
    turn_words(submit->nonce, 1, ret_header + 152);
    ret_header[160] = '\0';
}

bool sl_tp_hash_meets(const uint8_t hash[32], int64_t difficulty) {
    /* Both sides times 1e12, in 32-bit digits, least significant first: the left is hash * units,
     * the right 0xFFFF * 1e12 at bit 208, which is digit 6 and a half. */
    uint64_t left[11] = {0};
    uint64_t right[11] = {0};
    uint64_t units[2] = {(uint64_t)difficulty & 0xffffffff, (uint64_t)difficulty >> 32};
    for (int u = 0; u < 2; u++) {
        uint64_t carry = 0;
        for (int i = 0; i < 8; i++) {
            uint64_t digit = (uint64_t)hash[4 * i] | (uint64_t)hash[4 * i + 1] << 8 |
                             (uint64_t)hash[4 * i + 2] << 16 | (uint64_t)hash[4 * i + 3] << 24;
            uint64_t sum = left[i + u] + digit * units[u] + carry;
            left[i + u] = sum & 0xffffffff;
            carry = sum >> 32;
        }
        left[8 + u] = carry;
    }
    uint64_t one = UINT64_C(65535) * (uint64_t)SL_TP_DIFFICULTY_ONE; /* 56 bits */
    right[6] = (one & 0xffff) << 16;
    right[7] = one >> 16 & 0xffffffff;
    right[8] = one >> 48;
    for (int i = 10; i >= 0; i--) {
        if (left[i] != right[i]) {
            return left[i] < right[i];
        }
    }
    return true;
}

static void grow_seen(struct sl_tp_chain *chain) {
    size_t cap = chain->seen_cap * 2;
    uint8_t(*bigger)[16] = calloc(cap, sizeof *bigger);
    sl_assert(bigger);
    for (size_t i = 0; i < chain->seen_cap; i++) {
        if (sodium_is_zero(chain->seen[i], 16)) {
            continue;
        }
        size_t slot;
        memcpy(&slot, chain->seen[i], sizeof slot);
        for (slot &= cap - 1; !sodium_is_zero(bigger[slot], 16); slot = (slot + 1) & (cap - 1)) {}
        memcpy(bigger[slot], chain->seen[i], 16);
    }
    free(chain->seen);
    chain->seen = bigger;
    chain->seen_cap = cap;
}

/* True when the header was new. The first 16 bytes of its hash stand for it. */
static bool remember(struct sl_tp_chain *chain, const uint8_t hash[32]) {
    size_t slot;
    if (chain->seen_count * 2 >= chain->seen_cap) {
        grow_seen(chain);
    }
    memcpy(&slot, hash, sizeof slot);
    slot &= chain->seen_cap - 1;
    while (!sodium_is_zero(chain->seen[slot], 16)) {
        if (memcmp(chain->seen[slot], hash, 16) == 0) {
            return false;
        }
        slot = (slot + 1) & (chain->seen_cap - 1);
    }
    memcpy(chain->seen[slot], hash, 16);
    chain->seen_count++;
    return true;
}

enum sl_tp_verdict sl_tp_chain_check(struct sl_tp_chain *chain, const struct sl_tp_job *job,
                                     const struct sl_tp_submit *submit, int64_t difficulty) {
    char header_hex[161];
    uint8_t header[80];
    uint8_t hash[32];
    sl_tp_header_hex(job, submit, header_hex);
    sl_assert(sl_hex_decode(header_hex, header, 80) == SL_OK);
    double_hash(header, 80, hash);
    if (!sl_tp_hash_meets(hash, difficulty)) {
        return SL_TP_LOW;
    }
    return remember(chain, hash) ? SL_TP_GOOD : SL_TP_DUPLICATE;
}
