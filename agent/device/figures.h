/* SPDX-License-Identifier: Apache-2.0
 * What an earlier start of the agent measured on a device, so that a restart does not measure it
 * again before the device works: known answers are checked at every start, rates are not. They are
 * kept beside the device's compiled programs, under the same key, for at most a day; work done
 * keeps them up to date.
 *
 * Thread: the device's thread. A part that is all zero is not known and is measured. */
#ifndef SLUICE_AGENT_DEVICE_FIGURES_H
#define SLUICE_AGENT_DEVICE_FIGURES_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/device/device.h"

struct sl_cl;

struct sl_hash_figures {
    uint64_t shapes; /* digest of the kernels' shapes that the rest belongs to; 0: none */
    double ns_per_group[2];
    double rate_hashes, rate_ns;
};

struct sl_model_figures {
    char id[64];
    uint64_t weights; /* another model under the same id has another rate */
    double tokens, ns;
    double length_tokens[SL_LENGTHS], length_ns[SL_LENGTHS]; /* by length of text */
    double ns_per_cost;
};

struct sl_figures {
    struct sl_hash_figures hash;
    struct sl_model_figures models[SL_DEVICE_MODELS_MAX];
    uint64_t switch_us[SL_MODE_COUNT][SL_MODE_COUNT];
    uint32_t switch_method; /* enum sl_stop_method that these were measured with */
    /* The way to a running kernel that worked, plus one; 0: none did. A busy machine may be too
     * slow to prove it again within the limits, and is no reason to give it up. */
    uint32_t stop_way;
    uint32_t stop_us_p50, stop_us_max;
};

/* Fills cl->figures; zeros where nothing fit is kept. `device` is the device's key, launch_ms what
 * its configuration says. */
void sl_figures_recall(struct sl_cl *cl, const char *device, uint32_t launch_ms);
/* Keeps them if something was measured (cl->figures_new). Failing costs time at the next start. */
void sl_figures_keep(struct sl_cl *cl, const char *device, uint32_t launch_ms);

/* The entry of this model, NULL when there is none; with `make` a new one, NULL when all are used.
 */
struct sl_model_figures *sl_figures_model(struct sl_figures *figures, const char *id,
                                          uint64_t weights, bool make);

#endif
