/* SPDX-License-Identifier: Apache-2.0
 * The stop word of one device (design 8): a word that every work-group reads before anything else.
 * How the host reaches a kernel that already runs differs by driver, so each way is tried and timed
 * when the device is opened: fine-grained SVM, mapped host memory, a write through a queue of its
 * own. Where none works the method is SL_STOP_NONE and launches are kept short instead.
 *
 * The word itself stays valid for kernels in every case (it is simply never set with NONE).
 * Thread: open and close on the device's thread. Setting (cl.h: sl_cl_stop_set(cl, true)) is safe
 * from any thread and makes no OpenCL call in the caller: where a queue is needed, a small helper
 * thread makes it. Clearing is for the device's thread, with the kernel queue empty. */
#ifndef SLUICE_AGENT_DEVICE_STOP_H
#define SLUICE_AGENT_DEVICE_STOP_H

#include "agent/device/cl.h"

#define SL_STOP_TRIALS 24

/* Fills the stop_* members of *cl. Fails only when the device cannot run the probe at all. */
int sl_stop_open(struct sl_cl *cl, bool force_none, struct sl_error *err);
void sl_stop_close(struct sl_cl *cl);

/* "svm", "mapped", "queue", "none", "unknown". */
const char *sl_stop_method_name(enum sl_stop_method method);

/* Tests: tries one method only; -SL_UNSUPPORTED when running kernels do not see it. */
int sl_stop_open_method(struct sl_cl *cl, enum sl_stop_method method, struct sl_error *err);

#endif
