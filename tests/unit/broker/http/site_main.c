/* SPDX-License-Identifier: Apache-2.0
 * Runs a site until standard input ends: prints its address and operator key, for clients that are
 * not written in C. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/broker/http/site.h"

int main(void) {
    struct site *site = malloc(sizeof *site);
    char key[96];
    if (!site) {
        return 1;
    }
    site_start(site, NULL);
    site_operator_key(site, key);
    printf("SLUICE_URL=%s\nADMIN_KEY=%s\nDIR=%s\n", sl_http_url(site->http), key, site->dir);
    fflush(stdout);
    char line[16];
    while (fgets(line, sizeof line, stdin)) {
        if (strcmp(line, "restart\n") == 0) {
            site_restart(site);
            printf("SLUICE_URL=%s\n", sl_http_url(site->http));
            fflush(stdout);
        }
    }
    site_remove(site);
    free(site);
    return 0;
}
