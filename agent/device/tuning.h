/* SPDX-License-Identifier: Apache-2.0
 * What was found to be quickest on a device: a few integers for each task (a kernel, or a kernel
 * and a shape), kept on disk so that a restart does not look for it again. An entry counts for one
 * device, one driver and one source only; when any of them changes it is as if it had never been
 * there.
 *
 * One small text file a device, DIR/tuning-HASH, which people may read and delete:
 *   sluice-tuning 1
 *   device KEY
 *   driver NAME|DRIVER|PLATFORM|UNITS
 *   task NAME SOURCE FIGURE VALUE...        (SOURCE: 16 hex digits; the rest decimal)
 *   sum HEX                                 (double SHA-256 of all lines above)
 * It is read strictly. A file that says anything else, that belongs to another user, or whose sum
 * is wrong is treated as absent, and the tasks are tuned again.
 *
 * Thread: one at a time (the device's). Ownership: sl_tuning_close frees. */
#ifndef SLUICE_AGENT_DEVICE_TUNING_H
#define SLUICE_AGENT_DEVICE_TUNING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/cleanup.h"
#include "proto/base/error.h"

#define SL_TUNING_TASK_MAX 48 /* with its end: a-z, 0-9, '.', '-', '_' */
#define SL_TUNING_VALUES_MAX 8
#define SL_TUNING_ENTRIES_MAX 128
#define SL_TUNING_FILE_MAX 65536

struct sl_tuned {
    uint64_t figure; /* how good it was, in the task's own unit; for people and for comparing */
    uint32_t count;  /* values, 1 to SL_TUNING_VALUES_MAX */
    uint32_t values[SL_TUNING_VALUES_MAX];
};

struct sl_tuning;

/* Takes over what the file in `dir` says about this device and driver. dir NULL or empty: kept in
 * memory only. `driver`: whatever changes when compiled code may (sl_cl's cache_key). Only
 * -SL_NOMEM and -SL_LIMIT (the path); a bad file is no error. */
int sl_tuning_open(const char *dir, const char *device, const char *driver,
                   struct sl_tuning **ret_tuning, struct sl_error *err);
/* Accepts NULL. Does not save. */
void sl_tuning_close(struct sl_tuning *tuning);
SL_DEFINE_AUTO(sl_tuning, sl_tuning_close)

/* False when the task was not tuned with this source. Accepts NULL. The caller checks the values
 * against what the device can do before it uses them. */
bool sl_tuning_find(const struct sl_tuning *tuning, const char *task, const char *source,
                    struct sl_tuned *ret_tuned);
/* Replaces what there is of this task. -SL_LIMIT when there is no room for another task,
 * -SL_INVALID for a name or count that the file could not hold. Accepts NULL (SL_OK). */
int sl_tuning_put(struct sl_tuning *tuning, const char *task, const char *source,
                  const struct sl_tuned *tuned);
/* Forgets everything, so that all is tuned again; the file stays until the next save. */
void sl_tuning_forget(struct sl_tuning *tuning);
/* Writes what was put since the file was read: to a new file, then renamed. Nothing to do is SL_OK.
 * -SL_IO costs only time at the next start. Accepts NULL. */
int sl_tuning_save(struct sl_tuning *tuning, struct sl_error *err);

/* The file's text, for sl_tuning_save, tests and the fuzzer. Replaces the contents of `tuning` when
 * the text is good, for its device and driver; else changes nothing and returns -SL_INVALID. */
int sl_tuning_parse(struct sl_tuning *tuning, const char *text, size_t size);

#endif
