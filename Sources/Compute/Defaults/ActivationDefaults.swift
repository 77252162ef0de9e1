extension ComputeBackend {
  /// The default body: `activation`, then `multiply`.
  public func gated(_ kind: Activation, gate: Tensor, up: Tensor, into output: Tensor) throws {
    try activation(kind, gate, into: output)
    try multiply(output, up, into: output)
  }

  /// The default body: `activation` and `activationBackward`, each followed by `multiply`.
  public func gatedBackward(
    _ kind: Activation, _ cotangent: Tensor, gate: Tensor, up: Tensor, gateGradient: Tensor, upGradient: Tensor
  ) throws {
    try activationBackward(kind, cotangent, x: gate, into: gateGradient)
    try multiply(gateGradient, up, into: gateGradient)
    try activation(kind, gate, into: upGradient)
    try multiply(upGradient, cotangent, into: upGradient)
  }
}
