// The matrix product for processors: strips of op(B) as wide as a register tile are packed when they are needed.
//
// Kernel: matmul_strips. A work-item owns a strip of 16 COLUMN_VECTORS columns and up to chunk_rows rows. It packs `depth`
// rows of the strip into local memory, which on a processor is memory that stays in its cache, and all its rows of A pass
// over them; then the next. A is read in place. Packing costs a few percent of the product, and no second copy of B is
// kept. The sums are those of matmul_cpu.cl, bit for bit.
// Build parameters: see matmul_tile.cl (PAIRED 0 or 2) and matmul_panel.cl. Work-group size 1.

#define PANEL __local
#include "matmul_tile.cl"
#include "matmul_panel.cl"

// Work-item (chunk of rows, strip, batch): output = activation(alpha A op(B) + beta C + bias). `depth` is even. Sums that
// are not complete wait in `partial` [batch][m][n], which may be the output if that is not the addend. With PAIRED 2 the
// strides of A count pairs.
__kernel TARGET void matmul_strips(
    TENSOR(const left_type, a), TENSOR(const b_type, b), TENSOR(const float, bias), TENSOR(const float, addend),
    TENSOR(float, output), TENSOR(float, partial), __local panel_type *strip, int m, int n, int k, int depth,
    int chunk_rows, ulong a_row, ulong a_column, ulong a_batch, ulong b_row, ulong b_column, ulong b_batch, float alpha,
    float beta, int kind) {
  const int chunk_first = get_group_id(0) * chunk_rows, chunk_end = min(m, chunk_first + chunk_rows);
  const int first_column = get_group_id(1) * COLUMNS, columns = min(COLUMNS, n - first_column);
  const size_t batch = get_group_id(2), matrix = batch * m * n;
  a += a_first + batch * a_batch;
  b += b_first + batch * b_batch + first_column * b_column;
  output += output_first + matrix;
  partial += partial_first + matrix;
  if (addend) addend += addend_first + matrix;
  if (bias) bias += bias_first;
  const bool past = PASSES_CACHES(output, n, (size_t)m * n);

  for (int first = 0; first < k; first += depth) {
    const int count = min(depth, k - first), end = first + count;
    pack_panel(strip, b + first * b_row, b_row, b_column, columns, count);

    // What will be packed next, here or for the next strip, is asked for meanwhile: a share with each of the last tiles, as
    // late as it can be, so that what came is not displaced before it is read.
    const __global b_type *next = end < k ? b + end * b_row : b + COLUMNS * b_column;
    const int next_columns = end < k ? columns : min(COLUMNS, n - first_column - COLUMNS);
    const int next_count = min(depth, end < k ? k - end : k);
    const int runs = next_columns > 0 ? panel_runs(b_column, next_columns, next_count) : 0;
    const int share = (runs * ROWS + chunk_end - chunk_first - 1) / max(1, chunk_end - chunk_first);
    const int asking = chunk_end - (share > 0 ? (runs + share - 1) / share : 0) * ROWS;
    int run = 0;

    for (int first_row = chunk_first; first_row < chunk_end; first_row += ROWS) {
      for (const int stop = first_row > asking - ROWS ? min(runs, run + share) : 0; run < stop; run++)
        ask_for_run(next, b_row, b_column, next_columns, next_count, run);
      size_t places[ROWS];
      float16 sums[ROWS][COLUMN_VECTORS];
      start_tile(sums, places, first_row, m, a_row);
      if (first > 0) resume_tile(sums, first_row, first_column, m, n, partial);
      add_products(sums, a + first / (PAIRED == 2 ? 2 : 1) * a_column, places, a_column, strip, COLUMNS, count);
      if (end < k)
        finish_tile(sums, first_row, first_column, m, n, 0, 0, partial, 1.0f, 0.0f, NO_ACTIVATION, false);
      else
        finish_tile(sums, first_row, first_column, m, n, bias, addend, output, alpha, beta, kind, past);
    }
  }
}
