/* Common definitions of models/sphereface/native/sphereface*.c. */

#ifndef SPHEREFACE_H
#define SPHEREFACE_H

#include <stddef.h>
#include <stdint.h>

#include "../../native/processor.h"

enum {
    LAYOUT = 3, /* version of the weights, arguments and transforms: as in models/sphereface/native_engine.py */
    CROP_HEIGHT = 112,
    CROP_WIDTH = 96,
    BYTES_OF_CROP = CROP_HEIGHT * CROP_WIDTH * 3,
    FEATURES = 512,
    FLAT = 7 * 6 * 512, /* inputs of fc5 */
    POINTS = 36,        /* products of a tile */
    FIRST_DEPTH = 32,   /* the 3 x 3 x 3 = 27 inputs of conv1_1, padded */
    NUM_LAYERS = 20,
    NUM_ARRAYS = 3 * NUM_LAYERS + 2, /* weights, bias and slopes of each convolution, weights and bias of fc5 */
};

/* The number of each stage's first convolution, the one of stride 2. */
#define FIRST_OF_STAGE ((const int[4]){0, 3, 8, 17})

/* Embed crops (num_crops, 112, 96, 3) BGR into (num_crops, 512); returns -1 if there is not enough memory. */
typedef int Embed(const uint8_t *crops, size_t num_crops, int is_rgb, const void *const *arrays, float *embeddings);
Embed embed_in_bfloat16, embed_in_float32, embed_in_float32_avx2;

#endif
