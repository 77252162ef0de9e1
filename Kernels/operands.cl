// Included by the matrix products: how the elements of A and B are read.
//
// Build parameters: B_TYPE, how B is stored: 0 f32, 1 bf16, 2 f16; ROUNDED, 1 to round both operands to bfloat16.

#ifndef B_TYPE
#define B_TYPE 0
#endif
#ifndef ROUNDED
#define ROUNDED 0
#endif

#if B_TYPE == 0
typedef float b_type;
#define WIDEN_B(p, i) (p)[i]
#elif B_TYPE == 1
typedef ushort b_type;
#define WIDEN_B(p, i) as_float((uint)(p)[i] << 16)
#else
typedef half b_type;
#define WIDEN_B(p, i) vload_half(i, p)
#endif

// The nearest bfloat16 value, ties to even; NaN stays NaN.
inline float to_bf16(float x) {
  const uint bits = as_uint(x);
  return as_float(isnan(x) ? (bits | 0x400000u) & 0xFFFF0000u : (bits + 0x7FFFu + ((bits >> 16) & 1u)) & 0xFFFF0000u);
}

#if ROUNDED
inline float operand(float x) { return to_bf16(x); }
#else
inline float operand(float x) { return x; }
#endif

inline float read_b(const __global b_type *b, size_t i) { return operand(WIDEN_B(b, i)); }
