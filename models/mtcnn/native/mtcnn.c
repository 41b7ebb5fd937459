/* The Python module models.mtcnn._mtcnn: MTCNN's networks, windows, levels of the pyramid and overlaps, by the engine for
this processor (mtcnn_avx512.c, mtcnn_avx2.c; models/mtcnn/native_engine.py packs their weights). Without one it is empty. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "mtcnn.h"

#ifdef MTCNN_IS_BUILT
static const Engine *engine; /* NULL where none runs */

/* Numbers of each layer's weights and outputs, as models/mtcnn/native_engine.py packs them. */
typedef struct {
    size_t weights, outputs;
} Size;

static const Size PNET_SIZES[PNET_LAYERS] = {
    {27 * LANES, LANES}, {9 * 10 * LANES, LANES}, {POINTS * 16 * 32, 32}, {CELL * 32, LANES}};
static const Size RNET_SIZES[RNET_LAYERS] = {{27 * 32, 32},
                                             {POINTS * 28 * 48, 48},
                                             {4 * 48 * 64, 64},
                                             {RNET_FLAT * RNET_DENSE, RNET_DENSE},
                                             {RNET_DENSE * TABLE, TABLE}};
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
    if (!PyArg_ParseTuple(arguments, "y*iiy*iO!w*", &image, &height, &width, &boxes, &side, &PyTuple_Type, &packed,
                          &table))
        return NULL;
    const size_t num_boxes = boxes.len / (4 * sizeof(double));
    if (check_image(&image, height, width) != 0)
        goto done;
    if (boxes.len % (4 * sizeof(double)) != 0 || (size_t)table.len != num_boxes * TABLE * sizeof(float)) {
        PyErr_Format(PyExc_ValueError, "%zd bytes of boxes and %zd of results are not the same number of them",
                     boxes.len, table.len);
        goto done;
    }
    if (side != RNET_PX && side != ONET_PX) {
        PyErr_Format(PyExc_ValueError, "windows of %d pixels: must be %d or %d", side, RNET_PX, ONET_PX);
        goto done;
    }
    if (take_weights(packed, side == ONET_PX ? ONET_SIZES : RNET_SIZES, side == ONET_PX ? ONET_LAYERS : RNET_LAYERS,
                     &weights) != 0)
        goto done;
    Py_BEGIN_ALLOW_THREADS failed =
        engine->judge(image.buf, height, width, boxes.buf, num_boxes, side, weights.layers, table.buf);
    Py_END_ALLOW_THREADS if (failed) PyErr_NoMemory();
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
    Py_BEGIN_ALLOW_THREADS count = engine->propose(image.buf, height, width, level_height, level_width, least,
                                                   weights.layers, cells.buf, values.buf);
    Py_END_ALLOW_THREADS if (count < 0) PyErr_NoMemory();
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
        PyErr_Format(PyExc_ValueError, "%zd bytes of boxes and %zd of results are not the same number of them",
                     boxes.len, kept.len);
        goto done;
    }
    Py_BEGIN_ALLOW_THREADS failed = engine->suppress(boxes.buf, kept.len, threshold, of_smaller, kept.buf);
    Py_END_ALLOW_THREADS if (failed) PyErr_NoMemory();
done:
    PyBuffer_Release(&boxes);
    PyBuffer_Release(&kept);
    return failed ? NULL : Py_NewRef(Py_None);
}

static const Engine *find_engine(const char *name)
{
    __builtin_cpu_init();
    const int has_fma = __builtin_cpu_supports("fma");
    if (has_fma && __builtin_cpu_supports("avx512f") && (name == NULL || strcmp(name, MTCNN_AVX512.name) == 0))
        return &MTCNN_AVX512;
    if (has_fma && __builtin_cpu_supports("avx2") && (name == NULL || strcmp(name, MTCNN_AVX2.name) == 0))
        return &MTCNN_AVX2;
    return NULL;
}

static PyObject *use(PyObject *self, PyObject *arguments)
{
    const char *name, *before = engine->name;
    if (!PyArg_ParseTuple(arguments, "s", &name))
        return NULL;
    const Engine *found = find_engine(name);
    if (found == NULL)
        return PyErr_Format(PyExc_ValueError, "engine (%s) does not run here: it must be avx512 or avx2", name);
    engine = found;
    return PyUnicode_FromString(before);
}

static PyMethodDef METHODS[] = {
    {"judge", judge, METH_VARARGS,
     "judge(image, height, width, boxes, side, weights, table): see models/mtcnn/native_engine.py"},
    {"propose", propose, METH_VARARGS,
     "propose(image, height, width, level_height, level_width, least, weights, cells, values): see "
     "models/mtcnn/native_engine.py"},
    {"suppress", suppress, METH_VARARGS,
     "suppress(boxes, threshold, of_smaller, kept): see models/mtcnn/native_engine.py"},
    {"use", use, METH_VARARGS, "use(name): compute by another engine, for tests; returns the name of the one before"},
    {NULL, NULL, 0, NULL},
};
#endif

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_mtcnn", NULL, 0, NULL};

PyMODINIT_FUNC PyInit__mtcnn(void)
{
#ifdef MTCNN_IS_BUILT
    engine = find_engine(NULL);
    module.m_methods = engine == NULL ? NULL : METHODS;
#endif
    PyObject *created = PyModule_Create(&module);
    if (created != NULL && PyModule_AddIntMacro(created, LAYOUT) != 0)
        Py_CLEAR(created);
    return created;
}
