// Repacking of the operands of matrix products for matmul_cpu.cl.
//
// Kernels: pack_b copies op(B) into panels [panel][k][16 COLUMN_VECTORS], zeros behind column n; unpack_b copies it back,
// where the panels lost nothing: B in f32 without PAIRED, or in bf16 with it, not ROUNDED; pack_a rounds op(A) to bfloat16
// and copies it to [batch][m][(k + 1) / 2] words of two neighbours, the first in the low half.
// Build parameters: see matmul_panel.cl. Work-group size 1; work-item (panel, block of PACKED_ROWS rows of the panel,
// batch) or (row of A, batch).

#ifndef COLUMN_VECTORS
#define COLUMN_VECTORS 3
#endif
#ifndef PAIRED
#define PAIRED 0
#endif
#define COLUMNS (16 * COLUMN_VECTORS)
#define PACKED_ROWS 32

#include "lanes.cl"

#if PAIRED
typedef uint panel_type;
#else
typedef float panel_type;
#endif
#define PANEL __global
#include "matmul_panel.cl"

__kernel void pack_b(
    TENSOR(const b_type, b), TENSOR(panel_type, panels), int n, int k, ulong b_row, ulong b_column, ulong b_batch) {
  const int panel = get_group_id(0), rows = PANEL_ROWS(k);
  const int first = get_group_id(1) * PACKED_ROWS, first_k = PAIRED ? 2 * first : first;
  b += b_first + get_group_id(2) * b_batch + (size_t)panel * COLUMNS * b_column + first_k * b_row;
  panels += panels_first + ((get_group_id(2) * get_num_groups(0) + panel) * (size_t)rows + first) * COLUMNS;
  pack_panel(
      panels, b, b_row, b_column, min(COLUMNS, n - panel * COLUMNS),
      min(PAIRED ? 2 * PACKED_ROWS : PACKED_ROWS, k - first_k));
}

#if (PAIRED && B_TYPE == 1) || (!PAIRED && B_TYPE == 0)
__kernel void unpack_b(
    TENSOR(b_type, b), TENSOR(const panel_type, panels), int n, int k, ulong b_row, ulong b_column, ulong b_batch) {
  const int panel = get_group_id(0), rows = PANEL_ROWS(k);
  const int first = get_group_id(1) * PACKED_ROWS, end = min(rows, first + PACKED_ROWS);
  const int left = min(COLUMNS, n - panel * COLUMNS);
  b += b_first + get_group_id(2) * b_batch + (size_t)panel * COLUMNS * b_column;
  panels += panels_first + (get_group_id(2) * get_num_groups(0) + panel) * (size_t)rows * COLUMNS;
  for (int j = 0; j < left; j++)
    for (int row = first; row < end; row++) {
      const panel_type value = panels[(size_t)row * COLUMNS + j];
#if PAIRED
      b[j * b_column + 2 * row * b_row] = value & 0xFFFFu;
      if (2 * row + 1 < k) b[j * b_column + (2 * row + 1) * b_row] = value >> 16;
#else
      b[j * b_column + row * b_row] = value;
#endif
    }
}
#endif

// Two values, rounded, as the halves of a word.
inline uint pair(float low, float high) { return as_uint(to_bf16(low)) >> 16 | (as_uint(to_bf16(high)) & 0xFFFF0000u); }

__kernel void pack_a(
    TENSOR(const float, a), TENSOR(uint, output), int k, ulong a_row, ulong a_column, ulong a_batch) {
  const size_t row = get_group_id(0), batch = get_group_id(1), words = (k + 1) / 2;
  a += a_first + batch * a_batch + row * a_row;
  output += output_first + (batch * get_num_groups(0) + row) * words;
  size_t word = 0;
  if (a_column == 1) {
    for (; word + 8 <= k / 2; word += 8) {
      const uint16 bits = as_uint16(vload16(0, a + 2 * word));
      uint16 rounded = (bits + 0x7FFFu + ((bits >> 16) & 1u)) & 0xFFFF0000u;
      rounded = select(rounded, bits | 0x400000u, (bits & 0x7FFFFFFFu) > 0x7F800000u);
      // Element by element: Oclgrind takes an index of the shuffles .even and .odd for an undefined element.
      const uint8 low = (uint8)(rounded.s0, rounded.s2, rounded.s4, rounded.s6, rounded.s8, rounded.sa, rounded.sc,
                                rounded.se);
      const uint8 high = (uint8)(rounded.s1, rounded.s3, rounded.s5, rounded.s7, rounded.s9, rounded.sb, rounded.sd,
                                 rounded.sf);
      vstore8(low >> 16 | high, 0, output + word);
    }
  }
  for (; word < words; word++)
    output[word] =
        pair(a[2 * word * a_column], 2 * word + 1 < (size_t)k ? a[(2 * word + 1) * a_column] : 0.0f);
}
