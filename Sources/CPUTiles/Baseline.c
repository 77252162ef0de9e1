// What every processor of the architecture runs: SSE2 on x86-64, NEON on arm64.

#include "Variants.h"

#define LANES 4
#define VARIANT cpu_tiles_baseline
#if defined(__aarch64__)
#define VARIANT_NAME "neon"
#elif defined(__x86_64__)
#define VARIANT_NAME "sse2"
#else
#define VARIANT_NAME "generic"
#endif
#include "Variant.h"
