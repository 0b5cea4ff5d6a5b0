#pragma once
#include <stddef.h>
#include <stdint.h>

/// Whether the processor has an instruction for CRC32C.
int apus_has_crc32c(void);

/// Continues a CRC32C with that instruction, without the inversions before and after. Only if
/// `apus_has_crc32c`.
uint32_t apus_crc32c(uint32_t crc, const void *bytes, size_t count);
