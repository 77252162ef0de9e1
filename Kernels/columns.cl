// Sums over the rows of a matrix, column by column.
//
// Kernel: column_sums. output[chunk, j] = sum over the rows r of a chunk of a term of element (r, j):
//   TERM_VALUE   x[r, j]
//   TERM_SQUARE  x[r, j]^2
//   TERM_NORM    x[r, j] (y[r, j] - mean[r]) rstd[r]     the gradient of a normalisation's weight; mean may be absent
// Work-group (i, chunk) has GROUP * WIDTH columns. Run once over chunks of rows and once over the chunks' sums, so that
// no sum grows long and the order of addition is fixed.
// Build parameters: those of lanes.cl.

#include "lanes.cl"

#define TERM_VALUE 0
#define TERM_SQUARE 1
#define TERM_NORM 2

__kernel void column_sums(
    int term, TENSOR(const float, x), TENSOR(const float, y), TENSOR(const float, mean), TENSOR(const float, rstd),
    TENSOR(float, output), ulong rows, int n, int chunk) {
  OPEN(x); OPEN(output);
  const bool centred = mean != 0;
  if (term == TERM_NORM) {
    OPEN(y); OPEN(rstd);
    if (centred) OPEN(mean);
  }
  const int j = ((int)get_group_id(0) * GROUP + LANE) * WIDTH;
  if (j >= n) return;
  const int left = n - j;
  const size_t first = get_group_id(1) * (size_t)chunk, end = min((size_t)rows, first + chunk);
  vec sum = (vec)0.0f;
  for (size_t row = first; row < end; row++) {
    vec v = load(x + row * n + j, left, 0);
    if (term == TERM_SQUARE) v *= v;
    if (term == TERM_NORM)
      v *= (load(y + row * n + j, left, 0) - (vec)(centred ? mean[row] : 0.0f)) * (vec)rstd[row];
    sum += v;
  }
  store(sum, output + get_group_id(1) * (size_t)n + j, left);
}
