// Exponential and error function, a few units in the last place; NaN gives NaN.

/// e^x. x is cut into n ln 2 + r with |r| <= ln 2 / 2; e^r = 1 + r + r^2 q(r) with q a Chebyshev fit of degree 4
/// (relative error 1e-8); 2^n is multiplied in two halves, so that the whole range of floats is reached.
INLINE vf exponential(vf x) {
  const vf magic = splat(0x1.8p23f);  // adding it leaves the nearest integer in the low bits
  x = choose(x > 89, splat(89), x);
  x = choose(x < -104, splat(-104), x);
  vf shifted = x * splat(0x1.715476p0f) + magic;
  vf n = shifted - magic;
  vf r = x - n * splat(0.693359375f);
  r = r + n * splat(2.12194440e-4f);
  vf q = splat(0.001393388374708593f);
  q = q * r + splat(0.008363335393369198f);
  q = q * r + splat(0.041666463017463684f);
  q = q * r + splat(0.16666576266288757f);
  q = q * r + splat(0.5f);
  vf p = (q * r) * r + (r + 1);
  vi exponent = (vi)shifted - (vi)magic;
  vi half = exponent >> 1;
  return p * (vf)((half + 127) << 23) * (vf)((exponent - half + 127) << 23);
}

/// 1 / (1 + e^-x)
INLINE vf logistic(vf x) { return 1 / (1 + exponential(-x)); }

/// The standard normal distribution function and its density at x.
///
/// The tail is `e^(-x^2/2) erfcx(|x| / sqrt 2) / 2`, with erfcx(z) = t Q(t), t = 1 / (1 + 0.3 z) and Q a Chebyshev fit
/// of degree 8 (relative error 3e-8).
INLINE vf normal_distribution(vf x, vf *density) {
  vf z = magnitude(x) * splat(0x1.6a09e6p-1f);
  vf t = 1 / (1 + z * splat(0.3f));
  vf q = splat(-0.12854795157909393f);
  q = q * t + splat(0.4807741343975067f);
  q = q * t + splat(-0.5022554397583008f);
  q = q * t + splat(0.5360689163208008f);
  q = q * t + splat(-0.0864361822605133f);
  q = q * t + splat(0.21133433282375336f);
  q = q * t + splat(0.1492893248796463f);
  q = q * t + splat(0.17057624459266663f);
  q = q * t + splat(0.16919662058353424f);
  vf gauss = exponential((x * splat(-0.5f)) * x);
  *density = gauss * splat(0.3989422804014327f);
  vf tail = (gauss * splat(0.5f)) * (q * t);
  return choose(x < 0, tail, 1 - tail);
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
    case CPU_GELU: {
      vf density;
      return x * normal_distribution(x, &density);
    }
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
    case CPU_GELU: {
      vf density;
      vf distribution = normal_distribution(x, &density);
      return distribution + x * density;
    }
    case CPU_TANH: {
      // 1 - tanh^2 would cancel where the slope is small.
      vf e = exponential(magnitude(x) * splat(-2));
      return 4 * e / ((1 + e) * (1 + e));
    }
    default: {
      vf slope = splat(1.5957691216057308f) + (x * x) * splat(3 * 0.07135481282956122f);
      return logistic_slope(x, gelu_tanh_argument(x), slope);
    }
  }
}
