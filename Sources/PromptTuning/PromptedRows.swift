import Autodiff
import Compute
import LanguageModels

/// The rows that a model reads of a batch: virtual tokens and tokens where the prompt says.
struct PromptedRows {
  /// `[shared + sum of lengths, embeddingWidth]`.
  var embeddings: Variable
  /// Keys and values in front in every layer.
  var prefixes: LayerPrefixes?
  /// Rows at the beginning that stand in front of every example.
  var shared: Int
  /// The further rows of each example.
  var lengths: [Int]
  /// Where each example's tokens stand among its further rows, without those of a target.
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

extension PromptedModel {
  /// Puts the prompt and the embedded tokens of texts in order.
  ///
  /// - Parameters:
  ///   - closings: how many tokens at the end of each text stay behind the prompt.
  ///   - tasks: which task of several each text belongs to; nil for the first.
  ///   - continuations: what is read behind each text and its prompt.
  ///   - sharesFront: virtual tokens that all examples have in front may stand there once.
  func promptedRows(
    _ texts: [[Int32]], closings: [Int], tasks: [Int]? = nil, continuations: [[Int32]]? = nil, sharesFront: Bool,
    on tape: Tape
  ) throws -> PromptedRows {
    let continuations = continuations ?? texts.map { _ in [] }
    let reading = try reading(of: texts, closings: closings, tasks: tasks, on: tape)
    let embedded = try model.embed(zip(texts, continuations).flatMap { $0 + $1 }, on: tape)
    guard let vectors = reading.vectors, reading.count > 0 else {
      return PromptedRows(
        embeddings: embedded, prefixes: reading.prefixes, shared: 0,
        lengths: zip(texts, continuations).map { $0.count + $1.count }, textPlaces: texts.map { Array($0.indices) })
    }
    let placements = reading.placements ?? texts.map { _ in PromptPlacement(front: Array(0..<reading.count), back: []) }
    // A gradient for each option needs rows of its own for each example.
    let mayShare = sharesFront && reading.isShared && reading.choices == nil
    let shared = mayShare ? Self.commonFront(placements) : 0
    var sources = placements.first.map { $0.front.prefix(shared).map(Int32.init) } ?? []
    var assembled: [AssembledExample] = []
    var textPlaces: [[Int]] = []
    var token = vectors.shape[0]
    for (number, placement) in placements.enumerated() {
      let (text, closing) = (texts[number], closings[number])
      let virtual = reading.isShared ? 0..<reading.count : number * reading.count..<(number + 1) * reading.count
      let tokens = token..<token + text.count
      let row = sources.count
      sources +=
        placement.arrange(Array(tokens), closing: closing) { virtual.lowerBound + $0 }.dropFirst(shared).map(Int32.init)
      sources += (0..<continuations[number].count).map { Int32(tokens.upperBound + $0) }
      assembled.append(
        AssembledExample(
          rows: row..<sources.count, virtual: virtual, text: tokens, closing: closing, placement: placement))
      textPlaces.append(
        text.indices.map { placement.place(ofToken: $0, in: text.count, closing: closing) - shared })
      token = tokens.upperBound + continuations[number].count
    }
    let embeddings = try tape.scope("prompt") {
      let table = try tape.concatRows([vectors, embedded])
      let isInOrder = reading.choices == nil && sources.elementsEqual(0..<Int32(table.shape[0]))
      return isInOrder ? table : try tape.assemble(table, sources: sources, assembled, reading.choices)
    }
    return PromptedRows(
      embeddings: embeddings, prefixes: reading.prefixes, shared: shared, lengths: assembled.map(\.rows.count),
      textPlaces: textPlaces)
  }

  /// How many virtual tokens stand first in all examples.
  private static func commonFront(_ placements: [PromptPlacement]) -> Int {
    guard let first = placements.first?.front else { return 0 }
    return placements.dropFirst().reduce(first.count) { count, placement in
      zip(first.prefix(count), placement.front).prefix { $0 == $1 }.count
    }
  }
}
