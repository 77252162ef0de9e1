// What the processor that runs the kernels can do.
//
// Kernel: bf16_dot writes 1 if there is an instruction for dot products of pairs of bfloat16 values (AVX512_BF16) that
// matmul_cpu.cl may use, else 0. The device itself is asked: the host may be another machine, and a compiler may know less
// than the processor can do. One work-item.

#include "lanes.cl"

#if defined(__x86_64__)
// The registers eax, ebx, ecx and edx that the processor's self-description gives for a leaf and its part.
inline uint4 describe(uint leaf, uint part) {
  uint a = leaf, b, c = part, d;
  __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
  return (uint4)(a, b, c, d);
}

inline bool has_bf16_dot() {
  if (describe(0, 0).x < 7 || !(describe(1, 0).z & 1u << 27)) return false;
  // The system saves the wide registers and the masks.
  uint low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  if ((low & 0xE6u) != 0xE6u) return false;
  const uint4 features = describe(7, 0);
  return (features.y & 1u << 16) && features.x >= 1 && (describe(7, 1).x & 1u << 5);
}
#else
inline bool has_bf16_dot() { return false; }
#endif

__kernel void bf16_dot(TENSOR(int, output)) {
  OPEN(output);
  output[0] = has_bf16_dot() ? 1 : 0;
}
