/* SphereFace-20 in bfloat16 for processors with AVX-512 BF16 (models/native_sphereface.py packs its weights).

Stride-1 convolutions are Winograd's F(4x4, 3x3) (Lavin & Gray 2016, "Fast Algorithms for Convolutional Neural
Networks"): 36 products make 16 outputs instead of 144. Factors are bfloat16, sums and all else are float32.

Words: a map is an image of channels, channels last, with a border of zeros; a tile is 4 x 4 outputs, seen from 6 x 6
inputs; a block is 32 output channels. A row of the result depends on nothing but its own crop. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#if defined(__x86_64__) && (defined(__clang__) || __GNUC__ >= 10)
#include <immintrin.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define TARGET __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16")))
#define INLINE static inline __attribute__((always_inline)) TARGET
#define STAGE static __attribute__((noinline)) TARGET

typedef uint16_t bf16;

enum {
    CROP_HEIGHT = 112,
    CROP_WIDTH = 96,
    FEATURES = 512,
    BLOCK = 32,                /* output channels computed at a time: two registers */
    ROWS = 12,                 /* rows of a product computed at a time: with two registers each, 24 of the 32 */
    POINTS = 36,               /* products of a tile */
    FIRST_DEPTH = 32,          /* 3 x 3 x 3 inputs of conv1_1, filled up */
    MAPS = 2,                  /* images taken through the first two stages together: their maps stay in the cache */
    GROUP = 32,                /* images taken through the others: their weights are read once a group */
    FLAT = 7 * 6 * 512,
    FLAT_STEP = 256,           /* of fc5's sum, for weights that stay in the cache while all images use them */
    NUM_LAYERS = 20,
    NUM_BUFFERS = 3 * NUM_LAYERS + 2,
};

typedef struct {
    int height, width, channels, tiles_down, tiles_across, columns;
    size_t size; /* numbers of one image, with its border */
} Map;

#define MAP(height, width, channels)                                                                                  \
    {height, width, channels, (height + 3) / 4, (width + 3) / 4, (width + 3) / 4 * 4 + 2,                             \
     (size_t)((height + 3) / 4 * 4 + 2) * ((width + 3) / 4 * 4 + 2) * channels}

static const Map STAGES[4] = {MAP(56, 48, 64), MAP(28, 24, 128), MAP(14, 12, 256), MAP(7, 6, 512)};
static const int BLOCKS_OF_STAGE[4] = {1, 2, 4, 1}; /* residual ones */

typedef struct {
    const bf16 *weights;
    const float *bias, *slope;
} Layer;

INLINE __m512 widen(const bf16 *values)
{
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const void *)values)), 16));
}

INLINE void narrow(bf16 *values, __m512 x) { _mm256_storeu_si256((void *)values, (__m256i)_mm512_cvtneps_pbh(x)); }

/* Sum products of `rows` rows with 32 columns: over `num_parts` parts of the depth, each found at its own offset. */
INLINE void multiply(const int rows, const bf16 *a, const size_t stride, const int num_parts, const size_t *offsets,
                     const int depth, const bf16 *b, float *sums)
{
    __m512 left[ROWS], right[ROWS];
#pragma GCC unroll 12
    for (int row = 0; row < rows; row++)
        left[row] = right[row] = _mm512_setzero_ps();
    for (int part = 0; part < num_parts; part++) {
        const bf16 *from = a + offsets[part];
        for (int k = 0; k < depth; k += 2, b += 2 * BLOCK) {
            const __m512bh b_left = (__m512bh)_mm512_loadu_si512(b), b_right = (__m512bh)_mm512_loadu_si512(b + BLOCK);
#pragma GCC unroll 12
            for (int row = 0; row < rows; row++) {
                int32_t pair;
                memcpy(&pair, from + row * stride + k, sizeof pair);
                const __m512bh both = (__m512bh)_mm512_set1_epi32(pair);
                left[row] = _mm512_dpbf16_ps(left[row], both, b_left);
                right[row] = _mm512_dpbf16_ps(right[row], both, b_right);
            }
        }
    }
#pragma GCC unroll 12
    for (int row = 0; row < rows; row++) {
        _mm512_storeu_ps(sums + row * BLOCK, left[row]);
        _mm512_storeu_ps(sums + row * BLOCK + 16, right[row]);
    }
}

INLINE __m512 prelu(__m512 x, const float *slope)
{
    const __mmask16 negative = _mm512_cmp_ps_mask(x, _mm512_setzero_ps(), _CMP_LT_OQ);
    return _mm512_mask_mul_ps(x, negative, x, _mm512_loadu_ps(slope));
}

/* One dimension of the transform of the inputs: six numbers at a stride become six. */
INLINE void transform_inputs(const __m512 *x, const int stride, __m512 *y, const int y_stride)
{
    const __m512 two = _mm512_set1_ps(2), four = _mm512_set1_ps(4), five = _mm512_set1_ps(5);
    const __m512 x0 = x[0], x1 = x[stride], x2 = x[2 * stride], x3 = x[3 * stride], x4 = x[4 * stride],
                 x5 = x[5 * stride];
    const __m512 even = _mm512_fnmadd_ps(four, x2, x4), odd = _mm512_fnmadd_ps(four, x1, x3);
    const __m512 even_half = _mm512_sub_ps(x4, x2), odd_half = _mm512_mul_ps(two, _mm512_sub_ps(x3, x1));
    y[0] = _mm512_fmadd_ps(four, x0, _mm512_fnmadd_ps(five, x2, x4));
    y[y_stride] = _mm512_add_ps(even, odd);
    y[2 * y_stride] = _mm512_sub_ps(even, odd);
    y[3 * y_stride] = _mm512_add_ps(even_half, odd_half);
    y[4 * y_stride] = _mm512_sub_ps(even_half, odd_half);
    y[5 * y_stride] = _mm512_fmadd_ps(four, x1, _mm512_fnmadd_ps(five, x3, x5));
}

/* One dimension of the transform of the sums: six numbers become four. */
INLINE void transform_sums(const __m512 *x, const int stride, __m512 *y, const int y_stride)
{
    const __m512 two = _mm512_set1_ps(2), four = _mm512_set1_ps(4), eight = _mm512_set1_ps(8);
    const __m512 sum = _mm512_add_ps(x[stride], x[2 * stride]), difference = _mm512_sub_ps(x[stride], x[2 * stride]);
    const __m512 far_sum = _mm512_add_ps(x[3 * stride], x[4 * stride]),
                 far_difference = _mm512_sub_ps(x[3 * stride], x[4 * stride]);
    y[0] = _mm512_add_ps(x[0], _mm512_add_ps(sum, far_sum));
    y[y_stride] = _mm512_fmadd_ps(two, far_difference, difference);
    y[2 * y_stride] = _mm512_fmadd_ps(four, far_sum, sum);
    y[3 * y_stride] = _mm512_add_ps(x[5 * stride], _mm512_fmadd_ps(eight, far_difference, difference));
}

/* V: (36, num_rows, channels), of `num_tiles` tiles from the first one on; the rows beyond them are zeros. */
INLINE void transform_tiles(const Map *map, const int channels, const bf16 *maps, const int first, const int num_tiles,
                            const int num_rows, bf16 *v)
{
    const int tiles_of_map = map->tiles_down * map->tiles_across;
    for (int row = 0; row < num_rows; row++) {
        if (row >= num_tiles) {
            for (int point = 0; point < POINTS; point++)
                memset(v + ((size_t)point * num_rows + row) * channels, 0, channels * sizeof *v);
            continue;
        }
        const int image = (first + row) / tiles_of_map, tile = (first + row) % tiles_of_map;
        const int y = tile / map->tiles_across * 4, x = tile % map->tiles_across * 4;
        const bf16 *corner = maps + image * map->size + ((size_t)y * map->columns + x) * channels;
        for (int channel = 0; channel < channels; channel += 16) {
            __m512 across[POINTS], inputs[6], points[6];
#pragma GCC unroll 6
            for (int i = 0; i < 6; i++) {
#pragma GCC unroll 6
                for (int j = 0; j < 6; j++)
                    inputs[j] = widen(corner + ((size_t)i * map->columns + j) * channels + channel);
                transform_inputs(inputs, 1, across + 6 * i, 1);
            }
#pragma GCC unroll 6
            for (int j = 0; j < 6; j++) {
                transform_inputs(across + j, 6, points, 1);
#pragma GCC unroll 6
                for (int i = 0; i < 6; i++)
                    narrow(v + ((size_t)(6 * i + j) * num_rows + row) * channels + channel, points[i]);
            }
        }
    }
}

/* Outputs of a block of channels from its sums (36, num_rows, 32). */
INLINE void finish_tiles(const Map *map, const int channels, const float *sums, const int first, const int num_tiles,
                         const int num_rows, const int block, const Layer *layer, const int adds, bf16 *maps)
{
    const int tiles_of_map = map->tiles_down * map->tiles_across;
    for (int row = 0; row < num_tiles; row++) {
        const int image = (first + row) / tiles_of_map, tile = (first + row) % tiles_of_map;
        const int y = tile / map->tiles_across * 4, x = tile % map->tiles_across * 4;
        const int height = map->height - y < 4 ? map->height - y : 4, width = map->width - x < 4 ? map->width - x : 4;
        for (int half = 0; half < BLOCK; half += 16) {
            const int channel = block * BLOCK + half;
            const __m512 bias = _mm512_loadu_ps(layer->bias + channel);
            __m512 across[24], values[6], outputs[4];
#pragma GCC unroll 6
            for (int i = 0; i < 6; i++) {
#pragma GCC unroll 6
                for (int j = 0; j < 6; j++)
                    values[j] = _mm512_loadu_ps(sums + ((size_t)(6 * i + j) * num_rows + row) * BLOCK + half);
                transform_sums(values, 1, across + 4 * i, 1);
            }
            for (int j = 0; j < width; j++) {
                transform_sums(across + j, 4, outputs, 1);
                bf16 *to = maps + image * map->size + ((size_t)(y + 1) * map->columns + x + 1 + j) * channels + channel;
                for (int i = 0; i < height; i++, to += (size_t)map->columns * channels) {
                    __m512 output = prelu(_mm512_add_ps(outputs[i], bias), layer->slope + channel);
                    narrow(to, adds ? _mm512_add_ps(widen(to), output) : output);
                }
            }
        }
    }
}

INLINE void multiply_tiles(const int channels, const bf16 *v, const int num_rows, const bf16 *weights, float *sums)
{
    const size_t offset = 0;
    for (int point = 0; point < POINTS; point++, weights += (size_t)channels * BLOCK) {
        const bf16 *a = v + (size_t)point * num_rows * channels;
        float *c = sums + (size_t)point * num_rows * BLOCK;
        int row = 0;
        for (; row + ROWS <= num_rows; row += ROWS)
            multiply(ROWS, a + (size_t)row * channels, channels, 1, &offset, channels, weights, c + row * BLOCK);
        for (; row < num_rows; row += 4)
            multiply(4, a + (size_t)row * channels, channels, 1, &offset, channels, weights, c + row * BLOCK);
    }
}

/* A convolution of stride 1 with its PReLU; with `adds` the result is added to what `to` holds. */
INLINE void convolve(const Map *map, const int channels, const Layer *layer, const bf16 *from, bf16 *to,
                     const int num_images, const int adds, const int tiles_at_once, bf16 *v, float *sums)
{
    const int num_tiles = num_images * map->tiles_down * map->tiles_across;
    for (int first = 0; first < num_tiles; first += tiles_at_once) {
        const int tiles = num_tiles - first < tiles_at_once ? num_tiles - first : tiles_at_once;
        const int num_rows = (tiles + 3) / 4 * 4;
        transform_tiles(map, channels, from, first, tiles, num_rows, v);
        for (int block = 0; block < channels / BLOCK; block++) {
            multiply_tiles(channels, v, num_rows, layer->weights + (size_t)block * POINTS * channels * BLOCK, sums);
            finish_tiles(map, channels, sums, first, tiles, num_rows, block, layer, adds, to);
        }
    }
}

/* A convolution of stride 2 with its PReLU, summed over its nine taps where the inputs lie. */
INLINE void shrink(const Map *from_map, const int from_channels, const Map *map, const int channels, const int rows,
                   const Layer *layer, const bf16 *from, bf16 *to, const int num_images)
{
    size_t taps[9];
    for (int tap = 0; tap < 9; tap++)
        taps[tap] = ((size_t)(tap / 3) * from_map->columns + tap % 3) * from_channels;
    for (int block = 0; block < channels / BLOCK; block++) {
        const bf16 *weights = layer->weights + (size_t)block * 9 * from_channels * BLOCK;
        for (int image = 0; image < num_images; image++)
            for (int y = 0; y < map->height; y++)
                for (int x = 0; x < map->width; x += rows) {
                    float sums[ROWS * BLOCK];
                    multiply(rows, from + image * from_map->size + ((size_t)2 * y * from_map->columns + 2 * x) * from_channels,
                             2 * (size_t)from_channels, 9, taps, from_channels, weights, sums);
                    for (int row = 0; row < rows; row++)
                        for (int half = 0; half < BLOCK; half += 16) {
                            const int channel = block * BLOCK + half;
                            const __m512 sum = _mm512_add_ps(_mm512_loadu_ps(sums + row * BLOCK + half),
                                                             _mm512_loadu_ps(layer->bias + channel));
                            narrow(to + image * map->size + ((size_t)(y + 1) * map->columns + x + row + 1) * channels + channel,
                                   prelu(sum, layer->slope + channel));
                        }
                }
    }
}

/* conv1_1, from pixels. */
STAGE void begin(const uint8_t *crop, const int is_rgb, const Layer *layer, bf16 *to)
{
    enum { COLUMNS = (CROP_WIDTH + 2) * 3 };
    static const int TAP = 9;
    const Map *map = &STAGES[0];
    bf16 pixels[(CROP_HEIGHT + 2) * COLUMNS];
    memset(pixels, 0, sizeof pixels);
    for (int y = 0; y < CROP_HEIGHT; y++) {
        bf16 *row = pixels + (y + 1) * COLUMNS + 3;
        const uint8_t *from = crop + y * CROP_WIDTH * 3;
        for (int x = 0; x < CROP_WIDTH * 3; x += 3)
            for (int colour = 0; colour < 3; colour++) {
                /* (pixel - 127.5) / 128 has nine digits; bfloat16 keeps eight, the nearest, to even where two are. */
                const float value = (from[x + (is_rgb ? 2 - colour : colour)] - 127.5f) / 128.0f;
                uint32_t bits;
                memcpy(&bits, &value, sizeof bits);
                row[x + colour] = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
            }
    }
    const size_t offset = 0;
    for (int y = 0; y < map->height; y++)
        for (int x = 0; x < map->width; x += ROWS) {
            bf16 inputs[ROWS * FIRST_DEPTH] = {0};
            for (int row = 0; row < ROWS; row++)
                for (int tap = 0; tap < 3; tap++)
                    memcpy(inputs + row * FIRST_DEPTH + tap * TAP, pixels + (2 * y + tap) * COLUMNS + 2 * (x + row) * 3,
                           TAP * sizeof *pixels);
            for (int block = 0; block < map->channels / BLOCK; block++) {
                float sums[ROWS * BLOCK];
                multiply(ROWS, inputs, FIRST_DEPTH, 1, &offset, FIRST_DEPTH, layer->weights + block * FIRST_DEPTH * BLOCK, sums);
                for (int row = 0; row < ROWS; row++)
                    for (int half = 0; half < BLOCK; half += 16) {
                        const int channel = block * BLOCK + half;
                        const __m512 sum = _mm512_add_ps(_mm512_loadu_ps(sums + row * BLOCK + half),
                                                         _mm512_loadu_ps(layer->bias + channel));
                        narrow(to + ((size_t)(y + 1) * map->columns + x + row + 1) * map->channels + channel,
                               prelu(sum, layer->slope + channel));
                    }
            }
        }
}

/* `rows` rows of fc5 for 32 of its outputs, a step of the sum at a time, in float32. */
INLINE void add_step(const int rows, const float *flat, const float *weights, const int is_first, float *to)
{
    __m512 left[ROWS], right[ROWS];
#pragma GCC unroll 12
    for (int row = 0; row < rows; row++) {
        left[row] = is_first ? _mm512_setzero_ps() : _mm512_loadu_ps(to + row * FEATURES);
        right[row] = is_first ? _mm512_setzero_ps() : _mm512_loadu_ps(to + row * FEATURES + 16);
    }
    for (int k = 0; k < FLAT_STEP; k++, weights += BLOCK) {
        const __m512 b_left = _mm512_loadu_ps(weights), b_right = _mm512_loadu_ps(weights + 16);
#pragma GCC unroll 12
        for (int row = 0; row < rows; row++) {
            const __m512 value = _mm512_set1_ps(flat[(size_t)row * FLAT + k]);
            left[row] = _mm512_fmadd_ps(value, b_left, left[row]);
            right[row] = _mm512_fmadd_ps(value, b_right, right[row]);
        }
    }
#pragma GCC unroll 12
    for (int row = 0; row < rows; row++) {
        _mm512_storeu_ps(to + row * FEATURES, left[row]);
        _mm512_storeu_ps(to + row * FEATURES + 16, right[row]);
    }
}

/* fc5: (num_images, 7, 6, 512) to (num_images, 512). `flat` has room for a multiple of four images. */
STAGE void connect(const bf16 *maps, const float *weights, const float *bias, const int num_images, float *flat,
                   float *features, float *embeddings)
{
    const Map *map = &STAGES[3];
    const int num_rows = (num_images + 3) / 4 * 4;
    for (int image = 0; image < num_images; image++)
        for (int y = 0; y < map->height; y++)
            for (int k = 0; k < map->width * map->channels; k += 16)
                _mm512_storeu_ps(flat + (size_t)image * FLAT + (size_t)y * map->width * map->channels + k,
                                 widen(maps + image * map->size + ((size_t)(y + 1) * map->columns + 1) * map->channels + k));
    memset(flat + (size_t)num_images * FLAT, 0, (size_t)(num_rows - num_images) * FLAT * sizeof *flat);
    for (int k = 0; k < FLAT; k += FLAT_STEP)
        for (int block = 0; block < FEATURES / BLOCK; block++) {
            const float *part = weights + ((size_t)k * FEATURES + (size_t)block * FLAT_STEP * BLOCK);
            int row = 0;
            for (; row + ROWS <= num_rows; row += ROWS)
                add_step(ROWS, flat + (size_t)row * FLAT + k, part, k == 0, features + (size_t)row * FEATURES + block * BLOCK);
            for (; row < num_rows; row += 4)
                add_step(4, flat + (size_t)row * FLAT + k, part, k == 0, features + (size_t)row * FEATURES + block * BLOCK);
        }
    for (int image = 0; image < num_images; image++)
        for (int k = 0; k < FEATURES; k += 16)
            _mm512_storeu_ps(embeddings + (size_t)image * FEATURES + k,
                             _mm512_add_ps(_mm512_loadu_ps(features + (size_t)image * FEATURES + k), _mm512_loadu_ps(bias + k)));
}

enum { TILES_1 = 48, TILES_2 = 48, TILES_3 = 36, TILES_4 = 24 };

typedef struct {
    bf16 *maps[4], *inner[4], *v;
    float *sums, *flat, *features;
    void *memory;
} Scratch;

static size_t round_up(size_t bytes) { return (bytes + 63) / 64 * 64; }

static int reserve(Scratch *scratch)
{
    size_t sizes[12], total = 0;
    for (int stage = 0; stage < 4; stage++)
        sizes[2 * stage] = sizes[2 * stage + 1] = STAGES[stage].size * sizeof(bf16) * (stage < 2 ? MAPS : GROUP);
    sizes[8] = (size_t)POINTS * 12288 * sizeof(bf16);
    sizes[9] = (size_t)POINTS * 48 * BLOCK * sizeof(float);
    sizes[10] = (size_t)(GROUP + 3) * FLAT * sizeof(float);
    sizes[11] = (size_t)(GROUP + 3) * FEATURES * sizeof(float);
    for (int i = 0; i < 12; i++)
        total += round_up(sizes[i]);
    char *at = scratch->memory = aligned_alloc(64, total);
    if (at == NULL)
        return -1;
    char *parts[12];
    for (int i = 0; i < 12; i++) {
        parts[i] = at;
        at += round_up(sizes[i]);
    }
    for (int stage = 0; stage < 4; stage++) {
        scratch->maps[stage] = (bf16 *)parts[2 * stage];
        scratch->inner[stage] = (bf16 *)parts[2 * stage + 1];
        /* Their borders, which nothing writes to, have to be zero. */
        memset(parts[2 * stage], 0, sizes[2 * stage]);
        memset(parts[2 * stage + 1], 0, sizes[2 * stage + 1]);
    }
    scratch->v = (bf16 *)parts[8];
    scratch->sums = (float *)parts[9];
    scratch->flat = (float *)parts[10];
    scratch->features = (float *)parts[11];
    return 0;
}

#define RESIDUAL_STAGE(name, stage, channels, tiles_at_once)                                                          \
    STAGE void name(const Layer *layers, Scratch *s, const int num_images)                                            \
    {                                                                                                                 \
        for (int block = 0; block < BLOCKS_OF_STAGE[stage]; block++, layers += 2) {                                   \
            convolve(&STAGES[stage], channels, layers, s->maps[stage], s->inner[stage], num_images, 0, tiles_at_once, \
                     s->v, s->sums);                                                                                  \
            convolve(&STAGES[stage], channels, layers + 1, s->inner[stage], s->maps[stage], num_images, 1,            \
                     tiles_at_once, s->v, s->sums);                                                                   \
        }                                                                                                             \
    }

RESIDUAL_STAGE(stage_1, 0, 64, TILES_1)
RESIDUAL_STAGE(stage_2, 1, 128, TILES_2)
RESIDUAL_STAGE(stage_3, 2, 256, TILES_3)
RESIDUAL_STAGE(stage_4, 3, 512, TILES_4)

STAGE void shrink_2(const Layer *layer, Scratch *s, const int num_images)
{
    shrink(&STAGES[0], 64, &STAGES[1], 128, 12, layer, s->maps[0], s->maps[1], num_images);
}

STAGE void shrink_3(const Layer *layer, Scratch *s, const int num_images, bf16 *to)
{
    shrink(&STAGES[1], 128, &STAGES[2], 256, 12, layer, s->maps[1], to, num_images);
}

STAGE void shrink_4(const Layer *layer, Scratch *s, const int num_images)
{
    shrink(&STAGES[2], 256, &STAGES[3], 512, 6, layer, s->maps[2], s->maps[3], num_images);
}

static int embed_all(const uint8_t *crops, size_t num_crops, int is_rgb, const Layer *layers, const float *fc5,
                     const float *fc5_bias, float *embeddings)
{
    Scratch s;
    if (reserve(&s) != 0)
        return -1;
    for (size_t first = 0; first < num_crops; first += GROUP) {
        const int group = num_crops - first < GROUP ? (int)(num_crops - first) : GROUP;
        for (int image = 0; image < group; image += MAPS) {
            const int maps = group - image < MAPS ? group - image : MAPS;
            for (int i = 0; i < maps; i++)
                begin(crops + (first + image + i) * CROP_HEIGHT * CROP_WIDTH * 3, is_rgb, layers, s.maps[0] + i * STAGES[0].size);
            stage_1(layers + 1, &s, maps);
            shrink_2(layers + 3, &s, maps);
            stage_2(layers + 4, &s, maps);
            shrink_3(layers + 8, &s, maps, s.maps[2] + image * STAGES[2].size);
        }
        stage_3(layers + 9, &s, group);
        shrink_4(layers + 17, &s, group);
        stage_4(layers + 18, &s, group);
        connect(s.maps[3], fc5, fc5_bias, group, s.flat, s.features, embeddings + first * FEATURES);
    }
    free(s.memory);
    return 0;
}
#define IS_BUILT 1
#endif

#ifdef IS_BUILT
static size_t bytes_of_layer(int layer)
{
    static const int FIRSTS[4] = {0, 3, 8, 17};
    for (int stage = 3; stage >= 0; stage--)
        if (layer >= FIRSTS[stage]) {
            const size_t channels = STAGES[stage].channels;
            if (layer > FIRSTS[stage])
                return POINTS * channels * channels * sizeof(bf16);
            return (stage == 0 ? FIRST_DEPTH : 9 * channels / 2) * channels * sizeof(bf16);
        }
    return 0;
}

static size_t channels_of_layer(int layer) { return layer < 3 ? 64 : layer < 8 ? 128 : layer < 17 ? 256 : 512; }

static PyObject *embed(PyObject *self, PyObject *arguments)
{
    Py_buffer crops, embeddings, buffers[NUM_BUFFERS];
    PyObject *weights, *result = NULL;
    int is_rgb, num_buffers = 0;
    if (!PyArg_ParseTuple(arguments, "y*w*O!p", &crops, &embeddings, &PyTuple_Type, &weights, &is_rgb))
        return NULL;
    const size_t bytes_of_crop = CROP_HEIGHT * CROP_WIDTH * 3, num_crops = crops.len / bytes_of_crop;
    if (crops.len % bytes_of_crop != 0 || (size_t)embeddings.len != num_crops * FEATURES * sizeof(float)) {
        PyErr_Format(PyExc_ValueError, "%zd bytes of crops and %zd of embeddings are not the same number of them",
                     crops.len, embeddings.len);
        goto done;
    }
    if (PyTuple_GET_SIZE(weights) != NUM_BUFFERS) {
        PyErr_Format(PyExc_ValueError, "%zd arrays of weights: must be %d", PyTuple_GET_SIZE(weights), NUM_BUFFERS);
        goto done;
    }
    for (; num_buffers < NUM_BUFFERS; num_buffers++) {
        const int layer = num_buffers / 3;
        const size_t expected = layer == NUM_LAYERS ? (num_buffers % 3 == 0 ? (size_t)FLAT : 1) * FEATURES * sizeof(float)
                                : num_buffers % 3 == 0 ? bytes_of_layer(layer)
                                                       : channels_of_layer(layer) * sizeof(float);
        if (PyObject_GetBuffer(PyTuple_GET_ITEM(weights, num_buffers), &buffers[num_buffers], PyBUF_SIMPLE) != 0)
            goto done;
        if ((size_t)buffers[num_buffers].len != expected) {
            PyErr_Format(PyExc_ValueError, "array %d of the weights has %zd bytes: must be %zu", num_buffers,
                         buffers[num_buffers].len, expected);
            num_buffers++;
            goto done;
        }
    }
    Layer layers[NUM_LAYERS];
    for (int layer = 0; layer < NUM_LAYERS; layer++)
        layers[layer] = (Layer){buffers[3 * layer].buf, buffers[3 * layer + 1].buf, buffers[3 * layer + 2].buf};
    int failed;
    Py_BEGIN_ALLOW_THREADS
    failed = embed_all(crops.buf, num_crops, is_rgb, layers, buffers[3 * NUM_LAYERS].buf, buffers[3 * NUM_LAYERS + 1].buf,
                       embeddings.buf);
    Py_END_ALLOW_THREADS
    result = failed ? PyErr_NoMemory() : Py_NewRef(Py_None);
done:
    while (num_buffers > 0)
        PyBuffer_Release(&buffers[--num_buffers]);
    PyBuffer_Release(&crops);
    PyBuffer_Release(&embeddings);
    return result;
}
#endif

static PyMethodDef methods[] = {
#ifdef IS_BUILT
    {"embed", embed, METH_VARARGS, "embed(crops, embeddings, weights, is_rgb): see models/native_sphereface.py"},
#endif
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_sphereface", NULL, 0, methods};

PyMODINIT_FUNC PyInit__sphereface(void) { return PyModule_Create(&module); }
