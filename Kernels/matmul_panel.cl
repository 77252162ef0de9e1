// Included by the kernels that pack op(B), with lanes.cl: a panel of 16 COLUMN_VECTORS columns, [k][column], zeros behind
// the last column.
//
// Build parameters:
//   COLUMN_VECTORS   vectors of 16 columns of a panel
//   PAIRED           not 0: the panel holds bfloat16; word [k / 2][column] has row k in its low half and row k + 1 in its
//                    high half
//   B_TYPE, ROUNDED  how B is read: see operands.cl
// PANEL is the address space of the panel, panel_type its elements' type, COLUMNS its width.

#include "operands.cl"

#if PAIRED
#define PANEL_ROWS(k) (((k) + 1) / 2)
typedef uint4 panel4;
typedef uint16 panel16;
#else
#define PANEL_ROWS(k) (k)
typedef float4 panel4;
typedef float16 panel16;
#endif
typedef panel16 unaligned_panel16 __attribute__((aligned(4)));
typedef panel4 unaligned_panel4 __attribute__((aligned(4)));

// Neighbours in memory, as read_b reads one.
#if ROUNDED
#define READ(width)                                                                                    \
  inline float##width read_b##width(const __global b_type *b) {                                        \
    const uint##width bits = as_uint##width(WIDEN(b, width));                                          \
    const uint##width rounded = (bits + 0x7FFFu + ((bits >> 16) & 1u)) & 0xFFFF0000u;                  \
    const uint##width quiet = (bits | 0x400000u) & 0xFFFF0000u;                                        \
    return as_float##width(select(rounded, quiet, (bits & 0x7FFFFFFFu) > 0x7F800000u));                \
  }
#else
#define READ(width)                                                                                    \
  inline float##width read_b##width(const __global b_type *b) { return WIDEN(b, width); }
#endif
#if B_TYPE == 0
#define WIDEN(b, width) vload##width(0, b)
#elif B_TYPE == 1
#define WIDEN(b, width) as_float##width(convert_uint##width(vload##width(0, b)) << 16)
#else
#define WIDEN(b, width) vload_half##width(0, b)
#endif
READ(4)
READ(8)
READ(16)

// An element of the panel, of the column that b points at.
inline panel_type panel_element(const __global b_type *b, size_t b_row, int row, int k) {
#if PAIRED
  const uint low = as_uint(read_b(b, b_row * (2 * row))) >> 16;
  return 2 * row + 1 < k ? low | (as_uint(read_b(b, b_row * (2 * row + 1))) & 0xFFFF0000u) : low;
#else
  return read_b(b, b_row * row);
#endif
}

// 16 neighbouring columns of a row of the panel, where the columns of B are neighbours in memory.
inline panel16 panel_columns(const __global b_type *b, size_t b_row, int row, int k) {
#if PAIRED
  const uint16 low = as_uint16(read_b16(b + b_row * (2 * row))) >> 16;
  return 2 * row + 1 < k ? low | (as_uint16(read_b16(b + b_row * (2 * row + 1))) & 0xFFFF0000u) : low;
#else
  return read_b16(b + b_row * row);
#endif
}

// Four rows of the panel in one column, where the rows of B are neighbours in memory.
inline panel4 panel_rows(const __global b_type *b, int row) {
#if PAIRED
  const uint8 bits = as_uint8(read_b8(b + 2 * row));
  return (uint4)(bits.s0, bits.s2, bits.s4, bits.s6) >> 16 |
      ((uint4)(bits.s1, bits.s3, bits.s5, bits.s7) & 0xFFFF0000u);
#else
  return read_b4(b + row);
#endif
}

// Rows of a panel that are filled at a time, four columns by four: they and their part of B fit the nearest cache.
#define TURNED_ROWS 64

// Packs k rows of op(B) from the place that b points at, and `columns` of its columns.
inline void pack_panel(
    PANEL panel_type *panel, const __global b_type *b, size_t b_row, size_t b_column, int columns, int k) {
  const int rows = PANEL_ROWS(k);
  if (b_column == 1) {
    const int whole = columns & ~15;
    if (whole == COLUMNS) {
      for (int row = 0; row < rows; row++)
#pragma unroll
        for (int v = 0; v < COLUMN_VECTORS; v++)
          *(PANEL unaligned_panel16 *)(panel + (size_t)row * COLUMNS + 16 * v) = panel_columns(b + 16 * v, b_row, row, k);
      return;
    }
    for (int row = 0; row < rows; row++) {
      for (int j = 0; j < whole; j += 16)
        *(PANEL unaligned_panel16 *)(panel + (size_t)row * COLUMNS + j) = panel_columns(b + j, b_row, row, k);
      for (int j = whole; j < columns; j++)
        panel[(size_t)row * COLUMNS + j] = panel_element(b + j, b_row, row, k);
    }
  } else {
    const int fours = columns & ~3;
    // A last word of PAIRED has one value only.
    const int whole = (PAIRED ? k / 2 : k) & ~3;
    for (int block = 0; block < whole; block += TURNED_ROWS)
      for (int j = 0; j < fours; j += 4)
        for (int row = block; row < min(block + TURNED_ROWS, whole); row += 4) {
          const __global b_type *source = b + j * b_column;
          const panel4 c0 = panel_rows(source, row), c1 = panel_rows(source + b_column, row);
          const panel4 c2 = panel_rows(source + 2 * b_column, row), c3 = panel_rows(source + 3 * b_column, row);
          PANEL panel_type *target = panel + (size_t)row * COLUMNS + j;
          *(PANEL unaligned_panel4 *)target = (panel4)(c0.s0, c1.s0, c2.s0, c3.s0);
          *(PANEL unaligned_panel4 *)(target + COLUMNS) = (panel4)(c0.s1, c1.s1, c2.s1, c3.s1);
          *(PANEL unaligned_panel4 *)(target + 2 * COLUMNS) = (panel4)(c0.s2, c1.s2, c2.s2, c3.s2);
          *(PANEL unaligned_panel4 *)(target + 3 * COLUMNS) = (panel4)(c0.s3, c1.s3, c2.s3, c3.s3);
        }
    for (int j = 0; j < columns; j++)
      for (int row = j < fours ? whole : 0; row < rows; row++)
        panel[(size_t)row * COLUMNS + j] = panel_element(b + j * b_column, b_row, row, k);
  }
  if (columns < COLUMNS)
    for (int row = 0; row < rows; row++)
      for (int j = columns; j < COLUMNS; j++) panel[(size_t)row * COLUMNS + j] = 0;
}

// Brings what a pointer leads to into the second-level cache; a pointer may lead anywhere.
#if defined(__clang__) && (defined(__x86_64__) || defined(__aarch64__))
#define ASK(p) __builtin_prefetch((const void *)(size_t)(p), 0, 2)
#else
#define ASK(p) prefetch((const __global uchar *)(p), (size_t)64)
#endif

// A panel is packed from runs of neighbours: k rows of op(B), or its columns.
inline int panel_runs(size_t b_column, int columns, int k) { return b_column == 1 ? k : columns; }

// Asks for one of them.
inline void ask_for_run(const __global b_type *b, size_t b_row, size_t b_column, int columns, int k, int run) {
  const __global uchar *start = (const __global uchar *)(b + run * (b_column == 1 ? b_row : b_column));
  const int bytes = (b_column == 1 ? columns : k) * sizeof(b_type);
  for (int byte = 0; byte < bytes; byte += 64) ASK(start + byte);
}
