/* SphereFace-20 in bfloat16, for processors with AVX-512 BF16. */

#include "sphereface.h"

#if IS_BUILT
#define OPERATION static inline __attribute__((always_inline)) TARGET
#define TARGET __attribute__((target(AVX512_BF16)))
#define EMBED embed_in_bfloat16
#include "../../native/vectors_avx512.h"
#include <string.h>

enum { ROWS = 12, FEW_ROWS = 4 }; /* rows multiplied at a time: their sums take 24 of 32 registers; and the last rows */

typedef uint16_t Number; /* a float32 number's upper half; a word is two of them */

OPERATION Vector widen(const Number *numbers)
{
    const __m256i halves = _mm256_loadu_si256((const void *)numbers);
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(halves), 16));
}

OPERATION void narrow(Number *numbers, Vector x)
{
    _mm256_storeu_si256((void *)numbers, (__m256i)_mm512_cvtneps_pbh(x));
}

OPERATION Vector load_words(const Number *weights) { return _mm512_loadu_ps(weights); }

OPERATION Vector add_products_of_words(Vector sums, Vector words, Vector weights)
{
    return _mm512_dpbf16_ps(sums, (__m512bh)words, (__m512bh)weights);
}

OPERATION Number round_number(float x)
{
    uint32_t bits; /* rounded to the nearest, a tie to even */
    memcpy(&bits, &x, sizeof bits);
    return (Number)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

#include "sphereface_network.h"
#endif
