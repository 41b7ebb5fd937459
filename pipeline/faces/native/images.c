/* Two small jobs for every frame: reducing part of an image by a whole factor, and making a thumbnail. The results are
the same bytes as OpenCV's. Plain C for any processor, and vectors (SSE2) where all processors of a kind have them.
Images are (height, width, 3) bytes without gaps. */

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../../../models/native/arrays.h"
#ifdef __SSE2__
#include <emmintrin.h>
#endif

enum {
    LAYOUT = 2,        /* version of arguments and results: as in pipeline/faces/images.py */
    MOST_FACTOR = 256, /* so that the sum of a column of pixels is below 65536 */
    MOST_FOURS = 16,   /* so that the sum of a square of pixels is, too */
    THUMBNAIL_PX = 32,
    SAMPLES = 4, /* pixels read for each pixel of a thumbnail, in each direction */
};
_Static_assert(MOST_FACTOR * 255 <= UINT16_MAX && MOST_FOURS * MOST_FOURS * 255 <= UINT16_MAX &&
                   SAMPLES * SAMPLES * 255 <= UINT16_MAX,
               "sums of bytes are kept in 16 bits");

/* The mean, rounded as in OpenCV: halves to even, but up for a square of 2 x 2 pixels. */
static uint8_t divide(uint32_t sum, int factor, float share)
{
    return (uint8_t)(factor == 2 ? (sum + 2) >> 2 : lrintf((float)sum * share));
}

/* Compute a row of means from the sums of its columns, one value at a time. */
static void divide_ones(const uint16_t *line, int width, int factor, float share, uint8_t *to)
{
    for (int x = 0; x < width; x++, to += 3) {
        uint32_t first = 0, second = 0, third = 0;
        for (int i = 0; i < factor; i++, line += 3) {
            first += line[0];
            second += line[1];
            third += line[2];
        }
        to[0] = divide(first, factor, share);
        to[1] = divide(second, factor, share);
        to[2] = divide(third, factor, share);
    }
}

/* Add up the columns of `factor` rows from byte `start` on, one byte at a time. */
static void add_ones(const uint8_t *from, size_t length, size_t start, size_t used, int factor, uint16_t *line)
{
    memset(line + start, 0, (used - start) * sizeof *line);
    for (int row = 0; row < factor; row++)
        for (size_t i = start; i < used; i++)
            line[i] += from[row * length + i];
}

#ifdef __SSE2__
/* The same with vectors of 16 bytes, from byte 0 on; returns the first byte that is left. */
static size_t add_vectors(const uint8_t *from, size_t length, size_t used, int factor, uint16_t *line)
{
    const __m128i none = _mm_setzero_si128();
    size_t i = 0;
    for (; i + 16 <= used; i += 16) {
        __m128i low = none, high = none;
        for (int row = 0; row < factor; row++) {
            const __m128i bytes = _mm_loadu_si128((const void *)(from + row * length + i));
            low = _mm_add_epi16(low, _mm_unpacklo_epi8(bytes, none));
            high = _mm_add_epi16(high, _mm_unpackhi_epi8(bytes, none));
        }
        _mm_storeu_si128((void *)(line + i), low);
        _mm_storeu_si128((void *)(line + i + 8), high);
    }
    return i;
}

/* divide_ones for factors of 3 to MOST_FOURS. It reads a pixel and the number after it at a time, so `line` has one
number more than the pixels need. */
static void divide_fours(const uint16_t *line, int width, int factor, float share, uint8_t *to)
{
    const __m128i none = _mm_setzero_si128();
    const __m128 shares = _mm_set1_ps(share);
    for (int x = 0; x < width; x++) {
        __m128i sum = none;
        for (int i = 0; i < factor; i++, line += 3)
            sum = _mm_add_epi16(sum, _mm_loadl_epi64((const void *)line));
        const __m128i means = _mm_cvtps_epi32(_mm_mul_ps(_mm_cvtepi32_ps(_mm_unpacklo_epi16(sum, none)), shares));
        const __m128i words = _mm_packs_epi32(means, means);
        const int bytes = _mm_cvtsi128_si32(_mm_packus_epi16(words, words));
        memcpy(to + (size_t)x * 3, &bytes, x + 1 < width ? 4 : 3);
    }
}
#endif

/* Compute the means of squares of factor x factor pixels. `from`: the region's first byte; `length`: bytes in a row of
the image; `line`: room for a row of sums; `to`: the means. */
static void reduce_all(const uint8_t *from, size_t length, int height, int width, int factor, uint16_t *line,
                       uint8_t *to)
{
    const float share = 1.0f / (float)(factor * factor);
    const size_t used = (size_t)width * factor * 3;
    for (int y = 0; y < height; y++, from += length * factor) {
        size_t start = 0;
#ifdef __SSE2__
        start = add_vectors(from, length, used, factor, line);
#endif
        add_ones(from, length, start, used, factor, line);
#ifdef __SSE2__
        if (factor > 2 && factor <= MOST_FOURS)
            divide_fours(line, width, factor, share, to);
        else
#endif
            divide_ones(line, width, factor, share, to);
        to += (size_t)width * 3;
    }
}

/* Add up the SAMPLES x SAMPLES pixels in these rows and columns, for each colour. Bytes after the image's last pixel are
not read. */
static void add_samples(const uint8_t *const *rows, const size_t *columns, const uint8_t *end, uint16_t *sums)
{
#ifdef __SSE2__
    if (rows[SAMPLES - 1] + columns[SAMPLES - 1] + 4 <= end) {
        __m128i sum = _mm_setzero_si128();
        for (int i = 0; i < SAMPLES; i++)
            for (int j = 0; j < SAMPLES; j++) {
                int bytes;
                memcpy(&bytes, rows[i] + columns[j], sizeof bytes);
                sum = _mm_add_epi16(sum, _mm_unpacklo_epi8(_mm_cvtsi32_si128(bytes), _mm_setzero_si128()));
            }
        uint16_t all[8];
        _mm_storeu_si128((void *)all, sum);
        memcpy(sums, all, 3 * sizeof *sums);
        return;
    }
#endif
    memset(sums, 0, 3 * sizeof *sums);
    for (int i = 0; i < SAMPLES; i++)
        for (int j = 0; j < SAMPLES; j++)
            for (int colour = 0; colour < 3; colour++)
                sums[colour] += rows[i][columns[j] + colour];
}

static void make_thumbnail(const uint8_t *image, int height, int width, uint8_t *to)
{
    enum { SIDE = THUMBNAIL_PX * SAMPLES };
    const double down = 1.0 / ((double)SIDE / height), across = 1.0 / ((double)SIDE / width);
    const uint8_t *end = image + (size_t)height * width * 3, *rows[SAMPLES];
    size_t columns[SIDE];
    for (int x = 0; x < SIDE; x++) {
        const int column = (int)(x * across);
        columns[x] = (size_t)(column < width ? column : width - 1) * 3;
    }
    for (int y = 0; y < THUMBNAIL_PX; y++) {
        for (int i = 0; i < SAMPLES; i++) {
            const int row = (int)((y * SAMPLES + i) * down);
            rows[i] = image + (size_t)(row < height ? row : height - 1) * width * 3;
        }
        for (int x = 0; x < SIDE; x += SAMPLES, to += 3) {
            uint16_t sums[3];
            add_samples(rows, columns + x, end, sums);
            for (int i = 0; i < 3; i++)
                to[i] = divide(sums[i], SAMPLES, 1.0f / (SAMPLES * SAMPLES));
        }
    }
}

static PyObject *reduce(PyObject *self, PyObject *arguments)
{
    (void)self;
    PyObject *given_image, *given_reduced;
    int top, left, factor, failed = -1;
    if (!PyArg_ParseTuple(arguments, "OiiiO", &given_image, &top, &left, &factor, &given_reduced))
        return NULL;
    Py_buffer image = {0}, reduced = {0};
    if (take_image(given_image, "image", 0, &image) != 0 || take_image(given_reduced, "reduced", 1, &reduced) != 0)
        goto done;
    const int height = (int)image.shape[0], width = (int)image.shape[1], reduced_height = (int)reduced.shape[0],
              reduced_width = (int)reduced.shape[1];
    if (factor < 1 || factor > MOST_FACTOR || top < 0 || top > height || left < 0 || left > width ||
        reduced_height > (height - top) / factor || reduced_width > (width - left) / factor) {
        PyErr_Format(PyExc_ValueError,
                     "%d x %d squares of %d pixels (at most %d) do not lie in %d x %d pixels from (%d, %d) on",
                     reduced_height, reduced_width, factor, MOST_FACTOR, height, width, top, left);
        goto done;
    }
    /* One number more: divide_fours reads the number after the last pixel. */
    uint16_t *line = calloc((size_t)reduced_width * (size_t)factor * 3 + 1, sizeof *line);
    if (line == NULL) {
        PyErr_NoMemory();
        goto done;
    }
    const size_t length = (size_t)width * 3;
    const uint8_t *from = (const uint8_t *)image.buf + (size_t)top * length + (size_t)left * 3;
    Py_BEGIN_ALLOW_THREADS;
    reduce_all(from, length, reduced_height, reduced_width, factor, line, reduced.buf);
    Py_END_ALLOW_THREADS;
    free(line);
    failed = 0;
done:
    PyBuffer_Release(&image);
    PyBuffer_Release(&reduced);
    return failed ? NULL : Py_NewRef(Py_None);
}

static PyObject *thumbnail(PyObject *self, PyObject *arguments)
{
    (void)self;
    PyObject *given_image, *given_small, *result = NULL;
    if (!PyArg_ParseTuple(arguments, "OO", &given_image, &given_small))
        return NULL;
    Py_buffer image = {0}, small = {0};
    const Expected of_small = {"small", 'B', 1, 3, {THUMBNAIL_PX, THUMBNAIL_PX, 3}};
    if (take_image(given_image, "image", 0, &image) == 0 && take_array(given_small, &of_small, &small) == 0) {
        make_thumbnail(image.buf, (int)image.shape[0], (int)image.shape[1], small.buf);
        result = Py_NewRef(Py_None);
    }
    PyBuffer_Release(&image);
    PyBuffer_Release(&small);
    return result;
}

static PyMethodDef methods[] = {
    {"reduce", reduce, METH_VARARGS, "reduce(image, top, left, factor, reduced): see pipeline/faces/images.py"},
    {"thumbnail", thumbnail, METH_VARARGS, "thumbnail(image, small): see pipeline/faces/images.py"},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {
    .m_base = PyModuleDef_HEAD_INIT, .m_name = "_images", .m_size = 0, .m_methods = methods};

PyMODINIT_FUNC PyInit__images(void);

PyMODINIT_FUNC PyInit__images(void)
{
    PyObject *created = PyModule_Create(&module);
    if (created != NULL && PyModule_AddIntMacro(created, LAYOUT) != 0)
        Py_CLEAR(created);
    return created;
}
