/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/base/length.h"

#define SHORTEST 16u

uint32_t sl_length_class(uint64_t tokens) {
    uint32_t class_ = 0;
    while (class_ + 1 < SL_LENGTHS && tokens > (uint64_t)SHORTEST << class_) {
        class_++;
    }
    return class_;
}

uint32_t sl_length_most(uint32_t class_) {
    return class_ + 1 < SL_LENGTHS ? SHORTEST << class_ : 0;
}
