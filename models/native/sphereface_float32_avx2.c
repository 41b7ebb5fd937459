/* SphereFace-20 in float32, for processors with AVX2 and FMA: 16 registers of 8 numbers. */

#include "sphereface.h"

#if IS_BUILT
#include <immintrin.h>

#define OPERATION static inline __attribute__((always_inline)) TARGET
#define TARGET __attribute__((target("avx2,fma")))
#define EMBED embed_in_float32_avx2

enum { ROWS = 3, FEW_ROWS = 3 }; /* the sums of 3 rows take 12 registers */

typedef struct {
    __m256 low, high;
} Vector;

OPERATION Vector load(const float *from) { return (Vector){_mm256_loadu_ps(from), _mm256_loadu_ps(from + 8)}; }

OPERATION void store(float *to, Vector x)
{
    _mm256_storeu_ps(to, x.low);
    _mm256_storeu_ps(to + 8, x.high);
}

OPERATION Vector repeat(float x) { return (Vector){_mm256_set1_ps(x), _mm256_set1_ps(x)}; }

OPERATION Vector add(Vector x, Vector y)
{
    return (Vector){_mm256_add_ps(x.low, y.low), _mm256_add_ps(x.high, y.high)};
}

OPERATION Vector subtract(Vector x, Vector y)
{
    return (Vector){_mm256_sub_ps(x.low, y.low), _mm256_sub_ps(x.high, y.high)};
}

OPERATION Vector multiply_by(Vector x, Vector y)
{
    return (Vector){_mm256_mul_ps(x.low, y.low), _mm256_mul_ps(x.high, y.high)};
}

OPERATION Vector add_product(Vector x, Vector y, Vector z) /* x y + z */
{
    return (Vector){_mm256_fmadd_ps(x.low, y.low, z.low), _mm256_fmadd_ps(x.high, y.high, z.high)};
}

OPERATION Vector subtract_product(Vector x, Vector y, Vector z) /* z - x y */
{
    return (Vector){_mm256_fnmadd_ps(x.low, y.low, z.low), _mm256_fnmadd_ps(x.high, y.high, z.high)};
}

OPERATION __m256 prelu_half(__m256 x, const float *slopes)
{
    const __m256 negative = _mm256_cmp_ps(x, _mm256_setzero_ps(), _CMP_LT_OQ);
    return _mm256_blendv_ps(x, _mm256_mul_ps(x, _mm256_loadu_ps(slopes)), negative);
}

OPERATION Vector prelu(Vector x, const float *slopes)
{
    return (Vector){prelu_half(x.low, slopes), prelu_half(x.high, slopes + 8)};
}

#include "sphereface_float32.h"
#include "sphereface_network.h"
#endif
