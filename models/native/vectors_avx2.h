/* Vectors of 16 float32 numbers for processors with AVX2 and FMA; each takes two of the 16 registers. The including
file defines OPERATION: an inline function for its TARGET. */

#include <immintrin.h>

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

OPERATION Vector multiply(Vector x, Vector y)
{
    return (Vector){_mm256_mul_ps(x.low, y.low), _mm256_mul_ps(x.high, y.high)};
}

OPERATION Vector larger(Vector x, Vector y)
{
    return (Vector){_mm256_max_ps(x.low, y.low), _mm256_max_ps(x.high, y.high)};
}

OPERATION Vector multiply_add(Vector x, Vector y, Vector z)
{
    return (Vector){_mm256_fmadd_ps(x.low, y.low, z.low), _mm256_fmadd_ps(x.high, y.high, z.high)};
}

/* z - x y */
OPERATION Vector multiply_subtract(Vector x, Vector y, Vector z)
{
    return (Vector){_mm256_fnmadd_ps(x.low, y.low, z.low), _mm256_fnmadd_ps(x.high, y.high, z.high)};
}

OPERATION __m256 prelu_half(__m256 x, const float *slope)
{
    const __m256 negative = _mm256_cmp_ps(x, _mm256_setzero_ps(), _CMP_LT_OQ);
    return _mm256_blendv_ps(x, _mm256_mul_ps(x, _mm256_loadu_ps(slope)), negative);
}

OPERATION Vector prelu(Vector x, const float *slope)
{
    return (Vector){prelu_half(x.low, slope), prelu_half(x.high, slope + 8)};
}
