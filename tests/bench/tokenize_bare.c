/* SPDX-License-Identifier: Apache-2.0
 * Tokens a second of one tokenizer thread, the way the agent's own goes: what a device must not
 * need more of.
 *
 *   tokenize_bare MODEL.gguf TEXTS        TEXTS: a file with one text a line */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/executors/model_set.h"
#include "proto/base/clock.h"

#define ROUNDS 7u
#define TEXTS_MAX 100000u

static void die(const char *what) {
    fprintf(stderr, "tokenize_bare: %s\n", what);
    exit(1);
}

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

int main(int argc, char **argv) {
    static char *texts[TEXTS_MAX];
    struct sl_model_config config = {.id = "model", .truncate = true};
    struct sl_model_set *set = NULL;
    struct sl_error err = {0};
    uint32_t count = 0;
    double rates[ROUNDS];
    FILE *file = argc == 3 ? fopen(argv[2], "re") : NULL;
    if (!file) {
        die("usage: tokenize_bare MODEL.gguf TEXTS");
    }
    snprintf(config.path, sizeof config.path, "%s", argv[1]);
    if (sl_model_set_load(&config, 1, &set, &err) < 0) {
        die(err.text);
    }
    size_t room = 0;
    while (count < TEXTS_MAX && getline(&texts[count], &room, file) > 0) {
        texts[count][strcspn(texts[count], "\n")] = 0;
        count++;
        room = 0;
    }
    fclose(file);
    int32_t *ids = calloc(sl_model_set_at(set, 0)->max_tokens, sizeof *ids);
    if (!ids || count == 0) {
        die("no texts, or no memory");
    }
    uint64_t tokens = 0;
    for (uint32_t round = 0; round < ROUNDS; round++) {
        int64_t begin = sl_clock_mono().ns;
        tokens = 0;
        for (uint32_t i = 0; i < count; i++) {
            uint32_t n = 0;
            if (sl_model_set_tokenize(set, "model", texts[i], strlen(texts[i]), ids, &n, &err) <
                0) {
                die(err.text);
            }
            tokens += n;
        }
        rates[round] = (double)tokens / (double)(sl_clock_mono().ns - begin) * 1e9;
    }
    qsort(rates, ROUNDS, sizeof *rates, by_size);
    printf("%u texts, %" PRIu64 " tokens: %.0f tokens/s (%.0f to %.0f), one thread\n", count,
           tokens, rates[ROUNDS / 2], rates[0], rates[ROUNDS - 1]);
    for (uint32_t i = 0; i <= count && i < TEXTS_MAX; i++) {
        free(texts[i]);
    }
    free(ids);
    sl_model_set_destroy(set);
    return 0;
}
