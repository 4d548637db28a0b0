/* SPDX-License-Identifier: Apache-2.0
 * The operator's rate card (schedulers/rate_card.h) at work: a batch whose bid is below the rate
 * for its model, the device's class and its tenant is not offered the device. What the tenant pays
 * is its bid, as ever. Thread: the loop's. Money nano-USD per million tokens. */
#ifndef SLUICE_BROKER_CORE_RATES_H
#define SLUICE_BROKER_CORE_RATES_H

#include "broker/core/core.h"

struct sl_core_batch;

/* What devices of one class, with one file of a model, may serve instead of a batch that is refused
 * to them; by address. */
#define SL_CORE_INSTEAD 256
struct sl_core_instead {
    uint64_t tick; /* in which it was found; 0: never */
    const char *class_, *model, *file;
    bool tokens; /* their agents read token inputs */
    struct sl_core_batch *batch;
};

/* Why the device cannot serve the batch although it has its model: token inputs that its agent's
 * wire version does not have, or another file of the model (model_file.h). NULL: it can. */
const char *sl_core_batch_bars(const struct sl_broker_core *core, uint32_t dev,
                               const struct sl_core_batch *batch);
bool sl_core_batch_readable(const struct sl_broker_core *core, uint32_t dev,
                            const struct sl_core_batch *batch);

bool sl_core_rate_refuses(const struct sl_broker_core *core, uint32_t dev,
                          const struct sl_core_batch *batch);

/* `batch` itself where the device may serve it; else the best other one of its model that it may,
 * for a tenant's rate must not hide the tenants below it; or NULL. NULL gives NULL. A device
 * without the model is not looked further for. */
struct sl_core_batch *sl_core_rate_batch(const struct sl_broker_core *core, uint32_t dev,
                                         struct sl_core_batch *batch);
/* From here on no batch changes until `end`: what was found for one device holds for its like. */
void sl_core_rate_begin(struct sl_broker_core *core);
void sl_core_rate_end(struct sl_broker_core *core);

/* A class of devices and a model beside each other. */
struct sl_view_rate {
    char class_[SL_MSG_KEY_MAX];
    char model[SL_MSG_NAME_MAX];
    uint32_t devices;
    int64_t tokens_s_milli;             /* mean of those that have measured it; 0: none has */
    int64_t length_s_milli[SL_LENGTHS]; /* likewise, by length of text */
    int64_t rate_nusd_mtok;             /* for tenants without a row of their own; < 0: none */
    int64_t best_nusd_mtok;             /* highest bid that waits for this model; < 0: none */
    int64_t rate_nusd_hour;             /* per device, at tokens_s_milli */
    int64_t best_nusd_hour;
    uint32_t refused; /* open batches below their rate for this class */
};
/* By index from 0, classes in the order of their first device; false past the end. */
bool sl_view_rate_get(const struct sl_broker_core *core, uint32_t index,
                      struct sl_view_rate *ret_view);

#endif
