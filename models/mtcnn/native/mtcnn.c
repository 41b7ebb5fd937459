/* The Python module models.mtcnn._mtcnn: MTCNN's networks, windows, levels of the pyramid and overlaps, by the engines
of mtcnn_avx512.c and mtcnn_avx2.c. models/mtcnn/native_engine.py packs the weights, and chooses an engine that this
processor can run. Built for another processor, the module is empty. */

#include "../../native/arrays.h"
#include "mtcnn.h"

#if IS_BUILT
/* Values of the module's constants AVX2 and AVX512, by which models/mtcnn/native_engine.py names an engine. */
enum { ENGINE_AVX2, ENGINE_AVX512, NUM_ENGINES };
static const Engine *const ENGINES[NUM_ENGINES] = {&MTCNN_AVX2, &MTCNN_AVX512};

/* How many weights and outputs each layer has, as models/mtcnn/native_engine.py packs them. */
typedef struct {
    Py_ssize_t weights, outputs;
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
    Py_buffer views[MOST_LAYERS * SIZES_OF_LAYER];
    int num_views;
    Layer layers[MOST_LAYERS];
} Weights;

static void release_weights(Weights *weights)
{
    while (weights->num_views > 0)
        PyBuffer_Release(&weights->views[--weights->num_views]);
}

static int take_weights(PyObject *tuple, const Size *sizes, int num_layers, Weights *weights)
{
    const int num_arrays = num_layers * SIZES_OF_LAYER;
    if (PyTuple_GET_SIZE(tuple) != num_arrays) {
        PyErr_Format(PyExc_ValueError, "%zd arrays of weights: must be %d", PyTuple_GET_SIZE(tuple), num_arrays);
        return -1;
    }
    for (int array = 0; array < num_arrays; array++) {
        const Size size = sizes[array / SIZES_OF_LAYER];
        const Py_ssize_t numbers = array % SIZES_OF_LAYER == 0 ? size.weights : size.outputs;
        Py_buffer *view = &weights->views[weights->num_views++];
        *view = (Py_buffer){0};
        char name[64];
        PyOS_snprintf(name, sizeof name, "array %d of the weights", array);
        if (take_numbers(PyTuple_GET_ITEM(tuple, array), name, 'f', 0, view) != 0)
            return -1;
        if (view->len / view->itemsize != numbers) {
            PyErr_Format(PyExc_ValueError, "%s has %zd numbers: it must have %zd", name, view->len / view->itemsize,
                         numbers);
            return -1;
        }
    }
    for (int layer = 0; layer < num_layers; layer++) {
        const Py_buffer *of_layer = weights->views + layer * SIZES_OF_LAYER;
        weights->layers[layer] = (Layer){of_layer[0].buf, of_layer[1].buf, of_layer[2].buf};
    }
    return 0;
}

static const Engine *find_engine(int number)
{
    if (number >= 0 && number < NUM_ENGINES)
        return ENGINES[number];
    PyErr_Format(PyExc_ValueError, "engine (%d) must be one of the module's constants AVX2 and AVX512", number);
    return NULL;
}

static PyObject *judge(PyObject *self, PyObject *arguments)
{
    (void)self;
    PyObject *given_image, *given_boxes, *packed, *given_table;
    int number, side, failed = -1;
    if (!PyArg_ParseTuple(arguments, "iOOiO!O", &number, &given_image, &given_boxes, &side, &PyTuple_Type, &packed,
                          &given_table))
        return NULL;
    Py_buffer image = {0}, boxes = {0}, table = {0};
    Weights weights = {.num_views = 0};
    const Engine *engine = find_engine(number);
    const Expected of_boxes = {"boxes", 'd', 0, 2, {ANY_LENGTH, 4}};
    if (engine == NULL || take_image(given_image, "image", 0, &image) != 0 ||
        take_array(given_boxes, &of_boxes, &boxes) != 0)
        goto done;
    const Expected of_table = {"table", 'f', 1, 2, {boxes.shape[0], TABLE}};
    if (take_array(given_table, &of_table, &table) != 0)
        goto done;
    if (side != RNET_PX && side != ONET_PX) {
        PyErr_Format(PyExc_ValueError, "windows of %d pixels: must be %d or %d", side, RNET_PX, ONET_PX);
        goto done;
    }
    if (take_weights(packed, side == ONET_PX ? ONET_SIZES : RNET_SIZES, side == ONET_PX ? ONET_LAYERS : RNET_LAYERS,
                     &weights) != 0)
        goto done;
    const int height = (int)image.shape[0], width = (int)image.shape[1];
    Py_BEGIN_ALLOW_THREADS;
    failed =
        engine->judge(image.buf, height, width, boxes.buf, (size_t)boxes.shape[0], side, weights.layers, table.buf);
    Py_END_ALLOW_THREADS;
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
    (void)self;
    PyObject *given_image, *packed, *given_cells, *given_values;
    int number, level_height, level_width;
    float least;
    if (!PyArg_ParseTuple(arguments, "iOiifO!OO", &number, &given_image, &level_height, &level_width, &least,
                          &PyTuple_Type, &packed, &given_cells, &given_values))
        return NULL;
    Py_ssize_t count = -1;
    Py_buffer image = {0}, cells = {0}, values = {0};
    Weights weights = {.num_views = 0};
    const Engine *engine = find_engine(number);
    if (engine == NULL || take_image(given_image, "image", 0, &image) != 0)
        goto done;
    const int height = (int)image.shape[0], width = (int)image.shape[1];
    if (level_height < CELL_PX || level_width < CELL_PX || level_height > height || level_width > width) {
        PyErr_Format(PyExc_ValueError, "a level of %d x %d pixels: must be at least %d and at most the image's %d x %d",
                     level_height, level_width, CELL_PX, height, width);
        goto done;
    }
    const Py_ssize_t most = (Py_ssize_t)((level_height - 1) / 2 - 4) * ((level_width - 1) / 2 - 4);
    const Expected of_cells = {"cells", 'i', 1, 2, {most, 2}}, of_values = {"values", 'f', 1, 2, {most, CELL}};
    if (take_array(given_cells, &of_cells, &cells) != 0 || take_array(given_values, &of_values, &values) != 0 ||
        take_weights(packed, PNET_SIZES, PNET_LAYERS, &weights) != 0)
        goto done;
    Py_BEGIN_ALLOW_THREADS;
    count = engine->propose(image.buf, height, width, level_height, level_width, least, weights.layers, cells.buf,
                            values.buf);
    Py_END_ALLOW_THREADS;
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
    (void)self;
    PyObject *given_boxes, *given_kept;
    double threshold;
    int number, of_smaller, failed = -1;
    if (!PyArg_ParseTuple(arguments, "iOdpO", &number, &given_boxes, &threshold, &of_smaller, &given_kept))
        return NULL;
    Py_buffer boxes = {0}, kept = {0};
    const Engine *engine = find_engine(number);
    const Expected of_boxes = {"boxes", 'd', 0, 2, {ANY_LENGTH, 4}};
    if (engine == NULL || take_array(given_boxes, &of_boxes, &boxes) != 0)
        goto done;
    const Expected of_kept = {"kept", '?', 1, 1, {boxes.shape[0]}};
    if (take_array(given_kept, &of_kept, &kept) != 0)
        goto done;
    Py_BEGIN_ALLOW_THREADS;
    failed = engine->suppress(boxes.buf, (size_t)boxes.shape[0], threshold, of_smaller, kept.buf);
    Py_END_ALLOW_THREADS;
    if (failed)
        PyErr_NoMemory();
done:
    PyBuffer_Release(&boxes);
    PyBuffer_Release(&kept);
    return failed ? NULL : Py_NewRef(Py_None);
}
#endif

static PyMethodDef METHODS[] = {
#if IS_BUILT
    {"judge", judge, METH_VARARGS,
     "judge(engine, image, boxes, side, weights, table): see models/mtcnn/native_engine.py"},
    {"propose", propose, METH_VARARGS,
     "propose(engine, image, level_height, level_width, least, weights, cells, values): see "
     "models/mtcnn/native_engine.py"},
    {"suppress", suppress, METH_VARARGS,
     "suppress(engine, boxes, threshold, of_smaller, kept): see models/mtcnn/native_engine.py"},
#endif
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {
    .m_base = PyModuleDef_HEAD_INIT, .m_name = "_mtcnn", .m_size = 0, .m_methods = METHODS};

PyMODINIT_FUNC PyInit__mtcnn(void);

PyMODINIT_FUNC PyInit__mtcnn(void)
{
    PyObject *created = PyModule_Create(&module);
    if (created == NULL)
        return NULL;
    if (PyModule_AddIntMacro(created, LAYOUT) != 0)
        Py_CLEAR(created);
#if IS_BUILT
    else if (PyModule_AddIntConstant(created, "AVX2", ENGINE_AVX2) != 0 ||
             PyModule_AddIntConstant(created, "AVX512", ENGINE_AVX512) != 0)
        Py_CLEAR(created);
#endif
    return created;
}
