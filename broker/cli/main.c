/* SPDX-License-Identifier: Apache-2.0
 * One table of verbs; options, address and key are found here. */
#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/cli/cli.h"
#include "proto/base/standard.h"

struct verb {
    const char *name;
    const char *arguments;
    const char *help;
    int (*run)(struct sl_cli *cli, struct sl_error *err);
};

static const struct verb verbs[] = {
    {"status", "", "the site in one screen", sl_cli_status},
    {"nodes", "", "agents: session, pool, what waits to be sent", sl_cli_nodes},
    {"pools", "", "pools: state, shares, latency, effective and measured rate, revenue",
     sl_cli_pools},
    {"devices", "", "devices: mode, rates, power, what holds them", sl_cli_devices},
    {"health", "[clear DEVICE|NODE]",
     "devices that are not trusted, why, and how they come back; clear: trust it again",
     sl_cli_health},
    {"market", "[feeds|shadows|rates]",
     "prices, and open batches with their bids; feeds: which sources are believed, and why; "
     "shadows: what other policies would have earned; rates: the rate card beside bids",
     sl_cli_market},
    {"power", "", "tariff, caps, strike prices, energy by mode", sl_cli_power},
    {"agents",
     "ls | enroll NAME [--ttl 15m] [--out FILE] | approve NAME|KEY | reject NAME|KEY | revoke "
     "NAME|KEY | rotate NAME|KEY [--overlap 1h]",
     "who is let in: one-time tokens for new nodes, approval, revocation, new keys", sl_cli_agents},
    {"explain", "DEVICE [--at TIME]",
     "why a device does what it does, or did at a time: figures and rule", sl_cli_explain},
    {"decisions", "[DEVICE] [--limit N] [--out FILE]",
     "what was decided; --out: with every figure, to be made again", sl_cli_decisions},
    {"replay", "DECISION | --file LOG",
     "make a decision once more and compare every byte; --file asks no broker", sl_cli_replay},
    {"stress",
     "[--lease -60%] [--hashprice -50%] [--power x3] [--halving] [--tenant-leaves NAME] [--all]",
     "what a shock would do: revenue, margin, devices that stop, batches that are late, cover",
     sl_cli_stress},
    {"exposure", "", "shares of revenue by coin and tenant, and their limits", sl_cli_exposure},
    {"submit", "FILE --model M --bid USD_PER_MTOK [--deadline D] [--wait [--out FILE]]",
     "submit a batch: JSONL requests, or a text file with one input a line", sl_cli_submit},
    {"batch",
     "ls [--limit N] [--after ID] | show ID | cancel ID | bid ID USD_PER_MTOK | results ID "
     "[--errors] [--out FILE]",
     "batches", sl_cli_batch},
    {"drain", "DEVICE|NODE", "give it no work until it is resumed", sl_cli_order},
    {"resume", "DEVICE|NODE|--all", "lift drain, pin or stop", sl_cli_order},
    {"pin", "DEVICE idle|hash|infer", "keep it in one mode until it is resumed", sl_cli_order},
    {"stop", "--all", "stop every device until `sluice resume --all`", sl_cli_order},
    {"top", "[--interval SPAN] [--once]",
     "the site live: devices, nodes, queue, events; --once: one picture, for a file or a pipe",
     sl_cli_top},
    {"events", "[--limit N] [--device DEVICE] | --follow [--limit N]",
     "what happened: nodes that came and went, devices that fell ill; --follow: and what will",
     sl_cli_events},
    {"audit", "[--since TIME] [--limit N] [--follow]",
     "who ordered what: agents let in, revoked, rotated, overrides, keys, imports, bids",
     sl_cli_audit},
    {"logs", "[--level error|warn|info|debug] [--limit N] [--follow]",
     "the broker's newest log lines", sl_cli_logs},
    {"ledger", "[--transfers N] | --against hash|lease|idle|POLICY [--device DEVICE]",
     "accounts, and a replay of every posting; --against: what else would have been earned",
     sl_cli_ledger},
    {"settle", "import CSV [--check] | ls [--limit N]",
     "what pools really paid, in place of what shares were quoted at", sl_cli_settle},
    {"keys",
     "ls | new TENANT [LABEL] [--out FILE] | new --operator [LABEL] [--out FILE] | revoke ID",
     "API keys", sl_cli_keys},
    {"backtest",
     "SCENARIO.yaml... [--data DIR]... [--from T] [--to T] [--policy NAME,...] "
     "[--switch-cost SPAN,...] [--noise P] [--lag STEPS] [--seed N] [--constants FILE] "
     "[--html FILE] [--dump CSV] | --decisions LOG",
     "what policies would have earned on scenarios and recorded prices; asks no broker",
     sl_cli_backtest},
};

static void usage(FILE *out) {
    fputs("Usage: sluice [--url URL] [--key-file FILE] [--json] VERB [ARGUMENTS]\n\n", out);
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
        fprintf(out, "  %s%s%s\n      %s\n", verbs[i].name, verbs[i].arguments[0] ? " " : "",
                verbs[i].arguments, verbs[i].help);
    }
    fputs("\n"
          "  --url URL        the broker; else SLUICE_URL, else http://127.0.0.1:7680\n"
          "  --key-file FILE  file with an API key; else SLUICE_KEY, else the local operator key\n"
          "                   (SLUICE_DATA_DIR/operator.key, /var/lib/sluice/broker/operator.key)\n"
          "  --json           the broker's answer as it came; keys are listed in docs/api.md\n"
          "  --version, --help\n"
          "\n"
          "A device may be named by any part of its key that no other has.\n",
          out);
}

static int read_key(const char *path, char *key, size_t size, struct sl_error *err) {
    SL_AUTO_FILE FILE *file = fopen(path, "re");
    if (!file) {
        return sl_fail_errno(err, "cannot read the key file %s", path);
    }
    if (!fgets(key, (int)size, file)) {
        return ferror(file) ? sl_fail_errno(err, "cannot read the key file %s", path)
                            : sl_fail(err, SL_INVALID, "the key file %s is empty", path);
    }
    key[strcspn(key, "\r\n \t")] = '\0';
    return key[0] != '\0' ? SL_OK
                          : sl_fail(err, SL_INVALID, "the key file %s begins with no key", path);
}

/* Of the places where the local broker keeps its operator key, the first that can be read. */
static int local_key(char *key, size_t size, struct sl_error *err) {
    char path[300];
    const char *dir = getenv("SLUICE_DATA_DIR");
    if (dir && *dir) {
        snprintf(path, sizeof path, "%s/operator.key", dir);
        return read_key(path, key, size, err);
    }
    if (read_key("/var/lib/sluice/broker/operator.key", key, size, NULL) == SL_OK) {
        return SL_OK;
    }
    return sl_fail(err, SL_DENIED,
                   "no key: give --key-file, or set SLUICE_KEY, or SLUICE_DATA_DIR to the "
                   "broker's data_dir to use its operator key");
}

static int find_key(struct sl_cli *cli, const char *key_file, struct sl_error *err) {
    const char *from_env = getenv("SLUICE_KEY");
    if (key_file) {
        return read_key(key_file, cli->key, sizeof cli->key, err);
    }
    if (from_env && *from_env) {
        return sl_text_copy(cli->key, sizeof cli->key, from_env)
                   ? SL_OK
                   : sl_fail(err, SL_INVALID, "SLUICE_KEY is too long for a key");
    }
    return local_key(cli->key, sizeof cli->key, err);
}

static int find_url(struct sl_cli *cli, const char *url, struct sl_error *err) {
    const char *from_env = getenv("SLUICE_URL");
    const char *chosen = url ? url : from_env && *from_env ? from_env : "http://127.0.0.1:7680";
    if (strncmp(chosen, "http://", 7) != 0 && strncmp(chosen, "https://", 8) != 0) {
        return sl_fail(err, SL_INVALID, "'%s' is no address such as http://127.0.0.1:7680", chosen);
    }
    if (!sl_text_copy(cli->url, sizeof cli->url, chosen)) {
        return sl_fail(err, SL_INVALID, "the address is too long");
    }
    size_t len = strlen(cli->url);
    if (cli->url[len - 1] == '/') {
        cli->url[len - 1] = '\0';
    }
    return SL_OK;
}

static const struct verb *find_verb(const char *name) {
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
        if (strcmp(verbs[i].name, name) == 0) {
            return &verbs[i];
        }
    }
    return NULL;
}

static const char **global_value(const char *arg, size_t len, const char **url,
                                 const char **key_file) {
    if (len == strlen("--url") && strncmp(arg, "--url", len) == 0) {
        return url;
    }
    return len == strlen("--key-file") && strncmp(arg, "--key-file", len) == 0 ? key_file : NULL;
}

/* Takes the global options out of argv wherever they stand, so that `sluice devices --json` works.
 */
static int take_globals(int *argc, char **argv, const char **url, const char **key_file,
                        bool *json) {
    int kept = 0;
    for (int i = 0; i < *argc; i++) {
        size_t len = strcspn(argv[i], "=");
        const char **value = global_value(argv[i], len, url, key_file);
        if (strcmp(argv[i], "--json") == 0) {
            *json = true;
        } else if (value && argv[i][len] == '=') {
            *value = argv[i] + len + 1;
        } else if (value && i + 1 < *argc) {
            *value = argv[++i];
        } else if (value) {
            fprintf(stderr, "sluice: %s needs a value\n", argv[i]);
            return -1;
        } else {
            argv[kept++] = argv[i];
        }
    }
    *argc = kept;
    return 0;
}

/* Texts of other machines may stand in an error; lines of our own stay. */
static void print_error(const struct sl_cli *cli, const char *text) {
    SL_AUTO_BUF struct sl_buf clean = {0};
    char line[SL_ERROR_TEXT_MAX];
    while (*text) {
        size_t n = strcspn(text, "\n");
        snprintf(line, sizeof line, "%.*s", (int)n, text);
        sl_cli_clean(&clean, line);
        text += n;
        if (*text == '\n') {
            sl_buf_append(&clean, "\n", 1);
            text++;
        }
    }
    fprintf(stderr, "sluice %s: %s\n", cli->verb, clean.data ? clean.data : "");
}

static int run_verb(const struct verb *verb, struct sl_cli *cli, const char *url,
                    const char *key_file) {
    struct sl_error err = {0};
    if (find_key(cli, key_file, &err) != SL_OK) {
        cli->key[0] = '\0';
        sl_text_copy(cli->key_trouble, sizeof cli->key_trouble, err.text);
    }
    int rc = find_url(cli, url, &err);
    if (rc == SL_OK) {
        curl_global_init(CURL_GLOBAL_DEFAULT);
        rc = verb->run(cli, &err);
        curl_global_cleanup();
    }
    if (rc == SL_OK && (fflush(stdout) != 0 || ferror(stdout))) {
        rc = sl_fail_errno(&err, "writing to standard output");
    }
    if (rc == SL_OK) {
        return 0;
    }
    fflush(stdout);
    print_error(cli, err.text);
    return cli->wrong_usage ? 2 : 1;
}

static int run(int argc, char **argv) {
    const char *url = NULL;
    const char *key_file = NULL;
    const char *no_colour = getenv("NO_COLOR");
    struct sl_cli cli = {.colour = isatty(STDOUT_FILENO) && !(no_colour && *no_colour)};
    if (take_globals(&argc, argv, &url, &key_file, &cli.json)) {
        return 2;
    }
    if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        usage(argc < 2 ? stderr : stdout);
        return argc < 2 ? 2 : 0;
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("sluice %s\n", SLUICE_VERSION);
        return 0;
    }
    const struct verb *verb = find_verb(argv[1]);
    if (!verb) {
        fprintf(stderr, "sluice: there is no verb '%s'; see sluice --help\n", argv[1]);
        return 2;
    }
    for (int i = 2; i < argc; i++) { /* after `batch show`, too */
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            printf("usage: sluice %s%s%s\n    %s\n", verb->name, verb->arguments[0] ? " " : "",
                   verb->arguments, verb->help);
            return 0;
        }
    }
    cli.verb = verb->name;
    cli.arguments = verb->arguments;
    cli.argc = argc - 1; /* argv[0] of the verb is its own name */
    cli.argv = argv + 1;
    return run_verb(verb, &cli, url, key_file);
}

int main(int argc, char **argv) {
    sl_standard_hold(); /* before a file is made: it would take what was printed */
    return sl_standard_end("sluice", run(argc, argv));
}
