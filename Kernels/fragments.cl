// Included where the work-items of a warp multiply bfloat16 matrices together, after operands.cl.
//
// A warp is 32 work-items of a work-group that follow one another. multiply_fragments adds the product of a 16 x 16 and a
// 16 x 8 matrix to one of 16 x 8, each spread over the warp as NVIDIA's PTX manual lays it out for mma.m16n8k16. With
// group = lane / 4 and member = lane % 4, and elements numbered in the order of the words and of the halves of a word, low
// half first, a work-item holds:
//   A, elements 0-7  row group, or group + 8 for 2, 3, 6 and 7; column 2 member + i % 2, and 8 more from element 4 on
//   B, elements 0-3  row 2 member + i % 2, and 8 more from element 2 on; column group
//   sums, 0-3        row group, and 8 more from element 2 on; column 2 member + i % 2
// Every work-item of the work-group has to come by, at the same place.
// bf16_pair rounds two numbers to bfloat16, ties to even, into the halves of a word.
//
// Build parameter: TENSOR_CORES, 1 for the instructions of NVIDIA GPUs from compute capability 8.0 on; 0 to do step by
// step what they do, for checking: fragments are put together in local memory, by the layout above and nothing else.

#ifndef TENSOR_CORES
#define TENSOR_CORES 0
#endif

#define WARP 32

#if TENSOR_CORES
#if !defined(__NV_CL_C_VERSION) && !defined(__NVPTX__)
#error "the instructions of tensor cores are for NVIDIA's compilers"
#endif

// Local memory for the fragments of so many warps, and loops whose bodies need their number as a constant.
#define EXCHANGE(name, warps) __local ushort *const name = 0
#define UNROLLED _Pragma("unroll")

inline uint bf16_pair(float low, float high) {
  uint pair;
  __asm__("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
  return pair;
}

inline float4 multiply_fragments(uint4 a, uint2 b, float4 sums, __local ushort *exchange) {
  float s0 = sums.x, s1 = sums.y, s2 = sums.z, s3 = sums.w;
  __asm__ volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
      "{%0, %1, %2, %3};"
      : "+f"(s0), "+f"(s1), "+f"(s2), "+f"(s3)
      : "r"(a.x), "r"(a.y), "r"(a.z), "r"(a.w), "r"(b.x), "r"(b.y));
  return (float4)(s0, s1, s2, s3);
}
#else
#define EXCHANGED (16 * 16 + 16 * 8)
#define EXCHANGE(name, warps) __local ushort name[(warps) * EXCHANGED]
#define UNROLLED

inline uint bf16_pair(float low, float high) {
  return as_uint(to_bf16(low)) >> 16 | as_uint(to_bf16(high));
}

// Written out: with a loop, llvmpipe (Mesa 22.3) leaves the rounds of a kernel undone once they are some 65,000 in all.
#define STEP(l)      \
  results[i] = fma(  \
      as_float((uint)left[row * 16 + (l)] << 16), as_float((uint)right[(l) * 8 + column] << 16), results[i]);
#define FOUR_STEPS(l) STEP(l) STEP((l) + 1) STEP((l) + 2) STEP((l) + 3)

inline float4 multiply_fragments(uint4 a, uint2 b, float4 sums, __local ushort *exchange) {
  const int item = get_local_id(0), group = item % WARP / 4, member = item % 4;
  __local ushort *left = exchange + item / WARP * EXCHANGED, *right = left + 16 * 16;
  const uint words[6] = {a.x, a.y, a.z, a.w, b.x, b.y};
  float results[4] = {sums.x, sums.y, sums.z, sums.w};
  for (int i = 0; i < 8; i++) {
    const int row = group + i / 2 % 2 * 8, column = member * 2 + i % 2 + i / 4 * 8;
    left[row * 16 + column] = words[i / 2] >> i % 2 * 16;
  }
  for (int i = 0; i < 4; i++) {
    const int row = member * 2 + i % 2 + i / 2 * 8, column = group;
    right[row * 8 + column] = words[4 + i / 2] >> i % 2 * 16;
  }
  barrier(CLK_LOCAL_MEM_FENCE);
  for (int i = 0; i < 4; i++) {
    const int row = group + i / 2 * 8, column = member * 2 + i % 2;
    FOUR_STEPS(0) FOUR_STEPS(4) FOUR_STEPS(8) FOUR_STEPS(12)
  }
  barrier(CLK_LOCAL_MEM_FENCE);
  return (float4)(results[0], results[1], results[2], results[3]);
}
#endif
