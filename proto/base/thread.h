/* SPDX-License-Identifier: Apache-2.0
 * How the calling thread is called and how it stands beside others. Threads that it starts inherit
 * both. None of this is needed to be right, only to be prompt: a kernel that refuses is no error.
 *
 * Why it is here: on a CPU device the same cores hash and run the broker and the agent. Between
 * processes of different sessions Linux (autogroup) and systemd (cgroups) share by group, and a
 * thread's niceness counts only inside its group. Without more, a thread whose disk write has just
 * ended waits for the hashing thread of another process until the next tick: 4 ms. */
#ifndef SLUICE_PROTO_BASE_THREAD_H
#define SLUICE_PROTO_BASE_THREAD_H

/* At most 15 bytes, as top, gdb and perf show it. */
void sl_thread_name(const char *name);

/* Runs shortly and often, and is waited for: asks for a short slice (100 us or more; Linux 6.12
 * and later heed it), so that a wake-up preempts whoever has a longer one. */
void sl_thread_prompt(int slice_us);

/* Runs long and is in nobody's way: a long slice, and `nice` steps down. */
void sl_thread_patient(int nice);

/* Steps the whole process down against other sessions. Only where it leads its session: otherwise
 * this would be somebody's shell as well. */
void sl_process_patient(int nice);

#endif
