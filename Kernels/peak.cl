// Multiply-adds in registers, to find out how many a device does at most. No result of a model depends on this.
//
// Kernel: multiply_adds. Each work-item keeps SUMS independent sums of WIDTH floats, enough to hide the latency of a
// multiply-add; with two factors they fit into the 16 vector registers of an AVX2 processor.
// Build parameters:
//   WIDTH  floats of a vector: 1, 2, 4, 8 or 16, those of the device's registers
// Any work-group size.

#ifndef WIDTH
#define WIDTH 1
#endif
#define SUMS 12

#if WIDTH == 1
typedef float vec;
#else
#define VECTOR_TYPE(n) float##n
#define VECTOR(n) VECTOR_TYPE(n)
typedef VECTOR(WIDTH) vec;
#endif

// output[work-item]: a number that depends on every sum, which converge to shift / (1 - factor).
__kernel void multiply_adds(__global float *output, ulong output_first, int rounds, float factor, float shift) {
  const size_t item = get_global_id(0);
  const vec x = (vec)(factor), y = (vec)(shift);
  vec sums[SUMS];
#pragma unroll
  for (int i = 0; i < SUMS; i++) sums[i] = (vec)(shift * (float)(i + 1));
  for (int round = 0; round < rounds; round++) {
#pragma unroll
    for (int i = 0; i < SUMS; i++) sums[i] = fma(sums[i], x, y);
  }
  vec total = sums[0];
#pragma unroll
  for (int i = 1; i < SUMS; i++) total += sums[i];
  union {
    vec whole;
    float lanes[WIDTH];
  } parts;
  parts.whole = total;
  float sum = 0;
  for (int lane = 0; lane < WIDTH; lane++) sum += parts.lanes[lane];
  output[output_first + item] = sum;
}
