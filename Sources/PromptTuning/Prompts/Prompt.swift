import Autodiff
import Compute
import LanguageModels

/// The second axis: what trainable vectors the frozen model reads.
public protocol Prompt: AnyObject {
  /// Everything that is trained and kept.
  var parameters: [Parameter] { get }
  /// How many positions of the model it takes, at most.
  var length: Int { get }
  /// Whether examples may get different vectors or have them in different places.
  var variesByExample: Bool { get }
  /// Whether it looks at the model's final hidden states of the examples without a prompt.
  var needsFeatures: Bool { get }
  /// How those states become what it reads.
  var featureForm: FeatureForm { get }

  /// What the model reads of it beside the texts of a batch.
  func reading(of batch: PromptBatch, on tape: Tape) throws -> PromptReading

  /// What is written for others to read: PEFT's tensors where PEFT has the type.
  func peftTensors(on backend: any ComputeBackend) throws -> PEFTPrompt?
}

extension Prompt {
  public var variesByExample: Bool { false }
  public var needsFeatures: Bool { false }
  public var featureForm: FeatureForm { .mean }
}

/// The examples that a prompt is asked for.
public struct PromptBatch {
  /// What the model reads of each example before its target, as token ids.
  public var texts: [[Int32]]
  /// How many tokens at the end of each text belong behind a prompt that stands behind it: an encoder's end token.
  public var closings: [Int]
  /// Which task of several each text belongs to, from 0.
  public var tasks: [Int]
  /// What the prompt's `featureForm` makes of the model's final hidden states of each text without a prompt,
  /// `[texts, hiddenWidth]`.
  public var features: () throws -> Tensor
  /// What random choices depend on; nil where nothing is trained, as in evaluation.
  public var draw: PromptDraw?

  public init(
    texts: [[Int32]], closings: [Int], tasks: [Int]? = nil, features: @escaping () throws -> Tensor,
    draw: PromptDraw? = nil
  ) {
    let tasks = tasks ?? texts.map { _ in 0 }
    precondition(texts.count == closings.count && texts.count == tasks.count, "a closing and a task for each text")
    self.texts = texts
    self.closings = closings
    self.tasks = tasks
    self.features = features
    self.draw = draw
  }
}

/// The place of a batch in a run, from which everything that a prompt draws at random follows.
public struct PromptDraw: Sendable, Hashable {
  /// The optimizer step, from 1.
  public var step: Int
  /// Which of the step's examples is the batch's first one.
  public var firstRow: Int

  public init(step: Int, firstRow: Int) {
    self.step = step
    self.firstRow = firstRow
  }

  /// A stream of random numbers for one use in one row of one step.
  static func stream(_ use: UInt64, step: Int, row: Int) -> UInt64 {
    use ^ (UInt64(step) << 24) ^ UInt64(row)
  }
}

/// What a prompt adds to the texts of a batch.
public struct PromptReading {
  /// Keys and values in front of every layer's own.
  public var prefixes: LayerPrefixes?
  /// Virtual tokens: `[length, embeddingWidth]` for all examples, or `[examples length, embeddingWidth]`.
  public var vectors: Variable?
  /// How many virtual tokens an example has.
  public var count: Int
  /// Every example reads the same vectors.
  public var isShared: Bool
  /// Where the virtual tokens of each example stand; nil where all of them stand in front.
  public var placements: [PromptPlacement]?
  /// What gradients of hard choices go to.
  public var choices: PromptChoices?
  /// The weights that each example's vectors were mixed with, `[examples, pool size]`.
  public var poolWeights: Variable?
  /// How many tokens each example has in front, where that is learned.
  public var positions: [Int]?
  /// How many tokens each example has, where that is learned.
  public var lengths: [Int]?

  public init(
    prefixes: LayerPrefixes? = nil, vectors: Variable? = nil, count: Int = 0, isShared: Bool = true,
    placements: [PromptPlacement]? = nil
  ) {
    self.prefixes = prefixes
    self.vectors = vectors
    self.count = count
    self.isShared = isShared
    self.placements = placements
  }
}

/// No prompt at all, as in fine-tuning and in-context learning.
public final class NoPrompt: TunablePrompt {
  public static let name = "none"
  public static let isPrompt = false

  public let parameters: [Parameter] = []
  public let length = 0

  public init() {}
  public convenience init(_ request: PromptRequest) { self.init() }

  public func reading(of batch: PromptBatch, on tape: Tape) -> PromptReading { PromptReading() }
  public func peftTensors(on backend: any ComputeBackend) -> PEFTPrompt? { nil }
}
