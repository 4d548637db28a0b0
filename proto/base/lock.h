/* SPDX-License-Identifier: Apache-2.0
 * The lock on a data directory, and patience with whoever is going.
 *
 * A killed process lets go of its locks only after its memory is given back, which takes a second
 * where devices or models were mapped and the machine is busy. Whoever starts the next one by hand
 * or from a script would be told of "another process" that is dead already. */
#ifndef SLUICE_PROTO_BASE_LOCK_H
#define SLUICE_PROTO_BASE_LOCK_H

#include <stdbool.h>
#include <stdint.h>

/* For a program at its start: longer than any end seen, short enough for a person to wait. */
#define SL_LOCK_WAIT_MS 5000

/* Takes flock(2)'s exclusive lock of an open file, trying for up to `wait_ms` (0: once); says so in
 * the log when it has to wait. `what` names the file there. Returns 0, -EWOULDBLOCK when it stayed
 * taken, or another negative errno. Blocks; for a program's start only. */
int sl_lock_take(int fd, const char *what, int64_t wait_ms);
/* Whether some process has the lock of the file there; false too where there is none, or none that
 * can be read. Makes nothing; holds the lock itself for a moment. */
bool sl_lock_is_held(const char *path);

#endif
