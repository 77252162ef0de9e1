// Processors with avx512bf16,avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c.

#include "Variants.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define LANES 16
#define VARIANT cpu_tiles_avx512_bf16
#define VARIANT_NAME "avx512-bf16"
#define PAIRS 1
#pragma clang attribute push(__attribute__((target("avx512bf16,avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c"))), \
                             apply_to = function)
#include "Variant.h"
#pragma clang attribute pop
#endif
