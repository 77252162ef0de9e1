import Autodiff
import Compute

/// A transformer that turns token embeddings into hidden states and those into scores of tokens.
///
/// Written once over `ComputeBackend` by way of the tape: the same code trains, evaluates and decodes.
public protocol LanguageModel: AnyObject {
  var backend: any ComputeBackend { get }
  var facts: ModelFacts { get }
  /// All tensors, under the names they have in a checkpoint.
  var parameters: [Parameter] { get }
  /// The token embeddings `[V, embeddingWidth]`, one of `parameters`.
  var tokenEmbedding: Parameter { get }
  /// The classification head of the checkpoint, where there is one.
  var storedClassifier: StoredClassifier? { get }

  /// Token embeddings, before anything that depends on positions: `[tokens, embeddingWidth]`.
  ///
  /// - Throws: `ComputeError.indexOutOfRange` for a token outside the vocabulary.
  func embed(_ tokens: [Int32], on tape: Tape) throws -> Variable

  /// The final hidden states of the rows that the batch asks for: `[output rows, hiddenWidth]`.
  ///
  /// - Parameters:
  ///   - embeddings: `[rows, embeddingWidth]`, in the order of the batch.
  ///   - prefixes: keys and values in front of those of the text; the batch is laid out for their length. With a cache
  ///     they are stored there once instead (`KeyValueCache.store`).
  ///   - cache: keys and values of earlier tokens; receives those of this batch.
  /// - Throws: `ComputeError.indexOutOfRange` for a position that the model does not have.
  func encode(
    _ embeddings: Variable, _ batch: PackedBatch, prefixes: LayerPrefixes?, cache: KeyValueCache?, on tape: Tape
  ) throws -> Variable

  /// Scores of every token of the vocabulary: `[rows, V]`.
  ///
  /// - Throws: `CheckpointError.missingTensor` if the checkpoint has no output projection.
  func logits(_ hidden: Variable, on tape: Tape) throws -> Variable

  /// Scores of chosen tokens alone, in their order: `[rows, tokens]`.
  ///
  /// No other row of the output projection is computed with.
  ///
  /// - Throws: as `logits`; `ComputeError.indexOutOfRange` for a token outside the vocabulary.
  func logits(_ hidden: Variable, of tokens: Indices, on tape: Tape) throws -> Variable

  /// The negative log-likelihood of a label after each row, `[rows]`.
  ///
  /// - Throws: as `logits`.
  func losses(_ hidden: Variable, _ labels: Indices, on tape: Tape) throws -> Variable
}

extension LanguageModel {
  public var storedClassifier: StoredClassifier? { nil }

  /// As `encode` with prefixes, without any.
  public func encode(_ embeddings: Variable, _ batch: PackedBatch, cache: KeyValueCache?, on tape: Tape) throws
    -> Variable
  {
    try encode(embeddings, batch, prefixes: nil, cache: cache, on: tape)
  }

  /// How many numbers the model holds.
  public var parameterCount: Int { parameters.reduce(0) { $0 + $1.count } }

  /// Bytes of the weights as they are kept.
  public var weightBytes: Int { parameters.reduce(0) { $0 + $1.value.byteCount } }
}
