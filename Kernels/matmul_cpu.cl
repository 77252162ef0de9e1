// The matrix product for processors with panels made before: few rows, whose product is bound by reading B.
//
// Kernel: matmul_tiles. op(B) comes in the panels of matmul_pack.cl, so that the inner loop reads it in order. Build
// parameters: see matmul_tile.cl. Work-group size 1. Neighbouring work-groups share a panel, which stays in the cache.

#define PANEL __global
#include "matmul_tile.cl"

// Work-item (tile of rows, panel, batch): output = activation(alpha A op(B) + beta C + bias). The panels of a batch
// are panel_batch apart (0: shared), those of B panel_stride, and the rows inside a panel panel_row: COLUMNS for packed
// panels, or n to read an unpacked B as it lies, if n is a multiple of COLUMNS. With PAIRED 2 the strides of A count
// pairs.
__kernel TARGET void matmul_tiles(
    TENSOR(const left_type, a), TENSOR(const panel_type, panels), TENSOR(const float, bias), TENSOR(const float, addend),
    TENSOR(float, output), int m, int n, int k, ulong a_row, ulong a_column, ulong a_batch, ulong panel_row,
    ulong panel_stride, ulong panel_batch, float alpha, float beta, int kind) {
  const int first_row = get_group_id(0) * ROWS, first_column = get_group_id(1) * COLUMNS;
  const size_t batch = get_group_id(2), matrix = batch * m * n;
  a += a_first + batch * a_batch;
  panels += panels_first + batch * panel_batch + get_group_id(1) * panel_stride;
  output += output_first + matrix;
  if (addend) addend += addend_first + matrix;
  if (bias) bias += bias_first;

  size_t places[ROWS];
  float16 sums[ROWS][COLUMN_VECTORS];
  start_tile(sums, places, first_row, m, a_row);
  add_products(sums, a, places, a_column, panels, panel_row, k);
  finish_tile(sums, first_row, first_column, m, n, bias, addend, output, alpha, beta, kind, false);
}
