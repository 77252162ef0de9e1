// Vectors of LANES floats and what is done with them everywhere. Included once by each variant.

typedef float vf __attribute__((vector_size(4 * LANES), may_alias));
typedef float vf_any __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef int32_t vi __attribute__((vector_size(4 * LANES), may_alias));
typedef uint32_t vu __attribute__((vector_size(4 * LANES), may_alias));
typedef uint32_t vu_any __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef uint16_t vh __attribute__((vector_size(2 * LANES), may_alias));
typedef uint16_t vh_any __attribute__((vector_size(2 * LANES), aligned(2), may_alias));

#define INLINE static inline __attribute__((always_inline))
#define LEAST(a, b) ((a) < (b) ? (a) : (b))

INLINE vf splat(float x) { return x - (vf){}; }

INLINE vf load(const float *p) { return *(const vf_any *)p; }
INLINE void store(float *p, vf v) { *(vf_any *)p = v; }

/// The first `count` elements, then zeros.
INLINE vf load_first(const float *p, int64_t count) {
  if (count >= LANES) return load(p);
#if LANES == 16
  return _mm512_maskz_loadu_ps((__mmask16)((1u << count) - 1), p);
#else
  vf v = {};
  for (int i = 0; i < LANES; i++)
    if (i < count) v[i] = p[i];
  return v;
#endif
}

INLINE void store_first(float *p, vf v, int64_t count) {
  if (count >= LANES) {
    store(p, v);
    return;
  }
#if LANES == 16
  _mm512_mask_storeu_ps(p, (__mmask16)((1u << count) - 1), v);
#else
  for (int i = 0; i < LANES; i++)
    if (i < count) p[i] = v[i];
#endif
}

/// `mask ? a : b`, where a lane of the mask is all ones or all zeros.
INLINE vf choose(vi mask, vf a, vf b) { return (vf)(((vi)a & mask) | ((vi)b & ~mask)); }

/// The larger; `b` where `a` is NaN.
INLINE vf larger(vf a, vf b) { return choose(a > b, a, b); }

INLINE vf square_root(vf x) { return __builtin_elementwise_sqrt(x); }
INLINE vf magnitude(vf x) { return (vf)((vi)x & 0x7FFFFFFF); }

/// The lanes' own numbers.
INLINE vi lane_numbers(void) {
  vi v = {};
  for (int i = 0; i < LANES; i++) v[i] = i;
  return v;
}

/// Writes an aligned vector past the caches. What another core has read is let go of that way, which takes many times as
/// long where a cache has to own the line first; and what is written whole need not be read.
INLINE void store_past(float *x, vf v) { __builtin_nontemporal_store(v, (vf *)x); }

/// Lets other threads see what was written past the caches before they see what is written from here on.
INLINE void finish_stores_past(void) {
#if defined(__x86_64__)
  __builtin_ia32_sfence();
#else
  __atomic_thread_fence(__ATOMIC_RELEASE);
#endif
}

/// Writes the first `count` lanes, past the caches if a whole vector is to go that way; `x` is then aligned.
INLINE void store_out(float *x, vf v, int64_t count, int32_t bypasses) {
  if (bypasses && count >= LANES) store_past(x, v);
  else store_first(x, v, count);
}

/// The sum of all lanes, by halves.
INLINE float sum_lanes(vf v) {
#if LANES == 16
  typedef float half __attribute__((vector_size(32)));
  half h = __builtin_shufflevector(v, v, 0, 1, 2, 3, 4, 5, 6, 7)
      + __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15);
#endif
  typedef float quarter __attribute__((vector_size(16)));
#if LANES == 16
  quarter q = __builtin_shufflevector(h, h, 0, 1, 2, 3) + __builtin_shufflevector(h, h, 4, 5, 6, 7);
#elif LANES == 8
  quarter q = __builtin_shufflevector(v, v, 0, 1, 2, 3) + __builtin_shufflevector(v, v, 4, 5, 6, 7);
#else
  quarter q = v;
#endif
  return (q[0] + q[2]) + (q[1] + q[3]);
}

/// `sum_lanes` of eight vectors, bit for bit, with a third of the steps.
INLINE void sum_lanes_of_eight(const vf v[8], float sums[8]) {
#if LANES == 16
  // Halves of two vectors side by side, then quarters of four, then pairs: each step adds what sum_lanes adds.
  vf h[4], q[2];
#pragma clang loop unroll(full)
  for (int i = 0; i < 4; i++)
    h[i] = __builtin_shufflevector(v[2 * i], v[2 * i + 1], 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23)
        + __builtin_shufflevector(v[2 * i], v[2 * i + 1], 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31);
#pragma clang loop unroll(full)
  for (int i = 0; i < 2; i++)
    q[i] = __builtin_shufflevector(h[2 * i], h[2 * i + 1], 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27)
        + __builtin_shufflevector(h[2 * i], h[2 * i + 1], 4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31);
  // Lanes 0 and 2, and 1 and 3, of each quarter, then the two.
  vf p = __builtin_shufflevector(q[0], q[1], 0, 1, 4, 5, 8, 9, 12, 13, 16, 17, 20, 21, 24, 25, 28, 29)
      + __builtin_shufflevector(q[0], q[1], 2, 3, 6, 7, 10, 11, 14, 15, 18, 19, 22, 23, 26, 27, 30, 31);
  typedef float eight __attribute__((vector_size(32), aligned(4)));
  *(eight *)sums = __builtin_shufflevector(p, p, 0, 2, 4, 6, 8, 10, 12, 14)
      + __builtin_shufflevector(p, p, 1, 3, 5, 7, 9, 11, 13, 15);
#else
  for (int i = 0; i < 8; i++) sums[i] = sum_lanes(v[i]);
#endif
}

INLINE float largest_lane(vf v) {
  float largest = v[0];
  for (int i = 1; i < LANES; i++) largest = v[i] > largest ? v[i] : largest;
  return largest;
}

/// The nearest bfloat16 value, ties to even; a NaN stays a quiet NaN.
INLINE vu bf16_bits(vf x) {
  vu bits = (vu)x;
  vu rounded = bits + 0x7FFF + ((bits >> 16) & 1);
  vu quiet = bits | 0x400000;
  return (vu)choose(x == x, (vf)rounded, (vf)quiet) & 0xFFFF0000;
}

INLINE vf round_bf16(vf x) { return (vf)bf16_bits(x); }

INLINE vf widen_bf16(vh h) { return (vf)(__builtin_convertvector(h, vu) << 16); }

INLINE vf widen_f16(vh h) {
#if LANES == 16
  return _mm512_cvtph_ps((__m256i)h);
#elif LANES == 8
  return _mm256_cvtph_ps((__m128i)h);
#else
  // Exponent and fraction in their f32 places, then times 2^112; infinity and NaN get the largest exponent back.
  vu bits = __builtin_convertvector(h, vu);
  vu sign = (bits & 0x8000) << 16;
  vu rest = (bits & 0x7FFF) << 13;
  vf value = (vf)rest * splat(0x1p112f);
  value = choose((vi)(rest >= 0x0F800000), (vf)(rest | 0x7F800000), value);
  return (vf)((vu)value | sign);
#endif
}

INLINE vf load_element(const void *p, int64_t index, int element) {
  if (element == CPU_F32) return load((const float *)p + index);
  vh h = *(const vh_any *)((const uint16_t *)p + index);
  return element == CPU_BF16 ? widen_bf16(h) : widen_f16(h);
}

INLINE vf load_element_first(const void *p, int64_t index, int element, int64_t count) {
  if (count >= LANES) return load_element(p, index, element);
  if (element == CPU_F32) return load_first((const float *)p + index, count);
#if LANES == 16
  vh h = (vh)_mm256_maskz_loadu_epi16((__mmask16)((1u << count) - 1), (const uint16_t *)p + index);
#else
  vh h = {};
  for (int i = 0; i < LANES; i++)
    if (i < count) h[i] = ((const uint16_t *)p)[index + i];
#endif
  return element == CPU_BF16 ? widen_bf16(h) : widen_f16(h);
}
