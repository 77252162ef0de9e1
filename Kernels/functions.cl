// Included by kernels that need exponentials and activations, after lanes.cl (which defines vec, WIDTH).
//
// exponential(x): within 1 ulp; 0 where the result would be below 2^-126; infinity and NaN as IEEE arithmetic has it.
// negative_exponential(x): the same for x that are not above 0, or a little; 0 where the result would be below 2^-126.5.
// activation_value, activation_slope: an activation by its number, and its derivative; for numbers that the compiler knows.
// activate: the value, for a number that is known when it is called.

#define NO_ACTIVATION 0
#define RELU 1
#define SILU 2
#define GELU 3
#define GELU_TANH 4
#define TANH 5

// Of functions that choose by an argument which the caller has as a constant.
#define KNOWN __attribute__((always_inline))

#if WIDTH == 16
// exp(x) = 2^k exp(r) with |r| <= ln(2)/2. Adding 1.5 * 2^23 rounds x/ln(2) to an integer that then stands in the low
// bits; exp(r) = 1 + r + r^2 q(r), q fitted to a relative error of 3e-9. Writes exp(r), returns the sum with the integer.
inline vec split_exponential(vec x, vec *fraction) {
  const vec shifted = fma(x, (vec)0x1.715476p+0f, (vec)12582912.0f);
  const vec k = shifted - (vec)12582912.0f;
  vec r = fma(k, (vec)-0x1.62e400p-1f, x);
  r = fma(k, (vec)-0x1.7f7d1cp-20f, r);
  vec q = fma(r, (vec)0x1.6a2416p-10f, (vec)0x1.1239f4p-7f);
  q = fma(q, r, (vec)0x1.5558f2p-5f);
  q = fma(q, r, (vec)0x1.555492p-3f);
  q = fma(q, r, (vec)0x1.fffffcp-2f);
  *fraction = fma(q, r * r, r) + (vec)1.0f;
  return shifted;
}

inline vec exponential(vec x) {
  vec fraction;
  const vec shifted = split_exponential(x, &fraction);
  vec result = AS_VEC(AS_IVEC(fraction) + (AS_IVEC(shifted) << 23));
  result = x < (vec)-87.33654f ? (vec)0.0f : result;
  result = x > (vec)88.72283f ? (vec)INFINITY : result;
  return x == x ? result : x;
}

// At -88, k is -127 and 2^k, put together from its bits, 0.
inline vec negative_exponential(vec x) {
  vec fraction;
  const vec shifted = split_exponential(x < (vec)-88.0f ? (vec)-88.0f : x, &fraction);
  return fraction * AS_VEC((AS_IVEC(shifted) << 23) + 0x3F800000);
}

// 2^x for -126 <= x <= 0, within 2 ulp: 2^k 2^r with |r| <= 1/2, 2^r fitted to a relative error of 9e-8.
inline vec negative_power_of_2(vec x) {
  const vec shifted = x + (vec)12582912.0f;
  const vec r = x - (shifted - (vec)12582912.0f);
  vec q = fma(r, (vec)0x1.5bba14p-10f, (vec)0x1.3cea88p-7f);
  q = fma(q, r, (vec)0x1.c6b752p-5f);
  q = fma(q, r, (vec)0x1.ebf9bcp-3f);
  q = fma(q, r, (vec)0x1.62e42ap-1f);
  q = fma(q, r, (vec)1.0f);
  return AS_VEC(AS_IVEC(q) + (AS_IVEC(shifted) << 23));
}
#else
inline vec exponential(vec x) { return exp(x); }
inline vec negative_exponential(vec x) { return exp(x); }
inline vec negative_power_of_2(vec x) { return exp2(x); }
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

// From here on the tail of the normal distribution, below 2^-130, counts as 0; its factors are not right there.
#define NO_TAIL 13.2f

// The normal distribution left of -a, in two factors: writes exp(-a^2/2), returns t Q(t) with t = 1 / (1 + 0.4 a).
// Q was fitted to a relative error of 4e-8 or, where that is larger, half of what rounding a^2/2 costs; rounding makes it
// 7 units in 2^-24 at most, below -2 no more than 4 a^2/2 of them.
inline vec normal_tail(vec a, vec *gauss) {
  *gauss = negative_power_of_2(a * (vec)-0.72134752f * a);
  const vec t = (vec)1.0f / fma(a, (vec)0.4f, (vec)1.0f);
  vec q = fma(t, (vec)-0x1.30adc2p-5f, (vec)0x1.82d0b6p-3f);
  q = fma(q, t, (vec)-0x1.65fb68p-2f);
  q = fma(q, t, (vec)0x1.ca61dap-3f);
  q = fma(q, t, (vec)0x1.815956p-8f);
  q = fma(q, t, (vec)0x1.352816p-3f);
  q = fma(q, t, (vec)0x1.42b9bap-3f);
  q = fma(q, t, (vec)0x1.470314p-3f);
  return q * t;
}

// x - x tail for positive x, x tail for negative.
inline vec gelu(vec x) {
  vec gauss;
  const vec a = fabs(x), tail = normal_tail(a, &gauss) * gauss, linear = larger(x, (vec)0.0f);
  return a >= (vec)NO_TAIL ? linear : fma(-a, tail, linear);
}

// The slope at -a is tail - a density; at a it is 1 less that.
inline vec gelu_slope(vec x) {
  vec gauss;
  const vec a = fabs(x), ratio = normal_tail(a, &gauss);
  vec negative = gauss * fma(a, (vec)-0.3989422804014327f, ratio);
  negative = a >= (vec)NO_TAIL ? (vec)0.0f : negative;
  return x > (vec)0.0f ? (vec)1.0f - negative : negative;
}

KNOWN inline vec activation_value(vec x, int kind) {
  switch (kind) {
    case RELU: return x <= (vec)0.0f ? (vec)0.0f : x;
    case SILU: return x / ((vec)1.0f + exponential(-x));
    case GELU: return gelu(x);
    case GELU_TANH: return x / ((vec)1.0f + exponential(-gelu_argument(x)));
    case TANH: return hyperbolic_tangent(x);
    default: return x;
  }
}

inline vec activate(vec x, int kind) { return activation_value(x, kind); }

KNOWN inline vec activation_slope(vec x, int kind) {
  switch (kind) {
    case RELU: return x <= (vec)0.0f ? (vec)0.0f : (vec)1.0f;
    case SILU: {
      const vec s = logistic(x);
      return s * ((vec)1.0f + x * ((vec)1.0f - s));
    }
    case GELU: return gelu_slope(x);
    case GELU_TANH: {
      const vec s = logistic(gelu_argument(x));
      // Where x^2 exceeds 400, s (1 - s) is 0 and its factor must stay finite.
      const vec square = fmin(x * x, (vec)400.0f);
      const vec inner = (vec)1.5957691216057308f * ((vec)1.0f + (vec)0.134145f * square);
      return s + x * s * ((vec)1.0f - s) * inner;
    }
    case TANH: {
      // 1 - tanh^2 would cancel where the slope is small.
      const vec e = negative_exponential((vec)-2.0f * fabs(x));
      return (vec)4.0f * e / (((vec)1.0f + e) * ((vec)1.0f + e));
    }
    default: return (vec)1.0f;
  }
}
