/* The instructions of AVX-512 that the kernels use, one number at a time, for processors without them: what a kernel
reads, writes and computes is then seen on any processor with AVX2. Included before a kernel's source (`cc -include`). */

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

#define AVX512 "avx2,fma"
#define AVX512_BF16 "avx2,fma"
#define EMULATED static inline __attribute__((always_inline, target("avx2,fma")))

#define EACH(n, expression)                                                                                            \
    for (int i = 0; i < (n); i++)                                                                                      \
        result[i] = (expression);                                                                                      \
    return result

/* The compiler's own types of 16 float32, 8 float64 and 16 int32 numbers; it makes two registers of AVX2 of each. */
typedef int32_t Ints __attribute__((vector_size(64)));
typedef uint32_t Words __attribute__((vector_size(64)));

/* Operations of which AVX2 has the same one with half as many numbers. */
typedef union {
    __m512 all;
    __m256 halves[2];
} Halves;
#define IN_HALVES(first, second)                                                                                       \
    const Halves halves = {.halves = {first, second}};                                                                 \
    return halves.all

EMULATED __m512 emulated_loadu_ps(const void *from)
{
    const float *numbers = from;
    IN_HALVES(_mm256_loadu_ps(numbers), _mm256_loadu_ps(numbers + 8));
}
EMULATED void emulated_storeu_ps(void *to, __m512 x)
{
    float *numbers = to;
    const Halves halves = {.all = x};
    _mm256_storeu_ps(numbers, halves.halves[0]);
    _mm256_storeu_ps(numbers + 8, halves.halves[1]);
}
EMULATED __m512 emulated_set1_ps(float x) { IN_HALVES(_mm256_set1_ps(x), _mm256_set1_ps(x)); }
EMULATED __m512 emulated_add_ps(__m512 x, __m512 y) { return x + y; }
EMULATED __m512 emulated_sub_ps(__m512 x, __m512 y) { return x - y; }
EMULATED __m512 emulated_mul_ps(__m512 x, __m512 y) { return x * y; }
EMULATED __m512 emulated_max_ps(__m512 x, __m512 y)
{
    const Halves a = {.all = x}, b = {.all = y};
    IN_HALVES(_mm256_max_ps(a.halves[0], b.halves[0]), _mm256_max_ps(a.halves[1], b.halves[1]));
}
EMULATED __m512 emulated_fmadd_ps(__m512 x, __m512 y, __m512 z)
{
    const Halves a = {.all = x}, b = {.all = y}, c = {.all = z};
    IN_HALVES(_mm256_fmadd_ps(a.halves[0], b.halves[0], c.halves[0]),
              _mm256_fmadd_ps(a.halves[1], b.halves[1], c.halves[1]));
}
EMULATED __m512 emulated_fnmadd_ps(__m512 x, __m512 y, __m512 z)
{
    const Halves a = {.all = x}, b = {.all = y}, c = {.all = z};
    IN_HALVES(_mm256_fnmadd_ps(a.halves[0], b.halves[0], c.halves[0]),
              _mm256_fnmadd_ps(a.halves[1], b.halves[1], c.halves[1]));
}
EMULATED __mmask16 emulated_is_less_ps(__m512 x, __m512 y)
{
    unsigned mask = 0;
    for (int i = 0; i < 16; i++)
        mask |= (unsigned)(x[i] < y[i]) << i;
    return (__mmask16)mask;
}
EMULATED __m512 emulated_mask_mul_ps(__m512 otherwise, __mmask16 mask, __m512 x, __m512 y)
{
    __m512 result;
    EACH(16, mask >> i & 1 ? x[i] * y[i] : otherwise[i]);
}
EMULATED float emulated_reduce_add_ps(__m512 x)
{
    float eight[8], four[4];
    for (int i = 0; i < 8; i++)
        eight[i] = x[i] + x[i + 8];
    for (int i = 0; i < 4; i++)
        four[i] = eight[i] + eight[i + 4];
    return (four[0] + four[2]) + (four[1] + four[3]);
}
EMULATED Ints emulated_cvtepu8_epi32(__m128i x)
{
    Ints result;
    uint8_t bytes[16];
    memcpy(bytes, &x, sizeof bytes);
    EACH(16, bytes[i]);
}
EMULATED __m512 emulated_cvtepi32_ps(Ints x)
{
    __m512 result;
    EACH(16, (float)x[i]);
}

EMULATED __m512d emulated_loadu_pd(const void *from)
{
    __m512d result;
    const double *numbers = from;
    EACH(8, numbers[i]);
}
EMULATED __m512d emulated_set1_pd(double x)
{
    __m512d result;
    EACH(8, x);
}
EMULATED __m512d emulated_add_pd(__m512d x, __m512d y) { return x + y; }
EMULATED __m512d emulated_sub_pd(__m512d x, __m512d y) { return x - y; }
EMULATED __m512d emulated_mul_pd(__m512d x, __m512d y) { return x * y; }
EMULATED __m512d emulated_min_pd(__m512d x, __m512d y)
{
    __m512d result;
    EACH(8, x[i] < y[i] ? x[i] : y[i]);
}
EMULATED __m512d emulated_max_pd(__m512d x, __m512d y)
{
    __m512d result;
    EACH(8, x[i] > y[i] ? x[i] : y[i]);
}
EMULATED __mmask8 emulated_is_greater_pd(__mmask8 mask, __m512d x, __m512d y)
{
    unsigned greater = 0;
    for (int i = 0; i < 8; i++)
        greater |= (unsigned)(x[i] > y[i]) << i;
    return (__mmask8)(greater & mask);
}
EMULATED __m512d emulated_maskz_div_pd(__mmask8 mask, __m512d x, __m512d y)
{
    __m512d result;
    EACH(8, mask >> i & 1 ? x[i] / y[i] : 0);
}

EMULATED Words emulated_cvtepu16_epi32(__m256i x)
{
    Words result;
    uint16_t halves[16];
    memcpy(halves, &x, sizeof halves);
    EACH(16, halves[i]);
}
EMULATED Words emulated_slli_epi32(Words x, int bits)
{
    Words result;
    EACH(16, x[i] << bits);
}
EMULATED __m512 emulated_castsi512_ps(Words x)
{
    __m512 result;
    memcpy(&result, &x, sizeof result);
    return result;
}
EMULATED __m256i emulated_cvtneps_pbh(__m512 x)
{
    __m256i packed;
    uint16_t halves[16];
    for (int i = 0; i < 16; i++) {
        uint32_t bits;
        const float number = x[i];
        memcpy(&bits, &number, sizeof bits);
        halves[i] = (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
    }
    memcpy(&packed, halves, sizeof packed);
    return packed;
}
EMULATED __m512 emulated_dpbf16_ps(__m512 sums, __m512 x, __m512 y)
{
    const Words both = {0}, upper = both + 0xffff0000u;
    Words left, right;
    memcpy(&left, &x, sizeof left);
    memcpy(&right, &y, sizeof right);
    sums = emulated_castsi512_ps(left << 16) * emulated_castsi512_ps(right << 16) + sums;
    return emulated_castsi512_ps(left & upper) * emulated_castsi512_ps(right & upper) + sums;
}

#undef _mm512_cmp_ps_mask
#undef _mm512_mask_cmp_pd_mask
#define __m512bh __m512
#define _mm512_loadu_ps emulated_loadu_ps
#define _mm512_storeu_ps emulated_storeu_ps
#define _mm512_set1_ps emulated_set1_ps
#define _mm512_setzero_ps() emulated_set1_ps(0)
#define _mm512_add_ps emulated_add_ps
#define _mm512_sub_ps emulated_sub_ps
#define _mm512_mul_ps emulated_mul_ps
#define _mm512_max_ps emulated_max_ps
#define _mm512_fmadd_ps emulated_fmadd_ps
#define _mm512_fnmadd_ps emulated_fnmadd_ps
#define _mm512_cmp_ps_mask(x, y, kind) emulated_is_less_ps(x, y)
#define _mm512_mask_mul_ps emulated_mask_mul_ps
#define _mm512_reduce_add_ps emulated_reduce_add_ps
#define _mm512_cvtepu8_epi32 emulated_cvtepu8_epi32
#define _mm512_cvtepi32_ps emulated_cvtepi32_ps
#define _mm512_loadu_pd emulated_loadu_pd
#define _mm512_set1_pd emulated_set1_pd
#define _mm512_setzero_pd() emulated_set1_pd(0)
#define _mm512_add_pd emulated_add_pd
#define _mm512_sub_pd emulated_sub_pd
#define _mm512_mul_pd emulated_mul_pd
#define _mm512_min_pd emulated_min_pd
#define _mm512_max_pd emulated_max_pd
#define _mm512_mask_cmp_pd_mask(mask, x, y, kind) emulated_is_greater_pd(mask, x, y)
#define _mm512_maskz_div_pd emulated_maskz_div_pd
#define _mm512_cvtepu16_epi32 emulated_cvtepu16_epi32
#define _mm512_slli_epi32 emulated_slli_epi32
#define _mm512_castsi512_ps emulated_castsi512_ps
#define _mm512_cvtneps_pbh emulated_cvtneps_pbh
#define _mm512_dpbf16_ps emulated_dpbf16_ps
