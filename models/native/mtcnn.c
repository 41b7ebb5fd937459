/* MTCNN's networks in float32 for processors with AVX-512 (models/native_mtcnn.py packs their weights), and the
arithmetic around them: windows, levels of the pyramid, overlaps.

Words: a map is an image of channels, channels last; a vector is 16 output channels; a part of a convolution's sum is
one row of its taps, whose inputs lie side by side. Each number of a result is one sum in one order, so it depends
neither on its neighbours nor on how many are computed together.

Rows of maps have room behind their end: convolutions compute a fixed number of pixels at a time and may go beyond. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#if defined(__x86_64__) && (defined(__clang__) || __GNUC__ >= 10)
#include <immintrin.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define TARGET __attribute__((target("avx512f,fma")))
#define INLINE static inline __attribute__((always_inline)) TARGET
#define STAGE static __attribute__((noinline)) TARGET

enum {
    LANES = 16,
    MOST_SUMS = 27,      /* registers that a product may keep its sums in, of 32 */
    GROUP = 12,          /* windows that go through the dense layers together */
    TILE = 3,            /* Winograd's tiles: 3 x 3 outputs, seen from 5 x 5 inputs */
    POINTS = 25,         /* products of a tile */
    DENSE = 128,         /* outputs of a dense layer computed at a time: eight registers */
    ROOM = 64 * LANES,   /* numbers behind the end of each buffer */
    TABLE = 16,          /* numbers of a window's result: a logit, 4 corrections, 10 landmarks, nothing */
    CELL = 5,            /* of a cell of P-Net's: a logit, 4 corrections */
    CELL_PX = 12,        /* side of P-Net's window */
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

INLINE __m512 prelu(const __m512 x, const float *slope)
{
    const __mmask16 negative = _mm512_cmp_ps_mask(x, _mm512_setzero_ps(), _CMP_LT_OQ);
    return _mm512_mask_mul_ps(x, negative, x, _mm512_loadu_ps(slope));
}

/* Some pixels of a convolution for all channels of `vectors` vectors, with bias and PReLU unless these are NULL.
`parts` point at the inputs of the first pixel, those of the next lie `stride` numbers on. */
INLINE void convolve_pixels(const int pixels, const int vectors, const int num_parts, const int depth,
                            const float *const *parts, const size_t stride, const float *weights, const float *bias,
                            const float *slope, float *to, const size_t to_stride)
{
    __m512 sums[MOST_SUMS];
#pragma GCC unroll 27
    for (int pixel = 0; pixel < pixels; pixel++)
#pragma GCC unroll 8
        for (int v = 0; v < vectors; v++)
            sums[pixel * vectors + v] = bias == NULL ? _mm512_setzero_ps() : _mm512_loadu_ps(bias + v * LANES);
    for (int part = 0; part < num_parts; part++) {
        const float *from = parts[part];
        for (int k = 0; k < depth; k++, from++, weights += vectors * LANES) {
            __m512 factors[8];
#pragma GCC unroll 8
            for (int v = 0; v < vectors; v++)
                factors[v] = _mm512_loadu_ps(weights + v * LANES);
#pragma GCC unroll 27
            for (int pixel = 0; pixel < pixels; pixel++) {
                const __m512 input = _mm512_set1_ps(from[pixel * stride]);
#pragma GCC unroll 8
                for (int v = 0; v < vectors; v++)
                    sums[pixel * vectors + v] = _mm512_fmadd_ps(input, factors[v], sums[pixel * vectors + v]);
            }
        }
    }
#pragma GCC unroll 27
    for (int pixel = 0; pixel < pixels; pixel++)
#pragma GCC unroll 8
        for (int v = 0; v < vectors; v++) {
            const __m512 sum = sums[pixel * vectors + v];
            _mm512_storeu_ps(to + pixel * to_stride + v * LANES, slope == NULL ? sum : prelu(sum, slope + v * LANES));
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
                convolve_pixels(pixels, vectors, side, depth, parts, channels, weights, bias, slope, at, blocks * outputs);
                x += pixels;
            } else {
                convolve_pixels(last_pixels, vectors, side, depth, parts, channels, weights, bias, slope, at,
                                blocks * outputs);
                x += last_pixels;
            }
        }
    }
}

INLINE void pool_pixel(const int num_rows, const int num_columns, const int vectors, const float *const *rows,
                       const size_t offset, float *to)
{
#pragma GCC unroll 8
    for (int v = 0; v < vectors; v++) {
        __m512 most = _mm512_loadu_ps(rows[0] + offset + v * LANES);
        for (int row = 0; row < num_rows; row++)
            for (int column = 0; column < num_columns; column++)
                most = _mm512_max_ps(most, _mm512_loadu_ps(rows[row] + offset + (column * vectors + v) * LANES));
        _mm512_storeu_ps(to + v * LANES, most);
    }
}

/* A row of max pooling by steps of two; what lies outside does not count. Where the outputs' channels are fewer than
the vectors hold, each pixel's rest is overwritten by the next one. */
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

/* One dimension of the transform of a tile's inputs: five numbers become those at 0, 1, -1, 2 and infinity. */
INLINE void transform_inputs(const __m512 *x, const int stride, __m512 *y)
{
    const __m512 two = _mm512_set1_ps(2), three = _mm512_set1_ps(3);
    const __m512 x0 = x[0], x1 = x[stride], x2 = x[2 * stride], x3 = x[3 * stride], x4 = x[4 * stride];
    y[3] = _mm512_sub_ps(x3, x1);
    y[0] = _mm512_fmadd_ps(two, _mm512_sub_ps(x0, x2), y[3]);
    y[1] = _mm512_fnmadd_ps(two, x1, _mm512_sub_ps(x3, x2));
    y[2] = _mm512_fmadd_ps(two, x1, _mm512_fnmadd_ps(three, x2, x3));
    y[4] = _mm512_fnmadd_ps(two, y[3], _mm512_sub_ps(x4, x2));
}

/* One dimension of the transform of a tile's sums: five numbers become three outputs. */
INLINE void transform_sums(const __m512 *x, const int stride, __m512 *y)
{
    const __m512 two = _mm512_set1_ps(2), four = _mm512_set1_ps(4);
    const __m512 sum = _mm512_add_ps(x[stride], x[2 * stride]), difference = _mm512_sub_ps(x[stride], x[2 * stride]);
    y[0] = _mm512_add_ps(_mm512_add_ps(x[0], sum), x[3 * stride]);
    y[1] = _mm512_fmadd_ps(two, x[3 * stride], difference);
    y[2] = _mm512_add_ps(_mm512_fmadd_ps(four, x[3 * stride], sum), x[4 * stride]);
}

/* A row of tiles, five rows of inputs, to rows `first` and following of V, (25, num_rows, channels). Of a tile's fifth
inputs nothing reaches its first and second outputs, of its fourth ones only rounding does: tiles with a single column
or row of outputs have to have zeros there. */
INLINE void transform_row(const float *const *rows, const int channels, const int num_tiles, const int first,
                          const int num_rows, float *v)
{
    for (int tile = 0; tile < num_tiles; tile++)
        for (int channel = 0; channel < channels; channel += LANES) {
            /* The last vector of 28 channels begins at the 12th. */
            const int start = channel + LANES <= channels ? channel : channels - LANES;
            __m512 across[POINTS], numbers[5];
#pragma GCC unroll 5
            for (int i = 0; i < 5; i++) {
#pragma GCC unroll 5
                for (int j = 0; j < 5; j++)
                    numbers[j] = _mm512_loadu_ps(rows[i] + (size_t)(tile * TILE + j) * channels + start);
                transform_inputs(numbers, 1, across + 5 * i);
            }
#pragma GCC unroll 5
            for (int j = 0; j < 5; j++) {
                transform_inputs(across + j, 5, numbers);
#pragma GCC unroll 5
                for (int i = 0; i < 5; i++)
                    _mm512_storeu_ps(v + ((size_t)(5 * i + j) * num_rows + first + tile) * channels + start, numbers[i]);
            }
        }
}

/* Sums (25, num_rows, outputs) of all rows of V with a block of the weights. */
INLINE void multiply_tiles(const int pixels, const int last_pixels, const int vectors, const int channels, const float *v,
                           const int num_tiles, const int num_rows, const float *weights, float *sums)
{
    const int outputs = vectors * LANES;
    for (int point = 0; point < POINTS; point++, weights += (size_t)channels * outputs) {
        const float *from = v + (size_t)point * num_rows * channels;
        float *to = sums + (size_t)point * num_rows * outputs;
        for (int row = 0; row < num_tiles;) {
            const float *part = from + (size_t)row * channels;
            if (row + pixels <= num_tiles || pixels == last_pixels) {
                convolve_pixels(pixels, vectors, 1, channels, &part, channels, weights, NULL, NULL,
                                to + (size_t)row * outputs, outputs);
                row += pixels;
            } else {
                convolve_pixels(last_pixels, vectors, 1, channels, &part, channels, weights, NULL, NULL,
                                to + (size_t)row * outputs, outputs);
                row += last_pixels;
            }
        }
    }
}

/* A row of tiles from its sums: `height` rows of `width` outputs of a block; rows of the result lie `to_row` numbers
apart and pixels `to_pixel`. */
INLINE void finish_row(const int vectors, const float *sums, const int first, const int num_tiles, const int num_rows,
                       const int height, const int width, const float *bias, const float *slope, float *to,
                       const size_t to_row, const size_t to_pixel)
{
    for (int tile = 0; tile < num_tiles; tile++) {
        const int columns = width - tile * TILE < TILE ? width - tile * TILE : TILE;
        for (int half = 0; half < vectors * LANES; half += LANES) {
            const __m512 offset = _mm512_loadu_ps(bias + half);
            __m512 across[5 * TILE], numbers[5], outputs[TILE * TILE];
#pragma GCC unroll 5
            for (int i = 0; i < 5; i++) {
#pragma GCC unroll 5
                for (int j = 0; j < 5; j++)
                    numbers[j] = _mm512_loadu_ps(sums + ((size_t)(5 * i + j) * num_rows + first + tile) * vectors * LANES +
                                                 half);
                transform_sums(numbers, 1, across + TILE * i);
            }
#pragma GCC unroll 3
            for (int j = 0; j < TILE; j++)
                transform_sums(across + j, TILE, outputs + TILE * j);
            for (int j = 0; j < columns; j++)
                for (int i = 0; i < height; i++)
                    _mm512_storeu_ps(to + i * to_row + (size_t)(tile * TILE + j) * to_pixel + half,
                                     prelu(_mm512_add_ps(outputs[TILE * j + i], offset), slope + half));
        }
    }
}

/* A convolution of a map of `size` x `size` pixels by tiles, and the pooling behind it. */
INLINE void convolve_by_tiles(const int size, const int channels, const int pixels, const int vectors, const int blocks,
                              const int pool_side, const int pooled_size, const float *map, const Layer *layer, float *v,
                              float *sums, float *outputs, float *to)
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
            finish_row(vectors, sums, y * tiles, tiles, num_rows, width - y * TILE < TILE ? width - y * TILE : TILE, width,
                       layer->bias + channel, layer->slope + channel, outputs + (size_t)y * TILE * width * kept + channel,
                       (size_t)width * kept, kept);
    }
    for (int y = 0; y < pooled_size; y++) {
        const int end = 2 * y + pool_side < width ? 2 * y + pool_side : width;
        const float *pooled[3];
        for (int row = 2 * y; row < end; row++)
            pooled[row - 2 * y] = outputs + (size_t)row * width * kept;
        pool_row(pool_side, vectors * blocks, pooled, end - 2 * y, width, pooled_size, to + (size_t)y * pooled_size * kept,
                 kept);
    }
}

/* A convolution of a map of `size` x `size` pixels and the pooling behind it, which keeps `kept` channels. */
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
        pool_row(pool_side, vectors * blocks, pooled, end - 2 * y, width, pooled_size, to + (size_t)y * pooled_size * kept,
                 kept);
    }
}

/* The last convolution, 2 x 2 taps on 4 x 4 pixels. */
INLINE void convolve_last(const int channels, const int blocks, const float *map, const Layer *layer, float *to)
{
    for (int y = 0; y < 3; y++) {
        const float *rows[2] = {map + (size_t)y * 4 * channels, map + (size_t)(y + 1) * 4 * channels};
        convolve_row(3, 3, 4, blocks, 2, channels, rows, 3, layer, to + (size_t)y * 3 * blocks * 4 * LANES);
    }
}

enum {
    WINDOW = ONET_PX * ONET_PX * 3 + ROOM,
    RING = 4 * (ONET_PX + 12) * 32 + ROOM,
    V = POINTS * 50 * 32 + ROOM, /* O-Net's second layer takes most of all these */
    SUMS = POINTS * 50 * 32 + ROOM,
    OUTPUTS = 21 * 21 * 64 + ROOM,
    MAP_1 = 23 * 23 * 32 + ROOM,
    MAP_2 = 10 * 10 * 64 + ROOM,
    MAP_3 = 4 * 4 * 64 + ROOM,
};

typedef struct {
    float *window, *ring, *maps[3], *v, *sums, *outputs, *flat, *dense;
    void *memory;
} Scratch;

STAGE void onet_1(const Layer *layer, Scratch *s)
{
    convolve_and_pool(ONET_PX, 3, 12, 2, 1, 3, 23, 32, s->window, layer, s->ring, s->maps[0]);
}

STAGE void onet_2(const Layer *layer, Scratch *s)
{
    convolve_by_tiles(23, 32, 10, 2, 2, 3, 10, s->maps[0], layer, s->v, s->sums, s->outputs, s->maps[1]);
}

STAGE void onet_3(const Layer *layer, Scratch *s)
{
    convolve_by_tiles(10, 64, 9, 2, 2, 2, 4, s->maps[1], layer, s->v, s->sums, s->outputs, s->maps[2]);
}

STAGE void onet_4(const Layer *layer, Scratch *s, float *flat) { convolve_last(64, 2, s->maps[2], layer, flat); }

STAGE void rnet_1(const Layer *layer, Scratch *s)
{
    convolve_and_pool(RNET_PX, 3, 11, 2, 1, 3, 11, 28, s->window, layer, s->ring, s->maps[0]);
}

STAGE void rnet_2(const Layer *layer, Scratch *s)
{
    convolve_by_tiles(11, 28, 9, 3, 1, 3, 4, s->maps[0], layer, s->v, s->sums, s->outputs, s->maps[1]);
}

STAGE void rnet_3(const Layer *layer, Scratch *s, float *flat) { convolve_last(48, 1, s->maps[1], layer, flat); }

/* A dense layer over some windows; `outputs` a multiple of DENSE. */
INLINE void connect(const int depth, const int outputs, const float *flat, const int num_windows, const Layer *layer,
                    float *to)
{
    for (int block = 0; block < outputs / DENSE; block++) {
        const float *weights = layer->weights + (size_t)block * depth * DENSE;
        const float *bias = layer->bias + block * DENSE, *slope = layer->slope + block * DENSE;
        int window = 0;
        for (; window + 3 <= num_windows; window += 3) {
            const float *from = flat + (size_t)window * depth;
            convolve_pixels(3, DENSE / LANES, 1, depth, &from, depth, weights, bias, slope,
                            to + (size_t)window * outputs + block * DENSE, outputs);
        }
        for (; window < num_windows; window++) {
            const float *from = flat + (size_t)window * depth;
            convolve_pixels(1, DENSE / LANES, 1, depth, &from, depth, weights, bias, slope,
                            to + (size_t)window * outputs + block * DENSE, outputs);
        }
    }
}

STAGE void answer(const int depth, const float *dense, const int num_windows, const Layer *layer, float *table)
{
    for (int window = 0; window < num_windows; window++) {
        const float *from = dense + (size_t)window * depth;
        convolve_pixels(1, 1, 1, depth, &from, depth, layer->weights, layer->bias, layer->slope, table + window * TABLE,
                        TABLE);
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

/* The two neighbours of each position of a window's grid and their weights, zero outside [0, length - 1]. */
static void place_axis(double low, double high, int length, int side, Axis *axis)
{
    const double last = length - 1, share = last / length;
    for (int i = 0; i < side; i++) {
        const double position = (low + (high - low) * ((double)i / (side - 1))) * share;
        const int is_inside = position >= 0 && position <= last; /* not a number: outside */
        const double placed = is_inside ? position : 0;
        axis->lower[i] = (int)placed;
        axis->upper[i] = axis->lower[i] + 1 < length ? axis->lower[i] + 1 : length - 1;
        axis->upper_weights[i] = is_inside ? (float)(placed - axis->lower[i]) : 0.0f;
        axis->lower_weights[i] = is_inside ? (float)(1.0 - (placed - axis->lower[i])) : 0.0f;
    }
}

/* Three channels of a pixel less 127.5; the fourth number means nothing. `end`: of the image. */
INLINE __m128 read_pixel(const uint8_t *pixel, const uint8_t *end)
{
    uint32_t bytes;
    if (end - pixel >= 4)
        memcpy(&bytes, pixel, 4);
    else
        bytes = pixel[0] | (uint32_t)pixel[1] << 8 | (uint32_t)pixel[2] << 16;
    return _mm_sub_ps(_mm_cvtepi32_ps(_mm_cvtepu8_epi32(_mm_cvtsi32_si128((int)bytes))), _mm_set1_ps(127.5f));
}

/* models.mtcnn_boxes.sample_windows for one box, in its order of operations. */
STAGE void sample(const uint8_t *image, int height, int width, const double *box, int side, float *window)
{
    Axis down, across;
    place_axis(box[1], box[3], height, side, &down);
    place_axis(box[0], box[2], width, side, &across);
    const uint8_t *end = image + (size_t)height * width * 3;
    for (int y = 0; y < side; y++) {
        const uint8_t *above = image + (size_t)down.lower[y] * width * 3;
        const uint8_t *below = image + (size_t)down.upper[y] * width * 3;
        const __m128 above_weight = _mm_set1_ps(down.lower_weights[y]), below_weight = _mm_set1_ps(down.upper_weights[y]);
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

/* Memory for `count` buffers of `sizes` numbers each, aligned; NULL when there is none. What is computed from numbers
that were never written, beyond the ends of rows, is never used. */
static void *reserve(const size_t *sizes, int count, float **parts)
{
    size_t total = 0;
    for (int i = 0; i < count; i++)
        total += (sizes[i] + LANES - 1) / LANES * LANES;
    float *at = aligned_alloc(64, total * sizeof *at);
    if (at == NULL)
        return NULL;
    void *memory = at;
    for (int i = 0; i < count; i++) {
        parts[i] = at;
        at += (sizes[i] + LANES - 1) / LANES * LANES;
    }
    return memory;
}

/* R- or O-Net, as `side` says, on windows of an image. */
static int judge_all(const uint8_t *image, int height, int width, const double *boxes, size_t num_boxes, int side,
                     const Layer *layers, float *table)
{
    enum { NUM_PARTS = 10 };
    const size_t sizes[NUM_PARTS] = {WINDOW,  RING, MAP_1, MAP_2, MAP_3, V, SUMS, OUTPUTS, GROUP * ONET_FLAT + ROOM,
                                     GROUP * ONET_DENSE + ROOM};
    float *parts[NUM_PARTS];
    void *memory = reserve(sizes, NUM_PARTS, parts);
    if (memory == NULL)
        return -1;
    Scratch s = {parts[0], parts[1], {parts[2], parts[3], parts[4]}, parts[5], parts[6], parts[7], parts[8], parts[9], memory};
    for (size_t first = 0; first < num_boxes; first += GROUP) {
        const int group = num_boxes - first < GROUP ? (int)(num_boxes - first) : GROUP;
        for (int i = 0; i < group; i++) {
            sample(image, height, width, boxes + (first + i) * 4, side, s.window);
            if (side == ONET_PX) {
                onet_1(layers, &s);
                onet_2(layers + 1, &s);
                onet_3(layers + 2, &s);
                onet_4(layers + 3, &s, s.flat + (size_t)i * ONET_FLAT);
            } else {
                rnet_1(layers, &s);
                rnet_2(layers + 1, &s);
                rnet_3(layers + 2, &s, s.flat + (size_t)i * RNET_FLAT);
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

/* What one axis of area resampling takes from where: `count` weights from `first` on, at most `most`. */
typedef struct {
    int most, *first, *count;
    float *weights;
} Reduction;

/* The shares of each source pixel in the pixels of a smaller size, as OpenCV's INTER_AREA has them. */
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

/* `vectors` times 16 numbers of a weighted sum of rows of bytes. */
INLINE void add_rows(const int vectors, const uint8_t *from, const size_t stride, const int count, const float *weights,
                     float *to)
{
    __m512 sums[8];
#pragma GCC unroll 8
    for (int v = 0; v < vectors; v++)
        sums[v] = _mm512_setzero_ps();
    for (int row = 0; row < count; row++, from += stride) {
        const __m512 weight = _mm512_set1_ps(weights[row]);
#pragma GCC unroll 8
        for (int v = 0; v < vectors; v++) {
            const __m128i bytes = _mm_loadu_si128((const void *)(from + v * LANES));
            sums[v] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(bytes)), weight, sums[v]);
        }
    }
#pragma GCC unroll 8
    for (int v = 0; v < vectors; v++)
        _mm512_storeu_ps(to + v * LANES, sums[v]);
}

/* A row of a level, (value - 127.5) / 128: first down the columns, then across. `length`: of an image's row, in bytes,
at least 16; `line` has room for it. */
STAGE void reduce_row(const uint8_t *image, const size_t length, const Reduction *down, const int y,
                      const Reduction *across, const int width, float *line, float *to)
{
    const uint8_t *from = image + (size_t)down->first[y] * length;
    const float *weights = down->weights + (size_t)y * down->most;
    size_t at = 0;
    for (; at + 8 * LANES <= length; at += 8 * LANES)
        add_rows(8, from + at, length, down->count[y], weights, line + at);
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
    convolve_row(24, 8, 1, 1, 3, 3, rows, width, layer, to);
}

STAGE void pnet_2(const float *const *rows, const int width, const Layer *layer, float *to)
{
    convolve_row(24, 8, 1, 1, 3, 10, rows, width, layer, to);
}

/* Three rows, or as many as `height` says; they lie `to_row` numbers apart. */
STAGE void pnet_3(const float *const *rows, const int height, const int width, const Layer *layer, float *v, float *sums,
                  float *to, const size_t to_row)
{
    const int num_tiles = (width + TILE - 1) / TILE, num_rows = num_tiles + 12;
    transform_row(rows, 16, num_tiles, 0, num_rows, v);
    multiply_tiles(12, 4, 2, 16, v, num_tiles, num_rows, layer->weights, sums);
    finish_row(2, sums, 0, num_tiles, num_rows, height, width, layer->bias, layer->slope, to, to_row, 2 * LANES);
}

STAGE void pnet_pool(const float *const *rows, const int num_rows, const int width, const int pooled_width, float *to)
{
    pool_row(2, 1, rows, num_rows, width, pooled_width, to, 10);
}

INLINE float answer_cell(const float *weights, const __m512 first, const __m512 second)
{
    return _mm512_reduce_add_ps(_mm512_fmadd_ps(first, _mm512_loadu_ps(weights),
                                                _mm512_mul_ps(second, _mm512_loadu_ps(weights + LANES))));
}

/* Append the cells of a row whose logit is greater than `least`; returns how many there are then. */
STAGE size_t pick_cells(const float *features, const int width, const int row, const float least, const Layer *layer,
                        size_t count, int32_t *cells, float *values)
{
    for (int x = 0; x < width; x++) {
        const __m512 first = _mm512_loadu_ps(features + (size_t)x * 2 * LANES),
                     second = _mm512_loadu_ps(features + (size_t)x * 2 * LANES + LANES);
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

/* P-Net on an image reduced to a level. Rows of each layer are made when the next one needs them, so that they are
still in the cache. Returns the number of cells, or -1 when there is no memory. */
static Py_ssize_t propose_all(const uint8_t *image, int height, int width, int level_height, int level_width, float least,
                              const Layer *layers, int32_t *cells, float *values)
{
    enum { LEVEL_ROWS = 4, ROWS = 3, ROWS_2 = 5, BEYOND = 32, NUM_PARTS = 9 };
    const int rows_1 = level_height - 2, width_1 = level_width - 2, pooled_rows = (rows_1 + 1) / 2,
              pooled_width = (width_1 + 1) / 2, num_outputs = pooled_rows - 4;
    const size_t level_row = (size_t)(level_width + BEYOND) * 3, row_1 = (size_t)(width_1 + BEYOND) * LANES,
                 pooled_row = (size_t)(pooled_width + BEYOND) * 10, row_2 = (size_t)(pooled_width + BEYOND) * LANES;
    const size_t tiles = (size_t)(pooled_width + BEYOND) / TILE + BEYOND;
    const size_t sizes[NUM_PARTS] = {(size_t)width * 3 + ROOM, LEVEL_ROWS * level_row + ROOM, 2 * row_1 + ROOM,
                                     ROWS * pooled_row + ROOM, ROWS_2 * row_2 + ROOM, TILE * 2 * row_2 + ROOM,
                                     row_2 + ROOM, POINTS * tiles * LANES, POINTS * tiles * 2 * LANES};
    float *parts[NUM_PARTS];
    Reduction down = {0}, across = {0};
    void *memory = reserve(sizes, NUM_PARTS, parts);
    Py_ssize_t count = -1;
    if (memory == NULL || fill_reduction(height, level_height, &down) != 0 ||
        fill_reduction(width, level_width, &across) != 0)
        goto done;
    count = 0;
    memset(parts[6], 0, (row_2 + ROOM) * sizeof(float));
    int num_reduced = 0;
    for (int y = 0; y < pooled_rows; y++) {
        const int num_rows = 2 * y + 1 < rows_1 ? 2 : 1;
        const float *rows[3], *fresh[2];
        for (int i = 0; i < num_rows; i++) {
            for (; num_reduced < 2 * y + i + 3; num_reduced++)
                reduce_row(image, (size_t)width * 3, &down, num_reduced, &across, level_width, parts[0],
                           parts[1] + num_reduced % LEVEL_ROWS * level_row);
            for (int row = 0; row < 3; row++)
                rows[row] = parts[1] + (2 * y + i + row) % LEVEL_ROWS * level_row;
            fresh[i] = parts[2] + i * row_1;
            pnet_1(rows, width_1, layers, parts[2] + i * row_1);
        }
        pnet_pool(fresh, num_rows, width_1, pooled_width, parts[3] + y % ROWS * pooled_row);
        if (y >= 2) {
            for (int row = 0; row < 3; row++)
                rows[row] = parts[3] + (y - 2 + row) % ROWS * pooled_row;
            float *to = parts[4] + (y - 2) % ROWS_2 * row_2;
            pnet_2(rows, pooled_width - 2, layers + 1, to);
            memset(to + (size_t)(pooled_width - 2) * LANES, 0, 2 * LANES * sizeof *to);
        }
        const int ready = y - 3; /* rows of outputs whose inputs are there */
        if (ready > 0 && (ready % TILE == 0 || ready == num_outputs)) {
            const int from = (ready - 1) / TILE * TILE;
            const float *inputs[5];
            for (int row = 0; row < 5; row++)
                inputs[row] = from + row < pooled_rows - 2 ? parts[4] + (from + row) % ROWS_2 * row_2 : parts[6];
            pnet_3(inputs, ready - from, pooled_width - 4, layers + 2, parts[7], parts[8], parts[5], 2 * row_2);
            for (int row = from; row < ready; row++)
                count = pick_cells(parts[5] + (row - from) * 2 * row_2, pooled_width - 4, row, least, layers + 3, count,
                                   cells, values);
        }
    }
done:
    free_reduction(&down);
    free_reduction(&across);
    free(memory);
    return count;
}

/* Boxes in order: which of them no earlier one overlaps by more than the threshold, over the union of the two or the
smaller one. In double precision and in the order of operations of models.mtcnn_boxes.suppress_overlaps. */
STAGE int suppress_all(const double *boxes, const size_t num_boxes, const double threshold, const int of_smaller,
                       uint8_t *kept)
{
    enum { DOUBLES = 8 };
    const size_t row = num_boxes + DOUBLES;
    double *x1 = malloc(5 * row * sizeof *x1), *y1 = x1 + row, *x2 = y1 + row, *y2 = x2 + row, *areas = y2 + row;
    if (x1 == NULL)
        return -1;
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
            const __mmask8 earlier = i - j >= DOUBLES ? 0xff : (1 << (i - j)) - 1;
            const __mmask8 meeting = _mm512_mask_cmp_pd_mask(earlier, shared, none, _CMP_GT_OQ);
            if (!meeting)
                continue;
            const __m512d other = _mm512_loadu_pd(areas + j);
            const __m512d whole = of_smaller ? _mm512_min_pd(own, other)
                                             : _mm512_sub_pd(_mm512_add_pd(own, other), shared);
            const __mmask8 real = _mm512_mask_cmp_pd_mask(meeting, whole, none, _CMP_GT_OQ);
            kept[i] = !_mm512_mask_cmp_pd_mask(real, _mm512_maskz_div_pd(real, shared, whole), limit, _CMP_GT_OQ);
        }
        x1[i] = box[0], y1[i] = box[1], x2[i] = box[2], y2[i] = box[3], areas[i] = area;
    }
    free(x1);
    return 0;
}
#define IS_BUILT 1
#endif

#ifdef IS_BUILT
/* Numbers of each layer's weights and outputs, as models/native_mtcnn.py packs them. */
typedef struct {
    size_t weights, outputs;
} Size;

static const Size PNET_SIZES[PNET_LAYERS] = {{27 * LANES, LANES}, {9 * 10 * LANES, LANES}, {POINTS * 16 * 32, 32}, {CELL * 32, LANES}};
static const Size RNET_SIZES[RNET_LAYERS] = {
    {27 * 32, 32}, {POINTS * 28 * 48, 48}, {4 * 48 * 64, 64}, {RNET_FLAT * RNET_DENSE, RNET_DENSE}, {RNET_DENSE * TABLE, TABLE}};
static const Size ONET_SIZES[ONET_LAYERS] = {{27 * 32, 32},
                                             {POINTS * 32 * 64, 64},
                                             {POINTS * 64 * 64, 64},
                                             {4 * 64 * 128, 128},
                                             {ONET_FLAT * ONET_DENSE, ONET_DENSE},
                                             {ONET_DENSE * TABLE, TABLE}};

typedef struct {
    Py_buffer buffers[MOST_LAYERS * SIZES_OF_LAYER];
    int count;
    Layer layers[MOST_LAYERS];
} Weights;

static void release_weights(Weights *weights)
{
    while (weights->count > 0)
        PyBuffer_Release(&weights->buffers[--weights->count]);
}

static int take_weights(PyObject *tuple, const Size *sizes, int num_layers, Weights *weights)
{
    weights->count = 0;
    if (PyTuple_GET_SIZE(tuple) != num_layers * SIZES_OF_LAYER) {
        PyErr_Format(PyExc_ValueError, "%zd arrays of weights: must be %d", PyTuple_GET_SIZE(tuple),
                     num_layers * SIZES_OF_LAYER);
        return -1;
    }
    while (weights->count < num_layers * SIZES_OF_LAYER) {
        const int number = weights->count;
        const Size size = sizes[number / SIZES_OF_LAYER];
        Py_buffer *buffer = &weights->buffers[number];
        if (PyObject_GetBuffer(PyTuple_GET_ITEM(tuple, number), buffer, PyBUF_SIMPLE) != 0)
            return -1;
        weights->count++;
        const size_t expected = (number % SIZES_OF_LAYER == 0 ? size.weights : size.outputs) * sizeof(float);
        if ((size_t)buffer->len != expected) {
            PyErr_Format(PyExc_ValueError, "array %d of the weights has %zd bytes: must be %zu", number, buffer->len,
                         expected);
            return -1;
        }
    }
    for (int layer = 0; layer < num_layers; layer++) {
        const Py_buffer *of_layer = weights->buffers + layer * SIZES_OF_LAYER;
        weights->layers[layer] = (Layer){of_layer[0].buf, of_layer[1].buf, of_layer[2].buf};
    }
    return 0;
}

static int check_image(const Py_buffer *image, int height, int width)
{
    if (height > 0 && width > 0 && (size_t)image->len == (size_t)height * width * 3)
        return 0;
    PyErr_Format(PyExc_ValueError, "an image of %zd bytes is not %d x %d pixels of three", image->len, height, width);
    return -1;
}

static PyObject *judge(PyObject *self, PyObject *arguments)
{
    Py_buffer image, boxes, table;
    int height, width, side, failed = -1;
    PyObject *packed;
    Weights weights = {.count = 0};
    if (!PyArg_ParseTuple(arguments, "y*iiy*iO!w*", &image, &height, &width, &boxes, &side, &PyTuple_Type, &packed, &table))
        return NULL;
    const size_t num_boxes = boxes.len / (4 * sizeof(double));
    if (check_image(&image, height, width) != 0)
        goto done;
    if (boxes.len % (4 * sizeof(double)) != 0 || (size_t)table.len != num_boxes * TABLE * sizeof(float)) {
        PyErr_Format(PyExc_ValueError, "%zd bytes of boxes and %zd of results are not the same number of them", boxes.len,
                     table.len);
        goto done;
    }
    if (side != RNET_PX && side != ONET_PX) {
        PyErr_Format(PyExc_ValueError, "windows of %d pixels: must be %d or %d", side, RNET_PX, ONET_PX);
        goto done;
    }
    if (take_weights(packed, side == ONET_PX ? ONET_SIZES : RNET_SIZES, side == ONET_PX ? ONET_LAYERS : RNET_LAYERS,
                     &weights) != 0)
        goto done;
    Py_BEGIN_ALLOW_THREADS
    failed = judge_all(image.buf, height, width, boxes.buf, num_boxes, side, weights.layers, table.buf);
    Py_END_ALLOW_THREADS
    if (failed)
        PyErr_NoMemory();
done:
    release_weights(&weights);
    PyBuffer_Release(&image);
    PyBuffer_Release(&boxes);
    PyBuffer_Release(&table);
    return failed ? NULL : Py_NewRef(Py_None);
}

static PyObject *propose(PyObject *self, PyObject *arguments)
{
    Py_buffer image, cells, values;
    int height, width, level_height, level_width;
    float least;
    Py_ssize_t count = -1;
    PyObject *packed;
    Weights weights = {.count = 0};
    if (!PyArg_ParseTuple(arguments, "y*iiiifO!w*w*", &image, &height, &width, &level_height, &level_width, &least,
                          &PyTuple_Type, &packed, &cells, &values))
        return NULL;
    if (check_image(&image, height, width) != 0)
        goto done;
    if (level_height < CELL_PX || level_width < CELL_PX || level_height > height || level_width > width) {
        PyErr_Format(PyExc_ValueError, "a level of %d x %d pixels: must be at least %d and at most the image's %d x %d",
                     level_height, level_width, CELL_PX, height, width);
        goto done;
    }
    const size_t most = (size_t)((level_height - 1) / 2 - 4) * ((level_width - 1) / 2 - 4);
    if ((size_t)cells.len != most * 2 * sizeof(int32_t) || (size_t)values.len != most * CELL * sizeof(float)) {
        PyErr_Format(PyExc_ValueError, "%zd bytes of cells and %zd of values are not those of %zu cells", cells.len,
                     values.len, most);
        goto done;
    }
    if (take_weights(packed, PNET_SIZES, PNET_LAYERS, &weights) != 0)
        goto done;
    Py_BEGIN_ALLOW_THREADS
    count = propose_all(image.buf, height, width, level_height, level_width, least, weights.layers, cells.buf, values.buf);
    Py_END_ALLOW_THREADS
    if (count < 0)
        PyErr_NoMemory();
done:
    release_weights(&weights);
    PyBuffer_Release(&image);
    PyBuffer_Release(&cells);
    PyBuffer_Release(&values);
    return count < 0 ? NULL : PyLong_FromSsize_t(count);
}

static PyObject *suppress(PyObject *self, PyObject *arguments)
{
    Py_buffer boxes, kept;
    double threshold;
    int of_smaller, failed = -1;
    if (!PyArg_ParseTuple(arguments, "y*dpw*", &boxes, &threshold, &of_smaller, &kept))
        return NULL;
    if ((size_t)boxes.len != (size_t)kept.len * 4 * sizeof(double)) {
        PyErr_Format(PyExc_ValueError, "%zd bytes of boxes and %zd of results are not the same number of them", boxes.len,
                     kept.len);
        goto done;
    }
    Py_BEGIN_ALLOW_THREADS
    failed = suppress_all(boxes.buf, kept.len, threshold, of_smaller, kept.buf);
    Py_END_ALLOW_THREADS
    if (failed)
        PyErr_NoMemory();
done:
    PyBuffer_Release(&boxes);
    PyBuffer_Release(&kept);
    return failed ? NULL : Py_NewRef(Py_None);
}
#endif

static PyMethodDef methods[] = {
#ifdef IS_BUILT
    {"propose", propose, METH_VARARGS,
     "propose(image, height, width, level_height, level_width, least, weights, cells, values): see models/native_mtcnn.py"},
    {"suppress", suppress, METH_VARARGS, "suppress(boxes, threshold, of_smaller, kept): see models/native_mtcnn.py"},
    {"judge", judge, METH_VARARGS, "judge(image, height, width, boxes, side, weights, table): see models/native_mtcnn.py"},
#endif
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_mtcnn", NULL, 0, methods};

PyMODINIT_FUNC PyInit__mtcnn(void) { return PyModule_Create(&module); }
