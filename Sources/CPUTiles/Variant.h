// Everything that a variant consists of. The including file defines LANES, VARIANT (the name of the table),
// VARIANT_NAME, and PAIRS where the instruction set multiplies pairs of bf16 values.

#include "Vector.h"
#include "Functions.h"
#include "Product.h"
#include "PairRows.h"
#include "Stream.h"
#include "Packing.h"
#include "Elementwise.h"
#include "Reductions.h"
#include "Rows.h"
#include "Attention.h"
#include "AttentionPairs.h"
#include "Optimizers.h"
#include "Peak.h"

const CPUTiles VARIANT = {
    .name = VARIANT_NAME,
    .lanes = LANES,
    .tileRows = TILE_ROWS,
    .tileColumns = TILE_VECTORS * LANES,
    .strip = strip,
    .dots = dots,
    .stream = stream,
    .fetch = fetch,
    .finishSums = finish_sums,
#ifdef PAIRS
    .pairStrip = pair_strip,
    .unpackedPairStrip = unpacked_pair_strip,
    .dotPairs = dot_pairs,
#endif
    .pack = pack,
    .packPairs = pack_pairs,
    .roundPairs = round_pairs,
    .transpose = transpose_matrix,
    .copyPast = copy_past,
    .widen = widen,
    .roundToBF16 = round_to_bf16,
    .fill = fill,
    .add = add,
    .multiply = multiply,
    .scale = scale,
    .addScaled = add_scaled,
    .activation = activation,
    .activationBackward = activation_backward,
    .gated = gated,
    .gatedBackward = gated_backward,
    .dropout = dropout,
    .rotate = rotate,
    .sum = sum,
    .sumOfSquares = sum_of_squares,
    .firstNonFinite = first_non_finite,
    .argmax = argmax,
    .columnSums = column_sums,
    .softmax = softmax,
    .softmaxBackward = softmax_backward,
    .logSumExp = log_sum_exp,
    .scaledExp = scaled_exp,
    .layerNorm = layer_norm,
    .layerNormBackward = layer_norm_backward,
    .rmsNorm = rms_norm,
    .rmsNormBackward = rms_norm_backward,
    .normParameters = norm_parameters,
    .attentionForward = attention_forward,
    .attentionGradient = attention_gradient,
    .attentionForwardScratch = attention_forward_scratch,
    .attentionGradientScratch = attention_gradient_scratch,
    .attentionQueries = STRIP,
    .attentionGradientQueries = GRADIENT_STRIPS * STRIP,
#ifdef PAIRS
    .attentionForwardPairs = attention_forward_pairs,
    .attentionGradientPairs = attention_gradient_pairs,
    .attentionForwardPairsScratch = attention_forward_pairs_scratch,
    .attentionGradientPairsScratch = attention_gradient_pairs_scratch,
    .attentionPairQueries = PAIR_QUERIES,
#endif
    .adamW = adam_w,
    .sgd = sgd,
    .adafactorSum = adafactor_sum,
    .adafactorColumns = adafactor_columns,
    .adafactorMoment = adafactor_moment,
    .adafactorUpdateSquares = adafactor_update_squares,
    .adafactorStep = adafactor_step,
    .multiplyAdds = multiply_adds,
    .peakSums = PEAK_SUMS,
#ifdef PAIRS
    .multiplyAddPairs = multiply_add_pairs,
#endif
};
