/* SPDX-License-Identifier: Apache-2.0
 * sentence_bert_config.json, tokenizer_config.json and config_sentence_transformers.json. */
#include <string.h>

#include "agent/convert/hf_folder.h"
#include "agent/convert/json_file.h"
#include "proto/base/text.h"

static int read_prompts(const char *folder, struct sl_hf_advice *advice, struct sl_error *err) {
    static const char where[] = "config_sentence_transformers.json";
    JSON_FILE_AUTO file = {0};
    int rc = json_file_open(folder, where, &file, err);
    if (rc || !file.root) {
        return rc;
    }
    const char *chosen = json_string_value(json_object_get(file.root, "default_prompt_name"));
    bool chosen_found = false;
    const char *name;
    json_t *text;
    json_object_foreach(json_object_get(file.root, "prompts"), name, text) {
        if (!json_is_string(text)) {
            return sl_fail(err, SL_INVALID, "%s: prompts.%.40s is no text", where, name);
        }
        bool is_chosen = chosen && strcmp(chosen, name) == 0;
        chosen_found = chosen_found || is_chosen;
        if (json_string_length(text) == 0 || advice->prompt_count == SL_HF_PROMPTS_MAX) {
            continue;
        }
        sl_text_copy(advice->prompts[advice->prompt_count].name, sizeof advice->prompts[0].name,
                     name);
        sl_text_copy(advice->prompts[advice->prompt_count].text, sizeof advice->prompts[0].text,
                     json_string_value(text));
        advice->prompts[advice->prompt_count++].by_default = is_chosen;
    }
    if (chosen && !chosen_found) {
        return sl_fail(err, SL_INVALID, "%s: default_prompt_name '%.40s' is none of prompts", where,
                       chosen);
    }
    return SL_OK;
}

/* Where it stood, and where newer folders have it: there a number beyond all lengths means none. */
static int read_length(const char *folder, struct sl_hf_advice *advice, struct sl_error *err) {
    static const char *const rows[][2] = {{"sentence_bert_config.json", "max_seq_length"},
                                          {"tokenizer_config.json", "model_max_length"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        JSON_FILE_AUTO file = {0};
        int rc = json_file_open(folder, rows[i][0], &file, err);
        const json_t *length = json_object_get(file.root, rows[i][1]);
        if (rc || (json_is_real(length) && json_real_value(length) > UINT32_MAX)) {
            return rc;
        }
        if (length && !json_is_null(length)) {
            return json_file_u32(&file, rows[i][1], 1, UINT32_MAX, &advice->max_tokens, err);
        }
    }
    return SL_OK;
}

int sl_hf_read_advice(const char *folder, struct sl_hf_advice *ret_advice, struct sl_error *err) {
    struct sl_hf_advice advice = {0};
    int rc = read_length(folder, &advice, err);
    rc = rc ? rc : read_prompts(folder, &advice, err);
    if (rc == SL_OK) {
        *ret_advice = advice;
    }
    return rc;
}
