/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/core/throughput.h"

#include <string.h>

#include "broker/core/core_internal.h"

#define BINS_PER_OCTAVE 4u
#define BYTES_PER_TOKEN 4 /* of English text, about; until something was seen */
#define MARGIN_PART 32

/* Octave by the highest bit, and the two bits below it. */
static uint32_t bin_of(uint32_t bound) {
    uint32_t octave = 31u - (uint32_t)__builtin_clz(bound | 1u);
    uint32_t below = octave >= 2 ? bound >> (octave - 2) & 3u : bound << (2 - octave) & 3u;
    return octave * BINS_PER_OCTAVE + below;
}

void sl_core_lengths_line(struct sl_core_batch *batch, uint32_t bound, int change) {
    struct sl_core_lengths *l = &batch->lengths;
    uint32_t bin = bin_of(bound);
    if (bound == 0 || (change < 0 && l->lines[bin] == 0)) {
        return;
    }
    l->bound[bin] += change > 0 ? (int64_t)bound : -(int64_t)bound;
    l->lines[bin] += change > 0 ? 1u : UINT32_MAX;
    l->changed = true;
}

void sl_core_lengths_seen(struct sl_broker_core *core, struct sl_core_batch *batch,
                          const struct sl_msg_result_line *line) {
    batch->lengths.seen_lines++;
    batch->lengths.seen_inputs += line->vector_count;
    if (batch->worst) {
        core->seen_bound += batch->worst[line->line];
        core->seen_tokens += line->tokens;
    }
}

/* tokens / bound: of this batch, else of the site, else as usual. */
static void ratio(const struct sl_broker_core *core, const struct sl_core_batch *batch,
                  int64_t *ret_tokens, int64_t *ret_bound) {
    *ret_tokens = 1;
    *ret_bound = BYTES_PER_TOKEN;
    if (batch->worst_done > 0 && batch->row.tokens > 0) {
        *ret_tokens = batch->row.tokens;
        *ret_bound = batch->worst_done;
    } else if (core->seen_bound > 0 && core->seen_tokens > 0) {
        *ret_tokens = core->seen_tokens;
        *ret_bound = core->seen_bound;
    }
}

void sl_core_lengths_refresh(const struct sl_broker_core *core, struct sl_core_batch *batch) {
    struct sl_core_lengths *l = &batch->lengths;
    int64_t tokens = 0, bound = 0;
    if (!l->changed) {
        return;
    }
    memset(&l->mix, 0, sizeof l->mix);
    ratio(core, batch, &tokens, &bound);
    uint64_t lines = l->seen_lines ? l->seen_lines : 1;
    uint64_t inputs = l->seen_lines ? l->seen_inputs : 1;
    for (uint32_t bin = 0; bin < SL_CORE_BOUND_BINS; bin++) {
        if (l->lines[bin] == 0) {
            continue;
        }
        sl_i128 all = (sl_i128)l->bound[bin] * tokens / bound;
        sl_i128 texts = (sl_i128)l->lines[bin] * inputs / lines;
        sl_i128 one = all / (texts > 0 ? texts : 1);
        uint32_t class_ = sl_length_class(one > UINT32_MAX ? UINT32_MAX : (uint64_t)one);
        /* A sum over classes is below the sum of all bounds, which fits. */
        l->mix.tokens[class_] += (int64_t)all;
    }
    l->changed = false;
}

const struct sl_core_model *sl_core_model_of(const struct sl_core_report *report,
                                             const char *model) {
    for (uint32_t i = 0; i < report->model_count; i++) {
        if (strcmp(sl_core_models(report)[i].id, model) == 0) {
            return &sl_core_models(report)[i];
        }
    }
    return NULL;
}

int64_t sl_core_rate_milli(const struct sl_core_report *report, const struct sl_core_batch *batch) {
    const struct sl_core_model *model = sl_core_model_of(report, batch->row.model);
    if (!model) {
        return 0;
    }
    return sl_throughput_mix_milli(sl_core_length_rates(model), model->tokens_per_s_milli,
                                   &batch->lengths.mix);
}

int64_t sl_core_rate_margin(const struct sl_core_report *report, const struct sl_core_batch *batch,
                            int64_t value) {
    const struct sl_core_model *model = sl_core_model_of(report, batch->row.model);
    bool estimated = model && sl_throughput_by_length(sl_core_length_rates(model));
    return estimated && value > 0 ? value / MARGIN_PART : 0;
}
