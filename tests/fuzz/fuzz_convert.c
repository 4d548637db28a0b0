/* SPDX-License-Identifier: Apache-2.0
 * A hostile HuggingFace folder: files separated by lines "=NAME", NAME one of those that
 * sluice-convert reads. Refused by file and field, or what was read keeps its limits. */
#include "tests/fuzz/fuzz.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/convert/hf_folder.h"
#include "agent/convert/hf_weights.h"

static const char *const names[] = {
    "config.json",    "modules.json",          "1_Pooling/config.json",        "vocab.txt",
    "tokenizer.json", "tokenizer_config.json", "model.safetensors.index.json", "a.safetensors"};
enum { NAMES = sizeof names / sizeof names[0] };

static const char *folder(void) {
    static char path[64];
    if (path[0] == '\0') {
        char pooling[96];
        snprintf(path, sizeof path, "/dev/shm/sluice-fuzz-convert-%d", (int)getpid());
        snprintf(pooling, sizeof pooling, "%s/1_Pooling", path);
        fuzz_check(mkdir(path, 0700) == 0 && mkdir(pooling, 0700) == 0);
    }
    return path;
}

static void put(const char *name, const uint8_t *bytes, size_t n) {
    char path[160];
    snprintf(path, sizeof path, "%s/%s", folder(), name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    fuzz_check(fd >= 0 && write(fd, bytes, n) == (ssize_t)n);
    close(fd);
}

static void clear(void) {
    for (int i = 0; i < NAMES; i++) {
        char path[160];
        snprintf(path, sizeof path, "%s/%s", folder(), names[i]);
        unlink(path);
    }
}

static void remove_folder(void) {
    char path[160];
    clear();
    snprintf(path, sizeof path, "%s/1_Pooling", folder());
    rmdir(path);
    rmdir(folder());
}

/* One digit behind '=' names a file; without one, all of it is config.json. */
static void unpack(const uint8_t *data, size_t size) {
    size_t from = 0;
    int name = 0;
    for (size_t i = 0; i + 2 < size; i++) {
        bool mark = (i == 0 || data[i - 1] == '\n') && data[i] == '=' && data[i + 2] == '\n';
        if (mark) {
            if (i > from) {
                put(names[name], data + from, i - from);
            }
            name = (data[i + 1] - '0') % NAMES;
            name = name < 0 ? 0 : name;
            from = i + 3;
        }
    }
    if (from < size) {
        put(names[name], data + from, size - from);
    }
}

/* Whatever an index says, each tensor is found under its name, once. */
static void check_weights(void) {
    struct sl_error err = {0};
    SL_AUTO(sl_hf_weights) weights = NULL;
    int rc = sl_hf_weights_open(folder(), &weights, &err);
    if (rc != SL_OK) {
        fuzz_check_error(rc, &err);
        return;
    }
    for (size_t i = 0; i < sl_hf_weights_count(weights); i++) {
        const struct sl_safetensors_tensor *t = sl_hf_weights_at(weights, i);
        fuzz_check(sl_hf_weights_find(weights, t->name) == t);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static bool begun;
    struct sl_error err = {0};
    struct sl_bert_config config = {0};
    struct sl_hf_vocab vocab = {0};
    bool normalizes = false;
    if (!begun) {
        begun = true;
        (void)folder();
        atexit(remove_folder);
    }
    unpack(data, size);
    int rc = sl_hf_read_config(folder(), &config, &normalizes, &err);
    if (rc != SL_OK) {
        fuzz_check_error(rc, &err);
    } else {
        fuzz_check(config.n_layer > 0 && config.n_layer <= SL_BERT_MAX_LAYERS);
        fuzz_check(config.n_embd > 0 && config.n_embd <= SL_BERT_MAX_EMBD);
        fuzz_check(config.n_head > 0 && config.n_vocab > 0);
        fuzz_check(config.n_ctx <= SL_BERT_MAX_CTX && config.n_ff <= SL_BERT_MAX_FF);
    }
    rc = sl_hf_read_vocab(folder(), &vocab, &err);
    if (rc != SL_OK) {
        fuzz_check_error(rc, &err);
    } else {
        fuzz_check(vocab.unk < vocab.count && vocab.cls < vocab.count && vocab.sep < vocab.count &&
                   vocab.pad < vocab.count && (!vocab.has_mask || vocab.mask < vocab.count));
        for (uint32_t i = 0; i < vocab.count; i++) {
            fuzz_check(vocab.pieces[i] && strlen(vocab.pieces[i]) <= SL_HF_MAX_JSON_BYTES);
        }
    }
    sl_hf_vocab_fini(&vocab);
    check_weights();
    clear();
    return 0;
}
