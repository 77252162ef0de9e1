// Included by the row and element kernels: one source for three ways to run it.
//
// Build parameters:
//   WIDTH  floats that a work-item handles at a time: 1, or 16 (float16) on processors
//   GROUP  work-items of a work-group, a power of two; they share one row
//   BLOCK  elements that a work-group handles in the kernels that know no rows
//
// A loop over a row runs over vectors; the lanes behind the row's end hold a neutral value and are not stored. Nothing is
// read behind the end of a row: it may lie outside the buffer, or another work-group may be writing there. The body of a
// loop over vectors of 16 is built twice: for whole vectors, without a branch, and for the rest of the row.

#ifndef WIDTH
#define WIDTH 1
#endif
#ifndef GROUP
#define GROUP 1
#endif
#ifndef BLOCK
#define BLOCK 1024
#endif

#define LANE ((int)get_local_id(0))

// A tensor argument is a buffer and the index of the tensor's first element.
#define TENSOR(type, name) __global type *name, ulong name##_first
#define OPEN(name) name += name##_first

// Rows are dealt to work-groups one by one.
#define FOR_ROWS(row, rows) for (size_t row = get_group_id(0); row < rows; row += get_num_groups(0))
// Elements are dealt to work-groups in blocks; these are the first one and the end of this group's.
#define BLOCK_FIRST (get_group_id(0) * (size_t)BLOCK)
#define BLOCK_END(n) min((size_t)(n), BLOCK_FIRST + BLOCK)

// FOR_ROW, FOR_BLOCK: loops over the vectors of a row, or of a block of elements.
// LEFT: in such a loop, for `load` and `store`, the elements left from j; anything from WIDTH on is a whole vector.
// SUM_ROW: declares `sum`, this work-item's part of the sum of a term over a row; the term may use j and `left`. Four sums
// take turns, because each addition waits for the one before.
#if WIDTH == 16
#define WHOLE_END(type, first, end) ((first) + (((end) - (first)) & ~(type)15))
#define FOR_VECTORS(j, type, first, end)                                       \
  _Pragma("unroll") for (int j##_rest = 0; j##_rest < 2; j##_rest++)           \
    for (type j = j##_rest ? WHOLE_END(type, first, end) : (first),            \
              j##_end = j##_rest ? (end) : WHOLE_END(type, first, end);        \
         j < j##_end; j += 16)
#define FOR_ROW(j, n) FOR_VECTORS(j, int, 0, n)
#define FOR_BLOCK(i, n) FOR_VECTORS(i, size_t, BLOCK_FIRST, BLOCK_END(n))
#define LEFT(j, n) (j##_rest ? (int)(j##_end - j) : 16)
#define SUM_ROW(sum, j, n, term)                                               \
  vec sum;                                                                     \
  {                                                                            \
    vec sum##_0 = (vec)0.0f, sum##_1 = (vec)0.0f, sum##_2 = (vec)0.0f, sum##_3 = (vec)0.0f; \
    int j = 0;                                                                 \
    for (const int left = 16; j <= (n) - 64; j += 16) {                        \
      sum##_0 += term;                                                         \
      j += 16;                                                                 \
      sum##_1 += term;                                                         \
      j += 16;                                                                 \
      sum##_2 += term;                                                         \
      j += 16;                                                                 \
      sum##_3 += term;                                                         \
    }                                                                          \
    for (; j < (n); j += 16) {                                                 \
      const int left = (n) - j;                                                \
      sum##_0 += term;                                                         \
    }                                                                          \
    sum = (sum##_0 + sum##_1) + (sum##_2 + sum##_3);                           \
  }
#else
#define FOR_ROW(j, n) for (int j = LANE; j < n; j += GROUP)
#define FOR_BLOCK(i, n) \
  for (size_t i = BLOCK_FIRST + LANE, block_end = BLOCK_END(n); i < block_end; i += GROUP)
#define LEFT(j, n) 1
#define SUM_ROW(sum, j, n, term)                                               \
  vec sum = 0.0f;                                                              \
  FOR_ROW(j, n) {                                                              \
    const int left = 1;                                                        \
    sum += term;                                                               \
  }
#endif

#if WIDTH == 16
typedef float16 vec;
typedef int16 ivec;
#define LANES ((int16)(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15))
#define AS_VEC as_float16
#define AS_IVEC as_int16
// Compilers make several narrow accesses of vstore16, and loads that follow wait for all of them.
typedef float16 unaligned_vec __attribute__((aligned(4)));
inline vec load(const __global float *p, int left, float neutral) {
  if (left >= 16) return *(const __global unaligned_vec *)p;
  float lanes[16];
  for (int i = 0; i < 16; i++) lanes[i] = i < left ? p[i] : neutral;
  return vload16(0, lanes);
}
inline void store(vec v, __global float *p, int left) {
  if (left >= 16) {
    *(__global unaligned_vec *)p = v;
  } else {
    float lanes[16];
    vstore16(v, 0, lanes);
    for (int i = 0; i < left; i++) p[i] = lanes[i];
  }
}
// Long outputs of processors are written past the caches, which would not keep them until they are read. It matters most
// for memory that several cores have read: before a cache may write to such a line, all others have to give theirs up,
// one line after the other. What the command queue does between two kernels orders these stores, too.
// PASSES_CACHES: whether that suits `count` elements from p on, in rows of `stride`.
// store_out: as `store`, or with `past` past the caches.
#if defined(__x86_64__) && defined(__has_builtin)
#if __has_builtin(__builtin_nontemporal_store)
#define PASSES_CACHES(p, stride, count) ((count) >= 65536 && (ulong)(p) % 64 == 0 && (stride) % 16 == 0)
inline void store_past(vec v, __global float *p) { __builtin_nontemporal_store(v, (__global vec *)p); }
#endif
#endif
#ifndef PASSES_CACHES
#define PASSES_CACHES(p, stride, count) false
inline void store_past(vec v, __global float *p) { store(v, p, 16); }
#endif
inline void store_out(vec v, __global float *p, int left, bool past) {
  if (past && left >= 16) store_past(v, p);
  else store(v, p, left);
}
// The larger of each pair, b where it is not larger or a is NaN: one instruction, which fmax is not.
inline vec larger(vec a, vec b) { return a > b ? a : b; }
// The upper half, element by element: compilers make it v.hi again, but Oclgrind takes one of the indices of such a
// shuffle for an undefined element.
inline float8 upper(vec v) { return (float8)(v.s8, v.s9, v.sa, v.sb, v.sc, v.sd, v.se, v.sf); }
inline float lanes_sum(vec v) {
  const float8 a = v.lo + upper(v);
  const float4 b = a.lo + a.hi;
  const float2 c = b.lo + b.hi;
  return c.lo + c.hi;
}
inline float lanes_max(vec v) {
  const float8 a = fmax(v.lo, upper(v));
  const float4 b = fmax(a.lo, a.hi);
  const float2 c = fmax(b.lo, b.hi);
  return fmax(c.lo, c.hi);
}
#else
typedef float vec;
typedef int ivec;
#define AS_VEC as_float
#define AS_IVEC as_int
inline vec load(const __global float *p, int left, float neutral) { return *p; }
inline void store(vec v, __global float *p, int left) { *p = v; }
#define PASSES_CACHES(p, stride, count) false
inline void store_out(vec v, __global float *p, int left, bool past) { *p = v; }
inline vec larger(vec a, vec b) { return a > b ? a : b; }
inline float lanes_sum(vec v) { return v; }
inline float lanes_max(vec v) { return v; }
#endif

#if GROUP > 1
#define SCRATCH __local float scratch[GROUP]
#define REDUCTION(name, combine)                                                      \
  inline float name(float x, __local float *scratch) {                                \
    barrier(CLK_LOCAL_MEM_FENCE);                                                     \
    scratch[LANE] = x;                                                                \
    barrier(CLK_LOCAL_MEM_FENCE);                                                     \
    for (int half_size = GROUP / 2; half_size > 0; half_size /= 2) {                  \
      if (LANE < half_size)                                                           \
        scratch[LANE] = combine(scratch[LANE], scratch[LANE + half_size]);            \
      barrier(CLK_LOCAL_MEM_FENCE);                                                   \
    }                                                                                 \
    return scratch[0];                                                                \
  }
#define ADDED(a, b) ((a) + (b))
REDUCTION(reduce_sum, ADDED)
REDUCTION(reduce_max, fmax)
#define GROUP_SUM(v) reduce_sum(lanes_sum(v), scratch)
#define GROUP_MAX(v) reduce_max(lanes_max(v), scratch)
#else
#define SCRATCH
#define GROUP_SUM(v) lanes_sum(v)
#define GROUP_MAX(v) lanes_max(v)
#endif
