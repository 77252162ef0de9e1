import Autodiff
import Compute

/// A prompt of virtual tokens, which can stand anywhere in a text.
public protocol VectorPrompt: TunablePrompt {
  /// `[length, embeddingWidth]` for all examples, or `[examples length, embeddingWidth]`.
  func vectors(of batch: PromptBatch, on tape: Tape) throws -> PromptVectors
}

/// Virtual tokens of a batch.
public struct PromptVectors {
  /// `[length, embeddingWidth]`, or `[examples length, embeddingWidth]` where each example has its own.
  public var rows: Variable
  /// The weights that each example's vectors were mixed with, `[examples, pool size]`.
  public var poolWeights: Variable?

  public init(_ rows: Variable, poolWeights: Variable? = nil) {
    self.rows = rows
    self.poolWeights = poolWeights
  }
}

extension VectorPrompt {
  public static var hasVectors: Bool { true }

  public func reading(of batch: PromptBatch, on tape: Tape) throws -> PromptReading {
    let vectors = try tape.scope("prompt") { try self.vectors(of: batch, on: tape) }
    var reading = PromptReading(vectors: vectors.rows, count: length, isShared: !variesByExample)
    reading.poolWeights = vectors.poolWeights
    return reading
  }

  /// The vectors that every example reads, `[length, embeddingWidth]`, row-major.
  func sharedValues(on backend: any ComputeBackend) throws -> [Float] {
    let batch = PromptBatch(texts: [], closings: []) {
      preconditionFailure("a prompt that all examples share looks at none")
    }
    return try backend.values(try vectors(of: batch, on: Tape(backend, isRecording: false)).rows.value)
  }
}
