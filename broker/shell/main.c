/* SPDX-License-Identifier: Apache-2.0
 * sluice-broker: the one process of a site that decides. */
#include <getopt.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "broker/http/log_ring.h"
#include "broker/shell/broker.h"
#include "broker/shell/verbs.h"
#include "proto/base/ending.h"
#include "proto/base/log.h"
#include "proto/base/standard.h"
#include "proto/base/text.h"
#include "proto/base/thread.h"

#define LOG_LINES_KEPT 4096 /* for `sluice logs` */
#define APART_BYTES (12 * 1024)
#define APART_MAX 32768
#define TRIM_BYTES (8 * 1024 * 1024)
#define SLICE_US 100 /* the shortest there is */

static const char usage[] =
    "Usage: sluice-broker --config FILE [--check-config | --print-config | --adopt-store]\n"
    "       sluice-broker backup FILE --config FILE [--force]\n"
    "       sluice-broker restore FILE --config FILE [--adopt-store]\n"
    "       sluice-broker keygen --out FILE\n"
    "\n"
    "Decides for every device of a site whether it hashes, serves a lease or stands idle, and "
    "keeps\n"
    "the ledger.\n"
    "\n"
    "  --config FILE    configuration (YAML); see deploy/config/broker.yaml\n"
    "  --check-config   read the configuration and the files that it names, look at data_dir, the\n"
    "                   store and the sockets, say what is wrong, and exit; nothing is started or\n"
    "                   changed\n"
    "  --print-config   print the effective configuration with explanations, and exit\n"
    "  --adopt-store    take over a store that was made under other keys (agents.key_file), once\n"
    "  --version        print the version\n"
    "  --help           this text\n"
    "  backup FILE      write all that the broker remembers to FILE, while it runs or not; "
    "--force\n"
    "                   replaces a backup that is there\n"
    "  restore FILE     put a backup in the place of the broker's data, which are kept aside; the\n"
    "                   broker must not run. --adopt-store: also a backup of another site\n"
    "  keygen           make the CURVE keys with which agents know this broker; prints the public\n"
    "                   key for the agents' configuration\n"
    "\n"
    "SIGTERM or SIGINT says goodbye to the agents, makes everything durable and exits with 0.\n";

struct options {
    char *config_path;
    bool check;
    bool print;
    bool adopt;
};

/* -1: go on; else the exit code. */
static int parse_options(int argc, char **argv, struct options *options) {
    static const struct option longs[] = {
        {"config", required_argument, NULL, 'c'}, {"check-config", no_argument, NULL, 'k'},
        {"print-config", no_argument, NULL, 'p'}, {"version", no_argument, NULL, 'v'},
        {"adopt-store", no_argument, NULL, 'a'},  {0},
    };
    int c;
    while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
        switch (c) {
        case 'c':
            options->config_path = optarg;
            break;
        case 'k':
            options->check = true;
            break;
        case 'p':
            options->print = true;
            break;
        case 'a':
            options->adopt = true;
            break;
        case 'v':
            printf("sluice-broker %s\n", SLUICE_VERSION);
            return 0;
        default:
            fputs(usage, stderr);
            return 2;
        }
    }
    if (optind < argc || !options->config_path) {
        fprintf(stderr, "sluice-broker: %s\n\n%s",
                optind < argc ? "unexpected argument" : "--config FILE is needed", usage);
        return 2;
    }
    return -1;
}

/* A connection is a descriptor, and the usual limit of 1,024 is below what a large site has. */
static void allow_connections(void) {
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
}

/* Tables of a large fleet stay out of the heap, however often they grow: what they leave is given
 * back at once, and the pages behind their last row are never touched. So do the chunks of 16 KiB
 * that libzmq has for each connection, and reports of many devices: where these come and go between
 * what stays, a site that has come back leaves a heap of holes, with a page around each small
 * thing. glibc would raise the limit to the size of whatever was freed. Beyond so many maps (the
 * kernel gives 65,530 to a process) it is the heap again. */
static void keep_large_apart(void) {
    (void)mallopt(M_MMAP_THRESHOLD, APART_BYTES);
    (void)mallopt(M_MMAP_MAX, APART_MAX);
    (void)mallopt(M_TRIM_THRESHOLD, TRIM_BYTES);
}

static int serve(struct sl_broker *broker) {
    struct sl_error err;
    sl_log_set_level((enum sl_log_level)(broker->config.log_level + 1));
    signal(SIGPIPE, SIG_IGN);
    sl_ending_at_once();
    keep_large_apart();
    allow_connections();
    sl_thread_prompt(SLICE_US);
    umask(0077);
    int code = 1;
    if (sl_log_ring_create(LOG_LINES_KEPT, &broker->log_ring, &err)) {
        fprintf(stderr, "sluice-broker: %s\n", err.text);
        return code;
    }
    sl_log_set_tap(sl_log_ring_add, broker->log_ring); /* before any other thread runs */
    if (sl_broker_start(broker, &err)) {
        fprintf(stderr, "sluice-broker: %s\n", err.text);
    } else {
        code = sl_broker_loop_run(broker);
    }
    sl_broker_fini(broker);
    sl_log_set_tap(NULL, NULL);
    sl_log_ring_destroy(broker->log_ring);
    return code;
}

static void say_bad(void *context, const struct sl_error *why) {
    struct sl_error located = *why;
    (void)sl_conf_locate(context, &located);
    fprintf(stderr, "sluice-broker: %s\n", located.text);
}

/* The configuration has been read; what it names can be, too. */
static int check_files(const struct sl_broker_config *config, char *path) {
    if (sl_broker_check_files(config, say_bad, path) > 0) {
        return 2;
    }
    printf("%s: good\n", path);
    return 0;
}

static int run(int argc, char **argv) {
    if (sl_text_among("--help", argv, argc)) { /* after a verb, too */
        fputs(usage, stdout);
        return 0;
    }
    if (argc > 1 && strcmp(argv[1], "keygen") == 0) {
        return sl_verb_keygen(argc, argv);
    }
    if (argc > 1 && strcmp(argv[1], "backup") == 0) {
        return sl_verb_backup(argc, argv);
    }
    if (argc > 1 && strcmp(argv[1], "restore") == 0) {
        return sl_verb_restore(argc, argv);
    }
    struct options options = {0};
    int code = parse_options(argc, argv, &options);
    if (code >= 0) {
        return code;
    }
    struct sl_broker *broker = calloc(1, sizeof *broker);
    struct sl_error err;
    if (!broker) {
        fprintf(stderr, "sluice-broker: out of memory\n");
        return 1;
    }
    broker->adopt_store = options.adopt;
    if (sl_broker_config_read(options.config_path, &broker->config, &err)) {
        fprintf(stderr, "sluice-broker: %s\n", err.text);
        code = 2;
    } else if (options.print) {
        sl_conf_print(stdout, sl_broker_schema, &broker->config);
        code = 0;
    } else if (options.check) {
        code = check_files(&broker->config, options.config_path);
    } else {
        code = serve(broker);
    }
    free(broker);
    return code;
}

int main(int argc, char **argv) {
    sl_standard_hold();
    return sl_standard_end("sluice-broker", run(argc, argv));
}
