#include "CAllocator.h"
#include <stdlib.h>
#if defined(__GLIBC__)
#include <malloc.h>
#endif

void apus_allocator_configure(void) {
#if defined(__GLIBC__)
    mallopt(M_MMAP_THRESHOLD, 32 << 20);
    mallopt(M_TRIM_THRESHOLD, 256 << 20);
#endif
}

void apus_allocator_trim(void) {
#if defined(__GLIBC__)
    malloc_trim(0);
#endif
}
