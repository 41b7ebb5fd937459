/* Several buffers in one piece of memory. */

#ifndef BUFFERS_H
#define BUFFERS_H

#include <stddef.h>

#include "processor.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WATCHES_GAPS 1
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define WATCHES_GAPS 1
#endif

#ifdef WATCHES_GAPS
#include <sanitizer/asan_interface.h>
#endif

enum { ALIGNMENT = 64 }; /* a cache line, and a register of 16 numbers */

/* Take a buffer after the earlier ones. Without memory (NULL), only count its bytes and return NULL. Under the address
sanitizer, a gap that must not be touched follows each buffer, as it follows memory from malloc. */
static inline void *take(char *memory, size_t *used, size_t bytes)
{
    const size_t start = *used;
    *used += ROUND_UP(bytes, (size_t)ALIGNMENT);
#ifdef WATCHES_GAPS
    *used += ALIGNMENT;
    if (memory != NULL)
        __asan_poison_memory_region(memory + start + bytes, *used - start - bytes);
#endif
    return memory == NULL ? NULL : memory + start;
}

#endif
