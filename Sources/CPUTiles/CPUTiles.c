#if defined(__linux__)
#define _GNU_SOURCE
#include <sched.h>
#endif

// Which variants this processor can run.

#include "Variants.h"

#include <stddef.h>

int32_t cpu_tiles_count(void) { return 4; }

const CPUTiles *cpu_tiles(int32_t number) {
  if (number == 0) return &cpu_tiles_baseline;
#if defined(__x86_64__)
  int avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
  int avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw")
      && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  if (number == 1 && avx2) return &cpu_tiles_avx2;
  if (number == 2 && avx512) return &cpu_tiles_avx512;
  if (number == 3 && avx512 && __builtin_cpu_supports("avx512bf16")) return &cpu_tiles_avx512_bf16;
#endif
  return NULL;
}

int32_t cpu_allowed_cores(void) {
#if defined(__linux__)
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof allowed, &allowed) == 0) return CPU_COUNT(&allowed);
#endif
  return 0;
}
