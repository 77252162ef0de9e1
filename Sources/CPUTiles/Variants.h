// The variants by name; private to this target.

#include "CPUTiles.h"

extern const CPUTiles cpu_tiles_baseline;
#if defined(__x86_64__)
extern const CPUTiles cpu_tiles_avx2;
extern const CPUTiles cpu_tiles_avx512;
extern const CPUTiles cpu_tiles_avx512_bf16;
#endif
