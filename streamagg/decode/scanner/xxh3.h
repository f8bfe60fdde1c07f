/* XXH3, 64 bits, for 1 to 240 bytes.
 *
 * After the specification of the algorithm (xxHash, doc/xxhash_spec.md, version 0.2.0); a test holds it
 * against the xxhash package for every length, with and without a seed.
 */
#ifndef STREAMAGG_XXH3_H
#define STREAMAGG_XXH3_H

#include <stddef.h>
#include <stdint.h>

/* Beyond it the algorithm takes another way; ids of users are shorter as a rule. */
#define XXH3_LONGEST 240

/* Hash of 1 to XXH3_LONGEST bytes. */
uint64_t xxh3(const uint8_t *p, size_t size, uint64_t seed);

#endif
