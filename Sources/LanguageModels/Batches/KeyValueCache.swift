import Compute

/// Keys and values of tokens that were already computed, one pair of matrices `[capacity, width]` for each layer.
///
/// Rows are handed out by whoever decodes; the layout of each batch says which rows a token sees.
public final class KeyValueCache {
  /// Rows of each matrix.
  public let capacity: Int
  /// `[capacity, width]` of each layer.
  public let keys: [Tensor]
  /// `[capacity, width]` of each layer.
  public let values: [Tensor]
  private let backend: any ComputeBackend

  public init(capacity: Int, layers: Int, keyWidth: Int, valueWidth: Int, on backend: any ComputeBackend) throws {
    self.capacity = capacity
    self.backend = backend
    keys = try (0..<layers).map { _ in try backend.zeros([capacity, keyWidth]) }
    values = try (0..<layers).map { _ in try backend.zeros([capacity, valueWidth]) }
  }

  /// A cache for a model's keys and values.
  public convenience init(capacity: Int, for model: any LanguageModel) throws {
    try self.init(
      capacity: capacity, layers: model.facts.layers, keyWidth: model.facts.keyWidth,
      valueWidth: model.facts.valueWidth, on: model.backend)
  }

  /// Writes the keys and values of prefixes to rows, from which every later batch may read them.
  ///
  /// - Parameter rows: one for each row of a prefix.
  public func store(_ prefixes: LayerPrefixes, rows: Indices) throws {
    for (layer, (keys, values)) in zip(prefixes.keys, prefixes.values).enumerated() {
      try store(layer: layer, keys: keys.value, values: values.value, rows: rows)
    }
  }

  /// Writes the keys and values of a layer to their rows.
  func store(layer: Int, keys newKeys: Tensor, values newValues: Tensor, rows: Indices) throws {
    try backend.scatterRows(newKeys, rows, to: keys[layer])
    try backend.scatterRows(newValues, rows, to: values[layer])
  }

  /// Copies rows to other rows in all layers, as beam search does when a hypothesis continues another one.
  ///
  /// All sources are read before any destination is written.
  public func copyRows(from sources: [Int32], to destinations: [Int32]) throws {
    guard !sources.isEmpty else { return }
    let (from, to) = (try backend.indices(sources), try backend.indices(destinations))
    for tensor in keys + values { try backend.scatterRows(try backend.gatherRows(tensor, from), to, to: tensor) }
  }
}
