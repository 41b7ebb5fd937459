/* SphereFace-20 in float32, for processors with AVX-512. */

#include "sphereface.h"

#if IS_BUILT
#define OPERATION static inline __attribute__((always_inline)) TARGET
#define TARGET __attribute__((target(AVX512)))
#define EMBED embed_in_float32
#include "../../native/vectors_avx512.h"

enum { ROWS = 12, FEW_ROWS = 4 }; /* rows multiplied at a time: their sums take 24 of 32 registers; and the last rows */

#include "sphereface_float32.h"
#include "sphereface_network.h"
#endif
