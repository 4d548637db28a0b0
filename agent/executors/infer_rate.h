/* SPDX-License-Identifier: Apache-2.0
 * How fast a model works on a device, in all and by length of text, from the device time of
 * micro-batches that ran whole. Thread: the device's. */
#ifndef SLUICE_AGENT_EXECUTORS_INFER_RATE_H
#define SLUICE_AGENT_EXECUTORS_INFER_RATE_H

#include <stdint.h>

#include "agent/executors/infer_queue.h"
#include "proto/base/length.h"

struct sl_bert_config;

/* Moving average by decay: both are halved whenever ns passes SL_INFER_RATE_WINDOW_NS. */
struct sl_infer_span_rate {
    double tokens, ns;
};
#define SL_INFER_RATE_WINDOW_NS 4e9

struct sl_infer_rate {
    struct sl_infer_span_rate all;
    struct sl_infer_span_rate length[SL_LENGTHS];
};

/* A micro-batch of these texts, picks[0..lines), took ns of device time. Its texts share that
 * time by their arithmetic (projections grow with a text's length, attention with its square), so
 * that one long text among short ones does not make them look slow. */
void sl_infer_rate_add(struct sl_infer_rate *rate, const struct sl_bert_config *config,
                       const struct sl_infer_pick *picks, uint32_t lines, double ns);

/* tokens/s x 1000; 0 where nothing was measured. */
uint64_t sl_infer_rate_milli(const struct sl_infer_span_rate *rate);

#endif
