// The product of matrices rounded to bfloat16, by the tensor cores of a GPU.
//
// Kernel: matmul_tensor. A work-group of 4 CHUNKS warps computes a square tile of 64 CHUNKS rows and columns of
// activation(alpha op(A) op(B) + beta C + bias), a warp 32 CHUNKS rows by 32 columns of it, from slices of both operands
// in local memory. While a slice is multiplied the next one is on its way into registers; it then goes into the other
// half of local memory. Global size: tiles along the columns, along the rows, batch.
// Build parameters: CHUNKS (1 or 2), B_TYPE (0 or 1, see operands.cl), TENSOR_CORES (see fragments.cl).

#ifndef CHUNKS
#define CHUNKS 1
#endif
#define ROUNDED 1
#define WIDTH 1
#define GROUP 1

#include "lanes.cl"
#include "functions.cl"
#include "operands.cl"
#include "strided.cl"
#include "fragments.cl"

#define SIDE (64 * CHUNKS)
#define ITEMS (128 * CHUNKS)
#define DEPTH 32
// A tile in local memory has a row for each row of op(A) or column of op(B), in words of two neighbours along k. Four
// words more let the eight groups of a warp read from different banks.
#define PITCH (DEPTH / 2 + 4)
#define TILE (SIDE * PITCH)
// Blocks of 16 rows, and of 8 columns, of a warp.
#define ROW_BLOCKS (2 * CHUNKS)
#define COLUMN_BLOCKS 4
// A row of 32 sums in local memory. The strips of all warps take as much as the two tiles of A.
#define STRIP_PITCH (2 * PITCH)

// Each work-item moves two units of eight elements of each operand: eight neighbours along k if the operand lies so,
// else four neighbours of each of two rows of memory. The row (of op(A), or column of op(B)) and the place along k of
// its first element; four neighbouring units along k, or eight across, are neighbours in memory.
#define UNITS 2
inline int unit_row(int unit, bool along) { return along ? unit / 4 : (unit % 8 + unit / 128 * 8) * 4; }
inline int unit_place(int unit, bool along) { return along ? unit % 4 * 8 : unit / 8 % 16 * 2; }

// FETCH_UNIT defines a union of eight elements of a type and
//   fetch_TYPE  reads a unit, in two vectors if it is aligned and lies inside whole; of what lies outside, 0
//   words_TYPE  its elements as words of two neighbours along k
// `stride` is the one along k; if that is not 1, the other one is. `rows` and `places` are left from the first element.
#define FETCH_UNIT(type, pair)                                                                                  \
  typedef union {                                                                                               \
    type##4 halves[2];                                                                                          \
    type each[8];                                                                                               \
  } type##_unit;                                                                                                \
  inline type##_unit fetch_##type(const __global type *p, ulong stride, int rows, int places, bool aligned) {   \
    const bool along = stride == 1;                                                                             \
    const __global type *second = p + (along ? 4 : stride);                                                     \
    type##_unit unit;                                                                                           \
    if (aligned && (along ? rows > 0 && places >= 8 : rows >= 4 && places >= 2)) {                              \
      unit.halves[0] = *(const __global type##4 *)p;                                                            \
      unit.halves[1] = *(const __global type##4 *)second;                                                       \
    } else {                                                                                                    \
      UNROLLED for (int i = 0; i < 8; i++) {                                                                    \
        const bool inside = along ? rows > 0 && i < places : i % 4 < rows && i / 4 < places;                    \
        unit.each[i] = inside ? (i < 4 ? p : second)[i % 4] : (type)0;                                          \
      }                                                                                                         \
    }                                                                                                           \
    return unit;                                                                                                \
  }                                                                                                             \
  inline uint4 words_##type(const type##_unit unit, bool along) {                                               \
    const type *e = unit.each;                                                                                  \
    if (along) return (uint4)(pair(e[0], e[1]), pair(e[2], e[3]), pair(e[4], e[5]), pair(e[6], e[7]));          \
    return (uint4)(pair(e[0], e[4]), pair(e[1], e[5]), pair(e[2], e[6]), pair(e[3], e[7]));                     \
  }

FETCH_UNIT(float, bf16_pair)
#if B_TYPE == 1
#define STORED_PAIR(low, high) ((uint)(low) | (uint)(high) << 16)
FETCH_UNIT(ushort, STORED_PAIR)
#define b_unit ushort_unit
#define fetch_b fetch_ushort
#define words_b words_ushort
#else
#define b_unit float_unit
#define fetch_b fetch_float
#define words_b words_float
#endif

// Whether vectors of four elements lie where they may be read as such.
#define ALIGNED(p, row_stride, stride) \
  ((ulong)(p) % (4 * sizeof(*(p))) == 0 && ((stride) == 1 ? (row_stride) : (stride)) % 4 == 0)

// Writes a unit into a tile. Across, neighbours take their four rows in different orders and so meet different banks.
inline void put(__local uint *tile, uint4 words, int unit, bool along) {
  __local uint *to = tile + unit_row(unit, along) * PITCH + unit_place(unit, along) / 2;
  if (along) {
    *(__local uint4 *)to = words;
  } else {
    const int turn = unit / 2 % 4;
    const uint4 once = turn & 1 ? (uint4)(words.y, words.z, words.w, words.x) : words;
    const uint4 turned = turn & 2 ? (uint4)(once.z, once.w, once.x, once.y) : once;
    to[turn * PITCH] = turned.x;
    to[(turn + 1) % 4 * PITCH] = turned.y;
    to[(turn + 2) % 4 * PITCH] = turned.z;
    to[(turn + 3) % 4 * PITCH] = turned.w;
  }
}

#define FETCH(slice)                                                                                             \
  UNROLLED for (int u = 0; u < UNITS; u++) {                                                                     \
    const int unit = item + u * ITEMS;                                                                           \
    const int row = first_row + unit_row(unit, a_along), place = (slice) + unit_place(unit, a_along);            \
    const int column = first_column + unit_row(unit, b_along), b_place = (slice) + unit_place(unit, b_along);    \
    a_units[u] = fetch_float(a + row * a_row + place * a_column, a_column, m - row, k - place, a_aligned); \
    b_units[u] = fetch_b(b + column * b_column + b_place * b_row, b_row, n - column, k - b_place, b_aligned);    \
  }

#define PUT(part)                                                                               \
  UNROLLED for (int u = 0; u < UNITS; u++) {                                                    \
    const int unit = item + u * ITEMS;                                                          \
    put(left + (part) * TILE, words_float(a_units[u], a_along), unit, a_along);                 \
    put(right + (part) * TILE, words_b(b_units[u], b_along), unit, b_along);                    \
  }

__kernel __attribute__((reqd_work_group_size(ITEMS, 1, 1))) void matmul_tensor(MATMUL_ARGUMENTS) {
  __local uint left[2 * TILE] __attribute__((aligned(16))), right[2 * TILE] __attribute__((aligned(16)));
  EXCHANGE(exchange, 4 * CHUNKS);
  const int item = get_local_id(0), warp = item / WARP, lane = item % WARP, group = lane / 4, member = lane % 4;
  const int first_column = get_group_id(0) * SIDE, first_row = get_group_id(1) * SIDE;
  // Two warps stand above one another.
  const int warp_row = warp % 2 * 16 * ROW_BLOCKS, warp_column = warp / 2 * 8 * COLUMN_BLOCKS;
  const size_t batch = get_group_id(2);
  a += a_first + batch * a_batch;
  b += b_first + batch * b_batch;
  const bool a_along = a_column == 1, a_aligned = ALIGNED(a, a_row, a_column);
  const bool b_along = b_row == 1, b_aligned = ALIGNED(b, b_column, b_row);
  float_unit a_units[UNITS];
  b_unit b_units[UNITS];
  float4 sums[ROW_BLOCKS][COLUMN_BLOCKS];
  UNROLLED for (int i = 0; i < ROW_BLOCKS; i++)
    UNROLLED for (int j = 0; j < COLUMN_BLOCKS; j++) sums[i][j] = (float4)0.0f;

  FETCH(0)
  PUT(0)
  barrier(CLK_LOCAL_MEM_FENCE);
  for (int slice = 0, part = 0; slice < k; slice += DEPTH, part = 1 - part) {
    const bool more = slice + DEPTH < k;
    if (more) FETCH(slice + DEPTH)
    UNROLLED for (int word = 0; word < DEPTH / 2; word += 8) {
      const __local uint *rows = left + part * TILE + (warp_row + group) * PITCH + word + member;
      const __local uint *columns = right + part * TILE + (warp_column + group) * PITCH + word + member;
      uint2 fragments[COLUMN_BLOCKS];
      UNROLLED for (int j = 0; j < COLUMN_BLOCKS; j++)
        fragments[j] = (uint2)(columns[j * 8 * PITCH], columns[j * 8 * PITCH + 4]);
      UNROLLED for (int i = 0; i < ROW_BLOCKS; i++) {
        const __local uint *upper = rows + i * 16 * PITCH, *lower = upper + 8 * PITCH;
        const uint4 fragment = (uint4)(upper[0], lower[0], upper[4], lower[4]);
        UNROLLED for (int j = 0; j < COLUMN_BLOCKS; j++)
          sums[i][j] = multiply_fragments(fragment, fragments[j], sums[i][j], exchange);
      }
    }
    if (more) PUT(1 - part)
    barrier(CLK_LOCAL_MEM_FENCE);
  }

  // Through local memory, so that a warp writes 32 neighbours, and the activation is there once for 16 rows.
  __local uint *strip = left + warp * 16 * STRIP_PITCH;
  const int column = first_column + warp_column + lane;
  UNROLLED for (int i = 0; i < ROW_BLOCKS; i++) {
    UNROLLED for (int j = 0; j < COLUMN_BLOCKS; j++) {
      __local uint *upper = strip + group * STRIP_PITCH + j * 8 + member * 2, *lower = upper + 8 * STRIP_PITCH;
      upper[0] = as_uint(sums[i][j].x);
      upper[1] = as_uint(sums[i][j].y);
      lower[0] = as_uint(sums[i][j].z);
      lower[1] = as_uint(sums[i][j].w);
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    for (int r = 0; r < 16; r++) {
      const int row = first_row + warp_row + i * 16 + r;
      if (row < m && column < n) {
        const size_t place = (batch * m + row) * n + column;
        FINISH(as_float(strip[r * STRIP_PITCH + lane]), place, column)
      }
    }
    barrier(CLK_LOCAL_MEM_FENCE);
  }
}
