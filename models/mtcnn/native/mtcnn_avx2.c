/* MTCNN for processors with AVX2 and FMA: 16 registers of 8 numbers. */

#include "mtcnn.h"

#if IS_BUILT
#define TARGET __attribute__((target(AVX2)))
#define OPERATION static inline __attribute__((always_inline)) TARGET
#include "../../native/vectors_avx2.h"

/* Pixels computed at a time, by the number of vectors of outputs, and by how many tiles a map has; LAST is for the last
pixels of a row. */
#define PIXELS_1 6
#define PIXELS_1_LAST 2
#define PIXELS_2 3
#define PIXELS_2_LAST 1
#define PIXELS_3 2
#define PIXELS_4 1
#define PIXELS_9_TILES 3
#define PIXELS_49_TILES 3
#define VECTORS_1 4 /* of a dense layer, computed at a time for one window, and for three */
#define VECTORS_3 2
#define WIDE 4 /* vectors added up at a time */

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

const Engine MTCNN_AVX2 = {judge_all, propose_all, suppress_all};
#endif
