// Reductions to one number per block of BLOCK elements; the host adds up the blocks.
//
// Kernels: block_sum, block_sum_of_squares, block_first_non_finite (the place inside the block, or -1).
// Build parameters: those of lanes.cl.

#include "lanes.cl"

__kernel void block_sum(TENSOR(const float, x), TENSOR(float, partial), ulong n) {
  SCRATCH;
  OPEN(x); OPEN(partial);
  vec sum = (vec)0.0f;
  FOR_BLOCK(i, n) sum += load(x + i, LEFT(i, n), 0);
  const float total = GROUP_SUM(sum);
  if (LANE == 0) partial[get_group_id(0)] = total;
}

__kernel void block_sum_of_squares(TENSOR(const float, x), TENSOR(float, partial), ulong n) {
  SCRATCH;
  OPEN(x); OPEN(partial);
  vec sum = (vec)0.0f;
  FOR_BLOCK(i, n) {
    const vec v = load(x + i, LEFT(i, n), 0);
    sum += v * v;
  }
  const float total = GROUP_SUM(sum);
  if (LANE == 0) partial[get_group_id(0)] = total;
}

// A block without NaN or infinity has a finite sum of absolute values scaled by 2^-30; only others are searched.
__kernel void block_first_non_finite(TENSOR(const float, x), TENSOR(int, partial), ulong n) {
  SCRATCH;
  OPEN(x); OPEN(partial);
  vec sum = (vec)0.0f;
  FOR_BLOCK(i, n) sum += fabs(load(x + i, LEFT(i, n), 0)) * (vec)0x1p-30f;
  const bool clean = isfinite(GROUP_SUM(sum));
  if (LANE == 0) {
    int place = -1;
    if (!clean) {
      const size_t first = get_group_id(0) * (size_t)BLOCK, end = min((size_t)n, first + BLOCK);
      for (size_t i = first; i < end && place < 0; i++)
        if (!isfinite(x[i])) place = (int)(i - first);
    }
    partial[get_group_id(0)] = place;
  }
}
