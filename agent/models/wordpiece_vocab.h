/* SPDX-License-Identifier: Apache-2.0
 * The vocabulary inside struct sl_wordpiece: pieces in one block of text and an open-addressed hash
 * table over them. Words' first pieces and inner pieces are told apart by the hash's start value
 * and by a flag, so one table serves both. */
#ifndef SLUICE_AGENT_MODELS_WORDPIECE_VOCAB_H
#define SLUICE_AGENT_MODELS_WORDPIECE_VOCAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/models/gguf.h"
#include "proto/base/error.h"

#define WORDPIECE_MAX_SPECIALS 256
#define WORDPIECE_MAX_PIECE_BYTES 1024

struct wordpiece_slot {
    uint64_t hash;
    uint32_t start; /* in text */
    uint16_t len;   /* 0: the slot is free */
    bool inner;     /* continues a word */
    int32_t id;
};

struct wordpiece_special {
    uint32_t start;
    uint32_t len;
    int32_t id;
};

struct wordpiece_vocab {
    char *text;
    struct wordpiece_slot *slots;
    size_t mask; /* slots - 1; a power of two less one */
    uint32_t count;
    size_t longest; /* bytes of the longest piece */
    struct wordpiece_special *specials;
    size_t n_specials;
    bool special_first[256]; /* bytes that a special piece begins with */
    int32_t cls, sep, unk;
};

struct sl_wordpiece {
    struct wordpiece_vocab vocab;
};

int wordpiece_vocab_load(const struct sl_gguf *file, struct wordpiece_vocab *vocab,
                         struct sl_error *err);
void wordpiece_vocab_fini(struct wordpiece_vocab *vocab);

/* FNV-1a, so that the hashes of all beginnings of a word come from one walk along it. */
static inline uint64_t wordpiece_hash_start(bool inner) {
    return inner ? UINT64_C(0xaf63bd4c8601b7df) : UINT64_C(0xcbf29ce484222325);
}

static inline uint64_t wordpiece_hash_step(uint64_t hash, unsigned char byte) {
    return (hash ^ byte) * UINT64_C(0x100000001b3);
}

/* hash: of exactly these bytes. */
bool wordpiece_vocab_find(const struct wordpiece_vocab *vocab, const char *text, size_t len,
                          bool inner, uint64_t hash, int32_t *ret_id);

#endif
