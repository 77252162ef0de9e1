// The matrix product for devices with local memory and many work-items.
//
// Kernels: matmul_local, a work-group of 16 x 16 work-items computes a square tile of 64 CHUNKS rows and columns from
// slices of both operands in local memory, every work-item 4 CHUNKS x 4 CHUNKS outputs in vectors of four;
// matmul_few_rows, for up to ROWS rows, where reading B is what takes the time: 256 work-items share COLUMNS columns,
// each adding up every SLICES-th product, and the slices are added in local memory in a fixed order.
// Both compute activation(alpha op(A) op(B) + beta C + bias); a transposition is a pair of strides.
// Build parameters: CHUNKS (1 or 2), ROWS (1, 2, 4, 8), ALONG_K (1 where neighbours of B lie along k), B_TYPE, ROUNDED
// (see operands.cl).

#ifndef CHUNKS
#define CHUNKS 1
#endif
#ifndef ROWS
#define ROWS 4
#endif
#ifndef ALONG_K
#define ALONG_K 0
#endif
#define WIDTH 1
#define GROUP 1
#define SIDE (64 * CHUNKS)
#define DEPTH 16
// A row of a tile in local memory is four floats longer, so that its columns fall into different banks.
#define PITCH (SIDE + 4)

#include "lanes.cl"
#include "functions.cl"
#include "operands.cl"
#include "strided.cl"

__kernel __attribute__((reqd_work_group_size(16, 16, 1))) void matmul_local(MATMUL_ARGUMENTS) {
  __local float left[DEPTH * PITCH], right[DEPTH * PITCH];
  const int x = get_local_id(0), y = get_local_id(1), item = y * 16 + x;
  const int first_column = get_group_id(0) * SIDE, first_row = get_group_id(1) * SIDE;
  const size_t batch = get_group_id(2);
  a += a_first + batch * a_batch;
  b += b_first + batch * b_batch;
  float4 sums[CHUNKS][4][CHUNKS];
  for (int i = 0; i < CHUNKS; i++)
    for (int r = 0; r < 4; r++)
      for (int j = 0; j < CHUNKS; j++) sums[i][r][j] = (float4)0.0f;
  for (int slice = 0; slice < k; slice += DEPTH) {
    // Neighbouring work-items read neighbouring elements, whichever way the operand lies.
    for (int i = item; i < SIDE * DEPTH; i += 256) {
      const int row = a_column == 1 ? i / DEPTH : i % SIDE, l = a_column == 1 ? i % DEPTH : i / SIDE;
      const bool inside = first_row + row < m && slice + l < k;
      left[l * PITCH + row] =
          inside ? operand(a[(size_t)(first_row + row) * a_row + (size_t)(slice + l) * a_column]) : 0.0f;
    }
    for (int i = item; i < SIDE * DEPTH; i += 256) {
      const int column = b_column == 1 ? i % SIDE : i / DEPTH, l = b_column == 1 ? i / SIDE : i % DEPTH;
      const bool inside = first_column + column < n && slice + l < k;
      right[l * PITCH + column] =
          inside ? read_b(b, (size_t)(first_column + column) * b_column + (size_t)(slice + l) * b_row) : 0.0f;
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    for (int l = 0; l < DEPTH; l++) {
      float4 columns[CHUNKS];
      for (int j = 0; j < CHUNKS; j++) columns[j] = vload4(0, right + l * PITCH + j * 64 + x * 4);
      for (int i = 0; i < CHUNKS; i++) {
        const float4 rows = vload4(0, left + l * PITCH + i * 64 + y * 4);
        for (int j = 0; j < CHUNKS; j++) {
          sums[i][0][j] = fma((float4)rows.x, columns[j], sums[i][0][j]);
          sums[i][1][j] = fma((float4)rows.y, columns[j], sums[i][1][j]);
          sums[i][2][j] = fma((float4)rows.z, columns[j], sums[i][2][j]);
          sums[i][3][j] = fma((float4)rows.w, columns[j], sums[i][3][j]);
        }
      }
    }
    barrier(CLK_LOCAL_MEM_FENCE);
  }
  for (int i = 0; i < CHUNKS; i++)
    for (int r = 0; r < 4; r++)
      for (int j = 0; j < CHUNKS; j++) {
        const int row = first_row + i * 64 + y * 4 + r, column = first_column + j * 64 + x * 4;
        if (row >= m) continue;
        const size_t place = (batch * m + row) * n + column;
        if (column < n) FINISH(sums[i][r][j].x, place, column)
        if (column + 1 < n) FINISH(sums[i][r][j].y, place + 1, column + 1)
        if (column + 2 < n) FINISH(sums[i][r][j].z, place + 2, column + 2)
        if (column + 3 < n) FINISH(sums[i][r][j].w, place + 3, column + 3)
      }
}

#if ALONG_K
#define SLICES 32
#define SLICE(item) ((item) % SLICES)
#define COLUMN(item) ((item) / SLICES)
#else
#define SLICES 8
#define SLICE(item) ((item) / COLUMNS)
#define COLUMN(item) ((item) % COLUMNS)
#endif
#define COLUMNS (256 / SLICES)

__kernel __attribute__((reqd_work_group_size(256, 1, 1))) void matmul_few_rows(MATMUL_ARGUMENTS) {
  __local float partial[256];
  const int item = get_local_id(0), slice = SLICE(item);
  const int column = get_group_id(0) * COLUMNS + COLUMN(item), first_row = get_group_id(1) * ROWS;
  const size_t batch = get_group_id(2);
  a += a_first + batch * a_batch;
  b += b_first + batch * b_batch + (size_t)min(column, n - 1) * b_column;
  float sums[ROWS];
  for (int i = 0; i < ROWS; i++) sums[i] = 0.0f;
  for (int l = slice; l < k; l += SLICES) {
    const float element = read_b(b, (size_t)l * b_row);
    for (int i = 0; i < ROWS; i++)
      sums[i] = fma(
          operand(a[(size_t)min(first_row + i, m - 1) * a_row + (size_t)l * a_column]), element, sums[i]);
  }
  for (int i = 0; i < ROWS; i++) {
    barrier(CLK_LOCAL_MEM_FENCE);
    partial[COLUMN(item) * SLICES + slice] = sums[i];
    barrier(CLK_LOCAL_MEM_FENCE);
    for (int half_size = SLICES / 2; half_size > 0; half_size /= 2) {
      if (slice < half_size)
        partial[COLUMN(item) * SLICES + slice] += partial[COLUMN(item) * SLICES + slice + half_size];
      barrier(CLK_LOCAL_MEM_FENCE);
    }
    const int row = first_row + i;
    if (slice == 0 && row < m && column < n) {
      const size_t place = (batch * m + row) * n + column;
      FINISH(partial[COLUMN(item) * SLICES], place, column)
    }
  }
}
