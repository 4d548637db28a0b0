/* SPDX-License-Identifier: Apache-2.0
 * `sluice-agent pool-pin URL`: shows the key of a pool, to be pinned. Blocking, a process of its
 * own. Sends nothing of ours but the server name. */
#ifndef SLUICE_AGENT_SHELL_POOL_PIN_H
#define SLUICE_AGENT_SHELL_POOL_PIN_H

/* argv: "sluice-agent", "pool-pin", URL. Returns the exit code. */
int sl_pool_pin_main(int argc, char **argv);

#endif
