/* SPDX-License-Identifier: Apache-2.0 */
#include "schedulers/switching.h"

#include <string.h>

static const struct sl_switching_policy *const policies[] = {
    &sl_switching_fbf,     &sl_switching_work_function, &sl_switching_percent,
    &sl_switching_minimum, &sl_switching_greedy,
};

const struct sl_switching_policy *sl_switching_at(size_t index) {
    return index < sizeof policies / sizeof policies[0] ? policies[index] : NULL;
}

const struct sl_switching_policy *sl_switching_find(const char *name) {
    for (size_t i = 0; i < sizeof policies / sizeof policies[0]; i++) {
        if (strcmp(policies[i]->name, name) == 0) {
            return policies[i];
        }
    }
    return NULL;
}
