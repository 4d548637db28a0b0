/* SPDX-License-Identifier: Apache-2.0
 * A set of statements, each a number that stands for "this row says this". Used to ask whether
 * everything that was promised is still there. Grows; never forgets but as a whole. */
#ifndef SLUICE_TESTS_SIM_FACTS_H
#define SLUICE_TESTS_SIM_FACTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sim_facts;

struct sim_facts *sim_facts_create(void);
void sim_facts_destroy(struct sim_facts *facts);
void sim_facts_clear(struct sim_facts *facts);
/* `value` goes with the key; false when the key was there already with another value (kept). */
bool sim_facts_put(struct sim_facts *facts, uint64_t key, uint64_t value);
bool sim_facts_get(const struct sim_facts *facts, uint64_t key, uint64_t *ret_value);
size_t sim_facts_count(const struct sim_facts *facts);
/* By index from 0 in no order that means anything (but the same in each run). */
bool sim_facts_at(const struct sim_facts *facts, size_t *index, uint64_t *ret_key,
                  uint64_t *ret_value);

/* A number for a tagged row: texts and integers folded together (FNV-1a, then mixed). */
uint64_t sim_fold_text(uint64_t so_far, const char *text);
uint64_t sim_fold_bytes(uint64_t so_far, const void *data, size_t size);
uint64_t sim_fold(uint64_t so_far, uint64_t value);

#endif
