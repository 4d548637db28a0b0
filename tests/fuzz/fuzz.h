/* SPDX-License-Identifier: Apache-2.0
 * What the fuzz targets share. A target is one function that takes bytes and aborts when a rule is
 * broken; libFuzzer calls it in the fuzz build, corpus_main.c in every build. */
#ifndef SLUICE_TESTS_FUZZ_H
#define SLUICE_TESTS_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
/* Only targets with something to prepare have one; corpus_main.c does without. */
int LLVMFuzzerInitialize(int *argc, char ***argv);

#define fuzz_check(condition) ((condition) ? (void)0 : fuzz_broken(#condition, __FILE__, __LINE__))

static inline __attribute__((noreturn)) void fuzz_broken(const char *rule, const char *file,
                                                         int line) {
    fprintf(stderr, "%s:%d: rule broken: %s\n", file, line, rule);
    abort();
}

/* Decisions are taken from the front of the input; what is absent reads as zero. */
struct fuzz_input {
    const uint8_t *at;
    size_t left;
};

static inline uint8_t fuzz_u8(struct fuzz_input *in) {
    if (in->left == 0) {
        return 0;
    }
    in->left--;
    return *in->at++;
}

static inline uint16_t fuzz_u16(struct fuzz_input *in) {
    uint8_t low = fuzz_u8(in);
    return (uint16_t)(low | fuzz_u8(in) << 8);
}

static inline uint32_t fuzz_u32(struct fuzz_input *in) {
    uint16_t low = fuzz_u16(in);
    return low | (uint32_t)fuzz_u16(in) << 16;
}

/* At most n bytes, borrowed. */
static inline const uint8_t *fuzz_bytes(struct fuzz_input *in, size_t n, size_t *ret_n) {
    const uint8_t *bytes = in->at;
    *ret_n = n < in->left ? n : in->left;
    in->at += *ret_n;
    in->left -= *ret_n;
    return bytes;
}

/* A block of exactly n bytes, so that the sanitizer sees one byte too many being read. */
static inline uint8_t *fuzz_copy(const uint8_t *bytes, size_t n) {
    uint8_t *copy = malloc(n ? n : 1);
    fuzz_check(copy);
    if (n) {
        memcpy(copy, bytes, n);
    }
    return copy;
}

/* The same with a NUL behind. */
static inline char *fuzz_text(const uint8_t *bytes, size_t n) {
    char *copy = malloc(n + 1);
    fuzz_check(copy);
    if (n) {
        memcpy(copy, bytes, n);
    }
    copy[n] = '\0';
    return copy;
}

/* An error carries its status and a text for a user. */
#define fuzz_check_error(rc, err) fuzz_error_is_said(rc, (err)->status, (err)->text)
static inline void fuzz_error_is_said(int rc, int status, const char *text) {
    fuzz_check(rc < 0 && status == rc && text[0] != '\0');
}

#endif
