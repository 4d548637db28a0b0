/* SPDX-License-Identifier: Apache-2.0
 * `decisions`: stored decisions with all their figures, as lines of JSON. `replay`: makes one, or a
 * whole log of them, once more, on this machine, and compares every word. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "broker/cli/decision.h"
#include "proto/base/clock.h"

#define LINE_MAX_BYTES 65536

static int fetch(struct sl_cli *cli, const char *device, const char *epoch, const char *at,
                 struct sl_cli_answer *ret_answer, struct sl_error *err) {
    SL_AUTO_BUF struct sl_buf path = {0};
    sl_buf_printf(&path, "/api/v1/decisions?device=");
    sl_cli_escape(&path, device);
    sl_buf_printf(&path, epoch ? "&epoch=" : "&at=");
    sl_cli_escape(&path, epoch ? epoch : at);
    return path.failed ? sl_fail(err, SL_NOMEM, "no memory")
                       : sl_cli_get(cli, path.data, ret_answer, err);
}

/* "DEVICE@EPOCH"; the device by any part of its key that no other has. */
static int replay_one(struct sl_cli *cli, const char *id, struct sl_error *err) {
    const char *mark = strrchr(id, '@');
    char name[256];
    char key[256];
    if (!mark || mark == id || mark[1] < '1' || mark[1] > '9' ||
        strspn(mark + 1, "0123456789") != strlen(mark + 1) || mark - id >= (long)sizeof name) {
        return sl_cli_usage(cli, err,
                            "'%.100s' is no decision such as DEVICE@17: `sluice decisions` lists "
                            "them",
                            id);
    }
    snprintf(name, sizeof name, "%.*s", (int)(mark - id), id);
    int rc = sl_cli_find_subject(cli, name, false, key, sizeof key, err);
    if (rc) {
        return rc;
    }
    SL_CLI_AUTO_ANSWER struct sl_cli_answer answer = {0};
    struct sl_cli_decision decision;
    rc = fetch(cli, key, mark + 1, NULL, &answer, err);
    rc = rc ? rc : sl_cli_decision_read(answer.json, &decision, err);
    rc = rc ? rc : sl_cli_decision_again(&decision, err);
    rc = rc ? rc : sl_cli_decision_shown(answer.json, &decision, err);
    if (rc) {
        return sl_wrap(err, "decision %.100s", id);
    }
    if (cli->json) {
        printf("{\"decisions\":1,\"same\":1}\n");
        return SL_OK;
    }
    printf("%s@%s, policy %s (%s), digest of its inputs %.16s...\n", key, mark + 1,
           decision.policy->name, sl_cli_text(answer.json, "policy_version"),
           sl_cli_text(answer.json, "digest"));
    sl_cli_decision_print(cli, &decision);
    printf("\nMade again from the stored figures: the same, byte for byte.\n");
    return SL_OK;
}

struct count {
    unsigned long long decisions, same, unrecorded;
};

static int replay_line(const char *line, size_t size, struct count *count, struct sl_error *err) {
    json_error_t why;
    json_t *object = json_loadb(line, size, JSON_REJECT_DUPLICATES, &why);
    if (!object) {
        return sl_fail(err, SL_INVALID, "not JSON: %s", why.text);
    }
    struct sl_cli_decision decision;
    int rc = sl_cli_decision_read(object, &decision, err);
    if (rc == -SL_UNSUPPORTED && sl_cli_text(object, "record")[0] == '\0') {
        count->unrecorded++;
        rc = SL_OK;
    } else if (rc == SL_OK) {
        count->decisions++;
        rc = sl_cli_decision_again(&decision, err);
        rc = rc ? rc : sl_cli_decision_shown(object, &decision, err);
        count->same += rc == SL_OK;
    }
    json_decref(object);
    return rc;
}

/* Every line, also behind one that differs; the first trouble is told. */
static int replay_file(struct sl_cli *cli, const char *path, struct sl_error *err) {
    SL_AUTO_FILE FILE *file = fopen(path, "re");
    if (!file) {
        return sl_fail_errno(err, "cannot read %s", path);
    }
    char *line = malloc(LINE_MAX_BYTES);
    struct count count = {0};
    struct sl_error first = {0};
    int rc = line ? SL_OK : sl_fail(err, SL_NOMEM, "no memory");
    for (unsigned long number = 1; rc == SL_OK && fgets(line, LINE_MAX_BYTES, file); number++) {
        size_t len = strlen(line);
        struct sl_error why = {0};
        if (len == 0) { /* and zeros go on for ever in some files */
            rc = sl_fail(err, SL_INVALID, "%s:%lu: a NUL: this is no text", path, number);
        } else if (len == LINE_MAX_BYTES - 1) {
            rc =
                sl_fail(err, SL_LIMIT, "%s:%lu: the line is too long for a decision", path, number);
        } else if (strspn(line, " \r\n\t") != len &&
                   replay_line(line, len, &count, &why) != SL_OK && first.status == SL_OK) {
            first = why;
            sl_wrap(&first, "%s:%lu", path, number);
        }
    }
    free(line);
    if (rc == SL_OK && ferror(file)) {
        rc = sl_fail_errno(err, "reading %s", path);
    }
    if (rc) {
        return rc;
    }
    if (cli->json) {
        printf("{\"decisions\":%llu,\"same\":%llu,\"unrecorded\":%llu}\n", count.decisions,
               count.same, count.unrecorded);
    } else {
        printf("%llu of %llu decisions come out the same, byte for byte", count.same,
               count.decisions);
        printf(count.unrecorded ? "; %llu have no record\n" : "\n", count.unrecorded);
    }
    if (first.status != SL_OK) {
        *err = first;
        return first.status;
    }
    return count.decisions > 0 ? SL_OK
                               : sl_fail(err, SL_INVALID,
                                         "%s holds no recorded decision: make one with `sluice "
                                         "decisions --out FILE`",
                                         path);
}

int sl_cli_replay(struct sl_cli *cli, struct sl_error *err) {
    const char *file = NULL;
    const struct sl_cli_option options[] = {{"--file", &file, NULL}, {NULL, NULL, NULL}};
    int rc = sl_cli_options(cli, options, 0, 1, err);
    if (rc) {
        return rc;
    }
    if ((file != NULL) == (cli->argc > 1)) {
        return sl_cli_usage(cli, err, "give either a decision or --file LOG");
    }
    return file ? replay_file(cli, file, err) : replay_one(cli, cli->argv[1], err);
}

int sl_cli_explain_at(struct sl_cli *cli, const char *key, const char *at, struct sl_error *err) {
    struct sl_wall time;
    if (sl_wall_parse(at, &time) != SL_OK) {
        return sl_cli_usage(cli, err, "--at: '%.60s' is no time such as 2026-11-22T17:00:00Z", at);
    }
    SL_CLI_AUTO_ANSWER struct sl_cli_answer answer = {0};
    int rc = fetch(cli, key, NULL, at, &answer, err);
    if (rc || cli->json) {
        if (rc == SL_OK) {
            sl_cli_print_json(&answer);
        }
        return rc;
    }
    SL_AUTO_BUF struct sl_buf head = {0};
    sl_cli_value(answer.json, "id", SL_CLI_TEXT, &head);
    sl_buf_printf(&head, ", decided ");
    sl_cli_value(answer.json, "at", SL_CLI_TIME, &head);
    sl_buf_printf(&head, " UTC: ");
    sl_cli_value(answer.json, "mode", SL_CLI_TEXT, &head);
    sl_buf_printf(&head, " by ");
    sl_cli_value(answer.json, "rule", SL_CLI_TEXT, &head);
    sl_buf_printf(&head, "\nFigures: ");
    sl_cli_value(answer.json, "why", SL_CLI_TEXT, &head);
    printf("%s\n", head.data ? head.data : "");
    const char *words = sl_cli_rule_words(sl_cli_text(answer.json, "rule"));
    printf(words[0] ? "         %s\n" : "%s", words);
    struct sl_cli_decision decision;
    rc = sl_cli_decision_read(answer.json, &decision, err);
    if (rc == -SL_UNSUPPORTED) {
        printf("%s\n", err->text);
        return SL_OK;
    }
    if (rc == SL_OK) {
        sl_cli_decision_print(cli, &decision);
    }
    return rc;
}

int sl_cli_decisions(struct sl_cli *cli, struct sl_error *err) {
    static const struct sl_cli_column columns[] = {
        {"decision", "id", SL_CLI_TEXT, false, false},
        {"time (UTC)", "at", SL_CLI_TIME, false, false},
        {"mode", "mode", SL_CLI_TEXT, false, true},
        {"rule", "rule", SL_CLI_TEXT, false, false},
        {"figures", "why", SL_CLI_TEXT, false, false},
        {NULL, NULL, SL_CLI_TEXT, false, false},
    };
    const char *limit = NULL;
    const char *out = NULL;
    const struct sl_cli_option options[] = {
        {"--limit", &limit, NULL}, {"--out", &out, NULL}, {NULL, NULL, NULL}};
    int rc = sl_cli_options(cli, options, 0, 1, err);
    char key[256] = "";
    if (rc == SL_OK && cli->argc > 1) {
        rc = sl_cli_find_subject(cli, cli->argv[1], false, key, sizeof key, err);
    }
    SL_AUTO_BUF struct sl_buf path = {0};
    sl_buf_printf(&path, "/api/v1/decisions?limit=");
    sl_cli_escape(&path, limit ? limit : out ? "10000" : "20");
    if (key[0]) {
        sl_buf_printf(&path, "&device=");
        sl_cli_escape(&path, key);
    }
    SL_CLI_AUTO_ANSWER struct sl_cli_answer answer = {0};
    rc = rc            ? rc
         : path.failed ? sl_fail(err, SL_NOMEM, "no memory")
                       : sl_cli_get(cli, path.data, &answer, err);
    if (rc) {
        return rc;
    }
    const json_t *rows = sl_cli_find(answer.json, "decisions");
    if (!out) {
        if (cli->json) {
            sl_cli_print_json(&answer);
        } else {
            sl_cli_table(cli, rows, columns, "Nothing was decided yet.");
        }
        return SL_OK;
    }
    SL_AUTO_FILE FILE *file = fopen(out, "we");
    if (!file) {
        return sl_fail_errno(err, "cannot write %s", out);
    }
    for (size_t i = json_array_size(rows); i > 0; i--) { /* oldest first */
        json_dumpf(json_array_get(rows, i - 1), file, JSON_COMPACT);
        fputc('\n', file);
    }
    return fflush(file) != 0 || ferror(file) ? sl_fail_errno(err, "writing %s", out) : SL_OK;
}
