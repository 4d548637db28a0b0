/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/shell/verbs.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/shell/config.h"
#include "broker/store/backup.h"
#include "proto/link/link.h"

int sl_verb_keygen(int argc, char **argv) {
    if (argc != 4 || strcmp(argv[2], "--out") != 0) {
        fprintf(stderr, "sluice-broker keygen: say where to write: --out FILE\n");
        return 2;
    }
    struct sl_link_keys keys;
    struct sl_error err;
    if (sl_link_keys_generate(&keys, &err) || sl_link_keys_write(argv[3], &keys, &err)) {
        fprintf(stderr, "sluice-broker: %s\n", err.text);
        return 1;
    }
    printf("%s\n", keys.public_key);
    return 0;
}

struct verb {
    const char *name;
    const char *file;
    struct sl_broker_config *config;
    bool flag; /* --force, --adopt-store */
};

/* "VERB FILE --config FILE [FLAG]", in any order. 0, or the exit code. */
static int parse(int argc, char **argv, const char *flag, struct verb *verb) {
    const struct option longs[] = {
        {"config", required_argument, NULL, 'c'}, {flag, no_argument, NULL, 'f'}, {0}};
    const char *config_path = NULL;
    struct sl_error err;
    int c;
    verb->name = argv[1];
    while ((c = getopt_long(argc - 1, argv + 1, "", longs, NULL)) != -1) {
        if (c == 'c') {
            config_path = optarg;
        } else if (c == 'f') {
            verb->flag = true;
        } else {
            return 2;
        }
    }
    if (optind != argc - 2 || !config_path) {
        fprintf(stderr, "Usage: sluice-broker %s FILE --config FILE [--%s]\n", verb->name, flag);
        return 2;
    }
    verb->file = argv[1 + optind];
    verb->config = calloc(1, sizeof *verb->config);
    if (!verb->config) {
        fprintf(stderr, "sluice-broker: out of memory\n");
        return 1;
    }
    if (sl_broker_config_read(config_path, verb->config, &err)) {
        fprintf(stderr, "sluice-broker: %s\n", err.text);
        free(verb->config);
        return 2;
    }
    return 0;
}

static void print_bare(const struct sl_backup_facts *facts) {
    if (facts->batches_bare > 0) {
        printf("%u of the open batches are in it without their texts (data_dir/lines/), which are "
               "read again from their input files; a batch whose input file is gone, too, fails.\n",
               facts->batches_bare);
    }
}

int sl_verb_backup(int argc, char **argv) {
    struct verb verb = {0};
    int code = parse(argc, argv, "force", &verb);
    if (code) {
        return code;
    }
    const struct sl_backup_config config = {.data_dir = verb.config->data_dir,
                                            .file = verb.file,
                                            .force = verb.flag,
                                            .now = sl_clock_wall()};
    struct sl_backup_facts facts;
    struct sl_error err;
    code = 1;
    if (sl_backup_make(&config, &facts, &err)) {
        fprintf(stderr, "sluice-broker: %s\n", err.text);
    } else {
        char at[32];
        printf("%s: %llu bytes, %u files, %u open batches, as of %s\n"
               "It holds tenants' texts and results and the operator's key: protect it as such. "
               "Keep %s too.\n",
               verb.file, (unsigned long long)facts.bytes, facts.files, facts.batches_open,
               sl_wall_format(facts.at, at), verb.config->key_file);
        print_bare(&facts);
        code = 0;
    }
    free(verb.config);
    return code;
}

static void print_kept(const struct sl_restore_kept *kept, const char *at) {
    if (kept->known) {
        printf("What was revoked since stays revoked: %u API keys, %u agents; %u tokens that were "
               "used since are closed. ",
               kept->keys, kept->agents, kept->tokens);
    } else {
        printf("What was revoked since %s is not known here and GOOD AGAIN: revoke it again "
               "(`sluice keys`, `sluice agents`) before agents and tenants come back. ",
               at);
    }
    printf("Orders (drain, stop, pin) and changes of agents' keys since are undone: give them "
           "again; an agent whose key was changed since must be enrolled anew.\n");
}

static void print_restored(const struct sl_restore_facts *facts, const char *data_dir) {
    char at[32];
    sl_wall_format(facts->backup.at, at);
    printf("%s is as it was at %s: %u files, %u open batches.\n", data_dir, at, facts->backup.files,
           facts->backup.batches_open);
    print_bare(&facts->backup);
    if (facts->aside[0]) {
        printf("What was there before is in %s.\n", facts->aside);
    }
    printf("Lost is what was acknowledged after %s: batches and files made since are not known, "
           "lines finished since run again, their postings and those of shares since are missing. "
           "Epochs and work units go on above all that was given out since.\n",
           at);
    print_kept(&facts->kept, at);
}

int sl_verb_restore(int argc, char **argv) {
    struct verb verb = {0};
    struct sl_link_keys keys;
    struct sl_error err;
    int code = parse(argc, argv, "adopt-store", &verb);
    if (code) {
        return code;
    }
    struct sl_restore_facts facts;
    int rc = sl_link_keys_read(verb.config->key_file, &keys, &err);
    if (rc == SL_OK) {
        const struct sl_restore_config config = {.data_dir = verb.config->data_dir,
                                                 .file = verb.file,
                                                 .site_key = keys.public_key,
                                                 .adopt = verb.flag,
                                                 .now = sl_clock_wall()};
        rc = sl_restore(&config, &facts, &err);
    }
    if (rc) {
        fprintf(stderr, "sluice-broker: %s\n", err.text);
    } else {
        print_restored(&facts, verb.config->data_dir);
    }
    free(verb.config);
    return rc ? 1 : 0;
}
