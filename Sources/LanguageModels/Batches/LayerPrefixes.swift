import Autodiff

/// Keys and values that stand in front of those of the text in every layer (Li and Liang, 2021).
///
/// They are used as they are: a rotary embedding does not turn the keys. The positions of the text start after them.
public struct LayerPrefixes {
  /// For each layer `[P, keyWidth]`.
  public let keys: [Variable]
  /// For each layer `[P, valueWidth]`.
  public let values: [Variable]

  /// How many rows stand in front of each layer.
  public var length: Int { keys.first?.shape[0] ?? 0 }

  public init(keys: [Variable], values: [Variable]) {
    precondition(
      keys.count == values.count && Set((keys + values).map { $0.shape[0] }).count <= 1,
      "a prefix has keys and values of one length in every layer")
    self.keys = keys
    self.values = values
  }
}
