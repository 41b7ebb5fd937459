/* The Python module of the SphereFace kernel; models/sphereface/native_engine.py is its only user. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "sphereface.h"

#if IS_BUILT
/* Bytes of an array of weights, in the order in which they are given. */
static size_t count_bytes(int array, size_t bytes_of_number)
{
    static const size_t CHANNELS[4] = {64, 128, 256, 512};
    const int layer = array / 3;
    if (layer == NUM_LAYERS)
        return (array % 3 == 0 ? (size_t)FLAT * FEATURES : FEATURES) * sizeof(float);
    int stage = 3;
    while (layer < FIRST_OF_STAGE[stage])
        stage--;
    if (array % 3 != 0)
        return CHANNELS[stage] * sizeof(float);
    const size_t inputs = layer == 0                       ? FIRST_DEPTH
                          : layer == FIRST_OF_STAGE[stage] ? 9 * CHANNELS[stage] / 2
                                                           : POINTS * CHANNELS[stage];
    return inputs * CHANNELS[stage] * bytes_of_number;
}

static PyObject *embed(PyObject *arguments, Embed *embed_crops, size_t bytes_of_number)
{
    Py_buffer crops, embeddings, buffers[NUM_ARRAYS];
    const void *arrays[NUM_ARRAYS];
    PyObject *weights, *result = NULL;
    int is_rgb, num_buffers = 0;
    if (!PyArg_ParseTuple(arguments, "y*w*O!p", &crops, &embeddings, &PyTuple_Type, &weights, &is_rgb))
        return NULL;
    const size_t num_crops = crops.len / BYTES_OF_CROP;
    if (crops.len % BYTES_OF_CROP != 0 || (size_t)embeddings.len != num_crops * FEATURES * sizeof(float)) {
        PyErr_Format(PyExc_ValueError, "%zd bytes of crops and %zd of embeddings are not the same number of them",
                     crops.len, embeddings.len);
        goto done;
    }
    if (PyTuple_GET_SIZE(weights) != NUM_ARRAYS) {
        PyErr_Format(PyExc_ValueError, "%zd arrays of weights must be %d", PyTuple_GET_SIZE(weights), NUM_ARRAYS);
        goto done;
    }
    while (num_buffers < NUM_ARRAYS) {
        Py_buffer *buffer = &buffers[num_buffers];
        if (PyObject_GetBuffer(PyTuple_GET_ITEM(weights, num_buffers), buffer, PyBUF_SIMPLE) != 0)
            goto done;
        const size_t expected = count_bytes(num_buffers, bytes_of_number);
        arrays[num_buffers++] = buffer->buf;
        if ((size_t)buffer->len != expected) {
            PyErr_Format(PyExc_ValueError, "array %d of the weights has %zd bytes: must be %zu", num_buffers - 1,
                         buffer->len, expected);
            goto done;
        }
    }
    int failed;
    Py_BEGIN_ALLOW_THREADS failed = embed_crops(crops.buf, num_crops, is_rgb, arrays, embeddings.buf);
    Py_END_ALLOW_THREADS result = failed ? PyErr_NoMemory() : Py_NewRef(Py_None);
done:
    while (num_buffers > 0)
        PyBuffer_Release(&buffers[--num_buffers]);
    PyBuffer_Release(&embeddings);
    PyBuffer_Release(&crops);
    return result;
}

static PyObject *in_bfloat16(PyObject *module, PyObject *arguments)
{
    (void)module;
    return embed(arguments, embed_in_bfloat16, sizeof(uint16_t));
}

static PyObject *in_float32(PyObject *module, PyObject *arguments)
{
    (void)module;
    return embed(arguments, embed_in_float32, sizeof(float));
}

static PyObject *in_float32_avx2(PyObject *module, PyObject *arguments)
{
    (void)module;
    return embed(arguments, embed_in_float32_avx2, sizeof(float));
}
#endif

static PyMethodDef methods[] = {
#if IS_BUILT
    /* Each (crops, embeddings, arrays, is_rgb); the caller sees to it that the processor has what it needs. */
    {"embed_in_bfloat16", in_bfloat16, METH_VARARGS, "for AVX-512 BF16"},
    {"embed_in_float32", in_float32, METH_VARARGS, "for AVX-512"},
    {"embed_in_float32_avx2", in_float32_avx2, METH_VARARGS, "for AVX2 and FMA"},
#endif
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {
    .m_base = PyModuleDef_HEAD_INIT, .m_name = "_sphereface", .m_size = 0, .m_methods = methods};

PyMODINIT_FUNC PyInit__sphereface(void)
{
    PyObject *created = PyModule_Create(&module);
    if (created != NULL && PyModule_AddIntMacro(created, LAYOUT) != 0)
        Py_CLEAR(created);
    return created;
}
