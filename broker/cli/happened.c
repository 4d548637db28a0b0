/* SPDX-License-Identifier: Apache-2.0
 * `events`: what happened on the site. `audit`: who ordered what. `logs`: the broker's log. All can
 * be followed until whoever reads them is gone: the broker is asked again with the number of the
 * last entry seen, also through its restarts. */
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/cli/cli.h"
#include "proto/base/clock.h"

#define POLL_MS 500
#define PAGE 1000

struct follow {
    struct sl_cli *cli;
    const char *list;   /* key of the entries */
    const char *number; /* key of their number */
    const char *last;   /* key of the newest number */
    const char *query;  /* "/api/v1/logs?level=warn&" */
    const char *first;  /* of the first page only, "since=...&"; or empty */
    bool newest_first;  /* so the first page comes */
    void (*print)(const struct sl_cli *cli, const json_t *entry);
    bool away; /* it was said that the broker does not answer */
    char started[40];
};

static const char *tone(const struct sl_cli *cli, const char *how_bad) {
    static const struct {
        const char *word;
        const char *code;
    } tones[] = {{"error", "\033[31m"}, {"alert", "\033[31m"}, {"warn", "\033[33m"}};
    for (size_t i = 0; cli->colour && i < sizeof tones / sizeof tones[0]; i++) {
        if (strcmp(tones[i].word, how_bad) == 0) {
            return tones[i].code;
        }
    }
    return "";
}

static void print_event(const struct sl_cli *cli, const json_t *event) {
    SL_AUTO_BUF struct sl_buf text = {0};
    const char *severity = sl_cli_text(event, "severity");
    const char *start = tone(cli, severity);
    const char *device = sl_cli_text(event, "device");
    sl_cli_value(event, "at", SL_CLI_TIME, &text);
    sl_buf_printf(&text, "  %s%-5s%s  ", start, severity, *start ? "\033[0m" : "");
    sl_cli_clean(&text, sl_cli_text(event, "kind"));
    sl_cli_clean(&text, "  ");
    sl_cli_clean(&text, device[0] ? device : sl_cli_text(event, "node"));
    sl_cli_clean(&text, "  ");
    sl_cli_clean(&text, sl_cli_text(event, "text"));
    puts(text.data ? text.data : "");
}

static void print_line(const struct sl_cli *cli, const json_t *line) {
    SL_AUTO_BUF struct sl_buf text = {0};
    const char *level = sl_cli_text(line, "level");
    const char *start = tone(cli, level);
    sl_cli_clean(&text, sl_cli_text(line, "at"));
    sl_buf_printf(&text, "  %s%-5s%s  ", start, level, *start ? "\033[0m" : "");
    sl_cli_clean(&text, sl_cli_text(line, "event"));
    sl_cli_clean(&text, "  ");
    sl_cli_clean(&text, sl_cli_text(line, "text"));
    puts(text.data ? text.data : "");
}

static void print_audit(const struct sl_cli *cli, const json_t *entry) {
    static const char *const keys[] = {"actor", "action", "subject", "detail"};
    SL_AUTO_BUF struct sl_buf text = {0};
    (void)cli;
    sl_cli_value(entry, "at", SL_CLI_TIME, &text);
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        const char *value = sl_cli_text(entry, keys[i]);
        if (value[0]) {
            sl_cli_clean(&text, "  ");
            sl_cli_clean(&text, value);
        }
    }
    puts(text.data ? text.data : "");
}

static void print_entries(const struct follow *f, const struct sl_cli_answer *answer,
                          bool newest_first) {
    const json_t *entries = sl_cli_find(answer->json, f->list);
    size_t count = json_array_size(entries);
    for (size_t i = 0; i < count; i++) {
        const json_t *entry = json_array_get(entries, newest_first ? count - 1 - i : i);
        if (f->cli->json) { /* one object a line, so that what follows can be piped */
            char *text = json_dumps(entry, JSON_COMPACT);
            puts(text ? text : "");
            free(text);
        } else {
            f->print(f->cli, entry);
        }
    }
    fflush(stdout);
}

static int64_t number_of(const json_t *object, const char *key) {
    return (int64_t)json_integer_value(sl_cli_find(object, key));
}

/* A restarted broker counts its log anew; a restored store has events with lower numbers. */
static int64_t next_after(struct follow *f, const struct sl_cli_answer *answer, int64_t after) {
    const char *started = sl_cli_text(answer->json, "started");
    bool anew = f->started[0] && strcmp(started, f->started) != 0;
    sl_text_copy(f->started, sizeof f->started, started);
    int64_t last = number_of(answer->json, f->last);
    if (anew || last < after) {
        return anew ? 0 : last;
    }
    /* The newest number may be above a full page: go on behind its last entry then. */
    const json_t *entries = sl_cli_find(answer->json, f->list);
    size_t n = json_array_size(entries);
    return n == PAGE ? number_of(json_array_get(entries, n - 1), f->number) : last;
}

static int one_turn(struct follow *f, int64_t *after, struct sl_error *err) {
    SL_CLI_AUTO_ANSWER struct sl_cli_answer answer = {0};
    char path[200];
    snprintf(path, sizeof path, "%safter=%lld&limit=%d", f->query, (long long)*after, PAGE);
    int rc = sl_cli_get(f->cli, path, &answer, err);
    /* SL_IO: a name that is not resolved now, an answer that was cut. */
    if (rc == -SL_CLOSED || rc == -SL_AGAIN || rc == -SL_TIMEOUT || rc == -SL_IO) {
        if (!f->away) {
            fprintf(stderr, "sluice: %s; waiting for it\n", err->text);
        }
        f->away = true;
        return SL_OK;
    }
    if (rc == SL_OK) {
        f->away = false;
        bool anew = f->started[0] && strcmp(f->started, sl_cli_text(answer.json, "started")) != 0;
        if (!anew) { /* else its first lines are asked for in the next turn */
            print_entries(f, &answer, false);
        }
        *after = next_after(f, &answer, *after);
    }
    return rc;
}

/* A pause; false: nobody reads any more, which a site where nothing happens would never show. */
static bool pause_while_read(void) {
    struct pollfd out = {.fd = STDOUT_FILENO};
    return poll(&out, 1, POLL_MS) <= 0 || !(out.revents & (POLLERR | POLLHUP | POLLNVAL));
}

static int show(struct follow *f, uint32_t limit, bool follow, struct sl_error *err) {
    char path[300];
    int64_t after = 0;
    {
        SL_CLI_AUTO_ANSWER struct sl_cli_answer answer = {0};
        snprintf(path, sizeof path, "%s%slimit=%u", f->query, f->first ? f->first : "", limit);
        int rc = sl_cli_get(f->cli, path, &answer, err);
        if (rc) {
            return rc;
        }
        if (f->cli->json && !follow) {
            sl_cli_print_json(&answer);
            return SL_OK;
        }
        print_entries(f, &answer, f->newest_first);
        sl_text_copy(f->started, sizeof f->started, sl_cli_text(answer.json, "started"));
        after = number_of(answer.json, f->last);
    }
    int rc = SL_OK;
    while (follow && rc == SL_OK && !ferror(stdout) && pause_while_read()) {
        rc = one_turn(f, &after, err);
    }
    return rc;
}

static int read_limit(struct sl_cli *cli, const char *text, uint32_t *ret_limit,
                      struct sl_error *err) {
    char *end = NULL;
    *ret_limit = 50;
    if (!text) {
        return SL_OK;
    }
    unsigned long value = strtoul(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end || value < 1 || value > PAGE) {
        return sl_cli_usage(cli, err, "--limit is a number from 1 to %d", PAGE);
    }
    *ret_limit = (uint32_t)value;
    return SL_OK;
}

int sl_cli_events(struct sl_cli *cli, struct sl_error *err) {
    const char *limit_text = NULL, *device = NULL;
    bool follow = false;
    uint32_t limit = 0;
    const struct sl_cli_option options[] = {{"--limit", &limit_text, NULL},
                                            {"--device", &device, NULL},
                                            {"--follow", NULL, &follow},
                                            {NULL, NULL, NULL}};
    int rc = sl_cli_options(cli, options, 0, 0, err);
    rc = rc ? rc : read_limit(cli, limit_text, &limit, err);
    if (rc == SL_OK && device && follow) {
        rc = sl_cli_usage(cli, err, "--follow shows the whole site: leave --device out");
    }
    if (rc) {
        return rc;
    }
    SL_AUTO_BUF struct sl_buf query = {0};
    sl_buf_printf(&query, "/api/v1/events?");
    if (device) {
        char key[160];
        rc = sl_cli_find_subject(cli, device, false, key, sizeof key, err);
        if (rc) {
            return rc;
        }
        sl_buf_printf(&query, "device=");
        sl_cli_escape(&query, key);
        sl_buf_printf(&query, "&");
    }
    struct follow f = {.cli = cli,
                       .list = "events",
                       .number = "id",
                       .last = "newest",
                       .query = query.data,
                       .print = print_event};
    return show(&f, limit, follow, err);
}

int sl_cli_audit(struct sl_cli *cli, struct sl_error *err) {
    const char *limit_text = NULL, *since = NULL;
    bool follow = false;
    uint32_t limit = 0;
    struct sl_wall time;
    const struct sl_cli_option options[] = {{"--limit", &limit_text, NULL},
                                            {"--since", &since, NULL},
                                            {"--follow", NULL, &follow},
                                            {NULL, NULL, NULL}};
    int rc = sl_cli_options(cli, options, 0, 0, err);
    rc = rc ? rc : read_limit(cli, limit_text, &limit, err);
    if (rc == SL_OK && since && sl_wall_parse(since, &time) != SL_OK) {
        rc = sl_cli_usage(cli, err, "--since: '%.60s' is no time such as 2026-11-22T17:00:00Z",
                          since);
    }
    if (rc) {
        return rc;
    }
    SL_AUTO_BUF struct sl_buf first = {0};
    if (since) {
        sl_buf_printf(&first, "since=");
        sl_cli_escape(&first, since);
        sl_buf_printf(&first, "&");
    }
    struct follow f = {.cli = cli,
                       .list = "audit",
                       .number = "id",
                       .last = "newest",
                       .query = "/api/v1/audit?",
                       .first = first.data,
                       .newest_first = true,
                       .print = print_audit};
    return show(&f, limit, follow, err);
}

int sl_cli_logs(struct sl_cli *cli, struct sl_error *err) {
    const char *limit_text = NULL, *level = NULL;
    bool follow = false;
    uint32_t limit = 0;
    char query[64];
    const struct sl_cli_option options[] = {{"--limit", &limit_text, NULL},
                                            {"--level", &level, NULL},
                                            {"--follow", NULL, &follow},
                                            {NULL, NULL, NULL}};
    int rc = sl_cli_options(cli, options, 0, 0, err);
    rc = rc ? rc : read_limit(cli, limit_text, &limit, err);
    bool known = !level || strcmp(level, "error") == 0 || strcmp(level, "warn") == 0 ||
                 strcmp(level, "info") == 0 || strcmp(level, "debug") == 0;
    if (rc == SL_OK && !known) {
        rc = sl_cli_usage(cli, err, "--level is error, warn, info or debug");
    }
    if (rc) {
        return rc;
    }
    snprintf(query, sizeof query, "/api/v1/logs?%s%s%s", level ? "level=" : "", level ? level : "",
             level ? "&" : "");
    struct follow f = {.cli = cli,
                       .list = "lines",
                       .number = "seq",
                       .last = "last",
                       .query = query,
                       .print = print_line};
    return show(&f, limit, follow, err);
}
