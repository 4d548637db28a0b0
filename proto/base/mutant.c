/* SPDX-License-Identifier: Apache-2.0
 * Which bug this process has. Only in builds with SLUICE_MUTANTS. */
#include "proto/base/mutant.h"

#ifdef SLUICE_MUTANTS

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/error.h"

/* The bug must be the process's own: cores get no environment, and a bug handed through every
 * call would change the code that it is to test. Written before other threads start. */
static enum sl_mutant chosen; /* tidy: allow mutable (only in builds for the simulator) */
static _Atomic uint64_t hits; /* tidy: allow mutable (only in builds for the simulator) */

static const struct {
    const char *name;
    const char *text;
} mutants[SL_MUTANT_COUNT] = {{"none", "no bug on purpose"},
#define MUTANT_ROW(name, text) {#name, text},
                              SL_MUTANTS(MUTANT_ROW)
#undef MUTANT_ROW
};

bool sl_mutant_is(enum sl_mutant mutant) {
    if (mutant != chosen) {
        return false;
    }
    atomic_fetch_add_explicit(&hits, 1, memory_order_relaxed);
    return true;
}

int sl_mutant_choose(const char *name, struct sl_error *err) {
    enum sl_mutant found = SL_MUTANT_none;
    if (name && name[0] != '\0') {
        for (int i = 1; i < SL_MUTANT_COUNT; i++) {
            found = strcmp(mutants[i].name, name) == 0 ? (enum sl_mutant)i : found;
        }
        if (found == SL_MUTANT_none) {
            return sl_fail(err, SL_NOTFOUND, "there is no mutant \"%.100s\"", name);
        }
    }
    chosen = found;
    atomic_store(&hits, 0);
    return SL_OK;
}

const char *sl_mutant_name(enum sl_mutant mutant) {
    return (unsigned)mutant < SL_MUTANT_COUNT ? mutants[mutant].name : mutants[0].name;
}

const char *sl_mutant_text(enum sl_mutant mutant) {
    return (unsigned)mutant < SL_MUTANT_COUNT ? mutants[mutant].text : mutants[0].text;
}

uint64_t sl_mutant_hits(void) {
    return atomic_load(&hits);
}

/* Before main: a misspelt name must not pass for a run that caught nothing. */
__attribute__((constructor)) static void choose_from_environment(void) {
    struct sl_error err;
    if (sl_mutant_choose(getenv("SLUICE_MUTANT"), &err) == SL_OK) {
        return;
    }
    fprintf(stderr, "sluice: SLUICE_MUTANT: %s; these are:\n", err.text);
    for (int i = 1; i < SL_MUTANT_COUNT; i++) {
        fprintf(stderr, "  %-28s %s\n", mutants[i].name, mutants[i].text);
    }
    exit(2);
}

#endif
