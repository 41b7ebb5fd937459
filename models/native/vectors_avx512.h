/* Vectors of 16 float32 numbers for processors with AVX-512, which has 32 registers for them. The including file
defines OPERATION: an inline function for its TARGET. */

#include <immintrin.h>

typedef __m512 Vector;

OPERATION Vector load(const float *from) { return _mm512_loadu_ps(from); }
OPERATION void store(float *to, Vector x) { _mm512_storeu_ps(to, x); }
OPERATION Vector repeat(float x) { return _mm512_set1_ps(x); }
OPERATION Vector add(Vector x, Vector y) { return _mm512_add_ps(x, y); }
OPERATION Vector subtract(Vector x, Vector y) { return _mm512_sub_ps(x, y); }
OPERATION Vector multiply(Vector x, Vector y) { return _mm512_mul_ps(x, y); }
OPERATION Vector larger(Vector x, Vector y) { return _mm512_max_ps(x, y); }
OPERATION Vector multiply_add(Vector x, Vector y, Vector z) { return _mm512_fmadd_ps(x, y, z); }
OPERATION Vector multiply_subtract(Vector x, Vector y, Vector z) { return _mm512_fnmadd_ps(x, y, z); } /* z - x y */

OPERATION Vector prelu(Vector x, const float *slope)
{
    const __mmask16 negative = _mm512_cmp_ps_mask(x, _mm512_setzero_ps(), _CMP_LT_OQ);
    return _mm512_mask_mul_ps(x, negative, x, _mm512_loadu_ps(slope));
}
