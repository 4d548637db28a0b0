/* SPDX-License-Identifier: Apache-2.0
 * sluice-agent: one per machine, all its devices. */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/shell/agent.h"
#include "agent/shell/join.h"
#include "agent/shell/pool_pin.h"
#include "proto/base/ending.h"
#include "proto/base/log.h"
#include "proto/base/standard.h"
#include "proto/base/text.h"
#include "proto/base/thread.h"

#define SLICE_US 300 /* longer than that of a broker on the same CPU, which comes first */

static const char usage[] =
    "Usage: sluice-agent --config FILE [--check-config | --print-config]\n"
    "       sluice-agent tune --config FILE [--again]\n"
    "       sluice-agent join TOKEN|FILE|- [--config FILE] [--key-file FILE] [--wait]\n"
    "       sluice-agent keygen --out FILE\n"
    "       sluice-agent pool-pin stratum+ssl://HOST:PORT\n"
    "\n"
    "Runs this machine's devices as the broker directs: hashing for a pool, or serving inference\n"
    "batches. Without a broker it works on for a while as it was last told.\n"
    "\n"
    "  --config FILE      configuration (YAML); see deploy/config/agent.yaml\n"
    "  --check-config     read the configuration and the files that it names, look at data_dir, "
    "load\n"
    "                     the models, say what is wrong, and exit; nothing is started or changed\n"
    "  --print-config     print the effective configuration with explanations, and exit\n"
    "  --fake-devices N   for tests only: N scripted devices in place of OpenCL's; what they\n"
    "                     compute is made up\n"
    "  --fake-gpus LIST   for tests only: those devices look like GPUs (PCI/UUID,...)\n"
    "  --version          print the version\n"
    "  --help             this text\n"
    "  tune               test, tune and measure the devices, print what they can do, and exit; "
    "the\n"
    "                     next start uses it. Needs no broker; the agent must not run\n"
    "  --again            with tune: as if nothing had been tuned and measured before\n"
    "  join               join a site with a one-time token; see sluice-agent join --help\n"
    "  keygen             make the CURVE keys by which the broker knows this agent; prints the\n"
    "                     public key for the broker's file of allowed agents\n"
    "  pool-pin           connect to a pool and print its key for pool.tls_pins; says on standard\n"
    "                     error whether this system's authorities vouch for it\n"
    "\n"
    "SIGTERM or SIGINT halts the devices, stores what is finished and exits with 0; a second one\n"
    "leaves at once.\n";

static int keygen(int argc, char **argv) {
    if (argc != 4 || strcmp(argv[2], "--out") != 0) {
        fprintf(stderr, "sluice-agent keygen: say where to write: --out FILE\n");
        return 2;
    }
    struct sl_link_keys keys;
    struct sl_error err;
    if (sl_link_keys_generate(&keys, &err) || sl_link_keys_write(argv[3], &keys, &err)) {
        fprintf(stderr, "sluice-agent: %s\n", err.text);
        return 1;
    }
    printf("%s\n", keys.public_key);
    return 0;
}

struct arguments {
    char *config_path;
    bool check;
    bool print;
    bool tune;
    bool again;
    uint32_t fake_devices;
    const char *fake_gpus;
};

static bool parse_count(const char *text, uint32_t *ret_count) {
    char *end = NULL;
    unsigned long n = strtoul(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end || n < 1 || n > SL_AGENT_DEVICES_MAX) {
        return false;
    }
    *ret_count = (uint32_t)n;
    return true;
}

/* -1: go on; else the exit code. */
static int check_arguments(const struct arguments *arguments, bool more) {
    const char *wrong = NULL;
    if (more) {
        wrong = "unexpected argument";
    } else if (!arguments->config_path) {
        wrong = "--config FILE is needed";
    } else if (arguments->again && !arguments->tune) {
        wrong = "--again belongs to tune";
    } else if (arguments->tune &&
               (arguments->check || arguments->print || arguments->fake_devices)) {
        wrong = "tune takes --config FILE and --again only";
    }
    if (wrong) {
        fprintf(stderr, "sluice-agent: %s\n\n%s", wrong, usage);
        return 2;
    }
    return -1;
}

/* -1: go on; else the exit code. */
static int parse_arguments(int argc, char **argv, struct arguments *arguments) {
    static const struct option longs[] = {
        {"config", required_argument, NULL, 'c'},
        {"check-config", no_argument, NULL, 'k'},
        {"print-config", no_argument, NULL, 'p'},
        {"again", no_argument, NULL, 'a'},
        {"fake-devices", required_argument, NULL, 'f'},
        {"fake-gpus", required_argument, NULL, 'g'},
        {"version", no_argument, NULL, 'v'},
        {0},
    };
    int c;
    while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
        switch (c) {
        case 'c':
            arguments->config_path = optarg;
            break;
        case 'k':
            arguments->check = true;
            break;
        case 'p':
            arguments->print = true;
            break;
        case 'a':
            arguments->again = true;
            break;
        case 'f':
            if (!parse_count(optarg, &arguments->fake_devices)) {
                fprintf(stderr, "sluice-agent: --fake-devices takes 1 to %d\n",
                        SL_AGENT_DEVICES_MAX);
                return 2;
            }
            break;
        case 'g':
            arguments->fake_gpus = optarg;
            break;
        case 'v':
            printf("sluice-agent %s\n", SLUICE_VERSION);
            return 0;
        default:
            fputs(usage, stderr);
            return 2;
        }
    }
    return check_arguments(arguments, optind < argc);
}

static int tune(struct sl_agent *agent) {
    struct sl_error err;
    sl_log_set_level((enum sl_log_level)(agent->options.log_level + 1));
    umask(0077);
    int rc = sl_agent_tune(agent, &err);
    if (rc) {
        fprintf(stderr, "sluice-agent: %s\n", err.text);
    }
    sl_agent_fini(agent);
    return rc ? 1 : 0;
}

static void say_bad(void *context, const struct sl_error *why) {
    struct sl_error located = *why;
    (void)sl_conf_locate(context, &located);
    fprintf(stderr, "sluice-agent: %s\n", located.text);
}

/* The configuration has been read; what it names can be, too, and its models can be loaded. */
static int check_files(struct sl_agent *agent, char *path) {
    struct sl_error err;
    sl_log_set_level(SL_LOG_ERROR);
    uint32_t bad = sl_agent_check_files(agent, say_bad, path);
    if (sl_agent_check_models(agent, &err)) {
        say_bad(path, &err);
        bad++;
    }
    if (bad > 0) {
        return 2;
    }
    printf("%s: good\n", path);
    return 0;
}

static int serve(struct sl_agent *agent) {
    struct sl_error err;
    sl_log_set_level((enum sl_log_level)(agent->options.log_level + 1));
    signal(SIGPIPE, SIG_IGN);
    sl_ending_at_once();
    sl_thread_prompt(SLICE_US);
    umask(0077);
    int code = 1;
    if (sl_agent_start_up(agent, &err)) {
        fprintf(stderr, "sluice-agent: %s\n", err.text);
    } else {
        code = sl_agent_loop_run(agent);
    }
    sl_agent_fini(agent);
    if (agent
            ->resolving) { /* libuv would wait for its thread at exit, and the loop is in `agent` */
        fflush(NULL);
        _exit(code);
    }
    return code;
}

static int run(int argc, char **argv) {
    if (argc > 1 && strcmp(argv[1], "join") == 0) {
        return sl_verb_join(argc, argv);
    }
    if (sl_text_among("--help", argv, argc)) { /* after a verb, too; join has a text of its own */
        fputs(usage, stdout);
        return 0;
    }
    if (argc > 1 && strcmp(argv[1], "keygen") == 0) {
        return keygen(argc, argv);
    }
    if (argc > 1 && strcmp(argv[1], "pool-pin") == 0) {
        return sl_pool_pin_main(argc, argv);
    }
    struct arguments arguments = {.tune = argc > 1 && strcmp(argv[1], "tune") == 0};
    if (arguments.tune) {
        argv[1] = argv[0];
        argc--;
        argv++;
    }
    int code = parse_arguments(argc, argv, &arguments);
    if (code >= 0) {
        return code;
    }
    struct sl_agent *agent = calloc(1, sizeof *agent);
    struct sl_error err;
    if (!agent) {
        fprintf(stderr, "sluice-agent: out of memory\n");
        return 1;
    }
    agent->fake_devices = arguments.fake_devices;
    agent->fake_gpus = arguments.fake_gpus;
    if (sl_agent_options_read(arguments.config_path, &agent->options, &err)) {
        fprintf(stderr, "sluice-agent: %s\n", err.text);
        code = 2;
    } else if (arguments.print) {
        sl_conf_print(stdout, sl_agent_schema, &agent->options);
        code = 0;
    } else if (arguments.check) {
        code = check_files(agent, arguments.config_path);
    } else if (arguments.tune) {
        agent->tune_again = arguments.again;
        code = tune(agent);
    } else {
        code = serve(agent);
    }
    free(agent);
    return code;
}

int main(int argc, char **argv) {
    sl_standard_hold();
    return sl_standard_end("sluice-agent", run(argc, argv));
}
