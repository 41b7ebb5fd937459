/* Checks of the arrays that come from Python, before anything reads them. */

#ifndef ARRAYS_H
#define ARRAYS_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>

enum { MOST_DIMENSIONS = 4, ANY_LENGTH = -1 };

typedef struct {
    const char *name; /* for messages */
    char type;        /* of its numbers, as in Python's `struct`: B, f, d, i, h or ? */
    int is_written, num_dimensions;
    Py_ssize_t shape[MOST_DIMENSIONS]; /* of each dimension, or ANY_LENGTH */
} Expected;

static inline void write_shape(const Py_ssize_t *shape, int num_dimensions, char *text, size_t room)
{
    size_t used = 0;
    text[0] = '\0';
    for (int i = 0; i < num_dimensions && used < room; i++) {
        const char *comma = i == 0 ? "" : ", ";
        const int written = shape[i] == ANY_LENGTH ? PyOS_snprintf(text + used, room - used, "%sN", comma)
                                                   : PyOS_snprintf(text + used, room - used, "%s%zd", comma, shape[i]);
        used += written > 0 ? (size_t)written : 0;
    }
}

static inline int has_shape(const Py_buffer *view, const Expected *expected)
{
    if (view->ndim != expected->num_dimensions)
        return 0;
    for (int i = 0; i < view->ndim; i++)
        if (expected->shape[i] != ANY_LENGTH && view->shape[i] != expected->shape[i])
            return 0;
    return 1;
}

/* Take a view of an array of any shape, which must be contiguous and aligned and have numbers of the given type. Return
0, or -1 with a Python error set. The view must be {0} before. The caller releases it (PyBuffer_Release) in both cases.
*/
static inline int take_numbers(PyObject *from, const char *name, char type, int is_written, Py_buffer *view)
{
    const int flags = PyBUF_C_CONTIGUOUS | PyBUF_FORMAT | (is_written ? PyBUF_WRITABLE : 0);
    if (PyObject_GetBuffer(from, view, flags) != 0)
        return -1;
    const char *found = view->format == NULL ? "B" : view->format;
    if (found[0] != type || found[1] != '\0') {
        PyErr_Format(PyExc_ValueError, "%s has numbers of type %s: they must be %c", name, found, type);
        return -1;
    }
    if ((uintptr_t)view->buf % (size_t)view->itemsize != 0) {
        PyErr_Format(PyExc_ValueError, "%s is not aligned to the %zd bytes of its numbers", name, view->itemsize);
        return -1;
    }
    return 0;
}

/* The same for an array that must have the expected shape. */
static inline int take_array(PyObject *from, const Expected *expected, Py_buffer *view)
{
    if (take_numbers(from, expected->name, expected->type, expected->is_written, view) != 0)
        return -1;
    if (has_shape(view, expected))
        return 0;
    char found[128], wanted[128];
    write_shape(view->shape, view->ndim, found, sizeof found);
    write_shape(expected->shape, expected->num_dimensions, wanted, sizeof wanted);
    PyErr_Format(PyExc_ValueError, "%s has shape (%s): it must be (%s)", expected->name, found, wanted);
    return -1;
}

/* An image of (height, width, 3) bytes. Its sides are limited so that kernels' products with them fit into `int`. */
enum { LONGEST_SIDE = 1 << 24 };

static inline int take_image(PyObject *from, const char *name, int is_written, Py_buffer *view)
{
    const Expected expected = {name, 'B', is_written, 3, {ANY_LENGTH, ANY_LENGTH, 3}};
    if (take_array(from, &expected, view) != 0)
        return -1;
    if (view->shape[0] < 1 || view->shape[1] < 1 || view->shape[0] > LONGEST_SIDE || view->shape[1] > LONGEST_SIDE) {
        PyErr_Format(PyExc_ValueError, "%s has %zd x %zd pixels: each side must be 1 to %d", name, view->shape[0],
                     view->shape[1], LONGEST_SIDE);
        return -1;
    }
    return 0;
}

#endif
