import Autodiff
import Compute
import LanguageModels

/// The rows that a model reads of a batch: virtual tokens and tokens where the prompt says.
struct PromptedRows {
  /// `[shared + sum of lengths, embeddingWidth]`.
  var embeddings: Variable
  /// Keys and values in front in every layer: those of the prompt, or of tokens that all texts start with.
  var prefixes: LayerPrefixes?
  /// Rows at the beginning that stand in front of every example: virtual tokens, and tokens that all texts start with.
  var shared: Int
  /// The further rows of each example.
  var lengths: [Int]
  /// Where each example's tokens stand among its further rows, without those of a target and those that are shared.
  var textPlaces: [[Int]]

  /// The further rows of each example, counted from the first one's.
  var ranges: [Range<Int>] {
    var row = 0
    return lengths.map { length in
      defer { row += length }
      return row..<row + length
    }
  }
}

/// What the examples of a batch may have in common rows.
enum FrontSharing {
  case nothing
  /// Virtual tokens in front of the texts.
  case virtualTokens
  /// Those, and the tokens that all texts start with: their states are wanted of no example.
  case texts
}

extension PromptedModel {
  /// Puts the prompt and the embedded tokens of texts in order.
  ///
  /// - Parameters:
  ///   - closings: how many tokens at the end of each text stay behind the prompt.
  ///   - tasks: which task of several each text belongs to; nil for the first.
  ///   - continuations: what is read behind each text and its prompt.
  ///   - sharing: what all examples have in front may stand there once.
  func promptedRows(
    _ texts: [[Int32]], closings: [Int], tasks: [Int]? = nil, continuations: [[Int32]]? = nil,
    sharing: FrontSharing, on tape: Tape
  ) throws -> PromptedRows {
    let continuations = continuations ?? texts.map { _ in [] }
    let reading = try reading(of: texts, closings: closings, tasks: tasks, on: tape)
    let placements =
      reading.placements
      ?? texts.map { _ in PromptPlacement(front: reading.vectors == nil ? [] : Array(0..<reading.count), back: []) }
    // A gradient for each option needs rows of its own for each example.
    let mayShare =
      sharing != .nothing && tape.savings.contains(.sharedFront) && reading.isShared && reading.choices == nil
    let sharedFront = mayShare ? Self.commonFront(placements) : 0
    let isWhole = mayShare && placements.allSatisfy { $0.front.count == sharedFront }
    let common = isWhole && sharing == .texts ? Self.commonStart(texts, closings, placements) : []
    let isFrozen =
      sharedFront == 0 && reading.prefixes == nil && tape.savings.contains(.frozenFront)
      && !model.parameters.contains(where: \.isTrainable)
    let frozen = isFrozen ? FrozenFronts.part(of: common) : []
    let start = Array(common.dropFirst(frozen.count))
    let prefixes = frozen.isEmpty ? reading.prefixes : try frozenFronts.prefixes(frozen, on: tape)
    let ownTexts = texts.map { $0.dropFirst(common.count) }
    let embedded = try model.embed(start + zip(ownTexts, continuations).flatMap { $0 + $1 }, on: tape)
    let shared = sharedFront + start.count
    guard let vectors = reading.vectors, reading.count > 0 else {
      return PromptedRows(
        embeddings: embedded, prefixes: prefixes, shared: shared,
        lengths: zip(ownTexts, continuations).map { $0.count + $1.count },
        textPlaces: ownTexts.map { Array(0..<$0.count) })
    }
    var sources = placements.first.map { $0.front.prefix(sharedFront).map(Int32.init) } ?? []
    var assembled: [AssembledExample] = []
    var textPlaces: [[Int]] = []
    var token = vectors.shape[0]
    sources += start.indices.map { Int32(token + $0) }
    token += start.count
    for (number, placement) in placements.enumerated() {
      let (text, closing) = (ownTexts[number], closings[number])
      let virtual = reading.isShared ? 0..<reading.count : number * reading.count..<(number + 1) * reading.count
      let tokens = token..<token + text.count
      let row = sources.count
      sources +=
        placement.arrange(Array(tokens), closing: closing) { virtual.lowerBound + $0 }.dropFirst(sharedFront)
        .map(Int32.init)
      sources += (0..<continuations[number].count).map { Int32(tokens.upperBound + $0) }
      assembled.append(
        AssembledExample(
          rows: row..<sources.count, virtual: virtual, text: tokens, closing: closing, placement: placement))
      textPlaces.append(
        (0..<text.count).map { placement.place(ofToken: $0, in: text.count, closing: closing) - sharedFront })
      token = tokens.upperBound + continuations[number].count
    }
    let embeddings = try tape.scope("prompt") {
      let table = try tape.concatRows([vectors, embedded])
      let isInOrder = reading.choices == nil && sources.elementsEqual(0..<Int32(table.shape[0]))
      return isInOrder ? table : try tape.assemble(table, sources: sources, assembled, reading.choices)
    }
    return PromptedRows(
      embeddings: embeddings, prefixes: prefixes, shared: shared, lengths: assembled.map(\.rows.count),
      textPlaces: textPlaces)
  }

  /// The tokens that several texts start with; each keeps one at least, and whatever stands behind virtual tokens.
  private static func commonStart(_ texts: [[Int32]], _ closings: [Int], _ placements: [PromptPlacement]) -> [Int32] {
    guard texts.count > 1, let first = texts.first else { return [] }
    var length = first.count
    for ((text, closing), placement) in zip(zip(texts, closings), placements) {
      let bound = min(length, placement.back.isEmpty ? text.count - 1 : min(text.count - 1, text.count - closing))
      length = zip(first.prefix(max(0, bound)), text).prefix { $0 == $1 }.count
    }
    return Array(first.prefix(length))
  }

  /// How many virtual tokens stand first in all examples.
  private static func commonFront(_ placements: [PromptPlacement]) -> Int {
    guard let first = placements.first?.front else { return 0 }
    return placements.dropFirst().reduce(first.count) { count, placement in
      zip(first.prefix(count), placement.front).prefix { $0 == $1 }.count
    }
  }
}
