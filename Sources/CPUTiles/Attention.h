// Scores of attention: a row for each key, a lane for each query.

/// The lanes that see a key at this position.
INLINE vi visible(const CPUScores *a, int64_t key, vi lanes) {
  const int64_t limit = 1 << 30;
  int64_t behind = a->causal ? key - a->firstQuery : -limit;
  int64_t ahead = a->window >= 0 ? key + a->window - a->firstQuery : limit;
  behind = behind < -limit ? -limit : behind > limit ? limit : behind;
  ahead = ahead < -limit ? -limit : ahead > limit ? limit : ahead;
  return (lanes >= (int32_t)behind) & (lanes < (int32_t)ahead);
}

INLINE vf score(const CPUScores *a, vf raw, int64_t key, int64_t lane) {
  vf s = raw * splat(a->scale);
  return a->bias ? s + load(a->bias + (a->firstQuery - key) + lane) : s;
}

static void attention_scores(float *s, int64_t keys, int64_t width, const CPUScores *attributes, float *maximum) {
  for (int64_t lane = 0; lane < width; lane += LANES) {
    vi lanes = lane_numbers() + (int32_t)lane;
    vf largest = load(maximum + lane);
    for (int64_t j = 0; j < keys; j++) {
      float *place = s + j * width + lane;
      int64_t key = attributes->firstKey + j;
      vf v = score(attributes, load(place), key, lane);
      v = choose(visible(attributes, key, lanes), v, splat(-__builtin_inff()));
      store(place, v);
      largest = larger(v, largest);
    }
    store(maximum + lane, largest);
  }
}

static void attention_exponentials(float *s, int64_t keys, int64_t width, const float *maximum, float *sum) {
  for (int64_t lane = 0; lane < width; lane += LANES) {
    vf largest = load(maximum + lane);
    vf shift = choose(largest == splat(-__builtin_inff()), splat(0), largest);
    vf total = {};
    for (int64_t j = 0; j < keys; j++) {
      float *place = s + j * width + lane;
      vf e = exponential(load(place) - shift);
      store(place, e);
      total += e;
    }
    store(sum + lane, total);
  }
}

static void attention_probabilities(
    float *s, int64_t keys, int64_t width, const CPUScores *attributes, const float *logSumExp) {
  for (int64_t lane = 0; lane < width; lane += LANES) {
    vi lanes = lane_numbers() + (int32_t)lane;
    vf shift = load(logSumExp + lane);
    for (int64_t j = 0; j < keys; j++) {
      float *place = s + j * width + lane;
      int64_t key = attributes->firstKey + j;
      vf p = exponential(score(attributes, load(place), key, lane) - shift);
      store(place, choose(visible(attributes, key, lanes), p, splat(0)));
    }
  }
}

static void attention_differences(
    const float *p, float *d, int64_t keys, int64_t width, const float *delta, int64_t firstKey, int64_t firstQuery,
    float *histogram) {
  for (int64_t lane = 0; lane < width; lane += LANES) {
    vf inner = load(delta + lane);
    for (int64_t j = 0; j < keys; j++) {
      float *place = d + j * width + lane;
      vf v = load(p + j * width + lane) * (load(place) - inner);
      store(place, v);
      if (histogram) {
        float *bin = histogram + (firstQuery - firstKey - j) + lane;
        store(bin, load(bin) + v);
      }
    }
  }
}
