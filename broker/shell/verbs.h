/* SPDX-License-Identifier: Apache-2.0
 * Verbs of `sluice-broker` that do something and end: exit codes as of the program. */
#ifndef SLUICE_BROKER_SHELL_VERBS_H
#define SLUICE_BROKER_SHELL_VERBS_H

int sl_verb_keygen(int argc, char **argv);
int sl_verb_backup(int argc, char **argv);
int sl_verb_restore(int argc, char **argv);

#endif
