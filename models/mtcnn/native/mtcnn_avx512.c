/* MTCNN for processors with AVX-512: 32 registers of 16 numbers. */

#include "mtcnn.h"

#if IS_BUILT
#define TARGET __attribute__((target(AVX512)))
#define OPERATION static inline __attribute__((always_inline)) TARGET
#include "../../native/vectors_avx512.h"

/* Pixels computed at a time, by the number of vectors of outputs, and by how many tiles a map has; LAST is for the last
pixels of a row. */
#define PIXELS_1 24
#define PIXELS_1_LAST 8
#define PIXELS_2 12
#define PIXELS_2_LAST 4
#define PIXELS_3 9
#define PIXELS_4 3
#define PIXELS_9_TILES 9
#define PIXELS_49_TILES 10
#define VECTORS_1 8 /* of a dense layer, computed at a time for one window, and for three */
#define VECTORS_3 8
#define WIDE 8 /* vectors added up at a time */

OPERATION float sum_up(Vector x) { return _mm512_reduce_add_ps(x); }

OPERATION Vector read_bytes(const uint8_t *from)
{
    return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128((const void *)from)));
}

#include "mtcnn_networks.h"

STAGE int suppress_all(const double *boxes, const size_t num_boxes, const double threshold, const int of_smaller,
                       uint8_t *kept)
{
    enum { DOUBLES = 8 };
    const size_t row = num_boxes + DOUBLES;
    double *x1 = malloc(5 * row * sizeof *x1);
    if (x1 == NULL)
        return -1;
    double *y1 = x1 + row, *x2 = y1 + row, *y2 = x2 + row, *areas = y2 + row;
    memset(x1, 0, 5 * row * sizeof *x1);
    const __m512d none = _mm512_setzero_pd(), limit = _mm512_set1_pd(threshold);
    for (size_t i = 0; i < num_boxes; i++) {
        const double *box = boxes + 4 * i, area = (box[2] - box[0]) * (box[3] - box[1]);
        const __m512d left = _mm512_set1_pd(box[0]), top = _mm512_set1_pd(box[1]), right = _mm512_set1_pd(box[2]),
                      bottom = _mm512_set1_pd(box[3]), own = _mm512_set1_pd(area);
        kept[i] = 1;
        for (size_t j = 0; j < i && kept[i]; j += DOUBLES) {
            const __m512d across = _mm512_sub_pd(_mm512_min_pd(right, _mm512_loadu_pd(x2 + j)),
                                                 _mm512_max_pd(left, _mm512_loadu_pd(x1 + j)));
            const __m512d down = _mm512_sub_pd(_mm512_min_pd(bottom, _mm512_loadu_pd(y2 + j)),
                                               _mm512_max_pd(top, _mm512_loadu_pd(y1 + j)));
            const __m512d shared = _mm512_mul_pd(_mm512_max_pd(across, none), _mm512_max_pd(down, none));
            const __mmask8 earlier = (__mmask8)(i - j >= DOUBLES ? 0xff : (1 << (i - j)) - 1);
            const __mmask8 meeting = _mm512_mask_cmp_pd_mask(earlier, shared, none, _CMP_GT_OQ);
            if (!meeting)
                continue;
            const __m512d other = _mm512_loadu_pd(areas + j);
            const __m512d whole =
                of_smaller ? _mm512_min_pd(own, other) : _mm512_sub_pd(_mm512_add_pd(own, other), shared);
            const __mmask8 real = _mm512_mask_cmp_pd_mask(meeting, whole, none, _CMP_GT_OQ);
            kept[i] = !_mm512_mask_cmp_pd_mask(real, _mm512_maskz_div_pd(real, shared, whole), limit, _CMP_GT_OQ);
        }
        x1[i] = box[0], y1[i] = box[1], x2[i] = box[2], y2[i] = box[3], areas[i] = area;
    }
    free(x1);
    return 0;
}

const Engine MTCNN_AVX512 = {judge_all, propose_all, suppress_all};
#endif
