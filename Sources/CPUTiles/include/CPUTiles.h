// The innermost loops of the CPU backend, compiled once for each instruction set.
//
// Every variant is a table of the same functions. They work on ranges that the caller has cut out for one thread,
// allocate nothing and keep no state. Matrices are row-major; a leading dimension (`ld`) counts elements.
//
// What `bypasses` the caches is written straight to memory; every row of it starts at a multiple of 64 bytes. That suits
// outputs that are too long to stay in a cache. It also suits memory that several cores have read: before a cache may
// write to such a line, all others have to give theirs up, one line after the other.

#ifndef CPU_TILES_H
#define CPU_TILES_H

#include <stddef.h>
#include <stdint.h>

/// Lets the other thread of the core, or nobody, go first for a moment: in a loop that waits for a change of memory.
static inline void cpu_pause(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

#pragma clang assume_nonnull begin

/// How the elements of a matrix B lie in memory.
typedef enum CPUElement { CPU_F32 = 0, CPU_BF16 = 1, CPU_F16 = 2 } CPUElement;

/// The non-linearities, in the order of `Activation.allCases`.
typedef enum CPUActivation { CPU_RELU = 0, CPU_SILU = 1, CPU_GELU = 2, CPU_GELU_TANH = 3, CPU_TANH = 4 } CPUActivation;

/// What becomes of a sum of products: `c = alpha sum + bias + beta addend`.
typedef struct CPUEpilogue {
  float *c;
  int64_t ldc;
  float alpha;
  float beta;
  /// Of the shape of c; may be c itself.
  const float *_Nullable addend;
  int64_t ldAddend;
  /// One value per column.
  const float *_Nullable bias;
  /// Whether c is written past the caches (see above).
  int32_t bypasses;
} CPUEpilogue;

/// Memory that will be read soon, asked for line by line while something else is computed.
///
/// A processor drops requests beyond a few dozen at a time, so they are spread out.
typedef struct CPURequest {
  const char *start;
  /// Consecutive bytes, and how many such runs there are, `stride` bytes apart.
  int64_t bytes;
  int64_t runs;
  int64_t stride;
  /// What is asked for next.
  int64_t run;
  int64_t byte;
  /// How much at a time, in lines of 64 bytes; whoever asks sets it.
  int64_t lines;
} CPURequest;

/// Consecutive rows of k and v that a tile of queries sees.
typedef struct CPUKeyRange {
  int64_t row;
  int64_t count;
  /// Position of the first.
  int64_t position;
  /// Keys behind a query's position are hidden from it.
  int32_t causal;
} CPUKeyRange;

/// Some queries of one head at consecutive positions, with the keys that any of them sees.
typedef struct CPUAttentionTile {
  /// The first query, `[queries][ldQ]`.
  const float *q;
  int64_t ldQ;
  int64_t queries;
  int64_t firstQuery;
  /// Row 0 of the head's keys.
  const float *k;
  int64_t ldK;
  /// Row 0 of the head's values.
  const float *v;
  int64_t ldV;
  /// Columns of a head of q and k.
  int64_t width;
  /// Columns of a head of v.
  int64_t valueWidth;
  float scale;
  /// Keys at `query - window` and before are hidden; negative for no window.
  int64_t window;
  /// Added to a score, by `query position - key position`; points at the entry for 0.
  const float *_Nullable bias;
  const CPUKeyRange *ranges;
  int64_t rangeCount;
  /// Written by the forward pass and read by the backward one, every `ldLogSumExp`-th.
  float *logSumExp;
  int64_t ldLogSumExp;
} CPUAttentionTile;

/// What the backward pass of a tile reads besides, and its results.
typedef struct CPUAttentionGradients {
  /// The first query's, `[queries][ldOutput]`.
  const float *cotangent;
  const float *output;
  int64_t ldOutput;
  /// The first query's; written.
  float *dq;
  int64_t ldDQ;
  /// Row 0 of the head's, in rows as long as those of k and v; added to.
  float *dk;
  float *dv;
  /// Gradients of scores are added up by `query position - key position`; points at the entry for 0.
  float *_Nullable histogram;
} CPUAttentionGradients;

typedef struct CPUTiles {
  const char *name;
  /// Floats in a vector.
  int32_t lanes;
  /// Rows of a register tile.
  int32_t tileRows;
  /// Columns of a register tile.
  int32_t tileColumns;

  // Products (Product.h)

  /// An `[m, columns]` strip of a product, `columns <= tileColumns`, of A `[m][lda]` and B `[k][ldb]`, which is
  /// readable up to the next multiple of `lanes` columns. Memory is asked for what lies `ahead` rows of B further, if
  /// not 0. What is requested comes with the last rows.
  void (*strip)(
      CPUElement element, int64_t m, int64_t columns, int64_t k, const float *a, int64_t lda, const void *b,
      int64_t ldb, int64_t ahead, CPURequest *_Nullable request, const CPUEpilogue *epilogue);
  /// `[m, n]` products of rows of A `[m][lda]` with rows of B `[n][ldb]`, read in place.
  void (*dots)(
      CPUElement element, int64_t m, int64_t n, int64_t k, const float *a, int64_t lda, const void *b, int64_t ldb,
      const CPUEpilogue *epilogue);
  /// Sums `[m][lds]` of the products of A `[m][lda]` and B `[k][ldb]`, which is read row by row. The sums have room up to
  /// the next multiple of `lanes` columns.
  void (*stream)(
      CPUElement element, int64_t m, int64_t columns, int64_t k, const float *a, int64_t lda, const void *b,
      int64_t ldb, float *sums, int64_t lds);
  /// Asks for rows of `columns` elements in f32, `[rows][ld]`, before they are needed.
  void (*fetch)(const float *x, int64_t rows, int64_t columns, int64_t ld);
  /// What becomes of several such sums, `partSize` elements apart, when they are added up in order.
  void (*finishSums)(
      int64_t m, int64_t columns, int64_t parts, const float *sums, int64_t lds, int64_t partSize,
      const CPUEpilogue *epilogue);
  /// As `strip`, with A `[m][lda]` and B `[(k + 1) / 2][ldb]` made of pairs of bf16 values; null where the instruction
  /// set does not multiply them.
  void (*_Nullable pairStrip)(
      int64_t m, int64_t columns, int64_t k, const uint32_t *a, int64_t lda, const uint32_t *b, int64_t ldb,
      CPURequest *_Nullable request, const CPUEpilogue *epilogue);

  // Products of pairs with a B of bf16 values as it lies, for 4 rows of A or more; null where `pairStrip` is
  // (PairRows.h)

  /// As `strip`, with A made of pairs of bf16 values; `columns` is a multiple of `lanes`.
  void (*_Nullable unpackedPairStrip)(
      int64_t m, int64_t columns, int64_t k, const uint32_t *a, int64_t lda, const uint16_t *b, int64_t ldb,
      int64_t ahead, const CPUEpilogue *epilogue);
  /// As `dots`, with A made of pairs of bf16 values.
  void (*_Nullable dotPairs)(
      int64_t m, int64_t n, int64_t k, const uint32_t *a, int64_t lda, const uint16_t *b, int64_t ldb,
      const CPUEpilogue *epilogue);

  // Packing (Packing.h)

  /// Copies `columns` columns of B to `[k][ldo]`, widened to f32 and, if asked, rounded to bf16; columns up to the next
  /// multiple of `lanes` become 0. B is `[k][ldb]`, or `[columns][ldb]` if transposed.
  void (*pack)(
      CPUElement element, int32_t transposed, int32_t rounds, int64_t columns, int64_t k, const void *b, int64_t ldb,
      float *output, int64_t ldo);
  /// As `pack`, but rounds to bf16 and writes pairs of neighbours in k, `[(k + 1) / 2][ldo]`.
  void (*packPairs)(
      CPUElement element, int32_t transposed, int64_t columns, int64_t k, const void *b, int64_t ldb,
      uint32_t *output, int64_t ldo);
  /// Rounds a row of k values to bf16 and writes them as `(k + 1) / 2` pairs.
  void (*roundPairs)(const float *x, uint32_t *output, int64_t k, int32_t bypasses);
  /// `output[c][r] = x[r][c]`.
  void (*transpose)(const float *x, int64_t ldx, int64_t rows, int64_t columns, float *output, int64_t ldo);
  /// Copies past the caches.
  void (*copyPast)(const float *x, float *output, int64_t n);
  void (*widen)(CPUElement element, const void *x, float *output, int64_t n);
  void (*roundToBF16)(const float *x, float *output, int64_t n);

  // Elementwise (Elementwise.h); an output may be an input

  void (*fill)(float *output, float value, int64_t n);
  void (*add)(const float *a, const float *b, float *output, int64_t n);
  void (*multiply)(const float *a, const float *b, float *output, int64_t n);
  void (*scale)(const float *x, float factor, float *output, int64_t n);
  void (*addScaled)(const float *x, float factor, float *accumulator, int64_t n);
  void (*activation)(CPUActivation kind, const float *x, float *output, int64_t n, int32_t bypasses);
  void (*activationBackward)(
      CPUActivation kind, const float *cotangent, const float *x, float *output, int64_t n, int32_t bypasses);
  void (*gated)(CPUActivation kind, const float *gate, const float *up, float *output, int64_t n);
  void (*gatedBackward)(
      CPUActivation kind, const float *cotangent, const float *gate, const float *up, float *gateGradient,
      float *upGradient, int64_t n);
  void (*dropout)(
      const float *x, float *output, int64_t first, int64_t n, float probability, uint64_t seed, uint64_t stream);
  /// One head's row: pairs are rotated, the rest is copied.
  void (*rotate)(
      const float *x, const float *cosines, const float *sines, int64_t pairs, int64_t width, int32_t interleaved,
      float *output);

  // Reductions (Reductions.h)

  float (*sum)(const float *x, int64_t n);
  float (*sumOfSquares)(const float *x, int64_t n);
  /// The first NaN or infinity, or -1.
  int64_t (*firstNonFinite)(const float *x, int64_t n);
  /// The first of the largest; NaN counts as largest.
  int64_t (*argmax)(const float *x, int64_t n);
  /// `output[j] = sum over rows of x[r][j]`.
  void (*columnSums)(const float *x, int64_t ld, int64_t rows, int64_t columns, float *output);

  // Rows (Rows.h)

  void (*softmax)(const float *x, const float *_Nullable mask, float scale, float *output, int64_t n);
  void (*softmaxBackward)(const float *cotangent, const float *y, float scale, float *output, int64_t n);
  /// Logarithm of the sum of exponentials; -infinity for a row of those.
  float (*logSumExp)(const float *x, int64_t n);
  /// `output = factor exp(x - logSumExp)`.
  void (*scaledExp)(const float *x, float logSumExp, float factor, float *output, int64_t n);
  void (*layerNorm)(
      const float *x, const float *weight, const float *_Nullable bias, float epsilon, float *output, float *mean,
      float *rstd, int64_t n);
  void (*layerNormBackward)(
      const float *cotangent, const float *x, const float *weight, float mean, float rstd, float *output, int64_t n);
  void (*rmsNorm)(const float *x, const float *weight, float epsilon, float *output, float *rstd, int64_t n);
  void (*rmsNormBackward)(
      const float *cotangent, const float *x, const float *weight, float rstd, float *output, int64_t n);
  /// Sums over rows of `cotangent (x - mean) rstd` and, if asked, of `cotangent`; no mean for root-mean-square.
  void (*normParameters)(
      const float *cotangent, const float *x, const float *_Nullable mean, const float *rstd, int64_t ld, int64_t rows,
      int64_t columns, float *weight, float *_Nullable bias);

  // Attention (Attention.h)

  /// The output of a tile of at most `attentionQueries` queries, `[queries][ldOutput]`. k can be read as wide as it is,
  /// rows of v up to the next multiple of `lanes`.
  void (*attentionForward)(const CPUAttentionTile *tile, float *output, int64_t ldOutput, float *scratch);
  /// The gradients of a tile of at most `attentionGradientQueries` queries. Rows of k, v and their gradients go
  /// up to the next multiple of `lanes`.
  void (*attentionGradient)(const CPUAttentionTile *tile, const CPUAttentionGradients *gradients, float *scratch);
  /// Floats of scratch that these need.
  int64_t (*attentionForwardScratch)(int64_t width, int64_t valueWidth);
  int64_t (*attentionGradientScratch)(int64_t width, int64_t valueWidth);
  /// Biases and histograms are read and written for whole multiples of this many queries.
  int32_t attentionQueries;
  int32_t attentionGradientQueries;
  /// As above with the operands of products rounded to bf16, for at most `attentionPairQueries` queries; null where the
  /// instruction set does not multiply pairs (AttentionPairs.h).
  void (*_Nullable attentionForwardPairs)(
      const CPUAttentionTile *tile, float *output, int64_t ldOutput, float *scratch);
  void (*_Nullable attentionGradientPairs)(
      const CPUAttentionTile *tile, const CPUAttentionGradients *gradients, float *scratch);
  int64_t (*_Nullable attentionForwardPairsScratch)(int64_t width, int64_t valueWidth);
  int64_t (*_Nullable attentionGradientPairsScratch)(int64_t width, int64_t valueWidth);
  int32_t attentionPairQueries;

  // Optimizers (Optimizers.h)

  /// `stepSize = rate / (1 - b1^t)`, `correction = 1 / sqrt(1 - b2^t)`.
  void (*adamW)(
      float *parameter, const float *gradient, float *first, float *second, int64_t n, float beta1, float beta2,
      float keep, float stepSize, float correction, float epsilon);
  void (*sgd)(
      float *parameter, const float *gradient, float *_Nullable velocity, int64_t n, float rate, float momentum,
      float decay);
  /// The sum of `gradient^2 + epsilon`.
  float (*adafactorSum)(const float *gradient, float epsilon, int64_t n);
  /// `output[j] += sum over rows of gradient^2 + epsilon`.
  void (*adafactorColumns)(
      const float *gradient, int64_t ld, int64_t rows, int64_t columns, float epsilon, float *output);
  /// `moment = beta moment + (1 - beta) (gradient^2 + epsilon)`.
  void (*adafactorMoment)(const float *gradient, float *moment, float beta, float epsilon, int64_t n);
  /// The sum of squares of `u = gradient / sqrt(factor moment)`.
  float (*adafactorUpdateSquares)(const float *gradient, const float *moment, float factor, int64_t n);
  /// `parameter = keep parameter - step u`.
  void (*adafactorStep)(
      float *parameter, const float *gradient, const float *moment, float factor, float keep, float step, int64_t n);

  // Peaks (Peak.h)

  /// `rounds` of `peakSums` vectors `sum = factor sum + shift`; returns the sum of them all.
  float (*multiplyAdds)(int64_t rounds, float factor, float shift);
  /// As `multiplyAdds`, with `sum += factor shift` for a pair of bf16 values in each lane; null where the instruction
  /// set does not multiply them.
  float (*_Nullable multiplyAddPairs)(int64_t rounds, float factor, float shift);
  /// Vectors that these loops add to.
  int32_t peakSums;
} CPUTiles;

/// The variant of that number, or null where there is none or the processor cannot run it.
///
/// Numbers go from the plainest instruction set (0, always there) upwards.
const CPUTiles *_Nullable cpu_tiles(int32_t number);

/// How many numbers there are.
int32_t cpu_tiles_count(void);

/// The cores that this process may run on, of which a container or `taskset` may allow fewer than there are; 0 where that
/// is not known.
int32_t cpu_allowed_cores(void);

#pragma clang assume_nonnull end

#endif
