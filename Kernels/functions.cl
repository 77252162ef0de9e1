// Included by kernels that need exponentials and activations, after lanes.cl (which defines vec, WIDTH).
//
// exponential(x): within 1 ulp; 0 where the result would be below 2^-126; infinity and NaN as IEEE arithmetic has it.
// activate, slope: an activation by its number, and its derivative.

#define NO_ACTIVATION 0
#define RELU 1
#define SILU 2
#define GELU 3
#define GELU_TANH 4
#define TANH 5

#if WIDTH == 16
// exp(x) = 2^k exp(r) with |r| <= ln(2)/2. Adding 1.5 * 2^23 rounds x/ln(2) to an integer that then stands in the low
// bits; exp(r) = 1 + r + r^2 q(r), q fitted to a relative error of 3e-9.
inline vec exponential(vec x) {
  const vec shifted = fma(x, (vec)0x1.715476p+0f, (vec)12582912.0f);
  const vec k = shifted - (vec)12582912.0f;
  vec r = fma(k, (vec)-0x1.62e400p-1f, x);
  r = fma(k, (vec)-0x1.7f7d1cp-20f, r);
  vec q = fma(r, (vec)0x1.6a2416p-10f, (vec)0x1.1239f4p-7f);
  q = fma(q, r, (vec)0x1.5558f2p-5f);
  q = fma(q, r, (vec)0x1.555492p-3f);
  q = fma(q, r, (vec)0x1.fffffcp-2f);
  q = fma(q, r * r, r) + (vec)1.0f;
  vec result = AS_VEC(AS_IVEC(q) + (AS_IVEC(shifted) << 23));
  result = x < (vec)-87.33654f ? (vec)0.0f : result;
  result = x > (vec)88.72283f ? (vec)INFINITY : result;
  return x == x ? result : x;
}
#else
inline vec exponential(vec x) { return exp(x); }
#endif

inline vec logistic(vec x) { return (vec)1.0f / ((vec)1.0f + exponential(-x)); }

// 1 + tanh(u) = 2 logistic(2u), so that nothing cancels for large negative x. This is 2u of GELU's tanh form.
inline vec gelu_argument(vec x) { return (vec)1.5957691216057308f * (x + (vec)0.044715f * x * x * x); }

// Near 0 the fifth convergent of Lambert's continued fraction, within 1e-9 up to 0.6, because 1 - 2 / (1 + exp(2x))
// cancels there. The tanh of some drivers is not 1 at infinity.
inline vec hyperbolic_tangent(vec x) {
  const vec s = x * x;
  const vec near = x * ((vec)945.0f + s * ((vec)105.0f + s)) / ((vec)945.0f + s * ((vec)420.0f + s * (vec)15.0f));
  const vec far = (vec)1.0f - (vec)2.0f / ((vec)1.0f + exponential(x + x));
  return fabs(x) < (vec)0.6f ? near : far;
}

inline vec activate(vec x, int kind) {
  switch (kind) {
    case RELU: return x <= (vec)0.0f ? (vec)0.0f : x;
    case SILU: return x / ((vec)1.0f + exponential(-x));
    case GELU: return (vec)0.5f * x * erfc(x * (vec)-0.70710678118654752f);
    case GELU_TANH: return x / ((vec)1.0f + exponential(-gelu_argument(x)));
    case TANH: return hyperbolic_tangent(x);
    default: return x;
  }
}

inline vec slope(vec x, int kind) {
  switch (kind) {
    case RELU: return x <= (vec)0.0f ? (vec)0.0f : (vec)1.0f;
    case SILU: {
      const vec s = logistic(x);
      return s * ((vec)1.0f + x * ((vec)1.0f - s));
    }
    case GELU: {
      const vec density = (vec)0.3989422804014327f * exponential((vec)-0.5f * x * x);
      return (vec)0.5f * erfc(x * (vec)-0.70710678118654752f) + x * density;
    }
    case GELU_TANH: {
      const vec s = logistic(gelu_argument(x));
      // Where x^2 exceeds 400, s (1 - s) is 0 and its factor must stay finite.
      const vec square = fmin(x * x, (vec)400.0f);
      const vec inner = (vec)1.5957691216057308f * ((vec)1.0f + (vec)0.134145f * square);
      return s + x * s * ((vec)1.0f - s) * inner;
    }
    case TANH: {
      // 1 - tanh^2 would cancel where the slope is small.
      const vec e = exponential((vec)-2.0f * fabs(x));
      return (vec)4.0f * e / (((vec)1.0f + e) * ((vec)1.0f + e));
    }
    default: return (vec)1.0f;
  }
}
