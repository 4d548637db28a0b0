/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <string.h>

#include "broker/cli/cli.h"

int sl_cli_usage(struct sl_cli *cli, struct sl_error *err, const char *format, ...) {
    char what[160];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    cli->wrong_usage = true;
    return sl_fail(err, SL_INVALID, "%s\nusage: sluice %s %s", what, cli->verb, cli->arguments);
}

static const struct sl_cli_option *find(const struct sl_cli_option *options, const char *name,
                                        size_t len) {
    for (; options && options->name; options++) {
        if (strlen(options->name) == len && strncmp(options->name, name, len) == 0) {
            return options;
        }
    }
    return NULL;
}

/* Sets the option that stands at argv[*at]; "--name=value" is accepted too. */
static int take(struct sl_cli *cli, const struct sl_cli_option *options, int *at,
                struct sl_error *err) {
    const char *arg = cli->argv[*at];
    size_t len = strcspn(arg, "=");
    const struct sl_cli_option *option = find(options, arg, len);
    if (!option) {
        return sl_cli_usage(cli, err, "there is no option '%.60s' here", arg);
    }
    if (option->flag) {
        if (arg[len] == '=') {
            return sl_cli_usage(cli, err, "%s takes no value", option->name);
        }
        *option->flag = true;
        return SL_OK;
    }
    if (arg[len] != '=' && *at + 1 == cli->argc) {
        return sl_cli_usage(cli, err, "%s needs a value", option->name);
    }
    *option->value = arg[len] == '=' ? arg + len + 1 : cli->argv[++*at];
    return SL_OK;
}

int sl_cli_options(struct sl_cli *cli, const struct sl_cli_option *options, int min, int max,
                   struct sl_error *err) {
    int kept = 1;
    bool over = false;
    for (int i = 1; i < cli->argc; i++) {
        char *arg = cli->argv[i];
        /* "-" is a file name, and "-5" a number that the broker shall judge. */
        bool option = !over && arg[0] == '-' && arg[1] == '-';
        if (option && arg[2] == '\0') {
            over = true;
        } else if (option) {
            int rc = take(cli, options, &i, err);
            if (rc) {
                return rc;
            }
        } else {
            cli->argv[kept++] = arg;
        }
    }
    cli->argc = kept;
    if (kept - 1 < min) {
        return sl_cli_usage(cli, err, "an argument is missing");
    }
    if (kept - 1 > max) {
        return sl_cli_usage(cli, err, "'%.60s' is one argument too many", cli->argv[max + 1]);
    }
    return SL_OK;
}
