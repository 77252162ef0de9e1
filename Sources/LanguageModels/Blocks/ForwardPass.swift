import Autodiff
import Compute

/// What the layers of one forward computation share: the batch, the prefixes, the cache.
final class ForwardPass {
  let tape: Tape
  let batch: PackedBatch
  private let prefixes: LayerPrefixes?
  private let cache: KeyValueCache?
  /// The layer that computes the wanted rows alone; nil if all layers compute all rows.
  let narrowLayer: Int?
  private var outputPositions: Indices?

  /// - Throws: `ComputeError.invalidArgument` if the prefixes do not fit the batch or the number of layers.
  init(_ batch: PackedBatch, layers: Int, prefixes: LayerPrefixes?, cache: KeyValueCache?, on tape: Tape) throws {
    func refuse(_ reason: String) -> ComputeError { .invalidArgument(operation: "encode", reason) }
    let length = prefixes?.length ?? 0
    guard length == batch.prefixLength else {
      throw refuse("prefixes of \(length) rows for a batch that was laid out for \(batch.prefixLength)")
    }
    if let prefixes {
      guard prefixes.keys.count == layers else {
        throw refuse("prefixes for \(prefixes.keys.count) layers, the model has \(layers)")
      }
      guard cache == nil else { throw refuse("with a cache, prefixes are stored in it first") }
    }
    self.tape = tape
    self.batch = batch
    self.prefixes = prefixes
    self.cache = cache
    narrowLayer = tape.savings.contains(.outputRows) ? layers - 1 : nil
  }

  private init(_ pass: ForwardPass, on tape: Tape) {
    self.tape = tape
    batch = pass.batch
    prefixes = pass.prefixes
    cache = pass.cache
    narrowLayer = pass.narrowLayer
  }

  /// The same on a tape of its own, for a layer that is computed again.
  func on(_ tape: Tape) -> ForwardPass { tape === self.tape ? self : ForwardPass(self, on: tape) }

  /// The rows of `x` that a layer has to answer for: in the last layer those that the batch asks for, else all.
  func kept(_ x: Variable, layer: Int) throws -> Variable {
    guard layer == narrowLayer, let rows = batch.outputRows else { return x }
    return try tape.selectRows(x, rows)
  }

  /// The rows that the batch asks for among what the last layer computed.
  func answers(_ x: Variable) throws -> Variable {
    guard narrowLayer == nil, let rows = batch.outputRows else { return x }
    return try tape.selectRows(x, rows)
  }

  /// The positions of the rows that `kept` gives.
  func keptPositions(layer: Int) throws -> Indices {
    guard layer == narrowLayer, let rows = batch.outputRows else { return batch.positions }
    if let outputPositions { return outputPositions }
    let positions = try tape.backend.indices(rows.values.map { batch.positions.values[Int($0)] })
    outputPositions = positions
    return positions
  }

  /// Who attends to whom among the rows that `kept` gives.
  func layout(layer: Int) -> AttentionLayout {
    guard layer == narrowLayer, let layout = batch.outputLayout else { return batch.layout }
    return layout
  }

  /// All keys and values that a layer's queries may see: those of the prefix or of the cache, and the new ones.
  func context(keys: Variable, values: Variable, layer: Int) throws -> (keys: Variable, values: Variable) {
    if let prefixes {
      return (
        try tape.concatRows([prefixes.keys[layer], keys]), try tape.concatRows([prefixes.values[layer], values])
      )
    }
    guard let cache, let rows = batch.cacheRows else { return (keys, values) }
    try cache.store(layer: layer, keys: keys.value, values: values.value, rows: rows)
    return (
      tape.constant(cache.keys[layer], name: "cached keys"), tape.constant(cache.values[layer], name: "cached values")
    )
  }
}
