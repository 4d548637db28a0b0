/* SPDX-License-Identifier: Apache-2.0
 * The core's side of view.h for tests of the views, with figures that must all be told apart. */
#ifndef SLUICE_TESTS_UNIT_BROKER_HTTP_MADE_UP_CORE_H
#define SLUICE_TESTS_UNIT_BROKER_HTTP_MADE_UP_CORE_H

#include "broker/http/views.h"

struct sl_broker_core {
    bool fresh;  /* nothing was ever measured */
    bool faulty; /* the second device gives wrong results */
};

#endif
