// The matrix product for processors: one work-item owns a register tile of ROWS x 16 COLUMN_VECTORS outputs.
//
// Kernel: matmul_tiles. op(B) comes in the panels of matmul_pack.cl, so that the inner loop reads it in order. With
// ROWS 8 and COLUMN_VECTORS 3 the 24 sums, three vectors of B and one broadcast element of A fill the 32 vector registers
// of an AVX-512 processor.
// Build parameters:
//   ROWS            rows of a tile, 1 ... 8
//   COLUMN_VECTORS  vectors of 16 columns of a tile
//   PAIRED          1: the panels hold pairs of bfloat16 values; 2: A does so, too, as matmul_pack.cl makes them
//   DOT             how pairs are multiplied with PAIRED 2: see pairs.cl
// Work-group size 1. Neighbouring work-groups share a panel, which stays in the cache.

#ifndef ROWS
#define ROWS 8
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

#include "lanes.cl"
#include "functions.cl"
#include "pairs.cl"

#if PAIRED
typedef uint panel_type;
#else
typedef float panel_type;
#endif

#if PAIRED == 2
typedef uint left_type;
#else
typedef float left_type;
#endif

#if PAIRED == 2
// One step of the sums: a pair of neighbours in each row of A times a row of pairs of the panel.
TARGET inline void multiply_add_pairs(
    float16 sums[ROWS][COLUMN_VECTORS], const __global uint *a, const size_t places[ROWS],
    const uint16 right[COLUMN_VECTORS]) {
#pragma unroll
  for (int i = 0; i < ROWS; i++) {
    const uint16 x = (uint16)a[places[i]];
#pragma unroll
    for (int v = 0; v < COLUMN_VECTORS; v++) sums[i][v] = dot_pairs(x, right[v], sums[i][v]);
  }
}
#else
// One step of the sums: an element of each row of A times a row of the panel.
inline void multiply_add(
    float16 sums[ROWS][COLUMN_VECTORS], const __global float *a, const size_t places[ROWS],
    const float16 right[COLUMN_VECTORS]) {
#pragma unroll
  for (int i = 0; i < ROWS; i++) {
    const float16 x = (float16)a[places[i]];
#pragma unroll
    for (int v = 0; v < COLUMN_VECTORS; v++) sums[i][v] = fma(x, right[v], sums[i][v]);
  }
}
#endif

// Work-item (tile of rows, panel, batch): output = activation(alpha A op(B) + beta C + bias). The panels of a batch
// are panel_batch apart (0: shared), those of B panel_stride, and the rows inside a panel panel_row: COLUMNS for packed
// panels, or n to read an unpacked B as it lies, if n is a multiple of COLUMNS. With PAIRED 2 the strides of A count
// pairs.
__kernel TARGET void matmul_tiles(
    TENSOR(const left_type, a), TENSOR(const panel_type, panels), TENSOR(const float, bias), TENSOR(const float, addend),
    TENSOR(float, output), int m, int n, int k, ulong a_row, ulong a_column, ulong a_batch, ulong panel_row,
    ulong panel_stride, ulong panel_batch, float alpha, float beta, int kind) {
  const int first_row = get_group_id(0) * ROWS, first_column = get_group_id(1) * COLUMNS;
  const size_t batch = get_group_id(2);
  a += a_first + batch * a_batch;
  panels += panels_first + batch * panel_batch + get_group_id(1) * panel_stride;

  // Rows behind the last one repeat it and are not stored.
  size_t places[ROWS];
  float16 sums[ROWS][COLUMN_VECTORS];
#pragma unroll
  for (int i = 0; i < ROWS; i++) {
    places[i] = min(first_row + i, m - 1) * a_row;
#pragma unroll
    for (int v = 0; v < COLUMN_VECTORS; v++) sums[i][v] = (float16)0.0f;
  }
#if PAIRED == 2
  for (int step = 0; step < (k + 1) / 2; step++) {
    uint16 right[COLUMN_VECTORS];
#pragma unroll
    for (int v = 0; v < COLUMN_VECTORS; v++) right[v] = vload16(v, panels);
    multiply_add_pairs(sums, a, places, right);
    panels += panel_row;
    a += a_column;
  }
#elif PAIRED
  float16 right[COLUMN_VECTORS];
  for (int step = 0; step < k / 2; step++) {
    uint16 pair[COLUMN_VECTORS];
#pragma unroll
    for (int v = 0; v < COLUMN_VECTORS; v++) {
      pair[v] = vload16(v, panels);
      right[v] = as_float16(pair[v] << 16);
    }
    multiply_add(sums, a, places, right);
#pragma unroll
    for (int v = 0; v < COLUMN_VECTORS; v++) right[v] = as_float16(pair[v] & 0xFFFF0000u);
    multiply_add(sums, a + a_column, places, right);
    panels += panel_row;
    a += 2 * a_column;
  }
  if (k % 2) {
#pragma unroll
    for (int v = 0; v < COLUMN_VECTORS; v++) right[v] = as_float16(vload16(v, panels) << 16);
    multiply_add(sums, a, places, right);
  }
#else
  float16 right[COLUMN_VECTORS];
  for (int step = 0; step < k; step++) {
#pragma unroll
    for (int v = 0; v < COLUMN_VECTORS; v++) right[v] = vload16(v, panels);
    multiply_add(sums, a, places, right);
    panels += panel_row;
    a += a_column;
  }
#endif

  // The rest is a rolled loop over a copy: unrolled, the epilogue would be compiled once for every vector.
  float16 done[ROWS * COLUMN_VECTORS];
#pragma unroll
  for (int i = 0; i < ROWS; i++)
#pragma unroll
    for (int v = 0; v < COLUMN_VECTORS; v++) done[i * COLUMN_VECTORS + v] = sums[i][v];
#pragma nounroll
  for (int i = 0; i < ROWS * COLUMN_VECTORS; i++) {
    const int row = first_row + i / COLUMN_VECTORS, column = first_column + i % COLUMN_VECTORS * 16;
    const int left = min(16, n - column);
    if (row >= m || left <= 0) continue;
    const size_t place = (batch * m + row) * n + column;
    float16 v = done[i] * (float16)alpha;
    if (addend) v += (float16)beta * load(addend + addend_first + place, left, 0);
    if (bias) v += load(bias + bias_first + column, left, 0);
    if (kind != NO_ACTIVATION) v = activate(v, kind);
    store(v, output + output_first + place, left);
  }
}
