/* SPDX-License-Identifier: Apache-2.0
 * What sluice-convert reads of a HuggingFace model folder besides the weights: hyper-parameters,
 * pooling and vocabulary. Everything that Sluice's bert engine or tokenizer would not reproduce
 * exactly is refused here, by file and field, so that no converted file can be silently wrong.
 * Thread: any; objects belong to the caller. */
#ifndef SLUICE_AGENT_CONVERT_HF_FOLDER_H
#define SLUICE_AGENT_CONVERT_HF_FOLDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/models/bert_config.h"
#include "proto/base/error.h"

#define SL_HF_MAX_JSON_BYTES ((size_t)64 << 20)

/* config.json, modules.json and 1_Pooling/config.json. config->pooling is kept when it is set
 * already and the folder has no pooling file; a pooling file that says otherwise is an error.
 * *ret_normalizes: modules.json ends with a Normalize step. */
int sl_hf_read_config(const char *folder, struct sl_bert_config *config, bool *ret_normalizes,
                      struct sl_error *err);

/* What the folder says beyond the model itself: nothing of it goes into the file, since tenants
 * send whole texts, but the operator should know. */
#define SL_HF_PROMPTS_MAX 8
struct sl_hf_advice {
    uint32_t max_tokens; /* max_seq_length, or else the tokenizer's model_max_length; 0: none */
    uint32_t prompt_count;
    struct {
        char name[48];
        char text[256]; /* cut where it is longer */
        bool by_default;
    } prompts[SL_HF_PROMPTS_MAX]; /* config_sentence_transformers.json's, those that are not empty
                                   */
};
int sl_hf_read_advice(const char *folder, struct sl_hf_advice *ret_advice, struct sl_error *err);

struct sl_hf_vocab {
    char *text;          /* all pieces, each NUL-terminated */
    const char **pieces; /* [count], index = id */
    bool *special;       /* [count]: cut out of raw text before normalising */
    uint32_t count;
    uint32_t unk, cls, sep, pad;
    bool has_mask;
    uint32_t mask;
};

/* vocab.txt, or tokenizer.json where there is none; the tokenizer's settings are checked. Free with
 * sl_hf_vocab_fini, also after a failure. */
int sl_hf_read_vocab(const char *folder, struct sl_hf_vocab *vocab, struct sl_error *err);
void sl_hf_vocab_fini(struct sl_hf_vocab *vocab);

#endif
