/* The Python module of the SphereFace kernel; models/sphereface/native_engine.py is its only user. */

#include "../../native/arrays.h"
#include "sphereface.h"

#if IS_BUILT
/* Count the numbers that an array of weights must have; `array` is its position in the tuple of weights. */
static Py_ssize_t count_numbers(int array)
{
    static const int CHANNELS[4] = {64, 128, 256, 512};
    const int layer = array / 3;
    if (layer == NUM_LAYERS)
        return array % 3 == 0 ? FLAT * FEATURES : FEATURES;
    int stage = 3;
    while (layer < FIRST_OF_STAGE[stage])
        stage--;
    if (array % 3 != 0)
        return CHANNELS[stage];
    const int inputs = layer == 0                       ? FIRST_DEPTH
                       : layer == FIRST_OF_STAGE[stage] ? 9 * CHANNELS[stage] / 2
                                                        : POINTS * CHANNELS[stage];
    return inputs * CHANNELS[stage];
}

/* Take the array at a position of the tuple of weights; convolutions' weights have the given type, others float32. */
static int take_weights(PyObject *tuple, int array, char type, Py_buffer *view)
{
    char name[64];
    PyOS_snprintf(name, sizeof name, "array %d of the weights", array);
    const int is_convolution = array % 3 == 0 && array / 3 < NUM_LAYERS;
    if (take_numbers(PyTuple_GET_ITEM(tuple, array), name, is_convolution ? type : 'f', 0, view) != 0)
        return -1;
    if (view->len / view->itemsize == count_numbers(array))
        return 0;
    PyErr_Format(PyExc_ValueError, "%s has %zd numbers: it must have %zd", name, view->len / view->itemsize,
                 count_numbers(array));
    return -1;
}

static PyObject *embed(PyObject *arguments, Embed *embed_crops, char type)
{
    PyObject *given_crops, *given_embeddings, *weights, *result = NULL;
    int is_rgb, num_views = 0;
    if (!PyArg_ParseTuple(arguments, "OOO!p", &given_crops, &given_embeddings, &PyTuple_Type, &weights, &is_rgb))
        return NULL;
    Py_buffer crops = {0}, embeddings = {0}, views[NUM_ARRAYS];
    const void *arrays[NUM_ARRAYS];
    const Expected of_crops = {"crops", 'B', 0, 4, {ANY_LENGTH, CROP_HEIGHT, CROP_WIDTH, 3}};
    if (take_array(given_crops, &of_crops, &crops) != 0)
        goto done;
    const Expected of_embeddings = {"embeddings", 'f', 1, 2, {crops.shape[0], FEATURES}};
    if (take_array(given_embeddings, &of_embeddings, &embeddings) != 0)
        goto done;
    if (PyTuple_GET_SIZE(weights) != NUM_ARRAYS) {
        PyErr_Format(PyExc_ValueError, "%zd arrays of weights must be %d", PyTuple_GET_SIZE(weights), NUM_ARRAYS);
        goto done;
    }
    for (int array = 0; array < NUM_ARRAYS; array++) {
        views[num_views++] = (Py_buffer){0};
        if (take_weights(weights, array, type, &views[array]) != 0)
            goto done;
        arrays[array] = views[array].buf;
    }
    int failed;
    Py_BEGIN_ALLOW_THREADS;
    failed = embed_crops(crops.buf, (size_t)crops.shape[0], is_rgb, arrays, embeddings.buf);
    Py_END_ALLOW_THREADS;
    result = failed ? PyErr_NoMemory() : Py_NewRef(Py_None);
done:
    while (num_views > 0)
        PyBuffer_Release(&views[--num_views]);
    PyBuffer_Release(&embeddings);
    PyBuffer_Release(&crops);
    return result;
}

static PyObject *in_bfloat16(PyObject *module, PyObject *arguments)
{
    (void)module;
    return embed(arguments, embed_in_bfloat16, 'h');
}

static PyObject *in_float32(PyObject *module, PyObject *arguments)
{
    (void)module;
    return embed(arguments, embed_in_float32, 'f');
}

static PyObject *in_float32_avx2(PyObject *module, PyObject *arguments)
{
    (void)module;
    return embed(arguments, embed_in_float32_avx2, 'f');
}
#endif

static PyMethodDef methods[] = {
#if IS_BUILT
    /* Each takes (crops, embeddings, weights, is_rgb); the caller checks that the processor has the instructions. */
    {"embed_in_bfloat16", in_bfloat16, METH_VARARGS, "for AVX-512 BF16"},
    {"embed_in_float32", in_float32, METH_VARARGS, "for AVX-512"},
    {"embed_in_float32_avx2", in_float32_avx2, METH_VARARGS, "for AVX2 and FMA"},
#endif
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {
    .m_base = PyModuleDef_HEAD_INIT, .m_name = "_sphereface", .m_size = 0, .m_methods = methods};

PyMODINIT_FUNC PyInit__sphereface(void);

PyMODINIT_FUNC PyInit__sphereface(void)
{
    PyObject *created = PyModule_Create(&module);
    if (created != NULL && PyModule_AddIntMacro(created, LAYOUT) != 0)
        Py_CLEAR(created);
    return created;
}
