/* SPDX-License-Identifier: Apache-2.0
 * Scope guards: SL_AUTO(sl_thing) t = NULL; is destroyed at the end of its scope by
 * sl_thing_destroy unless its ownership was moved out with sl_take(&t). */
#ifndef SLUICE_PROTO_BASE_CLEANUP_H
#define SLUICE_PROTO_BASE_CLEANUP_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define SL_DEFINE_AUTO(type, destroy)                                                              \
    static inline void type##_auto(struct type **object) {                                         \
        if (*object) {                                                                             \
            destroy(*object);                                                                      \
        }                                                                                          \
    }
#define SL_AUTO(type) __attribute__((cleanup(type##_auto))) struct type *

#define sl_take(pointer)                                                                           \
    __extension__({                                                                                \
        __typeof__(*(pointer)) taken_ = *(pointer);                                                \
        *(pointer) = NULL;                                                                         \
        taken_;                                                                                    \
    })

static inline void sl_free_auto(void *pointer) {
    free(*(void **)pointer);
}
#define SL_AUTO_FREE __attribute__((cleanup(sl_free_auto)))

static inline void sl_fd_auto(const int *fd) {
    if (*fd >= 0) {
        close(*fd);
    }
}
#define SL_AUTO_FD __attribute__((cleanup(sl_fd_auto)))

static inline void sl_file_auto(FILE **file) {
    if (*file) {
        fclose(*file);
    }
}
#define SL_AUTO_FILE __attribute__((cleanup(sl_file_auto)))

#endif
