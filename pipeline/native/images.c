/* Two small jobs done for every frame, to the same bytes as OpenCV does them: reducing part of an image by a whole
factor, and a thumbnail. Plain C for any processor. Images are (height, width, 3) bytes without gaps. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum {
    MOST_FACTOR = 256,    /* so that a column of pixels adds up to less than 65536 */
    THUMBNAIL_PX = 32,
    SAMPLES = 4,          /* of the image for each pixel of a thumbnail, in each direction */
};

/* The mean, rounded as OpenCV does: halves to even, but up when there are four. */
static uint8_t divide(uint32_t sum, int factor, float share)
{
    return (uint8_t)(factor == 2 ? (sum + 2) >> 2 : lrintf((float)sum * share));
}

/* The means of squares of factor x factor pixels. `from`: the region's first byte; `length`: of the image's rows. */
static void reduce_all(const uint8_t *from, size_t length, int height, int width, int factor, uint16_t *line, uint8_t *to)
{
    const float share = 1.0f / (float)(factor * factor);
    const size_t used = (size_t)width * factor * 3;
    for (int y = 0; y < height; y++, from += length * factor) {
        memset(line, 0, used * sizeof *line);
        for (int row = 0; row < factor; row++) {
            const uint8_t *bytes = from + row * length;
            for (size_t i = 0; i < used; i++)
                line[i] += bytes[i];
        }
        const uint16_t *column = line;
        for (int x = 0; x < width; x++, to += 3) {
            uint32_t first = 0, second = 0, third = 0;
            for (int i = 0; i < factor; i++, column += 3) {
                first += column[0];
                second += column[1];
                third += column[2];
            }
            to[0] = divide(first, factor, share);
            to[1] = divide(second, factor, share);
            to[2] = divide(third, factor, share);
        }
    }
}

static void make_thumbnail(const uint8_t *image, int height, int width, uint8_t *to)
{
    enum { SIDE = THUMBNAIL_PX * SAMPLES };
    const double down = 1.0 / ((double)SIDE / height), across = 1.0 / ((double)SIDE / width);
    size_t columns[SIDE];
    uint16_t line[SIDE * 3];
    for (int x = 0; x < SIDE; x++) {
        const int column = (int)(x * across);
        columns[x] = (size_t)(column < width ? column : width - 1) * 3;
    }
    for (int y = 0; y < THUMBNAIL_PX; y++) {
        memset(line, 0, sizeof line);
        for (int i = 0; i < SAMPLES; i++) {
            const int row = (int)((y * SAMPLES + i) * down);
            const uint8_t *bytes = image + (size_t)(row < height ? row : height - 1) * width * 3;
            for (int x = 0; x < SIDE; x++)
                for (int colour = 0; colour < 3; colour++)
                    line[3 * x + colour] += bytes[columns[x] + colour];
        }
        for (int x = 0; x < THUMBNAIL_PX; x++)
            for (int colour = 0; colour < 3; colour++, to++) {
                uint32_t sum = 0;
                for (int i = 0; i < SAMPLES; i++)
                    sum += line[3 * (SAMPLES * x + i) + colour];
                *to = divide(sum, SAMPLES, 1.0f / (SAMPLES * SAMPLES));
            }
    }
}

static int check_image(const Py_buffer *image, int height, int width)
{
    if (height > 0 && width > 0 && (size_t)image->len == (size_t)height * width * 3)
        return 0;
    PyErr_Format(PyExc_ValueError, "an image of %zd bytes is not %d x %d pixels of three", image->len, height, width);
    return -1;
}

static PyObject *reduce(PyObject *self, PyObject *arguments)
{
    Py_buffer image, reduced;
    int height, width, top, left, reduced_height, reduced_width, factor, failed = -1;
    if (!PyArg_ParseTuple(arguments, "y*iiiiiiiw*", &image, &height, &width, &top, &left, &reduced_height, &reduced_width,
                          &factor, &reduced))
        return NULL;
    if (check_image(&image, height, width) != 0 || check_image(&reduced, reduced_height, reduced_width) != 0)
        goto done;
    if (factor < 1 || factor > MOST_FACTOR || top < 0 || left < 0 || reduced_height > (height - top) / factor ||
        reduced_width > (width - left) / factor) {
        PyErr_Format(PyExc_ValueError, "%d x %d squares of %d pixels (at most %d) do not lie in %d x %d pixels from (%d, %d) on",
                     reduced_height, reduced_width, factor, MOST_FACTOR, height, width, top, left);
        goto done;
    }
    uint16_t *line = malloc((size_t)reduced_width * factor * 3 * sizeof *line);
    if (line == NULL) {
        PyErr_NoMemory();
        goto done;
    }
    Py_BEGIN_ALLOW_THREADS
    reduce_all((const uint8_t *)image.buf + ((size_t)top * width + left) * 3, (size_t)width * 3, reduced_height,
               reduced_width, factor, line, reduced.buf);
    Py_END_ALLOW_THREADS
    free(line);
    failed = 0;
done:
    PyBuffer_Release(&image);
    PyBuffer_Release(&reduced);
    if (failed)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *thumbnail(PyObject *self, PyObject *arguments)
{
    Py_buffer image, small;
    int height, width, failed = -1;
    if (!PyArg_ParseTuple(arguments, "y*iiw*", &image, &height, &width, &small))
        return NULL;
    if (check_image(&image, height, width) != 0 || check_image(&small, THUMBNAIL_PX, THUMBNAIL_PX) != 0)
        goto done;
    make_thumbnail(image.buf, height, width, small.buf);
    failed = 0;
done:
    PyBuffer_Release(&image);
    PyBuffer_Release(&small);
    if (failed)
        return NULL;
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"reduce", reduce, METH_VARARGS,
     "reduce(image, height, width, top, left, reduced_height, reduced_width, factor, reduced):"
     " see pipeline/native_images.py"},
    {"thumbnail", thumbnail, METH_VARARGS, "thumbnail(image, height, width, small): see pipeline/native_images.py"},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_images", NULL, 0, methods};

PyMODINIT_FUNC PyInit__images(void) { return PyModule_Create(&module); }
