import Autodiff
import Compute
import Foundation

/// The sizes of a model that its users need.
public struct ModelFacts: Sendable, Hashable, Codable {
  /// `model_type` of `config.json`.
  public var modelType: String
  /// Width of the token embeddings, and so of a soft prompt.
  public var embeddingWidth: Int
  /// Width of the hidden states.
  public var hiddenWidth: Int
  public var layers: Int
  public var heads: Int
  /// Rows of the token embedding and of the output projection.
  public var vocabularySize: Int
  /// How many positions there are; nil where there is no limit.
  public var maximumPositions: Int?
  /// The end tokens of `config.json`.
  public var endTokens: [Int32]

  public init(
    modelType: String, embeddingWidth: Int, hiddenWidth: Int, layers: Int, heads: Int, vocabularySize: Int,
    maximumPositions: Int?, endTokens: [Int32]
  ) {
    self.modelType = modelType
    self.embeddingWidth = embeddingWidth
    self.hiddenWidth = hiddenWidth
    self.layers = layers
    self.heads = heads
    self.vocabularySize = vocabularySize
    self.maximumPositions = maximumPositions
    self.endTokens = endTokens
  }
}

/// A transformer that turns token embeddings into hidden states and those into scores of the next token.
///
/// Written once over `ComputeBackend` by way of the tape: the same code trains, evaluates and decodes.
public protocol LanguageModel: AnyObject {
  var backend: any ComputeBackend { get }
  var facts: ModelFacts { get }
  /// All tensors, under the names they have in a checkpoint.
  var parameters: [Parameter] { get }
  /// The token embeddings `[V, embeddingWidth]`, one of `parameters`.
  var tokenEmbedding: Parameter { get }

  /// Token embeddings, before anything that depends on positions: `[tokens, embeddingWidth]`.
  ///
  /// - Throws: `ComputeError.indexOutOfRange` for a token outside the vocabulary.
  func embed(_ tokens: [Int32], on tape: Tape) throws -> Variable

  /// The final hidden states of the rows that the batch asks for: `[output rows, hiddenWidth]`.
  ///
  /// - Parameters:
  ///   - embeddings: `[rows, embeddingWidth]`, in the order of the batch.
  ///   - cache: keys and values of earlier tokens; receives those of this batch.
  func encode(_ embeddings: Variable, _ batch: PackedBatch, cache: KeyValueCache?, on tape: Tape) throws -> Variable

  /// Scores of every token of the vocabulary: `[rows, V]`.
  func logits(_ hidden: Variable, on tape: Tape) throws -> Variable

  /// The negative log-likelihood of a label after each row, `[rows]`.
  func losses(_ hidden: Variable, _ labels: Indices, on tape: Tape) throws -> Variable
}

extension LanguageModel {
  /// How many numbers the model holds.
  public var parameterCount: Int { parameters.reduce(0) { $0 + $1.count } }

  /// Bytes of the weights as they are kept.
  public var weightBytes: Int { parameters.reduce(0) { $0 + $1.value.byteCount } }
}

/// What a family needs to be opened, initialised and saved.
protocol ModelFamily: LanguageModel {
  /// `model_type` of `config.json`.
  static var modelType: String { get }

  /// Builds the model; `source` hands out each tensor by name and shape.
  init(
    _ configuration: ConfigurationFile, on backend: any ComputeBackend, _ options: ModelOptions, _ source: TensorSource)
    throws
}

/// How a model is loaded.
public struct ModelOptions: Sendable {
  /// How frozen matrices are kept.
  public var precision: WeightPrecision
  /// Every parameter is trained: kept in f32 and given gradients.
  public var isTrainable: Bool
  /// Operands of matrix products are rounded to bf16.
  public var roundsOperands: Bool

  public init(precision: WeightPrecision = .checkpoint, isTrainable: Bool = false, roundsOperands: Bool = false) {
    self.precision = precision
    self.isTrainable = isTrainable
    self.roundsOperands = roundsOperands
  }
}

/// Where the tensors of a new model come from.
enum TensorSource {
  /// From a checkpoint's files.
  case checkpoint(Checkpoint)
  /// Drawn at random with a seed.
  case random(seed: UInt64)
}
