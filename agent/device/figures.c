/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/device/figures.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/device/cl.h"
#include "proto/base/cleanup.h"
#include "proto/base/text.h"

#define FIGURES_NAME "figures"
#define AGE_MAX_S ((int64_t)24 * 3600)

/* Kernels change with the version, launches with launch_ms. */
static void write_key(const char *device, uint32_t launch_ms, char *ret_key, size_t size) {
    snprintf(ret_key, size, SLUICE_VERSION " %zu %u %.200s", sizeof(struct sl_figures),
             (unsigned)launch_ms, device);
}

void sl_figures_recall(struct sl_cl *cl, const char *device, uint32_t launch_ms) {
    char key[300];
    size_t size = 0;
    SL_AUTO_FREE uint8_t *kept = NULL;
    memset(&cl->figures, 0, sizeof cl->figures);
    cl->figures_new = false;
    write_key(device, launch_ms, key, sizeof key);
    if (!sl_cl_cache_read(cl, FIGURES_NAME, key, AGE_MAX_S, &kept, &size) ||
        size != sizeof cl->figures) {
        return;
    }
    memcpy(&cl->figures, kept, size);
    for (uint32_t i = 0; i < SL_DEVICE_MODELS_MAX; i++) {
        cl->figures.models[i].id[sizeof cl->figures.models[i].id - 1] = '\0';
    }
}

void sl_figures_keep(struct sl_cl *cl, const char *device, uint32_t launch_ms) {
    char key[300];
    if (!cl->figures_new) {
        return;
    }
    write_key(device, launch_ms, key, sizeof key);
    sl_cl_cache_write(cl, FIGURES_NAME, key, (const uint8_t *)&cl->figures, sizeof cl->figures);
    cl->figures_new = false;
}

struct sl_model_figures *sl_figures_model(struct sl_figures *figures, const char *id,
                                          uint64_t weights, bool make) {
    struct sl_model_figures *unused = NULL;
    for (uint32_t i = 0; i < SL_DEVICE_MODELS_MAX; i++) {
        struct sl_model_figures *entry = &figures->models[i];
        bool same = strcmp(entry->id, id) == 0;
        if (same && entry->weights == weights) {
            return entry;
        }
        if (!unused && (same || entry->id[0] == '\0')) {
            unused = entry;
        }
    }
    if (!make || !unused) {
        return NULL;
    }
    memset(unused, 0, sizeof *unused);
    sl_text_copy(unused->id, sizeof unused->id, id);
    unused->weights = weights;
    return unused;
}
