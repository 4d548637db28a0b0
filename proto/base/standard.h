/* SPDX-License-Identifier: Apache-2.0
 * Standard input, output and error of a program: that they are there, and that what was printed
 * arrived. Thread: the first, before and after all others. */
#ifndef SLUICE_PROTO_BASE_STANDARD_H
#define SLUICE_PROTO_BASE_STANDARD_H

/* First of all in main(). A program that was started without one of them (2>&-) would be given its
 * number for the next file that it opens, and write log lines into a journal. What is missing
 * becomes /dev/null, opened the wrong way round: using it fails as before. */
void sl_standard_hold(void);
/* Last of all: `code`, or 1 with a line on standard error where it is 0 and what was printed has
 * not arrived (a full disk). */
int sl_standard_end(const char *program, int code);

#endif
