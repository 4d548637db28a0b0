/* SPDX-License-Identifier: Apache-2.0
 * `sluice backtest`: policies on scenarios and recorded prices. Asks no broker. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "broker/backtest/output.h"
#include "broker/backtest/page.h"
#include "broker/cli/cli.h"
#include "broker/policy/document.h"

#define SCENARIOS_MAX 64

struct output {
    const char *path;
    char part[1024];
    FILE *file;
};

struct backtest {
    struct sl_judge_config config;
    const char *folders[SL_RECORDING_FOLDERS_MAX];
    size_t folder_count;
    struct sl_scenario_window window;
    struct sl_scenario_set *sets[SCENARIOS_MAX];
    size_t set_count;
    struct sl_backtest_table *table;
    struct sl_backtest_json json;
    bool as_json;
    struct output dump, html;
    struct sl_backtest_page *page;
};

/* ---- arguments ---- */

/* --data may be given more than once. */
static int take_folders(struct sl_cli *cli, struct backtest *b, struct sl_error *err) {
    int kept = 0;
    for (int i = 0; i < cli->argc; i++) {
        const char *arg = cli->argv[i];
        const char *value = NULL;
        if (strncmp(arg, "--data=", 7) == 0) {
            value = arg + 7;
        } else if (strcmp(arg, "--data") == 0) {
            value = i + 1 < cli->argc ? cli->argv[++i] : NULL;
            if (!value) {
                return sl_cli_usage(cli, err, "--data needs a folder");
            }
        } else {
            cli->argv[kept++] = cli->argv[i];
            continue;
        }
        if (b->folder_count == SL_RECORDING_FOLDERS_MAX) {
            return sl_cli_usage(cli, err, "at most %d --data folders", SL_RECORDING_FOLDERS_MAX);
        }
        b->folders[b->folder_count++] = value;
    }
    cli->argc = kept;
    return SL_OK;
}

static int parse_time(struct sl_cli *cli, const char *option, const char *text, int64_t *ret_ms,
                      struct sl_error *err) {
    struct sl_wall at;
    if (!text) {
        return SL_OK;
    }
    if (sl_wall_parse(text, &at) != SL_OK) {
        return sl_cli_usage(cli, err,
                            "%s: '%s' is no time such as 2025-01-31 or "
                            "2025-01-31T12:00:00Z",
                            option, text);
    }
    *ret_ms = at.ms;
    return SL_OK;
}

/* The next of a list with commas, into item; false at its end. */
static bool next_item(const char **list, char *item, size_t size) {
    if (**list == '\0') {
        return false;
    }
    size_t len = strcspn(*list, ",");
    snprintf(item, size, "%.*s", (int)len, *list);
    *list += len + ((*list)[len] == ',' ? 1 : 0);
    return true;
}

static int parse_policies(struct sl_cli *cli, struct backtest *b, const char *list,
                          struct sl_error *err) {
    char name[24];
    while (next_item(&list, name, sizeof name)) {
        const struct sl_switching_policy *policy = sl_switching_find(name);
        if (!policy && strcmp(name, "fixed") != 0) {
            SL_AUTO_BUF struct sl_buf known = {0};
            for (size_t i = 0; sl_switching_at(i); i++) {
                sl_buf_printf(&known, "%s, ", sl_switching_at(i)->name);
            }
            return sl_cli_usage(cli, err, "there is no policy '%s'; there are %sfixed", name,
                                known.data ? known.data : "");
        }
        for (uint32_t i = 0; i < b->config.policy_count; i++) {
            if (strcmp(b->config.policies[i].name, name) == 0) {
                return sl_cli_usage(cli, err, "--policy names %s twice", name);
            }
        }
        if (b->config.policy_count == SL_JUDGE_POLICIES_MAX) {
            return sl_cli_usage(cli, err, "at most %d policies", SL_JUDGE_POLICIES_MAX);
        }
        struct sl_judge_policy *to = &b->config.policies[b->config.policy_count++];
        sl_text_copy(to->name, sizeof to->name, name);
        to->policy = policy;
    }
    return b->config.policy_count ? SL_OK : sl_cli_usage(cli, err, "--policy names none");
}

static int parse_costs(struct sl_cli *cli, struct backtest *b, const char *list,
                       struct sl_error *err) {
    char item[32];
    while (next_item(&list, item, sizeof item)) {
        int64_t ms = 0;
        size_t len = strlen(item);
        if (len > 3 && strcmp(item + len - 3, "min") == 0) {
            item[len - 2] = '\0'; /* "5min", as people write it */
        }
        if (sl_span_parse(item, &ms) != SL_OK || ms < 1 || ms > INT64_C(86400000)) {
            return sl_cli_usage(cli, err,
                                "--switch-cost: '%s' is no span such as 30s or 5min, at "
                                "most a day",
                                item);
        }
        for (uint32_t i = 0; i < b->config.cost_count; i++) {
            if (b->config.cost_ms[i] == ms) {
                return sl_cli_usage(cli, err, "--switch-cost names %s twice", item);
            }
        }
        if (b->config.cost_count == SL_JUDGE_COSTS_MAX) {
            return sl_cli_usage(cli, err, "at most %d costs", SL_JUDGE_COSTS_MAX);
        }
        b->config.cost_ms[b->config.cost_count++] = ms;
    }
    return b->config.cost_count ? SL_OK : sl_cli_usage(cli, err, "--switch-cost names none");
}

/* 5% or 0.05 */
static int parse_noise(struct sl_cli *cli, struct backtest *b, const char *text,
                       struct sl_error *err) {
    char *end = NULL;
    double noise = text ? strtod(text, &end) : SL_JUDGE_NOISE_OWN;
    if (text) {
        bool percent = end != text && strcmp(end, "%") == 0;
        noise = percent ? noise / 100 : noise;
        bool good = end != text && (percent || *end == '\0') && noise >= 0 && noise <= 1 &&
                    text[strspn(text, "0123456789.%")] == '\0';
        if (!good) {
            return sl_cli_usage(cli, err, "--noise: '%s' is nothing such as 5%% or 0.05", text);
        }
    }
    b->config.noise = noise;
    return SL_OK;
}

static int parse_whole(struct sl_cli *cli, const char *option, const char *text, uint64_t max,
                       uint64_t *ret_value, struct sl_error *err) {
    if (!text) {
        return SL_OK;
    }
    errno = 0;
    char *end = NULL;
    unsigned long long value = strtoull(text, &end, 10);
    if (!*text || *end || errno || text[strspn(text, "0123456789")] || value > max) {
        return sl_cli_usage(cli, err, "%s: '%s' is no whole number up to %llu", option, text,
                            (unsigned long long)max);
    }
    *ret_value = value;
    return SL_OK;
}

static int parse(struct sl_cli *cli, struct backtest *b, struct sl_error *err) {
    const char *from = NULL;
    const char *to = NULL;
    const char *policies = "fbf,work-function,percent,minimum-time,greedy,fixed";
    const char *costs = "1s,30s,5min,30min";
    const char *noise = NULL;
    const char *lag = NULL;
    const char *seed = NULL;
    const char *constants = NULL;
    const struct sl_cli_option options[] = {
        {"--from", .value = &from},
        {"--to", .value = &to},
        {"--policy", .value = &policies},
        {"--switch-cost", .value = &costs},
        {"--noise", .value = &noise},
        {"--lag", .value = &lag},
        {"--seed", .value = &seed},
        {"--dump", .value = &b->dump.path},
        {"--constants", .value = &constants},
        {"--html", .value = &b->html.path},
        {0},
    };
    uint64_t lag_steps = SL_JUDGE_LAG_OWN;
    b->window = (struct sl_scenario_window){INT64_MIN, INT64_MAX};
    struct sl_policy_document document;
    sl_policy_document_default(&document);
    b->config.seed = 1;
    b->as_json = cli->json;
    int rc = take_folders(cli, b, err);
    rc = rc ? rc : sl_cli_options(cli, options, 1, SCENARIOS_MAX, err);
    rc = rc ? rc : parse_time(cli, "--from", from, &b->window.from_ms, err);
    rc = rc ? rc : parse_time(cli, "--to", to, &b->window.to_ms, err);
    if (rc == SL_OK && b->window.from_ms >= b->window.to_ms) {
        return sl_cli_usage(cli, err, "--from %s is not before --to %s", from, to);
    }
    rc = rc ? rc : parse_policies(cli, b, policies, err);
    rc = rc ? rc : parse_costs(cli, b, costs, err);
    rc = rc ? rc : parse_noise(cli, b, noise, err);
    rc = rc ? rc : parse_whole(cli, "--lag", lag, 10000, &lag_steps, err);
    rc = rc ? rc : parse_whole(cli, "--seed", seed, UINT64_MAX, &b->config.seed, err);
    b->config.lag = (uint32_t)lag_steps;
    rc = rc || !constants ? rc : sl_policy_document_read(constants, &document, err);
    b->config.params = document.switching;
    return rc;
}

/* ---- files that appear when they are whole ---- */

static int output_open(struct output *o, struct sl_error *err) {
    if (!o->path) {
        return SL_OK;
    }
    int n = snprintf(o->part, sizeof o->part, "%s.part", o->path);
    if (n < 0 || (size_t)n >= sizeof o->part) {
        return sl_fail(err, SL_LIMIT, "the path %s is too long", o->path);
    }
    o->file = fopen(o->part, "we");
    return o->file ? SL_OK : sl_fail_errno(err, "cannot write %s", o->part);
}

static int output_close(struct output *o, int rc, struct sl_error *err) {
    if (!o->file) {
        return rc;
    }
    bool failed = ferror(o->file) != 0;
    failed = fclose(o->file) != 0 || failed;
    o->file = NULL;
    if (rc == SL_OK && failed) {
        rc = sl_fail_errno(err, "writing %s", o->part);
    }
    if (rc == SL_OK && rename(o->part, o->path) != 0) {
        rc = sl_fail_errno(err, "renaming %s to %s", o->part, o->path);
    }
    if (rc) {
        remove(o->part);
    }
    return rc;
}

/* ---- the work ---- */

static int see(void *arg, const struct sl_judge_case *one, struct sl_error *err) {
    struct backtest *b = arg;
    int rc = b->as_json ? sl_backtest_json_see(&b->json, one, err)
                        : sl_backtest_table_see(b->table, one, err);
    if (rc == SL_OK && b->dump.file) {
        rc = sl_backtest_dump_see(b->dump.file, one, err);
    }
    if (rc == SL_OK && b->page) {
        rc = sl_backtest_page_see(b->page, one, err);
    }
    return rc;
}

/* All are read before anything is written, so that a bad one leaves nothing half done. */
static int load_all(struct sl_cli *cli, struct backtest *b, struct sl_error *err) {
    for (int i = 1; i < cli->argc; i++) {
        struct sl_scenario_set *set = NULL;
        int rc = sl_scenario_load(cli->argv[i], b->folders, b->folder_count, &b->window, &set, err);
        if (rc) {
            return rc;
        }
        b->sets[b->set_count++] = set;
        for (size_t j = 0; j + 1 < b->set_count; j++) {
            if (strcmp(b->sets[j]->scenario.name, set->scenario.name) == 0) {
                return sl_fail(err, SL_EXISTS, "%s: a second scenario is named %s", cli->argv[i],
                               set->scenario.name);
            }
        }
    }
    return SL_OK;
}

static int run(struct backtest *b, struct sl_error *err) {
    int rc = sl_backtest_table_create(&b->table, err);
    b->json.out = stdout;
    rc = rc ? rc : output_open(&b->dump, err);
    rc = rc ? rc : output_open(&b->html, err);
    if (rc == SL_OK && b->html.file) {
        rc = sl_backtest_page_create(&b->config, &b->page, err);
    }
    if (rc == SL_OK && b->dump.file) {
        rc = sl_backtest_dump_head(b->dump.file, &b->config, err);
    }
    for (size_t i = 0; rc == SL_OK && i < b->set_count; i++) {
        rc = sl_judge_run(&b->config, b->sets[i], see, b, err);
    }
    if (rc == SL_OK && b->page) {
        rc = sl_backtest_page_write(b->page, b->html.file, err);
    }
    rc = output_close(&b->dump, rc, err);
    rc = output_close(&b->html, rc, err);
    if (rc == SL_OK && b->as_json) {
        sl_backtest_json_end(&b->json);
    } else if (rc == SL_OK) {
        sl_backtest_table_print(b->table, stdout);
    }
    return rc;
}

/* The log of a running broker is a market of its own and takes no other option. */
static int recorded(struct sl_cli *cli, struct sl_error *err) {
    const char *log = NULL;
    const struct sl_cli_option options[] = {{"--decisions", .value = &log}, {0}};
    int rc = sl_cli_options(cli, options, 0, 0, err);
    if (rc == SL_OK && !log) {
        rc = sl_cli_usage(cli, err, "--decisions needs a log");
    }
    return rc || !log ? rc : sl_cli_backtest_recorded(cli, log, err);
}

int sl_cli_backtest(struct sl_cli *cli, struct sl_error *err) {
    for (int i = 1; i < cli->argc; i++) {
        if (strncmp(cli->argv[i], "--decisions", 11) == 0) {
            return recorded(cli, err);
        }
    }
    struct backtest *b = calloc(1, sizeof *b);
    if (!b) {
        return sl_fail(err, SL_NOMEM, "no memory for a backtest");
    }
    int rc = parse(cli, b, err);
    rc = rc ? rc : load_all(cli, b, err);
    rc = rc ? rc : run(b, err);
    sl_backtest_table_destroy(b->table);
    sl_backtest_page_destroy(b->page);
    for (size_t i = 0; i < b->set_count; i++) {
        sl_scenario_set_destroy(b->sets[i]);
    }
    free(b);
    return rc;
}
