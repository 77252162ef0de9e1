import Compute

extension Tape {
  /// Scaled dot-product attention over a packed batch (`ComputeBackend.attention`).
  ///
  /// - Parameters:
  ///   - q: `[Q, heads width]`.
  ///   - k: `[K, keyValueHeads width]`.
  ///   - v: `[K, keyValueHeads valueWidth]`.
  ///   - table: the relative-position table if `attributes.bias` has one that is trained.
  /// - Returns: `[Q, heads valueWidth]`.
  public func attention(
    q: Variable, k: Variable, v: Variable, _ layout: AttentionLayout, _ attributes: AttentionAttributes,
    table: Variable? = nil
  ) throws -> Variable {
    let result = try backend.attention(q: q.value, k: k.value, v: v.value, layout, attributes)
    let (backend, queries, keys, values) = (backend, q.value, k.value, v.value)
    let inputs = [q, k, v] + (table.map { [$0] } ?? [])
    return try record("attention", result.output, inputs: inputs) { cotangent, wanted in
      let gradients = try backend.attentionBackward(
        cotangent, q: queries, k: keys, v: values, result, layout, attributes,
        wantsTable: wanted.count == 4 && wanted[3])
      let parts = [gradients.q, gradients.k, gradients.v]
      return wanted.count == 4 ? parts + [gradients.table] : parts
    }
  }

  /// Rotary position embedding of heads side by side, `[tokens, heads width]`.
  public func rotary(_ x: Variable, _ positions: Indices, _ attributes: RotaryAttributes) throws -> Variable {
    let backend = backend
    return try record("rotary", try backend.rotary(x.value, positions, attributes), inputs: [x]) { cotangent, _ in
      [try backend.rotaryBackward(cotangent, positions, attributes)]
    }
  }
}
