/// The kernels of `ComputeBackend`, by the names of its requirements.
public enum Kernel: String, Sendable, CaseIterable {
  case fill, copy
  case matmul, softmax, softmaxBackward
  case layerNorm, layerNormBackward, layerNormBackwardParameters
  case rmsNorm, rmsNormBackward, rmsNormBackwardWeight
  case activation, activationBackward, gated, gatedBackward
  case add, multiply, scale, addScaled, scaleRows
  case gatherRows, scatterAddRows, scatterRows, copyColumns, columnSums, argmaxRows
  case rotary
  case crossEntropy, crossEntropyBackward
  case attention, attentionBackward
  case adamW, adafactor, sgd
  case sumOfSquares, sum, firstNonFinite
  case dropout
  case builtin
}
