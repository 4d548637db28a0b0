/* SPDX-License-Identifier: Apache-2.0
 * Rule "secrets": no log line, error or answer holds a tenant's text or a pool's password. */
#include <string.h>

#include "tests/sim/internal.h"

void sim_check_text(struct sim *sim, uint32_t host, const char *event, const char *text) {
    const char *mark = strstr(text, SIM_PROMPT)     ? SIM_PROMPT
                       : strstr(text, SIM_PASSWORD) ? SIM_PASSWORD
                                                    : NULL;
    if (mark) {
        sim_break(sim, "secrets", "host %u writes a secret into %s: %s", host, event, mark);
    }
}
