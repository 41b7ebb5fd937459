#define IS_BFLOAT16 0
#define EMBED embed_in_float32
#include "sphereface_network.h"
