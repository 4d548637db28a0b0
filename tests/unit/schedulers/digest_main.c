/* SPDX-License-Identifier: Apache-2.0
 * Prints the digest of digest.h: built by tests/same_bytes with other compilers and for another
 * machine, where cmocka is not. */
#include <stdio.h>

#include "tests/unit/schedulers/digest.h"

int main(void) {
    uint64_t digest = digest_everything();
    printf("%016llx\n", (unsigned long long)digest);
    return digest != SL_DIGEST_EXPECTED;
}
