// Exponential and error function, a few units in the last place; NaN gives NaN.

/// Added to a float of less than 2^22 it leaves the nearest integer in the low bits.
#define ROUNDING 0x1.8p23f

/// x is cut into n ln 2 + r with |r| <= ln 2 / 2; this is e^r = 1 + r + r^2 q(r) with q a Chebyshev fit of degree 4
/// (relative error 1e-8). `shifted` becomes n + ROUNDING.
INLINE vf exponential_rest(vf x, vf *shifted) {
  *shifted = x * splat(0x1.715476p0f) + splat(ROUNDING);
  vf n = *shifted - splat(ROUNDING);
  vf r = x - n * splat(0.693359375f);
  r = r + n * splat(2.12194440e-4f);
  vf q = splat(0.001393388374708593f);
  q = q * r + splat(0.008363335393369198f);
  q = q * r + splat(0.041666463017463684f);
  q = q * r + splat(0.16666576266288757f);
  q = q * r + splat(0.5f);
  return (q * r) * r + (r + 1);
}

/// e^x; 2^n is multiplied in two halves, so that the whole range of floats is reached.
INLINE vf exponential(vf x) {
  x = choose(x > 89, splat(89), x);
  x = choose(x < -104, splat(-104), x);
  vf shifted, p = exponential_rest(x, &shifted);
  vi exponent = (vi)shifted - (vi)splat(ROUNDING);
  vi half = exponent >> 1;
  return p * (vf)((half + 127) << 23) * (vf)((exponent - half + 127) << 23);
}

/// e^x for x that are not above 0, or a little: as above, but 0 below 2^-126.5, so that one factor is enough.
INLINE vf negative_exponential(vf x) {
  vf shifted, p = exponential_rest(choose(x < -88, splat(-88), x), &shifted);
  return p * (vf)(((vi)shifted << 23) + 0x3F800000);  // 0 for n = -127
}

/// 1 / (1 + e^-x)
INLINE vf logistic(vf x) { return 1 / (1 + exponential(-x)); }

/// 2^x for -126 <= x <= 0. 2^r for |r| <= 1/2 is a fit of degree 5 (relative error 9e-8).
INLINE vf negative_power_of_2(vf x) {
  const vf magic = splat(0x1.8p23f);
  vf shifted = x + magic;
  vf r = x - (shifted - magic);
  vf q = splat(0x1.5bba14p-10f);
  q = q * r + splat(0x1.3cea88p-7f);
  q = q * r + splat(0x1.c6b752p-5f);
  q = q * r + splat(0x1.ebf9bcp-3f);
  q = q * r + splat(0x1.62e42ap-1f);
  q = q * r + 1;
  return (vf)((vi)q + ((vi)shifted << 23));
}

/// The normal distribution left of -a, in two factors: writes e^(-a^2/2), returns t Q(t) with t = 1 / (1 + 0.4 a).
///
/// Q is a fit of degree 7 (relative error 4e-8 or, where that is larger, half of what rounding a^2/2 costs).
INLINE vf normal_tail(vf a, vf *gauss) {
  *gauss = negative_power_of_2((a * splat(-0.72134752f)) * a);
  vf t = 1 / (1 + a * splat(0.4f));
  vf q = splat(-0x1.30adc2p-5f);
  q = q * t + splat(0x1.82d0b6p-3f);
  q = q * t + splat(-0x1.65fb68p-2f);
  q = q * t + splat(0x1.ca61dap-3f);
  q = q * t + splat(0x1.815956p-8f);
  q = q * t + splat(0x1.352816p-3f);
  q = q * t + splat(0x1.42b9bap-3f);
  q = q * t + splat(0x1.470314p-3f);
  return q * t;
}

/// Lanes where the tail, below 2^-130, counts as 0; its factors are not right there.
INLINE vi has_no_tail(vf a) { return a >= splat(13.2f); }

/// x - x tail for positive x, x tail for negative.
INLINE vf gelu(vf x) {
  vf gauss, a = magnitude(x), linear = larger(x, splat(0));
  vf tail = normal_tail(a, &gauss) * gauss;
  return choose(has_no_tail(a), linear, linear - a * tail);
}

/// The slope at -a is tail - a density; at a it is 1 less that.
INLINE vf gelu_slope(vf x) {
  vf gauss, a = magnitude(x);
  vf ratio = normal_tail(a, &gauss);
  vf negative = choose(has_no_tail(a), splat(0), gauss * (ratio - a * splat(0.3989422804014327f)));
  return choose(x > 0, 1 - negative, negative);
}

/// sqrt(2 / pi) (x + 0.044715 x^3), twice: tanh(u) = 2 logistic(2 u) - 1.
INLINE vf gelu_tanh_argument(vf x) {
  return x * (splat(1.5957691216057308f) + (x * x) * splat(0.07135481282956122f));
}

/// tanh x. Near 0 the fifth convergent of Lambert's continued fraction, x / (1 + x^2 / (3 + x^2 / (5 + ...))) (relative
/// error below 1e-9 up to 0.6), because 1 - 2 / (1 + e^2x) cancels there.
INLINE vf hyperbolic_tangent(vf x) {
  vf s = x * x;
  vf near = x * (splat(945) + s * (splat(105) + s)) / (splat(945) + s * (splat(420) + s * splat(15)));
  vf far = 1 - 2 / (1 + exponential(x + x));
  return choose(magnitude(x) < splat(0.6f), near, far);
}

INLINE vf activate(int kind, vf x) {
  switch (kind) {
    case CPU_RELU: return choose(x <= 0, splat(0), x);
    case CPU_SILU: return x * logistic(x);
    case CPU_GELU: return gelu(x);
    case CPU_TANH: return hyperbolic_tangent(x);
    default: return x * logistic(gelu_tanh_argument(x));
  }
}

/// The slope of `x logistic(argument)` where `slope` is that of the argument. Where e^|argument| leaves the range of
/// floats it is 0 or 1; computing it there would multiply infinity by 0.
INLINE vf logistic_slope(vf x, vf argument, vf slope) {
  vf e = exponential(-argument);
  vf s = 1 / (1 + e);
  vf inner = s + (x * slope) * (s * (e * s));
  return choose(argument < -88, splat(0), choose(argument > 88, splat(1), inner));
}

INLINE vf activation_slope(int kind, vf x) {
  switch (kind) {
    case CPU_RELU: return choose(x <= 0, splat(0), choose(x > 0, splat(1), x));
    case CPU_SILU: return logistic_slope(x, x, splat(1));
    case CPU_GELU: return gelu_slope(x);
    case CPU_TANH: {
      // 1 - tanh^2 would cancel where the slope is small.
      vf e = negative_exponential(magnitude(x) * splat(-2));
      return 4 * e / ((1 + e) * (1 + e));
    }
    default: {
      vf slope = splat(1.5957691216057308f) + (x * x) * splat(3 * 0.07135481282956122f);
      return logistic_slope(x, gelu_tanh_argument(x), slope);
    }
  }
}
