import Autodiff
import Compute
import LanguageModels

/// Texts with a prompt as lists of numbers, for whoever computes them a piece at a time.
public struct ArrangedTexts {
  /// What is read of each text: tokens, and for row r of the prompt's vectors the number -1 - r.
  public let sequences: [[Int32]]
  /// Keys and values in front in every layer.
  public let prefixes: LayerPrefixes?
  /// What was chosen for each text, where anything is.
  public let choices: [ChosenPrompt]?
  let vectors: Tensor?
}

/// What a prompt chose for a text; nil for what does not vary.
public struct ChosenPrompt: Sendable, Hashable, Codable {
  /// How many virtual tokens stand in front.
  public var position: Int?
  /// How many virtual tokens there are.
  public var length: Int?
  /// The weight of each prompt of a pool.
  public var poolWeights: [Float]?

  public init(position: Int? = nil, length: Int? = nil, poolWeights: [Float]? = nil) {
    self.position = position
    self.length = length
    self.poolWeights = poolWeights
  }
}

extension PromptedModel {
  /// Puts virtual tokens where the prompt says, without computing the model.
  ///
  /// - Parameter closing: how many tokens at the end of each text stay behind the prompt.
  public func arrange(_ texts: [[Int32]], closing: Int) throws -> ArrangedTexts {
    let closings = texts.map { min(closing, $0.count) }
    let reading = try reading(of: texts, closings: closings, on: Tape(backend, isRecording: false))
    let chosen = try Self.choices(reading, count: texts.count, on: backend)
    guard let vectors = reading.vectors, reading.count > 0 else {
      return ArrangedTexts(sequences: texts, prefixes: reading.prefixes, choices: chosen, vectors: nil)
    }
    let all = PromptPlacement(front: Array(0..<reading.count), back: [])
    let sequences = texts.indices.map { number in
      let first = reading.isShared ? 0 : number * reading.count
      return (reading.placements?[number] ?? all).arrange(texts[number], closing: closings[number]) {
        Int32(-1 - first - $0)
      }
    }
    return ArrangedTexts(
      sequences: sequences, prefixes: reading.prefixes, choices: chosen, vectors: vectors.value)
  }

  /// What the prompt chooses for each example; nil where nothing varies.
  public func choices(of examples: [EncodedExample]) throws -> [ChosenPrompt]? {
    guard prompt.variesByExample || prompt is PlacedPrompt else { return nil }
    let reading = try reading(
      of: examples.map(\.context), closings: examples.map(\.closing), on: Tape(backend, isRecording: false))
    return try Self.choices(reading, count: examples.count, on: backend)
  }

  private static func choices(_ reading: PromptReading, count: Int, on backend: any ComputeBackend) throws
    -> [ChosenPrompt]?
  {
    guard reading.positions != nil || reading.lengths != nil || reading.poolWeights != nil else { return nil }
    let weights = try reading.poolWeights.map { try backend.values($0.value) }
    let size = reading.poolWeights?.shape.columns ?? 0
    return (0..<count).map { number in
      ChosenPrompt(
        position: reading.positions?[number], length: reading.lengths?[number],
        poolWeights: weights.map { Array($0[number * size..<(number + 1) * size]) })
    }
  }

  /// Embeds numbers of arranged texts: `[count, embeddingWidth]`.
  public func embed(_ sequence: [Int32], of texts: ArrangedTexts, on tape: Tape) throws -> Variable {
    let tokens = sequence.filter { $0 >= 0 }
    guard let vectors = texts.vectors, tokens.count < sequence.count else {
      return try model.embed(sequence, on: tape)
    }
    let table = tape.constant(vectors, name: "prompt")
    let rows = try tokens.isEmpty ? table : tape.concatRows([table, try model.embed(tokens, on: tape)])
    var next = Int32(vectors.shape[0]) - 1
    let sources = sequence.map { number -> Int32 in
      if number < 0 { return -1 - number }
      next += 1
      return next
    }
    return try tape.gatherRows(rows, try backend.indices(sources))
  }
}
