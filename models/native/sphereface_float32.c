/* SphereFace-20 in float32, for processors with AVX-512. */

#include "sphereface.h"

#if IS_BUILT
#define OPERATION static inline __attribute__((always_inline)) TARGET
#define TARGET __attribute__((target("avx512f,fma")))
#define EMBED embed_in_float32
#include "sphereface_avx512.h"
#include "sphereface_float32.h"
#include "sphereface_network.h"
#endif
