/* MTCNN for processors with AVX2 and FMA: 16 registers of 8 numbers. */

#include "mtcnn.h"

#ifdef MTCNN_IS_BUILT
#include <immintrin.h>

#define TARGET __attribute__((target("avx2,fma")))
#define OPERATION static inline __attribute__((always_inline)) TARGET

typedef struct {
    __m256 low, high;
} Vector;

/* Pixels computed at a time for so many vectors of outputs, and for those of one row of windows. */
#define PIXELS_1 6
#define PIXELS_1_LAST 2
#define PIXELS_2 3
#define PIXELS_2_LAST 1
#define PIXELS_3 2
#define PIXELS_4 1
#define PIXELS_9_TILES 3
#define PIXELS_49_TILES 3
#define VECTORS_1 4 /* for one window, and for three, of a dense layer */
#define VECTORS_3 2
#define WIDE 4 /* vectors added up at a time */

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

OPERATION float sum_up(Vector x)
{
    const __m256 eight = _mm256_add_ps(x.low, x.high);
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

OPERATION __m256 read_half(const uint8_t *from)
{
    return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64((const void *)from)));
}

OPERATION Vector read_bytes(const uint8_t *from) { return (Vector){read_half(from), read_half(from + 8)}; }

OPERATION __m256 prelu_half(__m256 x, const float *slope)
{
    const __m256 negative = _mm256_cmp_ps(x, _mm256_setzero_ps(), _CMP_LT_OQ);
    return _mm256_blendv_ps(x, _mm256_mul_ps(x, _mm256_loadu_ps(slope)), negative);
}

OPERATION Vector prelu(Vector x, const float *slope)
{
    return (Vector){prelu_half(x.low, slope), prelu_half(x.high, slope + 8)};
}

#include "mtcnn_networks.h"

static double smaller_of(double x, double y) { return x < y ? x : y; }
static double larger_of(double x, double y) { return x > y ? x : y; }

static int suppress_all(const double *boxes, size_t num_boxes, double threshold, int of_smaller, uint8_t *kept)
{
    for (size_t i = 0; i < num_boxes; i++) {
        const double *box = boxes + 4 * i, area = (box[2] - box[0]) * (box[3] - box[1]);
        kept[i] = 1;
        for (size_t j = 0; j < i && kept[i]; j++) {
            const double *other = boxes + 4 * j;
            const double across = smaller_of(box[2], other[2]) - larger_of(box[0], other[0]),
                         down = smaller_of(box[3], other[3]) - larger_of(box[1], other[1]);
            if (!(across > 0 && down > 0))
                continue;
            const double other_area = (other[2] - other[0]) * (other[3] - other[1]), shared = across * down;
            const double whole = of_smaller ? smaller_of(area, other_area) : area + other_area - shared;
            kept[i] = !(whole > 0 && shared / whole > threshold);
        }
    }
    return 0;
}

const Engine MTCNN_AVX2 = {"avx2", judge_all, propose_all, suppress_all};
#endif
