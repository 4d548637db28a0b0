/* SPDX-License-Identifier: Apache-2.0
 * sluice-convert: makes the GGUF file that sluice-agent serves out of a HuggingFace model folder.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "agent/convert/convert.h"
#include "proto/base/standard.h"

static void print_help(FILE *out) {
    fputs("usage: sluice-convert --out FILE.gguf [--type f32|f16|q8_0] [--name NAME]\n"
          "                      [--pooling mean|cls] HF_FOLDER\n"
          "\n"
          "Converts a HuggingFace folder of a bert encoder (config.json, model.safetensors or\n"
          "the files that model.safetensors.index.json names, tokenizer.json or vocab.txt,\n"
          "1_Pooling/config.json) to one GGUF file for sluice-agent: weights, vocabulary,\n"
          "pooling. What the engine would not compute exactly is refused. FILE is replaced only "
          "when the new one is complete and checked.\n"
          "\n"
          "  --out FILE.gguf     where to write (needed)\n"
          "  --type f32          of matrices, the default; f16 takes half the memory, q8_0 a "
          "quarter\n"
          "                      (blocks of 32 weights: 8 bits each and a scale)\n"
          "  --name NAME         general.name in the file; default: FILE without .gguf\n"
          "  --pooling mean|cls  for folders without 1_Pooling/config.json\n"
          "  --help              this text\n"
          "  --version           the version of Sluice\n"
          "\n"
          "Exit status: 0 done, 1 refused or failed (the reason is on standard error), 2 usage.\n",
          out);
}

static int usage_error(const char *text) {
    fprintf(stderr, "sluice-convert: %s; see sluice-convert --help\n", text);
    return 2;
}

static void print_advice(const struct sl_convert_report *report) {
    const struct sl_hf_advice *advice = &report->advice;
    if (advice->max_tokens && advice->max_tokens < report->config.n_ctx) {
        printf("note: the folder cuts texts at %" PRIu32 " tokens: set max_tokens in the agent's "
               "configuration to keep to that\n",
               advice->max_tokens);
    }
    for (uint32_t i = 0; i < advice->prompt_count; i++) {
        printf("note: the folder names a prompt '%s'%s: \"%s\"\n", advice->prompts[i].name,
               advice->prompts[i].by_default ? ", used by default" : "", advice->prompts[i].text);
    }
    if (advice->prompt_count) {
        printf("note: prompts are the client's text, or input_prefix of the model in the broker's "
               "configuration; the file holds none\n");
    }
}

static int run(const struct sl_convert_request *request) {
    struct sl_error err = {0};
    struct sl_convert_report report;
    if (sl_convert(request, &report, &err)) {
        fprintf(stderr, "sluice-convert: %s\n", err.text);
        return 1;
    }
    printf("%s: bert, %s, %" PRIu32 " layers, %" PRIu32 " wide, %" PRIu32 " heads, %" PRIu32
           " pieces, %" PRIu32 " tokens of context, %s pooling, %" PRIu64 " weights\n",
           request->out, sl_ggml_type_name(request->type), report.config.n_layer,
           report.config.n_embd, report.config.n_head, report.config.n_vocab, report.config.n_ctx,
           report.config.pooling == SL_BERT_POOL_MEAN ? "mean" : "cls", report.weights);
    if (!report.normalizes) {
        printf(
            "note: the folder does not ask for unit vectors; Sluice gives unit vectors anyway\n");
    }
    print_advice(&report);
    return 0;
}

static bool type_of(const char *text, enum sl_ggml_type *ret_type) {
    static const struct {
        const char *text;
        enum sl_ggml_type type;
    } rows[] = {{"f32", SL_GGML_F32}, {"f16", SL_GGML_F16}, {"q8_0", SL_GGML_Q8_0}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (strcmp(rows[i].text, text) == 0) {
            *ret_type = rows[i].type;
            return true;
        }
    }
    return false;
}

static int run_with(int argc, char **argv) {
    static const struct option options[] = {
        {"out", required_argument, NULL, 'o'},
        {"name", required_argument, NULL, 'n'},
        {"pooling", required_argument, NULL, 'p'},
        {"type", required_argument, NULL, 't'},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'v'},
        {NULL, 0, NULL, 0},
    };
    struct sl_convert_request request = {0};
    int option;
    while ((option = getopt_long(argc, argv, "o:h", options, NULL)) != -1) {
        if (option == 'o') {
            request.out = optarg;
        } else if (option == 'n') {
            request.name = optarg;
        } else if (option == 'p' && strcmp(optarg, "mean") == 0) {
            request.pooling = SL_BERT_POOL_MEAN;
        } else if (option == 'p' && strcmp(optarg, "cls") == 0) {
            request.pooling = SL_BERT_POOL_CLS;
        } else if (option == 'p') {
            return usage_error("--pooling is mean or cls");
        } else if (option == 't' && type_of(optarg, &request.type)) {
            continue;
        } else if (option == 't') {
            return usage_error("--type is f32, f16 or q8_0");
        } else if (option == 'h') {
            print_help(stdout);
            return 0;
        } else if (option == 'v') {
            printf("sluice-convert %s\n", SLUICE_VERSION);
            return 0;
        } else {
            return usage_error("unknown option");
        }
    }
    if (!request.out || request.out[0] == '\0') {
        return usage_error("--out FILE.gguf is missing");
    }
    if (argc - optind != 1) {
        return usage_error("name exactly one model folder");
    }
    request.folder = argv[optind];
    return run(&request);
}

int main(int argc, char **argv) {
    sl_standard_hold(); /* before the model is made: it would take what was printed */
    return sl_standard_end("sluice-convert", run_with(argc, argv));
}
