/* MTCNN's networks in float32, and the arithmetic around them: windows and levels of the pyramid. A file for each kind
of processor includes this file, and defines Vector (16 numbers) and how many pixels fit into the registers.

Words: a map is an image of channels, channels last. A vector is 16 output channels. A part of a convolution's sum is
one row of its taps, whose inputs are contiguous. Rows of maps have room after their end, because convolutions compute a
fixed number of pixels at a time and may go past the end. 3 x 3 convolutions of many channels are Winograd's F(3x3, 3x3)
(Lavin & Gray 2016, "Fast Algorithms for Convolutional Neural Networks"): 25 products make 9 outputs instead of 81. */

#include <immintrin.h>
#include <stdlib.h>
#include <string.h>

#include "../../native/buffers.h"
#include "mtcnn.h"

#define INLINE static inline __attribute__((always_inline)) TARGET
#define STAGE static __attribute__((noinline)) TARGET
#define MOST_SUMS 27

/* Compute some pixels of a convolution for all channels of `vectors` vectors, with bias and PReLU unless they are NULL.
`parts` point to the inputs of the first pixel; those of the next pixel are `stride` numbers further. The weights of the
next input are `weights_stride` numbers further. */
INLINE void convolve_pixels(const int pixels, const int vectors, const int num_parts, const int depth,
                            const float *const *parts, const size_t stride, const float *weights,
                            const int weights_stride, const float *bias, const float *slope, float *to,
                            const size_t to_stride)
{
    Vector sums[MOST_SUMS];
    UNROLL(27)
    for (int pixel = 0; pixel < pixels; pixel++) {
        UNROLL(8)
        for (int v = 0; v < vectors; v++)
            sums[pixel * vectors + v] = bias == NULL ? repeat(0) : load(bias + v * LANES);
    }
    for (int part = 0; part < num_parts; part++) {
        const float *from = parts[part];
        for (int k = 0; k < depth; k++, from++, weights += weights_stride) {
            Vector factors[8];
            UNROLL(8)
            for (int v = 0; v < vectors; v++)
                factors[v] = load(weights + v * LANES);
            UNROLL(27)
            for (int pixel = 0; pixel < pixels; pixel++) {
                const Vector input = repeat(from[pixel * stride]);
                UNROLL(8)
                for (int v = 0; v < vectors; v++)
                    sums[pixel * vectors + v] = multiply_add(input, factors[v], sums[pixel * vectors + v]);
            }
        }
    }
    UNROLL(27)
    for (int pixel = 0; pixel < pixels; pixel++) {
        UNROLL(8)
        for (int v = 0; v < vectors; v++) {
            const Vector sum = sums[pixel * vectors + v];
            store(to + pixel * to_stride + v * LANES, slope == NULL ? sum : prelu(sum, slope + v * LANES));
        }
    }
}

/* A row of a convolution with `blocks` times `vectors` vectors of outputs; `side` rows of taps. */
INLINE void convolve_row(const int pixels, const int last_pixels, const int vectors, const int blocks, const int side,
                         const int channels, const float *const *rows, const int width, const Layer *layer, float *to)
{
    const int depth = side * channels, outputs = vectors * LANES;
    for (int block = 0; block < blocks; block++) {
        const float *weights = layer->weights + (size_t)block * side * depth * outputs;
        const float *bias = layer->bias + block * outputs, *slope = layer->slope + block * outputs;
        for (int x = 0; x < width;) {
            const float *parts[3];
            for (int part = 0; part < side; part++)
                parts[part] = rows[part] + (size_t)x * channels;
            float *at = to + ((size_t)x * blocks + block) * outputs;
            if (x + pixels <= width || pixels == last_pixels) {
                convolve_pixels(pixels, vectors, side, depth, parts, channels, weights, outputs, bias, slope, at,
                                blocks * outputs);
                x += pixels;
            } else {
                convolve_pixels(last_pixels, vectors, side, depth, parts, channels, weights, outputs, bias, slope, at,
                                blocks * outputs);
                x += last_pixels;
            }
        }
    }
}

INLINE void pool_pixel(const int num_rows, const int num_columns, const int vectors, const float *const *rows,
                       const size_t offset, float *to)
{
    UNROLL(8)
    for (int v = 0; v < vectors; v++) {
        Vector most = load(rows[0] + offset + v * LANES);
        for (int row = 0; row < num_rows; row++)
            for (int column = 0; column < num_columns; column++)
                most = larger(most, load(rows[row] + offset + (column * vectors + v) * LANES));
        store(to + v * LANES, most);
    }
}

/* A row of max pooling with steps of two; pixels outside the map do not count. If the output has fewer channels than
the vectors hold, the next pixel overwrites the rest of each pixel. */
INLINE void pool_row(const int side, const int vectors, const float *const *rows, const int num_rows, const int width,
                     const int pooled_width, float *to, const int channels)
{
    for (int x = 0; x < pooled_width; x++, to += channels) {
        const int num_columns = width - 2 * x < side ? width - 2 * x : side;
        const size_t offset = (size_t)2 * x * vectors * LANES;
        if (num_rows == side && num_columns == side)
            pool_pixel(side, side, vectors, rows, offset, to);
        else
            pool_pixel(num_rows, num_columns, vectors, rows, offset, to);
    }
}

/* One dimension of the transform of a tile's inputs: five numbers become those at the points 0, 1, -1, 2, infinity. */
INLINE void transform_inputs(const Vector *x, const int stride, Vector *y)
{
    const Vector two = repeat(2), three = repeat(3);
    const Vector x0 = x[0], x1 = x[stride], x2 = x[2 * stride], x3 = x[3 * stride], x4 = x[4 * stride];
    y[3] = subtract(x3, x1);
    y[0] = multiply_add(two, subtract(x0, x2), y[3]);
    y[1] = multiply_subtract(two, x1, subtract(x3, x2));
    y[2] = multiply_add(two, x1, multiply_subtract(three, x2, x3));
    y[4] = multiply_subtract(two, y[3], subtract(x4, x2));
}

/* One dimension of the transform of a tile's sums: five numbers become three outputs. */
INLINE void transform_sums(const Vector *x, const int stride, Vector *y)
{
    const Vector two = repeat(2), four = repeat(4);
    const Vector sum = add(x[stride], x[2 * stride]), difference = subtract(x[stride], x[2 * stride]);
    y[0] = add(add(x[0], sum), x[3 * stride]);
    y[1] = multiply_add(two, x[3 * stride], difference);
    y[2] = add(multiply_add(four, x[3 * stride], sum), x[4 * stride]);
}

/* Transform a row of tiles (five rows of inputs) to the rows of V, (25, num_rows, channels), from `first` on. A tile's
fifth inputs do not change its first and second outputs. Its fourth inputs change its first outputs by rounding: a tile
with a single column or row of outputs must have zeros there. */
INLINE void transform_row(const float *const *rows, const int channels, const int num_tiles, const int first,
                          const int num_rows, float *v)
{
    for (int tile = 0; tile < num_tiles; tile++)
        for (int channel = 0; channel < channels; channel += LANES) {
            /* Of 28 channels, the last vector begins at channel 12. */
            const int start = channel + LANES <= channels ? channel : channels - LANES;
            Vector across[POINTS], numbers[5];
            UNROLL(5)
            for (int i = 0; i < 5; i++) {
                UNROLL(5)
                for (int j = 0; j < 5; j++)
                    numbers[j] = load(rows[i] + (size_t)(tile * TILE + j) * channels + start);
                transform_inputs(numbers, 1, across + 5 * i);
            }
            UNROLL(5)
            for (int j = 0; j < 5; j++) {
                transform_inputs(across + j, 5, numbers);
                UNROLL(5)
                for (int i = 0; i < 5; i++)
                    store(v + ((size_t)(5 * i + j) * num_rows + first + tile) * channels + start, numbers[i]);
            }
        }
}

/* Multiply all rows of V with a block of the weights, to sums (25, num_rows, outputs). */
INLINE void multiply_tiles(const int pixels, const int last_pixels, const int vectors, const int channels,
                           const float *v, const int num_tiles, const int num_rows, const float *weights, float *sums)
{
    const int outputs = vectors * LANES;
    for (int point = 0; point < POINTS; point++, weights += (size_t)channels * outputs) {
        const float *from = v + (size_t)point * num_rows * channels;
        float *to = sums + (size_t)point * num_rows * outputs;
        for (int row = 0; row < num_tiles;) {
            const float *part = from + (size_t)row * channels;
            if (row + pixels <= num_tiles || pixels == last_pixels) {
                convolve_pixels(pixels, vectors, 1, channels, &part, channels, weights, outputs, NULL, NULL,
                                to + (size_t)row * outputs, outputs);
                row += pixels;
            } else {
                convolve_pixels(last_pixels, vectors, 1, channels, &part, channels, weights, outputs, NULL, NULL,
                                to + (size_t)row * outputs, outputs);
                row += last_pixels;
            }
        }
    }
}

/* Compute a row of tiles from its sums: `height` rows of `width` outputs of a block. In the result, rows are `to_row`
numbers apart and pixels `to_pixel` numbers. */
INLINE void finish_row(const int vectors, const float *sums, const int first, const int num_tiles, const int num_rows,
                       const int height, const int width, const float *bias, const float *slope, float *to,
                       const size_t to_row, const size_t to_pixel)
{
    for (int tile = 0; tile < num_tiles; tile++) {
        const int columns = width - tile * TILE < TILE ? width - tile * TILE : TILE;
        for (int half = 0; half < vectors * LANES; half += LANES) {
            const Vector offset = load(bias + half);
            Vector across[5 * TILE], numbers[5], outputs[TILE * TILE];
            UNROLL(5)
            for (int i = 0; i < 5; i++) {
                UNROLL(5)
                for (int j = 0; j < 5; j++)
                    numbers[j] = load(sums + ((size_t)(5 * i + j) * num_rows + first + tile) * vectors * LANES + half);
                transform_sums(numbers, 1, across + TILE * i);
            }
            UNROLL(3)
            for (int j = 0; j < TILE; j++)
                transform_sums(across + j, TILE, outputs + TILE * j);
            for (int j = 0; j < columns; j++)
                for (int i = 0; i < height; i++)
                    store(to + i * to_row + (size_t)(tile * TILE + j) * to_pixel + half,
                          prelu(add(outputs[TILE * j + i], offset), slope + half));
        }
    }
}

/* A convolution of a map of `size` x `size` pixels by tiles, and the pooling after it. */
INLINE void convolve_by_tiles(const int size, const int channels, const int pixels, const int vectors, const int blocks,
                              const int pool_side, const int pooled_size, const float *map, const Layer *layer,
                              float *v, float *sums, float *outputs, float *to)
{
    const int width = size - 2, tiles = (width + TILE - 1) / TILE, num_tiles = tiles * tiles,
              num_rows = (num_tiles + pixels - 1) / pixels * pixels, kept = blocks * vectors * LANES;
    for (int y = 0; y < tiles; y++) {
        const float *rows[5];
        for (int row = 0; row < 5; row++)
            rows[row] = map + (size_t)(y * TILE + row) * size * channels;
        transform_row(rows, channels, tiles, y * tiles, num_rows, v);
    }
    for (int block = 0; block < blocks; block++) {
        const int channel = block * vectors * LANES;
        multiply_tiles(pixels, pixels, vectors, channels, v, num_tiles, num_rows,
                       layer->weights + (size_t)POINTS * channels * channel, sums);
        for (int y = 0; y < tiles; y++)
            finish_row(vectors, sums, y * tiles, tiles, num_rows, width - y * TILE < TILE ? width - y * TILE : TILE,
                       width, layer->bias + channel, layer->slope + channel,
                       outputs + (size_t)y * TILE * width * kept + channel, (size_t)width * kept, kept);
    }
    for (int y = 0; y < pooled_size; y++) {
        const int end = 2 * y + pool_side < width ? 2 * y + pool_side : width;
        const float *pooled[3];
        for (int row = 2 * y; row < end; row++)
            pooled[row - 2 * y] = outputs + (size_t)row * width * kept;
        pool_row(pool_side, vectors * blocks, pooled, end - 2 * y, width, pooled_size,
                 to + (size_t)y * pooled_size * kept, kept);
    }
}

/* A convolution of a map of `size` x `size` pixels and the pooling after it, which keeps `kept` channels. */
INLINE void convolve_and_pool(const int size, const int channels, const int pixels, const int vectors, const int blocks,
                              const int pool_side, const int pooled_size, const int kept, const float *map,
                              const Layer *layer, float *ring, float *to)
{
    const int width = size - 2, outputs = vectors * blocks * LANES;
    const size_t ring_row = (size_t)(width + pixels) * outputs;
    int done = 0;
    for (int y = 0; y < pooled_size; y++) {
        const int end = 2 * y + pool_side < width ? 2 * y + pool_side : width;
        for (; done < end; done++) {
            const float *rows[3];
            for (int row = 0; row < 3; row++)
                rows[row] = map + (size_t)(done + row) * size * channels;
            convolve_row(pixels, pixels, vectors, blocks, 3, channels, rows, width, layer, ring + done % 4 * ring_row);
        }
        const float *pooled[3];
        for (int row = 2 * y; row < end; row++)
            pooled[row - 2 * y] = ring + row % 4 * ring_row;
        pool_row(pool_side, vectors * blocks, pooled, end - 2 * y, width, pooled_size,
                 to + (size_t)y * pooled_size * kept, kept);
    }
}

/* The last convolution, 2 x 2 taps on 4 x 4 pixels. */
INLINE void convolve_last(const int channels, const int blocks, const float *map, const Layer *layer, float *to)
{
    for (int y = 0; y < 3; y++) {
        const float *rows[2] = {map + (size_t)y * 4 * channels, map + (size_t)(y + 1) * 4 * channels};
        convolve_row(PIXELS_4, PIXELS_4, 4, blocks, 2, channels, rows, 3, layer,
                     to + (size_t)y * 3 * blocks * 4 * LANES);
    }
}

/* Sizes of R- and O-Net's buffers, in numbers; O-Net's second layer needs the largest V, SUMS and OUTPUTS. Each buffer
has ROOM after its end, because layers may go past what they need; an assertion beside each layer checks how far. */
enum {
    WINDOW = ONET_PX * ONET_PX * 3 + ROOM,
    RING = 4 * (ONET_PX + 12) * 32 + ROOM,
    V = POINTS * 52 * 32 + ROOM,
    SUMS = POINTS * 52 * 32 + ROOM,
    OUTPUTS = 21 * 21 * 64 + ROOM,
    MAP_1 = 23 * 23 * 32 + ROOM,
    MAP_2 = 10 * 10 * 64 + ROOM,
    MAP_3 = 4 * 4 * 64 + ROOM,
    FLATS = GROUP * ONET_FLAT + ROOM,
    DENSES = GROUP * ONET_DENSE + ROOM,
};

typedef struct {
    float *window, *ring, *map_1, *map_2, *map_3, *v, *sums, *outputs, *flat, *dense;
} Scratch;

/* Place the buffers in memory; without memory (NULL), only count their bytes. Numbers past the ends of rows may never
have been written; what is computed from them is not used. */
static size_t lay_out(Scratch *s, char *memory)
{
    size_t used = 0;
    s->window = take(memory, &used, WINDOW * sizeof(float));
    s->ring = take(memory, &used, RING * sizeof(float));
    s->map_1 = take(memory, &used, MAP_1 * sizeof(float));
    s->map_2 = take(memory, &used, MAP_2 * sizeof(float));
    s->map_3 = take(memory, &used, MAP_3 * sizeof(float));
    s->v = take(memory, &used, V * sizeof(float));
    s->sums = take(memory, &used, SUMS * sizeof(float));
    s->outputs = take(memory, &used, OUTPUTS * sizeof(float));
    s->flat = take(memory, &used, FLATS * sizeof(float));
    s->dense = take(memory, &used, DENSES * sizeof(float));
    return used;
}

/* Let the compiler check that convolve_and_pool and convolve_by_tiles stay within their buffers. Each pixel of a window
is stored as four numbers, and the next pixel overwrites the fourth: one number more is written than the window has. */
#define CHECK_ROWS(size, channels, pixels, outputs, pool, kept, from_numbers, to_numbers)                              \
    _Static_assert((((size) - 1) * (size) + ROUND_UP((size) - 2, pixels) + 2) * (channels) <= (from_numbers),          \
                   "reads beyond its map");                                                                            \
    _Static_assert(4 * ((size) - 2 + (pixels)) * (outputs) <= RING, "writes beyond the ring");                         \
    _Static_assert(ROUND_UP((size) - 2, pixels) < (size) - 2 + (pixels), "rows of the ring overlap");                  \
    _Static_assert(((pool) * (pool) - 1) * (kept) + (outputs) <= (to_numbers), "writes beyond its result")

#define NUM_TILES(size) (((size) - 2 + TILE - 1) / TILE)
#define CHECK_TILES(size, channels, pixels, vectors, blocks, pool, from_numbers, to_numbers)                           \
    _Static_assert((NUM_TILES(size) * TILE + 1) * ((size) + 1) * (channels) + (channels) <= (from_numbers),            \
                   "reads beyond its map");                                                                            \
    _Static_assert(POINTS * ROUND_UP(NUM_TILES(size) * NUM_TILES(size), pixels) * (channels) <= V, "too many tiles");  \
    _Static_assert(POINTS * ROUND_UP(NUM_TILES(size) * NUM_TILES(size), pixels) * (vectors) * LANES <= SUMS,           \
                   "too many sums");                                                                                   \
    _Static_assert(((size) - 2) * ((size) - 2) * (vectors) * (blocks) * LANES <= OUTPUTS, "too many outputs");         \
    _Static_assert((pool) * (pool) * (vectors) * (blocks) * LANES <= (to_numbers), "writes beyond its result")

_Static_assert(3 % PIXELS_4 == 0, "the last convolution's rows of 3 are computed in whole parts");
_Static_assert(DENSE % (VECTORS_1 * LANES) == 0 && DENSE % (VECTORS_3 * LANES) == 0, "a block's vectors fill it");
_Static_assert(ONET_PX * ONET_PX * 3 + 1 <= WINDOW, "a window's last pixel is stored as four numbers");
_Static_assert(RNET_FLAT <= ONET_FLAT && RNET_DENSE <= ONET_DENSE, "R-Net uses O-Net's buffers");
_Static_assert(PIXELS_1 <= MOST_SUMS && PIXELS_2 * 2 <= MOST_SUMS && PIXELS_3 * 3 <= MOST_SUMS &&
                   PIXELS_4 * 4 <= MOST_SUMS && PIXELS_9_TILES * 2 <= MOST_SUMS && PIXELS_49_TILES * 2 <= MOST_SUMS &&
                   VECTORS_3 * 3 <= MOST_SUMS && VECTORS_1 <= 8 && VECTORS_3 <= 8 && WIDE <= 8,
               "sums and factors fit into their arrays");

CHECK_ROWS(ONET_PX, 3, PIXELS_2, 32, 23, 32, WINDOW, MAP_1);
STAGE void onet_1(const Layer *layer, Scratch *s)
{
    convolve_and_pool(ONET_PX, 3, PIXELS_2, 2, 1, 3, 23, 32, s->window, layer, s->ring, s->map_1);
}

CHECK_TILES(23, 32, PIXELS_49_TILES, 2, 2, 10, MAP_1, MAP_2);
STAGE void onet_2(const Layer *layer, Scratch *s)
{
    convolve_by_tiles(23, 32, PIXELS_49_TILES, 2, 2, 3, 10, s->map_1, layer, s->v, s->sums, s->outputs, s->map_2);
}

CHECK_TILES(10, 64, PIXELS_9_TILES, 2, 2, 4, MAP_2, MAP_3);
STAGE void onet_3(const Layer *layer, Scratch *s)
{
    convolve_by_tiles(10, 64, PIXELS_9_TILES, 2, 2, 2, 4, s->map_2, layer, s->v, s->sums, s->outputs, s->map_3);
}

STAGE void onet_4(const Layer *layer, Scratch *s, float *flat) { convolve_last(64, 2, s->map_3, layer, flat); }

CHECK_ROWS(RNET_PX, 3, PIXELS_2, 32, 11, 28, WINDOW, MAP_1);
STAGE void rnet_1(const Layer *layer, Scratch *s)
{
    convolve_and_pool(RNET_PX, 3, PIXELS_2, 2, 1, 3, 11, 28, s->window, layer, s->ring, s->map_1);
}

CHECK_TILES(11, 28, PIXELS_3, 3, 1, 4, MAP_1, MAP_2);
STAGE void rnet_2(const Layer *layer, Scratch *s)
{
    convolve_by_tiles(11, 28, PIXELS_3, 3, 1, 3, 4, s->map_1, layer, s->v, s->sums, s->outputs, s->map_2);
}

STAGE void rnet_3(const Layer *layer, Scratch *s, float *flat) { convolve_last(48, 1, s->map_2, layer, flat); }

/* Compute DENSE outputs of some windows, `vectors` vectors at a time. */
INLINE void connect_block(const int windows, const int vectors, const int depth, const float *from,
                          const float *weights, const float *bias, const float *slope, float *to, const int outputs)
{
    for (int output = 0; output < DENSE; output += vectors * LANES)
        convolve_pixels(windows, vectors, 1, depth, &from, depth, weights + output, DENSE, bias + output,
                        slope + output, to + output, outputs);
}

/* A dense layer over some windows; `outputs` is a multiple of DENSE. */
INLINE void connect(const int depth, const int outputs, const float *flat, const int num_windows, const Layer *layer,
                    float *to)
{
    for (int block = 0; block < outputs / DENSE; block++) {
        const float *weights = layer->weights + (size_t)block * depth * DENSE;
        const float *bias = layer->bias + block * DENSE, *slope = layer->slope + block * DENSE;
        int window = 0;
        for (; window + 3 <= num_windows; window += 3)
            connect_block(3, VECTORS_3, depth, flat + (size_t)window * depth, weights, bias, slope,
                          to + (size_t)window * outputs + block * DENSE, outputs);
        for (; window < num_windows; window++)
            connect_block(1, VECTORS_1, depth, flat + (size_t)window * depth, weights, bias, slope,
                          to + (size_t)window * outputs + block * DENSE, outputs);
    }
}

STAGE void answer(const int depth, const float *dense, const int num_windows, const Layer *layer, float *table)
{
    for (int window = 0; window < num_windows; window++) {
        const float *from = dense + (size_t)window * depth;
        convolve_pixels(1, 1, 1, depth, &from, depth, layer->weights, TABLE, layer->bias, layer->slope,
                        table + window * TABLE, TABLE);
    }
}

STAGE void connect_rnet(const Layer *layer, Scratch *s, const int num_windows)
{
    connect(RNET_FLAT, RNET_DENSE, s->flat, num_windows, layer, s->dense);
}

STAGE void connect_onet(const Layer *layer, Scratch *s, const int num_windows)
{
    connect(ONET_FLAT, ONET_DENSE, s->flat, num_windows, layer, s->dense);
}

typedef struct {
    int lower[ONET_PX], upper[ONET_PX];
    float lower_weights[ONET_PX], upper_weights[ONET_PX];
} Axis;

/* Find the two neighbours of each position of a window's grid, and their weights: zero outside [0, length - 1]. */
static void place_axis(double low, double high, int length, int side, Axis *axis)
{
    const double last = length - 1, share = last / length;
    for (int i = 0; i < side; i++) {
        const double position = (low + (high - low) * ((double)i / (side - 1))) * share;
        const int is_inside = position >= 0 && position <= last; /* NaN counts as outside */
        const double placed = is_inside ? position : 0;
        axis->lower[i] = (int)placed;
        axis->upper[i] = axis->lower[i] + 1 < length ? axis->lower[i] + 1 : length - 1;
        axis->upper_weights[i] = is_inside ? (float)(placed - axis->lower[i]) : 0.0f;
        axis->lower_weights[i] = is_inside ? (float)(1.0 - (placed - axis->lower[i])) : 0.0f;
    }
}

/* Read three channels of a pixel, minus 127.5; the fourth number has no meaning. `end` is the end of the image. */
INLINE __m128 read_pixel(const uint8_t *pixel, const uint8_t *end)
{
    uint32_t bytes;
    if (end - pixel >= 4)
        memcpy(&bytes, pixel, 4);
    else
        bytes = pixel[0] | (uint32_t)pixel[1] << 8 | (uint32_t)pixel[2] << 16;
    return _mm_sub_ps(_mm_cvtepi32_ps(_mm_cvtepu8_epi32(_mm_cvtsi32_si128((int)bytes))), _mm_set1_ps(127.5f));
}

/* Do the same as models.mtcnn.boxes.sample_windows for one box, in the same order of operations. */
STAGE void sample(const uint8_t *image, int height, int width, const double *box, int side, float *window)
{
    Axis down, across;
    place_axis(box[1], box[3], height, side, &down);
    place_axis(box[0], box[2], width, side, &across);
    const uint8_t *end = image + (size_t)height * width * 3;
    for (int y = 0; y < side; y++) {
        const uint8_t *above = image + (size_t)down.lower[y] * width * 3;
        const uint8_t *below = image + (size_t)down.upper[y] * width * 3;
        const __m128 above_weight = _mm_set1_ps(down.lower_weights[y]),
                     below_weight = _mm_set1_ps(down.upper_weights[y]);
        for (int x = 0; x < side; x++, window += 3) {
            const size_t left = (size_t)across.lower[x] * 3, right = (size_t)across.upper[x] * 3;
            const __m128 on_left = _mm_add_ps(_mm_mul_ps(read_pixel(above + left, end), above_weight),
                                              _mm_mul_ps(read_pixel(below + left, end), below_weight));
            const __m128 on_right = _mm_add_ps(_mm_mul_ps(read_pixel(above + right, end), above_weight),
                                               _mm_mul_ps(read_pixel(below + right, end), below_weight));
            const __m128 value = _mm_add_ps(_mm_mul_ps(on_left, _mm_set1_ps(across.lower_weights[x])),
                                            _mm_mul_ps(on_right, _mm_set1_ps(across.upper_weights[x])));
            _mm_storeu_ps(window, _mm_mul_ps(value, _mm_set1_ps(1.0f / 128.0f)));
        }
    }
}

/* R- or O-Net, as `side` says, on windows of an image. */
static int judge_all(const uint8_t *image, int height, int width, const double *boxes, size_t num_boxes, int side,
                     const Layer *layers, float *table)
{
    Scratch s;
    char *memory = aligned_alloc(ALIGNMENT, lay_out(&s, NULL));
    if (memory == NULL)
        return -1;
    lay_out(&s, memory);
    for (size_t first = 0; first < num_boxes; first += GROUP) {
        const int group = num_boxes - first < GROUP ? (int)(num_boxes - first) : GROUP;
        for (int i = 0; i < group; i++) {
            sample(image, height, width, boxes + (first + i) * 4, side, s.window);
            if (side == ONET_PX) {
                onet_1(layers, &s);
                onet_2(layers + 1, &s);
                onet_3(layers + 2, &s);
                onet_4(layers + 3, &s, s.flat + i * (size_t)ONET_FLAT);
            } else {
                rnet_1(layers, &s);
                rnet_2(layers + 1, &s);
                rnet_3(layers + 2, &s, s.flat + i * (size_t)RNET_FLAT);
            }
        }
        if (side == ONET_PX) {
            connect_onet(layers + 4, &s, group);
            answer(ONET_DENSE, s.dense, group, layers + 5, table + first * TABLE);
        } else {
            connect_rnet(layers + 3, &s, group);
            answer(RNET_DENSE, s.dense, group, layers + 4, table + first * TABLE);
        }
    }
    free(memory);
    return 0;
}

/* Area resampling along one axis: output i is the sum of `count[i]` inputs from `first[i]` on, times their weights. An
output has at most `most` weights. */
typedef struct {
    int most, *first, *count;
    float *weights;
} Reduction;

/* Compute the shares of the source pixels in each pixel of a smaller size, as OpenCV's INTER_AREA does. */
static int fill_reduction(int length, int size, Reduction *reduction)
{
    const double scale = 1.0 / ((double)size / length), least = 1e-3;
    reduction->most = (int)scale + 3;
    reduction->first = malloc(size * 2 * sizeof(int));
    reduction->weights = malloc((size_t)size * reduction->most * sizeof(float));
    if (reduction->first == NULL || reduction->weights == NULL)
        return -1;
    reduction->count = reduction->first + size;
    for (int i = 0; i < size; i++) {
        float *weights = reduction->weights + (size_t)i * reduction->most;
        const double low = i * scale, high = low + scale, cell = scale < length - low ? scale : length - low;
        int end = (int)high, begin = (int)low + ((int)low < low), count = 0;
        end = end < length - 1 ? end : length - 1;
        begin = begin < end ? begin : end;
        reduction->first[i] = begin;
        if (begin - low > least) {
            reduction->first[i]--;
            weights[count++] = (float)((begin - low) / cell);
        }
        for (int from = begin; from < end; from++)
            weights[count++] = (float)(1.0 / cell);
        if (high - end > least) {
            const double rest = high - end < 1.0 ? high - end : 1.0;
            weights[count++] = (float)((rest < cell ? rest : cell) / cell);
        }
        reduction->count[i] = count;
    }
    return 0;
}

static void free_reduction(Reduction *reduction)
{
    free(reduction->first);
    free(reduction->weights);
}

/* Compute `vectors` times 16 numbers of a weighted sum of rows of bytes. */
INLINE void add_rows(const int vectors, const uint8_t *from, const size_t stride, const int count, const float *weights,
                     float *to)
{
    Vector sums[8];
    UNROLL(8)
    for (int v = 0; v < vectors; v++)
        sums[v] = repeat(0);
    for (int row = 0; row < count; row++, from += stride) {
        const Vector weight = repeat(weights[row]);
        UNROLL(8)
        for (int v = 0; v < vectors; v++) {
            sums[v] = multiply_add(read_bytes(from + v * LANES), weight, sums[v]);
        }
    }
    UNROLL(8)
    for (int v = 0; v < vectors; v++)
        store(to + v * LANES, sums[v]);
}

/* Compute a row of a level, as (value - 127.5) / 128: first down the columns, then across. `length` is the size of an
image's row in bytes, at least 16; `line` has room for as many numbers. */
STAGE void reduce_row(const uint8_t *image, const size_t length, const Reduction *down, const int y,
                      const Reduction *across, const int width, float *line, float *to)
{
    const uint8_t *from = image + (size_t)down->first[y] * length;
    const float *weights = down->weights + (size_t)y * down->most;
    size_t at = 0;
    for (; at + WIDE * LANES <= length; at += WIDE * LANES)
        add_rows(WIDE, from + at, length, down->count[y], weights, line + at);
    for (; at < length; at += LANES) {
        const size_t start = at + LANES <= length ? at : length - LANES;
        add_rows(1, from + start, length, down->count[y], weights, line + start);
    }
    const __m128 centre = _mm_set1_ps(127.5f), share = _mm_set1_ps(1.0f / 128.0f);
    for (int x = 0; x < width; x++, to += 3) {
        const float *pixel = line + (size_t)across->first[x] * 3;
        const float *shares = across->weights + (size_t)x * across->most;
        __m128 sum = _mm_setzero_ps();
        for (int i = 0; i < across->count[x]; i++, pixel += 3)
            sum = _mm_fmadd_ps(_mm_loadu_ps(pixel), _mm_set1_ps(shares[i]), sum);
        _mm_storeu_ps(to, _mm_mul_ps(_mm_sub_ps(sum, centre), share));
    }
}

STAGE void pnet_1(const float *const *rows, const int width, const Layer *layer, float *to)
{
    convolve_row(PIXELS_1, PIXELS_1_LAST, 1, 1, 3, 3, rows, width, layer, to);
}

STAGE void pnet_2(const float *const *rows, const int width, const Layer *layer, float *to)
{
    convolve_row(PIXELS_1, PIXELS_1_LAST, 1, 1, 3, 10, rows, width, layer, to);
}

/* Compute `height` rows, three at most, which are `to_row` numbers apart. */
STAGE void pnet_3(const float *const *rows, const int height, const int width, const Layer *layer, float *v,
                  float *sums, float *to, const size_t to_row)
{
    const int num_tiles = (width + TILE - 1) / TILE, num_rows = num_tiles + PIXELS_2;
    transform_row(rows, 16, num_tiles, 0, num_rows, v);
    multiply_tiles(PIXELS_2, PIXELS_2_LAST, 2, 16, v, num_tiles, num_rows, layer->weights, sums);
    finish_row(2, sums, 0, num_tiles, num_rows, height, width, layer->bias, layer->slope, to, to_row, 2 * LANES);
}

STAGE void pnet_pool(const float *const *rows, const int num_rows, const int width, const int pooled_width, float *to)
{
    pool_row(2, 1, rows, num_rows, width, pooled_width, to, 10);
}

INLINE float answer_cell(const float *weights, const Vector first, const Vector second)
{
    return sum_up(multiply_add(first, load(weights), multiply(second, load(weights + LANES))));
}

/* Append the cells of a row whose logit is greater than `least`; return the new number of cells. */
STAGE size_t pick_cells(const float *features, const int width, const int row, const float least, const Layer *layer,
                        size_t count, int32_t *cells, float *values)
{
    for (int x = 0; x < width; x++) {
        const Vector first = load(features + (size_t)x * 2 * LANES),
                     second = load(features + (size_t)x * 2 * LANES + LANES);
        const float logit = answer_cell(layer->weights, first, second) + layer->bias[0];
        if (!(logit > least))
            continue;
        cells[2 * count] = row;
        cells[2 * count + 1] = x;
        values[CELL * count] = logit;
        for (int i = 1; i < CELL; i++)
            values[CELL * count + i] = answer_cell(layer->weights + i * 2 * LANES, first, second) + layer->bias[i];
        count++;
    }
    return count;
}

/* P-Net's buffers. A row of a layer is computed when the next layer needs it, so that it is still in the cache. */
enum {
    LEVEL_ROWS = 4, /* rows kept of the level, of the pooled map and of the second layer */
    POOLED_ROWS = 3,
    ROWS_2 = 5,
    BEYOND = 32, /* pixels after the end of each row, and rows of V after the tiles */
};

_Static_assert(PIXELS_1_LAST - 1 + 2 <= BEYOND && PIXELS_1_LAST <= PIXELS_1 && PIXELS_1 % PIXELS_1_LAST == 0,
               "rows are read and written by no more pixels than lie behind their end");
_Static_assert(PIXELS_2_LAST <= PIXELS_2 && PIXELS_2 % PIXELS_2_LAST == 0 && PIXELS_2 <= BEYOND,
               "tiles are multiplied by no more rows than lie behind their end");
_Static_assert(2 * TILE <= BEYOND, "the last tile of a row ends in what lies behind it");

typedef struct {
    float *line;     /* an image's row, reduced down but not across */
    float *level;    /* LEVEL_ROWS rows */
    float *first;    /* two rows of the first layer */
    float *pooled;   /* POOLED_ROWS rows of 10 channels */
    float *second;   /* ROWS_2 rows of the second layer */
    float *features; /* TILE rows of the third layer */
    float *nothing;  /* a row of zeros, in place of the second layer's rows after its last */
    float *v, *sums; /* of a row of tiles */
    size_t level_row, first_row, pooled_row, second_row, num_tiles; /* numbers of a row */
} Rows;

/* Place the buffers for a level in memory; without memory (NULL), only count their bytes. */
static size_t lay_rows_out(Rows *rows, char *memory, int image_width, int level_width)
{
    const size_t width_1 = (size_t)level_width - 2, pooled_width = (width_1 + 1) / 2;
    size_t used = 0;
    rows->level_row = ((size_t)level_width + BEYOND) * 3;
    rows->first_row = (width_1 + BEYOND) * LANES;
    rows->pooled_row = (pooled_width + BEYOND) * 10;
    rows->second_row = (pooled_width + BEYOND) * LANES;
    rows->num_tiles = (pooled_width + BEYOND) / TILE + BEYOND;
    rows->line = take(memory, &used, ((size_t)image_width * 3 + ROOM) * sizeof(float));
    rows->level = take(memory, &used, (LEVEL_ROWS * rows->level_row + ROOM) * sizeof(float));
    rows->first = take(memory, &used, (2 * rows->first_row + ROOM) * sizeof(float));
    rows->pooled = take(memory, &used, (POOLED_ROWS * rows->pooled_row + ROOM) * sizeof(float));
    rows->second = take(memory, &used, (ROWS_2 * rows->second_row + ROOM) * sizeof(float));
    rows->features = take(memory, &used, (TILE * 2 * rows->second_row + ROOM) * sizeof(float));
    rows->nothing = take(memory, &used, (rows->second_row + ROOM) * sizeof(float));
    rows->v = take(memory, &used, POINTS * rows->num_tiles * LANES * sizeof(float));
    rows->sums = take(memory, &used, POINTS * rows->num_tiles * 2 * LANES * sizeof(float));
    return used;
}

/* Compute row `y` of the pooled map, which the second layer reads, and the rows of the level and first layer for it. */
static void make_pooled_row(const uint8_t *image, const size_t length, const Reduction *down, const Reduction *across,
                            const int level_height, const int level_width, const Layer *layer, const int y,
                            int *num_reduced, Rows *s)
{
    const int rows_1 = level_height - 2, width_1 = level_width - 2, num_rows = 2 * y + 1 < rows_1 ? 2 : 1;
    const float *rows[3], *fresh[2];
    for (int i = 0; i < num_rows; i++) {
        for (; *num_reduced < 2 * y + i + 3; ++*num_reduced)
            reduce_row(image, length, down, *num_reduced, across, level_width, s->line,
                       s->level + (size_t)(*num_reduced % LEVEL_ROWS) * s->level_row);
        for (int row = 0; row < 3; row++)
            rows[row] = s->level + (size_t)((2 * y + i + row) % LEVEL_ROWS) * s->level_row;
        float *to = s->first + (size_t)i * s->first_row;
        fresh[i] = to;
        pnet_1(rows, width_1, layer, to);
    }
    pnet_pool(fresh, num_rows, width_1, (width_1 + 1) / 2, s->pooled + (size_t)(y % POOLED_ROWS) * s->pooled_row);
}

/* P-Net on an image reduced to a level. Returns the number of cells, or -1 without enough memory. */
static ptrdiff_t propose_all(const uint8_t *image, int height, int width, int level_height, int level_width,
                             float least, const Layer *layers, int32_t *cells, float *values)
{
    const int pooled_rows = (level_height - 1) / 2, pooled_width = (level_width - 1) / 2, num_outputs = pooled_rows - 4;
    Rows s;
    Reduction down = {0}, across = {0};
    char *memory = aligned_alloc(ALIGNMENT, lay_rows_out(&s, NULL, width, level_width));
    ptrdiff_t count = -1;
    if (memory == NULL || fill_reduction(height, level_height, &down) != 0 ||
        fill_reduction(width, level_width, &across) != 0)
        goto done;
    lay_rows_out(&s, memory, width, level_width);
    count = 0;
    memset(s.nothing, 0, (s.second_row + ROOM) * sizeof(float));
    int num_reduced = 0;
    for (int y = 0; y < pooled_rows; y++) {
        make_pooled_row(image, (size_t)width * 3, &down, &across, level_height, level_width, layers, y, &num_reduced,
                        &s);
        if (y >= 2) {
            const float *rows[3];
            for (int row = 0; row < 3; row++)
                rows[row] = s.pooled + (size_t)((y - 2 + row) % POOLED_ROWS) * s.pooled_row;
            float *to = s.second + (size_t)((y - 2) % ROWS_2) * s.second_row;
            pnet_2(rows, pooled_width - 2, layers + 1, to);
            memset(to + (size_t)(pooled_width - 2) * LANES, 0, 2 * LANES * sizeof *to);
        }
        const int ready = y - 3; /* rows of outputs whose inputs are complete */
        if (ready > 0 && (ready % TILE == 0 || ready == num_outputs)) {
            const int from = (ready - 1) / TILE * TILE;
            const float *inputs[5];
            for (int row = 0; row < 5; row++)
                inputs[row] = from + row < pooled_rows - 2 ? s.second + (size_t)((from + row) % ROWS_2) * s.second_row
                                                           : s.nothing;
            pnet_3(inputs, ready - from, pooled_width - 4, layers + 2, s.v, s.sums, s.features, 2 * s.second_row);
            for (int row = from; row < ready; row++)
                count = (ptrdiff_t)pick_cells(s.features + (size_t)(row - from) * 2 * s.second_row, pooled_width - 4,
                                              row, least, layers + 3, (size_t)count, cells, values);
        }
    }
done:
    free_reduction(&down);
    free_reduction(&across);
    free(memory);
    return count;
}
