#include "xxh3.h"

#include <string.h>

/* The part of the default secret that inputs of up to 240 bytes use. */
static const uint8_t SECRET[136] = {
    0xb8, 0xfe, 0x6c, 0x39, 0x23, 0xa4, 0x4b, 0xbe, 0x7c, 0x01, 0x81, 0x2c, 0xf7, 0x21, 0xad, 0x1c,
    0xde, 0xd4, 0x6d, 0xe9, 0x83, 0x90, 0x97, 0xdb, 0x72, 0x40, 0xa4, 0xa4, 0xb7, 0xb3, 0x67, 0x1f,
    0xcb, 0x79, 0xe6, 0x4e, 0xcc, 0xc0, 0xe5, 0x78, 0x82, 0x5a, 0xd0, 0x7d, 0xcc, 0xff, 0x72, 0x21,
    0xb8, 0x08, 0x46, 0x74, 0xf7, 0x43, 0x24, 0x8e, 0xe0, 0x35, 0x90, 0xe6, 0x81, 0x3a, 0x26, 0x4c,
    0x3c, 0x28, 0x52, 0xbb, 0x91, 0xc3, 0x00, 0xcb, 0x88, 0xd0, 0x65, 0x8b, 0x1b, 0x53, 0x2e, 0xa3,
    0x71, 0x64, 0x48, 0x97, 0xa2, 0x0d, 0xf9, 0x4e, 0x38, 0x19, 0xef, 0x46, 0xa9, 0xde, 0xac, 0xd8,
    0xa8, 0xfa, 0x76, 0x3f, 0xe3, 0x9c, 0x34, 0x3f, 0xf9, 0xdc, 0xbb, 0xc7, 0xc7, 0x0b, 0x4f, 0x1d,
    0x8a, 0x51, 0xe0, 0x4b, 0xcd, 0xb4, 0x59, 0x31, 0xc8, 0x9f, 0x7e, 0xc9, 0xd9, 0x78, 0x73, 0x64,
    0xea, 0xc5, 0xac, 0x83, 0x34, 0xd3, 0xeb, 0xc3,
};

static uint32_t read32(const uint8_t *p)
{
    uint32_t value;
    memcpy(&value, p, sizeof value);
    return value;
}

static uint64_t read64(const uint8_t *p)
{
    uint64_t value;
    memcpy(&value, p, sizeof value);
    return value;
}

static uint64_t rotl64(uint64_t value, int bits)
{
    return value << bits | value >> (64 - bits);
}

static uint64_t folded_product(uint64_t a, uint64_t b)
{
    unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t avalanche(uint64_t hash)
{
    hash ^= hash >> 37;
    hash *= 0x165667919E3779F9;
    return hash ^ hash >> 32;
}

static uint64_t hash_1_to_3(const uint8_t *p, size_t size, uint64_t seed)
{
    uint64_t hash = (uint32_t)p[0] << 16 | (uint32_t)p[size >> 1] << 24 | p[size - 1] | (uint32_t)size << 8;
    hash ^= (read32(SECRET) ^ read32(SECRET + 4)) + seed;
    hash ^= hash >> 33;
    hash *= 0xC2B2AE3D27D4EB4F;
    hash ^= hash >> 29;
    hash *= 0x165667B19E3779F9;
    return hash ^ hash >> 32;
}

static uint64_t hash_4_to_8(const uint8_t *p, size_t size, uint64_t seed)
{
    uint64_t hash = (uint64_t)read32(p) << 32 | read32(p + size - 4);
    seed ^= (uint64_t)__builtin_bswap32((uint32_t)seed) << 32;
    hash ^= (read64(SECRET + 8) ^ read64(SECRET + 16)) - seed;
    hash ^= rotl64(hash, 49) ^ rotl64(hash, 24);
    hash *= 0x9FB21C651E98DF25;
    hash ^= (hash >> 35) + size;
    hash *= 0x9FB21C651E98DF25;
    return hash ^ hash >> 28;
}

static uint64_t hash_9_to_16(const uint8_t *p, size_t size, uint64_t seed)
{
    uint64_t low = read64(p) ^ ((read64(SECRET + 24) ^ read64(SECRET + 32)) + seed);
    uint64_t high = read64(p + size - 8) ^ ((read64(SECRET + 40) ^ read64(SECRET + 48)) - seed);
    return avalanche(size + __builtin_bswap64(low) + high + folded_product(low, high));
}

static uint64_t mix(const uint8_t *p, const uint8_t *secret, uint64_t seed)
{
    return folded_product(read64(p) ^ (read64(secret) + seed), read64(p + 8) ^ (read64(secret + 8) - seed));
}

static uint64_t hash_17_to_128(const uint8_t *p, size_t size, uint64_t seed)
{
    uint64_t hash = size * 0x9E3779B185EBCA87;
    /* Pairs of 16 bytes, from both ends towards the middle. */
    for (size_t pair = (size - 1) / 32 + 1; pair-- > 0;)
        hash += mix(p + 16 * pair, SECRET + 32 * pair, seed) +
                mix(p + size - 16 * (pair + 1), SECRET + 32 * pair + 16, seed);
    return avalanche(hash);
}

static uint64_t hash_129_to_240(const uint8_t *p, size_t size, uint64_t seed)
{
    uint64_t hash = size * 0x9E3779B185EBCA87;
    for (size_t i = 0; i < 8; i++)
        hash += mix(p + 16 * i, SECRET + 16 * i, seed);
    hash = avalanche(hash);
    for (size_t i = 8; i < size / 16; i++)
        hash += mix(p + 16 * i, SECRET + 16 * (i - 8) + 3, seed);
    return avalanche(hash + mix(p + size - 16, SECRET + 136 - 17, seed));
}

uint64_t xxh3(const uint8_t *p, size_t size, uint64_t seed)
{
    if (size > 128)
        return hash_129_to_240(p, size, seed);
    if (size > 16)
        return hash_17_to_128(p, size, seed);
    if (size > 8)
        return hash_9_to_16(p, size, seed);
    return size > 3 ? hash_4_to_8(p, size, seed) : hash_1_to_3(p, size, seed);
}
