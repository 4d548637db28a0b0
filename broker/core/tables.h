/* SPDX-License-Identifier: Apache-2.0
 * Finding rows and texts without looking at all of them. Private to broker/core and its tests. */
#ifndef SLUICE_BROKER_CORE_TABLES_H
#define SLUICE_BROKER_CORE_TABLES_H

#include <stdint.h>

struct sl_broker_core;
struct sl_core_names;

/* Rows of a table by their key (index.c). */
struct sl_core_index {
    uint32_t *slots; /* [cap] row + 1; 0: free */
    uint32_t cap, count;
    const char *(*key_at)(const struct sl_broker_core *core, uint32_t row);
};

/* names.c: texts that many share. Every take wants its drop. */
uint64_t sl_core_hash(const char *text);
void sl_core_names_create(struct sl_broker_core *core);
void sl_core_names_destroy(struct sl_broker_core *core);
/* As it is kept, or NULL where nobody holds it. */
const char *sl_core_name_find(const struct sl_broker_core *core, const char *text);
const char *sl_core_name_take(struct sl_broker_core *core, const char *text);
void sl_core_name_drop(struct sl_broker_core *core, const char *name);

/* index.c; SL_CORE_NONE: no such row. */
uint32_t sl_core_index_find(const struct sl_broker_core *core, const struct sl_core_index *index,
                            const char *key);
void sl_core_index_add(struct sl_broker_core *core, struct sl_core_index *index, uint32_t row);
void sl_core_index_fini(struct sl_core_index *index);

#endif
