/* SPDX-License-Identifier: Apache-2.0
 * `sluice-agent join`: presents a one-time token, and what follows from it. Returns the exit code:
 * 0 joined, or waits for approval; 1 refused or failed; 2 wrong usage. Thread: main's. */
#ifndef SLUICE_AGENT_SHELL_JOIN_H
#define SLUICE_AGENT_SHELL_JOIN_H

extern const char sl_join_usage[];
int sl_verb_join(int argc, char **argv);

#endif
