/* SPDX-License-Identifier: Apache-2.0
 * The stop word (design 8). Every work-group of every kernel reads it once, before anything else,
 * and then runs wholly or not at all; each group that runs adds one to the launch's counter,
 * because event status does not say how much of a launch was cut.
 *
 *   __kernel void k(STOP_ARGS, ...) {
 *       STOP_BEGIN
 *       ... body; must not read what it writes ...
 *       STOP_END
 *   }
 * CPU devices with one work-item a group need no local memory and no barrier (STOP_SINGLE). */
#define STOP_ARGS __global const volatile uint *stop_word, __global uint *groups_ran

#ifdef STOP_SINGLE
#define STOP_BEGIN                                                                                 \
    if (*stop_word == 0u) {                                                                        \
        atomic_inc(groups_ran);
#else
#define STOP_BEGIN                                                                                 \
    __local uint stop_seen;                                                                        \
    if (get_local_id(0) == 0 && get_local_id(1) == 0) {                                            \
        stop_seen = *stop_word;                                                                    \
        if (stop_seen == 0u)                                                                       \
            atomic_inc(groups_ran);                                                                \
    }                                                                                              \
    barrier(CLK_LOCAL_MEM_FENCE);                                                                  \
    if (stop_seen == 0u) {
#endif
#define STOP_END }
