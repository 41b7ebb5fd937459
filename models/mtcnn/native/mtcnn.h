/* What models/mtcnn/native/mtcnn*.c share: sizes, and what an engine does. */

#ifndef MTCNN_H
#define MTCNN_H

#include <stddef.h>
#include <stdint.h>

#include "../../native/processor.h"

enum {
    LAYOUT = 2, /* of weights, arguments and results: as in models/mtcnn/native_engine.py */
    LANES = 16,
    GROUP = 12,        /* windows that go through the dense layers together */
    TILE = 3,          /* Winograd's tiles: 3 x 3 outputs, seen from 5 x 5 inputs */
    POINTS = 25,       /* products of a tile */
    DENSE = 128,       /* outputs of a dense layer that are packed together */
    ROOM = 64 * LANES, /* numbers behind the end of each buffer */
    TABLE = 16,        /* numbers of a window's result: a logit, 4 corrections, 10 landmarks, nothing */
    CELL = 5,          /* of a cell of P-Net's: a logit, 4 corrections */
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

/* The networks for one kind of processor. Numbers of its results are sums in one order each, so they depend neither on
their neighbours nor on how many are computed together. */
typedef struct {
    /* R- or O-Net, as `side` says, on windows of an image, to TABLE numbers each; -1 when there is no memory. */
    int (*judge)(const uint8_t *image, int height, int width, const double *boxes, size_t num_boxes, int side,
                 const Layer *layers, float *table);
    /* P-Net on an image reduced to a level: row and column of the cells whose logit is greater than `least`, and CELL
    numbers each. Returns their number, or -1 when there is no memory. */
    ptrdiff_t (*propose)(const uint8_t *image, int height, int width, int level_height, int level_width, float least,
                         const Layer *layers, int32_t *cells, float *values);
    /* Boxes in order: which of them no earlier one overlaps by more than the threshold, over the union of the two or
    the smaller one. In the order of operations of models.mtcnn.boxes.suppress_overlaps; -1 when there is no memory. */
    int (*suppress)(const double *boxes, size_t num_boxes, double threshold, int of_smaller, uint8_t *kept);
} Engine;

extern const Engine MTCNN_AVX512, MTCNN_AVX2;

#endif
