// Included where pairs of bfloat16 values are multiplied: a word holds two, the first in its low half.
//
// Build parameter: DOT, 1 to use the instruction of x86 processors for it (AVX512_BF16); processor.cl tells whether there
// is one. A kernel that may use it is marked TARGET.

#ifndef DOT
#define DOT 0
#endif

#if DOT && defined(__x86_64__)
#define INSTRUCTION 1
#define TARGET __attribute__((target("avx512f,avx512bf16")))
#else
#define INSTRUCTION 0
#define TARGET
#endif

// sum + high halves' product + low halves' product, lane by lane. The instruction takes numbers below 2^-126 for 0.
TARGET inline float16 dot_pairs(uint16 a, uint16 b, float16 sum) {
#if INSTRUCTION
  __asm__("vdpbf16ps %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b));
  return sum;
#else
  const float16 high = fma(as_float16(a & 0xFFFF0000u), as_float16(b & 0xFFFF0000u), sum);
  return fma(as_float16(a << 16), as_float16(b << 16), high);
#endif
}
