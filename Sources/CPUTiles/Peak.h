// Multiply-adds in registers alone, to find out how many a core does at most.

/// Independent sums: enough to hide the latency of a multiply-add, and with two factors no more than 16 registers.
#define PEAK_SUMS 12

static float multiply_adds(int64_t rounds, float factor, float shift) {
  vf sums[PEAK_SUMS];
  const vf x = splat(factor), y = splat(shift);
#pragma clang loop unroll(full)
  for (int i = 0; i < PEAK_SUMS; i++) sums[i] = splat(shift * (float)(i + 1));
  for (int64_t round = 0; round < rounds; round++)
#pragma clang loop unroll(full)
    for (int i = 0; i < PEAK_SUMS; i++) sums[i] = sums[i] * x + y;
  vf total = sums[0];
#pragma clang loop unroll(full)
  for (int i = 1; i < PEAK_SUMS; i++) total += sums[i];
  return sum_lanes(total);
}

#ifdef PAIRS
static float multiply_add_pairs(int64_t rounds, float factor, float shift) {
  vf sums[PEAK_SUMS];
  const vu x = bf16_bits(splat(factor)), y = bf16_bits(splat(shift)) >> 16;
  const __m512bh left = (__m512bh)(x | x >> 16), right = (__m512bh)(y | y << 16);
#pragma clang loop unroll(full)
  for (int i = 0; i < PEAK_SUMS; i++) sums[i] = splat((float)i);
  for (int64_t round = 0; round < rounds; round++)
#pragma clang loop unroll(full)
    for (int i = 0; i < PEAK_SUMS; i++) sums[i] = _mm512_dpbf16_ps(sums[i], left, right);
  vf total = sums[0];
#pragma clang loop unroll(full)
  for (int i = 1; i < PEAK_SUMS; i++) total += sums[i];
  return sum_lanes(total);
}
#endif
