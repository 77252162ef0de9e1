// Included by matmul_cpu.cl and matmul_strips.cl: the register tile of a matrix product on processors, ROWS x 16
// COLUMN_VECTORS outputs of one work-item.
//
// With ROWS 8 and COLUMN_VECTORS 3 the 24 sums, three vectors of B and one broadcast element of A fill the 32 vector
// registers of an AVX-512 processor. Sums are made one after the other along k, whatever the tile's size is.
// Build parameters:
//   ROWS            rows of a tile, 1 ... 8
//   COLUMN_VECTORS  vectors of 16 columns of a tile
//   PAIRED          1: the panels hold pairs of bfloat16 values; 2: A does so, too, as matmul_pack.cl makes them
//   DOT             how pairs are multiplied with PAIRED 2: see pairs.cl
// PANEL is the address space of the panels.

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

// Sums of 0, and where the tile's rows of A begin; rows behind the last of m repeat it and are not stored.
inline void start_tile(
    float16 sums[ROWS][COLUMN_VECTORS], size_t places[ROWS], int first_row, int m, size_t a_row) {
#pragma unroll
  for (int i = 0; i < ROWS; i++) {
    places[i] = min(first_row + i, m - 1) * a_row;
#pragma unroll
    for (int v = 0; v < COLUMN_VECTORS; v++) sums[i][v] = (float16)0.0f;
  }
}

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

// Adds the products of k elements of rows of A, a_column apart, with a panel, whose rows are panel_row apart.
TARGET inline void add_products(
    float16 sums[ROWS][COLUMN_VECTORS], const __global left_type *a, const size_t places[ROWS], size_t a_column,
    const PANEL panel_type *panel, size_t panel_row, int k) {
#if PAIRED == 2
  for (int step = 0; step < (k + 1) / 2; step++) {
    uint16 right[COLUMN_VECTORS];
#pragma unroll
    for (int v = 0; v < COLUMN_VECTORS; v++) right[v] = vload16(v, panel);
    multiply_add_pairs(sums, a, places, right);
    panel += panel_row;
    a += a_column;
  }
#elif PAIRED
  float16 right[COLUMN_VECTORS];
  for (int step = 0; step < k / 2; step++) {
    uint16 pair[COLUMN_VECTORS];
#pragma unroll
    for (int v = 0; v < COLUMN_VECTORS; v++) {
      pair[v] = vload16(v, panel);
      right[v] = as_float16(pair[v] << 16);
    }
    multiply_add(sums, a, places, right);
#pragma unroll
    for (int v = 0; v < COLUMN_VECTORS; v++) right[v] = as_float16(pair[v] & 0xFFFF0000u);
    multiply_add(sums, a + a_column, places, right);
    panel += panel_row;
    a += 2 * a_column;
  }
  if (k % 2) {
#pragma unroll
    for (int v = 0; v < COLUMN_VECTORS; v++) right[v] = as_float16(vload16(v, panel) << 16);
    multiply_add(sums, a, places, right);
  }
#else
  float16 right[COLUMN_VECTORS];
  for (int step = 0; step < k; step++) {
#pragma unroll
    for (int v = 0; v < COLUMN_VECTORS; v++) right[v] = vload16(v, panel);
    multiply_add(sums, a, places, right);
    panel += panel_row;
    a += a_column;
  }
#endif
}

// Vectors of the tile, in the rolled loops below: unrolled, their body would be compiled for every vector.
#define TILE_VECTORS (ROWS * COLUMN_VECTORS)

// output = activation(alpha sums + beta addend + bias) where the output `[m][n]` reaches; addend and bias may be null.
// With `past`, whole tiles without an activation are written past the caches (lanes.cl).
inline void finish_tile(
    const float16 sums[ROWS][COLUMN_VECTORS], int first_row, int first_column, int m, int n,
    const __global float *bias, const __global float *addend, __global float *output, float alpha, float beta,
    int kind, bool past) {
  if (kind == NO_ACTIVATION && first_row + ROWS <= m && first_column + COLUMNS <= n) {
#pragma unroll
    for (int i = 0; i < ROWS; i++)
#pragma unroll
      for (int v = 0; v < COLUMN_VECTORS; v++) {
        const size_t place = (size_t)(first_row + i) * n + first_column + 16 * v;
        float16 sum = sums[i][v] * (float16)alpha;
        if (addend) sum += (float16)beta * load(addend + place, 16, 0);
        if (bias) sum += load(bias + first_column + 16 * v, 16, 0);
        store_out(sum, output + place, 16, past);
      }
    return;
  }
  float16 tile[TILE_VECTORS];
#pragma unroll
  for (int i = 0; i < ROWS; i++)
#pragma unroll
    for (int v = 0; v < COLUMN_VECTORS; v++) tile[i * COLUMN_VECTORS + v] = sums[i][v];
#pragma nounroll
  for (int i = 0; i < TILE_VECTORS; i++) {
    const int row = first_row + i / COLUMN_VECTORS, column = first_column + i % COLUMN_VECTORS * 16;
    const int left = min(16, n - column);
    if (row >= m || left <= 0) continue;
    const size_t place = (size_t)row * n + column;
    float16 v = tile[i] * (float16)alpha;
    if (addend) v += (float16)beta * load(addend + place, left, 0);
    if (bias) v += load(bias + column, left, 0);
    if (kind != NO_ACTIVATION) v = activate(v, kind);
    store(v, output + place, left);
  }
}

// The sums as `finish_tile` left them with alpha 1 and nothing else.
inline void resume_tile(
    float16 sums[ROWS][COLUMN_VECTORS], int first_row, int first_column, int m, int n, const __global float *partial) {
  float16 tile[TILE_VECTORS];
#pragma nounroll
  for (int i = 0; i < TILE_VECTORS; i++) {
    const int row = first_row + i / COLUMN_VECTORS, column = first_column + i % COLUMN_VECTORS * 16;
    const int left = min(16, n - column);
    tile[i] = (float16)0.0f;
    if (row < m && left > 0) tile[i] = load(partial + (size_t)row * n + column, left, 0);
  }
#pragma unroll
  for (int i = 0; i < ROWS; i++)
#pragma unroll
    for (int v = 0; v < COLUMN_VECTORS; v++) sums[i][v] = tile[i * COLUMN_VECTORS + v];
}
