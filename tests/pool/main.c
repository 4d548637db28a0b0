/* SPDX-License-Identifier: Apache-2.0
 * sluice-test-pool: see --help. */
#include <stdio.h>
#include <stdlib.h>

#include "proto/base/cleanup.h"
#include "tests/pool/options.h"
#include "tests/pool/server.h"

int main(int argc, char **argv) {
    struct sl_tp_options options;
    struct sl_error err;
    if (sl_tp_options_parse(argc, argv, &options, &err) < 0) {
        fprintf(stderr, "sluice-test-pool: %s\n", err.text);
        return 2;
    }
    if (options.help) {
        SL_AUTO_FREE char *help = sl_tp_options_help();
        fputs(help ? help : "", stdout);
        return 0;
    }
    if (sl_tp_server_run(&options, &err) < 0) {
        fprintf(stderr, "sluice-test-pool: %s\n", err.text);
        return 1;
    }
    return 0;
}
