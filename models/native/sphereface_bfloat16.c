#define IS_BFLOAT16 1
#define EMBED embed_in_bfloat16
#include "sphereface_network.h"
