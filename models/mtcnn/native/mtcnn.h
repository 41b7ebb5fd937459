/* Common definitions of models/mtcnn/native/mtcnn*.c: sizes, and the functions of an engine. */

#ifndef MTCNN_H
#define MTCNN_H

#include <stddef.h>
#include <stdint.h>

#include "../../native/processor.h"

enum {
    LAYOUT = 2, /* version of the weights, arguments and results: as in models/mtcnn/native_engine.py */
    LANES = 16,
    GROUP = 12,        /* windows that go through the dense layers together */
    TILE = 3,          /* Winograd's tiles: 3 x 3 outputs, computed from 5 x 5 inputs */
    POINTS = 25,       /* products of a tile */
    DENSE = 128,       /* outputs of a dense layer that are packed together */
    ROOM = 64 * LANES, /* spare numbers after the end of each buffer */
    TABLE = 16,        /* numbers of a window's result: a logit, 4 corrections, 10 landmarks, one that is not used */
    CELL = 5,          /* numbers of a cell of P-Net: a logit, 4 corrections */
    CELL_PX = 12,      /* side of P-Net's window */
    RNET_PX = 24,
    ONET_PX = 48,
    RNET_FLAT = 3 * 3 * 64,
    ONET_FLAT = 3 * 3 * 128,
    RNET_DENSE = 128,
    ONET_DENSE = 256,
    PNET_LAYERS = 4,
    RNET_LAYERS = 5,
    ONET_LAYERS = 6,
    MOST_LAYERS = 6,
    SIZES_OF_LAYER = 3, /* weights, bias, slope */
};

typedef struct {
    const float *weights, *bias, *slope;
} Layer;

/* The networks for one kind of processor. Each number of a result is summed up in a fixed order, so it depends neither
on its neighbours nor on how many are computed together. */
typedef struct {
    /* R- or O-Net (`side` 24 or 48) on windows of an image: TABLE numbers each. Returns -1 without enough memory. */
    int (*judge)(const uint8_t *image, int height, int width, const double *boxes, size_t num_boxes, int side,
                 const Layer *layers, float *table);
    /* P-Net on an image reduced to a level: row, column and CELL numbers of each cell whose logit is greater than
    `least`. Returns the number of these cells, or -1 without enough memory. */
    ptrdiff_t (*propose)(const uint8_t *image, int height, int width, int level_height, int level_width, float least,
                         const Layer *layers, int32_t *cells, float *values);
    /* Keep the boxes that no earlier box overlaps by more than the threshold; the overlap is the intersection over the
    union or over the smaller box. The order of operations is that of models.mtcnn.boxes.suppress_overlaps. Returns -1
    without enough memory. */
    int (*suppress)(const double *boxes, size_t num_boxes, double threshold, int of_smaller, uint8_t *kept);
} Engine;

extern const Engine MTCNN_AVX512, MTCNN_AVX2;

#endif
