/* SPDX-License-Identifier: Apache-2.0
 * Start-up probe: many work-groups, each busy for a while, so that the host can see whether setting
 * the stop word ends a launch that already runs, and how soon. */
#include "inc_stop.cl"

__kernel void probe(STOP_ARGS, __global uint *sink, uint rounds) {
    STOP_BEGIN
    uint x = (uint)get_global_id(0) | 1u;
    for (uint i = 0; i < rounds; i++) {
        x = x * 1664525u + 1013904223u;
    }
    sink[get_group_id(0)] = x;
    STOP_END
}
