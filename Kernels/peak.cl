// Multiply-adds in registers, to find out how many a device does at most. No result of a model depends on this.
//
// Kernels: multiply_adds; dot_products, of pairs of bfloat16 values, where WIDTH is 16. Each work-item keeps SUMS
// independent sums of WIDTH floats, enough to hide the latency of a multiply-add; with two factors they fit into the 16
// vector registers of an AVX2 processor.
// Build parameters:
//   WIDTH  floats of a vector: 1, 2, 4, 8 or 16, those of the device's registers
//   DOT    how pairs are multiplied: see pairs.cl
// Any work-group size.

#ifndef WIDTH
#define WIDTH 1
#endif
#define SUMS 12

#include "pairs.cl"

#if WIDTH == 1
typedef float vec;
#else
#define VECTOR_TYPE(n) float##n
#define VECTOR(n) VECTOR_TYPE(n)
typedef VECTOR(WIDTH) vec;
#endif

// The sum of everything.
inline float total(const vec sums[SUMS]) {
  vec all = sums[0];
#pragma unroll
  for (int i = 1; i < SUMS; i++) all += sums[i];
  union {
    vec whole;
    float lanes[WIDTH];
  } parts;
  parts.whole = all;
  float sum = 0;
  for (int lane = 0; lane < WIDTH; lane++) sum += parts.lanes[lane];
  return sum;
}

// output[work-item]: a number that depends on every sum, which converge to shift / (1 - factor).
__kernel void multiply_adds(__global float *output, ulong output_first, int rounds, float factor, float shift) {
  const vec x = (vec)(factor), y = (vec)(shift);
  vec sums[SUMS];
#pragma unroll
  for (int i = 0; i < SUMS; i++) sums[i] = (vec)(shift * (float)(i + 1));
  for (int round = 0; round < rounds; round++) {
#pragma unroll
    for (int i = 0; i < SUMS; i++) sums[i] = fma(sums[i], x, y);
  }
  output[output_first + get_global_id(0)] = total(sums);
}

#if WIDTH == 16
__kernel TARGET void dot_products(__global float *output, ulong output_first, int rounds, uint left, uint right) {
  vec sums[SUMS];
#pragma unroll
  for (int i = 0; i < SUMS; i++) sums[i] = (vec)(float)i;
  const uint16 x = (uint16)left, y = (uint16)right;
  for (int round = 0; round < rounds; round++) {
#pragma unroll
    for (int i = 0; i < SUMS; i++) sums[i] = dot_pairs(x, y, sums[i]);
  }
  output[output_first + get_global_id(0)] = total(sums);
}
#endif
