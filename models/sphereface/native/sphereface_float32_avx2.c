/* SphereFace-20 in float32, for processors with AVX2 and FMA: 16 registers of 8 numbers. */

#include "sphereface.h"

#if IS_BUILT
#define OPERATION static inline __attribute__((always_inline)) TARGET
#define TARGET __attribute__((target(AVX2)))
#define EMBED embed_in_float32_avx2

#include "../../native/vectors_avx2.h"

enum { ROWS = 3, FEW_ROWS = 3 }; /* the sums of 3 rows take 12 registers */

#include "sphereface_float32.h"
#include "sphereface_network.h"
#endif
