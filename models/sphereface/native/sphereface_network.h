/* SphereFace-20. A file for each arithmetic and kind of processor includes this file, and defines Number, Vector (16
float32 numbers), the operations on them, and how many rows fit into the registers.

Convolutions of stride 1 are Winograd's F(4x4, 3x3) (Lavin & Gray 2016, "Fast Algorithms for Convolutional Neural
Networks"): 36 products for 16 outputs instead of 144. In bfloat16 the factors of the products have 8 bits; sums,
transforms and fc5 are float32 in both. models/sphereface/native_engine.py lays out the weights.

Words: a map is the channels of an image, channels last, with a border of zeros, and with more zeros up to whole tiles.
A tile is 4 x 4 outputs, computed from 6 x 6 inputs; it gives one row of each of 36 matrix products. A block is 32
output channels. A word is four bytes, one step of a sum of products: two bfloat16 numbers or one float32 number. To the
bit, the result of a crop does not depend on the other crops. */

#include <stdlib.h>
#include <string.h>

#include "../../native/buffers.h"

enum {
    BLOCK = 32,      /* two vectors */
    MOST_TILES = 84, /* tiles transformed at a time: those of two images of stage 2, or half an image of stage 1 */
    TILE_BYTES = 48 * 512, /* most bytes of inputs of one product of these tiles (at least 12 rows: 4 * 512 * 12) */
    EARLY_GROUP = 2,       /* images that go through the first two stages together: their maps stay in the cache */
    GROUP = 32,            /* images that go through the other stages together: each group reads all weights once */
    FLAT_STEP = 256,       /* step of fc5's sums: its weights stay in the cache while all images of a group use them */
};

typedef struct {
    int height, width, channels, tiles_down, tiles_across, columns;
    size_t size; /* numbers of one image, with its border */
} Map;

#define MAP(height, width, channels)                                                                                   \
    {height,                                                                                                           \
     width,                                                                                                            \
     channels,                                                                                                         \
     (height + 3) / 4,                                                                                                 \
     (width + 3) / 4,                                                                                                  \
     (width + 3) / 4 * 4 + 2,                                                                                          \
     (size_t)((height + 3) / 4 * 4 + 2) * ((width + 3) / 4 * 4 + 2) * channels}

static const Map STAGES[4] = {MAP(56, 48, 64), MAP(28, 24, 128), MAP(14, 12, 256), MAP(7, 6, 512)};
static const int BLOCKS_OF_STAGE[4] = {1, 2, 4, 1}; /* residual blocks */

typedef struct {
    size_t image;
    int y, x, height, width; /* of the outputs inside the map */
} Tile;

static inline Tile find_tile(const Map *map, int number)
{
    const int tiles = map->tiles_down * map->tiles_across;
    const int y = number % tiles / map->tiles_across * 4, x = number % map->tiles_across * 4;
    const int height = map->height - y < 4 ? map->height - y : 4, width = map->width - x < 4 ? map->width - x : 4;
    return (Tile){number / tiles, y, x, height, width};
}

static inline size_t place(const Map *map, int row, int column) { return (size_t)row * map->columns + column; }

#define STAGE static __attribute__((noinline)) TARGET
#define NUMBERS_OF_WORD ((int)(sizeof(float) / sizeof(Number)))

typedef struct {
    const Number *weights;
    const float *bias, *slopes;
} Layer;

/* Compute the sums of products of `rows` rows with a block of columns, (rows, 32).

Rows begin `stride` numbers apart. A row consists of `num_parts` parts of `depth` numbers, each at its own offset. The
weights are (num_parts, words of depth, 32) words. */
OPERATION void multiply_rows(const int rows, const Number *numbers, const size_t stride, const int num_parts,
                             const size_t *offsets, const int depth, const Number *weights, float *sums)
{
    Vector left[ROWS], right[ROWS];
    UNROLL(12)
    for (int row = 0; row < rows; row++)
        left[row] = right[row] = repeat(0);
    for (int part = 0; part < num_parts; part++) {
        const Number *from = numbers + offsets[part];
        for (int k = 0; k < depth; k += NUMBERS_OF_WORD, weights += BLOCK * NUMBERS_OF_WORD) {
            const Vector of_left = load_words(weights), of_right = load_words(weights + BLOCK / 2 * NUMBERS_OF_WORD);
            UNROLL(12)
            for (int row = 0; row < rows; row++) {
                float word;
                memcpy(&word, from + row * stride + k, sizeof word);
                const Vector words = repeat(word);
                left[row] = add_products_of_words(left[row], words, of_left);
                right[row] = add_products_of_words(right[row], words, of_right);
            }
        }
    }
    UNROLL(12)
    for (int row = 0; row < rows; row++) {
        store(sums + row * BLOCK, left[row]);
        store(sums + row * BLOCK + 16, right[row]);
    }
}

OPERATION Vector activate(Vector sums, const Layer *layer, const int channel)
{
    return prelu(add(sums, load(layer->bias + channel)), layer->slopes + channel);
}

/* Winograd's points are 0, -A, A, -B, B and infinity. With 3/4 and 3/2, the error of bfloat16 products is half of that
with the usual 1 and 2 (docs/decisions/012; Barabasz et al. 2020, "Error Analysis and Improving the Accuracy of Winograd
Convolution for Deep Neural Networks"), and all factors below are exact. */
#define A 0.75f
#define B 1.5f

/* One dimension of the transform of the inputs: six numbers at a stride become six. */
OPERATION void transform_inputs(const Vector *x, const int stride, Vector *y)
{
    const Vector aa = repeat(A * A), bb = repeat(B * B), a = repeat(A), b = repeat(B);
    const Vector sum = repeat(A * A + B * B), product = repeat(A * A * B * B);
    const Vector x1 = x[stride], x2 = x[2 * stride], x3 = x[3 * stride], x4 = x[4 * stride];
    const Vector even_a = multiply_subtract(bb, x2, x4), odd_a = multiply(a, multiply_subtract(bb, x1, x3));
    const Vector even_b = multiply_subtract(aa, x2, x4), odd_b = multiply(b, multiply_subtract(aa, x1, x3));
    y[0] = multiply_add(product, x[0], multiply_subtract(sum, x2, x4));
    y[1] = add(even_a, odd_a);
    y[2] = subtract(even_a, odd_a);
    y[3] = add(even_b, odd_b);
    y[4] = subtract(even_b, odd_b);
    y[5] = multiply_add(product, x1, multiply_subtract(sum, x3, x[5 * stride]));
}

/* One dimension of the transform of the sums: six numbers at a stride become four. */
OPERATION void transform_sums(const Vector *x, const int stride, Vector *y)
{
    const Vector a = repeat(A), aa = repeat(A * A), aaa = repeat(A * A * A);
    const Vector b = repeat(B), bb = repeat(B * B), bbb = repeat(B * B * B);
    const Vector sum_a = add(x[stride], x[2 * stride]);
    const Vector difference_a = subtract(x[stride], x[2 * stride]);
    const Vector sum_b = add(x[3 * stride], x[4 * stride]);
    const Vector difference_b = subtract(x[3 * stride], x[4 * stride]);
    y[0] = add(x[0], add(sum_a, sum_b));
    y[1] = multiply_add(a, difference_a, multiply(b, difference_b));
    y[2] = multiply_add(aa, sum_a, multiply(bb, sum_b));
    y[3] = multiply_add(aaa, difference_a, multiply_add(bbb, difference_b, x[5 * stride]));
}

/* Transform tiles, from `first` on, to the products' inputs (36, num_rows, channels); the rows after them are zeros. */
OPERATION void transform_tiles(const Map *map, const int channels, const Number *maps, const int first,
                               const int num_tiles, const int num_rows, Number *inputs)
{
    const size_t row_stride = (size_t)map->columns * channels, point_stride = (size_t)num_rows * channels;
    for (int row = 0; row < num_rows; row++, inputs += channels) {
        if (row >= num_tiles) {
            for (int point = 0; point < POINTS; point++)
                memset(inputs + point * point_stride, 0, channels * sizeof *inputs);
            continue;
        }
        const Tile tile = find_tile(map, first + row);
        const Number *corner = maps + tile.image * map->size + tile.y * row_stride + (size_t)tile.x * channels;
        for (int channel = 0; channel < channels; channel += 16) {
            Vector across[POINTS], values[6];
            UNROLL(6)
            for (int i = 0; i < 6; i++) {
                UNROLL(6)
                for (int j = 0; j < 6; j++)
                    values[j] = widen(corner + i * row_stride + (size_t)j * channels + channel);
                transform_inputs(values, 1, across + 6 * i);
            }
            UNROLL(6)
            for (int j = 0; j < 6; j++) {
                transform_inputs(across + j, 6, values);
                UNROLL(6)
                for (int i = 0; i < 6; i++)
                    narrow(inputs + (6 * i + j) * point_stride + channel, values[i]);
            }
        }
    }
}

/* Compute the outputs of a block of channels from its sums, (36, num_rows, 32). */
OPERATION void finish_tiles(const Map *map, const int channels, const float *sums, const int first, const int num_tiles,
                            const int num_rows, const int block, const Layer *layer, const int adds, Number *maps)
{
    const size_t row_stride = (size_t)map->columns * channels, point_stride = (size_t)num_rows * BLOCK;
    for (int row = 0; row < num_tiles; row++, sums += BLOCK) {
        const Tile tile = find_tile(map, first + row);
        Number *corner = maps + tile.image * map->size + (tile.y + 1) * row_stride + (size_t)(tile.x + 1) * channels;
        for (int half = 0; half < BLOCK; half += 16) {
            const int channel = block * BLOCK + half;
            Vector across[24], values[6];
            UNROLL(6)
            for (int i = 0; i < 6; i++) {
                UNROLL(6)
                for (int j = 0; j < 6; j++)
                    values[j] = load(sums + (6 * i + j) * point_stride + half);
                transform_sums(values, 1, across + 4 * i);
            }
            for (int j = 0; j < tile.width; j++) {
                transform_sums(across + j, 4, values);
                Number *to = corner + (size_t)j * channels + channel;
                for (int i = 0; i < tile.height; i++, to += row_stride) {
                    const Vector output = activate(values[i], layer, channel);
                    narrow(to, adds ? add(widen(to), output) : output);
                }
            }
        }
    }
}

OPERATION void multiply_tiles(const int channels, const Number *inputs, const int num_rows, const Number *weights,
                              float *sums)
{
    const size_t start = 0;
    for (int point = 0; point < POINTS; point++, weights += (size_t)channels * BLOCK) {
        int row = 0;
        for (; row + ROWS <= num_rows; row += ROWS, inputs += ROWS * channels, sums += ROWS * BLOCK)
            multiply_rows(ROWS, inputs, channels, 1, &start, channels, weights, sums);
        for (; row < num_rows; row += FEW_ROWS, inputs += FEW_ROWS * channels, sums += FEW_ROWS * BLOCK)
            multiply_rows(FEW_ROWS, inputs, channels, 1, &start, channels, weights, sums);
    }
}

/* A convolution of stride 1 with its PReLU; if `adds`, its outputs are added to the numbers in `to`. */
OPERATION void convolve(const Map *map, const int channels, const Layer *layer, const Number *from, Number *to,
                        const int num_images, const int adds, Number *inputs, float *sums)
{
    const int num_tiles = num_images * map->tiles_down * map->tiles_across;
    const int most = TILE_BYTES / (channels * (int)sizeof(Number)) / ROWS * ROWS;
    const int tiles_at_once = most < MOST_TILES ? most : MOST_TILES;
    for (int first = 0; first < num_tiles; first += tiles_at_once) {
        const int tiles = num_tiles - first < tiles_at_once ? num_tiles - first : tiles_at_once;
        const int num_rows = (tiles + FEW_ROWS - 1) / FEW_ROWS * FEW_ROWS;
        transform_tiles(map, channels, from, first, tiles, num_rows, inputs);
        for (int block = 0; block < channels / BLOCK; block++) {
            const Number *weights = layer->weights + (size_t)block * POINTS * channels * BLOCK;
            multiply_tiles(channels, inputs, num_rows, weights, sums);
            finish_tiles(map, channels, sums, first, tiles, num_rows, block, layer, adds, to);
        }
    }
}

/* Turn the sums (rows, 32) of neighbouring pixels of a map's row into a block of their channels. */
OPERATION void finish_row(const float *sums, const int rows, const Layer *layer, const int channels, const int block,
                          Number *to)
{
    for (int row = 0; row < rows; row++)
        for (int half = 0; half < BLOCK; half += 16) {
            const int channel = block * BLOCK + half;
            narrow(to + (size_t)row * channels + channel, activate(load(sums + row * BLOCK + half), layer, channel));
        }
}

/* A convolution of stride 2 with its PReLU: its nine taps are read directly from the map. `rows` divides its width. */
OPERATION void shrink(const Map *from_map, const int from_channels, const Map *map, const int channels, const int rows,
                      const Layer *layer, const Number *from, Number *to, const int num_images)
{
    size_t taps[9];
    for (int tap = 0; tap < 9; tap++)
        taps[tap] = ((size_t)(tap / 3) * from_map->columns + tap % 3) * from_channels;
    for (int block = 0; block < channels / BLOCK; block++) {
        const Number *weights = layer->weights + (size_t)block * 9 * from_channels * BLOCK;
        for (int image = 0; image < num_images; image++)
            for (int y = 0; y < map->height; y++)
                for (int x = 0; x < map->width; x += rows) {
                    float sums[ROWS * BLOCK];
                    multiply_rows(rows, from + image * from_map->size + place(from_map, 2 * y, 2 * x) * from_channels,
                                  2 * (size_t)from_channels, 9, taps, from_channels, weights, sums);
                    finish_row(sums, rows, layer, channels, block,
                               to + image * map->size + place(map, y + 1, x + 1) * channels);
                }
    }
}

enum { COLUMNS = (CROP_WIDTH + 2) * 3, PIXELS = (CROP_HEIGHT + 2) * COLUMNS }; /* numbers of a crop with its border */

/* conv1_1, from pixels as (pixel - 127.5) / 128; `pixels` is scratch memory with a border of zeros. */
STAGE void begin(const uint8_t *crop, const int is_rgb, const Layer *layer, Number *pixels, Number *to)
{
    enum { TAPS = 9 };
    const Map *map = &STAGES[0];
    Number inputs[ROWS * FIRST_DEPTH];
    const size_t start = 0;
    memset(inputs, 0, sizeof inputs);
    for (int y = 0; y < CROP_HEIGHT; y++)
        for (int x = 0; x < CROP_WIDTH; x++, crop += 3)
            for (int colour = 0; colour < 3; colour++)
                pixels[(y + 1) * COLUMNS + (x + 1) * 3 + colour] =
                    round_number((crop[is_rgb ? 2 - colour : colour] - 127.5f) / 128.0f);
    for (int y = 0; y < map->height; y++)
        for (int x = 0; x < map->width; x += ROWS) {
            for (int row = 0; row < ROWS; row++)
                for (int tap = 0; tap < 3; tap++)
                    memcpy(inputs + row * FIRST_DEPTH + tap * TAPS,
                           pixels + (2 * y + tap) * COLUMNS + 2 * (x + row) * 3, TAPS * sizeof *pixels);
            for (int block = 0; block < map->channels / BLOCK; block++) {
                float sums[ROWS * BLOCK];
                multiply_rows(ROWS, inputs, FIRST_DEPTH, 1, &start, FIRST_DEPTH,
                              layer->weights + block * FIRST_DEPTH * BLOCK, sums);
                finish_row(sums, ROWS, layer, map->channels, block, to + place(map, y + 1, x + 1) * map->channels);
            }
        }
}

/* A step of fc5's sums, in float32, for `rows` images and a block of its outputs. */
OPERATION void add_step(const int rows, const float *flat, const float *weights, float *sums)
{
    Vector left[ROWS], right[ROWS];
    UNROLL(12)
    for (int row = 0; row < rows; row++) {
        left[row] = load(sums + row * FEATURES);
        right[row] = load(sums + row * FEATURES + 16);
    }
    for (int k = 0; k < FLAT_STEP; k++, weights += BLOCK) {
        const Vector of_left = load(weights), of_right = load(weights + 16);
        UNROLL(12)
        for (int row = 0; row < rows; row++) {
            const Vector value = repeat(flat[(size_t)row * FLAT + k]);
            left[row] = multiply_add(value, of_left, left[row]);
            right[row] = multiply_add(value, of_right, right[row]);
        }
    }
    UNROLL(12)
    for (int row = 0; row < rows; row++) {
        store(sums + row * FEATURES, left[row]);
        store(sums + row * FEATURES + 16, right[row]);
    }
}

/* fc5, in float32: maps (num_images, 7, 6, 512) become embeddings (num_images, 512). */
STAGE void connect(const Number *maps, const float *weights, const float *bias, const int num_images, float *flat,
                   float *sums, float *embeddings)
{
    const Map *map = &STAGES[3];
    const int num_rows = (num_images + FEW_ROWS - 1) / FEW_ROWS * FEW_ROWS, row_size = map->width * map->channels;
    for (int image = 0; image < num_images; image++)
        for (int y = 0; y < map->height; y++)
            for (int k = 0; k < row_size; k += 16)
                store(flat + (size_t)image * FLAT + (size_t)y * row_size + k,
                      widen(maps + image * map->size + place(map, y + 1, 1) * map->channels + k));
    memset(flat + (size_t)num_images * FLAT, 0, (size_t)(num_rows - num_images) * FLAT * sizeof *flat);
    for (int row = 0; row < num_rows; row++)
        memcpy(sums + (size_t)row * FEATURES, bias, FEATURES * sizeof *bias);
    for (int k = 0; k < FLAT; k += FLAT_STEP)
        for (int block = 0; block < FEATURES / BLOCK; block++, weights += FLAT_STEP * BLOCK) {
            int row = 0;
            for (; row + ROWS <= num_rows; row += ROWS)
                add_step(ROWS, flat + (size_t)row * FLAT + k, weights, sums + (size_t)row * FEATURES + block * BLOCK);
            for (; row < num_rows; row += FEW_ROWS)
                add_step(FEW_ROWS, flat + (size_t)row * FLAT + k, weights,
                         sums + (size_t)row * FEATURES + block * BLOCK);
        }
    memcpy(embeddings, sums, (size_t)num_images * FEATURES * sizeof *embeddings);
}

typedef struct {
    Number *pixels, *maps[4], *inner[4], *inputs;
    float *sums, *flat, *features;
} Scratch;

/* Take a buffer of zeros. It is for maps, because nothing is written to their borders. */
static Number *take_zeros(char *memory, size_t *used, size_t numbers)
{
    Number *taken = take(memory, used, numbers * sizeof(Number));
    if (taken != NULL)
        memset(taken, 0, numbers * sizeof(Number));
    return taken;
}

/* Place the buffers for groups of up to `group` images in memory; without memory (NULL), only count their bytes. */
static size_t lay_out(Scratch *scratch, char *memory, const int group)
{
    const size_t rows = (size_t)group + FEW_ROWS;
    size_t used = 0;
    for (int stage = 0; stage < 4; stage++) {
        const size_t numbers = STAGES[stage].size * (size_t)(stage < 2 ? EARLY_GROUP : group);
        scratch->maps[stage] = take_zeros(memory, &used, numbers);
        scratch->inner[stage] = take_zeros(memory, &used, numbers);
    }
    scratch->pixels = take_zeros(memory, &used, PIXELS);
    scratch->inputs = take(memory, &used, (size_t)POINTS * TILE_BYTES);
    scratch->sums = take(memory, &used, (size_t)POINTS * MOST_TILES * BLOCK * sizeof(float));
    scratch->flat = take(memory, &used, rows * FLAT * sizeof(float));
    scratch->features = take(memory, &used, rows * FEATURES * sizeof(float));
    return used;
}

#define RESIDUAL_BLOCKS(name, stage, channels)                                                                         \
    STAGE void name(const Layer *layers, Scratch *s, const int num_images)                                             \
    {                                                                                                                  \
        const Map *map = &STAGES[stage];                                                                               \
        for (int block = 0; block < BLOCKS_OF_STAGE[stage]; block++, layers += 2) {                                    \
            convolve(map, channels, layers, s->maps[stage], s->inner[stage], num_images, 0, s->inputs, s->sums);       \
            convolve(map, channels, layers + 1, s->inner[stage], s->maps[stage], num_images, 1, s->inputs, s->sums);   \
        }                                                                                                              \
    }

#define SHRINKING(name, stage, from_channels, channels, rows)                                                          \
    STAGE void name(const Layer *layer, const Number *from, Number *to, const int num_images)                          \
    {                                                                                                                  \
        shrink(&STAGES[stage - 1], from_channels, &STAGES[stage], channels, rows, layer, from, to, num_images);        \
    }

_Static_assert(MOST_TILES % FEW_ROWS == 0 && ROWS % FEW_ROWS == 0 && TILE_BYTES / (512 * sizeof(Number)) >= ROWS,
               "rows of zeros behind the last tiles fit into the inputs and sums");
_Static_assert(48 % ROWS == 0 && 24 % ROWS == 0 && 12 % ROWS == 0 && 6 % (ROWS < 6 ? ROWS : 6) == 0,
               "rows of maps are computed in whole parts");
_Static_assert(FLAT % FLAT_STEP == 0 && FEATURES % BLOCK == 0 && FIRST_DEPTH % NUMBERS_OF_WORD == 0 &&
                   FIRST_DEPTH >= 3 * 9,
               "sums of products are made in whole steps");
_Static_assert(sizeof(Number) * NUMBERS_OF_WORD == sizeof(float), "a word is four bytes");

/* In each of these functions, the compiler knows the numbers of channels and rows. */
RESIDUAL_BLOCKS(blocks_of_stage_1, 0, 64)
RESIDUAL_BLOCKS(blocks_of_stage_2, 1, 128)
RESIDUAL_BLOCKS(blocks_of_stage_3, 2, 256)
RESIDUAL_BLOCKS(blocks_of_stage_4, 3, 512)
SHRINKING(begin_stage_2, 1, 64, 128, ROWS)
SHRINKING(begin_stage_3, 2, 128, 256, ROWS)
SHRINKING(begin_stage_4, 3, 256, 512, (ROWS < 6 ? ROWS : 6))

int EMBED(const uint8_t *crops, size_t num_crops, int is_rgb, const void *const *arrays, float *embeddings)
{
    Layer layers[NUM_LAYERS];
    for (int layer = 0; layer < NUM_LAYERS; layer++)
        layers[layer] = (Layer){arrays[3 * layer], arrays[3 * layer + 1], arrays[3 * layer + 2]};
    Scratch s;
    const int most = num_crops < GROUP ? (int)num_crops : GROUP;
    char *memory = aligned_alloc(ALIGNMENT, lay_out(&s, NULL, most));
    if (memory == NULL)
        return -1;
    lay_out(&s, memory, most);
    const size_t num_groups = (num_crops + GROUP - 1) / GROUP;
    for (size_t group = 0; group < num_groups; group++) {
        /* Groups of equal size, because each group reads all weights. */
        const size_t first = num_crops * group / num_groups;
        const int size = (int)(num_crops * (group + 1) / num_groups - first);
        for (int image = 0; image < size; image += EARLY_GROUP) {
            const int images = size - image < EARLY_GROUP ? size - image : EARLY_GROUP;
            for (int i = 0; i < images; i++)
                begin(crops + (first + image + i) * BYTES_OF_CROP, is_rgb, layers, s.pixels,
                      s.maps[0] + i * STAGES[0].size);
            blocks_of_stage_1(layers + 1, &s, images);
            begin_stage_2(layers + FIRST_OF_STAGE[1], s.maps[0], s.maps[1], images);
            blocks_of_stage_2(layers + FIRST_OF_STAGE[1] + 1, &s, images);
            begin_stage_3(layers + FIRST_OF_STAGE[2], s.maps[1], s.maps[2] + image * STAGES[2].size, images);
        }
        blocks_of_stage_3(layers + FIRST_OF_STAGE[2] + 1, &s, size);
        begin_stage_4(layers + FIRST_OF_STAGE[3], s.maps[2], s.maps[3], size);
        blocks_of_stage_4(layers + FIRST_OF_STAGE[3] + 1, &s, size);
        connect(s.maps[3], arrays[3 * NUM_LAYERS], arrays[3 * NUM_LAYERS + 1], size, s.flat, s.features,
                embeddings + first * FEATURES);
    }
    free(memory);
    return 0;
}
