// Processors with avx2,fma,f16c.

#include "Variants.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define LANES 8
#define VARIANT cpu_tiles_avx2
#define VARIANT_NAME "avx2"

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)
#include "Variant.h"
#pragma clang attribute pop
#endif
