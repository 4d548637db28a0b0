/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/executors/infer_rate.h"

#include "agent/models/bert_config.h"

/* As sl_infer_step_cost counts them: rows cost their projections and what is bound by memory. */
#define COST_ROW_STEPS 48.0
#define COST_PAIR 5.0

static double text_cost(const struct sl_bert_config *c, double n) {
    double row = 4.0 * c->n_embd + 2.0 * c->n_ff + COST_ROW_STEPS;
    return n * c->n_embd * (row + COST_PAIR * n);
}

static void add(struct sl_infer_span_rate *rate, double tokens, double ns) {
    rate->tokens += tokens;
    rate->ns += ns;
    if (rate->ns > SL_INFER_RATE_WINDOW_NS) {
        rate->tokens /= 2;
        rate->ns /= 2;
    }
}

void sl_infer_rate_add(struct sl_infer_rate *rate, const struct sl_bert_config *config,
                       const struct sl_infer_pick *picks, uint32_t lines, double ns) {
    double cost[SL_LENGTHS] = {0}, tokens[SL_LENGTHS] = {0};
    double cost_all = 0, tokens_all = 0;
    for (uint32_t i = 0; i < lines; i++) {
        uint32_t class_ = sl_length_class(picks[i].n_ids);
        double one = text_cost(config, picks[i].n_ids);
        cost[class_] += one;
        cost_all += one;
        tokens[class_] += picks[i].n_ids;
        tokens_all += picks[i].n_ids;
    }
    if (!(cost_all > 0 && ns > 0)) {
        return;
    }
    add(&rate->all, tokens_all, ns);
    for (uint32_t k = 0; k < SL_LENGTHS; k++) {
        if (tokens[k] > 0) {
            add(&rate->length[k], tokens[k], ns * cost[k] / cost_all);
        }
    }
}

uint64_t sl_infer_rate_milli(const struct sl_infer_span_rate *rate) {
    return rate->ns > 0 ? (uint64_t)(rate->tokens / rate->ns * 1e12) : 0;
}
