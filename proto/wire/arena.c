/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/wire/arena.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_POISONS 1
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define ARENA_POISONS 1
#endif
#ifdef ARENA_POISONS
#include <sanitizer/asan_interface.h>
#define poison(at, size) ASAN_POISON_MEMORY_REGION(at, size)
#define unpoison(at, size) ASAN_UNPOISON_MEMORY_REGION(at, size)
#define RED_ZONE ((size_t)16) /* an overrun of one object must not land in the next */
#else
#define poison(at, size) ((void)(at), (void)(size))
#define unpoison(at, size) ((void)(at), (void)(size))
#define RED_ZONE ((size_t)0)
#endif

/* What is kept mapped between messages; what a larger one took goes back to the system. */
#define KEPT_BYTES ((size_t)1024 * 1024)
#define ALIGNMENT ((size_t)16)

struct sl_msg_arena {
    char *base;
    size_t budget;
    size_t used;
    bool spent;
};

int sl_msg_arena_create(size_t budget_bytes, struct sl_msg_arena **ret_arena,
                        struct sl_error *err) {
    if (budget_bytes == 0 || budget_bytes > SIZE_MAX / 2) {
        return sl_fail(err, SL_INVALID, "a message arena of %zu bytes is not possible",
                       budget_bytes);
    }
    struct sl_msg_arena *arena = calloc(1, sizeof *arena);
    if (!arena) {
        return sl_fail(err, SL_NOMEM, "no memory for a message arena");
    }
    void *base = mmap(NULL, budget_bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED) {
        free(arena);
        return sl_fail(err, SL_NOMEM, "no memory for a message arena of %zu bytes", budget_bytes);
    }
    /* Prompts pass through here: they do not belong in a core file. */
    (void)madvise(base, budget_bytes, MADV_DONTDUMP);
    arena->base = base;
    arena->budget = budget_bytes;
    poison(arena->base, arena->budget);
    *ret_arena = arena;
    return SL_OK;
}

void sl_msg_arena_destroy(struct sl_msg_arena *arena) {
    if (!arena) {
        return;
    }
    unpoison(arena->base, arena->budget);
    munmap(arena->base, arena->budget);
    free(arena);
}

void *sl_msg_arena_alloc(struct sl_msg_arena *arena, size_t size) {
    size_t left = arena->budget - arena->used;
    size_t taken = size + RED_ZONE;
    taken = (taken + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    if (size > left || taken > left) {
        arena->spent = true;
        return NULL;
    }
    void *at = arena->base + arena->used;
    arena->used += taken;
    unpoison(at, size);
    return at; /* zero since the mapping or the last reset */
}

bool sl_msg_arena_spent(const struct sl_msg_arena *arena) {
    return arena->spent;
}

void sl_msg_arena_reset(struct sl_msg_arena *arena) {
    size_t wiped = arena->used < KEPT_BYTES ? arena->used : KEPT_BYTES;
    unpoison(arena->base, arena->used);
    memset(arena->base, 0, wiped);
    if (arena->used > wiped) {
        /* Private anonymous pages read as zero afterwards; if the kernel refuses, wipe by hand. */
        size_t more = arena->used - wiped;
        if (madvise(arena->base + wiped, more, MADV_DONTNEED) != 0) {
            memset(arena->base + wiped, 0, more);
        }
    }
    poison(arena->base, arena->used);
    arena->used = 0;
    arena->spent = false;
}
