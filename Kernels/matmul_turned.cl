// The product with the transpose of what the panels of matmul_pack.cl hold, so that one packed copy of a frozen weight
// serves a product and its input gradient.
//
// Kernel: matmul_turned. One work-item owns ROWS rows times PANEL_ROWS rows of the panels. Sums run along the columns of
// the panels in vectors of 16, whose lanes are added up at the end. It reads a vector of A for every 6 and one of the
// panels for every 4 multiply-adds, where matmul_cpu.cl reads an element for 3 and a vector for 8: three quarters of its
// speed for half the memory.
// Build parameters:
//   ROWS            rows of a tile: 1, 2 or 4
//   COLUMN_VECTORS  vectors of 16 columns of a panel
//   PAIRED          whether the panels hold pairs of bfloat16 values
// Work-group size 1. Neighbouring work-groups share rows of the panels, which stay in the cache.

#ifndef ROWS
#define ROWS 4
#endif
#ifndef COLUMN_VECTORS
#define COLUMN_VECTORS 3
#endif
#ifndef PAIRED
#define PAIRED 0
#endif
#define WIDTH 16
#define GROUP 1
#define COLUMNS (16 * COLUMN_VECTORS)
// Columns of the output that a work-item owns.
#define OUTPUTS 6

#include "lanes.cl"
#include "functions.cl"

#if PAIRED
typedef uint panel_type;
// Columns of the output that a row of a panel makes.
#define PER_ROW 2
#else
typedef float panel_type;
#define PER_ROW 1
#endif
#define PANEL_ROWS (OUTPUTS / PER_ROW)

// Adds the products of one vector of each row of A with one of each row of a panel.
inline void multiply_add(
    float16 sums[ROWS][OUTPUTS], const float16 left[ROWS], const __global panel_type *panel,
    const size_t places[PANEL_ROWS]) {
#pragma unroll
  for (int j = 0; j < PANEL_ROWS; j++) {
#if PAIRED
    const uint16 pair = vload16(0, panel + places[j]);
    const float16 low = as_float16(pair << 16), high = as_float16(pair & 0xFFFF0000u);
#pragma unroll
    for (int i = 0; i < ROWS; i++) {
      sums[i][2 * j] = fma(left[i], low, sums[i][2 * j]);
      sums[i][2 * j + 1] = fma(left[i], high, sums[i][2 * j + 1]);
    }
#else
    const float16 right = vload16(0, panel + places[j]);
#pragma unroll
    for (int i = 0; i < ROWS; i++) sums[i][j] = fma(left[i], right, sums[i][j]);
#endif
  }
}

// Work-item (tile of rows, tile of columns): output = activation(alpha A P' + beta C + bias), where the panels hold P
// [n][k] by columns, each panel `panel_stride` elements behind the one before it. A is [m][k], k elements a row.
__kernel void matmul_turned(
    TENSOR(const float, a), TENSOR(const panel_type, panels), TENSOR(const float, bias), TENSOR(const float, addend),
    TENSOR(float, output), int m, int n, int k, ulong panel_stride, float alpha, float beta, int kind) {
  const int first_row = get_group_id(0) * ROWS, first_column = get_group_id(1) * OUTPUTS;
  const int last_panel_row = (n + PER_ROW - 1) / PER_ROW - 1;
  a += a_first;
  panels += panels_first;
  // Rows behind the last one repeat it and are not stored.
  const __global float *rows[ROWS];
  size_t places[PANEL_ROWS];
  float16 sums[ROWS][OUTPUTS];
#pragma unroll
  for (int i = 0; i < ROWS; i++) {
    rows[i] = a + (size_t)min(first_row + i, m - 1) * k;
#pragma unroll
    for (int j = 0; j < OUTPUTS; j++) sums[i][j] = (float16)0.0f;
  }
#pragma unroll
  for (int j = 0; j < PANEL_ROWS; j++)
    places[j] = (size_t)min(first_column / PER_ROW + j, last_panel_row) * COLUMNS;

  float16 left[ROWS];
  const int whole = k / COLUMNS;
  for (int panel = 0; panel < whole; panel++) {
#pragma unroll
    for (int v = 0; v < COLUMN_VECTORS; v++) {
#pragma unroll
      for (int i = 0; i < ROWS; i++) left[i] = vload16(0, rows[i] + panel * COLUMNS + 16 * v);
      multiply_add(sums, left, panels + 16 * v, places);
    }
    panels += panel_stride;
  }
  // The last panel is filled up with zeros, but a row of A is not.
#pragma nounroll
  for (int column = whole * COLUMNS, v = 0; column < k; column += 16, v++) {
#pragma unroll
    for (int i = 0; i < ROWS; i++) left[i] = load(rows[i] + column, k - column, 0);
    multiply_add(sums, left, panels + 16 * v, places);
  }

  float done[ROWS * OUTPUTS];
#pragma unroll
  for (int i = 0; i < ROWS; i++)
#pragma unroll
    for (int j = 0; j < OUTPUTS; j++) done[i * OUTPUTS + j] = lanes_sum(sums[i][j]);
#pragma nounroll
  for (int i = 0; i < ROWS * OUTPUTS; i++) {
    const int row = first_row + i / OUTPUTS, column = first_column + i % OUTPUTS;
    if (row >= m || column >= n) continue;
    const size_t place = (size_t)row * n + column;
    float v = done[i] * alpha;
    if (addend) v += beta * addend[addend_first + place];
    if (bias) v += bias[bias_first + column];
    if (kind != NO_ACTIVATION) v = activate((float16)v, kind).s0;
    output[output_first + place] = v;
  }
}
