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

// Neighbours in memory, as read_b reads one; what is stored as bfloat16 is rounded already.
#if ROUNDED && B_TYPE != 1
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

// The panel's words are those of B where B's rows are neighbours in memory: 16 by 16 of them are turned at a time.
#define WORDS_OF_B ((PAIRED && B_TYPE == 1) || (!PAIRED && B_TYPE == 0 && !ROUNDED))
#if WORDS_OF_B
typedef uint8 loose_words __attribute__((aligned(2)));
typedef uint16 loose_row __attribute__((aligned(4)));

// 16 columns, b_column apart, of 16 rows of the panel.
//
// Loads put halves of columns side by side, so that a quarter of the shuffling is done by reading. Shuffles are written
// element by element: see matmul_pack.cl.
inline void turn_square(PANEL panel_type *panel, const __global b_type *b, size_t b_column) {
  PANEL uint *target = (PANEL uint *)panel;
#pragma unroll
  for (int side = 0; side < 2; side++) {
    uint16 fours[8];
#pragma unroll
    for (int four = 0; four < 2; four++) {
      uint16 v[4];
#pragma unroll
      for (int i = 0; i < 4; i++) {
        const __global b_type *column = b + (4 * four + i) * b_column;
        const uint8 x = ((const __global loose_words *)column)[side];
        const uint8 y = ((const __global loose_words *)(column + 8 * b_column))[side];
        v[i] = (uint16)(x.s0, x.s1, x.s2, x.s3, x.s4, x.s5, x.s6, x.s7, y.s0, y.s1, y.s2, y.s3, y.s4, y.s5, y.s6, y.s7);
      }
      // Four columns by four words in each quarter.
#define LOW_WORDS(x, y) \
  (uint16)(x.s0, y.s0, x.s1, y.s1, x.s4, y.s4, x.s5, y.s5, x.s8, y.s8, x.s9, y.s9, x.sc, y.sc, x.sd, y.sd)
#define HIGH_WORDS(x, y) \
  (uint16)(x.s2, y.s2, x.s3, y.s3, x.s6, y.s6, x.s7, y.s7, x.sa, y.sa, x.sb, y.sb, x.se, y.se, x.sf, y.sf)
#define LOW_TWOS(x, y) \
  (uint16)(x.s0, x.s1, y.s0, y.s1, x.s4, x.s5, y.s4, y.s5, x.s8, x.s9, y.s8, y.s9, x.sc, x.sd, y.sc, y.sd)
#define HIGH_TWOS(x, y) \
  (uint16)(x.s2, x.s3, y.s2, y.s3, x.s6, x.s7, y.s6, y.s7, x.sa, x.sb, y.sa, y.sb, x.se, x.sf, y.se, y.sf)
      const uint16 low = LOW_WORDS(v[0], v[1]), high = HIGH_WORDS(v[0], v[1]);
      const uint16 next_low = LOW_WORDS(v[2], v[3]), next_high = HIGH_WORDS(v[2], v[3]);
      fours[4 * four] = LOW_TWOS(low, next_low);
      fours[4 * four + 1] = HIGH_TWOS(low, next_low);
      fours[4 * four + 2] = LOW_TWOS(high, next_high);
      fours[4 * four + 3] = HIGH_TWOS(high, next_high);
    }
    // Quarters 0 and 2 hold a word of columns i and 8 + i, quarters 1 and 3 the fourth word after it.
#pragma unroll
    for (int i = 0; i < 4; i++) {
      const uint16 x = fours[i], y = fours[4 + i];
      *(PANEL loose_row *)(target + (8 * side + i) * COLUMNS) =
          (uint16)(x.s0, x.s1, x.s2, x.s3, y.s0, y.s1, y.s2, y.s3, x.s8, x.s9, x.sa, x.sb, y.s8, y.s9, y.sa, y.sb);
      *(PANEL loose_row *)(target + (8 * side + 4 + i) * COLUMNS) =
          (uint16)(x.s4, x.s5, x.s6, x.s7, y.s4, y.s5, y.s6, y.s7, x.sc, x.sd, x.se, x.sf, y.sc, y.sd, y.se, y.sf);
    }
  }
}
#endif

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
#if WORDS_OF_B
    const int squares = columns & ~15, square_rows = whole & ~15;
    for (int j = 0; j < squares; j += 16)
      for (int row = 0; row < square_rows; row += 16)
        turn_square(panel + (size_t)row * COLUMNS + j, b + j * b_column + row * (PAIRED ? 2 : 1), b_column);
#else
    const int squares = 0, square_rows = 0;
#endif
    for (int block = 0; block < whole; block += TURNED_ROWS)
      for (int j = 0; j < fours; j += 4)
        for (int row = j < squares ? max(block, square_rows) : block; row < min(block + TURNED_ROWS, whole); row += 4) {
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
