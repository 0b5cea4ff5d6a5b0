#include "checksum.h"

#include <string.h>

#if defined(__x86_64__)
#include <nmmintrin.h>

int apus_has_crc32c(void) { return __builtin_cpu_supports("sse4.2"); }

// The instruction takes three cycles, and a new one can begin in each: long inputs are worked on in three
// lanes at once. What a lane's checksum becomes behind the zeros that stand for the lane after it is linear,
// so it is looked up byte by byte.
#define LANE_BYTES 1024
static uint32_t behind_lane[4][256];

__attribute__((target("sse4.2"))) static uint32_t one_lane(
    uint32_t crc, const unsigned char *next, size_t count) {
    uint64_t wide = crc;
    for (; count >= 8; count -= 8, next += 8) {
        uint64_t word;
        memcpy(&word, next, 8);
        wide = _mm_crc32_u64(wide, word);
    }
    crc = (uint32_t)wide;
    for (; count > 0; count -= 1, next += 1) crc = _mm_crc32_u8(crc, *next);
    return crc;
}

__attribute__((constructor)) static void fill_behind_lane(void) {
    static const unsigned char zeros[LANE_BYTES];
    __builtin_cpu_init();
    if (!apus_has_crc32c()) return;
    for (int bit = 0; bit < 32; bit += 1) {
        uint32_t moved = one_lane((uint32_t)1 << bit, zeros, LANE_BYTES);
        for (int byte = 0; byte < 256; byte += 1)
            if (byte >> (bit % 8) & 1) behind_lane[bit / 8][byte] ^= moved;
    }
}

static uint32_t move_behind_lane(uint32_t crc) {
    return behind_lane[0][crc & 255] ^ behind_lane[1][crc >> 8 & 255] ^ behind_lane[2][crc >> 16 & 255]
        ^ behind_lane[3][crc >> 24];
}

__attribute__((target("sse4.2"))) uint32_t apus_crc32c(uint32_t crc, const void *bytes, size_t count) {
    const unsigned char *next = bytes;
    for (; count >= 3 * LANE_BYTES; count -= 3 * LANE_BYTES, next += 3 * LANE_BYTES) {
        uint64_t first = crc, second = 0, third = 0;
        for (size_t place = 0; place < LANE_BYTES; place += 8) {
            uint64_t words[3];
            memcpy(&words[0], next + place, 8);
            memcpy(&words[1], next + LANE_BYTES + place, 8);
            memcpy(&words[2], next + 2 * LANE_BYTES + place, 8);
            first = _mm_crc32_u64(first, words[0]);
            second = _mm_crc32_u64(second, words[1]);
            third = _mm_crc32_u64(third, words[2]);
        }
        crc = move_behind_lane(move_behind_lane((uint32_t)first) ^ (uint32_t)second) ^ (uint32_t)third;
    }
    return one_lane(crc, next, count);
}

#elif defined(__aarch64__) && defined(__ARM_FEATURE_CRC32)
#include <arm_acle.h>

int apus_has_crc32c(void) { return 1; }

uint32_t apus_crc32c(uint32_t crc, const void *bytes, size_t count) {
    const unsigned char *next = bytes;
    for (; count >= 8; count -= 8, next += 8) {
        uint64_t word;
        memcpy(&word, next, 8);
        crc = __crc32cd(crc, word);
    }
    for (; count > 0; count -= 1, next += 1) crc = __crc32cb(crc, *next);
    return crc;
}

#else

int apus_has_crc32c(void) { return 0; }

uint32_t apus_crc32c(uint32_t crc, const void *bytes, size_t count) {
    (void)bytes;
    (void)count;
    return crc;
}

#endif
