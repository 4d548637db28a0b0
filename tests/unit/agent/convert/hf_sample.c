/* SPDX-License-Identifier: Apache-2.0
 * The sample folder. */
#include "tests/unit/agent/convert/hf_sample.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "tests/unit/agent/models/bytes.h"

#define LAYER "encoder.layer.0."

const struct hf_sample_tensor hf_sample_tensors[HF_SAMPLE_TENSORS] = {
    {"embeddings.word_embeddings.weight", "token_embd.weight", 8, 4},
    {"embeddings.position_embeddings.weight", "position_embd.weight", 5, 4},
    {"embeddings.token_type_embeddings.weight", "token_types.weight", 2, 4},
    {"embeddings.LayerNorm.weight", "token_embd_norm.weight", 0, 4},
    {"embeddings.LayerNorm.bias", "token_embd_norm.bias", 0, 4},
    {LAYER "attention.self.query.weight", "blk.0.attn_q.weight", 4, 4},
    {LAYER "attention.self.query.bias", "blk.0.attn_q.bias", 0, 4},
    {LAYER "attention.self.key.weight", "blk.0.attn_k.weight", 4, 4},
    {LAYER "attention.self.key.bias", "blk.0.attn_k.bias", 0, 4},
    {LAYER "attention.self.value.weight", "blk.0.attn_v.weight", 4, 4},
    {LAYER "attention.self.value.bias", "blk.0.attn_v.bias", 0, 4},
    {LAYER "attention.output.dense.weight", "blk.0.attn_output.weight", 4, 4},
    {LAYER "attention.output.dense.bias", "blk.0.attn_output.bias", 0, 4},
    {LAYER "attention.output.LayerNorm.weight", "blk.0.attn_output_norm.weight", 0, 4},
    {LAYER "attention.output.LayerNorm.bias", "blk.0.attn_output_norm.bias", 0, 4},
    {LAYER "intermediate.dense.weight", "blk.0.ffn_up.weight", 6, 4},
    {LAYER "intermediate.dense.bias", "blk.0.ffn_up.bias", 0, 6},
    {LAYER "output.dense.weight", "blk.0.ffn_down.weight", 4, 6},
    {LAYER "output.dense.bias", "blk.0.ffn_down.bias", 0, 4},
    {LAYER "output.LayerNorm.weight", "blk.0.layer_output_norm.weight", 0, 4},
    {LAYER "output.LayerNorm.bias", "blk.0.layer_output_norm.bias", 0, 4},
    {"pooler.dense.weight", NULL, 4, 4},
    {"pooler.dense.bias", NULL, 0, 4},
    {"embeddings.position_ids", NULL, 1, 5},
};

static const char config_json[] =
    "{\"model_type\": \"bert\", \"hidden_act\": \"gelu\", \"hidden_size\": 4,\n"
    " \"num_hidden_layers\": 1, \"num_attention_heads\": 2, \"intermediate_size\": 6,\n"
    " \"max_position_embeddings\": 5, \"type_vocab_size\": 2, \"vocab_size\": 8,\n"
    " \"layer_norm_eps\": 1e-12, \"position_embedding_type\": \"absolute\"}\n";
static const char modules_json[] =
    "[{\"idx\": 0, \"type\": \"sentence_transformers.models.Transformer\"},\n"
    " {\"idx\": 1, \"type\": \"sentence_transformers.models.Pooling\"},\n"
    " {\"idx\": 2, \"type\": \"sentence_transformers.models.Normalize\"}]\n";
static const char pooling_json[] = "{\"word_embedding_dimension\": 4,\n"
                                   " \"pooling_mode_cls_token\": false,\n"
                                   " \"pooling_mode_mean_tokens\": true,\n"
                                   " \"pooling_mode_max_tokens\": false}\n";
static const char settings_json[] = "{\"do_lower_case\": true, \"strip_accents\": null,\n"
                                    " \"tokenizer_class\": \"BertTokenizer\"}\n";
static const char vocab_txt[] = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\ncat\n##s\n!\n";

const char hf_sample_tokenizer_json[] =
    "{\"added_tokens\": [\n"
    "  {\"id\": 2, \"content\": \"[CLS]\", \"special\": true, \"normalized\": false},\n"
    "  {\"id\": 3, \"content\": \"[SEP]\", \"special\": true, \"normalized\": false}],\n"
    " \"normalizer\": {\"type\": \"BertNormalizer\", \"clean_text\": true,\n"
    "  \"handle_chinese_chars\": true, \"strip_accents\": null, \"lowercase\": true},\n"
    " \"pre_tokenizer\": {\"type\": \"BertPreTokenizer\"},\n"
    " \"model\": {\"type\": \"WordPiece\", \"unk_token\": \"[UNK]\",\n"
    "  \"continuing_subword_prefix\": \"##\", \"max_input_chars_per_word\": 100,\n"
    "  \"vocab\": {\"[PAD]\": 0, \"[UNK]\": 1, \"[CLS]\": 2, \"[SEP]\": 3, \"[MASK]\": 4,\n"
    "   \"cat\": 5, \"##s\": 6, \"!\": 7}}}\n";

float hf_sample_value(size_t t, size_t i) {
    return (float)((int)((i * 7 + t * 3) % 31) - 15) / 8;
}

/* Exact for the sample's values in every type. */
static void append_value(struct sl_buf *data, const char *dtype, float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    if (strcmp(dtype, "F32") == 0) {
        bytes_u32(data, bits);
        return;
    }
    uint32_t half = bits >> 16;
    if (strcmp(dtype, "F16") == 0) {
        uint32_t exponent = bits >> 23 & 0xff;
        half =
            (bits >> 31 << 15) | (exponent ? (exponent - 112) << 10 | (bits & 0x7fffff) >> 13 : 0);
    }
    uint16_t narrow = htole16((uint16_t)half);
    sl_buf_append(data, &narrow, sizeof narrow);
}

/* Every step-th tensor from the first on. */
static void put_weights(const struct hf_sample *sample, const char *dtype, const char *prefix,
                        const char *name, size_t first, size_t step) {
    SL_AUTO_BUF struct sl_buf json = {0};
    SL_AUTO_BUF struct sl_buf data = {0};
    SL_AUTO_BUF struct sl_buf file = {0};
    for (size_t t = first; t < HF_SAMPLE_TENSORS; t += step) {
        const struct hf_sample_tensor *tensor = &hf_sample_tensors[t];
        size_t n = (size_t)(tensor->rows ? tensor->rows : 1) * tensor->columns;
        size_t begin = data.len;
        bool ids = strstr(tensor->hf, "position_ids") != NULL;
        for (size_t i = 0; i < n; i++) {
            if (ids) {
                bytes_u64(&data, i);
            } else {
                append_value(&data, dtype, hf_sample_value(t, i));
            }
        }
        sl_buf_printf(&json, "%s\"%s%s\":{\"dtype\":\"%s\",\"shape\":[", t > first ? "," : "{",
                      prefix, tensor->hf, ids ? "I64" : dtype);
        if (tensor->rows) {
            sl_buf_printf(&json, "%u,", tensor->rows);
        }
        sl_buf_printf(&json, "%u],\"data_offsets\":[%zu,%zu]}", tensor->columns, begin, data.len);
    }
    sl_buf_append(&json, "}", 1);
    bytes_u64(&file, json.len);
    sl_buf_append(&file, json.data, json.len);
    sl_buf_append(&file, data.data, data.len);
    assert_false(file.failed);
    hf_sample_put_bytes(sample, name, file.data, file.len);
}

void hf_sample_split(const struct hf_sample *sample, const char *dtype, const char *prefix,
                     size_t files) {
    SL_AUTO_BUF struct sl_buf index = {0};
    char name[64];
    hf_sample_put(sample, "model.safetensors", NULL);
    sl_buf_printf(&index, "{\"metadata\": {\"total_size\": 1}, \"weight_map\": {");
    for (size_t i = 0; i < files; i++) {
        snprintf(name, sizeof name, "model-%zu.safetensors", i);
        put_weights(sample, dtype, prefix, name, i, files);
    }
    for (size_t t = 0; t < HF_SAMPLE_TENSORS; t++) {
        sl_buf_printf(&index, "%s\"%s%s\": \"model-%zu.safetensors\"", t ? ",\n" : "", prefix,
                      hf_sample_tensors[t].hf, t % files);
    }
    sl_buf_printf(&index, "}}\n");
    assert_false(index.failed);
    hf_sample_put_bytes(sample, "model.safetensors.index.json", index.data, index.len);
}

void hf_sample_put_bytes(const struct hf_sample *sample, const char *name, const void *bytes,
                         size_t n) {
    char path[128];
    snprintf(path, sizeof path, "%s/%s", sample->folder, name);
    SL_AUTO_FILE FILE *out = fopen(path, "we");
    assert_non_null(out);
    assert_int_equal(fwrite(bytes, 1, n, out), n);
}

void hf_sample_put(const struct hf_sample *sample, const char *name, const char *text) {
    char path[128];
    snprintf(path, sizeof path, "%s/%s", sample->folder, name);
    if (text) {
        hf_sample_put_bytes(sample, name, text, strlen(text));
    } else {
        assert_int_equal(unlink(path), 0);
    }
}

void hf_sample_replace(const struct hf_sample *sample, const char *name, const char *old,
                       const char *with) {
    char path[128];
    SL_AUTO_FREE char *text = calloc(1, 1 << 16);
    SL_AUTO_BUF struct sl_buf changed = {0};
    size_t n = strlen(old);
    snprintf(path, sizeof path, "%s/%s", sample->folder, name);
    SL_AUTO_FILE FILE *in = fopen(path, "re");
    assert_non_null(in);
    assert_non_null(text);
    size_t len = fread(text, 1, (1 << 16) - 1, in);
    char *at = memmem(text, len, old, n);
    if (!at) {
        fail_msg("%s does not say %s", name, old);
        return;
    }
    size_t before = (size_t)(at - text);
    sl_buf_append(&changed, text, before);
    sl_buf_append(&changed, with, strlen(with));
    sl_buf_append(&changed, at + n, len - before - n);
    hf_sample_put_bytes(sample, name, changed.data, changed.len);
}

void hf_sample_make(struct hf_sample *sample, const char *dtype, const char *prefix) {
    char path[128];
    snprintf(sample->folder, sizeof sample->folder, "/tmp/sluice-hf-XXXXXX");
    assert_non_null(mkdtemp(sample->folder));
    snprintf(sample->out, sizeof sample->out, "%s/out-model.gguf", sample->folder);
    snprintf(path, sizeof path, "%s/1_Pooling", sample->folder);
    assert_int_equal(mkdir(path, 0700), 0);
    hf_sample_put(sample, "config.json", config_json);
    hf_sample_put(sample, "modules.json", modules_json);
    hf_sample_put(sample, "1_Pooling/config.json", pooling_json);
    hf_sample_put(sample, "tokenizer_config.json", settings_json);
    hf_sample_put(sample, "vocab.txt", vocab_txt);
    put_weights(sample, dtype, prefix, "model.safetensors", 0, 1);
}

void hf_sample_remove(const struct hf_sample *sample) {
    char command[128];
    assert_int_equal(strncmp(sample->folder, "/tmp/sluice-hf-", 15), 0);
    snprintf(command, sizeof command, "rm -rf '%s'", sample->folder);
    assert_int_equal(system(command), 0);
}
