import Autodiff
import Compute
import LanguageModels

/// Which columns of a prefix are the keys and values of which layer.
///
/// A row is cut into slices of `sliceWidth` numbers: of layer 0 the keys, then the values, then those of layer 1, as PEFT
/// and P-tuning v2 have it. For T5, whose decoder the prefix belongs to, PEFT doubles the slices, takes them in fours and
/// leaves two of each four out: layer i has the slices 4i and 4i + 1, counted modulo their number.
public struct PrefixLayout: Sendable, Hashable {
  /// Layers that attend to a prefix.
  public let layers: Int
  /// Columns of the keys, and of the values, of a layer.
  public let sliceWidth: Int
  /// Heads that share a slice.
  public let heads: Int
  /// Whether PEFT has this layout for the model.
  public let isKnownToPEFT: Bool
  private let isCrosswise: Bool

  /// Columns of a row: two slices for each layer.
  public var width: Int { 2 * layers * sliceWidth }

  /// - Throws: `MethodError.refused` for a model whose keys and values are of different widths.
  public init(_ model: any LanguageModel) throws {
    try self.init(model.facts, decoderLayers: (model as? any EncoderDecoderModel)?.decoderLayers)
  }

  /// - Parameter decoderLayers: of an encoder-decoder; nil for other models.
  init(_ facts: ModelFacts, decoderLayers: Int?) throws {
    guard facts.keyWidth == facts.valueWidth else {
      throw MethodError.refused(
        "'\(facts.modelType)' has keys of \(facts.keyWidth) columns and values of \(facts.valueWidth): a prefix needs one width"
      )
    }
    sliceWidth = facts.keyWidth
    heads = facts.keyValueHeads
    if let decoderLayers {
      layers = decoderLayers
      isKnownToPEFT = facts.keyWidth == facts.hiddenWidth && decoderLayers == facts.layers
      isCrosswise = isKnownToPEFT
    } else {
      layers = facts.layers
      isKnownToPEFT = true
      isCrosswise = false
    }
  }

  /// The slices of a layer's keys and values.
  public func slices(ofLayer layer: Int) -> (keys: Int, values: Int) {
    isCrosswise ? (4 * layer % (2 * layers), (4 * layer + 1) % (2 * layers)) : (2 * layer, 2 * layer + 1)
  }

  /// Rows `[length, width]` as keys and values of every layer.
  func prefixes(_ rows: Variable, on tape: Tape) throws -> LayerPrefixes {
    let slices = try tape.splitColumns(rows, widths: [Int](repeating: sliceWidth, count: 2 * layers))
    let places = (0..<layers).map { self.slices(ofLayer: $0) }
    return LayerPrefixes(keys: places.map { slices[$0.keys] }, values: places.map { slices[$0.values] })
  }
}

/// Dropout on the numbers of a prefix while it is trained (P-tuning v2).
public struct PrefixDropout: Sendable, Hashable {
  /// The probability that a number is left out.
  public var probability: Float
  public var seed: UInt64

  private static let stream: UInt64 = 0x7072_6566_0000_0000

  public init(probability: Float = 0, seed: UInt64 = 0) {
    self.probability = probability
    self.seed = seed
  }

  /// The rows, some of their numbers zero and the others larger, in a training step; else the rows themselves.
  func callAsFunction(_ rows: Variable, _ draw: PromptDraw?, on tape: Tape) throws -> Variable {
    guard let draw else { return rows }
    return try tape.dropout(
      rows, probability: probability, seed: seed,
      stream: PromptDraw.stream(Self.stream, step: draw.step, row: draw.firstRow))
  }
}
