/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/base/clock.h"

static const char help[] =
    "sluice-sim: a whole Sluice site in one thread, in virtual time, from a seed.\n"
    "\n"
    "  --seeds N        run seeds 1 to N (see --from); prints how often each fault and rare path\n"
    "                   fired, and fails when one of them never did in 200 seeds or more\n"
    "  --from S         begin with seed S instead of 1\n"
    "  --seed S         run one seed; prints its digest, the same on every machine for one commit\n"
    "  --trace          ... and tell it as a story\n"
    "  --debug          ... with the processes' debug lines\n"
    "  --pinned FILE    run what FILE names, a run a line (see tests/sim/pinned.txt)\n"
    "  --mutants        in a build with -DSLUICE_MUTANTS=ON: each mutant must be seen by one of\n"
    "                   the first N seeds (--seeds N, 500)\n"
    "  --mutant NAME    ... only this one\n"
    "  --span SPAN      length of the part with faults, as 10m or 1h (else drawn from the seed)\n"
    "  --agents N --devices N --lines N   size of the site (else drawn)\n"
    "  --faults A,B     only these faults, all of them; `none`: none\n"
    "  --strikes N      at most so many strikes\n"
    "  --hour           the reference run: 1 h, 8 agents of 2 devices, 1000 lines, all faults\n"
    "  --jobs N         seeds at a time (default: processors)\n"
    "  --no-shrink      do not look for a smaller run that fails the same way\n"
    "  --list           names of all faults and rare paths\n"
    "  --help\n";

void sim_cli_help(FILE *out) {
    fputs(help, out);
}

void sim_cli_list(FILE *out) {
    for (int i = 0; i < SIM_COUNTS; i++) {
        fprintf(out, "%-5s  %-20s %s\n", i < SIM_FAULTS ? "fault" : "path",
                sim_fault_name((enum sim_fault)i), sim_fault_text((enum sim_fault)i));
    }
}

static int number(const char *name, const char *text, uint64_t min, uint64_t max,
                  uint64_t *ret_value, struct sl_error *err) {
    char *end = NULL;
    errno = 0;
    unsigned long long value =
        text && text[0] >= '0' && text[0] <= '9' ? strtoull(text, &end, 10) : 0;
    if (!end || *end != '\0' || errno || value < min || value > max) {
        return sl_fail(err, SL_INVALID, "%s wants a whole number from %llu to %llu, not '%s'", name,
                       (unsigned long long)min, (unsigned long long)max, text ? text : "");
    }
    *ret_value = value;
    return SL_OK;
}

static int faults(const char *text, uint64_t *ret_bits, struct sl_error *err) {
    char copy[2048];
    char *rest = NULL;
    uint64_t bits = 0;
    if (snprintf(copy, sizeof copy, "%s", text) >= (int)sizeof copy) {
        return sl_fail(err, SL_LIMIT, "--faults is too long");
    }
    for (char *name = strtok_r(copy, ",", &rest); name; name = strtok_r(NULL, ",", &rest)) {
        enum sim_fault fault = sim_fault_find(name);
        if (fault == SIM_FAULTS && strcmp(name, "none") != 0) {
            return sl_fail(err, SL_INVALID,
                           "there is no fault '%s'; `sluice-sim --list` names all of them", name);
        }
        bits |= fault == SIM_FAULTS ? 0 : UINT64_C(1) << fault;
    }
    *ret_bits = bits;
    return SL_OK;
}

struct parsing {
    struct sim_cli *cli;
    int argc;
    char **argv;
    int at;
    struct sl_error *err;
};

static const char *value_of(struct parsing *p) {
    return p->at + 1 < p->argc ? p->argv[++p->at] : NULL;
}

/* Options of a run; 1: not one of them. */
static int parse_run(struct parsing *p, struct sim_options *run) {
    const char *name = p->argv[p->at];
    uint64_t value = 0;
    int rc = SL_OK;
    if (strcmp(name, "--seed") == 0) {
        return number("--seed", value_of(p), 1, INT64_MAX, &run->seed, p->err);
    }
    if (strcmp(name, "--span") == 0) {
        const char *text = value_of(p);
        int64_t span = 0;
        if (!text || sl_span_parse(text, &span) != SL_OK || span < 1000 || span > 86400000) {
            return sl_fail(p->err, SL_INVALID, "--span wants 1s to 24h, as 10m, not '%s'",
                           text ? text : "");
        }
        run->span_ms = span;
    } else if (strcmp(name, "--agents") == 0) {
        rc = number(name, value_of(p), 1, SIM_AGENTS_MAX, &value, p->err);
        run->agents = (uint32_t)value;
    } else if (strcmp(name, "--devices") == 0) {
        rc = number(name, value_of(p), 1, SIM_DEVICES_MAX, &value, p->err);
        run->devices = (uint32_t)value;
    } else if (strcmp(name, "--lines") == 0) {
        rc = number(name, value_of(p), 1, 5000, &value, p->err);
        run->lines = (uint32_t)value;
    } else if (strcmp(name, "--strikes") == 0) {
        rc = number(name, value_of(p), 1, 1000000, &value, p->err);
        run->strikes_max = (uint32_t)value;
    } else if (strcmp(name, "--faults") == 0) {
        const char *text = value_of(p);
        run->all_faults = true;
        rc = text ? faults(text, &run->faults, p->err)
                  : sl_fail(p->err, SL_INVALID, "--faults wants names");
    } else if (strcmp(name, "--hour") == 0) {
        run->span_ms = 3600000;
        run->agents = 8;
        run->devices = 2;
        run->lines = 1000;
    } else {
        rc = 1;
    }
    return rc;
}

static int parse_other(struct parsing *p) {
    struct sim_cli *cli = p->cli;
    const char *name = p->argv[p->at];
    uint64_t value = 0;
    int rc = SL_OK;
    if (strcmp(name, "--seeds") == 0) {
        rc = number(name, value_of(p), 1, 100000000, &cli->count, p->err);
        cli->mode = cli->mode ? cli->mode : SIM_MODE_SEEDS;
    } else if (strcmp(name, "--from") == 0) {
        rc = number(name, value_of(p), 1, INT64_MAX - 100000000, &cli->first, p->err);
    } else if (strcmp(name, "--trace") == 0) {
        cli->run.story = stdout;
    } else if (strcmp(name, "--debug") == 0) {
        cli->run.story = stdout;
        cli->run.story_debug = true;
    } else if (strcmp(name, "--pinned") == 0) {
        cli->pinned = value_of(p);
        cli->mode = SIM_MODE_PINNED;
        rc = cli->pinned ? SL_OK : sl_fail(p->err, SL_INVALID, "--pinned wants a file");
    } else if (strcmp(name, "--mutants") == 0) {
        cli->mode = SIM_MODE_MUTANTS;
    } else if (strcmp(name, "--mutant") == 0) {
        cli->mutant = value_of(p);
        cli->mode = SIM_MODE_MUTANTS;
        rc = cli->mutant ? SL_OK : sl_fail(p->err, SL_INVALID, "--mutant wants a name");
    } else if (strcmp(name, "--jobs") == 0) {
        rc = number(name, value_of(p), 1, 256, &value, p->err);
        cli->jobs = (uint32_t)value;
    } else if (strcmp(name, "--no-shrink") == 0) {
        cli->shrink = false;
    } else if (strcmp(name, "--list") == 0) {
        cli->mode = SIM_MODE_LIST;
    } else if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
        cli->mode = SIM_MODE_HELP;
    } else {
        rc = sl_fail(p->err, SL_INVALID, "unknown option '%s'; see --help", name);
    }
    return rc;
}

int sim_cli_parse(int argc, char **argv, struct sim_cli *ret_cli, struct sl_error *err) {
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    struct sim_cli cli = {.run.faults = SIM_ALL_FAULTS,
                          .first = 1,
                          .shrink = true,
                          .jobs = processors > 0 ? (uint32_t)processors : 1};
    struct parsing p = {.cli = &cli, .argc = argc, .argv = argv, .at = 1, .err = err};
    for (; p.at < argc; p.at++) {
        int rc = parse_run(&p, &cli.run);
        rc = rc == 1 ? parse_other(&p) : rc;
        if (rc) {
            return rc;
        }
    }
    if (cli.run.seed && !cli.mode) {
        cli.mode = SIM_MODE_ONE;
    } else if (!cli.mode) {
        return sl_fail(err, SL_INVALID, "say --seeds N or --seed S; see --help");
    }
    cli.count = cli.count ? cli.count : cli.mode == SIM_MODE_MUTANTS ? 500 : 1;
    *ret_cli = cli;
    return SL_OK;
}

int sim_cli_parse_line(char *line, struct sim_options *ret_run, struct sl_error *err) {
    char *words[32] = {NULL};
    char *rest = NULL;
    int count = 1;
    line[strcspn(line, "#\r\n")] = '\0';
    for (char *word = strtok_r(line, " \t", &rest); word && count < 31;
         word = strtok_r(NULL, " \t", &rest)) {
        words[count++] = word;
    }
    if (count == 1) {
        return -SL_NOTFOUND;
    }
    struct sim_options run = {.faults = SIM_ALL_FAULTS};
    struct parsing p = {.argc = count, .argv = words, .at = 1, .err = err};
    for (; p.at < count; p.at++) {
        int rc = parse_run(&p, &run);
        if (rc) {
            return rc == 1 ? sl_fail(err, SL_INVALID, "'%s' is no option of a run", words[p.at])
                           : rc;
        }
    }
    if (run.seed == 0) {
        return sl_fail(err, SL_INVALID, "a run wants --seed S");
    }
    *ret_run = run;
    return SL_OK;
}

void sim_cli_words(const struct sim_options *run, char *out, size_t size) {
    size_t at = (size_t)snprintf(out, size,
                                 "--seed %llu --span %lldms --agents %u --devices %u "
                                 "--lines %u",
                                 (unsigned long long)run->seed, (long long)run->span_ms,
                                 run->agents, run->devices, run->lines);
    if (run->strikes_max && at < size) {
        at += (size_t)snprintf(out + at, size - at, " --strikes %u", run->strikes_max);
    }
    const char *separator = " --faults ";
    for (int i = 0; i < SIM_FAULTS && at < size; i++) {
        if (run->faults >> i & 1) {
            at += (size_t)snprintf(out + at, size - at, "%s%s", separator,
                                   sim_fault_name((enum sim_fault)i));
            separator = ",";
        }
    }
    if (run->faults == 0 && at < size) {
        snprintf(out + at, size - at, " --faults none");
    }
}
